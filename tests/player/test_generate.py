"""Offline generation: takes equal a player's, and do not depend on each other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import CORPUS, ROOT, has_corpus
from support.commands import run
from support.matchers import alike
from support.models import TOUCHES, TRAINED, filed, is_trained, rows, small

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_performances
from robojam.jam.dwell import REDRAWS, DwellLimiter
from robojam.model.file import ModelFile, ModelFileError
from robojam.player import batch_generator, planner
from robojam.player.generate import generate
from robojam.player.player import ModelPlayer
from robojam.sessions.compose import compose
from robojam.sessions.session import encode, encode_header, parse, read
from robojam.touch import MAX_DT, MIN_DT

FILE = filed(small(TOUCHES))
NOTHING = np.empty((0, 4))
OPTIONS = {"seconds": 2.0, "seed": 7, "temperature": 1.0, "spread": 1.0}


def opening(count: int, seed: int = 0) -> np.ndarray:
    return rows(TOUCHES, count, np.random.default_rng(seed)).astype(np.float64)


def test_take_equals_what_a_player_plays():
    before = [NOTHING, opening(9), opening(30), NOTHING]
    takes = generate(FILE, before, **OPTIONS)
    for index, (part, take) in enumerate(zip(before, takes, strict=True)):
        player = ModelPlayer(FILE, voices=len(before), seed=7)
        player.set_sampling(temperature=1.0, spread=1.0)
        for x, y, dt, moving in part:
            player.feed(x, y, dt, moving > 0.5)
        for x, y, dt, moving in take[:40]:
            (made,) = player.sample([index])
            assert x == pytest.approx(min(max(made.x, 0), 1), abs=1e-4)
            assert y == pytest.approx(min(max(made.y, 0), 1), abs=1e-4)
            assert dt == pytest.approx(min(max(made.dt, MIN_DT), MAX_DT), rel=1e-3, abs=1e-5)
            player.commit(index, x, y, dt, moving > 0.5)


def test_takes_do_not_depend_on_how_many_there_are():
    some, more = (generate(FILE, [opening(5)] * n, **OPTIONS) for n in (2, 9))
    for one, other in zip(some, more, strict=False):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert not np.array_equal(some[0][:5], some[1][:5])


def test_takes_keep_the_limits_of_a_jam():
    for take in generate(FILE, [NOTHING] * 20, **OPTIONS):
        assert take[:, 2].sum() < 2.0
        assert ((take[:, :2] >= 0) & (take[:, :2] <= 1)).all()
        assert ((take[:, 2] >= MIN_DT) & (take[:, 2] <= MAX_DT)).all()
        assert len(take) == 0 or take[0, 3] == 0  # it lands before it slides


def test_continued_take_may_slide_from_the_last_touch():
    takes = generate(FILE, [opening(5)] * 60, **OPTIONS)
    slides = [take[0, 3] for take in takes if len(take)]
    assert 0 < sum(slides) < len(slides)


def test_first_touch_comes_after_the_silence():
    """Its dt is distributed as that of first touches that need no redrawing."""
    part, silence = opening(5), 0.02
    options = {**OPTIONS, "seconds": 5.0}
    free = generate(FILE, [part] * 3000, **options)
    late = generate(
        FILE, [part] * 600, **{**options, "seed": 8}, silences=np.full(600, silence)
    )
    of_free = np.array([take[0, 2] for take in free if len(take)])
    of_late = np.array([take[0, 2] for take in late if len(take)])
    assert (of_free < silence).mean() > 0.2
    assert of_late.min() >= silence - 1e-6
    wanted = of_free[of_free >= silence]
    shares = [np.percentile(of_late, [25, 50, 75]), np.percentile(wanted, [25, 50, 75])]
    np.testing.assert_allclose(*shares, rtol=0.15)


def test_every_take_has_a_touch():
    free = generate(FILE, [opening(5)] * 500, **{**OPTIONS, "seconds": 5.0})
    short = float(np.percentile([take[0, 2] for take in free], 10))
    takes = generate(FILE, [opening(5)] * 500, **{**OPTIONS, "seconds": short})
    assert all(len(take) > 0 and take[0, 2] < short for take in takes)


def test_first_touch_is_delayed_when_no_draw_outlasts_the_silence():
    (take,) = generate(
        FILE, [opening(5)], **{**OPTIONS, "seconds": 5.001}, silences=np.array([80.0])
    )
    assert take[0, 2] == MAX_DT  # as long as a jam's touch can be


def test_take_at_temperature_and_spread_zero_is_the_same_for_every_seed():
    one, two = (
        generate(FILE, [opening(5)], seconds=1, seed=seed, temperature=0, spread=0)[0]
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_take_written_as_a_session_is_read_back():
    before, (take,) = opening(20), generate(FILE, [opening(20)], **OPTIONS)
    made = compose(before, take, file=FILE, seed=7, options={"temperature": 1.0})
    again = parse(b"".join([encode_header(made.header), *map(encode, made.events)]))
    assert again.events == made.events
    down: set[str] = set()
    for event in again.touches():  # each finger lands, slides and lifts
        who, phase = event.touch.who, event.touch.phase
        assert (who in down) == (phase != "down")
        (down.discard if phase == "up" else down.add)(who)
    assert not down
    assert again.summary().touches == {"human": 20, "ai": len(take)}


@is_trained
def test_generate_command_writes_every_format(tmp_path, capsys):
    def make(*arguments):
        status, out, err = run(capsys, "generate", "--seed", "3", *arguments)
        assert (status, err) == (0, "")
        return out

    make("--to", tmp_path / "a.jsonl", "--seconds", "1.5", "--model", TRAINED)
    session = read(tmp_path / "a.jsonl")
    assert session.duration < 1.5 + 0.2
    assert set(session.summary().touches) == {"ai"}
    make("--to", tmp_path / "c.npz", "--count", "5", "--seconds", "1")
    going_on = len(clean(read_performances(tmp_path / "c.npz")).lengths)
    out = make("--from", tmp_path / "c.npz", "--to", tmp_path / "d.csv", "--seconds", "1")
    assert f"{going_on} performances" in out
    names = [f"d-{i}.csv" for i in range(1, going_on + 1)]
    assert sorted(p.name for p in tmp_path.glob("d*")) == names
    make("--from", tmp_path / "d-1.csv", "--to", tmp_path / "e.png", "--seconds", "1")
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
    make("--to", tmp_path / "f.jsonl", "--seconds", "1.5")
    one, two = (read(tmp_path / f"{name}.jsonl").events for name in "af")
    assert one == two


@has_corpus
def test_generate_command_refuses_bad_arguments_by_name(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("hello")
    for arguments, message in [
        (["--to", tmp_path / "a.xyz"], ".jsonl, .csv, .html, .mid, .npz, .png, .wav"),
        (["--to", tmp_path / "a.csv", "--from", tmp_path / "bad.csv"], "bad.csv"),
        (["--to", tmp_path / "a.csv", "--from", CORPUS / "kanji_stroke3.npz"], "pen strokes"),
        (["--to", tmp_path / "a.csv", "--model", "none"], "no model file none"),
        (["--to", tmp_path / "a.csv", "--temperature", "nan"], "from 0 to 10"),
        (["--to", tmp_path / "a.csv", "--spread", "11"], "from 0 to 10"),
        (["--to", tmp_path / "a.csv", "--seconds", "4000"], "3600"),
    ]:
        status, _, err = run(capsys, "generate", *arguments)
        assert status == 2
        assert message in err


def test_generate_command_does_not_overwrite_its_input(tmp_path, capsys):
    jam = tmp_path / "jam.jsonl"
    jam.write_bytes((ROOT / "sessions" / "example.jsonl").read_bytes())
    before = jam.read_bytes()
    status, _, err = run(capsys, "generate", "--from", jam, "--to", jam)
    assert status == 2
    assert "is what it goes on from" in err
    assert jam.read_bytes() == before
    numbered = jam.rename(tmp_path / "jam-2.jsonl")
    status, _, err = run(capsys, "generate", "--from", numbered, "--to", jam, "--count", 2)
    assert status == 2
    assert "jam-2.jsonl is among the data and would be replaced" in err
    assert numbered.read_bytes() == before


@is_trained
def test_machine_option_continues_the_machines_part(capsys, tmp_path):
    alone = tmp_path / "alone.jsonl"
    options = ("--seconds", 1, "--seed", 3)
    assert run(capsys, "generate", "--to", alone, *options)[0] == 0
    to = tmp_path / "on.csv"
    code, _, said = run(capsys, "generate", "--from", alone, "--to", to, *options)
    assert code == 2
    assert "--machine" in said
    assert run(capsys, "generate", "--from", alone, "--machine", "--to", to, *options)[0] == 0
    assert to.stat().st_size > 0


def test_machine_option_without_input_is_refused(capsys, tmp_path):
    code, _, said = run(capsys, "generate", "--machine", "--to", tmp_path / "a.csv")
    assert code == 2
    assert "--machine goes with --from" in said
    assert not list(tmp_path.iterdir())


def staying_model() -> ModelFile:
    """Model that slides every 18 ms: by 0 nine times of ten, else by 0.01."""
    model = small(TOUCHES)
    with torch.no_grad():
        for head in model.head:
            head.get_parameter("weight").zero_()
            head.get_parameter("bias").zero_()
        model.head[0].get_parameter("bias").fill_(20)
        for head, factor in zip(model.head[1:], TOUCHES.factors[1:], strict=True):
            k, d, bias = factor.components, factor.dims, head.get_parameter("bias")
            bias[:k] = torch.tensor([math.log(9), 0.0] + [-50.0] * (k - 2))
            bias[k * (1 + d) : k * (1 + 2 * d)] = -20
            if factor.slides is not None:
                bias[k + d : k + 2 * d] = 0.01 / factor.step * torch.tensor([1.0, -1.0])
    return filed(model)


def test_no_take_dwells_for_long(monkeypatch):
    options = {**OPTIONS, "seconds": 3.0}
    start = [np.array([[0.1, 0.9, 0.0, 0.0]])] * 60

    def longest(take: np.ndarray) -> float:
        leaves = np.flatnonzero(np.abs(np.diff(take[:, 0])) > 0.005)
        at = take[:, 2].cumsum()
        return float(np.diff(at[np.concatenate([[0], leaves, [len(at) - 1]])]).max())

    monkeypatch.setattr("robojam.jam.dwell.LONG", 0.3)
    guarded = [longest(take) for take in generate(staying_model(), start, **options)]
    assert max(guarded) < 0.45  # sixteen times nowhere, of ten times nine: it can happen
    monkeypatch.setattr("robojam.jam.dwell.LONG", 9.0)
    free = [longest(take) for take in generate(staying_model(), start, **options)]
    assert np.mean(np.array(free) > 0.45) > 0.3
    assert np.mean(guarded) < np.mean(free)


def test_dwelling_touch_is_redrawn_as_often_as_in_a_jam(monkeypatch):
    drawn, kept = [], []
    # Each draw would stay.
    monkeypatch.setattr(DwellLimiter, "too_long", lambda *_, **__: True)
    play = batch_generator._play

    def counted(*arguments):
        drawn.append(1)
        accepted = play(*arguments)
        kept.extend([1] * accepted)
        return accepted

    monkeypatch.setattr(batch_generator, "_play", counted)
    generate(FILE, [opening(5)], **OPTIONS)
    assert len(drawn) == len(kept) * (1 + REDRAWS) > 0


def test_takes_may_have_a_length_each():
    lengths = np.array([0.5, 2.0, 1.0])
    takes = generate(FILE, [opening(5)] * 3, **{**OPTIONS, "seconds": lengths})
    whole = generate(FILE, [opening(5)] * 3, **OPTIONS)
    for take, other, length in zip(takes, whole, lengths, strict=True):
        np.testing.assert_array_equal(take, other[other[:, 2].cumsum() < length])


def test_takes_that_follow_are_planned_and_keep_the_limits_of_a_jam():
    file = replace(FILE, matcher=alike())
    before = [opening(9), NOTHING, opening(30)]
    options = {**OPTIONS, "follow": 0.7}
    takes = generate(file, before, **options, silences=np.array([0.05, 0.0, 0.05]))
    for take, other in zip(takes, generate(file, before, **OPTIONS), strict=True):
        assert take[:, 2].sum() < 2.0
        assert ((take[:, :2] >= 0) & (take[:, :2] <= 1)).all()
        assert ((take[:, 2] >= MIN_DT) & (take[:, 2] <= MAX_DT)).all()
        assert not np.array_equal(take, other)
    assert takes[0][0, 2] >= 0.05
    assert takes[1][0, 3] == 0
    again = generate(file, before, **options, silences=np.array([0.05, 0.0, 0.05]))
    assert all(map(np.array_equal, takes, again))


def test_take_longer_than_a_plan_goes_on(monkeypatch):
    monkeypatch.setattr(planner, "MAX_SECONDS", 0.5)
    (take,) = generate(replace(FILE, matcher=alike()), [opening(9)], **OPTIONS, follow=0.5)
    assert 1.0 < take[:, 2].sum() < 2.0


def test_following_without_a_matcher_is_refused():
    with pytest.raises(ModelFileError, match="matcher"):
        generate(FILE, [opening(9)], **OPTIONS, follow=0.5)
