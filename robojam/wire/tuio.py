"""TUIO 1.1's profile 2Dcur: frames of cursors, which touch tables and their trackers send.

A frame is a bundle of `source name`, `alive s…` (the cursors that are down), `set s x y X Y m`
for each cursor that changed (X and Y are its velocity, m its acceleration), and `fseq f`.
Source: Kaltenbrunner, Bovermann, Bencina, Costanza, "TUIO: A Protocol for Table-Top Tangible
User Interfaces" (2005), and the specification of version 1.1.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from robojam.touch import Phase, Touch
from robojam.wire.native import (
    ArgumentError,
    Dropped,
    Finger,
    Input,
    Place,
    parse_integer,
    parse_place,
)
from robojam.wire.osc import Message, bundle, encode

ADDRESS: Final = "/tuio/2Dcur"
#: A frame whose number is lower by more than this is of a source that has restarted, not old.
_MAX_FRAME_AGE = 100
#: Most sources (and hosts), and most cursors of a frame; more is a flood.
_MAX_SOURCES, _MAX_CURSORS = 64, 64
#: Seconds of silence after which a source is gone: sources repeat their state once a second.
_SOURCE_TIMEOUT = 5.0
#: Seconds after which the cursors that are down are repeated.
REPEAT_INTERVAL: Final = 1.0
#: Seconds without a move after which a cursor is at rest.
_REST_AFTER = 0.5
#: Largest number of a frame and of a cursor; 1 follows.
_MAX_NUMBER = 2**31 - 1


@dataclass(slots=True)
class _Source:
    """State of one source: its last frame's number and time, its cursors' places."""

    number: int = -1
    received_at: float = 0.0
    cursors: dict[int, Place] = field(default_factory=dict)


@dataclass(slots=True)
class _Frame:
    """Frame of which a part has come from one host."""

    source: str = ""
    alive: set[int] | None = None
    places: dict[int, Place] = field(default_factory=dict)


class TuioReader:
    """Reader of TUIO from any number of sources, each a player of its own."""

    def __init__(self, own: str = "") -> None:
        """Read; own is the source name under which this engine itself sends."""
        self._own = own
        self._frames: dict[str, _Frame] = {}  # by host
        self._sources: dict[str, _Source] = {}  # by player

    def read(self, message: Message, host: str, now: float) -> list[tuple[str, Input]]:
        """Return the inputs of a message that came at an instant (s), each with its source.

        A frame takes effect with its last message. Never raises.
        """
        if set(message.tags) - set("ihfds"):
            return [(host, Dropped("wrong arguments"))]
        if host not in self._frames and len(self._frames) >= _MAX_SOURCES:
            self._frames.pop(next(iter(self._frames)))
        frame = self._frames.setdefault(host, _Frame())
        inputs: list[tuple[str, Input]] = []
        try:
            match message.args:
                case ("source", str(name)):
                    inputs = self._discard(host)
                    self._frames[host].source = name
                case ("alive", *cursors):
                    if frame.alive is not None:
                        inputs = self._discard(host)
                    alive = {parse_integer(cursor) for cursor in cursors}
                    self._frames[host].alive = alive
                case ("set", cursor, x, y, *_):
                    if len(frame.places) < _MAX_CURSORS:
                        frame.places[parse_integer(cursor)] = parse_place(x, y)
                case ("fseq", number):
                    return self._end_frame(host, parse_integer(number), now)
                case _:
                    raise ArgumentError("wrong arguments")
        except ArgumentError as error:
            return [(host, Dropped(str(error)))]
        return inputs

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Lift the fingers of sources that are gone at an instant (s).

        Returns the lifts, and the seconds until the next source may be gone, or infinity.
        """
        inputs: list[tuple[str, Input]] = []
        wait = math.inf
        for player, source in self._sources.items():
            if source.cursors and source.received_at + _SOURCE_TIMEOUT <= now:
                inputs += [(player, Finger(Phase.UP, cursor)) for cursor in source.cursors]
                source.cursors.clear()
            elif source.cursors:
                wait = min(wait, source.received_at + _SOURCE_TIMEOUT - now)
        return inputs, wait

    def _discard(self, host: str) -> list[tuple[str, Input]]:
        """Discard a frame whose end did not come."""
        frame, self._frames[host] = self._frames[host], _Frame()
        incomplete = frame.alive is not None or frame.places
        return [(host, Dropped("torn frame"))] if incomplete else []

    def _end_frame(self, host: str, number: int, now: float) -> list[tuple[str, Input]]:
        """Return the changes that a complete frame brings."""
        frame, self._frames[host] = self._frames[host], _Frame()
        if self._own and frame.source == self._own:
            return [(host, Dropped("echo"))]
        player = f"tuio:{host}/{frame.source:.64}" if frame.source else f"tuio:{host}"
        if player not in self._sources and len(self._sources) >= _MAX_SOURCES:
            return [(player, Dropped("too many players"))]
        source = self._sources.setdefault(player, _Source())
        source.received_at = now
        if number >= 0:  # -1 repeats the state
            if 0 < source.number - number <= _MAX_FRAME_AGE:
                return [(player, Dropped("old frame"))]
            source.number = number
        inputs: list[tuple[str, Input]] = []
        alive = frame.alive
        for cursor in [c for c in source.cursors if alive is not None and c not in alive]:
            del source.cursors[cursor]
            inputs.append((player, Finger(Phase.UP, cursor)))
        for cursor, place in frame.places.items():
            if alive is not None and cursor not in alive:
                inputs.append((player, Dropped("absent finger")))
            elif source.cursors.get(cursor) != place:  # a finger held still sends nothing
                phase = Phase.MOVE if cursor in source.cursors else Phase.DOWN
                source.cursors[cursor] = place
                inputs.append((player, Finger(phase, cursor, *place)))
        return inputs


