"""What is done from the frame and the panels: dials, memories, recordings, letters."""

from __future__ import annotations

import os

os.environ["SDL_VIDEODRIVER"] = "dummy"

import time
from pathlib import Path

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.window import at, idle, press, recorded

from robojam.touch import Phase
from robojam.window.client.state import WindowState
from robojam.window.client.strokes import FADE
from robojam.window.input.dials import DIALS
from robojam.window.input.fingers import MAX_FINGERS, FingerInput
from robojam.window.input.keyboard import ROWS, SPEED, Keyboard
from robojam.window.recordings.playback import SPEEDS, RecordingPlayback
from robojam.window.view.frame import frame_text
from robojam.wire import osc

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


def playback(folder: Path) -> RecordingPlayback:
    from robojam.sessions.session import read

    return RecordingPlayback(read(recorded(folder)), "a jam")


def finger(kind: int, x: float, y: float, who: int = 1) -> pygame.event.Event:
    return pygame.event.Event(kind, touch_id=1, finger_id=who, x=x / 640, y=y / 400)


def hit(app, action: str) -> tuple[float, float]:
    """Draw, and find where to touch for an action; what lies above comes first."""
    app._needs_redraw, app._drawn_at = True, float("-inf")
    app._update(time.monotonic())
    found = next(h for h in reversed(app.scene.hit_boxes) if h.action == action)
    left, top, width, height = found.box
    return left + width / 2, top + height / 2


def click(app, action: str) -> list[bytes]:
    before = len(app.connection.packets)
    at_ = tuple(map(round, hit(app, action)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at_))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=at_))
    return app.connection.packets[before:]


def there(app) -> WindowState:
    """An engine that has told all there is."""
    state = app.state
    state.last_message_at, state.turn = time.monotonic() + 100, "human"
    state.texts["mode"] = "call-response"
    state.controls.update(
        temperature=1.0, spread=1.0, timescale=1.0, threshold=0.5, response=5.0
    )
    state.memories, state.has_played = ("A",), True
    return state


# -- the frame -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "packet"),
    [
        ("answer", osc.encode("/robojam/answer")),
        ("panic", osc.encode("/robojam/panic")),
        ("record", osc.encode("/robojam/record", "i", 1)),
        ("back:10", osc.encode("/robojam/back", "f", 10.0)),
        ("recall:A", osc.encode("/robojam/recall", "s", "A")),
        ("mode:duet", osc.encode("/robojam/mode", "s", "duet")),
    ],
)
def test_what_the_frame_offers_is_touched_and_said_in_osc(app, action, packet):
    there(app)
    assert click(app, action) == [packet]
    assert not app.fingers.held


@pytest.mark.parametrize(
    "action", ["back:30", "store:B", "pause", "reset", "forecast", "theme", "turn", "typing"]
)
def test_what_more_offers_is_touched_too(app, action):
    state = there(app)
    click(app, "controls")
    before = (
        state.view.show_forecast,
        state.view.theme,
        state.view.quarter_turns,
        state.view.letters_play,
    )
    packets = click(app, action)
    after = (
        state.view.show_forecast,
        state.view.theme,
        state.view.quarter_turns,
        state.view.letters_play,
    )
    assert bool(packets) != (before != after)


def test_a_recording_that_plays_is_offered_what_it_takes_and_nothing_else(app):
    state = there(app)
    state.replaying = True
    hit(app, "controls")
    assert {h.action for h in app.scene.hit_boxes} == {"panic", "sessions", "controls", "help"}
    modes = [label.runs[0].text for label in frame_text(state, time.monotonic()).bottom[0]]
    assert modes == ["call-response"]
    click(app, "controls")
    hit(app, "pause")
    always = {"", "panic", "sessions", "controls", "help"}
    offered = {h.action for h in app.scene.hit_boxes} - always
    assert offered == {
        *("slide:volume", "pause", "forecast", "theme", "turn", "typing", "fullscreen")
    }
    for action in ("answer", "mode:solo", "back:5", "recall:A", "step:temperature:1", "record"):
        app.actions.perform(action, 1.0)
    assert app.connection.packets == []
    assert state.notice.startswith("a recording plays")
    app.actions.perform("pause", 1.0)
    assert app.connection.packets == [osc.encode("/robojam/pause", "i", 1)]


def test_a_finger_that_slides_off_a_button_takes_it_back(app):
    there(app)
    x, y = hit(app, "answer")
    app.handle_event(finger(pygame.FINGERDOWN, x, y))
    app.handle_event(finger(pygame.FINGERUP, *at(app, 0.5, 0.5)))
    assert app.connection.packets == []


