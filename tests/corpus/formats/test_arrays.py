"""Arrays that are damaged, or made to harm: refused in one line, in little memory."""

from __future__ import annotations

import io
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robojam.corpus.corpus import Corpus, CorpusError
from robojam.corpus.formats import read

TOUCHES = np.tile(np.float32([[0.5, 0.5, 0.02, 1.0]]), (6, 1))
TOUCHES[0, 2:] = 0


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def claimed(shape: object, dtype: str = "<f4", data: bytes = b"", *, version: int = 1) -> bytes:
    """An .npy that claims a shape and a type, whatever its data."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def zipped(path: Path, *, compressed: bool = False, **members: bytes) -> Path:
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (npy(np.int64(6)), r"lengths must be whole numbers \(P,\); it is int64 \(\)"),
        (npy([[6]]), r"it is int64 \(1, 1\)"),
        (npy([6.0]), "it is float64"),
        (npy(["6"]), "must be numbers"),
        (npy([6 + 0j]), "must be numbers"),
        (npy([True]), "must be numbers"),
        (npy(np.array([], np.int64)), "no performances"),
        (npy([-1, 7]), "negative"),
        (npy([2**62, 2**62, 2**62, 2**62, 6]), "must sum to the 6 rows"),
        (npy(np.uint64([2**64 - 1])), "must sum to the 6 rows"),
        (claimed((10**12,), "<i8"), "broken"),
        (claimed((1,), "|O"), "pickled"),
        (claimed((1,), "<f4" * 9), "damaged"),
        (claimed((-1,), "<i8"), "broken|damaged"),
        (claimed((10**30,), "<i8"), "broken|damaged"),
        (claimed(6, "<i8"), "damaged"),
        (claimed((1,), [("a", "<i8")], bytes(8)), "must be numbers"),  # type: ignore[arg-type]
        (b"", "damaged"),
    ],
)
def test_lengths_of_another_kind_are_refused(tmp_path, lengths, message):
    path = zipped(tmp_path / "a.npz", touches=npy(TOUCHES), lengths=lengths)
    assert re.search(message, refusal(path))


@pytest.mark.parametrize(
    "touches",
    [
        npy(np.float32(1)), npy(np.zeros(6, np.float32)), npy(np.zeros((6, 4, 1), np.float32)),
        npy(np.zeros((6, 4), complex)), npy(np.zeros((6, 4), "U3")),
        npy(np.zeros((6, 4), "M8[s]")), npy(np.zeros((6, 7), np.float32)),
        npy(np.zeros((6, 4), np.longdouble)), claimed((10**10, 4)), claimed((0, 10**18)),
        claimed((6, 4), "(1000000,)<f4"), claimed((6, 0)),
    ],
)  # fmt: skip
def test_touches_of_another_kind_are_refused(tmp_path, touches):
    refusal(zipped(tmp_path / "a.npz", touches=touches, lengths=npy([6])))
    (tmp_path / "a.npy").write_bytes(touches)
    refusal(tmp_path / "a.npy")


def test_fortran_order_and_big_endian_are_read(tmp_path):
    for array in (np.asfortranarray(TOUCHES), TOUCHES.astype(">f4"), TOUCHES.astype(">f8")):
        path = zipped(tmp_path / "a.npz", touches=npy(array), lengths=npy([6]))
        np.testing.assert_array_equal(read(path).events[:], TOUCHES)


def test_any_number_of_performances_of_no_touches_takes_no_memory(tmp_path):
    path = zipped(tmp_path / "a.npz", perfs=claimed((10**9, 0, 4)))
    tracemalloc.start()
    try:
        assert "no performances" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_bombs_are_refused_without_their_memory(tmp_path):
    bomb = tmp_path / "a.npz"
    zeros = bytes(50_000_000)
    one = claimed((3_125_000, 4), data=zeros)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.npy", one)
        archive.writestr("b.npy", one)
        header = b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little")
        with archive.open("c.npy", "w", force_zip64=True) as file:
            file.write(header + zeros)
    tracemalloc.start()
    try:
        assert "damaged" in refusal(bomb)  # a header of 4 GB
        zipped(bomb, compressed=True, a=one, b=one)
        tracemalloc.reset_peak()
        assert "2 arrays" in refusal(bomb) or "a unpacks to" in refusal(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_members_that_share_their_bytes_are_refused(tmp_path):
    data = claimed((6, 4), data=TOUCHES.tobytes())
    path = zipped(tmp_path / "a.npz", a=data, b=data)
    raw = bytearray(path.read_bytes())
    second = raw.rindex(b"PK\x01\x02")
    at = raw.index(b"PK\x01\x02")
    raw[second + 42 : second + 46] = raw[at + 42 : at + 46]  # both begin where the first does
    path.write_bytes(raw)
    refusal(path)


def test_name_that_leads_out_of_the_archive_writes_nothing(tmp_path):
    path = zipped(tmp_path / "a.npz", **{"../out": npy(TOUCHES)})
    assert len(read(path).events) == 6  # its content alone is read
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("touches.npy", npy(TOUCHES))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("touches.npy", npy(TOUCHES))
    assert "more than once" in refusal(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["a.npz", "b.npz", "a.npy"]),
    at=st.integers(0, 700),
    data=st.binary(min_size=1, max_size=9),
    cut=st.integers(0, 40),
)
def test_changed_bytes_give_a_corpus_or_a_corpus_error(tmp_path, name, at, data, cut):
    path = tmp_path / name
    if name.endswith(".npy"):
        path.write_bytes(npy(TOUCHES))
    else:
        zipped(path, compressed=name == "b.npz", touches=npy(TOUCHES), lengths=npy([6]))
    raw = path.read_bytes()
    raw = raw[:at] + data + raw[at + len(data) :]
    path.write_bytes(raw[: len(raw) - cut if cut < 10 else len(raw)])
    try:
        corpus = read(path)
    except CorpusError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(corpus, Corpus)
