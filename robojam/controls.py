"""The table of controls: everything that can be changed while a jam plays. Pure.

Each control stands here once, with its kind, range, default, and how it appears elsewhere.
Options, TOML keys, OSC messages in and out, MIDI bindings, the window's dials, the
supervisor, replay and status are all made from the table. A control with a value is a field
of `Settings`: to add a float control is to add a field here, and the place where it acts.
Controls without a value (`answer`, `panic` …) stand in `_ACTIONS`.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Enum
from typing import Any, Final

from robojam import music
from robojam.beats import GRIDS, QUANTA, parse_text
from robojam.touch import MAX_BACK, MEMORIES, is_machine, is_player

Value = float | int | str

#: The modes of a jam. `robojam.jam.modes` has what each does.
MODES: Final = ("call-response", "duet", "solo", "listen", "ensemble")
#: IMPSY's names for them.
IMPSY_MODES: Final = {
    "callresponse": "call-response",
    "polyphony": "duet",
    "battle": "solo",
    "useronly": "listen",
}
#: Function that returns the bytes of a number in 32 bits, as OSC sends it, and the
#: significant digits of a decimal that they hold faithfully.
_single, _DIGITS = struct.Struct(">f").pack, 6
MAX_SEED: Final = 2**63 - 1
#: Default of `follow`: answers belong to their calls as much as people's do.
FOLLOW: Final = 0.5
#: Default of `memory`: a shape that was played three times comes back in most answers.
MEMORY: Final = 0.4


class RefusedError(ValueError):
    """An input that is dropped: the reason that is counted, and details for a person."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.reason, self.about = reason, about


class Kind(Enum):
    """Type of a control's value."""

    NUMBER = "number"  # a float within low and high
    SWITCH = "switch"  # 0 or 1
    COUNT = "count"  # a small whole number within low and high
    INTEGER = "integer"  # a whole number from 0 to high, in 64 bits
    TEXT = "text"
    TRIGGER = "trigger"  # no value

    @property
    def tag(self) -> str:
        """The OSC type tag with which a value is sent, or "" for none."""
        return _TAGS[self]


