"""Scales, keys, pitch and instruments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.music import (
    DEFAULT_INSTRUMENTS,
    INSTRUMENTS,
    SCALES,
    instrument_of,
    key_semitone,
    note,
    parse_instruments,
    parse_key,
    parse_scale,
)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("human=keys", DEFAULT_INSTRUMENTS, "human=keys,ai=keys"),
        ("ai=drums", DEFAULT_INSTRUMENTS, "human=strings,ai=drums"),
        ("chirp", DEFAULT_INSTRUMENTS, "human=chirp,ai=keys"),
        (" AI = Drums , human=Chirp", DEFAULT_INSTRUMENTS, "human=chirp,ai=drums"),
        (
            "ai2=drums,human3=keys",
            DEFAULT_INSTRUMENTS,
            "human=strings,human3=keys,ai=keys,ai2=drums",
        ),
        ("ai=keys,ai=drums", DEFAULT_INSTRUMENTS, "human=strings,ai=drums"),
        ("ai=chirp", "human=keys,ai2=drums", "human=keys,ai=chirp,ai2=drums"),
    ],
)
def test_players_that_are_not_named_keep_their_instruments(text, before, after):
    assert parse_instruments(text, before) == after
    assert parse_instruments(after) == after


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
def test_wrong_instruments_are_refused_with_what_is_allowed(text, wrong):
    with pytest.raises(ValueError, match="allowed: ") as error:
        parse_instruments(text)
    assert wrong in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_instruments_or_an_error_of_one_line(text):
    try:
        line = parse_instruments(text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert instrument_of("human", line) in INSTRUMENTS


def test_a_player_has_its_own_instrument_or_that_of_its_kind():
    line = parse_instruments("ai2=drums,human=chirp")
    assert [instrument_of(who, line) for who in ("human", "human7", "ai", "ai2", "ai3")] == [
        "chirp", "chirp", "keys", "drums", "keys",
    ]  # fmt: skip


def test_more_named_players_than_allowed_are_refused():
    many = ",".join(f"ai{n}=drums" for n in range(2, 140))
    with pytest.raises(ValueError, match="140 players are named; allowed: up to 128"):
        parse_instruments(many)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((name, name) for name in SCALES),
        (" Minor ", "minor"),
        ("minor pentatonic", "pentatonic"),
        ("Minor_Pentatonic", "pentatonic"),
        ("whole tone", "whole-tone"),
        ("WholeTone", "whole-tone"),
        ("harmonic minor", "harmonic-minor"),
    ],
)
def test_a_scale_is_read_in_any_spelling(spelling, name):
    assert parse_scale(spelling) == name


def test_an_unknown_scale_is_refused_with_all_that_are_known():
    with pytest.raises(ValueError, match="'loud'") as error:
        parse_scale("loud")
    assert all(name in str(error.value) for name in (*SCALES, "minor-pentatonic"))


def test_keys_are_read_with_sharps_and_flats():
    keys = "C Db d E♭ F# a♯ B Cb B#".split()
    assert [parse_key(key) for key in keys] == "C Db D Eb F# A# B Cb B#".split()
    assert [key_semitone(parse_key(key)) for key in keys] == [0, 1, 2, 3, 6, 10, 11, 11, 0]
    for wrong in ("H", "", "C##", "do"):
        with pytest.raises(ValueError, match="allowed: C, D"):
            parse_key(wrong)


def test_the_pitch_follows_x_or_is_held_to_a_scale():
    assert (note(0.0), note(1.0), note(0.5)) == (45.0, 81.0, 63.0)
    assert note(0.51, "chromatic") == 63.0
    assert note(0.5, "pentatonic") == 62.0  # C and D are a fourth and a fifth of A's five


@given(st.floats(0, 1), st.sampled_from([name for name in SCALES if name != "free"]))
def test_a_held_pitch_is_of_the_scale_and_the_nearest(x, name):
    held, free = note(x, name), note(x)
    assert (held - 45) % 12 in SCALES[name]
    others = [45 + 12 * octave + step for octave in range(-1, 5) for step in SCALES[name]]
    assert abs(held - free) <= min(abs(other - free) for other in others) + 1e-9
