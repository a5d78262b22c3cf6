"""Check of the MIDI ports: they can be listed, and those that are asked for are there."""

from __future__ import annotations

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.ports.midi_client import MidiError, list_ports
from robojam.wire.midi.port_names import matches
from robojam.wire.midi.styles import parse_port

#: Names of ports that are shown in each direction.
_SHOWN = 3


def check_midi(options: Options) -> Finding:
    """List the MIDI ports, and look for those of the options."""
    asked = {"in": options.midi_in, "out": options.midi_out}
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


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "no port") + more
