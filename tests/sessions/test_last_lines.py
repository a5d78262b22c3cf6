"""Lines that a killed engine had not written: they stand in memory, and are added."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import ROOT
from support.recorder import HEADER, touch

from robojam.sessions import last_lines, session
from robojam.sessions.last_lines import MAX_LEFT, PART, LastLines, complete, write_unbegun
from robojam.sessions.library import newest
from robojam.sessions.recorder import Before, Recorder
from robojam.sessions.session import EndEvent, SetEvent, TouchEvent

FIRST = session.encode_header(HEADER)
OTHER = msgspec.structs.replace(HEADER, seed=2)
NAME = "2026-11-20T10-30-00"
STARTED = datetime.fromisoformat(HEADER.started).timestamp()
posix = pytest.mark.skipif(os.name == "nt", reason="another way to know that a program ended")


def line(t: float) -> bytes:
    return session.encode(touch(t))


LINES = [line(t / 4) for t in range(40)]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


def left(memory: Path, lines: list[bytes], header: bytes = FIRST, last: bytes = b"") -> None:
    """Leave lines as a killed program does."""
    lines_left = LastLines(memory.parent, memory)
    lines_left.begin(header, last)
    for each in lines:
        lines_left.put(each)
    lines_left.leave()


def completed(path: Path, memory: Path, data: bytes) -> bytes:
    """Return what a recording is completed to: the same in the file and for who reads it."""
    path.write_bytes(data)
    whole = complete(path, data, memory)
    assert path.read_bytes() == whole
    return whole


def file_of(lines: list[bytes], header: bytes = FIRST) -> bytes:
    return header + b"".join(lines)


@pytest.mark.parametrize("written", [0, 1, 7, 39, 40])
@pytest.mark.parametrize("torn", [0, 1, 20])
def test_what_was_not_written_is_added(
    path: Path, memory: Path, written: int, torn: int
) -> None:
    left(memory, LINES)
    data = file_of(LINES[:written])
    rest = b"".join(LINES[written:])[:torn]
    assert completed(path, memory, data + rest) == file_of(LINES)
    assert not list(memory.iterdir())


@pytest.mark.parametrize("number", [PART // len(LINES[0]) * n // 4 for n in range(3, 14)])
def test_both_parts_are_read_in_their_order(path: Path, memory: Path, number: int) -> None:
    lines = [line(t / 64) for t in range(number)]
    left(memory, lines)
    room = PART - len(FIRST) - len(lines[-1])
    kept = room // max(map(len, lines))
    for written in (number, number - 1, number - kept):
        left(memory, lines)
        assert completed(path, memory, file_of(lines[:written])) == file_of(lines)


def test_disk_that_was_stuck_for_longer_than_there_is_room_leaves_a_gap_that_stays(
    path: Path, memory: Path
) -> None:
    lines = [line(t / 64) for t in range(4 * PART // len(LINES[0]))]
    left(memory, lines)
    assert completed(path, memory, file_of(lines[:100])) == file_of(lines[:100])


def test_others_are_left_alone(path: Path, memory: Path) -> None:
    left(memory, LINES)
    other = session.encode_header(OTHER)
    changed = [*LINES[:5], line(1.2), *LINES[5:8]]
    for data in (b"", FIRST[:-1], other, file_of(LINES[:5], other), file_of(changed)):
        assert completed(path, memory, data) == data
    assert (
        completed(path, memory, file_of(LINES[:8]) + b'{"t":77')
        == file_of(LINES[:8]) + b'{"t":77'
    )
    assert completed(path, memory, file_of(LINES[:8])) == file_of(LINES)


def test_same_line_twice_is_found_by_those_before_it(path: Path, memory: Path) -> None:
    lines = [LINES[0], LINES[1], LINES[1], LINES[1], LINES[2]]
    for written in range(6):
        left(memory, lines)
        assert completed(path, memory, file_of(lines[:written])) == file_of(lines)


def test_recording_of_a_program_that_runs_is_left_alone(path: Path, memory: Path) -> None:
    with LastLines(memory.parent, memory) as lines:
        lines.begin(FIRST)
        lines.put(LINES[0])
        assert completed(path, memory, FIRST) == FIRST
    assert not list(memory.iterdir())
    assert completed(path, memory, FIRST) == FIRST


def test_next_recording_has_lines_of_its_own(path: Path, memory: Path) -> None:
    second = session.encode_header(OTHER)
    lines = LastLines(memory.parent, memory)
    for header in (FIRST, second):
        lines.begin(header)
        for each in LINES:
            lines.put(each)
    lines.leave()
    assert completed(path, memory, file_of(LINES[:3], second)) == file_of(LINES, second)


def test_line_or_header_beyond_all_room_ends_it_until_the_next_recording(
    path: Path, memory: Path
) -> None:
    long = session.encode(SetEvent(1.0, {"model": "x" * PART}))
    for header, lines in ((FIRST, [long]), (FIRST[:-1] + b" " * PART + b"\n", [])):
        left(memory, [*LINES, *lines, line(99.0)], header)
        data = file_of(LINES[:3], header)
        assert completed(path, memory, data) == data
    lines_left = LastLines(memory.parent, memory)
    lines_left.begin(FIRST)
    for each in (long, LINES[0]):
        lines_left.put(each)
    lines_left.begin(FIRST)
    lines_left.put(LINES[0])
    lines_left.leave()
    assert completed(path, memory, FIRST) == file_of(LINES[:1])


def test_recording_that_went_on_from_another_is_completed_behind_its_lines(
    path: Path, memory: Path
) -> None:
    header = session.encode_header(msgspec.structs.replace(HEADER, resumes="0.jsonl", begins=9))
    left(memory, LINES[9:], header, last=LINES[8])
    data = file_of(LINES[:4], header)
    assert completed(path, memory, data) == data  # nothing says what is between
    assert completed(path, memory, file_of(LINES[:9], header)) == file_of(LINES, header)


def test_what_went_on_from_a_recording_is_added_to_it_where_its_own_has_not_begun(
    path: Path, memory: Path
) -> None:
    resuming = msgspec.structs.replace(HEADER, resumes=path.name, begins=12)
    header = session.encode_header(resuming)
    left(memory, LINES[9:], header, last=LINES[8])
    own = path.with_name("own.jsonl")
    own.write_bytes(file_of(LINES[:12], header))
    data = file_of(LINES[:10])
    assert completed(path, memory, data) == data  # somebody wants to go on from there again
    own.write_bytes(file_of(LINES[:11], header))
    assert completed(path, memory, data) == file_of(LINES)


def test_short_recording_is_completed_with_what_went_on_from_it(
    path: Path, memory: Path
) -> None:
    resuming = msgspec.structs.replace(HEADER, resumes=path.name, begins=2)
    left(memory, LINES[:4], session.encode_header(resuming))
    assert completed(path, memory, file_of(LINES[:2])) == file_of(LINES[:4])


def test_time_of_the_file_stays_and_a_disk_that_takes_nothing_does_not_matter(
    path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(memory, LINES)
    path.write_bytes(FIRST)
    os.utime(path, (1e9, 1e9))
    assert complete(path, FIRST, memory) == file_of(LINES)
    assert path.stat().st_mtime == 1e9
    left(memory, LINES)
    path.unlink()
    assert complete(path, FIRST, memory) == file_of(LINES)
    assert not path.exists()


def test_memory_that_programs_leave_is_bounded(path: Path, memory: Path) -> None:
    for _ in range(MAX_LEFT + 5):
        left(memory, LINES)
    with LastLines(memory.parent, memory):
        assert len(list(memory.iterdir())) <= MAX_LEFT + 1
    assert completed(path, memory, FIRST) == file_of(LINES)


def test_recorder_begins_them_with_what_it_goes_on_from(tmp_path: Path, memory: Path) -> None:
    lines = b"".join(LINES[:20])
    events = [touch(t / 4) for t in range(20, 25)]
    header = msgspec.structs.replace(HEADER, resumes="0.jsonl", begins=25)
    recorder = Recorder(tmp_path, on_trouble=pytest.fail, threaded=False, memory=memory)
    recorder.begin(header, Before(tmp_path / "0.jsonl", lines, {}, events))
    recorder.step()
    for t in range(25, 30):
        recorder.write(touch(t / 4))
    assert recorder.path is not None
    assert recorder._last is not None
    recorder._last.leave()
    data = recorder.path.read_bytes()
    assert complete(recorder.path, data, memory) == file_of(
        LINES[:30], session.encode_header(header)
    )


def test_what_comes_after_the_end_is_in_neither(tmp_path: Path, memory: Path) -> None:
    recorder = Recorder(tmp_path, on_trouble=pytest.fail, threaded=False, memory=memory)
    recorder.begin(HEADER)
    recorder.write(touch(0.0))
    recorder.step()
    path = recorder.path
    assert path is not None
    recorder.end(1.0, "record 0")
    recorder.write(touch(2.0))
    recorder.end(3.0, "quit")
    assert recorder._last is not None
    recorder._last.leave()
    whole = complete(path, path.read_bytes(), memory)
    assert session.parse(whole).events == (touch(0.0), EndEvent(1.0, "record 0"))


def test_recorder_writes_without_memory_to_share(tmp_path: Path) -> None:
    with Recorder(tmp_path, on_trouble=pytest.fail, memory=tmp_path / "gone") as recorder:
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        recorder.end(1.0, "quit")
    (path,) = tmp_path.iterdir()
    assert session.read(path).events == (touch(0.0), EndEvent(1.0, "quit"))


@posix
def test_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "another")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = last_lines._own_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert last_lines._own_folder() == folder
    folder.chmod(0o770)
    with pytest.raises(PermissionError):
        last_lines._own_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        LastLines(tmp_path)


STUCK = """
import sys, threading, time
from io import FileIO
from pathlib import Path
from typing import Any
from robojam.sessions.recorder import Recorder
from support.recorder import HEADER, touch

