"""Models of knobs at play: all their values, those that stay, and instruments with fewer."""

from itertools import pairwise

import numpy as np
import pytest
from support.models import KNOBS, TOUCHES, filed, is_trained, small

from robojam.jam.protocols import Proposal
from robojam.model.event import count_knobs, knob_event
from robojam.model.file import ModelFileError, find, read
from robojam.player.player import ModelPlayer
from robojam.touch import place_of

COUNTS = [count_knobs(event.columns) for event in KNOBS]
BY_COUNT = dict(zip(COUNTS, KNOBS, strict=True))


def player(count: int, *, voices: int = 1, of: int = 0, seed: int = 3) -> ModelPlayer:
    file = filed(small(BY_COUNT[of or count], seed=1))
    return ModelPlayer(file, voices=voices, knobs=count, seed=seed)


def feed(to: ModelPlayer, *knobs: float, dt: float = 0.02, moving: bool = True) -> None:
    to.feed(*place_of(knobs), dt, moving, knobs)


def commit(to: ModelPlayer, voice: int, p: Proposal) -> None:
    to.commit(voice, p.x, p.y, max(p.dt, 0.001), p.moving, p.knobs)


def played(by: ModelPlayer, count: int, voice: int = 0) -> list[Proposal]:
    events = []
    for _ in range(count):
        (proposal,) = by.sample([voice])
        commit(by, voice, proposal)
        events.append(proposal)
    return events


@pytest.mark.parametrize("count", COUNTS)
def test_player_plays_all_values_within_their_ends(count):
    made = player(count)
    feed(made, *[0.25] * count, moving=False)
    for proposal in played(made, 200):
        assert len(proposal.knobs) == count
        assert all(0 <= value <= 1 for value in proposal.knobs)
        assert (proposal.x, proposal.y) == place_of(proposal.knobs)


@pytest.mark.parametrize("count", COUNTS)
def test_same_seed_plays_the_same_and_a_snapshot_goes_on(count):
    one, other = player(count), player(count)
    for made in (one, other):
        feed(made, *[0.25] * count, moving=False)
    assert played(one, 20) == played(other, 20)
    kept = one.snapshot()
    first = played(one, 20)
    one.restore(kept)
    assert played(one, 20) == first
    assert played(player(count, seed=4), 20) != played(player(count), 20)


@pytest.mark.parametrize("voices", [2, 3, 9])
def test_voices_play_each_its_own(voices):
    made = player(4, voices=voices)
    feed(made, 0.1, 0.2, 0.3, 0.4, moving=False)
    drawn = made.sample(range(voices))
    assert len({p.knobs for p in drawn}) == voices
    for voice, proposal in enumerate(drawn):
        commit(made, voice, proposal)
    made.feed_some({1: (0.1, True)}, 0.5, 0.5, (0.5, 0.5, 0.5, 0.5))
    again = made.sample(range(voices))
    assert len({p.knobs for p in again}) == voices


@pytest.mark.parametrize("count", COUNTS)
def test_knob_moves_by_more_than_the_noise_or_stays_where_it_was(count):
    made = player(count)
    made.set_sampling(temperature=1.0, spread=0.02)
    feed(made, *[0.5] * count, moving=False)
    steps = [
        abs(a - b)
        for p, q in pairwise(played(made, 100))
        for a, b in zip(p.knobs, q.knobs, strict=True)
        if 0 < a < 1 and 0 < b < 1  # one that is held at an end may move by less
    ]
    inside = [step for step in steps if step > 1e-6]  # the others stay
    assert all(step > 0.9 / 1024 for step in inside)


@pytest.mark.parametrize("count", [1, 3, 8, 15])
def test_model_of_fewer_knobs_too_plays_an_instrument_with_any_number(count):
    made = player(count, of=16)
    feed(made, *[0.25] * count, moving=False)
    assert {len(p.knobs) for p in played(made, 20)} == {count}
    rests = made._stepper.state.position[0, count:]
    assert rests == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("of", "count", "said"),
    [
        (4, 3, "is a model of 4 knobs, and the instrument has 3 knobs"),
        (4, 9, "is a model of 4 knobs, and the instrument has 9 knobs"),
        (4, 0, "for an instrument with 4 knobs: --knobs 4"),
        (16, 0, "for an instrument with 1 to 16 knobs: --knobs 16"),
    ],
)
def test_model_of_another_shape_is_refused_with_both(of, count, said):
    file = filed(small(BY_COUNT[of]))
    with pytest.raises(ModelFileError, match=said):
        ModelPlayer(file, knobs=count)


def test_model_of_touches_is_refused_for_knobs():
    with pytest.raises(ModelFileError, match="and the instrument has 4 knobs"):
        ModelPlayer(filed(small(TOUCHES)), knobs=4)


def test_model_of_more_knobs_that_was_not_trained_on_fewer_is_refused():
    file = filed(small(knob_event(16, components=3, hidden=8)))
    with pytest.raises(ModelFileError, match="16 knobs, and the instrument has 8"):
        ModelPlayer(file, knobs=8)


def test_numbers_that_overflow_are_refused_at_the_start():
    model = small(BY_COUNT[4])
    model.trunk.weight.data.fill_(np.nan)
    with pytest.raises(ModelFileError, match="its numbers overflow"):
        ModelPlayer(filed(model), knobs=4)


def test_player_of_knobs_plans_nothing_and_expects_nothing():
    made = player(4)
    assert not made.plans
    assert made.forecast() == []


@is_trained
def test_robojam_s_own_model_plays_any_number_of_knobs():
    path = find(None, of_knobs=True)
    if not path.is_file():
        pytest.skip("no default model of knobs here")
    for count in (1, 4, 16):
        made = ModelPlayer(read(path), knobs=count)
        feed(made, *[0.5] * count, moving=False)
        assert {len(p.knobs) for p in played(made, 50)} == {count}
