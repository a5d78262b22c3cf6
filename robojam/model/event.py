"""Description of the event that a model is over.

An event is a row of numbers, predicted factor by factor: each factor is a few columns of the
row, and is predicted given the earlier events and the earlier factors, in the order of the
description. A touch has one description, a point of a pen stroke and the knobs of a controller
have others; the model's code knows none. The description is part of the model's file.

Four kinds of factor:

``flag``
    one column, 0 or 1.
``duration``
    one column of seconds > 0; a mixture of normals over its logarithm.
``position``
    columns of a place; a mixture of normals over the place itself, or, where
    the flag in column ``slides`` is 1, over the offset from the last place,
    with means shifted by learnt multiples of the last velocities. One that
    ``follows`` is an offset from the last place after every event.
``offset``
    columns that are offsets already; a mixture of normals over them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from robojam.touch import MAX_KNOBS, PRESSURE_RESTS

#: Columns of a touch, and of one with its pressure.
TOUCH: Final = ("x", "y", "dt", "moving")
PRESSED: Final = (*TOUCH, "pressure")
#: By how much a lattice's teeth are wider than the noise: recorded places are rounded.
MARGIN = 4e-6
#: The greatest size of a layer or a mixture: a file could ask for any.
MAX_SIZE = 1 << 16
#: The most columns and factors of an event, and the most lattices of a position.
_MAX_COLUMNS, _MAX_LATTICES = 64, 1024
#: The most running means of one kind.
_MAX_MEANS = 8
#: The least and the greatest scale, and the greatest centre or noise: numbers that are divided
#: or multiplied by these are still far from what 32 bits hold.
_MIN_SCALE, _MAX_SCALE = 1e-6, 1e6
_SCALES = f"from {_MIN_SCALE:g} to {_MAX_SCALE:g}"


#: Fields of a description that files from before there were any do not have; false by default.
NEW_FLAGS = frozenset(("follows", "diagonal", "fewer"))


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns of an event that are predicted together.

    centre and scale bring the columns (for a duration: its logarithm) to about zero mean and
    unit deviation; step is the scale of one slide of a position. hidden is the width of the
    factor's head. noise is the width of the uniform noise that dequantises each column: the
    model was trained on values with it. In play half of it is added to what is fed, and
    subtracted from what is played. lattices are pairs of n and share: that share of the
    screens reports a position in multiples of 1/n, coarser than the noise
    (robojam.model.lattice); the other screens show no lattice.

    follows is of a position whose columns keep their values until they are changed, as knobs
    do: it is an offset from the last place even where the flag is 0, the first event excepted,
    and a column that changed by no more than the noise has not moved. diagonal: its components
    have no correlation, as one knob of several moves at a time.
    """

    name: str
    kind: Literal["flag", "duration", "position", "offset"]
    columns: Annotated[tuple[int, ...], Meta(max_length=_MAX_COLUMNS)]
    components: int = 0
    hidden: int = 32
    noise: float = 0.0
    centre: float = 0.0
    scale: float = 1.0
    step: float = 1.0
    slides: int | None = None
    lattices: Annotated[tuple[tuple[int, float], ...], Meta(max_length=_MAX_LATTICES)] = ()
    follows: bool = False
    diagonal: bool = False

    @property
    def dims(self) -> int:
        """The number of columns."""
        return len(self.columns)

    def problem(self) -> str | None:
        """Return what is wrong with the factor by itself, or None."""
        if self.dims != 1 and self.kind in ("flag", "duration"):
            return f"a {self.kind} has one column"
        if self.kind != "flag" and not 1 <= self.components <= MAX_SIZE:
            return f"1 to {MAX_SIZE} components, not {self.components}"
        if not 1 <= self.hidden <= MAX_SIZE:
            return f"a hidden layer of 1 to {MAX_SIZE}, not {self.hidden}"
        if not all(_MIN_SCALE <= scale <= _MAX_SCALE for scale in (self.scale, self.step)):
            return f"scales are numbers {_SCALES}"
        if not (0 <= self.noise <= _MAX_SCALE and abs(self.centre) <= _MAX_SCALE):
            return f"its noise and its centre are numbers up to {_MAX_SCALE:g}"
        if any(n < 1 or not share > 0 for n, share in self.lattices):
            return "a lattice has 1 line or more, and a share above zero"
        if self.lattices and (
            self.kind != "position"
            or sum(share for _, share in self.lattices) >= 1
            or max(n for n, _ in self.lattices) * (self.noise + MARGIN) >= 1
        ):
            return "lattices are of positions, coarser than the noise, and not of all screens"
        if self.follows and (self.kind != "position" or self.slides is None):
            return "only a position that slides can follow the last place"
        if self.follows and self.dims > MAX_KNOBS:
            return f"1 to {MAX_KNOBS} columns follow the last place, not {self.dims}"
        if self.diagonal and not self.follows:
            return "only a position that follows is diagonal"
        return None


class EventSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of an event: its columns, and its factors in the order of prediction.

    duration is the column of seconds by which velocities are computed, if any; speed is the
    scale of a velocity, in units of position per second. move_means and landing_means are
    the decays per move and per landing of the running means by which the model remembers
    what was played (robojam.model.summary); none in files from before there were any.
    fewer: the model was trained on rigs of fewer knobs, too, whose other values rest at
    KNOB_RESTS: any rig of up to as many knobs can play it.
    """

    name: str
    columns: Annotated[tuple[str, ...], Meta(max_length=_MAX_COLUMNS)]
    factors: Annotated[tuple[Factor, ...], Meta(max_length=_MAX_COLUMNS)]
    duration: int | None = None
    speed: float = 1.0
    move_means: Annotated[tuple[float, ...], Meta(max_length=_MAX_MEANS)] = ()
    landing_means: Annotated[tuple[float, ...], Meta(max_length=_MAX_MEANS)] = ()
    fewer: bool = False

    def __post_init__(self) -> None:
        """Check that a model can be over the event. Raises ValueError."""
        seen = sorted(column for factor in self.factors for column in factor.columns)
        if seen != list(range(len(self.columns))):
            raise ValueError(
                f"event {self.name!r}: its factors must cover each of the columns "
                f"{', '.join(self.columns)} once"
            )
        known: list[Factor] = []
        for factor in self.factors:
            problem = factor.problem() or self._problem(factor, known)
            if problem:
                raise ValueError(f"factor {factor.name!r}: {problem}")
            known.append(factor)
        if not _MIN_SCALE <= self.speed <= _MAX_SCALE:
            raise ValueError(f"event {self.name!r}: its speed is a number {_SCALES}")
        if self.fewer and not (self.position and self.position.diagonal):
            raise ValueError(f"event {self.name!r}: only diagonal knobs can be fewer")
        if not self.summarises:
            return
        if self.duration is None or self.position is None or self.position.dims != 2:
            raise ValueError(f"event {self.name!r}: means are of places in two dimensions")
        if not all(0 <= decay < 1 for decay in (*self.move_means, *self.landing_means)):
            raise ValueError(f"event {self.name!r}: a decay of means is from 0 to below 1")

    def _problem(self, factor: Factor, known: list[Factor]) -> str | None:
        """Return what is wrong with a factor after the earlier ones, or None."""
        if factor.name in [f.name for f in known]:
            return "another factor has this name"
        if factor.slides is None:
            return None
        kinds = {f.columns[0]: f.kind for f in known}
        if factor.kind != "position" or any(f.slides is not None for f in known):
            return "only one position can slide"
        if kinds.get(factor.slides) != "flag":
            return f"it slides by column {factor.slides}, which is no earlier flag"
        if self.duration is not None and kinds.get(self.duration) != "duration":
            return f"velocities need column {self.duration} to be an earlier duration"
        return None

    @property
    def summarises(self) -> bool:
        """Whether the model is given running means of what was played."""
        return bool(self.move_means or self.landing_means)

    @property
    def position(self) -> Factor | None:
        """The position that can slide, if there is one."""
        return next((f for f in self.factors if f.slides is not None), None)

    @property
    def lattices(self) -> tuple[tuple[int, float], ...]:
        """The lattices of its position, and their shares."""
        return self.position.lattices if self.position else ()

    @property
    def flags(self) -> tuple[int, ...]:
        """The columns that are flags."""
        return tuple(f.columns[0] for f in self.factors if f.kind == "flag")

    @property
    def noise(self) -> tuple[float, ...]:
        """The width of the dequantising noise of each column."""
        widths = {c: f.noise for f in self.factors for c in f.columns}
        return tuple(widths[c] for c in range(len(self.columns)))


def touch_event(
    *,
    components: int = 12,
    hidden: int = 128,
    lattices: tuple[tuple[int, float], ...] = (),
    pressure: bool = False,
) -> EventSpec:
    """Return the description of a touch: (x, y, dt, moving); phase first, then dt, then place.

    x and y are in screen units, dt in seconds; moving is 0 where the finger lands. With
    pressure there is a fifth column, 0..1, which is predicted last; its noise is as wide as
    the steps of MIDI's.
    """
    factors: tuple[Factor, ...] = (
        Factor(name="phase", kind="flag", columns=(3,)),
        Factor(name="dt", kind="duration", columns=(2,), components=components,
               hidden=hidden // 2, noise=1e-3, centre=-4.0),
        Factor(name="xy", kind="position", columns=(0, 1), components=components, hidden=hidden,
               noise=1 / 1024, centre=0.5, scale=0.25, step=0.02, slides=3, lattices=lattices),
    )  # fmt: skip
    if pressure:
        pressed = Factor(name="pressure", kind="position", columns=(4,), components=components,
                         hidden=hidden // 2, noise=1 / 128, centre=PRESSURE_RESTS,
                         scale=0.25)  # fmt: skip
        factors = (*factors, pressed)
    columns = PRESSED if pressure else TOUCH
    return EventSpec(name="touch", columns=columns, factors=factors, duration=2, speed=0.8)


def stroke_event(*, components: int = 12, hidden: int = 128, scale: float = 20.0) -> EventSpec:
    """Return the description of a point of a pen stroke, as stroke-3: (dx, dy, lifted).

    dx and dy are whole numbers, dequantised by ±0.5; lifted is 1 where the pen lifts after.
    """
    offset = Factor(
        name="offset", kind="offset", columns=(0, 1), components=components, hidden=hidden,
        noise=1.0, scale=scale,
    )  # fmt: skip
    lifted = Factor(name="lifted", kind="flag", columns=(2,))
    return EventSpec(name="stroke", columns=("dx", "dy", "lifted"), factors=(offset, lifted))


def knob_columns(knobs: int) -> tuple[str, ...]:
    """Return the columns of an event of knobs: (v1, …, vN, dt, moving).

    Raises ValueError unless there are 1 to MAX_KNOBS.
    """
    if not 1 <= knobs <= MAX_KNOBS:
        raise ValueError(f"an event has 1 to {MAX_KNOBS} knobs, not {knobs}")
    return (*(f"v{i + 1}" for i in range(knobs)), "dt", "moving")


def count_knobs(columns: tuple[str, ...]) -> int:
    """Return the number of knobs of an event with these columns; 0 for another event."""
    knobs = len(columns) - 2
    return knobs if 1 <= knobs <= MAX_KNOBS and columns == knob_columns(knobs) else 0


def knob_event(
    knobs: int,
    *,
    components: int = 24,
    hidden: int = 128,
    lattices: tuple[tuple[int, float], ...] = (),
    fewer: bool = False,
) -> EventSpec:
    """Return the description of N knobs: (v1, …, vN, dt, moving); phase, then dt, then values.

    values are 0..1, dt is in seconds; moving is 0 after a pause (robojam.touch.PAUSE_IS_DOWN)
    and for the first event. Raises ValueError unless there are 1 to MAX_KNOBS.
    """
    columns = knob_columns(knobs)
    factors = (
        Factor(name="phase", kind="flag", columns=(knobs + 1,)),
        Factor(name="dt", kind="duration", columns=(knobs,), components=components,
               hidden=hidden // 2, noise=1e-3, centre=-4.0),
        Factor(name="values", kind="position", columns=tuple(range(knobs)),
               components=components, hidden=hidden, noise=1 / 1024, centre=0.5, scale=0.25,
               step=0.02, slides=knobs + 1, lattices=lattices, follows=True,
               diagonal=knobs > 1),
    )  # fmt: skip
    return EventSpec(
        name="knobs", columns=columns, factors=factors, duration=knobs, speed=0.8, fewer=fewer
    )
