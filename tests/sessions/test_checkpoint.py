"""Checkpoint files: written beside a recording, and of use for no other."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from robojam.sessions import checkpoint
from robojam.sessions.checkpoint import Checkpoint, CheckpointError, Moment, Place, Saving
from robojam.sessions.recorder import Before, Recorder
from robojam.sessions.session import Header, ModelRef, SetEvent, TouchEvent, encode, read
from robojam.touch import Phase, Touch

HEADER = Header(
    started="2026-11-29T20:25:05+00:00",
    model=ModelRef("a.safetensors", "0a"),
    device="cpu",
    build="a build",
    seed=7,
    options={"mode": "duet"},
    rules=3,
)
MOMENT = Moment(
    t=1.0, at=2.0, model=HEADER.model, device="cpu", build="a build", rules=3, voices=1, seed=7,
    controls={"mode": "duet"}, heard=1, played=2,
)  # fmt: skip


def touch(t: float, who: str = "human") -> TouchEvent:
    return TouchEvent(t, Touch(0.5, 0.25, 0.1, Phase.DOWN, 0, who))


class Stated:
    """States that are saved, and that say when they are encoded."""

    def __init__(self) -> None:
        self.encoded = threading.Event()

    def saving(self, state: bytes = b"state") -> Saving:
        def make() -> bytes:
            self.encoded.set()
            return state

        return Saving(MOMENT, make)


def written(folder: Path) -> tuple[Path, Path]:
    """Record, save, record more and stop without an end; return recording and checkpoint."""
    stated = Stated()
    recorder = Recorder(folder, on_trouble=pytest.fail)
    recorder.begin(HEADER)
    recorder.write(touch(0.0))
    recorder.write(SetEvent(0.5, {"spread": 0.5}))
    recorder.save(stated.saving())
    assert stated.encoded.wait(60)
    recorder.write(touch(1.5))
    while recorder._put != recorder._taken:
        pass
    [recording] = folder.glob("*.jsonl")
    recorder._checkpoints.close(10)
    copy = folder / "kept"
    copy.mkdir()
    kept = copy / recording.name
    kept.write_bytes(recording.read_bytes())
    path = checkpoint.path_of(recording)
    checkpoint.path_of(kept).write_bytes(path.read_bytes())
    recorder._checkpoints._thread = None
    recorder.close()
    return kept, checkpoint.path_of(kept)


def test_checkpoint_covers_the_events_before_it_and_belongs_to_its_recording(tmp_path):
    recording, path = written(tmp_path)
    found = checkpoint.read(path)
    data = recording.read_bytes()
    assert found is not None
    assert (found.state, found.moment, found.of.events) == (b"state", MOMENT, 2)
    assert data[found.of.bytes :] == encode(touch(1.5))
    assert found.belongs_to(data)
    for other in (data[: found.of.bytes - 1], data.replace(b"0.25", b"0.35"), b""):
        assert not found.belongs_to(other)


def test_torn_or_damaged_or_foreign_file_is_refused_in_one_line(tmp_path):
    _, path = written(tmp_path)
    data = path.read_bytes()
    for spoilt in (b"", data[:-1], data[:40], data[:9] + b"7" + data[10:], b"{}\n" * 50):
        path.write_bytes(spoilt)
        with pytest.raises(CheckpointError, match="torn or damaged"):
            checkpoint.read(path)
    newer = data.replace(b'{"checkpoint":1', b'{"checkpoint":2')[: -checkpoint._HASH]
    for content, why in (
        (newer, "of another version of robojam"),
        (b'{"checkpoint":1}\nstate', "of another version of robojam"),
        (b"x" * (2 << 20), "no checkpoint"),
    ):
        digest = checkpoint.new_digest()
        digest.update(content)
        path.write_bytes(content + digest.digest())
        with pytest.raises(CheckpointError, match=why):
            checkpoint.read(path)


def test_nothing_that_is_no_file_or_too_long_is_read(tmp_path):
    assert checkpoint.read(tmp_path / "none.checkpoint") is None
    assert checkpoint.read(tmp_path) is None
    long = tmp_path / "long.checkpoint"
    with long.open("wb") as file:
        file.truncate(checkpoint.MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="may have"):
        checkpoint.read(long)
    with pytest.raises(ValueError, match="may have"):
        checkpoint.encode(Checkpoint(Place(1, 1, ""), MOMENT, bytes(checkpoint.MAX_BYTES)))


def test_checkpoint_is_removed_with_the_end_of_its_recording(tmp_path):
    for last in ("end", "begin"):
        stated = Stated()
        with Recorder(tmp_path, on_trouble=pytest.fail) as recorder:
            recorder.begin(HEADER)
            recorder.write(touch(0.0))
            recorder.save(stated.saving())
            assert stated.encoded.wait(60)
            if last == "end":
                recorder.end(1.0, "SIGTERM")
            else:
                recorder.begin(HEADER)
        assert list(tmp_path.glob("*.jsonl"))
        assert not [p for p in tmp_path.iterdir() if p.suffix != ".jsonl"]


def test_recording_that_goes_on_has_the_lines_of_the_first_and_a_checkpoint_in_its_place(
    tmp_path,
):
    first, path = written(tmp_path)
    found = checkpoint.read(path)
    assert found is not None
    lines = first.read_bytes()[first.read_bytes().find(b"\n") + 1 : found.of.bytes]
    stated, folder = Stated(), tmp_path / "second"
    recorder = Recorder(folder, on_trouble=pytest.fail)
    header = msgspec.structs.replace(HEADER, resumes=first.name)
    recorder.begin(header, Before(first, lines, MOMENT.controls, [touch(1.5)]))
    recorder.write(touch(2.0, "ai"))
    recorder.save(stated.saving(b"later"))
    assert stated.encoded.wait(60)
    recorder._checkpoints.close(10)
    [second] = folder.glob("*.jsonl")
    later = checkpoint.read(checkpoint.path_of(second))
    assert later is not None
    assert later.state == b"later"
    assert later.belongs_to(second.read_bytes())
    assert not path.exists()
    session = read(second)
    assert session.header == header
    assert session.events == (*read(first).events, touch(2.0, "ai"))
    recorder._checkpoints._thread = None
    recorder.close()


def test_lines_of_another_recording_are_copied_in_pieces_and_whole():
    from robojam.sessions.recorder import _CHUNK, _chunks

    line = b"x" * 999 + b"\n"
    lines = line * (3 * _CHUNK // 1000)
    pieces = list(_chunks(lines))
    assert b"".join(pieces) == lines
    assert len(pieces) == 4
    assert all(len(piece) <= _CHUNK and piece.endswith(b"\n") for piece in pieces)
    assert list(_chunks(b"")) == []
    assert b"".join(_chunks(b"y" * 3 * _CHUNK)) == b"y" * 3 * _CHUNK


def test_checkpoint_that_cannot_be_written_is_told_once_and_the_recording_goes_on(tmp_path):
    told: list[str] = []
    failed = threading.Event()

    def fail() -> bytes:
        failed.set()
        raise OSError(28, "No space left on device")

    with Recorder(tmp_path, on_trouble=told.append) as recorder:
        recorder.begin(HEADER)
        recorder.write(touch(0.0))
        for _ in range(2):
            failed.clear()
            recorder.save(Saving(MOMENT, fail))
            assert failed.wait(60)
        recorder.end(1.0, "end")
    assert len(told) == 1
    assert "No space left on device" in told[0]
    [path] = tmp_path.glob("*")
    assert read(path).ended == "end"
