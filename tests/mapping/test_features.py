"""Features of touches: each in its unit, of the finger that last landed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.mapping.features import FEATURES, GROUPS, Tracker, hears
from robojam.touch import Phase, Touch

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


def touch(phase=MOVE, x=0.5, y=0.5, finger=0, who="ai", pressure=None) -> Touch:
    return Touch(x, y, 0.0, phase, finger, who, pressure)


def played(*touches) -> Tracker:
    """Return a tracker that has heard touches, each with its instant."""
    tracker, last = Tracker(), None
    for at, each in touches:
        tracker.touch(each, 0.0 if last is None else at - last, at)
        last = at
    return tracker


def test_nothing_is_known_before_the_first_touch():
    assert all(Tracker().value(name, 1.0) is None for name in FEATURES)


def test_speed_is_in_screens_a_second_over_two_touches():
    tracker = played((1.0, touch(DOWN, 0.1)), (1.1, touch(x=0.3)), (1.2, touch(x=0.5)))
    assert tracker.value("speed", 1.2) == pytest.approx(0.5 * (1.0 + 2.0))
    assert tracker.value("acceleration", 1.2) == pytest.approx(5.0)
    assert tracker.value("stroke-length", 1.2) == pytest.approx(0.4)
    assert tracker.value("dt", 1.2) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("x", "y", "direction"), [(0.6, 0.5, 0), (0.5, 0.4, 90), (0.5, 0.6, -90), (0.6, 0.4, 45)]
)
def test_direction_is_in_degrees_and_up_is_90(x, y, direction):
    tracker = played((0.0, touch(DOWN)), (0.1, touch(x=x, y=y)))
    assert tracker.value("direction", 0.1) == pytest.approx(direction)


def test_curvature_of_a_circle_is_one_by_its_radius_to_the_left_above_zero():
    radius = 0.25
    for sign in (1, -1):
        angles = [0.05 * n for n in range(20)]
        circle = [
            touch(x=0.5 + radius * math.cos(a), y=0.5 - sign * radius * math.sin(a))
            for a in angles
        ]
        timed = [(n * 0.01, each) for n, each in enumerate(circle)]
        assert played(*timed).value("curvature", 0.2) == pytest.approx(sign / radius, rel=1e-3)


def test_time_since_landing_goes_on_until_the_finger_lifts():
    tracker = played((1.0, touch(DOWN)))
    assert tracker.value("since-landing", 1.75) == 0.75
    assert tracker.flows("since-landing", 1.75, high=2.0)
    assert not tracker.flows("since-landing", 3.5, high=2.0)
    tracker.touch(touch(UP), 0.0, 2.5)
    assert tracker.value("since-landing", 9.0) == 1.5
    assert not tracker.flows("since-landing", 2.6, high=2.0)


def test_lift_ends_what_moves_and_leaves_the_place():
    tracker = played((0.0, touch(DOWN, 0.2)), (0.1, touch(x=0.4)), (0.2, touch(UP, 0.4)))
    for name in ("speed", "acceleration", "phase", "pressure"):
        assert tracker.value(name, 0.2) == 0
    assert tracker.value("x", 0.2) == 0.4


def test_phase_is_that_of_the_last_touch():
    tracker = played((0.0, touch(DOWN)))
    assert tracker.value("phase", 0.0) == 1
    tracker.touch(touch(), 0.1, 0.1)
    assert tracker.value("phase", 0.1) == 0.5


def test_pressure_is_measured_or_comes_from_the_speed():
    tracker = played((0.0, touch(DOWN, pressure=0.9)))
    assert tracker.value("pressure", 0.0) == 0.9
    tracker.touch(touch(x=0.75), 0.1, 0.1)
    assert tracker.value("pressure", 0.1) == pytest.approx(0.5 * 2.5 / 2.5)


def test_turn_is_one_while_it_is_the_machine_s():
    tracker = Tracker()
    tracker.pass_turn("ai")
    assert tracker.value("turn", 0.0) == 1
    tracker.pass_turn("human")
    assert tracker.value("turn", 0.0) == 0


def test_finger_that_last_landed_is_followed_and_others_only_counted():
    tracker = played((0.0, touch(DOWN, 0.1)), (0.1, touch(DOWN, 0.8, finger=1)))
    before = tracker.value("density", 0.2)
    assert tracker.touch(touch(x=0.2), 0.1, 0.2)
    assert tracker.value("x", 0.2) == 0.8
    assert tracker.value("density", 0.2) > before
    assert not tracker.touch(touch(UP, 0.2), 0.1, 0.3)
    assert tracker.value("phase", 0.3) == 1
    tracker.touch(touch(UP, 0.8, finger=1), 0.1, 0.3)
    tracker.touch(touch(x=0.3, finger=2), 0.1, 0.4)  # the one that is left begins a stroke
    assert tracker.value("x", 0.4) == 0.3
    assert tracker.value("stroke-length", 0.4) == 0


def test_density_of_a_steady_stream_is_its_rate_and_fades():
    tracker = played(*((n / 50, touch(DOWN if not n else MOVE)) for n in range(500)))
    assert tracker.value("density", 10.0) == pytest.approx(50, rel=0.03)
    assert tracker.value("density", 11.0) == pytest.approx(50 / math.e, rel=0.05)
    assert tracker.flows("density", 11.0, high=60)
    assert tracker.value("density", 30.0) == 0
    assert not tracker.flows("density", 30.0, high=60)


def test_selection_hears_its_players_alone():
    heard = {
        group: [w for w in ("human", "human2", "ai", "ai2") if hears(group, w)]
        for group in (*GROUPS, "ai2", "human")
    }
    assert heard == {
        "machine": ["ai", "ai2"], "humans": ["human", "human2"],
        "all": ["human", "human2", "ai", "ai2"], "ai2": ["ai2"], "human": ["human"],
    }  # fmt: skip


PLACES = st.floats(0, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(Phase), PLACES, PLACES, st.integers(0, 2), st.floats(0, 3)),
        max_size=40,
    )
)
def test_every_feature_of_any_touches_is_finite(steps):
    tracker, now = Tracker(), 0.0
    for phase, x, y, finger, dt in steps:
        now += dt
        tracker.touch(touch(phase, x, y, finger), dt, now)
        for name in FEATURES:
            value = tracker.value(name, now)
            assert value is None or math.isfinite(value)
            if name in ("x", "y", "phase", "pressure", "turn") and value is not None:
                assert 0 <= value <= 1
