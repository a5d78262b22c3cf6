"""The examples: each reaches the figure that is known of it, and draws its picture."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np
import pytest
import torch

from robojam.corpus.corpus import Corpus
from robojam.model import mdrnn, sequential_file
from robojam.model.file import ModelDescription

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

torch.set_num_threads(1)  # nothing here is large enough to share


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def weights(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def drawn(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_says_what_it_does(path):
    ran = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "--to" in ran.stdout
    assert "--quick" in ran.stdout


def test_inverse_problem_squared_error_fails_and_a_mixture_does_not(tmp_path):
    inverse = example("inverse_problem")
    x, t = inverse.data()
    assert len(x) == 4000
    # Squared error: a straight line first, in the end the average, and never less. The
    # 0.052 of the literature lies above both.
    line, least = inverse.limits()
    assert (line, least) == pytest.approx((0.0483, 0.0383), abs=5e-5)
    squared = inverse.squared_network()
    early = inverse.learn(squared, x, t, steps=400)
    assert early == pytest.approx(line, abs=0.001)
    assert early < 0.052
    late = inverse.learn(inverse.squared_network(), x[:1000], t[:1000])
    assert late == pytest.approx(least, abs=0.002)
    net = inverse.network()
    assert weights(net) == 4078
    loss = inverse.learn(net, x, t, steps=1500)  # of the 5,400 that the example takes
    assert loss <= -1.059
    assert inverse.off_branch(net) < 0.1  # the noise reaches so far
    # Kept and loaded, it is the same network, with nothing to name.
    path = tmp_path / "inverse.safetensors"
    sequential_file.save(net, path)
    again = sequential_file.load(path)
    torch.testing.assert_close(again(x).log_prob(t), net(x).log_prob(t), rtol=0, atol=0)
    pytest.importorskip("matplotlib")
    inverse.draw(again, squared, x, t, tmp_path / "inverse.png")
    assert drawn(tmp_path / "inverse.png")


def test_inverse_sine_286_weights_fail_and_510_fit(tmp_path):
    sine = example("inverse_sine")
    x, y = sine.data()
    squared, mixture = sine.squared_network(), sine.mixture_network()
    assert (weights(squared), weights(mixture)) == (286, 510)
    assert sine.learn(squared, x, y, steps=600) > 9  # the answers' variance is 13
    assert sine.learn(mixture, x, y, steps=1000) < 0.6
    assert sine.right(squared, x) < 0.1
    assert sine.right(mixture, x) > 0.95
    pytest.importorskip("matplotlib")
    sine.draw({"squared": squared, "mixture": mixture}, x, y, tmp_path / "sine.png")
    assert drawn(tmp_path / "sine.png")


def test_wiggle_is_learnt_to_its_known_loss(tmp_path):
    wiggle = example("wiggle")
    chorus, (x, y) = wiggle.Chorus(), wiggle.stacked()
    assert x.shape == (3, 1000, 1)
    wiggle.learn(chorus, x, y, epochs=130)  # of 2,000
    assert median(wiggle.losses(chorus, x, y)) <= 1.42
    held_out = wiggle.stacked(points=10_000, first=100)
    assert median(wiggle.losses(chorus, *held_out)) <= 1.50
    mixture = chorus(torch.tensor([[0.0]]).expand(3, 1, 1))
    # Without spread samples are component means; without temperature, the likeliest's.
    means = mixture.sample((50,), spread=0)
    assert bool((means == mixture.loc[..., 0]).any(-1).all())
    assert bool((mixture.sample((50,), temperature=0, spread=0) == mixture.mode).all())
    pytest.importorskip("matplotlib")
    wiggle.draw(chorus, x, y, tmp_path / "wiggle.png")
    assert drawn(tmp_path / "wiggle.png")


def test_spiral_gains_by_correlation_what_theory_says(tmp_path):
    spiral = example("spiral")
    upright, leaning = spiral.theory()
    assert upright - leaning == pytest.approx(0.786, abs=0.001)
    nets = {kind: spiral.network(kind) for kind in ("diagonal", "correlated")}
    nats = {kind: spiral.learn(net, steps=700) for kind, net in nets.items()}
    assert nats["diagonal"] == pytest.approx(upright, abs=0.15)
    assert nats["correlated"] == pytest.approx(leaning, abs=0.2)
    assert nats["diagonal"] - nats["correlated"] > 0.6
    pytest.importorskip("matplotlib")
    spiral.draw(nets, tmp_path / "spiral.png")
    assert drawn(tmp_path / "spiral.png")


def test_kanji_are_learnt_and_written(tmp_path):
    kanji = example("kanji")
    if not kanji.CORPUS.is_file():
        pytest.skip("the corpus of kanji is not here")
    corpus, held_out = kanji.kanji(kanji.CORPUS)
    assert (len(corpus.lengths), len(held_out.lengths)) == (10_000, 500)
    net = kanji.build(units=48, components=8, hidden=32)
    before = kanji.nats(net, held_out)["point"]
    net = kanji.train(net, corpus, held_out, passes=1, steps=25)
    after = kanji.nats(net, held_out)["point"]
    assert after < before - 0.5
    written = kanji.write_new(net, 3, temperature=0.5)
    assert all(1 <= len(points) <= kanji.LONGEST for points in written)
    path = tmp_path / "kanji.safetensors"
    mdrnn.save(net, path, ModelDescription(event=net.event, units=48, layers=1))
    assert kanji.nats(mdrnn.load(path)[0], held_out)["point"] == pytest.approx(after)
    pytest.importorskip("matplotlib")
    kanji.draw({"new": written}, tmp_path / "kanji.png", "New")
    assert drawn(tmp_path / "kanji.png")


def test_any_file_of_strokes_will_do(tmp_path):
    kanji = example("kanji")
    path = tmp_path / "drawings.npz"
    strokes = np.tile(np.array([[3, 4, 0], [5, 0, 1], [0, -7, 1]], np.int16), (40, 1))
    np.savez(path, train_strokes=strokes, train_lengths=np.full(40, 3, np.int32))
    corpus, held_out = kanji.kanji(path)
    assert (len(corpus.lengths), len(held_out.lengths)) == (38, 2)
    assert corpus.events[:3].tolist() == [[3, 4, 0, 0], [5, 0, 1, 0], [0, -7, 1, 1]]


def test_a_diagonal_model_of_kanji_stays_diagonal_and_is_no_smaller():
    kanji = example("kanji")
    net = kanji.build(units=32, components=8, hidden=32)
    other = kanji.diagonal(net)
    assert weights(net) <= weights(other) < 1.02 * weights(net)
    lengths = np.array([6] * 8)
    events = np.random.default_rng(0).normal(0, 30, (48, 4)).round().astype(np.float32)
    events[:, 2:] = 0
    corpus = Corpus(events, lengths, ("dx", "dy", "lifted", "ended"), "made up", "")
    learnt = kanji.train(other, corpus, corpus, passes=1, steps=5)
    assert bool((learnt.head[0].weight[-5:] == 0).all())
    assert bool((learnt.head[0].bias[-5:] == 0).all())
    assert bool((learnt.head[0].weight[:-5] != 0).any())


def test_performance_is_heard_expected_and_answered(tmp_path):
    performance = example("performance")
    touches = performance.gesture()
    player = performance.load()
    performance.feed(player, touches)
    expected = performance.expected(player)
    # It is in the middle of a stroke that moves on to the right, and expects it there.
    ahead = 2 * touches[-1, :2] - touches[-2, :2]
    assert math.dist(expected.mode.tolist(), ahead.tolist()) < 0.03
    answers = [performance.answer(player, voice, seconds=1.0) for voice in range(5)]
    for answer in answers:
        assert answer[:, 2].sum() <= 1.0
        assert bool(((answer[:, :2] >= 0) & (answer[:, :2] <= 1)).all())
    assert len({answer.tobytes() for answer in answers}) == 5
    again = performance.load()
    performance.feed(again, touches)
    assert performance.answer(again, 0, seconds=1.0).tobytes() == answers[0].tobytes()
    pytest.importorskip("matplotlib")
    performance.draw([touches], [expected], [answers], tmp_path / "performance.png")
    assert drawn(tmp_path / "performance.png")
