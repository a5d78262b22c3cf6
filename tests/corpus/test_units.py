"""Units of performances: parsed, checked, guessed, and asked for by every command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CORPUS, has_corpus

from robojam.corpus.corpus import CorpusError, clean
from robojam.corpus.formats import read
from robojam.corpus.stored_rows import FileRows
from robojam.corpus.units import Units, parse

#: Touches of x, y, dt and moving: one stroke that wanders over the surface.
COUNT = 40
STROKE = np.column_stack(
    [
        0.5 + 0.4 * np.sin(np.arange(COUNT) / 5),
        0.5 + 0.4 * np.cos(np.arange(COUNT) / 7),
        np.r_[0, np.tile([0.016, 0.018, 0.017], COUNT)[: COUNT - 1]],
        np.arange(COUNT) > 0,
    ]
)
#: What is done to the columns, and the units that undo it.
OTHER_UNITS: dict[str, tuple[list[float], list[float], str]] = {
    "pixels": ([1024, 768, 1, 1], [0, 0, 0, 0], "px:1024x768"),
    "milliseconds": ([1, 1, 1000, 1], [0, 0, 0, 0], "ms"),
    "microseconds": ([1, 1, 1e6, 1], [0, 0, 0, 0], "us"),
    "-1 to 1": ([2, 2, 1, 1], [-1, -1, 0, 0], "-1..1"),
    "percent": ([100, 100, 1, 1], [0, 0, 0, 0], "0..100"),
    "MIDI": ([127, 127, 1, 1], [0, 0, 0, 0], "0..127"),
    "pixels and ms": ([1024, 768, 1000, 1], [0, 0, 0, 0], "px:1024x768,ms"),
}


def csv(path: Path, rows: np.ndarray[Any, Any], names: str = "time,x,y,moving") -> Path:
    """Write touches as a table; time is absolute where it is named time."""
    columns = {"x": rows[:, 0], "y": rows[:, 1], "dt": rows[:, 2], "moving": rows[:, 3]}
    columns["time"] = np.cumsum(rows[:, 2])
    lines = zip(*(columns[name].tolist() for name in names.split(",")), strict=True)
    path.write_text(names + "\n" + "".join(",".join(map(repr, line)) + "\n" for line in lines))
    return path


def in_other_units(kind: str, form: str, folder: Path) -> Path:
    factor, offset, _ = OTHER_UNITS[kind]
    rows = STROKE * factor + offset
    if form == "npz":
        np.savez(folder / "a.npz", touches=rows, lengths=[COUNT])
        return folder / "a.npz"
    return csv(folder / "a.csv", rows, "time,x,y,moving" if form == "time" else "x,y,dt,moving")


@pytest.mark.parametrize("form", ["time", "dt", "npz"])
@pytest.mark.parametrize("kind", OTHER_UNITS)
def test_other_units_are_refused_with_the_option_that_scales_them(kind, form, tmp_path):
    path, option = in_other_units(kind, form, tmp_path), OTHER_UNITS[kind][2]
    with pytest.raises(CorpusError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert " goes from " in message
    assert re.search(r"\((lines?|touch|touches) \d", message)
    # The size of a screen cannot be known: its kind is what the message tells.
    assert f"--units {option.partition(':')[0]}" in message
    assert "--units guess" in message
    found = read(path, units=parse(option))
    np.testing.assert_allclose(found.events, STROKE, atol=1e-9)
    assert found.dropped == {f"touches read with --units {option}": COUNT}


@pytest.mark.parametrize("kind", OTHER_UNITS)
def test_guess_scales_touches_onto_the_surface_and_says_so(kind, tmp_path):
    found = read(in_other_units(kind, "time", tmp_path), units=parse("guess"))
    if "pixels" not in kind:
        np.testing.assert_allclose(found.events, STROKE, atol=1e-9)
    assert found.events[:, :2].max() > 0.5
    assert clean(found).dropped == found.dropped
    assert [reason.partition("units ")[2][-9:] for reason in found.dropped] == ["(guessed)"]


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        (2, -0.2, "Are its columns in their true order"),
        (2, 7, "If the times are seconds, say --units s; if milliseconds, --units ms"),
        (2, np.inf, "dt is infinite"),
        (0, -5000, r"x goes from -5000 .* Are its columns in their true order"),
        (0, 1e7, r"x goes from 1e\+07 .* Are its columns in their true order"),
    ],
)
def test_what_cannot_be_guessed_is_refused(column, value, why, tmp_path):
    rows = STROKE[:12].copy()
    rows[:, 3] = 0  # nobody slides, which would tell the unit of time
    rows[:, column] = value
    for units in (None, parse("guess")):
        with pytest.raises(CorpusError, match=why):
            read(csv(tmp_path / "a.csv", rows, "x,y,dt,moving"), units=units)
    rows[:, 1] *= 900  # and another column, which can be
    with pytest.raises(CorpusError, match="y goes from"):
        read(csv(tmp_path / "a.csv", rows, "x,y,dt,moving"), units=parse("guess"))


def test_touches_in_range_are_not_guessed_at(tmp_path):
    found = read(csv(tmp_path / "a.csv", STROKE), units=parse("guess"))
    assert found.dropped == {}
    np.testing.assert_allclose(found.events, STROKE, atol=1e-12)


@pytest.mark.parametrize(("wrong", "refused"), [(7, False), (8, True)])
def test_column_is_refused_from_a_fifth_out_of_range_and_clipped_below(
    wrong, refused, tmp_path
):
    rows = STROKE.copy()
    rows[-wrong:, 1] = 1.5
    path = csv(tmp_path / "a.csv", rows)
    if refused:
        match = rf"y goes from [\d.]+ to 1.5, outside 0..1 in {wrong} of {COUNT} touches"
        with pytest.raises(CorpusError, match=match):
            read(path)
    else:
        assert clean(read(path)).dropped == {"touches with y clipped to 0..1": wrong}


def test_places_that_units_would_put_into_a_corner_are_refused(tmp_path):
    path = csv(tmp_path / "a.csv", STROKE)
    with pytest.raises(CorpusError, match=r"into one corner: read it with --units 0\.\.1"):
        read(path, units=parse("px:1024x768"))
    assert len(read(path, units=parse("0..1")).events) == COUNT


def test_units_that_do_not_fit_are_refused(tmp_path):
    path = in_other_units("pixels", "time", tmp_path)
    with pytest.raises(CorpusError, match=r"x goes from .* outside 0\.\.100 in"):
        read(path, units=parse("px:100x100"))


def test_y_that_counts_upwards_is_flipped(tmp_path):
    found = read(csv(tmp_path / "a.csv", STROKE), units=parse("flip-y"))
    np.testing.assert_allclose(found.events[:, 1], 1 - STROKE[:, 1])


def test_time_column_that_holds_dt_is_refused_and_read_with_the_option(tmp_path):
    rng = np.random.default_rng(0)
    rows = STROKE.copy()
    rows[1:, 2] = rng.uniform(0.01, 0.03, COUNT - 1)
    path = csv(tmp_path / "a.csv", rows, "dt,x,y,moving")
    path.write_text(path.read_text().replace("dt", "time"))
    with pytest.raises(CorpusError, match=r"time falls in \d+ of 40 lines.* --units dt"):
        read(path)
    np.testing.assert_allclose(read(path, units=parse("dt")).events, rows, atol=1e-12)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_dt_column_that_holds_the_time_is_refused_and_read_with_the_option(form, tmp_path):
    rows = STROKE.copy()
    rows[:, 2] = np.cumsum(rows[:, 2])
    path = tmp_path / f"a.{form}"
    if form == "csv":
        csv(path, rows, "dt,x,y,moving")
    else:
        np.savez(path, touches=rows, lengths=[COUNT])
    with pytest.raises(CorpusError, match=r"dt goes from .* and never falls.* --units time"):
        read(path)
    np.testing.assert_allclose(read(path, units=parse("time")).events, STROKE, atol=1e-12)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_dt_in_the_column_of_x_is_refused(form, tmp_path):
    rows = STROKE[:, [2, 0, 1]]  # as IMPSY stores them
    path = tmp_path / f"a.{form}"
    if form == "csv":
        csv(path, np.column_stack([rows, STROKE[:, 3]]), "x,y,dt,moving")
    else:
        np.savez(path, rows)
    with pytest.raises(CorpusError, match=r"as if dt stood in the column of x .* true order"):
        read(path)
    assert len(read(path, units=parse("s")).events) == COUNT


def test_slow_moves_are_taken_for_another_unit_unless_it_is_said(tmp_path):
    rows = STROKE.copy()
    rows[1:, 2] = 4.1  # milliseconds of a screen at 240 Hz
    path = csv(tmp_path / "a.csv", rows)
    with pytest.raises(CorpusError, match=r"a finger that slides is heard every 4.1 s\. .* ms"):
        read(path)
    np.testing.assert_allclose(read(path, units=parse("s")).events, rows)


def test_impsy_log_with_values_beyond_1_is_refused(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(
        "".join(f"2024-06-12T12:34:{i:02},interface,{10 * i},{64}\n" for i in range(10, 13))
    )
    with pytest.raises(CorpusError, match=r"x goes from 100 to 120, .* --units 0\.\.127"):
        read(path)
    assert read(path, units=parse("0..128")).events[0, :2].tolist() == [100 / 128, 0.5]


def test_units_of_time_are_not_for_dates_and_times(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(
        "".join(f"2024-06-12T12:34:{i:02},interface,0.{i},0.5\n" for i in range(10, 15))
    )
    found = read(path)
    for text in ("ms", "dt", "us,time"):
        np.testing.assert_array_equal(read(path, units=parse(text)).events, found.events)


def test_stored_rows_are_scaled_where_they_are(tmp_path, monkeypatch):
    path = in_other_units("pixels and ms", "npz", tmp_path)
    monkeypatch.setattr("robojam.corpus.formats.arrays.LARGE", 1)
    with pytest.raises(CorpusError, match=r"outside 0\.\.1 in 40 of 40"):
        read(path)
    found = read(path, units=parse("px:1024x768,ms"))
    assert isinstance(found.events, FileRows)
    np.testing.assert_allclose(found.events[:], STROKE, atol=1e-9)


@has_corpus
def test_no_performance_by_people_is_refused_for_its_units(tmp_path):
    found = read(CORPUS / "microjam_val.npz")
    assert found.dropped == {}
    for part in list(clean(found).performances())[:40]:
        csv(tmp_path / "a.csv", part)
        assert len(read(tmp_path / "a.csv").events) == len(part)


def test_units_are_parsed_and_written_as_they_are_given():
    assert parse("px:1024x768,ms") == Units((0, 1024), (0, 768), 1e-3)
    assert parse("-1..1 , FLIP-Y") == Units((-1, 1), (-1, 1), flip_y=True)
    for text in ("px:1024x768,ms", "-1..1,flip-y", "0..100,us,dt", "ns,time", "0.5..2"):
        assert str(parse(text)) == text
    assert parse("µs") == parse("us")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not px:WIDTHxHEIGHT, LOW..HIGH, s, ms"),
        ("px:1024", "'px:1024' is not px:WIDTHxHEIGHT"),
        ("px:0x768", "has no size"),
        ("1..-1", "has no size"),
        ("ms,us", "'us' is the second"),
        ("px:1x1,0..1", "'0..1' is the second"),
        ("time,dt", "'dt' is the second"),
    ],
)
def test_wrong_units_are_refused_with_what_is_allowed(text, why):
    with pytest.raises(ValueError, match=why):
        parse(text)


@given(st.text(max_size=20))
def test_any_text_is_units_or_a_value_error(text):
    try:
        units = parse(text)
    except ValueError:
        return
    assert isinstance(units, Units)
