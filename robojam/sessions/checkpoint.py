"""Checkpoint: the state of a jam beside its recording, to go on from soon after a crash.

It is a file of its own: a line of JSON that says what it is of, the state as bytes, and a hash
over both. It belongs to the recording whose beginning has the hash that it names, and what the
recording has after that is all that is to be heard again. It is removed when the recording has
its end. Nothing in it can be run; whoever reads it checks it (robojam.jam.saved).
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from robojam.controls import MAX_SEED
from robojam.sessions.session import MAX_SECONDS, MAX_TEXT, ModelRef
from robojam.system.atomic_file import atomic_write

#: Version of the format. It is that of the state, too, whose form is that of the code.
VERSION: Final = 1
#: Most bytes of a file, and of its first line.
MAX_BYTES: Final = 64 << 20
_MAX_LINE: Final = 1 << 20
#: Bytes of the hash at its end.
_HASH: Final = 32
#: Most bytes of checkpoints that are written in a second, on average.
RATE: Final = 256 << 10

_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]


class CheckpointError(ValueError):
    """Reason why a checkpoint is of no use, in one line."""


class Place(msgspec.Struct, frozen=True):
    """Place in a recording: its bytes up to there, the lines of events, and their hash."""

    bytes: _Count
    events: _Count
    digest: _Text


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says of the jam, beside its state.

    t is the time of the take, at that of the world, in seconds; seed and controls are those in
    force, heard and played counts of touches. model, device and build are those that play.
    """

    t: Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
    at: Annotated[float, Meta(ge=0, le=1e11)]
    model: ModelRef
    device: _Text
    build: _Text
    rules: _Count
    voices: Annotated[int, Meta(ge=1, le=4096)]
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    controls: dict[str, Any]
    heard: _Count
    played: _Count


class _Header(msgspec.Struct, frozen=True):
    checkpoint: int
    of: Place
    moment: Moment


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a jam at a place of its recording."""

    of: Place
    moment: Moment
    state: bytes

    def belongs_to(self, recording: bytes) -> bool:
        """Return whether it is of a recording, of which these are the bytes."""
        return (
            len(recording) >= self.of.bytes
            and digest_of(memoryview(recording)[: self.of.bytes]) == self.of.digest
        )


def path_of(recording: Path) -> Path:
    """Return the path of the checkpoint of a recording."""
    return recording.with_suffix(".checkpoint")


def new_digest() -> hashlib.blake2b:
    """Return the hash of a recording before its first byte."""
    return hashlib.blake2b(digest_size=_HASH)


def digest_of(data: bytes | memoryview) -> str:
    """Return the hash of the beginning of a recording."""
    digest = new_digest()
    digest.update(data)
    return digest.hexdigest()


def encode(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes of its file. Raises ValueError where it is too long."""
    header = _Header(VERSION, checkpoint.of, checkpoint.moment)
    data = b"\n".join((msgspec.json.encode(header), checkpoint.state))
    if len(data) + _HASH > MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, and may have {MAX_BYTES:,}")
    return data + hashlib.blake2b(data, digest_size=_HASH).digest()


def decode(data: bytes) -> Checkpoint:
    """Return the checkpoint of the bytes of a file. Raises CheckpointError.

    Its state is not looked at.
    """
    content, digest = data[:-_HASH], data[-_HASH:]
    if hashlib.blake2b(content, digest_size=_HASH).digest() != digest:
        raise CheckpointError("it is torn or damaged")
    line, _, state = content.partition(b"\n")
    if len(line) > _MAX_LINE:
        raise CheckpointError("it is no checkpoint")
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"it is of another version of robojam ({error})") from error
    if header.checkpoint != VERSION:
        raise CheckpointError("it is of another version of robojam")
    return Checkpoint(header.of, header.moment, state)


def read(path: Path) -> Checkpoint | None:
    """Return the checkpoint at a path; None where there is none. Raises CheckpointError."""
    try:
        if not path.is_file():  # a pipe may never end
            return None
        if (size := path.stat().st_size) > MAX_BYTES:
            raise CheckpointError(f"it has {size:,} bytes, and may have {MAX_BYTES:,}")
        return decode(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"it cannot be read ({error.strerror or error})") from error


@dataclass(frozen=True, slots=True)
class Saving:
    """State that is to be written: encode returns its bytes, in the thread that writes them."""

    moment: Moment
    encode: Callable[[], bytes]


#: A recording, the place in it, what is to be written, and a recording in whose place it is.
_Wanted = tuple[Path, Place, Saving, Path | None]


class CheckpointWriter:
    """Thread that encodes and writes checkpoints, the newest of those that wait.

    It never raises, and nobody waits for it but `close`. Where one cannot be written, the
    musician is told, once for each recording. Without a thread (threaded), each is written
    where it is asked for.
    """

    def __init__(self, report: Callable[[str], None], *, threaded: bool = True) -> None:
        self._report, self._threaded = report, threaded
        self._wanted: queue.SimpleQueue[_Wanted | Path | None] = queue.SimpleQueue()
        self._reported: Path | None = None
        self._thread: threading.Thread | None = None
        #: Bytes of the last one that was written.
        self.size = 0

    def write(
        self, recording: Path, place: Place, saving: Saving, *, in_place_of: Path | None = None
    ) -> None:
        """Write the checkpoint of a recording soon; remove that of another one then."""
        self._put((recording, place, saving, in_place_of))

    def remove(self, recording: Path) -> None:
        """Remove the checkpoint of a recording, after those that wait to be written."""
        self._put(recording)

    def close(self, timeout: float) -> None:
        """Do what waits, and end the thread; wait for that for some seconds at most."""
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join(timeout)

    def _put(self, wanted: _Wanted | Path) -> None:
        if not self._threaded:
            self._do(wanted)
            return
        if self._thread is None:
            try:
                thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
                thread.start()
            except RuntimeError:  # no more threads: later, perhaps
                return
            self._thread = thread
        self._wanted.put(wanted)

    def _run(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            self._do(wanted)

    def _do(self, wanted: _Wanted | Path) -> None:
        if isinstance(wanted, Path):
            self._remove(wanted)
            return
        recording, place, saving, before = wanted
        if self._wanted.empty():  # else there is a newer one, or it is to go
            self._write(recording, place, saving)
        if before is not None and before != recording:
            self._remove(before)

    def _remove(self, recording: Path) -> None:
        with suppress(OSError):
            path_of(recording).unlink(missing_ok=True)

    def _write(self, recording: Path, place: Place, saving: Saving) -> None:
        try:
            data = encode(Checkpoint(place, saving.moment, saving.encode()))
            with atomic_write(path_of(recording)) as part:
                part.write_bytes(data)
            self.size = len(data)
        except Exception as error:  # also one that nobody foresaw: the thread goes on
            if self._reported != recording:
                self._reported = recording
                why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                self._report(
                    f"no checkpoint of {recording.name} can be written ({why}): after a crash "
                    "the jam would be heard again from its beginning, which takes longer"
                )
