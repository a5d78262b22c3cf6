"""Drawing under SDL's dummy driver: positions, colours, and text that fits."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path

import pygame
import pytest

from robojam.touch import Phase
from robojam.window.client.setup import parse_setup
from robojam.window.client.state import (
    ForecastComponent,
    PendingTouch,
    RecalledStroke,
    WindowState,
)
from robojam.window.view import setup_panel
from robojam.window.view.panels import panel_of
from robojam.window.view.scene import Scene
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


pytestmark = pytest.mark.usefixtures("fonts")


def busy_state(now: float = 10.0) -> WindowState:
    """Return a state in which everything is shown at the same time."""
    state = WindowState(engine_name="127.0.0.1:5005", last_message_at=now, turn="ai")
    state.texts.update(mode="call-response", model="models/a.safetensors", device="cuda")
    state.controls.update(temperature=0.95, spread=1.05, timescale=1.0, pause=0.0)
    state.recording, state.recording_since = "sessions/2026-11-20T10-00-00.jsonl", now - 4000
    state.problems = ("recording stopped: disk full (/home/somebody/a/long/path/of/sessions)",
                     "the MIDI port is gone", "x" * 300)  # fmt: skip
    state.restarted_at = now
    state.notify("silence until the next touch", now)
    state.late_ms, state.recently_dropped, state.dropped_at = 23.0, 1234, now
    state.forecast, state.forecast_at = (ForecastComponent(1.0, 0.5, 0.5, 0.1, 0.2, 0.9),), now
    state.memories = ("A", "B")
    midi = {"in": [{"wanted": "Keys", "connected": False}], "out": []}
    state.ports.update({"midi": midi, "sound": {"state": "no sound: no device"}}, now)
    state.pending_touches["ai"] = PendingTouch("ai", 0.9, 0.1, now, now + 0.3)
    for who in ("human", "human2", "ai", "ai2"):
        for i in range(30):
            state.strokes.move(who, 1, i / 29, 0.3, now - 0.5 + i * 0.01, own=False)
    return state


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["", "help", "dials", "controls", "sessions"])
@pytest.mark.parametrize("quarter_turns", [0, 1])
def test_texts_stay_inside_the_window_and_do_not_overlap(size, name, quarter_turns):
    screen = pygame.Surface(size)
    state = busy_state()
    state.view.panel, state.view.quarter_turns = name, quarter_turns
    if name == "dials":
        state.view.panel, state.view.help_page = "help", 1
    size = rotated_size(size, quarter_turns)
    if name:  # all the notices would leave no room for a panel
        state.problems, state.notice, state.restarted_at = (), "", -9.0
        state.ports.update({}, 10.0)
    panel = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
    written = Scene().draw(screen, state, 10.0, panel=panel)
    for rect in written:
        assert pygame.Rect(0, 0, *size).contains(rect)
    for box, other in itertools.combinations(written, 2):
        assert not box.colliderect(other)
    assert bool(written) == (size[0] >= 240 and size[1] >= 180)


@pytest.mark.parametrize("size", SIZES)
def test_texts_before_the_engine_and_after_its_loss_fit(size):
    for state, now in ((WindowState(engine_name="a-rather-long-host-name.local:5005"), 1.0),
                       (WindowState(engine_name="a-rather-long-host-name.local:5005"), 60.0),
                       (WindowState(last_message_at=0.0), 60.0)):  # fmt: skip
        screen = pygame.Surface(size)
        written = Scene().draw(screen, state, now)
        assert all(screen.get_rect().contains(rect) for rect in written)
        assert not any(a.colliderect(b) for a, b in itertools.combinations(written, 2))


def colour_at(screen: pygame.Surface, x: float, y: float) -> tuple[int, int, int]:
    """Return the colour at a position in screen units."""
    metrics = Metrics.for_size(screen.get_size())
    across, down = metrics.from_surface(x, y)
    left, top, _, _ = metrics.surface_box
    r, g, b, _ = screen.get_at((round(left + across), round(top + down)))
    return r, g, b


def test_touches_appear_at_their_positions_in_their_players_colours():
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
        assert math.dist(colour_at(screen, x, y), colour) < 80
    assert math.dist(colour_at(screen, 0.5, 0.4), DARK.surface) < 5


def test_human_finger_is_a_disc_and_machine_finger_a_diamond():
    size = 3840, 2160
    screen = pygame.Surface(size)
    state = WindowState(has_played=True)
    state.strokes.down("human", 1, 0.25, 0.5, 1.0, own=False)
    state.strokes.down("ai", 0, 0.75, 0.5, 1.0, own=False)
    Scene().draw(screen, state, 3.0)  # the rings have opened and gone
    radius = Metrics.for_size(size).finger_radius
    _, _, width, height = Metrics.for_size(size).surface_box
    dx, dy = 0.68 * radius / width, 0.68 * radius / height  # on a disc, beyond a diamond
    assert math.dist(colour_at(screen, 0.25 + dx, 0.5 + dy), HUMANS[0]) < 40
    assert math.dist(colour_at(screen, 0.75 + dx, 0.5 + dy), MACHINES[0]) > 100
    tip = 1.15 * radius / width  # on a diamond, beyond a disc
    assert math.dist(colour_at(screen, 0.25 + tip, 0.5), HUMANS[0]) > 100
    assert math.dist(colour_at(screen, 0.75 + tip, 0.5), MACHINES[0]) < 60


def test_edge_has_the_colour_of_the_turn():
    for turn, colour in (("human", HUMANS[0]), ("ai", MACHINES[0]), ("", DARK.edge)):
        screen = pygame.Surface((1280, 800))
        Scene().draw(screen, WindowState(turn=turn, last_message_at=1.0), 1.0)
        left, top, _, height = Metrics.for_size((1280, 800)).surface_box
        assert screen.get_at((left - 1, top + height // 2))[:3] == colour


def test_strokes_fade_to_nothing_and_the_scene_comes_to_rest():
    screen, scene = pygame.Surface((640, 400)), Scene()
    empty = pygame.Surface((640, 400))
    Scene().draw(empty, WindowState(has_played=True), 60.0)
    state = busy_state(10.0)
    scene.draw(screen, state, 10.0)
    assert scene.is_animating(state, 10.1)
    later = WindowState(
        strokes=state.strokes, forecast=state.forecast, forecast_at=10.0, has_played=True
    )
    for who in ("human", "human2", "ai", "ai2"):
        later.strokes.up(who, 1, 10.1, own=False)
    for t in (11.0, 13.5, 16.0, 60.0):
        later.advance(t)
        scene.draw(screen, later, t)
    assert not scene.is_animating(later, 60.0)
    assert pygame.image.tobytes(screen, "RGB") == pygame.image.tobytes(empty, "RGB")


def test_forecast_glows_at_its_mean_and_can_be_turned_off():
    state = WindowState(has_played=True, last_message_at=1.0)
    state.forecast = (ForecastComponent(1.0, 0.3, 0.7, 0.05, 0.05, 0.0),)
    state.forecast_at = 1.0
    screen, scene = pygame.Surface((1280, 800)), Scene()
    scene.draw(screen, state, 1.0)
    scene.draw(screen, state, 1.5)
    assert math.dist(colour_at(screen, 0.3, 0.7), DARK.surface) > 40
    assert math.dist(colour_at(screen, 0.8, 0.2), DARK.surface) < 3
    state.view.show_forecast = False
    for t in (1.6, 2.0, 4.0):
        scene.draw(screen, state, t)
    assert colour_at(screen, 0.3, 0.7) == DARK.surface


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_stroke_that_comes_back_is_seen_where_it_was_played_and_fades(theme):
    scene, screen, state = Scene(), pygame.Surface((800, 600), depth=32), WindowState()
    state.view.theme = theme
    path = (0.25, 0.25), (0.5, 0.5), (0.75, 0.25)
    state.recalled = (RecalledStroke("human", path, 60, 10),)

    def contrasts(now: float) -> list[int]:
        state.advance(now)
        scene.draw(screen, state, now)
        blank = colour_at(screen, 0.5, 0.9)
        return [
            sum(abs(a - b) for a, b in zip(colour_at(screen, x, y), blank, strict=True))
            for x, y in path
        ]

    first, _, last = contrasts(10.2)
    assert first > 0 == last  # the path lights up from its beginning
    assert min(contrasts(11.0)) > max(contrasts(13.5)) > 0
    assert max(contrasts(20.0)) == 0


def test_stage_theme_is_black_with_one_mark_and_two_buttons():
    screen, state = pygame.Surface((1280, 800)), busy_state()
    state.view.theme, state.forecast = "stage", ()
    state.strokes.visible.clear()
    state.pending_touches.clear()
    scene = Scene()
    assert scene.draw(screen, state, 10.0) == []
    assert screen.get_at((640, 400))[:3] == STAGE.surface == (0, 0, 0)
    assert [box.action for box in scene.hit_boxes] == ["help", "theme"]
    assert len(pygame.mask.from_threshold(screen, STAGE.alert, (90, 90, 90)).outline()) > 4
    state.problems = ()
    state.ports.update({}, 10.0)
    scene.draw(screen, state, 10.0)  # nothing is wrong: the mark is faint
    assert not pygame.mask.from_threshold(screen, STAGE.alert, (90, 90, 90)).outline()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [(320, 240), (640, 400), (1280, 800), (800, 1280)])
def test_help_button_is_in_every_theme_and_leads_to_all_controls(theme, size):
    state, scene = busy_state(), Scene()
    state.view.theme = theme
    state.problems, state.notice, state.restarted_at = (), "", -9.0
    state.ports.update({}, 10.0)
    screen = pygame.Surface(size)
    scene.draw(screen, state, 10.0)
    assert "help" in {box.action for box in scene.hit_boxes}
    state.view.panel = "help"
    panel = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
    scene.draw(screen, state, 10.0, panel=panel)
    assert {"controls", "sessions", "close"} <= {box.action for box in scene.hit_boxes}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [(320, 240), (400, 860), (640, 400)])
@pytest.mark.parametrize("name", ["controls", "help", "setup", "setup:midi-in"])
def test_every_button_of_a_panel_is_within_reach_in_small_windows(theme, size, name):
    state, scene, screen = WindowState(), Scene(), pygame.Surface(size, depth=32)
    state.view.theme, state.view.panel = theme, name
    chosen = {"midi-in": ["gone"], "voices": 2}
    available = {"midi-in": [f"port {n} {'x' * 110}" for n in range(20)]}
    state.setup = parse_setup(json.dumps({"chosen": chosen, "available": available}))
    panel = setup_panel.panel_of(state, 1) or panel_of(
        state, entries=(), page=0, playback=None, full=False, busy=False
    )
    wanted = {cell.action for row in panel.rows for cell in row if cell.action}
    reached = set()
    for state.view.panel_part in range(len(panel.rows)):
        scene.draw(screen, state, 1.0, panel=panel)
        boxes = [box for box in scene.hit_boxes if box.box[2] > 0 and box.box[3] > 0]
        reached |= {box.action for box in boxes}
        assert "close" in reached or "setup" in reached
    assert wanted <= reached


def test_stage_theme_asks_before_it_ends():
    state, screen = WindowState(ends="jam", last_message_at=9.0), pygame.Surface((640, 400))
    state.view.theme = "stage"
    state.notify("not asked for", 10.0)
    assert Scene().draw(screen, state, 10.0) == []
    state.confirm_quit(10.0)
    assert len(Scene().draw(screen, state, 10.5)) == 1


def test_text_is_scaled_with_the_display():
    sizes = [Metrics.for_size((1280, 800), scale=scale).text for scale in (1.0, 2.0, 3.0)]
    assert sizes == [21, 26, 26]
    assert Metrics.for_size((3840, 2160), scale=2.0).text == 57


def test_strokes_in_the_light_theme_are_dark():
    screen = pygame.Surface((640, 400))
    state = WindowState(has_played=True, last_message_at=1.0)
    state.view.theme = "light"
    for i in range(30):
        state.strokes.move("ai", 0, i / 29, 0.5, 1 + i * 0.01, own=False)
    Scene().draw(screen, state, 1.4)
    assert math.dist(colour_at(screen, 0.5, 0.5), LIGHT.machines[0]) < 80
    assert colour_at(screen, 0.5, 0.9) == LIGHT.surface


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_touch_in_a_rotated_window_is_seen_where_it_is_played(quarter_turns):
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


def golden_state(name: str) -> WindowState:
    """Return a jam with a slide, taps, a machine's line, a pending touch and a forecast."""
    state = WindowState(has_played=True, last_message_at=1.0, turn="ai")
    state.view.theme = name
    for i in range(40):
        x = 0.1 + i * 0.012
        y = 0.5 + 0.3 * math.sin(i / 5)
        state.strokes.move("human", 1, x, y, 0.2 + i * 0.017, own=False)
    state.strokes.up("human", 1, 0.9, own=False)
    for i in range(3):
        state.strokes.down("human2", 1, 0.2 + 0.2 * i, 0.1, 0.5 + 0.2 * i, own=False)
    for i in range(30):
        state.strokes.move("ai", 0, 0.9 - i * 0.01, 0.9 - i * 0.02, 0.6 + i * 0.013, own=False)
    state.pending_touches["ai"] = PendingTouch("ai", 0.75, 0.2, 0.9, 1.2)
    state.forecast, state.forecast_at = (ForecastComponent(1.0, 0.6, 0.3, 0.1, 0.05, 0.5),), 0.5
    return state


