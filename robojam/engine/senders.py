"""Senders of touches: which player each one is, and which of its fingers are down. Pure.

A sender is a host, a TUIO source, a MIDI connection or a pad in a browser, by the name that its
port gives it: ``10.0.0.7``, ``tuio:10.0.0.7/NAME``, ``midi:NAME``, ``web:10.0.0.7/3``. This is
the one place that knows them. It gives them their players' names, and forgets them. Packets of
a network may be lost, doubled or come late, so it also finds what must not reach the jam: a
touch that came twice, and a finger whose lift was lost. Times are instants of the engine's
clock, in seconds.

docs/limits.md lists the limits, with their reasons.
"""

import logging
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from robojam.controls import RefusedError
from robojam.engine.twin_frames import Player
from robojam.jam.fair_turns import PAUSE
from robojam.limits import (
    ExpiringTable,
    RateLimiter,
    RecentTable,
    host_of,
    network_of,
    source_network,
)
from robojam.music import FIRST_HUMAN
from robojam.touch import LIFT_AFTER, MAX_FINGERS, PAUSE_IS_DOWN, Phase, nth
from robojam.wire.echo import Origin
from robojam.wire.native import Control, PhaselessTouch, PitchedFinger, PreviewTouch, TouchInput

log = logging.getLogger("robojam")

#: Most players at a time; how many of these places other machines never take; most of one
#: other machine (its OSC programs are one player, its TUIO sources one each); and most of one
#: network of IPv6, which may be one machine.
MAX_PLAYERS: Final = 64
RESERVED: Final = 8
MAX_OF_A_HOST: Final = 8
MAX_OF_A_NETWORK: Final = 28
#: Seconds after which a player who holds no finger down and sends nothing is forgotten.
FORGET_AFTER: Final = 600.0
#: Seconds without news after which a finger is lifted: a little less than the ten in which
#: a lost lift is to be mended, and the time while other fingers of its sender move.
SILENCE: Final = 9.5
SILENCE_BESIDE_OTHERS: Final = 5.0
#: Seconds within which the same message from one sender is one that came twice.
DOUBLED: Final = 0.005
#: Seconds by which a packet may come late, after one that was sent later, and how far a
#: finger gets meanwhile, in screens.
LATE: Final = 0.03
_NEAR: Final = 0.1
#: Names in one take (`robojam.touch.is_player` allows no higher number), and most senders
#: who have left and are remembered.
_MAX_NAMES, _MAX_PAST = 9999, 256
#: Newcomers from other machines who get the place of another player: a second, and in a burst,
#: which is less than their places.
_JOINS = (10, 32)
#: Seconds for which a player has played who keeps its place in a rest, and those of the rest.
_PLAYED, _REST = 5.0, 20.0
#: Touches of one player that are handled: a second, and in a burst.
_TOUCHES = (5000, 5000)
#: Messages that are remembered to find those that come twice: touches of one player, and
#: of all what acts at once.
_MAX_RECENT, _MAX_RECENT_ACTS = 32, 256
#: Shortest time between two searches for what is silent, in seconds.
_SEARCH_INTERVAL = 0.05

_TWICE = "the same packet came twice: over a network bridge, or from two network cards"
_LATE = "a packet that was overtaken by the next one"
_TOO_MANY = f"all places are taken, and more than {_JOINS[0]} people a second want one"
_TOO_FAST = f"more than {_TOUCHES[0]} touches a second"

_Place = tuple[float, float]


