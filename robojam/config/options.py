"""The options of `robojam serve` and `robojam jam`: one table for every way to say them.

The command line, the TOML file and the commented file that `robojam init` writes
are all made from `Options`: its names, types, ranges and descriptions. What may be
changed while playing is checked against the same numbers (`in_range`).
Only msgspec and the standard library are imported, for `robojam --help` waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from robojam import music
from robojam.config.addresses import quoted
from robojam.wire.midi.styles import PRESETS, Style

Mode = Literal["call-response", "duet", "solo", "listen"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
#: What IMPSY calls the same modes.
IMPSY_MODES: Final[dict[str, Mode]] = {
    "callresponse": "call-response",
    "polyphony": "duet",
    "battle": "solo",
    "useronly": "listen",
}
#: What can be changed while playing, by /robojam/temperature and so on.
CONTROLS: Final = ("temperature", "spread", "timescale", "threshold", "response", "volume")

_OUTPUT = "HOST:PORT[/DIALECT]"
_MIDI = "NAME[/STYLE]"
_PAD = "ADDRESS[=AXES]"
_BY_THE_MODEL = "as the model's file recommends"


def _about(text: str, metavar: str, allowed: str, default: str = "", **limits: Any) -> Meta:
    """Describe an option. A default that the table cannot hold is told in words."""
    extra = {"metavar": metavar, "allowed": allowed, "default": default}
    return Meta(description=text, extra=extra, **limits)


def _number(low: float, high: float, metavar: str, text: str, default: str = "") -> Meta:
    return _about(text, metavar, f"a number from {low} to {high}", default, ge=low, le=high)


def _whole(low: int, high: int, text: str, default: str = "") -> Meta:
    return _about(text, "N", f"a whole number from {low} to {high}", default, ge=low, le=high)


def _path(metavar: str, text: str, default: str = "") -> Meta:
    """Describe a path. No file system takes one that is empty or holds a NUL."""
    limits = {"min_length": 1, "pattern": r"^[^\0]*\Z"}
    return _about(text, metavar, f"the name of a {metavar.lower()}", default, **limits)


def _word(metavar: str, text: str, names: Sequence[str]) -> Meta:
    return _about(text, metavar, "one of " + ", ".join(names))


def _switch(text: str) -> Meta:
    return _about(text, "", "true or false")


Device = Literal["auto", "cpu", "cuda", "mps"]
_Model = Annotated[str, _path("FILE", "the model that plays", "the one that comes along")]
_Device = Annotated[Device, _word("DEVICE", "where the model computes", get_args(Device))]
_Mode = Annotated[Mode, _word("MODE", "who plays when", MODES)]
_Threshold = Annotated[
    float, _number(0.02, 60, "SECONDS", "silence after which the machine answers, in seconds")
]
_Response = Annotated[
    float, _number(0, 3600, "SECONDS", "its longest answer, in seconds; 0 is without end")
]
_Temperature = Annotated[
    float, _number(0, 10, "T", "how adventurous its choices are", _BY_THE_MODEL)
]
_Spread = Annotated[float, _number(0, 10, "S", "how far it strays from them", _BY_THE_MODEL)]
_Timescale = Annotated[float, _number(0.001, 100, "FACTOR", "how its time is stretched")]
_Voices = Annotated[int, _whole(1, 4096, "how many play in the machine's turn")]
_Seed = Annotated[int, _whole(0, 2**63 - 1, "where its random numbers start", "drawn")]
_OscIn = Annotated[
    str, _about("where it listens; port 0 is any free one", "HOST:PORT", "HOST:PORT")
]
_OscOut = Annotated[
    tuple[str, ...],
    _about("where it plays to", _OUTPUT, f"a list of {_OUTPUT}"),
]
_OscAhead = Annotated[
    float,
    _number(
        0,
        1000,
        "MS",
        "milliseconds by which touches go out early, each in a bundle stamped with the "
        "instant it is due, to native outputs that schedule; 0 is when they are due",
    ),
]
_MidiIn = Annotated[
    tuple[str, ...],
    _about(
        "a MIDI port that plays, by a part of its name", _MIDI, f"a list of {_MIDI}", "none"
    ),
]
_MidiOut = Annotated[
    tuple[str, ...],
    _about(
        f"a MIDI port it plays to, in the style {', '.join(PRESETS)} or one of the file's",
        _MIDI,
        f"a list of {_MIDI}",
        "none",
    ),
]
_Midi = Annotated[
    dict[str, Style],
    _about("styles of MIDI of your own, [midi.NAME]", "", "tables as [midi.NAME]", "none"),
]
_TuioIn = Annotated[
    str,
    _about(
        "where it listens for TUIO, or none; without a host: where osc-in is",
        "[HOST:]PORT",
        "[HOST:]PORT or none",
    ),
]
_TouchOSC = Annotated[
    tuple[str, ...],
    _about(
        "a pad of TouchOSC that is played, or learn: the next one touched",
        _PAD,
        f"a list of {_PAD} or learn",
        "none",
    ),
]
_Announce = Annotated[
    bool, _switch("be found on the network, where osc-in listens beyond this machine")
]
_Sound = Annotated[bool, _switch("a sound of its own, where there is an audio device")]
_Instrument = Annotated[
    str,
    _about(
        f"who plays which of {', '.join(music.INSTRUMENTS)}",
        "WHO=INSTRUMENT,…",
        f"WHO=INSTRUMENT,… of {', '.join(music.INSTRUMENTS)}",
    ),
]
_Scale = Annotated[
    str,
    _about(
        f"the scale on A that its pitches are held to: {', '.join(music.SCALES)}",
        "SCALE",
        f"one of {', '.join(music.SCALES)}",
    ),
]
_Volume = Annotated[float, _number(0, 1, "VOLUME", "how loud its sound is")]
_SoundOut = Annotated[
    str, _about("the audio device, or a part of its name", "NAME", "text", "the system's")
]
_Record = Annotated[bool, _switch("keep each jam as a session")]
_Sessions = Annotated[str, _path("FOLDER", "where the sessions are kept")]
_Log = Annotated[str, _path("FILE", "a file that the log goes to as well", "none")]
_Verbose = Annotated[bool, _switch("say more about what happens")]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a jam is started with; made by `resolve`, which has checked every field.

    None stands for what only the engine can know: the model's file or a drawn seed.
    """

    model: _Model | None = None
    device: _Device = "auto"
    mode: _Mode = "call-response"
    threshold: _Threshold = 0.5
    response: _Response = 5.0
    temperature: _Temperature | None = None
    spread: _Spread | None = None
    timescale: _Timescale = 1.0
    voices: _Voices = 1
    seed: _Seed | None = None
    osc_in: _OscIn = "127.0.0.1:5005"
    osc_out: _OscOut = ("127.0.0.1:5006",)
    osc_ahead: _OscAhead = 0.0
    midi_in: _MidiIn = ()
    midi_out: _MidiOut = ()
    midi: _Midi = {}
    tuio_in: _TuioIn = "3333"
    touchosc: _TouchOSC = ()
    announce: _Announce = True
    sound: _Sound = True
    sound_out: _SoundOut | None = None
    instrument: _Instrument = music.DEFAULT_INSTRUMENTS
    scale: _Scale = "free"
    volume: _Volume = 0.7
    record: _Record = True
    sessions: _Sessions = "sessions"
    log: _Log | None = None
    verbose: _Verbose = False


