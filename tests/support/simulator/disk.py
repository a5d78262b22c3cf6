"""Disk of a simulated run: real files, of which writes fail as the run has it, and a recorder
that is stepped at simulated instants in the place of its thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from errno import EIO, ENOSPC
from io import FileIO
from pathlib import Path
from typing import Any

from robojam.sessions.recorder import Before, Recorder
from robojam.sessions.recording_file import RecordingFile
from robojam.sessions.session import (
    Header,
    SessionEvent,
    TouchEvent,
    encode_header,
    parse,
)
from robojam.touch import Phase
from support.simulator.world import World

#: Seconds from an event to its line on the disk: the recorder gathers, and its thread waits for
#: its turn.
WRITE_DELAY = (0.004, 0.008)


class Disk:
    """State of the disk: `fault` is the number of the error of every write, or None.

    is_stuck: no write returns. torn: of the write of that number from now on, 1 for the next,
    a part is taken, and the process dies; 0 for none. memory is a folder for what stays when a
    process is killed.
    """

    def __init__(self, world: World, memory: Path) -> None:
        self.world, self.memory = world, memory
        memory.mkdir()
        self.fault: int | None = None
        self.is_stuck, self.torn = False, 0
        #: Instants at which the disk was not well: start and end, or infinity.
        self.troubles: list[list[float]] = []

    def fail(self, fault: int | None, seconds: float, *, stuck: bool = False) -> None:
        """Have writes fail, or the disk be stuck, for some seconds."""
        trouble = [self.world.now, self.world.now + seconds]
        self.troubles.append(trouble)
        self.fault, self.is_stuck = fault, stuck

        def mend() -> None:
            self.fault, self.is_stuck = None, False

        self.world.after(seconds, mend)

    def open(self, path: Path) -> FileIO:
        """Open a new file, as `robojam.sessions.recording_file.open_file` does."""
        self.world.check()
        if self.fault == EIO:
            raise OSError(EIO, os.strerror(EIO))
        return _File(self, path)

    def is_bad_near(self, when: float, seconds: float = 0.1) -> bool:
        """Return whether the disk was not well within some seconds of an instant."""
        return any(a <= when + seconds and b >= when - seconds for a, b in self.troubles)


class _File(FileIO):
    """File that fails as its disk does."""

    def __init__(self, disk: Disk, path: Path) -> None:
        super().__init__(path, "x+b")
        self._disk = disk

    def write(self, data: Any) -> int:
        disk, part = self._disk, len(data) // 2
        disk.world.check()
        was_planned = disk.torn > 0
        disk.torn -= disk.torn > 0
        if disk.torn == 0 and was_planned:
            super().write(data[: disk.world.random.randrange(len(data))])
            disk.world.kill_at(0.0)
            disk.world.check()
        if disk.fault == ENOSPC and part:
            disk.fault = -ENOSPC  # the last bytes that there is room for
            return super().write(data[:part])
        if disk.fault is not None:
            number = abs(disk.fault)
            raise OSError(number, os.strerror(number))
        return super().write(data)


class SteppedRecorder(Recorder):
    """Recorder whose work is done at simulated instants; `takes` are its recordings so far."""

    def __init__(
        self, disk: Disk, tape_length: Callable[[], int], *args: Any, **more: Any
    ) -> None:
        self._disk, self._tape_length = disk, tape_length
        self.takes: list[Take] = []
        self._planned, self._begun = float("inf"), 0
        super().__init__(
            *args, **more, clock=lambda: disk.world.now, open_new=disk.open, threaded=False,
            memory=disk.memory,
        )  # fmt: skip

    def begin(self, header: Header, before: Before | None = None) -> None:
        if self.takes:
            self.takes[-1].closed_at = self._disk.world.now
        self.takes.append(
            Take(self._tape_length(), events_before(header, before), encode_header(header))
        )
        super().begin(header, before)
        self._plan()

    def write(self, event: SessionEvent) -> None:
        super().write(event)
        self._plan()

    def end(self, t: float, reason: str, late_ms: Any = None) -> None:
        if self.takes and self.takes[-1].end is None:
            self.takes[-1].end = self._tape_length()
        super().end(t, reason, late_ms)
        self._plan()

    def _process(self, item: Any) -> None:
        super()._process(item)
        if isinstance(item, tuple):  # a recording begins
            self._begun += 1
            self.takes[self._begun - 1].file = self._file

    def _finish(self) -> None:
        file = self._file
        super()._finish()
        self._note_path(file)

    def die(self) -> None:
        """Leave what is left by a process that is killed."""
        self._closed = True
        assert self._last is not None
        self._last.leave()

    def _note_path(self, file: RecordingFile | None) -> None:
        """Keep the path of a file that is written, or that has been closed."""
        if file is not None and file.path is not None:
            take = next(take for take in self.takes if take.file is file)
            take.paths.setdefault(file.path)

    def _plan(self, wait: float = 0.0) -> None:
        """Plan the next step, unless there is an earlier one."""
        world = self._disk.world
        at = world.now + wait + world.random.uniform(*WRITE_DELAY)
        if at < self._planned:
            self._planned = at
            world.at(at, lambda: self._work(at))

    def _work(self, planned: float) -> None:
        world = self._disk.world
        if world.is_dead or planned != self._planned or self._closed:
            return
        self._planned = float("inf")
        if self._disk.is_stuck:
            self._plan(0.01)
            return
        wait = self.step()
        self._note_path(self._file)
        if wait < float("inf"):
            self._plan(wait)


def events_before(header: Header, before: Before | None) -> tuple[SessionEvent, ...]:
    """Return the events that a recording begins with."""
    if before is None:
        return ()
    lines = parse(encode_header(header) + before.lines, Path("before.jsonl"))
    return (*lines.events, *before.events)


def fingers_down(events: Iterable[SessionEvent]) -> set[tuple[str, int]]:
    """Return the fingers that are down after some events."""
    down: set[tuple[str, int]] = set()
    for each in events:
        if isinstance(each, TouchEvent):
            finger = each.touch.who, each.touch.id
            (down.discard if each.touch.phase is Phase.UP else down.add)(finger)
    return down


class Take:
    """Recording of one take: `paths` of its files, and the part of the tape that it is to hold.

    before: the events that it begins with; header: its first line. closed_at: when the next one
    began.
    """

    def __init__(self, begin: int, before: tuple[SessionEvent, ...], header: bytes) -> None:
        self.begin, self.before, self.header = begin, before, header
        self.end: int | None = None
        self.closed_at: float | None = None
        self.file: RecordingFile | None = None
        self.paths: dict[Path, None] = {}
