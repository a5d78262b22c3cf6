"""Corpora: reading, cleaning, noise and refusals."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support import CORPUS, has_corpus
from support.models import dequantised
from support.recordings import down, move, up

from robojam.corpus.corpus import STROKE, Corpus, CorpusError, clean
from robojam.corpus.formats import read, read_all
from robojam.model.event import TOUCH
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    TouchEvent,
    encode,
    encode_header,
)

ROWS = np.array(
    [
        [0.5, 0.5, 0.0, 0],
        [0.6, 0.5, 0.1, 1],
        [0.7, 0.5, 0.1, 1],
        [0.1, 0.1, 0.0, 0],
        [0.2, 0.1, 0.2, 1],
    ],
    np.float32,
)


def touches(rows: Any, lengths: Any) -> Corpus:
    events = np.array(rows, np.float64).reshape(-1, 4)
    return Corpus(events, np.array(lengths, np.int64), TOUCH, "a", "0")


def npz(path: Path, **held: Any) -> Path:
    np.savez_compressed(path, **held)
    return path


# Reading


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_touches_of_any_float_type_are_read_exactly(tmp_path: Path, kind: Any) -> None:
    # The name says nothing: the content does.
    with (tmp_path / "jam.dat").open("wb") as file:
        np.savez(file, touches=ROWS.astype(kind), lengths=np.array([3, 2], np.uint8))
    corpus = read(tmp_path / "jam.dat")
    assert (corpus.columns, corpus.name) == (TOUCH, "jam.dat")
    assert corpus.events.dtype == (np.float64 if kind is np.float64 else np.float32)
    assert corpus.lengths.dtype == np.int64
    np.testing.assert_array_equal(corpus.events, ROWS.astype(kind))
    np.testing.assert_array_equal(corpus.offsets, [0, 3, 5])
    parts = list(corpus.performances())
    assert [len(part) for part in parts] == [3, 2]
    assert all(np.shares_memory(part, corpus.events) for part in parts)
    digest = hashlib.sha256((tmp_path / "jam.dat").read_bytes()).hexdigest()
    assert corpus.sha256 == digest


def test_fortran_ordered_arrays_are_read(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", touches=np.asfortranarray(ROWS), lengths=[5])
    np.testing.assert_array_equal(read(path).events, ROWS)


def test_split_of_a_stroke_file_is_selected_by_name(tmp_path: Path) -> None:
    train = np.array([[1, 2, 0], [-3, 4, 1]], np.int16)
    path = npz(
        tmp_path / "k.npz",
        train_strokes=train,
        train_lengths=[2],
        test_strokes=train[:1],
        test_lengths=[1],
    )
    corpus = read(path)
    assert (corpus.columns, corpus.name) == (STROKE, "k.npz (train)")
    np.testing.assert_array_equal(corpus.events, train)
    assert len(read(path, split="test").events) == 1
    with pytest.raises(CorpusError, match="no split 'valid', only test, train"):
        read(path, split="valid")
    with pytest.raises(CorpusError, match="no split 'test': it is whole"):
        read(npz(tmp_path / "t.npz", touches=ROWS, lengths=[5]), split="test")


@has_corpus
def test_real_corpus_is_cleaned_and_dequantised_as_documented() -> None:
    kanji = read(CORPUS / "kanji_stroke3.npz", split="valid")
    assert (kanji.columns, kanji.events.shape, len(kanji.lengths)) == (STROKE, (25455, 3), 600)
    corpus = read(CORPUS / "microjam_val.npz")
    assert (corpus.events.shape, len(corpus.lengths)) == ((22_317, 4), 142)
    cleaned = clean(corpus)
    assert cleaned.dropped["performances of fewer than 2 touches"] == 1
    assert len(cleaned.events) == 22_316
    # The design's steps, word for word, one performance after the other.
    rng = np.random.default_rng(0)
    expected = []
    for part in corpus.performances():
        touch = part[~np.isnan(part).any(axis=1)].astype(np.float64)
        if len(touch) < 2:
            continue
        touch[:, :2] = np.clip(touch[:, :2], 0, 1)
        touch[:, 2] = np.clip(touch[:, 2], 0, 5)
        touch[0, 2] = 0
        touch[:, :2] += rng.random((len(touch), 2)) / 1024
        touch[:, 2] += rng.random(len(touch)) * 1e-3
        expected.append(touch)
    np.testing.assert_array_equal(dequantised(cleaned), np.concatenate(expected))


def test_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    npz(tmp_path / "b.npz", touches=ROWS, lengths=[5])
    npz(tmp_path / "a.npz", touches=ROWS, lengths=[5])
    (tmp_path / "c.jsonl").write_bytes(recorded([down(0, 0)]))
    (tmp_path / "notes.txt").write_text("not a performance")
    single = npz(tmp_path / "single.npz", touches=ROWS, lengths=[5])
    names = [corpus.name for corpus in read_all([single, tmp_path])]
    assert names == ["single.npz", "a.npz", "b.npz", "c.jsonl", "single.npz"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CorpusError, match="no performances in it"):
        list(read_all([empty]))


# Cleaning


def test_cleaning_counts_by_reason_and_leaves_its_input_unchanged() -> None:
    nan, inf = np.nan, np.inf
    corpus = touches(
        [
            [nan, 0.5, 0.0, 0],
            [1.5, 0.5, 3.0, 1],  # the first that is left: its dt becomes 0
            [-0.5, 0.5, -0.25, 1],
            [0.5, 0.5, nan, 1],
            [inf, -inf, inf, 1],
            [0.5, 0.5, 9.0, 0],  # alone
            [0.5, nan, 0.1, 0],  # one of two: what is left is alone
            [0.5, 0.5, 0.1, 0],
        ],
        [5, 1, 0, 2],
    )
    cleaned = clean(corpus)
    np.testing.assert_array_equal(
        cleaned.events, [[1.0, 0.5, 0.0, 1], [0.0, 0.5, 0.0, 1], [1.0, 0.0, 5.0, 1]]
    )
    np.testing.assert_array_equal(cleaned.lengths, [3])
    assert cleaned.dropped == {
        "touches with NaN": 3,
        "performances of fewer than 2 touches": 3,
        "first touches with dt made 0": 1,
        "touches with x clipped to 0..1": 3,
        "touches with y clipped to 0..1": 1,
        "touches with dt clipped to 0..5 s": 2,
    }
    assert np.isnan(corpus.events).any(), "cleaning is not to touch what it was given"


numbers = st.floats(-2, 8, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(st.lists(st.integers(0, 5), max_size=6), st.data())
def test_clean_touches_are_in_range_and_cleaning_is_idempotent(
    lengths: list[int], data: st.DataObject
) -> None:
    rows = data.draw(arrays.arrays(np.float32, (sum(lengths), 4), elements=numbers))
    cleaned = clean(touches(rows, lengths))
    events = cleaned.events
    assert cleaned.lengths.sum() == len(events)
    assert (cleaned.lengths >= 2).all()
    assert ((events[:, :2] >= 0) & (events[:, :2] <= 1)).all()
    assert ((events[:, 2] >= 0) & (events[:, 2] <= 5)).all()
    assert (events[cleaned.offsets[:-1], 2] == 0).all()
    again = clean(cleaned)
    np.testing.assert_array_equal(again.events, events)
    np.testing.assert_array_equal(again.lengths, cleaned.lengths)
    assert again.dropped == cleaned.dropped


def test_noise_is_reproducible_and_within_the_lattice() -> None:
    corpus = clean(touches(ROWS, [3, 2]))
    noise = dequantised(corpus) - corpus.events
    np.testing.assert_array_equal(dequantised(corpus) - corpus.events, noise)
    assert ((noise[:, :2] > 0) & (noise[:, :2] < 1 / 1024)).all()
    assert ((noise[:, 2] > 0) & (noise[:, 2] < 1e-3)).all()
    assert (noise[:, 3] == 0).all()
    # One performance's noise does not depend on those left out before it.
    with_short = clean(touches(np.concatenate([ROWS[:1], ROWS]), [1, 3, 2]))
    np.testing.assert_array_equal(dequantised(with_short), dequantised(corpus))


def test_stroke_offsets_get_noise_around_their_whole_numbers() -> None:
    events = np.array([[1, 2, 0], [3, -4, 1]], np.float32)
    corpus = Corpus(events, np.array([2]), STROKE, "k", "0")
    spread = dequantised(corpus)
    np.testing.assert_array_equal(np.round(spread), events)
    assert (spread[:, 2] == events[:, 2]).all()


# Sessions


def recorded(events: list[TouchEvent]) -> bytes:
    model = ModelRef(file="m", sha256="0")
    header = Header(
        started="2026-11-20", model=model, device="cpu", build="1", seed=0, options={}
    )
    return encode_header(header) + b"".join(map(encode, [*events, EndEvent(99.0, "quit")]))


def test_session_is_read_as_human_or_machine_performances(tmp_path: Path) -> None:
    path = tmp_path / "jam.jsonl"
    path.write_bytes(
        recorded(
            [
                down(0.0, 0, 0.1),
                move(0.5, 0, 0.2, dt=0.5),
                down(2.0, 0, 0.8, "ai", 0.25),
                down(2.1, 0, 0.6, "ai2", 0.35),
                move(2.5, 0, 0.7, "ai", 0.5),
                up(2.6, 0, "ai"),
            ]
        )
    )
    humans = read(path)
    np.testing.assert_array_equal(humans.lengths, [2])
    np.testing.assert_array_equal(humans.events, [[0.1, 0.5, 0.0, 0], [0.2, 0.5, 0.5, 1]])
    machine = read(path, machine=True)
    np.testing.assert_array_equal(machine.lengths, [2, 1])
    np.testing.assert_array_equal(
        machine.events, [[0.8, 0.5, 0.25, 0], [0.7, 0.5, 0.5, 1], [0.6, 0.5, 0.35, 0]]
    )


def test_session_is_parted_at_long_pauses(tmp_path: Path) -> None:
    path = tmp_path / "jam.jsonl"
    path.write_bytes(
        recorded(
            [
                down(0.0, 0, 0.1),
                move(0.5, 0, 0.2, dt=0.5),
                up(0.6, 0),
                down(29.5, 0, 0.3, dt=29.0),
                up(29.6, 0),
                down(59.6, 0, 0.4, dt=30.1),
                move(59.7, 0, 0.5, dt=0.1),
            ]
        )
    )
    humans = read(path)
    assert humans.lengths.tolist() == [3, 2]
    np.testing.assert_allclose(humans.events[:, 2], [0, 0.5, 29, 0, 0.1])
    assert humans.dropped == {"pauses of more than 30 s, at which it is parted": 1}


def test_session_without_human_touches_is_an_empty_corpus(tmp_path: Path) -> None:
    path = tmp_path / "jam.jsonl"
    path.write_bytes(recorded([down(0.0, 0, 0.1, "ai")]))
    corpus = read(path)
    assert (corpus.events.shape, corpus.lengths.shape) == ((0, 4), (0,))
    assert clean(corpus).events.shape == dequantised(clean(corpus)).shape == (0, 4)


def test_damaged_lines_of_a_session_are_counted_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "jam.jsonl"
    path.write_bytes(recorded([down(0.0, 0)]) + b"more\n")
    with pytest.raises(CorpusError, match=r"jam\.jsonl: line 4: is not JSON"):
        read(path, strict=True)
    corpus = read(path)
    assert corpus.dropped == {"damaged lines": 1}
    assert corpus.notes == ["damaged lines: 1 (line 4)"]
    path.write_bytes(recorded([down(0.0, 0)])[:-5])
    assert read(path).dropped == {"torn last line": 1}


# Refusals


def packed(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def header_of(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


REFUSED: dict[str, dict[str, Any]] = {
    r"holds arr_0, but no touches.*convert it": {"arr_0": ROWS[:, :2]},
    "has touches, but no lengths": {"touches": ROWS},
    r"must be \(N, 4\): x, y, dt, moving; it is \(5, 2\)": {
        "touches": ROWS[:, :2],
        "lengths": [5],
    },
    r"it is \(20,\)": {"touches": ROWS.ravel(), "lengths": [20]},
    "must be numbers; it is complex64": {"touches": ROWS.astype("c8"), "lengths": [5]},
    "must be numbers; it is <U1": {"touches": ROWS.astype("<U1"), "lengths": [5]},
    "must be numbers; it is bool": {"touches": ROWS > 0, "lengths": [5]},
    r"moving must be 0 or 1, and is 0.1 \(touch 2 of performance 1\)": {
        "touches": ROWS[:, [0, 1, 3, 2]],
        "lengths": [5],
    },
    "sum to the 5 rows of touches; they sum to 4": {"touches": ROWS, "lengths": [3, 1]},
    "holds a negative one, -1": {"touches": ROWS, "lengths": [6, -1]},
    "they sum to 18446744073709551616": {"touches": ROWS[:0], "lengths": [2**62] * 4},
    r"whole numbers \(P,\); it is float64": {"touches": ROWS, "lengths": [2.5, 2.5]},
    r"whole numbers \(P,\); it is int64 \(\)": {"touches": ROWS, "lengths": 5},
    "holds no performances": {"touches": ROWS[:0], "lengths": np.zeros(0, int)},
    "lengths must be numbers; it is <U1": {"touches": ROWS, "lengths": ["5"]},
}


@pytest.mark.parametrize("why", REFUSED)
def test_arrays_that_are_not_performances_are_refused(tmp_path: Path, why: str) -> None:
    path = npz(tmp_path / "a.npz", **REFUSED[why])
    with pytest.raises(CorpusError, match=why) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


class Trap:
    """Object that fails the test when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


