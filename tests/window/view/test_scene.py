"""What is drawn, under SDL's dummy driver: where, in which colours, and words that fit."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

os.environ["SDL_VIDEODRIVER"] = "dummy"

import pygame
import pytest

from robojam.touch import Phase
from robojam.window.client.state import ForecastComponent, PendingTouch, WindowState
from robojam.window.view.panels import panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.stroke_image import line_half_width
from robojam.window.view.text_fit import (
    Label,
    TextRun,
    format_duration,
    place_labels,
    truncate,
    wrap_text,
)
from robojam.window.view.theme import (
    DARK,
    LIGHT,
    STAGE,
    THEMES,
    Metrics,
    rotated_size,
    unrotate,
)

HUMANS, MACHINES = DARK.humans, DARK.machines
SIZES = [(1, 1), (100, 80), (240, 180), (320, 240), (640, 400), (1280, 800), (800, 1280),
         (400, 1600), (3840, 2160)]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def fonts():
    pygame.display.init()
    pygame.font.init()
    yield
    pygame.quit()


def busy(now: float = 10.0) -> WindowState:
    """A state in which everything there is shows at once."""
    state = WindowState(
        engine_name="127.0.0.1:5005", last_message_at=now, turn="ai", has_played=False
    )
    state.texts["mode"], state.texts["model"], state.texts["device"] = (
        "call-response",
        "models/default.safetensors",
        "cuda",
    )
    state.controls.update(temperature=0.95, spread=1.05, timescale=1.0, pause=0.0)
    state.recording, state.recording_since = "sessions/2026-11-20T10-00-00.jsonl", now - 4000
    state.problems = ("recording stopped: disk full (/home/somebody/a/long/path/of/sessions)",
                     "the MIDI port is gone", "x" * 300)  # fmt: skip
    state.restarted_at = now
    state.notify("silence until the next touch", now)
    state.late_ms, state.recently_dropped, state.dropped_at = 23.0, 1234, now
    state.forecast, state.forecast_at = (ForecastComponent(1.0, 0.5, 0.5, 0.1, 0.2, 0.9),), now
    state.memories = ("A", "B")
    state.ports.update("midi", {"in": [{"messages": 3}], "out": []}, now)
    state.ports.update("sound", {"state": "no sound: no device"}, now)
    state.pending_touches["ai"] = PendingTouch("ai", 0.9, 0.1, now, now + 0.3)
    for who in ("human", "human2", "ai", "ai2"):
        for i in range(30):
            state.strokes.move(who, 1, i / 29, 0.3, now - 0.5 + i * 0.01, own=False)
    return state


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["", "help", "controls", "sessions"])
@pytest.mark.parametrize("quarter_turns", [0, 1])
def test_words_stay_inside_and_apart(size, name, quarter_turns):
    screen = pygame.Surface(size)
    state = busy()
    state.view.panel, state.view.quarter_turns = name, quarter_turns
    size = rotated_size(size, quarter_turns)
    if name:  # over all those troubles there would be no room for it
        state.problems, state.notice, state.restarted_at = (), "", -9.0
        state.ports.errors.clear()
    panel = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
    written = Scene().draw(screen, state, 10.0, panel=panel)
    for rect in written:
        assert pygame.Rect(0, 0, *size).contains(rect)
    for one, other in itertools.combinations(written, 2):
        assert not one.colliderect(other)
    assert bool(written) == (size[0] >= 240 and size[1] >= 180)


@pytest.mark.parametrize("size", SIZES)
def test_the_beginning_and_a_lost_engine_fit_too(size):
    for state, now in ((WindowState(engine_name="a-rather-long-host-name.local:5005"), 1.0),
                       (WindowState(engine_name="a-rather-long-host-name.local:5005"), 60.0),
                       (WindowState(last_message_at=0.0), 60.0)):  # fmt: skip
        screen = pygame.Surface(size)
        written = Scene().draw(screen, state, now)
        assert all(screen.get_rect().contains(rect) for rect in written)
        assert not any(a.colliderect(b) for a, b in itertools.combinations(written, 2))


@pytest.mark.parametrize(
    "size", [(640, 400), (1280, 800), (800, 1280), (1920, 1080), (3840, 2160)]
)
def test_text_is_a_fortieth_of_the_height(size):
    assert Metrics.for_size(size).text >= size[1] / 40


def colour_at(screen: pygame.Surface, x: float, y: float) -> tuple[int, int, int]:
    metrics = Metrics.for_size(screen.get_size())
    across, down = metrics.from_surface(x, y)
    r, g, b, _ = screen.get_at(
        (round(metrics.surface_box[0] + across), round(metrics.surface_box[1] + down))
    )
    return r, g, b


def away(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    return math.dist(one, other)


def test_touches_appear_where_they_are_in_their_colours():
    state = WindowState(has_played=True, last_message_at=1.0)
    state.add_own_touch(Phase.DOWN, 1000, 0.25, 0.25, 0.9)
    state.add_own_touch(Phase.UP, 1000, 0.25, 0.25, 0.95)
    state.strokes.down("ai", 0, 0.75, 0.25, 0.9, own=False)
    state.strokes.up("ai", 0, 0.95, own=False)
    for i in range(21):
        state.add_own_touch(Phase.MOVE, 1001, 0.1 + i * 0.04, 0.6, 0.8 + i * 0.01)
        state.strokes.move("ai", 0, 0.1 + i * 0.04, 0.8, 0.8 + i * 0.01, own=False)
    screen = pygame.Surface((1280, 800))
    Scene().draw(screen, state, 1.2)
    for x, y, colour in ((0.25, 0.25, HUMANS[0]), (0.75, 0.25, MACHINES[0]),
                         (0.5, 0.6, HUMANS[0]), (0.5, 0.8, MACHINES[0])):  # fmt: skip
        assert away(colour_at(screen, x, y), colour) < 80
    assert away(colour_at(screen, 0.5, 0.4), DARK.surface) < 5


def test_round_is_human_and_angular_is_the_machine():
    size = 3840, 2160
    screen = pygame.Surface(size)
    state = WindowState(has_played=True)
    state.strokes.down("human", 1, 0.25, 0.5, 1.0, own=False)
    state.strokes.down("ai", 0, 0.75, 0.5, 1.0, own=False)
    Scene().draw(screen, state, 3.0)  # the rings have opened and gone
    head, (_, _, width, height) = (
        Metrics.for_size(size).finger_radius,
        Metrics.for_size(size).surface_box,
    )
    dx, dy = 0.68 * head / width, 0.68 * head / height  # on a disc, beyond a diamond
    assert away(colour_at(screen, 0.25 + dx, 0.5 + dy), HUMANS[0]) < 40
    assert away(colour_at(screen, 0.75 + dx, 0.5 + dy), MACHINES[0]) > 100
    tip = 1.15 * head / width  # on a diamond, beyond a disc
    assert away(colour_at(screen, 0.25 + tip, 0.5), HUMANS[0]) > 100
    assert away(colour_at(screen, 0.75 + tip, 0.5), MACHINES[0]) < 60


def test_the_edge_tells_the_turn():
    for turn, colour in (("human", HUMANS[0]), ("ai", MACHINES[0]), ("", DARK.edge)):
        screen = pygame.Surface((1280, 800))
        Scene().draw(screen, WindowState(turn=turn, last_message_at=1.0), 1.0)
        left, top, _, height = Metrics.for_size((1280, 800)).surface_box
        assert screen.get_at((left - 1, top + height // 2))[:3] == colour


def test_it_fades_to_nothing_and_rests():
    screen, picture = pygame.Surface((640, 400)), Scene()
    empty = pygame.Surface((640, 400))
    Scene().draw(empty, WindowState(has_played=True), 60.0)
    state = busy(10.0)
    picture.draw(screen, state, 10.0)
    assert picture.is_animating(state, 10.1)
    later = WindowState(
        strokes=state.strokes, forecast=state.forecast, forecast_at=10.0, has_played=True
    )
    for who in ("human", "human2", "ai", "ai2"):
        later.strokes.up(who, 1, 10.1, own=False)
    for t in (11.0, 13.5, 16.0, 60.0):
        later.advance(t)
        picture.draw(screen, later, t)
    assert not picture.is_animating(later, 60.0)
    assert pygame.image.tobytes(screen, "RGB") == pygame.image.tobytes(empty, "RGB")


def test_the_forecast_glows_where_it_is_and_can_be_turned_off():
    state = WindowState(has_played=True, last_message_at=1.0)
    state.forecast, state.forecast_at = (
        (ForecastComponent(1.0, 0.3, 0.7, 0.05, 0.05, 0.0),),
        1.0,
    )
    screen, picture = pygame.Surface((1280, 800)), Scene()
    picture.draw(screen, state, 1.0)
    picture.draw(screen, state, 1.5)
    assert away(colour_at(screen, 0.3, 0.7), DARK.surface) > 40
    assert away(colour_at(screen, 0.8, 0.2), DARK.surface) < 3
    state.view.show_forecast = False
    for t in (1.6, 2.0, 4.0):
        picture.draw(screen, state, t)
    assert colour_at(screen, 0.3, 0.7) == DARK.surface


def test_a_faster_slide_is_a_wider_ribbon():
    halves = [line_half_width(speed, 12.0) for speed in (0.0, 0.5, 3.0)]
    assert 1 < halves[0] < halves[1] < halves[2] < 12


def lit(screen: pygame.Surface, ground: tuple[int, int, int]) -> int:
    """How many pixels are not of the ground's colour."""
    return pygame.mask.from_threshold(screen, ground, (4, 4, 4, 255)).count()


