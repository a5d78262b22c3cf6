"""Loading of models: from a name to a player that is ready, with its description."""

import atexit
import hashlib
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import threadpoolctl

from robojam import __version__
from robojam.engine.takes import LoadedPlayer, ModelInfo
from robojam.limits import RateLimiter
from robojam.model import file as modelfile
from robojam.model.file import ModelFileError
from robojam.player.compiler import compile_apart
from robojam.player.devices import can_compile, is_compiler_loaded, load_compiler
from robojam.player.player import MAX_COMPILED, ModelPlayer
from robojam.sessions.session import ModelRef
from robojam.system.priority import adopt_main_priority
from robojam.system.shell import printable

log = logging.getLogger("robojam")

#: Beginning of the part of a build that names what steps the voices.
_STEPS = "steps by "
#: Models that are loaded: a second, and in a burst.
_LOADS = (0.2, 8)
_LEAST_SLEEP = 0.01
#: Seconds for which the end waits for the compiler's import, which takes one at most.
_IMPORT = 5.0
#: Most entries of a folder among which a model is looked for.
_ENTRIES = 10_000
_SUFFIX = ".safetensors"

#: Bytes from which on numpy keeps no array that was freed, and how many of each size below.
_SMALL, _KEPT_OF_A_SIZE = 1024, 7

#: Function that is called with the result of loading a model.
OnLoaded = Callable[[LoadedPlayer | Exception], None]


def one_thread() -> None:
    """Restrict numpy to one thread: a step is too small to share without jitter."""
    threadpoolctl.threadpool_limits(1)


def fill_array_cache() -> None:
    """Have numpy take at once what it keeps of small arrays that were freed, 3.6 MB.

    It keeps up to seven of each size below 1024 bytes (numpy/_core/src/multiarray/alloc.c). A
    jam has arrays of nearly every size, some of them rarely: it would grow for hours.
    """
    for size in range(1, _SMALL):
        [np.empty(size, np.uint8) for _ in range(_KEPT_OF_A_SIZE)]


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


def load(
    path: Path, *, device: str, voices: int, compiled: bool = False, knobs: int = 0
) -> LoadedPlayer:
    """Load a model for play on a device: cpu, cuda or mps. Raises ModelFileError.

    knobs is the number of knobs of the instrument, 0 for touches. compiled: with compiled
    steps, as ModelPlayer has them. Raises ImportError without numba.
    """
    file = modelfile.read(path)
    player = ModelPlayer(file, device=device, voices=voices, compiled=compiled, knobs=knobs)
    ref = ModelRef(printable(path.name), file.sha256)
    return LoadedPlayer(player, ModelInfo(ref, device, build(device, player.steps)))


