"""Options of `robojam serve` and `robojam jam`, in one table.

The command line, the TOML file and the template that `robojam init` writes are made from
`OPTIONS`: the fields of `Options`, and the controls (robojam.controls) that can be set before
a jam starts. Only msgspec and the standard library are imported: `robojam --help` is to be
quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from robojam.controls import SETTINGS, ControlSpec, Kind, Settings
from robojam.wire.midi.styles import PRESETS, Style

_OUTPUT = "HOST:PORT[/DIALECT]"
_MIDI = "NAME[/STYLE]"
_PAD = "ADDRESS[=AXES]"


def _meta(text: str, metavar: str, allowed: str, default: str = "", **limits: Any) -> Meta:
    """Describe an option; default is the text for a default that the field cannot hold."""
    extra = {"metavar": metavar, "allowed": allowed, "default": default}
    return Meta(description=text, extra=extra, **limits)


def _number(low: float, high: float, metavar: str, text: str) -> Meta:
    return _meta(text, metavar, f"a number from {low} to {high}", ge=low, le=high)


def _integer(low: int, high: int, text: str, default: str = "") -> Meta:
    return _meta(text, "N", f"a whole number from {low} to {high}", default, ge=low, le=high)


def _path(metavar: str, text: str, default: str = "") -> Meta:
    """Describe a path. No file system accepts an empty one or a NUL."""
    limits = {"min_length": 1, "pattern": r"^[^\0]*\Z"}
    return _meta(text, metavar, f"the name of a {metavar.lower()}", default, **limits)


def _choice(metavar: str, text: str, names: Sequence[str]) -> Meta:
    return _meta(text, metavar, "one of " + ", ".join(names))


def _switch(text: str) -> Meta:
    return _meta(text, "", "true or false")


Device = Literal["auto", "cpu", "cuda", "mps"]
_Model = Annotated[
    str, _path("FILE", "the model that plays", "the one that comes with robojam")
]
_Device = Annotated[Device, _choice("DEVICE", "the device of the model", get_args(Device))]
_Voices = Annotated[int, _integer(1, 4096, "number of voices that play in the machine's turn")]
_Seed = Annotated[int, _integer(0, 2**63 - 1, "seed of the machine's random numbers", "drawn")]
_OscIn = Annotated[
    str, _meta("address to receive OSC at; port 0 is any free one", "HOST:PORT", "HOST:PORT")
]
_OscOut = Annotated[
    tuple[str, ...],
    _meta("address to send the machine's touches to", _OUTPUT, f"a list of {_OUTPUT}"),
]
_OscAhead = Annotated[
    float,
    _number(
        0,
        1000,
        "MS",
        "milliseconds by which touches are sent early, each in a bundle with the timetag of "
        "its instant, to native outputs that schedule; 0 sends them when they are due",
    ),
]
_MidiIn = Annotated[
    tuple[str, ...],
    _meta(
        "a MIDI port to receive from, by a part of its name",
        _MIDI,
        f"a list of {_MIDI}",
        "none",
    ),
]
_MidiOut = Annotated[
    tuple[str, ...],
    _meta(
        f"a MIDI port to send to, in the style {', '.join(PRESETS)} or one of the file's",
        _MIDI,
        f"a list of {_MIDI}",
        "none",
    ),
]
_Midi = Annotated[
    dict[str, Style],
    _meta("styles of MIDI of your own, [midi.NAME]", "", "tables as [midi.NAME]", "none"),
]
_TuioIn = Annotated[
    str,
    _meta(
        "address to receive TUIO at, or none; without a host, that of osc-in",
        "[HOST:]PORT",
        "[HOST:]PORT or none",
    ),
]
_TouchOSC = Annotated[
    tuple[str, ...],
    _meta(
        "a pad of TouchOSC to receive touches from, or learn: the next one touched",
        _PAD,
        f"a list of {_PAD} or learn",
        "none",
    ),
]
_Announce = Annotated[
    bool, _switch("announce it on the network, where osc-in listens beyond this machine")
]
_Sound = Annotated[bool, _switch("play the built-in sound, where there is an audio device")]
_SoundOut = Annotated[
    str, _meta("the audio device, or a part of its name", "NAME", "text", "the system's")
]
_Record = Annotated[bool, _switch("record each jam as a session")]
_Sessions = Annotated[str, _path("FOLDER", "the folder of the sessions")]
_Log = Annotated[str, _path("FILE", "a file that the log is also written to", "none")]
_Verbose = Annotated[bool, _switch("log more")]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Options that a jam starts with; made by `resolve`, which has checked every field.

    None stands for what only the engine can know: the model's file or a drawn seed. controls
    holds the values that were chosen for controls (robojam.controls), by name.
    """

    model: _Model | None = None
    device: _Device = "auto"
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
    record: _Record = True
    sessions: _Sessions = "sessions"
    log: _Log | None = None
    verbose: _Verbose = False
    controls: dict[str, float | int | str] = {}

    def settings(self, **defaults: float) -> Settings:
        """Return the controls' values that the jam starts with.

        defaults (temperature and spread, as the model recommends) give way to what was chosen.
        """
        chosen: dict[str, Any] = {**defaults, **self.controls}
        return Settings(**chosen)


class Option(NamedTuple):
    """One row of the table of options, in words for a person."""

    name: str  # after -- on the command line, and in TOML
    field: str  # in Options, or in its controls
    type: Any  # with its limits, and without None; of a control its ControlSpec
    kind: Any  # float, int, str, bool, tuple, dict; Literal for one of some words
    default: Any
    default_text: str
    about: str
    metavar: str
    allowed: str

    @property
    def control(self) -> ControlSpec | None:
        """The control that the option sets, if it is one."""
        return self.type if isinstance(self.type, ControlSpec) else None


def _default_text(value: Any) -> str:
    """Return a default as text for a person."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _field_row(info: msgspec.structs.FieldInfo) -> Option:
    """Return the row of a field of Options."""
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
        default_text=meta.extra["default"] or _default_text(info.default),
        about=meta.description,
        metavar=meta.extra["metavar"],
        allowed=meta.extra["allowed"],
    )


def _control_row(control: ControlSpec) -> Option:
    """Return the row of a control that can be set before the jam starts."""
    return Option(
        name=control.name,
        field=control.name,
        type=control,
        kind=float if control.kind is Kind.NUMBER else Literal if control.words else str,
        default=None if control.default_text else control.default,
        default_text=control.default_text or _default_text(control.default),
        about=control.about,
        metavar=control.metavar,
        allowed=control.allowed,
    )


def _table() -> tuple[Option, ...]:
    """Return all rows: the controls of the jam after device, those of the sound after its."""
    rows: list[Option] = []
    for info in msgspec.structs.fields(Options):
        if info.name == "controls":
            continue
        rows.append(_field_row(info))
        if info.name in ("device", "sound_out"):
            rows += [
                _control_row(control)
                for control in SETTINGS.values()
                if control.option and control.sound == (info.name == "sound_out")
            ]
    return tuple(rows)


#: All options, in the order in which help and the TOML template list them.
OPTIONS: Final = _table()
BY_NAME: Final = {option.name: option for option in OPTIONS}
BY_FIELD: Final = {option.field: option for option in OPTIONS}
