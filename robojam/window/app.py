"""The window's loop: events in, messages out, and a picture whenever there is a new one.

It waits for events (SDL wakes it, and so does a packet); nothing is polled. A
touch is sent the moment its event is read, each move on its own, and drawn with
the next frame.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pygame

from robojam.touch import Phase
from robojam.window import NO_DISPLAY, theme
from robojam.window.draw import Picture
from robojam.window.fingers import MOUSE, Fingers, Played
from robojam.window.frame import Words, words
from robojam.window.keys import REPEATING, Keys, command
from robojam.window.link import Link
from robojam.window.sprites import LEVELS, Sprites
from robojam.window.state import Engine, State
from robojam.window.theme import Metrics

#: Time between frames while something moves, in seconds.
FRAME = 1 / 60
#: The longest wait while nothing moves, in seconds: clocks and the status go on.
REST = 0.25
#: A held key repeats after, and then every so many milliseconds.
REPEAT_AFTER, REPEAT_EVERY = 350, 60
_PACKET = pygame.event.custom_type()
_EXPOSED = frozenset(
    [pygame.VIDEORESIZE, pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED, pygame.WINDOWRESTORED,
     pygame.WINDOWSHOWN]
)  # fmt: skip


def open_window(*, engine: tuple[str, int], size: tuple[int, int], fullscreen: bool) -> int:
    """See ``robojam.window.run``."""
    asked = os.environ.get("SDL_VIDEODRIVER", "")
    _prepare()
    try:
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen") and not asked:
            raise pygame.error("no video device")
        pygame.font.init()
        screen = _show(size, fullscreen=fullscreen)
    except pygame.error as error:
        pygame.quit()
        print(f"robojam: there is no display to open a window on ({error})", file=sys.stderr)
        return NO_DISPLAY
    try:
        link = Link(engine, wake=_wake)
    except OSError as error:
        pygame.quit()
        print(f"robojam: {engine[0]}: no such host ({error.strerror})", file=sys.stderr)
        return 2
    try:
        App(screen, link, size=size, name=f"{engine[0]}:{engine[1]}").stay()
    finally:
        link.close()
        pygame.quit()
    return 0


def _prepare() -> None:
    """Tell SDL, before it starts, how it is used here."""
    os.environ["SDL_TOUCH_MOUSE_EVENTS"] = "0"  # a finger is not the mouse too,
    os.environ["SDL_MOUSE_TOUCH_EVENTS"] = "0"  # nor the mouse a finger
    if not sys.platform.startswith("linux"):
        return
    # pixels straight to the screen: by way of OpenGL without a GPU a frame costs 6 ms more
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    if not any(os.environ.get(name) for name in desktop):
        # only the bare console is left; looking for a desktop would print errors
        os.environ.setdefault("SDL_VIDEODRIVER", "kmsdrm")


def _show(size: tuple[int, int], *, fullscreen: bool) -> pygame.Surface:
    pygame.display.set_caption("robojam")
    pygame.display.set_icon(_emblem())
    if fullscreen:
        return pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
    return pygame.display.set_mode(size, pygame.RESIZABLE)


def _emblem() -> pygame.Surface:
    """The two players: a disc and a diamond."""
    picture, sprites = pygame.Surface((64, 64), depth=32), Sprites()
    picture.fill(theme.SURFACE)
    disc = sprites.disc(theme.HUMANS[0], 14, LEVELS)
    diamond = sprites.diamond(theme.MACHINES[0], 13, LEVELS)
    for shape, at in ((disc, (22, 40)), (diamond, (42, 23))):
        picture.blit(shape, shape.get_rect(center=at))
    return picture


def _wake() -> None:
    """Called on the link's thread: the loop has something to read."""
    with suppress(pygame.error):  # full, so the loop is awake; or the window is closing
        pygame.event.post(pygame.event.Event(_PACKET))


