"""The table [map] of the TOML file: knobs in and out, and scenes of them. Pure.

``[map.out]`` has a row for each knob that is made from touches (`KnobRow`), ``[map.in]`` for
each that comes in (`InputRow`), ``[map.scene.NAME]`` what is different in a
scene (`SceneRow`): the control ``morph`` goes through the scenes in the order of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from robojam.config.addresses import Output, parse_address, quoted
from robojam.controls import CONTROLS
from robojam.mapping.features import FEATURES, GROUPS
from robojam.mapping.knob import KnobSpec, Shape
from robojam.music import HIGHEST_NOTE, LOWEST_NOTE, parse_key, parse_scale
from robojam.touch import KNOB_NAMES, is_player
from robojam.wire.dialects import INPUTS
from robojam.wire.knob_inputs import PLACES, SET, InputKnob, parse_source
from robojam.wire.knob_target import Target, parse_target
from robojam.wire.midi.bindings import RANGES
from robojam.wire.midi.styles import PRESETS, PortRequest, Style, parse_port
from robojam.wire.refusal import explain

#: Most knobs, most scenes, and letters of a name of one.
MAX_KNOBS: Final = 64
MAX_SCENES: Final = 32
_MAX_NAME: Final = 40
#: Controller of the first knob of an instrument, where no row names another: from here on 16
#: have no meaning of their own in MIDI.
FIRST_CONTROLLER: Final = 102
_KNOB_RANGE: Final = f"{KNOB_NAMES[0]} to {KNOB_NAMES[-1]}"
#: Velocity of a note whose row says none.
_VELOCITY: Final = 127
#: Channel of a knob, from 0, where no note is played on it.
_CHANNEL: Final = 15
#: Greatest number that a knob has, as OSC sends it in 32 bits.
_LARGEST: Final = 1e9

_Row = TypeVar("_Row", bound=Struct)
Curve = Annotated[float, Meta(ge=-10, le=10)]
Seconds = Annotated[float, Meta(ge=0, le=60)]
Ends = tuple[float, float]


class SceneRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
               rename={"from_": "from"}):  # fmt: skip
    """Changes of a knob in a scene; None: as in the knob's own row."""

    from_: Ends | None = None
    to: Ends | None = None
    curve: Curve | None = None
    smooth: Seconds | None = None

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        _check_numbers(self)


class KnobRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
              rename={"from_": "from"}):  # fmt: skip
    """One knob: its target, and how its value is made (robojam.mapping.knob).

    source is a feature (robojam.mapping.features), of the touches of who. from are the
    feature's values at the ends, to the target's; without them, their whole ranges. invert
    swaps the ends. steps or scale (with key) hold the value. channel, from 1, is that of MIDI.
    velocity is that of a note: a number, or a feature, which goes through its usual range.
    port is a part of the name of a MIDI output, or HOST:PORT of OSC; without it, the value is
    sent to all MIDI outputs, or to all OSC outputs.
    """

    target: str
    source: str
    who: str = "machine"
    from_: Ends | None = None
    to: Ends | None = None
    curve: Curve = 0.0
    smooth: Seconds = 0.0
    invert: bool = False
    steps: Annotated[int, Meta(ge=2, le=16384)] | None = None
    scale: str | None = None
    key: str = "C"
    channel: Annotated[int, Meta(ge=1, le=16)] | None = None
    velocity: Annotated[int, Meta(ge=1, le=127)] | str | None = None
    port: str | None = None

    def __post_init__(self) -> None:
        """Check the fields together. Raises ValueError."""
        _check_numbers(self)
        try:
            target = parse_target(self.target)
        except ValueError as error:
            raise ValueError(f"target = {error}") from error
        features = [name for name in FEATURES if name not in KNOB_NAMES]
        allowed = ", ".join((*features, _KNOB_RANGE))
        if self.source not in FEATURES:
            raise ValueError(f"source = {quoted(self.source)}; allowed: {allowed}")
        if self.velocity is not None and target.kind != "note":
            raise ValueError(f"velocity is of a note, and the target is {target.kind}")
        if isinstance(self.velocity, str) and self.velocity not in FEATURES:
            raise ValueError(
                f"velocity = {quoted(self.velocity)}; allowed: 1 to 127, {allowed}"
            )
        if self.who not in GROUPS and not is_player(self.who):
            allowed = f"{', '.join(GROUPS)}, human, human2, …, ai, ai2, …"
            raise ValueError(f"who = {quoted(self.who)}; allowed: {allowed}")
        self._check_ends(target, self.to)
        self._check_scale()
        self._check_port(target)

    def _check_ends(self, target: Target, ends: Ends | None) -> None:
        low, high = target.limits or (-_LARGEST, _LARGEST)
        if ends is not None and not all(low <= end <= high for end in ends):
            allowed = f"allowed for {target.kind}: numbers from {low:g} to {high:g}"
            raise ValueError(f"to = {list(ends)}; {allowed}")
        notes = ends is not None and all(LOWEST_NOTE <= end <= HIGHEST_NOTE for end in ends)
        if self.scale is not None and not notes:
            raise ValueError(
                "a scale holds MIDI notes: it needs to = [LOW, HIGH] from 0 to 127"
            )

    def _check_scale(self) -> None:
        parse_key(self.key)
        if self.scale is not None:
            parse_scale(self.scale)
            if self.steps is not None:
                raise ValueError("steps and scale: one of them holds the value")
            if parse_target(self.target).kind not in ("cc", "note", "osc"):
                raise ValueError("a scale holds the values of cc, note and osc alone")

    def _check_port(self, target: Target) -> None:
        if not target.is_midi:
            if self.channel is not None:
                raise ValueError("channel is of MIDI, and the target is osc")
            if self.port is not None:
                parse_address(self.port, lowest_port=1)
        elif self.port is not None and (not self.port.strip() or len(self.port) > 200):
            raise ValueError(f"port = {quoted(self.port)} is no part of a MIDI port's name")

    @property
    def strength(self) -> int | str:
        """The velocity of a note, or the feature that it is made from."""
        return _VELOCITY if self.velocity is None else self.velocity

    @property
    def parsed_target(self) -> Target:
        """The target."""
        return parse_target(self.target)

    def shape(self, scene: SceneRow | None = None) -> Shape:
        """Return how the value is made in a scene, or without one. Raises ValueError."""
        scene, feature = scene or SceneRow(), FEATURES[self.source]
        target = self.parsed_target
        self._check_ends(target, scene.to if scene.to is not None else self.to)
        from_low, from_high = scene.from_ or self.from_ or (feature.low, feature.high)
        low, high = scene.to or self.to or target.limits or (0.0, 1.0)
        if self.invert:
            low, high = high, low
        return Shape(
            from_low, from_high, low, high,
            curve=self.curve if scene.curve is None else scene.curve,
            smooth=self.smooth if scene.smooth is None else scene.smooth,
        )  # fmt: skip


class InputRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
               rename={"from_": "from"}):  # fmt: skip
    """One knob that comes in: its source and what it moves (robojam.wire.knob_inputs).

    target is x, y, pressure, a knob of the instrument or a control. from, to, curve and invert
    are as of `KnobRow`; without to, the value goes through the whole surface, or as a MIDI
    binding of the control. port is a part of the name of a MIDI input; without it, any input
    is heard.
    """

    source: str
    target: str
    from_: Ends | None = None
    to: Ends | None = None
    curve: Curve | None = None
    invert: bool = False
    port: str | None = None

    def __post_init__(self) -> None:
        """Check the fields together. Raises ValueError."""
        _check_numbers(self)
        try:
            source = parse_source(self.source)
        except ValueError as error:
            raise ValueError(f"source = {error}") from error
        if self.target not in (*PLACES, *KNOB_NAMES, *SET):
            allowed = ", ".join((*PLACES, *SET, _KNOB_RANGE))
            raise ValueError(f"target = {quoted(self.target)}; allowed: {allowed}")
        if source.address in INPUTS:
            raise ValueError(
                f"source = {quoted(self.source)}: robojam hears that address itself"
            )
        if self.port is not None and (not source.is_midi or not self.port.strip()):
            raise ValueError(f"port = {quoted(self.port)} is no part of a MIDI port's name")
        low, high = self._limits
        if not all(low <= end <= high for end in self.to or ()):
            raise ValueError(f"to = {list(self.to or ())}; allowed: from {low:g} to {high:g}")

    @property
    def _limits(self) -> Ends:
        """The lowest and the highest value of the target."""
        if self.target in (*PLACES, *KNOB_NAMES):
            return 0.0, 1.0
        row = CONTROLS[self.target]
        return (row.low, row.high) if math.isfinite(row.high) else (0.0, 1.0)

    def knob(self) -> InputKnob:
        """Return what the row means."""
        source = parse_source(self.source)
        usual = RANGES.get(self.target, self._limits)
        low, high = self.to or usual
        curve = self.curve
        if curve is None:  # a factor goes by factors
            curve = math.log(high / low) if self.target == "timescale" else 0.0
        if self.invert:
            low, high, curve = high, low, curve if self.curve is not None else -curve
        return InputKnob(
            source, self.target, Shape(*(self.from_ or source.ends), low, high, curve)
        )


class Map(Struct, frozen=True, kw_only=True, rename={"in_": "in"}):
    """The table: knobs by their names; scenes, each with what is different of some knobs."""

    out: dict[str, KnobRow] = {}
    in_: dict[str, InputRow] = {}
    scene: dict[str, dict[str, SceneRow]] = {}

    def place_of(self, scene: str) -> float:
        """Return the value of ``morph`` at a scene. Raises ValueError for an unknown one."""
        names = list(self.scene)
        if scene not in names:
            known = f"; there is {', '.join(names)}" if names else ": [map.scene] has none"
            raise ValueError(f"no scene is named {quoted(scene)}{known}")
        return names.index(scene) / max(1, len(names) - 1)

    def spec(self, name: str) -> KnobSpec:
        """Return what a knob is. Raises ValueError."""
        row = self.out[name]
        scenes = [scene.get(name) for scene in self.scene.values()] or [None]
        return KnobSpec(
            row.source,
            row.who,
            tuple(row.shape(scene) for scene in scenes),
            whole=row.parsed_target.is_midi,
            strikes=row.parsed_target.kind == "note",
            steps=row.steps,
            scale="free" if row.scale is None else parse_scale(row.scale),
            key=parse_key(row.key),
        )


def for_instrument(table: Map, knobs: int) -> Map:
    """Return the table of an instrument with a number of knobs, 0: with a surface.

    Where no row says how its knobs are sent by MIDI, or heard, they are the controllers from
    FIRST_CONTROLLER on, in their order. Raises ValueError for a row of a knob that it has not.
    """
    names, missing = KNOB_NAMES[:knobs], KNOB_NAMES[knobs:]
    for part, rows in (("out", table.out), ("in", table.in_)):
        for name, row in rows.items():
            named = (row.source, row.velocity) if isinstance(row, KnobRow) else (row.target,)
            for of in set(named) & set(missing):
                has = f"{knobs} knobs" if knobs else "no knobs (--knobs N)"
                raise ValueError(f"{part}.{name}: {of}, and the instrument has {has}")
    out, heard = table.out, table.in_
    if not any(row.source in names for row in out.values()):
        out = out | {
            name: KnobRow(target=f"cc {FIRST_CONTROLLER + i}", source=name)
            for i, name in enumerate(names)
        }
    if not any(row.target in names for row in heard.values()):
        heard = heard | {
            name: InputRow(source=f"cc {FIRST_CONTROLLER + i}", target=name)
            for i, name in enumerate(names)
        }
    return msgspec.structs.replace(table, out=out, in_=heard)


