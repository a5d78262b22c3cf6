"""TUIO 1.1 and 2.0: frames of cursors, objects and blobs, which tables and trackers send.

A frame of TUIO 1.1 is a bundle of `source name`, `alive s…` (what is there), `set s …` for each
that changed, and `fseq f`, all at the address of one profile: /tuio/2Dcur, 2Dobj, 2Dblb and
their 2.5 and 3 dimensional kinds, of which z is not used. A frame of TUIO 2.0 is `/tuio2/frm f
time size source`, `/tuio2/ptr s …` (or tok, bnd) for each that changed, and `/tuio2/alv s…`.
All of them play as fingers of their source, each profile with session ids of its own.
Sources: Kaltenbrunner, Bovermann, Bencina, Costanza, "TUIO: A Protocol for Table-Top Tangible
User Interfaces" (2005), and the specifications of versions 1.1 and 2.0.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from robojam.limits import ExpiringTable, network_of, of_largest
from robojam.touch import Phase, Touch
from robojam.wire.echo import EchoDetector
from robojam.wire.native import (
    ArgumentError,
    Finger,
    Input,
    Place,
    parse_integer,
    parse_number,
    parse_place,
    parse_pressure,
)
from robojam.wire.osc import Argument, Dropped, Message, bundle, encode

#: Beginning of every address of TUIO, and the address at which robojam sends.
PREFIX: Final = "/tuio"
ADDRESS: Final = "/tuio/2Dcur"
#: Profiles of TUIO 1.1 and components of TUIO 2.0, by address: how many arguments stand
#: between the session id and x.
_PROFILES: Final = {
    ADDRESS: 0, "/tuio/2Dobj": 1, "/tuio/2Dblb": 0,
    "/tuio/25Dcur": 0, "/tuio/25Dobj": 1, "/tuio/25Dblb": 0,
    "/tuio/3Dcur": 0, "/tuio/3Dobj": 1, "/tuio/3Dblb": 0,
}  # fmt: skip
_COMPONENTS: Final = {
    "/tuio2/ptr": 2, "/tuio2/tok": 2, "/tuio2/bnd": 0,
    "/tuio2/p3d": 2, "/tuio2/t3d": 2, "/tuio2/b3d": 0,
}  # fmt: skip
#: Where a pressure stands behind the session id, by address: z in 2.5D, press of a pointer.
_PRESSURE: Final = {"/tuio/25Dcur": 2, "/tuio/25Dobj": 3, "/tuio2/ptr": 7}
#: Where the width of a blob stands, before its height, and the size that is a full pressure,
#: in surfaces.
_WIDTH: Final = {"/tuio/2Dblb": 3, "/tuio/25Dblb": 4, "/tuio2/bnd": 3}
_FULL_SIZE: Final = 0.1
_FRAME, _ALIVE, _TUIO2 = "/tuio2/frm", "/tuio2/alv", "/tuio2"
#: Bit from which on a finger's id tells its profile: session ids count from 0 or 1.
_PROFILE_BIT: Final = 27
_PROFILE_BITS: Final = {name: i << _PROFILE_BIT for i, name in enumerate([*_PROFILES, _TUIO2])}
#: A frame whose number is lower by more than this is of a source that has restarted, not old;
#: so is a first frame (0 or 1) that is lower by more than a network reorders packets.
_MAX_FRAME_AGE, _MAX_REORDER = 100, 5
#: Old frames in a rising run that show a restart: more where reordering explains them.
_RISING, _RISING_NEAR = 2, 3
#: Seconds after which a lower number is not that of a late packet.
_MAX_LATENESS = 0.5
#: Most sources and unfinished frames (one of the host with most of them leaves), sources of one
#: host from which on those of others have precedence, most cursors of a source and of a frame,
#: and most session ids that a frame says are there; more is a flood.
_MAX_SOURCES, _MAX_OF_A_HOST, _MAX_CURSORS, _MAX_ALIVE = 64, 8, 64, 1024
#: Places of sources that other machines never take.
_RESERVED = 8
#: Seconds of silence after which a source is gone: sources repeat their state once a second.
_SOURCE_TIMEOUT = 5.0
#: Seconds of silence after which a frame from another port is of the same source, started
#: again; and the most by which its numbers go on when a source changes its port while it
#: plays (some senders have another for each packet), with the ports that are remembered.
_PORT_TIMEOUT, _MAX_PORT_STEP, _MAX_PORTS = 1.5, 10, 8
#: Most hosts and addresses of which an unknown message has been reported.
_MAX_REPORTED = 64
#: Frames in a row without their end (`fseq`) from which a sender is one that leaves it out.
_UNENDED: Final = 3
#: Seconds after which the cursors that are down are repeated.
REPEAT_INTERVAL: Final = 1.0
#: Seconds without a move after which a cursor is at rest.
_REST_AFTER = 0.5
#: Largest number of a frame and of a cursor; 1 follows.
_MAX_NUMBER = 2**31 - 1
#: Number of a frame that repeats the state.
_REPEATED = -1
#: Numbers of frames, signed or not, and how many there are until they begin again.
_NUMBERS, _ALL_NUMBERS = range(-(2**31), 2**32), 2**32

#: Profile and session id.
_Cursor = tuple[str, int]


@dataclass(slots=True)
class _Numbering:
    """Frame numbers of one profile of a source: the last one, its time, and older ones since.

    late is the last older number, rising the count of older ones that rose up to it.
    """

    last: int
    at: float
    late: int = 0
    rising: int = 0

    def accept(self, number: int, now: float) -> bool:
        """Return whether a frame is taken, which is not the case for one that came late."""
        step = _step(self.last, number)
        restarted = step < -_MAX_FRAME_AGE or (number in (0, 1) and step < -_MAX_REORDER)
        if step < 0 and not restarted and now - self.at < _MAX_LATENESS:
            rises = self.rising and _step(self.late, number) > 0
            self.rising = self.rising + 1 if rises else 1
            self.late = number
            if self.rising < (_RISING if step < -_MAX_REORDER else _RISING_NEAR):
                return False
        self.last, self.at, self.rising = number, now, 0
        return True


def _step(before: int, number: int) -> int:
    """Return by how much a number is higher than one before it; numbers begin again at 0."""
    half = _ALL_NUMBERS // 2
    return (number - before + half) % _ALL_NUMBERS - half


@dataclass(slots=True)
class _Source:
    """State of one source: its player, the host and port it sends from, frames and cursors.

    frames counts those from this port. former are the ports it sent from before; settled: its
    port does not change.
    """

    player: str
    host: str
    port: int
    received_at: float
    frames: int = 0
    former: deque[int] = field(default_factory=lambda: deque(maxlen=_MAX_PORTS))
    settled: bool = False
    numbers: dict[str, _Numbering] = field(default_factory=dict)
    cursors: dict[_Cursor, Place] = field(default_factory=dict)

    def lift(self, cursor: _Cursor) -> tuple[str, Input]:
        """Remove a cursor; return its lift."""
        del self.cursors[cursor]
        return self.player, Finger(Phase.UP, _finger(cursor))

    def goes_on(self, port: int, profile: str, number: int) -> bool:
        """Return whether a frame from another port is this source's, which changes its port.

        Two trackers that were taken for one become two sources when the first port comes back
        with a number that was there.
        """
        numbering = self.numbers.get(profile)
        if numbering is None or number == _REPEATED:
            return bool(self.former) or not self.numbers
        step = _step(numbering.last, number)
        if self.settled or abs(step) > _MAX_PORT_STEP:
            return False
        if step <= 0 and port in self.former:
            self.settled = True
            self.numbers.clear()
            return True
        return step > 0 or bool(self.former)


def _finger(cursor: _Cursor) -> int:
    """Return the id of a cursor's finger: that of its session in the first profile."""
    profile, session = cursor
    return session ^ _PROFILE_BITS[profile]


