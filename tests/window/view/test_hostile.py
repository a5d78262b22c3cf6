"""A window draws whatever an engine, or a stranger in its place, has made it believe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pygame
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robojam.controls import CONTROLS
from robojam.window.client.state import WindowState
from robojam.window.view import setup_panel
from robojam.window.view.panels import panel_of
from robojam.window.view.scene import Scene
from robojam.wire.osc import Message, decode, encode

pytestmark = pytest.mark.usefixtures("fonts")

UTC_NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
PANELS = ("", "", "setup", "controls")
SIZES = ((1, 1), (3, 200), (320, 240), (640, 400))

numbers = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0.0, 1.0, -0.0, 5e-324, 1e300, -1e300, 2.0**31, 0.5, 1 - 2**-24]),
)  # fmt: skip
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "\0", "a\0b", "ai", "human", "solo", "A", "\x1b[2J", "\u202e", "x" * 5000]
    ),
)
values = st.one_of(numbers, texts, st.booleans(), st.none())
names = st.sampled_from(
    [
        *("turn", "forecast", "status", "setup", "back", "nothing", "ai/next", "ai4096/down"),
        *(
            f"{who}/{kind}"
            for who in ("ai", "human", "human2")
            for kind in ("down", "move", "up")
        ),
        *CONTROLS,
    ]
)
#: Any JSON, of which some has the keys and places of a status.
anything = st.recursive(
    st.one_of(values, st.just(10**400)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
_REPORTED = (
    *("turn", "turn_left", "recording", "trouble", "fingers", "dropped", "late_ms_p99"),
    *("started", "memories", "sessions", "echo", "midi", "sound", "outputs", "device"),
    *("replaying", "paused", *CONTROLS),
)
statuses = st.fixed_dictionaries({}, optional=dict.fromkeys(_REPORTED, anything))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    name = draw(names)
    if name == "status" and draw(st.integers(0, 3)):
        args: tuple[Any, ...] = (json.dumps(draw(statuses)),)
    elif name == "forecast" and draw(st.booleans()):
        args = tuple(draw(st.lists(numbers, min_size=6, max_size=6)) * draw(st.integers(1, 3)))
    else:
        args = tuple(draw(st.lists(values, max_size=5)))
    tags = "".join("s" if isinstance(arg, str) else "d" for arg in args)
    return Message(f"/robojam/{name}", tags, args)


def forecast(*numbers: float) -> list[Message]:
    return [Message("/robojam/forecast", "d" * len(numbers), numbers)]


@pytest.mark.parametrize("turns", [0, 1])
@settings(max_examples=10, deadline=None)
@given(st.lists(messages(), max_size=6), st.sampled_from(SIZES), st.sampled_from(PANELS))
@example(forecast(1.0, 0.5, 0.5, 1e300, 1e-300, 5.0), (320, 240), "")
@example(forecast(-1e300, 1e300, -1e300, -1.0, 0.0, -1.0), (320, 240), "")
@example(forecast(1.0, 0.5, 0.5, 1e200, 1e200, 1.0), (320, 240), "")
def test_everything_that_is_received_can_be_drawn(turns, received, size, panel):
    state = WindowState(engine_name="127.0.0.1:5005")
    state.view.quarter_turns = turns
    scene, screen, now = Scene(), pygame.Surface(size), 10.0
    try:
        for message in received:
            now += 0.05
            state.handle_message(message, now, UTC_NOW)
            state.advance(now)
        state.view.panel = panel
        shown = setup_panel.panel_of(state, 0) or panel_of(
            state, entries=[], page=0, playback=None, full=False, busy=False
        )
        scene.draw(screen, state, now, panel=shown)
    finally:
        scene.close()


@pytest.mark.parametrize("name", ["turn", "forecast", "status", "setup", "ai/down", *CONTROLS])
def test_packet_with_a_huge_number_or_none_changes_no_control(name):
    state = WindowState()
    for tags, args in (("d", [1e300]), ("d", [float("nan")]), ("h", [2**62]), ("", [])):
        (message,), _ = decode(encode(f"/robojam/{name}", tags, *args))
        state.handle_message(message, 1.0, UTC_NOW)
    assert {n: v for n, v in state.controls.items() if n != "seed"} == {}
