"""Commands on touches with their pressure: train, go on from a model, evaluate, generate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.commands import refusal, run
from support.models import PRESSES, TOUCHES, corpus, described, small

from robojam.corpus.corpus import write
from robojam.model.event import PRESSED
from robojam.model.mdrnn import load, save
from robojam.sessions.session import read as read_session
from robojam.touch import Phase

SIZES = ("--passes", 1, "--width", 8, "--layers", 1, "--components", 4, "--hidden", 8)


@pytest.fixture
def data(tmp_path):
    write(corpus(PRESSES, [60, 50, 40]), tmp_path / "a.npz")
    return tmp_path / "a.npz"


@pytest.fixture
def model(tmp_path):
    made = small(PRESSES)
    save(made, tmp_path / "p.safetensors", described(made))
    return tmp_path / "p.safetensors"


def test_model_of_pressure_is_trained_gone_on_from_and_evaluated(tmp_path, capsys, data):
    to, tuned = tmp_path / "m.safetensors", tmp_path / "t.safetensors"
    status, _, err = run(capsys, "train", data, "--pressure", "--to", to, *SIZES)
    assert (status, err) == (0, "")
    assert load(to)[0].event.columns == PRESSED
    status, out, err = run(capsys, "evaluate", to, data, "--json")
    assert (status, err) == (0, "")
    assert set(json.loads(out)["parts"]) == {"phase", "dt", "xy", "pressure"}
    assert "nats per touch" in run(capsys, "evaluate", to, data)[1]
    assert run(capsys, "train", data, "--from", to, "--to", tuned, "--passes", 1)[0] == 0
    assert load(tuned)[0].event.columns == PRESSED


def test_data_without_pressure_is_refused_where_it_is_wanted(tmp_path, capsys, model):
    write(corpus(TOUCHES, [60, 50]), tmp_path / "plain.npz")
    to = tmp_path / "m.safetensors"
    for command in (
        ("train", tmp_path / "plain.npz", "--pressure", "--to", to),
        ("evaluate", model, tmp_path / "plain.npz"),
    ):
        assert "holds no pressure" in refusal(capsys, *command)
    said = refusal(capsys, "train", tmp_path / "plain.npz", "--pressure", "--knobs", "--to", to)
    assert "--pressure is of touches" in said


@pytest.mark.parametrize("pressed", [True, False])
def test_generated_session_has_the_machine_s_pressures(tmp_path, capsys, model, pressed):
    start, to = tmp_path / "start.npz", tmp_path / "to.jsonl"
    write(corpus(PRESSES if pressed else TOUCHES, [10]), start)
    how = ("--model", model, "--seconds", 2, "--seed", 5)
    status, _, err = run(capsys, "generate", "--from", start, "--to", to, *how)
    assert (status, err) == (0, "")
    made = read_session(to)
    machine = [e.touch.pressure for e in made.touches("ai") if e.touch.phase is not Phase.UP]
    assert machine
    assert None not in machine
    arrays = tmp_path / "to.npz"
    assert run(capsys, "generate", "--to", arrays, *how)[0] == 0
    assert len(np.load(arrays)["pressure"]) == len(np.load(arrays)["touches"])
