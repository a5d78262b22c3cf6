"""Faulty performances and sessions, and the messages of the commands about them."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import run
from support.recordings import JAM

NAN, INF = np.nan, np.inf
HEAD = "time, x, y, z, moving\n"
GOOD = "0.0, 0.5, 0.5, 1, 0\n0.1, 0.6, 0.5, 1, 1\n"
LOG = "2024-06-12T12:34:5{0},interface,0.{0},0.25\n"


def rows(*changed: tuple[int, int, float], count: int = 6) -> np.ndarray[Any, Any]:
    """A performance in order but for some values: (touch from 1, column, value)."""
    made = np.full((count, 4), 0.5, np.float32)
    made[:, 2:] = 0.1, 1
    made[:1, 2:] = 0
    for touch, column, value in changed:
        made[touch - 1, column] = value
    return made


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def played(*performances: np.ndarray[Any, Any]) -> bytes:
    lengths = [len(performance) for performance in performances]
    return npz(touches=np.concatenate(performances), lengths=lengths)


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


def bomb() -> bytes:
    file = io.BytesIO()
    touches = npy(np.zeros((5_000_000, 4), np.float32))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("touches.npy", touches)
        archive.writestr("lengths.npy", npy(np.array([5_000_000])))
    return file.getvalue()


Held = bytes | Callable[[], bytes]

#: A file's name, what is in it, and what is said of it, line for line: some is left.
MENDED: dict[str, tuple[str, Held, list[str]]] = {
    "NaN": (
        "a.npz",
        played(rows(), rows((2, 0, NAN), (5, 2, NAN))),
        ["touches with NaN: 2 (touches 2, 5 of performance 2)"],
    ),
    "much NaN": (
        "a.npz",
        played(rows(*[(i, 1, NAN) for i in (1, 2, 3, 4)])),
        [
            "touches with NaN: 4 (touches 1, 2, 3 of performance 1, …)",
            "first touches with dt made 0: 1 (touch 5 of performance 1)",
        ],
    ),
    "NaN in text": (
        "a.csv",
        (
            HEAD + GOOD + "0.2, nan, 0.5, 1, 1\nnan, 0.5, 0.5, 1, 1\n0.3, 0.5, 0.5, 1, 1\n"
        ).encode(),
        ["touches with NaN: 2 (lines 4, 5)"],
    ),
    "negative and enormous dt": (
        "a.npz",
        played(rows((3, 2, -0.5)), rows((4, 2, 1e30), (5, 2, INF), (6, 2, 7))),
        [
            "touches with dt clipped to 0..5 s: 4 (touch 3 of performance 1, touches 4, 5 of "
            "performance 2, …)"
        ],
    ),
    "time that goes back, and far": (
        "a.csv",
        (
            HEAD + GOOD + "0.095, 0.5, 0.5, 1, 1\n0.2, 0.5, 0.5, 1, 1\n"
            "0.3, 0.5, 0.5, 1, 1\n1e9, 0.5, 0.5, 1, 1\n"
        ).encode(),
        [
            "pauses of more than 30 s, at which it is parted: 1 (line 7)",
            "performances of fewer than 2 touches: 1 (performance 2)",
            "touches with dt clipped to 0..5 s: 1 (line 4)",
        ],
    ),
    "off the screen": (
        "a.npz",
        played(rows((2, 0, 1.5), (3, 1, -7), (4, 1, -INF), count=12)),
        [
            "touches with x clipped to 0..1: 1 (touch 2 of performance 1)",
            "touches with y clipped to 0..1: 2 (touches 3, 4 of performance 1)",
        ],
    ),
    "off the screen, in text": (
        "a.csv",
        (HEAD + GOOD * 3 + "0.2, 1.5, -0.1, 1, 1\n").encode(),
        [
            "touches with x clipped to 0..1: 1 (line 8)",
            "touches with y clipped to 0..1: 1 (line 8)",
        ],
    ),
    "wrong columns in some lines": (
        "a.csv",
        (HEAD + GOOD + "0.2, 0.5\n\nhello\n0.3, 0.5, 0.5, 1, 1, 1\n1,2\n").encode(),
        ["lines that are not 5 numbers: 4 (lines 4, 6, 7, …)"],
    ),
    "empty and one-touch performances": (
        "a.npz",
        played(rows(count=0), rows(), rows(count=1)),
        ["performances of fewer than 2 touches: 2 (performances 1, 3)"],
    ),
    "a log that breaks off": (
        "a.log",
        (LOG.format(1) + LOG.format(2) + "2024-06-12T12:3").encode(),
        ["lines that are not a time, a name and 2 numbers: 1 (line 3)"],
    ),
    "a log with pressure": (
        "a.log",
        (LOG.format(1) + LOG.format(2)).replace("5\n", "5,0.5\n").encode(),
        ["third numbers (a touch has x and y): 2"],
    ),
    "a session with a bad line": (
        "a.jsonl",
        JAM.replace(b'"x":0.1', b'"x":7.5'),
        ["damaged lines: 1 (line 6)"],
    ),
    "a torn session": ("a.jsonl", JAM + b'{"t": 9.9, "who', ["torn last line: 1"]),
}

#: A file's name, what is in it, and what is said: nothing is left.
REFUSED: dict[str, tuple[str, Held, str]] = {
    "wrong columns": ("a.npz", npz(touches=np.zeros((5, 7)), lengths=[5]), "it is (5, 7)"),
    "columns in another order": (
        "a.npz",
        played(rows()[:, ::-1]),
        "moving must be 0 or 1, and is 0.5 (touch 1 of performance 1): are its columns x, y, "
        "dt, moving, in this order?",
    ),
    "moving that is neither": (
        "a.csv",
        (HEAD + GOOD + "0.2, 0.5, 0.5, 1, 7\n").encode(),
        "moving must be 0 or 1, and is 7 (line 4)",
    ),
    "a CSV without x": ("a.csv", b"time, y, z\n0, 1, 2\n", "a CSV whose first line names x, y"),
    "a CSV with heads alone": ("a.csv", HEAD.encode(), "has no line of 5 numbers"),
    "a decimal comma": (
        "a.csv",
        b"time,x,y,z,moving\n0,0,0,5,0,5,1,0,0\n0,1,0,5,0,5,1,0,1\n",
        "is a comma its decimal point? Write it with a point",
    ),
    "ragged lengths": (
        "a.npz",
        npz(touches=rows(), lengths=[2, 2]),
        "lengths must sum to the 6 rows of touches; they sum to 4",
    ),
    "negative lengths": ("a.npz", npz(touches=rows(), lengths=[7, -1]), "a negative one, -1"),
    "no lengths": ("a.npz", npz(touches=rows()), "has touches, but no lengths"),
    "ragged performances": (
        "a.npz",
        npz(perfs=np.array([rows(), rows(count=2)], object)),
        "perfs is pickled, which robojam never opens: convert it",
    ),
    "other arrays": ("a.npz", npz(weights=np.zeros(4)), "holds weights, but no touches"),
    "text in arrays": (
        "a.npz",
        npz(touches=np.full((2, 4), "a"), lengths=[2]),
        "touches must be numbers; it is <U1",
    ),
    "an empty file": ("a.npz", b"", "is empty"),
    "a pickle": ("a.pkl", pickle.dumps([rows()]), "is a pickle, which robojam never opens"),
    "a torn archive": ("a.npz", played(rows())[:-40], "is damaged, or no .npz"),
    "a zip bomb": ("a.npz", bomb, "touches unpacks to"),
    "a newer session": (
        "a.jsonl",
        JAM.replace(b'"robojam":1', b'"robojam":9'),
        "line 1: was made by a newer robojam (format 9): update robojam",
    ),
    "another instrument's log": (
        "a.log",
        b"2024-06-12T12:34:56,interface" + b",0.5" * 17 + b"\n",
        "has 17 values a line, and an event of knobs has 16 at most",
    ),
    "pixels in some lines": (
        "a.csv",
        (HEAD + GOOD * 3 + GOOD.replace("0.6, 0.5", "600, 500") * 3).encode(),
        "y goes from 0.5 to 500, outside 0..1 in 3 of 12 touches (lines 9, 11, 13). Are its",
    ),
    "seconds and milliseconds": (
        "a.csv",
        b"dt,x,y\n" + b"0.02,0.5,0.5\n" * 10 + b"20,0.5,0.5\n" * 20,
        "is heard every 20 s, but others are in another unit of time. Are its",
    ),
    "minutes": (
        "a.csv",
        b"dt,x,y\n" + b"0.0003,0.5,0.5\n" * 11,
        "every 0.0003 s or less, as no surface reports it: its times stand still, are rounded",
    ),
    "a clock that stands still": (
        "a.csv",
        (HEAD + GOOD[:21] + "0.0,0.5,0.5,1,1\n" * 10).encode(),
        "a finger that slides is heard every 0 s or less",
    ),
    "decimal commas in quotes": (
        "a.csv",
        b'time,x,y\n"0,1","0,5","0,5"\n',
        "line 2: time is '0,1', not a number: is a comma its decimal point? Write",
    ),
    "times of day": (
        "a.csv",
        b"time,x,y\n12:00:00.5,0.5,0.5\n",
        "time is '12:00:00.5', not a number of seconds, nor a date and time such as 2026-",
    ),
    "a compressed CSV": ("a.csv", gzip.compress(GOOD.encode()), "compressed by gzip: decomp"),
    "a zip of CSVs": ("a.zip", zipped("a.csv", "b.csv"), "archive of a.csv, b.csv: unpack it"),
    "a spreadsheet": (
        "a.xlsx",
        zipped("xl/workbook.xml"),
        "a spreadsheet: save its touches as",
    ),
    "a list in JSON": ("a.json", b'[{"x": 0.5}]', "is JSON, and no robojam session: write its"),
    "JSON Lines": (
        "a.jsonl",
        b'{"x": 0.5}\n' * 2,
        'has no "robojam"; write its touches as a CSV',
    ),
    "a picture": ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "is neither arrays (.npz, .npy), a CSV"),
}

#: A file's name and what is in it: all of it is left out.
NOTHING_LEFT: dict[str, tuple[str, Held]] = {
    "nothing but one touch": ("a.npz", played(rows(count=1))),
    "nothing but NaN": ("a.npz", played(np.full((5, 4), NAN))),
    "a session of a head alone": ("a.jsonl", JAM.partition(b"\n")[0]),
}


def file(folder: Path, name: str, held: Held) -> Path:
    (folder / name).write_bytes(held if isinstance(held, bytes) else held())
    return folder / name


@pytest.mark.parametrize("case", MENDED)
def test_dropped_and_changed_touches_are_reported_with_their_places(case, tmp_path, capsys):
    name, held, message = MENDED[case]
    path, to = file(tmp_path, name, held), tmp_path / "to.npz"

    def left_out(of: Path, *more: object) -> list[str]:
        status, out, err = run(capsys, "corpus", of, *more)
        assert (status, err) == (0, "")
        return [line.strip() for line in out.partition("\n\n")[0].splitlines()[1:]]

    assert left_out(path, "--to", to) == message
    assert left_out(to) == []  # what was made of it is in order


@pytest.mark.parametrize("case", REFUSED)
def test_unreadable_file_is_refused_with_its_reason_by_every_command(case, tmp_path, capsys):
    name, held, message = REFUSED[case]
    path, to = file(tmp_path, name, held), tmp_path / "to"
    for command in (
        ["corpus", path, "--to", to.with_suffix(".npz")],
        ["train", path, "--to", to.with_suffix(".safetensors")],
        ["generate", "--from", path, "--to", to.with_suffix(".csv")],
    ):
        status, _, err = run(capsys, *command)
        assert status == 2
        assert all(line.startswith("robojam: ") for line in err.splitlines())
        assert f"robojam: {path}: " in err
        assert message in err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("case", NOTHING_LEFT)
def test_file_without_clean_performances_ends_each_command_with_status_2(
    case, tmp_path, capsys
):
    name, held = NOTHING_LEFT[case]
    path = file(tmp_path, name, held)
    for command, message in [
        (["corpus", path, "--to", tmp_path / "to.npz"], "nothing is left: no performance of"),
        (["train", path, "--to", tmp_path / "to"], f"{name} has no performance of two events"),
        (["generate", "--from", path, "--to", tmp_path / "to.csv"], "holds no performance of"),
    ]:
        status, _, err = run(capsys, *command)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err
    assert list(tmp_path.iterdir()) == [path]


def test_session_without_human_touches_is_refused_with_advice(tmp_path, capsys):
    path, to = tmp_path / "a.jsonl", tmp_path / "b.npz"
    assert run(capsys, "generate", "--seed", 2, "--to", path)[0] == 0
    for command in ("corpus", "train", "generate --from"):
        status, out, err = run(capsys, *command.split(), path, "--to", to)
        assert status == 2
        assert "touches, all by the machine (with --machine they are read): " in out + err
    assert not to.exists()
    assert run(capsys, "generate", "--from", path, "--machine", "--to", to)[0] == 0
    assert run(capsys, "corpus", path, "--machine")[0] == 0


def test_folder_without_performances_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("remember the milk\n")
    for command in ("corpus", "train"):
        status, _, err = run(capsys, command, tmp_path, "--to", tmp_path / "to.npz")
        assert status == 2
        assert f"robojam: {tmp_path}: has no performances in it" in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_named_pipe_in_a_folder_is_left_out_without_reading(tmp_path, capsys):
    os.mkfifo(tmp_path / "a.csv")
    file(tmp_path, "good.csv", (HEAD + GOOD).encode())
    status, out, err = run(capsys, "corpus", tmp_path)
    assert status == 0
    assert "in all         1 performance, 2 touches" in out
    assert "a.csv: is no regular file" in err


def test_folder_with_a_bad_file_is_read_without_it(tmp_path, capsys):
    file(tmp_path, "bad.npz", b"hello")
    file(tmp_path, "good.csv", (HEAD + GOOD).encode())
    status, out, err = run(capsys, "corpus", tmp_path)
    assert (status, err.count("\n")) == (0, 1)
    assert "bad.npz: " in err
    assert "in all         1 performance, 2 touches" in out


def test_pickled_array_ends_a_real_process_with_status_2_and_no_traceback(tmp_path):
    path = file(tmp_path, "a.npz", npz(perfs=np.array([{}], object)))
    left = subprocess.run(
        [sys.executable, "-m", "robojam", "corpus", path], capture_output=True, text=True
    )
    assert left.returncode == 2
    assert left.stdout == ""
    assert [line.partition(": ")[0] for line in left.stderr.splitlines()] == ["robojam"]
