"""Probability of an interval: exact, summing to 1 over a lattice, finite far from 0."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from robojam.mixture import Mixture
from robojam.mixture.interval import log_probability

torch.set_num_threads(1)
DOUBLE = torch.float64


def drawn(dims: int, covariance: str, seed: int = 0) -> Mixture:
    """A mixture of four random components, float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=DOUBLE)

    scale = 0.4 * normal(4, 1 if covariance == "spherical" else dims) - 0.3
    lower = normal(4, dims * (dims - 1) // 2) if covariance == "full" else None
    return Mixture(normal(4), 1.5 * normal(4, dims), scale, lower)


def test_interval_equals_the_difference_of_cdfs():
    z = torch.linspace(-6, 6, 25, dtype=DOUBLE)[:, None]
    half = torch.tensor([0.01, 0.1, 0.5, 1, 3, 9], dtype=DOUBLE)
    z, half = (t.contiguous() for t in torch.broadcast_tensors(z, half))
    # the upper tail, mirrored: the lower one is where doubles are dense
    low, high = -z.abs() - half, -z.abs() + half
    by_hand = (Normal(0, 1).cdf(high) - Normal(0, 1).cdf(low)).log()
    torch.testing.assert_close(log_probability(z, half), by_hand, rtol=1e-6, atol=1e-6)


def test_interval_gradients_pass_gradcheck():
    g = torch.Generator().manual_seed(0)
    z = (4 * torch.randn(200, dtype=DOUBLE, generator=g)).requires_grad_()
    half = (2 * torch.randn(200, dtype=DOUBLE, generator=g) - 1).exp().requires_grad_()
    assert torch.autograd.gradcheck(log_probability, (z, half))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("half", [1e-30, 1e-6, 1e-4, 0.3, 50.0, 1e6])
def test_interval_and_gradients_are_finite_very_far_from_0(half, dtype):
    z = torch.tensor([-1e12, -300, -9, -5, 0, 0.5, 9, 40, 1e6, 1e15], dtype=dtype)
    z, h = z.requires_grad_(), torch.full_like(z, half).requires_grad_()
    found = log_probability(z, h)
    found.sum().backward()
    assert found.dtype == dtype
    for each in (found, z.grad, h.grad):
        assert bool(each.isfinite().all())
    assert bool((found <= 0).all())


def test_narrow_interval_is_the_density_times_its_width():
    m, value = drawn(2, "full"), torch.randn(9, 2, dtype=DOUBLE)
    wide = 1e-3
    torch.testing.assert_close(
        m.interval_log_prob(value, wide),
        m.log_prob(value) + 2 * math.log(wide),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize("covariance", ["spherical", "diagonal", "full"])
def test_cells_of_a_lattice_sum_to_one(covariance):
    m, n = drawn(2, covariance), 3
    axis = (torch.arange(-60, 60, dtype=DOUBLE) + 0.5) / n
    cells = torch.cartesian_prod(axis, axis)
    assert float(m.interval_log_prob(cells, 1 / n).exp().sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
def test_cell_without_correlation_is_the_integral_of_the_density(covariance):
    m = drawn(2, covariance)
    place, wide = (
        torch.tensor([0.3, -0.8], dtype=DOUBLE),
        torch.tensor([0.9, 0.4], dtype=DOUBLE),
    )
    fine = (torch.arange(400, dtype=DOUBLE) + 0.5) / 400 - 0.5
    within = place + torch.cartesian_prod(fine, fine) * wide
    by_sum = m.log_prob(within).exp().mean() * wide.prod()
    found = m.interval_log_prob(place, wide).exp()
    torch.testing.assert_close(found, by_sum, rtol=1e-6, atol=0)


def test_correlated_dimension_is_conditioned_on_earlier_middles():
    m = drawn(2, "full")
    place, wide = torch.tensor([0.3, -0.8], dtype=DOUBLE), 0.4
    scale, c = m.log_scale.exp(), m.lower[:, 0]
    x = (place[0] - m.loc[:, 0]) / scale[:, 0]
    first, then = Normal(m.loc[:, 0], scale[:, 0]), m.loc[:, 1] + scale[:, 1] * c * x
    second = Normal(then, scale[:, 1])
    chance = (first.cdf(place[0] + 0.2) - first.cdf(place[0] - 0.2)) * (
        second.cdf(place[1] + 0.2) - second.cdf(place[1] - 0.2)
    )
    expected = (m.weights * chance).sum().log()
    torch.testing.assert_close(m.interval_log_prob(place, wide), expected)


@pytest.mark.parametrize("dims", [1, 2, 10])
def test_training_on_rounded_numbers_recovers_the_deviation(dims):
    """Numbers known only to the nearest whole: the deviation behind them is found again."""
    torch.manual_seed(0)
    seen = (0.5 * torch.randn(4000, dims) + 0.2).round()
    loc, log_scale = (torch.zeros(1, dims).requires_grad_() for _ in range(2))
    adam = torch.optim.Adam([loc, log_scale], lr=0.05)
    for _ in range(150):
        lower = torch.zeros(1, dims * (dims - 1) // 2) if dims > 1 else None
        m = Mixture(torch.zeros(1), loc, log_scale, lower)
        adam.zero_grad()
        (-m.interval_log_prob(seen, 1.0).mean()).backward()
        adam.step()
    assert loc.detach().mean().item() == pytest.approx(0.2, abs=0.03)
    assert log_scale.detach().exp().mean().item() == pytest.approx(0.5, abs=0.03)


def test_interval_of_a_wrong_shape_or_type_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        drawn(2, "full").interval_log_prob(torch.zeros(3, dtype=DOUBLE), 1.0)
    with pytest.raises(ValueError, match="floats"):
        drawn(2, "full").interval_log_prob(torch.zeros(2, dtype=torch.long), 1.0)
