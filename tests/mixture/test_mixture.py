"""Mixture densities: the mathematics, the layer, and published results."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    ExpTransform,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)

from robojam import mixture
from robojam.mixture import FLOOR, Covariance, Mixture, MixtureLayer, density, width
from robojam.model import features
from robojam.player import reference as step

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
def test_density_equals_torch_distributions(dims, batch):
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
def test_gradients_pass_gradcheck(dims):
    m = drawn(dims, k=3, batch=(2,))
    given = (m.logits, m.loc, m.log_scale, m.lower)
    parts = [t.requires_grad_() for t in given if t is not None]
    value = torch.randn(2, dims, dtype=torch.float64, requires_grad=True)

    def density(*given):
        return Mixture(*given[:-1]).log_prob(given[-1])

    assert torch.autograd.gradcheck(density, (*parts, value))


def test_gradients_are_finite_far_from_every_component():
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


def test_density_in_five_dimensions_integrates_to_one():
    # By importance: drawn from components twice as wide, weighed by the density.
    m = drawn(5, k=2)
    wide = reference(Mixture(m.logits * 0, m.loc, m.log_scale + math.log(1.5), m.lower))
    torch.manual_seed(0)
    values = wide.sample((100_000,))
    ratio = (m.log_prob(values) - wide.log_prob(values)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=5 * float(ratio.std()) / 100_000**0.5)
    assert float(ratio.std()) / 100_000**0.5 < 0.01


# The other covariances


def parameters(
    dims: int, kind: Covariance, batch: tuple[int, ...] = (6,), k: int = 4
) -> Tensor:
    g = torch.Generator().manual_seed(5)
    return torch.randn(*batch, width(dims, k, kind), generator=g, dtype=torch.float64)


def same_family(m: Mixture) -> MixtureSameFamily:
    normals = MultivariateNormal(m.loc, scale_tril=m.scale_tril)
    return MixtureSameFamily(Categorical(logits=m.logits), normals)


EACH = [(d, kind) for d in (1, 2, 3, 12) for kind in ("spherical", "diagonal", "full")]
EACH.append((2, "correlated"))


@pytest.mark.parametrize(("dims", "kind"), EACH)
def test_every_covariance_equals_mixture_same_family(dims, kind):
    p = parameters(dims, kind).requires_grad_()
    m = Mixture.from_parameters(p, dims, kind)
    value = 2 * torch.randn(3, 6, dims, dtype=torch.float64)
    theirs = same_family(m)
    found, expected = m.log_prob(value), theirs.log_prob(value)
    assert found.shape == (3, 6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    mine = torch.autograd.grad(found.sum(), p, retain_graph=True)[0]
    torch.testing.assert_close(
        mine, torch.autograd.grad(expected.sum(), p)[0], atol=1e-6, rtol=1e-6
    )
    for what in ("mean", "variance", "stddev", "batch_shape", "event_shape"):
        theirs = same_family(m)
        if isinstance(getattr(m, what), Tensor):
            torch.testing.assert_close(getattr(m, what), getattr(theirs, what))
        else:
            assert getattr(m, what) == getattr(theirs, what)
    torch.testing.assert_close(m.covariance_matrix.diagonal(dim1=-2, dim2=-1), m.variance)
    assert m.sample((2, 3)).shape == theirs.sample((2, 3)).shape == (2, 3, 6, dims)


@pytest.mark.parametrize(
    ("dims", "kind"), [(1, "diagonal"), (3, "spherical"), (2, "correlated")]
)
def test_first_second_and_vmapped_gradients_are_right(dims, kind):
    p = parameters(dims, kind, batch=(3,), k=2).requires_grad_()
    value = torch.randn(2, 3, dims, dtype=torch.float64, requires_grad=True)

    def density(p: Tensor, value: Tensor) -> Tensor:
        return Mixture.from_parameters(p, dims, kind).log_prob(value)

    assert torch.autograd.gradcheck(density, (p, value))
    assert torch.autograd.gradgradcheck(density, (p, value))
    each = torch.func.vmap(torch.func.grad(density))(p, value[0])
    torch.testing.assert_close(each, torch.autograd.grad(density(p, value[0]).sum(), p)[0])


@pytest.mark.parametrize(("dims", "kind"), [*EACH, (9, "full")])
def test_density_and_gradients_are_the_same_for_any_block_size(dims, kind, monkeypatch):
    p, value = parameters(dims, kind, batch=(5, 11)), torch.randn(5, 11, dims).double()

    def found() -> list[Tensor]:
        given = [t.clone().requires_grad_() for t in (p, value)]
        each = Mixture.from_parameters(given[0], dims, kind).log_prob(given[1])
        return [each, *torch.autograd.grad(each, given, torch.linspace(1, 2, 11).expand(5, 11))]

    whole = found()
    monkeypatch.setattr(density, "BLOCK", 4 * 4 * dims)  # four rows of the 55
    monkeypatch.setattr(density, "SMALL", 1)
    for a, b in zip(found(), whole, strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(
            Mixture.from_parameters(p, dims, kind).log_prob(value), whole[0]
        )


@pytest.mark.parametrize(("dims", "kind"), [(3, "diagonal"), (2, "correlated")])
def test_gradients_can_be_computed_repeatedly_and_batched(dims, kind):
    p = parameters(dims, kind).requires_grad_()
    value = torch.randn(6, dims, dtype=torch.float64, requires_grad=True)
    each = Mixture.from_parameters(p, dims, kind).log_prob(value)
    again = Mixture.from_parameters(p, dims, kind).log_prob(value)
    many = torch.autograd.grad(again, (p, value), torch.eye(6).double(), is_grads_batched=True)
    for row, g in enumerate(torch.eye(6).double()):
        one = torch.autograd.grad(each, (p, value), g, retain_graph=True)
        for a, b in zip(one, many, strict=True):
            torch.testing.assert_close(a, b[row])
    torch.autograd.grad(each.sum(), p)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(each.sum(), p)


@pytest.mark.parametrize("batch", [(), (6,)])
def test_mean_loss_equals_the_mean_of_the_densities(batch):
    p = parameters(2, "correlated", batch=batch).requires_grad_()
    value = torch.randn(3, 6, 2, dtype=torch.float64)

    def loss(p: Tensor) -> Tensor:
        return Mixture.from_parameters(p, 2, "correlated").loss(value)

    expected = -Mixture.from_parameters(p, 2, "correlated").log_prob(value).mean()
    torch.testing.assert_close(loss(p), expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss(p), p), torch.autograd.grad(expected, p)
    )
    with torch.no_grad():
        torch.testing.assert_close(loss(p), expected)
    assert torch.autograd.gradgradcheck(loss, (p,))


def test_density_beyond_the_largest_float_is_minus_infinity():
    p, value = torch.zeros(1, width(1, 2)), torch.full((1, 1), 1e30)
    for given in (p, p.requires_grad_()):
        assert Mixture.from_parameters(given, 1).log_prob(value).tolist() == [-math.inf]


def test_spherical_diagonal_and_correlated_equal_a_full_covariance():
    p = parameters(2, "correlated")
    m = Mixture.from_parameters(p, 2, "correlated")
    covariance = m.scale_tril @ m.scale_tril.mT
    scale = (FLOOR + nn.functional.softplus(p[..., 12:20] - FLOOR)).exp().unflatten(-1, (4, 2))
    deviations = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    torch.testing.assert_close(deviations, scale)  # as given, whatever the correlation
    c = p[..., 20:]
    found = covariance[..., 0, 1] / deviations.prod(-1)
    torch.testing.assert_close(found, c / (1 + c * c).sqrt())
    p = parameters(3, "spherical")
    one = Mixture.from_parameters(p, 3, "spherical")
    same = Mixture(one.logits, one.loc, one.log_scale.expand(one.loc.shape))
    value = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(one.log_prob(value), same.log_prob(value))
    torch.testing.assert_close(one.variance, same.variance)


def test_number_of_parameters_depends_on_the_covariance():
    assert [width(3, 2, kind) for kind in ("spherical", "diagonal", "full")] == [10, 14, 20]
    assert width(2, 5, "correlated") == width(2, 5, "full") == 30
    for dims, kind in EACH:
        layer = MixtureLayer(7, dims, 4, covariance=kind, dtype=torch.float64)
        assert layer.linear.out_features == width(dims, 4, kind)
        assert layer(torch.randn(2, 0, 7, dtype=torch.float64)).batch_shape == (2, 0)
    with pytest.raises(ValueError, match="two dimensions, not 3"):
        width(3, 1, "correlated")
    with pytest.raises(ValueError, match="spherical, diagonal, full, correlated, not 'round'"):
        MixtureLayer(3, 2, 1, covariance="round")


def test_cdf_is_right_and_refused_for_correlated_components():
    m = Mixture.from_parameters(parameters(1, "diagonal"), 1, "diagonal")
    theirs = MixtureSameFamily(
        Categorical(logits=m.logits), Normal(m.loc[..., 0], m.log_scale[..., 0].exp())
    )
    value = torch.linspace(-9, 9, 19, dtype=torch.float64)[:, None, None].expand(19, 6, 1)
    torch.testing.assert_close(m.cdf(value), theirs.cdf(value[..., 0]))
    flat = Mixture.from_parameters(parameters(3, "diagonal"), 3, "diagonal")
    draws = flat.sample((20_000,), generator=torch.Generator().manual_seed(0))
    at = torch.tensor([0.5, -0.2, 0.3], dtype=torch.float64)
    share = (draws <= at).all(-1).double().mean(0)
    torch.testing.assert_close(flat.cdf(at.expand(6, 3)), share, atol=0.015, rtol=0)
    with pytest.raises(NotImplementedError, match="correlated"):
        drawn(2).cdf(torch.zeros(2, dtype=torch.float64))


def test_mixture_works_within_torch_distributions():
    # The touch model's head for durations: a mixture over (log dt - centre) / scale.
    m = drawn(1, batch=(5,)).scaled(-4.0, 0.5)
    durations = TransformedDistribution(m, [ExpTransform()])
    dt = torch.rand(5, 1, dtype=torch.float64) + 0.01
    inner = drawn(1, batch=(5,)).log_prob((dt.log() + 4) / 0.5)
    by_hand = inner - math.log(0.5) - dt.log()[:, 0]
    torch.testing.assert_close(durations.log_prob(dt), by_hand)
    assert bool((durations.sample((9,)) > 0).all())
    with pytest.raises(ValueError, match="above zero, not 0"):
        m.scaled(0, 0)
    with pytest.raises(ValueError, match="a tensor of floats, not list"):
        m.log_prob([0.5])  # type: ignore[arg-type]
    assert not m.has_rsample
    with pytest.raises(NotImplementedError, match="no gradient: differentiate log_prob"):
        m.rsample()
    with pytest.raises(NotImplementedError, match="no entropy in closed form"):
        m.entropy()


@pytest.mark.parametrize(("dims", "kind"), EACH)
@pytest.mark.parametrize(("dtype", "far"), [(torch.float64, 1e18), (torch.float32, 1e9)])
def test_values_and_gradients_are_finite_very_far_from_0(dims, kind, dtype, far):
    p = (0.3 * parameters(dims, kind)).to(dtype).requires_grad_()
    m = Mixture.from_parameters(p, dims, kind)
    value = (m.stddev * far).detach().requires_grad_()
    density = m.log_prob(value)
    density.sum().backward()
    assert bool(density.isfinite().all())
    assert float(density.detach().max()) < -0.01 * far
    for tensor in (p, value):
        assert tensor.grad is not None
        assert bool(tensor.grad.isfinite().all())


# Compilers, devices and precision


def trained(layer: nn.Module, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    loss: Tensor = layer(x).loss(y, mask=mask)
    return loss


@pytest.mark.parametrize(
    ("dims", "kind"), [(1, "diagonal"), (3, "spherical"), (2, "correlated")]
)
def test_mixture_compiles_without_graph_breaks(dims, kind):
    layer = MixtureLayer(5, dims, 4, covariance=kind)
    x, y, mask = torch.randn(6, 5), torch.randn(6, dims), torch.arange(6) < 4
    expected = trained(layer, x, y, mask)
    torch._dynamo.reset()
    compiled = torch.compile(trained, backend="aot_eager", fullgraph=True)
    found = compiled(layer, x, y, mask)
    torch.testing.assert_close(found, expected)
    weight = layer.linear.weight
    torch.testing.assert_close(
        torch.autograd.grad(found, weight), torch.autograd.grad(expected, weight)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["diagonal", "correlated"])
def test_half_precision_is_computed_in_float32(dtype, kind):
    m = Mixture.from_parameters(parameters(2, kind).to(dtype), 2, kind)
    value = torch.randn(6, 2).to(dtype)
    wide = dtype if dtype.itemsize > 2 else torch.float32
    assert m.log_prob(value).dtype == m.sample().dtype == wide
    doubled = Mixture.from_parameters(parameters(2, kind).to(dtype).double(), 2, kind)
    torch.testing.assert_close(
        m.log_prob(value).double(), doubled.log_prob(value.double()), atol=1e-3, rtol=1e-4
    )
    assert m.log_prob(value.double()).dtype == torch.float64


def test_autocast_does_not_reduce_the_precision_of_the_density():
    layer = MixtureLayer(5, 12, 3)
    x, y = torch.randn(6, 5), torch.randn(6, 12)
    with torch.autocast("cpu", torch.bfloat16):
        m = layer(x)
        loss = m.loss(y)
        drawn = m.sample()
    assert m.loc.dtype == loss.dtype == drawn.dtype == torch.float32
    torch.testing.assert_close(loss, m.loss(y))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("dims", "kind"), EACH)
def test_gpu_gives_the_results_of_the_cpu(dims, kind):
    p, value = parameters(dims, kind), torch.randn(6, dims, dtype=torch.float64)
    m = Mixture.from_parameters(p.cuda(), dims, kind)
    expected = Mixture.from_parameters(p, dims, kind).log_prob(value)
    torch.testing.assert_close(m.log_prob(value.cuda()).cpu(), expected)
    assert m.sample((2,)).device.type == "cuda"


# Loss


def test_loss_is_reduced_over_unmasked_values():
    m = drawn(2, batch=(3, 4))
    value = torch.randn(3, 4, 2, dtype=torch.float64)
    each = -m.log_prob(value)
    mask = torch.rand(3, 4) < 0.5
    assert 0 < int(mask.sum()) < 12
    value[~mask] = math.nan
    m.loc.requires_grad_()
    torch.testing.assert_close(m.loss(value, mask=mask), each[mask].mean())
    torch.testing.assert_close(m.loss(value, mask=mask, reduction="sum"), each[mask].sum())
    kept = m.loss(value, mask=mask, reduction="none")
    torch.testing.assert_close(kept, torch.where(mask, each, 0.0))
    m.loss(value, mask=mask).backward()
    assert m.loc.grad is not None
    assert bool(m.loc.grad.isfinite().all())
    assert bool((m.loc.grad[~mask] == 0).all())
    row = mask.any(0)
    torch.testing.assert_close(
        drawn(2, batch=(3, 4)).loss(torch.zeros(3, 4, 2, dtype=torch.float64), mask=row),
        -m.log_prob(torch.zeros(3, 4, 2, dtype=torch.float64))[:, row].mean(),
    )


def test_impossible_losses_are_refused():
    m, value = drawn(2, batch=(4,)), torch.zeros(4, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="mean, sum or none, not 'max'"):
        m.loss(value, reduction="max")
    with pytest.raises(ValueError, match=r"booleans, not torch\.float32"):
        m.loss(value, mask=torch.ones(4))
    with pytest.raises(ValueError, match=r"\(3,\).*\(4, 2\)"):
        m.loss(value, mask=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="mean of no values"):
        m.loss(value, mask=torch.zeros(4, dtype=torch.bool))
    assert float(m.loss(value, mask=torch.zeros(4, dtype=torch.bool), reduction="sum")) == 0


@pytest.mark.parametrize(("dims", "kind"), EACH)
def test_empty_batch_gives_empty_results(dims, kind):
    m = Mixture.from_parameters(parameters(dims, kind, batch=(0,)).requires_grad_(), dims, kind)
    value = torch.zeros(0, dims, dtype=torch.float64)
    assert m.log_prob(value).shape == (0,)
    assert m.sample().shape == (0, dims)
    assert m.sample((3,), temperature=0).shape == (3, 0, dims)
    assert m.mean.shape == m.mode.shape == m.variance.shape == (0, dims)
    assert m.loss(value, reduction="sum").tolist() == 0
    with pytest.raises(ValueError, match="mean of no values"):
        m.loss(value)


# Values that are not finite


def test_checked_names_the_tensor_that_is_not_finite():
    layer, x = MixtureLayer(3, 2, 4), torch.zeros(5, 3)
    x[2, 1] = math.nan
    with mixture.checked(), pytest.raises(ValueError, match=r"features.*nan at \(2, 1\).* 1"):
        layer(x)
    assert bool(layer(x).log_prob(torch.zeros(5, 2)).isnan()[2])  # without, it goes on
    m = layer(torch.zeros(5, 3))
    with mixture.checked(), pytest.raises(ValueError, match=r"value.*inf at \(0, 0\).* 10"):
        m.log_prob(torch.full((5, 2), math.inf))
    with torch.no_grad():
        layer.linear.bias[7] = math.nan
    with mixture.checked(), pytest.raises(ValueError, match=r"linear.bias.*at \(7,\)"):
        layer(torch.zeros(5, 3))
    with mixture.checked():
        closed = Mixture(torch.tensor([0.0, -math.inf]), torch.zeros(2, 1), torch.zeros(2, 1))
        with pytest.raises(ValueError, match=r"log_scale.*at \(1, 0\)"):
            Mixture(closed.logits, closed.loc, torch.tensor([[0.0], [math.nan]]))
    assert not mixture.checking._checking


def test_integers_are_refused():
    one = torch.ones(1, 1)
    with pytest.raises(ValueError, match=r"floats, not of torch.int64"):
        Mixture(torch.ones(1, dtype=torch.long), one, one)
    with pytest.raises(ValueError, match=r"floats, not of torch.int64"):
        Mixture.from_parameters(torch.ones(6, dtype=torch.long), 2)
    with pytest.raises(ValueError, match=r"floats, not torch.int64"):
        drawn(1).log_prob(torch.ones(1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(2, 3\) of torch.int64.*\(…, 3\)"):
        MixtureLayer(3, 1, 1)(torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(…, 3\)"):
        MixtureLayer(3, 1, 1)(torch.ones(2, 4))
    with pytest.raises(ValueError, match="at least one dimension and one component"):
        Mixture(torch.ones(2, 0), torch.ones(2, 0, 1), torch.ones(2, 0, 1))
    with pytest.raises(ValueError, match="at least one dimension and one component"):
        MixtureLayer(3, 1, 0)


# Sampling


def test_bias_combines_temperature_and_spread():
    m = drawn(2, batch=(9,))

    def sample(**how: float) -> Tensor:
        return m.sample((4,), generator=torch.Generator().manual_seed(2), **how)

    torch.testing.assert_close(sample(bias=0.0), sample())
    torch.testing.assert_close(sample(bias=1.5), sample(temperature=0.4, spread=math.exp(-1.5)))
    torch.testing.assert_close(sample(bias=1e7), m.mode.expand(4, 9, 2))


def test_reading_without_gradients_keeps_later_gradients():
    p = parameters(2, "full").requires_grad_()
    m = Mixture.from_parameters(p, 2)
    with torch.no_grad():
        before = m.stddev
    with torch.inference_mode():
        m.sample()
    m.loss(before).backward()
    assert p.grad is not None
    raw = p.grad[:, 12:20]  # logits 4, means 8, then the deviations
    assert bool((raw != 0).all())


def test_mode_is_the_mean_of_the_largest_weight():
    m = drawn(3, batch=(6,))
    torch.testing.assert_close(m.mode, m.loc[torch.arange(6), m.logits.argmax(-1)])


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


def test_sample_at_temperature_and_spread_0_is_the_mode():
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


@pytest.mark.parametrize("name", ["temperature", "spread", "bias"])
@pytest.mark.parametrize("number", [-0.1, math.nan, math.inf])
def test_negative_or_infinite_temperature_spread_and_bias_are_refused(name, number):
    with pytest.raises(ValueError, match=f"{name} is 0 or more and finite, not {number}"):
        drawn(1).sample(**{name: number})


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
    with pytest.raises(ValueError, match="one dimension and one component, not 0 and 2"):
        MixtureLayer(3, 0, 2)
    with pytest.raises(ValueError, match=r"value \(\) .*\(5, 4, 2\)"):
        m.log_prob(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"value \(4, 2\) .*\(5, 4, 2\)"):
        m.log_prob(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"value \(4, 2\) .*\(5, 4, 2\)"):
        m.loss(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"value \(5, 3\) .*\(5, 4, 2\)"):
        m.cdf(torch.zeros(5, 3))


@pytest.mark.parametrize("dims", [1, 2, 3, 5])
def test_layer_returns_mixtures_for_any_batch_shape(dims):
    layer = MixtureLayer(6, dims, 4)
    m = layer(torch.randn(2, 3, 6))
    assert m.loc.shape == (2, 3, 4, dims)
    assert m.log_prob(torch.zeros(2, 3, dims)).shape == (2, 3)
    assert layer.linear.out_features == width(dims, 4)
    assert bool((m.log_scale >= FLOOR).all())


def test_shifted_moves_only_the_means():
    m = drawn(2, batch=(3,))
    offset = torch.randn(3, 4, 2, dtype=torch.float64)
    value = torch.randn(3, 2, dtype=torch.float64)
    moved = m.shifted(offset[:, :1].expand(3, 4, 2))
    torch.testing.assert_close(moved.log_prob(value + offset[:, 0]), m.log_prob(value))


def test_constants_equal_those_of_the_torch_free_player():
    # robojam.mixture may import torch alone, and robojam.player.reference does without it.
    assert mixture.FLOOR == features.FLOOR
    assert mixture.COLD == step.COLD


# The systems of the field


def test_component_densities_equal_the_published_ones():
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


def test_loss_equals_the_published_one():
    m = Mixture(
        torch.tensor([0.0, -torch.inf, -torch.inf]),
        torch.tensor([[0.0], [0.1], [0.2]]),
        torch.zeros(3, 1),
        torch.zeros(3, 0),
    )
    loss = -m.log_prob(torch.tensor([[3.0], [1.1]])).mean()
    assert float(loss) == pytest.approx(3.47144, abs=5e-6)


def test_layer_sizes_equal_the_published_ones():
    def count(*layers: nn.Module) -> int:
        return sum(p.numel() for layer in layers for p in layer.parameters())

    assert count(nn.Linear(1, 50), MixtureLayer(50, 1, 26)) == 4078
    assert count(nn.Linear(1, 15), nn.Linear(15, 15), MixtureLayer(15, 1, 5)) == 510
