"""The adversarial example: its distance, its critic, a run that is resumed, and its figures."""

from __future__ import annotations

import json
import signal
import sys

import pytest
import slogan
import torch
import wiggle
from _run import options, run
from torch import nn

torch.set_num_threads(1)


def test_difference_is_that_of_known_points_and_zero_for_one_density():
    at = torch.zeros(5, 2)
    # The kernel's mean is 1 within both, and 0 between them.
    assert slogan.two_sample(at, at + torch.tensor([3.0, 4.0])) == pytest.approx(
        (10, 2), abs=1e-4
    )
    assert slogan.two_sample(at, at, biased=True) == pytest.approx((0, 0))
    drawn = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    same = slogan.two_sample(drawn[:2000], drawn[2000:])
    assert same == pytest.approx((0, 0), abs=0.005)
    energy, discrepancy = slogan.two_sample(drawn[:2000], drawn[2000:] + 0.5)
    assert energy > 0.1
    assert discrepancy > 0.05
    assert slogan.two_sample(drawn[:2000], drawn[2000:], biased=True) > same


def test_exact_density_is_that_of_the_points():
    places = torch.cartesian_prod(torch.linspace(-20, 20, 400), torch.linspace(-12, 12, 400))
    cell = (40 / 399) * (24 / 399)
    density = slogan.exact_density(places)
    assert float(density.sum()) * cell == pytest.approx(1, abs=0.01)
    drawn = slogan.points(20_000, seed=0)
    assert drawn.mean(0).tolist() == pytest.approx(
        ((density[:, None] * places).sum(0) * cell).tolist(), abs=0.15
    )


def test_critic_is_penalised_only_where_its_slope_between_points_is_above_one():
    critic = slogan.Critic()
    real, fake = torch.randn(8, 2), torch.randn(8, 2) + torch.tensor([10.0, 0.0])

    def judged(slope: float) -> tuple[float, float]:
        critic.net = nn.Sequential(nn.Linear(2, 1))
        with torch.no_grad():
            critic.net[0].weight.copy_(torch.tensor([[slope, 0.0]]))
            critic.net[0].bias.zero_()
            loss, gap = critic.judge(real, fake)
        level = 1e-4 * slope**2 * float(fake[:, 0].mean() + real[:, 0].mean()) ** 2
        return float(loss) + float(gap) / slogan.SCALE - level, float(gap)

    apart = float(fake[:, 0].mean() - real[:, 0].mean())
    gentle, steep = judged(0.5), judged(2.0)
    assert gentle == pytest.approx((0, 0.5 * apart), abs=1e-5)
    assert steep[0] > 5  # the weight of the penalty is 10, and the slope is nearly 2
    assert steep[1] == pytest.approx(2 * apart, rel=1e-5)


def test_run_that_is_stopped_goes_on_as_the_same_run(tmp_path, monkeypatch):
    real, path = slogan.points(200, seed=0), tmp_path / "slogan.run"
    monkeypatch.setattr(slogan, "SCORE_EVERY", 5)
    straight = slogan.train(real, steps=12, seed=3)
    step, count = slogan._step, iter(range(100))

    def interrupted(*given):
        if next(count) == 6:
            signal.raise_signal(signal.SIGINT)
        return step(*given)

    monkeypatch.setattr(slogan, "_step", interrupted)
    stopped = slogan.train(real, steps=12, seed=3, checkpoint=path)
    assert stopped.history[-1][0] == 7
    monkeypatch.setattr(slogan, "_step", step)
    resumed = slogan.train(real, steps=12, seed=3, checkpoint=path, resume=True)
    for name, weight in straight.critic.state_dict().items():
        torch.testing.assert_close(resumed.critic.state_dict()[name], weight, rtol=0, atol=0)


def test_quick_run_comes_nearer_and_the_mixture_comes_nearest(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["slogan.py", "--quick", "--out", str(tmp_path)])
    run(options(slogan.__doc__, out="slogan"), slogan.main)
    found = json.loads((tmp_path / "slogan.json").read_text())
    held_out = slogan.points(2000, seed=1)
    torch.manual_seed(0)
    with torch.no_grad():
        untrained, _ = slogan.two_sample(slogan.Generator().sample(2000), held_out)
    assert found["energy distance, SLOGAN"] < 0.12 < untrained / 10
    assert found["energy distance, mixture"] < 0.05
    assert found["MMD, mixture"] < 0.2 < found["MMD, SLOGAN"] < 0.9
    assert found["within 3 deviations of the curve, mixture"] > 0.8
    assert (tmp_path / "slogan.png").read_bytes().startswith(b"\x89PNG")


def test_points_are_those_of_the_folded_curve():
    x, y = slogan.points(1000, seed=5).split(1, -1)
    assert torch.equal(torch.cat([x, y], -1), torch.cat(wiggle.data(1000, seed=5), -1))
    assert float((x - wiggle.curve(y)).std()) == pytest.approx(1, abs=0.1)
