"""Template of a configuration file: every option, with what this machine has for it."""

import json
import platform
from collections.abc import Callable
from contextlib import suppress
from textwrap import TextWrapper
from typing import Any, Final

from robojam.config.options import OPTIONS
from robojam.wire.midi.styles import port_option

_HEADER: Final = """\
# robojam: the options of a jam, for `robojam jam --config THIS-FILE` and `robojam serve`.
# Each has its default here; to change one, remove the # before its name. The command line
# wins over the file.
"""
#: Values that stand for a default that only the engine knows.
_EXAMPLES: Final = {
    "model": "touch",
    "seed": 1,
    "roles": "roles.toml",
    "web_cert": "pads.pem",
    "sound_out": "USB",
    "log": "robojam.log",
}
#: Examples of two values for the options that can be repeated.
_LISTS: Final = {
    "osc_out": ("127.0.0.1:5006", "192.168.0.23:9000/touchosc"),
    "midi_in": ("LinnStrument", "Foot/pedal"),
    "midi_out": ("Surge", "Minilogue/scale"),
    "touchosc": ("/1/xy", "/2/xy"),
    "allow_origin": ("https://example.org", "null"),
    "serial": ("/dev/ttyACM0@115200", "COM3"),
    "serial_midi": ("/dev/ttyAMA0", "COM4"),
    "control": ("192.168.0.23", "10.0.0.0/24"),
    "show_allow": ("pause", "volume"),
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
""",
    "map": """\
#[map.out]
#cutoff = { target = "cc 74", source = "y", to = [110, 20], smooth = 0.05 }
#drive = { target = "cc14 12", source = "speed", curve = 2, smooth = 0.2 }
#tone = { target = "osc /fx/tone", source = "x", to = [36, 84], scale = "dorian" }

#[map.in]
#fader = { source = "cc 7", target = "temperature" }
#slider = { source = "osc /1/fader1", target = "x" }

#[map.scene.calm]

#[map.scene.wild]
#cutoff = { to = [127, 0], smooth = 0.01 }
""",
}


def template() -> str:
    """Return the text of a configuration file that changes nothing."""
    wrap = TextWrapper(90, "# ", "#   ", break_long_words=False, break_on_hyphens=False).wrap
    parts = [_HEADER]
    for option in sorted(OPTIONS, key=lambda option: option.name in _TABLES):
        lines = wrap(f"{option.about[:1].upper()}{option.about[1:]}: {option.allowed}.")
        if option.default is None:
            lines += wrap(f"Without it: {option.default_text}.")
        with suppress(Exception):  # a driver may fail in any way, and the file does without
            for name in _SEARCHES.get(option.name, list)():
                lines += wrap(f"Here: {name}")
        if option.kind is tuple:
            example = _toml(_LISTS[option.field])
            lines += wrap(f"One or more, in brackets: {option.name} = {example}")
        value = None if option.is_table else option.default
        if value is None:
            value = _EXAMPLES.get(option.field, 1.0 if option.kind is float else "")
        text = _TABLES.get(option.name) or f"#{option.name} = {_toml(value)}\n"
        parts.append("\n".join([*lines, text]))
    return "\n".join(parts)


def _toml(value: Any) -> str:
    # TOML writes texts, whole numbers, switches and lists as JSON does.
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _models() -> list[str]:
    from robojam.model.file import folder

    return [", ".join(sorted(path.stem for path in folder().glob("*.safetensors")))]


def _devices() -> list[str]:
    from robojam.player.devices import DeviceError, choose_device

    devices = ["cpu"]
    for name in ("cuda", "mps"):
        with suppress(DeviceError):
            devices.append(choose_device(name))
    return [f"{', '.join(devices)} ({platform.processor() or platform.machine()})"]


def _midi_ports(direction: str) -> list[str]:
    from robojam.ports.midi_client import list_ports

    return [port_option(name) for name in list_ports()[direction]]


def _audio_outputs() -> list[str]:
    from robojam.sound.device import devices

    return [device.name for device in devices()]


def _serial_ports() -> list[str]:
    from robojam.ports.serial_link import devices

    return [f"{name} ({description})" for name, description in devices()]


_SEARCHES: Final[dict[str, Callable[[], list[str]]]] = {
    "model": _models,
    "device": _devices,
    "midi-in": lambda: _midi_ports("in"),
    "midi-out": lambda: _midi_ports("out"),
    "serial": _serial_ports,
    "sound-out": _audio_outputs,
}