def _check_numbers(row: Struct) -> None:
    """Raise ValueError for a number that is not finite: msgspec's limits let NaN pass."""
    for info in msgspec.structs.fields(row):
        value = getattr(row, info.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if isinstance(number, float) and not abs(number) <= _LARGEST:
                raise ValueError(f"{info.encode_name} = {number}; allowed: numbers up to 1e9")


def parse_map(tables: Any) -> Map:
    """Read the table [map]. Raises ValueError, which names the row and what is allowed."""
    tables = _tables(tables, "map")
    allowed = [info.encode_name for info in msgspec.structs.fields(Map)]
    for name in tables:
        if name not in allowed:
            raise ValueError(f"there is no map.{name:.60}; allowed: {', '.join(allowed)}")
    out = _rows(tables.get("out", {}), "out", KnobRow, MAX_KNOBS, "knobs")
    scenes = _tables(tables.get("scene", {}), "scene")
    _check_names(scenes, "scene", MAX_SCENES, "scenes")
    scene = {
        name: _rows(rows, f"scene.{name}", SceneRow, MAX_KNOBS, "knobs")
        for name, rows in scenes.items()
    }
    heard = _rows(tables.get("in", {}), "in", InputRow, MAX_KNOBS, "knobs")
    table = Map(out=out, in_=heard, scene=scene)
    for name, rows in scene.items():
        for knob in rows:
            if knob not in out:
                known = ", ".join(out) or "none"
                raise ValueError(
                    f"scene.{name}: no knob is named {quoted(knob)}; out has {known}"
                )
    for knob in out:
        try:
            table.spec(knob)
        except ValueError as error:
            raise ValueError(f"a scene of {knob}: {error}") from error
    return table


def _tables(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no table; allowed: tables as [map.out]")
    return value


def _check_names(rows: Mapping[str, Any], table: str, most: int, what: str) -> None:
    if len(rows) > most:
        raise ValueError(f"{table} has {len(rows)} {what}; allowed: up to {most}")
    for name in rows:
        if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
            raise ValueError(
                f"{table}: {quoted(name)} is no name; allowed: up to {_MAX_NAME} letters"
            )


def _rows(value: Any, table: str, kind: type[_Row], most: int, what: str) -> dict[str, _Row]:
    """Return the rows of a table by their names. Raises ValueError."""
    rows = _tables(value, table)
    _check_names(rows, table, most, what)
    return {name: _row(f"{table}.{name}", row, kind) for name, row in rows.items()}


def _row(where: str, row: Any, kind: type[_Row]) -> _Row:
    given = _tables(row, where)
    keys = [info.encode_name for info in msgspec.structs.fields(kind)]
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {explain(error, given, keys)}") from error


# -- outputs ----------------------------------------------------------------------------------


class OutputKnob(NamedTuple):
    """A knob at an output: its name, its target, and the channel from 0 that MIDI has.

    velocity is that of a note, or the feature that it is made from.
    """

    name: str
    target: Target
    channel: int = 0
    velocity: int | str = _VELOCITY


class OscReceiver(NamedTuple):
    """A receiver of knobs by OSC. gets_touches: it is an output of touches, too."""

    host: str
    port: int
    latency: float
    gets_touches: bool
    knobs: tuple[OutputKnob, ...]


def osc_receivers(table: Map, outputs: Iterable[Output]) -> list[OscReceiver]:
    """Return who gets the knobs of OSC: all outputs, and the receivers that rows name."""
    latencies = {(output.host, output.port): output.latency for output in outputs}
    knobs: dict[tuple[str, int], list[OutputKnob]] = {}
    for name, row in table.out.items():
        target = row.parsed_target
        if not target.is_midi:
            named = [] if row.port is None else [parse_address(row.port)]
            for address in named or latencies:
                knobs.setdefault(address, []).append(OutputKnob(name, target))
    return [
        OscReceiver(*address, latencies.get(address, 0.0), address in latencies, tuple(found))
        for address, found in knobs.items()
    ]


def midi_knobs(table: Map, request: PortRequest, style: Style) -> list[OutputKnob]:
    """Return the knobs of a MIDI output. Raises ValueError where one would disturb notes."""
    knobs = []
    for name, row in table.out.items():
        target = row.parsed_target
        if not target.is_midi or (row.port or "").casefold() not in request.name.casefold():
            continue
        if row.source in KNOB_NAMES:  # of an instrument that plays no notes
            knobs.append(OutputKnob(name, target, (row.channel or 1) - 1, row.strength))
            continue
        try:
            channel = _free_channel(style) if row.channel is None else row.channel - 1
            _check_channel(target, channel, style)
        except ValueError as error:
            raise ValueError(
                f"out.{name} at {request.name}/{request.style}: {error}"
            ) from error
        knobs.append(OutputKnob(name, target, channel, row.strength))
    return knobs


def _free_channel(style: Style) -> int:
    """Return the channel of knobs at an output, from 0.

    It is 16; where notes are played on that, the master channel of the zone, which all of its
    notes follow, or 15.
    """
    if _CHANNEL not in style.channels:
        return _CHANNEL
    return _CHANNEL - 1 if style.master is None else style.master


def _check_channel(target: Target, channel: int, style: Style) -> None:
    """Raise ValueError for a knob that sends what the style itself sends on a channel."""
    if channel not in style.channels:
        return
    if style.master is not None:
        raise ValueError(
            f"channel {channel + 1} is one of the notes of the MPE zone; its master channel is "
            f"{style.master + 1}, or give the zone fewer members"
        )
    own = [style.y] if style.kind != "cc" else [a.number for a in style.axes if a.kind == "cc"]
    own += [number + 32 for number in own if isinstance(number, int) and style.fine]
    bends = style.kind == "mpe" and target.kind == "pitch bend"
    if bends or target.kind == "note" or any(number in own for number in target.controllers):
        raise ValueError(
            f"the style sends {target.kind} {target.number or ''}".rstrip()
            + f" on channel {channel + 1} itself; choose another channel"
        )


def without_output(
    table: Map,
    midi_out: Sequence[str],
    styles: Mapping[str, Style],
    *,
    others: Sequence[str] = (),
) -> list[str]:
    """Return the names of the knobs of MIDI that no MIDI output of the options gets.

    others are the names of what carries MIDI besides its ports.
    """
    names = [parse_port(text, styles).name.casefold() for text in midi_out]
    names += [name.casefold() for name in others]
    return [
        name
        for name, row in table.out.items()
        if row.parsed_target.is_midi
        and not any((row.port or "").casefold() in output for output in names)
    ]


def midi_input_knobs(table: Map, request: PortRequest) -> list[InputKnob]:
    """Return the knobs that are mapped at a MIDI input."""
    return [
        row.knob()
        for row in table.in_.values()
        if row.knob().source.is_midi and (row.port or "").casefold() in request.name.casefold()
    ]


def osc_input_knobs(table: Map) -> list[InputKnob]:
    """Return the knobs that come in by OSC."""
    knobs = [row.knob() for row in table.in_.values()]
    return [knob for knob in knobs if not knob.source.is_midi]


def check_outputs(table: Map, midi_out: Sequence[str], styles: Mapping[str, Style]) -> None:
    """Check the knobs at the MIDI outputs of the options. Raises ValueError."""
    for text in midi_out:
        request = parse_port(text, styles)
        midi_knobs(table, request, (PRESETS | dict(styles))[request.style])
