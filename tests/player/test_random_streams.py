"""Random numbers of voices: what they depend on, and their distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from robojam.player.random_streams import RandomStreams

#: Blocks end at 64.
COUNTS = (0, 1, 63, 64, 65, 200)


def seeded(seed: int, voices: int = 2) -> RandomStreams:
    made = RandomStreams(voices, uniform=3, normal=4)
    made.seed(seed)
    return made


def rows(made: RandomStreams, voices: list[int], counts: list[int]) -> Any:
    return made.rows(np.array(voices), np.array(counts))


def test_numbers_depend_on_seed_voice_and_count_alone():
    made = seeded(9)
    drawn = {(voice, count): made.row(voice, count) for voice in (0, 1) for count in COUNTS}
    assert len({str(d) for d in drawn.values()}) == len(drawn)
    for (voice, count), expected in sorted(drawn.items(), reverse=True):
        made.row(1 - voice, 7 * count)
        assert made.row(voice, count) == expected
    assert seeded(9, voices=1).row(0, 65) == drawn[0, 65]
    made.seed(10)
    assert made.row(0, 0) != drawn[0, 0]


def test_rows_equal_single_rows():
    made, other = seeded(9, 4), seeded(9, 4)
    for counts in ([0, 63, 64, 200], [1, 64, 64, 3], [64, 0, 65, 4]):
        found = rows(made, [2, 0, 3, 1], counts)
        assert found.dtype == np.float32
        expected = [other.row(v, n) for v, n in zip([2, 0, 3, 1], counts, strict=True)]
        assert found.tolist() == expected


def test_numbers_are_those_of_earlier_versions():
    """Recordings are regenerated from their seed, so these numbers must never change."""
    found = seeded(5).row(1, 70)
    expected = [
        0.50541133,
        0.71434474,
        0.86864066,
        1.4986787,
        -0.82475489,
        -1.8966687,
        1.4212302,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_seeds_and_voices_do_not_share_numbers():
    seen = set()
    for seed in (0, 1, 2, 2**63 - 1):
        made = seeded(seed, voices=3)
        for voice in range(3):
            seen |= {tuple(made.row(voice, count)) for count in range(70)}
    assert len(seen) == 4 * 3 * 70


def test_numbers_are_uniform_and_normal():
    made = seeded(1, voices=1)
    u, z = np.split(np.array([made.row(0, count) for count in range(4000)]), [3], axis=1)
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_allclose(u.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(4), atol=0.06)
    np.testing.assert_allclose(z.std(0), 1, atol=0.04)


def test_voices_in_step_generate_their_blocks_at_different_touches():
    made, everyone, filled = seeded(6, voices=128), np.arange(128), [0]
    fill = np.random.Generator.random

    class Counting:
        def __init__(self, draw: Any) -> None:
            self.draw = draw
            self.standard_normal = draw.standard_normal

        def random(self, *arguments: Any) -> Any:
            filled[0] += 1
            return fill(self.draw, *arguments)

    made._generator = Counting(made._generator)  # type: ignore[assignment]
    for count in range(640):
        filled[0] = 0
        made.rows(everyone, np.full(128, count))
        assert filled[0] <= (128 + 2 if count == 0 else 2)
