"""Window of a show: its light, and that it tells the audience nothing."""

import time

import pygame
import pytest
from support.window import connected, press_key, report, report_status, shown_text

from robojam.window.client.state import LOST_AFTER, WindowState
from robojam.window.view.frame import frame_text
from robojam.window.view.health_light import draw_health_light
from robojam.window.view.panels import panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.theme import THEMES, Metrics

STATES = ("ok", "warn", "bad")


def in_show(state: WindowState, now: float, health: str = "ok", text: str = "") -> None:
    report_status(state, now, show=True, unlocked=["panic", "pause"], turn="human")
    report(state, now, "/robojam/health", "ss", health, text)


def drawn(state: str, size: tuple[int, int], theme: str, turns: int = 0) -> pygame.Surface:
    screen = pygame.Surface(size, depth=32)
    screen.fill(THEMES[theme].surface)
    metrics = Metrics.for_size(size, has_text=THEMES[theme].has_text)
    draw_health_light(screen, state, metrics, THEMES[theme])
    return screen


def lit(screen: pygame.Surface) -> pygame.Rect:
    """Return the box of what differs from the first pixel."""
    mask = pygame.mask.from_threshold(screen, screen.get_at((0, 0)), (1, 1, 1, 255))
    mask.invert()
    (box,) = mask.get_bounding_rects()
    return box


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [(320, 240), (1280, 800), (800, 1280), (3840, 2160)])
def test_light_is_at_the_upper_right_and_larger_where_something_is_wrong(size, theme):
    boxes = [lit(drawn(state, size, theme)) for state in STATES]
    for box in boxes:
        assert box.left > size[0] * 0.85
        assert box.bottom < size[1] * 0.35  # below the rows of text
    unit = min(size)
    assert boxes[0].width <= unit / 30
    assert all(box.width >= unit / 30 for box in boxes[1:])


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("state", STATES)
def test_light_is_drawn_in_a_window_of_a_pixel(state):
    draw_health_light(pygame.Surface((1, 1)), state, Metrics.for_size((1, 1)), THEMES["dark"])


@pytest.mark.usefixtures("fonts")
def test_light_is_at_the_upper_right_of_a_turned_picture():
    state, scene = WindowState(), Scene()
    in_show(state, 1.0, "bad", "anything")
    places = []
    try:
        for turns in range(4):
            state.view.quarter_turns = turns
            screen = pygame.Surface((600, 400), depth=32)
            scene.draw(screen, state, 1.0)
            red = pygame.mask.from_threshold(screen, (255, 64, 64), (2, 2, 2, 255))
            (box,) = red.get_bounding_rects()
            places.append((box.centerx > 300, box.centery > 200))
    finally:
        scene.close()
    assert places == [(True, False), (True, True), (False, True), (False, False)]


def test_there_is_no_light_without_a_show():
    state = WindowState()
    report_status(state, 1.0, show=False, health={"state": "bad", "problems": ["x"]})
    assert frame_text(state, 1.0).light == ""


def test_light_says_what_the_engine_says_and_bad_when_it_is_gone():
    state = WindowState()
    for health in STATES:
        in_show(state, 1.0, health)
        assert frame_text(state, 1.0).light == health
    in_show(state, 2.0, "ok")
    assert frame_text(state, 2.0 + LOST_AFTER).light == "bad"


@pytest.mark.parametrize("args", [("mad", "x"), ("", ""), (1.0, "x"), ("ok",)])
def test_health_that_is_none_changes_nothing(args):
    state = WindowState()
    in_show(state, 1.0, "warn", "a; b")
    tags = "".join("s" if isinstance(arg, str) else "f" for arg in args)
    report(state, 1.0, "/robojam/health", tags, *args)
    assert (state.health, state.health_problems) == ("warn", ("a", "b"))


def test_problems_are_for_the_host_s_panel_alone():
    state = WindowState()
    troubles = {"trouble": ["recording stopped: disk full"], "late_ms_p99": 40.0}
    lost = {"outputs": [{"address": "10.0.0.9:1", "error": "gone"}], "dropped": {"echo": 5}}
    in_show(state, 1.0)
    report_status(state, 2.0, show=True, unlocked=["panic"], **troubles, **lost)
    report_status(state, 2.1, show=True, unlocked=["panic"], **{**lost, "dropped": {"echo": 9}})
    report(state, 2.1, "/robojam/health", "ss", "bad", "disk full; gone")
    state.notify("anything that a key says", 2.1, asks=True)
    frame = frame_text(state, 2.2)
    assert (frame.notices, frame.asked, frame.hint, frame.trouble) == ((), (), (), False)
    shown = shown_text(state, 2.2)
    assert not any(word in shown for word in ("disk", "gone", "late", "ignored"))
    state.view.panel = "health"
    panel = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
    assert [row[0].text for row in panel.rows] == ["disk full", "gone", "close"]


def test_engine_that_is_lost_is_not_told_to_the_audience():
    state = WindowState()
    in_show(state, 1.0)
    assert "lost" not in shown_text(state, 1.0 + 2 * LOST_AFTER)


def test_locked_controls_are_not_offered():
    state = WindowState()
    in_show(state, 1.0)
    assert state.refuses("mode:duet") == state.refuses("step:temperature:1")
    assert state.refuses("setup") == "locked in a show"
    assert not any(map(state.refuses, ("panic", "pause", "help", "health", "fullscreen")))


def test_key_opens_the_panel_of_health_in_a_show_alone(app):
    state = connected(app)
    press_key(app, pygame.K_h, "H", pygame.KMOD_SHIFT)
    assert state.view.panel == ""
    in_show(state, time.monotonic())
    press_key(app, pygame.K_h, "H", pygame.KMOD_SHIFT)
    assert state.view.panel == "health"


def test_screen_stays_on_in_a_show_whatever_the_environment_says(app):
    pygame.display.set_allow_screensaver(True)  # as by SDL_VIDEO_ALLOW_SCREENSAVER=1
    app._receive()
    assert pygame.display.get_allow_screensaver()
    in_show(app.state, time.monotonic())
    app._receive()
    assert not pygame.display.get_allow_screensaver()