def test_a_slide_drawn_bit_by_bit_is_the_same_as_drawn_at_once():
    bit_by_bit, at_once = Scene(), Scene()
    screens = [pygame.Surface((640, 400)) for _ in range(2)]
    states = [WindowState(has_played=True, last_message_at=1.0) for _ in range(2)]
    for i in range(60):
        for state in states:
            x, y = 0.5 + 0.4 * math.cos(i / 6), 0.5 + 0.4 * math.sin(i / 7)
            state.strokes.move("human", 1, x, y, 0.9 + i * 0.001, own=False)
        bit_by_bit.draw(screens[0], states[0], 1.0)
    bit_by_bit.draw(screens[0], states[0], 1.6)
    at_once.draw(screens[1], states[1], 1.6)
    assert pygame.image.tobytes(screens[0], "RGB") == pygame.image.tobytes(screens[1], "RGB")


def test_a_still_line_is_not_drawn_again_however_old(monkeypatch):
    from robojam.window.view import stroke_image

    drawn = []
    fine = stroke_image.supersampled
    monkeypatch.setattr(stroke_image, "supersampled", lambda *a: drawn.append(a) or fine(*a))
    state, picture = WindowState(has_played=True), Scene()
    screen = pygame.Surface((1280, 800))
    for i in range(200):
        state.strokes.move("human", 1, i / 200, 0.5, 1.0 + i * 0.01, own=False)
    picture.draw(screen, state, 3.0)
    first = len(drawn)
    for i in range(100):
        picture.draw(screen, state, 3.0 + i * 0.02)
    assert first > 10
    assert len(drawn) == first


