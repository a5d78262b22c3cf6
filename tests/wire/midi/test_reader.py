"""What comes in by MIDI: fingers and controls, and everything that goes wrong."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase
from robojam.wire.midi import stream
from robojam.wire.midi.reader import HALF, TOGGLE, reader
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.native import Control, Dropped, Finger, PhaselessTouch

MPE = PRESETS["mpe"]


def taken(surface, *messages):
    """Everything that comes of messages, moves after each."""
    told = []
    for message in messages:
        told += surface.take(message) + surface.moved()
    return told


def finger(told):
    (one,) = told
    assert isinstance(one, Finger)
    return one


def test_mpe_a_note_is_a_finger_its_bend_slides_it_and_74_is_y():
    surface = reader(MPE)
    assert surface.take(stream.bend(1, 8192)) == []
    assert surface.take(stream.control(1, 74, 127)) == []
    down = finger(surface.take(stream.note_on(1, 60, 90)))
    assert down == Finger(Phase.DOWN, 1 << 7 | 60, 0.5, 0.0)  # 36 to 84; 127 is the top
    # x and y come in two messages: told together, once.
    assert surface.take(stream.bend(1, 8192 + 8192 // 48)) == []
    assert surface.take(stream.control(1, 74, 0)) == []
    assert surface.waiting
    move = finger(surface.moved())
    assert (move.phase, move.id, move.y) == (Phase.MOVE, down.id, 1.0)
    assert move.x == pytest.approx(25 / 48, abs=1e-4)  # a semitone further
    assert not surface.waiting
    assert surface.take(stream.note_off(1, 60)) == [Finger(Phase.UP, down.id)]


def test_a_last_slide_is_told_before_the_lift_and_a_landing_hides_none():
    surface = reader(MPE)
    surface.take(stream.note_on(1, 60, 90))
    surface.take(stream.control(1, 74, 0))
    move, up = surface.take(stream.note_on(1, 60, 0))  # a note-off by its other name
    assert (move.phase, move.y, up.phase) == (Phase.MOVE, 1.0, Phase.UP)
    assert surface.moved() == []


def test_the_master_channel_bends_the_whole_zone():
    surface = reader(MPE)
    taken(surface, stream.note_on(1, 60, 90), stream.note_on(2, 62, 90))
    surface.take(stream.bend(0, 0))  # two semitones down
    moved = surface.moved()
    assert [round(one.x * 48) for one in moved] == [22, 24]


def test_a_configuration_message_and_a_bend_range_are_obeyed():
    surface = reader(MPE)
    for message in stream.MidiParser().feed(
        stream.parameter(0, 6, 4) + stream.parameter(2, 0, 24)
    )[0]:
        assert surface.take(message) == []
    taken(surface, stream.note_on(5, 60, 90), stream.note_on(1, 60, 90))
    move = finger(taken(surface, stream.bend(1, 8192 + 4096)))
    assert move.x == pytest.approx(0.75, abs=1e-4)  # half of 24, of every member
    assert finger(taken(surface, stream.bend(5, 8192 + 4096))).x == 1.0  # no member: as it was


def test_a_parameter_without_its_number_is_dropped():
    surface = reader(MPE)
    (told,) = surface.take(stream.control(1, stream.DATA, 12))
    assert told == Dropped("MIDI parameter without its number")


def test_a_struck_note_that_is_struck_again_is_lifted_first():
    surface = reader(MPE)
    first = finger(surface.take(stream.note_on(1, 60, 90)))
    assert surface.take(stream.note_on(1, 60, 90)) == [Finger(Phase.UP, first.id), first]


def test_a_note_off_that_never_comes_ends_with_all_notes_off_and_with_the_port():
    for end in (123, 120, 124):
        surface = reader(MPE)
        taken(surface, stream.note_on(1, 60, 90), stream.note_on(2, 61, 90))
        assert surface.take(stream.control(1, end, 0)) == [Finger(Phase.UP, 1 << 7 | 60)]
        surface.take(stream.control(2, 74, 0))  # the last of it is not lost
        move, up = surface.lift()
        assert (move.phase, move.y, up) == (Phase.MOVE, 1.0, Finger(Phase.UP, 2 << 7 | 61))
        assert surface.lift() == []


def test_a_note_off_of_nothing_is_counted():
    assert reader(MPE).take(stream.note_off(1, 60)) == [Dropped("absent finger")]


def test_a_note_outside_the_surface_is_clipped_to_it():
    down = finger(reader(MPE).take(stream.note_on(1, 100, 90)))
    assert (down.x, down.clipped) == (1.0, True)


def test_y_may_be_the_pressure_or_the_velocity():
    surface = reader(Style(y="pressure"))
    assert finger(surface.take(stream.note_on(1, 60, 90))).y == 1.0
    assert finger(taken(surface, stream.pressure(1, 127))).y == 0.0
    assert finger(taken(surface, bytes((0xA1, 60, 0)))).y == 1.0
    assert finger(reader(Style(y="velocity")).take(stream.note_on(1, 60, 127))).y == 0.0


def test_plain_notes_pitch_is_x_and_velocity_y():
    surface = reader(PRESETS["keys"])
    assert surface.take(stream.note_on(3, 36, 1)) == [Finger(Phase.DOWN, 3 << 7 | 36, 0.0, 1.0)]
    assert surface.take(stream.note_on(3, 84, 127)) == [
        Finger(Phase.DOWN, 3 << 7 | 84, 1.0, 0.0)
    ]
    assert taken(surface, stream.bend(3, 0), stream.control(3, 1, 9)) == []
    assert surface.take(stream.note_off(3, 36)) == [Finger(Phase.UP, 3 << 7 | 36)]


def test_a_style_of_one_channel_hears_no_other():
    surface = reader(Style(kind="notes", channel=2, controls={"cc 64 on 5": "answer"}))
    assert surface.take(stream.note_on(0, 60, 9)) == []
    assert len(surface.take(stream.note_on(1, 60, 9))) == 1
    assert surface.take(stream.control(4, 64, 127)) == [Control("answer", 1)]


def test_two_controllers_are_a_touch_told_together():
    surface = reader(PRESETS["cc"])
    assert surface.take(stream.control(0, 16, 127)) == []
    assert surface.moved() == [
        PhaselessTouch(1.0, 0.5)
    ]  # y is in the middle until it is turned
    surface.take(stream.control(0, 16, 0))
    surface.take(stream.control(0, 17, 127))
    assert surface.moved() == [PhaselessTouch(0.0, 0.0)]
    surface.take(stream.control(0, 17, 127))
    assert surface.moved() == []  # the same is no change
    assert taken(surface, stream.control(0, 18, 3), stream.note_on(0, 1, 1)) == []


def test_14_bit_values_and_their_halves():
    surface = reader(PRESETS["cc14"])
    surface.take(stream.control(0, 16, 64))
    surface.take(stream.control(0, 48, 1))
    assert surface.moved() == [PhaselessTouch((64 * 128 + 1) / 16383, 0.5)]
    surface.take(stream.control(0, 48, 2))  # the fine half alone is a small step
    assert surface.moved() == [PhaselessTouch((64 * 128 + 2) / 16383, 0.5)]
    # The coarse half alone stands for itself; one that never got its fine half is counted.
    assert surface.take(stream.control(0, 16, 127)) == []
    assert surface.moved() == [PhaselessTouch(1.0, 0.5)]
    assert surface.take(stream.control(0, 16, 0)) == [Dropped(HALF)]
    assert surface.take(stream.control(0, 49, 7)) == [Dropped(HALF)]  # a fine half of nothing


CONTROLS = {
    "cc 64": "answer",
    "note 36 on 10": "mode solo",
    "note 37": "mode",
    "note 38": "pause",
    "cc 65": "pause hold",
    "cc 1": "temperature",
    "cc 2": "timescale",
    "cc 3": "spread 1 0",
    "cc 4": "mode",
    "note 39": "temperature 1.5",
    "program 7": "panic",
    "note 40": "response 0 10",
}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([stream.control(3, 64, 127), stream.control(3, 64, 0)], [("answer", 1)]),
        ([stream.control(3, 64, v) for v in (20, 63, 64, 90, 127, 60)], [("answer", 1)]),
        # A switch that says nothing when it is let go.
        ([stream.control(3, 64, 127)] * 2, [("answer", 1)] * 2),
        ([stream.note_on(9, 36, 5), stream.note_off(9, 36)], [("mode", "solo")]),
        ([stream.note_on(0, 37, 5), stream.note_off(0, 37)], [("mode", TOGGLE)]),
        ([stream.note_on(0, 38, 5), stream.note_on(0, 38, 0)], [("pause", TOGGLE)]),
        ([stream.control(0, 65, v) for v in (127, 127, 0)], [("pause", 1), ("pause", 0)]),
        (
            [stream.control(0, 1, v) for v in (0, 127)],
            [("temperature", 0.0), ("temperature", 2)],
        ),
        ([stream.control(0, 2, v) for v in (0, 127)], [("timescale", 0.25), ("timescale", 4)]),
        ([stream.control(0, 3, v) for v in (0, 127)], [("spread", 1.0), ("spread", 0.0)]),
        (
            [stream.control(0, 4, v) for v in (40, 41, 100)],
            [("mode", "duet"), ("mode", "listen")],
        ),
        ([stream.note_on(0, 39, 5)], [("temperature", 1.5)]),
        ([stream.program(0, 7, None)] * 2, [("panic", 1)] * 2),
        ([stream.note_on(0, 40, 127), stream.note_off(0, 40)], [("response", 10.0)]),
    ],
)
def test_controls(messages, expected):
    surface = reader(Style(controls=CONTROLS))
    told = taken(surface, *messages)
    assert [(one.name, one.value) for one in told] == expected


ANY = st.lists(
    st.one_of(
        st.builds(stream.note_on, st.integers(0, 15), st.integers(0, 127), st.integers(0, 127)),
        st.builds(stream.control, st.integers(0, 15), st.integers(0, 127), st.integers(0, 127)),
        st.builds(stream.bend, st.integers(0, 15), st.integers(0, 16383)),
        st.builds(stream.note_off, st.integers(0, 15), st.integers(0, 127)),
        st.binary(min_size=2, max_size=2).map(lambda b: bytes((0xA0, b[0] & 127, b[1] & 127))),
        st.binary(min_size=1, max_size=1).map(lambda b: bytes((0xD0, b[0] & 127))),
    )
)
STYLES = [*PRESETS.values(), Style(controls=CONTROLS), Style(y="pressure"), Style(members=3)]


@given(st.sampled_from(STYLES), ANY)
def test_whatever_comes_fingers_land_slide_and_lift_in_order_and_none_is_left(style, messages):
    surface = reader(style)
    down = set()
    told = [one for message in messages for one in taken(surface, message)] + surface.lift()
    for one in told:
        assert isinstance(one, Finger | PhaselessTouch | Control | Dropped)
        if isinstance(one, Finger | PhaselessTouch):
            assert 0 <= one.x <= 1
            assert 0 <= one.y <= 1
        if isinstance(one, Finger):
            assert (one.id in down) is (one.phase is not Phase.DOWN)
            (down.discard if one.phase is Phase.UP else down.add)(one.id)
        if isinstance(one, Control) and isinstance(one.value, float):
            assert math.isfinite(one.value)
    assert not down
