"""File of one recording, written whatever the disk does. Time is an argument.

A disk may be full for a while, fail, or take a part of a line; another program may truncate,
delete, move or replace the file. Lines that cannot be written wait in memory and are tried
again, at longer and longer intervals, in the same file or in a new one. docs/limits.md lists
the bounds.
"""

from __future__ import annotations

import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from robojam.sessions import session
from robojam.sessions.checkpoint import Place, new_digest
from robojam.sessions.session import Header, ModelRef, SessionEvent, SetEvent, TouchEvent

#: Format of the start of a recording in its file name.
NAME_FORMAT = "%Y-%m-%dT%H-%M-%S"
#: Bytes of controls that wait for the first touch; with more, the file is made without one.
MAX_CONTROLS: Final = 1 << 20
#: Bytes of lines that wait for a disk that takes none; beyond them events are lost.
MAX_WAITING: Final = 32 << 20
#: Bytes of the compressed copy of the recording that is kept in memory, and of one block of
#: it before compression; and of what is asked of the system at a time.
MAX_COPY: Final = 8 << 20
_BLOCK = 1 << 16
_PIECE: Final = 1 << 16
#: Seconds until a write that failed is tried again: at first, and at most.
RETRY: Final = (1.0, 30.0)
#: Seconds between two requests to put the file on the disk.
SYNC_INTERVAL: Final = 1.0
#: Errors of a disk that is full, or of a user who has used up a quota: no new file helps.
_FULL = (ENOSPC, EDQUOT)
#: Bytes that are copied at a time from a file that has vanished.
_CHUNK = 1 << 20


