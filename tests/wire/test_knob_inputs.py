"""Knobs that come in by OSC and MIDI: what they move, and when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.config.map_table import parse_map
from robojam.wire.knob_inputs import FINGER, GATHER, MidiKnobReader, OscKnobReader, parse_source
from robojam.wire.midi import stream
from robojam.wire.native import Control, KnobMoves, PhaselessTouch
from robojam.wire.osc import decode, encode

HOST = "10.0.0.2"


def knobs(**rows):
    return [row.knob() for row in parse_map({"in": rows}).in_.values()]


def osc(**rows) -> OscKnobReader:
    return OscKnobReader(knobs(**rows))


def read(reader: OscKnobReader, address: str, *values, now=0.0, host=HOST, tags=""):
    (message,) = decode(encode(address, tags or "f" * len(values), *values))[0]
    return reader.read(message, host, now)


@pytest.mark.parametrize(
    "text",
    [
        "cc 120", "cc14 32", "nrpn 128:1", "cc 1 on 17", "cc 1 on 0", "cc", "note 1", "osc a",
        "osc /a 0", "osc /a 65", "osc /a b", "osc /a*", "", "cc 1 on", "cc 1 at 2", "osc /a/",
    ],
)  # fmt: skip
def test_wrong_source_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match=r"allowed: cc N \(0 to 119\)"):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "kind", "channel", "ends"),
    [
        ("note", "note", None, (0, 127)),
        ("note on 3", "note", 2, (0, 127)),
        ("velocity on 16", "velocity", 15, (0, 127)),
        ("pitch bend", "pitch bend", None, (-8192, 8191)),
        (" pitch bend  on  1 ", "pitch bend", 0, (-8192, 8191)),
    ],
)
def test_source_without_a_number_may_name_its_channel(text, kind, channel, ends):
    source = parse_source(text)
    assert (source.kind, source.channel, source.ends) == (kind, channel, ends)


def test_note_sets_its_pitch_and_its_velocity_at_each_stroke_and_its_end_nothing():
    reader = MidiKnobReader(
        knobs(
            a={"source": "note on 3", "target": "knob-1"},
            b={"source": "velocity on 3", "target": "knob-2"},
            c={"source": "note on 4", "target": "knob-3"},
        )
    )
    first = KnobMoves(((1, pytest.approx(60 / 127)), (2, 1.0)))
    for _ in range(2):  # the same note again is a movement, too
        assert reader.read(stream.note_on(2, 60, 127)) == []
        assert reader.take_moves() == [first]
        assert reader.read(stream.note_off(2, 60)) == []
        assert reader.read(stream.note_on(2, 60, 0)) == []
        assert not reader.has_moves
    assert reader.read(stream.note_on(5, 60, 127)) is None
    assert reader.read(stream.note_off(5, 60)) is None


def test_pitch_bend_goes_through_the_whole_knob():
    reader = MidiKnobReader(knobs(a={"source": "pitch bend", "target": "knob-1"}))
    for bend, value in ((0, 0.0), (16383, 1.0), (8192, pytest.approx(0.5, abs=1e-4))):
        assert reader.read(stream.bend(7, bend)) == []
        assert reader.take_moves() == [KnobMoves(((1, value),))]


def test_number_of_osc_sets_a_control_where_it_changes_it():
    reader = osc(a={"source": "osc /1/fader1", "target": "temperature", "from": [0, 100]})
    assert read(reader, "/1/fader1", 50.0) == [Control("temperature", 1.0)]
    assert read(reader, "/1/fader1", 50.0) == []
    assert read(reader, "/1/fader1", 1000) == [Control("temperature", 2.0)]
    assert read(reader, "/1/fader2", 50.0) is None


@pytest.mark.parametrize(
    ("tags", "value", "sent"),
    [("i", 1, 2.0), ("s", "0.5", 1.0), ("d", 1.0, 2.0), ("s", "high", None), ("", None, None)],
)
def test_any_number_of_osc_counts_and_what_is_none_is_left_alone(tags, value, sent):
    reader = osc(a={"source": "osc /f", "target": "spread"})
    values = [] if value is None else [value]
    (message,) = decode(encode("/f", tags, *values))[0]
    got = reader.read(message, HOST, 0.0)
    assert got == ([] if sent is None else [Control("spread", sent)])


def test_button_triggers_when_it_is_pressed_and_a_switch_follows():
    reader = osc(
        a={"source": "osc /b", "target": "answer"}, p={"source": "osc /p", "target": "pause"}
    )
    pressed = [read(reader, "/b", value) for value in (1.0, 0.0, 1.0)]
    assert pressed == [[Control("answer", 1)], [], [Control("answer", 1)]]
    assert [read(reader, "/p", value) for value in (1.0, 0.0)] == [
        [Control("pause", 1)],
        [Control("pause", 0)],
    ]


def test_timescale_goes_by_factors_either_way():
    reader = osc(
        a={"source": "osc /t", "target": "timescale"},
        b={"source": "osc /u", "target": "timescale", "invert": True},
    )
    assert read(reader, "/t", 0.5) == [Control("timescale", pytest.approx(1.0))]
    assert read(reader, "/u", 0.75) == [Control("timescale", pytest.approx(0.5))]


def test_arguments_of_one_message_are_gathered_to_one_touch():
    reader = osc(
        a={"source": "osc /xyz", "target": "x"},
        b={"source": "osc /xyz 2", "target": "y", "invert": True},
        c={"source": "osc /z", "target": "pressure"},
    )
    assert read(reader, "/xyz", 0.25, 0.25) == []
    assert read(reader, "/z", 0.5, now=0.001) == []
    assert reader.expire(0.001) == ([], pytest.approx(GATHER - 0.001))
    moves, wait = reader.expire(GATHER)
    assert moves == [(HOST, PhaselessTouch(0.25, 0.75, id=FINGER, pressure=0.5))]
    assert wait == math.inf
    assert read(reader, "/xyz", 0.25, 0.25) == []
    assert reader.expire(9.0) == ([], math.inf)  # it has not moved


def test_each_host_has_a_finger_of_its_own_and_only_some_are_remembered():
    reader = osc(a={"source": "osc /x", "target": "x"})
    for number in range(100):
        read(reader, "/x", number / 100, host=f"10.0.0.{number}")
    moves, _ = reader.expire(1.0)
    assert len(moves) == 64
    assert moves[-1] == ("10.0.0.99", PhaselessTouch(pytest.approx(0.99), 0.5, id=FINGER))


def test_parameter_of_14_bits_is_read_whole():
    reader = MidiKnobReader(knobs(a={"source": "nrpn 1:2", "target": "temperature"}))
    pairs = ((99, 1), (98, 2), (6, 127), (38, 127))
    results = [reader.read(stream.control(3, *pair)) for pair in pairs]
    assert results == [None, None, [], []]
    assert reader.has_moves
    assert reader.take_moves() == [Control("temperature", 2.0)]
    assert reader.read(stream.note_on(3, 60, 1)) is None


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 127), st.integers(0, 127))))
def test_any_controllers_keep_the_finger_on_the_surface(messages):
    reader = MidiKnobReader(
        knobs(
            a={"source": "cc 1", "target": "x"},
            b={"source": "cc14 1", "target": "y"},
            c={"source": "nrpn 0:0", "target": "temperature"},
        )
    )
    for channel, number, value in messages:
        reader.read(stream.control(channel, number % 120, value))
        for input_ in reader.take_moves():
            if isinstance(input_, PhaselessTouch):
                assert 0 <= input_.x <= 1
                assert 0 <= input_.y <= 1
            else:
                assert 0 <= input_.value <= 2
