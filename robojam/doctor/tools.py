"""Tools of the system: run one, with a time limit, and read what it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Seconds that a tool has.
_LIMIT: Final = 5.0
#: Folders of tools of administration, which are not in everybody's PATH.
_MORE: Final = ("/usr/sbin", "/sbin", "/usr/libexec/ApplicationFirewall")


@dataclass(frozen=True, slots=True)
class Output:
    """Exit status of a tool, and what it printed: standard output, then standard error."""

    status: int
    text: str


def run_tool(*command: str) -> Output | None:
    """Run a tool in the language C; None where it is not here, or does not end in time."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE))
    path = shutil.which(command[0], path=folders)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    encoding = "oem" if sys.platform == "win32" else "utf-8"
    text = (done.stdout + done.stderr).decode(encoding, "replace")
    return Output(done.returncode, text)


def read_text(path: str) -> str:
    """Return the text of a file of the system; "" where it cannot be read."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