def test_a_dial_in_the_frame_is_turned_from_where_it_is(app):
    there(app)
    x, y = hit(app, "slide:temperature")
    app.handle_event(finger(pygame.FINGERDOWN, x, y))
    app.handle_event(finger(pygame.FINGERMOTION, x + 40, y))
    assert app.state.view.grabbed_dial == "temperature"
    app.handle_event(finger(pygame.FINGERUP, x + 40, y))
    assert app.state.view.grabbed_dial == ""
    (packet,) = app.connection.packets
    (message,), _ = osc.decode(packet)
    assert message.address == "/robojam/temperature"
    assert 1.0 < message.args[0] < 2.0
    assert app.state.controls["temperature"] == 1.0  # until the engine tells


def test_a_dial_in_the_panel_stands_where_the_finger_is(app):
    there(app).controls["spread"] = 0.3
    app.state.view.panel = "controls"
    x, y = hit(app, "slide:spread")
    app.handle_event(finger(pygame.FINGERDOWN, x, y))
    app.handle_event(finger(pygame.FINGERUP, x, y))
    (message,), _ = osc.decode(app.connection.packets[-1])
    assert message.args[0] == pytest.approx(1.0, abs=0.02)


def test_beside_an_open_panel_the_surface_plays_and_under_it_not(app):
    there(app)
    app.state.view.panel = "controls"
    hit(app, "pause")
    plate = next(h for h in app.scene.hit_boxes if h.action == "")
    x, y = plate.box[0] + 2, plate.box[1] + 2
    app.handle_event(finger(pygame.FINGERDOWN, x, y))
    app.handle_event(finger(pygame.FINGERUP, x, y))
    assert app.connection.packets == []
    app.handle_event(finger(pygame.FINGERDOWN, plate.box[0] - 20, 200))
    assert b"/robojam/down" in app.connection.packets[-1]


def test_a_window_of_a_hundred_pixels_is_all_surface(app):
    app.screen = pygame.display.set_mode((100, 80))
    there(app)
    app._update(time.monotonic())
    assert app.scene.hit_boxes == []
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(50, 40)))
    (message,), _ = osc.decode(app.connection.packets[-1])
    assert message.args[1:] == pytest.approx((0.5, 0.5), abs=0.02)