class RecordingFile:
    """File of one recording, once it is made, and the lines that wait to be written to it.

    It is used by one thread. No method raises.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        report: Callable[[str], None],
        *,
        sync: Callable[[FileIO, Path], None] = lambda *_: None,
        open_new: Callable[[Path], FileIO] | None = None,
    ) -> None:
        """Prepare a recording; its file is made with its first touch.

        report gets a message for the musician. sync asks for the file at a path to be put on
        the disk, and does not wait for that. open_new opens new files, as `open_file` does.
        """
        self._open_new = open_new
        self.path: Path | None = None
        #: Reason why lines wait; None while all goes well.
        self.failed: str | None = None
        #: Number of events that are not in the file and will never be.
        self.lost = 0
        self._directory, self._header = directory, header
        self._report, self._sync = report, sync
        self._file: FileIO | None = None
        self._has_touch = False  # the file is made with the first touch
        self._waiting = bytearray()
        self._copy = RecordingCopy()
        self._start = 0  # bytes of the header
        self._size = 0  # bytes of the file, up to the end of its last complete line
        self._digest, self._lines = new_digest(), 0  # of these bytes, and events in them
        self._expected = 0  # size that the file has, if nobody else writes to it
        # Controls that wait, each with the number of bytes that are written when it is; and
        # those that have been written.
        self._controls: deque[tuple[int, dict[str, Any]]] = deque()
        self._in_force: dict[str, Any] = {}
        self._written = 0
        self._failures = 0
        self._retry_at = -math.inf
        self._sync_at = -math.inf
        self._is_synced = True
        self._sync_error: OSError | None = None
        self._new_file = False  # whether the next attempt is in a new file
        self._too_long = False  # whether the last one made a file longer than it may be
        self._reported_refusal = self._reported_gaps = False

    def add(self, event: SessionEvent, line: bytes | None = None) -> None:
        """Append an event to the lines that wait; report one that cannot be encoded.

        line is what it is encoded as, where that is known.
        """
        if len(self._waiting) > MAX_WAITING:
            self.lost += 1
            if not self._reported_gaps:
                self._reported_gaps = True
                self._report(
                    f"recording has gaps: {MAX_WAITING >> 20} MB wait for the disk already"
                )
            return
        try:
            self._waiting += line or session.encode(event)
        except Exception as error:  # one wrong event must not stop the others
            self.lost += 1
            if not self._reported_refusal:
                self._reported_refusal = True
                self._report(f"a touch or control was not recorded: {error}")
            return
        if isinstance(event, TouchEvent):
            self._has_touch = True
        elif isinstance(event, SetEvent):
            self._controls.append((self._written + len(self._waiting), event.values))

    def add_lines(self, lines: bytes, controls: dict[str, Any]) -> None:
        """Append complete lines of another recording, after which controls are in force."""
        self._waiting += lines
        self._has_touch = True
        self._controls.append((self._written + len(self._waiting), controls))

    @property
    def place(self) -> Place | None:
        """The end of what is recorded; None while a part of it waits, or there is no file."""
        if self.path is None or self._waiting or self._sync_error is not None:
            return None
        return Place(self._size, self._lines, self._digest.hexdigest())

    @property
    def is_written(self) -> bool:
        """Whether nothing waits to be written."""
        return not (self._is_due and self._waiting) and self._sync_error is None

    @property
    def _is_due(self) -> bool:
        return self._has_touch or len(self._waiting) > MAX_CONTROLS

    def advance(self, now: float) -> float:
        """Write what waits, and have it synced, if it is time; return the seconds until then.

        These are infinite where there is nothing to do. now is in seconds.
        """
        if not self.is_written and now >= self._retry_at:
            self._attempt(now)
        wait = math.inf if self.is_written else self._retry_at - now
        if self._file is not None and not self._is_synced:
            if now < self._sync_at:
                return min(wait, self._sync_at - now)
            self._request_sync(self._file)
            self._sync_at = now + SYNC_INTERVAL
        return wait

    def _request_sync(self, file: FileIO) -> None:
        assert self.path is not None
        self._sync(file, self.path)
        self._is_synced = True

    def note_sync_error(self, error: OSError, now: float) -> None:
        """Note that the disk has not taken what was written; it is written again elsewhere."""
        self._sync_error = error
        self._postpone(error, now)

    def close(self, now: float) -> None:
        """Write what waits, tried a last time; report what is lost; close the file."""
        if self._is_due and (self._waiting or self._file is not None):
            self._attempt(now)
            if not self.is_written:
                self._attempt(now)  # in a new file, where that is another chance
        if self._file is not None:
            if self._waiting and self._has_vanished(self._file):
                with suppress(OSError):  # better in a file that was moved away than nowhere
                    self._write(self._file)
            if self._is_deleted(self._file):
                self._report("the recording is lost: its file or folder was deleted")
            elif not self._is_synced:
                self._request_sync(self._file)
            with suppress(OSError):  # a network folder may refuse only now what it took before
                self._file.close()
            self._file = None
        waiting = self._waiting.count(b"\n") if self._has_touch else 0
        self.lost += waiting
        if waiting:
            self._report(
                f"the end of the recording is lost: {waiting:,} touches or controls "
                f"({self.failed})"
            )
        self._waiting.clear()

    # -- attempts, and what follows from their failure -------------------------------------

    def _attempt(self, now: float) -> None:
        try:
            if self._file is None:
                self._make(self._header)
            elif (change := self._find_change(self._file)) is not None:
                self._write_again(self._file, change)
            elif self._new_file:
                self._change_file()
            assert self._file is not None
            if self._waiting:
                self._write(self._file)
        except Exception as error:  # also one that nobody foresaw: there may be no memory
            self._postpone(error, now)
            return
        if self._failures:
            self._failures = 0
            self.failed = None
            self._new_file = False
            self._report(f"the recording goes on, with what waited: {self.path}")

    def _postpone(self, error: Exception, now: float) -> None:
        """Plan the next attempt after one that failed."""
        self._failures += 1
        first, longest = RETRY
        self._retry_at = now + min(first * 2 ** min(self._failures - 1, 10), longest)
        number = error.errno if isinstance(error, OSError) else None
        self._too_long = number == EFBIG
        if self._too_long:  # only a new file takes more
            if self._size > _CHUNK and not self._new_file:
                self._retry_at = now
            self._new_file = True
        elif number in _FULL:
            self._new_file = False
        elif self._failures > 1:  # in turn: each of the two may be what fails
            self._new_file = not self._new_file
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if self.path is None:
            self.failed = f"nothing can be written into {self._directory}: {why}"
        else:
            self.failed = f"{self.path} cannot be written: {why}"
        if self._failures == 1:
            self._report(
                f"recording interrupted: {self.failed}; what was written stands, and the rest "
                "waits and is tried again"
            )

    def _make(self, header: Header, lines: Iterable[bytes] = ()) -> None:
        """Make a new file with a header and some lines, and go on in it. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        started = datetime.fromisoformat(header.started)
        for path in candidates(self._directory, started):
            with suppress(FileExistsError):
                file = (self._open_new or open_file)(path)
                break
        digest, count = new_digest(), 0
        try:
            first = session.encode_header(header)
            start = size = _write_all(file, first)
            digest.update(first)
            for data in lines:
                size += _write_all(file, data)
                digest.update(data)
                count += data.count(b"\n")
        except BaseException:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                path.unlink()  # a file without its beginning is worse than none
            raise
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file, self.path, self._header = file, path, header
        self._start, self._size, self._expected = start, size, size
        self._digest, self._lines = digest, count
        self._is_synced, self._sync_at, self._sync_error = False, -math.inf, None

    def _change_file(self) -> None:
        """Go on in a new file, as the old one takes no more. Raises OSError.

        It is the whole recording again, where the copy in memory has all of it and files can
        be as long; otherwise it names the file that it continues.
        """
        assert self.path is not None
        old, header = self.path, self._header
        if not self._copy.dropped_lines and not self._too_long:
            self._make(header, self._copy.blocks())
            self._report(f"{old} cannot be written; the whole recording is in {self.path}")
            return
        options, in_force = header.options, self._in_force
        header = msgspec.structs.replace(
            header,
            options=options | {n: v for n, v in in_force.items() if n in options},
            seed=in_force.get("seed", header.seed),
            model=ModelRef(**in_force["model"]) if "model" in in_force else header.model,
            continues=old.name,
            begins=0,
        )
        self._make(header)
        self._copy = RecordingCopy()
        self._report(f"{old} cannot be written; the recording goes on in {self.path}")

    # -- the file ------------------------------------------------------------------------------

    def _write(self, file: FileIO) -> None:
        """Write the lines that wait. Raises OSError; complete lines that were written stand."""
        done = 0
        try:
            file.seek(self._size)
            while done < len(self._waiting):
                done += _write_part(file, self._waiting, done)
        except Exception:
            self._commit(self._waiting.rfind(b"\n", 0, done) + 1)
            with suppress(OSError):
                file.truncate(self._size)  # rather than leave a part of a line
            with suppress(OSError):
                self._expected = max(self._size, os.fstat(file.fileno()).st_size)
            raise
        self._commit(done)
        self._expected = self._size

    def _commit(self, size: int) -> None:
        """Note that complete lines of a size, in bytes, are written."""
        if not size:
            return
        lines = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._copy.add(lines)
        self._digest.update(lines)
        self._lines += lines.count(b"\n")
        self._size += size
        self._written += size
        self._is_synced = False
        while self._controls and self._controls[0][0] <= self._written:
            self._in_force |= self._controls.popleft()[1]

    def _find_change(self, file: FileIO) -> str | None:
        """Return what has happened to the file besides what was written; None for nothing."""
        if self._sync_error is not None:
            return f"could not be put on the disk ({self._sync_error.strerror})"
        if self._has_vanished(file):
            return "had vanished"
        if os.fstat(file.fileno()).st_size != self._expected:
            return "had been changed by another program"
        return None

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

    def _is_deleted(self, file: FileIO) -> bool:
        try:
            return os.name != "nt" and os.fstat(file.fileno()).st_nlink == 0
        except OSError:
            return False

    def _write_again(self, old: FileIO, change: str) -> None:
        """Write the whole recording to a new file. Raises OSError.

        What a change may have spoilt is taken from the copy in memory. A file that has only
        vanished is still open, and has all.
        """
        lost = self._copy.dropped_lines
        if lost and os.fstat(old.fileno()).st_size >= self._size and self._sync_error is None:
            lost = 0
            self._make(self._header, _read_lines(old, self._start, self._size))
        else:
            begins = 0 if lost else self._header.begins
            header = msgspec.structs.replace(self._header, begins=begins)
            self._make(header, self._copy.blocks())
        beginning = f" without its first {lost:,} lines, which are lost" if lost else ""
        self._report(f"the recording {change}, and was written again{beginning}: {self.path}")


