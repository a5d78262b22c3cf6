"""The table of controls, row by row: option, TOML key, OSC, MIDI, dial, replay, status."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import OUT, DrivenEngine
from support.players import RandomPlayer

from robojam.config.load import OptionsError, resolve
from robojam.config.map_table import parse_map
from robojam.config.options import BY_NAME, OPTIONS
from robojam.controls import (
    CONTROLS,
    IMPSY_MODES,
    MODES,
    SETTINGS,
    ControlSpec,
    Kind,
    RefusedError,
    Settings,
    amounts_of,
    check_recorded,
    parse_amounts,
    parse_mode,
    validate_control,
)
from robojam.sessions.session import SetEvent
from robojam.touch import MEMORIES
from robojam.window.input.dials import DIALS
from robojam.wire import native
from robojam.wire.midi.bindings import parse_action
from robojam.wire.osc import decode, encode

NUMBERS = [row for row in CONTROLS.values() if row.kind is Kind.NUMBER]
EVERY = pytest.mark.parametrize("row", CONTROLS.values(), ids=lambda row: row.name)
EVERY_SETTING = pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda row: row.name)


def another(row: ControlSpec) -> float | int | str:
    """Return a value that differs from the default."""
    if row.kind is Kind.NUMBER:
        return 0.25 if row.has(0.25) else row.high
    if row.kind in (Kind.SWITCH, Kind.COUNT, Kind.INTEGER, Kind.TRIGGER):
        return 1
    if row.name in ("store", "undo_store", "recall"):
        return MEMORIES[1]
    texts = {
        "instrument": "human=drums,ai=keys",
        "range": "36-84,ai=48-60",
        "model": "other.safetensors",
        "clock": "midi:Drum machine",
        "clock_out": "Drum machine",
        "scene": "dark",
        "amount": "a=0.5",
    }
    return texts.get(row.name) or row.words[-1]


def test_table_has_a_row_for_every_setting():
    assert set(SETTINGS) == set(asdict(Settings()))
    assert all(name == row.name for name, row in CONTROLS.items())


@EVERY_SETTING
def test_default_of_a_setting_is_allowed(row):
    assert row.check(row.default) == row.default == getattr(Settings(), row.name)


@EVERY
def test_control_with_an_option_is_set_on_the_command_line_and_in_toml(row, tmp_path):
    option = row.name.replace("_", "-")
    assert (option in BY_NAME) == row.option
    if row.name not in SETTINGS or not row.option:
        return
    value = another(row)
    toml = tmp_path / "jam.toml"
    toml.write_text(
        f'{option} = "{value}"' if isinstance(value, str) else f"{option} = {value}"
    )
    typed = resolve({row.name: str(value)})
    assert typed == resolve({}, str(toml))
    assert getattr(typed.settings(), row.name) == value


@EVERY_SETTING
def test_option_out_of_range_is_refused_with_its_name_and_what_is_allowed(row):
    if row.option:
        option = row.name.replace("_", "-")
        refused = "x" * 300 if row.name == "clock_out" else "-1e9"
        with pytest.raises(OptionsError, match=rf"the command line: {option}.*allowed: "):
            resolve({row.name: refused})


@EVERY
def test_control_is_written_and_read_by_osc_as_the_same_value(row):
    value = another(row)
    packet = native.encode_control(row.name, value)
    (message,) = decode(packet)[0]
    assert message.address == f"/robojam/{row.name}"
    assert message.tags == row.kind.tag
    assert native.read(message, native.INPUTS) == native.Control(row.name, value)
    assert validate_control(row.name, value, Settings(), None) == value


@EVERY
def test_number_is_read_by_osc_from_any_type_of_number(row):
    if row.kind in (Kind.NUMBER, Kind.SWITCH, Kind.COUNT, Kind.INTEGER):
        for tag in "ihfd":
            (message,) = decode(encode(f"/robojam/{row.name}", tag, 1))[0]
            assert native.read(message, native.INPUTS) == native.Control(row.name, 1)


@EVERY
def test_midi_binding_of_a_control_has_its_range_and_words(row):
    if row.midi_range:
        action = parse_action(row.name)
        assert (action.low, action.high) == row.midi_range
        assert all(row.has(end) for end in row.midi_range)
    for word in row.midi_words:
        assert parse_action(f"{row.name} {word}".strip()).name == row.name
    if not row.midi_range and not row.midi_words:
        with pytest.raises(ValueError, match="allowed: "):
            parse_action(row.name)


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_number_in_the_settings_has_a_dial_that_stays_in_its_range(row):
    if row.name not in SETTINGS:
        assert row.name not in DIALS
        return
    dial = DIALS[row.name]
    for share in (0.0, 0.25, 0.5, 0.97, 1.0):
        assert row.has(dial.value(share))
        assert row.has(dial.step(dial.value(share), up=True))
        assert row.has(dial.step(dial.value(share), up=False))
    assert dial.share(dial.value(0.5)) == pytest.approx(0.5, abs=0.05)


def in_status(engine: DrivenEngine, row: ControlSpec) -> float | int | str:
    """Return a control's value in the status; that of the clock is the source of its state."""
    status = engine.status()
    value: float | int | str = (
        status["clock"]["source"] if row.name == "clock" else status[row.name]
    )
    return value


