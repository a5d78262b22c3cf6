"""The session format: exact round trips, torn files, and errors that name the line."""

from __future__ import annotations

import json
import math
import os
import re
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import accumulate, islice, pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recordings import DOWN, HEAD, HEADER, LINE

from robojam.sessions.recording_file import candidates, file_name
from robojam.sessions.session import (
    EndEvent,
    Header,
    Session,
    SessionError,
    SessionEvent,
    SetEvent,
    TouchEvent,
    encode,
    encode_header,
    is_selected,
    parse,
    read,
    summarise,
)
from robojam.touch import Phase, Touch

seconds = st.floats(0, 1e9, allow_nan=False)
unit = st.floats(0, 1)
who = st.sampled_from(["human", "human2", "human10", "ai", "ai2", "ai4096"])
touches = st.builds(
    Touch,
    unit,
    unit,
    seconds,
    st.sampled_from(list(Phase)),
    st.integers(-(2**31), 2**31 - 1),
    who,
    st.none() | unit,
)
values = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["call-response", "duet", "solo", "listen", "ensemble"]),
        "threshold": st.floats(0.02, 60),
        "spread": st.floats(0, 10),
        "seed": st.integers(0, 2**63 - 1),
        "model": st.fixed_dictionaries({"file": st.text()}, optional={"sha256": st.text()}),
    },
)
events = st.one_of(
    st.builds(TouchEvent, seconds, touches),
    st.builds(SetEvent, seconds, values),
)


def bits(event: SessionEvent) -> bytes:
    """Return an event's floats as bits, which tell -0.0 from 0.0."""
    floats = [event.t]
    if isinstance(event, TouchEvent):
        floats += [event.touch.x, event.touch.y, event.touch.dt, event.touch.pressure or 0.0]
    return struct.pack(f"{len(floats)}d", *floats)


@given(st.lists(events, max_size=20), st.booleans())
def test_written_events_are_read_back_exactly(written: list[SessionEvent], ended: bool) -> None:
    written.sort(key=lambda event: event.t)
    if ended:
        written.append(EndEvent(written[-1].t if written else 0.0, "quit"))
    session = parse(HEAD + b"".join(map(encode, written)))
    assert session.header == HEADER
    assert list(session.events) == written
    assert [bits(e) for e in session.events] == [bits(e) for e in written]
    assert session.warnings == ()
    assert session.ended == ("quit" if ended else None)


def test_lines_have_the_form_of_the_contract() -> None:
    assert json.loads(HEAD) == {
        "robojam": 1,
        "started": "2026-11-20T10:30:00.25+00:00",
        "model": {"file": "robojam.safetensors", "sha256": "ab12"},
        "device": "cpu",
        "build": "0.1.0",
        "seed": 2**63 - 1,
        "options": {"mode": "call-response", "threshold": 0.5, "osc-out": ["127.0.0.1:5006"]},
    }
    assert HEAD.startswith(b'{"robojam":1,"started":')
    assert LINE == (
        b'{"t":0.0,"who":"human","phase":"down","id":0,"x":0.5,"y":0.25,"dt":0.0}\n'
    )
    pressed = TouchEvent(0.0, msgspec.structs.replace(DOWN.touch, pressure=0.75))
    assert encode(pressed) == LINE[:-2] + b',"pressure":0.75}\n'
    assert encode(SetEvent(1, {"mode": "duet"})) == b'{"t":1.0,"set":{"mode":"duet"}}\n'
    assert encode(EndEvent(2.5, "quit")) == b'{"t":2.5,"end":"quit"}\n'


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_encode_refuses_numbers_that_are_not_finite(bad: float) -> None:
    for event in (
        TouchEvent(bad, DOWN.touch),
        TouchEvent(0, Touch(bad, 0, 0, Phase.DOWN)),
        TouchEvent(0, Touch(0, bad, 0, Phase.DOWN)),
        TouchEvent(0, Touch(0, 0, bad, Phase.DOWN)),
        TouchEvent(0, Touch(0, 0, 0, Phase.DOWN, pressure=bad)),
        SetEvent(0, {"temperature": bad}),
        SetEvent(0, {"deep": [{"in": (bad,)}]}),
        EndEvent(bad, "quit"),
    ):
        with pytest.raises(ValueError, match=r"nan|inf"):
            encode(event)
    with pytest.raises(ValueError, match=r"nan|inf"):
        encode_header(Header(**{**_fields(), "options": {"spread": bad}}))


def _fields() -> dict[str, object]:
    return {name: getattr(HEADER, name) for name in HEADER.__struct_fields__}