_TAGS: Final = {
    Kind.NUMBER: "f", Kind.SWITCH: "i", Kind.COUNT: "i", Kind.INTEGER: "h", Kind.TEXT: "s",
    Kind.TRIGGER: "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dial:
    """Form of a number as a dial of the window.

    It is named as the control; short is that name abbreviated, for little room. low and high
    are the values at its ends; step is what a key adds, or multiplies by on a logarithmic
    dial; unit is appended to the value. digits are those that a finger can set. On an endless
    dial 0 means no limit, and lies beyond high. zero is the text of 0, if it has one.
    """

    short: str
    low: float
    high: float
    step: float
    unit: str = ""
    _: KW_ONLY
    digits: int = 2
    zero: str = ""
    log: bool = False
    endless: bool = False


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """One row of the table.

    low and high bound a number; parse returns the canonical form of a text, given the text
    and the value in force, or raises ValueError with what is allowed. option: the control can
    be set before the jam starts, too. sound: it concerns the sound alone, so the machine plays
    on as if nothing had changed; timing: it concerns when touches sound, and not which, so
    nothing is drawn again. replay: a replay takes it. per_player: a player may have a value of
    its own; own_by_default: a value without a player's name that a host sends is its own, too,
    instead of everyone's. midi_range: from where to where a MIDI controller turns it;
    midi_words: what may follow its name in a MIDI binding ("" is nothing); midi_text: any text.
    before: the value in recordings that are older than the control (None: the default).
    """

    name: str
    kind: Kind
    _: KW_ONLY
    about: str = ""
    default: Value | None = None
    default_text: str = ""
    metavar: str = ""
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()
    allowed: str = ""
    parse: Callable[[str, str], str] | None = None
    option: bool = True
    sound: bool = False
    timing: bool = False
    replay: bool = False
    per_player: bool = False
    own_by_default: bool = False
    midi_range: tuple[float, float] | None = None
    midi_words: tuple[str, ...] = ()
    midi_text: bool = False
    dial: Dial | None = None
    before: Value | None = None

    def check(self, value: Any, current: Any = None) -> Any:
        """Return a value in its canonical form.

        current is the value in force, which a text may amend. Raises ValueError, which names
        the value and what is allowed.
        """
        if self.kind is Kind.TRIGGER:
            return 1
        if self.kind is Kind.TEXT and isinstance(value, str):
            before = current if isinstance(current, str) else str(self.default or "")
            try:
                return self.parse(value, before) if self.parse else value
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from error
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind is Kind.TEXT or not number or not self.has(value):
            allowed = self.allowed or "text"
            raise ValueError(f"{self.name} = {value!r:.60}; allowed: {allowed}")
        return float(value) if self.kind is Kind.NUMBER else int(value)

    def own_name(self, who: str) -> str:
        """Return the name by which a value names one player alone."""
        return music.alone(who) if self.own_by_default else who

    def has(self, value: float) -> bool:
        """Return whether a number is within the range. NaN and infinities never are."""
        if not self.low <= value <= self.high or not math.isfinite(value):
            return False  # in this order: a whole number may be too large for a float
        return self.kind is Kind.NUMBER or bool(value == value // 1)


def _control(kind: Kind, about: str, default: Value, **row: Any) -> Any:
    """Declare a control as a field of Settings."""
    row |= {"kind": kind, "about": about, "default": default}
    return field(default=default, metadata=row)


def _number(about: str, default: float, low: float, high: float, **row: Any) -> Any:
    row["allowed"] = f"a number from {low:g} to {high:g}"
    return _control(Kind.NUMBER, about, default, low=low, high=high, **row)


def _count(about: str, default: int, low: int, high: int, **row: Any) -> Any:
    row["allowed"] = f"a whole number from {low} to {high}"
    return _control(Kind.COUNT, about, default, low=low, high=high, **row)


def _words(about: str, words: tuple[str, ...], **row: Any) -> Any:
    """Declare a control that is one of some words, the first by default."""

    def parse(text: str, _current: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"{text!r:.60} is none; allowed: {', '.join(words)}")
        return word

    allowed = f"one of {', '.join(words)}"
    return _control(
        Kind.TEXT, about, words[0], parse=parse, words=words, allowed=allowed,
        midi_words=words, **row,
    )  # fmt: skip


def _text(about: str, default: str, parse: Callable[[str, str], str], **row: Any) -> Any:
    return _control(Kind.TEXT, about, default, parse=parse, **row)


def parse_mode(name: str, _current: str = "") -> str:
    """Return the mode of that name, robojam's or IMPSY's. Raises ValueError."""
    mode = name.strip().lower()
    mode = IMPSY_MODES.get(mode, mode)
    if mode not in MODES:
        impsy = ", ".join(IMPSY_MODES)
        raise ValueError(
            f"no mode is named {name!r:.60}; allowed: {', '.join(MODES)} (or IMPSY's {impsy})"
        )
    return mode


#: Clocks that need no port, and the one that may have one after it: midi:PORT.
_CLOCKS: Final = ("off", "internal", "link", "midi", "jack")
_CLOCK_FORM: Final = "off, internal, link, midi, midi:PORT or jack"
#: Letters of the name of a port, at most.
_MAX_PORT: Final = 200


def parse_clock(text: str, _current: str = "") -> str:
    """Return the canonical form of a clock, as in midi:PORT. Raises ValueError."""
    source, colon, port = text.strip().partition(":")
    source, port = source.strip().lower(), port.strip()
    if source not in _CLOCKS or (colon and (source != "midi" or not port)):
        raise ValueError(f"{text!r:.60} is no clock; allowed: {_CLOCK_FORM}")
    return f"{source}:{_parse_port(port)}" if port else source


def _parse_port(text: str, _current: str = "") -> str:
    port = text.strip()
    if len(port) > _MAX_PORT or not port.isprintable():
        raise ValueError(f"{text!r:.60} is no port; allowed: a part of a port's name, or none")
    return "" if port.lower() == "none" else port


#: Most knobs that have an amount, as many as there are, and letters of a name of one.
_MAX_AMOUNTS, _MAX_KNOB_NAME = 64, 40
_AMOUNTS: Final = "KNOB=AMOUNT,… with amounts from 0 to 1, or none"


def amounts_of(text: str) -> dict[str, float]:
    """Return the amounts of knobs in KNOB=AMOUNT,… by their names, which have no =.

    Raises ValueError.
    """
    if not text:
        return {}
    name, *rest = text.split("=")
    amounts: dict[str, float] = {}
    for part in rest:
        number, _, following = part.partition(",")
        try:
            amounts[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"{number!r:.60} is no amount; allowed: {_AMOUNTS}") from None
        name = following
    if name.strip():
        raise ValueError(f"{text!r:.60} has no amount; allowed: {_AMOUNTS}")
    return amounts


def parse_amounts(text: str, current: str) -> str:
    """Return the amounts in force with those of a text; "none" is 1 for all of them.

    Raises ValueError.
    """
    if text.strip().lower() in ("", "none"):
        return ""
    amounts = amounts_of(current) | amounts_of(text)
    for name, amount in amounts.items():
        if not 0 <= amount <= 1:
            raise ValueError(f"{amount:g} of {name!r:.60}; allowed: {_AMOUNTS}")
        if not name or not name.isprintable() or len(name) > _MAX_KNOB_NAME:
            raise ValueError(f"{name!r:.60} is no name of a knob; allowed: {_AMOUNTS}")
    changed = [f"{name}={amount:g}" for name, amount in amounts.items() if amount != 1]
    if len(changed) > _MAX_AMOUNTS:
        raise ValueError(f"amounts of {len(changed)} knobs; allowed: {_MAX_AMOUNTS}")
    return ",".join(changed)


_INSTRUMENTS = ", ".join(music.INSTRUMENTS)
_FROM_MODEL = "as the model's file recommends"
_SWITCH: Final[dict[str, Any]] = {"low": 0, "high": 1, "allowed": "0 or 1"}


# A table, a few lines a row.
# fmt: off


@dataclass(slots=True)
class Settings:
    """Values in force of all controls that have one."""

    mode: str = _text(
        "the mode of the jam", "call-response", parse_mode,
        metavar="MODE", words=MODES, allowed=f"one of {', '.join(MODES)}",
        midi_words=("", *MODES))
    temperature: float = _number(
        "randomness of the machine's choices; 0 is always the likeliest", 1.0, 0, 10,
        metavar="T", default_text=_FROM_MODEL, midi_range=(0.0, 2.0),
        dial=Dial("temp.", 0, 2, 0.1))
    spread: float = _number(
        "spread of the machine's touches around its choices; 0 is none", 1.0, 0, 10,
        metavar="S", default_text=_FROM_MODEL, midi_range=(0.0, 2.0),
        dial=Dial("spread", 0, 2, 0.1))
    timescale: float = _number(
        "factor by which the machine's time is stretched; 2 is half as fast", 1.0, 0.001, 100,
        metavar="FACTOR", midi_range=(0.25, 4.0),
        dial=Dial("time.", 0.25, 4, 1.1, "×", log=True))
    threshold: float = _number(
        "silence after which the machine answers, in seconds", 0.5, 0.02, 60,
        metavar="SECONDS", midi_range=(0.1, 2.0),
        dial=Dial("thr.", 0.05, 10, 1.25, " s", log=True))
    response: float = _number(
        "longest answer of the machine, in seconds; 0 is without end", 5.0, 0, 3600,
        metavar="SECONDS", midi_range=(0.0, 20.0),
        dial=Dial("resp.", 0.5, 30, 1.25, " s", log=True, endless=True))
    follow: float = _number(
        "how much an answer belongs to its call: 1 as closely as it can, 0 as the model plays "
        "by itself, -1 a contrast", FOLLOW, -1, 1,
        metavar="F", midi_range=(-1.0, 1.0), before=0.0,
        dial=Dial("follow", -1, 1, 0.05))
    memory: float = _number(
        "how much an answer brings back what was played minutes ago; 0 is not", MEMORY, 0, 1,
        metavar="M", midi_range=(0.0, 1.0), before=0.0,
        dial=Dial("mem.", 0, 1, 0.05))
    dwell: float = _number(
        "longest time that the machine's finger stays in one place, in seconds", 0.8, 0.1, 60,
        metavar="SECONDS", midi_range=(0.1, 5.0),
        dial=Dial("dwell", 0.1, 10, 1.25, " s", log=True))
    pause: int = _control(
        Kind.SWITCH, "1: the machine lifts and waits; 0: it goes on", 0,
        **_SWITCH, option=False, replay=True, midi_words=("", "hold", "0", "1"))
    instrument: str = _text(
        f"the instrument of each player, of {_INSTRUMENTS}",
        music.DEFAULT_INSTRUMENTS, music.parse_instruments,
        metavar="WHO=INSTRUMENT,…", allowed=f"WHO=INSTRUMENT,… of {_INSTRUMENTS}",
        sound=True, per_player=True, own_by_default=True)
    range: str = _text(
        "the pitches at the left and the right edge, as MIDI notes or names: C2-C6; "
        "a player may have its own: 36-84,human2=35-51",
        music.DEFAULT_RANGE, music.parse_ranges,
        metavar="[WHO=]LOW-HIGH,…",
        allowed="[WHO=]LOW-HIGH,… as in 36-84 or C2-C6,human2=35-51",
        sound=True, per_player=True)
    scale: str = _text(
        "the scale on A that pitches are held to",
        "free", lambda text, _current: music.parse_scale(text),
        metavar="SCALE", words=tuple(music.SCALES), allowed=f"one of {', '.join(music.SCALES)}",
        sound=True)
    volume: float = _number(
        "loudness of the sound", 0.7, 0, 1,
        metavar="VOLUME", sound=True, replay=True, midi_range=(0.0, 1.0),
        dial=Dial("vol.", 0, 1, 0.05))
    clock: str = _text(
        "the clock whose beats the machine keeps to", "off", parse_clock,
        metavar="CLOCK", allowed=_CLOCK_FORM, timing=True,
        midi_words=("off", "internal", "link", "midi", "jack"))
    tempo: float = _number(
        "beats a minute of the internal clock; of a clock of others the tempo to change to",
        120.0, 20, 400,
        metavar="BPM", timing=True, midi_range=(40.0, 240.0),
        dial=Dial("tempo", 40, 240, 1, " bpm", digits=3))
    quantum: str = _words(
        "lines of the clock on which an answer begins and ends", QUANTA,
        metavar="QUANTUM", timing=True)
    grid: str = _words(
        "notes of the clock that the machine's landings lean to", GRIDS,
        metavar="GRID", timing=True)
    swing: float = _number(
        "where the second note of a pair is in the grid; 0.5 is straight, 0.67 as triplets",
        0.5, 0.5, 0.75,
        metavar="SWING", timing=True, midi_range=(0.5, 0.75),
        dial=Dial("swing", 0.5, 0.75, 0.01))
    lean: float = _number(
        "how far the machine's landings are moved to the grid; 0 is not, 1 is onto it",
        0.0, 0, 1,
        metavar="LEAN", timing=True, midi_range=(0.0, 1.0),
        dial=Dial("lean", 0, 1, 0.05))
    bars: int = _count(
        "length of an answer in bars of the clock; 0 is by response, in seconds", 0, 0, 64,
        metavar="BARS", timing=True, midi_range=(0.0, 16.0),
        dial=Dial("bars", 0, 16, 1, zero="off"))
    clock_out: str = _text(
        "the MIDI port that the clock is sent to, with Start and Stop", "", _parse_port,
        metavar="PORT", default_text="none", timing=True,
        allowed="a part of a port's name, or none")
    morph: float = _number(
        "place between the scenes of the knobs that are mapped: 0 is the first, 1 the last",
        0.0, 0, 1,
        metavar="PLACE", sound=True, midi_range=(0.0, 1.0),
        dial=Dial("morph", 0, 1, 0.05))
    amount: str = _text(
        "how far mapped knobs go from the low end of their ranges to the high one: 1, as "
        "without an amount, is all the way, 0 not at all", "", parse_amounts,
        metavar="KNOB=AMOUNT,…", default_text="none", sound=True, allowed=_AMOUNTS)
    metronome: float = _number(
        "loudness of a click at each beat of the clock", 0.0, 0, 1,
        metavar="VOLUME", sound=True, midi_range=(0.0, 1.0),
        dial=Dial("metr.", 0, 1, 0.05))


# fmt: on


_LETTERS: Final = f"a letter from {MEMORIES[0]} to {MEMORIES[-1]}"


def _parse_memory(text: str, _current: str) -> str:
    if len(text) != 1 or text.upper() not in MEMORIES:
        raise ValueError(f"{text!r:.60} is not {_LETTERS}")
    return text.upper()


#: Controls that act at once, and have no value in Settings.
_ACTIONS: Final = (
    ControlSpec("answer", Kind.TRIGGER, option=False, midi_words=("",)),
    ControlSpec("reset", Kind.TRIGGER, option=False, midi_words=("",)),
    ControlSpec(
        "tap",
        Kind.TRIGGER,
        option=False,
        midi_words=("",),
        about="a beat, now: the tempo of the internal clock follows several",
    ),
    ControlSpec(
        "downbeat",
        Kind.TRIGGER,
        option=False,
        midi_words=("",),
        about="a bar begins now",
    ),
    ControlSpec("panic", Kind.TRIGGER, option=False, replay=True, midi_words=("",)),
    ControlSpec(
        "back",
        Kind.NUMBER,
        low=0,
        high=MAX_BACK,
        allowed=f"seconds from 0 to {MAX_BACK:g}",
        option=False,
    ),
    ControlSpec("store", Kind.TEXT, allowed=_LETTERS, option=False, parse=_parse_memory),
    ControlSpec("undo_store", Kind.TEXT, allowed=_LETTERS, option=False, parse=_parse_memory),
    ControlSpec("recall", Kind.TEXT, allowed=_LETTERS, option=False, parse=_parse_memory),
    ControlSpec(
        "scene",
        Kind.TEXT,
        allowed="the name of a scene in [map.scene]",
        option=False,
        about="morph to this scene of the knobs, at once",
        midi_text=True,
    ),
    ControlSpec("record", Kind.SWITCH, **_SWITCH, midi_words=("hold", "0", "1")),
    ControlSpec(
        "web",
        Kind.SWITCH,
        about="1: phones and other browsers are pads, at the address of the option; 0: not",
        **_SWITCH,
        midi_words=("hold", "0", "1"),
    ),
    ControlSpec(
        "seed",
        Kind.INTEGER,
        low=0,
        high=MAX_SEED,
        allowed=f"a whole number from 0 to {MAX_SEED}",
    ),
    ControlSpec("model", Kind.TEXT, allowed="the name of a model's file"),
)

#: The controls that have a value in Settings, by name.
SETTINGS: Final[dict[str, ControlSpec]] = {
    row.name: ControlSpec(row.name, **row.metadata) for row in fields(Settings)
}
#: All controls, by name.
CONTROLS: Final[dict[str, ControlSpec]] = SETTINGS | {row.name: row for row in _ACTIONS}
#: Controls that the engine alone sets, as they depend on the machine that it runs on: the
#: seconds by which the voices are delayed, how many of them rest, and the plans that it had
#: the time for (robojam.jam.phrases), by their lead in seconds. Recordings hold it.
_LOAD: Final = (
    ControlSpec("held_up", Kind.NUMBER, low=0, high=60, allowed="seconds from 0 to 60"),
    ControlSpec("resting", Kind.INTEGER, low=0, high=4095, allowed="voices from 0 to 4095"),
    ControlSpec("planning", Kind.NUMBER, low=0, high=60, allowed="seconds from 0 to 60"),
    ControlSpec("planned", Kind.NUMBER, low=0, high=60, allowed="seconds from 0 to 60"),
)
#: Control that the engine alone sets: the beats of the jam from its own instant on, as text
#: (robojam.beats), or "" for no clock. Recordings hold it.
_BEATS: Final = ControlSpec(
    "beats", Kind.TEXT, allowed="a beat, a tempo and beats of a bar, or nothing",
    parse=lambda text, _current: parse_text(text),
)  # fmt: skip


def _parse_human(name: str, _current: str) -> str:
    if not is_player(name) or is_machine(name):
        raise ValueError(f"{name!r:.60} is no human player: human, human2, …")
    return name


#: Controls that the engine alone sets: since when a player is a visitor, or a host, as all are
#: at first. Turns depend on it, so recordings hold it.
_WHO: Final = (
    ControlSpec("visitor", Kind.TEXT, allowed="a human player", parse=_parse_human),
    ControlSpec("host", Kind.TEXT, allowed="a human player", parse=_parse_human),
)
#: All that a recording may hold the changes of, by name.
RECORDED: Final[dict[str, ControlSpec]] = CONTROLS | {
    row.name: row for row in (*_LOAD, *_WHO, _BEATS)
}


#: Controls that change nothing of a jam: what follows from them is recorded, as beats or morph.
UNRECORDED: Final = ("record", "scene", "web", "tap", "downbeat")


def validate_control(name: str, value: Any, settings: Settings, who: str | None) -> Any:
    """Return the checked value of a control from outside, in its canonical form.

    who is the player for whom alone it is set, or None: a value without a player's name
    ("keys" instead of "human2=keys") is that player's. A number that has
    lost digits in 32 bits is restored: to the nearest short decimal within the range, or to
    the value in force where both are the same in 32 bits. Raises RefusedError.
    """
    control = CONTROLS.get(name)
    if control is None:
        raise RefusedError("no such control", name)
    current = getattr(settings, name, None)
    try:
        if control.kind is Kind.NUMBER:
            return _restored(control, value, current)
        if control.per_player and who is not None and "=" not in value:
            return control.check(f"{control.own_name(who)}={value}", current)
        return control.check(value, current)
    except ValueError as error:
        reason = f"unknown {name}" if control.kind is Kind.TEXT else "out of range"
        raise RefusedError(reason, str(error)) from error


def loses_digits(value: Value) -> bool:
    """Return whether a control's value is another one in 32 bits, as OSC sends it."""
    return isinstance(value, float) and struct.unpack(">f", _single(value))[0] != value


def _restored(control: ControlSpec, value: float, current: float | None) -> float:
    """Return a number with the digits restored that it lost in 32 bits. Raises ValueError."""
    short = value if control.has(value) else float(f"{value:.{_DIGITS}g}")
    checked: float = control.check(short)
    if current is not None and _single(current) == _single(checked):
        return float(current)
    return checked


def check_recorded(name: str, value: Any) -> Any:
    """Return a control's value, as a recording holds it, in its canonical form.

    Raises ValueError with what is allowed.
    """
    control = RECORDED.get(name)
    if control is None or name in UNRECORDED:
        raise ValueError(f"there is no control {name!r:.60} in a recording")
    if name == "model":
        if not isinstance(value, dict) or not isinstance(value.get("file"), str):
            raise ValueError(f"model cannot be {value!r:.60}")
        return value
    return control.check(value)
