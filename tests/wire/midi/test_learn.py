"""MIDI learn: sources are learnt for targets, and the table is read back."""

import tomllib

import pytest

from robojam.wire.midi import stream
from robojam.wire.midi.learn import Learner, describe_source
from robojam.wire.midi.styles import parse_port, parse_styles


def turn(learner, number, values=range(0, 40, 4), port="Desk", channel=0):
    return [learner.read(port, stream.control(channel, number, value)) for value in values]


def learnt(learner):
    """Return the written table, read as the options read it."""
    tables = tomllib.loads(learner.toml())
    styles = parse_styles(tables["midi"])
    return [parse_port(port, styles) for port in tables["midi-in"]], styles


def test_knob_is_learnt_when_turned_and_not_when_its_value_jitters():
    learner = Learner(["x", "y"])
    assert set(turn(learner, 9, [64, 65, 64, 63])) == {None}
    assert ("Desk", "cc", 20, 0) in turn(learner, 20)
    assert learner.target == "y"
    assert set(turn(learner, 20)) == {None}  # it is still being turned
    turn(learner, 21)
    assert learner.target is None
    assert learner.read("Desk", stream.control(0, 1, 0)) is None
    (port,), styles = learnt(learner)
    assert (port.name, port.style) == ("Desk", "learnt")
    style = styles["learnt"]
    assert (style.kind, style.x, style.y, style.channel, style.fine) == ("cc", 20, 21, 1, False)


def test_switches_keys_and_programs_are_bound_to_controls():
    learner = Learner(["answer", "mode solo", "panic", "temperature 0 1"])
    assert learner.read("Desk", stream.control(2, 64, 127)) == ("Desk", "cc", 64, 2)
    learner.read("Desk", stream.control(2, 64, 0))
    assert learner.read("Desk", stream.note_on(9, 36, 0)) is None  # a note-off
    assert learner.read("Desk", stream.note_on(9, 36, 1)) == ("Desk", "note", 36, 9)
    assert learner.read("Desk", stream.program(0, 5, None)) == ("Desk", "program", 5, 0)
    turn(learner, 7)
    assert learnt(learner)[1]["learnt"].controls == {
        "cc 64 on 3": "answer",
        "note 36 on 10": "mode solo",
        "program 5 on 1": "panic",
        "cc 7 on 1": "temperature 0 1",
    }


@pytest.mark.parametrize("fine_first", [False, True])
def test_controllers_of_14_bits_are_recognised(fine_first):
    learner = Learner(["x", "y"])
    for number in (16, 17):
        for value in range(0, 60, 5):
            halves = [(number, value), (number + 32, 7 * value % 128)]
            for half in reversed(halves) if fine_first else halves:
                learner.read("Desk", stream.control(0, *half))
    style = learnt(learner)[1]["learnt"]
    assert (style.x, style.y, style.fine) == (16, 17, True)


def test_parameters_of_the_manufacturer_are_learnt():
    learner = Learner(["x", "y", "temperature"])
    for number in (2, 3, 4):
        for value in range(0, 16383, 1000):
            pairs = [(99, 1), (98, number), (6, value >> 7), (38, value & 127)]
            sources = [learner.read("Desk", stream.control(0, *pair)) for pair in pairs]
            for source in filter(None, sources):
                assert describe_source(source) == f"nrpn 1:{number} on channel 1 of Desk"
    style = learnt(learner)[1]["learnt"]
    assert (style.x, style.y, style.channel) == ("nrpn 1:2", "nrpn 1:3", 1)
    assert style.controls == {"nrpn 1:4 on 1": "temperature"}
    learner = Learner(["x"])
    for pair in ((101, 0), (100, 0), (6, 0), (6, 127)):  # a bend range
        assert learner.read("Desk", stream.control(0, *pair)) is None


def test_key_for_x_makes_an_mpe_style_and_each_port_has_a_table():
    learner = Learner(["x", "answer"])
    learner.read('Linn "Strument"', stream.note_on(3, 60, 99))
    learner.read("Pedal", stream.control(0, 64, 127))
    ports, styles = learnt(learner)
    assert [port.name for port in ports] == ['Linn "Strument"', "Pedal"]
    assert styles["learnt"].kind == "mpe"
    assert styles["learnt2"].controls == {"cc 64 on 1": "answer"}


