"""What a model is over: an event, described.

An event is a row of numbers, predicted factor by factor: each factor is a few
columns of the row, and is predicted given the events before and the factors
before it in the order of the description. A touch is one description, a pen
stroke of a kanji another; the model's code knows neither. The description
travels in the model's file.

Four kinds of factor:

``flag``
    one column, 0 or 1.
``duration``
    one column of seconds > 0; a mixture of normals over its logarithm.
``position``
    columns of a place; a mixture of normals over the place itself, or, where
    the flag named by ``slides`` is 1, over the offset from the last place,
    with means set off by learnt shares of the last velocities.
``offset``
    columns that are offsets already; a mixture of normals over them.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

#: Teeth of a lattice are wider than the noise by this, for recorded places stray a little.
MARGIN = 4e-6
#: No layer is wider, and no mixture has more components: a file could ask for anything.
MOST = 1 << 16


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some columns of an event that are predicted together.

    centre and scale bring the columns (for a duration: its logarithm) to about
    zero mean and unit deviation; step is the scale of one slide of a position.
    noise is the width of the uniform noise that dequantises each column: the
    model was trained, and is fed, on values with it. Half of it is added to what
    is fed in play, and taken from what is played. lattices are pairs of n and share: of
    the screens that report a position, that share has it in multiples of 1/n, coarser
    than the noise (robojam.model.lattice); the others show no lattice.
    """

    name: str
    kind: Literal["flag", "duration", "position", "offset"]
    columns: tuple[int, ...]
    components: int = 0
    hidden: int = 32
    noise: float = 0.0
    centre: float = 0.0
    scale: float = 1.0
    step: float = 1.0
    slides: int | None = None
    lattices: tuple[tuple[int, float], ...] = ()

    @property
    def dims(self) -> int:
        """How many columns."""
        return len(self.columns)

    def flaw(self) -> str | None:
        """Say what is wrong with it by itself, if anything is."""
        if self.dims != 1 and self.kind in ("flag", "duration"):
            return f"a {self.kind} has one column"
        if self.kind != "flag" and not 1 <= self.components <= MOST:
            return f"1 to {MOST} components, not {self.components}"
        if not 1 <= self.hidden <= MOST:
            return f"a hidden layer of 1 to {MOST}, not {self.hidden}"
        if not (0 < min(self.scale, self.step) <= max(self.scale, self.step) < math.inf):
            return "scales are numbers above zero"
        if not (0 <= self.noise < math.inf and math.isfinite(self.centre)):
            return "its noise is zero or more, and its centre a number"
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
    """The description of an event: its columns, and its factors in their order.

    duration is the column of seconds by which velocities are reckoned, if any;
    speed is the scale of a velocity, in units of place per second.
    """

    name: str
    columns: tuple[str, ...]
    factors: tuple[Factor, ...]
    duration: int | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Check that the description can be a model's. Raises ValueError."""
        seen = sorted(column for factor in self.factors for column in factor.columns)
        if seen != list(range(len(self.columns))):
            raise ValueError(
                f"event {self.name!r}: its factors must cover each of the columns "
                f"{', '.join(self.columns)} once"
            )
        known: list[Factor] = []
        for factor in self.factors:
            wrong = factor.flaw() or self._flaw(factor, known)
            if wrong:
                raise ValueError(f"factor {factor.name!r}: {wrong}")
            known.append(factor)
        if not 0 < self.speed < math.inf:
            raise ValueError(f"event {self.name!r}: its speed is a number above zero")

    def _flaw(self, factor: Factor, known: list[Factor]) -> str | None:
        """Say what is wrong with a factor after those that are known before it."""
        if factor.name in [f.name for f in known]:
            return "another one has its name"
        if factor.slides is None:
            return None
        kinds = {f.columns[0]: f.kind for f in known}
        if factor.kind != "position" or any(f.slides is not None for f in known):
            return "only one position can slide"
        if kinds.get(factor.slides) != "flag":
            return f"it slides by column {factor.slides}, which is no flag that comes before it"
        if self.duration is not None and kinds.get(self.duration) != "duration":
            return f"velocities want column {self.duration} to be a duration before it"
        return None

    @property
    def position(self) -> Factor | None:
        """The factor that has a place to slide from, if any."""
        return next((f for f in self.factors if f.slides is not None), None)

    @property
    def lattices(self) -> tuple[tuple[int, float], ...]:
        """The lattices on which its position may lie, and their shares."""
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
    """Describe a touch: (x, y, dt, moving), the phase first, then dt, then the place.

    x and y are in screen units, dt in seconds; moving is 0 where the finger lands.
    """
    return EventSpec(
        name="touch",
        columns=("x", "y", "dt", "moving"),
        duration=2,
        speed=0.8,
        factors=(
            Factor(name="phase", kind="flag", columns=(3,)),
            Factor(
                name="dt",
                kind="duration",
                columns=(2,),
                components=components,
                hidden=hidden // 2,
                noise=1e-3,
                centre=-4.0,
                scale=1.0,
            ),
            Factor(
                name="xy",
                kind="position",
                columns=(0, 1),
                components=components,
                hidden=hidden,
                noise=1 / 1024,
                centre=0.5,
                scale=0.25,
                step=0.02,
                slides=3,
                lattices=lattices,
            ),
        ),
    )


def stroke_event(*, components: int = 12, hidden: int = 128, scale: float = 20.0) -> EventSpec:
    """Describe a point of a pen stroke, as in stroke-3: (dx, dy, lifted after it).

    dx and dy are whole numbers, dequantised by ±0.5.
    """
    return EventSpec(
        name="stroke",
        columns=("dx", "dy", "lifted"),
        factors=(
            Factor(
                name="offset",
                kind="offset",
                columns=(0, 1),
                components=components,
                hidden=hidden,
                noise=1.0,
                centre=0.0,
                scale=scale,
            ),
            Factor(name="lifted", kind="flag", columns=(2,)),
        ),
    )
