"""TUIO 1.1's profile 2Dcur: frames of cursors, as touch tables and their trackers send them.

A frame is a bundle of `source name`, `alive s…` (who is down), `set s x y X Y m` for each
cursor that changed (its velocity and acceleration besides), and `fseq f`. Source:
Kaltenbrunner, Bovermann, Bencina, Costanza, "TUIO: A Protocol for Table-Top Tangible User
Interfaces" (2005), and the specification of version 1.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from robojam.touch import Phase, Touch
from robojam.wire.native import BadError, Dropped, Finger, Input, place, whole
from robojam.wire.osc import Message, bundle, encode

ADDRESS: Final = "/tuio/2Dcur"
#: The port where TUIO is listened for.
PORT: Final = 3333
#: A frame that is so many older than the last, or more, is of a source that began anew.
_ANEW = 100
#: Sources, and cursors of each, that are told apart; more is a flood.
_SOURCES, _CURSORS = 64, 64
_INT = range(-(2**31), 2**31)
#: A source that says nothing for so many seconds is gone: they repeat themselves once a second.
_GONE = 5.0
#: Seconds after which what is down is told again, and after which it has come to rest.
REPEAT: Final = 1.0
_REST = 0.5

Place = tuple[float, float, bool]


@dataclass(slots=True)
class _Source:
    """What is known of one source: its last frame and when it came, its cursors' places."""

    frame: int = -1
    heard: float = 0.0
    cursors: dict[int, Place] = field(default_factory=dict)


@dataclass(slots=True)
class _Frame:
    """A frame that is coming in from one host."""

    source: str = ""
    now: float = 0.0
    alive: set[int] | None = None
    moved: dict[int, Place] = field(default_factory=dict)