class Option(NamedTuple):
    """One row of the table, as it is told to a person."""

    name: str  # after -- on the command line, and in TOML
    field: str  # in Options
    type: Any  # with its limits, and without None
    kind: Any  # float, int, str, bool, tuple; Literal for one of some words
    default: Any
    default_text: str
    about: str
    metavar: str
    allowed: str
    low: float
    high: float


def _said(value: Any) -> str:
    """Say a default as a person would."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(info: msgspec.structs.FieldInfo) -> Option:
    """Read one row from a field of Options."""
    kind = info.type
    if NoneType in get_args(kind):
        kind = next(part for part in get_args(kind) if part is not NoneType)
    base, meta = get_args(kind)
    return Option(
        name=info.encode_name,
        field=info.name,
        type=kind,
        kind=get_origin(base) or base,
        default=info.default,
        default_text=meta.extra["default"] or _said(info.default),
        about=meta.description,
        metavar=meta.extra["metavar"],
        allowed=meta.extra["allowed"],
        low=-math.inf if meta.ge is None else meta.ge,
        high=math.inf if meta.le is None else meta.le,
    )


#: The table, in the order in which it is told.
OPTIONS: Final = tuple(map(_row, msgspec.structs.fields(Options)))
BY_NAME: Final = {option.name: option for option in OPTIONS}
BY_FIELD: Final = {option.field: option for option in OPTIONS}


def in_range(name: str, value: float) -> bool:
    """Tell whether the option of that name may be value: NaN and infinities never may.

    Raises KeyError for an option that is no number.
    """
    option = BY_NAME[name]
    if option.kind not in (int, float):
        raise KeyError(name)
    return option.low <= value <= option.high


def mode_named(name: str) -> Mode:
    """Return the mode of that name, be it ours or IMPSY's.

    Raises ValueError, which names those allowed.
    """
    for mode in MODES:
        if name == mode:
            return mode
    if name not in IMPSY_MODES:
        allowed = f"{', '.join(MODES)} (or IMPSY's {', '.join(IMPSY_MODES)})"
        raise ValueError(f"no mode is named {quoted(name)}; allowed: {allowed}")
    return IMPSY_MODES[name]
