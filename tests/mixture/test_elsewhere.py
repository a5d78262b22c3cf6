"""Each row of the table for those who come from another library does what it says."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from support import ROOT
from torch import nn

from robojam import mixture as library
from robojam.mixture import Mixture, MixtureLayer, Recurrent
from robojam.model import sequential_file

KERAS = Path(__file__).parent / "keras"
PAGE = (ROOT / "docs" / "mixtures.md").read_text("utf-8")


def rows() -> dict[str, str]:
    """Return the code of each row of the table, by what it is for."""
    section = PAGE.partition("## If you come from another library\n")[2].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return {what.strip(): code.strip().strip("`") for what, _, code in cells[2:]}


ROWS = rows()


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Return the names that the code uses; the current folder holds its files."""
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    for name, to in (("dense.keras", "model.keras"), ("dense.weights.h5", "model.weights.h5")):
        shutil.copy(KERAS / name, tmp_path / to)
    net = nn.Sequential(
        nn.Linear(4, 32), nn.Tanh(), MixtureLayer(32, 2, 5, covariance="diagonal")
    )
    sequential_file.save(net, "net.safetensors")
    x, y = torch.randn(6, 4), torch.randn(6, 2)
    with torch.no_grad():
        made = net(x)
    rnn = nn.Sequential(Recurrent(3, 32), MixtureLayer(32, 2, 5))
    public = {name: getattr(library, name) for name in library.__all__}
    return public | {
        "torch": torch, "nn": nn, "sequential_file": sequential_file, "net": net, "x": x,
        "y": y, "mixture": made, "played": torch.arange(6) < 4, "logits": made.logits,
        "loc": made.loc, "log_scale": made.log_scale, "rnn": rnn, "value": torch.randn(6, 3),
        "state": None,
    }  # fmt: skip


def by_hand(made: Mixture, y: torch.Tensor) -> torch.Tensor:
    """Return the log density as the tutorials compute it."""
    normal = torch.distributions.Normal(made.loc, made.log_scale.exp())
    each = normal.log_prob(y.unsqueeze(-2)).sum(-1) + torch.log_softmax(made.logits, -1)
    return torch.logsumexp(each, -1)


def result(names: dict, what: str) -> object:
    return eval(ROWS[what], names)  # the project's own page


def seeded(names: dict, what: str) -> object:
    torch.manual_seed(1)
    return result(names, what)


def check_layer(names):
    made = result(names, "a layer")(torch.randn(7, 32))
    assert (made.batch_shape, made.dims, made.components) == ((7,), 2, 5)


def check_same_activation(names):
    layer = result(names, "the same without correlation, as there")
    features = torch.randn(7, 32)
    raw = layer.linear(features)[..., 15:].reshape(7, 5, 2)
    expected = nn.functional.elu(raw) + 1 + 1e-7
    torch.testing.assert_close(layer(features).log_scale.exp(), expected)


def check_many_dimensions(names):
    layer = result(names, "64 dimensions")
    assert layer(torch.randn(3, 32)).sample().shape == (3, 64)


def check_loss(names):
    expected = -by_hand(names["mixture"], names["y"]).mean()
    torch.testing.assert_close(result(names, "loss"), expected)


def check_masked_loss(names):
    expected = -by_hand(names["mixture"], names["y"])[:4].mean()
    names["y"][5] = torch.nan  # padding
    torch.testing.assert_close(result(names, "loss over padded sequences"), expected)


def check_sample(names):
    assert result(names, "a sample for each row").shape == (6, 2)


def many(*means: float, log_scale: float, logits: tuple[float, ...]) -> Mixture:
    """Return 40,000 mixtures in one dimension that are all the same."""
    loc = torch.tensor(means, dtype=torch.float32)[:, None]
    weights = torch.tensor(logits, dtype=torch.float32)
    return Mixture(weights, loc, torch.full_like(loc, log_scale)).expand([40_000])


