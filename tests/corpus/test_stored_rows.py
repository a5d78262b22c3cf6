"""Corpora too large for memory: read by slices, and trained on with the same results."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.models import STROKES, TOUCHES, corpus, npz

from robojam.cli import main
from robojam.corpus import stored_rows
from robojam.corpus.corpus import Corpus, CorpusError, clean, join, write
from robojam.corpus.formats import read
from robojam.corpus.split import split
from robojam.corpus.stored_rows import ConcatenatedRows, FileChangedError, FileRows
from robojam.evaluation.likelihood import score
from robojam.training.trainer import Trainer, TrainingSettings

SMALL = TrainingSettings(
    units=8, components=2, hidden=8, passes=2, window=16, batch=128, warmup=4
)
LENGTHS = [40, 3, 25, 60, 2, 31, 9, 12, 7, 20, 33]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every corpus as too large for memory."""
    monkeypatch.setattr("robojam.corpus.formats.arrays.LARGE", 1)
    monkeypatch.setattr("robojam.corpus.corpus.LARGE", 1)


def both(path: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> tuple[Corpus, Corpus]:
    """Read a file's corpus into memory and from disk; return both."""
    inside = read(path, **how)
    with monkeypatch.context() as patched:
        patched.setattr("robojam.corpus.formats.arrays.LARGE", 1)
        outside = read(path, **how)
    assert isinstance(inside.events, np.ndarray)
    assert isinstance(outside.events, FileRows)
    return inside, outside


# Rows


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_concatenated_rows_equal_the_concatenated_arrays(bounds, start, stop):
    parts = [np.random.default_rng(i).random((9, 2)) for i in range(len(bounds))]
    with TemporaryFile() as file:
        file.write(b"head" + parts[0].tobytes())
        sources = [FileRows(file, 4, (9, 2), np.dtype(float)), *parts[1:]]
        runs = [(s, min(b), max(b)) for s, b in zip(sources, bounds, strict=True)]
        whole = np.concatenate([p[min(b) : max(b)] for p, b in zip(parts, bounds, strict=True)])
        for rows in (
            ConcatenatedRows(runs),
            stored_rows.concatenate(runs),
            ConcatenatedRows([(ConcatenatedRows(runs), 0, len(whole))]),
        ):
            assert len(rows) == len(whole)
            np.testing.assert_array_equal(rows[start:stop], whole[start:stop])
            for at, block in stored_rows.iterate_blocks(rows):
                np.testing.assert_array_equal(block, whole[at : at + len(block)])


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 20))
def test_sections_are_the_same_for_any_block_size(lengths, block):
    offsets = np.cumsum([0, *lengths])
    whole = np.random.default_rng(0).random((int(offsets[-1]), 2))
    with TemporaryFile() as file, mock.patch.object(stored_rows, "_BLOCK", block):
        file.write(whole.tobytes())
        for rows in (whole, FileRows(file, 0, whole.shape, whole.dtype)):
            parts = list(stored_rows.iterate_sections(rows, offsets))
            assert [len(part) for part in parts] == lengths
            np.testing.assert_array_equal(np.concatenate([whole[:0], *parts]), whole)


