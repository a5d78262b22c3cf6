"""The benchmark programs start, their variants train, and faults of answers are counted."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.engine import MODEL
from support.models import TOUCHES, corpus

from robojam.training import trainer as training
from robojam.training.trainer import TrainingSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("no benchmarks/ here", allow_module_level=True)
sys.path.append(str(BENCHMARKS))

import _output  # noqa: E402
import answer_faults  # noqa: E402
import latency_parts  # noqa: E402
from variants import VARIANTS  # noqa: E402

import models  # noqa: E402

LARGE = ("l", "robojam 2018")
PROGRAMS = sorted(
    path for path in BENCHMARKS.glob("*.py") if "def main" in path.read_text("utf-8")
)


def touches(*rows: tuple[float, float, float]) -> Any:
    """Return moves (x, y, dt) of one finger."""
    return np.array([[x, y, dt, 1.0] for x, y, dt in rows])


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_starts_and_shows_its_help(path):
    result = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"benchmarks/{path.name}" in result.stdout


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
def test_hours_on_a_simulated_clock_lose_no_touch(tmp_path):
    path = tmp_path / "soak.json"
    command = [sys.executable, BENCHMARKS / "soak.py", "--hours", "0.01", "--json", path]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    figures = json.loads(path.read_text())
    assert figures["touches played"] > 50
    assert figures["lost"] == 0


def test_latency_parts_times_functions_that_exist():
    for owner, name, _ in latency_parts.PARTS:
        assert callable(getattr(owner, name, None)), f"{owner} has no function {name}"


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in LARGE])
def test_variant_trains_and_leaves_the_trainer_unchanged(name, monkeypatch):
    monkeypatch.setattr(models, "measure", lambda *_, **__: [0.0, 0.0])
    variant = VARIANTS[name]
    small = {"units": 8, "hidden": 8, "components": 2, "window": 16, "batch": 64, "passes": 1}
    before = training.EventModel, training.WindowSampler, training.score
    settings = TrainingSettings(**{**variant.settings, **small})
    figures = models.run(
        variant, corpus(TOUCHES, [40, 30]), corpus(TOUCHES, [20], seed=1), settings
    )
    assert before == (training.EventModel, training.WindowSampler, training.score)
    assert math.isfinite(figures["xydt"] if figures["joint"] is None else figures["joint"])
    if figures["parts"]:
        assert sum(figures["parts"].values()) == pytest.approx(figures["joint"])
    assert figures["parameters"] > 0


@pytest.mark.parametrize("name", ["impsy", "robojam's head"])
def test_reference_model_improves_with_training(name):
    data, held_out = corpus(TOUCHES, [40] * 8), corpus(TOUCHES, [40], seed=1)
    before, after = (
        models.run(
            VARIANTS[name], data, held_out, TrainingSettings(batch=64, window=16, passes=passes)
        )
        for passes in (0.01, 12)
    )
    assert after["xydt"] < before["xydt"] - 0.5


def test_table_compares_variants_with_the_baseline_of_the_newest_base():
    line = {"base": "b", "units": 8, "passes": 1.0, "xydt": None, "parameters": 10}
    line |= {"touches_per_second": 5, "parts": {"phase": 1.0, "dt": 2.0, "xy": 3.0}}
    runs = [("baseline", 0, -1.0), ("baseline", 1, -3.0), ("gru", 0, -4.0)]
    lines = [line | {"variant": v, "seed": s, "joint": joint} for v, s, joint in runs]
    older = lines[0] | {"base": "a", "variant": "s"}
    rows = models.table([older, *lines]).splitlines()[2:]
    assert len(rows) == 2
    assert "-2.00 (-3.00 to -1.00)" in rows[0]
    assert "| gru |" in rows[1]
    assert "| +2.00 |" in rows[1]


def test_stuck_at_a_point_counts_stays_and_not_rests():
    rest = touches((0.5, 0.5, 0), (0.5, 0.5, 3))
    assert answer_faults.stuck_at_a_point(rest) == 0
    repeated = touches(*[(0.5, 0.5, 0.2)] * 8)
    assert answer_faults.stuck_at_a_point(repeated) == pytest.approx(1.4)
    assert answer_faults.stuck_at_a_point(touches(*[(0.5, 0.5, 1.2)] * 8)) == 0
    creeping = touches(*[(0.5 + i / 2000, 0.5, 0.1) for i in range(40)])
    assert answer_faults.stuck_at_a_point(creeping) == pytest.approx(0.3)


def test_stuck_at_an_edge_counts_slides_along_one_edge():
    along = touches(*[(0.0, 0.1 * i, 0.3) for i in range(6)])
    assert answer_faults.stuck_at_an_edge(along) == pytest.approx(1.5)
    assert answer_faults.stuck_at_a_point(along) == 0
    leaving = touches(*[(0.0 if i % 3 else 0.5, 0.1 * i, 0.3) for i in range(9)])
    assert answer_faults.stuck_at_an_edge(leaving) == 0
    assert answer_faults.stuck_at_an_edge(np.empty((0, 4))) == 0


def test_flood_and_silence_are_counted_with_the_index_of_the_answer():
    flood = touches(*[(0.1, 0.1, 0.001)] * 300)
    assert answer_faults.most_in_a_second(flood) == 300
    counts = answer_faults.count_faults([flood, touches((0.5, 0.5, 1)), np.empty((0, 4))])
    assert counts["touches in a second"]["pieces"] == 1
    assert counts["touches in a second"]["worst"][0] == [0, 300.0]
    assert counts["silent throughout"] == {"pieces": 1, "which": [2]}


def test_performances_are_cut_into_pieces_of_five_seconds_without_loss():
    played = touches((0.1, 0.1, 0), (0.2, 0.1, 4), (0.3, 0.1, 3), (0.4, 0.1, 9))
    pieces = answer_faults.cut_into_pieces([played])
    assert [len(piece) for piece in pieces] == [2, 1, 0, 1]
    assert pieces[1][0, 2] == pytest.approx(2)
    assert pieces[3][0, 2] == pytest.approx(1)


def test_figures_are_printed_and_saved_alike(tmp_path, capsys):
    path, figures = tmp_path / "a.json", {"pieces": 2, "worst": [1.5, None]}
    _output.print_and_save(figures, None)
    _output.print_and_save(figures, path)
    saved = path.read_text()
    assert capsys.readouterr().out == saved + saved
    assert json.loads(saved) == figures