@dataclass(slots=True)
class _Finger:
    """Finger that is down: its last place, and the instants of its landing and last news.

    port is the UDP port of the last news. limit is how long it may be silent, in seconds.
    is_plain: it has no phases, and the jam lifts it by itself.
    """

    x: float
    y: float
    landed_at: float
    heard_at: float
    port: int | None
    landed_by_move: bool = False
    limit: float = math.inf
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class _Lift:
    """Lift of a finger: by its sender (`up`), before it landed (`early`), or by `silence`."""

    how: Literal["up", "early", "silence"]
    at: float
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Sender:
    """Sender who is a player now.

    host is None for a MIDI connection. is_lossy: its packets may be lost, and it says nothing
    while a finger is held still. own holds the controls that it has set for itself, by name.
    """

    source: str
    name: str
    host: str | None
    is_here: bool
    is_lossy: bool
    joined_at: float
    heard_at: float
    own: dict[str, str]
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(*_TOUCHES))
    #: Fingers that are down, by id; the one that has been silent longest is the first.
    fingers: dict[int, _Finger] = field(default_factory=dict)
    outside_range: bool = False  # it has played outside its range of pitch
    is_gone: bool = False  # it has said so, and has sent nothing since
    is_out: bool = False  # of the jam: see `robojam.jam.fair_turns`
    clipped: int = 0  # its touches that were beyond the edge of the surface
    recent: RecentTable[Hashable] = field(
        default_factory=lambda: RecentTable(_MAX_RECENT, DOUBLED)
    )
    _lifts: ExpiringTable[int, _Lift] = field(
        default_factory=lambda: ExpiringTable(MAX_FINGERS)
    )

    def lands(self, touch: TouchInput, now: float) -> bool:
        """Return whether a down or a move begins a stroke."""
        down = self.fingers.get(touch.id)
        if down is None:
            return True
        if not isinstance(touch, PhaselessTouch):
            return touch.phase is Phase.DOWN or down.is_plain
        since = now - down.heard_at
        own = since if touch.dt is None else touch.dt
        return not down.is_plain or own > PAUSE_IS_DOWN or since >= LIFT_AFTER

    def precedence(self, now: float) -> tuple[bool, bool, bool, float]:
        """Return by what this player keeps its place at an instant before one with less.

        Those who have played for a while keep it in a rest: many newcomers who touch once, and
        may be forged, take the places of each other. Then it is fingers, then the last touch.
        """
        has_played = self.heard_at - self.joined_at >= _PLAYED
        rests = now - self.heard_at < _REST
        fingers = self.count_fingers(now) > 0
        return not self.is_gone, has_played and rests, fingers, self.heard_at

    def count_fingers(self, now: float) -> int:
        """Return how many fingers are down at an instant."""
        for finger, state in list(self.fingers.items()):
            if state.is_plain and state.heard_at + LIFT_AFTER <= now:
                del self.fingers[finger]  # the jam has lifted it
        return len(self.fingers)

    def lift(self, finger: int, how: Literal["up", "early", "silence"], now: float) -> None:
        """Note that a finger is no longer down."""
        down = self.fingers.pop(finger, None)
        self._lifts.put(finger, _Lift(how, now, down.x, down.y) if down else _Lift(how, now))

    def lift_all(self, now: float) -> None:
        """Note that the jam has lifted every finger."""
        self._lift_silent(list(self.fingers), now)

    def take_up(self, finger: int, now: float) -> bool:
        """Note an up; return whether the jam is to hear it. Raises RefusedError."""
        if finger in self.fingers:
            self.lift(finger, "up", now)
            return True
        lift = self._lifts.get(finger)
        if lift is not None and lift.how == "silence":
            self._lifts.pop(finger)
            return False  # the jam has lifted it already
        if lift is not None and lift.how == "up" and now - lift.at < DOUBLED:
            raise RefusedError("doubled", _TWICE)
        self.lift(finger, "early", now)
        return True

    def take_touch(
        self,
        finger: int,
        phase: Phase,
        place: _Place,
        now: float,
        port: int | None,
    ) -> list[int]:
        """Note a down or a move; return the fingers to be lifted before it.

        Raises RefusedError for a touch that came late.
        """
        down, lift = self.fingers.get(finger), self._lifts.get(finger)
        if down is not None and down.is_plain:
            down = None
        lands, late, limit = phase is Phase.DOWN, False, SILENCE
        if down is not None:
            lately = down.landed_by_move and now - down.landed_at < LATE
            late = lands and lately and _near(down, place)
        elif lift is not None and now - lift.at < LATE:
            late = not lands and lift.how == "up" and _near(lift, place)
            if lands and lift.how == "early":
                limit = LIFT_AFTER  # the lift may have overtaken it
        if not self.is_lossy:
            limit = math.inf
        elif late:
            raise RefusedError("late", _LATE)
        if lift is not None:
            self._lifts.pop(finger)
        lifted = self._make_room(finger, now)
        if down is None or lands:
            down = _Finger(*place, now, now, port, not lands, limit)
        else:
            down.x, down.y = place
            down.heard_at, down.port, down.limit = now, port, limit
        self.fingers[finger] = down
        return lifted

    def take_plain(self, touch: PhaselessTouch, now: float, port: int | None) -> list[int]:
        """Note a touch without phases; return the fingers to be lifted before it.

        Raises RefusedError for a landing, by the sender's clock, that came late.
        """
        self.count_fingers(now)
        down, place = self.fingers.get(touch.id), (touch.x, touch.y)
        lands = touch.dt is not None and touch.dt > PAUSE_IS_DOWN
        landed_at, by_move = now, not lands
        if down is not None and down.is_plain:
            lately = down.landed_by_move and now - down.landed_at < LATE
            if lands and lately and _near(down, place):
                raise RefusedError("late", _LATE)
            if not lands:
                landed_at, by_move = down.landed_at, down.landed_by_move
        self._lifts.pop(touch.id)
        lifted = self._make_room(touch.id, now)
        self.fingers[touch.id] = _Finger(*place, landed_at, now, port, by_move, is_plain=True)
        return lifted

    def take_alive(self, alive: Collection[int], now: float, port: int | None) -> list[int]:
        """Note which fingers are down; return the others, which are to be lifted.

        A finger that another program of the host has down (another port) is left alone, and
        one that has just landed: the message may have come late.
        """
        self.count_fingers(now)
        gone: list[int] = []
        for finger, down in list(self.fingers.items()):
            if finger in alive and not down.is_plain:
                down.heard_at, down.limit = now, SILENCE
                self.fingers[finger] = self.fingers.pop(finger)  # the last one heard
            elif finger not in alive and down.port == port and now - down.landed_at >= LATE:
                gone.append(finger)
        self._lift_silent(gone, now)
        return gone

    def _make_room(self, finger: int, now: float) -> list[int]:
        """Take a finger out of the table, before it enters as the last one heard.

        Returns those that are lifted: the ones that have been silent while others moved, and
        the one that has been silent longest where there are too many.
        """
        self.fingers.pop(finger, None)
        if not self.fingers:
            return []
        self.count_fingers(now)
        lifted: list[int] = []
        if self.is_lossy:
            for other, down in self.fingers.items():
                if now - down.heard_at < SILENCE_BESIDE_OTHERS:
                    break
                lifted.append(other)
        if lifted:
            self._lift_silent(lifted, now)
        if len(self.fingers) >= MAX_FINGERS:
            lifted.append(next(iter(self.fingers)))
            self._lift_silent(lifted[-1:], now)
        return lifted

    def _lift_silent(self, fingers: Iterable[int], now: float) -> None:
        for finger in fingers:
            self.lift(finger, "silence", now)


