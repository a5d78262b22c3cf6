"""Messages of pages: what is read, what is dropped, and what ends a connection."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase
from robojam.web.limits import MAX_EVENTS, MAX_NAME
from robojam.web.protocol import (
    ControlRequest,
    Frame,
    Hello,
    HostRequest,
    MalformedError,
    Name,
    Ping,
    parse,
)


def test_frame_is_read_with_the_page_s_time_in_seconds():
    (frame,) = parse('["t",1500,[["d",1,0.25,0.5,0.75],["m",2,1,0],["u",3],["u",4,0.1,0.2]]]')
    assert frame == Frame(
        1.5,
        [
            (Phase.DOWN, 1, 0.25, 0.5, 0.75),
            (Phase.MOVE, 2, 1.0, 0.0, None),
            (Phase.UP, 3, 0.0, 0.0, None),
            (Phase.UP, 4, 0.0, 0.0, None),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ('["d",1,NaN,0.5]', "not finite"),
        ('["d",1,0.5,Infinity]', "not finite"),
        ('["d",1,0.5,0.5,NaN]', "not finite"),
        ('["d",1e300,0.5,0.5]', "out of range"),
        (f'["d",{10**30},0.5,0.5]', "out of range"),
        (f'["d",1,{10**400},0.5]', "out of range"),
        ('["d",1,7,0.5]', "out of range"),
        ('["d","1",0.5,0.5]', "wrong arguments"),
        ('["d",1,"0.5",0.5]', "wrong arguments"),
        ('["d",1,null,0.5]', "wrong arguments"),
        ('["d",true,0.5,0.5]', "wrong arguments"),
        ('["d",1,0.5]', "wrong arguments"),
        ('["x",1,0.5,0.5]', "wrong arguments"),
        ('[["d"],1,0.5,0.5]', "wrong arguments"),
        ('{"d":1}', "wrong arguments"),
        ("7", "wrong arguments"),
    ],
)
def test_touch_that_is_not_allowed_is_dropped_and_the_others_are_played(event, reason):
    (frame,) = parse(f'["t",0,[{event},["m",1,0.5,0.5]]]')
    assert frame.dropped == [reason]
    assert frame.touches == [(Phase.MOVE, 1, 0.5, 0.5, None)]


@pytest.mark.parametrize("at", ["null", '"1"', "NaN", "1e300", "[]"])
def test_time_that_is_none_leaves_its_touches(at):
    (frame,) = parse(f'["t",{at},[["d",1,0.5,0.5]]]')
    assert len(frame.touches) == 1
    assert math.isnan(frame.at)


def test_other_messages_are_read():
    assert parse('["hello",1,{"name":"Ada","view":true}]') == Hello("Ada", True)
    assert parse('["hello",1]') == Hello("", False)
    assert parse('["name","  a\\u001b[31m\\nb "]') == Name("a [31m b")
    assert parse(json.dumps(["name", 99 * "x"])) == Name(MAX_NAME * "x")
    assert parse('["ping",7]') == Ping(7)
    assert parse('["control","mode","duet"]') == ControlRequest("mode", "duet")
    assert parse('["control","pause",true]') == ControlRequest("pause", 1)
    assert parse('["host","mute","web-2",false]') == HostRequest("mute", "web-2", False)
    assert parse('["host","lock",true]') == HostRequest("lock", "", True)
    assert [frame.at for frame in parse('["ts",[[1000,[["u",1]]],[2000,[]]]]')] == [1.0, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "7", "null", '"hello"', '["hello",2,{}]', '["hello",1,{"name":7}]',
        '["t"]', '["t",1,7]', '["ts",[[1]]]', '["ping","x"]', '["ping",NaN]', '["unknown"]',
        '["control","seed",1e300]', '["host","burn"]', 9000 * "[",
        f'["t",1,[{",".join(["7"] * (MAX_EVENTS + 1))}]]',
        f'["ts",[{",".join(["[1,[]]"] * (MAX_EVENTS + 1))}]]',
        f'["ts",[{",".join(["[1,[7,7]]"] * MAX_EVENTS)}]]',
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_garbage_is_malformed(text):
    with pytest.raises(MalformedError):
        parse(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["t", "ts", "hello", "d", "m", "u", "host", "control"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)  # fmt: skip


@given(values | st.tuples(st.sampled_from(["t", "ts"]), values, values).map(list))
def test_any_json_is_read_or_malformed(value):
    try:
        message = parse(json.dumps(value))
    except MalformedError:
        return
    for frame in message if isinstance(message, list) else []:
        for _, finger, x, y, pressure in frame.touches:
            assert 0 <= x <= 1
            assert 0 <= y <= 1
            assert abs(finger) <= 2**31
            assert pressure is None or 0 <= pressure <= 1
