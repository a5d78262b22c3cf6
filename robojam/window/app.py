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
from robojam.window import NO_DISPLAY
from robojam.window.actions import Actions
from robojam.window.client.link import EngineConnection
from robojam.window.client.state import EngineState, WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.fingers import MOST, MOUSE, FingerInput, Played
from robojam.window.input.keyboard import Keyboard, place
from robojam.window.input.keys import command, repeats
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.preview import PreviewPlayer
from robojam.window.view.display import prepare, show
from robojam.window.view.frame import Words, words
from robojam.window.view.panels import Panel, panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.theme import THEMES, Metrics, turned, unturn
from robojam.window.view.widgets import Hit

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


def open_window(
    *, engine: tuple[str, int], size: tuple[int, int], fullscreen: bool, theme: str, turn: int
) -> int:
    """See ``robojam.window.run``."""
    asked = os.environ.get("SDL_VIDEODRIVER", "")
    prepare()
    try:
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen") and not asked:
            raise pygame.error("no video device")
        pygame.font.init()
        screen = show(size, fullscreen=fullscreen)
    except pygame.error as error:
        pygame.quit()
        print(f"robojam: there is no display to open a window on ({error})", file=sys.stderr)
        return NO_DISPLAY
    try:
        link = EngineConnection(engine, wake=_wake)
    except OSError as error:
        pygame.quit()
        print(f"robojam: {engine[0]}: no such host ({error.strerror})", file=sys.stderr)
        return 2
    try:
        app = App(screen, link, size=size, name=f"{engine[0]}:{engine[1]}")
        app.state.view.theme, app.state.view.quarters = theme, turn // 90 % 4
        app.stay()
    finally:
        link.close()
        pygame.quit()
    return 0


def _wake() -> None:
    """Called on the link's thread: the loop has something to read."""
    with suppress(pygame.error):  # full, so the loop is awake; or the window is closing
        pygame.event.post(pygame.event.Event(_PACKET))