def test_arrays_in_memory_are_concatenated_in_memory():
    assert isinstance(
        stored_rows.concatenate([(np.ones((3, 2)), 0, 2), (np.ones((1, 2)), 0, 1)]), np.ndarray
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4", np.int16])
def test_rows_read_from_the_file_equal_rows_read_into_memory(kind, tmp_path, monkeypatch):
    made = corpus(TOUCHES, LENGTHS)
    path, rows = tmp_path / "a.npz", np.round(made.events)
    rows[::5, 2] = 1  # a clock that does not stand still
    np.savez(path, lengths=made.lengths, touches=rows.astype(kind))
    inside, outside = both(path, monkeypatch)
    np.testing.assert_array_equal(outside.events[:], inside.events)
    assert outside.events.dtype == inside.events.dtype == outside.events[:1].dtype
    np.testing.assert_array_equal(outside.lengths, inside.lengths)
    assert (outside.sha256, outside.name) == (inside.sha256, inside.name)
    for one, other in zip(outside.performances(), inside.performances(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_compressed_and_fortran_ordered_arrays_are_read_into_memory(tmp_path, large):
    made = corpus(TOUCHES, LENGTHS)
    rows, path = made.events, tmp_path / "a.npz"
    np.savez_compressed(path, touches=rows, lengths=made.lengths)
    assert isinstance(read(path).events, np.ndarray)
    for other in (np.asfortranarray(rows), rows[:, :3]):  # the latter's phases are inferred
        np.savez(path, touches=other, lengths=made.lengths)
        assert isinstance(read(path).events, np.ndarray)


# Training and splitting


@pytest.mark.parametrize("event", [TOUCHES, STROKES], ids=["touches", "strokes"])
def test_training_from_the_file_equals_training_from_memory(event, tmp_path, monkeypatch):
    path = npz(tmp_path / "a.npz", corpus(event, LENGTHS))
    runs = []
    for data in both(path, monkeypatch):
        rest, held_out = split(clean(data), every=4)
        assert isinstance(rest.events, np.ndarray) == isinstance(data.events, np.ndarray)
        trainer = Trainer(rest, held_out, SMALL)
        losses = [now.loss for now in trainer]
        runs.append((losses, trainer.best_score, trainer.model.state_dict()))
    (losses, best, weights), (other_losses, other_best, other_weights) = runs
    assert len(losses) > 3
    assert (losses, best) == (other_losses, other_best)
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


def test_long_performance_in_a_file_is_split_as_in_memory(tmp_path, monkeypatch):
    path = npz(tmp_path / "a.npz", corpus(TOUCHES, [9, 300, 8]))
    (rest, end), (other_rest, other_end) = (split(d, every=9) for d in both(path, monkeypatch))
    assert isinstance(other_rest.events, ConcatenatedRows)
    np.testing.assert_array_equal(other_rest.events[:], rest.events)
    np.testing.assert_array_equal(other_end.events[:], end.events)
    assert (end.name, rest.lengths.tolist()) == (other_end.name, other_rest.lengths.tolist())


def test_corpora_in_files_are_joined_without_a_copy(tmp_path, monkeypatch):
    first = both(npz(tmp_path / "a.npz", corpus(TOUCHES, LENGTHS)), monkeypatch)
    other = corpus(TOUCHES, [5, 6], seed=1)
    inside, outside = (join([one, other]) for one in first)
    assert isinstance(outside.events, ConcatenatedRows)
    np.testing.assert_array_equal(outside.events[:], inside.events)
    assert score(Trainer(other, other, SMALL).model, inside) == score(
        Trainer(other, other, SMALL).model, outside
    )


def test_training_from_the_file_takes_little_memory(tmp_path, monkeypatch):
    touches = 4_000_000
    made = corpus(TOUCHES, [1000])
    path, size = tmp_path / "a.npz", 16 * touches
    np.savez(path, touches=np.tile(made.events, (4000, 1)), lengths=[1000] * 4000)
    held_out, peaks = corpus(TOUCHES, [30], seed=1), []
    for limit in (size + 1000, size):  # read into memory, and left on disk
        monkeypatch.setattr("robojam.corpus.formats.arrays.LARGE", limit)
        tracemalloc.start()
        trainer = Trainer(
            clean(read(path)), held_out, replace(SMALL, window=256, lattices=False)
        )
        assert [now.step for now, _ in zip(trainer, range(3), strict=False)] == [1, 2, 3]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < size / 2 < size < peaks[0]


# Cleaning


DIRTY = np.array(
    [
        [0.5, 0.5, 3.0, 1],  # the first: its dt becomes 0
        [0.5, np.nan, 0.1, 1],
        [-0.5, 0.5, 0.1, 1],
        [0.5, 0.5, 0.1, 0],  # alone
        [np.nan, 0.5, 0.1, 0],  # what is left is alone
        [0.5, 0.5, 0.1, 0],
        [np.nan, 0.5, 0.0, 0],
        [0.5, 2.5, 9.0, 1],
        [0.5, 0.5, 0.1, 1],
    ],
    np.float32,
)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_cleaning_is_the_same_for_any_block_size(block, monkeypatch):
    dirty = Corpus(DIRTY, np.array([3, 1, 0, 2, 3]), corpus(TOUCHES, [2]).columns, "a", "0")
    whole = clean(dirty)
    assert whole.events.tolist()[0] == [0.5, 0.5, 0, 1]
    assert whole.lengths.tolist() == [2, 2]
    monkeypatch.setattr(stored_rows, "_BLOCK", block)
    with TemporaryFile() as room:
        room.write(b"before")
        for some in (clean(dirty), clean(dirty, into=room)):
            np.testing.assert_array_equal(some.events[:], whole.events)
            assert some.lengths.tolist() == [2, 2]
            assert some.notes == whole.notes


def test_dirty_corpus_too_large_for_memory_is_cleaned_into_a_file(
    tmp_path, monkeypatch, large, capsys
):
    dirty, tidy, model = (tmp_path / n for n in ("dirty.npz", "tidy.npz", "m.safetensors"))
    made = corpus(TOUCHES, LENGTHS)
    events = np.concatenate([DIRTY, made.events])
    np.savez(dirty, touches=events, lengths=[len(DIRTY), *LENGTHS])
    learn = ["train", "--to", model, *"--units 8 --components 2 --hidden 8 --passes 1".split()]
    for command, more in (("train", learn), ("corpus", ["corpus"])):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in [*more, dirty]])
        message = capsys.readouterr().err
        assert (left.value.code, message.count("\n")) == (2, 1), command
        assert (
            "dirty.npz is too large to be cleaned in memory (touches with NaN: 3; " in message
        )
        assert "robojam corpus … --to FILE.npz makes a clean file of it" in message
    for words in (["corpus", dirty, "--to", tidy], [*learn, tidy]):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        assert left.value.code == 0, capsys.readouterr().err
    assert "touches with NaN: 3 (touches 2, 5, 7 of performance 1)" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "dirty.npz",
        "m.png",
        "m.safetensors",
        "tidy.npz",
    ]
    (found,) = (read(tidy),)
    assert isinstance(found.events, FileRows)
    assert clean(found).events is found.events
    monkeypatch.undo()
    inside = clean(read(dirty))
    np.testing.assert_array_equal(read(tidy).events, inside.events)
    np.testing.assert_array_equal(found.lengths, inside.lengths)


