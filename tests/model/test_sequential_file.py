"""Files of mixture density networks: round trips, and files that are refused."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from robojam.mixture import MixtureLayer
from robojam.model import file, sequential_file
from robojam.model.file import ModelFileError


def chain(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    layers = [nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8, bias=False), nn.SiLU()]
    return nn.Sequential(*layers, MixtureLayer(8, 2, 4, covariance="correlated")).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_network_round_trip_needs_only_the_path(tmp_path, dtype):
    net, path = chain(dtype), tmp_path / "net.safetensors"
    sequential_file.save(net, path, note="a test")
    again = sequential_file.load(path)
    assert repr(again) == repr(net)
    x, y = torch.randn(5, 3, dtype=dtype), torch.randn(5, 2, dtype=dtype)
    assert torch.equal(again(x).log_prob(y), net(x).log_prob(y))
    again(x).loss(y).backward()  # it can learn on
    assert not again.training
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize(
    "layer", [nn.LSTM(2, 2), nn.GELU("tanh"), nn.Bilinear(2, 2, 2)], ids=lambda x: str(x)
)
def test_unsupported_layer_is_named_with_the_supported_ones(tmp_path, layer):
    net = nn.Sequential(nn.Linear(2, 2), layer)
    with pytest.raises(ValueError, match="cannot hold") as error:
        sequential_file.save(net, tmp_path / "net.safetensors")
    assert type(layer).__name__ in str(error.value)
    for supported in ("Linear", "MixtureLayer", "Dropout", "LayerNorm", "ReLU"):
        assert supported in str(error.value)
    with pytest.raises(ValueError, match="float32 or float64"):
        sequential_file.save(chain(torch.float16), tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_saved_that_cannot_be_loaded(tmp_path):
    broken, marked = chain(), chain()
    broken[-1].linear.bias.data[3] = torch.nan
    marked[-1].register_buffer("mark", torch.zeros(2))
    derived = nn.Sequential(type("Mine", (MixtureLayer,), {})(3, 2, 4))
    for net, reason in (
        (broken, r"4\.linear\.bias.*nan at \(3,\)"),
        (marked, r"cannot hold 4\.mark"),
        (derived, "cannot hold Mine"),
        (MixtureLayer(3, 2, 4), "an nn.Sequential of layers, not MixtureLayer"),
    ):
        with pytest.raises(ValueError, match=reason):
            sequential_file.save(net, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_path_may_be_a_string(tmp_path):
    net, path = chain(), str(tmp_path / "net.safetensors")
    sequential_file.save(net, path)
    assert repr(sequential_file.load(path)) == repr(net)


@pytest.mark.parametrize("layer", [nn.ReLU(inplace=True), nn.ELU(inplace=True)], ids=str)
def test_activation_that_works_in_place_is_saved(tmp_path, layer):
    net, path = nn.Sequential(nn.Linear(3, 8), layer), tmp_path / "net.safetensors"
    sequential_file.save(net, path)
    x = torch.randn(5, 3)
    assert torch.equal(sequential_file.load(path)(x), net(x))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.25),
        nn.LayerNorm(8),
        nn.LayerNorm(8, elementwise_affine=False),
        nn.LayerNorm((1, 8), eps=0.1, bias=False),
    ],
    ids=str,
)
def test_dropout_and_normalisation_are_saved_with_their_options(tmp_path, layer):
    net, path = nn.Sequential(nn.Linear(3, 8), layer), tmp_path / "net.safetensors"
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    sequential_file.save(net, path)
    loaded = sequential_file.load(path)
    x = torch.randn(5, 1, 3)
    assert repr(loaded) == repr(net)
    assert torch.equal(loaded(x), net.eval()(x))


def described(tmp_path, change) -> None:
    path = tmp_path / "net.safetensors"
    sequential_file.save(chain(), path)
    weights = {name: t.clone() for name, t in sequential_file.load(path).state_dict().items()}
    with safe_open(path, framework="pt") as opened:
        text = json.loads(opened.metadata()["robojam"])
    change(text, weights)
    save_file(weights, path, metadata={"robojam": json.dumps(text)})
    sequential_file.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, w: t.update(format=1), "format 1"),
        (lambda t, w: t["layers"].pop(0), "does not hold"),
        (lambda t, w: t["layers"][1].update(name="exec"), "no layer 'exec'"),
        (lambda t, w: t["layers"][0].update(type="lambda"), "damaged description"),
        (lambda t, w: t["layers"][0].update(inputs=10**12), "damaged description"),
        (lambda t, w: t["layers"][-1].update(dims=3), "does not hold.*two dimensions"),
        (lambda t, w: w.pop("0.bias"), "0.bias"),
        (lambda t, w: w["0.bias"].fill_(torch.nan), "not finite, in 0.bias"),
        (lambda t, w: w.update({"0.bias": w["0.bias"].double()}), "0.bias is float64"),
    ],
)
def test_damaged_file_is_refused_with_the_reason(tmp_path, change, message):
    with pytest.raises(ModelFileError, match=f"(?s)net.safetensors.*{message}"):
        described(tmp_path, change)


def test_description_of_a_network_of_absurd_size_is_refused_without_memory(tmp_path):
    def grow(text, weights):
        for layer in text["layers"]:
            layer.update({size: 1 << 16 for size in ("inputs", "outputs") if size in layer})
        text["layers"][-1].update(dims=1 << 16, components=1 << 16, covariance="full")

    with pytest.raises(ModelFileError, match="does not hold"):
        described(tmp_path, grow)
    with pytest.raises(ModelFileError, match="damaged description"):
        described(tmp_path, lambda t, w: t.update(layers=[t["layers"][1]] * 2000))


def test_file_without_a_network_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(ModelFileError, match="there is no model file"):
        sequential_file.load(path)
    path.write_bytes(b"\x80\x04nothing")
    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        sequential_file.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match="holds a model of another kind"):
        sequential_file.load(path)
    sequential_file.save(chain(), path)
    with pytest.raises(ModelFileError, match="network 1"):  # nor is a network a touch model
        file.read(path)
    with pytest.raises(ModelFileError, match="format 1"):
        sequential_file.load(file.find(None))
