"""learn: the command that takes what is turned on a MIDI controller."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.ports.midi_client import MidiClient
    from robojam.wire.midi.learn import Learner

_TODO: Final = {"x": "turn its knob, or play a key, now", "y": "turn its knob now"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "wishes",
        metavar="WHAT",
        nargs="+",
        help="in order: x, y (the surface); answer, panic, pause, reset, mode, 'mode solo', "
        "temperature, 'temperature 0 2', spread, timescale, threshold, response, 'record hold'",
    )
    parser.add_argument(
        "--midi-in",
        metavar="NAME",
        help="the port, by a part of its name (default: every one)",
    )


def _learn(chosen: argparse.Namespace) -> int:
    import time

    from robojam.ports.midi_client import MidiClient, MidiError, list_ports
    from robojam.wire.midi.learn import Learner
    from robojam.wire.midi.styles import Wanted

    try:
        learner = Learner(chosen.wishes)
        there = list_ports()["in"]
        wanted = chosen.midi_in or ""
        ports = [name for name in there if wanted.casefold() in name.casefold()]
        if not ports:
            named = f" is named like {wanted}" if wanted else " is there"
            known = f"; there is {', '.join(there)}" if there else ""
            arguments.fail(f"no MIDI port{named}{known}. Plug it in, and try again")
        link = MidiClient(
            [Wanted(name, "", virtual=False) for name in ports], [], time.monotonic
        )
    except (ValueError, MidiError) as error:
        arguments.fail(error)
    try:
        _take(learner, link, ports)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        link.close()
    if learner.taken:
        print(learner.toml(), end="")
    return 0 if learner.wish is None else 130


def _take(learner: Learner, link: MidiClient, ports: list[str]) -> None:
    """Listen until all is learnt; say on the way what to do."""
    import select
    import time

    from robojam.wire.midi.stream import MidiParser

    parsers = [MidiParser() for _ in ports]
    _say(f"listening to {', '.join(ports)}; Ctrl-C ends it")
    asked = None
    while (wish := learner.wish) is not None:
        if wish != asked:
            asked = wish
            what = _TODO.get(wish, "press it, or turn it, now")
            _say(f"{wish}: {what}")
        select.select([link], [], [], 1.0)
        link.watch(time.monotonic())
        for letter, number, data in link.receive():
            if letter != "m":
                continue
            for message in parsers[number].feed(data)[0]:
                took = learner.take(ports[number], message)
                if took is not None:
                    port, kind, which, channel = took
                    _say(f"   taken: {kind} {which} on channel {channel + 1} of {port}")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("learn", "MIDI learn: what you turn or press is taken", _arguments, _learn),
)
