"""Room of a web server: who is there, what each may do, and the pictures that all are sent.

Pure: times are arguments, in seconds of one clock. What is for the engine goes out through one
callable, as items that robojam.web.port reads; what is for a page is text that is returned.
"""

import colorsys
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from robojam.config.addresses import is_loopback
from robojam.config.roles import Role
from robojam.controls import MODES
from robojam.limits import ExpiringTable, HostLimiter, RateLimiter, network_of
from robojam.touch import MAX_FINGERS, Phase
from robojam.web import limits, protocol
from robojam.web.osc_query import Jam
from robojam.web.own_clock import OwnClock
from robojam.web.protocol import LETTERS, ControlRequest, Frame, Hello, HostRequest

#: Touches of one item for the engine: a packet of this machine holds them on every system.
_ITEM: Final = 64
#: Times that the engine is told that a connection which has gone holds no finger.
_FAREWELLS: Final = 3
#: Turn of a connection's colour from the one before, as a part of the people's colours.
_GOLDEN: Final = 0.381966
#: First of the people's hues, violet, and their part of the circle: over red and yellow to
#: green. The machine has the blue ones.
_FIRST_HUE, _HUES = 0.83, 0.6
_TURNS: Final = {"human": "human", "ai": "machine"}
#: Modes in which nobody has the turn alone.
_TOGETHER: Final = ("duet", "ensemble")

#: Controls that pages are told.
_STATE: Final = (
    "mode", "threshold", "response", "timescale", "instrument", "range", "scale", "volume",
)  # fmt: skip

Item = list[Any]


@dataclass(slots=True, eq=False)
class Visitor:
    """Person at a page: what is known of one connection.

    key is known to its page alone. source names it to the engine; player is the name that it
    has there, and given_role the role (robojam.config.roles), or "".
    """

    id: str
    key: str
    host: str
    source: str
    color: str
    name: str = ""
    view: bool = False
    muted: bool = False
    player: str = ""
    given_role: str = ""
    has_played: bool = False
    fingers: set[int] = field(default_factory=set)
    clock: OwnClock = field(default_factory=OwnClock)
    touches: RateLimiter = field(default_factory=lambda: RateLimiter(*limits.TOUCHES))
    messages: RateLimiter = field(default_factory=lambda: RateLimiter(*limits.MESSAGES))
    bytes: RateLimiter = field(default_factory=lambda: RateLimiter(*limits.BYTES))
    slowed_since: float = math.inf
    slowed_at: float = -math.inf

    @property
    def role(self) -> Role:
        """The role, as the page is told it; until the engine has said it, by the address."""
        if self.view:
            return Role.WATCHER
        if not self.given_role:
            return Role.HOST if is_loopback(self.host) else Role.PLAYER
        return Role(self.given_role)

    def delay(self, now: float, touches: int, size: int) -> float:
        """Count a message; return the seconds for which no other is to be read."""
        delay = 0.0
        for limiter, cost in ((self.touches, touches), (self.messages, 1), (self.bytes, size)):
            limiter.charge(now, cost)
            delay = max(delay, limiter.wait(now))
        return delay

    def is_flood(self, now: float, delay: float) -> bool:
        """Note a delay; return whether this has gone on for too long."""
        if delay:
            self.slowed_since = min(self.slowed_since, now)
            self.slowed_at = now
        elif now - self.slowed_at > 1.0:
            self.slowed_since = math.inf
        return now - self.slowed_since > limits.MAX_SLOWED


