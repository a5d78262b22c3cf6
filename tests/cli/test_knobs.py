"""Commands on knobs: train, go on from a model, evaluate, generate."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.commands import refusal, run
from support.models import TOUCHES, corpus, described, knob_rows, npz, small

from robojam.corpus.corpus import clean, knob_corpus, write
from robojam.corpus.formats import read
from robojam.model.event import knob_event
from robojam.model.mdrnn import EventModel, load, save

SIZES = ("--passes", 1, "--width", 8, "--layers", 1, "--components", 4, "--hidden", 8)


def knobs_file(path: Path, knobs: int) -> Path:
    """Write performances of knobs."""
    rng = np.random.default_rng(knobs)
    rows = [knob_rows(knobs, count, rng) for count in (60, 50, 40)]
    events = np.concatenate(rows)[:, :-1]
    write(clean(knob_corpus(events, np.array([60, 50, 40]), "x", "arrays")), path)
    return path


def model_file(path: Path, knobs: int, *, fewer: bool = False) -> Path:
    made = small(knob_event(knobs, components=knobs + 1, hidden=8, fewer=fewer))
    save(made, path, described(made))
    return path


def test_model_of_knobs_is_trained_resumable_and_evaluated(tmp_path, capsys):
    data, to = knobs_file(tmp_path / "a.npz", 4), tmp_path / "m.safetensors"
    status, out, err = run(capsys, "train", data, "--to", to, *SIZES)
    assert (status, err) == (0, "")
    assert "nats per event" in out
    assert load(to)[0].event.columns == ("v1", "v2", "v3", "v4", "dt", "moving")
    status, out, err = run(capsys, "evaluate", to, data, "--json")
    assert (status, err) == (0, "")
    scores = json.loads(out)
    assert scores["touches"] == 147
    assert set(scores["parts"]) == {"phase", "dt", "values"}
    assert sum(scores["parts"].values()) == pytest.approx(scores["joint"])
    assert "nats per event" in run(capsys, "evaluate", to, data)[1]


def test_model_for_fewer_knobs_goes_on_with_a_smaller_rig(tmp_path, capsys):
    start = model_file(tmp_path / "any.safetensors", 6, fewer=True)
    data, to = knobs_file(tmp_path / "a.npz", 4), tmp_path / "m.safetensors"
    status, _, err = run(capsys, "train", data, "--to", to, "--from", start, "--passes", 1)
    assert (status, err) == (0, "")
    event = load(to)[0].event
    assert event.fewer
    assert len(event.columns) == 8
    assert run(capsys, "evaluate", to, data)[0] == 0


def test_fewer_is_kept_in_the_models_file(tmp_path, capsys):
    data, to = knobs_file(tmp_path / "a.npz", 4), tmp_path / "m.safetensors"
    assert run(capsys, "train", data, "--to", to, *SIZES, "--fewer")[0] == 0
    assert load(to)[0].event.fewer


def test_data_of_other_knobs_are_refused_with_both_numbers(tmp_path, capsys):
    model = model_file(tmp_path / "m.safetensors", 6)
    data = knobs_file(tmp_path / "a.npz", 4)
    to = tmp_path / "to.safetensors"
    said = refusal(capsys, "train", data, "--to", to, "--from", model)
    assert re.search("a.npz holds 4 knobs, and .*m.safetensors is over 6 knobs", said)
    said = refusal(capsys, "evaluate", model, data)
    assert "a.npz holds 4 knobs, and the model is over 6 knobs" in said
    other = knobs_file(tmp_path / "b.npz", 5)
    said = refusal(capsys, "train", data, other, "--to", to)
    assert "a.npz holds 4 knobs and b.npz 5 knobs: they cannot be joined" in said
    touches = npz(tmp_path / "t.npz", corpus(TOUCHES, [40, 30]))
    assert "holds touches, and no knobs" in refusal(
        capsys, "train", touches, "--knobs", "--to", to
    )


def test_evaluate_play_refuses_knobs(tmp_path, capsys):
    model = model_file(tmp_path / "m.safetensors", 4)
    said = refusal(capsys, "evaluate", model, knobs_file(tmp_path / "a.npz", 4), "--play")
    assert "knobs have no strokes" in said


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".log"])
def test_generated_knobs_are_read_again(tmp_path, capsys, suffix):
    model = model_file(tmp_path / "m.safetensors", 4)
    data, to = knobs_file(tmp_path / "a.npz", 4), tmp_path / f"to{suffix}"
    how = ("--model", model, "--seconds", 2, "--seed", 5)
    status, out, err = run(capsys, "generate", "--from", data, "--to", to, *how)
    assert (status, err) == (0, "")
    assert re.match(r"3 performances, \d+ events, seed 5: ", out)
    files = [to] if suffix == ".npz" else [to.with_stem(f"to-{n}") for n in (1, 2, 3)]
    made = [clean(read(file, machine=suffix == ".log")) for file in files]
    assert all(each.columns == knob_event(4).columns for each in made)
    again = tmp_path / f"again{suffix}"
    run(capsys, "generate", "--from", data, "--to", again, *how)
    repeat = clean(
        read(again if suffix == ".npz" else again.with_stem("again-1"), machine=True)
    )
    np.testing.assert_allclose(repeat.events[:5], made[0].events[:5], atol=1e-5)


def test_rig_of_fewer_knobs_generates_as_many(tmp_path, capsys):
    model = model_file(tmp_path / "m.safetensors", 6, fewer=True)
    to, how = tmp_path / "to.npz", ("--model", model, "--seed", 1)
    assert run(capsys, "generate", "--to", to, "--knobs", 2, *how)[0] == 0
    assert read(to).columns == knob_event(2).columns
    assert run(capsys, "generate", "--to", to, *how)[0] == 0
    assert read(to).columns == knob_event(6).columns
    data = knobs_file(tmp_path / "a.npz", 3)
    assert run(capsys, "generate", "--from", data, "--to", to, *how)[0] == 0
    assert read(to).columns == knob_event(3).columns


def test_generation_of_knobs_refuses_what_does_not_fit(tmp_path, capsys):
    model = model_file(tmp_path / "m.safetensors", 4)
    touch = small(TOUCHES)
    save(touch, tmp_path / "t.safetensors", described(touch))
    data = knobs_file(tmp_path / "a.npz", 3)
    to = tmp_path / "to.csv"
    for words, why in [
        (("--to", tmp_path / "to.mid", "--model", model), ".csv, .npz, .log"),
        (("--to", to, "--model", model, "--knobs", 3), "a rig of 3 knobs cannot play"),
        (("--to", to, "--model", model, "--from", data), "a rig of 3 knobs cannot play"),
        (("--to", to, "--model", model, "--from", data, "--knobs", 4), "is of 3 knobs"),
        (("--to", to, "--model", model, "--follow", 1), "--follow and --memory are of touches"),
        (("--to", to, "--model", tmp_path / "t.safetensors", "--knobs", 4), "not of knobs"),
        (("--to", to, "--model", tmp_path / "t.safetensors", "--from", data), "--knobs 3"),
        (("--to", tmp_path / "to.log", "--model", tmp_path / "t.safetensors"), ".log is of"),
    ]:
        assert why in refusal(capsys, "generate", *words)


def test_knob_that_is_not_turned_keeps_its_value_exactly(tmp_path, capsys):
    torch.manual_seed(0)
    model = EventModel(knob_event(3, components=6), units=8)  # whose components turn one each
    to = tmp_path / "m.safetensors"
    save(model, to, described(model))
    start = tmp_path / "start.csv"
    start.write_text("dt,v1,v2,v3\n0,0.3,0.6,0.9\n0.02,0.3,0.61,0.9\n0.02,0.3,0.62,0.9\n")
    made = tmp_path / "made.npz"
    how = ("--model", to, "--seed", 0, "--seconds", 3, "--from", start)
    assert run(capsys, "generate", "--to", made, *how)[0] == 0
    values = np.concatenate([[[0.3, 0.62, 0.9]], read(made).events[:, :3]])
    ways = np.diff(values, axis=0)
    resting = abs(ways) < 1e-7  # in 32 bits
    assert 0.3 < resting.mean() < 1
    assert not ((abs(ways) < 0.9 / 1024) & ~resting & (values[1:] > 0) & (values[1:] < 1)).any()
