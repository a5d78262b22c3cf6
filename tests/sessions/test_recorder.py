"""The recorder against real disks: full ones, vanished folders, and a killed engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EIO, ENOSPC
from io import FileIO
from pathlib import Path

import pytest
from support import ROOT
from support.recorder import HEADER, touch, wait_for

from robojam.sessions import session
from robojam.sessions.recorder import Recorder, _sync_folders, sync_file
from robojam.sessions.recording_file import RecordingFile
from robojam.sessions.session import (
    EndEvent,
    SessionEvent,
    SetEvent,
)

NAME = "2026-11-20T10-30-00"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file in its place")


@contextmanager
def recording(folder: Path, *, limit: int = 200_000) -> Iterator[tuple[Recorder, list[str]]]:
    messages: list[str] = []
    with Recorder(folder, on_trouble=messages.append, limit=limit) as recorder:
        yield recorder, messages


def played(path: Path) -> list[SessionEvent]:
    return list(session.read(path).events)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_each_jam_is_a_complete_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    events = [touch(0.0), SetEvent(0.5, {"mode": "duet"}), touch(1.0)]
    with recording(folder) as (recorder, messages):
        for _ in range(3):
            recorder.begin(HEADER)
            for event in events:
                recorder.write(event)
            recorder.end(2.0, "quit")
    names = [f"{NAME}.jsonl", f"{NAME}-2.jsonl", f"{NAME}-3.jsonl"]
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)
    for name in names:
        assert played(folder / name) == [*events, EndEvent(2.0, "quit")]
    assert (messages, recorder.dropped, recorder.failed, recorder.path) == ([], 0, None, None)


def test_event_is_written_without_waiting_for_another(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.jsonl"
    with recording(tmp_path) as (recorder, _):
        recorder.begin(HEADER)
        for number in range(5):
            recorder.write(touch(float(number)))
            wait_for(lambda n=number: lines_in(path) == n + 2)
        wait_for(lambda: recorder.path == path)


def test_file_is_made_with_the_first_touch_and_holds_the_controls_before(
    tmp_path: Path,
) -> None:
    with recording(tmp_path) as (recorder, _):
        recorder.begin(HEADER)
        recorder.write(SetEvent(0.0, {"mode": "solo"}))
        recorder.end(1.0, "nothing played")
        recorder.begin(HEADER)
        recorder.write(SetEvent(0.0, {"mode": "duet"}))
        recorder.write(touch(0.5))
    (path,) = tmp_path.iterdir()
    assert played(path) == [SetEvent(0.0, {"mode": "duet"}), touch(0.5)]


def test_new_recording_leaves_the_one_before_complete_without_an_end(tmp_path: Path) -> None:
    with recording(tmp_path) as (recorder, _):
        for _ in range(2):
            recorder.begin(HEADER)
            recorder.write(touch(0.0))
    for path in tmp_path.iterdir():
        assert played(path) == [touch(0.0)]
    assert len(list(tmp_path.iterdir())) == 2


def test_event_that_cannot_be_encoded_is_reported_and_the_rest_written(tmp_path: Path) -> None:
    with recording(tmp_path) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        for _ in range(3):
            recorder.write(touch(float("nan")))
        recorder.write(touch(1.0))
        recorder.end(2.0, "quit")
    assert played(tmp_path / f"{NAME}.jsonl") == [touch(0.0), touch(1.0), EndEvent(2.0, "quit")]
    assert recorder.dropped == 3
    assert len(messages) == 1
    assert "nan" in messages[0]


def test_folder_that_cannot_be_made_is_reported_and_what_waits_is_written_once_it_can_be(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sessions"
    folder.write_text("a file is in the way")
    with recording(folder) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        wait_for(lambda: messages)
        why = f"nothing can be written into {folder}: "
        assert messages[0].startswith(f"recording interrupted: {why}")
        assert recorder.path is None
        assert recorder.failed is not None
        assert recorder.failed.startswith(why)
        folder.unlink()
        recorder.end(1.0, "quit")
    assert messages[1:] == [f"the recording goes on, with what waited: {folder / NAME}.jsonl"]
    assert played(folder / f"{NAME}.jsonl") == [touch(0.0), EndEvent(1.0, "quit")]
    assert (recorder.dropped, recorder.failed) == (0, None)


def test_recording_that_could_never_be_written_is_reported_as_lost_when_the_next_begins(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sessions"
    folder.write_text("a file is in the way")
    with recording(folder) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        recorder.end(1.0, "quit")
        recorder.begin(HEADER)
        wait_for(lambda: len(messages) == 2)
    assert "the end of the recording is lost: 2 touches or controls (nothing" in messages[1]
    assert recorder.dropped == 2


@pytest.mark.parametrize("where", ["a file", "within a file", "too long", "no right"])
def test_folder_that_cannot_be_written_is_reported_before_the_first_touch(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    folder = tmp_path / {"too long": "x" * 300, "within a file": "a file/s"}.get(where, where)
    if where == "no right":
        monkeypatch.setattr("os.access", lambda *_: False)
    with recording(folder) as (recorder, messages):
        recorder.check_folder()
        wait_for(lambda: messages)
    assert messages[0].startswith(f"no recording can be written into {folder}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_folder_that_can_be_made_is_not_reported_and_not_made_yet(tmp_path: Path) -> None:
    with recording(tmp_path / "a" / "b") as (recorder, messages):
        recorder.check_folder()
    assert not messages
    assert not list(tmp_path.iterdir())


@posix
@pytest.mark.parametrize("how", ["folder deleted", "file deleted", "folder moved", "replaced"])
def test_recording_that_vanishes_is_written_again_completely(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "sessions"
    path = folder / f"{NAME}.jsonl"
    with recording(folder) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(SetEvent(0.0, {"mode": "duet"}))
        recorder.write(touch(0.0))
        wait_for(lambda: lines_in(path) == 3)
        if how == "folder deleted":
            shutil.rmtree(folder)
        elif how == "file deleted":
            path.unlink()
        elif how == "folder moved":
            folder.rename(tmp_path / "elsewhere")
        else:
            path.unlink()
            path.write_text("another")
        recorder.write(touch(1.0))
        wait_for(lambda: messages)
        assert "written again" in messages[0]
        recorder.write(touch(2.0))
        recorder.end(3.0, "quit")
    again = folder / f"{NAME}-2.jsonl" if how == "replaced" else path
    assert played(again) == [
        SetEvent(0.0, {"mode": "duet"}),
        touch(0.0),
        touch(1.0),
        touch(2.0),
        EndEvent(3.0, "quit"),
    ]
    assert (len(messages), recorder.dropped) == (1, 0)


PLAYING = """
import sys, time
from pathlib import Path
from robojam.sessions.recorder import Recorder
from support.recorder import HEADER, touch

