"""Recorder: a thread that writes a jam to a session file, so that no disk delays a touch.

The engine puts events into memory that stays when it is killed, and into a queue, and goes on.
The thread blocks until there is one, and writes all that wait with one unbuffered call to the
system. A second thread has the system put them on the disk, once a second, so that they stand
after a power cut; it is another one because that may take seconds. Nothing here polls.
"""

from __future__ import annotations

import math
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, ENOTDIR
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from robojam.sessions import session
from robojam.sessions.checkpoint import RATE, CheckpointWriter, Saving
from robojam.sessions.last_lines import LastLines
from robojam.sessions.recording_file import RecordingFile
from robojam.sessions.session import EndEvent, Header, SessionEvent
from robojam.system.priority import adopt_main_priority

#: Most events that are written with one call, so that after a stall the first are soon safe.
_BATCH = 1000
#: Seconds for which the thread waits for more events once there is one: the touches of many
#: voices are written together, and the thread does not interrupt the engine for each.
_GATHER = 0.004
#: Most events that wait for the thread; more are dropped.
MAX_QUEUE: Final = 200_000
#: Seconds that the end of a jam waits for a disk that is stuck.
CLOSING: Final = 5.0
#: Seconds until the thread tries again after an error that nobody foresaw.
_AFTER_ERROR = 1.0
#: Seconds from one checkpoint to the next; more for large ones.
CHECKPOINTS: Final = 5.0
#: Bytes of another recording that are copied at a time.
_CHUNK: Final = 1 << 20
#: Bytes that a folder must have room for before a jam.
_ROOM = 1 << 16
#: Bytes free on a disk below which a person is told: ten hours of one player, at least.
LITTLE_ROOM: Final = 500_000_000
#: Errors by which a disk says that what it took before is lost. Others say that a file system
#: cannot sync at all.
_LOST = (EIO, ENOSPC, EDQUOT)


@dataclass(frozen=True, slots=True)
class _SyncError:
    """The file at a path could not be put on the disk."""

    path: Path
    error: OSError


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Before:
    """What a recording begins with that goes on from another one, at a path.

    lines are complete lines of that one, after which controls are in force; events follow.
    """

    path: Path | None = None
    lines: bytes = b""
    controls: dict[str, Any] = field(default_factory=dict)
    events: Sequence[SessionEvent] = ()


@dataclass(frozen=True, slots=True)
class _Event:
    """An event, and its line; None where it cannot be encoded."""

    event: SessionEvent
    line: bytes | None


#: A header begins a recording, which may go on from another; events are of the one begun; a
#: folder is checked; a state is saved.
_Beginning = tuple[Header, Before]
_Item = _Beginning | Path | _SyncError | Saving | _Event


