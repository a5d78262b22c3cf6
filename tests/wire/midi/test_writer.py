"""MIDI output: golden bytes, no note left sounding, and round trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.music import DEFAULT_RANGE, PitchRange, parse_range, range_of
from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.reader import make_reader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.midi.writer import make_writer
from robojam.wire.native import PhaselessTouch, PitchedFinger

MPE = PRESETS["mpe"]


def touch(phase, x=0.5, y=0.5, *, who="ai", finger=0, pressure=None):
    return Touch(x, y, 0.0, Phase(phase), finger, who, pressure)


def split(data):
    messages, dropped = MidiParser().feed(data)
    assert not dropped
    assert b"".join(messages) == data
    return messages


def ons(data):
    return sum(message[0] & 0xF0 == stream.NOTE_ON for message in split(data))


def hexes(data):
    return [message.hex() for message in split(data)]


def test_mpe_port_is_sent_its_configuration_first():
    messages = hexes(make_writer(Style(members=2, program=5, bank=1)).start())
    assert messages[:3] == ["b06500", "b06406", "b00602"]  # parameter 6: two members
    assert messages[5:8] == ["b16500", "b16400", "b10630"]  # 48 semitones
    assert messages[10:13] == ["b26500", "b26400", "b20630"]  # sent on every channel
    assert messages[15:] == [
        f"{k}{c}{v}" for c in "012" for k, v in (("b", "0000"), ("b", "2001"), ("c", "04"))
    ]
    upper = hexes(make_writer(Style(zone="upper", members=2)).start())
    assert upper[0] == "bf6500"
    assert {one[1] for one in upper[5:]} == {"e", "d"}


def test_mpe_note_is_shaped_before_it_is_struck():
    out = make_writer(MPE)
    assert hexes(out.touch(0.0, touch("down", 0.5, 0.0))) == [
        "e10040",  # no bend: 0.5 is exactly note 60
        "b14a7f",  # the top is bright
        "d100",  # it does not move yet
        "913c60",
    ]
    # A quarter of a screen in a tenth of a second: 12 semitones of 48, 2.5 screens a second.
    assert hexes(out.touch(0.1, touch("move", 0.75, 0.0))) == ["e10050", "d140"]
    assert hexes(out.touch(0.2, touch("move", 0.75, 1.0))) == ["b14a00", "d17f"]
    assert hexes(out.touch(0.3, touch("up", 0.75, 1.0))) == ["813c40"]
    assert out.touch(0.3, touch("up")) == b""


def test_mpe_finger_takes_the_channel_that_has_rested_longest():
    out = make_writer(Style(members=3))
    voices = ["ai", "ai2", "ai3"]
    struck = [split(out.touch(0.0, touch("down", who=who)))[-1][0] & 15 for who in voices]
    assert struck == [1, 2, 3]
    out.touch(1.0, touch("up", who="ai2"))
    out.touch(1.0, touch("up", who="ai"))
    assert split(out.touch(2.0, touch("down", who="ai")))[-1][0] & 15 == 2
    assert split(out.touch(2.0, touch("down", who="ai2")))[-1][0] & 15 == 1
    # More fingers than channels: the oldest gives way.
    messages = split(out.touch(3.0, touch("down", who="ai4")))
    assert messages[0] == stream.note_off(3, 60)
    assert messages[-1] == stream.note_on(3, 60, 96)
    assert out.touch(3.1, touch("move", 0.6, who="ai3")) == b""  # silent until it lands
    assert out.touch(3.2, touch("up", who="ai3")) == b""
    assert ons(out.touch(3.3, touch("down", who="ai3"))) == 1


def test_two_voices_on_one_channel_do_not_strike_again_with_each_slide():
    out = make_writer(PRESETS["mono"])
    data = b""
    for n in range(20):
        for who in ("ai", "ai2"):
            phase = "move" if n else "down"
            data += out.touch(0.02 * n, touch(phase, 0.5 + 0.01 * n, who=who))
    assert ons(data) == 2


@pytest.mark.parametrize(
    ("pressure", "velocity"), [(None, 96), (0.0, 1), (90 / 127, 90), (1.0, 127)]
)
def test_pressure_of_a_landing_is_the_velocity_of_its_note(pressure, velocity):
    for style in (MPE, PRESETS["mono"], Style(kind="notes"), Style(y="pressure")):
        landing = make_writer(style).touch(0.0, touch("down", pressure=pressure))
        assert split(landing)[-1][2] == velocity
    # Where the velocity is y, it is not the pressure too.
    keys = make_writer(PRESETS["keys"]).touch(0.0, touch("down", y=1.0, pressure=pressure))
    assert split(keys)[-1][2] == 1


def test_pressure_of_a_slide_is_sent_in_place_of_its_speed():
    out = make_writer(MPE)
    out.touch(0.0, touch("down", 0.5, pressure=1.0))
    assert stream.pressure(1, 64) in split(out.touch(0.1, touch("move", 0.9, pressure=0.5)))
    assert stream.pressure(1, 127) in split(out.touch(0.2, touch("move", 0.1)))


def test_parameters_are_selected_and_sent_only_when_they_change():
    out = make_writer(Style(kind="cc", x="nrpn 1:2", y=17))
    assert hexes(out.touch(0.0, touch("down", 1.0, 0.0))) == [
        "b06301", "b06202", "b0067f", "b0267f", "b0117f",
    ]  # fmt: skip
    assert hexes(out.touch(0.1, touch("move", 1.0, 1.0))) == ["b01100"]
    assert hexes(out.touch(0.2, touch("move", 16382 / 16383, 1.0))) == ["b0267e"]
    both = make_writer(Style(kind="cc", x="nrpn 1:2", y="nrpn 1:3"))
    both.touch(0.0, touch("down", 0.0, 1.0))
    assert hexes(both.touch(0.1, touch("move", 0.0, 0.0))) == ["b0067f", "b0267f"]
    assert hexes(both.touch(0.2, touch("move", 1.0, 0.0))) == ["b06202", "b0067f", "b0267f"]


def test_slide_farther_than_the_bend_range_strikes_again():
    out = make_writer(Style(zone="none", channel=1, bend=2, low=48, high=72))
    out.touch(0.0, touch("down", 0.5))
    near = split(out.touch(0.1, touch("move", 0.5 + 2 / 24)))
    assert stream.bend(0, 16383) in near
    far = split(out.touch(0.2, touch("move", 0.5 + 4 / 24)))
    assert far[0] == stream.note_off(0, 60)
    assert far[-1] == stream.note_on(0, 64, 96)
    assert stream.bend(0, 8192) in far


def test_slide_over_a_scale_strikes_each_note():
    out = make_writer(
        Style(kind="notes", key="A", scale="pentatonic", low=57, high=69, y="velocity")
    )
    assert hexes(out.touch(0.0, touch("down", 0.0, 1.0))) == ["903901"]  # the bottom is soft
    assert out.touch(0.1, touch("move", 0.05, 0.0)) == b""  # still the same note
    assert hexes(out.touch(0.2, touch("move", 0.2, 0.0))) == ["803940", "903c7f"]
    assert hexes(out.touch(0.3, touch("up", 0.2, 0.0))) == ["803c40"]


def test_note_held_by_two_voices_ends_when_the_last_lifts():
    out = make_writer(PRESETS["keys"])
    out.touch(0.0, touch("down"))
    assert hexes(out.touch(0.1, touch("down", who="ai2"))) == ["803c40", "903c40"]
    assert out.touch(0.2, touch("up")) == b""
    assert hexes(out.touch(0.3, touch("up", who="ai2"))) == ["803c40"]


def test_controllers_are_sent_only_when_they_change():
    out = make_writer(Style(kind="cc", x=16, y=17, gate=18))
    assert hexes(out.touch(0.0, touch("down", 1.0, 0.0))) == ["b0107f", "b0117f", "b0127f"]
    assert hexes(out.touch(0.1, touch("move", 1.0, 1.0))) == ["b01100"]
    assert hexes(out.touch(0.2, touch("down", 1.0, 1.0, who="ai2")))[0] == "b1107f"
    assert hexes(out.touch(0.3, touch("up"))) == ["b01200"]


def test_fine_controllers_send_both_halves():
    out = make_writer(PRESETS["cc14"])
    assert hexes(out.touch(0.0, touch("down", 0.5, 0.5))) == [
        "b01040",
        "b03000",
        "b01140",
        "b03100",
    ]
    assert hexes(out.touch(0.1, touch("move", 0.5 + 2 / 16383, 0.5))) == ["b03002"]


def test_panic_releases_all_notes_and_silences_the_used_channels():
    out = make_writer(MPE)
    out.start()
    assert out.panic() == b""  # nothing was used
    out.touch(0.0, touch("down"))
    out.touch(0.0, touch("down", who="ai2"))
    out.touch(0.0, touch("up"))
    messages = split(out.panic())
    assert messages[0] == stream.note_off(2, 60)
    assert b"".join(messages[1:9]) == stream.silence(1) + stream.silence(2)
    assert out.panic() == b""
    assert out.touch(0.1, touch("up", who="ai2")) == b""
    # A finger that goes on sliding is struck again, and sends its controllers again.
    assert len(split(out.touch(0.2, touch("move", who="ai2")))) == 4


def test_clear_releases_every_note_that_the_style_can_strike():
    for name in ("mpe", "keys", "drums", "mono"):
        style = PRESETS[name]
        messages = split(make_writer(style).clear())
        for x in range(101):
            struck = split(make_writer(style).touch(0.0, touch("down", x / 100)))[-1]
            assert stream.note_off(struck[0] & 15, struck[1]) in messages
        assert messages[-4:] == split(stream.silence(make_writer(style).channels[-1]))


def sounding_pitch(data, bend_range=48):
    """Return the pitch that a receiver sounds: the last note with its channel's last bend."""
    bends, pitch = {}, None
    for message in split(data):
        channel = message[0] & 15
        if message[0] & 0xF0 == stream.BEND:
            bends[channel] = message[1] | message[2] << 7
        elif message[0] & 0xF0 == stream.NOTE_ON:
            pitch = message[1] + (bends.get(channel, 8192) - 8192) / 8192 * bend_range
    return pitch


