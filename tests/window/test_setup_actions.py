"""The setup panel of the window: cells that are pressed, and messages to the engine."""

import json
import time

import pygame
import pytest
from support.window import UTC_NOW, centre_of, connected, report_status

from robojam.window.client.state import LOST_AFTER
from robojam.window.view.setup_panel import panel_of
from robojam.wire.osc import Message, decode, encode

REPORT = {
    "chosen": {"midi-in": [], "midi-out": ["Surge XT"], "osc-out": ["127.0.0.1:5006"],
               "sound": False, "sound-out": None, "voices": 2, "model": "touch.safetensors"},
    "available": {"midi-out": [f"synth {n}" for n in range(9)], "sound-out": ["Speakers"],
                  "model": ["touch.safetensors", "other.safetensors"]},
    "styles": ["mpe", "keys"],
}  # fmt: skip


@pytest.fixture
def window(app):
    """A window whose setup panel is open and answered."""
    connected(app)
    app._perform("setup")
    answer(app)
    return app


def answer(
    app, *, available: dict[str, object] | None = None, left_out: int = 0, **chosen: object
) -> None:
    report = {**REPORT, "chosen": {**REPORT["chosen"], **chosen}, "left_out": left_out}
    report["available"] = REPORT["available"] if available is None else available
    message = Message("/robojam/setup", "s", (json.dumps(report),))
    app.state.handle_message(message, time.monotonic() + 100, UTC_NOW)


def press(app, text: str) -> list[tuple]:
    """Press the cell of the panel with this text; return name and value of what is set."""
    panel = panel_of(app.state, app.actions.setup.page)
    (cell,) = [c for row in panel.rows for c in row if c.text == text and c.action]
    before = len(app.connection.packets)
    app._perform(cell.action)
    sent = [decode(packet)[0][0] for packet in app.connection.packets[before:]]
    return [
        (m.args[0], json.loads(m.args[1])) if m.tags == "ss" else (m.address, *m.args)
        for m in sent
        if m.args
    ]


def test_open_panel_asks_the_engine_again_and_again(app):
    connected(app)
    setup = app.actions.setup
    assert setup.advance(0.0) == float("inf")
    app._perform("setup")
    asked = app.connection.packets.count(encode("/robojam/setup"))
    again = setup.advance(time.monotonic())
    setup.advance(again)
    assert (asked, app.connection.packets.count(encode("/robojam/setup"))) == (1, 2)


def test_window_on_another_machine_does_not_ask_and_says_where_devices_are_chosen(app):
    connected(app).remote = True
    app._perform("setup")
    assert app.actions.setup.advance(time.monotonic() + 100) == float("inf")
    assert encode("/robojam/setup") not in app.connection.packets
    assert "own machine" in panel_of(app.state, 0).rows[0][0].text


def test_port_is_chosen_left_and_given_another_style(window):
    press(window, "MIDI instruments that the machine plays")
    assert press(window, "synth 1") == [("midi-out", ["Surge XT", "synth 1"])]
    answer(window, **{"midi-out": ["Surge XT", "synth 1"]})
    assert press(window, "style") == [("midi-out", ["Surge XT", "synth 1/keys"])]
    assert press(window, "synth 1") == [("midi-out", ["Surge XT"])]


def test_long_list_has_pages_and_what_is_not_there_can_be_left(window):
    press(window, "MIDI instruments that the machine plays")
    press(window, "after")
    assert press(window, "Surge XT") == [("midi-out", [])]
    press(window, "before")
    assert press(window, "synth 0")


def test_sound_is_switched_on_with_a_device_and_off(window):
    press(window, "sound")
    assert press(window, "Speakers") == [("sound-out", "Speakers"), ("sound", True)]
    answer(window, **{"sound": True, "sound-out": "Speakers"})
    assert press(window, "the system's choice") == [("sound-out", None)]
    assert press(window, "off") == [("sound", False)]


def test_sound_device_that_is_gone_is_listed_and_one_is_found_by_a_part_of_its_name(window):
    answer(window, **{"sound": True, "sound-out": "Headset"})
    press(window, "sound")
    (row,) = [row for row in panel_of(window.state, 0).rows if row[0].text == "Headset"]
    assert (row[0].value_text, row[0].selected) == ("not there", True)
    answer(window, **{"sound": True, "sound-out": "speak"})
    chosen = [row[0].text for row in panel_of(window.state, 0).rows if row[0].selected]
    assert chosen == ["Speakers"]


def test_model_and_voices_are_chosen(window):
    assert press(window, "more") == [("voices", 3)]
    assert press(window, "fewer") == [("voices", 1)]
    press(window, "model")
    assert press(window, "other") == [("/robojam/model", "other.safetensors")]


def test_typed_address_is_checked_and_added_to_the_outputs(window):
    press(window, "OSC programs that the machine plays")
    press(window, "another address")
    for character in "10.0.0.7":
        window.actions.edit_name(character, 0.0)
    window.actions.edit_name("", 0.0, confirm=True)
    assert "HOST:PORT" in window.state.notice
    for character in ":9000/tuio":
        window.actions.edit_name(character, 0.0)
    before = len(window.connection.packets)
    window.actions.edit_name("", 0.0, confirm=True)
    (message,) = [decode(packet)[0][0] for packet in window.connection.packets[before:]]
    assert message.args[0] == "osc-out"
    assert json.loads(message.args[1]) == ["127.0.0.1:5006", "10.0.0.7:9000/tuio"]
    assert window.state.view.typed_name is None


def test_choice_is_of_the_name_that_was_pressed_whatever_the_list_is_meanwhile(window):
    window._perform("setup-open:midi-out")
    before = len(window.connection.packets)
    for action in ("choose:midi-out:gone", "style:midi-out:gone"):
        window._perform(action)
    assert window.connection.packets[before:] == []
    pressed = "choose:midi-out:synth 3"
    at = tuple(map(round, centre_of(window, pressed)))
    window.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at))
    answer(window, available={**REPORT["available"], "midi-out": ["synth 3", "synth 0"]})
    centre_of(window, pressed)  # it is at another place by now
    window.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=at))
    sent = [decode(packet)[0][0] for packet in window.connection.packets[before:]]
    (message,) = [message for message in sent if message.tags == "ss"]
    assert json.loads(message.args[1]) == ["Surge XT", "synth 3"]


def test_list_that_became_shorter_shows_its_last_page(window):
    press(window, "MIDI instruments that the machine plays")
    press(window, "after")
    answer(window, available={"midi-out": ["synth 0"]})
    assert press(window, "synth 0")


def test_names_that_the_engine_left_out_are_counted(window):
    press(window, "model")
    answer(window, left_out=3)
    panel = panel_of(window.state, window.actions.setup.page)
    assert any(cell.text.startswith("3 more") for row in panel.rows for cell in row)


def test_setup_of_an_engine_that_is_lost_or_replaced_is_asked_again(window):
    state = window.state
    report_status(state, 100.0, started="2026-11-20T10:00:00")
    answer(window)
    report_status(state, 101.0, started="2026-11-20T10:00:00")
    assert state.setup is not None
    report_status(state, 102.0, started="2026-11-20T10:00:09")
    assert state.setup is None
    answer(window)
    state.advance(time.monotonic() + 100 + LOST_AFTER + 1)
    assert state.setup is None
    assert press(window, "close") == []
    assert state.view.panel == ""


def test_replay_offers_no_setup(app):
    connected(app).replaying = True
    app._perform("setup")
    assert app.state.view.panel == ""
