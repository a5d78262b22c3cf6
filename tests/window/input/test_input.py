"""Hands and keys to OSC: what is pressed, and the very bytes that go out."""

from __future__ import annotations

import os

os.environ["SDL_VIDEODRIVER"] = "dummy"

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.window import at, idle, press

from robojam.touch import Phase
from robojam.window.input.fingers import MOUSE, FingerInput
from robojam.window.input.keys import HELP, action_for_key
from robojam.wire.osc import encode

# Fingers


def test_fingers_take_the_lowest_free_id():
    fingers = FingerInput()
    assert fingers.down(MOUSE, 0.5, 0.5)[0].id == 1000
    assert [fingers.down(n, 0.1, 0.1)[0].id for n in range(3)] == [1001, 1002, 1003]
    fingers.up(1)
    assert fingers.down("new", 0.1, 0.1)[0].id == 1002


def test_ten_fingers_and_no_more():
    fingers = FingerInput()
    for n in range(10):
        assert fingers.down(n, 0.1, 0.1)
    assert fingers.down(10, 0.1, 0.1) == []
    assert fingers.move(10, 0.2, 0.2) == []
    assert len(fingers.lift_all()) == 10


def test_a_pointer_beyond_the_surface_slides_along_its_edge():
    fingers = FingerInput()
    fingers.down(MOUSE, 0.5, 0.5)
    assert fingers.move(MOUSE, 1.7, -3)[0][2:] == (1.0, 0.0)
    assert fingers.move(MOUSE, 1.9, -4) == []  # still there
    assert fingers.up(MOUSE)[0] == (Phase.UP, 1000, 1.0, 0.0)
    assert fingers.up(MOUSE) == []


@given(st.lists(st.tuples(st.sampled_from("dmu"), st.integers(0, 12), st.floats(-1, 2))))
def test_every_finger_that_lands_lifts_once(steps):
    fingers = FingerInput()
    down: set[int] = set()
    done = []
    for what, pointer, x in steps:
        done += (fingers.down(pointer, x, x) if what == "d"
                 else fingers.move(pointer, x, x) if what == "m"
                 else fingers.up(pointer))  # fmt: skip
    for played in [*done, *fingers.lift_all()]:
        assert 0 <= played.x <= 1
        if played.phase is Phase.DOWN:
            assert played.id not in down
            down.add(played.id)
        else:
            assert played.id in down
            if played.phase is Phase.UP:
                down.remove(played.id)
    assert not down


# Events to bytes


def test_mouse_press_drag_release(app):
    down, moved = at(app, 0, 0), at(app, 1, 1)
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=down))
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=moved, buttons=(1, 0, 0)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=moved))
    assert app.connection.packets == [
        # address, padded to 4; ",iff"; 1000; 0.0; 0.0
        b"/robojam/down\0\0\0,iff\0\0\0\0" + bytes.fromhex("000003e8 00000000 00000000"),
        b"/robojam/move\0\0\0,iff\0\0\0\0" + bytes.fromhex("000003e8 3f800000 3f800000"),
        b"/robojam/up\0,i\0\0" + bytes.fromhex("000003e8"),
    ]


def test_every_move_is_sent_on_its_own(app):
    app.handle_event(
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at(app, 0.5, 0.5))
    )
    for i in range(50):
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=at(app, i / 50, 0.2)))
    app.run_once()
    assert sum(b"/move" in packet for packet in app.connection.packets) == 50


def test_other_buttons_moves_without_a_press_and_the_frame_play_nothing(app):
    app.handle_event(
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=3, pos=at(app, 0.5, 0.5))
    )
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=at(app, 0.6, 0.5)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(5, 2)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=(5, 2)))
    assert app.connection.packets == []


@pytest.mark.skipif("sys.platform == 'darwin'", reason="there, fingers are the track pad's")
def test_fingers_land_where_they_are(app):
    x, y = at(app, 0.25, 0.75)
    for finger in (7, 9):
        app.handle_event(pygame.event.Event(pygame.FINGERDOWN, touch_id=1, finger_id=finger,
                                    x=x / 640, y=y / 400))  # fmt: skip
    app.handle_event(
        pygame.event.Event(pygame.FINGERUP, touch_id=1, finger_id=7, x=x / 640, y=y / 400)
    )
    heads = [packet[:16].rstrip(b"\0,i") for packet in app.connection.packets]
    assert heads == [b"/robojam/down", b"/robojam/down", b"/robojam/up"]
    assert [s.id for s in app.state.strokes] == [1001, 1002]
    assert app.state.strokes.visible[0].last.x == pytest.approx(0.25, abs=0.002)


def test_losing_the_focus_lifts_what_is_held(app):
    app.handle_event(
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at(app, 0.5, 0.5))
    )
    app.handle_event(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert app.connection.packets[-1] == encode("/robojam/up", "i", 1000)
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=at(app, 0.6, 0.5)))
    assert len(app.connection.packets) == 2


def test_closing_lifts_what_is_held(app):
    app.handle_event(
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at(app, 0.5, 0.5))
    )
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    app.run()
    assert app.connection.packets[-1] == encode("/robojam/up", "i", 1000)


# Keys


