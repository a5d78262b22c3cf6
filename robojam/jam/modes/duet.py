"""Duet: the machine plays a line of its own beside the human. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

from robojam.jam.fair_turns import ANSWERED
from robojam.jam.modes.listen import Listen
from robojam.jam.numbers import Past, Seconds
from robojam.jam.voices import HeardTouch
from robojam.touch import Phase, clip

if TYPE_CHECKING:
    from robojam.jam.fingers import FingerEvent
    from robojam.jam.jam import Jam
    from robojam.touch import Touch

#: Seconds for which the machine plays on after the last touch that it heard.
PLAYS_ON: Final = 1.0
#: The next landing is expected after the shortest of this many intervals between landings,
_INTERVALS: Final = 4
#: within these seconds, and after this long where there was none yet.
_SHORTEST, _LONGEST, _FIRST = 0.1, 1.0, 0.5
#: An answer to a landing that would come after more than this part of that time comes after
#: the second part.
_WITHIN, _ELSE = 0.75, 0.5


class _Landings:
    """The last landings of some players."""

    STATE: ClassVar[dict[str, Any]] = {"_at": Past, "_intervals": deque[Seconds]}

    def __init__(self) -> None:
        self._at = -math.inf
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def land(self, t: float) -> None:
        """Note a landing at t, in seconds."""
        if self._at > -math.inf:
            self._intervals.append(t - self._at)
        self._at = t

    @property
    def expected(self) -> float:
        """Seconds from the last landing after which the next one is expected."""
        return clip(min(self._intervals, default=_FIRST), _SHORTEST, _LONGEST)


class Duet(Listen):
    """The machine plays its own line, and each landing is answered by a new beginning of it.

    1. Each voice is fed one stream of touches, in which it is a finger among those of the
       humans: the finger that landed last. Its own touches are fed to it as its own. From its
       landing until its finger lifts it is fed its own slide and no slide of a human; a
       landing of a human it is always fed. A human's touch is fed with the time since the
       last touch of any human; a slide after touches of its own with the time since these,
       and as a landing, so there is no slide from its place to the human's. Its answer is
       fed with dt and phase as the model drew them.
    2. A landing replaces what is pending, and the voice's finger lifts at once. The answer is
       a landing, at the place that the model draws. It comes its dt later, if that is less
       than 3/4 of the time after which the next landing is expected: the shortest of the
       last four intervals between landings, within 0.1 to 1 s (0.5 s before there is one).
       Else it comes at half of that time.
    3. From there the voice goes on by itself, each touch due its dt after the one before. A
       slide of a human replaces nothing. Where nothing is pending it is answered with the
       touch that the model expects next, which is a landing.
       With many voices, these hear a touch and answer it in turn, some at a time, within
       milliseconds: each answer is due its dt after the touch all the same.
    4. Nothing is played later than PLAYS_ON seconds after the last touch that was heard. So
       the line ends where the human stops, or holds a finger still.

    A visitor's landing replaces no answer to a host, from the host's landing until the stroke
    of the answer is over or ANSWERED seconds have passed; and none to another visitor, except
    where that one has had its last answer replaced by its own next landing: it may play
    without end. Such a landing is fed to the model, and not answered. Landings of visitors
    count for when the next landing is expected in answers to visitors alone.
    """

    STATE: ClassVar[dict[str, Any]] = {
        "_heard_at": Past,
        "_touched_at": Past,
        "_since": Seconds,
        "_by_hosts": _Landings,
        "_by_all": _Landings,
        "_partner": str,
        "_answered_at": Past,
        "_again": bool,
    }
    name = "duet"

    def __init__(self) -> None:
        self._heard_at = -math.inf  # or asked to play
        self._touched_at, self._since = -math.inf, 0.0
        self._by_hosts, self._by_all = _Landings(), _Landings()
        #: The player whose landing was answered last ("": nobody's), when, and whether that
        #: answer replaced another to the same player.
        self._partner, self._answered_at, self._again = "", -math.inf, False

    def chosen(self, jam: Jam) -> None:
        """Begin with voices that have all heard the same."""
        jam.voices.set_fed(jam.fed_at)

    def answer(self, jam: Jam) -> bool:
        """Play as if a human had landed."""
        jam.announce("answer")
        now = jam.clock.machine
        self._partner, self._again, self._answered_at = "", False, now
        self._heard_at = now
        jam.voices.answer(now)
        return True

    def human_touched(self, jam: Jam, _touch: Touch) -> None:
        """Note the time since the last touch of any human."""
        now = jam.clock.machine
        self._since = 0.0 if self._touched_at == -math.inf else now - self._touched_at
        self._touched_at = now

    def feed(self, jam: Jam, event: FingerEvent, dt: float, *, moving: bool) -> None:
        """Have the voices hear a human's touch, and answer it."""
        touch, now = event.touch, jam.clock.machine
        dt = self._since if event.own_dt is None else dt
        self._heard_at = now
        values = touch.knobs, touch.pressure
        heard = HeardTouch(jam.t, now, touch.x, touch.y, dt, moving, *values)
        if touch.phase is Phase.DOWN:
            self._land(jam, touch.who, heard)
        jam.voices.hear(heard)

    def _land(self, jam: Jam, who: str, heard: HeardTouch) -> None:
        """Set whether a landing is answered, and when at the latest."""
        now, visits = heard.base, who in jam.visitors
        answered = not (visits and self._is_kept(jam, who))
        heard.interrupts = heard.answered = answered
        self._by_all.land(now)
        if not visits:
            self._by_hosts.land(now)
        if answered:
            self._again = who == self._partner and jam.voices.answering
            self._partner, self._answered_at = who, now
            expected = (self._by_all if visits else self._by_hosts).expected
            heard.within, heard.late = expected * _WITHIN, expected * _ELSE

    def _is_kept(self, jam: Jam, visitor: str) -> bool:
        """Return whether an answer is pending, or played, that a visitor does not replace."""
        if self._partner in ("", visitor) or not jam.voices.answering:
            return False
        if self._partner in jam.visitors:
            return not self._again
        return jam.clock.machine - self._answered_at < ANSWERED

    def paused(self, _jam: Jam, seconds: float) -> None:
        """Add a pause, which is over, to all times of the machine's clock."""
        self._heard_at += seconds
        self._touched_at += seconds
        self._answered_at += seconds

    def last_due(self, _jam: Jam) -> float:
        """Return PLAYS_ON seconds after the last touch that was heard."""
        return self._heard_at + PLAYS_ON


class PredictionDuet(Listen):
    """The duet of recordings that were made before there was an ensemble.

    The machine answers each fed touch with the touch that the model predicts next, and is not
    fed it. A visitor's touch replaces no answer to a host, and none to another visitor, except
    where that one has had its last answer replaced by its own next touch.
    """

    STATE: ClassVar[dict[str, Any]] = {"_partner": str, "_again": bool}
    name = "duet"
    feeds_machine = False

    def __init__(self) -> None:
        self._partner, self._again = "", False

    def answer(self, jam: Jam) -> bool:
        """Play one touch."""
        jam.announce("answer")
        self._partner, self._again = "", False
        jam.voices.start(jam.clock.machine)
        return True

    def human_fed(self, jam: Jam, touch: Touch) -> None:
        """Replace what is pending by an answer to this touch."""
        who, pending = touch.who, jam.voices.pending
        again = who == self._partner
        may_replace = self._partner in jam.visitors and self._again
        if pending and not again and who in jam.visitors and not may_replace:
            return
        self._partner, self._again = who, again and pending > 0
        jam.counts.replaced += pending
        jam.voices.start(jam.clock.machine)
