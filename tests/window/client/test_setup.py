"""Setup of the engine as a window reads it, and what is chosen in its lists."""

import json
import sys

import pytest

from robojam.window.client.setup import MAX_NAMES, parse_setup


def setup(**chosen: object):
    report = {
        "chosen": {"midi-in": [], "midi-out": [], "osc-out": ["127.0.0.1:5006"], "sound": True,
                   "sound-out": None, "voices": 2, "model": "touch.safetensors", **chosen},
        "available": {
            "midi-out": ["Surge XT", "SLIDER/KNOB", "Surge XT 2"],
            "osc-out": ["10.0.0.7:9000"],
            "sound-out": ["Speakers"],
            "model": ["touch.safetensors"],
        },
        "names": {"10.0.0.7:9000": "iPad"},
        "styles": ["mpe", "keys", "cc"],
    }  # fmt: skip
    parsed = parse_setup(json.dumps(report))
    assert parsed is not None
    return parsed


def test_port_is_chosen_by_its_name_or_a_part_of_it_and_with_its_style():
    choices = setup(**{"midi-out": ["surge xt/keys"]}).choices("midi-out")
    assert [(c.text, c.chosen, c.style) for c in choices] == [
        ("Surge XT", True, "keys"),
        ("SLIDER/KNOB", False, ""),
        ("Surge XT 2", True, "keys"),
    ]
    exact = setup(**{"midi-out": ["Surge XT"]}).choices("midi-out")
    assert [c.chosen for c in exact] == [True, False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="names as ALSA gives them")
def test_port_is_chosen_by_the_name_that_it_had_before_a_replug():
    choices = setup(**{"midi-out": ["Surge XT 128:0/keys"]}).choices("midi-out")
    assert [(c.text, c.chosen) for c in choices if c.chosen] == [("Surge XT", True)]


def test_port_that_is_chosen_and_not_there_is_listed_as_missing():
    choices = setup(**{"midi-out": ["gone/cc", "virtual:out"]}).choices("midi-out")[3:]
    assert [(c.text, c.value, c.style, c.missing) for c in choices] == [
        ("gone", "gone/cc", "cc", True),
        ("virtual:out", "virtual:out", "mpe", False),
    ]


def test_output_that_is_announced_is_listed_by_its_name():
    choices = setup().choices("osc-out")
    assert [(c.text, c.value, c.chosen) for c in choices] == [
        ("iPad (10.0.0.7:9000)", "10.0.0.7:9000", False),
        ("127.0.0.1:5006", "127.0.0.1:5006", True),
    ]


def test_output_is_chosen_by_its_whole_address_alone():
    state = setup(**{"osc-out": ["0.0.0.7:900", "10.0.0.7:9000/touchosc"]})
    announced = state.choices("osc-out")[0]
    assert (announced.value, announced.chosen) == ("10.0.0.7:9000", False)
    assert state.toggled("osc-out", announced)[:2] == ["0.0.0.7:900", "10.0.0.7:9000/touchosc"]


def test_port_whose_name_does_not_print_is_shown_escaped_and_sent_as_it_is():
    report = {
        "chosen": {},
        "available": {"midi-in": ["Keys\r", "\udcff", "\u202egnp", "מקלדת"]},
        "styles": [],
    }
    parsed = parse_setup(json.dumps(report))
    assert parsed is not None
    choices = parsed.choices("midi-in")
    assert [choice.value for choice in choices] == report["available"]["midi-in"]
    assert [choice.text for choice in choices] == ["Keys\\r", "\\udcff", "\\u202egnp", "מקלדת"]
    assert parsed.toggled("midi-in", choices[0]) == ["Keys\r"]


def test_port_is_toggled_and_its_style_follows_the_list_of_styles():
    state = setup(**{"midi-out": ["Surge XT/keys", "gone"]})
    surge, slider, _, gone = state.choices("midi-out")
    assert state.toggled("midi-out", slider) == ["Surge XT/keys", "gone", "SLIDER/KNOB"]
    assert state.toggled("midi-out", surge) == ["gone"]
    assert state.toggled("midi-out", gone) == ["Surge XT/keys"]
    assert state.styled("midi-out", surge) == ["Surge XT/cc", "gone"]
    assert state.styled("midi-out", gone) == ["Surge XT/keys", "gone/keys"]


@pytest.mark.parametrize(
    "text",
    ["", "null", "7", "[]", "{}", '{"chosen": 1, "available": {}}', "[" * 5000,
     '{"chosen": {}, "available": []}'],
)  # fmt: skip
def test_setup_that_cannot_be_read_is_none(text):
    assert parse_setup(text) is None


def test_hostile_setup_is_bounded_and_holds_only_what_can_be_shown():
    report = {
        "chosen": {"midi-in": ["ok", 7, "x" * 500, "\x1b[2J", ""], "voices": 10**30,
                   "model": ["a"], "sound": "yes"},
        "available": {"midi-in": [str(n) for n in range(9999)], "midi-out": {"a": 1}},
        "names": {"a": ["b"]},
        "styles": 3,
        "left_out": 10**30,
        "error": "\x1b]0;title" + "x" * 9999,
    }  # fmt: skip
    parsed = parse_setup(json.dumps(report))
    assert parsed is not None
    assert parsed.ports["midi-in"] == ("ok", "\x1b[2J")
    assert all(choice.text.isprintable() for choice in parsed.choices("midi-in"))
    assert (parsed.voices, parsed.model, parsed.sound, parsed.styles) == (0, "", False, ())
    assert len(parsed.available["midi-in"]) == MAX_NAMES
    assert parsed.available["midi-out"] == ()
    assert (parsed.names, parsed.left_out) == ({}, 0)
    assert parsed.error.isprintable()
    assert len(parsed.error) == 300