def test_fifty_fingers_ten_play_and_the_window_says_so(app):
    there(app)
    for i in range(50):
        app.handle_event(
            finger(pygame.FINGERDOWN, *at(app, (i % 10) / 10, (i // 10) / 5), who=i)
        )
    assert len(app.fingers.held) == MAX_FINGERS == 10
    assert "10 fingers play at once" in app.state.notice
    for i in range(50):
        app.handle_event(finger(pygame.FINGERUP, *at(app, 0.5, 0.5), who=i))
    downs = sum(b"/down" in p for p in app.connection.packets)
    ups = sum(b"/up" in p for p in app.connection.packets)
    assert downs == ups == 10


def test_a_finger_that_comes_as_a_mouse_too_plays_once(app):
    there(app)
    pos = at(app, 0.5, 0.5)
    app.handle_event(finger(pygame.FINGERDOWN, *pos))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=pos, touch=True))
    assert len(app.connection.packets) == 1


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_window_plays_where_it_is_touched(app, quarter_turns):
    app.state.view.quarter_turns, app.state.view.theme = quarter_turns, "stage"
    app.handle_event(finger(pygame.FINGERDOWN, 639, 0))  # the right upper corner
    (message,), _ = osc.decode(app.connection.packets[-1])
    assert message.args[1:] == {1: (0.0, 0.0), 2: (0.0, 1.0), 3: (1.0, 1.0)}[quarter_turns]


def test_the_light_of_a_connection_is_lit_while_something_comes():
    state = WindowState()
    state.last_message_at = 1.0
    state.ports.mark_used("osc", 1.0)
    icons = [
        {label.icon.value for row in frame_text(state, t).top for label in row}
        for t in (1.1, 1.3)
    ]
    assert "lit" in icons[0]
    assert "lit" not in icons[1]


# -- dials -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dial", DIALS.values(), ids=lambda dial: dial.name)
@given(share=st.floats(0, 1))
def test_a_dial_shows_what_it_was_turned_to(dial, share):
    value = dial.value(share)
    assert dial.control.low <= value <= dial.control.high
    assert dial.share(value) == pytest.approx(share, abs=0.05)
    assert dial.text(value)


# -- letters that play -----------------------------------------------------------------------


def test_one_letter_is_a_tap_and_a_second_a_swipe():
    keyboard, fingers = Keyboard(), FingerInput()
    (down,) = keyboard.down(ROWS[1][0], fingers, 1.0)
    assert down.phase is DOWN
    assert keyboard.down(ROWS[1][4], fingers, 1.1) == []
    (first,) = keyboard.slide(fingers, 1.15)
    assert first.phase is MOVE
    assert first.x - down.x == pytest.approx(0.15 * SPEED)
    (there_,) = keyboard.slide(fingers, 9.0)
    assert keyboard.slide(fingers, 9.1) == []
    assert there_.x > first.x
    assert keyboard.up(ROWS[1][4], fingers) == []
    (up,) = keyboard.up(ROWS[1][0], fingers)
    assert up.phase is UP


def test_letters_play_only_when_asked_to(app):
    there(app)
    event = {"key": pygame.K_p, "unicode": "p", "mod": 0, "scancode": ROWS[0][9]}
    app.handle_event(pygame.event.Event(pygame.KEYDOWN, **event))
    app.handle_event(pygame.event.Event(pygame.KEYUP, **event))
    assert app.connection.packets == [osc.encode("/robojam/pause", "i", 1)]
    press(app, pygame.K_TAB, "\t")
    app.handle_event(pygame.event.Event(pygame.KEYDOWN, **event))
    app.handle_event(pygame.event.Event(pygame.KEYUP, **event))
    assert [osc.decode(p)[0][0].address for p in app.connection.packets[1:]] == [
        "/robojam/down", "/robojam/up"]  # fmt: skip


# -- recordings ------------------------------------------------------------------------------


def test_it_plays_in_its_own_time_holds_and_goes_on(tmp_path):
    again = playback(tmp_path)
    again.play(100.0)
    again.advance(101.0)
    assert again.at == pytest.approx(1.0)
    (stroke,) = again.strokes
    assert (stroke.who, len(stroke.points), stroke.lifted) == ("human", 10, 0.95)
    again.hold()
    again.advance(150.0)
    assert again.at == pytest.approx(1.0)
    again.faster(1)
    again.play(200.0)
    again.advance(200.6)
    assert again.at == pytest.approx(2.2)
    assert {s.who for s in again.strokes} == {"human", "ai"}


def test_it_ends_or_goes_round(tmp_path):
    again = playback(tmp_path)
    again.play(0.0)
    again.advance(99.0)
    assert (again.at, again.playing) == (10.0, False)
    again.loop = True
    again.play(100.0)
    assert again.at == 0.0
    again.advance(111.0)
    assert again.at == pytest.approx(1.0)
    assert again.playing
    assert len(next(iter(again.strokes)).points) == 10


@given(t=st.floats(-1, 12))
def test_wherever_it_is_scrubbed_to_it_shows_what_was_seen_then(t, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scrub")
    there_, played = playback(folder), playback(folder)
    there_.seek(t)
    played.play(0.0)
    for i in range(1, 101):
        played.advance(there_.at * i / 100)
    seen = [[(p.t, p.x) for p in s.points if there_.at - p.t < FADE] for s in there_.strokes]
    want = [[(p.t, p.x) for p in s.points if there_.at - p.t < FADE] for s in played.strokes]
    assert [s for s in seen if s] == [s for s in want if s]


def test_speeds_go_round(tmp_path):
    again = playback(tmp_path)
    for _ in SPEEDS:
        again.faster(1)
    assert again.speed == 1.0


@pytest.mark.parametrize(("at_", "began"), [(0.0, 0.0), (0.5, 0.0), (5.0, 0.0), (9.5, 9.0)])
def test_a_phrase_is_all_that_was_played_between_answers(tmp_path, at_, began):
    again = playback(tmp_path)
    again.seek(at_)
    phrase = again.phrase()
    assert phrase[0].t == began
    assert {e.touch.who for e in phrase} == {"human"}
    assert len(phrase) == (2 if began else 13)


def test_answer_this_again_plays_the_phrase_to_the_engine_in_time(tmp_path):
    actions = idle()
    actions.recordings.folder = tmp_path
    recorded(tmp_path)
    actions.recordings.read()
    actions.perform("open:0", 0.0)
    assert actions.state.view.panel == "player"
    actions.playback.seek(5.0)
    actions.perform("again", 100.0)
    assert actions.state.view.panel == ""
    sent: list[tuple[float, str]] = []
    t = 100.0
    while (due := actions.send_due(t)) < float("inf") or actions.sender.packets:
        sent += [(t, osc.decode(p)[0][0].address) for p in actions.sender.packets]
        actions.sender.packets.clear()
        t = due
    assert [a.rsplit("/", 1)[1] for _, a in sent] == [
        "down", *["move"] * 9, "up", "down", "up", "answer"]  # fmt: skip
    assert sent[9][0] - sent[0][0] == pytest.approx(0.9)
    assert sent[-1][0] < 101.5


def test_after_a_panic_in_solo_one_press_lets_it_go_on(app):
    state = there(app)
    state.texts["mode"], state.silenced = "solo", True
    assert press(app, pygame.K_p, "p") == [osc.encode("/robojam/pause", "i", 0)]


def test_a_panic_stops_a_phrase_and_lifts_its_fingers(tmp_path):
    actions = idle()
    recorded(tmp_path)
    actions.recordings.folder = tmp_path
    actions.recordings.read()
    actions.perform("open:0", 0.0)
    actions.perform("again", 0.0)
    actions.send_due(0.2)
    actions.sender.packets.clear()
    actions.perform("panic", 0.3)
    said = [osc.decode(p)[0][0].address for p in actions.sender.packets]
    assert said[0] == "/robojam/panic"
    assert "/robojam/up" in said
    assert actions.send_due(9.0) == float("inf")


def test_a_file_that_becomes_unreadable_is_told_when_it_is_opened(tmp_path):
    actions = idle()
    path = recorded(tmp_path)
    actions.recordings.folder = tmp_path
    actions.recordings.read()
    path.unlink()
    actions.perform("open:0", 1.0)
    assert actions.playback is None
    assert "cannot be read" in actions.state.notice


def test_while_a_name_is_written_keys_write(app, tmp_path):
    there(app)
    recorded(tmp_path)
    app.recordings.folder = tmp_path
    app.recordings.read()
    app.actions.perform("open:0", 0.0)
    app.actions.perform("rename", 0.0)
    assert press(app, pygame.K_p, "p") == []
    assert app.state.view.typed_name.endswith("p")
    assert press(app, pygame.K_ESCAPE) == []
    assert app.state.view.typed_name is None


def test_the_player_is_touched_scrubbed_and_closed(app, tmp_path):
    there(app)
    recorded(tmp_path)
    app.recordings.folder = tmp_path
    app.recordings.read()
    app.state.view.panel = "sessions"
    click(app, "open:0")
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


# -- the sound -------------------------------------------------------------------------------


def test_instruments_and_scales_go_round_and_quick_presses_are_not_lost(app):
    there(app)
    sound = app.state
    sound.texts.update(instrument="human=strings,ai=keys,ai2=drums", scale="free")
    click(app, "controls")
    sent = [click(app, "instrument:human"), click(app, "instrument:human")]
    sent += [click(app, "instrument:ai"), click(app, "scale"), click(app, "scale")]
    assert [packet for packets in sent for packet in packets] == [
        osc.encode("/robojam/instrument", "s", "human=chirp"),
        osc.encode("/robojam/instrument", "s", "human=drums"),
        osc.encode("/robojam/instrument", "s", "ai=strings"),
        osc.encode("/robojam/scale", "s", "chromatic"),
        osc.encode("/robojam/scale", "s", "major"),
    ]


def test_what_the_engine_has_not_told_is_not_changed(app):
    there(app)
    click(app, "controls")
    assert click(app, "instrument:human") == click(app, "scale") == []


def test_the_volume_is_among_the_dials_where_there_is_sound(app):
    state = there(app)
    state.controls["volume"] = 0.7

    def shown() -> set[str]:
        rows = frame_text(state, time.monotonic()).bottom
        return {label.action for row in rows for label in row}

    assert "slide:volume" not in shown()
    state.ports.update("sound", {"state": "playing"}, 0.0)
    assert "slide:volume" in shown()
    app.actions.perform("step:volume:1", time.monotonic())
    assert app.connection.packets[-1] == osc.encode("/robojam/volume", "f", 0.75)
    app.actions.perform("step:volume:1", time.monotonic())
    assert app.connection.packets[-1] == osc.encode("/robojam/volume", "f", 0.8)


def test_a_recording_that_is_played_is_heard_and_panic_closes_it(app, tmp_path):
    there(app)
    app.actions.playback = playback(tmp_path)
    app.state.view.panel = "player"
    app.actions.perform("play", time.monotonic())
    app._update(time.monotonic())
    assert osc.encode("/robojam/audition", "i", 1) in app.connection.packets
    app.actions.perform("panic", time.monotonic())
    app._update(time.monotonic())
    assert app.actions.playback is None
    assert app.connection.packets[-1] == osc.encode("/robojam/audition", "i", 0)