@dataclass(slots=True)
class _Frame:
    """Frame of which a part has come; unended: how many before it, in a row, had no end."""

    source: str = ""
    number: int = _REPEATED
    unended: int = 0
    alive: set[int] | None = None
    places: dict[int, Place] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether more than its source is known."""
        return self.alive is not None or bool(self.places)


class TuioReader:
    """Reader of TUIO from any number of sources, each a player of its own.

    A source is known by its host and name; two with the same name, or without one, by the port
    that they send from.
    """

    def __init__(self, own: str = "", echo: EchoDetector | None = None) -> None:
        """Read; own is the source name under which this engine itself sends.

        echo knows what was sent: another program may send it back under a name of its own.
        """
        self._own = own
        self._echo = echo or EchoDetector()
        self._frames: dict[tuple[str, str, int], _Frame] = {}  # by host, profile and port
        self._sources: dict[str, list[_Source]] = {}  # by host and name
        self._reported = ExpiringTable[tuple[str, str], bool](_MAX_REPORTED)

    def read(
        self, message: Message, host: str, now: float, port: int = 0
    ) -> list[tuple[str, Input]]:
        """Return the inputs of a message that came at an instant (s), each with its source.

        host and port are the sender's. A frame takes effect with its last message. Never
        raises.
        """
        address = message.address
        try:
            if address in _PROFILES:
                if set(message.tags) - set("ihfds"):
                    raise ArgumentError("wrong arguments")
                return self._read_1(address, message.args, host, port, now)
            if address in _COMPONENTS or address in (_FRAME, _ALIVE):
                return self._read_2(address, message.args, host, port, now)
        except ArgumentError as error:
            begin = repr(message.args[0])[:20] if message.args else ""
            about = f"{address!r:.80} {message.tags:.20} {begin}".rstrip()
            return [(host, Dropped(str(error), about, address))]
        return self._report(message, host)

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Lift the fingers of sources that are gone at an instant (s).

        Returns the lifts, and the seconds until the next source may be gone, or infinity.
        """
        inputs: list[tuple[str, Input]] = []
        wait = math.inf
        for source in (source for same in self._sources.values() for source in same):
            if source.cursors and source.received_at + _SOURCE_TIMEOUT <= now:
                inputs += [source.lift(cursor) for cursor in list(source.cursors)]
            elif source.cursors:
                wait = min(wait, source.received_at + _SOURCE_TIMEOUT - now)
        return inputs, wait

    def _report(self, message: Message, host: str) -> list[tuple[str, Input]]:
        """Report a message that plays nothing, once for each host and address."""
        key = host, message.address
        if self._reported.use(key):
            return []
        self._reported.put(key, True)
        about = f"{message.address!r:.80}: this part of TUIO plays nothing"
        return [(host, Dropped("unknown address", about))]

    def _read_1(
        self, profile: str, args: tuple[Argument, ...], host: str, port: int, now: float
    ) -> list[tuple[str, Input]]:
        """Read a message of TUIO 1.1."""
        match args:
            case ("source", str(name)):
                inputs = self._restart(host, profile, port, now)
                self._frames[host, profile, port].source = name[:64]
                return inputs
            case ("alive", *sessions):
                alive = _sessions(sessions)
                frame = self._frames.get((host, profile, port))
                inputs = []
                if frame is not None and frame.alive is not None:
                    inputs = self._restart(host, profile, port, now)
                self._open(host, profile, port, begun=False).alive = alive
                return inputs
            case ("set", session, *values):
                skip = _PROFILES[profile]
                return self._set(profile, profile, skip, session, values, host, port)
            case ("fseq", number):
                value = parse_integer(number, _NUMBERS)
                self._open(host, profile, port)
                # Some senders put all profiles into one bundle with one number.
                ended = [key for key in self._frames if key[0] == host and key[2] == port]
                inputs = []
                for _, other, _ in ended:
                    if other in _PROFILES:
                        self._frames[host, other, port].number = value
                        inputs += self._end_frame(host, other, port, now)
                return inputs
        raise ArgumentError("wrong arguments")

    def _read_2(
        self, address: str, args: tuple[Argument, ...], host: str, port: int, now: float
    ) -> list[tuple[str, Input]]:
        """Read a message of TUIO 2.0."""
        if address == _ALIVE:
            frame = self._open(host, _TUIO2, port)
            frame.alive = _sessions(args)
            return self._end_frame(host, _TUIO2, port, now)
        if address == _FRAME:
            inputs = self._restart(host, _TUIO2, port, now)
            frame = self._frames[host, _TUIO2, port]
            match args:
                case (number, _, _, str(name), *_):
                    frame.source = name[:64]
                case (number, *_):
                    pass
                case _:
                    raise ArgumentError("wrong arguments")
            frame.number = parse_integer(number, _NUMBERS)
            return inputs
        session, *values = args or (None,)
        skip = _COMPONENTS[address]
        return self._set(_TUIO2, address, skip, session, values, host, port)

    def _set(
        self,
        profile: str,
        address: str,
        skip: int,
        session: Argument,
        values: Sequence[Argument],
        host: str,
        port: int,
    ) -> list[tuple[str, Input]]:
        """Take the place of a cursor: two of the values, after some to be skipped."""
        if len(values) < skip + 2:
            raise ArgumentError("wrong arguments")
        number = parse_integer(session)
        place = parse_place(values[skip], values[skip + 1])
        place = place._replace(pressure=_pressure(address, values))
        places = self._open(host, profile, port).places
        if len(places) >= _MAX_CURSORS and number not in places:
            raise ArgumentError("too many fingers")
        places[number] = place
        return []

    # -- frames ----------------------------------------------------------------------------

    def _begin(self, host: str, profile: str, port: int) -> _Frame:
        """Begin a frame of a sender."""
        frame = self._frames[host, profile, port] = _Frame()
        if len(self._frames) > _MAX_SOURCES:
            del self._frames[of_largest((key, network_of(key[0])) for key in self._frames)[0]]
        return frame

    def _open(self, host: str, profile: str, port: int, *, begun: bool = True) -> _Frame:
        """Return the unfinished frame of a sender, or a new one.

        A sender that changes its port at each packet continues the last one of its host; not
        begun: only one of which nothing but the source is known.
        """
        frame = self._frames.get((host, profile, port))
        if frame is not None:
            return frame
        for other in reversed(self._frames):
            if other[:2] == (host, profile) and (begun or not self._frames[other].has_begun):
                frame = self._frames[host, profile, port] = self._frames.pop(other)
                return frame
        return self._begin(host, profile, port)

    def _restart(
        self, host: str, profile: str, port: int, now: float
    ) -> list[tuple[str, Input]]:
        """Begin a frame; discard the one before it if its end did not come.

        Where a sender leaves out the ends, what comes next ends a frame.
        """
        before = self._frames.get((host, profile, port))
        inputs: list[tuple[str, Input]] = []
        unended = 0
        if before is not None and before.has_begun:
            unended = before.unended + 1
            inputs = [(host, Dropped("torn frame", "its end, fseq, did not come"))]
            if unended >= _UNENDED and before.alive is not None:
                inputs = self._end_frame(host, profile, port, now)
        self._begin(host, profile, port).unended = unended
        return inputs

    def _end_frame(
        self, host: str, profile: str, port: int, now: float
    ) -> list[tuple[str, Input]]:
        """Return the changes that a complete frame brings."""
        frame = self._frames.pop((host, profile, port))
        if self._own and frame.source == self._own:
            return [(host, Dropped("echo"))]
        source, inputs = self._source(host, frame, profile, port, now)
        number = frame.number % _ALL_NUMBERS
        if frame.number != _REPEATED:
            numbering = source.numbers.setdefault(profile, _Numbering(number, now))
            if not numbering.accept(number, now):
                return [*inputs, (source.player, Dropped("old frame"))]
        source.received_at = now
        alive = frame.alive
        if alive is not None:
            for cursor in [c for c in source.cursors if c[0] == profile and c[1] not in alive]:
                inputs.append(source.lift(cursor))
        for session, place in frame.places.items():
            if alive is not None and session not in alive:
                inputs.append((source.player, Dropped("absent finger")))
            else:
                inputs += self._place(source, (profile, session), place, now)
        return inputs

    def _place(
        self, source: _Source, cursor: _Cursor, place: Place, now: float
    ) -> list[tuple[str, Input]]:
        """Return the inputs of a cursor that is at a place."""
        before = source.cursors.get(cursor)
        moved = before is None or before[:3] != place[:3]
        if moved and self._echo.is_echo_place(source.player, *place[:2], now):
            # A loop that rounds places is found when its cursor has been heard for a while.
            lifts = [] if before is None else [source.lift(cursor)]
            return [*lifts, (source.player, Dropped("echo"))]
        source.cursors.pop(cursor, None)
        source.cursors[cursor] = place  # the last of the dictionary: the first is the oldest
        inputs: list[tuple[str, Input]] = []
        if before is None and len(source.cursors) > _MAX_CURSORS:
            inputs.append(source.lift(next(iter(source.cursors))))
        if moved:  # a finger held still sends nothing, however hard it presses
            phase = Phase.DOWN if before is None else Phase.MOVE
            inputs.append((source.player, Finger(phase, _finger(cursor), *place)))
        return inputs

    # -- sources ---------------------------------------------------------------------------

    def _source(
        self, host: str, frame: _Frame, profile: str, port: int, now: float
    ) -> tuple[_Source, list[tuple[str, Input]]]:
        """Return the source of a frame, and the lifts of one that gives its place up for it."""
        name = f"tuio:{host}/{frame.source}" if frame.source else f"tuio:{host}"
        same = self._sources.get(name, [])
        number = frame.number if frame.number == _REPEATED else frame.number % _ALL_NUMBERS
        source = next((s for s in same if s.port == port), None)
        if source is None:
            source = next((s for s in same if s.goes_on(port, profile, number)), None)
        if source is None:
            silent = min(same, key=lambda s: s.received_at, default=None)
            if silent is not None and now - silent.received_at > _PORT_TIMEOUT:
                source = silent
                source.former.clear()
                source.settled = False
        if source is None:
            # Some that each sent one frame and did not come back are one that changes its port.
            once = [s for s in same if s.frames == 1]
            source = once[-1] if len(once) > 1 else None
        if source is not None:
            if source.port != port:
                source.former.append(source.port)
                source.port, source.frames = port, 0
            source.frames += 1
            return source, []
        lifts = self._make_room(host, now)
        same = self._sources.setdefault(name, [])
        players = {s.player for s in same}
        number = 1
        while (player := _nth(name, number)) in players:
            number += 1
        source = _Source(player, host, port, now, frames=1)
        same.append(source)
        return source, lifts

    def _make_room(self, host: str, now: float) -> list[tuple[str, Input]]:
        """Forget a source, and lift its fingers, where there is no place for one of a host.

        It is the one silent for longest, if it is no longer there; else one of a host that has
        too many. Raises ArgumentError where there is neither.
        """
        every = [(name, source) for name, same in self._sources.items() for source in same]
        full = len(every) >= _MAX_SOURCES
        if not _is_here(host):
            others = [pair for pair in every if not _is_here(pair[1].host)]
            full = full or len(others) >= _MAX_SOURCES - _RESERVED
            every = others or every
        if not full:
            return []
        name, source = min(every, key=lambda pair: pair[1].received_at)
        if now - source.received_at <= _PORT_TIMEOUT:
            crowd = of_largest((pair, network_of(pair[1].host)) for pair in every)
            hosts = {network_of(source.host) for _, source in crowd}
            if len(crowd) <= _MAX_OF_A_HOST * len(hosts):
                raise ArgumentError("too many sources")
            name, source = min(crowd, key=lambda pair: pair[1].received_at)
        self._sources[name].remove(source)
        if not self._sources[name]:
            del self._sources[name]
        return [source.lift(cursor) for cursor in list(source.cursors)]


