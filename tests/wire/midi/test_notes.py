"""Notes as fingers: pedals, pressure, zones that end or change, and all notes off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import MAX_FINGERS, Phase
from robojam.wire.midi import stream
from robojam.wire.midi.reader import make_reader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.native import Dropped, Finger, PitchedFinger

MPE = PRESETS["mpe"]
ONE = stream.note_on(1, 60, 96), stream.note_on(2, 64, 96)  # two notes of the lower zone


def play(reader, *data):
    """Return the inputs of messages, a move after each where it makes one."""
    inputs = []
    for message in MidiParser().feed(b"".join(data))[0]:
        inputs += reader.read(message) + reader.take_moves()
    return inputs


def reader_of(style, *data):
    reader = make_reader(style)
    play(reader, *data)
    return reader


def lifted(inputs):
    """Return the channel and note of each lift, among inputs that are nothing else."""
    assert all(isinstance(one, Finger) and one.phase is Phase.UP for one in inputs)
    return [divmod(one.id, 128) for one in inputs]


def moved(inputs):
    """Return what moved by its channel and note: pitch, y, pressure."""
    assert all(isinstance(one, PitchedFinger) and one.phase is Phase.MOVE for one in inputs)
    return {divmod(one.id, 128): (one.pitch, one.y, one.pressure) for one in inputs}


def cc(channel, number, value):
    return stream.control(channel, number, value)


# -- all notes off -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [120, 123, 124, 125, 126, 127])
@pytest.mark.parametrize(
    ("style", "manager", "members"), [("mpe", 0, (1, 2)), ("mpe-upper", 15, (14, 13))]
)
def test_all_notes_off_on_the_manager_channel_ends_the_zone(number, style, manager, members):
    notes = [*members, manager]
    reader = reader_of(PRESETS[style], *(stream.note_on(c, 60, 96) for c in notes))
    assert lifted(play(reader, cc(manager, number, 0))) == [(c, 60) for c in notes]


def test_all_notes_off_with_the_bytes_of_a_controller():
    reader = make_reader(MPE)
    inputs = play(reader, bytes.fromhex("91 3c 60 92 40 60 b0 7b 00"))
    assert [one.phase for one in inputs] == ["down", "down", "up", "up"]


def test_all_notes_off_on_a_channel_of_its_own_ends_the_notes_of_that_channel():
    reader = reader_of(MPE, *ONE, stream.note_on(1, 67, 9))
    assert lifted(play(reader, cc(1, 123, 0))) == [(1, 60), (1, 67)]
    assert play(reader, cc(3, 123, 0)) == []
    two_zones = reader_of(
        MPE, stream.parameter(15, 6, 5), stream.note_on(1, 60, 9), stream.note_on(14, 60, 9)
    )
    assert lifted(play(two_zones, cc(15, 123, 0))) == [(14, 60)]
    keys = reader_of(PRESETS["keys"], stream.note_on(0, 60, 9), stream.note_on(1, 60, 9))
    assert lifted(play(keys, cc(0, 123, 0))) == [(0, 60)]


def test_note_that_a_panic_has_ended_comes_back_only_when_it_is_struck_again():
    stuck, held_by_pedal = stream.note_on(0, 60, 9), stream.note_on(0, 64, 9)
    reader = reader_of(MPE, cc(0, 64, 127), stuck, held_by_pedal, stream.note_off(0, 64))
    reader.read(stream.bend(0, 9000))
    reader.silence()
    assert play(reader, stream.bend(0, 10000), cc(0, 74, 9), stream.pressure(0, 9)) == []
    lift, down = play(reader, stuck)
    assert (lift.phase, down.phase) == ("up", "down")
    assert len(moved(play(reader, stream.bend(0, 8192)))) == 1


def test_more_notes_than_fingers_end_the_oldest_of_those_that_the_pedal_holds():
    reader = reader_of(MPE, *(stream.note_on(0, 20 + n, 9) for n in range(MAX_FINGERS)))
    play(reader, cc(0, 64, 127), stream.note_off(0, 25))
    assert [one.phase for one in play(reader, stream.note_on(0, 100, 9))] == ["up", "down"]
    first, *_ = play(reader, stream.note_on(0, 101, 9))
    assert first == Finger(Phase.UP, 20)  # the pedal holds none now: the oldest of all
    assert len(moved(play(reader, stream.bend(0, 9000)))) == MAX_FINGERS


# -- zones -------------------------------------------------------------------------------


def test_notes_of_channels_that_leave_a_zone_are_lifted_and_those_channels_reset():
    reader = reader_of(MPE, *(stream.note_on(c, 60, 96) for c in (1, 4, 5)))
    play(reader, stream.bend(5, 0), cc(5, 74, 0), cc(5, 64, 127))
    assert lifted(play(reader, stream.parameter(0, 6, 4))) == [(5, 60)]
    (landing,) = play(reader, stream.note_on(5, 60, 96))
    assert (landing.pitch, landing.y) == (60.0, pytest.approx(1 - 64 / 127))
    assert lifted(play(reader, stream.note_off(5, 60))) == [(5, 60)]  # its pedal is up


def test_last_move_on_a_channel_that_leaves_its_zone_comes_before_its_lift():
    reader = reader_of(MPE, stream.note_on(5, 60, 96))
    received = []
    for message in MidiParser().feed(stream.bend(0, 0) + stream.parameter(0, 6, 4))[0]:
        received += reader.read(message)
    move, up = received
    assert (move.phase, move.pitch, up.phase) == ("move", 58, "up")  # still bent by its zone


def test_zone_that_is_switched_off_ends_and_all_its_channels_are_reset():
    reader = reader_of(MPE, stream.note_on(0, 48, 96), *ONE, stream.bend(0, 0), cc(0, 64, 127))
    assert lifted(play(reader, stream.parameter(0, 6, 0))) == [(0, 48), (1, 60), (2, 64)]
    for channel in (0, 1, 15):
        (landing,) = play(reader, stream.note_on(channel, 60, 96))
        assert landing.pitch == 60
        assert moved(play(reader, stream.bend(channel, 16383)))[channel, 60][0] == (
            pytest.approx(62, abs=0.001)
        )
        assert lifted(play(reader, stream.note_off(channel, 60))) == [(channel, 60)]


def test_zone_that_grows_takes_channels_from_the_other():
    reader = reader_of(MPE, stream.note_on(2, 60, 96), stream.note_on(13, 60, 96))
    assert lifted(play(reader, stream.parameter(15, 6, 3))) == [(13, 60)]
    play(reader, stream.note_on(13, 60, 96))
    assert moved(play(reader, stream.bend(15, 16383))).keys() == {(13, 60)}
    assert moved(play(reader, stream.bend(0, 16383))).keys() == {(2, 60)}


def test_style_of_a_single_channel_has_no_zone_whatever_is_configured():
    reader = reader_of(PRESETS["mono"], stream.note_on(0, 60, 96), stream.parameter(0, 6, 15))
    assert moved(play(reader, stream.bend(0, 0)))[0, 60][0] == 48


def test_configuration_that_changes_nothing_lets_notes_sound():
    """As robojam and others send it again at any time."""
    reader = reader_of(MPE, *ONE)
    play(reader, stream.bend(1, 16383))
    assert play(reader, stream.parameter(0, 6, 15)) == []
    assert lifted(play(reader, stream.note_off(1, 60))) == [(1, 60)]


@pytest.mark.parametrize("number", [98, 99])
def test_parameter_of_the_manufacturer_configures_no_zone(number):
    reader = reader_of(MPE, *ONE, cc(0, 101, 0), cc(0, 100, 6), cc(0, number, 0))
    assert play(reader, cc(0, 6, 0)) == [Dropped("MIDI parameter without its number")]
    assert play(reader, cc(0, 99, 0), cc(0, 98, 6), cc(0, 6, 0)) == []


def test_bend_range_has_cents_in_either_order_and_steps():
    for data in ([cc(1, 6, 12), cc(1, 38, 50)], [cc(1, 38, 50), cc(1, 6, 12)]):
        reader = reader_of(MPE, *ONE, cc(1, 101, 0), cc(1, 100, 0), *data)
        assert moved(play(reader, stream.bend(2, 0)))[2, 64][0] == 64 - 12.5
    play(reader, cc(1, 97, 0))
    assert moved(play(reader, stream.bend(2, 0), stream.bend(1, 0)))[1, 60][0] == (
        pytest.approx(60 - 12.49)
    )


def test_manager_channel_bends_presses_and_shapes_the_whole_zone():
    reader = reader_of(MPE, *ONE, cc(1, 74, 0), cc(2, 74, 127))
    assert moved(play(reader, stream.bend(0, 0))) == {
        (1, 60): (58, 1.0, None),
        (2, 64): (62, 0.0, None),
    }
    assert moved(play(reader, stream.pressure(0, 127), stream.bend(0, 8192))) == {
        (1, 60): (60, 1.0, 1.0),
        (2, 64): (64, 0.0, 1.0),
    }
    assert moved(play(reader, cc(0, 74, 127))) == {(1, 60): (60, 0.0, 1.0)}
    (landing,) = play(reader, stream.note_on(3, 67, 9))
    assert landing.y == 0.0  # the zone's


def test_reset_of_controllers_is_that_of_the_zone():
    reader = reader_of(MPE, *ONE, stream.bend(0, 0), stream.bend(1, 0), cc(0, 64, 127))
    play(reader, stream.note_off(2, 64))
    inputs = play(reader, cc(0, 121, 0))
    assert lifted(inputs[:1]) == [(2, 64)]  # its key is up, and now the pedal
    assert moved(inputs[1:])[1, 60][0] == 60


# -- pressure ----------------------------------------------------------------------------


@pytest.mark.parametrize("velocity", [1, 64, 127])
@pytest.mark.parametrize("style", ["mpe", "mono", "keys", "scale", "drums"])
def test_velocity_is_the_pressure_of_a_landing(style, velocity):
    channel = PRESETS[style].channels[0]
    (landing,) = play(make_reader(PRESETS[style]), stream.note_on(channel, 60, velocity))
    assert landing.pressure == velocity / 127


def test_pressure_alone_is_no_move_and_a_move_has_that_of_its_moment():
    reader = reader_of(MPE, *ONE)
    assert play(reader, stream.pressure(1, 100)) == []
    assert moved(play(reader, stream.bend(1, 0), stream.bend(2, 0))) == {
        (1, 60): (12, pytest.approx(1 - 64 / 127), 100 / 127),
        (2, 64): (16, pytest.approx(1 - 64 / 127), None),  # none since it landed
    }


def test_poly_pressure_is_that_of_its_own_note():
    chord = [stream.note_on(0, note, 96) for note in (60, 64, 67)]
    poly = bytes((0xA0, 64, 127))
    reader = reader_of(Style(y="pressure"), *chord)
    assert moved(play(reader, poly)).keys() == {(0, 64)}
    assert moved(play(reader, stream.pressure(0, 64))).keys() == {(0, n) for n in (60, 64, 67)}
    reader = reader_of(MPE, *chord, stream.pressure(0, 32), poly)
    pressures = [p for _, _, p in moved(play(reader, stream.bend(0, 0))).values()]
    assert pressures == [32 / 127, 1.0, 32 / 127]
    assert play(reader, bytes((0xA0, 99, 127))) == []  # a note that does not sound


def test_y_of_a_style_of_notes_is_what_the_style_says():
    reader = reader_of(Style(kind="notes", y=1), stream.note_on(0, 60, 96))
    assert moved(play(reader, cc(0, 1, 127)))[0, 60][:2] == (60, 0.0)
    assert play(reader, stream.bend(0, 0)) == []


# -- pedals ------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["mpe", "mono", "keys", "scale"])
def test_sustain_pedal_holds_notes_until_it_is_up(style):
    reader = reader_of(PRESETS[style], *(stream.note_on(0, n, 96) for n in (60, 64)))
    assert play(reader, cc(0, 64, 127), stream.note_off(0, 60)) == []
    assert play(reader, cc(0, 64, 64)) == []  # half down is down
    assert lifted(play(reader, cc(0, 64, 63))) == [(0, 60)]
    assert lifted(play(reader, stream.note_off(0, 64))) == [(0, 64)]


def test_key_that_is_down_when_the_pedal_goes_up_sounds_on():
    reader = reader_of(MPE, stream.note_on(0, 60, 96), cc(0, 64, 127), stream.note_off(0, 60))
    again = play(reader, stream.note_on(0, 60, 20))  # struck again while the pedal holds it
    assert [one.phase for one in again] == ["up", "down"]
    assert play(reader, cc(0, 64, 0)) == []
    assert lifted(play(reader, stream.note_off(0, 60))) == [(0, 60)]


def test_pedal_of_the_manager_channel_holds_the_zone_and_that_of_another_its_channel():
    reader = reader_of(MPE, *ONE, cc(0, 64, 127))
    assert play(reader, stream.note_off(1, 60)) == []
    assert lifted(play(reader, cc(0, 64, 0))) == [(1, 60)]
    reader = reader_of(MPE, *ONE, cc(1, 64, 127))
    assert lifted(play(reader, stream.note_off(2, 64), stream.note_off(1, 60))) == [(2, 64)]
    # Two pedals hold the same note: both must be up.
    assert play(reader, cc(0, 64, 127), cc(1, 64, 0)) == []
    assert lifted(play(reader, cc(0, 64, 0))) == [(1, 60)]


def test_note_held_by_a_pedal_is_not_bent_by_the_next_note_of_its_member_channel():
    reader = reader_of(MPE, cc(0, 64, 127), *ONE, stream.note_off(1, 60))
    play(reader, stream.note_on(1, 67, 96))
    assert moved(play(reader, stream.bend(1, 0), cc(1, 74, 0))).keys() == {(1, 67)}
    assert moved(play(reader, stream.bend(0, 0))).keys() == {(1, 60), (1, 67), (2, 64)}
    plain = reader_of(MPE, cc(0, 64, 127), stream.note_on(0, 60, 96), stream.note_off(0, 60))
    assert moved(play(plain, stream.bend(0, 0))).keys() == {(0, 60)}  # a keyboard's wheel


@pytest.mark.parametrize("end", [cc(0, 123, 0), cc(0, 120, 0), cc(0, 121, 0)])
def test_what_a_pedal_holds_ends_with_all_notes_off_and_with_a_reset(end):
    reader = reader_of(MPE, stream.note_on(0, 60, 96), cc(0, 64, 127), stream.note_off(0, 60))
    assert lifted(play(reader, end)) == [(0, 60)]


def test_what_a_pedal_holds_ends_with_the_port_which_returns_with_its_pedal_up():
    reader = reader_of(MPE, stream.note_on(0, 60, 96), cc(0, 64, 127), stream.note_off(0, 60))
    assert lifted(reader.lift_all()) == [(0, 60)]
    play(reader, stream.note_on(0, 60, 96))
    assert lifted(play(reader, stream.note_off(0, 60))) == [(0, 60)]


def test_sostenuto_pedal_holds_the_notes_that_sounded_when_it_was_pressed():
    reader = reader_of(MPE, stream.note_on(0, 60, 96), cc(0, 66, 127))
    play(reader, stream.note_on(0, 64, 96), cc(0, 66, 100))
    assert lifted(play(reader, stream.note_off(0, 60), stream.note_off(0, 64))) == [(0, 64)]
    assert lifted(play(reader, cc(0, 66, 0))) == [(0, 60)]
    # As on a piano, also those that the sustain pedal held.
    play(reader, stream.note_on(0, 60, 96), cc(0, 64, 127), stream.note_off(0, 60))
    assert play(reader, cc(0, 66, 127), cc(0, 64, 0)) == []
    assert lifted(play(reader, cc(0, 66, 0))) == [(0, 60)]


def test_pedal_that_a_control_is_bound_to_holds_nothing():
    style = Style(controls={"cc 64": "answer"})
    reader = reader_of(style, stream.note_on(0, 60, 96), cc(0, 64, 127))
    assert lifted(play(reader, stream.note_off(0, 60))) == [(0, 60)]


# -- keyboards that know nothing of MPE ----------------------------------------------------


@pytest.mark.parametrize("channel", range(16))
def test_plain_keyboard_plays_on_any_channel_in_the_default_style(channel):
    reader = make_reader(MPE)
    # Running status, note-ons of velocity 0, clock and active sensing in between.
    data = bytes((0x90 | channel, 60, 90, 0xF8, 64, 0xFE, 50, 60, 0, 64, 0))
    inputs = play(reader, data)
    assert [(one.phase, one.id & 127) for one in inputs] == [
        ("down", 60), ("down", 64), ("up", 60), ("up", 64),
    ]  # fmt: skip
    assert [one.pitch for one in inputs[:2]] == [60, 64]


def test_two_keyboards_on_one_port_are_told_apart_by_their_channels():
    reader = reader_of(PRESETS["keys"], stream.note_on(0, 60, 96), stream.note_on(1, 60, 96))
    play(reader, cc(0, 64, 127))
    assert lifted(play(reader, stream.note_off(0, 60), stream.note_off(1, 60))) == [(1, 60)]


NOTES = st.one_of(
    st.builds(stream.note_on, st.integers(0, 15), st.integers(58, 62), st.integers(0, 127)),
    st.builds(stream.note_off, st.integers(0, 15), st.integers(58, 62)),
    st.builds(
        stream.control,
        st.integers(0, 15),
        st.sampled_from([6, 38, 64, 66, 74, 100, 101, 98, 99, 96, 120, 121, 123]),
        st.sampled_from([0, 3, 6, 63, 64, 127]),
    ),
    st.builds(stream.bend, st.integers(0, 15), st.integers(0, 16383)),
)


@given(st.sampled_from(["mpe", "mpe-upper", "keys", "mono"]), st.lists(NOTES, max_size=60))
def test_whatever_was_played_ends_with_its_keys_and_pedals(name, messages):
    reader = reader_of(PRESETS[name], *messages)
    releases = [cc(channel, pedal, 0) for channel in range(16) for pedal in (64, 66)]
    offs = [stream.note_off(c, note) for c in range(16) for note in range(58, 63)]
    play(reader, *releases, *offs)
    assert reader.lift_all() == []
