"""The options of `robojam serve` and `robojam jam`: one table for every way to say them.

The command line, the TOML file and the commented file that `robojam init` writes
are all made from `Options`: its names, types, ranges and descriptions. What may be
changed while playing is checked against the same numbers (`in_range`).
Only msgspec and the standard library are imported, for `robojam --help` waits for it.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, NoReturn, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

Mode = Literal["call-response", "duet", "solo", "listen"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
#: What IMPSY calls the same modes.
IMPSY_MODES: Final[dict[str, Mode]] = {
    "callresponse": "call-response",
    "polyphony": "duet",
    "battle": "solo",
    "useronly": "listen",
}
#: The dialects in which an output can speak, the default first.
DIALECTS: Final = ("native", "tuio", "touchosc", "microjam", "impsy", "interface")
#: What can be changed while playing, by /robojam/temperature and so on.
CONTROLS: Final = ("temperature", "spread", "timescale", "threshold", "response")

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_PAD_ADDRESS = re.compile(r"/[^\s#*,?\[\]{}=]{1,200}(?<!/)")
_BYTE = re.compile("0|[1-9][0-9]{0,2}")
_OUTPUT = "HOST:PORT[/DIALECT]"
_PAD = "ADDRESS[=AXES]"
#: In place of a pad: the next one that is touched.
LEARN: Final = "learn"
#: In place of an address: nowhere.
NONE: Final = "none"
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
    _about("where it plays to; again: more", _OUTPUT, f"a list of {_OUTPUT}"),
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
        "a pad of TouchOSC that is played, or learn: the next one touched; again: more",
        _PAD,
        f"a list of {_PAD} or learn",
        "none",
    ),
]
_Announce = Annotated[
    bool, _switch("be found on the network, where osc-in listens beyond this machine")
]
_Sound = Annotated[bool, _switch("a sound of its own; this version has none yet")]
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
    tuio_in: _TuioIn = "3333"
    touchosc: _TouchOSC = ()
    announce: _Announce = True
    sound: _Sound = False
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
_BY_NAME: Final = {option.name: option for option in OPTIONS}


class OptionsError(ValueError):
    """An option that cannot be: where it stands, what it is, what is allowed. One line."""


def in_range(name: str, value: float) -> bool:
    """Tell whether the option of that name may be value: NaN and infinities never may.

    Raises KeyError for an option that is no number.
    """
    option = _BY_NAME[name]
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
        raise ValueError(f"no mode is named {_quoted(name)}; allowed: {allowed}")
    return IMPSY_MODES[name]


def parse_address(
    text: str, *, default_host: str = "127.0.0.1", lowest_port: int = 0
) -> tuple[str, int]:
    """Read HOST:PORT, :PORT or PORT; the host is an IPv4 address or a name.

    Port 0 stands for any free one, where something listens; where something is sent
    to, lowest_port is 1. Raises ValueError, which tells what is wrong.
    """
    host, _, port = text.rpartition(":")
    host = host or default_host
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        raise ValueError(f"{_quoted(text)} is not HOST:PORT")
    if not lowest_port <= int(port) <= 65535:
        raise ValueError(f"port {port} of {_quoted(text)} is not {lowest_port} to 65535")
    if not _is_host(host):
        raise ValueError(f"{_quoted(host)} is neither an IPv4 address nor the name of a host")
    return host, int(port)


def _is_host(host: str) -> bool:
    labels = host.split(".")
    if labels[-1].isdecimal():  # no name ends in a number, so this wants to be an address
        return len(labels) == 4 and all(
            _BYTE.fullmatch(label) and int(label) < 256 for label in labels
        )
    return len(host) <= 253 and all(map(_HOST_LABEL.fullmatch, labels))


class Output(NamedTuple):
    """Where the machine's touches go, and in which dialect."""

    host: str
    port: int
    dialect: str


def parse_output(text: str) -> Output:
    """Read HOST:PORT[/DIALECT]. Raises ValueError, which tells what is wrong."""
    address, slash, dialect = text.partition("/")
    if slash and dialect not in DIALECTS:
        raise ValueError(
            f"no dialect is named {_quoted(dialect)}; allowed: {', '.join(DIALECTS)}"
        )
    return Output(*parse_address(address, lowest_port=1), dialect or DIALECTS[0])


class PadAt(NamedTuple):
    """A pad of TouchOSC: its address, and what its two numbers are."""

    address: str
    axes: tuple[str, str]


def parse_pad(text: str) -> PadAt:
    """Read ADDRESS[=AXES]. Raises ValueError, which tells what is wrong."""
    address, _, axes = text.partition("=")
    if not _PAD_ADDRESS.fullmatch(address):
        raise ValueError(
            f"{_quoted(text)} is neither the address of a pad, as /1/xy, nor learn"
        )
    first, _, second = (axes or "x,-y").partition(",")
    if {first.removeprefix("-"), second.removeprefix("-")} != {"x", "y"}:
        raise ValueError(f"{_quoted(axes)} are no axes: x,-y (across, then up), y,x and so on")
    return PadAt(address, (first, second))


