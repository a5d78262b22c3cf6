"""Loop of the window: it handles events, sends touches and draws.

The loop waits for events; SDL and arriving packets wake it, nothing is polled. A touch is
sent as soon as its event is read, each move on its own, and is drawn in the next frame.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Hashable
from contextlib import suppress
from datetime import UTC, datetime

import pygame

from robojam.system.child_process import NO_DISPLAY
from robojam.touch import Phase
from robojam.window.actions import Actions
from robojam.window.client.link import EngineConnection
from robojam.window.client.state import EngineState, WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.fingers import MAX_FINGERS, MOUSE, FingerInput, PointerTouch
from robojam.window.input.keyboard import POSITIONS, Keyboard
from robojam.window.input.keys import action_for_key
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.preview import PreviewPlayer
from robojam.window.view import setup_panel
from robojam.window.view.frame import FrameText, frame_text
from robojam.window.view.panels import Panel, panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.sprites import shape_sprite
from robojam.window.view.theme import DARK, THEMES, Metrics, rotated_size, unrotate
from robojam.window.view.widgets import HitBox

#: Time between frames while something moves, in seconds.
FRAME_INTERVAL = 1 / 60
#: Longest wait while nothing moves, in seconds, so that clocks and status go on.
IDLE_INTERVAL = 0.25
#: Delay of a held key's first repetition, and interval of the next, in milliseconds.
REPEAT_AFTER, REPEAT_EVERY = 350, 60
_PACKET = pygame.event.custom_type()
_EXPOSED = (pygame.VIDEORESIZE, pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED,
            pygame.WINDOWRESTORED, pygame.WINDOWSHOWN)  # fmt: skip
_PHASES = {
    pygame.MOUSEBUTTONDOWN: Phase.DOWN, pygame.FINGERDOWN: Phase.DOWN,
    pygame.MOUSEMOTION: Phase.MOVE, pygame.FINGERMOTION: Phase.MOVE,
    pygame.MOUSEBUTTONUP: Phase.UP, pygame.FINGERUP: Phase.UP,
}  # fmt: skip


def open_window(
    *, engine: tuple[str, int], size: tuple[int, int], fullscreen: bool, theme: str, turn: int
) -> int:
    """Open the window and run it; see `robojam.window.run`."""
    chosen_driver = os.environ.get("SDL_VIDEODRIVER", "")
    _configure_sdl()
    try:
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen") and not chosen_driver:
            raise pygame.error("no video device")
        pygame.font.init()
        screen = _set_display_mode(size, fullscreen=fullscreen)
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


def _configure_sdl() -> None:
    """Set SDL's environment variables, before SDL starts."""
    os.environ["SDL_TOUCH_MOUSE_EVENTS"] = "0"  # no mouse events for fingers,
    os.environ["SDL_MOUSE_TOUCH_EVENTS"] = "0"  # no finger events for the mouse
    os.environ.setdefault("SDL_WINDOWS_DPI_AWARENESS", "permonitorv2")  # no scaling
    if not sys.platform.startswith("linux"):
        return
    # no OpenGL: without a GPU, it costs 6 ms a frame
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    if not any(os.environ.get(name) for name in desktop):
        # only the console is left; a search for a desktop would print errors
        os.environ.setdefault("SDL_VIDEODRIVER", "kmsdrm")


def _set_display_mode(size: tuple[int, int], *, fullscreen: bool) -> pygame.Surface:
    """Open the window with a size in pixels or on the full screen; return its surface."""
    pygame.display.set_caption("robojam")
    # The icon shows the two players, a disc and a diamond.
    picture = pygame.Surface((64, 64), depth=32)
    picture.fill(DARK.surface)
    disc = shape_sprite(DARK.humans[0], 14, machine=False)
    diamond = shape_sprite(DARK.machines[0], 13, machine=True)
    for shape, at in ((disc, (22, 40)), (diamond, (42, 23))):
        picture.blit(shape, shape.get_rect(center=at))
    pygame.display.set_icon(picture)
    if fullscreen:
        return pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
    return pygame.display.set_mode(size, pygame.RESIZABLE)


def _wake() -> None:
    """Wake the loop from another thread."""
    with suppress(pygame.error):  # the queue is full, or the window is closing
        pygame.event.post(pygame.event.Event(_PACKET))


