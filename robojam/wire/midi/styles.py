"""How a MIDI port speaks: the presets, and what may be said of one in the TOML file.

One style serves both directions: what is played by it comes back as the same touches.
Only msgspec is imported from others, for `robojam --help` waits for it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from robojam.music import SCALES, key_semitone, parse_key, parse_scale
from robojam.wire.midi.bindings import parse_control

Byte = Annotated[int, Meta(ge=0, le=127)]


class Style(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How one port speaks. Channels count from 1, notes and controllers from 0.

    kind: ``mpe`` (x is pitch with bend, y a controller), ``notes`` (a note for each place
    along x) or ``cc`` (two controllers). low and high are the notes at x = 0 and x = 1;
    top is the value at y = 0. y is a controller, or the notes' velocity or pressure.
    full_speed is the speed, in screens a second, at which the pressure is full; 0 sends
    none. channel None is any channel in, and the first one out.
    """

    kind: Literal["mpe", "notes", "cc"] = "mpe"
    channel: Annotated[int, Meta(ge=1, le=16)] | None = None
    zone: Literal["lower", "upper", "none"] = "lower"
    members: Annotated[int, Meta(ge=1, le=15)] = 15
    bend: Annotated[int, Meta(ge=1, le=96)] = 48
    low: Byte = 36
    high: Byte = 84
    key: str = "C"
    scale: str = "chromatic"
    x: Byte = 16
    y: Byte | Literal["velocity", "pressure"] = 74
    top: Literal[0, 127] = 127
    fine: bool = False
    gate: Byte | None = None
    velocity: Annotated[int, Meta(ge=1, le=127)] = 96
    full_speed: Annotated[float, Meta(ge=0, le=100)] = 2.5
    program: Annotated[int, Meta(ge=1, le=128)] | None = None
    bank: Annotated[int, Meta(ge=0, le=16383)] | None = None
    controls: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Check the fields together, and spell key and scale as `robojam.music` does.

        Raises ValueError.
        """
        force_setattr(self, "key", parse_key(self.key))
        force_setattr(self, "scale", parse_scale(self.scale))
        if self.low >= self.high:
            raise ValueError(f"low is {self.low}, and must be below high, {self.high}")
        if self.kind == "cc" and isinstance(self.y, str):
            raise ValueError(f"y is {self.y}, and must be a controller, 0 to 127")
        fine = (self.x, self.y) if self.kind == "cc" and self.fine else ()
        if any(isinstance(number, int) and number > 31 for number in fine):
            raise ValueError("fine values of 14 bits are of controllers 0 to 31")
        if self.kind == "mpe" and self.zone == "none" and self.channel is None:
            raise ValueError("a channel must be named where there is no zone")
        for trigger, action in self.controls.items():
            parse_control(trigger, action)

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that notes go out on, from 0."""
        if self.kind != "mpe" or self.zone == "none":
            return ((self.channel or 1) - 1,)
        if self.zone == "upper":
            return tuple(range(14, 14 - self.members, -1))
        return tuple(range(1, 1 + self.members))

    @property
    def master(self) -> int | None:
        """The channel of the whole zone, from 0; None where there is no zone."""
        if self.kind != "mpe" or self.zone == "none":
            return None
        return 0 if self.zone == "lower" else 15

    @property
    def notes(self) -> tuple[int, ...]:
        """The notes that there are along x, from left to right."""
        root, steps = key_semitone(self.key), SCALES[self.scale] or SCALES["chromatic"]
        found = [note for note in range(self.low, self.high + 1) if (note - root) % 12 in steps]
        return tuple(found) or (self.low,)


#: What stands after NAME/ without more; the first is taken where nothing does.
PRESETS: Final[dict[str, Style]] = {
    "mpe": Style(),
    "mpe-upper": Style(zone="upper"),
    "mono": Style(zone="none", channel=1, bend=12, low=48, high=72),
    "scale": Style(kind="notes", scale="pentatonic", key="A", low=45, high=81, y="velocity"),
    "keys": Style(kind="notes", y="velocity"),
    "drums": Style(kind="notes", channel=10, low=35, high=51, y="velocity"),
    "cc": Style(kind="cc", x=16, y=17),
    "cc14": Style(kind="cc", x=16, y=17, fine=True),
    "pedal": Style(kind="cc", x=16, y=17, controls={"cc 64": "answer"}),
}


def parse_styles(tables: Any) -> dict[str, Style]:
    """Read the tables below [midi]: each is like a preset, with what is said otherwise.

    Raises ValueError, which names the table and what is allowed there.
    """
    if not isinstance(tables, dict):
        raise ValueError("allowed: tables as [midi.NAME]")
    styles = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name} is no table; allowed: tables as [midi.NAME]")
        if name in PRESETS or "/" in name:
            raise ValueError(
                f"{name!r:.60} cannot name a style: a preset has it, or it has a /"
            )
        like = table.get("like", "mpe")
        if not isinstance(like, str) or like not in PRESETS:
            raise ValueError(f"{name}: like = {like!r:.60}; allowed: {', '.join(PRESETS)}")
        said = {key: value for key, value in table.items() if key != "like"}
        base = msgspec.to_builtins(PRESETS[like])
        try:
            styles[name] = msgspec.convert(base | said, Style)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name}: {_told(str(error), said)}") from error
    return styles


def _told(error: str, said: dict[str, Any]) -> str:
    """Say what msgspec found in a musician's words."""
    field = re.search(r"`\$\.([\w-]+)", error)
    if field and field[1] in said:
        return f"{field[1]} = {said[field[1]]!r:.60}: {error.partition(' - at')[0]}"
    unknown = re.search(r"unknown field `(.+?)`", error)
    if unknown:
        names = [info.encode_name for info in msgspec.structs.fields(Style)]
        return f"there is no {unknown[1]}; allowed: like, {', '.join(names)}"
    return error.partition(" - at")[0]


class Wanted(NamedTuple):
    """A port that is wanted: a part of its name, its style, and whether it is made anew."""

    name: str
    style: str
    virtual: bool


def parse_port(text: str, own: dict[str, Style]) -> Wanted:
    """Read NAME[/STYLE] or virtual:NAME[/STYLE]. Raises ValueError."""
    name, slash, style = text.rpartition("/")
    if not slash:
        name, style = text, next(iter(PRESETS))
    elif style not in PRESETS and style not in own:
        raise ValueError(
            f"no style is named {style!r:.60}; allowed: {', '.join([*PRESETS, *own])}"
        )
    virtual = name.startswith("virtual:")
    name = name.removeprefix("virtual:")
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise ValueError(f"{text!r:.60} is not NAME[/STYLE]")
    return Wanted(name.strip(), style, virtual)
