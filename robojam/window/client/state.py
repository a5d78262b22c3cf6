"""What the window knows: touches, controls, turn, and how the engine is.

Pure: messages and touches come in with the instant (monotonic seconds, ``now``),
nothing here asks what time it is, and nothing knows of pixels.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from robojam.touch import Phase, clip, is_machine
from robojam.window.client.echo import TouchEchoFilter
from robojam.window.client.ports import EnginePorts
from robojam.window.client.strokes import Strokes
from robojam.wire.osc import Message

#: Nothing heard for this long, in seconds: the engine is lost.
LOST_AFTER = 2.5
#: Not there for this long after the window opened, in seconds: perhaps nobody starts it.
PATIENCE = 15.0
#: For so long, in seconds, the window says that the engine was restarted, or a small thing.
NEWS, WORD = 8.0, 1.6
#: A voice that played within so many seconds is playing; drops are told for so many.
PLAYING, DROPS_SHOW = 0.6, 10.0
#: What is expected is shown for so long after it was told, and a ghost after it was due.
FORECAST_HOLDS, GHOST_HOLDS = 3.0, 0.4

_NUMBERS = frozenset(
    "temperature spread timescale threshold response volume pause seed".split()
)
_WORDS = ("mode", "model", "instrument", "scale")
#: What is asked of a jam, and is nothing to an engine that plays a recording.
_OF_A_JAM = frozenset(
    "answer reset record mode model back store recall instrument scale "
    "temperature spread timescale threshold response".split()
)
_EVENTS = {
    "answer": "the machine was asked to answer",
    "reset": "the machine has forgotten what it heard",
    "panic": "silence until the next touch",
}


class EngineState(Enum):
    """How the engine is, seen from here."""

    STARTING = "starting"
    CONNECTED = "there"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class PendingTouch:
    """The touch that is pending: who will play it, where, and from when to when."""

    who: str
    x: float
    y: float
    told: float
    due: float


@dataclass(frozen=True, slots=True)
class ForecastComponent:
    """One component of the forecast, in screen units."""

    weight: float
    x: float
    y: float
    sd_x: float
    sd_y: float
    correlation: float

    def rotated(self, quarter_turns: int) -> ForecastComponent:
        """Return it as it is seen when the surface is turned by so many quarters, clockwise."""
        if not quarter_turns % 4:
            return self
        one = ForecastComponent(
            self.weight, 1 - self.y, self.x, self.sd_y, self.sd_x, -self.correlation
        )
        return one.rotated(quarter_turns - 1)


def finite_number(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        told = float(value)
    except OverflowError:
        return None
    return told if math.isfinite(told) else None


@dataclass(slots=True)
class ViewSettings:
    """What this window alone decides: what it shows, and how.

    panel is what lies open (help, controls, sessions, player, or nothing); quarters,
    how far the picture is turned; grabbed, the control that a finger turns; typing,
    a name that is being written; typed_keys, whether letters play.
    """

    panel: str = ""
    theme: str = "dark"
    quarter_turns: int = 0
    show_forecast: bool = True
    grabbed_dial: str = ""
    typing: str | None = None
    letters_play: bool = False


@dataclass(slots=True)
class WindowState:
    """All of it. ``opened`` is the instant at which the window opened."""

    engine_name: str = ""
    opened_at: float = 0.0
    strokes: Strokes = field(default_factory=Strokes)
    echo_filter: TouchEchoFilter = field(default_factory=TouchEchoFilter)
    controls: dict[str, float] = field(default_factory=dict)
    silenced: bool = False  # by a panic
    replaying: bool = False  # the engine plays a recording
    mode: str = ""
    model: str = ""
    instrument: str = ""
    scale: str = ""
    device: str = ""
    turn: str = ""
    recording: str = ""
    recording_since: float = 0.0
    problems: tuple[str, ...] = ()
    pending_touches: dict[str, PendingTouch] = field(default_factory=dict)
    forecast: tuple[ForecastComponent, ...] = ()
    forecast_at: float = -math.inf
    view: ViewSettings = field(default_factory=ViewSettings)
    memories: tuple[str, ...] = ()
    sessions: str = ""
    ports: EnginePorts = field(default_factory=EnginePorts)
    has_played: bool = False
    late_ms: float = 0.0
    dropped: int | None = None
    recently_dropped: int = 0
    dropped_at: float = -math.inf
    last_message_at: float | None = None
    machine_played_at: float = -math.inf
    restarted_at: float = -math.inf
    notice: str = ""
    notice_at: float = -math.inf
    _turn_left: float | None = None
    _turn_left_at: float = 0.0
    _engine_started: str = ""
    _has_status: bool = False

    # What is seen from outside

    def engine_state(self, now: float) -> EngineState:
        """How the engine is at this instant."""
        if self.last_message_at is None:
            return EngineState.STARTING
        return (
            EngineState.CONNECTED
            if now - self.last_message_at < LOST_AFTER
            else EngineState.LOST
        )

    @property
    def paused(self) -> bool:
        """Whether the machine is held; in solo, by a panic too."""
        return bool(self.controls.get("pause", 0)) or (self.silenced and self.mode == "solo")

    def refuses(self, action: str) -> bool:
        """Whether the engine, which plays a recording, does not do what an action asks."""
        name, _, about = action.partition(":")
        asked = about.partition(":")[0] if name in ("slide", "step") else name
        return self.replaying and asked in _OF_A_JAM

    def machine_playing(self, now: float) -> bool:
        """Whether a voice of the machine is sounding, or has just been."""
        return now - self.machine_played_at < PLAYING or any(
            stroke.lifted is None and is_machine(stroke.who) for stroke in self.strokes
        )

    def turn_left(self, now: float) -> tuple[float, float] | None:
        """Seconds left of the machine's turn, and of how many; None where it has no end."""
        if self._turn_left is None or not is_machine(self.turn):
            return None
        passed = 0.0 if self.paused else now - self._turn_left_at
        left = max(0.0, self._turn_left - passed)
        return left, max(left, self.controls.get("response", left))

    def current_forecast(self, now: float) -> tuple[ForecastComponent, ...]:
        """The forecast, as long as it holds and is wanted."""
        fresh = now - self.forecast_at < FORECAST_HOLDS
        return self.forecast if fresh and self.view.show_forecast else ()

    def is_animating(self, now: float) -> bool:
        """Whether the surface will look different a moment later, though nothing comes."""
        counting = self.turn_left(now) is not None and not self.paused
        return bool(self.pending_touches) or counting or self.strokes.is_animating(now)

    # What happens

    def add_own_touch(self, phase: Phase, finger: int, x: float, y: float, now: float) -> None:
        """One's own finger, drawn at once; x, y in screen units."""
        self.has_played = True
        who = self.echo_filter.who
        if phase is Phase.UP:
            self.strokes.up(who, finger, now, own=True)
            return
        self._end_panic(who)
        self.echo_filter.add(finger, x, y, now)
        if phase is Phase.DOWN:
            self.strokes.down(who, finger, x, y, now, own=True)
        else:
            self.strokes.move(who, finger, x, y, now, own=True)

    def advance(self, now: float) -> None:
        """Let go of what has faded, and of the fingers of an engine that is lost."""
        self.strokes.fade(now)
        self.pending_touches = {
            who: pending
            for who, pending in self.pending_touches.items()
            if now < pending.due + GHOST_HOLDS
        }
        if self.engine_state(now) is EngineState.LOST:
            self.strokes.lift_others(now)
            self.pending_touches.clear()
            self.forecast = ()

    def handle_message(self, message: Message, now: float, utc: datetime) -> None:
        """Take a message from the engine. One that makes no sense changes nothing."""
        self.last_message_at = now
        match message.address.split("/")[1:]:
            case ["robojam", "status"]:
                self._handle_status(message.args, now, utc)
            case ["robojam", "turn"] if message.tags == "s":
                self._handle_turn(message.args[0], now)
            case ["robojam", "forecast"]:
                self._handle_forecast(message.args, now)
            case ["robojam", name] if name in _EVENTS:
                self.silenced = self.silenced or name == "panic"
                held = name == "panic" and self.paused
                self.notify("silence until it may go on: p" if held else _EVENTS[name], now)
                self.pending_touches.clear()
            case ["robojam", "back" | "store" | "recall" as name] if message.args:
                self._handle_memory(name, message.args[0], now)
            case ["robojam", "record"] if len(message.args) == 1:
                self._handle_record(message.args[0], now, utc)
            case ["robojam", name] if len(message.args) == 1:
                self._handle_control(name, message.args[0])
            case ["robojam", who, what] if is_machine(who) or who.startswith("human"):
                self._handle_touch(who, what, message.args, now)

    def notify(self, text: str, now: float) -> None:
        """Show a few words for a moment."""
        self.notice, self.notice_at = text, now

    # By kind of message

    def _handle_touch(self, who: str, what: str, args: tuple[Any, ...], now: float) -> None:
        numbers = [finite_number(arg) for arg in args]
        if None in numbers or not numbers:
            return
        finger, *rest = (value for value in numbers if value is not None)
        if what == "up":
            self.strokes.up(who, int(finger), now, own=False)
            return
        if len(rest) < 2:
            return
        x, y = clip(rest[0], 0, 1), clip(rest[1], 0, 1)
        if what == "next" and len(rest) > 2:
            self.pending_touches[who] = PendingTouch(who, x, y, now, now + clip(rest[2], 0, 60))
        elif what in ("down", "move") and not self.echo_filter.is_echo(
            who, int(finger), x, y, now
        ):
            self.has_played = True
            self._end_panic(who)
            draw = self.strokes.down if what == "down" else self.strokes.move
            draw(who, int(finger), x, y, now, own=False)
            for used in ("sound",) if is_machine(who) else ("sound", "osc"):
                self.ports.mark_used(used, now)
            if is_machine(who):
                self.machine_played_at = now
                self.pending_touches.pop(who, None)

    def _end_panic(self, who: str) -> None:
        """Someone plays: that ends a panic, but in solo only if it is the machine."""
        if is_machine(who) or self.mode != "solo":
            self.silenced = False

    def _handle_turn(self, turn: object, now: float) -> None:
        if isinstance(turn, str) and turn != self.turn:
            self.turn = turn
            if is_machine(turn):
                self.forecast = ()  # what was expected of the human
                response = self.controls.get("response", 0.0)
                ends = response > 0 and self.mode in ("", "call-response")
                self._turn_left, self._turn_left_at = (response if ends else None), now
            else:
                self.strokes.lift_others(now, humans=False)  # an up may have been lost
                self.pending_touches.clear()

    def _handle_forecast(self, args: tuple[Any, ...], now: float) -> None:
        numbers = [finite_number(arg) for arg in args]
        whole = [value for value in numbers if value is not None]
        if len(whole) != len(args) or len(whole) % 6:
            return
        groups = (ForecastComponent(*whole[i : i + 6]) for i in range(0, len(whole), 6))
        self.forecast = tuple(sorted(groups, key=lambda group: -group.weight)[:12])
        self.forecast_at = now

    def _handle_memory(self, name: str, value: object, now: float) -> None:
        if name == "back":
            self.notify(f"as it was {finite_number(value) or 0:g} seconds ago", now)
        elif name == "store":
            self.memories = tuple(sorted({*self.memories, str(value)}))
            self.notify(f"kept as memory {value}", now)
        else:
            self.notify(f"as it was in memory {value}", now)
        if name != "store":
            self.pending_touches.clear()

    def _handle_control(self, name: str, value: object) -> None:
        if name in _WORDS and isinstance(value, str):
            setattr(self, name, value)
        elif name in _NUMBERS and (told := finite_number(value)) is not None:
            self.controls[name] = told
            if name == "pause":
                self.silenced = False

    def _handle_status(self, args: tuple[Any, ...], now: float, utc: datetime) -> None:
        try:
            status = json.loads(args[0])
        except (IndexError, TypeError, ValueError, RecursionError):
            return
        if not isinstance(status, dict):
            return
        for name in (*_WORDS, "device"):
            if isinstance(value := status.get(name), str):
                setattr(self, name, value)
        self.replaying = status.get("replaying") is True
        self._handle_turn(status.get("turn"), now)
        if "turn_left" in status:
            self._turn_left, self._turn_left_at = finite_number(status["turn_left"]), now
        memories = status.get("memories")
        self.memories = tuple(map(str, memories)) if isinstance(memories, list) else ()
        if isinstance(sessions := status.get("sessions"), str):
            self.sessions = sessions
        for name in ("midi", "sound"):
            self.ports.update(name, status.get(name), now)
        if "paused" in status:
            self.controls["pause"] = float(bool(status["paused"]))
        if "recording" in status:
            self._set_recording(status["recording"], now, utc)
        problems = status.get("trouble")
        self.problems = tuple(map(str, problems)) if isinstance(problems, list) else ()
        self.late_ms = finite_number(status.get("late_ms_p99")) or 0.0
        self._count_dropped(status.get("dropped"), now)
        if status.get("fingers") == 0:
            self.strokes.lift_others(now, still_for=1.0, machine=False)  # an up was lost
        started = str(status.get("started", ""))
        if self._engine_started and started and started != self._engine_started:
            self.restarted_at, self.silenced = now, False
            self.strokes.lift_others(now)
        self._engine_started = started or self._engine_started
        self._has_status = True

    def _handle_record(self, told: object, now: float, utc: datetime) -> None:
        wanted = finite_number(told)
        if wanted == 0:
            self._set_recording("", now, utc)
        elif wanted is not None and not self.recording:
            self._set_recording("armed", now, utc)  # the next status tells the file

    def _set_recording(self, value: object, now: float, utc: datetime) -> None:
        recording = value if isinstance(value, str) else "on" if value else ""
        if recording == self.recording:
            return
        before = 0.0 if self._has_status else _age(recording, utc)
        self.recording, self.recording_since = recording, now - before

    def _count_dropped(self, reasons: object, now: float) -> None:
        if not isinstance(reasons, dict):
            return
        total = int(sum(finite_number(count) or 0 for count in reasons.values()))
        if self.dropped is not None and total > self.dropped:
            fresh = now - self.dropped_at >= DROPS_SHOW
            self.recently_dropped = (
                total - self.dropped + (0 if fresh else self.recently_dropped)
            )
            self.dropped_at = now
        self.dropped = total


def _age(recording: str, utc: datetime) -> float:
    """How long ago a recording began, in seconds, by its name; 0 when it does not tell."""
    name = PurePath(recording.replace("\\", "/")).name[:19]
    try:
        began = datetime.strptime(name, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    age = (utc - began).total_seconds()
    return age if 0 <= age < 86400 else 0.0
