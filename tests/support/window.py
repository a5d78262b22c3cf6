"""A window without a display, and hands at it."""

from __future__ import annotations

from pathlib import Path

import pygame
import pytest

from robojam.sessions import session
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    TouchEvent,
    encode_header,
)
from robojam.touch import Phase, Touch
from robojam.window.actions import Actions
from robojam.window.app import App
from robojam.window.client.state import WindowState
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.view.theme import Metrics
from robojam.wire.osc import encode

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


class FakeConnection:
    """Stands where the link is, and keeps the bytes."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def send(self, address: str, tags: str = "", *args: object) -> None:
        self.packets.append(encode(address, tags, *args))

    def advance(self, now: float) -> float:
        return now + 1

    def receive(self) -> list[object]:
        return []


@pytest.fixture
def app():
    pygame.display.init()
    pygame.font.init()
    screen = pygame.display.set_mode((640, 400))
    pygame.event.clear()
    yield App(screen, FakeConnection(), size=(640, 400), name="127.0.0.1:5005")
    pygame.quit()


def press(app: App, key: int, letter: str = "", mod: int = 0) -> list[bytes]:
    before = len(app.connection.packets)
    app.handle_event(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=letter, mod=mod))
    app.handle_event(pygame.event.Event(pygame.KEYUP, key=key, mod=mod))
    return app.connection.packets[before:]


def at(app: App, x: float, y: float) -> tuple[int, int]:
    """Window pixels of a place on the surface."""
    metrics = Metrics.for_size(app.screen.get_size())
    across, down = metrics.from_surface(x, y)
    return round(metrics.surface_box[0] + across), round(metrics.surface_box[1] + down)


def idle(**controls: float) -> Actions:
    """What keys and fingers ask for, without a window."""
    state = WindowState()
    state.controls.update(controls)
    return Actions(state, FakeConnection(), RecordingsPanel(wake=lambda: None))


def recorded(folder: Path, name: str = "2026-11-20T10-00-00.jsonl", version: int = 1) -> Path:
    """A jam: a swipe and a tap, the machine's answer, and another tap."""
    header = Header(
        started="2026-11-20T10:00:00+00:00",
        model=ModelRef("a.safetensors", "0a"),
        device="cpu",
        build="x",
        seed=1,
        options={"mode": "call-response"},
    )
    events = [
        *((i * 0.1, "human", MOVE if i else DOWN, i / 10) for i in range(10)),
        (0.95, "human", UP, 0.9), (1.2, "human", DOWN, 0.2), (1.3, "human", UP, 0.2),
        *((2 + i * 0.1, "ai", MOVE if i else DOWN, 1 - i / 10) for i in range(10)),
        (3.1, "ai", UP, 0.1), (9.0, "human", DOWN, 0.5), (9.1, "human", UP, 0.5),
    ]  # fmt: skip
    lines = [TouchEvent(t, Touch(x, 0.5, 0.1, phase, 0, who)) for t, who, phase, x in events]
    path = folder / name
    head = encode_header(header).replace(b'"robojam":1', b'"robojam":%d' % version)
    path.write_bytes(
        b"".join([head, *map(session.encode, lines), session.encode(EndEvent(10.0, "SIGTERM"))])
    )
    return path
