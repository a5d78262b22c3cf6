"""Recordings of one folder, as the window lists, renames, deletes, reveals and exports them.

Reading many files takes a while, and drawing one takes another program: both happen on
threads of their own, and the window is woken when there is something new.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from robojam.sessions import library
from robojam.sessions.library import LibraryEntry
from robojam.system.child_process import python_command

#: Most recordings that are listed.
LIMIT = 400
#: Seconds after which another program is taken to have failed.
TIMEOUT = 120.0


class RecordingsPanel:
    """List of the recordings of a folder, the newest first, read by a thread.

    wake is called from other threads when there are new entries or messages.
    """

    def __init__(self, *, wake: Callable[[], None]) -> None:
        self.folder = Path("sessions")
        self.entries: tuple[LibraryEntry, ...] = ()
        #: Messages for the musician, to be taken by the window.
        self.messages: list[str] = []
        self._wake = wake
        self._reader: threading.Thread | None = None
        self._changes = 0

    @property
    def busy(self) -> bool:
        """Whether the folder is being read."""
        return self._reader is not None and self._reader.is_alive()

    def refresh(self) -> None:
        """Start to read the folder again, unless that is under way."""
        if not self.busy:
            self._reader = threading.Thread(target=self.read, name="recordings", daemon=True)
            self._reader.start()

    def read(self) -> None:
        """Read the folder; a folder or names that cannot be read become a message."""
        try:
            changes = -1
            while changes != self._changes:  # names and files may change while it is read
                changes = self._changes
                entries = library.entries(self.folder, limit=LIMIT)
        except (OSError, ValueError) as error:
            self._say(_reason(error, self.folder))
            return
        self.entries = tuple(reversed(entries))
        self._wake()

    def rename(self, path: Path, name: str) -> LibraryEntry:
        """Give a recording a name, "" for none; return its entry.

        Raises ValueError, with a message for the musician, where it cannot be stored.
        """
        try:
            annotation = library.annotate(path, name=name)
        except OSError as error:
            raise ValueError(f"cannot be renamed: {_reason(error, path)}") from error
        self._changes += 1
        self.entries = tuple(
            replace(entry, annotation=annotation) if entry.path == path else entry
            for entry in self.entries
        )
        return library.entry(path, {path.name: annotation})

    def delete(self, path: Path) -> None:
        """Move a recording to the system's trash; it keeps its name if it is put back.

        Raises ValueError, with a message for the musician, where there is no trash.
        """
        from send2trash import send2trash

        try:
            send2trash(path)
        except OSError as error:
            raise ValueError(f"cannot be moved to the trash: {_reason(error, path)}") from error
        self._changes += 1
        self.entries = tuple(entry for entry in self.entries if entry.path != path)

    def reveal(self, path: Path) -> None:
        """Show a file in its folder, in the desktop's file manager."""
        if sys.platform == "darwin":
            command = ["open", "-R", str(path)]
        elif sys.platform == "win32":
            command = ["explorer", f"/select,{path}"]
        else:
            command = ["xdg-open", str(path.parent)]
        self._run(command, str(path), f"it is at {path}", checked=sys.platform != "win32")

    def export(self, path: Path) -> None:
        """Draw a recording as a picture beside it."""
        to = path.with_suffix(".png")
        command = python_command("robojam", "export", str(path), "--to", str(to))
        self._run(command, f"picture: {to}", "the picture could not be drawn", checked=True)

    def _run(self, command: list[str], done: str, failed: str, *, checked: bool) -> None:
        """Run a program on a thread, and give a message. checked: by its exit status, too."""

        def run() -> None:
            try:
                subprocess.run(
                    command, capture_output=True, timeout=TIMEOUT, check=checked,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError):
                self._say(failed)
            else:
                self._say(done)

        threading.Thread(target=run, name="program", daemon=True).start()

    def _say(self, message: str) -> None:
        self.messages.append(message)
        self._wake()


def _reason(error: OSError | ValueError, path: Path) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or path}: {error.strerror or error}"
    return str(error)