class _Block(NamedTuple):
    """Block of the copy: where it begins, its bytes, and its lines."""

    start: int
    size: int
    lines: int


class RecordingCopy:
    """Copy in memory of the last lines of a recording, compressed.

    All its memory, of room bytes, is taken at once: a jam does not grow.
    """

    def __init__(self, room: int = MAX_COPY) -> None:
        self.dropped_lines = 0  # the first ones, for which there was no room
        self._ring = bytearray(room)
        for start in range(0, room, _PIECE):  # the system gives what is written to
            self._ring[start : start + _PIECE] = bytes(min(_PIECE, room - start))
        self._blocks: deque[_Block] = deque()
        self._held = 0
        self._last = bytearray()

    @property
    def size(self) -> int:
        """Bytes of what it holds."""
        return self._held + len(self._last)

    def add(self, lines: bytes) -> None:
        """Add complete lines."""
        room = len(self._ring)
        self._last += lines
        if len(self._last) < _BLOCK:
            return
        data = zlib.compress(self._last, 1)
        count = self._last.count(b"\n")
        self._last.clear()
        while self._blocks and self._held + len(data) > room:
            first = self._blocks.popleft()
            self._held -= first.size
            self.dropped_lines += first.lines
        if len(data) > room:  # of lines that no jam has
            self.dropped_lines += count
            return
        last = self._blocks[-1] if self._blocks else _Block(0, 0, 0)
        start = (last.start + last.size) % room
        fits = min(len(data), room - start)
        self._ring[start : start + fits] = data[:fits]
        self._ring[: len(data) - fits] = data[fits:]
        self._blocks.append(_Block(start, len(data), count))
        self._held += len(data)

    def blocks(self) -> Iterator[bytes]:
        """Yield the lines that are held, in blocks."""
        for block in self._blocks:
            data = self._ring[block.start : block.start + block.size]
            yield zlib.decompress(data + self._ring[: block.size - len(data)])
        yield bytes(self._last)


def open_file(path: Path) -> FileIO:
    """Open a new file to write and to read. Raises FileExistsError for one that exists."""
    return path.open("x+b", buffering=0)


def _write_part(file: FileIO, data: bytes | bytearray, start: int) -> int:
    """Write data from a place on; return how many bytes were written. Raises OSError."""
    with memoryview(data) as view, view[start:] as rest:
        written = file.write(rest)
    if not written:
        raise OSError(EIO, "the disk took nothing")
    return written


def _write_all(file: FileIO, data: bytes) -> int:
    """Write data; return its size in bytes. Raises OSError."""
    done = 0
    while done < len(data):
        done += _write_part(file, data, done)
    return done


def _read_lines(file: FileIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the content of a file between two places, in bytes."""
    file.seek(start)
    while start < end and (data := file.read(min(_CHUNK, end - start))):
        start += len(data)
        yield data


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
