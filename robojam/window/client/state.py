"""State of the window: touches, controls, whose turn it is, and whether the engine answers.

Pure: messages and touches come with their time (monotonic seconds, ``now``). No clock is
read here, and nothing depends on pixels.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from robojam.config.roles import Role
from robojam.controls import CONTROLS, SETTINGS, Kind
from robojam.jam.modes import MODES, Mode
from robojam.touch import MEMORIES, Phase, clip, is_machine, is_player
from robojam.window.client.beat_clock import BeatClock
from robojam.window.client.faders import Faders
from robojam.window.client.mapped_knobs import MappedKnobs, parse_knobs
from robojam.window.client.own_touches import OwnTouches
from robojam.window.client.ports import EnginePorts
from robojam.window.client.setup import EngineSetup, parse_setup
from robojam.window.client.strokes import Strokes
from robojam.window.client.web_pad import WebPad, parse_web_pad
from robojam.window.input.keys import US_KEY_NAMES
from robojam.wire.osc import Message
from robojam.wire.port_problems import MAX_ENTRIES, plain

#: The engine is lost after this many seconds without a message.
LOST_AFTER = 2.5
#: A voice counts as playing for this many seconds after a touch. Dropped messages are
#: reported for this many seconds.
PLAYING_HOLDS, DROPS_SHOWN = 0.6, 10.0
#: The forecast is shown for this many seconds after its message. A pending touch is
#: shown for this many seconds after it was due.
FORECAST_SHOWN, PENDING_SHOWN = 3.0, 0.4
#: A motif that comes back is shown for this many seconds; motifs at once, at most; and
#: points of its path, at most.
RECALL_SHOWN, MAX_RECALLS, MAX_RECALL_POINTS = 4.0, 8, 32
#: What the window says where lines of a clock are asked for, and there is none.
NEEDS_CLOCK = "quantum, grid and bars need a clock: choose one, or tap a tempo"
#: States of a jam's health, and characters of its text that are read.
HEALTH, MAX_HEALTH = ("ok", "warn", "bad"), 2000
#: Part of a beat for which its mark glows.
GLOW = 0.4
#: Components of the forecast that are drawn, the heaviest first.
MAX_COMPONENTS = 12

_TEXTS = ("model", *(name for name, row in SETTINGS.items() if row.kind is Kind.TEXT))
_RESPONSE = CONTROLS["response"]
#: Pressures that are kept at most, until their touches come.
_MAX_PRESSURES = 256
#: Players who are out of the jam that are named, at most.
_NAMED = 3
_NUMBERS = frozenset(("seed", *SETTINGS)) - {*_TEXTS}
#: Controls that an engine refuses while it plays a recording.
_LIVE_ONLY = frozenset(name for name, row in CONTROLS.items() if not row.replay)
#: Panels that are of use to a host alone.
_HOST_PANELS = ("setup", "web")
_EVENTS = {
    "answer": "the machine was asked to answer",
    "reset": "the machine has forgotten what it heard",
    "panic": "silent until the next touch",
}
#: Seconds for which a short notice is shown, and within which a request to quit is repeated.
NOTICE_SHOWN, QUIT_AGAIN = 1.6, 2.0
#: Seconds for which the window says that a memory was stored, and offers to take that back.
STORED_SHOWN, UNDO_SHOWN = 4.0, 20.0
#: State of the engine, as seen from the window.
EngineState = Enum("EngineState", "STARTING CONNECTED LOST")


@dataclass(frozen=True, slots=True)
class PendingTouch:
    """Touch that the machine will play next. x, y in screen units, times in seconds."""

    who: str
    x: float
    y: float
    announced_at: float
    due: float


@dataclass(frozen=True, slots=True)
class RecalledStroke:
    """Stroke that a machine voice brings back from before.

    whose: who played it ("": not known); path: where, in screen units; seconds_ago: how long
    before at, the time of its return.
    """

    whose: str
    path: tuple[tuple[float, float], ...]
    seconds_ago: float
    at: float


@dataclass(frozen=True, slots=True)
class ForecastComponent:
    """One component of the forecast's Gaussian mixture, in screen units."""

    weight: float
    x: float
    y: float
    sd_x: float
    sd_y: float
    correlation: float

    def rotated(self, quarter_turns: int) -> ForecastComponent:
        """Return the component on a surface rotated clockwise by quarter turns."""
        if not quarter_turns % 4:
            return self
        x, y, sd_x, sd_y = 1 - self.y, self.x, self.sd_y, self.sd_x
        rotated = ForecastComponent(self.weight, x, y, sd_x, sd_y, -self.correlation)
        return rotated.rotated(quarter_turns - 1)


