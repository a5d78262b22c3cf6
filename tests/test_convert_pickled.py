"""The converter of pickled files: what it makes is read, and nothing harmful is opened."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import run

from robojam.corpus.corpus import STROKE, CorpusError
from robojam.corpus.formats import read
from robojam.model.event import TOUCH, knob_columns

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)


def drawings(count: int) -> list[np.ndarray[Any, Any]]:
    """Return drawings as sketch-rnn stores them: int16 (n, 3) of dx, dy, pen lifted."""
    return [
        np.column_stack([RNG.integers(-50, 50, (n, 2)), np.arange(n) % 5 == 4]).astype(np.int16)
        for n in range(20, 20 + count)
    ]


def ragged(parts: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def touches(width: int) -> list[np.ndarray[Any, Any]]:
    return [
        np.column_stack([RNG.random((n, 2)), np.full(n, 0.02), np.arange(n) > 0])[:, :width]
        for n in (12, 15, 18)
    ]


def converted(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = ROOT / "examples" / "convert_pickled.py"
    command = [sys.executable, program, path, "--to", path.with_name("to.npz"), *arguments]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env={**os.environ, "TERM": ""}
    )


def test_sketch_rnn_file_is_converted_and_trained_on(tmp_path, capsys):
    made = {"train": drawings(12), "valid": drawings(4), "test": drawings(5)}
    path = tmp_path / "kanji.npz"
    np.savez_compressed(path, **{name: ragged(parts) for name, parts in made.items()})
    with pytest.raises(CorpusError) as caught:
        read(path)
    message = str(caught.value)
    assert "train_strokes=…, train_lengths=…" in message
    assert "touches" not in message  # strokes read as touches would be clipped
    assert "examples/convert_pickled.py" in message
    result = converted(path)
    assert (result.returncode, result.stderr) == (0, "")
    for split, parts in made.items():
        found = read(tmp_path / "to.npz", split=split)
        assert found.columns == STROKE
        assert found.lengths.tolist() == [len(part) for part in parts]
        np.testing.assert_array_equal(found.events, np.concatenate(parts))
    with np.load(tmp_path / "to.npz") as archive:
        assert archive["train_strokes"].dtype == np.int16
    train = ["train", tmp_path / "to.npz", "--to", tmp_path / "m"]
    sizes = "--passes 1 --width 8 --components 2 --hidden 8".split()
    assert run(capsys, *train, *sizes)[0] == 0


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_every_protocol_are_converted(protocol, tmp_path):
    parts = drawings(3)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(parts, protocol))
    assert converted(path).returncode == 0
    np.testing.assert_array_equal(read(tmp_path / "to.npz").events, np.concatenate(parts))


def test_pickle_of_python_2_is_converted(tmp_path):
    # What Python 2 and numpy 1 write for [array([[1, 2, 0], [3, 4, 1]], int16)], protocol 0.
    path = tmp_path / "a.cpkl"
    path.write_bytes(
        b"(lp1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\n"
        b"S'b'\np5\ntp6\nRp7\n(I1\n(I2\nI3\ntp8\ncnumpy\ndtype\np9\n(S'i2'\np10\nI0\nI1\ntp11\n"
        b"Rp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
        b"S'\\x01\\x00\\x02\\x00\\x00\\x00\\x03\\x00\\x04\\x00\\x01\\x00'\np15\ntp16\nba."
    )
    assert converted(path).returncode == 0
    found = read(tmp_path / "to.npz")
    assert found.columns == STROKE
    np.testing.assert_array_equal(found.events, [[1, 2, 0], [3, 4, 1]])


@pytest.mark.parametrize("width", [3, 4])
def test_touches_are_converted(width, tmp_path):
    parts = touches(width)
    np.save(tmp_path / "a.npy", ragged(parts), allow_pickle=True)
    assert converted(tmp_path / "a.npy").returncode == 0
    found = read(tmp_path / "to.npz")
    assert (found.columns, found.lengths.tolist()) == (TOUCH, [12, 15, 18])
    np.testing.assert_allclose(found.events[:, :width], np.concatenate(parts), atol=1e-7)


def test_data_set_of_impsy_is_converted_to_the_order_of_touches(tmp_path):
    parts = [part[:, [2, 0, 1]] for part in touches(3)]
    np.savez(tmp_path / "a.npz", perfs=ragged(parts))
    with pytest.raises(CorpusError, match=r"perfs is pickled.*touches=…, lengths=…"):
        read(tmp_path / "a.npz")
    assert converted(tmp_path / "a.npz").returncode == 0
    found = read(tmp_path / "to.npz")
    np.testing.assert_allclose(found.events[:, 2], 0.02)


class Harmful:
    """Object whose pickle makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("form", ["pkl", "npz", "codec"])
def test_pickle_that_wants_more_than_arrays_is_not_opened(form, tmp_path):
    path, folder = tmp_path / "a.data", tmp_path / "made"
    if form == "npz":
        np.savez(path.with_suffix(".npz"), train=np.array([Harmful(folder)], object))
        path = path.with_suffix(".npz")
    elif form == "codec":
        path.write_bytes(b"c_codecs\nencode\n(Vabc\nVhex\ntR.")
    else:
        path.write_bytes(pickle.dumps([Harmful(folder)]))
    result = converted(path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "wants more than arrays" in result.stderr
    assert ("mkdir" in result.stderr) == (form != "codec")
    assert not folder.exists()
    assert not (tmp_path / "to.npz").exists()


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"hello", "damaged"),
        (b"PK\x03\x04", "not a zip file"),
        (b"", "damaged"),
        (pickle.dumps(["a"]), "it has a str where an array should be"),
        (pickle.dumps([np.zeros((3, 7))]), "numbers, not 3 or 4"),
        (pickle.dumps([]), "no arrays"),
    ],
)
def test_other_files_are_refused_in_one_line(held, why, tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(held)
    result = converted(path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert why in result.stderr
    assert converted(tmp_path / "none").stderr.count("\n") == 1


def test_kanji_example_refuses_a_pickled_corpus_in_one_message(tmp_path):
    np.savez(tmp_path / "k.npz", train=ragged(drawings(3)))
    command = [sys.executable, str(ROOT / "examples" / "kanji.py"), str(tmp_path / "k.npz")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "train_strokes=…, train_lengths=…" in result.stderr


@pytest.mark.parametrize("values", [1, 3, 8])
def test_impsy_data_set_of_another_dimension_becomes_knobs(values, tmp_path):
    parts = [RNG.random((n, values + 1)) for n in (12, 15)]
    path = tmp_path / "impsy.npz"
    np.savez_compressed(path, perfs=ragged(parts))
    result = converted(path)
    assert (result.returncode, result.stderr) == (0, "")
    found = read(tmp_path / "to.npz")
    assert found.columns == knob_columns(values)
    assert found.lengths.tolist() == [12, 15]
    rows = np.concatenate(parts).astype(np.float32)
    np.testing.assert_array_equal(found.events[:, :-2], rows[:, 1:])
    np.testing.assert_array_equal(found.events[:, -2], rows[:, 0])