def _near(finger: _Finger | _Lift, place: _Place) -> bool:
    return math.dist((finger.x, finger.y), place) < _NEAR


@dataclass(frozen=True, slots=True)
class _Past:
    """Sender who has left: its name, and the controls that it had set for itself."""

    name: str
    own: dict[str, str]


class Senders:
    """Senders who are players now, and the names of those who were."""

    def __init__(
        self,
        *,
        is_here: Callable[[str], bool],
        on_leave: Callable[[Sender, float], None] = lambda *_: None,
    ) -> None:
        """Start with nobody.

        is_here says whether a host is this machine. on_leave is called with a sender who
        leaves, and the instant, before anybody else gets its place or name.
        """
        self._is_here, self._on_leave = is_here, on_leave
        self._present: dict[str, Sender] = {}  # by source
        #: Those who have left, by source. No network forgets those of others, who have fewer.
        self._past = ExpiringTable[str, _Past](_MAX_PAST, owner_of=source_network)
        self._names: dict[str, str] = {}  # of this take, with the source that had each last
        self._next_name = 0
        self._joins = RateLimiter(*_JOINS)
        self._acts = RecentTable[Hashable](_MAX_RECENT_ACTS, DOUBLED)
        self._search_at = math.inf

    def __len__(self) -> int:
        """Return the number of players."""
        return len(self._present)

    def get(self, source: str) -> Sender | None:
        """Return the sender of a source; None where it is no player."""
        return self._present.get(source)

    def origin(self, name: str, finger: int) -> Origin | None:
        """Return where what a player's finger does comes from; None where nobody has the name.

        It has a port where the source is a host, whose programs are all one player.
        """
        sender = self._present.get(self._names.get(name, ""))
        if sender is None:
            return None
        down = sender.fingers.get(finger) if sender.is_lossy else None
        return Origin(sender.source, None if down is None else down.port)

    def has(self, name: str) -> bool:
        """Return whether a player has a name now; the human and human1 are all or the first."""
        return name in ("", "human", FIRST_HUMAN) or any(
            sender.name == name for sender in self._present.values()
        )

    def begin_take(self, now: float) -> None:
        """Begin a take: no finger is down, and names that nobody has now are free."""
        self.lift_all(now)
        for sender in self._present.values():
            sender.is_out = False
        self._names = {sender.name: source for source, sender in self._present.items()}
        self._next_name = 0

    def lift_all(self, now: float) -> None:
        """Note that the jam has lifted every finger."""
        for sender in self._present.values():
            sender.lift_all(now)

    # -- of a twin -----------------------------------------------------------------------------

    def company(self) -> list[Player]:
        """Return the players, for a twin."""
        return [
            Player(
                sender.source, sender.name, dict(sender.own), list(sender.fingers),
                any(finger.is_plain for finger in sender.fingers.values()),
            )
            for sender in self._present.values()
        ]  # fmt: skip

    def take_over(
        self, players: Iterable[Player], down: Mapping[tuple[str, int], _Place], now: float
    ) -> list[tuple[str, int]]:
        """Go on with the players of another engine; return the fingers that are to be lifted.

        down are the fingers of the jam, with their places. Those of hosts stay down, and are
        lifted as those of which there is no news; others have phases of their own.
        """
        kept = set()
        for player in players:
            if player.source in self._present or player.name in self._names:
                continue
            self._past.put(player.source, _Past(player.name, dict(player.own)))
            try:
                sender = self.admit(player.source, now)
            except RefusedError:
                continue
            if not sender.is_lossy or player.is_plain:
                continue
            for finger in player.fingers:
                if (place := down.get((sender.name, finger))) is not None:
                    sender.fingers[finger] = _Finger(*place, now, now, None, limit=SILENCE)
                    kept.add((sender.name, finger))
            self._search_at = min(self._search_at, now + SILENCE)
        return [key for key in down if key not in kept]

    # -- messages ------------------------------------------------------------------------------

    def admit(self, source: str, now: float) -> Sender:
        """Return the sender of a source, who becomes a player. Raises RefusedError.

        Where there is no place, the one of least precedence leaves.
        """
        sender = self._present.get(source) or self._join(source, now)
        sender.heard_at, sender.is_gone = now, False
        self._search_at = min(self._search_at, now + FORGET_AFTER)
        if not sender.limiter.take(now):
            raise RefusedError("too fast", _TOO_FAST)
        return sender

    def take(
        self, sender: Sender, touch: TouchInput, now: float, port: int | None = None
    ) -> list[int]:
        """Note a down or a move; return the fingers of its sender to be lifted before it.

        port is the UDP port that it came from. Raises RefusedError for a touch that came
        twice, or late.
        """
        if sender.is_lossy and not sender.recent.add(touch, now):
            raise RefusedError("doubled", _TWICE)
        if isinstance(touch, PhaselessTouch):
            return sender.take_plain(touch, now, port)
        place = (0.0, 0.0) if isinstance(touch, PitchedFinger) else (touch.x, touch.y)
        lifted = sender.take_touch(touch.id, touch.phase, place, now, port)
        self._search_at = min(self._search_at, now + sender.fingers[touch.id].limit)
        return lifted

    def take_act(self, source: str, act: Control | PreviewTouch, now: float) -> None:
        """Note what acts each time it comes. Raises RefusedError for what came twice."""
        if _is_lossy(source) and not self._acts.add((source, act), now):
            raise RefusedError("doubled", _TWICE)

    def expire(self, now: float) -> tuple[list[tuple[str, int]], float]:
        """Forget who and lift what has been silent for too long at an instant.

        Returns the players and their fingers that are to be lifted, and the seconds until
        the next call, or infinity.
        """
        if now < self._search_at:
            return [], self._search_at - now
        lifted: list[tuple[str, int]] = []
        due = math.inf
        for sender in list(self._present.values()):
            sender.count_fingers(now)
            for finger, down in list(sender.fingers.items()):
                if down.heard_at + down.limit > now:
                    due = min(due, down.heard_at + down.limit)
                    continue
                log.info(
                    "finger %d of %s lifted: silent for %.1f s",
                    finger, sender.name, now - down.heard_at,
                )  # fmt: skip
                sender.lift(finger, "silence", now)
                lifted.append((sender.name, finger))
            if not sender.fingers and sender.heard_at + FORGET_AFTER <= now:
                self._leave(sender, now)
            else:
                due = min(due, max(sender.heard_at + FORGET_AFTER, now + 1.0))
        self._search_at = max(due, now + _SEARCH_INTERVAL)
        return lifted, self._search_at - now

    def status(self, now: float) -> list[dict[str, object]]:
        """Return the players as JSON values: name, source, seconds of silence, fingers, out."""
        return [
            {
                "name": sender.name,
                "source": f"{sender.source:.80}",
                "silent_s": round(now - sender.heard_at, 1),
                "fingers": sender.count_fingers(now),
                "out": sender.is_out and now - sender.heard_at < PAUSE,
            }
            for sender in self._present.values()
        ]

    # -- places and names ----------------------------------------------------------------------

    def _join(self, source: str, now: float) -> Sender:
        host = host_of(source)
        is_here = host is None or self._is_here(host)
        self._make_room(host, now, is_here=is_here)
        past = self._past.pop(source)
        name = self._choose_name(source, past)
        own = past.own if past else {}
        sender = Sender(source, name, host, is_here, _is_lossy(source), now, now, own)
        self._names[name] = source
        self._present[source] = sender
        log.info("%s joined, from %.80r", name, source)
        return sender

    def _make_room(self, host: str | None, now: float, *, is_here: bool) -> None:
        """Remove the sender of least precedence, if there is no place.

        For another machine it is one who has gone, or one of other machines, if there is any.
        Raises RefusedError where newcomers come too fast: who plays is not to lose a place
        between two touches.
        """
        everyone = list(self._present.values())
        full = len(everyone) >= MAX_PLAYERS
        leaving: list[Sender] = everyone if full else []
        if not is_here:
            others = [sender for sender in everyone if not sender.is_here]
            network = network_of(host or "")
            of_network = [each for each in others if network_of(each.host or "") == network]
            of_host = [sender for sender in of_network if sender.host == host]
            if len(of_host) >= MAX_OF_A_HOST:
                leaving = of_host
            elif len(of_network) >= MAX_OF_A_NETWORK:
                leaving = of_network
            elif full or len(others) >= MAX_PLAYERS - RESERVED:
                gone = [sender for sender in everyone if sender.is_gone] if full else []
                leaving = gone or others or everyone
        if leaving:
            sender = min(leaving, key=lambda sender: sender.precedence(now))
            if not (is_here or sender.is_gone or self._joins.take(now)):
                raise RefusedError("too many players", _TOO_MANY)
            self._leave(sender, now, "; all places are taken, and somebody else joins")

    def _leave(self, sender: Sender, now: float, reason: str = "") -> None:
        log.info("%s left: %.80r is silent for %.0f s%s",
                 sender.name, sender.source, now - sender.heard_at, reason)  # fmt: skip
        del self._present[sender.source]
        self._on_leave(sender, now)
        self._names[sender.name] = self._names.pop(sender.name)  # the last to be used again
        self._past.put(sender.source, _Past(sender.name, sender.own))

    def _choose_name(self, source: str, past: _Past | None) -> str:
        """Return the name of a newcomer: the old one, the first that is new in this take.

        Once all names have been used, it is the one that has not been used for longest.
        """
        if past is not None and self._names.get(past.name, source) == source:
            return past.name
        while self._next_name < _MAX_NAMES:
            name = nth("human", self._next_name)
            if name not in self._names:
                return name
            self._next_name += 1
        present = {sender.name for sender in self._present.values()}
        return next(name for name in self._names if name not in present)


def _is_lossy(source: str) -> bool:
    """Return whether a source is a host that sends touches itself.

    Not TUIO, a device of this machine or a pad.
    """
    return not source.startswith(("midi:", "serial:", "tuio:", "web:"))
