"""Look-ahead: many voices are stepped in batches, and `sample` changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import TOUCHES, filed, small

from robojam.jam.protocols import Proposal
from robojam.player.cpu_batch import BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.player import ModelPlayer

FILE = filed(small(TOUCHES, seed=3))
VOICES = 9


def player(seed: int = 5, *, lookahead: bool = True, voices: int = VOICES) -> ModelPlayer:
    made = ModelPlayer(FILE, voices=voices, seed=seed)
    assert made._lookahead is not None
    if not lookahead:
        made._lookahead = None
    rng = np.random.default_rng(0)
    for i in range(20):
        x, y, dt = rng.random(3).tolist()
        made.feed(x, y, 0.02 * dt, i % 7 > 0)
    return made


def commit(made: ModelPlayer, voice: int, proposal: Proposal) -> None:
    x, y = (min(max(v, 0.0), 1.0) for v in (proposal.x, proposal.y))
    made.commit(voice, x, y, min(max(proposal.dt, 0.001), 5.0), proposal.moving)


def play(made: ModelPlayer, rounds: int, *, order: int = 0) -> list[list[Proposal]]:
    """Play voices in a random order, some more often than others, as a jam does."""
    played = []
    rng = np.random.default_rng(order)
    made.sample(range(made.voices))
    for _ in range(rounds):
        voice = int(rng.integers(made.voices))
        (proposal,) = made.sample([voice])
        commit(made, voice, proposal)
        played.append([proposal, *made.sample([voice])])
    return played


def assert_close(
    found: list[list[Proposal]], expected: list[list[Proposal]], tolerance: float
) -> None:
    for mine, its in zip(found, expected, strict=True):
        for p, q in zip(mine, its, strict=True):
            np.testing.assert_allclose(
                (p.x, p.y, p.dt, p.moving),
                (q.x, q.y, q.dt, q.moving),
                rtol=10 * tolerance,
                atol=tolerance,
            )


def test_voices_play_as_they_do_without_lookahead():
    """The first touches agree to 1e-5; after many, rounding errors have grown."""
    assert_close(play(player(), 60), play(player(lookahead=False), 60), 1e-4)


def test_voices_play_the_same_again_to_the_bit():
    assert play(player(), 200) == play(player(), 200)
    assert play(player(), 40) != play(player(seed=6), 40)


@pytest.mark.parametrize(
    "interruption",
    [
        "feed",
        "feed_some",
        "set_sampling",
        "seed",
        "reset",
        "restore",
        "skip",
        "commit another touch",
    ],
)
def test_interruption_drops_what_was_computed_ahead(interruption):
    def interrupted(made: ModelPlayer) -> list[list[Proposal]]:
        play(made, 30)
        kept = made.snapshot()
        play(made, 7, order=1)
        {
            "feed": lambda: made.feed(0.1, 0.9, 0.3, False),
            "feed_some": lambda: made.feed_some({2: (0.3, False), 5: (0.2, True)}, 0.1, 0.9),
            "set_sampling": lambda: made.set_sampling(temperature=0.2, spread=0.5),
            "seed": lambda: made.seed(77),
            "reset": made.reset,
            "restore": lambda: made.restore(kept),
            "skip": lambda: made.skip(3),
            "commit another touch": lambda: made.commit(3, 0.5, 0.5, 0.123, False),
        }[interruption]()
        return play(made, 30, order=2)

    assert_close(interrupted(player()), interrupted(player(lookahead=False)), 2e-4)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from([*["commit"] * 3, "another", "skip", "feed", "feed_some", "restore"]),
        st.integers(0, VOICES - 1),
        st.sets(st.integers(0, VOICES - 1)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(operations=OPERATIONS)
def test_sample_changes_no_later_result_by_a_bit(operations):
    """Two players play the same touches, and one of them also samples in between."""
    asked, other = player(), player()
    kept = [made.snapshot() for made in (asked, other)]
    for operation, voice, sampled in operations:
        if sampled:
            first = asked.sample(sorted(sampled))
            assert asked.sample(sorted(sampled, reverse=True)) == first[::-1]
        (proposal,) = asked.sample([voice])
        for made, snapshot in zip((asked, other), kept, strict=True):
            match operation:
                case "commit":
                    commit(made, voice, proposal)
                case "another":
                    made.commit(voice, 0.5, 0.5, 0.123, False)
                case "skip":
                    made.skip(voice)
                case "feed":
                    made.feed(0.1, 0.9, 0.3, False)
                case "feed_some":
                    made.feed_some({voice: (0.3, False), 4: (0.2, True)}, 0.1, 0.9)
                case "restore":
                    made.restore(snapshot)
    assert asked.sample(range(VOICES)) == other.sample(range(VOICES))
    for mine, its in zip(
        asked._stepper.state.arrays(), other._stepper.state.arrays(), strict=True
    ):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize(("voices", "most"), [(32, 12), (64, 24)])
def test_many_voices_are_stepped_in_batches_and_not_one_by_one(voices, most, monkeypatch):
    made = player(voices=voices)
    batches = [0]
    feed_rows = BatchStepper.feed_rows

    def counted(self: BatchStepper, rows: Any, events: Any) -> None:
        batches[0] += 1
        feed_rows(self, rows, events)

    monkeypatch.setattr(BatchStepper, "feed_rows", counted)
    monkeypatch.setattr(SingleStepper, "feed", None)
    made.sample(range(voices))
    for _ in range(10):
        for voice in range(voices):
            commit(made, voice, made.sample([voice])[0])
            made.sample([voice])
    assert batches[0] <= most
