"""Options of `robojam serve` and `robojam jam`, in one table.

The command line, the TOML file and the template that `robojam init` writes are made from
`OPTIONS`: the fields of `Options`, and the controls (robojam.controls) that can be set before
a jam starts. Only msgspec and the standard library are imported: `robojam --help` is to be
quick.
"""

from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from robojam.config.map_table import Map
from robojam.config.roles import RoleRules
from robojam.controls import MAX_SEED, SETTINGS, ControlSpec, Kind, Settings
from robojam.touch import MAX_KNOBS
from robojam.wire.midi.styles import PRESETS, Style

#: Most serial ports of each kind.
MAX_SERIAL: Final = 8


def _meta(text: str, metavar: str, allowed: str, default: str = "", **limits: Any) -> Meta:
    """Describe an option; default is the text for a default that the field cannot hold."""
    row = {"default_text": default, "about": text, "metavar": metavar, "allowed": allowed}
    return Meta(extra=row, **limits)


def _integer(low: int, high: int, text: str, default: str = "") -> Meta:
    return _meta(text, "N", f"a whole number from {low} to {high}", default, ge=low, le=high)


def _path(metavar: str, text: str, default: str = "") -> Meta:
    """Describe a path. No file system accepts an empty one or a NUL."""
    limits = {"min_length": 1, "pattern": r"^[^\0]*\Z"}
    kind = metavar.partition("[")[0].lower()
    return _meta(text, metavar, f"the name of a {kind}", default, **limits)


def _list(item: str, text: str, more: str = "", **limits: Any) -> Meta:
    return _meta(text, item, f"a list of {item}{more}", **limits)


def _switch(text: str) -> Meta:
    return _meta(text, "", "true or false")


