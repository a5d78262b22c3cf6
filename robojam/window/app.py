"""Loop of the window: it handles events, sends touches and draws.

The loop waits for events; SDL and arriving packets wake it, nothing is polled. A touch is
sent as soon as its event is read, each move on its own, and is drawn in the next frame.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import UTC, datetime

import pygame

from robojam.controls import SETTINGS
from robojam.system.child_process import NO_DISPLAY
from robojam.system.log_queue import print_line
from robojam.system.shell import printable
from robojam.touch import Phase, clip
from robojam.window import Look
from robojam.window.actions import Actions
from robojam.window.client.link import EngineConnection
from robojam.window.client.state import EngineState, WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.fingers import (
    MAX_FINGERS,
    MOUSE,
    FingerInput,
    ForceSensors,
    PointerTouch,
)
from robojam.window.input.key_events import (
    action_of,
    has_modifier,
    name_in_layout,
    needs_altgr,
    position_of,
)
from robojam.window.input.keyboard import PLACES, Keyboard
from robojam.window.input.keys import POSITIONS, key_names
from robojam.window.input.touch_devices import TouchDevices
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.preview import PreviewPlayer
from robojam.window.view import knobs_panel, setup_panel, web_panel
from robojam.window.view.display import (
    FullScreen,
    configure_sdl,
    display_scale,
    open_display,
)
from robojam.window.view.frame import FrameText, frame_text
from robojam.window.view.panels import Panel, panel_of
from robojam.window.view.scene import Scene
from robojam.window.view.theme import THEMES, Metrics, rotated_size, unrotate
from robojam.window.view.widgets import HitBox

#: Time between frames while something moves, in seconds.
FRAME_INTERVAL = 1 / 60
#: Actions of buttons that act when they are pressed; others when they are released.
_AT_ONCE = ("panic", "tap", "downbeat")
#: Longest wait while nothing moves, in seconds, so that clocks and status go on.
IDLE_INTERVAL = 0.25
#: Time for packets in one turn of the loop, in seconds: fingers come first, in a flood, too.
RECEIVE_TIME = 0.03
#: Delay of a held key's first repetition, and interval of the next, in milliseconds.
REPEAT_AFTER, REPEAT_EVERY = 350, 60
#: Share of a dial's way that a notch of the mouse wheel turns it, and with shift. After
#: _WHEEL_RESTS seconds, the wheel goes on from the dial's value.
_NOTCH, _FINE_NOTCH, _WHEEL_RESTS = 0.05, 0.01, 1.0
#: Seconds for which a dial is explained when it is grabbed.
DIAL_EXPLAINED = 3.0
#: Places farther than this many sizes of the window from its corner are no places.
_FAR = 100.0
#: Kinds of unforeseen errors that are reported at most.
_MAX_REPORTED = 16
#: Pointers that are down without playing at most; the oldest is forgotten first.
MAX_WAITING = 64
#: Messages of which a change is seen in the text of the frame, or in the open panel.
_REPORTS = ("/robojam/status", "/robojam/map/knobs")
_PACKET = pygame.event.custom_type()
_EXPOSED = (pygame.VIDEORESIZE, pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED,
            pygame.WINDOWRESTORED, pygame.WINDOWSHOWN)  # fmt: skip
_AWAY = (pygame.WINDOWFOCUSLOST, pygame.WINDOWMINIMIZED, pygame.WINDOWHIDDEN)
_PHASES = {
    pygame.MOUSEBUTTONDOWN: Phase.DOWN, pygame.FINGERDOWN: Phase.DOWN,
    pygame.MOUSEMOTION: Phase.MOVE, pygame.FINGERMOTION: Phase.MOVE,
    pygame.MOUSEBUTTONUP: Phase.UP, pygame.FINGERUP: Phase.UP,
}  # fmt: skip


def open_window(
    *, engine: tuple[str, int], look: Look, ends: str, on_look: Callable[[Look], None] | None
) -> int:  # fmt: skip
    """Open the window and run it; see `robojam.window.run`."""
    chosen_driver = os.environ.get("SDL_VIDEODRIVER", "")
    configure_sdl()
    try:
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen") and not chosen_driver:
            raise pygame.error("no video device")
        pygame.font.init()
        scale = display_scale()
        screen = open_display(look.size, look.place, scale=scale)
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
        app = App(screen, connection, name=f"{engine[0]}:{engine[1]}", ends=ends)
        app.on_look = on_look
        app.look()  # before it covers the screen
        if look.fullscreen:
            app.toggle_full_screen()
        app.state.remote = not connection.is_local
        view = app.state.view
        view.theme, view.quarter_turns, view.scale = look.theme, look.turn // 90 % 4, scale
        app.run()
    finally:
        connection.close()
        pygame.quit()
    return 0


def _wake() -> None:
    """Wake the loop from another thread."""
    with suppress(pygame.error):  # the queue is full, or the window is closing
        pygame.event.post(pygame.event.Event(_PACKET))


class App:
    """The open window. name: the engine's address; ends: what ends when it is closed."""

    def __init__(
        self, screen: pygame.Surface, connection: EngineConnection, *, name: str, ends: str = ""
    ) -> None:
        self.screen = screen
        self.connection = connection
        self.state = WindowState(engine_name=name, ends=ends, opened_at=time.monotonic())
        self._needs_characters = True
        #: Whether SDL composes characters from keys; it does when it starts.
        self._takes_text = True
        self._read_layout()
        self.fingers, self._force = FingerInput(), ForceSensors()
        self.keyboard = Keyboard()
        self.scene = Scene()
        self.recordings = RecordingsPanel(wake=_wake)
        self.actions = Actions(self.state, connection, self.recordings)
        self.preview = PreviewPlayer(connection)
        self.full_screen = FullScreen()
        self.is_open = True
        self._held_keys: set[int] = set()
        #: Whether composed characters are typed: not those of the key that opens a text field.
        self._types = True
        #: Pressed boxes, the x where each press began, and how far the dial was turned then.
        self._presses: dict[Hashable, tuple[HitBox, float, float]] = {}
        #: Pointers that are down but do not play, and where they were last.
        self._waiting: dict[Hashable, tuple[float, float]] = {}
        self._touch_devices = TouchDevices()
        self._check_fingers_at = float("-inf")
        self._mouse = pygame.mouse.get_pos()
        #: Action of the dial that the wheel turned last, how far, and when that was.
        self._wheel = ("", 0.0, float("-inf"))
        self._needs_redraw = True
        self._last_drawn: tuple[FrameText, Panel | None] | None = None
        self._drawn_at = float("-inf")
        self._last_engine = (False, float("-inf"))
        #: Messages that were dropped for an error that nobody foresaw, and its kinds so far.
        self.dropped_messages = 0
        self._reported: set[str] = set()
        #: Function called with the look when that has changed; the last look.
        self.on_look: Callable[[Look], None] | None = None
        self._last_look: Look | None = None

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
            self.scene.close()
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)

    def run_once(self) -> None:
        """Handle the waiting events and messages, draw if needed, and wait for an event."""
        for event in pygame.event.get():
            self.handle_event(event)
        self._receive()
        now = time.monotonic()
        self._release_lost(now)
        self.connection.shows_knobs = self.state.view.panel == knobs_panel.NAME
        due = min(self.connection.advance(now), self.actions.send_due(now))
        due = min(due, self.actions.setup.advance(now))
        self.state.advance(now)
        due = min(due, self._update(now))
        wait = min(IDLE_INTERVAL, due - time.monotonic())
        self.handle_event(pygame.event.wait(max(1, round(wait * 1000))))

    def _update(self, now: float) -> float:
        """Advance playback and keyboard, draw if needed; return when to call again."""
        self._switch_text_input()
        playback = self.actions.playback
        if playback is not None:
            playback.advance(now)
        if self.preview.follow(playback, now):
            self.state.ports.mark_used("sound", now)
        if self.keyboard.is_sliding:
            self._send_touches(self.keyboard.slide(self.fingers, now))
        setup = self.actions.setup
        panel = setup_panel.panel_of(self.state, setup.page) or web_panel.panel_of(self.state)
        panel = panel or knobs_panel.panel_of(self.state) or panel_of(
            self.state, entries=self.recordings.entries, page=self.actions.page,
            playback=playback, full=self.full_screen.is_on, busy=self.recordings.busy,
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

    def _report_error(self, error: Exception, address: str) -> None:
        """Report a message that has been dropped for an error: each kind of error once."""
        self.dropped_messages += 1
        kind = type(error).__name__
        if kind not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(kind)
            reason = printable(f"{kind}: {error}"[:200])
            print_line(f"robojam: the window drops {address!r:.80}: {reason}", sys.stderr)

    def look(self) -> Look:
        """Return size, place and the like, with which another window would be like this one."""
        place, size = self.full_screen.returns_to()
        view, full = self.state.view, self.full_screen.is_on
        return Look(
            size, place, fullscreen=full, theme=view.theme, turn=90 * view.quarter_turns
        )

    def _report_look(self) -> None:
        if self.on_look is not None and (look := self.look()) != self._last_look:
            self._last_look = look
            self.on_look(look)

    def _receive(self) -> None:
        """Apply the messages from the engine and from the list of recordings."""
        utc, until = datetime.now(UTC), time.monotonic() + RECEIVE_TIME
        for t, messages in self.connection.receive():
            for message in messages:
                try:
                    self.state.handle_message(message, t, utc)
                except Exception as error:  # nobody foresaw it: the window stays open
                    self._report_error(error, message.address)
                if message.address == "/robojam/panic" and self.actions.playback is not None:
                    self.actions.playback.hold()
                self._needs_redraw = self._needs_redraw or message.address not in _REPORTS
            if time.monotonic() > until:
                _wake()  # the others wait for the next turn of the loop
                break
        if self.state.show and pygame.display.get_allow_screensaver():
            pygame.display.set_allow_screensaver(False)  # the screen stays on
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
        elif kind in _AWAY:
            self._held_keys.clear()
            self._lift_all()
        elif kind == pygame.KEYDOWN:
            self._handle_key(event)
        elif kind == pygame.TEXTINPUT:
            if self._types:
                self._type(event.text)
        elif kind == pygame.KEYUP:
            self._types = True
            self._held_keys.discard(position_of(event))
            self._send_touches(self.keyboard.up(position_of(event), self.fingers))
        elif kind == pygame.KEYMAPCHANGED:
            self._read_layout()
        elif kind == pygame.MOUSEWHEEL:
            self._turn_wheel(event)
        elif kind in _EXPOSED:
            self._needs_redraw = True
            self.scene.invalidate()
            self.screen = pygame.display.get_surface() or self.screen
        elif kind in _PHASES:
            self._handle_pointer(event)

    def _read_layout(self) -> None:
        """Take the names of the keys from the layout in use."""
        self.state.view.key_names = key_names(name_in_layout)
        self._needs_characters = needs_altgr()

    def _switch_text_input(self) -> None:
        """Have SDL compose characters only while they are needed.

        Else an input method (for Chinese, Japanese …) would keep the keys for itself.
        """
        wanted = self.state.view.typed_name is not None or self._needs_characters
        if wanted != self._takes_text:
            self._takes_text = wanted
            (pygame.key.start_text_input if wanted else pygame.key.stop_text_input)()

    def _handle_pointer(self, event: pygame.event.Event) -> None:
        """Handle an event of the mouse, a pen or a finger."""
        width, height = self.screen.get_size()
        pointer: Hashable = MOUSE
        pressure = None
        phase = _PHASES[event.type]
        if event.type in (pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERUP):
            pointer, x, y = (event.touch_id, event.finger_id), event.x * width, event.y * height
            if sys.platform == "darwin":
                return  # there, these are fingers on the track pad
            if not (abs(event.x) <= _FAR and abs(event.y) <= _FAR):
                return  # no place, or none near the window: some drivers report it so
            pressure = self._force.pressure(event.touch_id, event.pressure)
        elif getattr(event, "touch", False) or getattr(event, "button", 1) != 1:
            return  # it repeats the event of a finger, or is of another button
        else:
            x, y = self._mouse = event.pos
            if phase is Phase.MOVE and not getattr(event, "buttons", (1,))[0]:
                phase = Phase.UP  # if it was down, its lift was lost
        at = unrotate(x, y, (width, height), self.state.view.quarter_turns)
        match phase:
            case Phase.DOWN:
                self._pointer_down(pointer, at, pressure)
            case Phase.MOVE:
                self._move_pointer(pointer, at, pressure)
            case Phase.UP:
                self._pointer_up(pointer, at)

    def _metrics(self) -> Metrics:
        view = self.state.view
        size = rotated_size(self.screen.get_size(), view.quarter_turns)
        has_text = THEMES[view.theme].has_text
        return Metrics.for_size(size, has_text=has_text, scale=view.scale)

    def _box_at(self, at: tuple[float, float]) -> HitBox | None:
        """Return the uppermost box that can be pressed at a place."""
        return next((box for box in reversed(self.scene.hit_boxes) if box.contains(*at)), None)

    def _pointer_down(
        self, pointer: Hashable, at: tuple[float, float], pressure: float | None
    ) -> None:
        self._release(pointer)  # its last lift may have been lost
        self._touch_devices.see([pointer])
        box = self._box_at(at)
        if box is not None:
            self._press_box(pointer, box, at[0])
        else:
            self._land(pointer, at, at, pressure)

    def _land(
        self,
        pointer: Hashable,
        at: tuple[float, float],
        before: tuple[float, float],
        pressure: float | None,
    ) -> None:
        """Begin to play where a pointer that was at another place before enters the surface.

        A pointer that is not on the surface, or is one too many, waits and tries again when it
        moves.
        """
        metrics = self._metrics()
        if metrics.contains(*at) and self._box_at(at) is None:
            x, y = at
            if not metrics.contains(*before):
                entry = pygame.Rect(metrics.surface_box).clipline(before, at)
                if entry and self._box_at(entry[0]) is None:  # no panel covers the edge there
                    x, y = entry[0]
            now = time.monotonic()
            touches = self.fingers.down(pointer, *metrics.to_surface(x, y), now, pressure)
            self._send_touches(touches)
            if pointer in self.fingers.held:
                self._waiting.pop(pointer, None)
                self._move_pointer(pointer, at, pressure)
                return
            if pointer not in self._waiting:
                notice = f"{MAX_FINGERS} fingers play at once; the others wait"
                self.state.notify(notice, now)
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[pointer] = at

    def _move_pointer(
        self, pointer: Hashable, at: tuple[float, float], pressure: float | None
    ) -> None:
        if pointer in self._presses:
            self._drag_control(pointer, at[0])
        elif pointer in self.fingers.held:
            position = self._metrics().to_surface(*at)
            now = time.monotonic()
            self._send_touches(self.fingers.move(pointer, *position, now, pressure))
        elif pointer in self._waiting:
            self._land(pointer, at, self._waiting[pointer], pressure)

    def _pointer_up(self, pointer: Hashable, at: tuple[float, float]) -> None:
        press = self._presses.get(pointer)
        if held := self.fingers.held.get(pointer):
            self._move_pointer(pointer, at, held.pressure)
        self._release(pointer)
        if press is None:
            return
        box, *_ = press
        acts = box.action not in _AT_ONCE and not box.absolute and not box.dial
        if box.action and acts and box.contains(*at) and self._is_shown(box):
            self._perform(box.action)

    def _is_shown(self, box: HitBox) -> bool:
        """Return whether a pressed box is there still: its panel may have been closed."""
        return any(shown.action == box.action for shown in self.scene.hit_boxes)

    def _release(self, pointer: Hashable) -> None:
        """Lift a pointer without any other effect."""
        self._waiting.pop(pointer, None)
        self._send_touches(self.fingers.up(pointer))
        press = self._presses.pop(pointer, None)
        if press is not None:
            self._needs_redraw = True
            if press[0].dial == self.state.view.grabbed_dial:
                self.state.view.grabbed_dial = ""

    def _release_lost(self, now: float) -> None:
        """Lift the fingers that SDL no longer reports as down."""
        if now >= self._check_fingers_at:
            self._check_fingers_at = now + IDLE_INTERVAL
            self._report_look()
            held = [*self.fingers.held, *self._presses, *self._waiting]
            for pointer in self._touch_devices.lost(held):
                self._release(pointer)

    def _press_box(self, pointer: Hashable, box: HitBox, x: float) -> None:
        """Begin a press: panic and a tap act at once, a dial is grabbed.

        Others wait for the lift.
        """
        self._needs_redraw = True
        left, _, width, _ = box.box
        share = (x - left) / max(1, width - 1)
        if box.dial:
            self.state.view.grabbed_dial = box.dial
            self._explain_dial(box.dial)
            if not box.absolute:
                value = self.state.controls.get(box.dial)
                share = 0.0 if value is None else DIALS[box.dial].share(value)
        self._presses[pointer] = (box, x, share)
        if box.action in _AT_ONCE:
            self._perform(box.action)
        elif box.absolute:
            self._drag_control(pointer, x)

    def _drag_control(self, pointer: Hashable, x: float) -> None:
        box, pressed_x, share = self._presses[pointer]
        if not self._is_shown(box):
            return
        share += (x - pressed_x) / box.travel
        self._needs_redraw = True
        playback = self.actions.playback
        if box.action == "scrub" and playback is not None:
            playback.seek(share * playback.duration)
        elif box.dial in self.state.controls and (box.absolute or abs(x - pressed_x) > 2):
            self.actions.turn_dial(box.dial, share, time.monotonic())
        elif box.knob:
            self.actions.set_amount(box.knob, share, time.monotonic())

    def _turn_wheel(self, event: pygame.event.Event) -> None:
        """Turn the dial under the mouse, finely with shift. Elsewhere the wheel is ignored."""
        turns = self.state.view.quarter_turns
        at = unrotate(*self._mouse, self.screen.get_size(), turns)
        box = self._box_at(at)
        grabbed = self.state.view.grabbed_dial
        if box is None or not (
            box.knob or (box.dial in self.state.controls and box.dial != grabbed)
        ):
            return
        # Some systems turn shift and wheel into a horizontal wheel.
        notches = getattr(event, "precise_y", event.y) or getattr(event, "precise_x", event.x)
        if not math.isfinite(notches):
            return
        fine = bool(pygame.key.get_mods() & pygame.KMOD_SHIFT)
        step = (_FINE_NOTCH if fine else _NOTCH) * (-1 if event.flipped else 1)
        now = time.monotonic()
        dial, share, turned_at = self._wheel
        if dial != box.action or now - turned_at > _WHEEL_RESTS:
            if box.knob:
                share = self.actions.amount(box.knob, now)
            else:
                share = self.actions.dial_share(box.dial, now)
                self._explain_dial(box.dial)
        share = clip(share + notches * step, 0, 1)
        self._wheel = (box.action, share, now)
        if box.knob:
            self.actions.set_amount(box.knob, share, now)
        else:
            self.actions.turn_dial(box.dial, share, now, fine=fine)
        self._needs_redraw = True

    def _explain_dial(self, name: str) -> None:
        self.state.notify(f"{name}: {SETTINGS[name].about}", time.monotonic(), DIAL_EXPLAINED)

    def _lift_all(self) -> None:
        self._presses.clear()
        self._waiting.clear()
        self.state.view.grabbed_dial = ""
        self.keyboard.held.clear()
        self._send_touches(self.fingers.lift_all())

    def _send_touches(self, touches: list[PointerTouch]) -> None:
        """Send touches to the engine and draw them."""
        faders = self.state.faders
        for phase, finger, x, y, pressure in touches:
            self._needs_redraw = True
            if faders.count:
                if (moved := faders.touch(phase, finger, x, y)) is not None:
                    self.state.has_played = True
                    self.connection.send("/robojam/knob", "if", moved[0] + 1, moved[1])
                continue
            if phase is Phase.UP:
                self.connection.send("/robojam/up", "i", finger)
            else:
                pressed = () if pressure is None else (pressure,)
                tags = "iff" + "f" * len(pressed)
                self.connection.send(f"/robojam/{phase.value}", tags, finger, x, y, *pressed)
            self.state.add_own_touch(phase, finger, x, y, time.monotonic(), pressure or 0.0)

    def _handle_key(self, event: pygame.event.Event) -> None:
        position = position_of(event)
        is_repeat = position in self._held_keys
        self._held_keys.add(position)
        self._types = self.state.view.typed_name is not None
        self._needs_redraw = True
        now, view = time.monotonic(), self.state.view
        action = action_of(event, panel=view.panel)
        if view.typed_name is not None and action != "close_window":
            if action == "paste":
                with suppress(pygame.error):  # there is no clipboard
                    self._type(pygame.scrap.get_text())
            else:
                self.actions.edit_name(
                    "", now, cancel=position == POSITIONS["esc"],
                    confirm=position in (POSITIONS["enter"], POSITIONS["keypad enter"]),
                    delete=position == POSITIONS["backspace"],
                )  # fmt: skip
        elif view.letters_play and not has_modifier(event) and position in PLACES:
            self._send_touches(self.keyboard.down(position, self.fingers, now))
        elif not is_repeat or action.startswith(("step:", "scrub:")):
            self._perform(action)

    def _type(self, text: str) -> None:
        """Type a text into the field that is open, if one is."""
        printable = "".join(filter(str.isprintable, text))
        self.actions.edit_name(printable, time.monotonic())
        self._needs_redraw = True

    def _perform(self, action: str) -> None:
        """Perform an action of a key or a button; "" is none."""
        if not action:
            return
        now = time.monotonic()
        self._needs_redraw = True
        panel = self.state.view.panel
        if action != "quit":
            self.state.quit_asked_at = float("-inf")
        match action:
            case "close_window":
                self.is_open = False
            case "quit":
                self.is_open = self.is_open and not self.state.confirm_quit(now)
            case "escape" if self.state.view.panel:
                self.actions.close_panel()
            case "escape" if self.full_screen.is_on:
                self.toggle_full_screen()
            case "fullscreen":
                self.toggle_full_screen()
            case "next-part":
                self.state.view.panel_part += 1
                return
            case _:
                if action in ("turn", "theme", "typing"):
                    self._lift_all()  # the fingers would be at other places
                    self.scene.invalidate()
                self.actions.perform(action, now)
        if self.state.view.panel != panel:
            self.state.view.panel_part = 0

    def toggle_full_screen(self) -> None:
        """Cover the full screen, or return to the size and place before."""
        self._lift_all()
        self.scene.invalidate()
        try:
            self.full_screen.toggle()
        except pygame.error as error:
            self.state.notify(f"no full screen here ({error})", time.monotonic())
        self.screen = pygame.display.get_surface() or self.screen

    def _close(self, *_: object) -> None:
        self.is_open = False
