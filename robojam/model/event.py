"""Description of the event that a model is over.

An event is a row of numbers, predicted factor by factor: each factor is a few columns of the
row, and is predicted given the earlier events and the earlier factors, in the order of the
description. A touch has one description, a point of a pen stroke another; the model's code
knows neither. The description is part of the model's file.

Four kinds of factor:

``flag``
    one column, 0 or 1.
``duration``
    one column of seconds > 0; a mixture of normals over its logarithm.
``position``
    columns of a place; a mixture of normals over the place itself, or, where
    the flag in column ``slides`` is 1, over the offset from the last place,
    with means shifted by learnt multiples of the last velocities.
``offset``
    columns that are offsets already; a mixture of normals over them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns of an event that are predicted together.

    centre and scale bring the columns (for a duration: its logarithm) to about zero mean and
    unit deviation; step is the scale of one slide of a position. hidden is the width of the
    factor's head. noise is the width of the uniform noise that dequantises each column: the
    model was trained on values with it. In play half of it is added to what is fed, and
    subtracted from what is played. lattices are pairs of n and share: that share of the
    screens reports a position in multiples of 1/n, coarser than the noise
    (robojam.model.lattice); the other screens show no lattice.
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
        return None


class EventSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of an event: its columns, and its factors in the order of prediction.

    duration is the column of seconds by which velocities are computed, if any; speed is the
    scale of a velocity, in units of position per second. move_means and landing_means are
    the decays per move and per landing of the running means by which the model remembers
    what was played (robojam.model.summary); none in files from before there were any.
    """

    name: str
    columns: Annotated[tuple[str, ...], Meta(max_length=_MAX_COLUMNS)]
    factors: Annotated[tuple[Factor, ...], Meta(max_length=_MAX_COLUMNS)]
    duration: int | None = None
    speed: float = 1.0
    move_means: Annotated[tuple[float, ...], Meta(max_length=_MAX_MEANS)] = ()
    landing_means: Annotated[tuple[float, ...], Meta(max_length=_MAX_MEANS)] = ()

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
) -> EventSpec:
    """Return the description of a touch: (x, y, dt, moving); phase first, then dt, then place.

    x and y are in screen units, dt in seconds; moving is 0 where the finger lands.
    """
    factors = (
        Factor(name="phase", kind="flag", columns=(3,)),
        Factor(name="dt", kind="duration", columns=(2,), components=components,
               hidden=hidden // 2, noise=1e-3, centre=-4.0),
        Factor(name="xy", kind="position", columns=(0, 1), components=components, hidden=hidden,
               noise=1 / 1024, centre=0.5, scale=0.25, step=0.02, slides=3, lattices=lattices),
    )  # fmt: skip
    columns = ("x", "y", "dt", "moving")
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
