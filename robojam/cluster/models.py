"""Models as they travel to machines that lack their files: bytes, with their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from robojam.model.file import ModelFile, ModelFileError, read


@dataclass(frozen=True, slots=True)
class SentModel:
    """Name and hash of a model's file, and its bytes or a reference to them in Ray's store."""

    name: str
    sha256: str
    data: Any


def send(paths: Iterable[Path]) -> list[SentModel]:
    """Return models that replicas can read where the files are not. Raises ModelFileError."""
    sent = []
    for path in paths:
        read(path)  # a model, and not a file that never ends
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelFileError(f"cannot read {path}: {error.strerror}") from error
        sent.append(SentModel(path.name, hashlib.sha256(data).hexdigest(), data))
    return sent


def receive(model: SentModel) -> ModelFile:
    """Return the content of a model that was sent. Raises ModelFileError for other bytes."""
    return _receive(model.name, model.sha256, model.data)


@lru_cache(maxsize=4)
def _receive(name: str, sha256: str, data: bytes) -> ModelFile:
    file = read(name, data)
    if file.sha256 != sha256:
        raise ModelFileError(
            f"the model {name} came with hash {file.sha256[:12]}, and {sha256[:12]} was sent"
        )
    return file
