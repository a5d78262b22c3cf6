"""Touches with their pressure: read from any file, held where it was not measured, written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.commands import refusal, run
from support.models import PRESSES, TOUCHES, corpus
from support.recordings import HEADER

from robojam.corpus.corpus import (
    PRESSURELESS,
    Corpus,
    CorpusError,
    clean,
    dequantise,
    join,
    pressed,
    write,
)
from robojam.corpus.formats import PressureError, read
from robojam.export.writers import WRITERS
from robojam.model.event import PRESSED, TOUCH
from robojam.sessions.session import EndEvent, Session, TouchEvent, encode, encode_header
from robojam.touch import PRESSURE_RESTS, Phase, Touch

NAN = np.nan


def touches(*lengths: int) -> Corpus:
    return corpus(TOUCHES, [*lengths])


def session(*pressures: float | None) -> Session:
    events: list[TouchEvent | EndEvent] = []
    for i, pressure in enumerate(pressures):
        phase = Phase.MOVE if i else Phase.DOWN
        dt = 0.1 if i else 0.0
        events.append(TouchEvent(i / 10, Touch(i / 10, 0.5, dt, phase, pressure=pressure)))
    return Session(HEADER, (*events, EndEvent(1.0, "the end")))


def test_pressure_that_was_not_measured_is_that_of_the_touch_before():
    made = pressed(touches(3, 3), np.array([NAN, 0.25, NAN, 0.75, NAN, 1.0]))
    assert made.columns == PRESSED
    assert made.events[:, 4].tolist() == [PRESSURE_RESTS, 0.25, 0.25, 0.75, 0.75, 1.0]


def test_performance_without_a_measured_pressure_is_left_out_and_counted():
    plain = touches(3, 2, 4)
    made = pressed(plain, np.array([0.5] * 3 + [NAN] * 2 + [1.0] * 4))
    assert made.lengths.tolist() == [3, 4]
    assert made.dropped == {PRESSURELESS: 1}
    np.testing.assert_array_equal(made.events[3:, :4], plain.events[5:])


def test_pressure_is_clipped_and_others_are_as_without_it():
    plain = touches(5)
    made = clean(pressed(plain, np.array([0.5, 2.0, -1.0, 0.5, 0.5])))
    assert made.events[:, 4].tolist() == [0.5, 1.0, 0.0, 0.5, 0.5]
    assert made.dropped == {"touches with pressure clipped to 0..1": 2}
    noisy, as_plain = (dequantise(c, 0, 5) for c in (made, clean(plain)))
    np.testing.assert_array_equal(noisy[:, :4], as_plain)
    off = noisy[:, 4] - made.events[:, 4]
    assert ((off >= 0) & (off < 1 / 128)).all()
    assert (off != 0).any()


def test_arrays_keep_pressures_beside_touches_that_anybody_reads(tmp_path):
    made = corpus(PRESSES, [4, 6])
    write(made, tmp_path / "a.npz")
    again = read(tmp_path / "a.npz", pressure=True)
    np.testing.assert_array_equal(again.events, made.events)
    plain = read(tmp_path / "a.npz")
    assert plain.columns == TOUCH
    np.testing.assert_array_equal(plain.events, made.events[:, :4])
    assert np.load(tmp_path / "a.npz")["touches"].shape == (10, 4)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((4, 1)), np.array(["hard"] * 4)])
def test_pressures_that_fit_no_touches_are_refused(tmp_path, bad):
    made = touches(4)
    np.savez(tmp_path / "a.npz", touches=made.events, lengths=[4], pressure=bad)
    with pytest.raises(CorpusError, match="pressure must be numbers"):
        read(tmp_path / "a.npz", pressure=True)
    assert len(read(tmp_path / "a.npz").events) == 4


@pytest.mark.parametrize("name", ["pressure", "z"])
def test_table_has_pressures_where_they_change(tmp_path, name):
    def table(*values: float) -> Corpus:
        rows = [f"{i / 50}, 0.5, {0.5 + i / 100}, {v}, {i > 0:d}" for i, v in enumerate(values)]
        path = tmp_path / "a.csv"
        path.write_text("\n".join([f"time,x,y,{name},moving", *rows, ""]))
        return read(path, pressure=True)

    assert table(0.25, 0.5, 1.0).events[:, 4].tolist() == [0.25, 0.5, 1.0]
    assert table(40, 20, 60).events[:, 4].tolist() == [0.5, 0.5, 0.75]  # radii; 20 is none
    constant = table(38.0, 38.0, 38.0)
    assert (len(constant.events), constant.dropped[PRESSURELESS]) == (0, 1)


def test_log_of_impsy_has_the_pressure_as_its_third_number(tmp_path):
    lines = [f"2026-11-28T20:47:0{i}.5,interface,0.5,0.{i},0.{i + 2}" for i in range(4)]
    (tmp_path / "a.log").write_text("\n".join([*lines, ""]))
    assert read(tmp_path / "a.log", pressure=True).events[:, 4].tolist() == [0.2, 0.3, 0.4, 0.5]


def test_session_has_the_pressures_that_were_heard(tmp_path):
    made = session(0.25, None, 1.0)
    lines = [encode_header(made.header), *map(encode, made.events)]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    assert read(tmp_path / "a.jsonl", pressure=True).events[:, 4].tolist() == [0.25, 0.25, 1.0]
    assert read(tmp_path / "a.jsonl").columns == TOUCH


def test_exports_keep_pressures_that_are_known(tmp_path):
    for name, made in (("a", session(0.25, None, 1.0)), ("b", session(None, None, None))):
        for suffix in (".csv", ".npz"):
            WRITERS[suffix]([made], tmp_path / f"{name}{suffix}")
    table = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert [row.split(", ")[3] for row in table] == ["0.25", "1.0", "1.0"]
    arrays = np.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["pressure"], np.float32([0.25, NAN, 1.0]))
    assert set(np.load(tmp_path / "b.npz")) == {"touches", "lengths"}


def test_file_without_pressure_is_refused_and_not_joined_with_others(tmp_path):
    write(touches(4), tmp_path / "plain.npz")
    with pytest.raises(PressureError, match="holds no pressure"):
        read(tmp_path / "plain.npz", pressure=True)
    with pytest.raises(ValueError, match="cannot be joined"):
        join([touches(4), corpus(PRESSES, [4])])


def test_corpus_command_reads_and_writes_pressures(tmp_path, capsys):
    write(corpus(PRESSES, [4, 6]), tmp_path / "a.npz")
    status, out, _ = run(
        capsys, "corpus", tmp_path / "a.npz", "--pressure", "--to", tmp_path / "b.npz", "--json"
    )
    assert (status, json.loads(out)["all"]["touches"]) == (0, 10)
    assert "pressure" in np.load(tmp_path / "b.npz")
    assert "--pressure is of touches" in refusal(
        capsys, "corpus", tmp_path / "a.npz", "--pressure", "--knobs"
    )
