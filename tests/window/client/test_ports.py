"""Lights and errors of the engine's ports."""

from __future__ import annotations

from support.window import report_status, shown_text

from robojam.window.client.state import WindowState
from robojam.window.view.frame import frame_text


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
        if "LI" in label.icon.name
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


def test_failed_sound_is_named_for_a_while_and_keeps_its_light():
    state = WindowState()
    for t in (1.0, 2.0, 20.0):
        report_status(state, t, sound={"state": "no sound: no device; the jam goes on without"})
        assert ("no sound: no device" in shown_text(state, t)) is (t < 9)
    assert "sound" in port_icons(state, 20.0)
