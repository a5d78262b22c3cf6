"""Models of touches with their pressure at play: what they are fed, and what they play."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.engine import OUT, DrivenEngine
from support.models import PRESSES, TOUCHES, corpus, filed, small
from support.players import ScriptedPlayer
from support.steppers import needs_numba

from robojam.corpus.corpus import clean
from robojam.evaluation.likelihood import score
from robojam.jam.protocols import Proposal
from robojam.model.mdrnn import EventModel
from robojam.player.generate import generate
from robojam.player.player import ModelPlayer
from robojam.sessions.compose import compose
from robojam.sessions.regenerate import regenerate
from robojam.touch import Phase

FILE = filed(small(PRESSES, seed=2))
PLAIN = filed(small(TOUCHES))
SAMPLING = {"seed": 3, "temperature": 1.0, "spread": 1.0}


def no_other(model: dict[str, Any]) -> ModelPlayer:
    raise AssertionError(model)


def played(by: ModelPlayer, count: int, voice: int = 0) -> list[Proposal]:
    touches = []
    for _ in range(count):
        (p,) = by.sample([voice])
        by.commit(voice, p.x, p.y, min(max(p.dt, 0.001), 5.0), p.moving, (), p.pressure)
        touches.append(p)
    return touches


def test_model_of_pressure_plays_one_from_0_to_1_that_varies():
    touches = played(ModelPlayer(FILE, seed=1), 100)
    pressures = [touch.pressure for touch in touches]
    assert all(pressure is not None and 0 <= pressure <= 1 for pressure in pressures)
    assert len(set(pressures)) > 20


def test_model_of_places_plays_no_pressure_and_does_not_hear_one():
    one, other = ModelPlayer(PLAIN, seed=1), ModelPlayer(PLAIN, seed=1)
    one.feed(0.5, 0.5, 0.1, False, (), 0.9)
    other.feed(0.5, 0.5, 0.1, False)
    assert played(one, 10) == played(other, 10)
    assert all(touch.pressure is None for touch in played(one, 10))


def test_pressure_that_is_heard_changes_what_is_played():
    soft, hard = ModelPlayer(FILE, seed=1), ModelPlayer(FILE, seed=1)
    soft.feed(0.5, 0.5, 0.1, False, (), 0.1)
    hard.feed(0.5, 0.5, 0.1, False, (), 0.9)
    assert played(soft, 10) != played(hard, 10)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_pressure_that_was_not_measured_is_that_of_the_touch_before(compiled):
    once, again = (ModelPlayer(FILE, seed=1, compiled=compiled) for _ in range(2))
    for made, second in ((once, None), (again, 0.75)):
        made.feed(0.5, 0.5, 0.1, False, (), 0.75)
        made.feed(0.6, 0.5, 0.1, True, (), second)
    p, q = once.sample([0])[0], again.sample([0])[0]
    assert (p.x, p.y, p.dt, p.pressure) == pytest.approx((q.x, q.y, q.dt, q.pressure), abs=1e-4)
    never, middle = (ModelPlayer(FILE, seed=1, compiled=compiled) for _ in range(2))
    never.feed(0.5, 0.5, 0.1, False)
    middle.feed(0.5, 0.5, 0.1, False, (), 0.5 - 0.5 / 128)  # with its noise it is the centre
    assert never.sample([0])[0].pressure == pytest.approx(
        middle.sample([0])[0].pressure, abs=1e-4
    )


@pytest.mark.parametrize("voices", [1, 3, 9])
def test_snapshot_goes_on_with_the_same_pressures(voices):
    made = ModelPlayer(FILE, voices=voices, seed=5)
    made.feed(0.5, 0.5, 0.1, False, (), 0.9)
    played(made, 5, voices - 1)
    kept = made.snapshot()
    first = played(made, 10, voices - 1)
    made.restore(kept)
    assert played(made, 10, voices - 1) == first


def test_pressure_that_overflows_is_replaced():
    made = ModelPlayer(FILE)
    made._stepper.sample = lambda voices, numbers, **_: [[0.5, 0.5, 0.1, 0.0, np.inf]]
    (proposal,) = made.sample([0])
    assert proposal.pressure is None
    assert made.take_faults() == 1


def test_forecast_is_of_places():
    made = ModelPlayer(FILE)
    made.feed(0.5, 0.5, 0.1, False, (), 0.9)
    assert np.array(made.forecast()).shape[1] == 6


def test_generated_takes_go_on_from_performances_with_pressure_and_without():
    call = np.array([[0.5, 0.5, 0.0, 0.0], [0.6, 0.5, 0.02, 1.0]])
    pressed = np.column_stack([call, [0.2, 0.9]])
    takes = generate(FILE, [call, pressed, call[:0]], seconds=1.0, **SAMPLING)
    assert all(take.shape[1] == 5 for take in takes)
    assert all(((take[:, 4] >= 0) & (take[:, 4] <= 1)).all() for take in takes)
    assert not np.array_equal(takes[0], takes[1])
    plain = generate(PLAIN, [pressed], seconds=1.0, **SAMPLING)
    np.testing.assert_array_equal(plain[0], generate(PLAIN, [call], seconds=1.0, **SAMPLING)[0])
    made = compose(pressed, takes[1], file=FILE, seed=3, options={})
    pressures = [e.touch.pressure for e in made.touches() if e.touch.phase is not Phase.UP]
    assert pressures == [0.2, 0.9, *takes[1][:, 4].tolist()]


def test_density_is_a_density_of_the_pressure():
    """It integrates to one over all pressures, whatever the rest of the touch is."""
    model: EventModel = small(PRESSES)
    grid = torch.linspace(-40, 41, 40_001)
    values = torch.tensor([[0.4, 0.5, 0.02, 1.0, 0.0]]).repeat(len(grid), 1, 1)
    values[:, 0, 4] = grid
    parts, _ = model(values)
    mass = parts[:, 0, -1].detach().exp().sum() * (grid[1] - grid[0])
    assert float(mass) == pytest.approx(1, abs=0.01)


def test_score_has_a_part_for_the_pressure_and_the_others_are_without_it():
    held_out = clean(corpus(PRESSES, [40, 30]))
    result = score(small(PRESSES), held_out, flagless=True)
    assert set(result.parts) == {"phase", "dt", "xy", "pressure"}
    assert sum(result.parts.values()) == pytest.approx(result.joint)


@pytest.mark.parametrize("mode", ["call-response", "duet", "ensemble"])
@pytest.mark.parametrize("voices", [1, 9])
def test_machine_s_pressure_is_recorded_and_regenerated_exactly(tmp_path, mode, voices):
    driven = DrivenEngine(
        tmp_path, ModelPlayer(FILE, voices=voices), mode=mode, voices=voices, threshold=0.1
    )
    for i in range(12):
        pressure = () if i % 3 else (i / 12,)
        driven.send("/robojam/move", "iff" + "f" * len(pressure), 0, i / 12, 0.5, *pressure)
        driven.wait(0.03)
    driven.wait(2.0)
    session = driven.end()
    machine = [e.touch for e in session.touches() if e.touch.who.startswith("ai")]
    pressures = {touch.pressure for touch in machine if touch.phase is not Phase.UP}
    assert len(pressures) > 3
    assert None not in pressures
    again = regenerate(session, ModelPlayer(FILE, voices=voices), no_other)
    assert list(again) == list(session.events)


def test_machine_s_pressure_is_sent_before_its_touch_and_only_where_it_is_known(tmp_path):
    script = Proposal(0.5, 0.5, 0.1, False, pressure=0.25), Proposal(0.5, 0.75, 0.1, True)
    driven, monitor = DrivenEngine(tmp_path, ScriptedPlayer(*script)), ("127.0.0.1", 9400)
    driven.send("/robojam/subscribe", "i", monitor[1])
    driven.send("/robojam/answer")
    driven.wait(0.25)
    sent = driven.take()
    for to in (OUT, monitor):
        names = [m.name for m in sent if m.to == to and m.name.startswith("ai/")]
        played = [name for name in names if name != "ai/next"]
        assert played == ["ai/pressure", "ai/down", "ai/move"]
    (pressed,) = [m.args for m in sent if m.to == OUT and m.name == "ai/pressure"]
    assert pressed == (0, 0.25)