Device = Literal["auto", "cpu", "cuda", "mps"]
_DEVICES = f"one of {', '.join(get_args(Device))}"


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Options that a jam starts with; made by `resolve`, which has checked every field.

    None stands for what only the engine can know: the model's file or a drawn seed. controls
    holds the values that were chosen for controls (robojam.controls), by name, and role_rules
    what is in the file of roles, once it has been read.
    """

    # A table, one to four lines a row.
    # fmt: off
    model: Annotated[str, _path(
        "FILE", "the model that plays", "the one that comes with robojam")] | None = None
    device: Annotated[Device, _meta("the device of the model", "DEVICE", _DEVICES)] = "auto"
    voices: Annotated[int, _integer(
        1, 4096, "number of voices that play in the machine's turn")] = 1
    knobs: Annotated[int, _integer(
        0, MAX_KNOBS, "number of knobs of the instrument, in place of a touch surface; 0 is "
        "touches")] = 0
    seed: Annotated[int, _integer(
        0, MAX_SEED, "seed of the machine's random numbers", "drawn")] | None = None
    osc_in: Annotated[str, _meta(
        "address to receive OSC at, [ADDRESS]:PORT for IPv6; port 0 is any free one",
        "HOST:PORT", "HOST:PORT")] = "127.0.0.1:5005"
    osc_out: Annotated[tuple[str, ...], _list(
        "HOST:PORT[/DIALECT]",
        "address to send the machine's touches to; with ?latency=MS at the end what is heard "
        "there comes so much later, and the other outputs wait for it; with ?thru what humans "
        "play is sent there, too")] = ("127.0.0.1:5006",)
    osc_ahead: Annotated[float, _meta(
        "milliseconds by which touches are sent early, each in a bundle with the timetag "
        "of its instant, to native outputs that schedule; 0 sends them when they are due",
        "MS", "a number from 0 to 1000", ge=0, le=1000)] = 0.0
    midi_in: Annotated[tuple[str, ...], _list(
        "NAME[/STYLE]", "a MIDI port to receive from, by a part of its name")] = ()
    midi_out: Annotated[tuple[str, ...], _list(
        "NAME[/STYLE]", "a MIDI port to send to, in the style "
        f"{', '.join(PRESETS)} or one of the file's; ?latency=MS as for osc-out")] = ()
    midi: Annotated[dict[str, Style], _meta(
        "styles of MIDI of your own, [midi.NAME]", "", "tables as [midi.NAME]", "none")] = {}
    map: Annotated[Map, _meta(
        "knobs: made from touches, [map.out], and that come in, [map.in]; scenes of them", "",
        "tables as [map.out], [map.in] and [map.scene.NAME]", "none")] = Map()
    serial: Annotated[tuple[str, ...], _list(
        "PORT[@BAUD]", "a serial port to exchange lines of values with, one for each knob of "
        "the instrument; of 115200 baud without @BAUD; ?thru as for osc-out",
        f", up to {MAX_SERIAL}", max_length=MAX_SERIAL)] = ()
    serial_midi: Annotated[tuple[str, ...], _list(
        "PORT[@BAUD]", "a serial port to exchange MIDI of mapped knobs with; of 31250 baud "
        "without @BAUD", f", up to {MAX_SERIAL}", max_length=MAX_SERIAL)] = ()
    midi_websocket: Annotated[str, _meta(
        "serve a WebSocket for MIDI of mapped knobs at this port, or none; without a host, for "
        "this machine alone", "[HOST:]PORT", "[HOST:]PORT or none")] = "none"
    allow_origin: Annotated[tuple[str, ...], _list(
        "ORIGIN", "an origin of web pages elsewhere that may use this WebSocket, as "
        "https://example.org, null for pages of files, or * for all", ", up to 16",
        max_length=16)] = ()
    tuio_in: Annotated[str, _meta(
        "address to receive TUIO at, or none; without a host, that of osc-in",
        "[HOST:]PORT", "[HOST:]PORT or none")] = "3333"
    touchosc: Annotated[tuple[str, ...], _list(
        "ADDRESS[=AXES][:LOW..HIGH]", "a pad of TouchOSC to receive touches from, or learn: "
        "the next one touched", " or learn")] = ()
    web: Annotated[str, _meta(
        "serve a pad for browsers at this port, or none; without a host, at all addresses of "
        "this machine; alone: 8080", "[HOST:]PORT", "[HOST:]PORT or none")] = "none"
    web_cert: Annotated[str, _path(
        "FILE[:KEY]", "a certificate in PEM for these pads, with its key in the same file or "
        "in another: they are served by https", "none: by http")] | None = None
    web_control: Annotated[bool, _switch(
        "let the pads in browsers control the jam")] = False
    control: Annotated[tuple[str, ...], _list(
        "HOST[/MASK]", "a host or a network beyond this machine that may control the jam; "
        "others may only play")] = ()
    roles: Annotated[str, _path(
        "FILE", "a file that says who is host, player or watcher", "none")] | None = None
    announce: Annotated[bool, _switch(
        "announce it on the network, where osc-in listens beyond this machine")] = True
    sound: Annotated[bool, _switch(
        "play the built-in sound, where there is an audio device")] = True
    sound_out: Annotated[str, _meta(
        "the audio device, or a part of its name",
        "NAME", "text", "the system's")] | None = None
    sound_latency: Annotated[float, _meta(
        "milliseconds from when the built-in sound is sent a touch until it is heard; the "
        "other outputs wait for it", "MS", "a number from 0 to 500", ge=0, le=500)] = 0.0
    window_latency: Annotated[float, _meta(
        "milliseconds from when a window is sent a touch until it is seen; the other outputs "
        "wait for it", "MS", "a number from 0 to 500", ge=0, le=500)] = 0.0
    record: Annotated[bool, _switch("record each jam as a session")] = True
    show: Annotated[bool, _switch(
        "a show: this machine is checked first, controls are locked, nothing is announced, "
        "and hosts are told how the jam is")] = False
    show_allow: Annotated[tuple[str, ...], _list(
        "CONTROL", "a control that is not locked in a show; panic never is", " or all"
        )] = ("pause",)
    show_anyway: Annotated[bool, _switch(
        "begin the show although a check has found what stops it")] = False
    sessions: Annotated[str, _path("FOLDER", "the folder of the sessions")] = "sessions"
    log: Annotated[str, _path(
        "FILE", "a file that the log is also written to", "none")] | None = None
    verbose: Annotated[bool, _switch("log everything, each time")] = False
    # fmt: on
    controls: dict[str, float | int | str] = {}
    role_rules: RoleRules | None = None

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
    kind: Any  # float, int, str, bool, tuple, dict, Map; Literal for one of some words
    default: Any
    default_text: str
    about: str
    metavar: str
    allowed: str

    @property
    def is_table(self) -> bool:
        """Whether it is a table, which stands in the TOML file alone."""
        return self.kind in (dict, Map)

    @property
    def control(self) -> ControlSpec | None:
        """The control that the option sets, if it is one."""
        return self.type if isinstance(self.type, ControlSpec) else None


def _default_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _field_row(info: msgspec.structs.FieldInfo) -> Option:
    kind = info.type
    if NoneType in get_args(kind):
        kind = next(part for part in get_args(kind) if part is not NoneType)
    base, meta = get_args(kind)
    row = {"default": info.default, **meta.extra}
    row["default_text"] = row["default_text"] or _default_text(info.default)
    return Option(info.encode_name, info.name, kind, get_origin(base) or base, **row)


def _control_row(control: ControlSpec) -> Option:
    kinds = {Kind.NUMBER: float, Kind.COUNT: int}
    return Option(
        name=control.name.replace("_", "-"),
        field=control.name,
        type=control,
        kind=kinds.get(control.kind, Literal if control.words else str),
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
        if info.name in ("controls", "role_rules"):
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
