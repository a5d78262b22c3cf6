"""Rows of the table [map] learnt from knobs that are turned."""

import pytest

from robojam.config.load import resolve
from robojam.wire.knob_inputs import parse_source
from robojam.wire.map_learn import MapLearner
from robojam.wire.midi import stream
from robojam.wire.osc import decode, encode

DESK = "nanoKONTROL2:nanoKONTROL2 _ SLIDER/KNOB"


def turn(learner: MapLearner, number: int, channel: int = 0) -> list[str]:
    messages = [stream.control(channel, number, value) for value in range(0, 127, 5)]
    return [taken for m in messages if (taken := learner.read(DESK, m))]


def osc(learner: MapLearner, address: str, *values: float) -> list[str]:
    messages = [decode(encode(address, "f", value))[0][0] for value in values]
    return [taken for m in messages if (taken := learner.read_osc(m))]


def test_rows_of_knobs_are_options_that_mean_them(tmp_path):
    learner = MapLearner(["x", "temperature 0 1", "answer", "y"])
    assert turn(learner, 16, channel=2) == [f"cc 16 on channel 3 of {DESK}"]
    assert turn(learner, 17) == [f"cc 17 on channel 1 of {DESK}"]
    assert learner.read(DESK, stream.note_on(0, 36, 127)) is None
    assert learner.read(DESK, stream.control(0, 41, 127))  # a button
    assert osc(learner, "/1/fader1", *(n / 10 for n in range(10))) == ["osc /1/fader1 1"]
    assert learner.target is None
    path = tmp_path / "rig.toml"
    path.write_text(learner.toml())
    options = resolve({}, str(path))
    assert options.midi_in == (DESK,)
    rows = options.map.in_
    assert [row.target for row in rows.values()] == ["x", "temperature", "answer", "y"]
    assert [parse_source(row.source)[:3] for row in rows.values()] == [
        ("cc", 16, 2), ("cc", 17, 0), ("cc", 41, 0), ("osc", 0, None),
    ]  # fmt: skip
    assert rows["temperature"].to == (0.0, 1.0)
    assert rows["x"].port == DESK


def test_knob_of_a_synthesiser_is_moved_by_a_feature(tmp_path):
    learner = MapLearner(["speed 20 100", "y"], out=True)
    turn(learner, 74)
    for pair in ((99, 1), (98, 2), *((6, value) for value in range(0, 127, 9))):
        learner.read(DESK, stream.control(0, *pair))
    path = tmp_path / "rig.toml"
    path.write_text(learner.toml())
    options = resolve({}, str(path))
    assert options.midi_out == (DESK,)
    rows = options.map.out
    assert [(r.source, r.target, r.to) for r in rows.values()] == [
        ("speed", "cc 74", (20.0, 100.0)),
        ("y", "nrpn 1:2", None),
    ]


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ((0, 0.1, 0.2, 0.3, 0.4), None),
        ((0, 30, 60, 90, 120), (0, 127)),
        ((-0.5, 0, 0.1, 0.2, 0.3), (-1, 1)),
        ((0, 256, 512, 700, 1023), (0, 1023)),
    ],
)
def test_range_of_a_number_of_osc_is_guessed_from_its_values(values, ends, tmp_path):
    learner = MapLearner(["x"])
    assert osc(learner, "/sensor", *values)
    path = tmp_path / "rig.toml"
    path.write_text(learner.toml())
    assert resolve({}, str(path)).map.in_["x"].from_ == ends


def test_number_that_stays_and_knob_that_trembles_are_not_learnt():
    learner = MapLearner(["x"])
    assert not osc(learner, "/still", *[0.5] * 50)
    assert not [
        m for v in (64, 65, 64, 66) if (m := learner.read(DESK, stream.control(0, 1, v)))
    ]


@pytest.mark.parametrize(
    ("words", "out", "said"),
    [
        (["z"], False, "'z' cannot be learnt; allowed: x, y, pressure, temperature"),
        (["speed"], False, "'speed' cannot be learnt"),
        (["temperature"], True, "'temperature' cannot be learnt; allowed: x, y, dt"),
        (["x 1"], False, "'x 1' is not x or x LOW HIGH"),
        (["x", "x 0 1"], False, "each can be learnt once"),
    ],
)
def test_wrong_word_is_refused(words, out, said):
    with pytest.raises(ValueError, match=said):
        MapLearner(words, out=out)
