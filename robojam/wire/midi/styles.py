"""Styles of MIDI: how a port speaks. The presets, and the tables [midi.NAME] of the TOML file.

A style serves both directions: what is played in it comes back as the same touches.
Only msgspec is imported from others: `robojam --help` waits for this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from robojam.music import DEFAULT_RANGE, PitchRange, parse_key, parse_range, parse_scale
from robojam.wire.latency import split_latency
from robojam.wire.midi.bindings import parse_binding, parse_nrpn
from robojam.wire.refusal import explain

#: Most ports of one direction, by which the process that holds them numbers them.
MAX_PORTS: Final = 64

Byte = Annotated[int, Meta(ge=0, le=127)]


class Axis(NamedTuple):
    """Controller (``cc``) or parameter (``nrpn``) that x or y is."""

    kind: str
    number: int

    @classmethod
    def parse(cls, name: str, value: int | str) -> Axis:
        """Read the value of x or y. Raises ValueError."""
        if isinstance(value, int):
            return cls("cc", value)
        number = parse_nrpn(value)
        if number is None:
            raise ValueError(
                f"{name} is {value!r:.60}, and must be a controller, 0 to 127, or nrpn N:N"
            )
        return cls("nrpn", number)


class Style(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The way one port speaks. Channels count from 1, notes and controllers from 0.

    kind: ``mpe`` (x is pitch with bend, y a controller), ``notes`` (x is pitch, the nearest
    note of a scale), ``cc`` (x and y are controllers, or parameters as ``nrpn 1:2``) or ``map``
    (no touches: mapped knobs alone, robojam.config.map_table). low and high are the notes at
    x = 0 and x = 1; where neither is given, the jam's control ``range`` says them. top is the
    value at y = 0. y is a controller, or the notes' velocity or pressure.
    velocity is that of notes without a pressure of their own. full_speed is the speed, in
    screens a second, at which the pressure is full; 0 sends none. channel None is any channel
    in, and the first one out.
    """

    kind: Literal["mpe", "notes", "cc", "map"] = "mpe"
    channel: Annotated[int, Meta(ge=1, le=16)] | None = None
    zone: Literal["lower", "upper", "none"] = "lower"
    members: Annotated[int, Meta(ge=1, le=15)] = 15
    bend: Annotated[int, Meta(ge=1, le=96)] = 48
    low: Byte | None = None
    high: Byte | None = None
    key: str = "C"
    scale: str = "chromatic"
    x: Byte | str = 16
    y: Byte | str = 74
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
        low, high = self._ends
        if low >= high:
            raise ValueError(f"low is {low:g}, and must be below high, {high:g}")
        Axis.parse("x", self.x)
        if self.kind == "cc":
            large = any(axis.kind == "cc" and axis.number > 31 for axis in self.axes)
            if self.fine and large:
                raise ValueError("fine values of 14 bits are of controllers 0 to 31")
            if len(set(self.axes)) == 1:
                raise ValueError(f"x and y are both {self.x}, and must differ")
        elif isinstance(self.y, str) and self.y not in ("velocity", "pressure"):
            raise ValueError(
                f"y = {self.y!r:.60}: must be a controller, 0 to 127, velocity or pressure"
            )
        if self.kind == "mpe" and self.zone == "none" and self.channel is None:
            raise ValueError("a channel must be named where there is no zone")
        for trigger, action in self.controls.items():
            parse_binding(trigger, action)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """What x and y are in kind ``cc``. Raises ValueError."""
        return Axis.parse("x", self.x), Axis.parse("y", self.y)

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels on which notes go out, from 0."""
        if self.kind == "map":
            return ()
        if self.kind != "mpe" or self.zone == "none":
            return ((self.channel or 1) - 1,)
        if self.zone == "upper":
            return tuple(range(14, 14 - self.members, -1))
        return tuple(range(1, 1 + self.members))

    @property
    def master(self) -> int | None:
        """The master channel of the zone, from 0; None where there is no zone."""
        if self.kind != "mpe" or self.zone == "none":
            return None
        return 0 if self.zone == "lower" else 15

    @property
    def pitch_range(self) -> PitchRange | None:
        """The style's own range of pitch; None where the jam's control ``range`` is used."""
        return None if self.low is None and self.high is None else PitchRange(*self._ends)

    @property
    def _ends(self) -> tuple[float, float]:
        usual = parse_range(DEFAULT_RANGE)
        low = usual.low if self.low is None else self.low
        return low, usual.high if self.high is None else self.high


#: The styles that can follow NAME/ without a table; the first is that of NAME alone.
PRESETS: Final[dict[str, Style]] = {
    "mpe": Style(),
    "mpe-upper": Style(zone="upper"),
    "mono": Style(zone="none", channel=1, bend=12, low=48, high=72),
    "scale": Style(kind="notes", scale="pentatonic", key="A", y="velocity"),
    "keys": Style(kind="notes", y="velocity"),
    "drums": Style(kind="notes", channel=10, low=35, high=51, y="velocity"),
    "cc": Style(kind="cc", x=16, y=17),
    "cc14": Style(kind="cc", x=16, y=17, fine=True),
    "pedal": Style(kind="cc", x=16, y=17, controls={"cc 64": "answer"}),
    "map": Style(kind="map"),
}


#: The keys of a table of a style.
_KEYS: Final = ("like", *(info.encode_name for info in msgspec.structs.fields(Style)))


def parse_styles(tables: Any) -> dict[str, Style]:
    """Read the tables below [midi]: each a preset (``like``) with other values.

    Raises ValueError, which names the table and what is allowed there.
    """
    if not isinstance(tables, dict):
        raise ValueError("allowed: tables as [midi.NAME]")
    styles = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name} is no table; allowed: tables as [midi.NAME]")
        if name in PRESETS or "/" in name:
            reason = "a preset has it, or it has a /"
            raise ValueError(f"{name!r:.60} cannot name a style: {reason}")
        like = table.get("like", "mpe")
        if not isinstance(like, str) or like not in PRESETS:
            raise ValueError(f"{name}: like = {like!r:.60}; allowed: {', '.join(PRESETS)}")
        given = {key: value for key, value in table.items() if key != "like"}
        base = msgspec.to_builtins(PRESETS[like])
        try:
            styles[name] = msgspec.convert(base | given, Style)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name}: {explain(error, given, _KEYS)}") from error
    return styles


class PortRequest(NamedTuple):
    """A port that an option asks for. virtual: robojam makes it, for others to connect to.

    name is a part of the port's name, or NAME#2 (robojam.wire.midi.port_names); style is the
    name of its style. latency: seconds from when an output is sent a note until it is heard.
    """

    name: str
    style: str
    virtual: bool
    latency: float = 0.0


def parse_port(text: str, own: Mapping[str, Style]) -> PortRequest:
    """Read NAME[/STYLE] or virtual:NAME[/STYLE], with ?latency=MS. Raises ValueError.

    A text after the last slash that names no style belongs to the name of a port of another
    program: some have a slash.
    """
    text, latency = split_latency(text)
    name, slash, style = text.rpartition("/")
    virtual = text.startswith("virtual:")
    if not slash or (style not in PRESETS and style not in own and not virtual):
        name, style = text, next(iter(PRESETS))
    elif style not in PRESETS and style not in own:
        raise ValueError(unknown_style(style, own))
    name = name.removeprefix("virtual:").strip()
    if not name.strip("/") or len(name) > 200 or not name.isprintable():
        raise ValueError(f"{text!r:.60} is not NAME[/STYLE]")
    return PortRequest(name, style, virtual, latency)


def unknown_style(style: str, own: Mapping[str, Style]) -> str:
    """Return the reason why a name of a style is refused."""
    return f"no style is named {style!r:.60}; allowed: {', '.join([*PRESETS, *own])}"


def port_option(name: str) -> str:
    """Return the NAME[/STYLE] that asks for the port of a name, whatever its name ends in."""
    return name if parse_port(name, {}).name == name else f"{name}/{next(iter(PRESETS))}"