def test_other_files_are_reported_beside_one_too_large_to_be_cleaned(tmp_path, large, capsys):
    np.savez(tmp_path / "a.npz", touches=DIRTY, lengths=[len(DIRTY)])
    npz(tmp_path / "b.npz", corpus(TOUCHES, LENGTHS))
    with pytest.raises(SystemExit) as left:
        main(["corpus", str(tmp_path)])
    out, err = capsys.readouterr()
    assert (left.value.code, err.count("\n")) == (2, 1)
    assert "a.npz is too large" in err
    assert f"b.npz (arrays): {len(LENGTHS)} performances" in out


# Faulty and changing files


def test_file_changed_while_it_is_read_raises(tmp_path, large):
    path = npz(tmp_path / "a.npz", corpus(TOUCHES, LENGTHS))
    data, raw = read(path), path.read_bytes()
    assert len(data.events[3:5]) == 2
    path.write_bytes(raw[:-500])
    with pytest.raises(
        FileChangedError, match=r"a\.npz was changed while it was read: start again"
    ):
        data.events[3:5]
    path.write_bytes(raw)
    data = read(path)
    os.utime(path, ns=(0, 0))  # the same length, another time
    with pytest.raises(FileChangedError):
        data.events[3:5]
    path.write_bytes(raw)
    data = read(path)
    (tmp_path / "b").write_bytes(b"another")
    os.replace(tmp_path / "b", path)  # in its place: what was opened is still what it was
    assert len(data.events[:]) == sum(LENGTHS)