@pytest.mark.parametrize("key", ["touches", "perfs"])
def test_pickle_is_refused_without_unpickling(tmp_path: Path, key: str) -> None:
    held = {key: np.array([Trap(), Trap()], object), "lengths": [1, 1]}
    with pytest.raises(CorpusError, match=f"{key} is pickled.*convert it"):
        read(npz(tmp_path / "a.npz", **held))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([Trap()]))
    with pytest.raises(CorpusError, match=r"a\.pkl: is a pickle.*convert it"):
        read(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 but no more", "is damaged"),
        (b"time,x,y\n", "has no line of 3 numbers"),
        (b"\x93NUMPY", "is damaged, or no .npy"),
        (b"{}\n", "is not a robojam session"),
    ],
)
def test_other_and_missing_files_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=why):
        read(path)
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(CorpusError, match="cannot be read"):
            read(missing)


def test_archive_whose_header_declares_another_size_is_refused(tmp_path: Path) -> None:
    lengths = header_of((1,), "<i8") + (5).to_bytes(8, "little")
    for shape in ((2**40, 4), (5, 4), (-1, 4), (2**62, 2**62), (0, -4)):
        data = header_of((1, 4)).replace(b"(1, 4)", f"{shape}".encode())
        # The header's length is written before it, and is made to fit again.
        data = data[:8] + (len(data) - 10).to_bytes(2, "little") + data[10:] + b"\0" * 16
        path = packed(tmp_path / "a.npz", touches=data, lengths=lengths)
        with pytest.raises(CorpusError, match=r"a\.npz: touches is broken"):
            read(path)


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    rows = 5_000_000
    data = header_of((rows, 4)) + b"\0" * (rows * 16)
    path = packed(
        tmp_path / "bomb.npz", touches=data, lengths=header_of((1,), "<i8") + b"\0" * 8
    )
    with pytest.raises(CorpusError, match="times its size; 100 times is the most"):
        read(path)
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"PK\x01\x02"))
    raw[entry + 24 : entry + 28] = (4_294_000_000).to_bytes(4, "little")
    raw[entry + 20 : entry + 24] = (4_294_000_000).to_bytes(4, "little")
    path.write_bytes(raw)  # its directory lies about the sizes
    with pytest.raises(CorpusError, match=r"bomb\.npz: "):
        read(path)


def test_array_larger_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = npz(tmp_path / "a.npz", touches=ROWS, lengths=[5])
    monkeypatch.setattr("robojam.corpus.formats.arrays._MOST_BYTES", 200)
    with pytest.raises(CorpusError, match=r"touches unpacks to .* is the most: split it"):
        read(path)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_archive_gives_all_touches_or_a_corpus_error(
    damage: list[tuple[int, int]],
) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, touches=ROWS, lengths=[3, 2])
    raw = bytearray(buffer.getvalue())
    for place, byte in damage:
        raw[place % len(raw)] = byte
    with TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.npz"
        path.write_bytes(raw)
        with suppress(CorpusError):
            assert read(path).events.shape == (5, 4)