class Room:
    """Everybody who is there, by the ids of their connections."""

    def __init__(
        self,
        send: Callable[[list[Item]], None],
        *,
        control: bool,
        clock: Callable[[], float],
        places: int = limits.MAX_SOCKETS,
    ) -> None:
        """Start with nobody; control: pads may control the jam. places: for who may play."""
        self._places = places
        self._send, self._control, self._clock = send, control, clock
        self.visitors: dict[str, Visitor] = {}
        self.state: dict[str, Any] = {}
        self.jam = Jam()
        self.turn = "human"
        self.locked = False
        self.players_changed = False
        self._by_player: dict[str, Visitor] = {}
        self._number = 0
        self._waiting: dict[object, tuple[str, str]] = {}  # who, and the event as JSON
        self._moves: dict[tuple[str, int], object] = {}
        self._drops: dict[tuple[str, str], int] = {}
        self._gone: dict[str, int] = {}
        self._left = ExpiringTable[str, tuple[int, bool]](
            limits.MAX_SOCKETS, limits.RETURNS_WITHIN
        )
        self._removed = ExpiringTable[str, bool](limits.MAX_REMOVED, limits.REMOVED_FOR)
        self._hosts = HostLimiter(
            2 * limits.TOUCHES[0], 2 * limits.TOUCHES[1], limits.MAX_HOSTS
        )

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self.visitors)

    @property
    def players(self) -> int:
        """Number of those who have played."""
        return sum(each.has_played for each in self.visitors.values())

    @property
    def people(self) -> int:
        """Number of those who do not only watch."""
        return sum(not each.view for each in self.visitors.values())

    @property
    def free(self) -> int:
        """Number of free places."""
        return max(0, self._places - self.people)

    # -- who comes and goes ----------------------------------------------------------------

    def refusal(self, host: str, now: float, hello: Hello | None = None) -> str:
        """Return why a host cannot come in, or ""; hello: what it has said, if it has."""
        self._removed.expire(now)
        if is_loopback(host):
            of_host = sum(each.host == host for each in self.visitors.values())
        else:
            if self.locked:
                return "the door is locked"
            if network_of(host) in self._removed:
                return "you were removed"
            network = network_of(host)
            of_host = sum(network_of(each.host) == network for each in self.visitors.values())
        if of_host >= limits.MAX_OF_A_HOST:
            return f"{limits.MAX_OF_A_HOST} pages of this device are open"
        if len(self.visitors) >= limits.MAX_SOCKETS:
            return "the room is full"
        plays = hello is not None and not hello.view and self.present(hello.key) is None
        if plays and self.free <= 0:
            return "the room is full"
        return ""

    def present(self, key: str) -> Visitor | None:
        """Return who has a key, and is to leave before it comes in again; None for nobody."""
        return next((each for each in self.visitors.values() if each.key == key), None)

    def enter(self, host: str, hello: Hello, *, new_key: str, now: float) -> Visitor:
        """Add a visitor to the room, and return it.

        Who has left and says its key is the same as before; all others get a new key.
        """
        self._left.expire(now)
        before = self._left.pop(hello.key)
        if before is None:
            self._number += 1
            number, muted, key = self._number, False, new_key
        else:
            (number, muted), key = before, hello.key
        self._gone.pop(f"web:{host}/{number}", None)
        hue = _FIRST_HUE + _HUES * (number * _GOLDEN % 1.0)
        red, green, blue = colorsys.hls_to_rgb(hue % 1.0, 0.62, 0.75)
        visitor = Visitor(
            id=f"web-{number}",
            key=key,
            host=host,
            source=f"web:{host}/{number}",
            color="#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue)),
            name=hello.name,
            view=hello.view,
            muted=muted,
        )
        self.visitors[visitor.id] = visitor
        self.players_changed = True
        self._send([["i", visitor.source]])
        return visitor

    def welcome(self, visitor: Visitor) -> str:
        """Return the first message to somebody who has come in."""
        pitch = {
            name: self.state[name]
            for name in ("scale", "range", "instrument", "volume")
            if name in self.state
        }
        about = {
            "id": visitor.id, "key": visitor.key, "name": visitor.name, "color": visitor.color,
            "role": visitor.role, "pitch": pitch, "state": self.state,
            "control": self._control,
        }  # fmt: skip
        return _encode(["welcome", protocol.VERSION, about])

    def leave(self, visitor: Visitor) -> None:
        """Lift the fingers of somebody whose connection has ended."""
        number = int(visitor.id.removeprefix("web-"))
        self._left.put(visitor.key, (number, visitor.muted), self._clock())
        del self.visitors[visitor.id]
        self.lift(visitor)
        if visitor.has_played:
            self._gone[visitor.source] = _FAREWELLS
        self._by_player.pop(visitor.player, None)
        self.players_changed = True

    def name(self, visitor: Visitor, name: str) -> None:
        """Take the name that somebody has chosen."""
        if visitor.name != name:
            visitor.name = name
            self.players_changed = True

    # -- what comes from pages -------------------------------------------------------------

    def play(self, visitor: Visitor, frames: list[Frame], arrival: float) -> None:
        """Pass the touches of somebody on to the engine."""
        out: list[list[Any]] = []
        for frame in frames:
            for reason in frame.dropped:
                self.drop(visitor, reason)
            touches = frame.touches
            if visitor.muted or visitor.role is Role.WATCHER:
                if touches:
                    self.drop(visitor, "muted" if visitor.muted else "not allowed")
                continue
            if not is_loopback(visitor.host) and not self._hosts.take(
                visitor.host, arrival, len(touches)
            ):
                self.drop(visitor, "flood")
                touches = [touch for touch in touches if touch[0] is Phase.UP]
            dt = None
            if any(touch[0] is not Phase.UP for touch in touches):
                dt = visitor.clock.since_last(frame.at, arrival, newest=frames[-1].at)
            for phase, finger, x, y, pressure in touches:
                if phase is Phase.UP:
                    visitor.fingers.discard(finger)
                    out.append([LETTERS[phase], finger])
                elif finger in visitor.fingers or len(visitor.fingers) < MAX_FINGERS:
                    visitor.fingers.add(finger)
                    out.append([LETTERS[phase], finger, x, y, pressure, dt])
                    # The others of one frame are of the same instant.
                    dt = None if dt is None else 0.0
                else:
                    self.drop(visitor, "too many fingers")
        visitor.has_played |= bool(out)
        for begin in range(0, len(out), _ITEM):
            self._send([["t", visitor.source, out[begin : begin + _ITEM]]])

    def lift(self, visitor: Visitor) -> None:
        """Lift all fingers of somebody."""
        ups = [[LETTERS[Phase.UP], finger] for finger in visitor.fingers]
        visitor.fingers.clear()
        if ups:
            self._send([["t", visitor.source, ups]])

    def control(self, visitor: Visitor, request: ControlRequest) -> None:
        """Pass a control on to the engine, if pads may control the jam."""
        if self._control and visitor.role is not Role.WATCHER:
            self._send([["c", visitor.source, request.name, request.value]])
        else:
            self.drop(visitor, "not allowed")

    def host(self, visitor: Visitor, request: HostRequest, now: float) -> Visitor | None:
        """Do what a host asks for; return whose connection is to be closed, if any is."""
        if visitor.role is not Role.HOST:
            self.drop(visitor, "not allowed")
            return None
        if request.act == "lock":
            self.locked = request.on
            self.state["locked"] = request.on
            return None
        other = self.visitors.get(request.who)
        if other is None:
            return None
        if request.act == "remove":
            if not is_loopback(other.host):
                self._removed.put(network_of(other.host), True, now)
            return other
        other.muted = request.on
        if other.muted:
            self.lift(other)
        self.players_changed = True
        return None

    def drop(self, visitor: Visitor, reason: str) -> None:
        """Count something that is not passed on."""
        self.drop_of(visitor.source, reason)

    def drop_of(self, source: str, reason: str) -> None:
        """Count something of a source that is not passed on."""
        key = source, reason
        if key in self._drops or len(self._drops) < limits.MAX_WAITING:
            self._drops[key] = self._drops.get(key, 0) + 1

    # -- what comes from the engine --------------------------------------------------------

    def hear(self, message: Any) -> Iterator[str]:
        """Take a message of the engine; yield what all pages are sent at once."""
        match message:
            case ["f", events]:
                for event in events:
                    self._hear_touch(*event)
            case ["turn", whose]:
                self.turn = whose
                yield self.whose_turn()
            case ["beat", beat, beats_per_bar, tempo]:
                yield _encode(["beat", beat, beats_per_bar, round(tempo, 2)])
            case ["state", turn, state, voices]:
                self.jam = Jam(state, turn, voices)
                state = {name: state[name] for name in _STATE} | {
                    "paused": bool(state["pause"]), "modes": MODES, "locked": self.locked,
                }  # fmt: skip
                changed = {k: v for k, v in state.items() if self.state.get(k) != v}
                was = self.whose_turn()
                self.state, self.turn = state, turn
                if changed:
                    yield _encode(["state", changed])
                if self.whose_turn() != was:
                    yield self.whose_turn()
            case ["who", names]:
                self._take_names(names)

    def take_role(self, source: str, role: str) -> tuple[Visitor, str] | None:
        """Take the engine's role of a source; return who is to be told it, and the message."""
        for visitor in self.visitors.values():
            if visitor.source == source:
                before, visitor.given_role = visitor.role, role
                if visitor.role is before:
                    return None
                if visitor.role is Role.WATCHER:
                    self.lift(visitor)
                self.players_changed = True
                return visitor, _encode(["role", visitor.role])
        return None

    def door(self) -> str:
        """Return the message whether the door is locked."""
        return _encode(["state", {"locked": self.locked}])

    def whose_turn(self) -> str:
        """Return the message that says whose turn it is."""
        together = self.state.get("mode") in _TOGETHER
        return _encode(["turn", "both" if together else _TURNS.get(self.turn, "human")])

    def _take_names(self, names: Mapping[str, str]) -> None:
        """Take the engine's names of players, by their sources."""
        for visitor in self.visitors.values():
            name = names.get(visitor.source)
            if name is not None and name != visitor.player:
                if self._by_player.get(visitor.player) is visitor:
                    del self._by_player[visitor.player]
                visitor.player = name
                if name:
                    self._by_player[name] = visitor

    def _hear_touch(
        self, who: str, letter: str, finger: int, x: float, y: float, _dt: float
    ) -> None:
        visitor = self._by_player.get(who)
        name = who if visitor is None else visitor.id
        text = f'["{name}","{letter}",{finger},{x:.4g},{y:.4g}]'
        key = who, finger
        at = self._moves.get(key)
        if letter == "m" and at is not None:  # the last move before a picture is enough
            self._waiting[at] = who, text
            return
        at = object()
        self._moves.pop(key, None)
        if letter == "m":
            self._moves[key] = at
        if len(self._waiting) >= limits.MAX_WAITING:
            self._waiting.clear()
            self._moves.clear()
        self._waiting[at] = who, text

    @property
    def has_picture(self) -> bool:
        """Whether touches wait to be shown."""
        return bool(self._waiting)

    def picture(self) -> Callable[[Visitor], str]:
        """Return a function from a person to the message of what others have played."""
        events = list(self._waiting.values())
        self._waiting.clear()
        self._moves.clear()
        playing = {who for who, _ in events}
        everything = f'["f",[{",".join(text for _, text in events)}]]'

        def of(visitor: Visitor) -> str:
            if visitor.player not in playing:
                return everything
            others = ",".join(text for who, text in events if who != visitor.player)
            return f'["f",[{others}]]' if others else ""

        return of

    def who_is_here(self) -> str:
        """Return the message of who is there."""
        self.players_changed = False
        return _encode(
            [
                "players",
                [
                    {
                        "id": each.id, "name": each.name, "color": each.color,
                        "muted": each.muted, "here": True, "player": each.player,
                    }
                    for each in self.visitors.values()
                    if each.role is not Role.WATCHER
                ],
            ]
        )  # fmt: skip

    # -- once a second ---------------------------------------------------------------------

    def report(self) -> None:
        """Tell the engine which fingers are down, and what was dropped."""
        items: list[Item] = []
        for each in self.visitors.values():
            if not each.given_role:
                items.append(["i", each.source])
            if each.has_played:
                items.append(["a", each.source, sorted(each.fingers)])
        for source, left in list(self._gone.items()):
            items.append(["g", source])
            self._gone[source] = left - 1
            if left <= 1:
                del self._gone[source]
        items += [["d", *key, count] for key, count in self._drops.items()]
        self._drops.clear()
        for begin in range(0, len(items), _ITEM):
            self._send(items[begin : begin + _ITEM])


def _encode(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))
