"""Names of MIDI ports: their stable part, and the port that an option means. Pure.

A MIDI system adds to a port's name what changes when the port is plugged in again: ALSA the
numbers of client and port, a bridge to JACK the client's number, rtmidi on Windows the port's
place in the list.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Final

#: What is left out of a name, with what stands in its place, on every system but Windows.
_UNIX: Final = (
    (re.compile(r" \d+:\d+$"), ""),  # ALSA: client and port
    (re.compile(r" \[\d+\](?= \((?:capture|playback)\))"), ""),  # a2jmidid: the ALSA client
    (re.compile(r"^(Midi-Bridge:.*)-\d{2,}$"), r"\1"),  # PipeWire: the serial of a second one
    (re.compile(r" \(\d{3,}(?::\d+)?\)(?=:|$)"), ""),  # FluidSynth: its process
    (re.compile(r"^Client-\d+(?=:)"), "Client"),  # ALSA: a client without a name
)
#: The same on Windows: the place in rtmidi's list, and Windows' count of devices of one name.
_WINDOWS: Final = ((re.compile(r" \d+$"), ""), (re.compile(r"(^|\()\d+ ?- (?=\S)"), r"\1"))
#: NAME#2: the second of the ports that NAME means.
_NUMBERED: Final = re.compile(r"(.+)#([1-9]\d?)")


def stable_name(name: str, system: str = sys.platform) -> str:
    """Return the part of a port's name that is the same when it is plugged in again.

    system is as sys.platform. Devices of one name may have the same stable name.
    """
    for pattern, instead in _WINDOWS if system == "win32" else _UNIX:
        name = pattern.sub(instead, name)
    return name.strip()


def matches(wanted: str, names: Sequence[str], system: str = sys.platform) -> list[int]:
    """Return the places in names of the ports that an option means, the best first.

    The whole name comes before its stable part, and that before a part of the name; case does
    not count. NAME#2 is the second of the ports that NAME means, unless a port is named so.
    """
    exact, stable = wanted.casefold(), stable_name(wanted, system).casefold()
    ranked: list[tuple[int, int]] = []
    for place, name in enumerate(names):
        full, part = name.casefold(), stable_name(name, system).casefold()
        if full == exact:
            ranked.append((0, place))
        elif part == exact:
            ranked.append((1, place))
        elif part == stable:  # wanted as it was named before it was plugged in again
            ranked.append((2, place))
        elif exact in full or exact in part:
            ranked.append((3, place))
    meant = [place for _, place in sorted(ranked)]
    if not meant and (numbered := _NUMBERED.fullmatch(wanted)):
        number = int(numbered[2])
        return matches(numbered[1], names, system)[number - 1 : number]
    return meant


def unique_names(names: Sequence[str], system: str = sys.platform) -> list[str]:
    """Return for each port the text that means it alone: its stable name, or NAME#2.

    It is the full name where no such text means the port.
    """
    texts: list[str] = []
    for place, name in enumerate(names):
        stable = stable_name(name, system)
        numbers = (f"{stable}#{n}" for n in range(2, len(names) + 1))
        texts.append(
            next(
                (t for t in (stable, *numbers) if matches(t, names, system)[:1] == [place]),
                name,
            )
        )
    return texts
