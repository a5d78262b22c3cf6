"""Recordings that are mirrored: what is read in one folder is the same in the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.cluster import room_frames
from robojam.cluster.mirror import GrowingFolder, Mirror, parts_of
from robojam.cluster.room_frames import COMPLETE, GONE, PART, PIECE
from robojam.engine.twin_frames import FrameError

NAME = "2026-11-29T20-25-05"
ALL = 1 << 30


def pass_on(frames: list[bytes], mirror: Mirror) -> list[bytes]:
    """Take frames as a host does; return their kinds."""
    reader, kinds = room_frames.new_frames(), []
    for kind, content in reader.feed(b"".join(frames)):
        kinds.append(kind)
        if kind == PART:
            mirror.take_part(*room_frames.decode_part(content))
        elif kind == COMPLETE:
            mirror.complete(room_frames.name_of(content))
        elif kind == GONE:
            mirror.remove(room_frames.name_of(content))
    return kinds


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    return there, here


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_recording_that_the_host_has_given_is_not_sent_back_though_it_is_completed(folders):
    there, here = folders
    given, own = there / f"{NAME}.jsonl", there / f"{NAME}-2.jsonl"
    given.write_bytes(b"a\n")
    growing, mirror = GrowingFolder(there, given.name), Mirror(here)
    given.write_bytes(b"a\nb\n")
    own.write_bytes(b"a\nb\nc\n")
    pass_on(growing.read(ALL), mirror)
    assert contents(here) == {own.name: b"a\nb\nc\n"}


def test_recording_is_the_same_while_it_grows_is_cut_and_another_follows(folders):
    there, here = folders
    growing, mirror = GrowingFolder(there), Mirror(here)
    first, second = there / f"{NAME}.jsonl", there / f"{NAME}-2.jsonl"
    for data in (b"a\n", b"a\nb\nc", b"a\nb\n", b"a\nb\n" + bytes(3 * PIECE), b"a\n"):
        first.write_bytes(data)
        pass_on(growing.read(ALL), mirror)
        assert contents(here) == contents(there)
    assert growing.read(ALL) == []
    second.write_bytes(b"d\n")
    first.write_bytes(b"a\ne\n")
    pass_on(growing.read(ALL), mirror)
    assert contents(here) == contents(there)
    assert mirror.newest == here / second.name
    mirror.close()


def test_checkpoint_follows_its_recording_whole_and_goes_with_it(folders):
    there, here = folders
    growing, mirror = GrowingFolder(there), Mirror(here)
    (there / f"{NAME}.jsonl").write_bytes(bytes(2 * PIECE))
    (there / f"{NAME}.checkpoint").write_bytes(b"x" * (PIECE + 5))
    assert pass_on(growing.read(PIECE), mirror) == [PART]  # there is no more space for now
    assert pass_on(growing.read(ALL), mirror) == [PART, PART, PART, COMPLETE]
    assert contents(here) == contents(there)
    (there / f"{NAME}.checkpoint").unlink()
    assert pass_on(growing.read(ALL), mirror) == [GONE]
    assert contents(here) == contents(there)
    mirror.close()


def test_what_is_in_a_folder_at_first_is_not_sent_back(folders):
    there, _ = folders
    (there / f"{NAME}.jsonl").write_bytes(b"a\n")
    (there / f"{NAME}.checkpoint").write_bytes(b"x")
    assert GrowingFolder(there).read(ALL) == []


def test_recording_whose_name_is_taken_here_gets_another(folders):
    there, here = folders
    (here / f"{NAME}.jsonl").write_bytes(b"of another machine\n")
    growing, mirror = GrowingFolder(there), Mirror(here)
    (there / f"{NAME}.jsonl").write_bytes(b"a\n")
    (there / f"{NAME}.checkpoint").write_bytes(b"x")
    pass_on(growing.read(ALL), mirror)
    assert contents(here) == {
        f"{NAME}.jsonl": b"of another machine\n", f"{NAME}-2.jsonl": b"a\n",
        f"{NAME}-2.checkpoint": b"x",
    }  # fmt: skip
    mirror.close()


def test_what_the_disk_did_not_take_is_asked_for_again(folders):
    there, here = folders
    growing, mirror = GrowingFolder(there), Mirror(here)
    recording = there / f"{NAME}.jsonl"
    here.rmdir()
    recording.write_bytes(b"a\n")
    pass_on(growing.read(ALL), mirror)
    assert mirror.failed
    recording.write_bytes(b"a\nb\n")
    pass_on(growing.read(ALL), mirror)
    here.mkdir()
    assert mirror.behind == {recording.name: 0}
    growing.read_again(*next(iter(mirror.behind.items())))
    pass_on(growing.read(ALL), mirror)
    assert contents(here) == contents(there)
    assert (mirror.behind, mirror.failed) == ({}, None)
    mirror.close()


@pytest.mark.parametrize(
    "name",
    ["../x.jsonl", "x", "a/b.jsonl", ".jsonl", "x.txt", "a\0.jsonl", "é" * 101 + ".jsonl"],
)
def test_name_that_is_no_recording_is_refused(name, folders):
    part = room_frames.encode_part(name, 0, b"x")
    with pytest.raises(FrameError):
        pass_on([part], Mirror(folders[1]))
    assert not contents(folders[1])


def test_parts_that_no_program_sends_are_refused(folders):
    mirror = Mirror(folders[1])
    for name, at in ((f"{NAME}.checkpoint", 7), (f"{NAME}.jsonl", ALL)):
        with pytest.raises(FrameError):
            mirror.take_part(name, at, b"x")
    for act, name in (
        (mirror.complete, f"{NAME}.checkpoint"), (mirror.complete, f"{NAME}.jsonl"),
        (mirror.remove, f"{NAME}.jsonl"),
    ):  # fmt: skip
        with pytest.raises(FrameError):
            act(name)
    assert not contents(folders[1])


@given(st.binary(max_size=200), st.sampled_from(sorted(room_frames.LONGEST)))
def test_bytes_of_a_stranger_are_a_frame_or_refused(data, kind):
    for given_bytes in (data, kind + data, room_frames.encode(kind)[:1] + data):
        try:
            for found, content in room_frames.new_frames().feed(given_bytes):
                if found == PART:
                    room_frames.decode_part(content)
                elif found in (COMPLETE, GONE):
                    room_frames.name_of(content)
                elif found == room_frames.HELLO:
                    room_frames.decode(content, room_frames.Hello)
        except FrameError:
            pass


def test_whole_file_is_sent_in_parts_also_an_empty_one(folders):
    _, here = folders
    mirror = Mirror(here)
    for number, size in enumerate((0, 1, PIECE, PIECE + 1)):
        data = os.urandom(size)
        pass_on(list(parts_of(f"x{number}.jsonl", data)), mirror)
        assert (here / f"x{number}.jsonl").read_bytes() == data
    mirror.close()