@EVERY_SETTING
def test_setting_is_in_the_status_sent_to_monitors_and_recorded(row, tmp_path):
    knobs = parse_map({"out": {"a": {"target": "osc /a", "source": "x"}}})
    engine = DrivenEngine(tmp_path, RandomPlayer(), map=knobs)
    engine.send("/robojam/subscribe", "i", 4001)
    assert row.name in {message.name for message in engine.take() if message.to != OUT}
    assert in_status(engine, row) == row.default
    engine.send("/robojam/down", "iff", 0, 0.5, 0.5)
    value = another(row)
    tags = "h" if row.kind is Kind.SWITCH else row.kind.tag
    engine.send(f"/robojam/{row.name}", tags, value)
    assert in_status(engine, row) == value
    assert value in [m.args[0] for m in engine.take() if m.name == row.name]
    events = [e for e in engine.end().events if isinstance(e, SetEvent)]
    assert {row.name: value} in [event.values for event in events]
    for event in events:
        for name, recorded in event.values.items():
            check_recorded(name, recorded)


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_range_of_a_number_includes_its_ends_and_nothing_beyond(row):
    assert row.has(row.low)
    assert row.has(row.high)
    assert not row.has(math.nextafter(row.low, -math.inf))
    assert not row.has(math.nextafter(row.high, math.inf))
    assert not any(row.has(value) for value in (math.nan, math.inf, -math.inf))
    assert not any(row.has(value) for value in (10**400, -(10**400)))  # no float is so large


@given(st.sampled_from(NUMBERS), st.floats() | st.integers())
def test_number_is_accepted_within_its_range_and_refused_beyond(row, value):
    if row.has(value):
        assert validate_control(row.name, value, Settings(), None) == pytest.approx(value)
    elif not math.isfinite(value) or not row.has(float(f"{value:.6g}")):
        with pytest.raises(RefusedError, match="out of range"):
            validate_control(row.name, value, Settings(), None)


def test_number_that_lost_digits_in_32_bits_is_restored():
    single = decode(native.encode_control("threshold", 0.02))[0][0].args[0]
    assert single != 0.02
    assert validate_control("threshold", single, Settings(), None) == 0.02
    in_force = Settings(threshold=0.3)
    single = decode(native.encode_control("threshold", 0.3))[0][0].args[0]
    assert validate_control("threshold", single, in_force, None) == 0.3


def test_instrument_without_a_player_is_set_for_the_sender():
    changed = validate_control("instrument", "drums", Settings(), "human2")
    assert changed == "human=strings,human2=drums,ai=keys"
    changed = validate_control("instrument", "drums", Settings(), "human")
    assert changed == "human=strings,human1=drums,ai=keys"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("groove", 1.0, "no such control"),
        ("tempo", 600.0, "out of range"),
        ("clock", "sundial", "unknown clock"),
        ("grid", "1/5", "unknown grid"),
        ("mode", "jazz", "unknown mode"),
        ("instrument", "banjo", "unknown instrument"),
        ("scale", "blue", "unknown scale"),
        ("store", "Z", "unknown store"),
        ("back", 61.0, "out of range"),
        ("volume", 1.5, "out of range"),
    ],
)
def test_refused_control_has_a_reason_and_its_name(name, value, reason):
    with pytest.raises(RefusedError) as refused:
        validate_control(name, value, Settings(), None)
    assert refused.value.reason == reason
    assert name in refused.value.about


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "a.safetensors"),
        ("pause", 2),
        ("mode", 1),
        ("volume", True),
        ("tempo", 1),
        ("beats", "1 2 3"),
        ("bars", 1.5),
        ("tap", 1),
        ("scene", "dark"),
    ],
)
def test_recorded_control_of_another_kind_or_range_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        check_recorded(name, value)


def test_mode_is_parsed_from_robojam_s_and_from_impsy_s_names():
    assert [parse_mode(name) for name in MODES] == list(MODES)
    assert [parse_mode(name) for name in IMPSY_MODES] == list(MODES[:4])
    with pytest.raises(ValueError, match=r"'jazz'.*call-response, duet, solo, listen"):
        parse_mode("jazz")


def test_option_has_a_description_what_is_allowed_and_a_default():
    assert all(option.about and option.allowed and option.default_text for option in OPTIONS)


NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="="), min_size=1
)
AMOUNTS = st.dictionaries(NAMES.map(lambda name: name[:40]), st.floats(0, 1), max_size=8)


@given(AMOUNTS, AMOUNTS)
def test_amounts_are_added_to_those_in_force_and_those_of_1_are_left_out(one, other):
    def written(amounts):
        return ",".join(f"{name}={amount:g}" for name, amount in amounts.items()) or "none"

    merged = one | other if other else {}
    expected = {k: float(f"{v:g}") for k, v in merged.items() if float(f"{v:g}") != 1}
    result = parse_amounts(written(other), parse_amounts(written(one), ""))
    assert amounts_of(result) == expected
    assert parse_amounts(result or "none", result) == result


@pytest.mark.parametrize(
    "text",
    ["a", "a=", "=1", "a=1.5", "a=-1", "a=nan", "a=1,b", "a\nb=1", f"{'a' * 41}=1", "a=x"],
)
def test_amounts_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="allowed: KNOB=AMOUNT"):
        parse_amounts(text, "")


def test_amounts_of_more_knobs_than_there_may_be_are_refused():
    text = ",".join(f"{number}=0.5" for number in range(65))
    with pytest.raises(ValueError, match="allowed: 64"):
        parse_amounts(text, "")