recorder = Recorder(Path(sys.argv[1]), on_trouble=print)
recorder.begin(HEADER)
start = time.monotonic()
while True:
    t = time.monotonic() - start
    recorder.write(touch(t))
    print(repr(t), flush=True)
    time.sleep(0.002)  # the musician's pace
"""


@posix
def test_killed_engine_loses_its_last_moment_at_most(tmp_path: Path) -> None:
    """On a quiet machine it is 10 ms: ``benchmarks/killed.py``."""
    with subprocess.Popen(
        [sys.executable, "-c", PLAYING, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT / "tests",
    ) as engine:
        assert engine.stdout is not None
        messages = [float(engine.stdout.readline()) for _ in range(150)]
        engine.kill()
        rest = engine.stdout.read()
    messages += [float(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    (path,) = tmp_path.iterdir()
    kept = [event.t for event in session.read(path).touches()]
    assert kept[: len(messages)] == messages[: len(kept)]
    assert kept[-1] >= messages[-1] - 0.2  # however busy this machine is


def test_write_never_waits_for_the_disk_and_gaps_are_reported_once(tmp_path: Path) -> None:
    stuck, free = threading.Event(), threading.Event()
    messages: list[str] = []

    def on_trouble(trouble: str) -> None:
        messages.append(trouble)
        if threading.current_thread().name == "recorder":  # as if the disk had hung
            stuck.set()
            free.wait(60)

    with Recorder(tmp_path, on_trouble=on_trouble, limit=100) as recorder:
        recorder.begin(HEADER)
        recorder.write(touch(float("nan")))
        assert stuck.wait(60)
        start = time.monotonic()
        for number in range(300):
            recorder.write(touch(float(number)))
        assert time.monotonic() - start < 1.0
        gaps = recorder.dropped
        free.set()
    assert gaps == 202  # the limit counts the one that is stuck
    assert sum("gaps" in trouble for trouble in messages) == 1
    assert played(tmp_path / f"{NAME}.jsonl") == [touch(float(n)) for n in range(99)]
    assert recorder.dropped == 202


def test_callback_that_fails_does_not_end_the_recording(tmp_path: Path) -> None:
    def on_trouble(trouble: str) -> None:
        raise RuntimeError("the loop is closed")

    with Recorder(tmp_path, on_trouble=on_trouble) as recorder:
        recorder.begin(HEADER)
        recorder.write(touch(float("nan")))
        recorder.write(touch(1.0))
    assert played(tmp_path / f"{NAME}.jsonl") == [touch(1.0)]


def test_error_that_nobody_foresaw_does_not_end_the_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [MemoryError("no room")]
    advance = RecordingFile.advance

    def fail_once(file: RecordingFile, now: float) -> float:
        if errors:
            raise errors.pop()
        return advance(file, now)

    monkeypatch.setattr(RecordingFile, "advance", fail_once)
    with recording(tmp_path) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        recorder.end(1.0, "quit")
    assert len(messages) == 1
    assert "(MemoryError: no room); the recording goes on" in messages[0]
    assert played(tmp_path / f"{NAME}.jsonl") == [touch(0.0), EndEvent(1.0, "quit")]


def test_thread_for_the_disk_that_cannot_be_started_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(tmp_path) as (recorder, messages):
        start = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", refuse_thread)
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        wait_for(lambda: lines_in(tmp_path / f"{NAME}.jsonl") == 2)
        monkeypatch.setattr(threading.Thread, "start", start)
        recorder.end(1.0, "quit")
    assert messages == []
    assert played(tmp_path / f"{NAME}.jsonl") == [touch(0.0), EndEvent(1.0, "quit")]


def refuse_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_closed_recorder_drops_events_and_raises_nothing(tmp_path: Path) -> None:
    with recording(tmp_path) as (recorder, messages):
        pass
    recorder.begin(HEADER)
    recorder.write(touch(0.0))
    recorder.end(1.0, "quit")
    recorder.close()
    assert (list(tmp_path.iterdir()), messages, recorder.dropped) == ([], [], 1)


def test_thread_takes_the_priority_that_the_engine_got_after_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary thread that holds the interpreter's lock is put off, and the engine waits."""
    asked: list[str] = []
    monkeypatch.setattr(
        "robojam.sessions.recorder.adopt_main_priority",
        lambda: asked.append(threading.current_thread().name),
    )
    with Recorder(tmp_path, on_trouble=print) as recorder:
        recorder.begin(HEADER)  # that of a jam that goes on begins before the engine is raised
        wait_for(lambda: asked)
        asked.clear()
        recorder.write(touch(0.0))
        wait_for(lambda: {"recorder", "sync"} <= {*asked})


