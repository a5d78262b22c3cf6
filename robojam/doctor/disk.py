"""Check of the disk on which sessions are recorded."""

from __future__ import annotations

import os
import shutil
from errno import ENOSPC
from pathlib import Path
from typing import Final

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.sessions.recorder import LITTLE_ROOM, obstacle

#: Bytes of an hour of one player, at most.
_HOUR: Final = 46_000_000


def check_disk(options: Options) -> Finding:
    """Try to write where sessions are recorded, and measure the space that is free."""
    if not options.record:
        return ok("nothing is recorded (--no-record)")
    folder = Path(options.sessions).absolute()
    shown = short_path(folder)
    to_do = "name another folder with --sessions FOLDER"
    if why := obstacle(folder):
        full = "make room, or " if why == os.strerror(ENOSPC) else ""
        return problem(f"nothing can be recorded in {shown}: {why}", full + to_do)
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.3g} GB free for recordings in {shown}"
    if free < LITTLE_ROOM:
        hours = f"{free // _HOUR:.0f} hours of one player at least"
        return warning(f"{found}: {hours}", f"make room, or {to_do}")
    return ok(found)


def short_path(path: Path) -> str:
    """Return a path, with ~ for the home folder."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
