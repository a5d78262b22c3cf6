"""The open window: pointers, keys and buttons, and the bytes that they send."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pygame
import pytest
from support.window import (
    SIZE,
    centre_of,
    click,
    connected,
    finger_event,
    key_event,
    open_playback,
    press_key,
    press_mouse,
    report,
    surface_pixels,
    turn_wheel,
    write_recording,
)

from robojam.window import Look
from robojam.window.app import RECEIVE_TIME
from robojam.window.client.state import QUIT_AGAIN
from robojam.window.input.fingers import MAX_FINGERS
from robojam.window.input.keys import KEYS
from robojam.window.view.frame import frame_text
from robojam.window.view.theme import THEMES, Metrics
from robojam.wire.osc import Message, decode, encode


def test_mouse_press_drag_and_release_send_down_move_and_up(app):
    down, moved = surface_pixels(app, 0, 0), surface_pixels(app, 1, 1)
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=down))
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=moved, buttons=(1, 0, 0)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=moved))
    assert app.connection.packets == [
        # address, padded to 4; ",iff"; 1000; 0.0; 0.0
        b"/robojam/down\0\0\0,iff\0\0\0\0" + bytes.fromhex("000003e8 00000000 00000000"),
        b"/robojam/move\0\0\0,iff\0\0\0\0" + bytes.fromhex("000003e8 3f800000 3f800000"),
        b"/robojam/up\0,i\0\0" + bytes.fromhex("000003e8"),
    ]


def test_fifty_moves_in_one_frame_are_sent_one_by_one(app):
    press_mouse(app, 0.5, 0.5)
    for i in range(50):
        position = surface_pixels(app, i / 50, 0.2)
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=position))
    app.run_once()
    assert sum(b"/move" in packet for packet in app.connection.packets) == 50


def test_finger_that_lands_beside_the_surface_plays_from_where_it_enters(app):
    connected(app)
    left, top, _, height = Metrics.for_size(SIZE).surface_box
    y = top + height // 2
    for kind, x in ((pygame.FINGERDOWN, left - 6), (pygame.FINGERMOTION, left - 2)):
        app.handle_event(finger_event(kind, x, y))
    assert app.connection.packets == []
    app.handle_event(finger_event(pygame.FINGERMOTION, left + 200, y))
    app.handle_event(finger_event(pygame.FINGERMOTION, left - 50, y))  # it leaves again,
    app.handle_event(finger_event(pygame.FINGERMOTION, left + 100, y))  # and returns
    app.handle_event(finger_event(pygame.FINGERUP, left + 100, y))
    messages = [decode(packet)[0][0] for packet in app.connection.packets]
    names = [message.address.rsplit("/", 1)[1] for message in messages]
    assert names == ["down", "move", "move", "move", "up"]
    assert messages[0].args[1:] == pytest.approx((0.0, 0.5), abs=0.01)
    assert messages[1].args[1] > 0.3
    assert messages[2].args[1] == 0.0  # outside, it follows the edge


def test_mouse_pressed_in_the_frame_plays_where_it_enters_and_only_while_pressed(app):
    left, top, _, height = Metrics.for_size(SIZE).surface_box
    y = top + height // 2

    def mouse(kind: int, x: int, **fields: object) -> None:
        app.handle_event(pygame.event.Event(kind, pos=(x, y), **fields))

    mouse(pygame.MOUSEMOTION, left - 3, buttons=(0, 0, 0))
    mouse(pygame.MOUSEMOTION, left + 9, buttons=(0, 0, 0))
    assert app.connection.packets == []
    mouse(pygame.MOUSEBUTTONDOWN, left - 3, button=1)
    mouse(pygame.MOUSEMOTION, left + 40, buttons=(1, 0, 0))
    assert [b"/down" in p for p in app.connection.packets] == [True, False]


def test_pressure_of_a_finger_is_sent_and_drawn_where_the_screen_measures_force(app):
    state = connected(app)
    for step, force in enumerate((1.0, 0.25, 0.75)):
        kind = pygame.FINGERMOTION if step else pygame.FINGERDOWN
        at = surface_pixels(app, 0.2 + step / 10, 0.5)
        app.handle_event(finger_event(kind, *at, pressure=force))
    app.handle_event(finger_event(pygame.FINGERUP, *at, pressure=0.0))
    sent = [decode(packet)[0][0] for packet in app.connection.packets]
    touches = [m for m in sent if m.address.endswith(("down", "move"))]
    assert [m.args[3:] for m in touches] == [(), (0.25,), (0.75,)]
    (stroke,) = state.strokes
    assert [point.pressure for point in stroke.points] == [0.0, 0.25, 0.75]


def test_finger_that_enters_under_a_panel_plays_beside_it(app):
    connected(app)
    app.state.view.panel = "controls"
    centre_of(app, "pause")
    panel = next(h for h in app.scene.hit_boxes if h.action == "").box
    middle = panel[1] + panel[3] // 2
    app.handle_event(finger_event(pygame.FINGERDOWN, 2, middle))
    app.handle_event(finger_event(pygame.FINGERMOTION, panel[0] + 5, middle))
    assert app.connection.packets == []
    app.handle_event(finger_event(pygame.FINGERMOTION, panel[0] - 5, middle))
    assert b"/down" in app.connection.packets[0]


def test_finger_that_landed_on_a_button_never_plays(app):
    connected(app)
    for action in ("panic", "answer", "slide:temperature"):
        app.handle_event(finger_event(pygame.FINGERDOWN, *centre_of(app, action)))
        app.connection.packets.clear()
        app.handle_event(finger_event(pygame.FINGERMOTION, *surface_pixels(app, 0.5, 0.5)))
        app.handle_event(finger_event(pygame.FINGERUP, *surface_pixels(app, 0.6, 0.5)))
        assert not [p for p in app.connection.packets if b"/down" in p or b"/move" in p]


def test_finger_that_waits_plays_when_another_lifts(app):
    connected(app)
    for i in range(MAX_FINGERS + 1):
        app.handle_event(finger_event(pygame.FINGERDOWN, *surface_pixels(app, 0.1, 0.1), i))
    app.handle_event(finger_event(pygame.FINGERUP, *surface_pixels(app, 0.1, 0.1), 0))
    app.connection.packets.clear()
    at = surface_pixels(app, 0.5, 0.5)
    app.handle_event(finger_event(pygame.FINGERMOTION, *at, MAX_FINGERS))
    (message,), _ = decode(app.connection.packets[0])
    assert message.address == "/robojam/down"
    assert message.args[1:] == pytest.approx((0.5, 0.5), abs=0.01)


def test_finger_whose_lift_was_lost_lands_again(app):
    connected(app)
    app.handle_event(finger_event(pygame.FINGERDOWN, *surface_pixels(app, 0.2, 0.5)))
    app.handle_event(finger_event(pygame.FINGERDOWN, *surface_pixels(app, 0.6, 0.5)))
    app.handle_event(finger_event(pygame.FINGERDOWN, *centre_of(app, "slide:temperature")))
    app.handle_event(finger_event(pygame.FINGERDOWN, *surface_pixels(app, 0.4, 0.5)))
    assert app.state.view.grabbed_dial == ""
    names = [decode(p)[0][0].address.rsplit("/", 1)[1] for p in app.connection.packets]
    assert names == ["down", "up", "down", "up", "down"]
    app.handle_event(finger_event(pygame.FINGERMOTION, *surface_pixels(app, 0.5, 0.5)))
    assert b"/move" in app.connection.packets[-1]


def test_finger_that_sdl_no_longer_reports_is_lifted(app, monkeypatch):
    fingers = {7: [{"id": 1}, {"id": 2}]}
    touch = SimpleNamespace(
        get_num_devices=lambda: len(fingers), get_device=lambda i: [*fingers][i],
        get_num_fingers=lambda device: len(fingers[device]),
        get_finger=lambda device, i: fingers[device][i],
    )  # fmt: skip
    monkeypatch.setattr("robojam.window.input.touch_devices.touch", touch)
    x, y = surface_pixels(app, 0.5, 0.5)
    places = {"x": x / SIZE[0], "y": y / SIZE[1], "pressure": 1.0}
    for device, finger in ((7, 1), (7, 2), (9, 1)):
        event = {"touch_id": device, "finger_id": finger, **places}
        app.handle_event(pygame.event.Event(pygame.FINGERDOWN, event))
    app._release_lost(1.0)
    assert len(app.fingers.held) == 3
    del fingers[7][0]
    app._release_lost(2.0)
    assert set(app.fingers.held) == {(7, 2), (9, 1)}
    del fingers[7]  # the screen is unplugged
    app._release_lost(3.0)
    assert set(app.fingers.held) == {(9, 1)}  # of a device that SDL has never listed


def test_mouse_whose_lift_was_lost_is_lifted_when_it_moves(app):
    press_mouse(app, 0.5, 0.5)
    pos = surface_pixels(app, 0.6, 0.5)
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=pos, buttons=(0, 0, 0)))
    assert not app.fingers.held
    assert app.connection.packets[-1] == encode("/robojam/up", "i", 1000)


@pytest.mark.parametrize("kind", [pygame.WINDOWMINIMIZED, pygame.WINDOWHIDDEN])
def test_window_that_is_hidden_lifts_the_fingers(app, kind):
    press_mouse(app, 0.5, 0.5)
    app.handle_event(pygame.event.Event(kind))
    assert not app.fingers.held


@pytest.mark.parametrize("panel", ["", "controls"])
def test_wheel_turns_the_dial_under_the_mouse(app, panel):
    connected(app)
    app.state.view.panel = panel
    at = centre_of(app, "slide:temperature")

    def value(packets: list[bytes]) -> float:
        (message,), _ = decode(packets[-1])
        assert message.address == "/robojam/temperature"
        return float(message.args[0])

    assert value(turn_wheel(app, at, 1)) == pytest.approx(1.1, abs=0.01)
    assert value(turn_wheel(app, at, 1)) == pytest.approx(1.2, abs=0.01)
    assert value(turn_wheel(app, at, -3)) == pytest.approx(0.9, abs=0.01)
    assert value(turn_wheel(app, at, -1, flipped=True)) == pytest.approx(1.0, abs=0.01)
    assert app.state.notice.startswith("temperature: ")


def test_flood_of_packets_leaves_time_for_fingers(app, monkeypatch):
    state, clock = connected(app), [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    packets = list(range(100))

    def receive():
        while packets:
            packets.pop(0)
            clock[0] += RECEIVE_TIME / 8.5  # nine of them are longer
            yield clock[0], [Message("/robojam/temperature", "f", (0.5,))]

    app.connection.receive = receive
    app._receive()
    assert state.controls["temperature"] == 0.5
    assert len(packets) == 91
    app._receive()
    assert len(packets) == 82


@pytest.mark.parametrize("notches", [float("nan"), float("inf"), -float("inf")])
def test_wheel_that_turns_no_number_of_notches_does_nothing(app, notches):
    connected(app)
    at = centre_of(app, "slide:temperature")
    event = {"x": 0, "y": 1, "precise_x": 0.0, "precise_y": notches, "flipped": False}
    app._mouse = at
    app.handle_event(pygame.event.Event(pygame.MOUSEWHEEL, **event))
    assert app.connection.packets == []


def test_wheel_turns_finely_with_shift_and_by_parts_of_a_notch(app):
    connected(app)
    at = centre_of(app, "slide:timescale")
    for _ in range(12):  # ×1 is not left at once: values near 1 are 1
        turn_wheel(app, at, 0.1)
    (message,), _ = decode(app.connection.packets[-1])
    assert message.args[0] == pytest.approx(1.2, abs=0.05)
    pygame.key.set_mods(pygame.KMOD_LSHIFT)
    at = centre_of(app, "slide:spread")
    (message,), _ = decode(turn_wheel(app, at, 1)[-1])
    pygame.key.set_mods(0)
    assert message.args[0] == pytest.approx(1.02, abs=0.005)


def test_wheel_beside_a_dial_or_on_an_unknown_one_does_nothing(app):
    connected(app)
    state = app.state
    for at in (surface_pixels(app, 0.5, 0.5), centre_of(app, "answer"), (1, 1)):
        assert turn_wheel(app, at, 3) == []
    state.view.panel = "controls"
    at = centre_of(app, "slide:temperature")
    del state.controls["temperature"]
    assert turn_wheel(app, at, 3) == []
    assert not app.fingers.held


def test_memory_that_was_stored_over_can_be_taken_back_by_key_and_by_touch(app):
    connected(app)
    assert press_key(app, pygame.K_u) == []
    report(app.state, time.monotonic(), "/robojam/store", "s", "A")
    expected = [encode("/robojam/undo_store", "s", "A")]
    assert press_key(app, pygame.K_u) == expected
    assert click(app, "undo_store") == expected
    click(app, "controls")
    assert click(app, "undo_store") == expected
    report(app.state, time.monotonic(), "/robojam/undo_store", "s", "A")
    assert press_key(app, pygame.K_u) == []


@pytest.mark.parametrize("theme", THEMES)
def test_every_key_has_a_place_on_the_screen(app, theme):
    connected(app).stored = "A"
    state = app.state
    state.stored_at = time.monotonic()
    state.memories = ("A", "B")
    state.controls.update(dwell=1.0, volume=0.5)
    state.view.theme = theme
    shown: set[str] = set()
    for panel in ("", "help", "controls"):
        state.view.panel = panel
        app._needs_redraw, app._drawn_at = True, float("-inf")
        app._update(time.monotonic())
        shown |= {box.action for box in app.scene.hit_boxes}
    wanted = {
        f"slide:{action.split(':')[1]}" if action.startswith("step:") else action
        for action in KEYS
    }
    assert wanted - shown == {"escape"}  # the button is `close`
    assert "close" in shown


def test_other_buttons_moves_without_a_press_and_the_frame_play_nothing(app):
    press_mouse(app, 0.5, 0.5, button=3)
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=surface_pixels(app, 0.6, 0.5)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(5, 2)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=(5, 2)))
    assert app.connection.packets == []


@pytest.mark.skipif("sys.platform == 'darwin'", reason="there, fingers are the track pad's")
def test_two_fingers_land_at_their_positions_with_their_own_ids(app):
    x, y = surface_pixels(app, 0.25, 0.75)
    for finger in (7, 9):
        app.handle_event(finger_event(pygame.FINGERDOWN, x, y, finger))
    app.handle_event(finger_event(pygame.FINGERUP, x, y, 7))
    heads = [packet[:16].rstrip(b"\0,i") for packet in app.connection.packets]
    assert heads == [b"/robojam/down", b"/robojam/down", b"/robojam/up"]
    assert [s.id for s in app.state.strokes] == [1001, 1002]
    assert app.state.strokes.visible[0].last.x == pytest.approx(0.25, abs=0.002)


def test_window_that_loses_the_focus_lifts_the_fingers(app):
    press_mouse(app, 0.5, 0.5)
    app.handle_event(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert app.connection.packets[-1] == encode("/robojam/up", "i", 1000)
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=surface_pixels(app, 0.6, 0.5)))
    assert len(app.connection.packets) == 2


def test_window_that_closes_lifts_the_fingers(app):
    press_mouse(app, 0.5, 0.5)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    app.run()
    assert app.connection.packets[-1] == encode("/robojam/up", "i", 1000)


@pytest.mark.parametrize(
    ("key", "mod", "packet"),
    [
        (pygame.K_SPACE, 0, encode("/robojam/answer")),
        (pygame.K_RETURN, 0, encode("/robojam/answer")),
        (pygame.K_1, 0, encode("/robojam/mode", "s", "call-response")),
        (pygame.K_2, 0, encode("/robojam/mode", "s", "duet")),
        (pygame.K_3, 0, encode("/robojam/mode", "s", "solo")),
        (pygame.K_KP_4, 0, encode("/robojam/mode", "s", "listen")),
        (pygame.K_BACKSPACE, 0, encode("/robojam/reset")),
        (pygame.K_z, 0, encode("/robojam/back", "f", 10.0)),
        (pygame.K_a, pygame.KMOD_SHIFT, encode("/robojam/store", "s", "A")),
        (pygame.K_b, 0, encode("/robojam/recall", "s", "B")),
        (pygame.K_0, 0, encode("/robojam/panic")),
        (pygame.K_p, 0, encode("/robojam/pause", "i", 1)),
        (pygame.K_r, 0, encode("/robojam/record", "i", 1)),
        (pygame.K_UP, 0, encode("/robojam/temperature", "f", 1.1)),
        (pygame.K_DOWN, 0, encode("/robojam/temperature", "f", 0.9)),
        (pygame.K_RIGHT, 0, encode("/robojam/spread", "f", 0.6)),
        (pygame.K_LEFT, 0, encode("/robojam/spread", "f", 0.4)),
        (pygame.K_EQUALS, 0, encode("/robojam/timescale", "f", 1.1)),
        (pygame.K_MINUS, 0, encode("/robojam/timescale", "f", 0.9091)),
        (pygame.K_x, pygame.KMOD_SHIFT, encode("/robojam/follow", "f", 0.05)),
        (pygame.K_x, 0, encode("/robojam/follow", "f", -0.05)),
        (pygame.K_e, pygame.KMOD_SHIFT, encode("/robojam/memory", "f", 0.55)),
        (pygame.K_e, 0, encode("/robojam/memory", "f", 0.45)),
        (pygame.K_QUOTE, 0, encode("/robojam/dwell", "f", 1.25)),
        (pygame.K_g, 0, encode("/robojam/range", "s", "48-72")),
    ],
)
def test_key_sends_its_message(app, key, mod, packet):
    app.state.controls.update(temperature=1.0, spread=0.5, timescale=1.0, dwell=1.0)
    app.state.controls.update(follow=0.0, memory=0.5)
    app.state.texts["range"], app.state.memories = "36-84,human2=35-51", ("A", "B")
    assert press_key(app, key, mod=mod) == [packet]


def test_memory_in_which_nothing_was_stored_is_not_recalled_and_the_window_says_how(app):
    connected(app).memories = ()
    assert press_key(app, pygame.K_a) == []
    assert app.state.notice.endswith("press shift a or touch 'store A' to do so")
    assert frame_text(app.state, time.monotonic()).asked  # in a theme without text, too


def test_delete_key_in_the_list_of_recordings_resets_nothing(app):
    connected(app).view.panel = "sessions"
    assert press_key(app, pygame.K_DELETE) == []


def test_toggle_key_reverses_the_reported_value(app):
    app.state.controls["pause"] = 1.0
    app.state.recording = "sessions/x.jsonl"
    assert press_key(app, pygame.K_p, "p") == [encode("/robojam/pause", "i", 0)]
    assert press_key(app, pygame.K_r, "r") == [encode("/robojam/record", "i", 0)]


def test_control_is_shown_unchanged_until_the_engine_reports_it(app):
    app.state.controls["temperature"] = 1.0
    press_key(app, pygame.K_UP)
    assert app.state.controls["temperature"] == 1.0


def test_keys_for_the_window_alone_send_nothing(app):
    assert press_key(app, pygame.K_h, "h") == []
    assert app.state.view.panel == "help"
    press_key(app, pygame.K_F1)
    assert app.state.view.panel == ""
    press_key(app, pygame.K_f, "f")
    assert not app.state.view.show_forecast


def test_held_key_repeats_steps_but_not_toggles(app):
    app.state.controls["temperature"] = 1.0
    for key, letter in ((pygame.K_UP, ""), (pygame.K_p, "p")):
        for _ in range(3):
            app.handle_event(key_event(key, letter))
    assert len(app.connection.packets) == 3 + 1


def test_escape_closes_what_is_open_then_leaves_full_screen_then_does_nothing(app):
    connected(app)
    press_key(app, pygame.K_F11)
    app.state.view.panel = "controls"
    assert press_key(app, pygame.K_ESCAPE) == []
    assert app.state.view.panel == ""
    assert app.full_screen.is_on
    assert press_key(app, pygame.K_ESCAPE) == []
    assert not app.full_screen.is_on
    assert press_key(app, pygame.K_ESCAPE) == []
    assert app.is_open
    app.run_once()


def test_panic_in_full_screen_is_panic_and_nothing_else(app):
    connected(app)
    press_key(app, pygame.K_F11)
    app.state.view.panel = "controls"
    assert click(app, "panic") == [encode("/robojam/panic")]
    assert press_key(app, pygame.K_0) == [encode("/robojam/panic")]
    assert app.full_screen.is_on
    assert app.state.view.panel == "controls"


def test_window_has_its_size_again_after_full_screen(app):
    for _ in range(2):
        press_key(app, pygame.K_F11)
        assert app.screen.get_size() == pygame.display.get_desktop_sizes()[0]
        press_key(app, pygame.K_F11)
        app.run_once()
        assert app.screen.get_size() == SIZE


def test_key_q_ends_the_jam_when_pressed_twice_and_the_window_says_so(app, monkeypatch):
    connected(app)
    now = 1000.0
    monkeypatch.setattr("robojam.window.app.time.monotonic", lambda: now)
    press_key(app, pygame.K_q)
    assert app.is_open
    assert app.state.notice == "press q or touch 'quit' again to end the jam"
    now += QUIT_AGAIN + 0.01
    press_key(app, pygame.K_q)
    assert app.is_open  # the first was too long ago
    press_key(app, pygame.K_f)
    press_key(app, pygame.K_q)
    assert app.is_open  # something else came between
    now += QUIT_AGAIN - 0.01
    press_key(app, pygame.K_q)
    assert not app.is_open


def test_held_q_does_not_end_the_jam(app):
    for _ in range(5):
        app.handle_event(key_event(pygame.K_q))
    assert app.is_open


def test_quit_of_a_window_that_only_watches_says_what_it_closes(app):
    app.state.ends = ""
    click(app, "controls")
    click(app, "quit")
    assert app.state.notice == "press q or touch 'quit' again to close this window"
    click(app, "quit")
    assert not app.is_open


def test_ctrl_q_closes_at_once(app):
    press_key(app, pygame.K_q, mod=pygame.KMOD_LCTRL)
    assert not app.is_open


@pytest.mark.parametrize(
    ("action", "packet"),
    [
        ("answer", encode("/robojam/answer")),
        ("panic", encode("/robojam/panic")),
        ("record", encode("/robojam/record", "i", 1)),
        ("back:10", encode("/robojam/back", "f", 10.0)),
        ("recall:A", encode("/robojam/recall", "s", "A")),
        ("mode:duet", encode("/robojam/mode", "s", "duet")),
    ],
)
def test_button_in_the_frame_sends_its_message(app, action, packet):
    connected(app)
    assert click(app, action) == [packet]
    assert not app.fingers.held


@pytest.mark.parametrize(
    "action", ["back:30", "store:B", "pause", "reset", "forecast", "theme", "turn", "typing"]
)
def test_button_in_the_controls_panel_sends_a_message_or_changes_the_view(app, action):
    state = connected(app)
    click(app, "controls")
    before = replace(state.view)
    packets = click(app, action)
    assert bool(packets) != (before != state.view)


def test_window_of_a_replay_offers_only_what_a_replay_takes(app):
    state = connected(app)
    state.replaying = True
    centre_of(app, "controls")
    always = {"panic", "sessions", "controls", "help"}
    assert {h.action for h in app.scene.hit_boxes} == always
    modes = [label.runs[0].text for label in frame_text(state, time.monotonic()).bottom[0]]
    assert modes == ["call-response"]
    click(app, "controls")
    centre_of(app, "pause")
    offered = {h.action for h in app.scene.hit_boxes} - always - {""}
    assert offered == {
        "slide:volume", "pause", "forecast", "theme", "turn", "typing", "fullscreen", "quit",
        "close", "map",
    }  # fmt: skip
    for action in ("answer", "mode:solo", "back:5", "recall:A", "step:temperature:1", "record"):
        app.actions.perform(action, 1.0)
    assert app.connection.packets == []
    assert state.notice.startswith("while a recording plays")
    app.actions.perform("pause", 1.0)
    assert app.connection.packets == [encode("/robojam/pause", "i", 1)]


def test_finger_that_slides_off_a_button_sends_nothing(app):
    connected(app)
    x, y = centre_of(app, "answer")
    app.handle_event(finger_event(pygame.FINGERDOWN, x, y))
    app.handle_event(finger_event(pygame.FINGERUP, *surface_pixels(app, 0.5, 0.5)))
    assert app.connection.packets == []


def test_dial_in_the_frame_turns_from_its_value(app):
    connected(app)
    x, y = centre_of(app, "slide:temperature")
    app.handle_event(finger_event(pygame.FINGERDOWN, x, y))
    app.handle_event(finger_event(pygame.FINGERMOTION, x + 40, y))
    assert app.state.view.grabbed_dial == "temperature"
    app.handle_event(finger_event(pygame.FINGERUP, x + 40, y))
    assert app.state.view.grabbed_dial == ""
    (packet,) = app.connection.packets
    (message,), _ = decode(packet)
    assert message.address == "/robojam/temperature"
    assert 1.0 < message.args[0] < 2.0
    assert app.state.controls["temperature"] == 1.0  # until the engine reports it


def test_dial_in_the_panel_takes_the_value_at_the_finger(app):
    connected(app).controls["spread"] = 0.3
    app.state.view.panel = "controls"
    x, y = centre_of(app, "slide:spread")
    app.handle_event(finger_event(pygame.FINGERDOWN, x, y))
    app.handle_event(finger_event(pygame.FINGERUP, x, y))
    (message,), _ = decode(app.connection.packets[-1])
    assert message.args[0] == pytest.approx(1.0, abs=0.02)


def test_surface_plays_beside_an_open_panel_and_not_under_it(app):
    connected(app)
    app.state.view.panel = "controls"
    centre_of(app, "pause")
    panel = next(h for h in app.scene.hit_boxes if h.action == "")
    x, y = panel.box[0] + 2, panel.box[1] + 2
    app.handle_event(finger_event(pygame.FINGERDOWN, x, y))
    app.handle_event(finger_event(pygame.FINGERUP, x, y))
    assert app.connection.packets == []
    app.handle_event(finger_event(pygame.FINGERDOWN, panel.box[0] - 20, 200))
    assert b"/robojam/down" in app.connection.packets[-1]


def test_window_of_a_hundred_pixels_is_all_surface(app):
    app.screen = pygame.display.set_mode((100, 80))
    connected(app)
    app._update(time.monotonic())
    assert app.scene.hit_boxes == []
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(50, 40)))
    (message,), _ = decode(app.connection.packets[-1])
    assert message.args[1:] == pytest.approx((0.5, 0.5), abs=0.02)


def test_of_fifty_fingers_ten_play_and_a_notice_is_shown(app):
    connected(app)
    for i in range(50):
        position = surface_pixels(app, (i % 10) / 10, (i // 10) / 5)
        app.handle_event(finger_event(pygame.FINGERDOWN, *position, i))
    assert len(app.fingers.held) == MAX_FINGERS == 10
    assert "10 fingers play at once" in app.state.notice
    assert len(app.connection.packets) == 10
    for i in range(50):
        app.handle_event(finger_event(pygame.FINGERUP, *surface_pixels(app, 0.5, 0.5), i))
    downs = sum(b"/down" in p for p in app.connection.packets)
    ups = sum(b"/up" in p for p in app.connection.packets)
    assert downs == ups == 10


def test_finger_that_is_reported_as_a_mouse_too_plays_once(app):
    connected(app)
    pos = surface_pixels(app, 0.5, 0.5)
    app.handle_event(finger_event(pygame.FINGERDOWN, *pos))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=pos, touch=True))
    assert len(app.connection.packets) == 1


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_rotated_window_plays_at_the_place_that_is_touched(app, quarter_turns):
    app.state.view.quarter_turns, app.state.view.theme = quarter_turns, "stage"
    app.handle_event(finger_event(pygame.FINGERDOWN, 639, 0))  # the right upper corner
    (message,), _ = decode(app.connection.packets[-1])
    assert message.args[1:] == {1: (0.0, 0.0), 2: (0.0, 1.0), 3: (1.0, 1.0)}[quarter_turns]


def test_letter_keys_play_only_after_tab(app):
    connected(app)
    assert press_key(app, pygame.K_p) == [encode("/robojam/pause", "i", 1)]
    press_key(app, pygame.K_TAB)
    assert [decode(p)[0][0].address for p in press_key(app, pygame.K_p)] == [
        "/robojam/down", "/robojam/up"]  # fmt: skip


def test_pause_key_ends_a_panic_in_solo_mode(app):
    state = connected(app)
    state.texts["mode"], state.silenced = "solo", True
    assert press_key(app, pygame.K_p, "p") == [encode("/robojam/pause", "i", 0)]


@pytest.fixture
def recording(app, tmp_path):
    """A window with a recording open, which has no name."""
    connected(app)
    write_recording(tmp_path)
    app.recordings.folder = tmp_path
    app.recordings.read()
    app.actions.perform("open:2026-11-20T10-00-00.jsonl", 0.0)
    return app


def test_keys_type_while_a_recording_is_named_but_not_the_one_that_began_it(recording):
    view = recording.state.view
    assert press_key(recording, pygame.K_n, "n") == []
    assert view.typed_name == ""
    assert press_key(recording, pygame.K_p, "p") == []
    assert view.typed_name == "p"
    assert press_key(recording, pygame.K_ESCAPE) == []
    assert (view.typed_name, view.panel) == (None, "player")


def test_text_is_composed_by_an_input_method_and_pasted(recording, monkeypatch):
    view = recording.state.view
    press_key(recording, pygame.K_n, "n")
    recording.handle_event(pygame.event.Event(pygame.TEXTINPUT, text="即興"))
    monkeypatch.setattr(pygame.scrap, "get_text", lambda: " mit Anna\n\x1b")
    press_key(recording, pygame.K_v, mod=pygame.KMOD_CTRL)
    assert view.typed_name == "即興 mit Anna"

    def no_clipboard():
        raise pygame.error("no clipboard")

    monkeypatch.setattr(pygame.scrap, "get_text", no_clipboard)
    press_key(recording, pygame.K_v, mod=pygame.KMOD_CTRL)
    click(recording, "keep")
    assert (view.typed_name, recording.actions.playback.name) == (None, "即興 mit Anna")
    press_key(recording, pygame.K_n, "n")
    click(recording, "cancel")
    assert (view.typed_name, view.panel) == (None, "player")


@pytest.mark.parametrize("place", [float("nan"), float("inf"), -1e30, 1e300])
def test_finger_that_is_nowhere_does_nothing(app, place):
    connected(app)
    for kind in (pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERMOTION, pygame.FINGERUP):
        for x, y in ((place, 0.5), (0.5, place)):
            event = {"touch_id": 1, "finger_id": 1, "x": x, "y": y}
            app.handle_event(pygame.event.Event(kind, **event))
    assert app.connection.packets == []
    app.handle_event(finger_event(pygame.FINGERDOWN, *surface_pixels(app, 0.5, 0.5)))
    assert len(app.connection.packets) == 1


def test_press_in_a_panel_that_is_closed_before_the_lift_does_nothing(app):
    state = connected(app)
    state.view.panel = "controls"
    for action in ("reset", "slide:temperature"):
        at = tuple(map(round, centre_of(app, action)))
        app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at))
        press_key(app, pygame.K_ESCAPE)
        app._drawn_at = float("-inf")
        app._update(time.monotonic())
        before = len(app.connection.packets)
        if action == "slide:temperature":  # the frame may have the dial, too
            app.scene.hit_boxes[:] = [b for b in app.scene.hit_boxes if b.action != action]
            moved = pygame.event.Event(
                pygame.MOUSEMOTION, pos=(at[0] + 40, at[1]), buttons=(1, 0, 0)
            )
            app.handle_event(moved)
        app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=at))
        assert app.connection.packets[before:] == []
        state.view.panel = "controls"


def test_wheel_leaves_a_dial_that_a_finger_holds(app):
    connected(app)
    at = centre_of(app, "slide:temperature")
    pressed = pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=tuple(map(round, at)))
    app.handle_event(pressed)
    event = pygame.event.Event(
        pygame.MOUSEWHEEL, x=0, y=1, precise_x=0.0, precise_y=1.0, flipped=False
    )
    app._mouse = at
    app.handle_event(event)
    assert app.connection.packets == []


def test_player_panel_plays_scrubs_loops_and_closes(app, tmp_path):
    connected(app)
    write_recording(tmp_path)
    app.recordings.folder = tmp_path
    app.recordings.read()
    app.state.view.panel = "sessions"
    click(app, "open:2026-11-20T10-00-00.jsonl")
    assert app.actions.playback.playing
    click(app, "play")
    assert not app.actions.playback.playing
    click(app, "scrub")
    assert app.actions.playback.at == pytest.approx(5.0, abs=0.1)
    click(app, "loop")
    click(app, "speed")
    assert (app.actions.playback.loop, app.actions.playback.speed) == (True, 2.0)
    click(app, "close")
    assert app.actions.playback is None
    assert app.state.view.panel == ""


def test_quick_presses_step_through_instruments_and_scales(app):
    connected(app)
    sound = app.state
    sound.texts.update(instrument="human=strings,ai=keys,ai2=drums", scale="free")
    click(app, "controls")
    sent = [click(app, "instrument:human"), click(app, "instrument:human")]
    sent += [click(app, "instrument:ai"), click(app, "scale"), click(app, "scale")]
    assert [packet for packets in sent for packet in packets] == [
        encode("/robojam/instrument", "s", "chirp"),
        encode("/robojam/instrument", "s", "drums"),
        encode("/robojam/instrument", "s", "ai=strings"),
        encode("/robojam/scale", "s", "chromatic"),
        encode("/robojam/scale", "s", "major"),
    ]


def test_your_instrument_is_that_of_the_player_at_this_window(app):
    state = connected(app)
    state.own_touches.who = "human2"
    state.texts["instrument"] = "human=strings,human2=drums,ai=keys"
    state.view.panel = "controls"
    assert click(app, "instrument:human") == [encode("/robojam/instrument", "s", "keys")]
    assert click(app, "instrument:human") == [encode("/robojam/instrument", "s", "strings")]


def test_instrument_and_scale_that_are_not_reported_are_not_changed(app):
    connected(app)
    click(app, "controls")
    assert click(app, "instrument:human") == click(app, "scale") == []


def test_volume_is_a_dial_only_when_the_engine_has_sound(app):
    state = connected(app)
    state.controls["volume"] = 0.7

    def shown() -> set[str]:
        rows = frame_text(state, time.monotonic()).bottom
        return {label.action for row in rows for label in row}

    assert "slide:volume" not in shown()
    state.ports.update({"sound": {"state": "playing"}}, 0.0)
    assert "slide:volume" in shown()
    app.actions.perform("step:volume:1", time.monotonic())
    assert app.connection.packets[-1] == encode("/robojam/volume", "f", 0.75)
    app.actions.perform("step:volume:1", time.monotonic())
    assert app.connection.packets[-1] == encode("/robojam/volume", "f", 0.8)


def test_open_recording_is_sent_to_be_heard_until_panic_holds_it(app, tmp_path):
    connected(app)
    app.actions.playback = open_playback(tmp_path)
    app.state.view.panel = "player"
    app.actions.perform("play", time.monotonic())
    app._update(time.monotonic())
    assert encode("/robojam/audition", "i", 1) in app.connection.packets
    app.actions.perform("panic", time.monotonic())
    app._update(time.monotonic())
    assert not app.actions.playback.playing
    assert app.connection.packets[-1] == encode("/robojam/audition", "i", 0)


def test_look_is_reported_when_it_has_changed_and_keeps_the_size_before_full_screen(
    app, monkeypatch
):
    looks: list[Look] = []
    app.on_look = looks.append
    times = iter(range(100))

    def turn_of_the_loop() -> None:
        app._release_lost(float(next(times)))

    turn_of_the_loop()
    turn_of_the_loop()
    (look,) = looks
    assert look.size == app.screen.get_size()
    app.actions.perform("theme", time.monotonic())
    app.actions.perform("turn", time.monotonic())
    turn_of_the_loop()
    assert (looks[-1].theme, looks[-1].turn) == (app.state.view.theme, 90)
    monkeypatch.setattr(pygame.display, "is_fullscreen", lambda: True)
    monkeypatch.setattr("robojam.window.view.display._window", None)  # is not asked
    turn_of_the_loop()
    assert looks[-1] == replace(looks[0], fullscreen=True, theme=looks[1].theme, turn=90)


def test_message_that_fails_is_dropped_and_the_next_is_shown(app, monkeypatch, capsys):
    handle = app.state.handle_message

    def fail(message: Message, *rest: object) -> None:
        if message.address == "/robojam/turn":
            raise OverflowError("int too large\x1b[2J")
        handle(message, *rest)

    monkeypatch.setattr(type(app.state), "handle_message", lambda _, *args: fail(*args))
    bad, good = Message("/robojam/turn", "s", ("ai",)), Message("/robojam/mode", "s", ("duet",))
    monkeypatch.setattr(app.connection, "receive", lambda: [(1.0, [bad, bad, good])])
    app._receive()
    assert app.state.mode == "duet"
    assert app.dropped_messages == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("robojam: the window drops '/robojam/turn': OverflowError: int")
    assert "\x1b" not in line


def test_finger_on_a_fader_moves_that_knob(app):
    state = connected(app)
    state.faders.use(4)
    press_mouse(app, 0.6, 0.25)
    position = surface_pixels(app, 0.95, 0.5)
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, buttons=(1, 0, 0), pos=position))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=position))
    sent = [decode(packet)[0][0] for packet in app.connection.packets]
    assert [m.address for m in sent] == ["/robojam/knob"] * 2
    assert [m.args[0] for m in sent] == [3, 3]
    assert [m.args[1] for m in sent] == pytest.approx([0.75, 0.5], abs=0.01)
    assert not state.strokes.visible
