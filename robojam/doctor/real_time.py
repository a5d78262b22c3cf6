"""Check of the right to real-time priority, which keeps touches on time on a busy machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, warning
from robojam.doctor.tools import read_text
from robojam.system.priority import ORDINARY, REAL_TIME, raise_priority

_LIMITS: Final = "/etc/security/limits.d"
_LOG_IN: Final = "type this, then log out and in again:"


def check_real_time(_: Options) -> Finding:
    """Raise the priority of this process, as the engine does."""
    granted = raise_priority()
    if granted == REAL_TIME:
        return ok("granted (SCHED_RR)")
    if sys.platform != "linux":
        if granted == ORDINARY:
            return warning("not granted: touches may be late when other programs are busy")
        return ok("a raised priority, which is what this system grants")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    found = f"not granted (rtprio limit {limit})"
    found += ", a lower nice value is" if granted != ORDINARY else ""
    found += ": touches may be late when other programs are busy"
    files = sorted(Path(_LIMITS).glob("*.conf")) if Path(_LIMITS).is_dir() else []
    group = granted_group([read_text("/etc/security/limits.conf"), *map(_text, files)])
    if group is not None:
        return warning(found, _LOG_IN, f"sudo usermod -aG {group} $USER")
    line = "echo '@audio - rtprio 95' | sudo tee /etc/security/limits.d/robojam.conf"
    return warning(found, _LOG_IN, f"{line} && sudo usermod -aG audio $USER")


def _text(path: Path) -> str:
    return read_text(str(path))


def granted_group(limits: Iterable[str]) -> str | None:
    """Return the group to which files of limits (limits.conf) grant real-time priority."""
    for text in limits:
        match = re.search(r"^\s*@([\w-]+)\s+(?:-|hard)\s+rtprio\s+[1-9]", text, re.MULTILINE)
        if match:
            return match[1]
    return None
