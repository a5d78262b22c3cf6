"""MIDI byte streams: golden bytes, streams in pieces, and arbitrary bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.wire.midi import stream
from robojam.wire.midi.stream import CUT_OFF, STRAY, MidiParser, SoundingNotes

STREAM = bytes.fromhex(
    "90 3c 40"  # channel 1: middle C is struck
    "40 40"  # running status: E
    "f8"  # a clock, which may stand anywhere
    "e1 00 f8 40"  # and does, within a bend of channel 2: none
    "f0 7d 01 02 f7"  # exclusive to somebody
    "c9 05"  # channel 10: program 6
    "3f"  # running status again: program 64
    "f2 01 02"  # a song's position ends the running status
    "01 02"  # so these belong to nothing
    "b0 4a"  # a controller, torn …
    "80 3c 40"  # … by the end of middle C
)
MESSAGES = ["903c40", "904040", "e10040", "c905", "c93f", "803c40"]


def test_stream_with_running_status_clock_and_exclusive_is_parsed():
    messages, dropped = MidiParser().feed(STREAM)
    assert [message.hex() for message in messages] == MESSAGES
    assert dropped == [STRAY, CUT_OFF]


@given(st.lists(st.integers(0, len(STREAM))))
def test_stream_in_pieces_is_parsed_as_one(cuts):
    parser, messages, dropped = MidiParser(), [], []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        got, lost = parser.feed(STREAM[start:end])
        messages += got
        dropped += lost
    assert [message.hex() for message in messages] == MESSAGES
    # Stray bytes are reported once for each piece that they come in.
    assert set(dropped) == {STRAY, CUT_OFF}


def test_partial_message_is_reported_when_the_port_goes():
    parser = MidiParser()
    assert parser.feed(b"\x90\x3c") == ([], [])
    assert parser.discard_partial() == [CUT_OFF]
    assert parser.discard_partial() == []


@given(st.lists(st.binary(max_size=64)))
def test_any_bytes_are_whole_messages_or_a_reason_and_are_not_kept(pieces):
    parser = MidiParser()
    for piece in pieces:
        messages, dropped = parser.feed(piece)
        assert set(dropped) <= {STRAY, CUT_OFF}
        assert len(parser._data) <= 2
        for message in messages:
            assert 0x80 <= message[0] < 0xF0
            assert len(message) == (2 if message[0] >> 4 in (0xC, 0xD) else 3)
            assert max(message[1:]) < 0x80
            assert MidiParser().feed(message) == ([message], [])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (stream.note_on(0, 60, 96), "90 3c 60"),
        (stream.note_off(15, 60), "8f 3c 40"),
        (stream.bend(1, stream.CENTRE), "e1 00 40"),
        (stream.bend(1, 16383), "e1 7f 7f"),
        (stream.pressure(1, 5), "d1 05"),
        # The configuration message of a lower zone of 15 members: registered parameter 6.
        (stream.parameter(0, 6, 15), "b0 65 00  b0 64 06  b0 06 0f  b0 65 7f  b0 64 7f"),
        (stream.program(9, 4, None), "c9 04"),
        (stream.program(0, 4, 130), "b0 00 01  b0 20 02  c0 04"),
        # Pedal, all notes off, all controllers, all sound off.
        (stream.silence(2), "b2 40 00  b2 7b 00  b2 79 00  b2 78 00"),
    ],
)
def test_messages_have_the_bytes_of_the_specification(made, expected):
    assert made == bytes.fromhex(expected)


def test_sounding_notes_are_released_by_note_offs_before_the_channel_is_silenced():
    sounding = SoundingNotes()
    for message in (
        stream.note_on(1, 60, 9),
        stream.note_on(2, 62, 9),
        stream.note_off(1, 60),
        stream.note_on(2, 64, 9),
        stream.note_on(2, 64, 0),  # a note-off too
    ):
        sounding.sent(message)
    assert sounding.release() == stream.note_off(2, 62) + stream.silence(1) + stream.silence(2)
    assert sounding.release() == b""
