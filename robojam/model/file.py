"""Model files: safetensors, with everything needed to use a model as metadata.

Read with numpy alone, so that play does not wait for torch. Nothing is unpickled. What a
file's header claims is checked before memory is allocated for it. The default model's name
and the folder of robojam's models are here too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from robojam.model import features
from robojam.model.event import MAX_SIZE, NEW_FLAGS, EventSpec
from robojam.model.matcher import PREFIX, Matcher, MatcherDescription
from robojam.system.atomic_file import atomic_write
from robojam.system.shell import printable

#: The model that plays unless another is named.
DEFAULT = "touch.safetensors"
#: The one for a rig of knobs, of any number.
DEFAULT_OF_KNOBS = "knobs.safetensors"
FORMAT = 1
#: Most bytes of a model's file, and of the header in it.
MAX_BYTES, MAX_HEADER = 1 << 30, 1 << 22
_KEY = "robojam"
#: Numpy's names of the types that tensors may have, by those of safetensors.
_TYPES: Final = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}

_FloatArray = NDArray[np.floating[Any]]
#: Shape of a tensor.
Shape = tuple[int, ...]
_Description = TypeVar("_Description", bound=msgspec.Struct)


class ModelFileError(ValueError):
    """Error that names a model file which cannot be used, and says why."""


class DataFile(msgspec.Struct, frozen=True):
    """Name and hash of a file that a model was trained or scored on."""

    name: str
    sha256: str


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a model's file: all that it holds beside the weights.

    score is in nats per event, lower is better, on score_on. temperature and
    spread are those at which the model is best played. matcher: what the matcher in the file
    is made for, None where there is none.
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
    matcher: MatcherDescription | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file's content: description, weights by name, the file's SHA-256, a matcher."""

    path: Path
    description: ModelDescription
    weights: dict[str, features.Floats]
    sha256: str
    matcher: Matcher | None = None

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
        "trunk.weight": (sum(hidden), layers * units + features.summary_count(event) + count),
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
    values = _without_new_flags(msgspec.to_builtins(description))
    metadata = {_KEY: msgspec.json.encode(values).decode()}
    with atomic_write(Path(path)) as part:
        part.write_bytes(save_tensors(arrays, metadata=metadata))


def _without_new_flags(value: Any) -> Any:
    """Return a description's values without flags that are false and came after format 1.

    An older robojam refuses fields that it does not know.
    """
    if isinstance(value, dict):
        return {
            key: _without_new_flags(inner)
            for key, inner in value.items()
            if not (key in NEW_FLAGS and inner is False)
        }
    if isinstance(value, list | tuple):
        return [_without_new_flags(inner) for inner in value]
    return value


def read(path: str | Path, data: bytes | None = None) -> ModelFile:
    """Return a model file's content. Raises ModelFileError, which says what is wrong.

    data: the file's bytes, where another machine has the file; path is then its name alone.
    """
    path = Path(path)
    description: ModelDescription | None = None

    def check(text: str) -> Mapping[str, Shape]:
        nonlocal description
        description = read_description(path, text, ModelDescription, FORMAT)
        wanted = shapes(description.event, description.units, description.layers)
        return wanted | (description.matcher.shapes() if description.matcher else {})

    tensors, sha256 = read_tensors(path, check, data)
    assert description is not None
    with np.errstate(over="ignore"):
        weights = {n: array.astype(np.float32, copy=False) for n, array in tensors.items()}
    for name, array in weights.items():
        _finite_array(path, name, array)
    matcher = None
    if description.matcher is not None:
        matcher = Matcher.from_tensors(description.matcher, weights)
        weights = {n: array for n, array in weights.items() if not n.startswith(PREFIX)}
    return ModelFile(path, description, weights, sha256, matcher)


def write_with_matcher(path: str | Path, matcher: Matcher | None) -> None:
    """Write a matcher into a model's file, in the place of the one in it, or take it out.

    Raises ModelFileError and OSError.
    """
    file = read(path)
    description = msgspec.structs.replace(
        file.description, matcher=None if matcher is None else matcher.description
    )
    weights: dict[str, NDArray[Any]] = dict(file.weights)
    write(path, description, weights | (matcher.tensors() if matcher else {}))


class _Tensor(msgspec.Struct, frozen=True):
    """Row of a header: type and shape of a tensor, and where its bytes begin and end."""

    dtype: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data_offsets: tuple[int, int]

    @property
    def size(self) -> int:
        """Bytes that a tensor of this type and shape has."""
        return math.prod(self.shape) * np.dtype(_TYPES[self.dtype]).itemsize


