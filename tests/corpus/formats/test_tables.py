"""Tables and logs as the world writes them: performances parted, bad lines skipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.commands import run

from robojam.corpus.corpus import CorpusError, clean
from robojam.corpus.formats import read, read_all
from robojam.corpus.units import parse

HEAD = "time,x,y,z,moving\n"
LINE = "2024-06-12T12:34:5{0},interface,0.{0},0.25\n"
LOG = LINE.format(1) + LINE.format(2) + LINE.format(3)
#: What the iPad and the web front end of IMPSY write first.
IPAD = "# IMPSY AUv3 v1.0 log\n# model=a\n# dimension=3\n# created=2024-06-12T12:34:50.1\n"
WEB = "# IMPSY Web log\n# model=a\n# dimension=3\n"
METATONE = (
    "time,device_id,x_pos,y_pos,velocity\n"
    "2014-12-12T12:06:19.500000,ada,512.0,384.0,0.0\n"
    "2014-12-12T12:06:19.510000,bea,0.0,768.0,0.0\n"
    "2014-12-12T12:06:19.520000,ada,1024.0,384.0,6.0\n"
    "2014-12-12T12:06:19.540000,bea,0.0,0.0,4.0\n"
    "2014-12-12T12:06:20.540000,ada,512.0,0.0,0\n"
)


def text(folder: Path, held: str, name: str = "data") -> Path:
    (folder / name).write_text(held, "utf-8", newline="")
    return folder / name


# Performances


def test_time_that_falls_begins_a_performance(tmp_path):
    first = "0.005,0.1,0.1,1,0\n0.3,0.1,0.1,1,1\n"
    second = "0.002,0.2,0.2,1,0\n0.4,0.2,0.2,1,1\n"
    found = read(text(tmp_path, HEAD + first + second + first))
    assert found.lengths.tolist() == [2, 2, 2]
    np.testing.assert_allclose(found.events[:, 2], [0, 0.295, 0, 0.398, 0, 0.295])
    found = read(text(tmp_path, HEAD + first + HEAD.upper() + "0.5,0.2,0.2,1,0\n" + second))
    assert found.lengths.tolist() == [2, 1, 2]  # a line of names begins one, too
    assert found.dropped == {"repeated lines of names": 1}
    assert found.places == {"repeated lines of names": "line 4"}


def test_table_may_begin_with_a_line_in_brackets(tmp_path):
    found = read(text(tmp_path, "[info] started\n" + HEAD + "0.1,0.1,0.1,1,0\n"))
    assert len(found.events) == 1


def test_repeated_names_part_a_table_of_dt(tmp_path):
    part = "dt,x,y\n0.5,0.1,0.1\n0.02,0.1,0.1\n"
    found = clean(read(text(tmp_path, part + part)))
    assert found.lengths.tolist() == [2, 2]
    assert found.events[:, 2].tolist() == [0, 0.02, 0, 0.02]


def test_time_that_is_out_of_order_by_milliseconds_begins_nothing(tmp_path):
    times = [0.0, 0.02, 0.04, 0.039, 0.06, 0.08, 0.1]
    lines = "".join(f"{time},0.5,0.5,1,1\n" for time in times)
    found = read(text(tmp_path, HEAD + lines))
    assert found.lengths.tolist() == [7]
    assert clean(found).dropped == {"touches with dt clipped to 0..5 s": 1}


def test_long_pause_parts_a_log_and_is_counted(tmp_path, capsys):
    later = LOG.replace("06-12T12", "06-14T11")  # 47 hours
    found = read(text(tmp_path, LOG + later))
    assert found.lengths.tolist() == [3, 3]
    assert found.events[:, 2].tolist() == [0, 1, 1, 0, 1, 1]
    assert found.places == {"pauses of more than 30 s, at which it is parted": "line 4"}
    status, out, _ = run(capsys, "corpus", tmp_path / "data")
    assert status == 0
    assert "pauses of more than 30 s, at which it is parted: 1 (line 4)" in out
    assert "2 performances, 6 touches" in out


@pytest.mark.parametrize(("pause", "lengths"), [(29, [6]), (31, [3, 3])])
@pytest.mark.parametrize("column", ["time", "dt"])
def test_pause_of_30_s_parts_a_table(column, pause, lengths, tmp_path):
    dt = [0, 0.1, 0.1, pause, 0.1, 0.1]
    values = dt if column == "dt" else np.cumsum(dt).tolist()
    path = text(tmp_path, f"{column},x,y\n" + "".join(f"{v},0.5,0.5\n" for v in values))
    assert read(path).lengths.tolist() == lengths


# Lines


@pytest.mark.parametrize(
    ("first", "count"),
    [
        (IPAD, 4),
        (WEB, 3),
        ("\ufeff" + WEB, 3),
        ("34:50,interface,0.5,0.25\n", 1),
        ("2024-06-12T12:34:50,interface,0.5\n", 1),
        ("\n\nhello\n", 1),
        ("\0" * 1000 + "\n", 0),
    ],
)
def test_comments_and_odd_first_lines_of_a_log_are_skipped_and_counted(first, count, tmp_path):
    path = text(tmp_path, first + LOG, "a.log")
    found = read(path)
    np.testing.assert_array_equal(found.events, read(text(tmp_path, LOG, "b.log")).events)
    assert sum(found.dropped.values()) == count
    assert [corpus.name for corpus in read_all([tmp_path])] == ["a.log", "b.log"]


@pytest.mark.parametrize("first", ["sep=,\n", "# recorded by hand\n\n", "My tune\n", ",,,\n"])
def test_lines_before_the_names_of_a_table_are_skipped_and_counted(first, tmp_path):
    found = read(text(tmp_path, first + HEAD + "0,0.5,0.5,1,0\n0.1,0.5,0.5,1,1\n"))
    assert found.lengths.tolist() == [2]
    assert found.dropped == {"lines that are not 5 numbers": 1}
    assert found.places == {"lines that are not 5 numbers": "line 1"}


def test_table_without_names_is_read_as_microjam_if_it_may_be_and_said(tmp_path):
    found = read(text(tmp_path, "0.005, 0.5, 0.5, 38.0, 0\n0.1, 0.6, 0.5, 38.0, 1\n"))
    np.testing.assert_allclose(found.events, [[0.5, 0.5, 0, 0], [0.6, 0.5, 0.095, 1]])
    assert found.dropped == {"lines without names, read as time,x,y,z,moving": 2}
    with pytest.raises(CorpusError, match="It has 5 numbers a line and no names"):
        read(text(tmp_path, "0.005, 0.5, 0.5, 0, 38.0\n"))


def test_spaces_separate_where_nothing_else_does(tmp_path):
    found = read(text(tmp_path, "x  y  dt\n 0.5 0.5\t 0 \n0.6 0.5 0.1\n", "a.txt"))
    np.testing.assert_allclose(found.events[:, :3], [[0.5, 0.5, 0], [0.6, 0.5, 0.1]])


def test_one_odd_line_does_not_cost_the_lines_around_it(tmp_path):
    good = [f"{i / 100},0.5,0.5,1,{int(i > 0)}\n" for i in range(2000)]
    good[1000] = 'hello, "world\n'
    found = read(text(tmp_path, HEAD + "".join(good)))
    assert len(found.events) == 1999
    assert found.places == {"lines that are not 5 numbers": "line 1002"}
    assert found.lines is not None
    assert found.lines[[0, 999, 1000, 1998]].tolist() == [2, 1001, 1003, 2001]


@pytest.mark.parametrize("end", ["", "x"])
def test_number_of_20000_digits_is_refused_by_its_line(end, tmp_path):
    path = text(tmp_path, f"time,x,y\n0,0.5,0.5\n0.1,{'1' * 20_000}{end},0.5\n")
    with pytest.raises(CorpusError, match=r"line 3 has 20,00. characters or more"):
        read(path)


def test_file_without_line_ends_is_not_read_to_its_end(tmp_path, monkeypatch):
    path = text(tmp_path, HEAD + "0.1" * 1_000_000)
    size = []
    monkeypatch.setattr("robojam.corpus.formats.tables._BLOCK", 1 << 15)
    original = np.frombuffer

    def watched(data: bytes, *args: object) -> object:
        size.append(len(data))
        return original(data, *args)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "frombuffer", watched)
    with pytest.raises(CorpusError, match=r"line 2 has .* characters or more"):
        read(path)
    assert sum(size) < 1 << 17


@pytest.mark.parametrize("digits", ["1" * 9000, "1" * 9000 + "x", "1_0", "0x1", "1e5e", "--1"])
def test_what_is_no_number_is_no_touch(digits, tmp_path):
    good = "".join(f"{i / 100},0.5,0.5\n" for i in range(20))
    found = read(text(tmp_path, f"time,x,y\n{good}0.5,{digits},0.5,\n"))
    assert found.dropped == {"lines that are not 3 numbers": 1}


# Metatone


def test_metatone_log_is_a_performance_of_each_player(tmp_path):
    found = read(text(tmp_path, METATONE))
    assert (found.source, found.inferred) == ("Metatone log", 0)
    assert found.lengths.tolist() == [3, 2]
    np.testing.assert_allclose(
        found.events,
        [[0.5, 0.5, 0, 0], [1, 0.5, 0.02, 1], [0.5, 0, 1.02, 0], [0, 1, 0, 0], [0, 0, 0.03, 1]],
    )
    assert found.dropped == {"touches read with --units px:1024x768": 5}
    assert found.lines is not None
    assert found.lines.tolist() == [2, 4, 6, 3, 5]


def test_metatone_log_in_seconds_with_other_players_and_bad_lines_is_read(tmp_path):
    head = METATONE.partition("\n")[0]
    body = "0.5,7,10,20,0\n0.52,7,11,20,3.1\n1,touch/ended,7\n0.6,8,10,20,0\n0.7,8,10,21,1\n"
    found = read(text(tmp_path, head + "\n" + body))
    assert found.lengths.tolist() == [2, 2]
    assert found.events[:, 3].tolist() == [0, 1, 0, 1]
    assert found.dropped["lines that are not 5 numbers"] == 1


def test_metatone_log_of_a_larger_surface_is_refused_with_the_option(tmp_path):
    path = text(tmp_path, METATONE.replace(",512.0", ",1300.0"))
    with pytest.raises(CorpusError, match=r"outside 0\.\.1024 in 2 of 5 .* --units px:1366x"):
        read(path)
    assert read(path, units=parse("px:1366x1024")).events[:, 0].max() < 1


def test_other_messages_of_metatone_in_a_folder_are_skipped_and_named(tmp_path, capsys):
    text(tmp_path, METATONE, "a-touches.csv")
    text(tmp_path, "time,name,event_type\n2014-12-12T12:07:16,A,new_idea\n", "a-events.csv")
    text(tmp_path, "time,ada\n2014-12-12T12:05:58.5,0\n", "a-gestures.csv")
    raw = "Logging started - a.log\n2014-12-12T12:06:19.528851, touch, ada, 521.0, 390.5, 0.0\n"
    text(tmp_path, raw, "a.log")
    status, out, err = run(capsys, "corpus", tmp_path)
    assert status == 0
    assert "a-touches.csv (Metatone log): 2 performances, 5 touches" in out
    assert err.count("\n") == 1
    assert "3 files in it hold no touches: a-events.csv, a-gestures.csv, a.log" in err
    with pytest.raises(CorpusError, match=r"log of Metatone's classifier.*touches\.csv"):
        read(tmp_path / "a.log")