def check_temperatures(names):
    what = next(row for row in ROWS if row.startswith("with temperatures"))
    names["mixture"] = many(5, 5, log_scale=0, logits=(0, 1))
    assert float(seeded(names, what).std()) == pytest.approx(0.5, rel=0.03)
    names["mixture"] = many(0, 9, log_scale=-5, logits=(0, 1))
    share = float((seeded(names, what) > 4).float().mean())
    assert share == pytest.approx(1 / (1 + math.exp(-1 / 0.8)), abs=0.015)


def check_bias(names):
    drawn = seeded(names, "with Graves' bias")
    torch.manual_seed(1)
    expected = names["mixture"].sample(temperature=0.5, spread=math.exp(-1))
    torch.testing.assert_close(drawn, expected)


def check_parts(names):
    logits, scale, loc = result(names, "the parts")
    made = Mixture(logits, loc, scale.log())
    torch.testing.assert_close(made.log_prob(names["y"]), by_hand(names["mixture"], names["y"]))


def check_softmax(names):
    weights = result(names, "softmax with temperature")
    expected = (names["logits"] / 0.7).exp()
    torch.testing.assert_close(weights, expected / expected.sum(-1, keepdim=True))


def check_category(names):
    names["mixture"] = many(0, 9, log_scale=0, logits=(0, 1.4))
    drawn = seeded(names, "a category from logits with temperature")
    assert float(drawn.float().mean()) == pytest.approx(1 / (1 + math.exp(-2)), abs=0.015)


def check_mode(names):
    likeliest = names["logits"].argmax(-1)
    expected = names["loc"][torch.arange(6), likeliest]
    assert torch.equal(result(names, "mean of the likeliest component"), expected)


def check_mean(names):
    mean, deviation = result(names, "mean and deviation of the whole")
    drawn = names["mixture"].sample((40_000,))
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0.05)
    torch.testing.assert_close(drawn.std(0), deviation, atol=0.05, rtol=0.05)


def check_from_parts(names):
    made = result(names, "a distribution from its parts")
    normal = torch.distributions.Normal(names["loc"], names["log_scale"].exp())
    expected = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=names["logits"]),
        torch.distributions.Independent(normal, 1),
    )
    torch.testing.assert_close(made.log_prob(names["y"]), expected.log_prob(names["y"]))


def check_distributions(names):
    made = torch.distributions.MixtureSameFamily(*result(names, "its two distributions"))
    torch.testing.assert_close(made.log_prob(names["y"]), by_hand(names["mixture"], names["y"]))


def check_error(names):
    error = seeded(names, "error of one sample")
    torch.manual_seed(1)
    expected = (names["net"](names["x"]).sample() - names["y"]).square().mean()
    torch.testing.assert_close(error, expected)


def check_repeated(names):
    net = result(names, "time-distributed: a mixture for each step")
    assert net(torch.randn(4, 9, 3)).batch_shape == (4, 9)


def check_step(names):
    sequence = torch.randn(6, 3, 3)
    with torch.no_grad():
        for names["value"] in sequence.unbind(1):
            exec(ROWS["one step, with the state carried on"], names)
        whole = names["rnn"][0](sequence)[:, -1]
    torch.testing.assert_close(names["output"], whole)


def check_save(names):
    Path("net.safetensors").unlink()
    result(names, "save")
    assert repr(sequential_file.load("net.safetensors")) == repr(names["net"])


def check_load(names):
    density = result(names, "load")(names["x"]).log_prob(names["y"])
    assert torch.equal(density, names["net"](names["x"]).log_prob(names["y"]))


def check_from_keras(names):
    pytest.importorskip("h5py")
    net = result(names, "go on with a model that you have")
    assert net(names["x"]).log_prob(names["y"]).shape == (6,)


def check_head(names):
    pytest.importorskip("h5py")
    head = result(names, "its mixture layer alone, of any model")
    assert (head.dims, head.components) == (2, 3)


CHECKS = [check for name, check in list(globals().items()) if name.startswith("check_")]


def test_table_has_a_check_for_each_row():
    assert len(CHECKS) == len(ROWS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_row_does_what_it_says(check, names):
    check(names)
