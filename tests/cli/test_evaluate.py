"""The command robojam evaluate: output, errors and exit status."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from support.commands import refusal, run
from support.models import STROKES, TOUCHES, corpus, npz

from robojam.evaluation import likelihood
from robojam.evaluation.likelihood import Score


def test_evaluate_averages_several_files(model, data, val, capsys):
    _, out, _ = run(capsys, "evaluate", model, data, val, "--json")
    both = json.loads(out)
    each = [json.loads(run(capsys, "evaluate", model, f, "--json")[1]) for f in (data, val)]
    assert both["touches"] == sum(e["touches"] for e in each)
    mean = sum(e["touches"] * e["joint"] for e in each) / both["touches"]
    assert both["joint"] == pytest.approx(mean)


def test_score_that_is_not_finite_is_an_error_not_json(model, data, capsys, monkeypatch):
    monkeypatch.setattr(likelihood, "score", lambda *_, **__: Score(3, math.nan, {}, math.nan))
    assert "nan nats" in refusal(capsys, "evaluate", model, data, "--json", status=1)


def test_evaluate_refuses_wrong_arguments_with_the_reason(model, data, tmp_path, capsys):
    kanji = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    lone = npz(tmp_path / "lone.npz", corpus(TOUCHES, [1]))
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    pickled = tmp_path / "old.npz"
    np.savez(pickled, touches=np.array([{}], object))
    for arguments, expected in [
        (["none", data], "no model file none"),
        ([text, data], "text.safetensors is not a safetensors file"),
        ([data, data], "some.npz is not a safetensors file"),
        ([model, tmp_path / "none.npz"], "none.npz: cannot be read"),
        ([model, kanji], "the model is over (x, y, dt, moving)"),
        ([model, lone], "lone.npz has no performance of two"),
        ([model, pickled], "old.npz"),
        ([model, model], "made.safetensors"),
    ]:
        for more in ([], ["--json"]):
            assert expected in refusal(capsys, "evaluate", *arguments, *more)


def test_evaluate_prints_only_the_result_to_standard_output(model, data):
    ran = subprocess.run(
        [sys.executable, "-m", "robojam", "evaluate", str(model), str(data), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")  # no warning either
    assert json.loads(ran.stdout)["touches"] == 39 + 29 + 24 + 11


@pytest.fixture
def people(tmp_path):
    return npz(tmp_path / "people.npz", corpus(TOUCHES, [120] * 20))


def test_quick_play_reports_likeness_and_belonging_alone(model, people, capsys):
    dials = ["--follow", 0, "--memory", 0]
    arguments = [model, people, "--play", "--quick", *dials]
    status, out, _ = run(capsys, "evaluate", *arguments, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["follow"], found["memory"]) == (0, 0)
    assert found["belonging"]["calls"] == 20
    assert set(found["belonging"]) == {"calls", "machine", "people", "shuffled"}
    assert found["adaptation"] is found["motif"] is found["listener"] is None


def test_play_without_enough_performances_for_belonging_measures_the_rest(
    model, tmp_path, capsys
):
    few = npz(tmp_path / "few.npz", corpus(TOUCHES, [120] * 12))
    status, out, _ = run(capsys, "evaluate", model, few, "--play", "--quick", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["belonging"] is None
    assert found["performances"] == 12


def test_options_of_play_are_refused_without_it(model, people, capsys):
    for more in (["--follow", 0.5], ["--memory", 0], ["--quick"], ["--learnt", people]):
        expected = f"{more[0]} goes with --play"
        assert expected in refusal(capsys, "evaluate", model, people, *more)