def read_tensors(
    path: Path, check: Callable[[str], Mapping[str, Shape]], given: bytes | None = None
) -> tuple[dict[str, _FloatArray], str]:
    """Return the tensors in a file by name, all of them finite floats, and its SHA-256.

    check is given the description in the file, and returns the shapes that it asks for.
    given: the bytes of the file, which is not opened then. Raises ModelFileError.
    """
    try:
        if given is None and path.exists() and not path.is_file():  # a device may never end
            raise ModelFileError(f"{path} is no file, and so no model")
        with path.open("rb") if given is None else BytesIO(given) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size > MAX_BYTES:
                most = f"a model has {MAX_BYTES:,} at most"
                raise ModelFileError(f"{path} is too large: it has {size:,} bytes, and {most}")
            start = file.read(8)
            header_size = int.from_bytes(start, "little")
            if not 2 <= header_size <= size - 8:
                wrong = f"its header should have {header_size:,} bytes, and it has {size:,}"
                raise ModelFileError(f"{path} is not a safetensors file: {wrong}")
            if header_size > MAX_HEADER:
                wrong = f"it has {header_size:,} bytes, and {MAX_HEADER:,} are the most"
                raise ModelFileError(f"{path} has too large a header: {wrong}")
            header = file.read(header_size)
            rows = _read_header(path, header, size - 8 - header_size, check)
            data = bytearray(size - 8 - header_size)
            if file.readinto(data) < len(data):
                raise ModelFileError(f"{path} became shorter while it was read")
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file {path}") from None
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path} does not fit into this machine's memory") from error
    digest = hashlib.sha256(start + header)
    digest.update(data)
    tensors = {name: _tensor(path, name, row, data) for name, row in rows.items()}
    return tensors, digest.hexdigest()


def _read_header(
    path: Path, header: bytes, data_size: int, check: Callable[[str], Mapping[str, Shape]]
) -> dict[str, _Tensor]:
    """Return the rows of a header. Raises ModelFileError unless they are as check asks for."""
    try:
        rows = decode_json(header.decode())
        metadata = rows.pop("__metadata__", None)
        tensors = msgspec.convert(rows, dict[str, _Tensor])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a safetensors file: {_brief(error)}") from error
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError(f"{path} holds a model of another kind, not one of robojam's")
    wanted = check(text)
    for name in sorted(wanted.keys() | tensors.keys()):
        have = tensors[name].shape if name in tensors else "missing"
        should = wanted.get(name, "missing")
        if have != should:
            wrong = f"{printable(name):.80} is {have!s:.80}, and should be {should}"
            raise ModelFileError(f"{path} does not hold what its description says: {wrong}")
        if tensors[name].dtype not in _TYPES:
            wrong = f"{tensors[name].dtype!r:.20} and no floats ({', '.join(_TYPES)})"
            raise ModelFileError(f"{path} holds {wrong}, in {name}")
    end = 0
    for name, row in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        if row.data_offsets != (end, end + row.size):
            wrong = f"the bytes of {name} are not where its header says"
            raise ModelFileError(f"{path} is not a safetensors file: {wrong}")
        end += row.size
    if end != data_size:
        wrong = f"{data_size:,} bytes follow its header, and should be {end:,}"
        raise ModelFileError(f"{path} is not a safetensors file: {wrong}")
    return tensors


def _tensor(path: Path, name: str, row: _Tensor, data: bytearray) -> _FloatArray:
    """Return a tensor, copied out of a file's data. Raises ModelFileError if not finite."""
    start, _ = row.data_offsets
    array = np.frombuffer(data, _TYPES[row.dtype], math.prod(row.shape), start)
    return _finite_array(path, name, array.reshape(row.shape).copy())


def _finite_array(path: Path, name: str, array: _FloatArray) -> _FloatArray:
    if not np.isfinite(array).all():
        raise ModelFileError(f"{path} holds numbers that are not finite, in {name}")
    return array


def read_description(
    path: Path, text: str, kind: type[_Description], made: object
) -> _Description:
    """Return the description in a model's file. Raises ModelFileError, also for other formats.

    made is the format that this robojam reads.
    """
    try:
        values = decode_json(text)
        found = values.get("format")
        if found == made:
            return msgspec.convert(values, kind)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} has a damaged description: {_brief(error)}") from error
    reads = f"this robojam reads format {made}"
    raise ModelFileError(f"{path} has model format {found!r:.80}; {reads}")


def decode_json(text: str) -> dict[str, Any]:
    """Return an object of JSON in which no name is twice and every number is finite.

    Raises ValueError, and RecursionError.
    """
    hooks: dict[str, Any] = {"parse_constant": _finite, "parse_float": _finite}
    value = json.loads(text, object_pairs_hook=_object, **hooks)
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} is no JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{name!r:.80} is in it twice")
        values[name] = value
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.80} is no finite number")
    return number


def _brief(error: Exception) -> str:
    return f"{printable(str(error)):.200}"


def folder() -> Path:
    """Return the folder of robojam's own models: in an installed wheel, or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def find(model: str | None, *, of_knobs: bool = False) -> Path:
    """Return a model's path, given a path or a name among robojam's own models.

    None stands for the default model, of touches or of knobs. Raises ModelFileError if there
    is no such file.
    """
    if model is None:
        return folder() / (DEFAULT_OF_KNOBS if of_knobs else DEFAULT)
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
