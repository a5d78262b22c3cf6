"""Watch of the machine during a show: room on a disk, and the battery.

A thread of its own reads them, as a dead disk or a slow driver may take its time. The battery
is read on Linux alone.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Seconds between two readings, and after which one that has not come is missing.
INTERVAL: Final = 5.0
MISSING: Final = 20.0
#: Folder in which Linux describes the supplies of power.
_SUPPLIES: Final = Path("/sys/class/power_supply")


@dataclass(frozen=True, slots=True)
class Battery:
    """Charge of all batteries of the machine, in per cent, and whether they run down."""

    percent: float
    is_discharging: bool


@dataclass(frozen=True, slots=True)
class MachineReading:
    """State of the machine: bytes free on the disk, and the battery; None where not known.

    is_stuck: the disk has not answered for MISSING seconds.
    """

    free: int | None = None
    battery: Battery | None = None
    is_stuck: bool = False


class MachineWatch:
    """Thread that reads the room in a folder, and the battery; `read` returns the last ones."""

    def __init__(self, folder: Path) -> None:
        """Begin to watch. The folder may not exist yet: it is then that of its parent."""
        self._folder = folder.absolute()
        self._reading, self._read_at = MachineReading(), time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="machine", daemon=True)
        self._thread.start()

    def read(self) -> MachineReading:
        """Return the last reading, at once."""
        if time.monotonic() - self._read_at > MISSING:
            return MachineReading(is_stuck=True)
        return self._reading

    def close(self) -> None:
        """End the thread, which may be stuck: it is not waited for."""
        self._closing.set()

    def _run(self) -> None:
        while True:
            self._reading = MachineReading(free_bytes(self._folder), read_battery())
            self._read_at = time.monotonic()
            if self._closing.wait(INTERVAL):
                return


def free_bytes(folder: Path) -> int | None:
    """Return the bytes that are free for a folder, or for the first parent that exists."""
    with suppress(OSError, StopIteration):
        there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        return shutil.disk_usage(there).free
    return None


def read_battery(supplies: Path = _SUPPLIES) -> Battery | None:
    """Return the battery of this machine; None where there is none, or it is not known.

    Batteries of devices, such as a mouse, are no batteries of the machine.
    """
    charges: list[float] = []
    is_discharging = False
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError):
        for supply in supplies.iterdir():
            if _text(supply, "type") != "Battery" or _text(supply, "scope") == "Device":
                continue
            with suppress(ValueError):
                charges.append(float(_text(supply, "capacity")))
                is_discharging |= _text(supply, "status") == "Discharging"
    return Battery(sum(charges) / len(charges), is_discharging) if charges else None


def _text(supply: Path, name: str) -> str:
    """Return what a file of a supply says; "" where there is none."""
    try:
        return (supply / name).read_text("ascii", "replace").strip()
    except OSError:
        return ""
