"""Voices of the machine: the touch that each plays next, when, and its one finger. Pure.

A touch is due at the previous due time plus its dt times the timescale, so a late wake-up
moves no deadline. The machine is one touch ahead, and a proposal is no part of the player's
state until it has been played: to cancel it is to drop it.

Where the jam keeps to a clock, a landing may sound at another time than it was drawn for, and
the first touch of a turn on a line (robojam.jam.timing). It is moved before it is announced,
and the model is fed the dt that it drew.

A voice that has a planned phrase (robojam.jam.phrases) plays from it, until it is over or
dropped; else each touch is the player's ordinary draw. Either is committed as it is played.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from robojam.controls import Settings
from robojam.jam.dwell import REDRAWS, DwellLimiter
from robojam.jam.events import Counters, Event, MotifReturned, TouchPending, TouchPlayed
from robojam.jam.numbers import Count, Future, Seconds
from robojam.jam.protocols import Plan, Player, Proposal
from robojam.jam.timing import Clock, Timing
from robojam.touch import LIFT_AFTER, MAX_DT, MIN_DT, Phase, Touch, clip, nth

_INDEX: Final = attrgetter("index")
#: The queue is cleared of outdated entries when it has more than this many a voice.
_ENTRIES_PER_VOICE = 8
#: Distance, in screens and seconds, within which a planned touch is the one that is pending:
#: the steps of a plan and those of a voice may differ in the last bits, which adds up in a
#: second of touches. A phrase that goes on so near is no leap in any case.
_SAME: Final = 0.02
#: Most voices that hear a touch, and answer it, in one act of the loop; seconds of the jam
#: until the next ones do; and most touches that wait for voices to hear them.
_TOGETHER: Final = 32
_APART: Final = 0.002
_WAITING: Final = 8
#: An event in which no knob moves is drawn again this many times at most: it says nothing, and
#: a model that hears many of them, which people do not play, rests on.
_RESTS: Final = 4
#: A pending touch is not moved by less than this, in seconds, when the beats change: it may
#: have been sent.
_STILL: Final = 0.001

#: Remaining touches of planned phrases, by the voice: its pending one, and those that follow.
Phrases = tuple[tuple[int, tuple[Proposal, ...]], ...]


@dataclass(slots=True)
class Voice:
    """One voice: its pending touch, its finger, and from when its next dt counts."""

    STATE: ClassVar[dict[str, Any]] = {
        "base": Seconds,
        "pending": Proposal | None,
        "due": Future,
        "down": bool,
        "x": Seconds,
        "y": Seconds,
        "knobs": tuple[Seconds, ...],
        "touched": Seconds,
        "commits": Count,
        "as_drawn": Proposal | None,
        "begins": bool,
        "opens": bool,
        "fed_at": Seconds | None,
        "follows_human": bool,
        "drawn": tuple[Seconds, bool] | None,
        "answering": bool,
        "dwell": DwellLimiter,
    }

    index: int
    who: str
    base: float = 0.0
    pending: Proposal | None = None
    due: float = math.inf
    down: bool = False
    x: float = 0.0
    y: float = 0.0
    knobs: tuple[Seconds, ...] = ()
    touched: float = 0.0
    commits: int = 0  # touches that it has been fed of its own
    version: int = 0  # number of its changes: queue entries of older ones are outdated
    # The touch as it was drawn, where it is pending at another time, or too late for the turn;
    # whether a turn or an answer begins with the next touch; and whether that is on a line.
    as_drawn: Proposal | None = None
    begins: bool = False
    opens: bool = False
    # Of a voice that is fed a stream of its own (hear): when it was fed last, whether that was
    # a human's touch, dt and moving of the pending touch as the model drew it, and whether
    # that belongs to the stroke of an answer.
    fed_at: float | None = None
    follows_human: bool = False
    drawn: tuple[float, bool] | None = None
    answering: bool = False
    dwell: DwellLimiter = field(default_factory=DwellLimiter)


@dataclass(slots=True)
class HeardTouch:
    """Human's touch at t (seconds of the take) that voices hear, those of lower index first.

    base is its time by the machine's clock, dt the seconds since the last human's touch.
    interrupts: what the voices have pending is dropped, their fingers lift, and all are fed
    it; else those alone that have nothing pending and no finger down. answered: the voices
    that it interrupts, or those without a pending touch, sample one, due its dt after base;
    one that would come `within` seconds or more after base comes `late` seconds after it.
    next is the index of the next voice to hear it.
    """

    t: Seconds
    base: Seconds
    x: Seconds
    y: Seconds
    dt: Seconds
    moving: bool
    knobs: tuple[Seconds, ...] = ()
    pressure: Seconds | None = None
    interrupts: bool = False
    answered: bool = True
    within: Future = math.inf
    late: Seconds = 0.0
    next: Count = 0


def clipped(proposal: Proposal) -> Proposal:
    """Return a proposal clipped to the surface and to the shortest and longest dt."""
    p = proposal
    if 0.0 <= p.x <= 1.0 and 0.0 <= p.y <= 1.0 and MIN_DT <= p.dt <= MAX_DT:
        return p
    x, y = clip(p.x, 0.0, 1.0), clip(p.y, 0.0, 1.0)
    return replace(p, x=x, y=y, dt=clip(p.dt, MIN_DT, MAX_DT))


def _same(a: Proposal, b: Proposal) -> bool:
    """Return whether two touches are the same but for the last bits.

    Not whether they are slides: a slide without a finger that is down is a landing.
    """
    return max(abs(a.x - b.x), abs(a.y - b.y), abs(a.dt - b.dt)) < _SAME


class Voices:
    """All voices of a player: their pending touches, and the touches that they play.

    The next event of each is in a queue (a heap), so that a thousand voices are not searched
    for the one that is due. An entry whose voice has changed since is outdated, and is
    dropped when it comes up.
    """

    STATE: ClassVar[dict[str, Any]] = {
        "all": list[Voice],
        "playing": Count,
        "_phrases": dict[int, deque[Proposal]],
        "_commits": list[Count],
        "_heard": deque[HeardTouch],
        "hears_at": Future,
    }

    def __init__(
        self,
        player: Player,
        settings: Settings,
        *,
        clock: Clock,
        timing: Timing,
        sink: Callable[[Event], None],
        counts: Counters,
        last_due: Callable[[], float],
    ) -> None:
        """last_due returns from when on, by the machine's clock, nothing is played."""
        self.player, self.settings, self.clock = player, settings, clock
        self._timing = timing
        self.sink, self.counts, self._turn_end = sink, counts, last_due
        self.all = [Voice(i, nth("ai", i)) for i in range(player.voices)]
        self._playing = self.all  # the others rest
        self._queue: list[tuple[float, bool, int, int]] = []
        self._phrases: dict[int, deque[Proposal]] = {}  # by the voice; none is empty
        self._commits: list[int] = []  # of each voice, when the last plan began
        self._heard: deque[HeardTouch] = deque()
        #: When the next voices hear a touch that others have heard, by the machine's clock.
        self.hears_at = math.inf

    @property
    def playing(self) -> int:
        """Number of voices that play; the others rest."""
        return len(self._playing)

    @playing.setter
    def playing(self, count: int) -> None:
        self._playing = self.all[: max(1, count)]

    def restored(self) -> None:
        """Queue what is pending in a state that was restored."""
        playing, commits = len(self._playing), len(self._commits)
        if not all(0 <= index < playing and rest for index, rest in self._phrases.items()):
            raise ValueError("its phrases are of other voices")
        if commits not in (0, len(self.all)) or len(self._heard) > _WAITING:
            raise ValueError("its voices are not as many as they were")
        self._queue.clear()
        for voice in self.all:
            if (voice.pending is None) != (voice.due == math.inf):
                raise ValueError("a touch of it is pending without a time")
            if voice.pending is not None:
                voice.pending = clipped(voice.pending)
            self._enqueue(voice)

    @property
    def down(self) -> int:
        """Number of voices whose finger is down."""
        return sum(voice.down for voice in self.all)

    @property
    def pending(self) -> int:
        """Number of voices that have a touch pending."""
        count = 0
        for voice in self.all:
            count += voice.pending is not None
        return count

    def touches(self) -> list[Touch]:
        """Return the fingers that are down, as slides that stay where they are."""
        return [
            Touch(v.x, v.y, 0.0, Phase.MOVE, 0, v.who, None, v.knobs)
            for v in self.all
            if v.down
        ]

    def next(self) -> tuple[float, bool, Voice]:
        """Return the next event: its time, whether it is a touch (else a lift), and its voice.

        Of what is due at the same instant lifts come first, then the lower voice. The time is
        infinity when nothing is due.
        """
        queue, voices = self._queue, self.all
        while queue:
            when, touch, index, version = queue[0]
            voice = voices[index]
            if voice.version == version:
                return when, touch, voice
            heappop(queue)
        return math.inf, False, voices[0]

    def _enqueue(self, voice: Voice) -> None:
        voice.version += 1
        lift, due = math.inf, voice.due
        if voice.down and (voice.pending is None or not voice.pending.moving):
            lift = voice.touched + LIFT_AFTER  # unless a touch comes first
        first = lift if lift <= due else due
        if first < math.inf:
            heappush(self._queue, (first, due < lift, voice.index, voice.version))
        if len(self._queue) > _ENTRIES_PER_VOICE * (len(self.all) + 1):
            self._queue = [e for e in self._queue if self.all[e[2]].version == e[3]]
            heapify(self._queue)

    @property
    def opening(self) -> bool:
        """Whether a voice waits for the line that the turn opens on."""
        return any(voice.opens and voice.pending is not None for voice in self._playing)

    def start(self, base: float, *, on_line: bool = False) -> None:
        """Sample the first touch of every voice, due its dt after base.

        on_line: it is due on the line that the turn opens on, in the place of that.

        A touch that would come after the end of the turn is drawn again, since nothing would
        be played: people make long rests at times, but a machine that does not answer seems
        broken.
        """
        for voice in self.all:
            voice.base, voice.begins, voice.opens = base, True, on_line
            voice.dwell.clear()
        self._sample_touches(self._playing, began=base)

    def resume(self, bases: Sequence[float], phrases: Phrases = ()) -> None:
        """Sample the next touch of every voice, due its dt after its own base.

        phrases are those of a snapshot that the player has been restored to.
        """
        for voice, base in zip(self.all, bases, strict=True):
            voice.base = base
        playing = len(self._playing)
        self._phrases = {index: deque(rest) for index, rest in phrases if index < playing}
        self._sample_touches(self._playing)

    def resample(self, *, also_dropped: bool, keeps_phrases: bool = False) -> None:
        """Sample the pending touches again; also_dropped: and those too late for the turn.

        keeps_phrases: nothing has changed for the player, so planned phrases go on.
        """
        if not keeps_phrases:
            self._phrases.clear()
        voices = [v for v in self._playing if v.pending is not None or also_dropped]
        self._sample_touches(voices)

    def retime(self) -> None:
        """Move what is pending to where it sounds by the beats and the settings in force.

        Nothing is drawn again.
        """
        turn_end = self._turn_end()
        for voice in self._playing:
            drawn = voice.as_drawn or voice.pending
            if drawn is None:
                continue
            due = self._due(voice, drawn, turn_end)
            if voice.pending is None or abs(due - voice.due) > _STILL or due >= turn_end:
                self._set_pending(voice, drawn, turn_end)

    # -- a stream of its own for each voice ------------------------------------------------

    @property
    def answering(self) -> bool:
        """Whether a voice plays the stroke of an answer, or will."""
        return any(v.answering and v.pending is not None for v in self.all)

    def set_fed(self, fed_at: float | None) -> None:
        """Note when all voices were fed last, in seconds of the take: never if None.

        What some of them have not heard yet they do not hear.
        """
        self._drop_heard()
        for voice in self.all:
            voice.fed_at, voice.follows_human = fed_at, False

    def hear(self, touch: HeardTouch) -> None:
        """Have the voices hear a human's touch: the first ones now, others a little later.

        So a thousand voices hold up nothing else. Touches are heard in their order.
        """
        self._heard.append(touch)
        if len(self._heard) == 1:
            self.hear_next()
        elif len(self._heard) > _WAITING:
            self._hear_by(len(self._playing))

    def hear_next(self) -> None:
        """Have the next voices hear the touch that waits, those that have anything to do."""
        while self._heard and not self._hear_by(_TOGETHER):
            pass

    def _hear_by(self, count: int) -> bool:
        """Have the next voices hear the oldest touch; return whether any had to act."""
        touch = self._heard[0]
        voices = self._playing[touch.next : touch.next + count]
        touch.next += count
        if touch.next >= len(self._playing):
            self._heard.popleft()
        self.hears_at = self.clock.machine + _APART if self._heard else math.inf
        heard = self._feed_touch(voices, touch)
        if touch.interrupts:
            answering = voices
        else:
            answering = [v for v in voices if v.pending is None and v.follows_human]
        if touch.answered and answering:
            self.answer(
                touch.base, answering,
                stroke=touch.interrupts, within=touch.within, late=touch.late,
            )  # fmt: skip
        return heard or bool(touch.answered and answering)

    def _feed_touch(self, voices: list[Voice], touch: HeardTouch) -> bool:
        """Feed a touch to those of some voices that hear it; return whether any does.

        A slide that follows a touch of the voice's own is fed as a landing, with the time since
        then.
        """
        inputs: dict[int, tuple[float, bool]] = {}
        for voice in voices:
            if voice.down or voice.pending is not None:
                if not touch.interrupts:
                    continue
                self.counts.replaced += voice.pending is not None
                if voice.down:
                    self.lift(voice)
            first = touch.moving and not voice.follows_human
            since = touch.t - voice.fed_at if first and voice.fed_at is not None else touch.dt
            if voice.pending is None:
                voice.as_drawn = None  # by a model that had not heard this
            inputs[voice.index] = clip(since, 0.0, MAX_DT), touch.moving and not first
            voice.fed_at, voice.follows_human = touch.t, True
        values = touch.knobs, touch.pressure
        if len(inputs) == len(self._playing) and len(set(inputs.values())) == 1:
            self.player.feed(touch.x, touch.y, *inputs[0], *values)
        elif inputs:
            self.player.feed_some(inputs, touch.x, touch.y, *values)
        return bool(inputs)

    def _drop_heard(self) -> None:
        """Drop the touches that some voices have not heard yet."""
        self._heard.clear()
        self.hears_at = math.inf

    def answer(
        self,
        base: float,
        voices: list[Voice] | None = None,
        *,
        stroke: bool = True,
        within: float = math.inf,
        late: float = 0.0,
    ) -> None:
        """Sample a landing, due its dt after base, for some voices, or for all that play.

        What they have pending is dropped, and their fingers lift. stroke: the stroke that
        begins is that of an answer. A landing that would come `within` seconds or more after
        base comes `late` seconds after it.
        """
        voices = self._playing if voices is None else voices
        for voice in voices:
            if voice.down:
                self.lift(voice)
            voice.base, voice.begins = base, True
            voice.answering |= stroke
            voice.dwell.clear()
        self._sample_touches(voices, began=base, within=within, late=late)

    def delay(self, seconds: float) -> None:
        """Delay all that is pending: the machine could not keep up.

        Nothing is announced: that would take more time than there is.
        """
        for voice in self._playing:
            voice.base += seconds
            if voice.pending is not None:
                voice.due += seconds
                self._enqueue(voice)
        self.hears_at += seconds

    # -- planned phrases -----------------------------------------------------------------

    @property
    def phrases(self) -> Phrases:
        """Remaining touches of the planned phrases."""
        return tuple((index, tuple(rest)) for index, rest in self._phrases.items())

    @property
    def has_phrases(self) -> bool:
        """Whether a voice plays a planned phrase."""
        return bool(self._phrases)

    def plan(self, *, seconds: float, lead: float = 0.0) -> Plan | None:
        """Begin a plan of what the voices play next; None if the player cannot plan.

        seconds is the longest phrase, in the model's time; lead the beginning that is that of
        the ordinary draw, in the machine's.
        """
        settings, playing = self.settings, self._playing
        self._commits = [voice.commits for voice in self.all]
        return self.player.plan(
            [voice.index for voice in playing],
            seconds=seconds,
            follow=settings.follow,
            memory=settings.memory,
            lead=lead / settings.timescale,
            dwell=settings.dwell / settings.timescale,
            down=[voice.index for voice in playing if voice.down],
        )

    def adopt(self, phrases: Sequence[Sequence[Proposal]], *, playing: bool) -> bool:
        """Play planned phrases from now on; return whether one of them was of use.

        playing: the voices have played since the plan began. Then a phrase must go on as its
        voice does: it is of no use once the voice has played more than the plan's lead.
        """
        self._phrases.clear()
        for voice, phrase in zip(self._playing, phrases, strict=True):
            rest = deque(map(clipped, phrase))
            if playing:
                for _ in range(min(voice.commits - self._commits[voice.index], len(rest))):
                    rest.popleft()
                drawn = voice.as_drawn or voice.pending
                if voice.pending is None or drawn is None or not rest:
                    continue
                if not _same(drawn, rest[0]):
                    continue
            if rest:
                self._phrases[voice.index] = rest
        return bool(self._phrases)

    def _take_planned(self, voice: Voice, left: float, turn_end: float) -> bool:
        """Make the next touch of a voice's phrase pending; return whether it has one.

        A phrase ends where the ordinary draw would be drawn again: where the finger would
        stay in its place for too long, or the first touch would come after left seconds.
        """
        phrase = self._phrases.get(voice.index)
        if phrase is None:
            return False
        p, wait = phrase[0], phrase[0].dt * self.settings.timescale
        at = voice.base + wait
        if wait >= left or voice.dwell.too_long(at, p.x, p.y, moving=p.moving):
            del self._phrases[voice.index]
            return False
        x, y = voice.dwell.off_edges(at, p.x, p.y)
        self._set_pending(voice, replace(p, x=x, y=y), turn_end)
        return True

    def _advance_phrase(self, voice: Voice) -> None:
        """Note that a voice has played a touch of its phrase, if it has one."""
        phrase = self._phrases.get(voice.index)
        if phrase is not None:
            phrase.popleft()
            if not phrase:
                del self._phrases[voice.index]

    # -- the voices together -------------------------------------------------------------

    def rest(self, resting: int, *, plays: bool) -> None:
        """Rest the last `resting` voices; the others play if the machine plays.

        A voice that comes back goes on from what the first voice has heard and played, without
        a planned phrase.
        """
        playing = max(1, len(self.all) - resting)
        resting_now, woken = self.all[playing:], self.all[len(self._playing) : playing]
        for voice in resting_now:
            self._phrases.pop(voice.index, None)
            if voice.pending is not None:
                self.sink(TouchPending(self.clock.t, voice.who, None, math.inf))
            self._drop_pending(voice)
            if voice.down:
                self.lift(voice)
        self._playing = self.all[:playing]
        self.player.rest(len(self.all) - playing)
        for voice in woken:
            voice.base = self.clock.machine
            voice.dwell.clear()
        if plays and woken:
            self._sample_touches(woken)

    def recover(self, *, also_dropped: bool) -> None:
        """Sample again what is pending, after an act was cut short.

        also_dropped: and the touches of voices without one, due their dt from now on.
        """
        for voice in self.all:
            if voice.pending is None:
                voice.base = self.clock.machine
        self.resample(also_dropped=also_dropped)

    def cancel(self) -> None:
        """Cancel the pending touches, and drop what is planned, and what is not heard yet."""
        self._phrases.clear()
        self._drop_heard()
        self.announce_cancelled()
        for voice in self.all:
            self._drop_pending(voice)

    def _drop_pending(self, voice: Voice) -> None:
        """Forget the pending touch of a voice, whatever it is."""
        voice.pending, voice.due, voice.as_drawn = None, math.inf, None
        voice.begins = voice.opens = False
        self._enqueue(voice)

    def announce_cancelled(self) -> None:
        """Announce that no pending touch will be played at its announced time."""
        for voice in self.all:
            if voice.pending is not None:
                self.sink(TouchPending(self.clock.t, voice.who, None, math.inf))

    def _sample_touches(
        self,
        voices: list[Voice],
        *,
        began: float | None = None,
        within: float = math.inf,
        late: float = 0.0,
    ) -> None:
        """Sample the next touches of these voices, as one batch, or take them from phrases.

        A touch that would keep the finger in its place for too long is drawn again, REDRAWS
        times at most; so is one after the end of the turn, if all began at an instant, and, a
        few times, an event in which no knob moves. With
        within, one that would come that many seconds or more later is not drawn again: it
        comes `late` seconds after it.

        A redraw uses up the random numbers of one more touch (`Player.skip`), also if the
        touch is withdrawn later. Nothing depends on that but which of many draws comes next:
        what is redrawn follows from the seed and the recorded events, so a jam regenerates;
        plans count redraws alike (robojam.player.planner); the numbers of other voices do not
        move; and the later numbers are independent of those that were refused.
        """
        # Loops and maps in the place of comprehensions, each of which is a call.
        # Knobs may stay where they are.
        dwell = math.inf if self.player.knobs else self.settings.dwell
        for voice in voices:
            voice.dwell.limit = dwell
        scale, turn_end = self.settings.timescale, self._turn_end()
        left = math.inf if began is None or within < math.inf else turn_end - began
        if self._phrases:
            voices = [v for v in voices if not self._take_planned(v, left, turn_end)]
        sampled = self.player.sample(list(map(_INDEX, voices))) if voices else []
        proposals = list(map(clipped, sampled))
        for count in range(REDRAWS):
            rejected: list[int] = []
            for i, voice in enumerate(voices):
                p = proposals[i]
                at = voice.base + p.dt * scale
                if (
                    p.dt * scale >= left
                    or (p.rests and count < _RESTS)
                    or voice.dwell.too_long(at, p.x, p.y, moving=p.moving)
                ):
                    rejected.append(i)
            if not rejected:
                break
            indices = [voices[i].index for i in rejected]
            for index in indices:
                self.player.skip(index)
            for i, proposal in zip(rejected, self.player.sample(indices), strict=True):
                proposals[i] = clipped(proposal)
        self.counts.faults += self.player.take_faults()
        for voice, proposal in zip(voices, proposals, strict=True):
            voice.drawn = proposal.dt, proposal.moving
            if proposal.dt * scale >= within:
                proposal = replace(proposal, dt=clip(late / scale, MIN_DT, MAX_DT))
            at = voice.base + proposal.dt * scale
            x, y = voice.dwell.off_edges(at, proposal.x, proposal.y)
            if (x, y) != (proposal.x, proposal.y):
                proposal = replace(proposal, x=x, y=y)
            self._set_pending(voice, proposal, turn_end)

    def _set_pending(self, voice: Voice, proposal: Proposal, turn_end: float) -> None:
        """Make a touch pending, unless the turn ends before it is due."""
        if voice.follows_human and proposal.moving:
            proposal = replace(proposal, moving=False, recall=None)
        now, t = self.clock.machine, self.clock.t
        due = max(voice.base + proposal.dt * self.settings.timescale, now)
        voice.as_drawn = None
        if self._timing.active:
            drawn, due = due, self._due(voice, proposal, turn_end)
            if due != drawn or due >= turn_end:
                voice.as_drawn = proposal
                dt = clip((due - voice.base) / self.settings.timescale, MIN_DT, MAX_DT)
                proposal = replace(proposal, dt=dt)
        if due >= turn_end:
            if voice.pending is not None:
                self.sink(TouchPending(t, voice.who, None, math.inf))
            voice.pending, voice.due = None, math.inf
            self._enqueue(voice)
            return
        voice.pending, voice.due = proposal, due
        self._enqueue(voice)
        held = self.clock.stopped_at is not None
        self.sink(TouchPending(t, voice.who, proposal, t + (due - now), held))

    def _due(self, voice: Voice, drawn: Proposal, turn_end: float) -> float:
        """Return when a touch is due, by the machine's clock, as the jam keeps to its clock."""
        scale, now, timing = self.settings.timescale, self.clock.machine, self._timing
        due = max(voice.base + drawn.dt * scale, now)
        if due >= turn_end and not voice.opens:
            return due
        earliest = max(voice.base + MIN_DT * scale, now)
        if voice.opens:
            line = timing.line_time
            return due if line is None else max(line, earliest)
        if timing.grid is None or (drawn.moving and voice.down):
            return due
        landing = timing.land(due, earliest, voice.base + MAX_DT * scale)
        # A turn in which no line is left has a touch all the same.
        return due if landing >= turn_end and voice.begins else landing

    def play(self, voice: Voice, *, feed: bool) -> None:
        """Play the touch that is due; then feed it to the model and sample the next.

        Without feed the model is not fed it, and nothing follows until it is asked for.
        """
        proposal, t, drawn = voice.pending, self.clock.t, voice.as_drawn
        assert proposal is not None
        voice.pending, voice.due = None, math.inf
        voice.as_drawn, voice.begins, voice.opens = None, False, False
        moving = proposal.moving and voice.down
        if not moving and voice.down:
            self.lift(voice)
        phase = Phase.MOVE if moving else Phase.DOWN
        voice.down, voice.x, voice.y, voice.touched = True, proposal.x, proposal.y, t
        voice.knobs = proposal.knobs
        self._enqueue(voice)
        self.counts.played += 1
        place, values = (voice.x, voice.y), (proposal.knobs, proposal.pressure)
        touch = Touch(*place, proposal.dt, phase, 0, voice.who, *values[::-1])
        self.sink(TouchPlayed(t, touch, proposal.dt * self.settings.timescale))
        if proposal.recall is not None and not moving:
            self.sink(MotifReturned(t, voice.who, proposal.recall))
        if not feed:
            self.player.skip(voice.index)
            return
        dt, fed_as_move = proposal.dt if drawn is None else drawn.dt, moving
        if voice.follows_human and voice.drawn is not None:
            dt, fed_as_move = voice.drawn
        self.player.commit(voice.index, *place, dt, fed_as_move, *values)
        voice.commits += 1
        voice.fed_at, voice.follows_human = t, False
        if self._phrases:
            self._advance_phrase(voice)
        voice.dwell.touch(t, proposal.x, proposal.y, moving=moving)
        voice.base = t
        self._sample_touches([voice])
        voice.answering &= voice.pending is not None and voice.pending.moving

    def lift(self, voice: Voice) -> None:
        """Lift a voice's finger."""
        voice.down = False
        self._enqueue(voice)
        dt = self.clock.t - voice.touched
        up = Touch(voice.x, voice.y, dt, Phase.UP, 0, voice.who, None, voice.knobs)
        self.sink(TouchPlayed(self.clock.t, up, dt))

    def lift_all(self) -> None:
        """Lift every finger that is down."""
        for voice in self.all:
            if voice.down:
                self.lift(voice)

    def shift(self, seconds: float) -> None:
        """Add a pause's length to the instants from which dt counts, so no wait is lost."""
        for voice in self.all:
            voice.base += seconds
        for touch in self._heard:
            touch.base += seconds
        self.hears_at += seconds

    def change_player(self, player: Player) -> None:
        """Replace the player; each voice goes on from where it was."""
        player.continue_from(self.player)
        self.use(player)

    def use(self, player: Player) -> None:
        """Use another player, which has taken over what it needs of this one."""
        player.rest(len(self.all) - len(self._playing))
        self.player = player
