"""The commented TOML file of a rig: every option, and what this machine has for it."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Callable
from typing import Any

from robojam.config.options import OPTIONS, Option

_HEAD = """\
# robojam: the options of a jam, for `robojam jam --config THIS-FILE` and `robojam serve`.
# Each stands here as it is without this file; take the # away from where no space follows
# it to change it. The command line wins over the file.
"""
#: What is written where the default is for the engine to know.
_EXAMPLES: dict[str, Any] = {
    "model": "touch",
    "seed": 1,
    "sound_out": "USB",
    "log": "robojam.log",
}
#: Several of what stands in a list.
_LISTS = {
    "osc_out": ("127.0.0.1:5006", "192.168.0.23:9000/touchosc"),
    "midi_in": ("LinnStrument", "Foot/pedal"),
    "midi_out": ("Surge", "Minilogue/scale"),
    "touchosc": ("/1/xy", "/2/xy"),
}
#: In place of the default of a table: the file ends with it, as TOML wants.
_TABLES = {
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
_WIDTH = 90


def written() -> str:
    """Return the text of the file, with what this machine has."""
    parts = [_HEAD]
    for option in sorted(OPTIONS, key=lambda option: option.name in _TABLES):
        lines = _comment(f"{option.about[:1].upper()}{option.about[1:]}: {option.allowed}.")
        if option.default is None:
            lines += _comment(f"Without it: {option.default_text}.")
        for found in _here(option.name):
            lines += _comment(f"Here: {found}")
        if option.kind is tuple:
            several = _toml(_LISTS[option.field])
            lines += _comment(f"One or more, in brackets: {option.name} = {several}")
        value = _TABLES.get(option.name) or f"#{option.name} = {_toml(_value(option))}\n"
        parts.append("\n".join([*lines, value]))
    return "\n".join(parts)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _value(option: Option) -> Any:
    if option.default is not None:
        return option.default
    return _EXAMPLES.get(option.field, 1.0 if option.kind is float else "")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _here(option: str) -> list[str]:
    """Say what this machine has for an option; nothing where that cannot be told."""
    look = _LOOKS.get(option)
    if look is None:
        return []
    try:
        return look()
    except Exception:  # a driver may fail in any way, and the file is as good without it
        return []


def models() -> list[str]:
    """Name the models that come along."""
    from robojam.model.file import folder

    return [", ".join(sorted(path.stem for path in folder().glob("*.safetensors")))]


def devices() -> list[str]:
    """Name where a model can compute."""
    from robojam.player.devices import DeviceError, choose_device

    found = ["cpu"]
    for name in ("cuda", "mps"):
        try:
            found.append(choose_device(name))
        except DeviceError:
            continue
    return [f"{', '.join(found)} ({platform.processor() or platform.machine()})"]


def midi_inputs() -> list[str]:
    """Name the MIDI ports that play."""
    return _midi("in")


def midi_outputs() -> list[str]:
    """Name the MIDI ports that can be played to."""
    return _midi("out")


def _midi(way: str) -> list[str]:
    from robojam.ports.midi_client import MidiError, list_ports

    try:
        return list_ports()[way]
    except MidiError:
        return []


def audio_outputs() -> list[str]:
    """Name the audio devices."""
    from robojam import sound
    from robojam.sound.device import NoSoundError

    try:
        return [device.name for device in sound.devices()]
    except NoSoundError:
        return []


_LOOKS: dict[str, Callable[[], list[str]]] = {
    "model": models,
    "device": devices,
    "midi-in": midi_inputs,
    "midi-out": midi_outputs,
    "sound-out": audio_outputs,
}
