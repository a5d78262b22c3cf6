"""A window without a display, ways to press and touch it, and messages to its state."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pygame
import pytest

from robojam.sessions import session
from robojam.sessions.session import EndEvent, Header, ModelRef, TouchEvent, encode_header
from robojam.touch import Phase, Touch
from robojam.window.actions import Actions
from robojam.window.app import App
from robojam.window.client.state import WindowState
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.frame import frame_text
from robojam.window.view.theme import Metrics
from robojam.wire.osc import Message, decode, encode

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
#: Size of the window, in pixels.
SIZE = (640, 400)
#: Date and time at which messages arrive.
UTC_NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)


class FakeConnection:
    """Connection to the engine that keeps the packets that are sent."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def send(self, address: str, tags: str = "", *args: object) -> None:
        self.packets.append(encode(address, tags, *args))

    def advance(self, now: float) -> float:
        return now + 1

    def receive(self) -> list[object]:
        return []

    def resubscribe(self) -> None:
        pass


@pytest.fixture(scope="module")
def fonts():
    """SDL's dummy driver with its fonts."""
    pygame.display.init()
    pygame.font.init()
    yield
    pygame.quit()


@pytest.fixture
def engine():
    """A UDP socket in the engine's place."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
        engine.bind(("127.0.0.1", 0))
        engine.settimeout(10)
        yield engine


def receive_message(engine: socket.socket) -> tuple[Message, tuple[str, int]]:
    """Return the next message that reaches a socket, and its sender."""
    packet, sender = engine.recvfrom(65536)
    return decode(packet)[0][0], sender


@pytest.fixture
def app():
    """A window on SDL's dummy driver."""
    pygame.display.init()
    pygame.font.init()
    screen = pygame.display.set_mode(SIZE)
    pygame.event.clear()
    window = App(screen, FakeConnection(), name="127.0.0.1:5005", ends="jam")
    yield window
    window.scene.close()
    pygame.quit()


def connected(app: App) -> WindowState:
    """Give the window a state as if an engine had reported everything; return the state."""
    state = app.state
    state.last_message_at, state.turn = time.monotonic() + 100, "human"
    state.texts["mode"] = "call-response"
    state.controls.update(
        temperature=1.0, spread=1.0, timescale=1.0, threshold=0.5, response=5.0
    )
    state.memories, state.has_played = ("A",), True
    return state


def key_event(
    key: int, character: str = "", mod: int = 0, *, scancode: int = 0, up: bool = False
) -> pygame.event.Event:
    """Return the event of a key; without a scancode, of a US keyboard."""
    kind = pygame.KEYUP if up else pygame.KEYDOWN
    return pygame.event.Event(kind, key=key, unicode=character, mod=mod, scancode=scancode)


def press_key(app: App, key: int, character: str = "", mod: int = 0) -> list[bytes]:
    """Press and release a key; return the packets that were sent."""
    before = len(app.connection.packets)
    app.handle_event(key_event(key, character, mod))
    if character.isprintable() and character:
        app.handle_event(pygame.event.Event(pygame.TEXTINPUT, text=character))
    app.handle_event(key_event(key, character, mod, up=True))
    return app.connection.packets[before:]


def press_mouse(app: App, x: float, y: float, *, button: int = 1) -> None:
    """Press a mouse button at a position in screen units."""
    position = surface_pixels(app, x, y)
    app.handle_event(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=button, pos=position))


def surface_pixels(app: App, x: float, y: float) -> tuple[int, int]:
    """Return the window's pixels at a position in screen units."""
    metrics = Metrics.for_size(app.screen.get_size())
    across, down = metrics.from_surface(x, y)
    return round(metrics.surface_box[0] + across), round(metrics.surface_box[1] + down)


def finger_event(
    kind: int, x: float, y: float, finger: int = 1, *, pressure: float = 1.0
) -> pygame.event.Event:
    """Return the event of a finger at a window pixel."""
    place = {"x": x / SIZE[0], "y": y / SIZE[1]}
    return pygame.event.Event(kind, touch_id=1, finger_id=finger, pressure=pressure, **place)


def centre_of(app: App, action: str) -> tuple[float, float]:
    """Draw the window, and return the centre of the uppermost box with an action."""
    app._needs_redraw, app._drawn_at = True, float("-inf")
    app._update(time.monotonic())
    box = next(box for box in reversed(app.scene.hit_boxes) if box.action == action)
    left, top, width, height = box.box
    return left + width / 2, top + height / 2


def turn_wheel(
    app: App, at: tuple[float, float], notches: float, *, flipped: bool = False
) -> list[bytes]:
    """Turn the mouse wheel at a pixel; return the packets that were sent."""
    before = len(app.connection.packets)
    pos = (round(at[0]), round(at[1]))
    app.handle_event(pygame.event.Event(pygame.MOUSEMOTION, pos=pos, buttons=(0, 0, 0)))
    event = pygame.event.Event(
        pygame.MOUSEWHEEL, x=0, y=round(notches), precise_x=0.0, precise_y=notches,
        flipped=flipped,
    )  # fmt: skip
    app.handle_event(event)
    return app.connection.packets[before:]


def click(app: App, action: str) -> list[bytes]:
    """Click the box with an action; return the packets that were sent."""
    before = len(app.connection.packets)
    position = tuple(map(round, centre_of(app, action)))
    for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
        app.handle_event(pygame.event.Event(kind, button=1, pos=position))
    return app.connection.packets[before:]


def idle_actions(**controls: float) -> Actions:
    """Return the actions of a window that is not open, with controls as reported."""
    state = WindowState()
    state.controls.update(controls)
    return Actions(state, FakeConnection(), RecordingsPanel(wake=lambda: None))


def report(state: WindowState, t: float, address: str, tags: str = "", *args: object) -> None:
    """Give the window a message of the engine, encoded and decoded."""
    (message,) = decode(encode(address, tags, *args))[0]
    state.handle_message(message, t, UTC_NOW)


def report_status(state: WindowState, t: float, **fields: object) -> None:
    """Give the window a status of the engine."""
    state.handle_message(Message("/robojam/status", "s", (json.dumps(fields),)), t, UTC_NOW)


def shown_text(state: WindowState, t: float) -> str:
    """Return all texts of the frame in one line."""
    frame = frame_text(state, t)
    labels = [label for row in (*frame.top, *frame.bottom) for label in row]
    texts = [run.text for label in labels for run in label.runs]
    return " | ".join([*texts, *(notice.text for notice in frame.notices)])


def write_recording(
    folder: Path, name: str = "2026-11-20T10-00-00.jsonl", version: int = 1
) -> Path:
    """Write a recorded jam: a swipe and a tap, the machine's answer, and another tap."""
    header = Header(
        started="2026-11-20T10:00:00+00:00", model=ModelRef("a.safetensors", "0a"),
        device="cpu", build="x", seed=1, options={"mode": "call-response"},
    )  # fmt: skip
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


def open_playback(folder: Path) -> RecordingPlayback:
    """Write the recorded jam, and return its playback."""
    return RecordingPlayback(session.read(write_recording(folder)), "a jam")
