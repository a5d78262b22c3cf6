"""Likeness: the features and the classifier."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import CORPUS, has_corpus
from support.models import TRAINED, is_trained

from robojam.cli import main
from robojam.corpus.corpus import clean
from robojam.corpus.formats import read
from robojam.evaluation import likeness
from robojam.evaluation.likeness import NAMES, describe, split_in_half

#: As the model plays by itself.
QUICK = ("--play", "--quick", "--follow", "0", "--memory", "0")


def stroke(n: int, dt: float = 0.02, wobble: float = 0.0, seed: int = 0) -> Any:
    """A landing and a straight slide across the surface."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 0.9, n)
    y = 0.5 + wobble * rng.standard_normal(n)
    return np.column_stack([x, y, np.full(n, dt), np.arange(n) > 0])


def described(rows: Any) -> dict[str, float]:
    return describe(rows[:, :3], rows[:, 3] > 0.5)


def test_features_of_a_straight_stroke_are_those_computed_by_hand():
    found = described(stroke(51))
    assert found["touches a second"] == pytest.approx(50)
    assert found["strokes a second"] == pytest.approx(1 / 1.02)
    assert found["speed, 50 %"] == pytest.approx(0.016 / 0.02)
    assert found["turning, median"] == pytest.approx(0, abs=1e-6)
    assert found["straightness"] == pytest.approx(1)
    assert found["length of a stroke"] == pytest.approx(0.8)
    assert found["taps"] == 0
    assert found["at the edge"] == 0
    assert math.isnan(found["jump between strokes"])


def test_features_of_taps_rests_jumps_and_edges_are_those_computed_by_hand():
    rows = np.array([[0.0, 0.5, 0.1, 0], [0.6, 0.5, 0.4, 0], [1.0, 0.5, 0.1, 0]])
    found = described(rows)
    assert found["taps"] == 1
    assert found["rests a second"] == pytest.approx(1 / 0.6)
    assert found["jump between strokes"] == pytest.approx(0.5)
    assert found["at the edge"] == pytest.approx(2 / 3)


def test_jagged_stroke_turns_more_than_a_straight_one():
    straight, jagged = described(stroke(40)), described(stroke(40, wobble=0.02))
    assert jagged["turning, median"] > straight["turning, median"] + 0.1
    assert jagged["straightness"] < 0.9


@pytest.mark.parametrize("count", [0, 1, 2])
def test_features_of_0_to_2_touches_are_defined_or_nan(count):
    found = described(stroke(5)[:count])
    assert tuple(found) == NAMES


def test_performances_of_the_wanted_length_are_split_at_half_their_time():
    slow = np.concatenate([stroke(50, 0.06), stroke(50, 0.02)])
    parts = split_in_half([slow, stroke(40), stroke(41, 0.3), stroke(41, 0.01)])
    assert len(parts) == 1
    before, after = parts[0]
    assert len(before) + len(after) == 100
    assert before[:, 2].sum() == pytest.approx(after[:, 2].sum(), abs=0.061)


def test_classifier_tells_different_rows_apart_and_not_equal_ones():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((200, 6))
    label, groups = np.arange(200) % 2 == 0, np.arange(200)
    assert likeness._classify(rows, label, groups, 0).auc == pytest.approx(0.5, abs=0.12)
    rows[label, 2] += 3
    area = likeness._classify(rows, label, groups, 0)
    assert area.low > 0.9
    assert area.low <= area.auc <= area.high


def test_performance_is_never_on_both_sides_of_a_fold():
    """Else the classifier would recognise performances."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 4)
    rows = rng.standard_normal((60, 5)).repeat(4, 0)
    label = rng.random(60).repeat(4) > 0.5
    assert likeness._classify(rows, label, groups, 0).auc < 0.75


@has_corpus
@is_trained
def test_default_model_and_the_controls_are_in_their_ranges(capsys):
    val = CORPUS / "microjam_val.npz"
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["evaluate", str(TRAINED), str(val), *QUICK, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["performances"] == len(split_in_half(list(clean(read(val)).performances())))
    assert found["performances"] > 90
    assert found["sped_up"]["auc"] > 0.9
    assert 0.25 < found["people"]["auc"] < 0.75
    assert 0.5 < found["machine"]["auc"] < 0.95
    belonging = found["belonging"]
    assert belonging["people"]["first"] > 0.05
    assert belonging["people"]["mean_rho"] > 0.4
    assert 0.25 < belonging["machine"]["mean_rho"] < belonging["people"]["mean_rho"]
    assert abs(belonging["shuffled"]["mean_rho"]) < 0.1


def test_likeness_on_too_few_performances_is_refused(capsys, tmp_path: Path):
    few = tmp_path / "few.npz"
    rows = stroke(60, 0.05).astype(np.float32)
    np.savez(few, touches=rows, lengths=np.array([60], np.int32))
    with pytest.raises(SystemExit):
        main(["evaluate", str(TRAINED), str(few), "--play"])
    assert "only 1 of the performances" in capsys.readouterr().err
