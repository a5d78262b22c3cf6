"""Ensemble: the machine is one more player among several. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from robojam.jam.modes.listen import Listen
from robojam.jam.numbers import Future, Past, Seconds
from robojam.touch import Phase, clip

if TYPE_CHECKING:
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam
    from robojam.jam.voices import Voice
    from robojam.touch import Touch

#: Seconds without a touch after which a player has left, and counts no more.
PRESENT: Final = 30.0
#: Players that are kept account of, at most.
_PLAYERS: Final = 64
#: Time constant in seconds of the mean density of the others.
_MEMORY: Final = 20.0
#: In seconds of the others' mean density: how far behind them the machine is when it enters at
#: a landing, and at any touch; how far ahead it may be to take over from somebody who stops;
#: how far ahead it then goes on until; and the most that it is held to be behind or ahead.
_BEHIND, _FAR_BEHIND, _AHEAD, _TAKEOVER, _MOST = 2.0, 4.0, 1.0, 2.0, 15.0
#: Seconds beyond that after which a stroke is cut short.
_LONGER: Final = 2.0
#: The others' mean density is taken to be this at least, in touches a second.
_LEAST: Final = 1.0
#: Seconds for which a phrase goes on where the control response is without end.
_PHRASE: Final = 5.0
#: Seconds that it rests at least between two phrases, to hear somebody.
_REST: Final = 1.0


@dataclass(slots=True)
class _Player:
    """A human: its last touch, and whether it has stopped since."""

    at: Past = -math.inf
    stopped: bool = False


class Ensemble(Listen):
    """The machine enters, rests and plays as densely as the others do on average.

    **Density.** Each touch of a human (landing or slide) adds 1/n to an account, where n is
    the number of humans present: those whose last touch is less than PRESENT seconds ago.
    Each touch of the machine takes 1 (1/V with V voices). So the account is how many touches
    the machine is behind the others' mean. It is read in seconds: divided by the others' mean
    density, an average over about the last 20 s. It is held within 15 s.

    **Entering.** The machine enters as soon as somebody stops, who has not touched for
    `threshold` seconds, unless it is ahead by 1 s or more: it takes over. Else it enters at a
    landing of a human when it is 2 s behind, and at any touch when it is 4 s behind. And it
    enters when it is asked to (answer).

    **Resting.** A phrase ends with a stroke, when the machine is not behind any more; where
    it has taken over, when it is 2 s ahead. A stroke that goes on for 2 s beyond that is cut
    short. A phrase ends with a stroke, too, once it has lasted `response` seconds (5 s where
    that is 0) and is cut short 2 s later, however far behind the machine is. When nobody
    plays, it ends that long after the last touch of a human, or after it entered. It then
    rests for 1 s at least, except where it is asked to play.

    **What the model is fed.** One player at a time, the soloist, while the machine rests; and
    its own touches while it plays. The soloist is the first who lands or slides after the
    machine has played, until it stops; then the next who does. So the model hears what it has
    learnt from: one player's phrase, and then its own continuation of it, which is planned
    while it plays, with a lead (`robojam.jam.phrases`). The corpora have single players alone:
    how several listen to each other, when to enter and when to leave room cannot be learnt
    from them, and is what these rules decide.

    Visitors count as present only where no host is, and a host's landing takes the part of
    the soloist from a visitor.
    """

    STATE: ClassVar[dict[str, Any]] = {
        "_hosts": dict[str, _Player],
        "_visitors": dict[str, _Player],
        "_soloist": str,
        "_account": Seconds,
        "_touches": Seconds,
        "_counted_at": Seconds,
        "_began_at": Seconds | None,
        "_enters_at": Future,
        "_enters_until": Seconds,
        "_entered_at": Past,
        "_rested_at": Past,
        "_has_played": bool,
        "_rests_at": Seconds,
    }
    name = "ensemble"
    plans = True

    def __init__(self) -> None:
        self._hosts: dict[str, _Player] = {}
        self._visitors: dict[str, _Player] = {}
        self._soloist = ""
        self._account = 0.0  # touches that the machine is behind
        self._touches, self._counted_at = 0.0, 0.0  # the others' mean, which decays
        self._began_at: float | None = None  # when the first human touched
        self._enters_at, self._enters_until = math.inf, 0.0
        self._entered_at = self._rested_at = -math.inf
        self._has_played = False  # since it was the soloist's turn
        self._rests_at = 0.0  # seconds behind the others at which it rests

    # -- the others ----------------------------------------------------------------------

    def counts(self, jam: Jam, who: str) -> bool:
        """Note a player's landing or slide, and whom the model is fed; it counts."""
        super().counts(jam, who)
        now, visits = jam.clock.machine, who in jam.visitors
        players, others = self._hosts, self._visitors
        if visits:
            players, others = others, players
        others.pop(who, None)
        player = players.get(who)
        if player is None:
            if len(players) >= _PLAYERS:
                del players[min(players, key=lambda name: players[name].at)]
            players[who] = player = _Player()
        player.at, player.stopped = now, False
        if self._has_played and jam.turn == "human":
            self._has_played, self._soloist = False, ""
        if not self._soloist or (not visits and self._soloist in jam.visitors):
            self._soloist = who
            jam.release_fed()  # another, who holds still, may have landed later
        return True

    def hears(self, jam: Jam, who: str) -> bool:
        """Return whether a player is the soloist, and the machine rests."""
        return jam.turn == "human" and who == self._soloist

    def human_touched(self, jam: Jam, touch: Touch) -> None:
        """Count a touch of a human; enter where the machine is behind."""
        now = jam.clock.machine
        present = self._present(now)
        if touch.who not in present:
            return
        if self._began_at is None:
            self._began_at = self._counted_at = now
        self._touches *= math.exp((self._counted_at - now) / _MEMORY)
        self._touches += 1 / len(present)
        self._account += 1 / len(present)
        self._counted_at = now
        most = _MOST * self._density(now)
        self._account = clip(self._account, -most, most)
        enough = _BEHIND if touch.phase is Phase.DOWN else _FAR_BEHIND
        waits = jam.timing.quantum is not None and self._enters_at < math.inf
        if jam.turn == "human" and self._behind(now) >= enough and not waits:
            self._enters_at, self._enters_until = max(now, self._rested_at + _REST), 0.0
            jam.await_line(self._enters_at)

    def _present(self, now: float) -> dict[str, _Player]:
        """Return the players who are present: hosts, or visitors where there are none."""
        for players in (self._hosts, self._visitors):
            for who in [who for who, player in players.items() if now - player.at >= PRESENT]:
                del players[who]
        return self._hosts or self._visitors

    def _density(self, now: float) -> float:
        """Return the others' mean density in touches a second."""
        if self._began_at is None:
            return _LEAST
        touches = self._touches * math.exp((self._counted_at - now) / _MEMORY)
        seconds = _MEMORY * -math.expm1(min(-1.0, self._began_at - now) / _MEMORY)
        return max(_LEAST, touches / seconds)

    def _behind(self, now: float) -> float:
        """Return how many seconds of playing the machine is behind the others' mean."""
        return self._account / self._density(now)

    # -- entering and resting ------------------------------------------------------------

    def wakes_at(self, jam: Jam) -> float:
        """Return when it enters, or the next player stops."""
        if jam.silenced:
            return math.inf
        stops = min(
            (p.at for group in (self._hosts, self._visitors) for p in group.values()
             if not p.stopped),
            default=math.inf,
        )  # fmt: skip
        return min(jam.timing.opens_at(self._enters_at), stops + jam.settings.threshold)

    def wake(self, jam: Jam) -> None:
        """Enter, or note that players have stopped, and take over from them."""
        now, threshold = jam.clock.machine, jam.settings.threshold
        if jam.timing.opens_at(self._enters_at) <= now:
            self._enters_at = math.inf
            if jam.turn == "human":
                self._enter(jam, rests_at=self._enters_until)
            return
        present = self._present(now)
        takes_over = False
        for group in (self._hosts, self._visitors):
            for who, player in group.items():
                if not player.stopped and player.at + threshold <= now:
                    player.stopped = True
                    takes_over |= group is present
                    if who == self._soloist:
                        self._soloist = ""
        if takes_over and jam.turn == "ai":
            self._rests_at = -_TAKEOVER
        elif takes_over and self._behind(now) > -_AHEAD and now >= self._rested_at + _REST:
            self._enter_on_line(jam, rests_at=-_TAKEOVER)

    def _enter_on_line(self, jam: Jam, *, rests_at: float) -> None:
        """Enter now, or, with a quantum, on the next line of the clock."""
        now = jam.clock.machine
        if jam.timing.opens_at(now) > now:
            self._enters_at, self._enters_until = min(self._enters_at, now), rests_at
            jam.await_line(self._enters_at)
        else:
            self._enter(jam, rests_at=rests_at)

    def _enter(self, jam: Jam, *, rests_at: float) -> None:
        """Begin to play, until the machine is that many seconds behind the others."""
        self._enters_at = math.inf
        self._entered_at, self._rests_at = jam.clock.machine, rests_at
        self._has_played = True
        jam.begin_turn(jam.clock.machine)

    def machine_played(self, jam: Jam, voice: Voice) -> None:
        """Count a touch of the machine; rest when it is time."""
        self._account -= 1 / len(jam.voices.all)
        if jam.turn != "ai":
            return
        now = jam.clock.machine
        lasted = now - self._entered_at - (jam.timing.response or _PHRASE)
        ahead = max(self._rests_at - self._behind(now), lasted)
        stroke_goes_on = voice.pending is not None and voice.pending.moving
        if ahead >= (_LONGER if stroke_goes_on else 0.0) or not jam.voices.pending:
            self._rested_at = now
            jam.end_turn()

    def answer(self, jam: Jam) -> bool:
        """Enter, as from somebody who has stopped."""
        if jam.turn == "ai":
            return False
        jam.announce("answer")
        self._enter_on_line(jam, rests_at=min(0.0, self._behind(jam.clock.machine)) - _TAKEOVER)
        return True

    def panicked(self, jam: Jam) -> None:
        """Rest; nobody is to be taken over from."""
        self._enters_at = math.inf
        for group in (self._hosts, self._visitors):
            for player in group.values():
                player.stopped = True
        jam.pass_turn("human")

    def paused(self, _jam: Jam, seconds: float) -> None:
        """Add a pause, which is over, to all times of the machine's clock."""
        for group in (self._hosts, self._visitors):
            for player in group.values():
                player.at += seconds
        self._counted_at += seconds
        self._entered_at += seconds
        self._rested_at += seconds
        self._enters_at += seconds
        if self._began_at is not None:
            self._began_at += seconds

    def turn_end(self, jam: Jam) -> float:
        """Return `response` seconds after the last touch of a human, or after it entered."""
        if jam.turn != "ai":
            return math.inf
        return max(jam.human_at, self._entered_at) + (jam.timing.response or _PHRASE)

    def answering(self, jam: Jam) -> bool:
        """Return whether the machine plays."""
        return jam.turn == "ai"

    def restore(self, jam: Jam, snapshot: JamSnapshot) -> bool:
        """Play on if it played."""
        plays = snapshot.turn == "ai" and not jam.silenced
        if plays:
            self._entered_at, self._has_played = jam.clock.machine, True
            jam.turn_began = jam.clock.machine - snapshot.turn_used
        jam.pass_turn("ai" if plays else "human")
        return plays
