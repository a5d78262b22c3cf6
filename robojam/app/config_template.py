"""Template of a configuration file: every option, with what this machine has for it."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Callable
from typing import Any, Final

from robojam.config.options import OPTIONS, Option

_HEADER: Final = """\
# robojam: the options of a jam, for `robojam jam --config THIS-FILE` and `robojam serve`.
# Each has its default here; to change one, remove the # before its name. The command line
# wins over the file.
"""
#: Values that stand for a default that only the engine knows.
_EXAMPLES: Final[dict[str, Any]] = {
    "model": "touch",
    "seed": 1,
    "sound_out": "USB",
    "log": "robojam.log",
}
#: Examples of two values for the options that can be repeated.
_LISTS: Final = {
    "osc_out": ("127.0.0.1:5006", "192.168.0.23:9000/touchosc"),
    "midi_in": ("LinnStrument", "Foot/pedal"),
    "midi_out": ("Surge", "Minilogue/scale"),
    "touchosc": ("/1/xy", "/2/xy"),
}
#: Examples for the options that are tables. They end the file, as TOML requires.
_TABLES: Final = {
    "midi": """\
#[midi.lead]
#like = "scale"
#key = "D"
#scale = "dorian"
#program = 5

#[midi.desk]
#like = "cc"
#controls = { "cc 64" = "answer", "cc 1" = "temperature 0 2" }
"""
}
_WIDTH: Final = 90


def template() -> str:
    """Return the text of a configuration file that changes nothing."""
    parts = [_HEADER]
    for option in sorted(OPTIONS, key=lambda option: option.name in _TABLES):
        lines = _comment(f"{option.about[:1].upper()}{option.about[1:]}: {option.allowed}.")
        if option.default is None:
            lines += _comment(f"Without it: {option.default_text}.")
        for name in _on_this_machine(option.name):
            lines += _comment(f"Here: {name}")
        if option.kind is tuple:
            example = _toml(_LISTS[option.field])
            lines += _comment(f"One or more, in brackets: {option.name} = {example}")
        value = _TABLES.get(option.name) or f"#{option.name} = {_toml(_value(option))}\n"
        parts.append("\n".join([*lines, value]))
    return "\n".join(parts)


def _comment(text: str) -> list[str]:
    """Return a text as lines of comment."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _value(option: Option) -> Any:
    """Return an option's default, or an example where only the engine knows the default."""
    if option.default is not None:
        return option.default
    return _EXAMPLES.get(option.field, 1.0 if option.kind is float else "")


def _toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _on_this_machine(option: str) -> list[str]:
    """Return what this machine has for an option; nothing where that cannot be found out."""
    search = _SEARCHES.get(option)
    if search is None:
        return []
    try:
        return search()
    except Exception:  # a driver may fail in any way, and the file is as good without it
        return []


def _models() -> list[str]:
    """Return the names of the models that come with robojam."""
    from robojam.model.file import folder

    return [", ".join(sorted(path.stem for path in folder().glob("*.safetensors")))]


def _devices() -> list[str]:
    """Return the devices on which a model can compute."""
    from robojam.player.devices import DeviceError, choose_device

    devices = ["cpu"]
    for name in ("cuda", "mps"):
        try:
            devices.append(choose_device(name))
        except DeviceError:
            continue
    return [f"{', '.join(devices)} ({platform.processor() or platform.machine()})"]


def _midi_ports(direction: str) -> list[str]:
    """Return the names of the MIDI ports of a direction, in or out."""
    from robojam.ports.midi_client import MidiError, list_ports

    try:
        return list_ports()[direction]
    except MidiError:
        return []


def _audio_outputs() -> list[str]:
    """Return the names of the audio devices."""
    from robojam import sound
    from robojam.sound.device import NoSoundError

    try:
        return [device.name for device in sound.devices()]
    except NoSoundError:
        return []


_SEARCHES: Final[dict[str, Callable[[], list[str]]]] = {
    "model": _models,
    "device": _devices,
    "midi-in": lambda: _midi_ports("in"),
    "midi-out": lambda: _midi_ports("out"),
    "sound-out": _audio_outputs,
}
