"""Models of keras-mdn-layer, read from files of Keras as networks of PyTorch.

Keras writes a model as a zip (`.keras`: its layers as JSON, its weights as HDF5), and as one
HDF5 file (`.h5`); `save_weights` writes the weights alone (`.weights.h5`). All three are read
here, of Keras 2 and 3. Nothing in a file is executed, and Keras is not needed: h5py is.

The density is that of keras-mdn-layer: diagonal covariance, with its own activation of the
standard deviations (`robojam.mixture.layout.Activation`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor, nn

from robojam.mixture.checking import check_finite
from robojam.mixture.layer import MixtureLayer
from robojam.mixture.recurrent import Recurrent
from robojam.system.install import missing_package

#: Most numbers in all weights of a file, and most bytes of its description.
MAX_NUMBERS, MAX_DESCRIPTION = 1 << 28, 1 << 24

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK"
_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_ACTIVATIONS: dict[str, type[nn.Module] | None] = {
    "elu": nn.ELU, "gelu": nn.GELU, "linear": None, "relu": nn.ReLU, "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU, "softplus": nn.Softplus, "swish": nn.SiLU, "tanh": nn.Tanh,
}  # fmt: skip
#: The three parts of an MDN layer in the order of its output, and their names in `.h5` files of
#: Keras 2.
_PARTS = {"mdn_mus": "mus", "mdn_sigmas": "sigmas", "mdn_pi": "pis"}

#: Weights by their path within a file, below a layer or a whole model.
Arrays = Mapping[str, Tensor]


def from_keras(path: str | Path) -> nn.Sequential:
    """Return a model of keras-mdn-layer as a network with the same density.

    The file is one of `model.save`. The network is a chain of nn.Linear, activations,
    nn.Dropout, nn.LayerNorm, `Recurrent` (an LSTM) and, at its end, a `MixtureLayer`. Raises
    ValueError for a file that holds something else, and says what; OSError where it cannot be
    read, and ModuleNotFoundError where h5py is not installed.
    """
    config, layers, weights = _read(Path(path))
    if config is None:
        raise ValueError(
            f"{path} holds weights alone: save the whole model, model.save('model.keras'), "
            "or read its mixture layer alone, head_from_keras"
        )
    try:
        described = _chain(config)
        network = nn.Sequential()
        for layer, group in zip(described, _groups(described, layers, weights), strict=True):
            arrays = {name: t for name, t in weights.items() if name.startswith(f"{group}/")}
            network.extend(_translate(layer, arrays))
        if not isinstance(network[-1] if len(network) else None, MixtureLayer):
            raise _UnreadableError("its last layer is no MDN")
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        known = isinstance(error, _UnreadableError)
        reason = str(error) if known else f"its layers are damaged: {error!r:.200}"
        advice = "head_from_keras reads the mixture layer alone"
        raise ValueError(f"{path}: {reason}; {advice}") from error
    return network.eval()


def head_from_keras(path: str | Path) -> MixtureLayer:
    """Return the MDN layer in a file of Keras as a MixtureLayer with the same density.

    The file may be one of `model.save` or of `model.save_weights`, with any other layers.
    Raises as `from_keras`, and ValueError for a file with no MDN layer or with several.
    """
    _, _, weights = _read(Path(path))
    parted = (re.fullmatch(r"(.*)/(?:mdn_)?mus/.*", name) for name in weights)
    owners = {match[1] for match in parted if match}
    if len(owners) != 1:
        count = len(owners) or "no"
        raise ValueError(f"{path} holds {count} layers of keras-mdn-layer, not one")
    owner = owners.pop()
    try:
        head = _mixture({n: t for n, t in weights.items() if n.startswith(f"{owner}/")})
    except _UnreadableError as error:
        raise ValueError(f"{path}: {error}") from error
    return head.eval()


class _UnreadableError(ValueError):
    """Something in a file that a network here cannot be made of; the text says what."""


@dataclass(frozen=True)
class _Layer:
    """A layer as a file describes it: its class in Keras, its name there, its options."""

    kind: str
    name: str
    options: Mapping[str, Any]


def _read(path: Path) -> tuple[Any, dict[str, str], dict[str, Tensor]]:
    """Return a model's description or None, its layers' groups by name, and all weights."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        advice = missing_package("from_keras", error.name)
        raise ModuleNotFoundError(advice or str(error), name=error.name) from None
    data = path.read_bytes()
    try:
        if data.startswith(_ZIP):
            with ZipFile(BytesIO(data)) as archive:
                sizes = {info.filename: info.file_size for info in archive.infolist()}
                if sizes.get(_CONFIG, MAX_DESCRIPTION) >= MAX_DESCRIPTION:
                    raise ValueError(f"{path} has no {_CONFIG}, or too large a one")
                if sizes.get(_WEIGHTS, 8 * MAX_NUMBERS) >= 8 * MAX_NUMBERS:
                    raise ValueError(f"{path} has no {_WEIGHTS}, or too large a one")
                config: Any = json.loads(archive.read(_CONFIG))
                data = archive.read(_WEIGHTS)
            with h5py.File(BytesIO(data)) as file:
                return config, *_weights(path, file, h5py)
        if data.startswith(_HDF5):
            with h5py.File(BytesIO(data)) as file:
                text = file.attrs.get("model_config")
                config = None if text is None else json.loads(text)
                return config, *_weights(path, file, h5py)
    except (BadZipFile, json.JSONDecodeError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    raise ValueError(f"{path} is no file of Keras: neither .keras (a zip) nor .h5 (HDF5)")


def _weights(path: Path, file: Any, h5py: Any) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the names that groups of an HDF5 file have in its model, and its weights."""
    names: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    count = 0

    def visit(name: str, item: Any) -> None:  # follows no link out of the file
        nonlocal count
        if isinstance(item, h5py.Group):
            if name.endswith("/vars") and isinstance(item.attrs.get("name"), str):
                names[item.attrs["name"]] = name.removesuffix("/vars")
            return
        if item.dtype.kind != "f" or name.startswith("optimizer"):
            return
        if item.is_virtual or item.external:
            raise ValueError(f"{path}: {name} is in another file")
        count += item.size
        if count > MAX_NUMBERS:
            raise ValueError(f"{path} holds more than {MAX_NUMBERS:,} numbers")
        precise = item.dtype.itemsize > 4
        value = torch.from_numpy(item[()].astype("f8" if precise else "f4")).clone()
        check_finite(f"{path}: {name}", value)
        weights[name] = value

    file.visititems(visit)
    return names, weights


def _chain(config: Any) -> list[_Layer]:
    """Return the layers of a model in their order; _UnreadableError where they are no chain.

    Inputs beside the first are states of recurrent layers, from which a sequence can begin.
    """
    layers = config["config"]["layers"]
    before: str | None = None
    states: set[str] = set()
    described = []
    for layer in layers:
        name = layer["config"]["name"]
        kind = layer["class_name"]
        if kind == "InputLayer" and before is not None:
            states.add(name)
            continue
        if nodes := layer.get("inbound_nodes"):
            sources = set(_sources(nodes)) - states
            if len(nodes) != 1 or sources != {before}:
                given = ", ".join(sorted(sources))
                raise _UnreadableError(f"{name} follows {given}, and what is read is a chain")
        described.append(_Layer(kind, name, layer["config"]))
        before = name
    return described


def _sources(nodes: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs are given to a layer."""
    history = nodes.get("keras_history") if isinstance(nodes, dict) else nodes
    if isinstance(nodes, dict) and history is None:
        nodes = list(nodes.values())
    elif isinstance(history, list) and history and isinstance(history[0], str):
        name, _, output = history[:3]  # Keras 2 adds options
        if output != 0:
            raise _UnreadableError(f"the state of {name} is given to another layer")
        yield name
        return
    for node in nodes if isinstance(nodes, list) else ():
        yield from _sources(node)


def _groups(
    described: list[_Layer], names: Mapping[str, str], weights: Arrays
) -> Iterator[str]:
    """Yield the group of each layer's weights in the file."""
    roots = ("layers", "_layer_checkpoint_dependencies")  # the second of the first .keras
    found = [root for root in roots if any(name.startswith(f"{root}/") for name in weights)]
    counts: dict[str, int] = {}
    for layer in described:
        kind = _snake_case(layer.kind)
        number = counts[kind] = counts.get(kind, -1) + 1
        if layer.name in names:
            yield names[layer.name]
        elif found:
            yield f"{found[0]}/{kind}_{number}" if number else f"{found[0]}/{kind}"
        else:
            yield f"model_weights/{layer.name}"


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _array(
    arrays: Arrays, name: str, place: int, parts: tuple[str, ...] = ("",)
) -> Tensor | None:
    """Return a weight of a layer, or of one of its parts, whose name may be one of several.

    Keras 3 names it by its place, and an .h5 file by its name, which may end in `:0`.
    """
    below = [f"/{part}/" if part else "/" for part in parts]
    forms = (f"vars/{place}", name, f"{name}:0")
    ends = tuple(part + form for part in below for form in forms)
    found = [tensor for path, tensor in arrays.items() if path.endswith(ends)]
    if len(found) > 1:
        raise _UnreadableError(f"there are several {name} of {parts[0] or 'a layer'}")
    return found[0] if found else None


def _needed(tensor: Tensor | None, shape: tuple[int | None, ...], what: str) -> Tensor:
    """Return a weight, of a shape in which None stands for any size."""
    if tensor is None:
        raise _UnreadableError(f"there is no {what}")
    fits = len(tensor.shape) == len(shape)
    if not fits or any(b not in (None, a) for a, b in zip(tensor.shape, shape, strict=True)):
        raise _UnreadableError(f"{what} has shape {tuple(tensor.shape)}")
    return tensor


def _translate(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    """Return the modules that do what a layer of Keras does."""
    translate = _LAYERS.get(layer.kind)
    if translate is None:
        known = ", ".join(_LAYERS)
        raise _UnreadableError(
            f"{layer.name} is a layer {layer.kind}, and those read are {known}"
        )
    return translate(layer, arrays)


def _activation(name: Any, layer: _Layer) -> list[nn.Module]:
    if isinstance(name, dict):  # of Keras 3: a function of its own, or one of Keras
        name = name.get("config") if name.get("module") == "builtins" else name
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise _UnreadableError(
            f"{layer.name} has the activation {name!r}, and known are {known}"
        )
    module = _ACTIVATIONS[name]
    return [] if module is None else [module()]


def _nothing(_layer: _Layer, _arrays: Arrays) -> list[nn.Module]:
    return []


def _only_activation(layer: _Layer, _arrays: Arrays) -> list[nn.Module]:
    return _activation(layer.options["activation"], layer)


def _dropout(layer: _Layer, _arrays: Arrays) -> list[nn.Module]:
    return [nn.Dropout(float(layer.options["rate"]))]


def _linear(kernel: Tensor, bias: Tensor | None) -> nn.Linear:
    inputs, outputs = kernel.shape
    has_bias = bias is not None
    linear = nn.Linear(inputs, outputs, bias=has_bias, device="meta", dtype=kernel.dtype)
    weights = {"weight": kernel.mT.contiguous()} | ({} if bias is None else {"bias": bias})
    linear.load_state_dict(weights, assign=True)
    return linear.requires_grad_()


def _dense(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    kernel = _needed(_array(arrays, "kernel", 0), (None, None), f"kernel of {layer.name}")
    bias = None
    if layer.options.get("use_bias", True):
        bias = _needed(_array(arrays, "bias", 1), kernel.shape[1:], f"bias of {layer.name}")
    return [_linear(kernel, bias), *_activation(layer.options["activation"], layer)]


def _layer_norm(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    options = layer.options
    scale, shift = _array(arrays, "gamma", 0), _array(arrays, "beta", 1)
    if scale is None or shift is None or scale.ndim != 1 or options.get("rms_scaling"):
        raise _UnreadableError(
            f"{layer.name} has other parts than a scale and a shift of the last axis"
        )
    norm = nn.LayerNorm(len(scale), eps=float(options["epsilon"]), dtype=scale.dtype)
    norm.load_state_dict({"weight": scale, "bias": shift})
    return [norm]


def _lstm(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    options = layer.options
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    for name, value in usual.items():
        if options.get(name, value) != value:
            raise _UnreadableError(
                f"{layer.name} has {name} {options[name]!r}, and read is {value!r}"
            )
    kernel = _needed(_array(arrays, "kernel", 0), (None, None), f"kernel of {layer.name}")
    wide = kernel.shape[1]
    recurrent = _needed(
        _array(arrays, "recurrent_kernel", 1), (wide // 4, wide), f"weights of {layer.name}"
    )
    bias = torch.zeros(wide, dtype=kernel.dtype)
    if options.get("use_bias", True):
        bias = _needed(_array(arrays, "bias", 2), (wide,), f"bias of {layer.name}")
    module = Recurrent(
        kernel.shape[0], wide // 4, last=not options.get("return_sequences"), device="meta",
        dtype=kernel.dtype,
    )  # fmt: skip
    # Both have the gates in the order input, forget, cell, output; torch has a second bias.
    weights = {
        "weight_ih_l0": kernel.mT.contiguous(), "weight_hh_l0": recurrent.mT.contiguous(),
        "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias),
    }  # fmt: skip
    module.lstm.load_state_dict(weights, assign=True)
    return [module.requires_grad_()]


def _time_distributed(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    inner = layer.options["layer"]
    if inner["class_name"] not in ("Dense", "MDN", "Activation", "Dropout"):
        raise _UnreadableError(f"{layer.name} repeats a layer {inner['class_name']} over time")
    return _translate(_Layer(inner["class_name"], layer.name, inner["config"]), arrays)


def _mdn(layer: _Layer, arrays: Arrays) -> list[nn.Module]:
    head = _mixture(arrays)
    sizes = layer.options["output_dimension"], layer.options["num_mixtures"]
    if (head.dims, head.components) != sizes:
        raise _UnreadableError(f"{layer.name} is described as {sizes}, and has other weights")
    return [head]


def _mixture(arrays: Arrays) -> MixtureLayer:
    """Return the mixture layer whose three parts have these weights."""
    kernels, biases = [], []
    for part in _PARTS.items():
        kernel, bias = (_array(arrays, *which, part) for which in (("kernel", 0), ("bias", 1)))
        kernels.append(_needed(kernel, (None, None), f"kernel of {part[0]}"))
        biases.append(_needed(bias, (None,), f"bias of {part[0]}"))
    loc, scale, logits = (kernel.shape[1] for kernel in kernels)
    fits = all(len(b) == k.shape[1] for k, b in zip(kernels, biases, strict=True))
    if not fits or loc != scale or not logits or loc % logits:
        raise _UnreadableError(
            f"its MDN has {loc} means, {scale} deviations and {logits} weights"
        )
    order = (2, 0, 1)  # ours: logits, means, deviations
    kernel = torch.cat([kernels[i] for i in order], -1)
    head = MixtureLayer(
        len(kernel), loc // logits, logits, covariance="diagonal", activation="elu",
        dtype=kernel.dtype,
    )  # fmt: skip
    head.linear = _linear(kernel, torch.cat([biases[i] for i in order]))
    return head


_LAYERS: dict[str, Callable[[_Layer, Arrays], list[nn.Module]]] = {
    "InputLayer": _nothing, "Dense": _dense, "Activation": _only_activation,
    "Dropout": _dropout, "LayerNormalization": _layer_norm, "LSTM": _lstm,
    "TimeDistributed": _time_distributed, "MDN": _mdn,
}  # fmt: skip