# Words, placed and cut


def test_labels_make_room_by_rank():
    labels = [
        Label((TextRun("aaaaaaaaaa"),), 0, (TextRun("aaa"),)),
        Label((TextRun("bbbb"),), 5, right=True),
        Label((TextRun("cccc"),), 3, (TextRun("c"),), right=True),
    ]

    def shown(width: int) -> list[str]:
        placed = place_labels(
            labels, left=0, right=width, gap=2,
            measure=lambda _, runs: sum(len(run.text) for run in runs),
        )  # fmt: skip
        return sorted(run.text for label in placed for run in label.runs)

    assert shown(30) == ["aaaaaaaaaa", "bbbb", "cccc"]
    assert shown(21) == ["aaaaaaaaaa", "bbbb", "c"]
    assert shown(12) == ["aaa", "bbbb", "c"]
    assert shown(7) == ["aaa", "c"]
    assert shown(2) == ["aaa"]  # cut when it is drawn


def test_wrap_and_cut():
    assert wrap_text("one two three", width=8, measure=len, lines=2) == ["one two", "three"]
    assert wrap_text("one two three four", width=8, measure=len, lines=2) == [
        "one two",
        "three f…",
    ]
    assert wrap_text("", width=8, measure=len, lines=2) == []
    assert truncate("abcdef", width=3, measure=len) == "ab…"
    assert truncate("abcdef", width=0, measure=len) == ""