def full(_: Path) -> None:
    raise OSError(ENOSPC, os.strerror(ENOSPC))


def test_full_disk_is_reported_before_the_first_touch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robojam.sessions.recorder._try_to_write", full)
    with recording(tmp_path / "sessions") as (recorder, messages):
        recorder.check_folder()
        wait_for(lambda: messages)
    assert messages == [
        f"no recording can be written into {tmp_path / 'sessions'}: {os.strerror(ENOSPC)}"
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 KiB, where this user may."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


def test_disk_that_is_full_for_a_while_costs_no_touch(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 16))
    with recording(small_disk) as (recorder, messages):
        recorder.check_folder()
        wait_for(lambda: messages)
        recorder.begin(HEADER)
        for number in range(50):
            recorder.write(touch(float(number)))
        wait_for(lambda: len(messages) == 2)
        filler.unlink()
        recorder.end(50.0, "quit")
    assert all(os.strerror(ENOSPC) in message for message in messages[:2])
    (path,) = small_disk.iterdir()
    expected = [*(touch(float(n)) for n in range(50)), EndEvent(50.0, "quit")]
    assert played(path) == expected
    assert recorder.dropped == 0


def test_end_of_a_jam_says_what_a_stuck_disk_has_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, free, write = threading.Event(), threading.Event(), RecordingFile._write

    def hang(self: RecordingFile, file: FileIO) -> None:
        stuck.set()
        free.wait(60)
        write(self, file)

    monkeypatch.setattr(RecordingFile, "_write", hang)
    messages: list[str] = []
    recorder = Recorder(tmp_path, on_trouble=messages.append)
    recorder.begin(HEADER)
    recorder.write(touch(0.0))
    assert stuck.wait(60)
    recorder.end(1.0, "quit")
    recorder.close(timeout=0.01)
    free.set()
    recorder._thread.join(10)
    assert recorder._syncer.close(10)  # so that nothing of it runs beside the next test
    assert messages == [
        "the end of the recording is lost: the disk has not answered for 0.01 s, and 2 touches "
        "or controls wait for it"
    ]