def _is_here(host: str) -> bool:
    """Return whether a host is this machine, by an address that no other can reach."""
    return host == "::1" or host.startswith("127.")


def _nth(name: str, number: int) -> str:
    """Return the player of a source, from 1, among those of one host and name."""
    if number == 1:
        return name
    return f"{name} ({number})" if "/" in name else f"{name}/({number})"


def _sessions(numbers: Sequence[Argument]) -> set[int]:
    """Return session ids. Raises ArgumentError."""
    return {parse_integer(number) for number in numbers[:_MAX_ALIVE]}


@dataclass(slots=True)
class _SentCursor:
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
        self._cursors: dict[tuple[str, int], _SentCursor] = {}  # by who and finger id
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
            cursor = self._cursors[key] = _SentCursor(self._last_cursor, touch.x, touch.y, t)
        else:
            cursor.move(touch.x, touch.y, t)
        return self._next_frame(cursor)

    def repeat(self, t: float) -> bytes:
        """Return a frame that repeats the state at t, in seconds, as a packet may be lost."""
        for cursor in self._cursors.values():
            if t - cursor.t > _REST_AFTER:
                cursor.velocity_x = cursor.velocity_y = cursor.acceleration = 0.0
        return self._frame(-1, *self._cursors.values())

    def _next_frame(self, *changed: _SentCursor) -> bytes:
        self._last_frame = self._last_frame % _MAX_NUMBER + 1
        return self._frame(self._last_frame, *changed)

    def _frame(self, number: int, *changed: _SentCursor) -> bytes:
        alive = [cursor.number for cursor in self._cursors.values()]
        return bundle(
            [
                encode(ADDRESS, "ss", "source", self._source),
                encode(ADDRESS, "s" + "i" * len(alive), "alive", *alive),
                *(cursor.encode() for cursor in changed),
                encode(ADDRESS, "si", "fseq", number),
            ]
        )


def _pressure(address: str, values: Sequence[Argument]) -> float | None:
    """Return how hard a finger presses, 0..1; None where its message does not say it.

    Senders that do not measure it send 0, or less.
    """
    at, width = _PRESSURE.get(address), _WIDTH.get(address)
    pressure = 0.0
    if at is not None and at < len(values):
        pressure = parse_number(values[at])
    elif width is not None and width + 1 < len(values):
        pressure = max(map(parse_number, values[width : width + 2])) / _FULL_SIZE
    return parse_pressure(pressure) if pressure > 0 else None
