"""Recorder: a thread that writes a jam to a session file, so that no disk delays a touch.

The engine puts events into a queue and goes on. The thread blocks until there is one, and
writes all that wait with one unbuffered call to the system, so that they stand when the
engine is killed. Nothing here polls.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EACCES, ENOTDIR
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Self

from robojam.sessions import session
from robojam.sessions.session import EndEvent, Header, SessionEvent, TouchEvent
from robojam.system.priority import adopt_main_priority

#: Format of the start of a recording in its file name.
NAME_FORMAT = "%Y-%m-%dT%H-%M-%S"
#: Most events that are written with one call, so that after a stall the first are soon safe.
_BATCH = 1000
#: Seconds for which the thread waits for more events once there is one: the touches of many
#: voices are written together, and the thread does not interrupt the engine for each.
_GATHER = 0.004
#: Bytes of controls that wait for the first touch; with more, the file is made without one.
_MAX_WAITING = 1 << 20

#: A header begins a recording; events are of the one begun; a folder is checked.
_Item = Header | Path | SessionEvent


class Recorder:
    """Records one jam after another into a folder, each into a file of its own.

    `begin`, `write` and `end` are called by one thread, the engine's: they never block,
    write nothing themselves and never raise. ``on_trouble`` gets a message for the musician,
    once for each kind of failure and recording. It is called from the recorder's thread, or,
    when that is stuck, from `write`: it must be quick, and safe to call from both. limit is
    the most events that wait to be written; more are dropped.
    """

    def __init__(
        self, directory: Path, *, on_trouble: Callable[[str], None], limit: int = 200_000
    ) -> None:
        self._directory = directory
        self._on_trouble = on_trouble
        self._limit = limit
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        # Each counter is written by one thread, so that none needs a lock. By the engine's:
        self._put = 0
        self._overflow = 0
        self._overflow_reported = False
        # By the recorder's:
        self._taken = 0
        self._refused = 0
        self._file: _File | None = None
        #: Reason why the recording has failed; None while it goes well.
        self.failed: str | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path | None:
        """The file being written; None before its first touch, after its end or a failure."""
        file = self._file  # which the other thread may drop
        return file.path if file is not None else None

    @property
    def dropped(self) -> int:
        """Number of events that were not written, since the recorder was made."""
        return self._overflow + self._refused

    def check_folder(self) -> None:
        """Report now if nothing could be written into the folder, as far as can be seen."""
        if not self._closed:
            self._queue.put(self._directory)

    def begin(self, header: Header) -> None:
        """Start a new recording, closing the one before without an end line.

        Its file is made with its first touch; the controls before it wait until then.
        """
        self._overflow_reported = False
        if not self._closed:
            self._queue.put(header)

    def write(self, event: SessionEvent) -> None:
        """Put one event of the current recording into the queue."""
        if self._closed or self._put - self._taken >= self._limit:
            self._overflow += 1
            if not self._overflow_reported and not self._closed:
                self._overflow_reported = True
                self._report("recording has gaps: the disk is too slow or stuck")
            return
        self._put += 1
        self._queue.put(event)

    def end(self, t: float, reason: str, late_ms: dict[str, float] | None = None) -> None:
        """Close the current recording with its end line, at t seconds from its start."""
        if not self._closed:
            self._put += 1
            self._queue.put(EndEvent(t, reason, late_ms))

    def close(self, *, timeout: float = 5.0) -> None:
        """Write the events that wait, close the file and end the thread.

        timeout is the longest wait for a disk that is stuck, in seconds.
        """
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # The methods below run in the recorder's own thread.

    def _run(self) -> None:
        running = True
        while running:
            batch = [self._queue.get()]
            if batch[0] is not None:
                time.sleep(_GATHER)
            with suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            for item in batch:
                if item is None:
                    running = False
                    break
                self._process(item)
            self._flush()
            self._taken += sum(not isinstance(item, Header | Path | None) for item in batch)
        self._finish()

    def _process(self, item: _Item) -> None:
        if isinstance(item, Path):
            if why := _obstacle(item):
                self._report(f"no recording can be written into {item}: {why}")
            return
        if isinstance(item, Header):
            # Not earlier, because the engine raises its priority only when it runs.
            adopt_main_priority()
            self._finish()
            self.failed = None
            self._file = _File(self._directory, item, self._report)
            return
        if self._file is None:  # not begun, ended, or failed
            self._refused += not isinstance(item, EndEvent)
            return
        self._file.add(item)
        if isinstance(item, EndEvent):
            self._finish()

    def _flush(self) -> None:
        if self._file is None:
            return
        try:
            self._file.flush()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            reason = f"{why}; what was written stands"
            if not self._file.complete:
                reason = f"nothing can be written into {self._directory}: {why}"
            self.failed = f"recording stopped: {reason}"
            self._drop_file(self._file)
            self._report(self.failed)

    def _finish(self) -> None:
        self._flush()
        if self._file is not None:
            self._drop_file(self._file)

    def _drop_file(self, file: _File) -> None:
        self._file = None
        self._refused += file.close()

    def _report(self, message: str) -> None:
        # A callback that fails (its loop has closed) must not end the recording.
        with suppress(Exception):
            self._on_trouble(message)


class _File:
    """File of one recording, once it is made, and the lines that wait to be written to it."""

    def __init__(self, directory: Path, header: Header, report: Callable[[str], None]) -> None:
        self.path: Path | None = None
        self._directory = directory
        self._header = header
        self._report = report
        self._file: FileIO | None = None
        self._waiting = bytearray()
        self._has_touch = False  # the file is made with the first touch
        self._size = 0  # bytes written
        self.complete = 0  # bytes of them, up to the end of the last complete line
        self._refused = 0
        self._lost = False  # the file has vanished, and could not be written again so far

    def add(self, event: SessionEvent) -> None:
        """Append an event to the lines that wait; report one that cannot be encoded."""
        try:
            self._waiting += session.encode(event)
        except Exception as error:  # one wrong event must not stop the others
            if not self._refused:
                self._report(f"a touch or control was not recorded: {error}")
            self._refused += 1
        self._has_touch = self._has_touch or isinstance(event, TouchEvent)

    def flush(self) -> None:
        """Write the lines that wait. Raises OSError or ValueError when that is not possible.

        Lines that were written before then stand, up to the last complete one.
        """
        if not self._waiting or not (self._has_touch or len(self._waiting) > _MAX_WAITING):
            return
        if self._file is None:
            header = session.encode_header(self._header)
            self._file = self._create()
            self._waiting[:0] = header
        self._write(self._file)
        if self._has_vanished(self._file):
            self._write_again(self._file)

    def close(self) -> int:
        """Close the file, and return the number of its events that were not written."""
        if self._file is not None:
            if self._lost and os.fstat(self._file.fileno()).st_nlink == 0:
                self._report("the recording is lost: its folder vanished")
            with suppress(OSError):  # a network folder may refuse only now what it took before
                self._file.close()
        return self._refused + (self._waiting.count(b"\n") if self._has_touch else 0)

    def _create(self) -> FileIO:
        """Open a new file under the first name that is free, making the folder."""
        self._directory.mkdir(parents=True, exist_ok=True)
        started = datetime.fromisoformat(self._header.started)
        for path in candidates(self._directory, started):
            with suppress(FileExistsError):
                # Readable too: the content can be copied if the file vanishes.
                file = path.open("x+b", buffering=0)
                self.path = path
                return file
        raise AssertionError("candidates are without end")

    def _write(self, file: FileIO) -> None:
        try:
            while self._waiting:
                written = file.write(self._waiting)  # less than all, where the disk fills up
                last = self._waiting.rfind(b"\n", 0, written)
                if last >= 0:
                    self.complete = self._size + last + 1
                self._size += written
                del self._waiting[:written]
        except OSError:
            with suppress(OSError):
                file.truncate(self.complete)
                if self.complete == 0 and self.path is not None:
                    self.path.unlink()  # not even the header was written
            raise

    def _has_vanished(self, file: FileIO) -> bool:
        """Return whether the file is no longer at its path: deleted, moved or replaced."""
        if os.name == "nt" or self.path is None:  # Windows does not let an open file vanish
            return False
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # not known just now; the open file holds what was written
            return False

    def _write_again(self, vanished: FileIO) -> None:
        """Make the folder and the file again, from the vanished file that is still open.

        While that is not possible, the open file is written to, and this is tried again with
        every write.
        """
        try:
            vanished.seek(0)
            content = vanished.readall()
            file = self._create()
        except OSError as error:
            why = error.strerror or error
            vanished.seek(0, os.SEEK_END)
            if not self._lost:
                self._report(f"the recording vanished, and cannot be written again: {why}")
            self._lost = True
            return
        self._file, self._lost = file, False
        self._size = self.complete = 0
        self._waiting[:] = content
        with vanished:
            self._write(file)
        self._report(f"the recording had vanished, and was written again: {self.path}")


def _obstacle(directory: Path) -> str | None:
    """Return why nothing can be written into a folder, which may not exist yet; else None."""
    try:
        for folder in (directory.absolute(), *directory.absolute().parents):
            if folder.is_dir():
                return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(EACCES)
            if folder.exists():
                return os.strerror(ENOTDIR)
    except OSError as error:  # a name too long
        return error.strerror
    return None


def file_name(started: datetime) -> str:
    """Return the file name of a recording: its start in UTC, also where it has no zone."""
    zoned = started if started.tzinfo is not None else started.replace(tzinfo=UTC)
    return f"{zoned.astimezone(UTC):{NAME_FORMAT}}.jsonl"


def candidates(directory: Path, started: datetime) -> Iterator[Path]:
    """Yield the paths that a recording may have, the best first: …, …-2, …-3, without end."""
    first = directory / file_name(started)
    yield first
    for number in count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")