class App:
    """The open window."""

    def __init__(
        self, screen: pygame.Surface, link: Link, *, size: tuple[int, int], name: str
    ) -> None:
        self.screen = screen
        self.link = link
        self.state = State(engine_name=name, opened=time.monotonic())
        self.fingers = Fingers()
        self.keys = Keys()
        self.picture = Picture()
        self.open = True
        self._size = size
        self._held_keys: set[int] = set()
        self._stale = True
        self._shown: Words | None = None
        self._drawn = float("-inf")
        self._known = (False, float("-inf"))

    def stay(self) -> None:
        """Run until the window is closed; SIGINT and SIGTERM close it."""
        before = _on_signals(self._close)
        pygame.key.set_repeat(REPEAT_AFTER, REPEAT_EVERY)
        try:
            while self.open:
                self.turn()
        finally:
            self._play(self.fingers.lift_all())
            for number, handler in before.items():
                signal.signal(number, handler)

    def turn(self) -> None:
        """Once round: draw if there is something new, wait, take what came."""
        now = time.monotonic()
        due = self.link.tick(now)
        self.state.pass_time(now)
        moving = self.picture.restless(self.state, now)
        said = words(self.state, now)
        if self._stale or moving or said != self._shown:
            if now - self._drawn >= FRAME * 0.95:
                self.picture.draw(self.screen, self.state, now)
                pygame.display.flip()
                self._drawn, self._stale, self._shown = now, False, said
            due = min(due, self._drawn + FRAME)
        wait = min(REST, due - time.monotonic())
        first = pygame.event.wait(max(1, round(wait * 1000)))
        for event in (first, *pygame.event.get()):
            self.take(event)
        self._receive()

    def _receive(self) -> None:
        utc = datetime.now(UTC)
        for t, message in self.link.received():
            self.state.heard(message, t, utc)
            self._stale = self._stale or message.address != "/robojam/status"
        there = self.state.engine(time.monotonic()) is Engine.THERE
        known = there, self.state.restarted
        if there and known != self._known:
            self.link.resubscribe()
        self._known = known

    def take(self, event: pygame.event.Event) -> None:
        """Take one event: a touch is sent now, a key does what it does."""
        kind = event.type
        if kind == pygame.QUIT:
            self.open = False
        elif kind == pygame.WINDOWFOCUSLOST:
            self._held_keys.clear()
            self._play(self.fingers.lift_all())
        elif kind == pygame.KEYDOWN:
            self._key(event)
        elif kind == pygame.KEYUP:
            self._held_keys.discard(event.key)
        elif kind in _EXPOSED:
            self._stale = True
            self.screen = pygame.display.get_surface() or self.screen
        elif kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP) and event.button == 1:
            self._point(MOUSE, kind == pygame.MOUSEBUTTONDOWN, event.pos)
        elif kind == pygame.MOUSEMOTION:
            self._slide(MOUSE, event.pos)
        elif sys.platform != "darwin":  # there, fingers are those on the track pad
            self._finger(event)

    def _finger(self, event: pygame.event.Event) -> None:
        if event.type not in (pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERUP):
            return
        width, height = self.screen.get_size()
        at = event.x * width, event.y * height
        pointer = (event.touch_id, event.finger_id)
        if event.type == pygame.FINGERMOTION:
            self._slide(pointer, at)
        else:
            self._point(pointer, event.type == pygame.FINGERDOWN, at)

    def _point(self, pointer: object, down: bool, at: tuple[float, float]) -> None:  # noqa: FBT001
        metrics = Metrics.of(self.screen.get_size())
        if not down:
            self._play([*self.fingers.move(pointer, *metrics.to_surface(*at)),
                        *self.fingers.up(pointer)])  # fmt: skip
        elif metrics.inside(*at):
            self._play(self.fingers.down(pointer, *metrics.to_surface(*at)))

    def _slide(self, pointer: object, at: tuple[float, float]) -> None:
        metrics = Metrics.of(self.screen.get_size())
        self._play(self.fingers.move(pointer, *metrics.to_surface(*at)))

    def _play(self, played: list[Played]) -> None:
        for phase, finger, x, y in played:
            if phase is Phase.UP:
                self.link.send("/robojam/up", "i", finger)
            else:
                self.link.send(f"/robojam/{phase.value}", "iff", finger, x, y)
            self.state.touch(phase, finger, x, y, time.monotonic())
            self._stale = True

    def _key(self, event: pygame.event.Event) -> None:
        name = command(event.key, event.unicode, event.mod)
        again = event.key in self._held_keys
        self._held_keys.add(event.key)
        if again and name not in REPEATING:
            return
        self._stale = True
        state = self.state
        if name == "quit":
            self.open = False
        elif name == "help":
            state.help_shown = not state.help_shown
        elif name == "forecast":
            state.forecast_shown = not state.forecast_shown
        elif name == "fullscreen" or (name == "panic" and self._is_full()):
            self._fullscreen()
        for address, tags, args in self.keys.messages(name, state, time.monotonic()):
            self.link.send(address, tags, *args)

    def _is_full(self) -> bool:
        return bool(self.screen.get_flags() & pygame.FULLSCREEN)

    def _fullscreen(self) -> None:
        self._play(self.fingers.lift_all())
        full = self._is_full()
        if not full:
            self._size = self.screen.get_size()
        try:
            self.screen = _show(self._size, fullscreen=not full)
        except pygame.error as error:
            self.state.say(f"no full screen here ({error})", time.monotonic())

    def _close(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.open = False


def _on_signals(close: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let signals close the window; return what was in force before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = (signal.SIGINT, signal.SIGTERM)
    return {number: signal.signal(number, close) for number in numbers}