class TuioReader:
    """What comes in as TUIO, from any number of sources."""

    def __init__(self, own: str = "") -> None:
        """Listen; own is the source name that this engine itself sends under."""
        self._own = own
        self._coming: dict[str, _Frame] = {}
        self._sources: dict[str, _Source] = {}

    def read(self, message: Message, host: str, now: float) -> list[tuple[str, Input]]:
        """Read a message at an instant: nothing until a frame is whole, then what it changed.

        Each comes with its player's source. Never raises.
        """
        verb = message.args[0] if message.tags[:1] == "s" else None
        act = _VERBS.get(verb) if verb is not None else None
        if act is None or set(message.tags[1:]) - set("ihfds"):
            return [(host, Dropped("wrong arguments"))]
        if host not in self._coming and len(self._coming) >= _SOURCES:
            self._coming.pop(next(iter(self._coming)))
        frame = self._coming.setdefault(host, _Frame())
        frame.now = now
        try:
            return act(self, frame, host, *message.args[1:])
        except BadError as bad:
            return [(host, Dropped(str(bad)))]
        except (TypeError, OverflowError, ValueError):
            return [(host, Dropped("wrong arguments"))]

    def lapse(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Lift the fingers of sources that are gone; say in how many seconds to look again."""
        out: list[tuple[str, Input]] = []
        first = math.inf
        for player, source in self._sources.items():
            if source.cursors and source.heard + _GONE <= now:
                out += [(player, Finger(Phase.UP, cursor)) for cursor in source.cursors]
                source.cursors.clear()
            elif source.cursors:
                first = min(first, source.heard + _GONE - now)
        return out, first

    def _source(self, frame: _Frame, host: str, name: Any) -> list[tuple[str, Input]]:
        if not isinstance(name, str):
            raise BadError("wrong arguments")
        torn = self._torn(frame, host)
        frame.source = name
        return torn

    def _alive(self, frame: _Frame, host: str, *ids: Any) -> list[tuple[str, Input]]:
        torn = self._torn(frame, host) if frame.alive is not None else []
        frame.alive = {whole(one, _INT) for one in ids}
        return torn

    def _set(
        self, frame: _Frame, host: str, cursor: Any, x: Any, y: Any, *_: Any
    ) -> list[tuple[str, Input]]:
        del host
        if len(frame.moved) < _CURSORS:
            frame.moved[whole(cursor, _INT)] = place(x, y)
        return []

    def _torn(self, frame: _Frame, host: str) -> list[tuple[str, Input]]:
        """Let go of a frame that came in part."""
        lost = frame.alive is not None or frame.moved
        frame.source, frame.alive, frame.moved = "", None, {}
        return [(host, Dropped("torn frame"))] if lost else []

    def _fseq(self, frame: _Frame, host: str, number_: Any) -> list[tuple[str, Input]]:
        """A frame is whole: tell what it changed."""
        count = whole(number_, _INT)
        name, alive, moved = frame.source, frame.alive, frame.moved
        frame.source, frame.alive, frame.moved = "", None, {}
        if self._own and name == self._own:
            return [(host, Dropped("echo"))]
        player = f"tuio:{host}/{name:.64}" if name else f"tuio:{host}"
        if player not in self._sources and len(self._sources) >= _SOURCES:
            return [(player, Dropped("too many players"))]
        source = self._sources.setdefault(player, _Source())
        source.heard = frame.now
        if count >= 0:  # -1 tells again what was told already
            if 0 < source.frame - count <= _ANEW:
                return [(player, Dropped("old frame"))]
            source.frame = count
        out: list[tuple[str, Input]] = []
        for cursor in [c for c in source.cursors if alive is not None and c not in alive]:
            del source.cursors[cursor]
            out.append((player, Finger(Phase.UP, cursor)))
        for cursor, at in moved.items():
            if alive is not None and cursor not in alive:
                out.append((player, Dropped("absent finger")))
            elif source.cursors.get(cursor) != at:  # one that is held still is silent
                phase = Phase.MOVE if cursor in source.cursors else Phase.DOWN
                source.cursors[cursor] = at
                out.append((player, Finger(phase, cursor, *at)))
        return out


#: What may come in: the first argument, and what reads the rest.
_VERBS: Final = {
    "source": TuioReader._source,
    "alive": TuioReader._alive,
    "set": TuioReader._set,
    "fseq": TuioReader._fseq,
}


@dataclass(slots=True)
class _Cursor:
    """A finger that is down: places in screens, velocities in screens a second."""

    session: int
    x: float
    y: float
    t: float
    across: float = 0.0
    along: float = 0.0
    acceleration: float = 0.0


class TuioWriter:
    """What goes out as TUIO, to one receiver."""

    def __init__(self, source: str) -> None:
        """Write under a source name."""
        self._source = source
        self._down: dict[tuple[str, int], _Cursor] = {}
        self._sessions = self._frames = 0

    def touch(self, sounded: Touch, t: float) -> bytes:
        """Write the frame in which a finger lands, slides or lifts at t, in seconds."""
        key = (sounded.who, sounded.id)
        if sounded.phase is Phase.UP:
            self._down.pop(key, None)
            return self._frame([])
        held = self._down.get(key)
        if held is None or sounded.phase is Phase.DOWN:
            self._sessions = self._sessions % (2**31 - 1) + 1
            held = self._down[key] = _Cursor(self._sessions, sounded.x, sounded.y, t)
        else:
            _move(held, sounded.x, sounded.y, t)
        return self._frame([held])

    def repeat(self, t: float) -> bytes:
        """Write what is down at t, in seconds, once more: a packet may have been lost."""
        for held in self._down.values():
            if t - held.t > _REST:
                held.across = held.along = held.acceleration = 0.0
        return self._frame(list(self._down.values()), again=True)

    def _frame(self, changed: list[_Cursor], *, again: bool = False) -> bytes:
        if not again:
            self._frames = self._frames % (2**31 - 1) + 1
        alive = [held.session for held in self._down.values()]
        return bundle(
            [
                encode(ADDRESS, "ss", "source", self._source),
                encode(ADDRESS, "s" + "i" * len(alive), "alive", *alive),
                *(
                    encode(
                        ADDRESS,
                        "sifffff",
                        "set",
                        *(c.session, c.x, c.y, c.across, c.along, c.acceleration),
                    )
                    for c in changed
                ),
                encode(ADDRESS, "si", "fseq", -1 if again else self._frames),
            ]
        )


def _move(held: _Cursor, x: float, y: float, t: float) -> None:
    """Slide to a place at t; the acceleration is how fast the speed has changed."""
    since = t - held.t
    if since > 0:
        was = math.hypot(held.across, held.along)
        held.across, held.along = (x - held.x) / since, (y - held.y) / since
        held.acceleration = (math.hypot(held.across, held.along) - was) / since
    held.x, held.y, held.t = x, y, t
