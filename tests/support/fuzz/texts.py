"""Targets of texts that people, files and networks give: options, controls, addresses, TOML."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from robojam import music
from robojam.config import addresses
from robojam.config.load import OptionsError, change, resolve
from robojam.config.options import BY_NAME, Options
from robojam.controls import (
    CONTROLS,
    UNRECORDED,
    RefusedError,
    Settings,
    check_recorded,
    validate_control,
)
from robojam.corpus import units
from robojam.system.shell import printable, shell_quoted
from robojam.web.api_types import ContinueRequest, PredictRequest, decode
from robojam.web.microjam import read_performance
from robojam.wire.midi.bindings import parse_binding
from robojam.wire.midi.port_names import stable_name
from robojam.wire.midi.styles import PRESETS, parse_port, parse_styles
from support.fuzz.core import Meter, Target, integer, mutate_text, number, text

#: Parsers of one text that raise ValueError, with a good text of each.
PARSERS: dict[str, tuple[Any, str]] = {
    "address": (addresses.parse_address, "[fe80::1%eth0]:5005"),
    "output": (addresses.parse_output, "ipad.local:9000/touchosc"),
    "pad": (addresses.parse_pad, "/1/xy=y,-x:0..1023,-1..1"),
    "tuio": (lambda t: addresses.parse_tuio(t, default_host="::"), "[::1]:3333"),
    "serial": (addresses.parse_serial, "/dev/ttyACM0@115200"),
    "instruments": (music.parse_instruments, "human=keys,ai2=strings"),
    "ranges": (music.parse_ranges, "36-84,human2=C2-C6"),
    "range": (music.parse_range, "35.5-84"),
    "scale": (music.parse_scale, "pentatonic"),
    "key": (music.parse_key, "F#"),
    "units": (units.parse, "px:1024x768,ms"),
    "port": (lambda t: parse_port(t, PRESETS), "virtual:nanoKONTROL2 SLIDER/KNOB/mpe"),
    "trigger": (lambda t: parse_binding(t, "answer"), "nrpn 1:2 on 16"),
    "action": (lambda t: parse_binding("cc 1", t), "temperature 0 2"),
    "host": (addresses.canonical_host, "::ffff:192.0.2.1"),
    "group": (addresses.is_group, "ff02::1%eth0"),
    "port-name": (stable_name, "USB MIDI 20:0 #2"),
    "continue": (
        lambda t: decode(t.encode("utf-8", "surrogatepass"), ContinueRequest),
        '{"touches":[{"x":0.5,"y":-1e-3,"dt":0,"phase":"move"}],"seed":7,"follow":NaN}',
    ),
    "predict": (
        lambda t: decode(t.encode("utf-8", "surrogatepass"), PredictRequest),
        '{"perf":"time,x,y,z,moving\\n0.1, 0.5, 0.5, 20.0, 0\\n"}',
    ),
    "microjam": (
        read_performance,
        "time,x,y,z,moving\n0.1, 0.5, 0.5, 20.0, 0\n0.2, 0.51, 0.5, 20.0, 1\n",
    ),
    "printable": (printable, "a\u202e"),
    "shell": (shell_quoted, "a'b"),
}
_LETTERS = "0123456789abcxyzCF#♭-+.,:=/[]%_ '\"\\\n\0\té雨\u202e\U0001f600eE~^"


def parsed(random: Random) -> tuple[str, str]:
    """Return the name of a parser, and a text: a good one with faults, or words."""
    name = random.choice((*PARSERS,))
    good = PARSERS[name][1]
    if random.random() < 0.6:
        return name, mutate_text(random, good, _LETTERS)
    return name, text(random)


def check_text(value: tuple[str, str], meter: Meter) -> None:
    """Parse a text: a result, or a reason on one line."""
    name, given = value
    if name not in PARSERS:
        return
    try:
        meter.measure(PARSERS[name][0], given)
    except ValueError as error:
        _check_reason(str(error))


def _check_reason(reason: str, longest: int = 1000) -> None:
    assert reason
    assert reason.isprintable(), reason
    assert len(reason) < longest, reason


# -- controls ----------------------------------------------------------------------------------


def control(random: Random) -> tuple[str, Any, str]:
    """Return a control, a value for it, and the player who sends it."""
    name = random.choice((*CONTROLS, "nothing"))
    value: Any = random.choice((integer, number, text, text))(random)
    if isinstance(value, str) and random.random() < 0.5:
        value = ",".join(f"human{random.randrange(200)}={text(random)}" for _ in range(3))
    return name, value, random.choice(("", "human", "human2", "human9999"))


def check_control(value: tuple[str, Any, str], meter: Meter) -> None:
    """Check a control as the engine does: what it takes is taken again, and alike."""
    name, given, who = value
    spec = CONTROLS.get(name)
    settings = Settings()
    if spec is not None and isinstance(given, str) != (spec.kind.tag == "s"):
        return  # the dialects refuse it
    try:
        checked = meter.measure(validate_control, name, given, settings, who or None)
    except RefusedError as refused:
        assert refused.reason
        _check_reason(refused.about)
        return
    with suppress(RefusedError):
        assert validate_control(name, checked, settings, None) == checked
    if name != "model" and name not in UNRECORDED:  # a recording has it in another form
        check_recorded(name, checked)


# -- options -----------------------------------------------------------------------------------

_TABLES = ("midi", "midi.a", "midi.mpe", "midi.a.controls", "x", "osc-out")
_STYLE_KEYS = (
    "kind", "channel", "zone", "members", "bend", "low", "high", "key", "scale", "x", "y",
    "top", "fine", "gate", "velocity", "full-speed", "program", "bank", "controls", "like",
)  # fmt: skip


def _toml_value(random: Random, depth: int = 0) -> str:
    kind = random.randrange(9)
    if kind < 2:
        return str(integer(random))
    if kind == 2:
        value = number(random)
        return repr(value)
    if kind == 3:
        return random.choice(("true", "false", "1_000", "0x1F", "1979-05-27", "07:32:00", "''"))
    if kind == 4 and depth < 3:
        count = random.choice((0, 1, 2, 3, 65 if depth == 0 else 4))
        return "[" + ", ".join(_toml_value(random, depth + 1) for _ in range(count)) + "]"
    if kind == 5 and depth < 3:
        return "{" + f'a = {_toml_value(random, depth + 1)}, "b c" = 1' + "}"
    if kind == 6:
        return random.choice(('"' + PARSERS[random.choice((*PARSERS,))][1] + '"', "9" * 5000,
                              "[" * 2000, "1e999", "-nan"))  # fmt: skip
    return '"' + text(random).replace("\\", "").replace('"', "").replace("\n", "\\n") + '"'


def toml(random: Random) -> bytes:
    """Return a configuration file."""
    lines = []
    for _ in range(random.randrange(6)):
        if random.random() < 0.2:
            lines.append(f"[{random.choice(_TABLES)}]")
        key = random.choice((*BY_NAME, *_STYLE_KEYS, "modee", '"a b"', "midi.b.like"))
        lines.append(f"{key} = {_toml_value(random)}")
    whole = "\n".join(lines)
    if random.random() < 0.3:
        whole = mutate_text(random, whole, _LETTERS)
    data = whole.encode("utf-8", "surrogatepass")
    return random.choice((b"", b"", b"\xef\xbb\xbf", b"\xff")) + data


#: Keys of IMPSY's files, with values that they may have.
_IMPSY = {
    "interaction": {"mode": '"battle"', "threshold": "0.1", "input_thru": "true"},
    "model": {"dimension": "5", "file": '"a.tflite"', "sigmatemp": "0.01", "timescale": "1"},
    "midi": {
        "in_device": '["a", "b"]', "out_device": '["a"]', 'input."a"': '[["note_on", 1]]',
        'output."a"': '[["control_change", 1, 2, 3, 4], ["pitch_bend", 1]]', "input": "[[]]",
        "thru_matrix": "{}", "feedback_threshold": "1",
    },
    "osc": {"server_ip": '""', "server_port": "1", "client_ip": '"::"', "client_port": "2"},
    "websocket": {"server_ip": '"localhost"', "server_port": "1", "input": '[["note_on", 1]]'},
    "serial": {"port": '"COM3"', "baudrate": "9600"},
    "serialmidi": {"port": '"COM4"', "output": '[["note_velocity", 1], ["note_on", 1, 5]]'},
    "webui": {"monitor_port": "4001"},
}  # fmt: skip


def impsy(random: Random) -> bytes:
    """Return a configuration file of IMPSY, of which some is missing or wrong."""
    lines = ["verbose = true"] if random.random() < 0.5 else []
    for section, keys in _IMPSY.items():
        if section != "model" and random.random() < 0.5:
            continue
        lines.append(f"[{section}]")
        for key, value in keys.items():
            if random.random() < 0.9:
                wrong = random.random() < 0.07
                lines.append(f"{key} = {_toml_value(random) if wrong else value}")
    whole = "\n".join(lines)
    if random.random() < 0.2:
        whole = mutate_text(random, whole, _LETTERS)
    return whole.encode("utf-8", "surrogatepass")


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="robojam-fuzz-"))


def written(data: bytes, name: str) -> Path:
    """Return the path of a file of these bytes, which the next call replaces."""
    path = _folder() / name
    path.write_bytes(data)
    return path


def check_toml(data: bytes, meter: Meter) -> None:
    """Resolve options from a file: options that can be changed, or a reason on one line."""
    path = written(data, "a.toml")
    try:
        options = meter.measure(resolve, {}, str(path))
    except OptionsError as error:
        _check_reason(str(error), 3000)
        return
    assert isinstance(options, Options)
    options.settings()


#: Options that are no controls, which the setup may change.
_OPTIONS = tuple(name for name, row in BY_NAME.items() if row.control is None)


def option(random: Random) -> tuple[str, Any]:
    """Return an option's name, and a value as the setup sends it."""
    texts = [text(random) for _ in range(3)]
    scalar = random.choice((integer, number, text))(random)
    value: Any = random.choice((scalar, scalar, scalar, texts, None, True, [[1]]))
    return random.choice(_OPTIONS), value


