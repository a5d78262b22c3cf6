"""Lights and errors of the engine's ports."""

from __future__ import annotations

import pytest
from support.window import report_status, shown_text

from robojam.window.client.state import LOST_AFTER, WindowState
from robojam.window.view.frame import MAX_NOTICES, frame_text
from robojam.window.view.text_fit import Icon
from robojam.wire.port_problems import MAX_ENTRIES


def test_light_of_a_port_is_lit_for_a_moment_after_a_message():
    state = WindowState()
    state.last_message_at = 1.0
    state.ports.mark_used("osc", 1.0)
    icons = [
        {label.icon.name.lower() for row in frame_text(state, t).top for label in row}
        for t in (1.1, 1.3)
    ]
    assert "lit" in icons[0]
    assert "lit" not in icons[1]


def port_icons(state: WindowState, t: float) -> dict[str, str]:
    """Return the icon of each port's light."""
    labels = (label for row in frame_text(state, t).top for label in row)
    return {
        label.runs[0].text: label.icon.name.lower()
        for label in labels
        if "LI" in label.icon.name or label.icon is Icon.TROUBLE
    }


def test_each_port_of_the_engine_has_a_light():
    state = WindowState()
    report_status(state, 1.0)
    assert port_icons(state, 1.0) == {"osc": "light"}
    port = {"wanted": "Keys", "connected": True, "messages": 3, "idle_s": 1.0}
    sound = {"state": "playing", "unsent": 0, "rate": 48000}
    report_status(state, 2.0, midi={"in": [port], "out": [], "trouble": None}, sound=sound)
    assert port_icons(state, 2.0) == {"osc": "light", "midi": "light", "sound": "light"}
    unchanged = {"in": [{**port, "idle_s": 2.0}], "out": []}
    report_status(state, 3.0, midi=unchanged, sound={"state": "starting"})
    assert port_icons(state, 3.0)["midi"] == "light"
    report_status(state, 4.0, midi={"in": [{**port, "messages": 4}], "out": []})
    assert port_icons(state, 4.0) == {"osc": "light", "midi": "lit"}
    report_status(state, 5.0, midi={"in": [], "out": [], "trouble": None})
    assert port_icons(state, 5.0) == {"osc": "light"}


def test_port_that_fails_has_a_marked_light_and_a_line_until_it_works():
    state = WindowState()
    output = {"address": "10.0.0.9:9000", "dialect": "native", "sent": 3, "unsent": 2}
    failing = {**output, "error": "No route to host"}
    for t in (1.0, 5.0, 60.0):
        report_status(state, t, outputs=[{**output, "address": "a:1", "error": None}, failing])
        assert "osc to 10.0.0.9:9000: No route to host" in shown_text(state, t)
        assert port_icons(state, t) == {"osc": "trouble"}
        assert frame_text(state, t).trouble
    report_status(state, 61.0, outputs=[output])
    assert "10.0.0.9" not in shown_text(state, 61.0)
    assert port_icons(state, 61.0) == {"osc": "light"}


def test_problems_of_an_engine_that_is_lost_are_not_shown():
    state = WindowState()
    report_status(state, 1.0, outputs=[{"address": "10.0.0.7:9000", "error": "no route"}])
    assert "no route" in shown_text(state, 1.0)
    assert "no route" not in shown_text(state, 1.0 + LOST_AFTER)


def test_midi_ports_that_are_gone_or_missing_are_named():
    state = WindowState()
    gone = {"wanted": "LinnStrument", "connected": False, "problem": "it was unplugged"}
    mistyped = {"wanted": "Surgge", "connected": False}
    report_status(state, 1.0, midi={"in": [gone], "out": [mistyped], "trouble": None})
    shown = shown_text(state, 1.0)
    assert "midi from LinnStrument: it was unplugged" in shown
    assert "midi to Surgge: not connected" in shown
    assert port_icons(state, 1.0)["midi"] == "trouble"
    both = " · ".join(state.ports.all_problems())
    report_status(state, 20.0, midi={"in": [gone], "out": [mistyped]})
    assert [notice.text for notice in frame_text(state, 20.0).notices] == [both]  # one line


def test_failed_sound_is_named_until_it_plays():
    state = WindowState()
    for t in (1.0, 20.0):
        report_status(state, t, sound={"state": "no sound: no device; the jam goes on without"})
        assert "no sound: no device" in shown_text(state, t)
        assert port_icons(state, t)["sound"] == "trouble"
    report_status(state, 21.0, sound={"state": "playing"})
    assert "no sound" not in shown_text(state, 21.0)
    assert port_icons(state, 21.0)["sound"] == "light"


def test_echo_is_reported_with_its_delay_while_it_goes_on():
    state = WindowState()
    echo = {"source": "192.168.0.7", "delay_ms": 102.4, "dropped": 7}
    report_status(state, 1.0, echo=[echo])
    line = "192.168.0.7 sends back what robojam plays after 102 ms: it is not heard"
    assert line in shown_text(state, 1.0)
    for t in (9.0, 17.0):
        report_status(state, t, echo=[{**echo, "dropped": 8}])
    assert line in shown_text(state, 18.0)
    report_status(state, 20.0, echo=[{**echo, "dropped": 8}])
    assert line not in shown_text(state, 20.0)


HOSTILE = [
    None, 0, "x", [], {}, [None, 7, "x", [], {}], {"in": 3, "out": [1, {}]}, {"in": [{}]},
    [{"address": "\u202egpj\n" * 999, "error": ["\x1b[2J"] * 999}] * 999,
    {"in": [{"wanted": {"a": "\0" * 999}, "problem": "\r\n" * 999, "messages": True}] * 999},
    [{"source": 7, "delay_ms": float("inf"), "dropped": 10**400}] * 999,
    {"state": "\x07" * 999, "trouble": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["outputs", "midi", "sound", "echo", "trouble", "memories"])
def test_hostile_status_is_shown_bounded_and_escaped(name, value):
    state = WindowState()
    for t in (1.0, 20.0):
        report_status(state, t, **{name: value})
        notices = frame_text(state, t).notices
        assert len(notices) <= MAX_NOTICES
        assert all(notice.text.isprintable() for notice in notices)
        assert shown_text(state, t).isprintable()
        assert all(len(line) < 400 for line in state.ports.all_problems())
        assert len(state.ports.all_problems()) <= 3 * MAX_ENTRIES


def test_echoes_of_ever_new_sources_are_bounded():
    state = WindowState()
    for i in range(50):
        echoes = [{"source": f"{i}.{n}", "dropped": 1} for n in range(64)]
        report_status(state, 1.0 + i / 1000, echo=echoes)
    assert len(state.ports.lines(1.1)) <= MAX_ENTRIES


def test_serial_port_has_a_light_and_says_what_is_wrong_with_it():
    state = WindowState()
    port = {"wanted": "/dev/ttyACM0", "connected": True, "problem": None}
    report_status(state, 1.0, serial=[port])
    assert port_icons(state, 1.0) == {"osc": "light", "serial": "light"}
    pulled = {**port, "connected": False, "problem": "it is gone"}
    report_status(state, 2.0, serial=[pulled])
    assert port_icons(state, 2.0)["serial"] == "trouble"
    assert state.ports.all_problems() == ["serial /dev/ttyACM0: it is gone"]