class Models:
    """Models folder as the network may use it: files are found by their names alone."""

    def __init__(
        self,
        folders: Iterable[Path],
        *,
        device: str,
        knobs: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Search these folders, then the models that robojam brings; knobs is as of `load`."""
        resolved = [folder.resolve() for folder in (*folders, modelfile.folder())]
        self.folders = list(dict.fromkeys(resolved))
        self.device, self.knobs = device, knobs
        #: Whether models are stepped by compiled functions on the CPU.
        self.compiled = False
        self._clock, self._sleep, self._limiter = clock, sleep, RateLimiter(*_LOADS)
        self._lock = threading.Lock()
        self._request: tuple[str, int, OnLoaded] | None = None
        self._busy = False

    def find(self, name: str) -> Path:
        """Find a model by its file's name. Raises ModelFileError."""
        for folder in self.folders:
            path = _within(folder, name)
            if path is not None:
                return path
        raise ModelFileError(f"there is no model {name!r:.80} in the models folder")

    def find_recorded(self, model: ModelRef) -> Path:
        """Find the model of a recording, by its hash and name. Raises ModelFileError.

        A file of that name is first, whatever its hash, unless another has the hash.
        """
        named = [path for f in self.folders if (path := _within(f, model.file)) is not None]
        others = (folder / name for folder in self.folders for name in _names(folder))
        for path in dict.fromkeys((*named, *others)):
            if hash_of(path) == model.sha256:
                return path
        if named:
            return named[0]
        wanted = f"{model.file!r:.80} (sha256 {model.sha256!r:.20})"
        searched = ", ".join(map(str, self.folders))
        raise ModelFileError(
            f"there is no model {wanted}, which the recording was made with, in {searched}; "
            "--model FILE names another place"
        )

    def names(self) -> list[str]:
        """Return the names of the files in the models folders that may be models."""
        return [name for folder in self.folders for name in _names(folder)]

    def load(self, name: str, voices: int) -> LoadedPlayer:
        """Load a model by its file's name for a number of voices. Raises ModelFileError."""
        return self.load_file(self.find(name), voices)

    def load_file(self, path: Path, voices: int) -> LoadedPlayer:
        """Load a model for a number of voices. Raises ModelFileError.

        Where the device does not work, or not any more, this and all later ones play on the
        CPU.
        """
        if self.device != "cpu":
            try:
                return load(path, device=self.device, voices=voices, knobs=self.knobs)
            except RuntimeError as error:  # torch raises it for a device, of whichever kind
                reason = printable(str(error).partition("\n")[0])
                log.warning("%s does not work: %s; on with the CPU", self.device, reason)
                self.device = "cpu"
        return load(path, device="cpu", voices=voices, compiled=self.compiled, knobs=self.knobs)

    def load_compiled(
        self, path: Path, voices: int, on_loaded: Callable[[LoadedPlayer], None]
    ) -> None:
        """Load a model with compiled steps in a thread of its own, where numba is installed.

        Where that works, on_loaded is called there with the result. What is not compiled yet
        is compiled in another process, at a low priority. More voices than are
        stepped by compiled functions need no compiler: importing it holds the interpreter for
        seconds, and who plays would wait for it.
        """
        if self.device != "cpu" or voices > MAX_COMPILED or self.knobs or not can_compile():
            return

        def work() -> None:
            if not is_compiler_loaded():
                compile_apart()
            # A process that ends while the compiler is imported is aborted by it.
            imported = threading.Event()
            atexit.register(imported.wait, _IMPORT)
            try:
                adopt_main_priority()  # it holds the interpreter, for which the loop waits
                load_compiler()
                loaded = load(path, device="cpu", voices=voices, compiled=True)
            except Exception as error:  # of any kind: the jam goes on with the steps it has
                reason = printable(str(error).partition("\n")[0])
                log.warning("numba does not work here: %s; numpy steps the model", reason)
            else:
                on_loaded(loaded)
            finally:
                imported.set()

        with suppress(RuntimeError):  # there are too many threads just now
            threading.Thread(target=work, name="compiler", daemon=True).start()

    def ask(self, name: str, voices: int, on_loaded: OnLoaded) -> None:
        """Load a model in a thread of its own, and call on_loaded with the result there.

        One model is loaded at a time, at a bounded rate; of the requests meanwhile, the
        last is the next.
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
        while self._is_asked():
            while wait := self._limiter.wait(self._clock()):
                self._sleep(max(wait, _LEAST_SLEEP))
            self._limiter.take(self._clock())
            with self._lock:
                request, self._request = self._request, None
            if request is not None:
                self._load(*request)
            del request  # which holds on to the jam, while the next one is awaited

    def _is_asked(self) -> bool:
        """Return whether there is a request; if there is none, the thread ends."""
        with self._lock:
            self._busy = self._request is not None
            return self._busy

    def _load(self, name: str, voices: int, on_loaded: OnLoaded) -> None:
        try:
            loaded: LoadedPlayer | Exception = self.load(name, voices)
        except Exception as error:  # of any kind: the jam goes on with the model it has
            loaded = error
        on_loaded(loaded)


def _names(folder: Path) -> list[str]:
    """Return the names of the files in a folder that may be models, sorted."""
    with suppress(OSError), os.scandir(folder) as entries:
        names = sorted(e.name for e in islice(entries, _ENTRIES) if e.name.endswith(_SUFFIX))
        return [name for name in names if _within(folder, name)]
    return []


def hash_of(path: Path) -> str | None:
    """Return the SHA-256 of a file; None for one that cannot be read, or is no model's."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > modelfile.MAX_BYTES:
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _within(folder: Path, name: str) -> Path | None:
    """Return the model of that name directly in a folder; None for a link that leads out.

    The name must be that of an entry of the folder, letter for letter: no path, and no other
    spelling that some file systems take for the same name.
    """
    if not name.endswith(_SUFFIX):
        name += _SUFFIX
    try:
        with os.scandir(folder) as entries:
            if not any(entry.name == name for entry in islice(entries, _ENTRIES)):
                return None
        path = folder / name
        inside = path.is_file() and path.resolve().parent == folder
    except (OSError, RuntimeError):  # no such folder, a link to itself
        return None
    return path if inside else None
