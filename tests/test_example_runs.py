"""What the larger examples share: a training that is stopped, resumed or not finite."""

from __future__ import annotations

import signal
import sys

import _run
import pytest
import torch
from torch import nn

from robojam.mixture import MixtureLayer
from robojam.training.trainer import NotFiniteError

torch.set_num_threads(1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), MixtureLayer(8, 1, 2))


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(32, 1)
    return x, x * x + 0.1 * torch.randn_like(x)


def loss(net: nn.Module, step: int) -> torch.Tensor:
    x, y = batch(step)
    return net(x).loss(y)


def score(net: nn.Module) -> float:
    x = torch.linspace(0, 1, 50)[:, None]
    return net(x).loss(x * x).item()


def fit(net: nn.Module, loss=loss, **given) -> _run.Fitted:
    settings = {"steps": 60, "rate": 1e-2, "label": "parabola", "score_every": 20} | given
    return _run.fit(net, loss, score, **settings)


def test_fit_leaves_the_weights_that_scored_best():
    net = network()
    before = score(net)
    fitted = fit(net)
    assert fitted.score < before
    assert not fitted.stopped
    with torch.no_grad():
        assert score(net) == pytest.approx(fitted.score)


def test_run_stopped_by_ctrl_c_keeps_its_best_and_resumes_as_the_same_run(tmp_path):
    straight = network()
    fit(straight)
    path = tmp_path / "parabola.run"
    stopped = network()

    def interrupted(net, step):
        if step == 33:
            signal.raise_signal(signal.SIGINT)
        return loss(net, step)

    first = fit(stopped, interrupted, checkpoint=path)
    assert first.stopped
    assert first.step in (20, 34)
    with torch.no_grad():
        assert score(stopped) == pytest.approx(first.score)
    resumed = network()
    second = fit(resumed, checkpoint=path, resume=True)
    assert not second.stopped
    for name, weight in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)


def test_second_ctrl_c_ends_a_training_and_restores_the_handler(tmp_path):
    handler = signal.getsignal(signal.SIGINT)

    def impatient(net, step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return loss(net, step)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), impatient)
    assert signal.getsignal(signal.SIGINT) is handler


def test_checkpoint_of_another_run_is_refused_and_says_what_differs(tmp_path):
    path = tmp_path / "parabola.run"
    with pytest.raises(_run.InputError, match="there is no checkpoint"):
        fit(network(), checkpoint=path, resume=True)
    fit(network(), checkpoint=path)
    with pytest.raises(_run.InputError, match="seed is 0 there, and 1 here"):
        fit(network(), checkpoint=path, resume=True, seed=1)
    path.write_bytes(b"no tensors")
    with pytest.raises(_run.InputError, match="is no checkpoint of a run"):
        fit(network(), checkpoint=path, resume=True)


def test_loss_that_is_not_finite_ends_the_run_and_names_the_cause():
    def broken(net, step):
        x, y = batch(step)
        return net(x).loss(torch.where(y > y.median(), y, torch.nan) if step == 5 else y)

    with pytest.raises(NotFiniteError, match=r"at step 5 the loss is nan: a value, of shape"):
        fit(network(), broken)

    def huge(net, step):
        return loss(net, step) + 1e30 * net[0].weight.square().square().sum() ** 4

    with pytest.raises(NotFiniteError, match="lower the learning rate"):
        fit(network(), huge)


def test_program_ends_with_one_line_for_errors(tmp_path, monkeypatch, capsys):
    def program(error):
        def main(args):
            raise error

        monkeypatch.setattr(sys, "argv", ["example", "--out", str(tmp_path / "new")])
        with pytest.raises(SystemExit) as ended:
            _run.run(_run.options("An example.", out="example"), main)
        return ended.value.code, capsys.readouterr().err

    code, text = program(_run.InputError("no strokes here"))
    assert (code, text.splitlines()[-1][-15:]) == (2, "no strokes here")
    code, text = program(NotFiniteError("at step 5"))
    assert (code, "stopped: at step 5" in text) == (1, True)
    assert program(KeyboardInterrupt())[0] == 130
    assert (tmp_path / "new").is_dir()
