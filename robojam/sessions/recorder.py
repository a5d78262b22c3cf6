"""The thread that writes a jam down while it is played, so that no disk delays a touch.

The engine hands events over and goes on; the thread blocks until there is one, and writes
what is waiting with one call to the system, unbuffered. What was written is the system's,
and stands when the engine is killed. Nothing here polls.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EACCES, ENOTDIR
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Self

from robojam.sessions import session
from robojam.sessions.session import EndEvent, Header, SessionEvent, TouchEvent
from robojam.system.priority import adopt_main_priority

#: Events written with one call at most, so that after a stall the first are soon safe.
_BATCH = 1000
#: Seconds for which more is gathered once there is one: many voices' touches are written
#: together, and the engine is not woken in upon for each of them.
_GATHER = 0.004
#: Bytes of controls kept while the first touch is awaited; past it the file is made anyway.
_KEPT = 1 << 20


@dataclass(frozen=True, slots=True)
class _Begin:
    header: Header


@dataclass(frozen=True, slots=True)
class _Look:
    """Asks whether a recording could be written at all."""


class Recorder:
    """Records one jam after another into a folder, each into a file of its own.

    `begin`, `write` and `end` are for one thread alone, the engine's: they never block,
    write nothing themselves and never raise. ``on_trouble`` is told, in a musician's words,
    what went wrong, once for each kind and recording. It is called from the recorder's
    thread, or, when that is stuck, from `write`: it must be quick, and safe to call from
    both.
    """

    def __init__(
        self, directory: Path, *, on_trouble: Callable[[str], None], limit: int = 200_000
    ) -> None:
        self._directory = directory
        self._on_trouble = on_trouble
        self._limit = limit
        self._queue: queue.SimpleQueue[_Begin | _Look | SessionEvent | None] = (
            queue.SimpleQueue()
        )
        # Each counter has one thread that writes it, so that none needs a lock.
        self._put = 0  # the engine's
        self._overflow = 0  # the engine's
        self._overflow_told = False  # the engine's
        self._taken = 0  # the recorder's
        self._refused = 0  # the recorder's
        self._file: _File | None = None
        self._failed: str | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path | None:
        """The file being written; None before its first touch, after its end, on trouble."""
        file = self._file
        return file.path if file is not None else None

    @property
    def failed(self) -> str | None:
        """Why the recording stopped of itself; None while it goes well."""
        return self._failed

    @property
    def dropped(self) -> int:
        """How many events were not written, since the recorder was made."""
        return self._overflow + self._refused

    def look(self) -> None:
        """Tell now what would be in the way of a recording, as far as one can see."""
        if not self._closed:
            self._queue.put(_Look())

    def begin(self, header: Header) -> None:
        """Start a new recording, closing the one before without an end line.

        Its file is made with its first touch; the controls before it are kept until then.
        """
        self._overflow_told = False
        if not self._closed:
            self._queue.put(_Begin(header))

    def write(self, event: SessionEvent) -> None:
        """Hand over one event of the recording begun last."""
        if self._closed or self._put - self._taken >= self._limit:
            self._overflow += 1
            if not self._overflow_told and not self._closed:
                self._overflow_told = True
                self._tell("recording has gaps: the disk is too slow or stuck")
            return
        self._put += 1
        self._queue.put(event)

    def end(self, t: float, reason: str, late_ms: dict[str, float] | None = None) -> None:
        """Close the current recording with its end line, at t seconds from its start."""
        if not self._closed:
            self._put += 1
            self._queue.put(EndEvent(t, reason, late_ms))

    def close(self, *, timeout: float = 5.0) -> None:
        """Write what is waiting, close the file and end the thread.

        A disk that is stuck is waited for no longer than ``timeout`` seconds.
        """
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # What follows runs in the recorder's own thread.

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            if batch[0] is not None:
                time.sleep(_GATHER)
            with suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            for item in batch:
                if item is None:
                    going = False
                    break
                self._take(item)
            self._flush()
            self._taken += sum(not isinstance(item, _Begin | _Look | None) for item in batch)
        self._finish()

    def _take(self, item: _Begin | _Look | SessionEvent) -> None:
        if isinstance(item, _Look):
            if why := _obstacle(self._directory):
                self._tell(f"no recording can be written into {self._directory}: {why}")
            return
        if isinstance(item, _Begin):
            # Here and not when the thread begins: the engine's is not raised before it runs.
            adopt_main_priority()
            self._finish()
            self._failed = None
            self._file = _File(self._directory, item.header, self._tell)
            return
        if self._file is None:  # not begun, ended, or stopped by trouble
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
            stands = f"{why}; what was written stands"
            if self._file.is_empty:
                stands = f"nothing can be written into {self._directory}: {why}"
            self._failed = f"recording stopped: {stands}"
            self._drop_file(self._file)
            self._tell(self._failed)

    def _finish(self) -> None:
        self._flush()
        if self._file is not None:
            self._drop_file(self._file)

    def _drop_file(self, file: _File) -> None:
        self._file = None
        self._refused += file.close()

    def _tell(self, trouble: str) -> None:
        # A listener that is gone (a loop that has closed) must not end the recording.
        with suppress(Exception):
            self._on_trouble(trouble)


class _File:
    """One recording as the thread sees it: the lines waiting, and the file once it is made."""

    def __init__(self, directory: Path, header: Header, tell: Callable[[str], None]) -> None:
        self.path: Path | None = None
        self._directory = directory
        self._header = header
        self._tell = tell
        self._file: FileIO | None = None
        self._waiting = bytearray()
        self._played = False  # a touch has come, so that the file is to be made
        self._size = 0  # bytes written
        self._whole = 0  # of them, up to the end of the last whole line
        self._refused = 0
        self._lost = False  # the file is gone, and could not be written again so far

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it stands, not even its first line."""
        return self._whole == 0

    def add(self, event: SessionEvent) -> None:
        """Put an event among the lines waiting; one that has no form as a line is told."""
        try:
            self._waiting += session.encode(event)
        except Exception as error:  # whatever is wrong with one event, the others stand
            if not self._refused:
                self._tell(f"a touch or control was not recorded: {error}")
            self._refused += 1
        self._played = self._played or isinstance(event, TouchEvent)

    def flush(self) -> None:
        """Write what is waiting. Raises OSError or ValueError when that is not possible.

        What was written before then stands, cut back to its last whole line.
        """
        if not self._waiting or not (self._played or len(self._waiting) > _KEPT):
            return
        if self._file is None:
            header = session.encode_header(self._header)
            self._file = self._create()
            self._waiting[:0] = header
        self._write(self._file)
        if self._gone(self._file):
            self._write_again(self._file)

    def close(self) -> int:
        """Close the file, and return how many of its events were not written."""
        if self._file is not None:
            if self._lost and os.fstat(self._file.fileno()).st_nlink == 0:
                self._tell("the recording is lost: its folder vanished")
            with suppress(OSError):  # a network folder may refuse at last what it took
                self._file.close()
        return self._refused + (self._waiting.count(b"\n") if self._played else 0)

    def _create(self) -> FileIO:
        """Open a new file under the first name that is free, making the folder."""
        self._directory.mkdir(parents=True, exist_ok=True)
        started = datetime.fromisoformat(self._header.started)
        for path in candidates(self._directory, started):
            with suppress(FileExistsError):
                # Readable too: what was written can be had back if the file vanishes.
                file = path.open("x+b", buffering=0)
                self.path = path
                return file
        raise AssertionError("the names never end")

    def _write(self, file: FileIO) -> None:
        try:
            while self._waiting:
                written = file.write(self._waiting)  # a part, where the disk fills up
                last = self._waiting.rfind(b"\n", 0, written)
                if last >= 0:
                    self._whole = self._size + last + 1
                self._size += written
                del self._waiting[:written]
        except OSError:
            with suppress(OSError):
                file.truncate(self._whole)
                if self._whole == 0 and self.path is not None:
                    self.path.unlink()  # not even the header: an empty file says nothing
            raise

    def _gone(self, file: FileIO) -> bool:
        """Tell whether the file is no longer in its place: deleted, moved or replaced."""
        if os.name == "nt" or self.path is None:  # Windows keeps an open file in its place
            return False
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # cannot be told just now; what was written is in the open file
            return False

    def _write_again(self, vanished: FileIO) -> None:
        """Make the folder and the file again, whole, from the file that is still open.

        While that is not possible the open file is written on, and this is tried again
        with every write.
        """
        try:
            vanished.seek(0)
            everything = vanished.readall()
            file = self._create()
        except OSError as error:
            why = error.strerror or error
            vanished.seek(0, os.SEEK_END)
            if not self._lost:
                self._tell(f"the recording vanished, and cannot be written again: {why}")
            self._lost = True
            return
        self._file, self._lost = file, False
        self._size = self._whole = 0
        self._waiting[:] = everything
        with vanished:
            self._write(file)
        self._tell(f"the recording had vanished, and was written again: {self.path}")


def _obstacle(directory: Path) -> str | None:
    """Say why nothing could be written into a folder, which may have to be made first."""
    try:
        for there in (directory.absolute(), *directory.absolute().parents):
            if there.is_dir():
                return None if os.access(there, os.W_OK | os.X_OK) else os.strerror(EACCES)
            if there.exists():
                return os.strerror(ENOTDIR)
    except OSError as error:  # a name too long
        return error.strerror
    return None


def file_name(started: datetime) -> str:
    """Return the name of a recording begun then, in UTC; one without a zone is UTC."""
    zoned = started if started.tzinfo is not None else started.replace(tzinfo=UTC)
    return f"{zoned.astimezone(UTC):%Y-%m-%dT%H-%M-%S}.jsonl"


def candidates(directory: Path, started: datetime) -> Iterator[Path]:
    """Yield the names a recording may have, the best first: …, …-2, …-3, without end."""
    first = directory / file_name(started)
    yield first
    for number in count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")
