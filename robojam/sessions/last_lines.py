"""Last lines of a recording, in memory that stays when the program is killed.

A disk may keep the recorder waiting for a tenth of a second, in which an engine may be killed.
So each line is put here first, by the engine's thread, which waits for nothing: into a file in
memory that is shared with whoever reads the recording next. `complete` adds to the recording
what its engine had not written yet, and `write_unbegun` writes one that it had not begun. After
a power cut this memory is gone, too.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from robojam.sessions import session
from robojam.sessions.recording_file import candidates

#: Bytes of each of the two parts, which are filled in turn: what is held is one at least.
PART: Final = 256 << 10
#: Files of programs that were killed that are kept, the newest: those of jams that nobody went
#: on with.
MAX_LEFT: Final = 32
#: Numbers of each part, before the parts: its turn (0: none), its size, and whether its second
#: line follows the first, the header, in the recording. Then: the number of the recording, and
#: that of the last one whose file was begun.
_NUMBERS: Final = 3
_RECORDING, _BEGUN = 2 * _NUMBERS, 2 * _NUMBERS + 1
#: Offsets in bytes of the path of the recordings' folder, which ends with a zero, and of the
#: parts.
_FOLDER, _START = 64, 8192
_SIZE: Final = _START + 2 * PART
#: Lines before the last one of a file that must be the same here.
_SAME: Final = 16
_SUFFIX: Final = ".lines"
#: Beginning of the names of those that are left, on Windows.
_LEFT: Final = "left-"


class LastLines:
    """Last lines of one recording after another. It is used by one thread."""

    def __init__(self, recordings: Path, folder: Path | None = None) -> None:
        """Take the memory, in a folder, or in that of this user. Raises OSError.

        recordings is the folder of these.
        """
        folder = _own_folder() if folder is None else folder
        _remove_oldest(folder)
        descriptor, name = tempfile.mkstemp(_SUFFIX, f"{os.getpid()}-", folder)
        self._path, self._descriptor = Path(name), descriptor
        try:
            _lock(descriptor, wait=True)
            _fill(descriptor)
            self._memory = mmap.mmap(descriptor, _SIZE)
            start = _name_of(recordings).ljust(_START - _FOLDER, b"\0")
            # The system gives what is written to.
            self._memory[_FOLDER:] = start + bytes(_SIZE - _FOLDER - len(start))
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                self._path.unlink()
            raise
        self._numbers = memoryview(self._memory)[:_FOLDER].cast("Q")
        self._header, self._part, self._turn, self._used = b"", 1, 0, PART

    def begin(self, header: bytes, last: bytes = b"") -> None:
        """Begin a recording by its first line. last: the last one of those that it has, too."""
        self._numbers[_RECORDING] += 1
        self._header = header
        self._next_part(last, follows=not last)

    def put(self, line: bytes) -> None:
        """Put the next line of the recording."""
        end = self._used + len(line)
        if end > PART:
            self._next_part(line, follows=False)
            return
        start = _START + self._part * PART
        self._memory[start + self._used : start + end] = line
        # A program is killed between two instructions: what is counted is there.
        self._numbers[self._part * _NUMBERS + 1] = self._used = end

    def note_begun(self, number: int) -> None:
        """Note that the recording of a number, from 1 on, has a file. Any thread may do so."""
        self._numbers[_BEGUN] = number

    def _next_part(self, line: bytes, *, follows: bool) -> None:
        """Go on in the other part, with the header and a line."""
        lines = self._header + line
        self._part, self._turn, self._used = 1 - self._part, self._turn + 1, 0
        at = self._part * _NUMBERS
        self._numbers[at] = self._numbers[at + 1] = 0
        if not self._header:
            return
        if len(lines) > PART:  # then nothing of this recording can be completed
            self._header, self._used = b"", PART
            self._numbers[0] = self._numbers[_NUMBERS] = 0
            return
        self._numbers[at + 2] = follows
        self.put(lines)
        self._numbers[at] = self._turn

    def close(self) -> None:
        """Give the memory back: all is written."""
        self.leave()
        with suppress(OSError):
            self._path.unlink()

    def leave(self) -> None:
        """Close the memory and keep its file, as the system does when the program is killed."""
        self._numbers.release()
        self._memory.close()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def complete(path: Path, data: bytes, folder: Path | None = None) -> bytes:
    """Return the bytes of a recording with what its killed engine has not written.

    They are added to the file, too, where the disk takes them. folder is that of LastLines.
    """
    first, end = data[: data.find(b"\n") + 1], data.rfind(b"\n") + 1
    with suppress(OSError):
        for each in _left(_own_folder() if folder is None else folder):
            left = _read(each)
            if not left.lines or not (left.header == first or _goes_on(left.header, path)):
                continue
            lines = [first if line == left.header else line for line in left.lines]
            if (missing := _after(lines, data[:end], data[end:])) is not None:
                _write(path, end, missing)
                with suppress(OSError):
                    each.unlink()
                return data[:end] + missing
    return data


def header_left_by(process: int, folder: Path | None = None) -> bytes:
    """Return the first line of the recording that a killed process wrote; b"": not known."""
    with suppress(OSError):
        for each in _left(_own_folder() if folder is None else folder):
            if each.name.removeprefix(_LEFT).startswith(f"{process}-"):
                return _read(each).header
    return b""


def write_unbegun(recordings: Path, folder: Path | None = None) -> None:
    """Write the recordings of a folder that their killed engines had not begun.

    Those that have a touch. folder is that of LastLines.
    """
    with suppress(OSError):
        for each in _left(_own_folder() if folder is None else folder):
            left = _read(each)
            is_whole = left.lines and left.lines[0] == left.header
            if is_whole and not left.begun and left.folder == _name_of(recordings) != b"":
                with suppress(OSError, ValueError):
                    _write_unbegun(recordings, left.lines)


def _write_unbegun(recordings: Path, lines: Sequence[bytes]) -> None:
    """Write a recording that has all lines, where its file is not begun. Raises OSError."""
    whole = session.parse(b"".join(lines))
    if whole.header.resumes is not None or not any(whole.touches()):
        return
    started = datetime.fromisoformat(whole.header.started)
    for path in candidates(recordings, started):
        if path.exists():
            with path.open("rb") as file:
                first = file.readline()
            if first == lines[0]:
                return
            if not lines[0].startswith(first):  # another's, of the same second
                continue
        recordings.mkdir(parents=True, exist_ok=True)
        # That of the take before may have been closed later: this one is the newest.
        others = (other for other in recordings.glob("*.jsonl") if other != path)
        written = max(map(_changed, others), default=0.0)
        ended = min(started.timestamp() + whole.duration, time.time())
        at = max(ended, written + 1e-3)
        path.write_bytes(b"".join(lines))
        os.utime(path, (at, at))
        return


def _name_of(recordings: Path) -> bytes:
    """Return the name of a folder as it stands in the memory; b"" for one that is too long."""
    name = os.fsencode(recordings.absolute())
    return name if len(name) < _START - _FOLDER else b""


class _Left(NamedTuple):
    """Memory of a killed program: a header, and lines of its recording in their order.

    folder is the name of that of its recordings; begun: the recording has a file.
    """

    header: bytes = b""
    lines: Sequence[bytes] = ()
    folder: bytes = b""
    begun: bool = True


def _read(path: Path) -> _Left:
    memory = b""
    with suppress(OSError):
        memory = path.read_bytes()
    if len(memory) != _SIZE:
        return _Left()
    numbers = memoryview(memory)[:_FOLDER].cast("Q")
    header, found = b"", list[bytes]()
    for part in sorted((0, 1), key=lambda part: numbers[part * _NUMBERS]):
        turn, used, follows = numbers[part * _NUMBERS : (part + 1) * _NUMBERS]
        start = _START + part * PART
        lines = memory[start : start + min(used, PART)].splitlines(keepends=True)
        if turn and lines:
            before = found if lines[0] == header else []
            header, found = lines[0], lines if follows else before + lines[1:]
    folder = memory[_FOLDER:_START].rstrip(b"\0")
    return _Left(header, found, folder, numbers[_RECORDING] == numbers[_BEGUN])


def _goes_on(header: bytes, path: Path) -> bool:
    """Return whether a header is of what goes on from a recording, and has not all of it."""
    with suppress(ValueError):
        resumed = session.parse(header).header
        return resumed.resumes == path.name and not any(
            _has_begun(other, header, resumed.begins) for other in path.parent.glob("*.jsonl")
        )
    return False


def _has_begun(path: Path, header: bytes, begins: int) -> bool:
    """Return whether a file is the recording of a header, with all that it begins with."""
    with suppress(OSError), path.open("rb") as file:
        return file.readline() == header and sum(1 for _ in file) >= begins
    return False


def _after(lines: Sequence[bytes], data: bytes, torn: bytes) -> bytes | None:
    """Return what follows complete lines of a file; None where that is not known.

    torn: what the file has after them.
    """
    last = data[-_SAME * (1 << 12) :].splitlines(keepends=True)[-_SAME:]
    for place in range(len(lines), 0, -1):
        if lines[place - 1] != last[-1]:
            continue
        before = lines[max(0, place - len(last)) : place]
        missing = b"".join(lines[place:])
        if last[len(last) - len(before) :] == before and missing.startswith(torn):
            return missing
    return None


def _write(path: Path, end: int, missing: bytes) -> None:
    """Write what is missing at the end of a file, whose time stays that of its engine."""
    with suppress(OSError):  # a full disk: who goes on from the recording has it anyway
        times = path.stat()
        with path.open("r+b", buffering=0) as file:
            file.seek(end)
            while missing:
                missing = missing[file.write(missing) :]
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _own_folder() -> Path:
    """Return a folder of this user alone, in memory where the system has one.

    Raises OSError for one that others could write to.
    """
    memory = Path("/dev/shm")
    folder = memory if sys.platform == "linux" and memory.is_dir() else tempfile.gettempdir()
    user = os.getuid() if hasattr(os, "getuid") else "lines"
    own = Path(folder, f"robojam-{user}")
    with suppress(FileExistsError):
        own.mkdir(0o700)
    found = own.lstat()
    is_own = os.name == "nt" or (found.st_uid == user and not found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or not is_own:
        raise PermissionError(f"{own} is of somebody else")
    return own


def _left(folder: Path) -> Iterator[Path]:
    """Yield the files of programs that have ended, the newest first."""
    for path in sorted(folder.glob(f"*{_SUFFIX}"), key=_changed, reverse=True):
        with suppress(OSError):
            if os.name == "nt":  # which renames none that a program has open
                if not path.name.startswith(_LEFT):
                    path = path.rename(path.with_name(_LEFT + path.name))
            else:
                descriptor = os.open(path, os.O_RDWR)
                try:
                    _lock(descriptor, wait=False)
                finally:
                    os.close(descriptor)
            yield path


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove_oldest(folder: Path) -> None:
    for path in list(_left(folder))[MAX_LEFT - 1 :]:
        with suppress(OSError):
            path.unlink()


def _lock(descriptor: int, *, wait: bool) -> None:
    """Lock a file for as long as it is open. Raises OSError where a program has done so.

    On Windows no other program may remove or rename a file that is open.
    """
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _fill(descriptor: int) -> None:
    """Have the system set the room aside: else a program would die that writes to none."""
    left = _SIZE
    while left:
        left -= os.write(descriptor, bytes(left))