def test_training_on_a_file_that_changes_ends_with_one_message(
    tmp_path, large, capsys, monkeypatch
):
    path = npz(tmp_path / "a.npz", corpus(TOUCHES, LENGTHS))
    val = npz(tmp_path / "val.npz", corpus(TOUCHES, [20], seed=1))
    draw = Trainer.draw

    def torn(self: Trainer, group: Any) -> Any:
        if self.step == 5:
            path.write_bytes(path.read_bytes()[:-1])
        return draw(self, group)

    monkeypatch.setattr(Trainer, "draw", torn)
    to = tmp_path / "m.safetensors"
    sizes = "--units 8 --batch 128 --window 16".split()
    with pytest.raises(SystemExit) as left:
        main(["train", str(path), "--val", str(val), "--to", str(to), *sizes])
    message = capsys.readouterr().err
    assert (left.value.code, message.count("\n")) == (1, 1)
    assert "a.npz was changed while it was read: start again" in message


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_large_file_with_a_wrong_checksum_is_refused(place, tmp_path, large):
    path = npz(tmp_path / "a.npz", corpus(TOUCHES, LENGTHS))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\n", 60) + 1 + int(place * 16 * sum(LENGTHS))
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorpusError, match=r"a\.npz: is damaged, or no \.npz: Bad CRC-32"):
        read(path)
    path.write_bytes(raw[:at])
    with pytest.raises(CorpusError, match="is damaged"):
        read(path)


@pytest.mark.parametrize("wrong", ["damaged", "lengths", "no lengths", "flags"])
def test_large_file_is_closed_when_it_is_refused(wrong, tmp_path, large, monkeypatch):
    made, path = corpus(TOUCHES, [*LENGTHS, 900]), tmp_path / "a.npz"
    arrays = {"touches": made.events, "lengths": made.lengths}
    if wrong == "flags":
        arrays["touches"] = made.events + 0.5
    elif wrong == "lengths":
        arrays["lengths"] = made.lengths[1:]
    elif wrong == "no lengths":
        arrays["lengths"] = np.array(["one"])
    np.savez(path, **arrays)
    if wrong == "damaged":
        raw = bytearray(path.read_bytes())
        raw[raw.index(made.events[9].tobytes())] ^= 1
        path.write_bytes(raw)
    opened, plainly = [], Path.open

    def noted(self: Path, *how: Any) -> Any:
        opened.append(plainly(self, *how))
        return opened[-1]

    monkeypatch.setattr(Path, "open", noted)
    with pytest.raises(CorpusError) as _:  # kept, and with it all that its frames hold
        read(path)
    assert len(opened) == 2
    assert all(file.closed for file in opened)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("<f4", (2**40, 4), "touches is broken"),
        ("|O", (9, 4), "touches is pickled"),
        ("<c8", (9, 4), "touches must be numbers; it is complex64"),
    ],
)
def test_large_entry_with_a_wrong_header_is_refused(kind, shape, message, tmp_path, large):
    path = tmp_path / "a.npz"
    header = {"descr": kind, "shape": shape, "fortran_order": False}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("touches.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.write(corpus(TOUCHES, [9]).events.tobytes())
        with archive.open("lengths.npy", "w") as file:
            np.lib.format.write_array(file, np.array([9]))
    with pytest.raises(CorpusError, match=message):
        read(path)


def test_wrong_flag_in_a_large_file_is_reported_with_its_place(tmp_path, large, monkeypatch):
    made = corpus(TOUCHES, LENGTHS)
    made.events[50, 3] = 0.5
    path = npz(tmp_path / "a.npz", made)
    monkeypatch.setattr(stored_rows, "_BLOCK", 16)
    with pytest.raises(CorpusError, match=r"and is 0.5 \(touch 8 of performance 3\)"):
        read(path)


def test_written_file_is_compressed_unless_it_is_large(tmp_path, monkeypatch):
    made = corpus(TOUCHES, LENGTHS)
    for limit, how in ((10**9, zipfile.ZIP_DEFLATED), (1, zipfile.ZIP_STORED)):
        monkeypatch.setattr("robojam.corpus.corpus.LARGE", limit)
        write(made, tmp_path / "a.npz")
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            assert {entry.compress_type for entry in archive.infolist()} == {how}
        with np.load(tmp_path / "a.npz") as found:  # as anybody reads it
            np.testing.assert_array_equal(found["touches"], made.events)
            np.testing.assert_array_equal(found["lengths"], made.lengths)
