"""Compute devices: which this machine has, and which one plays."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from importlib.util import find_spec

from robojam.system.install import missing_package


class DeviceError(ValueError):
    """A device that this machine does not have."""


def choose_device(name: str) -> str:
    """Return the device to play on: cpu, cuda or mps.

    auto is cuda, mps or cpu, the first that this machine has; without torch it is cpu. Raises
    DeviceError for a device that it does not have, and for one that needs torch where that is
    not installed. torch is asked only where a driver makes a GPU likely: importing it takes a
    second.
    """
    if name == "cpu":
        return name
    if name == "auto" and not (has_torch() and any(map(may_have, ("cuda", "mps")))):
        return "cpu"
    if not has_torch():
        nothing = "" if may_have(name) else f"; and this machine seems to have no device {name}"
        raise DeviceError(f"{missing_package(f'device {name}', 'torch')}{nothing}")
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    usable = [device for device, is_available in available.items() if is_available]
    if name == "auto":
        return [*usable, "cpu"][0]
    if name not in usable:
        has = ", ".join(["cpu", *usable])
        raise DeviceError(f"this machine has no device {name}; it has {has}")
    return name


def has_torch() -> bool:
    """Return whether torch is installed, without importing it."""
    return find_spec("torch") is not None


def may_have(device: str) -> bool:
    """Return whether this machine may have a device, cuda or mps, without importing torch."""
    if device not in ("cuda", "mps"):
        return False
    if device == "mps":
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    library = "nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
        count = ctypes.c_int(0)
        driver.cuInit(0)
        return bool(driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0)
    except (OSError, AttributeError):
        return False


def can_compile() -> bool:
    """Return whether compiled steps can be had (robojam.player.cpu_compiled): quickly."""
    return find_spec("numba") is not None


def is_compiler_loaded() -> bool:
    """Return whether the compiled steps have been imported here, or are being."""
    return "robojam.player.cpu_compiled" in sys.modules


def load_compiler() -> None:
    """Import the compiled steps (robojam.player.compiler), or compile them here.

    For another thread than the one that plays: that one gets the interpreter back within half
    a millisecond, and never waits for the garbage of the compiler to be collected. Raises
    ImportError, or what the compiler raises.
    """
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(0.0005)
    gc.disable()
    try:
        import robojam.player.cpu_compiled  # noqa: F401
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        sys.setswitchinterval(interval)
