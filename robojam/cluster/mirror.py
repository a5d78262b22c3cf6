"""Recordings of a room in two folders: read as they grow, and written again elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from robojam.cluster import room_frames
from robojam.cluster.room_frames import PIECE
from robojam.engine.twin_frames import FrameError
from robojam.sessions import checkpoint
from robojam.system.atomic_file import atomic_write

#: Most bytes of a file that is written.
MAX_FILE: Final = 1 << 30
#: Most files of one room that a program writes.
MAX_FILES: Final = 10_000
_CHECKPOINT: Final = ".checkpoint"
#: Recordings that are open, and how.
_OPEN: Final = 4
_FLAGS: Final = os.O_RDWR | getattr(os, "O_BINARY", 0)


class GrowingFolder:
    """A folder of recordings and checkpoints, read as it changes: an iterator of frames.

    A checkpoint follows what it is of. No method raises OSError: what cannot be read now is
    read later.
    """

    def __init__(self, folder: Path, given: str = "") -> None:
        """Read a folder; what is in it already is known.

        given is the name of a recording that the host has given: an engine that goes on from it
        may complete it, and records all of it again.
        """
        self._folder, self._given = folder, given
        self._read: dict[str, int] = {}
        self._checkpoints: dict[str, tuple[int, int, int]] = {}
        for entry in self._entries():
            if entry.name.endswith(_CHECKPOINT):
                self._checkpoints[entry.name] = _version(entry)
            else:
                self._read[entry.name] = entry.stat().st_size

    def read_again(self, name: str, at: int) -> None:
        """Read a recording again from a place on."""
        if name in self._read:
            self._read[name] = min(at, self._read[name])

    def read(self, most: int) -> list[bytes]:
        """Return frames of what has changed; of recordings up to `most` bytes, about."""
        frames: list[bytes] = []
        checkpoints: dict[str, tuple[tuple[int, int, int], bytes]] = {}
        names = []
        for entry in self._entries():
            if not entry.name.endswith(_CHECKPOINT):
                if entry.name != self._given:
                    names.append(entry.name)
                continue
            with suppress(OSError):
                version = _version(entry)
                if self._checkpoints.get(entry.name) != version:
                    checkpoints[entry.name] = version, Path(entry.path).read_bytes()
        for name in sorted(names):
            for piece in self._grown(name):
                frames.append(piece)
                most -= len(piece)
                if most <= 0:
                    return frames
        for name, (version, data) in checkpoints.items():
            self._checkpoints[name] = version
            frames += parts_of(name, data)
            frames.append(room_frames.encode(room_frames.COMPLETE, name.encode()))
        for name in [each for each in self._checkpoints if not (self._folder / each).exists()]:
            del self._checkpoints[name]
            frames.append(room_frames.encode(room_frames.GONE, name.encode()))
        return frames

    def _entries(self) -> list[os.DirEntry[str]]:
        with suppress(OSError), os.scandir(self._folder) as entries:
            return [each for each in entries if each.name.endswith((".jsonl", _CHECKPOINT))]
        return []

    def _grown(self, name: str) -> Iterator[bytes]:
        """Yield the parts of a recording that have not been read."""
        with suppress(OSError), (self._folder / name).open("rb", buffering=0) as file:
            size, at = os.fstat(file.fileno()).st_size, self._read.get(name, 0)
            if size < at:  # a line that was torn has been taken back
                self._read[name] = at = size
                yield room_frames.encode_part(name, at, b"")
            file.seek(at)
            while data := file.read(PIECE):
                part = room_frames.encode_part(name, at, data)
                at += len(data)
                self._read[name] = at
                yield part


def _version(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    about = entry.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def parts_of(name: str, data: bytes) -> Iterator[bytes]:
    """Yield the frames of a whole file."""
    for at in range(0, len(data) or 1, PIECE):
        yield room_frames.encode_part(name, at, data[at : at + PIECE])


class Mirror:
    """Files of a room that are written in a folder as they come.

    A recording whose name is taken there by another one gets the next that is free. Where the
    disk takes nothing, `behind` says from where on which recordings are wanted again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self._files: dict[str, int] = {}  # descriptors of recordings
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, bytearray] = {}  # of checkpoints that are coming
        self.behind: dict[str, int] = {}
        #: Reason why something is not written now; None while all goes well.
        self.failed: str | None = None
        #: The recording that began last.
        self.newest: Path | None = None

    def take_part(self, name: str, at: int, data: bytes) -> None:
        """Write a part of a file. Raises FrameError for what no program sends."""
        if name.endswith(_CHECKPOINT):
            part = self._parts.pop(name, bytearray())
            del part[at:]
            if len(part) != at or at + len(data) > checkpoint.MAX_BYTES or len(self._parts) > 3:
                raise FrameError("it is no part of a checkpoint")
            part += data
            self._parts[name] = part
            return
        if len(self._sizes) > MAX_FILES or at + len(data) > MAX_FILE:
            raise FrameError("it is too much for a recording")
        size = self._sizes.setdefault(name, 0)
        if at > size:  # what is before could not be written
            self.behind[name] = size
            return
        try:
            file = self._open(name)
            if at < size:
                os.ftruncate(file, at)
                self._sizes[name] = at
            os.lseek(file, at, os.SEEK_SET)
            while data:
                done = os.write(file, data)
                at, data = at + done, data[done:]
                self._sizes[name] = at
            self.behind.pop(name, None)
            self.failed = None
        except OSError as error:
            self.behind[name] = self._sizes[name]
            self.failed = error.strerror or str(error)

    def complete(self, name: str) -> None:
        """Put a checkpoint in its place. Raises FrameError for any other file."""
        if (data := self._parts.pop(name, None)) is None:
            raise FrameError("it is no checkpoint that has come")
        with suppress(OSError), atomic_write(self._path(name)) as part:
            part.write_bytes(data)

    def remove(self, name: str) -> None:
        """Remove a checkpoint. Raises FrameError for any other file."""
        if not name.endswith(_CHECKPOINT):
            raise FrameError("recordings stay")
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def _path(self, name: str) -> Path:
        """Return where a file is; of one that begins its recording, a name that is free."""
        stem, _, kind = name.rpartition(".")
        return self._folder / f"{self._names.get(stem, stem)}.{kind}"

    def _open(self, name: str) -> int:
        """Return the descriptor of a recording. Raises OSError."""
        if name in self._files:
            return self._files[name]
        while len(self._files) >= _OPEN:  # the newest grow
            os.close(self._files.pop(next(iter(self._files))))
        stem = name.removesuffix(".jsonl")
        if stem in self._names:
            self._files[name] = os.open(self._path(name), _FLAGS)
            return self._files[name]
        for number in range(1, MAX_FILES):
            free = stem if number == 1 else f"{stem}-{number}"
            with suppress(FileExistsError):
                path = self._folder / f"{free}.jsonl"
                file = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
                self._files[name], self._names[stem], self.newest = file, free, path
                return file
        raise FileExistsError(name)