def check_option(value: tuple[str, Any], meter: Meter) -> None:
    """Change an option, from the command line and from the setup."""
    name, given = value
    if name not in BY_NAME:
        return
    for resolving in (
        lambda: change(Options(), name, given),
        lambda: resolve({BY_NAME[name].field: given} if isinstance(given, str) else {}),
    ):
        try:
            meter.measure(resolving)
        except OptionsError as error:
            _check_reason(str(error), 3000)


def styles(random: Random) -> dict[str, Any]:
    keys = random.sample(_STYLE_KEYS, random.randrange(6))
    values = (integer, number, text, lambda r: r.choice((*PRESETS,)),
              lambda r: {text(r): text(r)}, lambda _: True)  # fmt: skip
    return {text(random): {key: random.choice(values)(random) for key in keys}}


def check_styles(tables: dict[str, Any], meter: Meter) -> None:
    """Read tables of MIDI styles."""
    try:
        meter.measure(parse_styles, tables)
    except ValueError as error:
        assert str(error)


TARGETS = (
    Target("text", parsed, check_text, work=30_000),
    Target("control", control, check_control),
    Target("toml", toml, check_toml, work=None),
    Target("impsy", impsy, check_toml, work=None),
    Target("option", option, check_option),
    Target("styles", styles, check_styles),
)