def test_encode_refuses_events_that_could_not_be_read() -> None:
    for touch in (
        Touch(1.5, 0, 0, Phase.DOWN),
        Touch(0, -0.1, 0, Phase.DOWN),
        Touch(0, 0, -1, Phase.DOWN),
        Touch(0, 0, 0, Phase.DOWN, who="nobody"),
    ):
        with pytest.raises(ValueError, match="must be"):
            encode(TouchEvent(0, touch))
    with pytest.raises(ValueError, match="cannot be recorded"):
        encode(SetEvent(0, {"model": object()}))
    with pytest.raises(ValueError, match="started"):
        encode_header(Header(**{**_fields(), "started": "yesterday"}))


def changed(old: str, new: str) -> bytes:
    assert old.encode() in LINE
    return LINE.replace(old.encode(), new.encode())


BAD_LINES = {
    "x is 1.5, and must be a number from 0 to 1": changed('"x":0.5', '"x":1.5'),
    "y is -0.25": changed('"y":0.25', '"y":-0.25'),
    "x is None": changed('"x":0.5', '"x":null'),
    "x is '0.5'": changed('"x":0.5', '"x":"0.5"'),
    "dt is -1.0": changed('"dt":0.0', '"dt":-1'),
    "t is -1.0": changed('"t":0.0', '"t":-1'),
    "t is 1e\\+300, and must be a number of seconds from 0 to 1,000,000,000": changed(
        '"t":0.0', '"t":1e300'
    ),
    "dt is 1e\\+300": changed('"dt":0.0', '"dt":1e300'),
    "t is 0.5, before the 1.0 of the line above": changed('"t":0.0', '"t":0.5'),
    "Number out of range": changed('"t":0.0', '"t":1e999'),
    "phase is 'jump', and must be down, move or up": changed("down", "jump"),
    "who is 'human1', and must be human, human2": changed("human", "human1"),
    "who is 'robot'": changed("human", "robot"),
    "id is 0.5, and must be a whole number": changed('"id":0', '"id":0.5'),
    "id is 2147483648, and must be a whole number from -2147483648": changed(
        '"id":0', '"id":2147483648'
    ),
    "id is True": changed('"id":0', '"id":true'),
    "pressure is 1.5, and must be a number from 0 to 1": changed("}", ',"pressure":1.5}'),
    "pressure is 'hard'": changed("}", ',"pressure":"hard"}'),
    "is without dt": changed(',"dt":0.0', ""),
    "is without t": b'{"end":"quit"}\n',
    "is neither a touch, nor a control": b'{"t":2}\n',
    "there is no control 'mood'": b'{"t":2,"set":{"mood":"blue"}}\n',
    "there is no control 'record' in a recording": b'{"t":2,"set":{"record":1}}\n',
    "threshold = 0; allowed: a number from 0.02": b'{"t":2,"set":{"threshold":0}}\n',
    "has 1,100,000 bytes, and may have 1,048,576": b"0" * 1_100_000 + b"\n",
    "set is 3, and must be control names": b'{"t":2,"set":3}\n',
    "end is 3, and must be text": b'{"t":2,"end":3}\n',
    "is not JSON": b"hello\n",
    "is not an event": b"[1]\n",
    "is nested too deep": b'{"t":2,"set":' + b'{"a":' * 100_000 + b"\n",
    r"is not JSON \('utf-8'": b'{"t":2,"end":"\xff"}\n',
}


@pytest.mark.parametrize("why", BAD_LINES)
def test_damaged_line_is_left_out_with_its_number_and_reason_and_strict_refuses_it(
    tmp_path: Path, why: str
) -> None:
    path = tmp_path / "jam.jsonl"
    later = LINE.replace(b'"t":0.0', b'"t":1.0')
    path.write_bytes(HEAD + later + later + BAD_LINES[why] + later)
    session = read(path)
    assert session.events == (msgspec.structs.replace(DOWN, t=1.0),) * 3
    (warning,) = session.warnings
    assert re.match(rf"{re.escape(str(path))}, line 4: .*{why}.*; it is left out", warning)
    assert (session.damaged, session.torn) == ((4,), False)
    assert summarise(path) == session.summary()
    with pytest.raises(SessionError, match=why) as caught:
        read(path, strict=True)
    assert (caught.value.path, caught.value.line) == (path, 4)
    assert str(caught.value).startswith(f"{path}, line 4: ")
    with pytest.raises(SessionError, match=why):
        summarise(path, strict=True)


