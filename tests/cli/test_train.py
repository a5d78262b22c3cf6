"""robojam train and robojam evaluate, as a person meets them."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.models import STROKES, TOUCHES, corpus, described, npz, small

from robojam.cli import main, train
from robojam.evaluation import likelihood
from robojam.evaluation.likelihood import Score, score
from robojam.model import file as modelfile
from robojam.model.mdrnn import load, save
from robojam.training import trainer

SIZES = (
    "--units 8 --layers 1 --components 2 --hidden 8 --window 16 --batch 128 --passes 2".split()
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return npz(tmp_path / "some.npz", corpus(TOUCHES, [40, 30, 1, 25, 12]))


@pytest.fixture
def val(tmp_path: Path) -> Path:
    return npz(tmp_path / "val.npz", corpus(TOUCHES, [20, 15], seed=1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = small(TOUCHES)
    save(made, tmp_path / "made.safetensors", described(made))
    return tmp_path / "made.safetensors"


def robojam(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command: its status, what it printed, and what it complained of."""
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 2) -> str:
    """Run a command that must fail, in one line."""
    found, out, err = robojam(capsys, *arguments)
    assert (found, out) == (status, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_train_and_evaluate_end_to_end(data, val, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    status, out, err = robojam(
        capsys, "train", data, "--val", val, "--to", to, "--licence", "CC0", *SIZES
    )
    assert (status, err) == (0, "")
    assert "4 performances, 107 events; held out val.npz: 35" in out
    assert "step" in out
    assert "loss" in out
    assert "events/s" in out
    assert "left" in out
    assert "held out" in out
    file = modelfile.read(to)
    about = file.description
    assert [d.name for d in about.trained_on] == ["some.npz"]
    assert [d.name for d in about.score_on] == ["val.npz"]
    assert len(about.trained_on[0].sha256) == 64
    assert (about.units, about.layers, about.licence) == (8, 1, "CC0")
    assert about.score is not None
    assert f"{to}: {about.score:.4f} nats per event on val.npz" in out
    assert not list(tmp_path.glob(".*.part"))

    threads = torch.get_num_threads()
    status, out, err = robojam(capsys, "evaluate", to, val, "--json")
    assert torch.get_num_threads() == threads  # it took one, and gave the others back
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["touches", "joint", "xydt", "parts"]
    assert list(found["parts"]) == ["phase", "dt", "xy"]
    assert found["touches"] == 33
    assert found["joint"] == pytest.approx(about.score, abs=1e-5)
    assert sum(found["parts"].values()) == pytest.approx(found["joint"], abs=1e-9)
    assert found["xydt"] < found["joint"]

    status, out, _ = robojam(capsys, "evaluate", to, val)
    assert status == 0
    assert f"{found['joint']:.4f}" in out
    assert "33 events scored" in out


def test_a_seed_gives_the_same_file(data, val, tmp_path, capsys):
    made = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        to = tmp_path / f"{name}.safetensors"
        status, _, _ = robojam(
            capsys, "train", data, "--val", val, "--to", to, "--seed", seed, *SIZES
        )
        assert status == 0
        made.append(to.read_bytes())
    assert made[0] == made[1] != made[2]


def test_without_val_every_tenth_performance_is_held_out(data, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    status, out, _ = robojam(capsys, "train", data, "--to", to, *SIZES)
    assert status == 0
    assert "held out every 10th performance of some.npz" in out
    assert load(to)[1].score_on == ()


def test_a_folder_and_several_files_are_joined(data, val, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    npz(folder / "b.npz", corpus(TOUCHES, [9, 9]))
    npz(folder / "a.npz", corpus(TOUCHES, [8]))
    to = tmp_path / "mine.safetensors"
    status, out, _ = robojam(capsys, "train", folder, data, "--val", val, "--to", to, *SIZES)
    assert status == 0
    assert [d.name for d in load(to)[1].trained_on] == ["a.npz", "b.npz", "some.npz"]
    assert "a.npz, b.npz, some.npz: 7 performances" in out


def test_strokes_train_and_are_scored_by_the_same_commands(tmp_path, capsys):
    kanji = npz(tmp_path / "kanji.npz", corpus(STROKES, [30, 20, 25]))
    to = tmp_path / "pen.safetensors"
    status, _, _ = robojam(capsys, "train", kanji, "--to", to, *SIZES)
    assert status == 0
    assert load(to)[1].event.name == "stroke"
    status, out, _ = robojam(capsys, "evaluate", to, kanji, "--json")
    assert status == 0
    assert list(json.loads(out)["parts"]) == ["offset", "lifted"]


def test_evaluate_averages_several_files(model, data, val, capsys):
    _, out, _ = robojam(capsys, "evaluate", model, data, val, "--json")
    both = json.loads(out)
    each = [json.loads(robojam(capsys, "evaluate", model, f, "--json")[1]) for f in (data, val)]
    assert both["touches"] == sum(e["touches"] for e in each)
    mean = sum(e["touches"] * e["joint"] for e in each) / both["touches"]
    assert both["joint"] == pytest.approx(mean)


def test_a_score_that_is_no_number_is_no_json(model, data, capsys, monkeypatch):
    monkeypatch.setattr(likelihood, "score", lambda *_, **__: Score(3, math.nan, {}, math.nan))
    assert "nan nats" in refused(capsys, "evaluate", model, data, "--json", status=1)


# Stopping


def stopped_after(monkeypatch: pytest.MonkeyPatch, scorings: int) -> list[trainer.Trainer]:
    """Press Ctrl-C after so many scorings, in the middle of a pass."""
    trainers: list[trainer.Trainer] = []
    whole = trainer.Trainer.__iter__

    def pressed(self: trainer.Trainer) -> Any:
        trainers.append(self)
        left = scorings
        for now in whole(self):
            if left == 0:
                raise KeyboardInterrupt
            yield now
            left -= now.score is not None

    monkeypatch.setattr(trainer.Trainer, "__iter__", pressed)
    return trainers


def test_ctrl_c_keeps_the_best(data, val, tmp_path, capsys, monkeypatch):
    trainers = stopped_after(monkeypatch, 2)
    to = tmp_path / "mine.safetensors"
    status, out, err = robojam(
        capsys, "train", data, "--val", val, "--to", to, *SIZES, "--passes", 50
    )
    assert (status, err) == (0, "stopped\n")
    assert f"{to}: {trainers[0].best_score:.4f}" in out
    model, about = load(to)
    assert about.score == trainers[0].best_score
    assert about.steps == trainers[0].best_step < trainers[0].step
    assert score(model, corpus(TOUCHES, [20, 15], seed=1)).joint == pytest.approx(about.score)


def test_ctrl_c_before_anything_was_scored_makes_no_model(
    data, val, tmp_path, capsys, monkeypatch
):
    stopped_after(monkeypatch, 0)
    to = tmp_path / "mine.safetensors"
    status, _, err = robojam(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert status == 130
    assert "no model was made" in err
    assert not to.exists()


def test_ctrl_c_before_it_begins_waits_until_it_can_be_gone_on_with(
    data, val, tmp_path, capsys, monkeypatch
):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare = train._prepare

    def pressed(chosen: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return prepare(chosen)

    to = tmp_path / "mine.safetensors"
    command = ("train", data, "--val", val, "--to", to, *SIZES)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(train, "_prepare", pressed)
            status, _, err = robojam(capsys, *command)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, "--resume goes on" in err, to.exists()) == (130, True, False)
    assert robojam(capsys, *command, "--resume")[::2] == (0, "")
    load(to)


def test_one_long_jam_is_enough(model, data, tmp_path, capsys):
    jam = npz(tmp_path / "jam.npz", corpus(TOUCHES, [200]))
    to = tmp_path / "mine.safetensors"
    for more in (SIZES, ["--from", model, "--passes", 2]):
        status, out, err = robojam(capsys, "train", jam, "--to", to, *more)
        assert (status, err) == (0, "")
        assert re.search(
            r"held out the last [\d.]+ s(, after a pause of [\d.]+ s,)? of jam", out
        )
        load(to)


def test_its_time_is_told_when_it_is_up(data, val, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    how = (*SIZES, "--passes", 99999, "--minutes", 0.001, "--patience", 0)
    status, out, err = robojam(capsys, "train", data, "--val", val, "--to", to, *how)
    assert (status, err) == (0, "")
    assert re.search(r"its time was up, after \d+ of \d+ steps", out)
    load(to)


def test_where_nothing_predicts_better_it_stays_as_it_was(
    model, data, val, tmp_path, capsys, monkeypatch
):
    to, worse = tmp_path / "mine.safetensors", itertools.count()
    monkeypatch.setattr(trainer, "score", lambda *_: Score(1, float(next(worse)), {}))
    status, out, _ = robojam(
        capsys, "train", data, "--val", val, "--from", model, "--to", to, "--passes", 4
    )
    assert (status, "its weights are made's" in out) == (0, True)
    was, made = load(model)[0].state_dict(), load(to)[0].state_dict()
    assert all(torch.equal(was[name], made[name]) for name in was)


def test_ctrl_c_while_it_writes_loses_nothing(data, val, tmp_path, capsys, monkeypatch):
    to = tmp_path / "mine.safetensors"
    keep, tries = trainer.Trainer.save, []

    def torn(self: trainer.Trainer, *a: Any, **k: Any) -> None:
        tries.append(self)
        if len(tries) == 1:
            raise KeyboardInterrupt
        keep(self, *a, **k)

    monkeypatch.setattr(trainer.Trainer, "save", torn)
    status, out, _ = robojam(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert status == 0
    assert load(to)[1].score == tries[0].best_score
    assert f"{tries[0].best_score:.4f}" in out


def test_a_loss_that_is_not_finite_stops_with_the_cause(
    data, val, tmp_path, capsys, monkeypatch
):
    to = tmp_path / "mine.safetensors"
    status, _, err = robojam(
        capsys,
        "train",
        data,
        "--val",
        val,
        "--to",
        to,
        *SIZES,
        "--rate",
        999_999,
        "--passes",
        400,
    )
    assert status == 1
    assert err.startswith("robojam: at step ")
    assert "learning rate" in err
    assert err.count("\n") == 1
    assert (f"in {to}" in err) == to.exists()


def test_a_full_disk_is_told(data, val, tmp_path, capsys, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.Trainer, "save", full)
    to = tmp_path / "mine.safetensors"
    status, _, err = robojam(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert (status, err) == (1, f"robojam: {to} cannot be written: No space left on device\n")


# Refusals: one line, status 2


def test_train_says_what_is_wrong_with_its_data(data, tmp_path, capsys):
    to, kanji = tmp_path / "m.safetensors", npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    lone = npz(tmp_path / "lone.npz", corpus(TOUCHES, [1, 1]))
    single = npz(tmp_path / "single.npz", corpus(TOUCHES, [3]))
    text = tmp_path / "text.npz"
    text.write_text("hello")
    (tmp_path / "empty").mkdir()
    for arguments, told in [
        ([tmp_path / "none.npz"], "none.npz: cannot be read"),
        ([tmp_path / "empty"], "no performances in it"),
        ([text], "text.npz"),
        ([lone], "lone.npz has no performance of two"),
        ([single], "single.npz has one performance"),
        ([data, kanji], "cannot be joined"),
        ([data, "--val", kanji], "different kinds"),
        ([data, "--val", lone], "lone.npz has no performance of two"),
        ([data, "--val", tmp_path / "none.npz"], "none.npz"),
    ]:
        assert told in refused(capsys, "train", *arguments, "--to", to, *SIZES)
    assert not to.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_train_says_where_it_cannot_write(data, tmp_path, capsys, monkeypatch):
    for to in (tmp_path, tmp_path / "none" / "m.safetensors"):
        assert "--to" in refused(capsys, "train", data, "--to", to)
    monkeypatch.setattr(os, "access", lambda *_: False)
    to = tmp_path / "m.safetensors"
    assert "can be written" in refused(capsys, "train", data, "--to", to)


def test_train_says_that_there_is_no_gpu(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = refused(capsys, "train", data, "--to", tmp_path / "m", "--device", "cuda")
    assert "no CUDA device" in told


def test_train_says_that_a_model_is_too_large(data, tmp_path, capsys, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nand a trace")

    monkeypatch.setattr(trainer, "EventModel", full)
    told = refused(capsys, "train", data, "--to", tmp_path / "m")
    assert "sizes cannot be made: DefaultCPUAllocator" in told


@pytest.mark.parametrize(
    "wrong",
    [
        "--units 0",
        "--units many",
        "--layers -1",
        "--passes 0",
        "--passes nan",
        "--rate -1",
        "--seed -1",
        "--seed 9999999999999999999",
        "--seed x",
        "--device tpu",
        "--what",
    ],
)
def test_train_refuses_wrong_options(wrong, data, tmp_path, capsys):
    status, _, err = robojam(capsys, "train", data, "--to", tmp_path / "m", *wrong.split())
    assert status == 2
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


def test_evaluate_says_what_is_wrong(model, data, tmp_path, capsys):
    kanji = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    lone = npz(tmp_path / "lone.npz", corpus(TOUCHES, [1]))
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    pickled = tmp_path / "old.npz"
    np.savez(pickled, touches=np.array([{}], object))
    for arguments, told in [
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
            assert told in refused(capsys, "evaluate", *arguments, *more)


def test_evaluate_as_a_program_of_its_own(model, data):
    ran = subprocess.run(
        [sys.executable, "-m", "robojam", "evaluate", str(model), str(data), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")  # no warning either
    assert json.loads(ran.stdout)["touches"] == 39 + 29 + 24 + 11


# Going on


def test_a_run_that_was_stopped_goes_on(data, val, tmp_path, capsys, monkeypatch):
    straight, to = tmp_path / "straight.safetensors", tmp_path / "mine.safetensors"
    command = ["train", data, "--val", val, *SIZES, "--passes", 9]
    assert robojam(capsys, *command, "--to", straight)[0] == 0
    assert not (tmp_path / "straight.run").exists()
    assert (tmp_path / "straight.png").read_bytes().startswith(b"\x89PNG")
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        status, out, _ = robojam(capsys, *command, "--to", to)
    assert (status, "--resume goes on" in out) == (0, True)
    assert (tmp_path / "mine.run").exists()
    told = refused(capsys, *command, "--to", to, "--resume", "--units", 9)
    assert "this run has --units 8, not 9" in told
    told = refused(capsys, "train", val, "--to", to, "--resume")
    assert "other data" in told
    status, out, err = robojam(capsys, "train", data, "--val", val, "--to", to, "--resume")
    assert (status, err) == (0, "")
    assert to.read_bytes() == straight.read_bytes()
    assert "there is no run" in refused(
        capsys, "train", data, "--val", val, "--to", to, "--resume"
    )


def test_a_run_from_a_model_goes_on_too(model, data, val, tmp_path, capsys, monkeypatch):
    straight, to = tmp_path / "straight.safetensors", tmp_path / "mine.safetensors"
    fresh = ["train", data, "--val", val, "--patience", 0]
    command = [*fresh, "--from", model, "--passes", 9]
    assert robojam(capsys, *command, "--to", straight)[0] == 0
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        status, out, _ = robojam(capsys, *command, "--to", to)
    assert (status, "--resume goes on" in out) == (0, True)
    load(to)
    told = refused(capsys, *fresh, "--to", to, "--resume")
    assert f"say --from {model}" in told
    told = refused(capsys, *fresh, "--from", straight, "--to", to, "--resume")
    assert f"say --from {model}" in told
    assert robojam(capsys, *command, "--to", to, "--resume")[0] == 0
    assert to.read_bytes() == straight.read_bytes()
    assert not (tmp_path / "mine.run").exists()
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        assert robojam(capsys, *fresh, *SIZES, "--passes", 9, "--to", to)[0] == 0
    told = refused(capsys, *command, "--to", to, "--resume")
    assert "from nothing: without --from" in told


def test_ctrl_c_is_held_back_until_the_step_is_done():
    # As it is in the foreground: a program that is started in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with train.held_back_interrupt() as pressed:
            assert not pressed()
            signal.raise_signal(signal.SIGINT)
            assert pressed()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_model_goes_on_from_another(model, data, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    status, out, err = robojam(
        capsys, "train", data, "--from", model, "--to", to, "--passes", 2, "--licence", "CC0"
    )
    assert (status, err) == (0, "")
    assert "of what it learnt is kept" in out
    made, about = load(to)
    assert made.event == load(model)[0].event
    assert [d.name for d in about.trained_on] == ["some.npz"]
    assert about.licence == "CC0"
    strokes = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9, 9]))
    for arguments, told in [
        ([data, "--from", "none"], "no model file none"),
        ([data, "--from", model, "--units", 3], "the sizes are that model's"),
        ([data, "--from", model, "--size", "s"], "the sizes are that model's"),
        ([data, "--from", model, "--resume"], "there is no run"),
        ([strokes, "--from", model], "are of different kinds"),
    ]:
        assert re.search(told, refused(capsys, "train", *arguments, "--to", to))


def test_sizes_by_name(data, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    how = ("--passes", 0.1, "--size", "s", "--batch", 64)
    status, _, err = robojam(capsys, "train", data, "--to", to, *how)
    assert (status, err) == (0, "")
    assert load(to)[1].units == trainer.SIZES["s"]["units"] == 64


def test_a_run_can_be_followed_in_tensorboard(data, tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    to, board = tmp_path / "mine.safetensors", tmp_path / "board"
    status, _, _ = robojam(capsys, "train", data, "--to", to, *SIZES, "--tensorboard", board)
    assert status == 0
    (events,) = board.iterdir()
    assert b"held_out" in events.read_bytes()


def test_tensorboard_that_is_not_there(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    to = tmp_path / "mine.safetensors"
    status, _, err = robojam(capsys, "train", data, "--to", to, *SIZES, "--tensorboard", "b")
    assert (status, "robojam[report]" in err) == (2, True)


# What there is in it


def test_corpus_says_what_there_is(data, tmp_path, capsys):
    table = tmp_path / "a.csv"
    table.write_text("time,x,y\n0,0.5,0.5\n0.1,0.6,0.5\nwhat\n")
    status, out, err = robojam(capsys, "corpus", data, table, "--to", tmp_path / "all.npz")
    assert (status, err) == (0, "")
    assert "some.npz (arrays): 4 performances, 107 touches" in out
    assert "lines that are not 3 numbers: 1 (line 4)" in out
    assert "in all         5 performances, 109 touches" in out
    assert "of 2 touches inferred" in out
    status, out, _ = robojam(capsys, "corpus", tmp_path / "all.npz", "--json")
    assert json.loads(out)["all"]["performances"] == 5


def test_corpus_goes_on_with_what_is_left(data, tmp_path, capsys):
    bad = tmp_path / "bad.npz"
    bad.write_text("hello")
    status, out, err = robojam(capsys, "corpus", bad, data, tmp_path / "none")
    assert status == 0
    assert "in all         4 performances" in out
    assert [line.partition(": ")[2][:20] for line in err.splitlines()]
    assert err.count("\n") == 2
    status, _, err = robojam(capsys, "corpus", bad)
    assert status == 2
    assert err.count("\n") == 1
    kanji = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    assert "cannot be joined" in refused(capsys, "corpus", data, kanji)
    assert robojam(capsys, "corpus", kanji)[0] == 0


def test_what_is_joined_is_written_though_nobody_reads_what_is_told(data, tmp_path):
    to = tmp_path / "joined.npz"
    told, unread = os.pipe()
    os.close(told)
    command = [sys.executable, "-m", "robojam", "corpus", str(data), "--to", str(to)]
    done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(unread)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(np.load(to)["touches"]) == 107  # and the lone one is left out
