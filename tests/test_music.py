"""Scales, keys, pitch and instruments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.music import (
    DEFAULT_INSTRUMENTS,
    INSTRUMENTS,
    SCALES,
    PitchRange,
    instrument_of,
    key_semitone,
    parse_instruments,
    parse_key,
    parse_range,
    parse_ranges,
    parse_scale,
    range_of,
    scale_notes,
    unassign,
    widest_range,
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


def test_human_stands_for_all_humans_and_human1_for_the_first_one_alone():
    own = parse_instruments("human1=drums,human3=chirp")
    assert own == "human=strings,human1=drums,human3=chirp,ai=keys"
    assert parse_instruments(own) == own
    chosen = [instrument_of(who, own) for who in ("human", "human2", "human3")]
    assert chosen == ["drums", "strings", "chirp"]
    for everybody in ("human=keys", "keys"):
        text = parse_instruments(everybody, own)
        assert text == "human=keys,human3=chirp,ai=keys"
    assert parse_instruments("ai=drums", own) == own.replace("ai=keys", "ai=drums")
    assert unassign(own, "human3") == "human=strings,human1=drums,ai=keys"
    assert unassign("36-84,human2=35-51", "human2") == "36-84"


def test_more_named_players_than_allowed_are_refused():
    many = ",".join(f"ai{n}=drums" for n in range(2, 140))
    with pytest.raises(ValueError, match="138 players are named; allowed: up to 128"):
        parse_instruments(many)
    with pytest.raises(ValueError, match="130 players are named; allowed: up to 128"):
        parse_instruments(
            many[: many.index("ai129=")].rstrip(","), parse_instruments("human2=keys")
        )


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


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("48-72", "36-84", "48-72"),
        (" C2 - C6 ", "48-72", "36-84"),
        ("c-1–G9", "36-84", "0-127"),
        ("Bb1-f#3", "36-84", "34-54"),
        ("35.5-51.125", "36-84", "35.5-51.125"),
        ("human2=35-51", "36-84", "36-84,human2=35-51"),
        ("AI = 48-60, C2-C5", "36-84,human2=35-51", "36-72,human2=35-51,ai=48-60"),
        ("ai2=48-60,human=48-72", "36-84", "36-84,human=48-72,ai2=48-60"),
    ],
)
def test_ranges_are_read_in_notes_and_names_and_amend_those_in_force(text, before, after):
    assert parse_ranges(text, before) == after
    assert parse_ranges(after) == after


@pytest.mark.parametrize(
    "text",
    ["", "36", "84-36", "60-60", "0-128", "-1-5", "H2-C6", "36-84,", "=36-84", "nan-84",
     "ai1=36-84", "36-84-90", "1e1-84", "C10-C11"],
)  # fmt: skip
def test_wrong_ranges_are_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="allowed: "):
        parse_ranges(text)


@given(st.text(alphabet="CcBb#-0123456789.,=ahi umn", max_size=30))
def test_any_text_is_ranges_or_an_error_of_one_line(text):
    try:
        ranges = parse_ranges(text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert parse_ranges(ranges) == ranges
        assert 0 <= range_of("human", ranges).low < widest_range(ranges).high <= 127


def test_player_has_its_own_range_or_that_of_all_and_ai_is_every_voice():
    ranges = parse_ranges("36-84,human=30-70,human2=35-51,ai=48-60")
    lows = [range_of(who, ranges).low for who in ("human", "human2", "human3", "ai", "ai2")]
    assert lows == [30, 35, 36, 48, 48]
    assert widest_range(ranges) == PitchRange(30, 84)


@given(st.floats(0, 127), st.sampled_from(["36-84", "35-51", "0-127", "55.5-75.25"]))
def test_pitch_of_x_of_a_pitch_is_the_same_pitch(pitch, text):
    pitches = parse_range(text)
    assert pitches.pitch(pitches.x(pitch)) == pytest.approx(pitch, abs=1e-9)
    wider = pitches.widened(pitch)
    assert wider.low <= min(pitch, pitches.low)
    assert wider.high >= max(pitch, pitches.high)


def test_a_pitch_is_free_or_held_to_the_nearest_note_of_a_scale():
    pitches = parse_range("36-84")
    assert pitches.quantised(60.3, "free", "A") == 60.3
    assert pitches.quantised(60.6, "chromatic", "C") == 61
    assert pitches.quantised(62.9, "pentatonic", "A") == 62  # A C D E G
    assert pitches.quantised(36.2, "major", "A") == 37  # B1 would be outside the range
    assert parse_range("60.1-60.9").quantised(60.5, "chromatic", "C") == 60


@given(st.floats(0, 1), st.sampled_from(list(SCALES)[1:]), st.sampled_from(["A", "C", "F#"]))
def test_a_held_pitch_is_of_the_scale_and_the_nearest(x, scale, key):
    pitches = parse_range("36-84")
    pitch = pitches.pitch(x)
    held = pitches.quantised(pitch, scale, key)
    of_the_scale = [n for n in range(36, 85) if (n - key_semitone(key)) % 12 in SCALES[scale]]
    assert held in of_the_scale
    assert abs(held - pitch) == min(abs(note - pitch) for note in of_the_scale)
    assert held in scale_notes(pitches, scale, key)
