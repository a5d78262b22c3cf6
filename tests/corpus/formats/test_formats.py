"""Performances in other programs' formats: recognised by content, bad lines reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CORPUS, has_corpus
from support.recorder import HEADER, touch

from robojam.corpus import infer_phase
from robojam.corpus.corpus import CorpusError, clean, join, write
from robojam.corpus.formats import read, read_all, tables
from robojam.corpus.summary import summarise
from robojam.corpus.units import Units, parse
from robojam.model.event import TOUCH
from robojam.sessions.session import encode, encode_header

MICROJAM = "time, x, y, z, moving\n0.0, 0.5, 0.5, 38.2, 0\n0.25, 0.6, 0.5, 38.2, 1\n"
IMPSY = (
    "2024-06-12T12:34:56.500000,interface,0.5,0.25\n"
    "2024-06-12T12:34:56.750000,rnn,0.9,0.9\n"
    "2024-06-12T12:34:57,interface,0.6,0.25\n"
)


def text(folder: Path, held: str, name: str = "data") -> Path:
    (folder / name).write_text(held, "utf-8")
    return folder / name


def test_microjam_csv_is_read(tmp_path):
    found = read(text(tmp_path, MICROJAM))
    assert (found.source, found.columns, found.inferred) == ("CSV", TOUCH, 0)
    np.testing.assert_array_equal(found.events, [[0.5, 0.5, 0, 0], [0.6, 0.5, 0.25, 1]])
    assert found.dropped == {}


@pytest.mark.parametrize(
    "held",
    [
        MICROJAM.replace("\n", "\r\n"),
        "\ufeff" + MICROJAM,
        MICROJAM.replace(" ", ""),
        MICROJAM.rstrip("\n"),
        MICROJAM.replace("\n0.25", "\n\n0.25"),
        MICROJAM.replace(", ", ";").replace(".", ","),  # as a spreadsheet in Oslo writes it
        '"time","x","y","z","moving"\n' + MICROJAM.partition("\n")[2],
        "y,dt,x,moving\n0.5,0,0.5,0\n0.5,0.25,0.6,1\n",
        MICROJAM.replace("\n", "\r"),
        MICROJAM.replace("\n", ",,\n"),
        MICROJAM.replace(", ", "\t"),
        MICROJAM.replace(", ", "\t").replace(".", ","),
        "# " + MICROJAM.replace(",", ""),  # as numpy's savetxt writes it
        MICROJAM.upper(),
        MICROJAM.replace("38.2", "soft"),
        MICROJAM.replace("38.2", '"hard, and soft"'),
        MICROJAM.replace("38.2", ""),
        MICROJAM.replace(", 0\n", ", False\n").replace(", 1\n", ", True\n"),
        MICROJAM.replace(", 0\n", ", 0.0\n").replace(", 1\n", ", 1.0\n"),
        ",time,x,y,z,moving\n0,0.0,0.5,0.5,1,0\n1,0.25,0.6,0.5,1,1\n",  # with pandas' index
        "time,x,y,moving\n2024-06-12T12:00:00,0.5,0.5,0\n2024-06-12 12:00:00.25,0.6,0.5,1\n",
        "time,x,y,moving\n2024-06-12T23:59:59.9Z,0.5,0.5,0\n"
        "2024-06-13T02:00:00.15+02:00,0.6,0.5,1\n",
    ],
)
def test_csv_dialects_give_the_same_touches(held, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(held.encode())
    np.testing.assert_allclose(
        read(path).events, [[0.5, 0.5, 0, 0], [0.6, 0.5, 0.25, 1]], atol=1e-12
    )
    assert read(path).dropped == {}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("held", [MICROJAM, IMPSY])
def test_text_in_other_encodings_is_read(encoding, held, tmp_path):
    plain = read(text(tmp_path, held, "plain"))
    (tmp_path / "data").write_bytes(held.encode(encoding))
    np.testing.assert_array_equal(read(tmp_path / "data").events, plain.events)


def test_time_that_starts_again_at_0_starts_a_performance(tmp_path):
    body = MICROJAM.partition("\n")[2]
    assert read(text(tmp_path, MICROJAM + body + body)).lengths.tolist() == [2, 2, 2]


def test_malformed_lines_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_BLOCK", 64)  # several blocks, and lines across them
    bad = "what, is, this, 1, 0\n1, 2\n0.3, 0.6, nan, 1, 1\n0.2, -0.1, 7, 1, 1\n"
    found = read(text(tmp_path, MICROJAM + bad + "0.4, 0.7, 0.5, 1, 1, 9\n0.5,1,1,1,1\n" * 9))
    assert len(found.events) == 4 + 9
    assert found.dropped == {"lines that are not 5 numbers": 2 + 9}
    assert found.lengths.tolist() == [3, 10]  # time went back
    cleaned = clean(found)
    assert cleaned.dropped["touches with NaN"] == 1
    assert cleaned.dropped["touches with x clipped to 0..1"] == 1


def test_unreadable_text_is_refused_with_advice(tmp_path):
    comma = "time,x,y,z,moving\n0,0,0,5,0,5,1,0,0\n"
    for held, message in [
        (comma, "line 2: it has 9 fields, not 5: is a comma its decimal point"),
        ("time,x,y,moving\n0,1,1,maybe\n", "line 2: moving is 'maybe', not a number"),
        ("time,x,y\n0,1,1\nx,y,time\n", "line 3 names other columns than line 1 does"),
        ("0,0.5,0.5,1\n", "4 numbers a line and no names: put a line of names before"),
        ("frame,x,y\n0,1,1\n", "first line is 'frame,x,y'"),
        ("time,x,y,z,moving\n", "no line of 5 numbers"),
        ("time,x,y,moving\n0,1,1,0.5\n", "moving must be 0 or 1"),
        ("a,b\n1,2\n", "is neither"),
        ("\n", "is empty"),
    ]:
        with pytest.raises(CorpusError, match=message):
            read(text(tmp_path, held))


def test_impsy_log_is_read_by_source(tmp_path):
    path = text(tmp_path, IMPSY + "torn, line\n")
    found = read(path)
    assert (found.source, found.inferred) == ("IMPSY log", 2)
    np.testing.assert_allclose(found.events[:, :3], [[0.5, 0.25, 0], [0.6, 0.25, 0.5]])
    assert found.dropped == {"lines that are not a time, a name and 2 numbers": 1}
    machine = read(path, machine=True)
    np.testing.assert_allclose(machine.events, [[0.9, 0.9, 0, 0]])
    alone = read(text(tmp_path, IMPSY.replace("interface", "rnn")))
    assert alone.dropped == {"touches, all by rnn (with --machine they are read)": 3}


def test_impsy_log_of_another_width_or_with_a_wrong_time_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="17 values a line"):
        read(text(tmp_path, "2024-06-12T12:34:56,interface" + ",0.5" * 17 + "\n"))
    with pytest.raises(
        CorpusError, match=r"line 1: time is '2024-16-12T12:34:56\.500000', not a date and"
    ):
        read(text(tmp_path, IMPSY.replace("-06-", "-16-")))
    found = read(text(tmp_path, IMPSY.replace("\n", ",0.7\n")))  # with a pressure
    assert len(found.events) == 2


def test_arrays_of_performances_of_several_shapes_are_read(tmp_path):
    one, two = np.random.default_rng(0).random((2, 20, 3))
    np.savez(tmp_path / "a.npz", one, two[:7])
    np.save(tmp_path / "b.npy", one)
    np.save(tmp_path / "c.npy", np.stack([one, two]))
    np.savez(tmp_path / "d.npz", touches=one, lengths=[15, 5])
    assert [
        read(tmp_path / n).lengths.tolist() for n in ("a.npz", "b.npy", "c.npy", "d.npz")
    ] == [
        [20, 7],
        [20],
        [20, 20],
        [15, 5],
    ]
    found = read(tmp_path / "c.npy")
    np.testing.assert_array_equal(found.events[20:, :3], two)
    assert found.events[[0, 20], 3].tolist() == [0, 0]
    np.save(tmp_path / "p.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(CorpusError, match="pickled"):
        read(tmp_path / "p.npy")
    np.save(tmp_path / "w.npy", np.zeros((4, 7)))
    with pytest.raises(CorpusError, match=r"\(4, 7\)"):
        read(tmp_path / "w.npy")


def test_folder_is_read_without_notes_and_with_errors_reported(tmp_path):
    text(tmp_path, MICROJAM, "a.csv")
    text(tmp_path, IMPSY, "b.log")
    text(tmp_path, "remember the milk\n", "notes.txt")
    text(tmp_path, "time,x,y\n", "bad.csv")
    messages: list[str] = []
    found = list(read_all([tmp_path], on_error=lambda error: messages.append(str(error))))
    assert [corpus.name for corpus in found] == ["a.csv", "b.log"]
    assert len(messages) == 1
    assert "bad.csv" in messages[0]
    (tmp_path / "a.csv").unlink()
    (tmp_path / "b.log").unlink()
    with pytest.raises(CorpusError, match="no performances in it"):
        list(read_all([tmp_path], on_error=lambda _: None))


def test_recording_of_which_another_has_every_line_does_not_count_twice(tmp_path):
    header = encode_header(HEADER)
    lines = [encode(touch(float(second))) for second in range(4)]
    whole = header + b"".join(lines)
    for name, data in {
        "whole.jsonl": whole,
        "copy.jsonl": whole,
        "first part, torn.jsonl": header + b"".join(lines[:2]) + lines[2][:20],
        "spoilt by another program.jsonl": header + lines[0] + b"junk\n" + lines[1],
        "more.jsonl": header + lines[0] + encode(touch(9.0)),
        "another jam.jsonl": header.replace(b'"seed":1', b'"seed":2') + lines[0],
    }.items():
        (tmp_path / name).write_bytes(data)
    messages: list[str] = []
    found = list(read_all([tmp_path], on_error=lambda error: messages.append(str(error))))
    names = [corpus.name for corpus in found]
    assert names == ["another jam.jsonl", "copy.jsonl", "more.jsonl"]
    assert len(messages) == 3
    assert all(message.endswith("is in copy.jsonl, too") for message in messages)


def test_joined_corpus_survives_write_and_read(tmp_path):
    both = join(
        [clean(read(text(tmp_path, held, n))) for n, held in [("a", MICROJAM), ("b", IMPSY)]]
    )
    write(both, tmp_path / "c.npz")
    again = read(tmp_path / "c.npz")
    np.testing.assert_allclose(again.events, both.events, atol=1e-7)
    assert again.lengths.tolist() == both.lengths.tolist() == [2, 2]
    about = summarise(both)
    assert (about["performances"], about["touches"], about["inferred"]) == (2, 4, 2)
    assert about["seconds"] == pytest.approx(0.75)


PIECES = [*"0123456789.,;\t\r\n -e+x#\0", "nan", "inf", "time,x,y\n", "0.1,0.5,0.5,1,1\n"]
PIECES += ['"', "\ufeff", "é", "2024-06-12T12:34:56", ",interface,", ",a,500,300,0\n", "now"]
STARTS = ["", "time,x,y,z,moving\n", "# x\n2024-06-12T12:34:56,interface,0.5,0.5\n"]
STARTS += ["time,device_id,x_pos,y_pos,velocity\n", "dt;x;y\n", "x y t\n", MICROJAM]


@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES), max_size=60),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_any_text_gives_finite_touches_or_a_corpus_error(
    tmp_path_factory, start, parts, encoding
):
    path = tmp_path_factory.mktemp("text") / "a.csv"
    path.write_bytes((start + "".join(parts)).encode(encoding))
    for units in (None, Units(guess=True)):
        try:
            found = clean(read(path, units=units))
        except CorpusError as error:
            assert "\n" not in str(error)
            continue
        assert np.isfinite(found.events).all()


@given(st.lists(st.sampled_from(["0.25, 0.6, 0.5, 38.2, 1\n", "bad\n", "\n"]), max_size=30))
def test_rows_do_not_depend_on_the_size_of_blocks(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("text") / "a.csv"
    path.write_text(MICROJAM + "".join(parts))
    units = parse("s")  # also where the clock stands still
    whole = read(path, units=units)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "_BLOCK", 7)
        patched.setattr(tables, "_FEW_LINES", 1)
        parted = read(path, units=units)
    np.testing.assert_array_equal(parted.events, whole.events)
    assert (parted.dropped, parted.places) == (whole.dropped, whole.places)
    assert np.array_equal(parted.lines, whole.lines)


METATONE = (
    "time,device_id,x_pos,y_pos,velocity\n2014-12-12T12:06:19.5,ada,512,384,0.0\n"
    "2014-12-12T12:06:19.51,bea,0.5,768,0\n2014-12-12T12:06:20.123456,ada,1024,384,6.5\n"
)


@pytest.mark.parametrize(
    "held", [MICROJAM, IMPSY, METATONE, MICROJAM.replace(", ", ";").replace(".", ",")]
)
def test_lines_parsed_one_by_one_give_the_same_as_blocks(held, tmp_path, monkeypatch):
    path = text(tmp_path, held + held.partition("\n")[2])
    fast = read(path)
    monkeypatch.setattr(tables._RowParser, "_parse_ordinary", lambda *_: None)
    slow = read(path)
    np.testing.assert_array_equal(fast.events, slow.events)
    assert fast.lengths.tolist() == slow.lengths.tolist()
    assert fast.dropped == slow.dropped


# Phases


@has_corpus
def test_inferred_landings_have_precision_and_recall_above_91_percent():
    truth = clean(read(CORPUS / "microjam_val.npz"))
    first = np.zeros(len(truth.events), bool)
    first[truth.offsets[:-1]] = True
    landing = (truth.events[:, 3] == 0)[~first]
    guess = (infer_phase.infer_moving(truth.events[:, :3], truth.lengths) == 0)[~first]
    right = (landing & guess).sum()
    assert right / landing.sum() > 0.91
    assert right / guess.sum() > 0.91
    pause = (truth.events[:, 2] > 0.1)[~first]
    assert (pause & landing).sum() / landing.sum() < 0.85  # what a pause alone would find


def test_inferred_phases_are_the_same_for_any_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    touches = np.column_stack([rng.random((500, 2)), rng.exponential(0.05, 500)])
    lengths = np.array([0, 3, 1, 400, 96])
    whole = infer_phase.infer_moving(touches, lengths)
    monkeypatch.setattr(infer_phase, "_BLOCK", 7)
    np.testing.assert_array_equal(infer_phase.infer_moving(touches, lengths), whole)
    assert set(whole.tolist()) == {0.0, 1.0}
    assert whole[[0, 3, 4, 404]].tolist() == [0, 0, 0, 0]
    assert infer_phase.infer_moving(np.empty((0, 3)), np.array([], int)).tolist() == []