@pytest.mark.parametrize(
    ("key", "letter", "packet"),
    [
        (pygame.K_SPACE, " ", encode("/robojam/answer")),
        (pygame.K_RETURN, "\r", encode("/robojam/answer")),
        (pygame.K_1, "1", encode("/robojam/mode", "s", "call-response")),
        (pygame.K_2, "é", encode("/robojam/mode", "s", "duet")),
        (pygame.K_3, "3", encode("/robojam/mode", "s", "solo")),
        (pygame.K_KP_4, "4", encode("/robojam/mode", "s", "listen")),
        (pygame.K_BACKSPACE, "\b", encode("/robojam/reset")),
        (pygame.K_z, "z", encode("/robojam/back", "f", 10.0)),
        (pygame.K_a, "A", encode("/robojam/store", "s", "A")),
        (pygame.K_b, "b", encode("/robojam/recall", "s", "B")),
        (pygame.K_ESCAPE, "", encode("/robojam/panic")),
        (pygame.K_p, "p", encode("/robojam/pause", "i", 1)),
        (pygame.K_r, "r", encode("/robojam/record", "i", 1)),
        (pygame.K_UP, "", encode("/robojam/temperature", "f", 1.1)),
        (pygame.K_DOWN, "", encode("/robojam/temperature", "f", 0.9)),
        (pygame.K_RIGHT, "", encode("/robojam/spread", "f", 0.6)),
        (pygame.K_LEFT, "", encode("/robojam/spread", "f", 0.4)),
        (pygame.K_EQUALS, "+", encode("/robojam/timescale", "f", 1.1)),
        (pygame.K_MINUS, "-", encode("/robojam/timescale", "f", 0.9091)),
    ],
)
def test_keys_say_it_in_osc(app, key, letter, packet):
    app.state.controls.update(temperature=1.0, spread=0.5, timescale=1.0)
    assert press(app, key, letter) == [packet]


def test_toggles_follow_what_the_engine_told(app):
    app.state.controls["pause"] = 1.0
    app.state.recording = "sessions/x.jsonl"
    assert press(app, pygame.K_p, "p") == [encode("/robojam/pause", "i", 0)]
    assert press(app, pygame.K_r, "r") == [encode("/robojam/record", "i", 0)]


def test_controls_change_on_the_screen_only_when_told(app):
    app.state.controls["temperature"] = 1.0
    press(app, pygame.K_UP)
    assert app.state.controls["temperature"] == 1.0


def test_quick_presses_add_up_before_the_engine_has_told():
    actions = idle(temperature=1.0)
    for t in (
        1.0,
        1.1,
        1.2,
        9.0,
    ):  # before the last, the engine should have told: they were lost
        actions.perform("step:temperature:1", t)
    told = [encode("/robojam/temperature", "f", value) for value in (1.1, 1.2, 1.3, 1.1)]
    assert actions.sender.packets == told


@pytest.mark.parametrize(
    ("name", "control", "start", "end"),
    [("1", "temperature", 9.95, 10), ("-1", "temperature", 0.05, 0),
     ("1", "timescale", 99, 100), ("-1", "timescale", 0.001, 0.001),
     ("1", "threshold", 59, 60), ("-1", "threshold", 0.02, 0.02),
     ("1", "response", 3599, 3600), ("1", "response", 0, 0), ("-1", "response", 0, 30)],
)  # fmt: skip
def test_steps_stay_in_range(name, control, start, end):
    actions = idle(**{control: start})
    actions.perform(f"step:{control}:{name}", 1.0)
    assert actions.sender.packets == [encode(f"/robojam/{control}", "f", end)]


def test_a_step_from_nowhere_says_nothing():
    actions = idle()
    actions.perform("step:temperature:1", 1.0)
    assert actions.sender.packets == []


def test_keys_for_the_window_alone(app):
    assert press(app, pygame.K_h, "h") == []
    assert app.state.view.panel == "help"
    press(app, pygame.K_F1)
    assert app.state.view.panel == ""
    press(app, pygame.K_f, "f")
    assert not app.state.view.show_forecast
    press(app, pygame.K_q, "q")
    assert not app.is_open


def test_a_key_held_repeats_steps_but_not_toggles(app):
    app.state.controls["temperature"] = 1.0
    for key, letter in ((pygame.K_UP, ""), (pygame.K_p, "p")):
        for _ in range(3):
            app.handle_event(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=letter, mod=0))
    assert len(app.connection.packets) == 3 + 1


def test_modified_keys_are_the_desktop_s_own():
    assert action_for_key(pygame.K_r, "r", pygame.KMOD_CTRL) == ""
    assert action_for_key(pygame.K_f, "f", pygame.KMOD_LMETA) == "fullscreen"
    assert action_for_key(pygame.K_f, "F", pygame.KMOD_LSHIFT) == "fullscreen"
    assert action_for_key(pygame.K_F11, "", 0) == "fullscreen"
    assert action_for_key(pygame.K_x, "x", 0) == ""


def test_full_screen_and_back_keeps_playing(app):
    press(app, pygame.K_F11)
    assert app.screen.get_flags() & pygame.FULLSCREEN
    assert press(app, pygame.K_ESCAPE) == [encode("/robojam/panic")]
    assert not app.screen.get_flags() & pygame.FULLSCREEN
    app.run_once()


def test_help_lists_every_key():
    keys = " ".join(key for key, _ in HELP)
    for key in ("space", "1  2  3  4", "up / down", "right / left", "+ / -", "p", "r",
                "backspace", "esc", "f", "F11", "h", "q", "[ / ]", ", / .", "z", "tab",
                "t", "o"):  # fmt: skip
        assert key in keys
