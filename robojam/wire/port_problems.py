"""Problems of an engine's ports, read from its status: lines for a person. Pure.

The status may come from another machine: what it reports is bounded and escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

#: Characters of a text of a status that are shown, and entries of a list that are read.
MAX_TEXT: Final = 160
MAX_ENTRIES: Final = 64
#: Values of the sound's state that are no error.
_WORKING: Final = frozenset(["playing", "starting", "open", "connected", "ok"])


def plain(value: object, length: int = MAX_TEXT) -> str:
    """Return a text from the network as it can be shown: in one line, escaped and bounded."""
    if not isinstance(value, str | int | float):
        return ""  # nothing to be shown, and its text may be of any length
    text = str(value)[: length + 1]
    text = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "replace").decode()
        for char in text
    )
    return text if len(text) <= length else text[: length - 1] + "…"


def entries(value: object) -> list[dict[str, object]]:
    """Return the dicts of a list of a status."""
    values = value[:MAX_ENTRIES] if isinstance(value, list) else []
    return [entry for entry in values if isinstance(entry, dict)]


def port_problems(status: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the problems of osc, and of midi, serial and sound where there are such ports.

    status has the keys outputs, midi, serial and sound of an engine's status.
    """
    midi, sound = status.get("midi"), status.get("sound")
    found = {"osc": tuple(_output_problems(status.get("outputs")))}
    if isinstance(midi, dict) and (midi.get("in") or midi.get("out")):
        found["midi"] = tuple(_midi_problems(midi))
    if serial := entries(status.get("serial")):
        found["serial"] = tuple(_serial_problems(serial))
    if isinstance(sound, dict) and sound:
        found["sound"] = tuple(_sound_problems(sound))
    return found


def midi_ports(midi: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the MIDI ports of a status, of both directions."""
    return [port for side in ("in", "out") for port in entries(midi.get(side))]


def _output_problems(outputs: object) -> Iterator[str]:
    for output in entries(outputs):
        if output.get("error"):
            yield f"osc to {plain(output.get('address'), 60)}: {plain(output['error'])}"


def _midi_problems(midi: Mapping[str, object]) -> Iterator[str]:
    for side, direction in (("in", "from"), ("out", "to")):
        for port in entries(midi.get(side)):
            problem = port.get("problem")
            if not problem and port.get("connected") is False:
                problem = "not connected"
            if problem:
                yield f"midi {direction} {plain(port.get('wanted'), 60)}: {plain(problem)}"
    if trouble := midi.get("trouble"):
        yield f"midi: {plain(trouble)}"


def _serial_problems(ports: list[dict[str, object]]) -> Iterator[str]:
    for port in ports:
        if port.get("connected") is False:
            problem = plain(port.get("problem")) or "not connected"
            yield f"serial {plain(port.get('wanted'), 60)}: {problem}"


def _sound_problems(sound: Mapping[str, object]) -> Iterator[str]:
    state = sound.get("state")
    stopped = state if isinstance(state, str) and state not in _WORKING else ""
    if problem := sound.get("trouble") or sound.get("error") or stopped:
        text = plain(problem)
        yield text if text.startswith(("no ", "the ")) else f"sound: {text}"
