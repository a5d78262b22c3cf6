"""From a model's name to a player ready to play, and what the recording says of it."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import threadpoolctl

from robojam import __version__
from robojam.engine.takes import LoadedPlayer
from robojam.model import file as modelfile
from robojam.model.file import ModelFileError
from robojam.player.player import ModelPlayer
from robojam.sessions.session import ModelRef


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


def load(path: Path, *, device: str, voices: int) -> LoadedPlayer:
    """Load a model. Raises ModelFileError; device is cpu, cuda or mps."""
    file = modelfile.read(path)
    player = ModelPlayer(file, device=device, voices=voices)
    ref = ModelRef(path.name, file.sha256)
    return LoadedPlayer(player, ref, device, build(device), str(path))


class Models:
    """The models folder, as a stranger on the network may use it: by names alone."""

    def __init__(self, chosen: Path, *, device: str, voices: int) -> None:
        """Look beside the model that was chosen, then among those that robojam brings."""
        self.folders = list(dict.fromkeys([chosen.parent.resolve(), modelfile.folder()]))
        self.device, self.voices = device, voices
        self._lock = threading.Lock()
        self._asked: tuple[str, Callable[[LoadedPlayer | Exception], None]] | None = None
        self._busy = False

    def find(self, name: str) -> Path:
        """Find a model by its file's name. Raises ModelFileError."""
        for folder in self.folders:
            path = _within(folder, name)
            if path is not None:
                return path
        raise ModelFileError(f"there is no model {name!r} in the models folder")

    def load(self, name: str) -> LoadedPlayer:
        """Load a model by its file's name. Raises ModelFileError."""
        return load(self.find(name), device=self.device, voices=self.voices)

    def ask(self, name: str, tell: Callable[[LoadedPlayer | Exception], None]) -> None:
        """Load a model in a thread of its own; tell it what came of it.

        One is loaded at a time. Of those that are asked for meanwhile, the last is next.
        """
        with self._lock:
            self._asked = name, tell
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._work, name="model", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._asked is None:
                    self._busy = False
                    return
                (name, tell), self._asked = self._asked, None
            try:
                got: LoadedPlayer | Exception = self.load(name)
            except Exception as error:  # whatever it is, the jam goes on with what it has
                got = error
            tell(got)


def _within(folder: Path, name: str) -> Path | None:
    """Find a file of that name in a folder itself, no link out of it."""
    if name != Path(name).name or set(name) & set("\\:\0"):
        return None
    if not name.endswith(".safetensors"):
        name += ".safetensors"
    path = folder / name
    try:
        inside = path.is_file() and path.resolve().parent == folder.resolve()
    except (OSError, RuntimeError):  # a name too long, a link to itself
        return None
    return path if inside else None
