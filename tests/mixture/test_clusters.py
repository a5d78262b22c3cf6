"""Start of a mixture near its targets, and targets of any units."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MixtureSameFamily

from robojam.mixture import Mixture, MixtureLayer, Scaling

COVARIANCES = ("spherical", "diagonal", "full", "correlated")


@torch.no_grad()
def at_zero(layer: MixtureLayer) -> Mixture:
    """Return the mixture that a layer's bias alone gives."""
    return layer(torch.zeros(layer.linear.in_features))


def test_means_of_one_dimension_lie_in_equal_parts_of_the_targets():
    layer = MixtureLayer(3, 1, 4)
    layer.spread_means(torch.linspace(100, 500, 400)[:, None])
    start = at_zero(layer)
    torch.testing.assert_close(
        start.loc[:, 0], torch.tensor([150.0, 250, 350, 450]), rtol=0.01, atol=0
    )
    torch.testing.assert_close(start.weights, torch.full((4,), 0.25))
    width = 100 / math.sqrt(12)  # of a uniform part
    torch.testing.assert_close(
        start.log_scale.exp()[:, 0], torch.full((4,), width), rtol=0.02, atol=0
    )


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_means_of_two_dimensions_lie_in_the_clusters_of_the_targets(covariance):
    g = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 1000.0]])
    targets = centres.repeat(50, 1) + torch.randn(150, 2, generator=g) * torch.tensor(
        [0.1, 5.0]
    )
    layer = MixtureLayer(3, 2, 3, covariance=covariance)
    layer.spread_means(targets)
    start = at_zero(layer)
    apart = torch.cdist(
        start.loc / torch.tensor([1.0, 100.0]), centres / torch.tensor([1.0, 100.0])
    )
    assert sorted(apart.argmin(-1).tolist()) == [0, 1, 2]
    assert float(apart.min(-1).values.max()) < 0.1
    before = MixtureLayer(3, 2, 3, covariance=covariance)
    assert float(start.loss(targets)) < float(at_zero(before).loss(targets)) - 5


def test_spreading_does_not_depend_on_chance_and_keeps_the_weights_of_the_features():
    targets = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    layer = MixtureLayer(3, 2, 8)
    weight = layer.linear.weight.clone()
    layer.spread_means(targets)
    first = layer.linear.bias.clone()
    layer.spread_means(targets)
    assert torch.equal(layer.linear.bias, first)
    assert torch.equal(layer.linear.weight, weight)


@pytest.mark.parametrize(
    "targets", [torch.zeros(5, 1), torch.tensor([[3.0]]), torch.full((2, 1), 1e30)]
)
def test_few_or_equal_targets_give_a_finite_start(targets):
    layer = MixtureLayer(2, 1, 6)
    layer.spread_means(torch.cat([targets, torch.tensor([[math.nan], [math.inf]])]))
    assert bool(layer.linear.bias.isfinite().all())


@pytest.mark.parametrize(
    "targets", [torch.zeros(5, 3), torch.zeros(5, 2, dtype=torch.long), torch.tensor(0.0),
                torch.full((4, 2), math.nan), torch.zeros(0, 2)],
)  # fmt: skip
def test_targets_that_do_not_fit_are_refused(targets):
    with pytest.raises(ValueError, match="target"):
        MixtureLayer(2, 2, 3).spread_means(targets)


def test_inverse_sine_from_the_docs_is_learnt_with_every_seed():
    """What the docs show: with means from chance alone, one seed in three stays wrong."""
    g = torch.Generator().manual_seed(0)
    y = 2 * math.pi * (2 * torch.rand(500, 1, generator=g) - 1)
    x = torch.sin(y) + 0.05 * torch.randn(500, 1, generator=g)
    for seed in range(3):
        torch.manual_seed(seed)
        layers = (nn.Linear(1, 15), nn.Tanh(), nn.Linear(15, 15), nn.Tanh())
        net = nn.Sequential(*layers, MixtureLayer(15, dims=1, components=5))
        net[-1].spread_means(y)
        adam = torch.optim.Adam(net.parameters(), lr=1e-2)
        for _ in range(500):
            adam.zero_grad()
            net(x).loss(y).backward()
            adam.step()
        answers = net(x).sample(generator=torch.Generator().manual_seed(1))
        assert float(((torch.sin(answers) - x).abs() < 0.2).float().mean()) > 0.9


