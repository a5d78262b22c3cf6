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
from robojam.window.client.connections import Connections
from robojam.window.client.echo import ControlEchoFilter
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
    THERE = "there"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Ghost:
    """The touch that is pending: who will play it, where, and from when to when."""

    who: str
    x: float
    y: float
    told: float
    due: float


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the forecast, in screen units."""

    weight: float
    x: float
    y: float
    sd_x: float
    sd_y: float
    correlation: float

    def turned(self, quarters: int) -> Component:
        """Return it as it is seen when the surface is turned by so many quarters, clockwise."""
        if not quarters % 4:
            return self
        one = Component(
            self.weight, 1 - self.y, self.x, self.sd_y, self.sd_x, -self.correlation
        )
        return one.turned(quarters - 1)


def number(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        told = float(value)
    except OverflowError:
        return None
    return told if math.isfinite(told) else None


@dataclass(slots=True)
class View:
    """What this window alone decides: what it shows, and how.

    panel is what lies open (help, controls, sessions, player, or nothing); quarters,
    how far the picture is turned; grabbed, the control that a finger turns; typing,
    a name that is being written; typed_keys, whether letters play.
    """

    panel: str = ""
    theme: str = "dark"
    quarters: int = 0
    forecast: bool = True
    grabbed: str = ""
    typing: str | None = None
    keys_play: bool = False


@dataclass(slots=True)
class WindowState:
    """All of it. ``opened`` is the instant at which the window opened."""

    engine_name: str = ""
    opened: float = 0.0
    strokes: Strokes = field(default_factory=Strokes)
    echoes: ControlEchoFilter = field(default_factory=ControlEchoFilter)
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
    trouble: tuple[str, ...] = ()
    ghosts: dict[str, Ghost] = field(default_factory=dict)
    forecast: tuple[Component, ...] = ()
    forecast_told: float = -math.inf
    view: View = field(default_factory=View)
    memories: tuple[str, ...] = ()
    sessions: str = ""
    connections: Connections = field(default_factory=Connections)
    touched: bool = False
    late_ms: float = 0.0
    dropped: int | None = None
    dropped_new: int = 0
    dropped_told: float = -math.inf
    heard_last: float | None = None
    played_last: float = -math.inf
    restarted: float = -math.inf
    word: str = ""
    word_told: float = -math.inf
    _left: float | None = None
    _left_told: float = 0.0
    _started: str = ""
    _asked: bool = False

    # What is seen from outside

    def engine(self, now: float) -> EngineState:
        """How the engine is at this instant."""
        if self.heard_last is None:
            return EngineState.STARTING
        return EngineState.THERE if now - self.heard_last < LOST_AFTER else EngineState.LOST

    @property
    def paused(self) -> bool:
        """Whether the machine is held; in solo, by a panic too."""
        return bool(self.controls.get("pause", 0)) or (self.silenced and self.mode == "solo")

    def refuses(self, action: str) -> bool:
        """Whether the engine, which plays a recording, does not do what an action asks."""
        name, _, about = action.partition(":")
        asked = about.partition(":")[0] if name in ("slide", "step") else name
        return self.replaying and asked in _OF_A_JAM

    def playing(self, now: float) -> bool:
        """Whether a voice of the machine is sounding, or has just been."""
        return now - self.played_last < PLAYING or any(
            stroke.lifted is None and is_machine(stroke.who) for stroke in self.strokes
        )

    def turn_left(self, now: float) -> tuple[float, float] | None:
        """Seconds left of the machine's turn, and of how many; None where it has no end."""
        if self._left is None or not is_machine(self.turn):
            return None
        passed = 0.0 if self.paused else now - self._left_told
        left = max(0.0, self._left - passed)
        return left, max(left, self.controls.get("response", left))

    def expected(self, now: float) -> tuple[Component, ...]:
        """The forecast, as long as it holds and is wanted."""
        fresh = now - self.forecast_told < FORECAST_HOLDS
        return self.forecast if fresh and self.view.forecast else ()

    def restless(self, now: float) -> bool:
        """Whether the surface will look different a moment later, though nothing comes."""
        counting = self.turn_left(now) is not None and not self.paused
        return bool(self.ghosts) or counting or self.strokes.restless(now)

    # What happens

    def touch(self, phase: Phase, finger: int, x: float, y: float, now: float) -> None:
        """One's own finger, drawn at once; x, y in screen units."""
        self.touched = True
        who = self.echoes.who
        if phase is Phase.UP:
            self.strokes.up(who, finger, now, mine=True)
            return
        self._wakes(who)
        self.echoes.sent(finger, x, y, now)
        if phase is Phase.DOWN:
            self.strokes.down(who, finger, x, y, now, mine=True)
        else:
            self.strokes.move(who, finger, x, y, now, mine=True)

    def pass_time(self, now: float) -> None:
        """Let go of what has faded, and of the fingers of an engine that is lost."""
        self.strokes.fade(now)
        self.ghosts = {
            who: ghost for who, ghost in self.ghosts.items() if now < ghost.due + GHOST_HOLDS
        }
        if self.engine(now) is EngineState.LOST:
            self.strokes.lift_theirs(now)
            self.ghosts.clear()
            self.forecast = ()

    def heard(self, message: Message, now: float, utc: datetime) -> None:
        """Take a message from the engine. One that makes no sense changes nothing."""
        self.heard_last = now
        match message.address.split("/")[1:]:
            case ["robojam", "status"]:
                self._status(message.args, now, utc)
            case ["robojam", "turn"] if message.tags == "s":
                self._turn(message.args[0], now)
            case ["robojam", "forecast"]:
                self._forecast(message.args, now)
            case ["robojam", name] if name in _EVENTS:
                self.silenced = self.silenced or name == "panic"
                held = name == "panic" and self.paused
                self.say("silence until it may go on: p" if held else _EVENTS[name], now)
                self.ghosts.clear()
            case ["robojam", "back" | "store" | "recall" as name] if message.args:
                self._went_back(name, message.args[0], now)
            case ["robojam", "record"] if len(message.args) == 1:
                self._record(message.args[0], now, utc)
            case ["robojam", name] if len(message.args) == 1:
                self._control(name, message.args[0])
            case ["robojam", who, what] if is_machine(who) or who.startswith("human"):
                self._played(who, what, message.args, now)

    def say(self, word: str, now: float) -> None:
        """Show a few words for a moment."""
        self.word, self.word_told = word, now

    # By kind of message

    def _played(self, who: str, what: str, args: tuple[Any, ...], now: float) -> None:
        numbers = [number(arg) for arg in args]
        if None in numbers or not numbers:
            return
        finger, *rest = (value for value in numbers if value is not None)
        if what == "up":
            self.strokes.up(who, int(finger), now, mine=False)
            return
        if len(rest) < 2:
            return
        x, y = clip(rest[0], 0, 1), clip(rest[1], 0, 1)
        if what == "next" and len(rest) > 2:
            self.ghosts[who] = Ghost(who, x, y, now, now + clip(rest[2], 0, 60))
        elif what in ("down", "move") and not self.echoes.mine(who, int(finger), x, y, now):
            self.touched = True
            self._wakes(who)
            draw = self.strokes.down if what == "down" else self.strokes.move
            draw(who, int(finger), x, y, now, mine=False)
            for used in ("sound",) if is_machine(who) else ("sound", "osc"):
                self.connections.use(used, now)
            if is_machine(who):
                self.played_last = now
                self.ghosts.pop(who, None)

    def _wakes(self, who: str) -> None:
        """Someone plays: that ends a panic, but in solo only if it is the machine."""
        if is_machine(who) or self.mode != "solo":
            self.silenced = False

    def _turn(self, turn: object, now: float) -> None:
        if isinstance(turn, str) and turn != self.turn:
            self.turn = turn
            if is_machine(turn):
                self.forecast = ()  # what was expected of the human
                response = self.controls.get("response", 0.0)
                ends = response > 0 and self.mode in ("", "call-response")
                self._left, self._left_told = (response if ends else None), now
            else:
                self.strokes.lift_theirs(now, humans=False)  # an up may have been lost
                self.ghosts.clear()

    def _forecast(self, args: tuple[Any, ...], now: float) -> None:
        numbers = [number(arg) for arg in args]
        whole = [value for value in numbers if value is not None]
        if len(whole) != len(args) or len(whole) % 6:
            return
        groups = (Component(*whole[i : i + 6]) for i in range(0, len(whole), 6))
        self.forecast = tuple(sorted(groups, key=lambda group: -group.weight)[:12])
        self.forecast_told = now

    def _went_back(self, name: str, value: object, now: float) -> None:
        if name == "back":
            self.say(f"as it was {number(value) or 0:g} seconds ago", now)
        elif name == "store":
            self.memories = tuple(sorted({*self.memories, str(value)}))
            self.say(f"kept as memory {value}", now)
        else:
            self.say(f"as it was in memory {value}", now)
        if name != "store":
            self.ghosts.clear()

    def _control(self, name: str, value: object) -> None:
        if name in _WORDS and isinstance(value, str):
            setattr(self, name, value)
        elif name in _NUMBERS and (told := number(value)) is not None:
            self.controls[name] = told
            if name == "pause":
                self.silenced = False

    def _status(self, args: tuple[Any, ...], now: float, utc: datetime) -> None:
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
        self._turn(status.get("turn"), now)
        if "turn_left" in status:
            self._left, self._left_told = number(status["turn_left"]), now
        memories = status.get("memories")
        self.memories = tuple(map(str, memories)) if isinstance(memories, list) else ()
        if isinstance(sessions := status.get("sessions"), str):
            self.sessions = sessions
        for name in ("midi", "sound"):
            self.connections.tell(name, status.get(name), now)
        if "paused" in status:
            self.controls["pause"] = float(bool(status["paused"]))
        if "recording" in status:
            self._recording(status["recording"], now, utc)
        trouble = status.get("trouble")
        self.trouble = tuple(map(str, trouble)) if isinstance(trouble, list) else ()
        self.late_ms = number(status.get("late_ms_p99")) or 0.0
        self._dropped(status.get("dropped"), now)
        if status.get("fingers") == 0:
            self.strokes.lift_theirs(now, quiet=1.0, machine=False)  # an up was lost
        started = str(status.get("started", ""))
        if self._started and started and started != self._started:
            self.restarted, self.silenced = now, False
            self.strokes.lift_theirs(now)
        self._started = started or self._started
        self._asked = True

    def _record(self, told: object, now: float, utc: datetime) -> None:
        wanted = number(told)
        if wanted == 0:
            self._recording("", now, utc)
        elif wanted is not None and not self.recording:
            self._recording("armed", now, utc)  # the next status tells the file

    def _recording(self, value: object, now: float, utc: datetime) -> None:
        recording = value if isinstance(value, str) else "on" if value else ""
        if recording == self.recording:
            return
        before = 0.0 if self._asked else _age(recording, utc)
        self.recording, self.recording_since = recording, now - before

    def _dropped(self, reasons: object, now: float) -> None:
        if not isinstance(reasons, dict):
            return
        total = int(sum(number(count) or 0 for count in reasons.values()))
        if self.dropped is not None and total > self.dropped:
            fresh = now - self.dropped_told >= DROPS_SHOW
            self.dropped_new = total - self.dropped + (0 if fresh else self.dropped_new)
            self.dropped_told = now
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
