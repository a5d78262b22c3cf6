"""Descriptions of events: their properties, and refusals."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from robojam.model.event import MAX_SIZE, EventSpec, Factor, stroke_event, touch_event


def test_a_touch_is_predicted_phase_first_then_dt_then_the_place():
    event = touch_event(components=5, hidden=64)
    assert event.columns == ("x", "y", "dt", "moving")
    assert [(f.name, f.columns) for f in event.factors] == [
        ("phase", (3,)),
        ("dt", (2,)),
        ("xy", (0, 1)),
    ]
    assert event.flags == (3,)
    assert event.position is event.factors[2]
    assert event.noise == (1 / 1024, 1 / 1024, 1e-3, 0)


def test_stroke_event_has_no_position_and_no_duration():
    event = stroke_event()
    assert event.position is None
    assert event.duration is None
    assert event.flags == (2,)
    assert event.noise == (1, 1, 0)


@pytest.mark.parametrize("event", [touch_event(), stroke_event(scale=3.5)])
def test_event_spec_survives_json(event):
    assert msgspec.json.decode(msgspec.json.encode(event), type=EventSpec) == event


FLAG = Factor(name="f", kind="flag", columns=(0,))
TIME = Factor(name="t", kind="duration", columns=(1,), components=2)
PLACE = Factor(name="p", kind="position", columns=(2,), components=2, slides=0)


def made(*factors: Factor, columns: str = "f t p", **more: Any) -> EventSpec:
    return EventSpec(name="e", columns=tuple(columns.split()), factors=factors, **more)


def but(factor: Factor, **changed: Any) -> Factor:
    return msgspec.structs.replace(factor, **changed)


def test_position_is_the_factor_that_slides():
    assert made(FLAG, TIME, PLACE, duration=1).position == PLACE


@pytest.mark.parametrize(
    ("factors", "more", "message"),
    [
        ((FLAG, TIME), {}, "cover each of the columns f, t, p once"),
        ((FLAG, TIME, PLACE, but(FLAG, name="again")), {}, "once"),
        ((FLAG, TIME, but(PLACE, columns=(7,))), {}, "once"),
        ((but(FLAG, columns=(0, 1)), PLACE), {}, "a flag has one column"),
        ((FLAG, but(TIME, columns=(1, 2))), {}, "a duration has one column"),
        ((FLAG, but(TIME, components=0), PLACE), {}, "components, not 0"),
        ((FLAG, but(TIME, components=MAX_SIZE + 1), PLACE), {}, "components"),
        ((but(FLAG, hidden=0), TIME, PLACE), {}, "hidden layer"),
        ((but(FLAG, hidden=10**9), TIME, PLACE), {}, "hidden layer"),
        ((FLAG, but(TIME, scale=0.0), PLACE), {}, "from 1e-06 to 1e"),
        ((FLAG, but(TIME, scale=math.nan), PLACE), {}, "from 1e-06 to 1e"),
        ((FLAG, TIME, but(PLACE, step=-1.0)), {}, "from 1e-06 to 1e"),
        ((FLAG, TIME, but(PLACE, centre=math.inf)), {}, "centre"),
        ((FLAG, TIME, but(PLACE, noise=-1.0)), {}, "noise"),
        ((FLAG, TIME, but(PLACE, name="t")), {}, "another factor has this name"),
        ((TIME, PLACE, FLAG), {}, "no earlier flag"),
        ((FLAG, TIME, but(PLACE, slides=1)), {}, "no earlier flag"),
        ((FLAG, but(TIME, slides=0), PLACE), {}, "only one position"),
        ((FLAG, TIME, but(PLACE, slides=9)), {}, "column 9"),
        ((FLAG, PLACE, TIME), {"duration": 1}, "earlier duration"),
        ((FLAG, TIME, PLACE), {"duration": 0}, "earlier duration"),
        ((FLAG, TIME, PLACE), {"speed": 0.0}, "speed"),
        ((FLAG, TIME, PLACE), {"speed": math.nan}, "speed"),
    ],
)
def test_invalid_event_spec_is_refused_with_the_reason(factors, more, message):
    with pytest.raises(ValueError, match=message):
        made(*factors, **more)


def test_event_spec_with_two_sliding_positions_is_refused():
    other = but(PLACE, name="q", columns=(3,))
    with pytest.raises(ValueError, match="only one position"):
        made(FLAG, TIME, PLACE, other, columns="f t p q")
