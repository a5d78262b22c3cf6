"""Mixture densities: the mathematics, the layer, and the published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from robojam import formulas, mixture, step
from robojam.mixture import FLOOR, Mixture, MixtureLayer, width

torch.set_num_threads(1)  # nothing here is large enough to share


def drawn(dims: int, k: int = 4, batch: tuple[int, ...] = (), seed: int = 0) -> Mixture:
    """A mixture of random parameters, float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=g, dtype=torch.float64)

    scale = 0.4 * normal(k, dims) - 0.3
    return Mixture(normal(k), 1.5 * normal(k, dims), scale, normal(k, dims * (dims - 1) // 2))


def factors(m: Mixture) -> Tensor:
    """L = diag(s) (I + C) of each component, (…, K, D, D)."""
    d = m.dims
    strict = torch.zeros(*m.loc.shape, d, dtype=m.loc.dtype)
    for at, (i, j) in enumerate(zip(*np.tril_indices(d, -1), strict=True)):
        strict[..., i, j] = m.lower[..., at]
    return m.log_scale.exp()[..., None] * (torch.eye(d, dtype=m.loc.dtype) + strict)


def reference(m: Mixture) -> MixtureSameFamily:
    normals = MultivariateNormal(m.loc, scale_tril=factors(m))
    return MixtureSameFamily(Categorical(logits=m.logits), normals)


# Density


@pytest.mark.parametrize("dims", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [(), (7,), (2, 3)])
def test_density_is_that_of_torch_distributions(dims, batch):
    m = drawn(dims, batch=batch)
    value = 2 * torch.randn(*batch, dims, dtype=torch.float64)
    found = m.log_prob(value)
    assert found.shape == batch
    torch.testing.assert_close(found, reference(m).log_prob(value), rtol=0, atol=1e-6)


def test_values_broadcast_over_the_batch():
    m = drawn(2, batch=(3,))
    value = torch.randn(5, 1, 2, dtype=torch.float64)
    expected = reference(m).log_prob(value.expand(5, 3, 2))
    torch.testing.assert_close(m.log_prob(value), expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients_are_right(dims):
    m = drawn(dims, k=3, batch=(2,))
    given = (m.logits, m.loc, m.log_scale, m.lower)
    parts = [t.requires_grad_() for t in given if t is not None]
    value = torch.randn(2, dims, dtype=torch.float64, requires_grad=True)

    def density(*given):
        return Mixture(*given[:-1]).log_prob(given[-1])

    assert torch.autograd.gradcheck(density, (*parts, value))


def test_gradients_are_finite_where_every_component_is_far_away():
    raw = torch.zeros(1, width(2, 3), requires_grad=True)
    Mixture.from_parameters(raw, 2).log_prob(torch.full((1, 2), 1e4)).sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    raw = torch.full((1, width(2, 3)), -1e3, requires_grad=True)  # as narrow as can be
    found = Mixture.from_parameters(raw, 2).log_prob(torch.full((1, 2), -999.0))
    found.sum().backward()
    assert found.isfinite().all()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize(("dims", "points"), [(1, 4001), (2, 301), (3, 61)])
def test_density_integrates_to_one(dims, points):
    m = drawn(dims, k=3)
    deviation = (factors(m) @ factors(m).mT).diagonal(dim1=-2, dim2=-1).sqrt()
    low = (m.loc - 7 * deviation).amin(0)
    high = (m.loc + 7 * deviation).amax(0)
    axes = [
        torch.linspace(float(a), float(b), points, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    ]
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    total = 0.0
    for first in axes[0]:
        rest = torch.cartesian_prod(*axes[1:]).reshape(-1, dims - 1) if dims > 1 else None
        grid = first.reshape(1, 1)
        if rest is not None:
            grid = torch.cat([first.expand(len(rest), 1), rest], 1)
        total += float(m.log_prob(grid).exp().sum()) * cell
    assert total == pytest.approx(1, abs=1e-6)


def test_five_dimensions_integrate_to_one():
    # By importance: drawn from components twice as wide, weighed by the density.
    m = drawn(5, k=2)
    wide = reference(Mixture(m.logits * 0, m.loc, m.log_scale + math.log(1.5), m.lower))
    torch.manual_seed(0)
    values = wide.sample((100_000,))
    ratio = (m.log_prob(values) - wide.log_prob(values)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=5 * float(ratio.std()) / 100_000**0.5)
    assert float(ratio.std()) / 100_000**0.5 < 0.01


# Sampling


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_samples_have_the_moments_of_the_mixture(dims):
    m = drawn(dims, k=3)
    n = 200_000
    values = m.sample((n,), generator=torch.Generator().manual_seed(1))
    exact = reference(m)
    weights, within = m.logits.softmax(-1), factors(m) @ factors(m).mT
    apart = m.loc - exact.mean
    covariance = (weights[:, None, None] * (within + apart[:, :, None] * apart[:, None])).sum(0)
    error = 5 * covariance.diagonal().sqrt() / n**0.5
    assert bool(((values.mean(0) - exact.mean).abs() < error).all())
    torch.testing.assert_close(
        values.T.cov().reshape(dims, dims), covariance, rtol=0.03, atol=0.03
    )


def test_without_temperature_and_spread_a_sample_is_the_likeliest_mean():
    m = drawn(3, k=4, batch=(6,))
    best = m.logits.argmax(-1)
    expected = m.loc[torch.arange(6), best]
    torch.testing.assert_close(m.sample(temperature=0, spread=0), expected)
    torch.testing.assert_close(m.sample(temperature=1e-12, spread=0), expected)


def test_spread_multiplies_deviations_about_the_mean():
    m = drawn(2, k=3, batch=(50,))

    def sample(spread: float) -> Tensor:
        g = torch.Generator().manual_seed(3)
        return m.sample(spread=spread, generator=g)

    torch.testing.assert_close(sample(2.5) - sample(0), 2.5 * (sample(1) - sample(0)))


def test_temperature_divides_the_logits():
    n, logits = 100_000, torch.tensor([0.0, 1.0, 2.0])
    mean = torch.arange(3.0)[:, None].expand(n, 3, 1)
    m = Mixture(logits.expand(n, 3), mean, torch.zeros(n, 3, 1), torch.zeros(n, 3, 0))
    g = torch.Generator().manual_seed(0)
    values = m.sample(temperature=2.0, spread=0, generator=g)
    found = torch.bincount(values.flatten().long()) / n
    torch.testing.assert_close(found, (logits / 2).softmax(-1), atol=0.01, rtol=0)


@pytest.mark.parametrize(("temperature", "spread"), [(-1, 1), (1, -0.1), (math.nan, 1)])
def test_no_such_temperature_or_spread(temperature, spread):
    with pytest.raises(ValueError, match="0 or more"):
        drawn(1).sample(temperature=temperature, spread=spread)


# Shapes


def test_errors_name_both_shapes():
    m = drawn(2, batch=(5,))
    with pytest.raises(ValueError, match=r"\(5, 3\).*2 dimensions, \(5, 4, 2\)"):
        m.log_prob(torch.zeros(5, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"\(5, 4\).*\(5, 3, 2\)"):
        Mixture(m.logits, m.loc[:, :3], m.log_scale[:, :3], m.lower[:, :3])
    with pytest.raises(ValueError, match=r"\(5, 4, 0\).*\(5, 4, 1\)"):
        Mixture(m.logits, m.loc, m.log_scale, m.lower[..., :0])
    with pytest.raises(ValueError, match=r"13 parameters .* 2 dimensions.* 6"):
        Mixture.from_parameters(torch.zeros(4, 13), 2)
    with pytest.raises(ValueError, match="0 parameters"):
        Mixture.from_parameters(torch.zeros(4, 0), 2)
    with pytest.raises(ValueError, match="0"):
        MixtureLayer(3, 0, 2)


@pytest.mark.parametrize("dims", [1, 2, 3, 5])
def test_layer_gives_mixtures_for_any_leading_shape(dims):
    layer = MixtureLayer(6, dims, 4)
    m = layer(torch.randn(2, 3, 6))
    assert m.loc.shape == (2, 3, 4, dims)
    assert m.log_prob(torch.zeros(2, 3, dims)).shape == (2, 3)
    assert layer.linear.out_features == width(dims, 4)
    assert bool((m.log_scale >= FLOOR).all())


def test_shifted_moves_the_means_alone():
    m = drawn(2, batch=(3,))
    offset = torch.randn(3, 4, 2, dtype=torch.float64)
    value = torch.randn(3, 2, dtype=torch.float64)
    moved = m.shifted(offset[:, :1].expand(3, 4, 2))
    torch.testing.assert_close(moved.log_prob(value + offset[:, 0]), m.log_prob(value))


def test_what_is_written_twice_agrees():
    # robojam.mixture may import torch alone, robojam.step no torch: both need these.
    assert mixture.FLOOR == formulas.FLOOR
    assert mixture.COLD == step.COLD


# The systems of the field (MEASURED.md)


def test_published_component_densities():
    for mean, variance, published in [
        (0.0, 1.0, 0.00443185),
        (0.1, 2.2, 0.03977444),
        (0.2, 3.3, 0.06695205),
    ]:
        m = Mixture(
            torch.zeros(1, dtype=torch.float64),
            torch.tensor([[mean]], dtype=torch.float64),
            torch.tensor([[0.5 * math.log(variance)]], dtype=torch.float64),
            torch.zeros(1, 0, dtype=torch.float64),
        )
        found = m.log_prob(torch.tensor([3.0], dtype=torch.float64)).exp()
        assert float(found) == pytest.approx(published, abs=5e-9)


def test_published_loss():
    m = Mixture(
        torch.tensor([0.0, -torch.inf, -torch.inf]),
        torch.tensor([[0.0], [0.1], [0.2]]),
        torch.zeros(3, 1),
        torch.zeros(3, 0),
    )
    loss = -m.log_prob(torch.tensor([[3.0], [1.1]])).mean()
    assert float(loss) == pytest.approx(3.47144, abs=5e-6)


def test_published_sizes():
    def count(*layers: nn.Module) -> int:
        return sum(p.numel() for layer in layers for p in layer.parameters())

    assert count(nn.Linear(1, 50), MixtureLayer(50, 1, 26)) == 4078
    assert count(nn.Linear(1, 15), nn.Linear(15, 15), MixtureLayer(15, 1, 5)) == 510


def test_an_inverse_problem_is_learnt():
    """PRML section 5.6: squared error stays at 0.052, a mixture finds the branches."""
    rng = np.random.default_rng(0)
    y = rng.uniform(0, 1, 1000)
    x = y + 0.3 * np.sin(2 * np.pi * y) + rng.uniform(-0.1, 0.1, 1000)
    inputs, targets = (torch.tensor(a, dtype=torch.float32)[:, None] for a in (x, y))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 50), nn.Tanh(), MixtureLayer(50, 1, 26))
    adam = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(600):
        loss = -net(inputs).log_prob(targets).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert float(loss.detach()) < -0.9  # -1.059 in the end; one Gaussian: about -0.06
    likeliest = net(torch.tensor([[0.05], [0.95]])).sample(temperature=0, spread=0)
    torch.testing.assert_close(
        likeliest.detach(), torch.tensor([[0.02], [0.98]]), atol=0.06, rtol=0
    )