@pytest.mark.parametrize("name", THEMES)
def test_scene_equals_its_golden_image(name):
    """The image is too small for text, because fonts differ from system to system.

    ROBOJAM_GOLDEN=keep in the environment writes new golden images.
    """
    screen, scene = pygame.Surface((200, 150)), Scene()
    for t in (0.7, 0.8, 0.9, 1.0):
        scene.draw(screen, golden_state(name), t)
    path = Path(__file__).parent / "golden" / f"window_{name}.png"
    if os.environ.get("ROBOJAM_GOLDEN") == "keep":
        path.parent.mkdir(exist_ok=True)
        pygame.image.save(screen, path)
    golden = pygame.image.load(path)
    assert golden.get_size() == screen.get_size()
    expected, drawn = (pygame.image.tobytes(image, "RGB") for image in (golden, screen))
    differences = [abs(a - b) for a, b in zip(expected, drawn, strict=True)]
    # of 255: versions of SDL draw edges differently
    assert sum(differences) / len(differences) < 1.0
    assert sum(difference > 48 for difference in differences) < len(differences) / 200


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
@pytest.mark.parametrize("panel", ["", "controls"])
def test_rotated_scene_equals_the_upright_one(quarter_turns, panel):
    """The scene, except its text, is drawn at rotated places instead of being rotated after."""
    pictures = []
    for turn in (0, quarter_turns):
        screen = pygame.Surface(rotated_size((640, 400), turn), depth=32)
        state, scene = golden_state("dark"), Scene()
        state.view.quarter_turns, state.view.panel = turn, panel
        shown = panel_of(state, entries=(), page=0, playback=None, full=False, busy=False)
        for t in (0.7, 0.8, 0.9, 1.0):
            scene.draw(screen, state, t, panel=shown)
        upright = pygame.transform.rotate(screen, 90 * turn)
        pictures.append(pygame.image.tobytes(upright, "RGB"))
    differences = [abs(a - b) for a, b in zip(*pictures, strict=True)]
    assert sum(differences) / len(differences) < 1.5  # edges fall on other pixels