@pytest.mark.parametrize("ranges", ["36-84", "36-84,ai=30.5-99.25", "0-127"])
def test_mpe_note_and_bend_have_the_pitch_of_the_players_range(ranges):
    pitches = range_of("ai", ranges)
    for n in range(1001):
        out = make_writer(MPE, ranges=ranges)
        data = out.touch(0.0, touch("down", n / 1000))
        assert sounding_pitch(data) == pytest.approx(pitches.pitch(n / 1000), abs=0.01)


def test_range_that_changes_while_playing_moves_the_next_touch():
    out = make_writer(MPE)
    assert sounding_pitch(out.touch(0.0, touch("down", 0.5))) == 60
    out.ranges = "48-96,human2=35-51"
    assert sounding_pitch(out.touch(0.1, touch("down", 0.5))) == 72
    assert sounding_pitch(out.touch(0.1, touch("down", 0.5, who="human2"))) == 43
    assert split(out.clear())[0] == stream.note_off(1, 35)


def test_style_with_a_range_of_its_own_does_not_follow_the_jams():
    out = make_writer(PRESETS["drums"], ranges="48-96")
    assert out.style.pitch_range == PitchRange(35, 51)
    assert hexes(out.touch(0.0, touch("down", 0.0, 0.0))) == ["99237f"]


