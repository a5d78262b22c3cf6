"""Program that has a UDP port, as far as the system tells it to this user."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from robojam.doctor.tools import read_text, run_tool


def owner_of(port: int) -> str | None:
    """Return name and process of the program that has a UDP port; None where not known."""
    if sys.platform == "linux":
        inodes = linux_inodes(read_text("/proc/net/udp") + read_text("/proc/net/udp6"), port)
        return _linux_owner(inodes)
    if sys.platform == "darwin":
        listed = run_tool("lsof", "-nP", f"-iUDP:{port}", "-Fpc")
        return lsof_owner(listed.text if listed else "")
    if sys.platform == "win32":
        listed = run_tool("netstat", "-ano", "-p", "UDP")
        process = netstat_owner(listed.text if listed else "", port)
        if process is None:
            return None
        tasks = run_tool("tasklist", "/FI", f"PID eq {process}", "/FO", "CSV", "/NH")
        name = re.match(r'"([^"]+)"', tasks.text.strip()) if tasks else None
        return f"{name[1]} (process {process})" if name else f"process {process}"
    return None


def linux_inodes(table: str, port: int) -> frozenset[str]:
    """Return the inodes of the sockets at a port, from the text of /proc/net/udp and udp6."""
    rows = (line.split() for line in table.splitlines())
    return frozenset(row[9] for row in rows if len(row) > 9 and row[1].endswith(f":{port:04X}"))


def _linux_owner(inodes: Collection[str]) -> str | None:
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # of another user, or ended meanwhile
            for descriptor in os.scandir(folder):
                with suppress(OSError):
                    if os.readlink(descriptor.path) in sockets:
                        process = folder.parent.name
                        name = read_text(f"/proc/{process}/comm").strip() or "a program"
                        return f"{name} (process {process})"
    return None


def lsof_owner(listed: str) -> str | None:
    """Return the first program in what `lsof -Fpc` prints."""
    match = re.search(r"^p(\d+)\nc(.+)$", listed, re.MULTILINE)
    return f"{match[2]} (process {match[1]})" if match else None


def netstat_owner(listed: str, port: int) -> str | None:
    """Return the process at a port in what `netstat -ano -p UDP` prints, in any language."""
    match = re.search(rf"^\s*UDP\s+\S+:{port}\s+\S+\s+(\d+)\s*$", listed, re.MULTILINE)
    return match[1] if match else None