def test_recording_and_its_folder_are_put_on_the_disk_by_a_thread_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []
    free = threading.Event()

    def sync(descriptor: int) -> None:
        free.wait(60)  # a slow disk
        synced.append((threading.current_thread().name, os.fstat(descriptor).st_size))

    monkeypatch.setattr("robojam.sessions.recorder.sync_file", sync)
    monkeypatch.setattr(
        "robojam.sessions.recorder._sync_folders", lambda path: synced.append((path.name, 0))
    )
    path = tmp_path / f"{NAME}.jsonl"
    with recording(tmp_path) as (recorder, messages):
        recorder.begin(HEADER)
        for number in range(3):  # written while the disk syncs
            recorder.write(touch(float(number)))
            wait_for(lambda n=number: lines_in(path) == n + 2)
        free.set()
        recorder.end(9.0, "quit")
    assert synced[1] == (path.name, 0)
    assert {name for name, _ in synced} == {"sync", path.name}
    assert synced[-1] == ("sync", path.stat().st_size)  # with the end
    assert messages == []


def test_recording_that_the_disk_did_not_keep_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(descriptor: int) -> None:
        if failures:
            raise failures.pop()

    failures = [OSError(EIO, os.strerror(EIO))]
    monkeypatch.setattr("robojam.sessions.recorder.sync_file", sync)
    with recording(tmp_path) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        wait_for(lambda: messages)
        recorder.write(touch(1.0))
        recorder.end(2.0, "quit")
    assert "could not be put on the disk" in messages[1]
    expected = [touch(0.0), touch(1.0), EndEvent(2.0, "quit")]
    assert played(tmp_path / f"{NAME}-2.jsonl") == expected


def test_failure_of_the_last_sync_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(descriptor: int) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr("robojam.sessions.recorder.sync_file", sync)
    with recording(tmp_path) as (recorder, messages):
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        recorder.end(1.0, "quit")
    assert any("is perhaps not complete" in message for message in messages)


@posix
def test_real_sync_of_a_file_and_its_folders(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        sync_file(file.fileno())
    _sync_folders(tmp_path / "a")
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError, match=r"."):
            sync_file(write_end)  # which no system can sync
    finally:
        os.close(read_end)
        os.close(write_end)