@dataclass(slots=True)
class _Cursor:
    """Finger that is down at a time t (s): its place in screens, its motion per second."""

    number: int
    x: float
    y: float
    t: float
    velocity_x: float = 0.0
    velocity_y: float = 0.0
    acceleration: float = 0.0

    def move(self, x: float, y: float, t: float) -> None:
        """Slide to a place at t; the acceleration is the change of the speed."""
        seconds = t - self.t
        if seconds > 0:
            speed_before = math.hypot(self.velocity_x, self.velocity_y)
            self.velocity_x = (x - self.x) / seconds
            self.velocity_y = (y - self.y) / seconds
            speed = math.hypot(self.velocity_x, self.velocity_y)
            self.acceleration = (speed - speed_before) / seconds
        self.x, self.y, self.t = x, y, t

    def encode(self) -> bytes:
        """Return the cursor's `set` message."""
        motion = (self.velocity_x, self.velocity_y, self.acceleration)
        return encode(ADDRESS, "sifffff", "set", self.number, self.x, self.y, *motion)


class TuioWriter:
    """Writer of TUIO to one receiver."""

    def __init__(self, source: str) -> None:
        """Write under a source name."""
        self._source = source
        self._cursors: dict[tuple[str, int], _Cursor] = {}  # by who and finger id
        self._last_cursor = self._last_frame = 0

    def write(self, touch: Touch, t: float) -> bytes:
        """Return the frame of a touch that is played at t, in seconds."""
        key = (touch.who, touch.id)
        if touch.phase is Phase.UP:
            self._cursors.pop(key, None)
            return self._next_frame()
        cursor = self._cursors.get(key)
        if cursor is None or touch.phase is Phase.DOWN:
            self._last_cursor = self._last_cursor % _MAX_NUMBER + 1
            cursor = self._cursors[key] = _Cursor(self._last_cursor, touch.x, touch.y, t)
        else:
            cursor.move(touch.x, touch.y, t)
        return self._next_frame(cursor)

    def repeat(self, t: float) -> bytes:
        """Return a frame that repeats the state at t, in seconds, as a packet may be lost."""
        for cursor in self._cursors.values():
            if t - cursor.t > _REST_AFTER:
                cursor.velocity_x = cursor.velocity_y = cursor.acceleration = 0.0
        return self._frame(-1, *self._cursors.values())

    def _next_frame(self, *changed: _Cursor) -> bytes:
        self._last_frame = self._last_frame % _MAX_NUMBER + 1
        return self._frame(self._last_frame, *changed)

    def _frame(self, number: int, *changed: _Cursor) -> bytes:
        alive = [cursor.number for cursor in self._cursors.values()]
        return bundle(
            [
                encode(ADDRESS, "ss", "source", self._source),
                encode(ADDRESS, "s" + "i" * len(alive), "alive", *alive),
                *(cursor.encode() for cursor in changed),
                encode(ADDRESS, "si", "fseq", number),
            ]
        )
