"""Who plays what, and which pitch a place has."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.config.options import Options, Scale
from robojam.jam.events import Settings
from robojam.music import DEFAULT, INSTRUMENTS, SCALES, lineup, note, plays, scale


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("human=keys", DEFAULT, "human=keys,ai=keys"),
        ("ai=drums", DEFAULT, "human=strings,ai=drums"),
        ("chirp", DEFAULT, "human=chirp,ai=keys"),
        (" AI = Drums , human=Chirp", DEFAULT, "human=chirp,ai=drums"),
        ("ai2=drums,human3=keys", DEFAULT, "human=strings,human3=keys,ai=keys,ai2=drums"),
        ("ai=keys,ai=drums", DEFAULT, "human=strings,ai=drums"),
        ("ai=chirp", "human=keys,ai2=drums", "human=keys,ai=chirp,ai2=drums"),
    ],
)
def test_who_is_not_named_keeps_the_instrument(text, before, after):
    assert lineup(text, before) == after
    assert lineup(after) == after


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("banjo", "banjo"),
        ("human=", "''"),
        ("", "''"),
        ("you=keys", "you"),
        ("ai1=keys", "ai1"),
        ("human=keys=drums", "human=keys"),
        ("human=keys,,", "''"),
    ],
)
def test_what_cannot_be_a_lineup_says_what_could(text, wrong):
    with pytest.raises(ValueError, match="allowed: ") as error:
        lineup(text)
    assert wrong in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_a_lineup_or_an_error(text):
    try:
        line = lineup(text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert plays("human", line) in INSTRUMENTS


def test_one_of_many_plays_their_own_or_what_all_of_them_play():
    line = lineup("ai2=drums,human=chirp")
    assert [plays(who, line) for who in ("human", "human7", "ai", "ai2", "ai3")] == [
        "chirp", "chirp", "keys", "drums", "keys",
    ]  # fmt: skip


def test_the_pitch_follows_x_or_is_held_to_a_scale():
    assert (note(0.0), note(1.0), note(0.5)) == (45.0, 81.0, 63.0)
    assert note(0.51, "chromatic") == 63.0
    assert note(0.5, "pentatonic") == 62.0  # C and D are a fourth and a fifth of A's five
    with pytest.raises(ValueError, match="allowed: free"):
        scale("loud")
    assert scale(" Minor ") == "minor"


@given(st.floats(0, 1), st.sampled_from([name for name in SCALES if name != "free"]))
def test_a_held_pitch_is_of_the_scale_and_the_nearest(x, name):
    held, free = note(x, name), note(x)
    assert (held - 45) % 12 in SCALES[name]
    others = [45 + 12 * octave + step for octave in range(-1, 5) for step in SCALES[name]]
    assert abs(held - free) <= min(abs(other - free) for other in others) + 1e-9


def test_options_settings_and_scales_agree():
    assert get_args(Scale) == tuple(SCALES)
    options, settings = Options(), Settings()
    for name in ("instrument", "scale", "volume"):
        assert getattr(options, name) == getattr(settings, name)
