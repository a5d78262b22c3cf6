"""MIDI messages as texts with slashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.wire.midi import stream
from robojam.wire.midi.slash_text import parse, write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/channel/1/noteon/60/100", stream.note_on(0, 60, 100)),
        ("/channel/16/noteoff/127/64", stream.note_off(15, 127)),
        ("/channel/3/cc/74/0", stream.control(2, 74, 0)),
        ("/channel/2/pitchbend/8192", stream.bend(1, stream.CENTRE)),
        ("/channel/2/pitchbend/16383", stream.bend(1, 16383)),
    ],
)
def test_text_is_a_message_and_back(text, message):
    assert parse(text) == message
    assert write(message) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "/channel/0/cc/1/1", "/channel/17/cc/1/1", "/channel/1/cc/128/1",
        "/channel/1/cc/1/128", "/channel/1/cc/1", "/channel/1/cc/1/1/1", "/channel/1/cc/-1/1",
        "/channel/1/cc/1/1\n", "/channel/1/cc/1.0/1", "/channel/1/pitchbend/16384",
        "/channel/1/pitchbend/1/1", "/channel/1/aftertouch/1/1", "/channel/١/cc/1/1",
        "/channel/1/cc/0001/1", "channel/1/cc/1/1", "/channel/1/cc/1/1" + " " * 100,
    ],
)  # fmt: skip
def test_text_that_is_no_message_is_none(text):
    assert parse(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_whole_message_or_none(text):
    message = parse(text)
    assert message is None or len(message) == 3
