"""Files that killed JACK programs leave in shared memory, where they hold up all later ones."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

#: Seconds in which a program has made the metadata file that it has begun.
_MAKING = 2.0


def remove_stale_files() -> None:
    """Remove JACK's metadata and its list of servers if no server runs.

    The metadata are one file for all servers of a user. If a killed program left it half made,
    every program that looks for JACK's devices waits 18 s at it, and servers crash: then it is
    removed beside a server, too. The list has room for eight servers, and killed ones of other
    names stay in it.
    """
    metadata = Path(f"/dev/shm/jack_db-{os.getuid()}")
    if not _is_running() or _is_half_made(metadata / "__db.001"):
        shutil.rmtree(metadata, ignore_errors=True)
    if not _is_running():
        with suppress(OSError):  # there is none, or it is another user's
            Path("/dev/shm/jack-shm-registry").unlink()


def _is_running() -> bool:
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if comm.read_text().startswith("jackd"):  # or jackdbus
                return True
    return False


def _is_half_made(file: Path) -> bool:
    try:
        status = file.stat()
    except OSError:
        return False
    return status.st_size == 0 and time.time() - status.st_mtime > _MAKING
