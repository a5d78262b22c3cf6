"""Files of mixture density networks: safetensors, with the layers as metadata.

A file holds a chain of linear and recurrent layers, activations and mixture layers, and
describes them: to load it one needs to know nothing about it. Models over events are in
robojam.model.mdrnn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import torch
from torch import nn

from robojam.mixture import Activation, Covariance, MixtureLayer, Recurrent
from robojam.mixture.checking import check_finite
from robojam.model.event import MAX_SIZE
from robojam.model.file import ModelFileError, Shape, read_description, read_tensors, write

FORMAT = "network 1"
Size = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIZE)]

#: Layers without weights, by their names in a file.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__.lower(): kind
    for kind in (nn.ELU, nn.GELU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Tanh)
}


class _Linear(msgspec.Struct, tag="linear", frozen=True, forbid_unknown_fields=True):
    inputs: Size
    outputs: Size
    bias: bool = True


class _Activation(msgspec.Struct, tag="plain", frozen=True, forbid_unknown_fields=True):
    name: str


class _Dropout(msgspec.Struct, tag="dropout", frozen=True, forbid_unknown_fields=True):
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _LayerNorm(msgspec.Struct, tag="layernorm", frozen=True, forbid_unknown_fields=True):
    sizes: Annotated[tuple[Size, ...], msgspec.Meta(max_length=8)]
    eps: Annotated[float, msgspec.Meta(ge=0, le=1)]
    affine: bool = True
    bias: bool = True


class _Mixture(msgspec.Struct, tag="mixture", frozen=True, forbid_unknown_fields=True):
    inputs: Size
    dims: Size
    components: Size
    covariance: Covariance
    activation: Activation = "exp"


class _Recurrent(msgspec.Struct, tag="recurrent", frozen=True, forbid_unknown_fields=True):
    inputs: Size
    units: Size
    last: bool = False


_Layer = _Linear | _Activation | _Dropout | _LayerNorm | _Mixture | _Recurrent


class NetworkDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a network's file: all that it holds beside the weights."""

    layers: Annotated[tuple[_Layer, ...], msgspec.Meta(max_length=1024)]
    dtype: Literal["float32", "float64"] = "float32"
    format: str = FORMAT
    note: str = ""


def save(network: nn.Sequential, path: str | Path, *, note: str = "") -> None:
    """Write a network to a file, completely or not at all; note is free text.

    Raises ValueError for a layer that a file cannot hold, naming it and those that it can
    hold, for weights that are not finite, and OSError where the file cannot be written.
    """
    if not isinstance(network, nn.Sequential):
        raise ValueError(
            f"a network is an nn.Sequential of layers, not {type(network).__name__}"
        )
    kinds = {parameter.dtype for parameter in network.parameters()}
    if kinds - {torch.float32, torch.float64} or len(kinds) != 1:
        raise ValueError(f"a network is saved in float32 or float64, not {kinds or 'nothing'}")
    chain = nn.Sequential(*network)  # weights are named by their layer's place
    description = NetworkDescription(
        layers=tuple(map(_describe, chain)),
        dtype="float32" if kinds == {torch.float32} else "float64",
        note=note,
    )
    weights = chain.state_dict()
    if unknown := weights.keys() - _build_all(description).state_dict().keys():
        raise ValueError(f"a network's file cannot hold {', '.join(sorted(unknown))}")
    for name, weight in weights.items():
        check_finite(name, weight)
    write(path, description, {n: t.cpu().numpy() for n, t in weights.items()})


def load(path: str | Path) -> nn.Sequential:
    """Return the network in a file. Raises ModelFileError, which says what is wrong."""
    path = Path(path)
    description: NetworkDescription | None = None
    network = nn.Sequential()

    def check(text: str) -> dict[str, Shape]:
        nonlocal description, network
        description = read_description(path, text, NetworkDescription, FORMAT)
        try:
            network = _build_all(description)
        except (ValueError, RuntimeError, TypeError) as error:
            wrong = f"does not hold what its description says: {' '.join(str(error).split())}"
            raise ModelFileError(f"{path} {wrong:.300}") from error
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    tensors, _ = read_tensors(path, check)
    assert description is not None
    for name, tensor in tensors.items():
        if tensor.dtype != description.dtype:
            raise ModelFileError(f"{path}: {name} is {tensor.dtype}, not {description.dtype}")
    network.load_state_dict(
        {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, assign=True
    )
    return network.requires_grad_().eval()


def _describe(layer: nn.Module) -> _Layer:
    """Return a layer's description. Raises ValueError for one that a file cannot hold."""
    if type(layer) is MixtureLayer:
        linear = layer.linear
        sizes = linear.in_features, layer.dims, layer.components
        return _Mixture(*sizes, layer.covariance, layer.activation)
    if type(layer) is Recurrent:
        return _Recurrent(layer.features, layer.units, layer.last)
    if type(layer) is nn.Linear:
        return _Linear(layer.in_features, layer.out_features, layer.bias is not None)
    if type(layer) is nn.Dropout:
        return _Dropout(layer.p)
    if type(layer) is nn.LayerNorm:
        affine = layer.weight is not None
        has_bias = affine and layer.bias is not None
        return _LayerNorm(tuple(layer.normalized_shape), layer.eps, affine, has_bias)
    # A layer with options of its own has another repr; whether it works in place does not
    # matter to its result.
    text = repr(layer).replace(", inplace=True", "").replace("inplace=True", "")
    for name, kind in ACTIVATIONS.items():
        if text == repr(kind()):
            return _Activation(name)
    plain = ", ".join(kind.__name__ for kind in ACTIVATIONS.values())
    raise ValueError(
        f"a network's file cannot hold {layer}: its layers are Linear, Recurrent, "
        f"MixtureLayer, Dropout, LayerNorm and {plain} without options"
    )


def _build_all(description: NetworkDescription) -> nn.Sequential:
    """Return the layers without weights: nothing is allocated for a size that a file claims."""
    with torch.device("meta"):
        return nn.Sequential(*map(_build, description.layers))


def _build(layer: _Layer) -> nn.Module:
    if isinstance(layer, _Mixture):
        sizes = layer.inputs, layer.dims, layer.components
        return MixtureLayer(*sizes, covariance=layer.covariance, activation=layer.activation)
    if isinstance(layer, _Recurrent):
        return Recurrent(layer.inputs, layer.units, last=layer.last)
    if isinstance(layer, _Linear):
        return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
    if isinstance(layer, _Dropout):
        return nn.Dropout(layer.share)
    if isinstance(layer, _LayerNorm):
        given = {"elementwise_affine": layer.affine, "bias": layer.bias}
        return nn.LayerNorm(list(layer.sizes), layer.eps, **given)
    if layer.name not in ACTIVATIONS:
        raise ValueError(f"there is no layer {layer.name!r}")
    return ACTIVATIONS[layer.name]()
