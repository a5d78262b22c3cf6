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

from robojam.system.exit_status import NO_DISPLAY
from robojam.touch import Phase
from robojam.window.actions import Actions
from robojam.window.client.link import EngineConnection
from robojam.window.client.state import EngineState, WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.fingers import MAX_FINGERS, MOUSE, FingerInput, PointerTouch
from robojam.window.input.keyboard import Keyboard, key_position
from robojam.window.input.keys import action_for_key, repeats_when_held
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.preview import PreviewPlayer
from robojam.window.view.display import configure_sdl, set_display_mode
from robojam.window.view.frame import FrameText, frame_text
from robojam.window.view.panels import Panel, panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.theme import THEMES, Metrics, rotated_size, unrotate
from robojam.window.view.widgets import HitBox

#: Time between frames while something moves, in seconds.
FRAME_INTERVAL = 1 / 60
#: The longest wait while nothing moves, in seconds: clocks and the status go on.
IDLE_INTERVAL = 0.25
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
    configure_sdl()
    try:
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen") and not asked:
            raise pygame.error("no video device")
        pygame.font.init()
        screen = set_display_mode(size, fullscreen=fullscreen)
    except pygame.error as error:
        pygame.quit()
        print(f"robojam: there is no display to open a window on ({error})", file=sys.stderr)
        return NO_DISPLAY
    try:
        connection = EngineConnection(engine, wake=_wake)
    except OSError as error:
        pygame.quit()
        print(f"robojam: {engine[0]}: no such host ({error.strerror})", file=sys.stderr)
        return 2
    try:
        app = App(screen, connection, size=size, name=f"{engine[0]}:{engine[1]}")
        app.state.view.theme, app.state.view.quarter_turns = theme, turn // 90 % 4
        app.run()
    finally:
        connection.close()
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
        connection: EngineConnection,
        *,
        size: tuple[int, int],
        name: str,
    ) -> None:
        self.screen = screen
        self.connection = connection
        self.state = WindowState(engine_name=name, opened_at=time.monotonic())
        self.fingers = FingerInput()
        self.keyboard = Keyboard()
        self.scene = Scene()
        self.recordings = RecordingsPanel(wake=_wake)
        self.actions = Actions(self.state, connection, self.recordings)
        self.preview = PreviewPlayer(connection)
        self.is_open = True
        self._size = size
        self._held_keys: set[int] = set()
        self._presses: dict[object, tuple[HitBox, float, float]] = {}
        self._needs_redraw = True
        self._last_drawn: tuple[FrameText, Panel | None] | None = None
        self._drawn_at = float("-inf")
        self._last_engine = (False, float("-inf"))

    def run(self) -> None:
        """Run until the window is closed; SIGINT and SIGTERM close it."""
        before = _install_signal_handlers(self._close)
        pygame.key.set_repeat(REPEAT_AFTER, REPEAT_EVERY)
        try:
            while self.is_open:
                self.run_once()
        finally:
            self._lift_all()
            self.preview.follow(None, time.monotonic())
            for number, handler in before.items():
                signal.signal(number, handler)

    def run_once(self) -> None:
        """Once round: take what came, draw if there is something new, wait."""
        for event in pygame.event.get():
            self.handle_event(event)
        self._receive()
        now = time.monotonic()
        due = min(self.connection.advance(now), self.actions.send_due(now))
        self.state.advance(now)
        due = min(due, self._update(now))
        wait = min(IDLE_INTERVAL, due - time.monotonic())
        self.handle_event(pygame.event.wait(max(1, round(wait * 1000))))

    def _update(self, now: float) -> float:
        """Draw if there is something new; return when to look again."""
        playback = self.actions.playback
        if playback is not None:
            playback.advance(now)
        if self.preview.follow(playback, now):
            self.state.ports.mark_used("sound", now)
        if self.keyboard.is_sliding:
            self._play(self.keyboard.slide(self.fingers, now))
        panel = panel_of(
            self.state,
            entries=self.recordings.entries,
            page=self.actions.page,
            playback=playback,
            full=self._is_full(),
            busy=self.recordings.busy,
        )
        frame = frame_text(self.state, now)
        moving = self.scene.is_animating(self.state, now) or self.keyboard.is_sliding
        moving = moving or (playback is not None and playback.playing)
        if not (self._needs_redraw or moving or (frame, panel) != self._last_drawn):
            return now + IDLE_INTERVAL
        if now - self._drawn_at >= FRAME_INTERVAL * 0.95:
            self.scene.draw(
                self.screen, self.state, now, panel=panel, playback=playback, frame=frame
            )
            pygame.display.flip()
            self._drawn_at, self._needs_redraw, self._last_drawn = now, False, (frame, panel)
        return self._drawn_at + FRAME_INTERVAL

    def _receive(self) -> None:
        utc = datetime.now(UTC)
        for t, message in self.connection.receive():
            self.state.handle_message(message, t, utc)
            if message.address == "/robojam/panic":
                self.actions.hold_playback()
            self._needs_redraw = self._needs_redraw or message.address != "/robojam/status"
        while self.recordings.messages:
            self.state.notify(self.recordings.messages.pop(0), time.monotonic())
        there = self.state.engine_state(time.monotonic()) is EngineState.CONNECTED
        known = there, self.state.restarted_at
        if there and known != self._last_engine:
            self.connection.resubscribe()
        self._last_engine = known

    def handle_event(self, event: pygame.event.Event) -> None:
        """Take one event: a touch is sent now, a key does what it does."""
        kind = event.type
        if kind == pygame.QUIT:
            self.is_open = False
        elif kind == pygame.WINDOWFOCUSLOST:
            self._held_keys.clear()
            self._lift_all()
        elif kind == pygame.KEYDOWN:
            self._key(event)
        elif kind == pygame.KEYUP:
            self._held_keys.discard(event.key)
            self._play(self.keyboard.up(getattr(event, "scancode", 0), self.fingers))
        elif kind in _EXPOSED:
            self._needs_redraw = True
            self.scene.invalidate()
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
        at = self._unrotated(*event.pos)
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
        at = self._unrotated(event.x * width, event.y * height)
        pointer = (event.touch_id, event.finger_id)
        does = {
            pygame.FINGERDOWN: self._land,
            pygame.FINGERMOTION: self._slide,
            pygame.FINGERUP: self._lift,
        }
        does[event.type](pointer, at)

    def _unrotated(self, x: float, y: float) -> tuple[float, float]:
        return unrotate(x, y, self.screen.get_size(), self.state.view.quarter_turns)

    def _metrics(self) -> Metrics:
        size = rotated_size(self.screen.get_size(), self.state.view.quarter_turns)
        return Metrics.for_size(size, has_text=THEMES[self.state.view.theme].has_text)

    def _land(self, pointer: object, at: tuple[float, float]) -> None:
        hit = next((h for h in reversed(self.scene.hit_boxes) if h.contains(*at)), None)
        if hit is not None:
            self._press(pointer, hit, at[0])
        elif self._metrics().contains(*at):
            if len(self.fingers.held) >= MAX_FINGERS and pointer != MOUSE:
                self.state.notify(
                    f"{MAX_FINGERS} fingers play at once; the others wait", time.monotonic()
                )
            self._play(self.fingers.down(pointer, *self._metrics().to_surface(*at)))

    def _slide(self, pointer: object, at: tuple[float, float]) -> None:
        if pointer in self._presses:
            self._drag(pointer, at[0])
        elif pointer in self.fingers.held:
            self._play(self.fingers.move(pointer, *self._metrics().to_surface(*at)))

    def _lift(self, pointer: object, at: tuple[float, float]) -> None:
        pressed = self._presses.pop(pointer, None)
        if pressed is None:
            self._slide(pointer, at)
            self._play(self.fingers.up(pointer))
            return
        hit = pressed[0]
        self.state.view.grabbed_dial = ""
        self._needs_redraw = True
        if (
            hit.action
            and not hit.absolute
            and not hit.action.startswith("slide:")
            and hit.contains(*at)
        ):
            self._perform(hit.action)

    def _press(self, pointer: object, hit: HitBox, x: float) -> None:
        """A finger is on the frame: a control is turned; anything else waits for the lift."""
        self._needs_redraw = True
        if hit.action == "panic":
            self._perform("panic")  # at once
            return
        name = hit.action.removeprefix("slide:")
        share = hit.fraction(x)
        if hit.action.startswith("slide:"):
            self.state.view.grabbed_dial = name
            if not hit.absolute:
                value = self.state.controls.get(name)
                share = 0.0 if value is None else DIALS[name].share(value)
        self._presses[pointer] = (hit, x, share)
        if hit.absolute:
            self._drag(pointer, x)

    def _drag(self, pointer: object, x: float) -> None:
        hit, began, share = self._presses[pointer]
        share += (x - began) / hit.travel
        self._needs_redraw = True
        if hit.action == "scrub":
            self.actions.scrub_to(share)
        elif hit.action.startswith("slide:"):
            name = hit.action.removeprefix("slide:")
            if name in self.state.controls and (hit.absolute or abs(x - began) > 2):
                self.actions.turn_dial(name, share, time.monotonic())

    def _lift_all(self) -> None:
        self._presses.clear()
        self.state.view.grabbed_dial = ""
        self.keyboard.held.clear()
        self._play(self.fingers.lift_all())

    def _play(self, played: list[PointerTouch]) -> None:
        for phase, finger, x, y in played:
            if phase is Phase.UP:
                self.connection.send("/robojam/up", "i", finger)
            else:
                self.connection.send(f"/robojam/{phase.value}", "iff", finger, x, y)
            self.state.add_own_touch(phase, finger, x, y, time.monotonic())
            self._needs_redraw = True

    # -- keys --------------------------------------------------------------------------------

    def _key(self, event: pygame.event.Event) -> None:
        again = event.key in self._held_keys
        self._held_keys.add(event.key)
        self._needs_redraw = True
        now, view = time.monotonic(), self.state.view
        if view.typed_name is not None:
            self.actions.edit_name(
                event.unicode, now, cancel=event.key == pygame.K_ESCAPE,
                confirm=event.key in (pygame.K_RETURN, pygame.K_KP_ENTER),
                delete=event.key == pygame.K_BACKSPACE,
            )  # fmt: skip
            return
        plain = not event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META)
        scancode = getattr(event, "scancode", 0)
        if view.letters_play and plain and key_position(scancode) is not None:
            self._play(self.keyboard.down(scancode, self.fingers, now))
            return
        action = action_for_key(event.key, event.unicode, event.mod, panel=view.panel)
        if not again or repeats_when_held(action):
            self._perform(action)

    def _perform(self, action: str) -> None:
        if action == "quit":
            self.is_open = False
        elif action == "fullscreen" or (action == "panic" and self._is_full()):
            self._fullscreen()
        if action in ("turn", "theme", "typing"):
            self._lift_all()  # what is held would be somewhere else
            self.scene.invalidate()
        self.actions.perform(action, time.monotonic())
        self._needs_redraw = True

    def _is_full(self) -> bool:
        return bool(self.screen.get_flags() & pygame.FULLSCREEN)

    def _fullscreen(self) -> None:
        self._lift_all()
        self.scene.invalidate()
        full = self._is_full()
        if not full:
            self._size = self.screen.get_size()
        try:
            self.screen = set_display_mode(self._size, fullscreen=not full)
        except pygame.error as error:
            self.state.notify(f"no full screen here ({error})", time.monotonic())

    def _close(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.is_open = False


def _install_signal_handlers(close: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let signals close the window; return what was in force before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = (signal.SIGINT, signal.SIGTERM)
    return {number: signal.signal(number, close) for number in numbers}