def test_scaled_mixture_has_the_density_of_the_targets_own_units():
    targets = torch.tensor([[1000.0, 0.001], [3000.0, 0.003], [2000.0, 0.005]])
    scaling = Scaling.of(targets)
    unit = (targets - scaling.centre) / scaling.scale
    torch.testing.assert_close(unit.mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    for covariance in COVARIANCES:
        mixture = at_zero(MixtureLayer(3, 2, 4, covariance=covariance))
        density = mixture.scaled(*scaling).log_prob(targets)
        expected = mixture.log_prob(unit) - scaling.scale.log().sum()
        torch.testing.assert_close(density, expected, rtol=1e-4, atol=1e-4)
    assert bool((Scaling.of(torch.ones(4, 2)).scale == 1).all())
    for wrong in (0.0, -1.0, math.nan, torch.tensor([1.0, 0.0])):
        with pytest.raises(ValueError, match="above zero"):
            mixture.scaled(0.0, wrong)
    with pytest.raises(ValueError, match=r"scale \(3,\) do not fit"):
        mixture.scaled(0.0, torch.ones(3))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_targets_of_huge_numbers_have_a_density(covariance):
    layer, targets = MixtureLayer(3, 2, 2, covariance=covariance), 1e30 * torch.eye(2)
    layer.spread_means(targets)
    assert bool(at_zero(layer).log_prob(targets).isfinite().all())


def test_scaling_takes_finite_rows_and_refuses_what_has_no_dimension():
    targets = torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    scaling = Scaling.of(torch.cat([targets, torch.full((1, 2), math.nan)]))
    torch.testing.assert_close(scaling.centre, torch.tensor([2.0, 7.0]))
    torch.testing.assert_close(scaling.scale, torch.tensor([1.0, 2.0]))
    for wrong, reason in (
        (targets[0], r"\(2,\) do not fit.*\(N, 1\)"),
        (torch.ones(4, 2, dtype=torch.long), "int64 do not fit"),
        (torch.full((4, 2), math.inf), "no finite target"),
    ):
        with pytest.raises(ValueError, match=reason):
            Scaling.of(wrong)


def test_mixture_has_the_parts_that_torchs_own_have():
    for dims, covariance in ((1, "diagonal"), (2, "correlated"), (3, "full")):
        mixture = Mixture.from_parameters(torch.randn(4, 5, 30), dims, covariance)
        torchs = MixtureSameFamily(mixture.mixture_distribution, mixture.component_distribution)
        value = torch.randn(4, 5, dims)
        torch.testing.assert_close(mixture.log_prob(value), torchs.log_prob(value))
        assert torchs.batch_shape == mixture.batch_shape
        assert torchs.event_shape == mixture.event_shape


def test_mixture_is_printed_with_the_shapes_of_its_parts():
    text = repr(Mixture(torch.zeros(2, 3), torch.zeros(2, 3, 1), torch.zeros(2, 3, 1)))
    shapes = (f"torch.Size({list(shape)})" for shape in ((2, 3), (2, 3, 1), (2, 3, 1)))
    assert text == "Mixture(logits: {}, loc: {}, log_scale: {})".format(*shapes)


@pytest.mark.parametrize(
    "index", [0, -1, slice(1, 3), (1, 2), (slice(None), 0), ..., None,
              torch.tensor([0, 2]), torch.tensor([True, False, True, True])],
    ids=str,
)  # fmt: skip
def test_mixture_is_indexed_by_its_batch(index):
    mixture = Mixture.from_parameters(torch.randn(4, 5, 30), 2, "full")
    value = torch.randn(4, 5, 2)
    chosen = mixture[index]
    torch.testing.assert_close(chosen.log_prob(value[index]), mixture.log_prob(value)[index])
    assert chosen.event_shape == mixture.event_shape
    assert torch.equal(mixture[..., 1].loc, mixture[:, 1].loc)


@pytest.mark.parametrize("index", [4, (0, 5), (0, 0, 0), (..., 0, 0, 0)], ids=str)
def test_index_beyond_the_batch_is_an_index_error(index):
    with pytest.raises(IndexError):
        Mixture.from_parameters(torch.randn(4, 5, 30), 2, "full")[index]


def test_iteration_over_a_mixture_ends():
    assert len(list(Mixture.from_parameters(torch.randn(4, 30), 2, "full"))) == 4


def test_numbers_that_are_not_finite_are_an_error_as_in_torch():
    good = torch.zeros(3), torch.zeros(3, 1), torch.zeros(3, 1)
    for place in range(3):
        for number in (math.nan, math.inf):
            parts = [part.clone() for part in good]
            parts[place].view(-1)[1] = number
            with pytest.raises(ValueError, match=f"is {number} at"):
                Mixture(*parts)
            Mixture(*parts, validate_args=False)
    with pytest.raises(ValueError, match="nan at"):
        Mixture.from_parameters(torch.full((9,), math.nan), 1, "diagonal")
    with pytest.raises(ValueError, match="a value"):
        Mixture(*good).log_prob(torch.tensor([math.nan]))
    # A component of weight 0 is none of them.
    Mixture(torch.tensor([0.0, -math.inf, 0.0]), *good[1:])