class App:
    """The open window. size: pixels outside the full screen; name: the engine's address."""

    def __init__(
        self, screen: pygame.Surface, connection: EngineConnection, *, size: tuple[int, int],
        name: str,
    ) -> None:  # fmt: skip
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
        #: Pressed boxes, the x where each press began, and how far the dial was turned then.
        self._presses: dict[Hashable, tuple[HitBox, float, float]] = {}
        self._needs_redraw = True
        self._last_drawn: tuple[FrameText, Panel | None] | None = None
        self._drawn_at = float("-inf")
        self._last_engine = (False, float("-inf"))

    def run(self) -> None:
        """Run until the window is closed; SIGINT and SIGTERM close it."""
        is_main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
        previous_handlers = {number: signal.signal(number, self._close) for number in numbers}
        pygame.key.set_repeat(REPEAT_AFTER, REPEAT_EVERY)
        try:
            while self.is_open:
                self.run_once()
        finally:
            self._lift_all()
            self.preview.follow(None, time.monotonic())
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)

    def run_once(self) -> None:
        """Handle the waiting events and messages, draw if needed, and wait for an event."""
        for event in pygame.event.get():
            self.handle_event(event)
        self._receive()
        now = time.monotonic()
        due = min(self.connection.advance(now), self.actions.send_due(now))
        due = min(due, self.actions.setup.advance(now))
        self.state.advance(now)
        due = min(due, self._update(now))
        wait = min(IDLE_INTERVAL, due - time.monotonic())
        self.handle_event(pygame.event.wait(max(1, round(wait * 1000))))

    def _update(self, now: float) -> float:
        """Advance playback and keyboard, draw if needed; return when to call again."""
        playback = self.actions.playback
        if playback is not None:
            playback.advance(now)
        if self.preview.follow(playback, now):
            self.state.ports.mark_used("sound", now)
        if self.keyboard.is_sliding:
            self._send_touches(self.keyboard.slide(self.fingers, now))
        setup = self.actions.setup
        panel = setup_panel.panel_of(self.state, setup.page) or panel_of(
            self.state, entries=self.recordings.entries, page=self.actions.page,
            playback=playback, full=self._is_full(), busy=self.recordings.busy,
        )  # fmt: skip
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
        """Apply the messages from the engine and from the list of recordings."""
        utc = datetime.now(UTC)
        for t, message in self.connection.receive():
            self.state.handle_message(message, t, utc)
            if message.address == "/robojam/panic" and self.actions.playback is not None:
                self.actions.playback.hold()
            self._needs_redraw = self._needs_redraw or message.address != "/robojam/status"
        while self.recordings.messages:
            self.state.notify(self.recordings.messages.pop(0), time.monotonic())
        connected = self.state.engine_state(time.monotonic()) is EngineState.CONNECTED
        previous, self._last_engine = self._last_engine, (connected, self.state.restarted_at)
        if connected and self._last_engine != previous:
            self.connection.resubscribe()

    def handle_event(self, event: pygame.event.Event) -> None:
        """Handle one event; touches are sent at once."""
        kind = event.type
        if kind == pygame.QUIT:
            self.is_open = False
        elif kind == pygame.WINDOWFOCUSLOST:
            self._held_keys.clear()
            self._lift_all()
        elif kind == pygame.KEYDOWN:
            self._handle_key(event)
        elif kind == pygame.KEYUP:
            self._held_keys.discard(event.key)
            self._send_touches(self.keyboard.up(getattr(event, "scancode", 0), self.fingers))
        elif kind in _EXPOSED:
            self._needs_redraw = True
            self.scene.invalidate()
            self.screen = pygame.display.get_surface() or self.screen
        elif kind in _PHASES:
            self._handle_pointer(event)

    def _handle_pointer(self, event: pygame.event.Event) -> None:
        """Handle an event of the mouse, a pen or a finger."""
        width, height = self.screen.get_size()
        pointer: Hashable = MOUSE
        if event.type in (pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERUP):
            pointer, x, y = (event.touch_id, event.finger_id), event.x * width, event.y * height
            if sys.platform == "darwin":
                return  # there, these are fingers on the track pad
        elif getattr(event, "touch", False) or getattr(event, "button", 1) != 1:
            return  # it repeats the event of a finger, or is of another button
        else:
            x, y = event.pos
        at = unrotate(x, y, (width, height), self.state.view.quarter_turns)
        match _PHASES[event.type]:
            case Phase.DOWN:
                self._pointer_down(pointer, at)
            case Phase.MOVE:
                self._move_pointer(pointer, at)
            case Phase.UP:
                self._pointer_up(pointer, at)

    def _metrics(self) -> Metrics:
        size = rotated_size(self.screen.get_size(), self.state.view.quarter_turns)
        return Metrics.for_size(size, has_text=THEMES[self.state.view.theme].has_text)

    def _pointer_down(self, pointer: Hashable, at: tuple[float, float]) -> None:
        boxes, metrics = reversed(self.scene.hit_boxes), self._metrics()
        box = next((box for box in boxes if box.contains(*at)), None)
        if box is not None:
            self._press_box(pointer, box, at[0])
        elif metrics.contains(*at):
            if len(self.fingers.held) >= MAX_FINGERS and pointer != MOUSE:
                notice = f"{MAX_FINGERS} fingers play at once; the others wait"
                self.state.notify(notice, time.monotonic())
            self._send_touches(self.fingers.down(pointer, *metrics.to_surface(*at)))

    def _move_pointer(self, pointer: Hashable, at: tuple[float, float]) -> None:
        if pointer in self._presses:
            self._drag_control(pointer, at[0])
        elif pointer in self.fingers.held:
            self._send_touches(self.fingers.move(pointer, *self._metrics().to_surface(*at)))

    def _pointer_up(self, pointer: Hashable, at: tuple[float, float]) -> None:
        if pointer not in self._presses:
            self._move_pointer(pointer, at)
            self._send_touches(self.fingers.up(pointer))
            return
        box, *_ = self._presses.pop(pointer)
        self.state.view.grabbed_dial = ""
        self._needs_redraw = True
        if box.action and not box.absolute and not box.dial and box.contains(*at):
            self._perform(box.action)

    def _press_box(self, pointer: Hashable, box: HitBox, x: float) -> None:
        """Begin a press: a dial is grabbed, other actions wait for the lift."""
        self._needs_redraw = True
        if box.action == "panic":
            self._perform("panic")
            return
        left, _, width, _ = box.box
        share = (x - left) / max(1, width - 1)
        self.state.view.grabbed_dial = box.dial or self.state.view.grabbed_dial
        if box.dial and not box.absolute:
            value = self.state.controls.get(box.dial)
            share = 0.0 if value is None else DIALS[box.dial].share(value)
        self._presses[pointer] = (box, x, share)
        if box.absolute:
            self._drag_control(pointer, x)

    def _drag_control(self, pointer: Hashable, x: float) -> None:
        box, pressed_x, share = self._presses[pointer]
        share += (x - pressed_x) / box.travel
        self._needs_redraw = True
        playback = self.actions.playback
        if box.action == "scrub" and playback is not None:
            playback.seek(share * playback.duration)
        elif box.dial in self.state.controls and (box.absolute or abs(x - pressed_x) > 2):
            self.actions.turn_dial(box.dial, share, time.monotonic())

    def _lift_all(self) -> None:
        self._presses.clear()
        self.state.view.grabbed_dial = ""
        self.keyboard.held.clear()
        self._send_touches(self.fingers.lift_all())

    def _send_touches(self, touches: list[PointerTouch]) -> None:
        """Send touches to the engine and draw them."""
        for phase, finger, x, y in touches:
            if phase is Phase.UP:
                self.connection.send("/robojam/up", "i", finger)
            else:
                self.connection.send(f"/robojam/{phase.value}", "iff", finger, x, y)
            self.state.add_own_touch(phase, finger, x, y, time.monotonic())
            self._needs_redraw = True

    def _handle_key(self, event: pygame.event.Event) -> None:
        is_repeat = event.key in self._held_keys
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
        unmodified = not event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META)
        scancode = getattr(event, "scancode", 0)
        if view.letters_play and unmodified and scancode in POSITIONS:
            self._send_touches(self.keyboard.down(scancode, self.fingers, now))
            return
        action = action_for_key(event.key, event.unicode, event.mod, panel=view.panel)
        if not is_repeat or action.startswith(("step:", "scrub:")):
            self._perform(action)

    def _perform(self, action: str) -> None:
        if action == "quit":
            self.is_open = False
        resizes = action == "fullscreen" or (action == "panic" and self._is_full())
        if resizes or action in ("turn", "theme", "typing"):
            self._lift_all()  # the fingers would be at other places
            self.scene.invalidate()
        if resizes:
            self._toggle_fullscreen()
        self.actions.perform(action, time.monotonic())
        self._needs_redraw = True

    def _is_full(self) -> bool:
        return bool(self.screen.get_flags() & pygame.FULLSCREEN)

    def _toggle_fullscreen(self) -> None:
        if not (is_full := self._is_full()):
            self._size = self.screen.get_size()
        try:
            self.screen = _set_display_mode(self._size, fullscreen=not is_full)
        except pygame.error as error:
            self.state.notify(f"no full screen here ({error})", time.monotonic())

    def _close(self, *_: object) -> None:
        self.is_open = False
