"""Checks of what computes: the model, and the GPU."""

from __future__ import annotations

import re
import statistics
import time
from typing import Final

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.doctor.tools import run_tool
from robojam.engine import model_loader
from robojam.model import file as model_file
from robojam.model.file import ModelFileError
from robojam.player.devices import DeviceError, choose_device, has_torch, may_have
from robojam.system.install import install_command
from robojam.system.shell import quote

#: Touches of each voice that are played to time one, the seconds that this may take, and the
#: milliseconds that one may take.
_TOUCHES: Final = 50
_SECONDS: Final = 5.0
_SLOW_MS: Final = 10.0


def check_model(options: Options) -> Finding:
    """Load the model that would play, and let each voice play some touches."""
    model_loader.one_thread()
    try:
        device = choose_device(options.device)
    except DeviceError:  # the check of the GPU says so
        device = "cpu"
    try:
        path = model_file.find(options.model, of_knobs=bool(options.knobs))
        loaded = model_loader.load(
            path, device=device, voices=options.voices, knobs=options.knobs
        )
    except ModelFileError as error:
        if options.model is None:
            return problem(str(error), "install robojam again: its model is part of it")
        names = ", ".join(sorted(p.stem for p in model_file.folder().glob("*.safetensors")))
        return problem(str(error), f"--model takes a file, or one of robojam's own: {names}")
    player, voices = loaded.player, range(options.voices)
    player.seed(1)
    player.feed(0.5, 0.5, 0.0, False, (0.5,) * options.knobs)
    times: list[float] = []
    while len(times) < _TOUCHES and sum(times) < 1000 * _SECONDS:
        start = time.perf_counter()
        for voice, touch in zip(voices, player.sample(voices), strict=True):
            player.commit(voice, touch.x, touch.y, touch.dt, touch.moving, touch.knobs)
        player.prepare()
        times.append(1000 * (time.perf_counter() - start))
    several = f" of {options.voices} voices" if options.voices > 1 else ""
    milliseconds = statistics.median(times)
    shown = f"{milliseconds:.2f}" if milliseconds < 1 else f"{milliseconds:.0f}"
    found = f"{path.name} answers on {device}: {shown} ms for a touch{several}"
    if faults := player.take_faults():
        return problem(f"{found}; {faults} touches overflowed", "choose another model: --model")
    if milliseconds > _SLOW_MS:
        return warning(
            f"{found}, which may be too slow",
            "close other programs, take fewer --voices, or --model small",
        )
    return ok(found)


def check_gpu(options: Options) -> Finding:
    """Check for a GPU, and for torch, which plays on it."""
    wanted = options.device
    likely = next(filter(may_have, ("cuda", "mps")), None)
    try:
        device = choose_device(wanted)
    except DeviceError as error:
        if wanted != "auto":
            return problem(str(error), "--device auto plays on the CPU")
        device = "cpu"
    name = ""
    if likely == "cuda":
        listed = run_tool("nvidia-smi", "-L")
        name = ", ".join(gpu_names(listed.text if listed else "")) or "a GPU of NVIDIA"
    elif likely == "mps":
        name = "the GPU of Apple silicon"
    if device != "cpu":
        return ok(f"{name or device}: the model plays on it")
    if likely is None:
        return ok("none that robojam could use; the CPU plays, which is enough")
    found = f"{name}, not used: the CPU plays, which is enough for a few voices"
    if wanted == "cpu" or has_torch():
        return ok(found)
    return ok(found, "to play on it:", install_command(quote("robojam[train]")) or "")


def gpu_names(listed: str) -> list[str]:
    """Return the names of the GPUs in what `nvidia-smi -L` prints."""
    return re.findall(r"^GPU \d+: (.+?) \(UUID", listed, re.MULTILINE)
