"""Loading of models: from a name to a player that is ready, with its description."""

import logging
import platform
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import threadpoolctl

from robojam import __version__
from robojam.engine.takes import LoadedPlayer, ModelInfo
from robojam.model import file as modelfile
from robojam.model.file import ModelFileError
from robojam.player.devices import can_compile, load_compiler
from robojam.player.player import ModelPlayer
from robojam.sessions.session import ModelRef
from robojam.system.shell import printable

log = logging.getLogger("robojam")

#: Beginning of the part of a build that names what steps the voices.
_STEPS = "steps by "
#: Function that is called with the result of loading a model.
OnLoaded = Callable[[LoadedPlayer | Exception], None]


def one_thread() -> None:
    """Restrict numpy to one thread: a step is too small to share without jitter."""
    threadpoolctl.threadpool_limits(1)


def build(device: str, steps: str) -> str:
    """Describe all software and hardware that may change the last bits of a sum.

    steps is what steps the voices, as ModelPlayer names it.
    """
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
    return ", ".join([*parts, f"{_STEPS}{steps}"])


def is_compiled(build: str) -> bool:
    """Return whether a build's steps are compiled."""
    return f"{_STEPS}numba" in build


def load(path: Path, *, device: str, voices: int, compiled: bool = False) -> LoadedPlayer:
    """Load a model for play on a device: cpu, cuda or mps. Raises ModelFileError.

    compiled: with compiled steps, as ModelPlayer has them. Raises ImportError without numba.
    """
    file = modelfile.read(path)
    player = ModelPlayer(file, device=device, voices=voices, compiled=compiled)
    ref = ModelRef(printable(path.name), file.sha256)
    return LoadedPlayer(player, ModelInfo(ref, device, build(device, player.steps), str(path)))


class Models:
    """Models folder as the network may use it: files are found by their names alone."""

    def __init__(self, chosen: Path, *, device: str) -> None:
        """Search beside the chosen model, then among the models that robojam brings."""
        self.folders = list(dict.fromkeys([chosen.parent.resolve(), modelfile.folder()]))
        self.device = device
        #: Whether models are stepped by compiled functions on the CPU.
        self.compiled = False
        self._lock = threading.Lock()
        self._request: tuple[str, int, OnLoaded] | None = None
        self._busy = False

    def find(self, name: str) -> Path:
        """Find a model by its file's name. Raises ModelFileError."""
        for folder in self.folders:
            path = _within(folder, name)
            if path is not None:
                return path
        raise ModelFileError(f"there is no model {name!r} in the models folder")

    def names(self) -> list[str]:
        """Return the names of the files in the models folders that may be models."""
        return [
            path.name
            for folder in self.folders
            for path in sorted(folder.glob("*.safetensors"))
            if _within(folder, path.name)
        ]

    def load(self, name: str, voices: int) -> LoadedPlayer:
        """Load a model by its file's name for a number of voices. Raises ModelFileError.

        Where the device does not work any more, this and all later ones play on the CPU.
        """
        path = self.find(name)
        if self.device != "cpu":
            try:
                return load(path, device=self.device, voices=voices)
            except RuntimeError as error:  # torch raises it for a device, of whichever kind
                reason = printable(str(error).partition("\n")[0])
                log.warning(
                    "%s does not work any more: %s; on with the CPU", self.device, reason
                )
                self.device = "cpu"
        return load(path, device="cpu", voices=voices, compiled=self.compiled)

    def load_compiled(
        self, path: Path, voices: int, on_loaded: Callable[[LoadedPlayer], None]
    ) -> None:
        """Load a model with compiled steps in a thread of its own, where numba is installed.

        Where that works, on_loaded is called there with the result.
        """
        if self.device != "cpu" or not can_compile():
            return

        def work() -> None:
            try:
                load_compiler()
                loaded = load(path, device="cpu", voices=voices, compiled=True)
            except Exception as error:  # of any kind: the jam goes on with the steps it has
                reason = printable(str(error).partition("\n")[0])
                log.warning("numba does not work here: %s; numpy steps the model", reason)
            else:
                on_loaded(loaded)

        threading.Thread(target=work, name="compiler", daemon=True).start()

    def ask(self, name: str, voices: int, on_loaded: OnLoaded) -> None:
        """Load a model in a thread of its own, and call on_loaded with the result there.

        One model is loaded at a time; of the requests during a load, the last is the next.
        """
        with self._lock:
            self._request = name, voices, on_loaded
            if self._busy:
                return
            self._busy = True
        try:
            threading.Thread(target=self._work, name="model", daemon=True).start()
        except RuntimeError as error:  # there are too many threads just now
            with self._lock:
                self._request, self._busy = None, False
            on_loaded(error)

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._request is None:
                    self._busy = False
                    return
                (name, voices, on_loaded), self._request = self._request, None
            try:
                loaded: LoadedPlayer | Exception = self.load(name, voices)
            except Exception as error:  # of any kind: the jam goes on with the model it has
                loaded = error
            on_loaded(loaded)


def _within(folder: Path, name: str) -> Path | None:
    """Return the model of that name directly in a folder; None for a link that leads out."""
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
