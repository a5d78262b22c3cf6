"""Checks of the MIDI ports and of the clock: what is asked for is there."""

from __future__ import annotations

from importlib.util import find_spec

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.ports.clock_port import ClockError, ClockPorts
from robojam.ports.midi_client import MidiError, list_ports
from robojam.wire.midi.port_names import matches
from robojam.wire.midi.styles import parse_port

#: Names of ports that are shown in each direction.
_SHOWN = 3


def check_midi(options: Options) -> Finding:
    """List the MIDI ports, and look for those of the options."""
    settings = options.settings()
    kind, _, port = settings.clock.partition(":")
    asked = {
        "in": options.midi_in + ((port,) if kind == "midi" and port else ()),
        "out": options.midi_out + ((settings.clock_out,) if settings.clock_out else ()),
    }
    try:
        listed = list_ports()
    except MidiError as error:
        if any(asked.values()):
            return problem(str(error))
        return warning(f"{error}; a jam plays without MIDI")
    absent = [
        f"{way}put {port.name}"
        for way, texts in asked.items()
        for port in (parse_port(text, options.midi) for text in texts)
        if not port.virtual and not matches(port.name, listed[way])
    ]
    found = "; ".join(f"{way}: {_named(listed[way])}" for way in ("in", "out"))
    if absent:
        return warning(
            f"not there: {', '.join(absent)}. {found}",
            "plug it in and switch it on; a jam takes it as soon as it is there",
        )
    return ok(found)


def check_beat(options: Options) -> Finding:
    """Look whether the clock whose beats a jam keeps to can be used."""
    source = options.settings().clock
    try:
        ClockPorts(options.midi_in).check(source)
    except ClockError as error:
        return problem(str(error))
    there = find_spec("aalink") is not None
    link = "Link can be used" if there else "Link needs the extra link"
    return ok(f"clock {source}; {link}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "no port") + more
