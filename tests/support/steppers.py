"""Networks, events and random numbers for tests of the steppers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robojam.model.event import EventSpec, Factor
from robojam.model.mdrnn import EventModel
from robojam.player.reference import Memory, Network
from support.models import STROKES, TOUCHES

SPACE = EventSpec(
    name="space",
    columns=("x", "held", "y", "z"),
    factors=(
        Factor(name="held", kind="flag", columns=(1,), hidden=4),
        Factor(
            name="place", kind="position", columns=(0, 2, 3), components=3, hidden=8, slides=1
        ),
    ),
)


LINE = EventSpec(
    name="line",
    columns=("dt", "held", "x"),
    duration=0,
    factors=(
        Factor(name="held", kind="flag", columns=(1,), hidden=4),
        Factor(name="dt", kind="duration", columns=(0,), components=2, hidden=8, centre=-3.0),
        Factor(name="x", kind="position", columns=(2,), components=3, hidden=8, slides=1),
    ),
)


def network(model: EventModel, xp: Any = np) -> Network:
    weights = {n: t.detach() for n, t in model.state_dict().items()}
    if xp is np:
        weights = {n: t.numpy() for n, t in weights.items()}
    return Network(xp, model.event, weights, model.layers)


def flat(memory: Memory) -> list[Any]:
    last = (memory.last, memory.now, memory.before, memory.heard)
    return [np.asarray(a) for a in (*memory.hidden, *memory.cell, *last)]


EVENTS = pytest.mark.parametrize("event", [TOUCHES, STROKES, SPACE, LINE], ids=lambda e: e.name)


def chances(event: EventSpec, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    uniform = rng.random(len(event.factors), np.float32).tolist()
    return [*uniform, *rng.standard_normal(len(event.columns), np.float32).tolist()]


def as_arrays(event: EventSpec, drawn: list[list[float]]) -> Any:
    """The same as the uniform ones and the normal ones."""
    return np.split(np.array(drawn, np.float32), [len(event.factors)], axis=1)


def events(event: EventSpec, voices: int, length: int) -> np.ndarray[Any, Any]:
    """Events (voices, length, C), their flags 0 or 1."""
    rng = np.random.default_rng(4)
    values = rng.random((voices, length, len(event.columns)), np.float32)
    for flag in event.flags:
        values[..., flag] = values[..., flag] > 0.3
    return values
