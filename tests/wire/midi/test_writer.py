"""What goes out by MIDI: golden bytes, nothing left sounding, and back again as touches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.reader import reader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.midi.writer import writer
from robojam.wire.native import Finger, PhaselessTouch

MPE = PRESETS["mpe"]


def touch(phase, x=0.5, y=0.5, *, who="ai", finger=0):
    return Touch(x, y, 0.0, Phase(phase), finger, who)


def split(data):
    messages, dropped = MidiParser().feed(data)
    assert not dropped
    assert b"".join(messages) == data
    return messages


def hexes(data):
    return [message.hex() for message in split(data)]


def test_mpe_begins_with_its_configuration():
    told = hexes(writer(Style(members=2, program=5, bank=1)).start())
    assert told[:3] == ["b06500", "b06406", "b00602"]  # parameter 6: two members
    assert told[5:8] == ["b16500", "b16400", "b10630"]  # 48 semitones
    assert told[10:13] == ["b26500", "b26400", "b20630"]  # told to every channel
    assert told[15:] == [
        f"{k}{c}{v}" for c in "012" for k, v in (("b", "0000"), ("b", "2001"), ("c", "04"))
    ]
    upper = hexes(writer(Style(zone="upper", members=2)).start())
    assert upper[0] == "bf6500"
    assert {one[1] for one in upper[5:]} == {"e", "d"}


def test_mpe_a_landing_is_shaped_before_it_is_struck():
    out = writer(MPE)
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


def test_each_finger_has_a_channel_and_the_one_that_rested_longest_is_next():
    out = writer(Style(members=3))
    voices = ["ai", "ai2", "ai3"]
    struck = [split(out.touch(0.0, touch("down", who=who)))[-1][0] & 15 for who in voices]
    assert struck == [1, 2, 3]
    out.touch(1.0, touch("up", who="ai2"))
    out.touch(1.0, touch("up", who="ai"))
    assert split(out.touch(2.0, touch("down", who="ai")))[-1][0] & 15 == 2
    assert split(out.touch(2.0, touch("down", who="ai2")))[-1][0] & 15 == 1
    # More fingers than channels: the oldest gives way.
    told = split(out.touch(3.0, touch("down", who="ai4")))
    assert told[0] == stream.note_off(3, 60)
    assert told[-1] == stream.note_on(3, 60, 96)


def test_one_channel_bends_as_far_as_it_can_and_then_strikes_again():
    out = writer(Style(zone="none", channel=1, bend=2, low=48, high=72))
    out.touch(0.0, touch("down", 0.5))
    near = split(out.touch(0.1, touch("move", 0.5 + 2 / 24)))
    assert stream.bend(0, 16383) in near
    far = split(out.touch(0.2, touch("move", 0.5 + 4 / 24)))
    assert far[0] == stream.note_off(0, 60)
    assert far[-1] == stream.note_on(0, 64, 96)
    assert stream.bend(0, 8192) in far


def test_the_notes_of_a_scale_a_glide_strikes_each():
    out = writer(
        Style(kind="notes", key="A", scale="minor pentatonic", low=57, high=69, y="velocity")
    )
    assert out.style.notes == (57, 60, 62, 64, 67, 69)
    assert hexes(out.touch(0.0, touch("down", 0.0, 1.0))) == ["903901"]  # the bottom is soft
    assert out.touch(0.1, touch("move", 0.05, 0.0)) == b""  # still the same note
    assert hexes(out.touch(0.2, touch("move", 0.2, 0.0))) == ["803940", "903c7f"]
    assert hexes(out.touch(0.3, touch("up", 0.2, 0.0))) == ["803c40"]


def test_two_voices_on_one_note_of_a_scale_end_it_when_the_last_lifts():
    out = writer(PRESETS["keys"])
    out.touch(0.0, touch("down"))
    assert hexes(out.touch(0.1, touch("down", who="ai2"))) == ["803c40", "903c40"]
    assert out.touch(0.2, touch("up")) == b""
    assert hexes(out.touch(0.3, touch("up", who="ai2"))) == ["803c40"]


def test_controllers_are_sent_when_they_change():
    out = writer(Style(kind="cc", x=16, y=17, gate=18))
    assert hexes(out.touch(0.0, touch("down", 1.0, 0.0))) == ["b0107f", "b0117f", "b0127f"]
    assert hexes(out.touch(0.1, touch("move", 1.0, 1.0))) == ["b01100"]
    assert hexes(out.touch(0.2, touch("down", 1.0, 1.0, who="ai2")))[0] == "b1107f"
    assert hexes(out.touch(0.3, touch("up"))) == ["b01200"]


def test_fine_controllers_send_coarse_and_fine():
    out = writer(PRESETS["cc14"])
    assert hexes(out.touch(0.0, touch("down", 0.5, 0.5))) == [
        "b01040",
        "b03000",
        "b01140",
        "b03100",
    ]
    assert hexes(out.touch(0.1, touch("move", 0.5 + 2 / 16383, 0.5))) == ["b03002"]


def test_panic_releases_what_sounds_and_silences_what_was_used():
    out = writer(MPE)
    out.start()
    assert out.panic() == b""  # nothing was used
    out.touch(0.0, touch("down"))
    out.touch(0.0, touch("down", who="ai2"))
    out.touch(0.0, touch("up"))
    told = split(out.panic())
    assert told[0] == stream.note_off(2, 60)
    assert b"".join(told[1:9]) == stream.silence(1) + stream.silence(2)
    assert out.panic() == b""
    assert out.touch(0.1, touch("up", who="ai2")) == b""
    # A finger that goes on sliding is struck again, and shaped anew.
    assert len(split(out.touch(0.2, touch("move", who="ai2")))) == 4


def test_what_a_killed_engine_left_is_cleared_by_note_offs_for_all_there_can_be():
    for name in ("mpe", "keys", "drums", "mono"):
        style = PRESETS[name]
        told = split(writer(style).clear())
        for x in range(101):
            struck = split(writer(style).touch(0.0, touch("down", x / 100)))[-1]
            assert stream.note_off(struck[0] & 15, struck[1]) in told
        assert told[-4:] == split(stream.silence(writer(style).channels[-1]))


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
def test_whatever_is_played_nothing_is_left_sounding(style, strokes, panics):
    out = writer(style)
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


#: How exact a place is that goes out and comes back, in x and in y.
EXACT = {
    "mpe": (48 / 8192 / 48, 1 / 127),
    "mpe-upper": (48 / 8192 / 48, 1 / 127),
    "mono": (12 / 8192 / 24, 1 / 127),
    "keys": (1 / 48, 1 / 126),
    "drums": (1 / 16, 1 / 126),
    "cc": (1 / 127, 1 / 127),
    "cc14": (1 / 16383, 1 / 16383),
}


@pytest.mark.parametrize("name", EXACT)
@given(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=20))
def test_a_stroke_goes_out_and_comes_back(name, places):
    style = PRESETS[name]
    out, surface = writer(style), reader(style)
    # Rounded to the nearest; but a bend reaches one step less far up than down.
    dx, dy = (step * part for step, part in zip(EXACT[name], (1.01, 0.51), strict=True))
    for message in split(out.start()):
        surface.take(message)
    x = y = None
    for n, place in enumerate(places):
        phase = "move" if n else "down"
        for message in split(out.touch(n / 60, touch(phase, *place))):
            for told in surface.take(message):
                if getattr(told, "phase", None) is not Phase.UP:
                    x, y = told.x, told.y
        for told in surface.moved():
            assert isinstance(told, Finger | PhaselessTouch)
            x, y = told.x, told.y
        if style.kind == "notes" and n:
            continue  # within a note no slide is sent
        assert x == pytest.approx(place[0], abs=dx)
        assert y == pytest.approx(place[1], abs=dy)
    ups = [told for m in split(out.touch(99, touch("up"))) for told in surface.take(m)]
    assert style.kind == "cc" or [told.phase for told in ups][-1] is Phase.UP
    assert surface.lift() == []