class App:
    """The open window."""

    def __init__(
        self,
        screen: pygame.Surface,
        link: EngineConnection,
        *,
        size: tuple[int, int],
        name: str,
    ) -> None:
        self.screen = screen
        self.link = link
        self.state = WindowState(engine_name=name, opened=time.monotonic())
        self.fingers = FingerInput()
        self.keyboard = Keyboard()
        self.picture = Scene()
        self.shelf = RecordingsPanel(wake=_wake)
        self.deeds = Actions(self.state, link, self.shelf)
        self.audition = PreviewPlayer(link)
        self.open = True
        self._size = size
        self._held_keys: set[int] = set()
        self._pressed: dict[object, tuple[Hit, float, float]] = {}
        self._stale = True
        self._shown: tuple[Words, Panel | None] | None = None
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
            self._lift_all()
            self.audition.follow(None, time.monotonic())
            for number, handler in before.items():
                signal.signal(number, handler)

    def turn(self) -> None:
        """Once round: take what came, draw if there is something new, wait."""
        for event in pygame.event.get():
            self.take(event)
        self._receive()
        now = time.monotonic()
        due = min(self.link.tick(now), self.deeds.send_due(now))
        self.state.pass_time(now)
        due = min(due, self._show(now))
        wait = min(REST, due - time.monotonic())
        self.take(pygame.event.wait(max(1, round(wait * 1000))))

    def _show(self, now: float) -> float:
        """Draw if there is something new; return when to look again."""
        rerun = self.deeds.rerun
        if rerun is not None:
            rerun.advance(now)
        if self.audition.follow(rerun, now):
            self.state.connections.use("sound", now)
        if self.keyboard.walks:
            self._play(self.keyboard.slide(self.fingers, now))
        panel = panel_of(
            self.state, entries=self.shelf.entries, page=self.deeds.page, rerun=rerun,
            full=self._is_full(), busy=self.shelf.busy,
        )  # fmt: skip
        said = words(self.state, now)
        moving = self.picture.restless(self.state, now) or self.keyboard.walks
        moving = moving or (rerun is not None and rerun.playing)
        if not (self._stale or moving or (said, panel) != self._shown):
            return now + REST
        if now - self._drawn >= FRAME * 0.95:
            self.picture.draw(self.screen, self.state, now, panel=panel, rerun=rerun, said=said)
            pygame.display.flip()
            self._drawn, self._stale, self._shown = now, False, (said, panel)
        return self._drawn + FRAME

    def _receive(self) -> None:
        utc = datetime.now(UTC)
        for t, message in self.link.received():
            self.state.heard(message, t, utc)
            if message.address == "/robojam/panic":
                self.deeds.hold()
            self._stale = self._stale or message.address != "/robojam/status"
        while self.shelf.said:
            self.state.say(self.shelf.said.pop(0), time.monotonic())
        there = self.state.engine(time.monotonic()) is EngineState.THERE
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
            self._lift_all()
        elif kind == pygame.KEYDOWN:
            self._key(event)
        elif kind == pygame.KEYUP:
            self._held_keys.discard(event.key)
            self._play(self.keyboard.up(getattr(event, "scancode", 0), self.fingers))
        elif kind in _EXPOSED:
            self._stale = True
            self.picture.forget()
            self.screen = pygame.display.get_surface() or self.screen
        elif kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP, pygame.MOUSEMOTION):
            self._mouse(event)
        elif sys.platform != "darwin":  # there, fingers are those on the track pad
            self._finger(event)

    # -- hands -------------------------------------------------------------------------------

    def _mouse(self, event: pygame.event.Event) -> None:
        """A mouse, or a pen; not a finger that comes as a mouse too."""
        if getattr(event, "touch", False):
            return
        at = self._unturned(*event.pos)
        if event.type == pygame.MOUSEMOTION:
            self._slide(MOUSE, at)
        elif event.button == 1:
            if event.type == pygame.MOUSEBUTTONDOWN:
                self._land(MOUSE, at)
            else:
                self._lift(MOUSE, at)

    def _finger(self, event: pygame.event.Event) -> None:
        if event.type not in (pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERUP):
            return
        width, height = self.screen.get_size()
        at = self._unturned(event.x * width, event.y * height)
        pointer = (event.touch_id, event.finger_id)
        does = {
            pygame.FINGERDOWN: self._land,
            pygame.FINGERMOTION: self._slide,
            pygame.FINGERUP: self._lift,
        }
        does[event.type](pointer, at)

    def _unturned(self, x: float, y: float) -> tuple[float, float]:
        return unturn(x, y, self.screen.get_size(), self.state.view.quarters)

    def _metrics(self) -> Metrics:
        size = turned(self.screen.get_size(), self.state.view.quarters)
        return Metrics.of(size, words=THEMES[self.state.view.theme].words)

    def _land(self, pointer: object, at: tuple[float, float]) -> None:
        hit = next((h for h in reversed(self.picture.hits) if h.has(*at)), None)
        if hit is not None:
            self._press(pointer, hit, at[0])
        elif self._metrics().inside(*at):
            if len(self.fingers.held) >= MOST and pointer != MOUSE:
                self.state.say(
                    f"{MOST} fingers play at once; the others wait", time.monotonic()
                )
            self._play(self.fingers.down(pointer, *self._metrics().to_surface(*at)))

    def _slide(self, pointer: object, at: tuple[float, float]) -> None:
        if pointer in self._pressed:
            self._drag(pointer, at[0])
        elif pointer in self.fingers.held:
            self._play(self.fingers.move(pointer, *self._metrics().to_surface(*at)))

    def _lift(self, pointer: object, at: tuple[float, float]) -> None:
        pressed = self._pressed.pop(pointer, None)
        if pressed is None:
            self._slide(pointer, at)
            self._play(self.fingers.up(pointer))
            return
        hit = pressed[0]
        self.state.view.grabbed = ""
        self._stale = True
        if (
            hit.action
            and not hit.exact
            and not hit.action.startswith("slide:")
            and hit.has(*at)
        ):
            self._do(hit.action)

    def _press(self, pointer: object, hit: Hit, x: float) -> None:
        """A finger is on the frame: a control is turned; anything else waits for the lift."""
        self._stale = True
        if hit.action == "panic":
            self._do("panic")  # at once
            return
        name = hit.action.removeprefix("slide:")
        share = hit.share(x)
        if hit.action.startswith("slide:"):
            self.state.view.grabbed = name
            if not hit.exact:
                value = self.state.controls.get(name)
                share = 0.0 if value is None else DIALS[name].share(value)
        self._pressed[pointer] = (hit, x, share)
        if hit.exact:
            self._drag(pointer, x)

    def _drag(self, pointer: object, x: float) -> None:
        hit, began, share = self._pressed[pointer]
        share += (x - began) / hit.span
        self._stale = True
        if hit.action == "scrub":
            self.deeds.scrub_to(share)
        elif hit.action.startswith("slide:"):
            name = hit.action.removeprefix("slide:")
            if name in self.state.controls and (hit.exact or abs(x - began) > 2):
                self.deeds.turn_dial(name, share, time.monotonic())

    def _lift_all(self) -> None:
        self._pressed.clear()
        self.state.view.grabbed = ""
        self.keyboard.held.clear()
        self._play(self.fingers.lift_all())

    def _play(self, played: list[Played]) -> None:
        for phase, finger, x, y in played:
            if phase is Phase.UP:
                self.link.send("/robojam/up", "i", finger)
            else:
                self.link.send(f"/robojam/{phase.value}", "iff", finger, x, y)
            self.state.touch(phase, finger, x, y, time.monotonic())
            self._stale = True

    # -- keys --------------------------------------------------------------------------------

    def _key(self, event: pygame.event.Event) -> None:
        again = event.key in self._held_keys
        self._held_keys.add(event.key)
        self._stale = True
        now, view = time.monotonic(), self.state.view
        if view.typing is not None:
            self.deeds.type(
                event.unicode, now, cancel=event.key == pygame.K_ESCAPE,
                done=event.key in (pygame.K_RETURN, pygame.K_KP_ENTER),
                back=event.key == pygame.K_BACKSPACE,
            )  # fmt: skip
            return
        plain = not event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META)
        scancode = getattr(event, "scancode", 0)
        if view.keys_play and plain and place(scancode) is not None:
            self._play(self.keyboard.down(scancode, self.fingers, now))
            return
        action = command(event.key, event.unicode, event.mod, panel=view.panel)
        if not again or repeats(action):
            self._do(action)

    def _do(self, action: str) -> None:
        if action == "quit":
            self.open = False
        elif action == "fullscreen" or (action == "panic" and self._is_full()):
            self._fullscreen()
        if action in ("turn", "theme", "typing"):
            self._lift_all()  # what is held would be somewhere else
            self.picture.forget()
        self.deeds.do(action, time.monotonic())
        self._stale = True

    def _is_full(self) -> bool:
        return bool(self.screen.get_flags() & pygame.FULLSCREEN)

    def _fullscreen(self) -> None:
        self._lift_all()
        self.picture.forget()
        full = self._is_full()
        if not full:
            self._size = self.screen.get_size()
        try:
            self.screen = show(self._size, fullscreen=not full)
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