def finite_number(value: object) -> float | None:
    """Return value as a float if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with suppress(OverflowError):
        if math.isfinite(number := float(value)):
            return number
    return None


def _finite_numbers(values: tuple[Any, ...]) -> list[float] | None:
    """Return all values as floats, or None if one of them is not a finite number."""
    numbers = [number for value in values if (number := finite_number(value)) is not None]
    return numbers if len(numbers) == len(values) else None


@dataclass(slots=True)
class ViewSettings:
    """Settings of this window alone: what it shows, and how.

    panel is the name of the open panel (help, controls, setup, sessions, player,
    health), or empty;
    help_page the page of the help, 0 or 1; panel_part the part that is shown of a panel with
    more rows than fit. grabbed_dial is the control that a finger turns at
    the moment. typed_name is the new name of a recording, or an address in the setup, while it
    is typed, else None. letters_play is true while letter keys play touches. scale is that of
    the display. key_names has the name of each action's key in the layout of the keyboard.
    """

    panel: str = ""
    help_page: int = 0
    panel_part: int = 0
    theme: str = "dark"
    quarter_turns: int = 0
    show_forecast: bool = True
    grabbed_dial: str = ""
    typed_name: str | None = None
    letters_play: bool = False
    scale: float = 1.0
    key_names: dict[str, str] = field(default_factory=lambda: US_KEY_NAMES)


@dataclass(slots=True)
class WindowState:
    """Everything that the window draws. opened_at: when it opened, in seconds.

    ends: what ends with the window (jam, replay), or "". stored: the memory that was stored
    last and can be taken back, or "".
    """

    engine_name: str = ""
    ends: str = ""
    opened_at: float = 0.0
    strokes: Strokes = field(default_factory=Strokes)
    own_touches: OwnTouches = field(default_factory=OwnTouches)
    faders: Faders = field(default_factory=Faders)
    controls: dict[str, float] = field(default_factory=dict)
    silenced: bool = False  # by a panic
    remote: bool = False  # the engine is not reached at the loopback interface
    replaying: bool = False  # the engine replays a recording
    role: Role = Role.HOST  # of this window, and its address, as the engine says
    address: str = ""
    texts: dict[str, str] = field(default_factory=dict)  # mode, model, device, scale …
    turn: str = ""
    recording: str = ""
    recording_since: float = 0.0
    problems: tuple[str, ...] = ()
    pending_touches: dict[str, PendingTouch] = field(default_factory=dict)
    recalled: tuple[RecalledStroke, ...] = ()
    forecast: tuple[ForecastComponent, ...] = ()
    forecast_at: float = -math.inf
    view: ViewSettings = field(default_factory=ViewSettings)
    memories: tuple[str, ...] = ()
    sessions: str = ""
    ports: EnginePorts = field(default_factory=EnginePorts)
    beat_clock: BeatClock = field(default_factory=BeatClock)
    clock_peers: int | None = None  # other programs that share the clock
    web: WebPad = field(default_factory=WebPad)
    show: bool = False  # the engine plays a show: the window says nothing by itself
    unlocked: frozenset[str] | None = None  # the controls that are not locked; None: all
    health: str = ""  # ok, warn or bad; "" until the engine has told it
    health_problems: tuple[str, ...] = ()
    setup: EngineSetup | None = None  # None until the engine has been asked
    mapped_knobs: MappedKnobs | None = None  # None until the engine has been asked
    has_played: bool = False
    late_ms: float = 0.0
    dropped: int | None = None
    recently_dropped: int = 0
    dropped_at: float = -math.inf
    last_message_at: float | None = None
    machine_played_at: float = -math.inf
    restarted_at: float = -math.inf
    notice: str = ""
    notice_until: float = -math.inf
    notice_asks: bool = False  # it is shown even where no text is
    quit_asked_at: float = -math.inf
    stored: str = ""
    stored_at: float = -math.inf
    _turn_left: float | None = None
    _turn_left_at: float = 0.0
    _engine_started: str = ""
    _has_status: bool = False
    #: Pressures of touches that come next, by player and finger.
    _pressures: dict[tuple[str, int], float] = field(default_factory=dict)
    _unable: str = ""  # name of the last model that was said to follow no call

    def engine_state(self, now: float) -> EngineState:
        """Return whether the engine answers at this time."""
        if self.last_message_at is None:
            return EngineState.STARTING
        connected = now - self.last_message_at < LOST_AFTER
        return EngineState.CONNECTED if connected else EngineState.LOST

    def text(self, name: str) -> str:
        """Return a text that the engine has reported, such as the model; else ''."""
        return self.texts.get(name, "")

    @property
    def mode(self) -> str:
        """Mode of the jam; empty until the engine has reported it."""
        return self.text("mode")

    @property
    def mode_rules(self) -> type[Mode]:
        """Behaviour of the mode; call-response until the engine has reported one."""
        return MODES.get(self.mode, MODES["call-response"])

    @property
    def paused(self) -> bool:
        """Whether the machine is paused; in solo mode, also by a panic."""
        return bool(self.controls.get("pause", 0)) or (
            self.silenced and self.mode_rules.starts_alone
        )

    def refuses(self, action: str) -> str:
        """Return why the engine refuses an action: it replays, or only a host may; else "".

        action is a name as in `robojam.window.actions`, such as ``mode:duet``.
        """
        name, _, argument = action.partition(":")
        control = argument.partition(":")[0] if name in ("slide", "step") else name
        locked = self.unlocked is not None and control not in self.unlocked
        if locked and control in (*CONTROLS, *_HOST_PANELS):
            return "locked in a show"
        if self.replaying and (name in (*_HOST_PANELS, "health") or control in _LIVE_ONLY):
            return "while a recording plays, use pause, panic and volume"
        is_own = self.role == Role.PLAYER and control == "instrument" and argument != "ai"
        if self.role == Role.HOST or is_own or control not in (*CONTROLS, *_HOST_PANELS):
            return ""
        may = "play" if self.role == Role.PLAYER else "watch"
        address = self.address or "ADDRESS"
        return f"this window may only {may}; start the engine with --control {address}"

    def machine_playing(self, now: float) -> bool:
        """Return whether a machine voice is down or has just played."""
        return now - self.machine_played_at < PLAYING_HOLDS or any(
            stroke.lifted is None and is_machine(stroke.who) for stroke in self.strokes
        )

    def turn_left(self, now: float) -> tuple[float, float] | None:
        """Return the seconds left of the machine's turn, and its length.

        None when it is not the machine's turn, or when the turn has no end.
        """
        if self._turn_left is None or not is_machine(self.turn):
            return None
        passed = 0.0 if self.paused else now - self._turn_left_at
        left = max(0.0, self._turn_left - passed)
        return left, max(left, self._response)

    @property
    def _response(self) -> float:
        """Length of the machine's turn in seconds; 0: it has no end, or is not known."""
        beats, bars = self.beat_clock.beats, self.controls.get("bars", 0)
        if beats is not None and bars and self.has_clock:
            return bars * beats.beats_per_bar * 60 / beats.tempo
        return self.controls.get("response", 0.0)

    @property
    def has_clock(self) -> bool:
        """Whether the engine keeps to a clock, or would."""
        return self.text("clock") not in ("", "off")

    def current_forecast(self, now: float) -> tuple[ForecastComponent, ...]:
        """Return the forecast if it is recent and to be shown, else nothing."""
        fresh = now - self.forecast_at < FORECAST_SHOWN
        return self.forecast if fresh and self.view.show_forecast else ()

    def is_animating(self, now: float) -> bool:
        """Return whether the surface changes with time alone, without a new message."""
        counting = self.turn_left(now) is not None and not self.paused
        beat = self.beat_clock.at(now)
        glows = beat is not None and beat.part < GLOW
        changes = self.pending_touches or self.recalled or counting or glows
        return bool(changes) or self.strokes.is_animating(now) or self.faders.is_animating()

    def add_own_touch(
        self, phase: Phase, finger: int, x: float, y: float, now: float, pressure: float = 0.0
    ) -> None:
        """Add a touch of this window's own fingers; x, y in screen units.

        pressure is 0..1 where it is measured, else 0.
        """
        self.has_played = True
        who = self.own_touches.who
        if phase is Phase.UP:
            self.strokes.up(who, finger, now, own=True)
            return
        self._end_panic(who)
        self.own_touches.add(finger, x, y, now)
        draw = self.strokes.down if phase is Phase.DOWN else self.strokes.move
        draw(who, finger, x, y, now, own=True, pressure=pressure)

    def advance(self, now: float) -> None:
        """Remove what has faded, and lift the fingers of an engine that is lost."""
        self.strokes.fade(now)
        self.faders.fade(now)
        pending = self.pending_touches.items()
        self.pending_touches = {who: p for who, p in pending if now < p.due + PENDING_SHOWN}
        self.recalled = tuple(each for each in self.recalled if now - each.at < RECALL_SHOWN)
        if self.engine_state(now) is EngineState.LOST:
            self.strokes.lift_others(now)
            self.pending_touches.clear()
            self.forecast, self.setup, self.mapped_knobs = (), None, None
            self.beat_clock.stop()

    def handle_message(self, message: Message, now: float, utc: datetime) -> None:
        """Apply a message from the engine. An invalid message changes nothing.

        utc is the current date and time; it dates the recording that the engine writes.
        """
        self.last_message_at = now
        match message.address.split("/")[1:]:
            case ["robojam", "status"]:
                self._handle_status(message.args, now, utc)
            case ["robojam", "setup"]:
                if message.tags == "s":  # else it is of one option, for the supervisor
                    self.setup = parse_setup(str(message.args[0])) or self.setup
            case ["robojam", "map", "knobs"] if message.tags == "s":
                self.mapped_knobs = parse_knobs(str(message.args[0])) or self.mapped_knobs
            case ["robojam", "health"] if message.tags == "ss":
                self._handle_health(str(message.args[0]), str(message.args[1]))
            case ["robojam", "turn"] if message.args:
                self._handle_turn(message.args[0], now)
            case ["robojam", "forecast"]:
                self._handle_forecast(message.args, now)
            case ["robojam", "motif"]:
                self._handle_motif(message.args, now)
            case ["robojam", "beat"]:
                if (numbers := _finite_numbers(message.args)) and len(numbers) == 3:
                    self.beat_clock.hear(numbers[0], numbers[1], numbers[2], now)
            case ["robojam", "count_in"]:
                if (numbers := _finite_numbers(message.args)) and len(numbers) == 1:
                    self.beat_clock.count_in(numbers[0], now)
            case ["robojam", name] if name in _EVENTS:
                self.silenced = self.silenced or name == "panic"
                paused = name == "panic" and self.paused
                key = self.view.key_names["pause"]
                paused_text = f"silent until you press {key} or touch 'go on'"
                self.notify(paused_text if paused else _EVENTS[name], now)
                self.pending_touches.clear()
            case ["robojam", "store" | "undo_store" | "recall" as action, *_] if (
                message.tags == "s" and message.args[0] in tuple(MEMORIES)
            ):
                self._handle_memory(action, message.args[0], now)
            case ["robojam", "back"] if message.tags == "f":
                self.notify(f"back to {finite_number(message.args[0]) or 0:g} s ago", now)
                self.pending_touches.clear()
            case ["robojam", "record"] if len(message.args) == 1:
                number = finite_number(message.args[0])
                if number == 0:
                    self._set_recording("", now, utc)
                elif number is not None and not self.recording:
                    self._set_recording("armed", now, utc)  # the next status names the file
            case ["robojam", name] if len(message.args) == 1:
                self._handle_control(name, message.args[0])
            case ["robojam", who, "knobs"] if is_player(who):
                self._handle_knobs(who, message.args, now)
            case ["robojam", who, kind] if is_player(who):
                self._handle_touch(who, kind, message.args, now)

    def notify(
        self, text: str, now: float, seconds: float = NOTICE_SHOWN, *, asks: bool = False
    ) -> None:
        """Show a short notice for some seconds.

        asks: it asks the user for something, and is shown in a theme without text, too.
        """
        self.notice, self.notice_until, self.notice_asks = plain(text, 300), now + seconds, asks

    def confirm_quit(self, now: float) -> bool:
        """Return whether the user has asked to quit twice within QUIT_AGAIN seconds."""
        if now - self.quit_asked_at < QUIT_AGAIN:
            return True
        self.quit_asked_at = now
        what = f"end the {self.ends}" if self.ends else "close this window"
        key = self.view.key_names["quit"]
        text = f"press {key} or touch 'quit' again to {what}"
        self.notify(text, now, QUIT_AGAIN, asks=True)
        return False

    def can_undo_store(self, now: float) -> bool:
        """Return whether a memory was stored within the last UNDO_SHOWN seconds."""
        return bool(self.stored) and now - self.stored_at < UNDO_SHOWN

    def light(self, now: float) -> str:
        """Return the state that the health light shows: ok, warn or bad; "" for no light."""
        is_lost = bool(self.health) and self.engine_state(now) is EngineState.LOST
        return "bad" if is_lost else self.health

    def _handle_health(self, state: str, text: str) -> None:
        if state in HEALTH:
            self.health = state
            lines = [plain(line) for line in text[:MAX_HEALTH].split("; ")]
            self.health_problems = tuple(filter(None, lines))

    def _handle_memory(self, action: str, name: str, now: float) -> None:
        if action == "recall":
            self.notify(f"back to memory {name}", now)
            self.pending_touches.clear()
        elif action == "undo_store":  # the next status says whether the name holds another
            self.stored = ""
            self.notify(f"memory {name} is as it was before", now)
        else:
            verb = "stored again" if name in self.memories else "stored"
            self.memories = tuple(sorted({*self.memories, name}))
            self.stored, self.stored_at = name, now
            key = self.view.key_names["undo_store"]
            text = f"memory {name} {verb}; to undo that, press {key} or touch 'undo store'"
            self.notify(text, now, STORED_SHOWN, asks=True)

    def _handle_touch(self, who: str, kind: str, args: tuple[Any, ...], now: float) -> None:
        if not (numbers := _finite_numbers(args)):
            return
        finger = int(numbers[0])
        if kind == "up":
            self.strokes.up(who, finger, now, own=False)
        if kind == "pressure" and len(numbers) == 2 and len(self._pressures) < _MAX_PRESSURES:
            self._pressures[who, finger] = clip(numbers[1], 0, 1)
        if kind == "up" or len(numbers) < 3:
            return
        x, y = clip(numbers[1], 0, 1), clip(numbers[2], 0, 1)
        is_played = kind in ("down", "move")
        pressure = self._pressures.pop((who, finger), 0.0) if is_played else 0.0
        if kind == "next" and len(numbers) > 3:
            due = now + clip(numbers[3], 0, 60)
            self.pending_touches[who] = PendingTouch(who, x, y, now, due)
        elif is_played and not self.own_touches.is_reported(who, finger, x, y, now):
            self.has_played = True
            self._end_panic(who)
            draw = self.strokes.down if kind == "down" else self.strokes.move
            draw(who, finger, x, y, now, own=False, pressure=pressure)
            self.ports.mark_used("sound", now)
            if is_machine(who):
                self.machine_played_at = now
                self.pending_touches.pop(who, None)
            else:
                self.ports.mark_used("osc", now)

    def _handle_knobs(self, who: str, args: tuple[Any, ...], now: float) -> None:
        numbers = _finite_numbers(args)
        if not numbers or not self.faders.hear(who, numbers[1:], now):
            return
        self.has_played = True
        self._end_panic(who)
        self.ports.mark_used("sound", now)
        if is_machine(who):
            self.machine_played_at = now
            self.pending_touches.pop(who, None)
        else:
            self.ports.mark_used("osc", now)

    def _end_panic(self, who: str) -> None:
        """End a panic, because a player touched; in solo mode only the machine ends it."""
        if is_machine(who) or self.mode_rules.feeds_humans:
            self.silenced = False

    def _handle_turn(self, turn: object, now: float) -> None:
        if isinstance(turn, str) and is_player(turn) and turn != self.turn:
            self.turn = turn
            if is_machine(turn):
                self.forecast = ()  # it was the human's
                response = self._response
                ends = response > 0 and self.mode_rules.alternates
                self._turn_left, self._turn_left_at = (response if ends else None), now
            else:
                self.strokes.lift_others(now, humans=False)  # an up may have been lost
                self.pending_touches.clear()

    def _handle_forecast(self, args: tuple[Any, ...], now: float) -> None:
        numbers = _finite_numbers(args)
        if numbers is None or len(numbers) % 6:
            return
        components = (ForecastComponent(*numbers[i : i + 6]) for i in range(0, len(numbers), 6))
        by_weight = sorted(components, key=lambda component: -component.weight)
        self.forecast = tuple(by_weight[:MAX_COMPONENTS])
        self.forecast_at = now

    def _handle_motif(self, args: tuple[Any, ...], now: float) -> None:
        numbers = _finite_numbers(args[2:])
        if numbers is None or not 5 <= len(numbers) <= 1 + 2 * MAX_RECALL_POINTS:
            return
        seconds_ago, *path = numbers
        places = [clip(value, 0.0, 1.0) for value in path]
        points = tuple(zip(places[::2], places[1::2], strict=False))
        whose = str(args[1]) if is_player(str(args[1])) else ""
        recalled = RecalledStroke(whose, points, seconds_ago, now)
        self.recalled = (*self.recalled, recalled)[-MAX_RECALLS:]

    def _handle_control(self, name: str, value: object) -> None:
        if self._set_control(name, value):
            if name == "pause":
                self.silenced = False
            elif name == "clock" and not self.has_clock:
                self.beat_clock.stop()

    def _set_control(self, name: str, value: object) -> bool:
        """Keep a reported value if it is one that the control can have; return whether."""
        control = CONTROLS.get(name)
        if name in ("mode", "model") and isinstance(value, str):  # of a newer engine, too
            self.texts[name] = plain(value)
        elif control is not None and name in SETTINGS and control.kind is Kind.TEXT:
            try:
                self.texts[name] = control.check(value)
            except ValueError:
                return False
        elif name in _NUMBERS and (number := finite_number(value)) is not None:
            if control is None or not control.has(number):
                return False
            self.controls[name] = number
        else:
            return False
        return True

    def _handle_status(self, args: tuple[Any, ...], now: float, utc: datetime) -> None:
        try:
            status = json.loads(args[0])
        except (IndexError, TypeError, ValueError, RecursionError):
            return
        if not isinstance(status, dict):
            return
        self.faders.use(status.get("knobs"))
        if isinstance(device := status.get("device"), str):
            self.texts["device"] = plain(device)
        for name in (*_TEXTS, *_NUMBERS):  # a packet that announced it may have been lost
            self._set_control(name, status.get(name))
        self.replaying = status.get("replaying") is True
        self.show = status.get("show") is True
        unlocked = status.get("unlocked")
        self.unlocked = None
        if self.show and isinstance(unlocked, list):
            self.unlocked = frozenset(map(plain, unlocked[:MAX_ENTRIES]))
        if not self.show:
            self.health, self.health_problems = "", ()
        self._tell_unable(status.get("plans"), now)
        role = status.get("role")
        self.role = Role(role) if role in list(Role) else Role.HOST
        self.address = plain(status.get("address", ""), 64)
        self._handle_turn(status.get("turn"), now)
        if "turn_left" in status:
            left = finite_number(status["turn_left"])
            self._turn_left = None if left is None else clip(left, 0, _RESPONSE.high)
            self._turn_left_at = now
        memories = status.get("memories")
        memories = memories if isinstance(memories, list) else []
        self.memories = tuple(name for name in MEMORIES if name in memories)
        if self.stored not in self.memories:
            self.stored = ""
        if isinstance(sessions := status.get("sessions"), str):
            self.sessions = sessions
        self.ports.update(status, now)
        self.web = parse_web_pad(status.get("web"))
        if "recording" in status:
            self._set_recording(status["recording"], now, utc)
        troubles = status.get("trouble")
        troubles = troubles[:MAX_ENTRIES] if isinstance(troubles, list) else []
        self.problems = tuple(filter(None, map(plain, troubles)))
        resting, voices = (finite_number(status.get(name)) for name in ("resting", "voices"))
        if resting and voices:
            text = (
                f"{resting:.0f} of {voices:.0f} voices rest: the machine has no time for them"
            )
            self.problems += (text,)
        self._handle_clock(status.get("clock"))
        if out := _players_out(status.get("players")):
            self.problems += (f"{out} never pauses: the others are answered meanwhile",)
        self.late_ms = clip(finite_number(status.get("late_ms_p99")) or 0.0, 0, 1e5)
        self._count_dropped(status.get("dropped"), now)
        if status.get("fingers") == 0:
            self.strokes.lift_others(now, still_for=1.0, machine=False)  # an up was lost
        started = plain(status.get("started", ""))
        if self._engine_started and started and started != self._engine_started:
            self.restarted_at, self.silenced, self.setup = now, False, None
            self.strokes.lift_others(now)
        self._engine_started = started or self._engine_started
        self._has_status = True

    def _handle_clock(self, clock: object) -> None:
        """Take the state of the clock from a status; without one the engine has no beat."""
        clock = clock if isinstance(clock, dict) else {}
        self._set_control("clock", clock.get("source"))
        peers = finite_number(clock.get("peers"))
        self.clock_peers = None if peers is None else int(clip(peers, 0, 999))
        if problem := plain(clock.get("problem") or ""):
            self.problems += (f"clock: {problem}",)
        leans = self.text("grid") not in ("", "off") and self.controls.get("lean")
        asked = self.text("quantum") not in ("", "off") or leans or self.controls.get("bars")
        if asked and self.text("clock") == "off" and not self.replaying:
            self.problems += (NEEDS_CLOCK,)
        if not self.has_clock:
            self.beat_clock.stop()

    def _tell_unable(self, plans: object, now: float) -> None:
        """Say, once for a model, that `follow` and `memory` change nothing for it."""
        asked = self.controls.get("follow") or self.controls.get("memory")
        model = self.text("model")
        knows = plans is not False or self.faders.count  # knobs have no phrases
        if asked and not knows and not self.replaying and model != self._unable:
            self._unable = model
            self.notify("this model follows no call: follow and memory change nothing", now)

    def _set_recording(self, value: object, now: float, utc: datetime) -> None:
        recording = plain(value, 1024) if isinstance(value, str) else "on" if value else ""
        if recording == self.recording:
            return
        age = 0.0 if self._has_status else _age(recording, utc)
        self.recording, self.recording_since = recording, now - age

    def _count_dropped(self, reasons: object, now: float) -> None:
        if not isinstance(reasons, dict):
            return
        total = int(sum(clip(finite_number(n) or 0, 0, 1e12) for n in reasons.values()))
        if self.dropped is not None and total > self.dropped:
            if now - self.dropped_at >= DROPS_SHOWN:
                self.recently_dropped = 0
            self.recently_dropped += total - self.dropped
            self.dropped_at = now
        self.dropped = total


def _age(recording: str, utc: datetime) -> float:
    """Return a recording's age in seconds from the date in its file name, or 0."""
    name = PurePath(recording.replace("\\", "/")).name[:19]
    try:
        began = datetime.strptime(name, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    age = (utc - began).total_seconds()
    return age if 0 <= age < 86400 else 0.0


def _players_out(players: object) -> str:
    """Return the names of the players who are out of the jam: see `robojam.jam.fair_turns`."""
    entries = players[:MAX_ENTRIES] if isinstance(players, list) else []
    out = [plain(p.get("name"), 12) for p in entries if isinstance(p, dict) and p.get("out")]
    return ", ".join([*out[:_NAMED], *(["…"] if len(out) > _NAMED else [])])