class Recorder:
    """Records one jam after another into a folder, each into a file of its own.

    `begin`, `write` and `end` are called by one thread, the engine's: they never block,
    write nothing themselves and never raise. ``on_trouble`` gets a message for the musician,
    once for each kind of failure and recording. It is called from the recorder's thread, or,
    when that is stuck, from `write` or `close`: it must be quick, and safe to call from both.
    limit is the most events that wait for the thread; more are dropped. Without a thread
    (threaded), `step` does its work, by another clock and other files if those are given: the
    simulator of the tests does so. memory is the folder of the last lines, where it is not the
    user's own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_trouble: Callable[[str], None],
        limit: int = MAX_QUEUE,
        clock: Callable[[], float] = time.monotonic,
        open_new: Callable[[Path], FileIO] | None = None,
        threaded: bool = True,
        memory: Path | None = None,
    ) -> None:
        self._clock, self._open_new, self._threaded = clock, open_new, threaded
        self._last: LastLines | None = None
        with suppress(OSError):  # no memory to share: the file alone is left, then
            self._last = LastLines(directory, memory)
        self._directory = directory
        self._on_trouble = on_trouble
        self._limit = limit
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        # Each counter is written by one thread, so that none needs a lock. By the engine's:
        self._put = 0
        self._is_begun = False  # a recording that has not its end
        self._overflow = 0
        self._overflow_reported = False
        # By the recorder's:
        self._taken = 0
        self._begins = 0  # recordings
        self._refused = 0
        self._file: RecordingFile | None = None
        self._ended = False  # the file has its end, which may still wait for the disk
        self._error_reported = False
        self._closed = False
        self._checkpoints = CheckpointWriter(self._report, threaded=threaded)
        self._saved: Path | None = None  # the recording that has a checkpoint
        self._syncer = _Syncer(lambda path, error: self._queue.put(_SyncError(path, error)))
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        if threaded:
            self._thread.start()

    @property
    def path(self) -> Path | None:
        """The file being written; None before its first touch, and after its end."""
        file = self._file  # which the other thread may drop
        return file.path if file is not None and not self._ended else None

    @property
    def failed(self) -> str | None:
        """Reason why nothing can be written at the moment; None while it goes well."""
        file = self._file
        return file.failed if file is not None else None

    @property
    def dropped(self) -> int:
        """Number of events that were not written, since the recorder was made."""
        file = self._file
        return self._overflow + self._refused + (file.lost if file is not None else 0)

    def check_folder(self) -> None:
        """Report now if nothing could be written into the folder, as far as can be seen."""
        if not self._closed:
            self._queue.put(self._directory)

    def begin(self, header: Header, before: Before | None = None) -> None:
        """Start a new recording, closing the one before without an end line.

        Its file is made with its first touch; the controls before it wait until then. before
        is what it begins with.
        """
        self._overflow_reported = False
        if not self._closed:
            before = before or Before()
            self._begin_last(header, before)
            self._queue.put((header, before))

    def _begin_last(self, header: Header, before: Before) -> None:
        """Begin the last lines of a recording with those of what it begins with."""
        self._is_begun = True
        if self._last is None:
            return
        try:
            first = session.encode_header(header)
            lines = [session.encode(event) for event in before.events[-_BATCH:]]
        except Exception:  # the recording fails as well, and that is reported
            first, lines = b"", []
        if len(lines) < len(before.events):
            last, *lines = lines or [b""]
        else:
            last = before.lines[before.lines.rfind(b"\n", 0, -1) + 1 :]
        self._last.begin(first, last)
        for line in lines:
            self._last.put(line)

    def save(self, saving: Saving) -> None:
        """Write a checkpoint of the jam as it is after all events so far."""
        if not self._closed:
            self._queue.put(saving)

    @property
    def checkpoint_interval(self) -> float:
        """Seconds from one checkpoint to the next, by the size of the last one."""
        return max(CHECKPOINTS, self._checkpoints.size / RATE)

    def write(self, event: SessionEvent) -> None:
        """Put one event of the current recording into the queue."""
        if self._closed or self._put - self._taken >= self._limit:
            self._overflow += 1
            if not self._overflow_reported and not self._closed:
                self._overflow_reported = True
                self._report("recording has gaps: the disk is too slow or stuck")
            return
        self._append(event)

    def _append(self, event: SessionEvent) -> None:
        self._put += 1
        try:
            line = session.encode(event)
        except Exception:  # the thread reports it
            line = None
        if line is not None and self._is_begun and self._last is not None:
            self._last.put(line)
        self._queue.put(_Event(event, line))

    def end(self, t: float, reason: str, late_ms: dict[str, float] | None = None) -> None:
        """Close the current recording with its end line, at t seconds from its start."""
        if not self._closed:
            self._append(EndEvent(t, reason, late_ms))
            self._is_begun = False

    def close(self, *, timeout: float = CLOSING) -> None:
        """Write the events that wait, close the file and end the threads.

        timeout is the longest wait for a disk that is stuck, in seconds; what it has not taken
        by then is reported as lost.
        """
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        if not self._threaded:
            while not self._queue.empty():
                self.step()
            self._close_last()
            return
        by = time.monotonic() + timeout
        self._thread.join(timeout)
        if self._thread.is_alive():
            waiting = self._put - self._taken
            self._report(
                "the end of the recording is lost: the disk has not answered for "
                f"{timeout:g} s, and {waiting:,} touches or controls wait for it"
            )
            return
        self._close_last()
        self._checkpoints.close(max(0.0, by - time.monotonic()))
        if not self._syncer.close(max(0.0, by - time.monotonic())):
            self._report("the end of the recording is not safe from a power cut yet")
        while not self._queue.empty():
            if isinstance(item := self._queue.get_nowait(), _SyncError):
                self._report(_not_on_disk(item))

    def _close_last(self) -> None:
        if self._last is not None:
            self._last.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def step(self) -> float:
        """Do the work that waits; return the seconds until there is more, or infinity.

        Only for a recorder without a thread.
        """
        batch: list[_Item | None] = []
        self._take_waiting(batch)
        wait, running = self._handle(batch)
        if not running:
            self._attempt(self._finish)
        return wait

    # The methods below run in the recorder's own thread, if it has one.

    def _run(self) -> None:
        wait, running = math.inf, True
        while running:
            batch = self._collect(wait)
            adopt_main_priority()  # which may have been raised meanwhile
            wait, running = self._handle(batch)
        self._attempt(self._finish)

    def _handle(self, batch: Sequence[_Item | None]) -> tuple[float, bool]:
        """Handle items; return the seconds until there is more to do, and whether to go on."""
        running = True
        for item in batch:
            if item is None:
                running = False
                break
            self._attempt(partial(self._process, item))
        tried = self._attempt(self._advance)
        self._taken += sum(isinstance(item, _Event) for item in batch)
        return _AFTER_ERROR if tried is None else tried, running

    def _attempt(self, act: Callable[[], _T]) -> _T | None:
        """Return what an act returns; None, and a report, for an error that nobody foresaw."""
        try:
            return act()
        except Exception as error:  # the thread must not end: the rest would be lost
            if not self._error_reported:
                self._error_reported = True
                self._report(
                    "an error in the recorder that nobody foresaw "
                    f"({type(error).__name__}: {error}); the recording goes on. Please report "
                    "this"
                )
            return None

    def _collect(self, wait: float) -> list[_Item | None]:
        """Return the items that come within a time in seconds, as soon as there is one."""
        batch: list[_Item | None] = []
        with suppress(queue.Empty):
            batch.append(self._queue.get(timeout=None if wait == math.inf else max(wait, 0.0)))
            if batch[0] is not None:
                time.sleep(_GATHER)
            self._take_waiting(batch)
        return batch

    def _take_waiting(self, batch: list[_Item | None]) -> None:
        """Append the items that wait to a batch, as many as it may have."""
        with suppress(queue.Empty):
            while len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())

    def _process(self, item: _Item) -> None:
        match item:
            case Path():
                if why := obstacle(item):
                    self._report(f"no recording can be written into {item}: {why}")
            case (header, before):
                self._finish()
                self._begins += 1
                sync = self._syncer.request if self._threaded else _no_sync
                self._file = RecordingFile(
                    self._directory, header, self._report,
                    sync=sync, open_new=self._open_new,
                )  # fmt: skip
                self._ended, self._saved = False, before.path
                for lines in _chunks(before.lines):
                    self._file.add_lines(lines, before.controls)
                    self._file.advance(self._clock())
                for event in before.events:
                    self._file.add(event)
            case Saving():
                self._save(item)
            case _SyncError():
                if self._file is not None and self._file.path == item.path:
                    self._file.note_sync_error(item.error, self._clock())
                else:
                    self._report(_not_on_disk(item))
            case _Event() if self._file is None or self._ended:  # not begun, or ended
                self._refused += not isinstance(item.event, EndEvent)
            case _Event():
                self._file.add(item.event, item.line)
                self._ended = isinstance(item.event, EndEvent)

    def _save(self, saving: Saving) -> None:
        """Have a state written beside the file that has all events until then."""
        if self._file is None or self._ended:
            return
        self._file.advance(self._clock())
        place, path = self._file.place, self._file.path
        if place is None or path is None:  # the disk takes nothing now
            return
        # What another one has from which this goes on, this one has, too.
        self._checkpoints.write(path, place, saving, in_place_of=self._saved)
        self._saved = path

    def _remove_checkpoint(self) -> None:
        if self._saved is not None:
            self._checkpoints.remove(self._saved)
            self._saved = None

    def _advance(self) -> float:
        """Write what waits; return the seconds until there is more to do, or infinity."""
        if self._file is None:
            return math.inf
        wait = self._file.advance(self._clock())
        if self._last is not None and self._file.path is not None:
            self._last.note_begun(self._begins)
        if self._ended and self._file.is_written:
            self._finish()
            return math.inf
        return wait

    def _finish(self) -> None:
        """Close the file, if there is one, with what the disk takes now."""
        if (file := self._file) is not None:
            file.close(self._clock())
            self._remove_checkpoint()
            self._refused += file.lost
            self._file = None

    def _report(self, message: str) -> None:
        # A callback that fails (its loop has closed) must not end the recording.
        with suppress(Exception):
            self._on_trouble(message)


def _chunks(lines: bytes) -> Iterator[bytes]:
    """Yield complete lines, in parts that are small enough to copy without a delay."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _CHUNK) + 1 or lines.find(b"\n", start) + 1
        end = end or len(lines)
        yield lines[start:end]
        start = end


