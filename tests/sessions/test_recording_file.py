"""The file of a recording on disks that fail, on a clock that the test turns."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from io import FileIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recorder import HEADER, touch

from robojam.sessions import recording_file, session
from robojam.sessions.recording_file import RETRY, RecordingCopy, RecordingFile
from robojam.sessions.session import EndEvent, ModelRef, SessionEvent, SetEvent

NAME = "2026-11-20T10-30-00"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file in its place")

#: Result of one call of write: an error, or the most bytes that it takes.
Fault = Exception | int


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Disk:
    """Disk that fails as a test says: faults has one entry for each call of write to come."""

    def __init__(self) -> None:
        self.faults: list[Fault | None] = []
        self.largest = 1 << 60  # size of a file
        self.broken: set[str] = set()  # names of files that fail for ever
        self.truncates = True

    def open(self, path: Path) -> FileIO:
        return _File(path, self)


class _File(FileIO):
    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, "x+b")
        self._disk, self._name = disk, path.name

    def write(self, data: Any) -> int:
        if self._name in self._disk.broken:
            raise error(EIO)
        room = self._disk.largest - self.tell()
        if room <= 0:
            raise error(EFBIG)
        fault = self._disk.faults.pop(0) if self._disk.faults else None
        if isinstance(fault, Exception):
            raise fault
        return super().write(memoryview(data)[: min(room, room if fault is None else fault)])

    def truncate(self, size: int | None = None) -> int:
        if not self._disk.truncates:
            raise error(EIO)
        return super().truncate(size)


@dataclass
class Recording:
    """Recording into a folder of a disk that fails, with a clock."""

    folder: Path
    disk: Disk = field(default_factory=Disk)
    now: float = 100.0
    messages: list[str] = field(default_factory=list)
    synced: list[float] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = RecordingFile(
            self.folder,
            HEADER,
            self.messages.append,
            sync=lambda *_: self.synced.append(self.now),
        )

    def play(self, *events: SessionEvent) -> float:
        """Add events, and write what the disk takes; return the seconds until the next try."""
        for event in events:
            self.file.add(event)
            self.events.append(event)
        return self.file.advance(self.now)

    def wait(self, seconds: float) -> float:
        self.now += seconds
        return self.file.advance(self.now)

    def files(self) -> list[Path]:
        """Return the files, in the order in which they were made."""
        return sorted(self.folder.iterdir(), key=lambda path: (len(path.name), path.name))

    def end(self) -> None:
        self.play(EndEvent(1e6, "quit"))
        self.file.close(self.now)

    def read(self, name: str = NAME) -> session.Session:
        return session.read(self.folder / f"{name}.jsonl", strict=True)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Recording]:
    def made() -> Recording:
        recording = Recording(tmp_path / "sessions")
        monkeypatch.setattr(recording_file, "open_file", recording.disk.open)
        return recording

    return made


@pytest.fixture
def recording(make: Callable[[], Recording]) -> Recording:
    return make()


@pytest.mark.parametrize("part", [1, 7, 60])
def test_disk_that_takes_a_part_of_the_lines_gets_the_rest(
    recording: Recording, part: int
) -> None:
    recording.disk.faults = [part] * 100
    recording.play(touch(0.0), touch(1.0))
    recording.end()
    assert list(recording.read().events) == recording.events
    assert recording.messages == []


@pytest.mark.parametrize("number", [ENOSPC, EDQUOT, EIO])
@pytest.mark.parametrize("truncates", [True, False])
def test_error_in_the_middle_of_a_line_that_passes_costs_nothing(
    recording: Recording, number: int, truncates: bool
) -> None:
    recording.play(touch(0.0))
    recording.disk.truncates = truncates
    recording.disk.faults = [100, error(number)]
    assert recording.play(touch(1.0), touch(2.0)) == RETRY[0]
    path = recording.folder / f"{NAME}.jsonl"
    if truncates:  # complete lines alone
        assert [event.t for event in session.read(path, strict=True).events] == [0.0, 1.0]
    assert str(recording.file.failed).startswith(f"{path} cannot be written: ")
    recording.play(touch(3.0))
    recording.wait(RETRY[0])
    assert recording.file.failed is None
    recording.end()
    assert list(recording.read().events) == recording.events
    assert [message.split(":")[0] for message in recording.messages] == [
        "recording interrupted",
        "the recording goes on, with what waited",
    ]
    assert (recording.file.lost, len(list(recording.folder.iterdir()))) == (0, 1)


def test_memory_that_is_short_for_a_while_costs_no_touch(recording: Recording) -> None:
    recording.play(touch(0.0))
    recording.disk.faults = [MemoryError()]
    recording.play(touch(1.0))
    assert "MemoryError" in recording.messages[0]
    recording.wait(RETRY[0])
    recording.end()
    assert list(recording.read().events) == recording.events
    assert recording.file.lost == 0


def test_disk_that_stays_full_is_tried_again_more_and_more_rarely(recording: Recording) -> None:
    recording.play(touch(0.0))
    recording.disk.faults = [error(ENOSPC)] * 8
    waits = [recording.play(touch(1.0))]
    while recording.disk.faults:
        waits.append(recording.wait(waits[-1]))
        recording.play(touch(2.0))  # what comes meanwhile is no reason to try earlier
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    recording.wait(waits[-1])
    recording.end()
    assert list(recording.read().events) == recording.events
    assert len(recording.messages) == 2


def test_file_that_fails_for_good_is_written_again_as_a_whole_in_another(
    recording: Recording,
) -> None:
    recording.play(SetEvent(0.0, {"mode": "duet"}), touch(0.0))
    recording.disk.broken = {f"{NAME}.jsonl"}
    wait = recording.play(touch(1.0))
    recording.wait(wait)  # the same file, again
    recording.wait(2 * wait)
    recording.end()
    assert list(recording.read(f"{NAME}-2").events) == recording.events
    assert recording.read(f"{NAME}-2").header == HEADER
    assert f"the whole recording is in {recording.file.path}" in recording.messages[1]
    assert recording.file.lost == 0


def test_file_that_may_not_grow_is_continued_in_another_that_loads_on_its_own(
    recording: Recording,
) -> None:
    recording.play(touch(0.0), SetEvent(0.5, {"mode": "duet", "seed": 5}))
    recording.play(SetEvent(0.6, {"model": {"file": "b", "sha256": "cd"}}))
    path = recording.folder / f"{NAME}.jsonl"
    recording.disk.largest = path.stat().st_size + 30
    recording.play(touch(1.0), SetEvent(1.5, {"mode": "solo"}))
    recording.wait(RETRY[0])
    recording.end()
    first, second = recording.read(), recording.read(f"{NAME}-2")
    assert [*first.events, *second.events] == recording.events
    assert second.header.continues == f"{NAME}.jsonl"
    assert (second.header.seed, second.header.model) == (5, ModelRef("b", "cd"))
    assert second.header.options == {}
    assert recording.file.lost == 0


def test_more_than_one_file_may_hold_is_continued_from_file_to_file(
    recording: Recording,
) -> None:
    recording.disk.largest = 700
    recording.play(*(touch(float(second)) for second in range(20)))
    while recording.file.failed is not None:
        recording.wait(RETRY[1])
    recording.end()
    names = [path.name for path in recording.files()]
    parts = [recording.read(name.removesuffix(".jsonl")) for name in names]
    assert len(parts) > 2
    assert [part.header.continues for part in parts] == [None, *names[:-1]]
    assert [event for part in parts for event in part.events] == recording.events


def test_header_of_a_continuation_has_the_controls_in_force(
    make: Callable[[], Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.HEADER", _with_options())
    recording = make()
    recording.play(touch(0.0), SetEvent(0.5, {"mode": "duet"}))
    recording.disk.largest = (recording.folder / f"{NAME}.jsonl").stat().st_size
    recording.play(SetEvent(1.0, {"mode": "solo"}))
    recording.disk.largest = 1 << 60
    recording.disk.broken = {f"{NAME}.jsonl"}
    recording.wait(RETRY[0])
    assert recording.read(f"{NAME}-2").header.options == {"mode": "duet", "threshold": 0.5}


def _with_options() -> session.Header:
    fields = {name: getattr(HEADER, name) for name in HEADER.__struct_fields__}
    return session.Header(**(fields | {"options": {"mode": "solo", "threshold": 0.5}}))


def test_waiting_lines_have_a_bound_and_the_gap_is_counted(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_file, "MAX_WAITING", 1000)
    recording.disk.faults = [error(ENOSPC)]
    for number in range(100):
        recording.play(touch(float(number)))
    assert any("recording has gaps" in message for message in recording.messages)
    recording.wait(RETRY[0])
    kept = len(recording.read().events)
    assert 10 < kept < 20
    assert recording.file.lost == 100 - kept


def test_lines_that_no_disk_takes_at_the_end_are_reported(recording: Recording) -> None:
    recording.play(touch(0.0))
    recording.disk.faults = [error(ENOSPC)] * 9
    recording.play(touch(1.0))
    recording.end()
    assert recording.messages[-1].startswith(
        "the end of the recording is lost: 2 touches or controls ("
    )
    assert os.strerror(ENOSPC) in recording.messages[-1]
    assert recording.file.lost == 2
    assert recording.read().events == (touch(0.0),)


@pytest.mark.parametrize("how", ["truncated", "emptied", "replaced in place", "appended to"])
@pytest.mark.parametrize("silent", [True, False])
def test_recording_that_another_program_changes_is_written_again_as_a_whole(
    recording: Recording, how: str, silent: bool
) -> None:
    recording.play(SetEvent(0.0, {"mode": "duet"}), touch(0.0), touch(1.0))
    path = recording.folder / f"{NAME}.jsonl"
    if how == "truncated":
        os.truncate(path, 200)
    elif how == "appended to":
        with path.open("ab") as file:
            file.write(b"more\n")
    else:
        path.write_text("" if how == "emptied" else "another")
    before = path.read_bytes()
    if not silent:
        recording.play(touch(2.0))
        assert "had been changed by another program" in recording.messages[0]
    recording.end()
    assert list(recording.read(f"{NAME}-2").events) == recording.events
    assert path.read_bytes() == before  # which is theirs
    assert len(recording.messages) == 1


def test_copy_in_memory_has_a_bound_and_what_is_lost_is_said(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.file._copy = RecordingCopy(2000)
    monkeypatch.setattr(recording_file, "_BLOCK", 1000)
    for number in range(1000):
        recording.play(touch(number + number / 7))
    os.truncate(recording.folder / f"{NAME}.jsonl", 0)
    recording.end()
    kept = list(recording.read(f"{NAME}-2").events)
    lost = len(recording.events) - len(kept)
    assert 0 < lost < len(recording.events)
    assert kept == recording.events[lost:]
    assert f"without its first {lost:,} lines" in recording.messages[0]


@given(st.lists(st.integers(1, 1500), max_size=40), st.integers(100, 3000))
def test_copy_has_the_last_lines_whatever_their_sizes(sizes, room):
    chance = Random(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_file, "_BLOCK", 200)
        copy, lines = RecordingCopy(room), []
        for size in sizes:
            lines.append(chance.randbytes(size).replace(b"\n", b" ") + b"\n")
            copy.add(lines[-1])
            assert copy.size <= room + 200
        assert b"".join(copy.blocks()) == b"".join(lines[copy.dropped_lines :])
        if sum(sizes) + 20 * len(sizes) < room:
            assert not copy.dropped_lines


@posix
@pytest.mark.parametrize("bounded", [True, False])
def test_file_that_vanished_is_still_open_and_lost_nothing(
    recording: Recording, bounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bounded:
        recording.file._copy = RecordingCopy(2000)
        monkeypatch.setattr(recording_file, "_BLOCK", 1000)
        monkeypatch.setattr(recording_file, "_CHUNK", 100)
    for number in range(1000):
        recording.play(touch(float(number)))
    (recording.folder / f"{NAME}.jsonl").unlink()
    recording.end()
    assert list(recording.read().events) == recording.events
    assert recording.messages == [
        f"the recording had vanished, and was written again: {recording.file.path}"
    ]


@posix
@pytest.mark.parametrize("moved", [True, False])
def test_folder_that_cannot_be_made_again_is_tried_again_and_the_loss_reported(
    recording: Recording, moved: bool, tmp_path: Path
) -> None:
    recording.play(touch(0.0))
    elsewhere = tmp_path / "elsewhere"
    recording.folder.rename(elsewhere)
    recording.folder.write_text("a file is in the way")
    wait = recording.play(touch(1.0))
    assert recording.messages[0].startswith("recording interrupted: ")
    if not moved:
        (elsewhere / f"{NAME}.jsonl").unlink()
    recording.wait(wait)
    recording.end()
    if moved:  # the open file is the one that was moved
        there = session.read(elsewhere / f"{NAME}.jsonl", strict=True)
        assert list(there.events) == recording.events
    else:
        lost = "the recording is lost: its file or folder was deleted"
        assert recording.messages[-1] == lost


def test_file_is_synced_when_it_is_made_and_then_once_a_second(recording: Recording) -> None:
    wait = recording.play(touch(0.0))
    assert recording.synced == [100.0]
    assert wait == float("inf")
    for _ in range(100):
        recording.now += 0.025
        recording.play(touch(0.0))
    assert recording.synced == pytest.approx([100.0, 101.0, 102.0], abs=0.03)
    recording.wait(recording.play())
    assert recording.synced[-1] == pytest.approx(103.0, abs=0.03)
    assert recording.play() == float("inf")  # nothing is to be synced
    recording.end()
    assert recording.synced[-1] == recording.now


def test_file_that_could_not_be_synced_is_written_again_later(recording: Recording) -> None:
    recording.play(touch(0.0))
    recording.file.note_sync_error(error(EIO), recording.now)
    assert recording.play() == RETRY[0]
    recording.wait(RETRY[0])
    recording.end()
    assert list(recording.read(f"{NAME}-2").events) == recording.events
    assert "could not be put on the disk" in recording.messages[1]


def test_copy_returns_the_lines_that_were_added() -> None:
    copy = RecordingCopy()
    lines = [b"%d\n" % n for n in range(50_000)]
    for line in lines:
        copy.add(line)
    assert b"".join(copy.blocks()) == b"".join(lines)
    assert copy.dropped_lines == 0


faults = st.one_of(
    st.none(), st.integers(1, 300), st.sampled_from([EIO, ENOSPC, EFBIG, EDQUOT]).map(error)
)


@given(
    st.lists(faults, max_size=30),
    st.lists(st.sampled_from(["play", "wait", "wait", "truncate", "delete"]), max_size=20),
    st.booleans(),
)
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_recording_on_a_disk_that_fails_in_any_way_loses_nothing_once_it_works(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Fault | None],
    acts: list[str],
    truncates: bool,
) -> None:
    """The files together hold all events, each file loads, and the last one goes on."""
    recording = Recording(tmp_path_factory.mktemp("a"))
    recording.disk.truncates = truncates
    monkeypatch.setattr(recording_file, "open_file", recording.disk.open)
    recording.play(touch(0.0))
    recording.disk.faults = faults
    for number, act in enumerate(acts, start=1):
        path = recording.file.path
        if act == "play":
            recording.play(touch(float(number)))
        elif act == "wait":
            recording.wait(RETRY[1])
        elif path is not None and path.exists() and os.name != "nt":
            os.truncate(path, 0) if act == "truncate" else path.unlink()
    recording.disk.faults = []
    recording.wait(RETRY[1])
    recording.end()
    assert recording.file.lost == 0
    held: list[SessionEvent] = []
    for path in sorted(recording.folder.iterdir(), key=lambda p: (len(p.name), p.name)):
        with_header = path.read_bytes().startswith(b'{"robojam"')
        held += session.read(path).events if with_header else ()
    assert all(event in held for event in recording.events)
