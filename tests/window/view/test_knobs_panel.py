"""Panel of the mapped knobs: what it shows, what its dials and buttons send, when it asks."""

from __future__ import annotations

import json
import shutil
import time

import pygame
import pytest
from support.display import display, wait_for, window_program
from support.window import (
    centre_of,
    click,
    connected,
    press_key,
    receive_message,
    report,
    report_status,
    turn_wheel,
)

from robojam.controls import amounts_of
from robojam.window.app import App
from robojam.window.client.link import EngineConnection
from robojam.window.client.mapped_knobs import MappedKnobs, parse_knobs
from robojam.window.client.state import WindowState
from robojam.window.view.knobs_panel import panel_of
from robojam.window.view.scene import Scene
from robojam.wire.osc import decode

CUTOFF = ["cutoff", "cc 43", "y", "machine", 110, 20, 65]
TONE = ["tone", "osc /tone", "x", "human2", 0, 1, None]
ANSWER = json.dumps({"knobs": [CUTOFF, TONE], "scenes": ["calm", "wild"], "left_out": 3})


def opened(app: App) -> WindowState:
    """Open the panel, as if the engine had answered."""
    state = connected(app)
    state.texts["amount"], state.controls["morph"] = "cutoff=0.5", 1.0
    press_key(app, pygame.K_m, "M", pygame.KMOD_SHIFT)
    report(state, time.monotonic(), "/robojam/map/knobs", "s", ANSWER)
    return state


def sent(packets: list[bytes]) -> list[tuple[object, ...]]:
    messages = [decode(packet)[0][0] for packet in packets]
    return [(m.address, *m.args) for m in messages]


def test_key_opens_the_panel_with_a_row_for_each_knob_and_closes_it(app):
    state = opened(app)
    panel = panel_of(state)
    assert panel is not None
    assert [[(c.text, c.value_text) for c in row] for row in panel.rows] == [
        [("cutoff", "cc 43"), ("y", "65"), ("amount", "50 %")],
        [("tone", "osc /tone"), ("x of human2", "–"), ("amount", "100 %")],
        [("and 3 more", "")],
        [("calm", ""), ("wild", "")],
        [("morph", "1.00"), ("close", "")],
    ]
    assert [cell.meter for row in panel.rows[:2] for cell in row] == [
        None, 0.5, None, None, 0.0, None,
    ]  # fmt: skip
    assert [cell.selected for cell in panel.rows[3]] == [False, True]
    press_key(app, pygame.K_m, "M", pygame.KMOD_SHIFT)
    assert panel_of(state) is None


def test_amount_is_dragged_and_turned_by_the_wheel_and_shown_when_the_engine_reports(app):
    state = opened(app)
    _, y = centre_of(app, "amount:tone")
    box = next(b for b in app.scene.hit_boxes if b.action == "amount:tone").box
    app.connection.packets.clear()
    at = (box[0] + round(box[2] * 0.25), round(y))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at))
    for x in (box[0] + box[2] * 2, box[0] + box[2] * 3):  # beyond its end
        app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=(x, y), buttons=(1, 0, 0)))
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=at))
    first, last = sent(app.connection.packets)
    assert first == ("/robojam/map/amount", "tone", pytest.approx(0.25, abs=0.02))
    assert last == ("/robojam/map/amount", "tone", 1.0)
    assert amounts_of(state.text("amount")) == {"cutoff": 0.5}  # not yet reported
    report(state, time.monotonic(), "/robojam/amount", "s", "cutoff=0.5,tone=0.25")
    panel = panel_of(state)
    assert panel is not None
    assert panel.rows[1][2].value_text == "25 %"
    turned = turn_wheel(app, centre_of(app, "amount:cutoff"), -2)
    assert sent(turned) == [("/robojam/map/amount", "cutoff", pytest.approx(0.4))]