def test_clock():
    assert [format_duration(t) for t in (-1, 7.9, 754, 3723)] == [
        "0:00",
        "0:07",
        "12:34",
        "1:02:03",
    ]


# Colours for every eye

#: Machado, Oliveira & Fernandes (2009), "A Physiologically-based Model for Simulation of
#: Color Vision Deficiency", severity 1.0; applied to linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}  # fmt: skip


def linear(colour: tuple[int, int, int]) -> list[float]:
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (v / 255 for v in colour)]  # fmt: skip


def lab(colour: tuple[int, int, int], blindness: str) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of a colour as an eye of this kind sees it."""
    rgb = linear(colour)
    seen = [min(1.0, max(0.0, sum(m * v for m, v in zip(row, rgb, strict=True))))
            for row in BLINDNESS[blindness]]  # fmt: skip
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
        for t in (
            sum(m * v for m, v in zip(row, seen, strict=True)) / w
            for row, w in zip(rows, white, strict=True)
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG 2 contrast ratio."""
    a, b = (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_every_human_shade_differs_from_every_machine_shade(blindness, theme):
    worst = min(
        math.dist(lab(human, blindness), lab(machine, blindness))
        for human in theme.humans
        for machine in theme.machines
    )
    assert worst > 40  # 2.3 is just noticeable; 40 is another colour


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_on_a_projector_in_a_lit_room_they_still_differ(blindness, theme):
    """Light from the room lies over everything: a quarter of the projector's own white."""

    def washed(colour):
        light = [0.8 * c + 0.2 for c in linear(colour)]
        return tuple(
            round(255 * (1.055 * c ** (1 / 2.4) - 0.055 if c > 0.0031308 else 12.92 * c))
            for c in light
        )

    worst = min(
        math.dist(lab(washed(human), blindness), lab(washed(machine), blindness))
        for human in theme.humans
        for machine in theme.machines
    )
    assert worst > 15


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_contrast_is_enough_to_read(theme):
    for colour in (theme.text, theme.muted, theme.alert, theme.humans[0], theme.machines[0]):
        for ground in (
            (theme.frame, theme.panel)
            if colour in (theme.text, theme.muted)
            else (theme.frame,)
        ):
            assert contrast(colour, ground) >= 4.5, (colour, ground)
    for colour in (theme.alert, theme.record):  # on their buttons
        assert contrast(colour, theme.panel) >= 4.5, colour
    for colour in (*theme.humans, *theme.machines):  # what is drawn is larger than letters
        assert contrast(colour, theme.surface) >= 3, colour


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_each_player_has_a_shade_of_its_side(theme):
    assert (
        len({theme.player_colour(who) for who in ("human", "human2", "human3", "human4")}) == 4
    )
    assert theme.player_colour("human5") == theme.player_colour("human")
    assert theme.player_colour("ai2") == theme.machines[1]
    assert theme.player_colour("human²") in theme.humans  # whatever the name, it has a colour


# Themes, and turned for a table


def test_on_stage_there_is_black_light_and_no_word():
    screen, state = pygame.Surface((1280, 800)), busy()
    state.view.theme, state.forecast = "stage", ()
    state.strokes.visible.clear()
    state.pending_touches.clear()
    picture = Scene()
    assert picture.draw(screen, state, 10.0) == []
    assert screen.get_at((640, 400))[:3] == STAGE.surface == (0, 0, 0)
    assert [hit.action for hit in picture.hit_boxes] == ["theme"]  # the way out, by a finger


def test_in_the_light_strokes_are_ink():
    screen, state = (
        pygame.Surface((640, 400)),
        WindowState(has_played=True, last_message_at=1.0),
    )
    state.view.theme = "light"
    for i in range(30):
        state.strokes.move("ai", 0, i / 29, 0.5, 1 + i * 0.01, own=False)
    Scene().draw(screen, state, 1.4)
    assert away(colour_at(screen, 0.5, 0.5), LIGHT.machines[0]) < 80
    assert colour_at(screen, 0.5, 0.9) == LIGHT.surface


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_what_is_turned_is_touched_where_it_is_seen(quarter_turns):
    size = (900, 600)
    screen, state = pygame.Surface(size), WindowState(has_played=True, last_message_at=1.0)
    state.view.quarter_turns, state.view.theme = quarter_turns, "stage"
    state.strokes.down("human", 1, 0.25, 0.1, 1.0, own=False)
    state.strokes.up("human", 1, 1.0, own=False)
    Scene().draw(screen, state, 1.9)
    seen = pygame.mask.from_threshold(screen, HUMANS[0], (150, 110, 50, 255))
    x, y = seen.connected_component().centroid()
    metrics = Metrics.for_size(rotated_size(size, quarter_turns), has_text=False)
    place = metrics.to_surface(*unrotate(x, y, size, quarter_turns))
    assert place == pytest.approx((0.25, 0.1), abs=0.01)


# Golden pictures


def golden(name: str) -> WindowState:
    """A small jam of no words: a swipe, taps, the machine's line, ghost and light."""
    state = WindowState(has_played=True, last_message_at=1.0, turn="ai")
    state.view.theme = name
    for i in range(40):
        x = 0.1 + i * 0.012
        state.strokes.move(
            "human", 1, x, 0.5 + 0.3 * math.sin(i / 5), 0.2 + i * 0.017, own=False
        )
    state.strokes.up("human", 1, 0.9, own=False)
    for i in range(3):
        state.strokes.down("human2", 1, 0.2 + 0.2 * i, 0.1, 0.5 + 0.2 * i, own=False)
    for i in range(30):
        state.strokes.move("ai", 0, 0.9 - i * 0.01, 0.9 - i * 0.02, 0.6 + i * 0.013, own=False)
    state.pending_touches["ai"] = PendingTouch("ai", 0.75, 0.2, 0.9, 1.2)
    state.forecast, state.forecast_at = (ForecastComponent(1.0, 0.6, 0.3, 0.1, 0.05, 0.5),), 0.5
    return state


@pytest.mark.parametrize("name", THEMES)
def test_it_looks_as_it_did(name):
    """Small, so that no words are in it: fonts differ from system to system.

    To look at what has changed, and to keep it: ROBOJAM_GOLDEN=keep.
    """
    screen, picture = pygame.Surface((200, 150)), Scene()
    for t in (0.7, 0.8, 0.9, 1.0):
        picture.draw(screen, golden(name), t)
    path = Path(__file__).parent / "golden" / f"window_{name}.png"
    if os.environ.get("ROBOJAM_GOLDEN") == "keep":
        path.parent.mkdir(exist_ok=True)
        pygame.image.save(screen, path)
    before = pygame.image.load(path)
    assert before.get_size() == screen.get_size()
    was, now = (pygame.image.tobytes(picture, "RGB") for picture in (before, screen))
    far = [abs(a - b) for a, b in zip(was, now, strict=True)]
    assert sum(far) / len(far) < 1.0  # of 255: edges may be a shade smoother or rougher
    assert sum(one > 48 for one in far) < len(far) / 200


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
@pytest.mark.parametrize("panel", ["", "controls"])
def test_what_is_turned_looks_as_it_does_upright(quarter_turns, panel):
    """It is drawn turned, not turned when it is drawn: all but the words."""
    pictures = []
    for turn in (0, quarter_turns):
        screen = pygame.Surface(rotated_size((640, 400), turn), depth=32)
        state, picture = golden("dark"), Scene()
        state.view.quarter_turns, state.view.panel = turn, panel
        shown = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
        for t in (0.7, 0.8, 0.9, 1.0):
            picture.draw(screen, state, t, panel=shown)
        upright = pygame.transform.rotate(screen, 90 * turn)
        pictures.append(pygame.image.tobytes(upright, "RGB"))
    far = [abs(a - b) for a, b in zip(*pictures, strict=True)]
    assert sum(far) / len(far) < 1.5  # edges fall on other pixels