def parse_tuio(text: str, *, default_host: str) -> tuple[str, int] | None:
    """Read [HOST:]PORT, or none. Raises ValueError, which tells what is wrong."""
    return None if text == NONE else parse_address(text, default_host=default_host)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add every option of the table to the parser, and --config.

    None of them has a default there: what is absent from the namespace was not given,
    so that `resolve` knows what wins over the file.
    """
    for option in OPTIONS:
        about = f"{option.about} (default: {option.default_text})"
        more: dict[str, Any] = {"action": "store", "metavar": option.metavar}
        if option.kind is bool:
            more = {"action": argparse.BooleanOptionalAction}
        elif option.kind is tuple:
            more["action"] = "append"
        if option.kind in (int, float) or option.kind is Literal:
            about = f"{option.about}: {option.allowed} (default: {option.default_text})"
        parser.add_argument(
            f"--{option.name}", dest=option.field, default=argparse.SUPPRESS, help=about, **more
        )
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        help="a file of these options by the same names; the command line wins over it",
    )


def resolve(namespace: argparse.Namespace) -> Options:
    """Make the options of a parsed command line and the TOML file it names.

    The command line wins over the file, and the file over the table. Raises
    OptionsError, which names the file and line, or the command line.
    """
    config = getattr(namespace, "config", None)
    chosen = {} if config is None else _from_toml(config)
    for option in OPTIONS:
        if hasattr(namespace, option.field):
            given = _number_of(option, getattr(namespace, option.field))
            chosen[option.field] = _checked(option, given, "the command line")
    return Options(**chosen)


def _from_toml(path: str) -> dict[str, Any]:
    """Read and check the options in a TOML file, by their fields in Options."""
    import tomllib

    try:
        text = Path(path).read_text("utf-8-sig")  # Notepad begins a file with a mark
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise OptionsError(f"{path}: not UTF-8 text, from byte {error.start} on") from error
    except OSError as error:
        raise OptionsError(f"{path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise OptionsError(f"{path}: not TOML: nested too deeply") from error
    except ValueError as error:  # not only TOMLDecodeError: a number of 5000 digits
        raise OptionsError(f"{path}: not TOML: {error}") from error
    chosen: dict[str, Any] = {}
    for name, value in table.items():
        where = f"{path}, line {_line_of(name, text)}"
        option = _BY_NAME.get(name)
        if option is None:
            hint = _nearest(name.lower().replace("_", "-"), _BY_NAME)
            hint = hint or f"; allowed: {', '.join(_BY_NAME)}"
            raise OptionsError(f"{where}: no option is named {_quoted(name)}{hint}")
        chosen[option.field] = _checked(option, value, where)
    return chosen


def _line_of(name: str, text: str) -> int:
    """Find the line, counted from 1, where a key of the top table or its own table stands."""
    pattern = rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*[=.\]]"
    found = re.search(pattern, text, re.MULTILINE)
    return 1 + text.count("\n", 0, found.start() if found else 0)


def _nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the one that was meant, or nothing."""
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _number_of(option: Option, given: Any) -> Any:
    """Read a number from its text on the command line. What is none is left for _checked."""
    if option.kind not in (int, float):
        return given
    try:
        return option.kind(given)
    except ValueError:
        return given


def _checked(option: Option, value: Any, where: str) -> Any:
    """Return value as Options holds it, by the one set of rules; else OptionsError."""
    try:
        if option.field == "mode" and isinstance(value, str):
            value = mode_named(value)
        kept = msgspec.convert(value, option.type)
        if option.kind is float and not in_range(option.name, kept):
            raise msgspec.ValidationError  # NaN, which no limit of msgspec's refuses
        if option.field == "osc_in":
            parse_address(kept)
        elif option.field == "osc_out":
            for output in kept:
                parse_output(output)
        elif option.field == "tuio_in":
            parse_tuio(kept, default_host="127.0.0.1")
        elif option.field == "touchosc":
            for pad in kept:
                if pad != LEARN:
                    parse_pad(pad)
    except msgspec.MsgspecError as error:
        told = f"{option.name} = {_quoted(value)}; allowed: {option.allowed}"
        raise OptionsError(f"{where}: {told}") from error
    except ValueError as error:
        raise OptionsError(f"{where}: {option.name}: {error}") from error
    return kept


def _quoted(value: Any) -> str:
    """Show a value in one line, and a long one in part."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


class Parser(argparse.ArgumentParser):
    """An argparse parser that says what is wrong in one line, and leaves with status 2."""

    def __init__(self, *args: Any, **more: Any) -> None:
        # An abbreviation would be ambiguous as soon as another option comes.
        super().__init__(*args, **{"allow_abbrev": False, **more})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a whole command line; what is left over is told by the command it is of."""
        parsed, left = self.parse_known_args(args, namespace)
        if left:
            told: argparse.ArgumentParser = self
            for action in self._actions:
                if isinstance(action, argparse._SubParsersAction):
                    told = action.choices.get(getattr(parsed, str(action.dest), ""), self)
            hint = _nearest(left[0].partition("=")[0], told._option_string_actions)
            told.error(f"unrecognized arguments: {' '.join(left)}{hint}")
        return parsed

    def error(self, message: str) -> NoReturn:
        """Print the line, with where to read more, and exit with status 2."""
        self.exit(2, f"robojam: {' '.join(message.split())} ({self.prog} --help)\n")
