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

from typing import Literal

import msgspec


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some columns of an event that are predicted together.

    centre and scale bring the columns (for a duration: its logarithm) to about
    zero mean and unit deviation; step is the scale of one slide of a position.
    noise is the width of the uniform noise that dequantises each column: the
    model was trained, and is fed, on values with it. Half of it is added to what
    is fed in play, and taken from what is played.
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

    @property
    def dims(self) -> int:
        """How many columns."""
        return len(self.columns)


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
        known: set[int] = set()
        for factor in self.factors:
            if factor.kind == "flag" and factor.dims != 1:
                raise ValueError(f"factor {factor.name!r}: a flag has one column")
            if factor.kind == "duration" and factor.dims != 1:
                raise ValueError(f"factor {factor.name!r}: a duration has one column")
            if factor.kind != "flag" and factor.components < 1:
                raise ValueError(f"factor {factor.name!r}: at least one component")
            if factor.slides is not None and factor.slides not in known:
                raise ValueError(f"factor {factor.name!r} slides by a flag that comes after it")
            if min(factor.scale, factor.step, self.speed) <= 0 or factor.noise < 0:
                raise ValueError(f"factor {factor.name!r}: scales are above zero")
            known.update(factor.columns)

    @property
    def position(self) -> Factor | None:
        """The factor that has a place to slide from, if any."""
        return next((f for f in self.factors if f.slides is not None), None)

    @property
    def flags(self) -> tuple[int, ...]:
        """The columns that are flags."""
        return tuple(f.columns[0] for f in self.factors if f.kind == "flag")

    @property
    def noise(self) -> tuple[float, ...]:
        """The width of the dequantising noise of each column."""
        widths = {c: f.noise for f in self.factors for c in f.columns}
        return tuple(widths[c] for c in range(len(self.columns)))


def touch_event(*, components: int = 12, hidden: int = 128) -> Event:
    """Describe a touch: (x, y, dt, moving), the phase first, then dt, then the place.

    x and y are in screen units, dt in seconds; moving is 0 where the finger lands.
    """
    return Event(
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
            ),
        ),
    )


def stroke_event(*, components: int = 12, hidden: int = 128, scale: float = 20.0) -> Event:
    """Describe a point of a pen stroke, as in stroke-3: (dx, dy, lifted after it).

    dx and dy are whole numbers, dequantised by ±0.5.
    """
    return Event(
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
