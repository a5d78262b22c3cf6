"""Check of the clocks: the one that times touches, and the one that tells the date."""

from __future__ import annotations

import ctypes
import sys
import time
from datetime import UTC, datetime
from typing import Final

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, warning
from robojam.doctor.tools import run_tool

#: Seconds that a clock for touches may jump by, at most.
_COARSE: Final = 1e-4
#: A year before which a clock has not been set.
_NOT_SET: Final = 2024
#: State of a clock that is not synchronised, of adjtimex (Linux).
_TIME_ERROR: Final = 5
_COMMANDS: Final = {
    "linux": "sudo timedatectl set-ntp true",
    "win32": "w32tm /resync",
}


def check_clock(options: Options) -> Finding:
    """Check the resolution of the clock of touches, and that the date is synchronised."""
    clock = time.get_clock_info("perf_counter")
    found = f"touches are timed to {_duration(clock.resolution)}"
    if clock.resolution > _COARSE or not clock.monotonic:
        return warning(found, "touches cannot be on time: use another computer or system")
    now, is_synchronised = datetime.now(UTC), synchronised()
    if now.year < _NOT_SET:
        return warning(
            f"{found}; the date is {now:%Y-%m-%d}: recordings are named by it",
            "set the date:",
            _COMMANDS.get(sys.platform, ""),
        )
    if is_synchronised is None:
        return ok(f"{found}; whether the date is synchronised is not known")
    if is_synchronised:
        return ok(f"{found}; the date is synchronised by network")
    why = "--osc-ahead needs it" if options.osc_ahead else "only --osc-ahead needs it"
    found += f"; the date is not synchronised with other machines ({why})"
    if not options.osc_ahead:
        return ok(found, "", _COMMANDS.get(sys.platform, ""))
    return warning(found, "synchronise it:", _COMMANDS.get(sys.platform, ""))


def _duration(seconds: float) -> str:
    return f"{1e9 * seconds:.3g} ns" if seconds < 1e-6 else f"{1e6 * seconds:.3g} µs"


def synchronised() -> bool | None:
    """Return whether the system keeps its clock synchronised; None where that is not known."""
    if sys.platform == "linux":
        try:
            state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
        except (OSError, AttributeError):
            return None
        return None if state < 0 else state != _TIME_ERROR
    if sys.platform == "win32":
        told = run_tool("w32tm", "/query", "/status")
        return None if told is None or told.status else windows_synchronised(told.text)
    return None


def windows_synchronised(status: str) -> bool | None:
    """Return what `w32tm /query /status` says, in any language; None where it says nothing.

    Its first line is the leap indicator, of which 3 means not synchronised.
    """
    first = status.strip().partition("\n")[0].rpartition(":")[2].strip()
    return first[0] != "3" if first[:1].isdigit() else None
