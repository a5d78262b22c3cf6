"""MIDI input: messages to fingers and controls, and invalid messages."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.music import PitchRange
from robojam.touch import Phase
from robojam.wire.midi import stream
from robojam.wire.midi.reader import HALF, TOGGLE, make_reader
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.native import Control, Dropped, Finger, PhaselessTouch, PitchedFinger

MPE = PRESETS["mpe"]


def inputs_of(reader, *messages):
    """Return the inputs of messages, with the moves after each."""
    inputs = []
    for message in messages:
        inputs += reader.read(message) + reader.take_moves()
    return inputs


def finger(inputs):
    (only,) = inputs
    assert isinstance(only, PitchedFinger)
    return only


def test_mpe_note_is_a_finger_that_bend_and_controller_74_move():
    reader = make_reader(MPE)
    assert reader.read(stream.bend(1, 8192)) == []
    assert reader.read(stream.control(1, 74, 127)) == []
    down = finger(reader.read(stream.note_on(1, 60, 90)))
    # 127 is the top; the velocity is the pressure of the landing.
    assert down == PitchedFinger(Phase.DOWN, 1 << 7 | 60, 60.0, 0.0, pressure=90 / 127)
    # Pitch and y come in two messages: returned together, once.
    assert reader.read(stream.bend(1, 8192 + 8192 // 48)) == []
    assert reader.read(stream.control(1, 74, 0)) == []
    assert reader.has_moves
    move = finger(reader.take_moves())
    assert (move.phase, move.id, move.y) == (Phase.MOVE, down.id, 1.0)
    assert move.pitch == pytest.approx(61, abs=0.006)
    assert not reader.has_moves
    assert reader.read(stream.note_off(1, 60)) == [Finger(Phase.UP, down.id)]


def test_move_that_waits_comes_before_the_lift():
    reader = make_reader(MPE)
    reader.read(stream.note_on(1, 60, 90))
    reader.read(stream.control(1, 74, 0))
    move, up = reader.read(stream.note_on(1, 60, 0))  # a note-off by its other name
    assert (move.phase, move.y, up.phase) == (Phase.MOVE, 1.0, Phase.UP)
    assert reader.take_moves() == []


def test_bend_of_the_master_channel_bends_the_whole_zone():
    reader = make_reader(MPE)
    inputs_of(reader, stream.note_on(1, 60, 90), stream.note_on(2, 62, 90))
    reader.read(stream.bend(0, 0))  # two semitones down
    moved = reader.take_moves()
    assert [one.pitch for one in moved] == [58, 60]


def test_configuration_message_and_bend_range_are_obeyed():
    reader = make_reader(MPE)
    for message in stream.MidiParser().feed(
        stream.parameter(0, 6, 4) + stream.parameter(2, 0, 24)
    )[0]:
        assert reader.read(message) == []
    inputs_of(reader, stream.note_on(5, 60, 90), stream.note_on(1, 60, 90))
    move = finger(inputs_of(reader, stream.bend(1, 8192 + 4096)))
    assert move.pitch == 72  # half of 24, the range of every member
    # No member any more: half of 2, the range of a channel that is in no zone.
    assert finger(inputs_of(reader, stream.bend(5, 8192 + 4096))).pitch == 61


def test_parameter_value_without_its_number_is_dropped():
    reader = make_reader(MPE)
    (dropped,) = reader.read(stream.control(1, stream.DATA, 12))
    assert dropped == Dropped("MIDI parameter without its number")


def test_note_struck_twice_is_lifted_first():
    reader = make_reader(MPE)
    first = finger(reader.read(stream.note_on(1, 60, 90)))
    assert reader.read(stream.note_on(1, 60, 90)) == [Finger(Phase.UP, first.id), first]


def test_held_notes_end_with_all_notes_off_and_with_the_port():
    for end in (123, 120, 124):
        reader = make_reader(MPE)
        inputs_of(reader, stream.note_on(1, 60, 90), stream.note_on(2, 61, 90))
        assert reader.read(stream.control(1, end, 0)) == [Finger(Phase.UP, 1 << 7 | 60)]
        reader.read(stream.control(2, 74, 0))  # its last move is not lost
        move, up = reader.lift_all()
        assert (move.phase, move.y, up) == (Phase.MOVE, 1.0, Finger(Phase.UP, 2 << 7 | 61))
        assert reader.lift_all() == []


def test_note_off_without_a_note_is_dropped_with_a_reason():
    assert make_reader(MPE).read(stream.note_off(1, 60)) == [Dropped("absent finger")]


def test_finger_carries_the_pitch_range_of_a_style_that_has_its_own():
    for style, own in ((MPE, None), (PRESETS["drums"], PitchRange(35, 51))):
        note = stream.note_on(9, 100, 90)
        assert finger(make_reader(style).read(note)).pitch_range == own


def test_y_is_the_pressure_or_the_velocity_where_the_style_says_so():
    reader = make_reader(Style(y="pressure"))
    assert finger(reader.read(stream.note_on(1, 60, 90))).y == 1.0
    assert finger(inputs_of(reader, stream.pressure(1, 127))).y == 0.0
    assert finger(inputs_of(reader, bytes((0xA1, 60, 0)))).y == 1.0
    assert finger(make_reader(Style(y="velocity")).read(stream.note_on(1, 60, 127))).y == 0.0


def test_plain_note_has_its_pitch_and_its_velocity_as_y():
    reader = make_reader(PRESETS["keys"])
    low, high = (finger(reader.read(stream.note_on(3, *note))) for note in ((36, 1), (84, 127)))
    assert low == PitchedFinger(Phase.DOWN, 3 << 7 | 36, 36.0, 1.0, pressure=1 / 127)
    assert high == PitchedFinger(Phase.DOWN, 3 << 7 | 84, 84.0, 0.0, pressure=1.0)
    assert inputs_of(reader, stream.bend(3, 0), stream.control(3, 1, 9)) == []
    assert reader.read(stream.note_off(3, 36)) == [Finger(Phase.UP, 3 << 7 | 36)]


def test_style_of_one_channel_ignores_the_notes_of_others():
    reader = make_reader(Style(kind="notes", channel=2, controls={"cc 64 on 5": "answer"}))
    assert reader.read(stream.note_on(0, 60, 9)) == []
    assert len(reader.read(stream.note_on(1, 60, 9))) == 1
    assert reader.read(stream.control(4, 64, 127)) == [Control("answer", 1)]


def test_two_controllers_make_one_touch():
    reader = make_reader(PRESETS["cc"])
    assert reader.read(stream.control(0, 16, 127)) == []
    assert reader.take_moves() == [
        PhaselessTouch(1.0, 0.5)
    ]  # y is in the middle until it is turned
    reader.read(stream.control(0, 16, 0))
    reader.read(stream.control(0, 17, 127))
    assert reader.take_moves() == [PhaselessTouch(0.0, 0.0)]
    reader.read(stream.control(0, 17, 127))
    assert reader.take_moves() == []  # the same is no change
    assert inputs_of(reader, stream.control(0, 18, 3), stream.note_on(0, 1, 1)) == []


def test_14_bit_values_are_read_and_lone_halves_are_counted():
    reader = make_reader(PRESETS["cc14"])
    reader.read(stream.control(0, 16, 64))
    reader.read(stream.control(0, 48, 1))
    assert reader.take_moves() == [PhaselessTouch((64 * 128 + 1) / 16383, 0.5)]
    reader.read(stream.control(0, 48, 2))  # the fine half alone is a small step
    assert reader.take_moves() == [PhaselessTouch((64 * 128 + 2) / 16383, 0.5)]
    # A coarse half alone moves no farther than it must; when another follows without the fine
    # half of the last, coarse halves stand for themselves.
    assert reader.read(stream.control(0, 16, 126)) == []
    assert reader.take_moves() == [PhaselessTouch(126 * 128 / 16383, 0.5)]
    assert reader.read(stream.control(0, 16, 127)) == [Dropped(HALF)]
    assert reader.take_moves() == [PhaselessTouch(1.0, 0.5)]
    # A fine half may come before its coarse half, but not twice.
    assert reader.read(stream.control(0, 49, 7)) == []
    assert reader.read(stream.control(0, 49, 8)) == [Dropped(HALF)]
    assert reader.take_moves() == []


@pytest.mark.parametrize("fine_first", [False, True])
def test_14_bit_fader_passes_a_coarse_step_without_a_jump(fine_first):
    reader, places = make_reader(PRESETS["cc14"]), []
    for value in (8318, 8319, 8320, 8321, 8320, 8319):  # 64 127, 65 0
        halves = [stream.control(0, 16, value >> 7), stream.control(0, 48, value & 127)]
        for message in reversed(halves) if fine_first else halves:
            reader.read(message)
            places += [16383 * move.x for move in reader.take_moves()]
        assert places[-1] == pytest.approx(value)
    assert all(8317 - 128 * (not n) < place < 8322 for n, place in enumerate(places))


def test_order_of_halves_is_learnt_again_from_the_pauses_between_pairs():
    for numbers, style in (
        ((16, 48), PRESETS["cc14"]),
        ((6, 38), Style(kind="cc", x="nrpn 1:2", y=17)),
        ((6, 38), Style(controls={"nrpn 1:2": "temperature 0 16383"})),
    ):
        reader = make_reader(style)
        for select in ((99, 1), (98, 2), (numbers[0], 62)):  # the fine half before it is lost
            reader.read(stream.control(0, *select))
        for value in (8000, 8060, 8100, 8160, 8200, 8260, 8300, 8340, 8390, 8447):
            reader.take_moves()
            reader.read(stream.control(0, numbers[1], value & 127))
            reader.read(stream.control(0, numbers[0], value >> 7))
            (move,) = reader.take_moves()
        assert reader.take_moves() == []
        reader.read(stream.control(0, numbers[1], 8448 & 127))  # from 65 127 to 66 0
        (move,) = reader.take_moves()
        got = move.value if isinstance(move, Control) else 16383 * move.x
        assert got == pytest.approx(8448)


@pytest.mark.parametrize("axis", ["nrpn 1:2", "nrpn 130"])
def test_parameter_of_the_manufacturer_is_an_axis(axis):
    reader = make_reader(Style(kind="cc", x=axis, y=17))

    def enter(registered, *data):
        select = (101, 100) if registered else (99, 98)
        pairs = [*zip(select, (1, 2), strict=True), *data]
        assert not any(reader.read(stream.control(0, *pair)) for pair in pairs)
        return [move.x * 16383 for move in reader.take_moves()]

    assert enter(False, (6, 64), (38, 5)) == [64 * 128 + 5]
    assert enter(False, (6, 64), (38, 6)) == [64 * 128 + 6]
    assert enter(False, (96, 0), (96, 0)) == [64 * 128 + 8]  # increment
    assert enter(False, (97, 0)) == [64 * 128 + 7]
    assert enter(True, (6, 1), (38, 5)) == []  # a registered parameter of that number
    assert enter(False, (101, 127), (100, 127), (6, 1)) == []  # none is selected
    assert inputs_of(reader, stream.control(0, 17, 127)) == [
        PhaselessTouch((64 * 128 + 7) / 16383, 0.0)
    ]


def test_data_entry_plays_as_a_plain_controller_while_no_parameter_is_selected():
    reader = make_reader(Style(kind="cc", x=6, y="nrpn 0:1"))
    assert inputs_of(reader, stream.control(0, 6, 127)) == [PhaselessTouch(1.0, 0.5)]
    messages = [stream.control(0, *pair) for pair in ((99, 0), (98, 1), (6, 127))]
    assert inputs_of(reader, *messages) == [PhaselessTouch(1.0, 0.0)]
    assert inputs_of(reader, stream.control(0, 121, 0), stream.control(0, 6, 0)) == [
        PhaselessTouch(0.0, 0.0)  # which selects no parameter
    ]


def test_data_entry_is_a_knob_though_a_device_leaves_a_parameter_selected():
    bend_range = [stream.control(0, *pair) for pair in ((101, 0), (100, 0))]
    reader = make_reader(Style(kind="cc", x=6, y=17))
    assert inputs_of(reader, *bend_range, stream.control(0, 6, 127)) == [
        PhaselessTouch(1.0, 0.5)
    ]
    reader = make_reader(Style(kind="notes", controls={"cc 6": "answer"}))
    assert inputs_of(reader, *bend_range, stream.control(0, 6, 127)) == [Control("answer", 1)]
    reader = make_reader(Style(controls={"cc 6": "answer"}))  # MPE, where it has a use
    assert inputs_of(reader, *bend_range, stream.control(0, 6, 127)) == []


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
    "nrpn 1:2": "temperature",
    "nrpn 1:3": "answer",
    "nrpn 1:4 on 2": "pause hold",
}


def nrpn(number, *data, channel=0):
    """Messages that select NRPN 1:number and enter data, pairs of controller and value."""
    return [stream.control(channel, *pair) for pair in ((99, 1), (98, number), *data)]


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
        (nrpn(2, (6, 127)), [("temperature", 2.0)]),
        (nrpn(4, (6, 127), (6, 0)), []),
        (nrpn(4, (6, 127), (6, 0), channel=1), [("pause", 1), ("pause", 0)]),
        ([stream.control(0, *p) for p in ((101, 1), (100, 2), (6, 127))], []),
    ],
)
def test_messages_trigger_the_controls_bound_to_them(messages, expected):
    reader = make_reader(Style(controls=CONTROLS))
    inputs = inputs_of(reader, *messages)
    assert [(one.name, one.value) for one in inputs] == expected


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


def test_control_of_14_bits_waits_for_both_halves():
    reader = make_reader(Style(controls={"nrpn 1:2": "temperature 0 16383"}))
    for value in (8319, 8320):
        messages = nrpn(2, (6, value >> 7), (38, value & 127))
        assert not any(reader.read(message) for message in messages)
        assert reader.has_moves
        (control,) = reader.take_moves()
        assert (control.name, control.value) == ("temperature", pytest.approx(value))
    assert not reader.has_moves


def test_switch_that_sends_0_and_1_as_a_parameter_is_pressed():
    reader = make_reader(Style(controls=CONTROLS))
    pressed = []
    for value in (0, 1, 0, 1, 1):
        for message in nrpn(3, (38, value), (6, 0)):
            reader.read(message)
        pressed.append(len(reader.take_moves()))
    assert pressed == [0, 1, 0, 1, 1]


def test_what_a_pedal_holds_is_let_go_when_the_port_goes():
    reader = make_reader(Style(controls={"cc 64": "pause hold", "cc 65": "answer"}))
    inputs_of(reader, stream.control(0, 64, 127), stream.control(0, 65, 127))
    assert reader.lift_all() == [Control("pause", 0)]
    assert reader.lift_all() == []


STYLES = [
    *PRESETS.values(),
    Style(controls=CONTROLS),
    Style(y="pressure"),
    Style(members=3),
    Style(kind="notes", y="pressure"),
    Style(kind="cc", x="nrpn 0:1", y=6),
]


@given(st.sampled_from(STYLES), ANY)
def test_any_messages_make_fingers_that_land_move_and_lift_in_order(style, messages):
    reader = make_reader(style)
    down = set()
    inputs = [
        one for message in messages for one in inputs_of(reader, message)
    ] + reader.lift_all()
    for one in inputs:
        assert isinstance(one, Finger | PitchedFinger | PhaselessTouch | Control | Dropped)
        if isinstance(one, PitchedFinger):
            assert -96 <= one.pitch <= 127 + 2 * 127
            assert 0 <= one.y <= 1
        if isinstance(one, Finger | PitchedFinger):
            assert (one.id in down) is (one.phase is not Phase.DOWN)
            (down.discard if one.phase is Phase.UP else down.add)(one.id)
        if isinstance(one, Control) and isinstance(one.value, float):
            assert math.isfinite(one.value)
    assert not down