def test_button_goes_to_a_scene(app):
    opened(app)
    assert sent(click(app, "scene:calm")) == [("/robojam/scene", "calm")]


def test_amounts_and_scenes_of_a_replay_cannot_be_turned(app):
    state = opened(app)
    state.replaying = True
    panel = panel_of(state)
    assert panel is not None
    actions = [cell.action for row in panel.rows for cell in row if cell.action]
    assert actions == ["map"]


def test_jam_without_mapped_knobs_says_where_they_are_made(app):
    state = opened(app)
    empty = json.dumps({"knobs": [], "scenes": [], "left_out": 0})
    report(state, time.monotonic(), "/robojam/map/knobs", "s", empty)
    panel = panel_of(state)
    assert panel is not None
    assert "[map.out]" in panel.rows[0][0].text


@pytest.mark.parametrize(
    "rows",
    [7, None, [7], [["a"]], [["a\n", "b", "c", "d", 0, 1, 0]], [["", "b", "c", "d", 0, 1, 0]],
     [["a", "b", "c", "d", "0", 1, 0]], [["a", "b", "c", "d", True, 1, 0]],
     [["a" * 41, "b", "c", "d", 0, 1, 0]], [["a", "b", "c", "d", 0, float("inf"), 0]]],
)  # fmt: skip
def test_garbage_is_no_knob(rows):
    told = parse_knobs(json.dumps({"knobs": rows, "scenes": [7, "\n"], "left_out": -1}))
    assert told in (None, MappedKnobs())


def test_hostile_texts_of_a_knob_are_escaped_and_bounded():
    rows = [["a", "\u202e" * 999, {"b": 1}, "c" * 999, 5, 5, 5]] * 999
    told = parse_knobs(json.dumps({"knobs": rows, "scenes": ["s"] * 999, "left_out": 1}))
    assert told is not None
    assert (len(told.knobs), len(told.scenes)) == (64, 32)
    assert all(len(k.target + k.source + k.who) <= 120 for k in told.knobs)
    assert told.knobs[0].target.isprintable()
    assert told.knobs[0].share == 1.0  # of a range without a width


def test_window_asks_for_the_knobs_while_the_panel_is_open_alone(engine):
    link = EngineConnection(engine.getsockname(), wake=lambda: None)
    try:
        asked = []
        for now in range(1000, 1100):
            link.shows_knobs = 1020 <= now < 1040
            due = link.advance(now / 100)
            assert due > now / 100
            if link.shows_knobs:
                assert due <= now / 100 + 0.1
        link.close()
        while not asked or asked[-1] != "/robojam/unsubscribe":
            asked.append(receive_message(engine)[0].address)
        assert asked.count("/robojam/map/knobs") == 2
    finally:
        link.close()


missing = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]


@pytest.mark.peer
@pytest.mark.skipif(bool(missing), reason=f"not here: {', '.join(missing)}")
@pytest.mark.usefixtures("fonts")
def test_window_on_a_real_display_asks_for_the_knobs_and_turns_an_amount():
    state, scene = WindowState(), Scene()
    report_status(state, 1.0, temperature=1.0)
    report(state, 1.0, "/robojam/map/knobs", "s", ANSWER)
    state.view.panel = "map"
    scene.draw(pygame.Surface((640, 400)), state, 1.0, panel=panel_of(state))
    dial = pygame.Rect(next(b for b in scene.hit_boxes if b.knob == "tone").box)
    with (
        display("800x500") as environment,
        window_program(environment, "--size", "640x400") as window,
    ):
        window.focus()
        window.report(temperature=1.0)
        window.keys("shift+m")
        assert window.sent().address == "/robojam/map/knobs"

        def turned() -> bool:
            window.report(temperature=1.0)  # the engine lives
            window.send("/robojam/map/knobs", "s", ANSWER)
            window.click(*dial.center)
            return any(window.sent().address == "/robojam/map/amount" for _ in range(5))

        wait_for(turned)
