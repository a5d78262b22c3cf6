"""A mixture density network as a file: safetensors, and its layers as metadata.

Any chain of linear layers, the usual nonlinearities and a mixture layer at its end
can be kept and comes back whole: what it is made of is said in the file, so that
whoever loads it need not. A recurrent model over events has robojam.model.mdrnn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from robojam.mixture import Covariance, MixtureLayer
from robojam.model.event import MOST
from robojam.model.file import ModelFileError, write

FORMAT = "network 1"
Size = Annotated[int, msgspec.Meta(ge=1, le=MOST)]

#: The layers without weights.
PLAIN: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class _Linear(msgspec.Struct, tag="linear", frozen=True, forbid_unknown_fields=True):
    inputs: Size
    outputs: Size
    bias: bool = True


class _Plain(msgspec.Struct, tag="plain", frozen=True, forbid_unknown_fields=True):
    name: str


class _Mixture(msgspec.Struct, tag="mixture", frozen=True, forbid_unknown_fields=True):
    inputs: Size
    dims: Size
    components: Size
    covariance: Covariance


class NetworkDescription(msgspec.Struct, frozen=True, kw_only=True):
    """All that a network's file says of it, beside the weights."""

    layers: tuple[_Linear | _Plain | _Mixture, ...]
    dtype: Literal["float32", "float64"] = "float32"
    format: str = FORMAT
    note: str = ""


def save(network: nn.Sequential, path: Path, *, note: str = "") -> None:
    """Write a network to path, whole or not at all; note is free text.

    Raises ValueError for a layer that cannot be described, naming it, and OSError
    where the file cannot be written.
    """
    kinds = {parameter.dtype for parameter in network.parameters()}
    if kinds - {torch.float32, torch.float64} or len(kinds) != 1:
        raise ValueError(f"a network is kept in float32 or float64, not {kinds or 'nothing'}")
    chain = nn.Sequential(*network)  # named by their places, whatever they were called
    described: Any = NetworkDescription(
        layers=tuple(map(_described, chain)),
        dtype="float32" if kinds == {torch.float32} else "float64",
        note=note,
    )
    write(path, described, {n: t.cpu().numpy() for n, t in chain.state_dict().items()})


def load(path: Path) -> nn.Sequential:
    """Read a network from its file. Raises ModelFileError, which says what is wrong."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("robojam", "")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"cannot read the network {path}: {error}") from error
    try:
        made_for = msgspec.json.decode(text, type=dict[str, Any]).get("format")
        if made_for != FORMAT:
            raise ModelFileError(
                f"{path} has model format {made_for!r}, and a network has {FORMAT!r}"
            )
        described = msgspec.json.decode(text, type=NetworkDescription)
        # On meta nothing is allocated for what a file merely says.
        with torch.device("meta"):
            network = nn.Sequential(*map(_made, described.layers))
        network = network.to(getattr(torch, described.dtype))
        network.load_state_dict(weights, assign=True)
    except ModelFileError:
        raise
    except (ValueError, RuntimeError, RecursionError) as error:
        raise ModelFileError(
            f"{path} does not hold what its description says: {error}"
        ) from error
    for name, weight in weights.items():
        if weight.dtype != getattr(torch, described.dtype) or not bool(weight.isfinite().all()):
            raise ModelFileError(f"{path}: {name} is not of finite {described.dtype}")
    return network.requires_grad_().eval()


def _described(layer: nn.Module) -> _Linear | _Plain | _Mixture:
    """Say what a layer is. Raises ValueError for one that a file cannot tell of."""
    if isinstance(layer, MixtureLayer):
        linear = layer.linear
        return _Mixture(linear.in_features, layer.dims, layer.components, layer.covariance)
    if type(layer) is nn.Linear:
        return _Linear(layer.in_features, layer.out_features, layer.bias is not None)
    for name, kind in PLAIN.items():
        if repr(layer) == repr(kind()):  # one with options of its own looks otherwise
            return _Plain(name)
    raise ValueError(
        f"a network's file cannot hold {layer}: its layers are Linear, MixtureLayer and "
        f"{', '.join(kind.__name__ for kind in PLAIN.values())} without options"
    )


def _made(layer: _Linear | _Plain | _Mixture) -> nn.Module:
    """Make the layer that a file tells of. Raises ValueError for one that is not known."""
    if isinstance(layer, _Mixture):
        return MixtureLayer(
            layer.inputs, layer.dims, layer.components, covariance=layer.covariance
        )
    if isinstance(layer, _Linear):
        return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
    if layer.name not in PLAIN:
        raise ValueError(f"there is no layer {layer.name!r}")
    return PLAIN[layer.name]()