def test_time_that_is_too_late_costs_its_own_line_alone() -> None:
    lines = [LINE.replace(b'"t":0.0', b'"t":%d.0' % t) for t in (1, 2, 90000, 3, 4, 4, 5)]
    session = parse(HEAD + b"".join(lines))
    assert [event.t for event in session.events] == [1, 2, 3, 4, 4, 5]
    assert session.warnings == (
        "session, line 4: t is 90000.0, after the times of the lines below; it is left out",
    )


def test_longest_pause_is_the_first_or_between_two_events() -> None:
    events = [msgspec.structs.replace(DOWN, t=t) for t in (2.0, 2.5, 9.0, 9.5)]
    assert Session(HEADER, ()).longest_pause == (0.0, 0.0)
    assert Session(HEADER, tuple(events)).longest_pause == (6.5, 2.5)
    assert Session(HEADER, tuple(events[:2])).longest_pause == (2.0, 0.0)


def test_end_before_the_last_line_is_left_out() -> None:
    session = parse(HEAD + encode(EndEvent(0, "quit")) + LINE)
    assert session.events == (DOWN,)
    assert "line 2: is an end, and the recording goes on after it" in session.warnings[0]


def test_line_behind_a_torn_one_without_a_newline_between_stands() -> None:
    for torn in (LINE[:30], b"\0" * 512):
        session = parse(HEAD + LINE + torn + LINE + encode(EndEvent(1, "quit")))
        assert session.events == (DOWN, DOWN, EndEvent(1, "quit"))
        assert session.damaged == (3,)


def test_two_recordings_in_one_file_are_never_mixed() -> None:
    with pytest.raises(SessionError, match="line 3: another recording begins here"):
        parse(HEAD + LINE + HEAD + LINE)


def test_warnings_of_a_file_full_of_damage_are_few() -> None:
    session = parse(HEAD + b"rubbish\n" * 1000 + LINE, Path("a"))
    assert session.events == (DOWN,)
    assert len(session.warnings) == 9
    assert session.warnings[-1] == "a: 992 more lines are damaged, and are left out"
    assert len(session.damaged) == 1000


@given(st.lists(st.integers(0, 30), max_size=25))
def test_as_few_lines_as_possible_are_left_out_for_their_times(times: list[int]) -> None:
    lines = (LINE.replace(b'"t":0.0', b'"t":%d' % t) for t in times)
    kept = [event.t for event in parse(HEAD + b"".join(lines)).events]
    assert kept == sorted(kept)
    best: list[int] = []  # the longest ordered part that ends at each line
    for i, t in enumerate(times):
        best.append(1 + max((best[j] for j in range(i) if times[j] <= t), default=0))
    assert len(kept) == max(best, default=0)


MANY = [
    event
    for i in range(12)
    for event in (
        TouchEvent(i, Touch(i / 12, 0.5, 0.25, Phase.MOVE, i)),
        SetEvent(i, {"spread": i / 4}),
    )
]


@given(
    st.integers(0, sum(len(encode(event)) for event in MANY)),
    st.integers(0, 150),
    st.text("\0\n", min_size=1, max_size=60),
)
def test_what_stands_of_a_damaged_file_is_a_part_of_it(at: int, cut: int, noise: str) -> None:
    """Zeros and newlines in the place of any bytes: what they do not touch stands."""
    body = b"".join(map(encode, MANY))
    damaged = body[:at] + noise.encode() + body[at + cut :]
    try:
        session = parse(HEAD + damaged)
    except SessionError:
        pytest.fail("the header stands, and so the file can be read")
    events = iter(MANY)
    assert all(event in events for event in session.events)  # in order
    untouched = sum(
        end <= at or start >= at + cut
        for start, end in pairwise(accumulate((len(encode(e)) for e in MANY), initial=0))
    )
    assert len(session.events) >= untouched - 1 - (at + cut < len(body))


BAD_HEADS = {
    "is empty": b"",
    "is empty: nothing": b"\n \n",
    "not JSON": b"PK\x03\x04\n",
    "torn or not a robojam session": HEAD[:40],
    'its first line has no "robojam"': LINE,
    "was made by a newer robojam": HEAD.replace(b'"robojam":1', b'"robojam":3'),
    "robojam is True": HEAD.replace(b'"robojam":1', b'"robojam":true'),
    "robojam is 0": HEAD.replace(b'"robojam":1', b'"robojam":0'),
    "is without seed": HEAD.replace(b'"seed"', b'"sead"'),
    "started is 'x026": HEAD.replace(b'"2026', b'"x026'),
    "model is": HEAD.replace(b'"ab12"', b"12"),
    "seed is 1.5": HEAD.replace(b"9223372036854775807", b"1.5"),
}


