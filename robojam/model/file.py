"""Model files: safetensors, with everything needed to use a model as metadata.

Read with numpy alone, so that play does not wait for torch. Nothing is unpickled. The default
model's name and the folder of robojam's models are here too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from robojam.model import features
from robojam.model.event import MAX_SIZE, EventSpec
from robojam.system.atomic_file import atomic_write

#: The model that plays unless another is named.
DEFAULT = "touch.safetensors"
FORMAT = 1
_KEY = "robojam"


class ModelFileError(ValueError):
    """Error that names a model file which cannot be used, and says why."""


class DataFile(msgspec.Struct, frozen=True):
    """Name and hash of a file that a model was trained or scored on."""

    name: str
    sha256: str


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a model's file: all that it holds beside the weights.

    score is in nats per event, lower is better, on score_on. temperature and
    spread are those at which the model is best played.
    """

    event: EventSpec
    units: Annotated[int, msgspec.Meta(ge=1, le=MAX_SIZE)]
    layers: Annotated[int, msgspec.Meta(ge=1, le=64)]
    format: int = FORMAT
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.0
    spread: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.0
    trained_on: tuple[DataFile, ...] = ()
    steps: int = 0
    score: float | None = None
    score_on: tuple[DataFile, ...] = ()
    made_with: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file's content: description, weights by name, and the file's SHA-256."""

    path: Path
    description: ModelDescription
    weights: dict[str, features.Floats]
    sha256: str

    @property
    def event(self) -> EventSpec:
        """The description of the event that the model is over."""
        return self.description.event


def shapes(event: EventSpec, units: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of a model, by name."""
    count = features.feature_count(event)
    hidden = [f.hidden for f in event.factors]
    weights: dict[str, tuple[int, ...]] = {
        "start": (2, layers, units),
        "trunk.weight": (sum(hidden), layers * units + count),
        "trunk.bias": (sum(hidden),),
    }
    for layer in range(layers):
        for part, inputs in (("ih", units if layer else count), ("hh", units)):
            weights[f"rnn.{layer}.weight_{part}_l0"] = (4 * units, inputs)
            weights[f"rnn.{layer}.bias_{part}_l0"] = (4 * units,)
    known = 0
    for i, factor in enumerate(event.factors):
        out = features.output_count(event, factor)
        if known:
            weights[f"context.{i}.weight"] = (factor.hidden, known)
        weights[f"head.{i}.weight"] = (out, factor.hidden)
        weights[f"head.{i}.bias"] = (out,)
        known += factor.dims
    return weights


def write(
    path: str | Path, description: msgspec.Struct, weights: dict[str, NDArray[Any]]
) -> None:
    """Write a model file, completely or not at all. Raises OSError if that fails."""
    arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    metadata = {_KEY: msgspec.json.encode(description).decode()}
    with atomic_write(Path(path)) as part:
        part.write_bytes(save_tensors(arrays, metadata=metadata))


def read(path: str | Path) -> ModelFile:
    """Return a model file's content. Raises ModelFileError, which says what is wrong."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # reading a device might never end
            raise ModelFileError(f"{path} is no file, and so no model")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file {path}") from None
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror}") from error
    try:
        weights = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path} is not a safetensors file: {error}") from error
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    text = (msgspec.json.decode(header).get("__metadata__") or {}).get(_KEY)
    if not isinstance(text, str):
        raise ModelFileError(f"{path} holds a model of another kind, not one of robojam's")
    try:
        made_for = msgspec.json.decode(text, type=dict[str, Any]).get("format")
        if made_for == FORMAT:
            description = msgspec.json.decode(text, type=ModelDescription)
    except (ValueError, RecursionError) as error:  # all of msgspec's errors are ValueErrors
        raise ModelFileError(f"{path} has a damaged description: {error}") from error
    if made_for != FORMAT:
        reads = f"this robojam reads format {FORMAT}"
        raise ModelFileError(f"{path} has model format {made_for!r}; {reads}")
    wanted = shapes(description.event, description.units, description.layers)
    for name in sorted(wanted.keys() | weights.keys()):
        have = weights[name].shape if name in weights else "missing"
        should = wanted.get(name, "missing")
        if have != should:
            wrong = f"{name} is {have}, and should be {should}"
            raise ModelFileError(f"{path} does not hold what its description says: {wrong}")
        weights[name] = _floats(path, name, weights[name])
    return ModelFile(path, description, weights, hashlib.sha256(data).hexdigest())


def _floats(path: Path, name: str, array: NDArray[Any]) -> features.Floats:
    """Return weights as float32. Raises ModelFileError unless they are finite floats."""
    if array.dtype.kind != "f":
        raise ModelFileError(f"{path} holds {array.dtype} and no floats, in {name}")
    with np.errstate(over="ignore"):
        floats: features.Floats = array.astype(np.float32)
    if not np.isfinite(floats).all():
        raise ModelFileError(f"{path} holds numbers that are not finite, in {name}")
    return floats


def folder() -> Path:
    """Return the folder of robojam's own models: in an installed wheel, or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def find(model: str | None) -> Path:
    """Return a model's path, given a path or a name among robojam's own models.

    None stands for the default model. Raises ModelFileError if there is no such file.
    """
    if model is None:
        return folder() / DEFAULT
    path = Path(model)
    candidates = [path]
    if path.parent == Path():
        candidates += [folder() / name for name in (model, f"{model}.safetensors")]
    for candidate in candidates:
        try:
            if candidate.is_file():
                return candidate
        except OSError as error:  # too long a name, a folder that may not be entered
            raise ModelFileError(
                f"cannot read the model file {candidate}: {error.strerror}"
            ) from error
    raise ModelFileError(f"there is no model file {model}")
