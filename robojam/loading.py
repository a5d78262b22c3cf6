"""From a model's name to a player ready to play, and what the recording says of it."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import threadpoolctl

from robojam import __version__, modelfile
from robojam.modelfile import ModelFileError
from robojam.player import Player
from robojam.server import Playing
from robojam.session import ModelRef


def one_thread() -> None:
    """Let numpy compute on one thread: a step is too small to share, and sharing jitters."""
    threadpoolctl.threadpool_limits(1)


def build(device: str) -> str:
    """Say what computes: everything that may change the last bits of a sum."""
    parts = [f"robojam {__version__}", f"{platform.system()} {platform.machine()}"]
    if device == "cpu":
        parts.append(f"numpy {np.__version__}")
        parts += sorted(
            f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')} "
            f"{lib['num_threads']} threads"
            for lib in threadpoolctl.threadpool_info()
            if lib["user_api"] == "blas" and "numpy" in lib["filepath"]
        )
    else:
        import torch

        parts.append(f"torch {torch.__version__}")
        if device == "cuda":
            parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def load(path: Path, *, device: str, voices: int) -> Playing:
    """Load a model. Raises ModelFileError; device is cpu, cuda or mps."""
    file = modelfile.read(path)
    player = Player(file, device=device, voices=voices)
    return Playing(player, ModelRef(path.name, file.sha256), device, build(device))


class Models:
    """The models folder, as a stranger on the network may use it: by names alone."""

    def __init__(self, chosen: Path, *, device: str, voices: int) -> None:
        """Look beside the model that was chosen, then among those that robojam brings."""
        self.folders = list(dict.fromkeys([chosen.resolve().parent, modelfile.folder()]))
        self.device, self.voices = device, voices

    def load(self, name: str) -> Playing:
        """Load a model by its file's name. Raises ModelFileError."""
        for folder in self.folders:
            path = self._within(folder, name)
            if path is not None:
                return load(path, device=self.device, voices=self.voices)
        raise ModelFileError(f"there is no model {name!r} in the models folder")

    @staticmethod
    def _within(folder: Path, name: str) -> Path | None:
        """Find a file of that name in a folder itself, no link out of it."""
        if name != Path(name).name or "\\" in name or ":" in name or "\0" in name:
            return None
        if not name.endswith(".safetensors"):
            name += ".safetensors"
        path = folder / name
        try:
            inside = path.is_file() and path.resolve().parent == folder.resolve()
        except OSError:
            return None
        return path if inside else None
