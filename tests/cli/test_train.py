"""The command robojam train: output, errors and exit status."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.commands import refusal, run
from support.matchers import alike
from support.models import STROKES, TOUCHES, corpus, npz

from robojam.cli import train
from robojam.evaluation.likelihood import Score, score
from robojam.model import file as modelfile
from robojam.model.mdrnn import load
from robojam.training import finetune, matcher, plots, trainer

SIZES = (
    "--units 8 --layers 1 --components 2 --hidden 8 --window 16 --batch 128 --passes 2".split()
)


def test_train_and_evaluate_end_to_end(data, val, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    status, out, err = run(
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
    status, out, err = run(capsys, "evaluate", to, val, "--json")
    assert torch.get_num_threads() == threads  # it took one, and gave the others back
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["touches", "joint", "xydt", "parts"]
    assert list(found["parts"]) == ["phase", "dt", "xy"]
    assert found["touches"] == 33
    assert found["joint"] == pytest.approx(about.score, abs=1e-5)
    assert sum(found["parts"].values()) == pytest.approx(found["joint"], abs=1e-9)
    assert found["xydt"] < found["joint"]

    status, out, _ = run(capsys, "evaluate", to, val)
    assert status == 0
    assert f"{found['joint']:.4f}" in out
    assert "33 events scored" in out


def test_same_seed_gives_the_same_file(data, val, tmp_path, capsys):
    made = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        to = tmp_path / f"{name}.safetensors"
        status, _, _ = run(
            capsys, "train", data, "--val", val, "--to", to, "--seed", seed, *SIZES
        )
        assert status == 0
        made.append(to.read_bytes())
    assert made[0] == made[1] != made[2]


def test_without_val_every_tenth_performance_is_held_out(data, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    status, out, _ = run(capsys, "train", data, "--to", to, *SIZES)
    assert status == 0
    assert "held out every 10th performance of some.npz" in out
    assert load(to)[1].score_on == ()


def test_training_data_of_a_folder_and_several_files_are_joined(data, val, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    npz(folder / "b.npz", corpus(TOUCHES, [9, 9]))
    npz(folder / "a.npz", corpus(TOUCHES, [8]))
    to = tmp_path / "mine.safetensors"
    status, out, _ = run(capsys, "train", folder, data, "--val", val, "--to", to, *SIZES)
    assert status == 0
    assert [d.name for d in load(to)[1].trained_on] == ["a.npz", "b.npz", "some.npz"]
    assert "a.npz, b.npz, some.npz: 7 performances" in out


def test_pen_strokes_train_and_are_scored_by_the_same_commands(tmp_path, capsys):
    kanji = npz(tmp_path / "kanji.npz", corpus(STROKES, [30, 20, 25]))
    to = tmp_path / "pen.safetensors"
    status, _, _ = run(capsys, "train", kanji, "--to", to, *SIZES)
    assert status == 0
    assert load(to)[1].event.name == "stroke"
    status, out, _ = run(capsys, "evaluate", to, kanji, "--json")
    assert status == 0
    assert list(json.loads(out)["parts"]) == ["offset", "lifted"]


# Stopping


def stopped_after(monkeypatch: pytest.MonkeyPatch, scorings: int) -> list[trainer.Trainer]:
    """Press Ctrl-C after a number of scorings, in the middle of a pass."""
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


def test_ctrl_c_saves_the_best_model(data, val, tmp_path, capsys, monkeypatch):
    trainers = stopped_after(monkeypatch, 2)
    to = tmp_path / "mine.safetensors"
    status, out, err = run(
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
    status, _, err = run(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert status == 130
    assert "no model was made" in err
    assert not to.exists()


def test_ctrl_c_before_the_first_step_waits_until_the_run_can_be_resumed(
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
            status, _, err = run(capsys, *command)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, "--resume goes on" in err, to.exists()) == (130, True, False)
    assert run(capsys, *command, "--resume")[::2] == (0, "")
    load(to)


def test_single_long_jam_is_enough_data_with_its_end_held_out(model, data, tmp_path, capsys):
    jam = npz(tmp_path / "jam.npz", corpus(TOUCHES, [200]))
    to = tmp_path / "mine.safetensors"
    for more in (SIZES, ["--from", model, "--passes", 2]):
        status, out, err = run(capsys, "train", jam, "--to", to, *more)
        assert (status, err) == (0, "")
        assert re.search(
            r"held out the last [\d.]+ s(, after a pause of [\d.]+ s,)? of jam", out
        )
        load(to)


def test_end_of_the_time_limit_is_printed(data, val, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    how = (*SIZES, "--passes", 99999, "--minutes", 0.001, "--patience", 0)
    status, out, err = run(capsys, "train", data, "--val", val, "--to", to, *how)
    assert (status, err) == (0, "")
    assert re.search(r"its time was up, after \d+ of \d+ steps", out)
    load(to)


def test_model_keeps_its_weights_when_nothing_predicts_better(
    model, data, val, tmp_path, capsys, monkeypatch
):
    to, worse = tmp_path / "mine.safetensors", itertools.count()
    monkeypatch.setattr(trainer, "score", lambda *_: Score(1, float(next(worse)), {}))
    status, out, _ = run(
        capsys, "train", data, "--val", val, "--from", model, "--to", to, "--passes", 4
    )
    assert (status, "its weights are made's" in out) == (0, True)
    was, made = load(model)[0].state_dict(), load(to)[0].state_dict()
    assert all(torch.equal(was[name], made[name]) for name in was)


def test_ctrl_c_while_the_model_is_written_loses_nothing(
    data, val, tmp_path, capsys, monkeypatch
):
    to = tmp_path / "mine.safetensors"
    keep, tries = trainer.Trainer.save, []

    def torn(self: trainer.Trainer, *a: Any, **k: Any) -> None:
        tries.append(self)
        if len(tries) == 1:
            raise KeyboardInterrupt
        keep(self, *a, **k)

    monkeypatch.setattr(trainer.Trainer, "save", torn)
    status, out, _ = run(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert status == 0
    assert load(to)[1].score == tries[0].best_score
    assert f"{tries[0].best_score:.4f}" in out


def test_a_loss_that_is_not_finite_stops_with_the_cause(
    data, val, tmp_path, capsys, monkeypatch
):
    to = tmp_path / "mine.safetensors"
    status, _, err = run(
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


def test_full_disk_is_reported(data, val, tmp_path, capsys, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.Trainer, "save", full)
    to = tmp_path / "mine.safetensors"
    status, _, err = run(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert (status, err) == (1, f"robojam: {to} cannot be written: No space left on device\n")


# Refusals: one line, status 2


def test_train_refuses_wrong_data_with_the_reason(data, tmp_path, capsys):
    to, kanji = tmp_path / "m.safetensors", npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    lone = npz(tmp_path / "lone.npz", corpus(TOUCHES, [1, 1]))
    single = npz(tmp_path / "single.npz", corpus(TOUCHES, [3]))
    text = tmp_path / "text.npz"
    text.write_text("hello")
    (tmp_path / "empty").mkdir()
    for arguments, message in [
        ([tmp_path / "none.npz"], "none.npz: cannot be read"),
        ([tmp_path / "empty"], "no performances in it"),
        ([text], "text.npz"),
        ([lone], "lone.npz has no performance of two"),
        ([single], "single.npz has one performance"),
        ([data, kanji], "cannot be joined"),
        ([data, "--val", kanji], "(dx, dy, lifted)"),
        ([data, "--val", lone], "lone.npz has no performance of two"),
        ([data, "--val", tmp_path / "none.npz"], "none.npz"),
    ]:
        assert message in refusal(capsys, "train", *arguments, "--to", to, *SIZES)
    assert not to.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_train_refuses_a_place_that_cannot_be_written(data, tmp_path, capsys, monkeypatch):
    for to in (tmp_path, tmp_path / "none" / "m.safetensors"):
        assert "--to" in refusal(capsys, "train", data, "--to", to)
    monkeypatch.setattr(os, "access", lambda *_: False)
    to = tmp_path / "m.safetensors"
    assert "can be written" in refusal(capsys, "train", data, "--to", to)


@pytest.mark.parametrize(
    ("to", "more", "reason"),
    [
        ("m.run", [], "--to m.run: this name is the run's, for --resume; name the model m.s"),
        ("m.png", [], "--to m.png: this name is the picture's"),
        ("some.npz", [], "some.npz is among the data and would be replaced"),
        ("m", ["--picture", "m.txt"], "--picture m.txt: a picture is .png, .svg, .pdf"),
        ("m", ["--picture", "none/m.png"], "none/m.png is not a file in a folder that can be"),
    ],
)
def test_train_refuses_files_that_would_be_lost(to, more, reason, data, capsys, monkeypatch):
    monkeypatch.chdir(data.parent)
    before = data.read_bytes()
    assert reason in refusal(capsys, "train", data.name, "--to", to, *more)
    assert data.read_bytes() == before
    assert not Path(data.parent / "m.run").exists()


def test_picture_that_cannot_be_written_is_named_and_the_model_kept(
    data, val, tmp_path, capsys, monkeypatch
):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "plot", fail)
    to = tmp_path / "mine.safetensors"
    status, out, err = run(capsys, "train", data, "--val", val, "--to", to, *SIZES)
    assert (status, f"{to}: " in out) == (0, True)
    assert err == f"robojam: {tmp_path}/mine.png cannot be written: No space left on device\n"
    assert not to.with_suffix(".run").exists()
    load(to)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_names_that_are_not_utf8_are_trained_continued_and_played(data, val, tmp_path, capsys):
    first, second = (tmp_path / os.fsdecode(name) for name in (b"\xff.st", b"\xfe.st"))
    last, note = ["--to", tmp_path / "jam.jsonl", "--seconds", "0.1"], os.fsdecode(b"CC \xff")
    for command in (
        ["train", data, "--val", val, "--to", first, "--licence", note, *SIZES],
        ["train", data, "--val", val, "--from", first, "--to", second, "--passes", 1],
        ["generate", "--model", second, *last],
    ):
        status, _, err = run(capsys, *command)
        assert (status, err) == (0, "")
    assert load(second)[1].licence == "CC \\udcff"
    assert r'"file":"\\udcfe.st"' in (tmp_path / "jam.jsonl").read_text()


def test_train_refuses_cuda_without_a_gpu(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = refusal(capsys, "train", data, "--to", tmp_path / "m", "--device", "cuda")
    assert "no CUDA device" in message


def test_train_refuses_a_model_that_does_not_fit_into_memory(
    data, tmp_path, capsys, monkeypatch
):
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nand a trace")

    monkeypatch.setattr(trainer, "EventModel", full)
    message = refusal(capsys, "train", data, "--to", tmp_path / "m")
    assert "sizes cannot be made: DefaultCPUAllocator" in message


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
    status, _, err = run(capsys, "train", data, "--to", tmp_path / "m", *wrong.split())
    assert status == 2
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


# Going on


def test_resumed_run_gives_the_same_file_as_one_that_was_not_stopped(
    data, val, tmp_path, capsys, monkeypatch
):
    straight, to = tmp_path / "straight.safetensors", tmp_path / "mine.safetensors"
    command = ["train", data, "--val", val, *SIZES, "--passes", 9]
    assert run(capsys, *command, "--to", straight)[0] == 0
    assert not (tmp_path / "straight.run").exists()
    assert (tmp_path / "straight.png").read_bytes().startswith(b"\x89PNG")
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        status, out, _ = run(capsys, *command, "--to", to)
    assert (status, "--resume goes on" in out) == (0, True)
    assert (tmp_path / "mine.run").exists()
    message = refusal(capsys, *command, "--to", to, "--resume", "--units", 9)
    assert "this run has --units 8, not 9" in message
    message = refusal(capsys, "train", val, "--to", to, "--resume")
    assert "other data" in message
    status, out, err = run(capsys, "train", data, "--val", val, "--to", to, "--resume")
    assert (status, err) == (0, "")
    assert to.read_bytes() == straight.read_bytes()
    assert "there is no run" in refusal(
        capsys, "train", data, "--val", val, "--to", to, "--resume"
    )


def test_run_from_a_model_is_resumed_too(model, data, val, tmp_path, capsys, monkeypatch):
    straight, to = tmp_path / "straight.safetensors", tmp_path / "mine.safetensors"
    fresh = ["train", data, "--val", val, "--patience", 0]
    command = [*fresh, "--from", model, "--passes", 9]
    assert run(capsys, *command, "--to", straight)[0] == 0
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        status, out, _ = run(capsys, *command, "--to", to)
    assert (status, "--resume goes on" in out) == (0, True)
    load(to)
    message = refusal(capsys, *fresh, "--to", to, "--resume")
    assert f"say --from {model}" in message
    message = refusal(capsys, *fresh, "--from", straight, "--to", to, "--resume")
    assert f"say --from {model}" in message
    assert run(capsys, *command, "--to", to, "--resume")[0] == 0
    assert to.read_bytes() == straight.read_bytes()
    assert not (tmp_path / "mine.run").exists()
    with monkeypatch.context() as patched:
        stopped_after(patched, 2)
        assert run(capsys, *fresh, *SIZES, "--passes", 9, "--to", to)[0] == 0
    message = refusal(capsys, *command, "--to", to, "--resume")
    assert "from nothing: without --from" in message


@pytest.mark.parametrize("ends_in", ["limit_forgetting", "generate_memory"])
def test_fine_tuning_killed_in_its_last_seconds_is_resumed_to_the_same_file(
    ends_in, model, data, val, tmp_path, capsys, monkeypatch
):
    straight, to = tmp_path / "straight.safetensors", tmp_path / "mine.safetensors"
    command = ["train", data, "--val", val, "--patience", 1, "--from", model, "--passes", 9]
    assert run(capsys, *command, "--to", straight)[0] == 0

    class KilledError(BaseException):
        """The end of the process, in the place of a signal that nothing can handle."""

    def die(*_args, **_more):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(finetune, ends_in, die)
        with pytest.raises(KilledError):
            run(capsys, *command, "--to", to)
    assert not to.exists()  # not the model before its step back
    assert (tmp_path / "mine.run").exists()
    assert run(capsys, *command, "--to", to, "--resume")[0] == 0
    assert to.read_bytes() == straight.read_bytes()
    assert not (tmp_path / "mine.run").exists()


def test_first_ctrl_c_is_held_back_and_the_second_interrupts():
    # Handled as in the foreground: a program started in the background ignores SIGINT.
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


def test_train_from_a_model_keeps_its_kind_and_adds_to_its_training_data(
    model, data, tmp_path, capsys
):
    to = tmp_path / "mine.safetensors"
    status, out, err = run(
        capsys, "train", data, "--from", model, "--to", to, "--passes", 2, "--licence", "CC0"
    )
    assert (status, err) == (0, "")
    assert "of what it learnt is kept" in out
    made, about = load(to)
    assert made.event == load(model)[0].event
    assert [d.name for d in about.trained_on] == ["some.npz"]
    assert about.licence == "CC0"
    strokes = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9, 9]))
    for arguments, message in [
        ([data, "--from", "none"], "no model file none"),
        ([data, "--from", model, "--units", 3], "the sizes are that model's"),
        ([data, "--from", model, "--size", "s"], "the sizes are that model's"),
        ([data, "--from", model, "--resume"], "there is no run"),
        ([strokes, "--from", model], r"holds \(dx, dy, lifted\), and"),
    ]:
        assert re.search(message, refusal(capsys, "train", *arguments, "--to", to))


def test_size_option_sets_the_sizes_of_the_model(data, tmp_path, capsys):
    to = tmp_path / "mine.safetensors"
    how = ("--passes", 0.1, "--size", "s", "--batch", 64)
    status, _, err = run(capsys, "train", data, "--to", to, *how)
    assert (status, err) == (0, "")
    assert load(to)[1].units == trainer.SIZES["s"]["units"] == 64


def test_tensorboard_option_writes_the_run(data, tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    to, board = tmp_path / "mine.safetensors", tmp_path / "board"
    status, _, _ = run(capsys, "train", data, "--to", to, *SIZES, "--tensorboard", board)
    assert status == 0
    (events,) = board.iterdir()
    assert b"held_out" in events.read_bytes()


def test_tensorboard_option_without_the_library_says_what_to_install(
    data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    to = tmp_path / "mine.safetensors"
    status, _, err = run(capsys, "train", data, "--to", to, *SIZES, "--tensorboard", "b")
    assert (status, "robojam[report]" in err) == (2, True)


# A matcher for a model that exists


def test_matcher_only_makes_a_model_follow_and_changes_nothing_else(model, tmp_path, capsys):
    calls = npz(tmp_path / "calls.npz", corpus(TOUCHES, [150] * 120))
    call = npz(tmp_path / "call.npz", corpus(TOUCHES, [30]))
    play = ["generate", "--from", call, "--model", model, "--seconds", 0.3, "--follow", 1]
    play += ["--to", tmp_path / "jam.jsonl"]
    assert "has no matcher" in refusal(capsys, *play)
    before = modelfile.read(model)
    status, out, err = run(capsys, "train", calls, "--to", model, "--matcher-only")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "calls.npz: 120 performances, 18,000 events",
        f"{model}: its answers can follow calls",
    ]
    after = modelfile.read(model)
    assert (before.matcher, after.matcher is None) == (None, False)
    assert before.weights.keys() == after.weights.keys()
    for name, weight in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], weight)
    assert not list(tmp_path.glob("*.p*"))  # no picture, and no file that is half written
    status, _, err = run(capsys, *play)
    assert (status, err) == (0, "")
    assert (tmp_path / "jam.jsonl").exists()


def test_matcher_only_that_cannot_be_fitted_says_why_and_leaves_the_model(
    model, data, tmp_path, capsys
):
    before = model.read_bytes()
    status, _, err = run(capsys, "train", data, "--to", model, "--matcher-only")
    assert (status, "some.npz has too few performances" in err) == (2, True)
    kanji = npz(tmp_path / "kanji.npz", corpus(STROKES, [30, 20, 25]))
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    for to, arguments, message in [
        (model, [kanji], "a matcher is of touches"),
        (model, [tmp_path / "none.npz"], "none.npz: cannot be read"),
        (model, [data, "--passes", 3], "no options of training"),
        (model, [data, "--size", "s"], "no options of training"),
        (model, [data, "--val", data], "no options of training"),
        (tmp_path / "none.safetensors", [data], "there is no model file"),
        (text, [data], "is not a safetensors file"),
    ]:
        command = ["train", *arguments, "--to", to, "--matcher-only"]
        assert message in refusal(capsys, *command)
    assert model.read_bytes() == before


def test_matcher_only_on_a_full_disk_is_reported_and_leaves_the_model(
    model, data, capsys, monkeypatch
):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    before = model.read_bytes()
    monkeypatch.setattr(matcher, "fit", lambda *_: alike())
    monkeypatch.setattr(modelfile, "write", full)
    status, _, err = run(capsys, "train", data, "--to", model, "--matcher-only")
    assert (status, err) == (
        1,
        f"robojam: {model} cannot be written: No space left on device\n",
    )
    assert model.read_bytes() == before