def test_parameters_channel_modes_and_bends_are_not_learnt():
    learner = Learner(["x"])
    for number in (98, 99, 100, 101, 120, 123):
        assert set(turn(learner, number)) == {None}
    assert learner.read("Desk", stream.bend(0, 0)) is None


@pytest.mark.parametrize(
    "steps",
    [
        [1, 1, 2, 1, 127, 127, 126],  # two's complement
        [127, 127, 126, 1, 1],
        [1, 1, 2, 65, 65, 67],  # a bit for the direction
        [65, 65, 66, 63, 63, 62],  # from 64
    ],
)
@pytest.mark.parametrize("target", ["x", "temperature", "temperature 0 1"])
def test_endless_encoder_is_not_learnt_and_said_once(target, steps):
    learner = Learner([target])
    assert set(turn(learner, 16, steps * 5)) == {None}
    (problem,) = learner.problems
    assert problem.startswith("cc 16 on channel 1 of Desk sends steps")


@pytest.mark.parametrize(
    "values", [range(1, 20), range(127, 100, -1), [60, 61, 60, 62, *range(63, 80)]]
)
def test_knob_near_the_values_of_an_encoder_is_learnt(values):
    learner = Learner(["x"])
    turn(learner, 16, values)
    assert (learner.target, learner.problems) == (None, [])


def test_coarse_half_that_comes_again_and_again_is_no_encoder():
    learner = Learner(["x"])
    for value in range(0, 20 << 7, 16):
        learner.read("Desk", stream.control(0, 16, value >> 7))
        learner.read("Desk", stream.control(0, 48, value & 127))
    assert (learner.target, learner.problems) == (None, [])


def test_fader_that_sends_pitch_bend_is_said():
    learner = Learner(["x"])
    for value in range(8192, 16384, 256):
        assert learner.read("Desk", stream.bend(2, value)) is None
    (problem,) = learner.problems
    assert problem.startswith("the pitch bend on channel 3 of Desk cannot be bound; set the")


def test_bend_of_an_mpe_controller_is_part_of_x():
    learner = Learner(["x", "y"])
    learner.read("Linn", stream.note_on(3, 60, 99))
    for value in range(8192, 16384, 256):
        learner.read("Linn", stream.bend(3, value))
    assert (learner.target, learner.problems) == ("y", [])


def test_one_controller_number_on_two_channels_is_not_both_axes():
    learner = Learner(["x", "y"])
    turn(learner, 7)
    assert set(turn(learner, 7, channel=1)) == {None}
    assert [p.partition(";")[0] for p in learner.problems] == ["x and y are both cc 7"]
    turn(learner, 8, channel=1)
    assert learner.target is None


def test_parameter_is_not_learnt_for_y_of_the_notes_of_its_port():
    learner = Learner(["x", "y"])
    learner.read("Desk", stream.note_on(0, 60, 99))
    turn_parameter(learner)
    (problem,) = learner.problems
    assert problem.startswith("nrpn 1:2 cannot be y where x is the note")
    turn_parameter(learner, port="Other")
    assert learner.target is None
    assert learnt(learner)[1]["learnt2"].y == "nrpn 1:2"


def test_notes_are_not_learnt_for_x_beside_a_parameter_of_their_port():
    learner = Learner(["y", "x"])
    turn_parameter(learner)
    assert learner.read("Desk", stream.note_on(0, 60, 99)) is None
    assert len(learner.problems) == 1


def turn_parameter(learner, port="Desk"):
    for value in range(0, 128, 8):
        for pair in ((99, 1), (98, 2), (6, value)):
            learner.read(port, stream.control(0, *pair))


@pytest.mark.parametrize(
    ("axis", "number", "other"), [("x", 17, ("y", 16)), ("y", 16, ("x", 17))]
)
def test_axis_that_is_learnt_alone_never_has_the_number_of_the_other(axis, number, other):
    learner = Learner([axis])
    turn(learner, number)
    style = learnt(learner)[1]["learnt"]
    assert getattr(style, axis) == number
    assert getattr(style, other[0]) == other[1]


@pytest.mark.parametrize(
    ("targets", "error"),
    [
        (["dance"], "'dance' is no control"),
        (["x", "x"], "each can be learnt once"),
        (["mode jazz"], "'mode jazz' is no control"),
    ],
)
def test_wrong_target_is_refused(targets, error):
    with pytest.raises(ValueError, match=error):
        Learner(targets)