class _Syncer:
    """Thread that has the system put files on the disk: it waits, and the recorder does not."""

    def __init__(self, on_error: Callable[[Path, OSError], None]) -> None:
        """on_error is called, from the thread, where a disk has not kept what it took."""
        self._on_error = on_error
        self._changed = threading.Condition()
        self._wanted: dict[Path, int] = {}  # descriptors of the thread's own
        self._seen = 0  # inode of the last file, whose entry in its folder is safe
        self._closed = False
        self._thread: threading.Thread | None = None

    def request(self, file: FileIO, path: Path) -> None:
        """Ask for a file to be put on the disk soon, and do not wait."""
        with self._changed:
            if self._closed:
                return
            try:
                if path in self._wanted:
                    os.close(self._wanted.pop(path))  # which may be of a file that vanished
                self._wanted[path] = os.dup(file.fileno())
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="sync", daemon=True)
                    thread.start()
                    self._thread = thread
            except (OSError, RuntimeError):  # no more descriptors or threads: later, perhaps
                return
            self._changed.notify()

    def close(self, timeout: float) -> bool:
        """Sync what was asked for, and end the thread; return False if it is late."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._wanted or self._closed):
                    self._changed.wait()
                if not self._wanted:
                    return
                path = next(iter(self._wanted))
                descriptor = self._wanted.pop(path)
            adopt_main_priority()  # which may have been raised meanwhile
            try:
                sync_file(descriptor)
                if (inode := os.fstat(descriptor).st_ino) != self._seen:
                    _sync_folders(path)
                    self._seen = inode
            except OSError as error:
                if error.errno in _LOST:
                    self._on_error(path, error)
            finally:
                os.close(descriptor)


def _no_sync(_file: FileIO, _path: Path) -> None:
    """Leave it to the system when a file is put on the disk."""


def sync_file(descriptor: int) -> None:
    """Return when what was written to a file is on the disk. Raises OSError."""
    if sys.platform == "darwin":  # where fsync only hands it to the disk, which may hold it
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def _sync_folders(path: Path) -> None:
    """Put the entry of a new file on the disk, and that of its folder, which may be new too."""
    if os.name == "nt":  # which opens no folders
        return
    for folder in (path.parent, path.parent.parent):
        with suppress(OSError):  # a file system that cannot
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _not_on_disk(failure: _SyncError) -> str:
    why = failure.error.strerror or failure.error
    return f"{failure.path} is perhaps not complete: the disk has not taken it ({why})"


def obstacle(directory: Path) -> str | None:
    """Return why nothing can be written into a folder, which may not exist yet; else None."""
    try:
        for folder in (directory.absolute(), *directory.absolute().parents):
            if folder.is_dir():
                if not os.access(folder, os.W_OK | os.X_OK):
                    return os.strerror(EACCES)
                _try_to_write(folder)
                return None
            if folder.exists():
                return os.strerror(ENOTDIR)
    except OSError as error:  # a full disk, one that can only be read, a name too long
        if error.errno == EFBIG:  # a limit for each file: a recording goes on in the next
            return None
        return error.strerror or str(error)
    return None


def _try_to_write(folder: Path) -> None:
    """Write a little into a file without a name. Raises OSError, as for a full disk."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        left = _ROOM
        while left > 0:
            left -= file.write(bytes(left)) or left