class Stuck(FileIO):
    def write(self, data):
        if self.tell() > 2000:
            threading.Event().wait()  # a disk that never answers
        return super().write(data)

recorder = Recorder(
    Path(sys.argv[1]), on_trouble=print, open_new=lambda path: Stuck(path, "x+b"),
    memory=Path(sys.argv[2]),
)
recorder.begin(HEADER)
start = time.monotonic()
while True:
    t = time.monotonic() - start
    recorder.write(touch(t))
    print(repr(t), flush=True)
    time.sleep(0.001)
"""


@posix
def test_engine_that_is_killed_while_its_disk_is_stuck_loses_nothing(
    tmp_path: Path, memory: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, str(tmp_path), str(memory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT / "tests",
    ) as engine:
        assert engine.stdout is not None
        messages = list(whole(engine.stdout.readline() for _ in range(300)))
        engine.kill()
        messages += whole(engine.stdout.read().splitlines(keepends=True))
    (path,) = tmp_path.glob("*.jsonl")
    data = path.read_bytes()
    written = [e.t for e in session.parse(data).events]
    assert len(written) < len(messages)
    kept = [e.t for e in session.parse(complete(path, data, memory)).events]
    assert kept[: len(messages)] == messages
    assert len(kept) <= len(messages) + 1
    assert all(isinstance(e, TouchEvent) for e in session.read(path).events)


def whole(lines: Iterator[str] | list[str]) -> Iterator[float]:
    """Yield the numbers of complete lines."""
    for each in lines:
        if each.endswith("\n"):
            yield float(each)


# -- recordings that were not begun ------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 0, 10, len(FIRST) - 1])
def test_recording_that_was_not_begun_is_written(
    tmp_path: Path, memory: Path, size: int | None
) -> None:
    left(memory, LINES)
    path = tmp_path / f"{NAME}.jsonl"
    if size is not None:  # its first line was torn
        path.write_bytes(FIRST[:size])
    assert newest(tmp_path, memory=memory) == path
    assert path.read_bytes() == file_of(LINES)
    assert path.stat().st_mtime == pytest.approx(STARTED + 9.75)
    write_unbegun(tmp_path, memory)
    assert [*tmp_path.glob("*.jsonl")] == [path]


def test_recording_of_the_same_second_stays_and_the_other_is_the_newest(
    tmp_path: Path, memory: Path
) -> None:
    before = tmp_path / f"{NAME}.jsonl"
    before.write_bytes(file_of(LINES, session.encode_header(OTHER)))
    left(memory, LINES[:1])
    path = tmp_path / f"{NAME}-2.jsonl"
    assert newest(tmp_path, memory=memory) == path
    assert path.read_bytes() == file_of(LINES[:1])
    assert before.read_bytes() == file_of(LINES, session.encode_header(OTHER))


def test_nothing_is_written_that_has_no_touch_or_is_of_elsewhere(
    tmp_path: Path, memory: Path
) -> None:
    control = session.encode(SetEvent(0.0, {"mode": "duet"}))
    resuming = session.encode_header(msgspec.structs.replace(HEADER, resumes="0.jsonl"))
    left(memory, [control])
    left(memory, LINES, resuming)
    left(memory, LINES, last=LINES[0])  # without its beginning
    (tmp_path / "elsewhere").mkdir()
    write_unbegun(tmp_path, memory)
    left(memory, LINES)
    write_unbegun(tmp_path / "elsewhere", memory)
    assert not [*tmp_path.rglob("*.jsonl")]
    begun = tmp_path / f"{NAME}.jsonl"
    begun.write_bytes(FIRST)  # which is completed by who goes on from it
    write_unbegun(tmp_path, memory)
    assert begun.read_bytes() == FIRST


def test_recording_that_was_begun_and_is_gone_stays_so(tmp_path: Path, memory: Path) -> None:
    recorder = Recorder(tmp_path, on_trouble=pytest.fail, threaded=False, memory=memory)
    for _ in range(2):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        recorder.step()
    assert recorder.path is not None
    recorder.path.unlink()
    recorder.write(touch(0.5))
    assert recorder._last is not None
    recorder._last.leave()
    assert newest(tmp_path, memory=memory) == tmp_path / f"{NAME}.jsonl"
    assert len([*tmp_path.glob("*.jsonl")]) == 1


def test_folder_with_too_long_a_name_has_no_recordings(tmp_path: Path, memory: Path) -> None:
    long = Path("/", *(["x" * 250] * 40))
    lines = LastLines(long, memory)
    lines.begin(FIRST)
    lines.put(LINES[0])
    lines.leave()
    write_unbegun(long, memory)
    assert completed(tmp_path / "a.jsonl", memory, FIRST) == file_of(LINES[:1])


class Steps:
    """Memory that is copied after each write to it, as a kill would leave it just then."""

    def __init__(self, memory: Any, whole: Any, seen: list[bytes]) -> None:
        self.memory, self.whole, self.seen = memory, whole, seen

    def __setitem__(self, place: Any, value: Any) -> None:
        if isinstance(place, slice) and len(value) > 1:  # a kill in the middle of it
            half = place.start + len(value) // 2
            self.memory[place.start : half] = value[: len(value) // 2]
            self.seen.append(bytes(self.whole))
        self.memory[place] = value
        self.seen.append(bytes(self.whole))

    def __getitem__(self, place: Any) -> Any:
        return self.memory[place]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.memory, name)


def test_kill_between_any_two_writes_leaves_what_was_put_or_nothing_wrong(
    path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_lines, "PART", 1024)
    monkeypatch.setattr(last_lines, "_SIZE", last_lines._START + 2 * 1024)
    other = session.encode_header(OTHER)
    lines = LastLines(memory.parent, memory)
    seen: list[bytes] = []
    whole = lines._memory
    lines._memory = Steps(whole, whole, seen)  # type: ignore[assignment]
    lines._numbers = Steps(lines._numbers, whole, seen)  # type: ignore[assignment]
    left_at: list[tuple[bytes, int, bytes]] = []  # header, lines that were put, memory
    for header in (FIRST, other):
        for number in range(len(LINES) + 1):
            if number:
                lines.put(LINES[number - 1])
            else:
                lines.begin(header)
            # While a line is put, those before it stand.
            left_at += [(header, max(0, number - 1), each) for each in seen]
            seen.clear()
    lines.leave()
    room = 1024 // len(LINES[0]) - 2
    for name in memory.iterdir():
        name.unlink()
    for header, put, left_memory in left_at:
        for written in {max(0, put - room // 2), max(0, put - 1), put}:
            (memory / "a.lines").write_bytes(left_memory)
            data = file_of(LINES[:written], header)
            made = completed(path, memory, data)
            is_begun = put > 0 or made != data
            assert not is_begun or made in (
                file_of(LINES[:put], header),
                file_of(LINES[: put + 1], header),
            )
