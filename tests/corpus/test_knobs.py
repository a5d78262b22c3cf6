"""Corpora of knobs: read from logs, tables and arrays, cleaned, dequantised, split, joined."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robojam.corpus.corpus import (
    KNOB_CLIPPED,
    KNOB_DT_CLIPPED,
    Corpus,
    CorpusError,
    clean,
    dequantise,
    fitting,
    join,
    knob_corpus,
    widened,
    write,
)
from robojam.corpus.formats import read
from robojam.corpus.split import split
from robojam.corpus.summary import summarise
from robojam.corpus.units import parse
from robojam.model.event import knob_columns, knob_event
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    TouchEvent,
    encode,
    encode_header,
)
from robojam.touch import Phase, Touch, place_of


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def made(knobs: int, *lengths: int, lines: int = 127) -> Corpus:
    """Return a clean corpus of knobs that are turned one after the other."""
    total = sum(lengths)
    turned = np.arange(knobs) == rng().integers(0, knobs, (total, 1))
    values = np.clip(64 + np.cumsum(turned * rng().integers(-3, 4, (total, 1)), 0), 0, lines)
    dt = rng().choice([0.02, 0.03, 0.04, 0.3], total)
    events = np.column_stack([values / lines, dt])
    return clean(knob_corpus(events, np.array(lengths, np.int64), "made", "arrays"))


def log(path: Path, rows: Any, *, source: str = "interface") -> Path:
    """Write rows of values as a log of IMPSY, a line each 20 ms."""
    start = datetime(2026, 1, 2, 3, 4, 5)
    lines = [
        f"{(start + timedelta(milliseconds=20 * i)).isoformat()},{source},"
        + ",".join(map(repr, row))
        for i, row in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("knobs", [1, 4, 8, 16])
def test_log_of_any_dimension_is_read_as_knobs(tmp_path, knobs):
    rows = rng().random((30, knobs)).tolist()
    corpus = read(log(tmp_path / "a.log", rows))
    assert corpus.columns == knob_columns(knobs)
    assert corpus.source == "IMPSY log"
    np.testing.assert_array_equal(corpus.events[:, :knobs], rows)
    np.testing.assert_allclose(corpus.events[1:, knobs], 0.02, atol=1e-9)
    assert corpus.events[0, knobs:].tolist() == [0, 0]
    assert (corpus.events[1:, -1] == 1).all()


@pytest.mark.parametrize("values", [2, 3])
def test_log_of_two_or_three_values_is_of_touches_unless_knobs_are_asked_for(tmp_path, values):
    path = log(tmp_path / "a.log", rng().random((40, values)).tolist())
    assert read(path).columns == ("x", "y", "dt", "moving")
    assert read(path, knobs=True).columns == knob_columns(values)


def test_rows_of_other_lengths_are_counted_and_named_by_line(tmp_path):
    rows = rng().random((30, 4)).tolist()
    rows[9], rows[19] = rows[9][:3], [*rows[19], 0.5]
    corpus = read(log(tmp_path / "a.log", rows))
    reason = "lines that are not a time, a name and 4 numbers"
    assert corpus.dropped == {reason: 2}
    assert corpus.places == {reason: "lines 10, 20"}
    assert len(corpus.events) == 28


def test_machines_lines_of_a_log_are_read_only_when_asked_for(tmp_path):
    path = log(tmp_path / "a.log", rng().random((20, 5)).tolist(), source="rnn")
    assert len(read(path).events) == 0
    assert len(read(path, machine=True).events) == 20


@pytest.mark.parametrize("kind", ["log", "csv", "npz"])
def test_seventeen_values_are_refused(tmp_path, kind):
    rows = rng().random((20, 17))
    path = tmp_path / f"a.{kind}"
    if kind == "log":
        log(path, rows.tolist())
    elif kind == "csv":
        names = ",".join(["dt", *(f"v{n + 1}" for n in range(17))])
        np.savetxt(path, np.column_stack([rows[:, 0], rows]), "%g", ",", header=names)
    else:
        events = np.column_stack([rows, rows[:, 0]])
        np.savez(path, knobs=events.astype(np.float32), lengths=np.array([20], np.int32))
    with pytest.raises(CorpusError, match="16"):
        read(path)


@pytest.mark.parametrize("times", ["time", "dt"])
def test_table_of_knobs_is_read(tmp_path, times):
    path = tmp_path / "a.csv"
    text = [f"v2,{times},v1,note"]
    for i in range(30):
        text.append(f"{i / 40},{0.25 * i if times == 'time' else 0.25},{i / 30},0")
    path.write_text("\n".join(text) + "\n")
    corpus = clean(read(path))
    assert corpus.columns == knob_columns(2)
    assert corpus.source == "CSV"
    np.testing.assert_allclose(corpus.events[:, 0], np.arange(30) / 30)
    np.testing.assert_allclose(corpus.events[:, 1], np.arange(30) / 40)
    np.testing.assert_allclose(corpus.events[:, 2], [0, *[0.25] * 29])
    assert not corpus.events[:, 3].any()  # each after a pause


def test_long_pause_in_a_table_begins_another_performance(tmp_path):
    path = tmp_path / "a.csv"
    times = [*np.arange(10) * 0.05, *(100 + np.arange(10) * 0.05)]
    path.write_text("time,v1\n" + "".join(f"{t},{t % 1}\n" for t in times))
    corpus = read(path)
    assert corpus.lengths.tolist() == [10, 10]
    assert corpus.events[10, 1:].tolist() == [0, 0]


def test_written_knobs_are_read_again(tmp_path):
    corpus = made(5, 30, 20)
    write(corpus, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["knobs"].shape == (50, 6)
        assert stored["knobs"].dtype == np.float32
        assert stored["lengths"].tolist() == [30, 20]
    again = clean(read(tmp_path / "a.npz"))
    assert again.columns == corpus.columns
    assert not again.dropped
    np.testing.assert_array_equal(again.events, corpus.events.astype(np.float32))


@pytest.mark.parametrize(
    ("rows", "lengths", "why"),
    [
        (np.zeros((4, 1)), [4], r"1 to 16 knobs, and dt; it is \(4, 1\)"),
        (np.zeros(4), [4], r"1 to 16 knobs, and dt; it is \(4,\)"),
        (np.zeros((4, 3)), [5], "must sum to the 4 rows of knobs"),
        (np.zeros((4, 3)), [5, -1], "negative"),
        (np.full((4, 3), "x"), [4], "must be numbers"),
    ],
)
def test_arrays_that_are_no_knobs_are_refused(tmp_path, rows, lengths, why):
    np.savez(tmp_path / "a.npz", knobs=rows, lengths=np.array(lengths))
    with pytest.raises(CorpusError, match=why):
        read(tmp_path / "a.npz")


def test_knobs_without_lengths_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", knobs=np.zeros((4, 3)))
    with pytest.raises(CorpusError, match="has knobs, but no lengths"):
        read(tmp_path / "a.npz")


def test_values_of_midi_are_refused_with_the_units_that_fit(tmp_path):
    values = rng().integers(0, 128, (40, 3))
    path = log(tmp_path / "a.log", np.column_stack([values, values[:, :1]]).tolist())
    with pytest.raises(CorpusError, match=r"v1 goes from .* --units 0\.\.127"):
        read(path)
    corpus = read(path, units=parse("0..127"))
    np.testing.assert_allclose(corpus.events[:, :3], values / 127)
    assert corpus.dropped == {"events read with --units 0..127": 40}
    guessed = read(path, units=parse("guess"))
    np.testing.assert_array_equal(guessed.events, corpus.events)
    assert guessed.dropped == {"events read with --units 0..127 (guessed)": 40}


@pytest.mark.parametrize(
    ("low", "high", "units"),
    [(-1, 1, "-1..1"), (0, 99.5, "0..100"), (0, 1000, "0..1023"), (0, 16000, "0..16383")],
)
def test_range_of_knobs_is_guessed(tmp_path, low, high, units):
    values = np.linspace(low, high, 40)[rng().permutation(40)]
    np.savez(
        tmp_path / "a.npz", knobs=np.column_stack([values, values * 0 + 0.02]), lengths=[40]
    )
    with pytest.raises(CorpusError, match=f"--units {units}"):
        read(tmp_path / "a.npz")
    assert clean(read(tmp_path / "a.npz", units=parse(units))).dropped.keys() == {
        "first touches with dt made 0",
        f"events read with --units {units}",
    }


@pytest.mark.parametrize("units", ["px:100x50", "flip-y"])
def test_units_of_a_surface_are_refused_for_knobs(tmp_path, units):
    write(made(4, 20), tmp_path / "a.npz")
    with pytest.raises(CorpusError, match="knobs have one range"):
        read(tmp_path / "a.npz", units=parse(units))


def test_times_in_milliseconds_are_refused_with_advice(tmp_path):
    events = np.column_stack([rng().random((40, 2)), np.full(40, 25.0)])
    np.savez(tmp_path / "a.npz", knobs=events, lengths=[40])
    with pytest.raises(CorpusError, match="--units ms"):
        read(tmp_path / "a.npz")
    found = read(tmp_path / "a.npz", units=parse("ms"))
    np.testing.assert_allclose(found.events[:, 2], 0.025)


def test_touches_are_refused_where_knobs_are_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", touches=np.zeros((4, 4), np.float32), lengths=[4])
    with pytest.raises(CorpusError, match="holds touches, and no knobs"):
        read(tmp_path / "a.npz", knobs=True)


def test_cleaning_knobs_clips_and_counts_and_finds_pauses():
    events = np.array(
        [
            [0.5, 0.5, 0.7],
            [1.2, -0.1, 0.02],
            [np.nan, 0.1, 0.02],
            [0.5, 0.5, 0.1],
            [0.5, 0.5, 0.11],
            [0.5, 0.5, 9.0],
            [0.5, 0.5, 0.0],
        ]
    )
    corpus = knob_corpus(events, np.array([6, 1]), "x", "arrays")
    cleaned = clean(corpus)
    assert cleaned.dropped == {
        "touches with NaN": 1,
        "performances of fewer than 2 touches": 1,
        "first touches with dt made 0": 1,
        KNOB_CLIPPED: 1,
        KNOB_DT_CLIPPED: 1,
    }
    assert cleaned.places[KNOB_CLIPPED] == "event 2 of performance 1"
    assert cleaned.events[1].tolist() == [1, 0, 0.02, 1]
    assert cleaned.events[:, 2].tolist() == [0, 0.02, 0.1, 0.11, 5]
    assert cleaned.events[:, 3].tolist() == [0, 1, 1, 0, 0]
    again = clean(cleaned)
    np.testing.assert_array_equal(again.events, cleaned.events)
    assert again.dropped == cleaned.dropped


def test_noise_of_knobs_is_documented_and_independent_of_order():
    corpus = made(3, 40, 30)
    first, second = dequantise(corpus, 0, 40), dequantise(corpus, 40, 70)
    random = np.random.default_rng(0)  # as docs/measure.md says
    for found, start, end in ((first, 0, 40), (second, 40, 70)):
        expected = corpus.events[start:end].copy()
        expected[:, :3] += random.random((end - start, 3)) / 1024
        expected[:, 3] += random.random(end - start) * 1e-3
        np.testing.assert_array_equal(found, expected)


def test_knobs_are_split_by_performance_or_at_a_pause():
    train, held = split(made(4, *[20] * 20), every=10)
    assert train.lengths.tolist() == [20] * 18
    assert held.columns == knob_columns(4)
    long = made(4, 500)
    train, held = split(long, every=10)
    cut = len(train.events)
    assert long.events[cut, -1] == 0  # after a pause
    assert held.events[0, 4:].tolist() == [0, 0]
    assert 25 <= len(held.events) <= 100
    np.testing.assert_array_equal(held.events[1:], long.events[cut + 1 :])


def test_knobs_of_different_numbers_are_not_joined():
    with pytest.raises(ValueError, match="made holds 4 knobs and made one knob: they cannot"):
        join([made(4, 20), made(1, 20)])
    assert len(join([made(4, 20), made(4, 30)]).events) == 50


def test_summary_counts_knobs_pauses_and_lattices():
    corpus = made(6, 60, 60)
    summary = summarise(corpus)
    assert summary["knobs"] == 6
    assert summary["touches"] == 120
    assert summary["landings"] == int((corpus.events[:, -1] == 0).sum())
    assert summary["screens"] == {"127": 2}
    assert summary["seconds"] == pytest.approx(corpus.events[:, 6].sum())


def test_rig_of_fewer_knobs_is_widened_where_the_model_allows_it():
    corpus = made(3, 20, 10)
    wide = widened(corpus, 5)
    assert wide.columns == knob_columns(5)
    np.testing.assert_array_equal(wide.events[:, [0, 1, 2, 5, 6]], corpus.events)
    assert (wide.events[:, 3:5] == 0.5).all()
    assert fitting(corpus, knob_event(5, fewer=True)).columns == knob_columns(5)
    assert fitting(corpus, knob_event(5)) is corpus
    assert fitting(wide, knob_event(3, fewer=True)) is wide


def session(path: Path, events: list[TouchEvent]) -> Path:
    header = Header(
        started="2026-01-02T03:04:05+00:00",
        model=ModelRef("m.safetensors", "0" * 64),
        device="cpu",
        build="robojam",
        seed=1,
        options={"knobs": 3},
    )
    lines = [encode_header(header), *map(encode, [*events, EndEvent(99.0, "the end")])]
    path.write_bytes(b"".join(lines))
    return path


def turned(t: float, *values: float, dt: float, who: str = "human") -> TouchEvent:
    phase = Phase.MOVE if dt else Phase.DOWN
    return TouchEvent(t, Touch(*place_of(values), dt, phase, 0, who, None, values))


def test_session_of_knobs_is_read_as_human_or_machine_performances(tmp_path):
    path = session(
        tmp_path / "jam.jsonl",
        [
            turned(0.0, 0.1, 0.2, 0.3, dt=0.0),
            turned(0.05, 0.1, 0.25, 0.3, dt=0.05),
            turned(1.0, 0.1, 0.3, 0.3, dt=0.25, who="ai"),
            turned(1.5, 0.1, 0.4, 0.3, dt=0.5, who="ai"),
            turned(50.0, 0.9, 0.25, 0.3, dt=4.0, who="human2"),
            turned(50.5, 0.8, 0.25, dt=0.5),
        ],
    )
    humans = read(path)
    assert humans.columns == knob_columns(3)
    assert humans.source == "session"
    assert humans.lengths.tolist() == [2, 1]
    np.testing.assert_allclose(
        humans.events,
        [[0.1, 0.2, 0.3, 0, 0], [0.1, 0.25, 0.3, 0.05, 1], [0.9, 0.25, 0.3, 0, 0]],
    )
    assert humans.dropped["events that are not of 3 knobs"] == 1
    machine = read(path, machine=True)
    assert machine.lengths.tolist() == [2]
    np.testing.assert_allclose(
        machine.events, [[0.1, 0.3, 0.3, 0.25, 0], [0.1, 0.4, 0.3, 0.5, 0]]
    )
