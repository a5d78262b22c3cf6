"""The recordings on this machine: listed, renamed, shown in their folder, drawn.

Reading many files takes a while, and drawing one takes another program: both happen on
threads of their own, and the window is woken when there is something new.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robojam.sessions.session import SessionError, Summary, read
from robojam.system.child_process import python_command

#: So many recordings are listed, the newest first.
MOST = 400
#: Drawing one that takes longer than this, in seconds, has failed.
PATIENCE = 120.0
_NAME = re.compile(r"[^\w .()+,=@-]+")


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """One recording: what there is to tell of it, or why it cannot be read."""

    path: Path
    summary: Summary | None
    why: str = ""


class RecordingsPanel:
    """The recordings of one folder."""

    def __init__(self, *, wake: Callable[[], None]) -> None:
        self.folder = Path("sessions")
        self.entries: tuple[RecordingEntry, ...] = ()
        self.said: list[str] = []
        self._wake = wake
        self._known: dict[Path, tuple[tuple[int, int], RecordingEntry]] = {}
        self._reading: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the folder is being read."""
        return self._reading is not None and self._reading.is_alive()

    def refresh(self) -> None:
        """Look into the folder again, soon."""
        if not self.busy:
            self._reading = threading.Thread(target=self._read, name="shelf", daemon=True)
            self._reading.start()

    def _read(self) -> None:
        try:
            found = [(p.stat(), p) for p in self.folder.glob("*.jsonl")]
        except OSError as error:
            self._say(f"{self.folder}: {error.strerror}")
            return
        found.sort(key=lambda one: (one[0].st_mtime, one[1].name), reverse=True)
        entries = []
        for stat, path in found[:MOST]:
            mark = (stat.st_mtime_ns, stat.st_size)
            if path not in self._known or self._known[path][0] != mark:
                self._known[path] = (mark, _entry(path))
            entries.append(self._known[path][1])
        self.entries = tuple(entries)
        self._wake()

    def rename(self, path: Path, name: str) -> Path:
        """Give a recording another name; return where it is now. Raises ValueError."""
        plain = _NAME.sub("", name.removesuffix(".jsonl")).strip(" .")
        if not plain:
            raise ValueError("a name needs letters")
        to = path.with_name(f"{plain}.jsonl")
        if to == path:
            return path
        if to.exists():
            raise ValueError(f"there is a {to.name} already")
        try:
            path.rename(to)
        except OSError as error:
            raise ValueError(f"cannot be renamed: {error.strerror}") from error
        self.refresh()
        return to

    def reveal(self, path: Path) -> None:
        """Show the file in its folder, as the desktop does."""
        if sys.platform == "darwin":
            command = ["open", "-R", str(path)]
        elif sys.platform == "win32":
            command = ["explorer", f"/select,{path}"]
        else:
            command = ["xdg-open", str(path.parent)]
        self._do(command, f"{path}", f"it is at {path}", wanted=sys.platform != "win32")

    def export(self, path: Path) -> None:
        """Draw a recording into a picture beside it."""
        to = path.with_suffix(".png")
        command = python_command("robojam", "export", str(path), "--to", str(to))
        self._do(command, f"drawn: {to}", "no picture could be drawn here", wanted=True)

    def _do(self, command: list[str], done: str, failed: str, *, wanted: bool) -> None:
        """Run a program aside, and say how it went; wanted, that it must leave with 0."""

        def run() -> None:
            try:
                ran = subprocess.run(
                    command, capture_output=True, timeout=PATIENCE, check=False,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
                went = not wanted or ran.returncode == 0
            except (OSError, subprocess.TimeoutExpired):
                went = False
            self._say(done if went else failed)

        threading.Thread(target=run, name="aside", daemon=True).start()

    def _say(self, what: str) -> None:
        self.said.append(what)
        self._wake()


def _entry(path: Path) -> RecordingEntry:
    try:
        return RecordingEntry(path, read(path).summary())
    except SessionError as error:
        return RecordingEntry(path, None, error.why)