PLACES = st.floats(0, 1)
STROKES = st.lists(
    st.tuples(
        st.sampled_from(list(Phase)), PLACES, PLACES, st.sampled_from(["ai", "ai2", "ai3"])
    )
)
STYLES = [
    *PRESETS.values(),
    Style(members=2),
    Style(bend=2),
    Style(kind="notes", key="F#", scale="blues"),
]


@given(st.sampled_from(STYLES), STROKES, st.booleans())
def test_no_strokes_leave_a_note_sounding(style, strokes, panics):
    out = make_writer(style)
    data = out.start()
    for n, (phase, x, y, who) in enumerate(strokes):
        data += out.touch(n / 60, touch(phase, x, y, who=who))
    for who in ("ai", "ai2", "ai3"):
        data += out.touch(len(strokes), touch("up", who=who)) if not panics else b""
    data += out.panic() if panics else b""
    on = set()
    for message in split(data):
        key = message[0] & 15, message[1]
        if message[0] & 0xF0 == 0x90:
            assert message[2] > 0
            assert key not in on, "no note is struck that sounds already"
            on.add(key)
        elif message[0] & 0xF0 == 0x80:
            assert key in on
            on.discard(key)
    assert not on


#: Tolerances in x and y of a place that is written and read back.
EXACT = {
    "mpe": (48 / 8192 / 48, 1 / 127),
    "mpe-upper": (48 / 8192 / 48, 1 / 127),
    "mono": (12 / 8192 / 24, 1 / 127),
    "keys": (1 / 48, 1 / 126),
    "drums": (1 / 16, 1 / 126),
    "cc": (1 / 127, 1 / 127),
    "cc14": (1 / 16383, 1 / 16383),
    "nrpn": (1 / 16383, 1 / 16383),
    "pressure": (48 / 8192 / 48, 1 / 127),
    "notes": (1 / 48, 1 / 127),
}
OWN = {
    "nrpn": Style(kind="cc", x="nrpn 1:2", y="nrpn 200"),
    "pressure": Style(y="pressure"),
    "notes": Style(kind="notes", y=1),
}
#: Whether a style has the pressure of its touches, and not only of landings.
PRESSES = {"mpe": True, "mpe-upper": True, "mono": True, "pressure": False, "notes": False}