@pytest.mark.parametrize("why", BAD_HEADS)
def test_wrong_header_is_reported_with_its_reason(why: str) -> None:
    with pytest.raises(SessionError, match=why) as caught:
        parse(BAD_HEADS[why], Path("jam.jsonl"))
    assert str(caught.value).startswith("jam.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_named_pipe_is_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(SessionError, match="is no regular file"):
        read(tmp_path / "a.jsonl")


def test_missing_file_is_reported_with_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(SessionError, match="cannot be read") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_file_torn_anywhere_keeps_every_complete_line() -> None:
    lines = [HEAD, LINE, encode(SetEvent(0.5, {"mode": "solo"})), encode(EndEvent(1.0, "é"))]
    data = b"".join(lines)
    for size in range(len(HEAD), len(data)):
        session = parse(data[:size], Path("jam.jsonl"))
        # A line whose newline alone is missing is whole.
        ends = [sum(map(len, lines[: n + 1])) - 1 for n in range(1, len(lines))]
        whole = sum(end <= size for end in ends)
        assert len(session.events) == whole
        torn = size not in [len(HEAD), *ends, *(end + 1 for end in ends)]
        assert len(session.warnings) == torn
        if torn:
            assert f"jam.jsonl, line {whole + 2}" in session.warnings[0]


def test_zeros_at_the_end_are_a_torn_line() -> None:
    session = parse(HEAD + LINE + b"\0" * 4096)
    assert (len(session.events), len(session.warnings)) == (1, 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_session_or_a_session_error(noise: bytes) -> None:
    for data in (noise, HEAD + noise, HEAD + LINE + noise + b"\n" + LINE):
        with suppress(SessionError):
            assert parse(data).header.seed >= 0


@pytest.mark.parametrize("late", [b"0", b'{"p50":null}'])
def test_lateness_that_is_not_percentiles_is_refused_with_what_is_right(late: bytes) -> None:
    with pytest.raises(SessionError, match=r"line 2: late_ms is .*must be percentiles"):
        parse(HEAD + b'{"t":1,"end":"SIGTERM","late_ms":%s}\n' % late, strict=True)


def test_unknown_keys_and_blank_lines_are_ignored() -> None:
    header = HEAD.replace(b"{", b'{"mood":"blue",', 1)
    line = LINE.replace(b"{", b'{"weather":0.5,', 1)
    assert parse(header + b"\r\n" + line + b"\n").events == (DOWN,)


def test_summary_and_touches_of_a_session() -> None:
    events = [
        DOWN,
        TouchEvent(0.5, Touch(0.5, 0.5, 0.5, Phase.MOVE)),
        SetEvent(1.0, {"mode": "duet", "temperature": 0.5}),
        TouchEvent(1.0, Touch(0.5, 0.5, 0.5, Phase.UP)),
        TouchEvent(2.0, Touch(0.5, 0.5, 0.25, Phase.DOWN, who="ai")),
        SetEvent(2.5, {"mode": "call-response"}),
        EndEvent(3.0, "quit"),
    ]
    session = parse(HEAD + b"".join(map(encode, events)))
    summary = session.summary()
    assert summary.touches == {"human": 2, "ai": 1}
    assert summary.modes == ("call-response", "duet")
    assert (summary.seconds, summary.ended) == (3.0, "quit")
    assert summary.started == datetime(2026, 11, 20, 10, 30, 0, 250_000, tzinfo=UTC)
    assert summary.model == "robojam.safetensors"
    assert [e.t for e in session.touches()] == [0.0, 0.5, 1.0, 2.0]
    assert [e.t for e in session.touches("ai")] == [2.0]
    assert list(session.select(["human"]).touches()) == list(session.touches("human"))
    assert session.select(None) is session
    assert parse(HEAD).duration == 0.0


def test_file_names_are_in_utc_and_numbered_where_taken() -> None:
    east = datetime(2026, 11, 20, 0, 30, 5, tzinfo=timezone(timedelta(hours=1)))
    assert file_name(east) == "2026-11-19T23-30-05.jsonl"
    assert [path.name for path in islice(candidates(Path("sessions"), east), 3)] == [
        "2026-11-19T23-30-05.jsonl",
        "2026-11-19T23-30-05-2.jsonl",
        "2026-11-19T23-30-05-3.jsonl",
    ]


def test_selection_names_a_player_or_all_of_a_kind() -> None:
    assert is_selected("human2", ["human"])
    assert is_selected("ai3", ["ai"])
    assert is_selected("ai3", ["ai3"])
    assert not is_selected("ai3", ["ai2", "human"])
    assert not is_selected("human", ["human2"])
