"""Styles and bindings of MIDI, as the TOML file gives them."""

import msgspec
import pytest
from support import ROOT

from robojam.config.load import OptionsError, resolve
from robojam.config.options import Options
from robojam.wire.midi.bindings import Action, Trigger, parse_binding, spell_number
from robojam.wire.midi.styles import (
    PRESETS,
    PortRequest,
    Style,
    parse_port,
    parse_styles,
    port_option,
)


def test_table_is_a_preset_with_other_values():
    styles = parse_styles(
        {
            "lead": {"like": "scale", "key": "D", "scale": "dorian", "channel": 3},
            "wide": {"low": 0, "high": 127, "full-speed": 0},
            "desk": {"like": "pedal", "x": 20, "controls": {"note 36": "mode solo"}},
        }
    )
    assert styles["lead"] == Style(
        kind="notes", key="D", scale="dorian", channel=3, y="velocity"
    )
    assert styles["wide"] == Style(low=0, high=127, full_speed=0.0)
    assert styles["desk"].controls == {"note 36": "mode solo"}


@pytest.mark.parametrize("spelling", ["pentatonic", "minor pentatonic", "Minor-Pentatonic"])
def test_scale_has_the_same_spellings_in_a_style_and_at_the_top_level(spelling, tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(f'scale = "{spelling}"\n[midi.lead]\nscale = "{spelling}"\nkey = "bb"')
    chosen = resolve({}, str(path))
    assert (chosen.settings().scale, chosen.midi["lead"]) == (
        "pentatonic",
        Style(scale="pentatonic", key="Bb"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("midi = 3", "allowed: tables as [midi.NAME]"),
        ("[midi]\nlead = 3", "lead is no table"),
        ("[midi.mpe]\nx = 1", "a preset has it"),
        ('[midi.lead]\nlike = "jazz"', "like = 'jazz'; allowed: mpe, mpe-upper, mono,"),
        ("[midi.lead]\nlike = 3", "like = 3; allowed"),
        ("[midi.lead]\nvolume = 3", "there is no volume; allowed: like, kind, channel,"),
        ("[midi.lead]\nx = 300", "lead: x = 300: Expected `int` <= 127"),
        (
            '[midi.lead]\nscale = "jazz"',
            "lead: no scale is named 'jazz'; allowed: free, chromatic,",
        ),
        ('[midi.lead]\nkey = "H"', "lead: no key is named 'H'; allowed: C, D,"),
        ('[midi.lead]\ny = "breath"', "lead: y = 'breath'"),
        ("[midi.lead]\nlow = 90", "low is 90, and must be below high, 84"),
        ('[midi.lead]\nlike = "cc14"\nx = 40', "14 bits are of controllers 0 to 31"),
        (
            '[midi.lead]\nlike = "cc"\ny = "pressure"',
            "y is 'pressure', and must be a controller",
        ),
        ('[midi.lead]\nx = "\\n"', r"x is '\n', and must be a controller"),
        ('[midi.lead]\nlike = "cc"\ny = 16', "x and y are both 16, and must differ"),
        ('[midi.lead]\nzone = "none"', "a channel must be named"),
        (
            '[midi.lead]\nlike = "cc"\nx = "nrpn 128:0"',
            "x is 'nrpn 128:0', and must be a controller",
        ),
        (
            '[midi.lead]\ny = "nrpn 1:2"',
            "y = 'nrpn 1:2': must be a controller, 0 to 127, velocity",
        ),
        ('[midi.lead.controls]\n"nrpn 16384" = "answer"', "'nrpn 16384' sets off no control"),
        ('[midi.lead.controls]\n"cc 1:2" = "answer"', "'cc 1:2' sets off no control"),
        ('[midi.lead.controls]\n"cc 64" = "dance"', "'dance' is no control; allowed: mode"),
        ('[midi.lead.controls]\n"cc 128" = "answer"', "'cc 128' sets off no control"),
        ('[midi.lead.controls]\n"cc 1 on 17" = "answer"', "'cc 1 on 17' sets off no control"),
        ('[midi.lead.controls]\n"cc 1" = "timescale 0 2"', "timescale LOW HIGH"),
        ('[midi.lead.controls]\n"cc 1" = "spread nan 2"', "spread LOW HIGH"),
        ('[midi.lead.controls]\n"cc 1" = 3', "lead: "),
        (
            'midi-in = ["virtual:Board/lead"]',
            "midi-in: no style is named 'lead'; allowed: mpe,",
        ),
        ('midi-out = ["/mpe"]', "midi-out: '/mpe' is not NAME[/STYLE]"),
        ("midi-in = [3]", "midi-in"),
    ],
)
def test_wrong_table_is_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    with pytest.raises(OptionsError) as error:
        resolve({}, str(path))
    line = str(error.value)
    assert message in line
    assert "\n" not in line


def test_port_is_a_part_of_its_name_and_a_style():
    own = parse_styles({"lead": {}})
    assert parse_port("Seaboard", {}) == PortRequest("Seaboard", "mpe", virtual=False)
    assert parse_port("USB/MIDI 1/keys", {}) == PortRequest("USB/MIDI 1", "keys", virtual=False)
    assert parse_port("virtual:robojam/lead", own) == PortRequest(
        "robojam", "lead", virtual=True
    )


def test_command_line_can_use_the_styles_of_the_file(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text("[midi.lead]\nmembers = 3\n")
    chosen = resolve({"midi_out": ["Surge/lead"]}, str(path))
    assert chosen.midi["lead"].members == 3
    with pytest.raises(OptionsError, match="midi-out: no style is named 'lead'"):
        resolve({"midi_out": ["virtual:Surge/lead"]})


def test_slash_in_the_name_of_a_port_is_no_style():
    whole = "nanoKONTROL2 SLIDER/KNOB"
    assert parse_port(whole, {}) == PortRequest(whole, "mpe", virtual=False)
    assert parse_port(f"{whole}/cc", {}) == PortRequest(whole, "cc", virtual=False)
    assert parse_port("MIDI I/O#2/cc", {}) == PortRequest("MIDI I/O#2", "cc", virtual=False)


@pytest.mark.parametrize("name", ["nanoKONTROL2 SLIDER/KNOB", "Stage/keys", "Surge", "a/b/cc"])
def test_option_of_a_port_asks_for_its_whole_name(name):
    assert parse_port(port_option(name), {}) == PortRequest(name, "mpe", virtual=False)


def test_styles_survive_json():
    chosen = Options(midi=parse_styles({"lead": {"bend": 12, "controls": {"cc 1": "panic"}}}))
    assert msgspec.json.decode(msgspec.json.encode(chosen), type=Options) == chosen


def test_table_of_bindings_is_read_as_triggers_and_actions():
    assert parse_binding("cc 64", "answer") == (
        Trigger("cc", 64, None),
        Action("answer", "press"),
    )
    assert parse_binding("note 0 on 16", "record 0") == (
        Trigger("note", 0, 15),
        Action("record", "press", 0),
    )
    assert parse_binding("cc 1", "spread 0.5 1.5")[1] == Action("spread", "range", 1, 0.5, 1.5)


@pytest.mark.parametrize("text", ["nrpn 1:2 on 3", "nrpn 130 on 3"])
def test_parameter_is_named_by_the_halves_of_its_number_or_by_both(text):
    trigger, _ = parse_binding(text, "answer")
    assert trigger == Trigger("nrpn", 130, 2)
    assert f"nrpn {spell_number('nrpn', 130)} on 3" == "nrpn 1:2 on 3"


def test_readme_names_every_preset():
    text = (ROOT / "README.md").read_text("utf-8")
    for name in PRESETS:
        assert f"`{name}`" in text