def place_of(touch_in, pitches):
    x = touch_in.x if isinstance(touch_in, PhaselessTouch) else pitches.x(touch_in.pitch)
    return x, touch_in.y


@pytest.mark.parametrize("name", EXACT)
@given(st.lists(st.tuples(PLACES, PLACES, PLACES), min_size=1, max_size=20))
def test_stroke_that_goes_out_comes_back_as_the_same_touches(name, places):
    style = (PRESETS | OWN)[name]
    out, reader = make_writer(style), make_reader(style)
    # Rounded to the nearest; but a bend reaches one step less far up than down.
    dx, dy = (step * part for step, part in zip(EXACT[name], (1.01, 0.51), strict=True))
    for message in split(out.start()):
        reader.read(message)
    pitches = style.pitch_range or parse_range(DEFAULT_RANGE)
    x = y = None
    for n, (*place, pressure) in enumerate(places):
        phase = "move" if n else "down"
        written = split(out.touch(n / 60, touch(phase, *place, pressure=pressure)))
        received = [touched for message in written for touched in reader.read(message)]
        for touched in received + reader.take_moves():
            if not isinstance(touched, PitchedFinger | PhaselessTouch):
                continue
            x, y = place_of(touched, pitches)
            if name in PRESSES and (n == 0 or PRESSES[name]):
                assert touched.pressure == pytest.approx(pressure, abs=1.01 / 127)
        if style.kind == "notes" and n:
            continue  # within a note no slide is sent
        assert x == pytest.approx(place[0], abs=dx)
        assert y == pytest.approx(place[1], abs=dy)
    ups = [touched for m in split(out.touch(99, touch("up"))) for touched in reader.read(m)]
    assert style.kind == "cc" or [touched.phase for touched in ups][-1] is Phase.UP
    assert reader.lift_all() == []


BEND = [m.hex() for m in stream.MidiParser().feed(stream.parameter(1, 0, 48))[0]]


def test_renewed_zone_is_configured_at_once_and_each_channel_before_its_next_note():
    writer = make_writer(Style(members=2, program=5))
    writer.start()
    writer.touch(0.0, touch("down"))
    writer.touch(0.1, touch("up"))
    assert not writer.is_sounding
    assert hexes(writer.renew()) == ["b06500", "b06406", "b00602", "b0657f", "b0647f", "c004"]
    landing = hexes(writer.touch(1.0, touch("down")))
    second = [m.replace("b1", "b2") for m in BEND]  # the channel that rested longest
    assert landing[:6] == [*second, "c204"]
    assert {m[:2] for m in landing[6:]} == {"b2", "d2", "e2", "92"}  # all values again
    assert writer.is_sounding
    assert hexes(writer.touch(1.1, touch("down", finger=1)))[:5] == BEND
    writer.touch(1.2, touch("up"))
    assert hexes(writer.touch(1.3, touch("down")))[0][:2] != "b2"


def test_eager_writer_sends_the_bend_range_before_every_note():
    writer = make_writer(Style(zone="none", channel=2, program=5), eager=True)
    writer.start()
    for t in (0.0, 1.0):
        landing = hexes(writer.touch(t, touch("down")))
        assert landing[:5] == BEND
        assert landing[-1][:2] == "91"
        assert not any(m[:2] == "c1" for m in landing)  # no program is loaded again
        writer.touch(t + 0.1, touch("up"))


@pytest.mark.parametrize("style", ["mpe", "keys", "cc"])
def test_writer_of_given_channels_uses_no_other(style):
    writer = make_writer(PRESETS[style], channels=(4, 6), sets_zone=False)
    data = writer.start() + writer.renew()
    for finger in range(4):
        data += writer.touch(finger / 10, touch("down", x=finger / 4, finger=finger))
    data += writer.touch(1.0, touch("move", x=0.9)) + writer.panic()
    assert {m[0] & 0x0F for m in stream.MidiParser().feed(data)[0]} <= {4, 6}
