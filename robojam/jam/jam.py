"""Jam: turn-taking and schedule of one take. Pure: no sockets, no threads, no clock.

Time is an argument, in seconds since the beginning of the take, and never runs backwards.
Events go out through one callable, the sink, in the order in which they happen and at once:
a touch has left before the model is fed it and the next one is sampled.

Time is desired time. A touch is due at the previous due time plus its dt times the timescale,
so a late wake-up moves no deadline. The machine is one touch ahead, and a proposal is no part
of the player's state until it has been played: to cancel it is to drop it. What happens at t
depends on nothing but what came in until t, so a recording can be regenerated exactly.
"""

import math
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from robojam.beats import Beats
from robojam.controls import SETTINGS, Settings, Value
from robojam.jam import saved
from robojam.jam.events import (
    ControlChanged,
    Counters,
    Event,
    TouchPlayed,
    TurnAwaited,
    TurnChanged,
)
from robojam.jam.fair_turns import FairTurns
from robojam.jam.fingers import FingerEvent, Fingers
from robojam.jam.history import History, JamSnapshot
from robojam.jam.modes import MODES, Mode
from robojam.jam.numbers import Future, Past, Seconds, Time
from robojam.jam.phrases import PHRASE, ROOM, Planning
from robojam.jam.protocols import Player, Proposal
from robojam.jam.timing import Clock, Timing
from robojam.jam.voices import Voices
from robojam.touch import MAX_DT, Phase, clip

#: Seconds of rest after which the player computes ahead, and before a touch that is due. At
#: once, the programs that have received a touch would wait for the processor.
_REST = 0.001
#: Seconds after which a machine that has no time to plan phrases is asked again.
_BUSY = 0.25
#: Landings of humans that are remembered, to say who played what comes back, and when.
_LANDINGS = 4096
#: Version of the rules by which a jam is played. A recording holds it, and regenerates by its
#: own. 1: what visitors delay an answer by is forgotten with each answer; 2: it is not. 3: the
#: time by a player's own clock counts from its touch that the model was fed last.
RULES: Final = 3


class Jam:
    """One take: the humans' fingers, the machine's voices, and whose turn it is."""

    #: A live jam takes touches and all controls.
    replaying = False
    #: Besides its settings, mode, history and player: see `save`.
    STATE: ClassVar[dict[str, Any]] = {
        "clock": Clock,
        "timing": Timing,
        "voices": Voices,
        "fair": FairTurns,
        "turn": saved.Whose,
        "begun": bool,
        "silenced": bool,
        "knobs": tuple[Seconds, ...],
        "human_at": Past,
        "silent_since": Future,
        "asked_at": Future,
        "turn_began": Seconds,
        "_awaits_from": Future,
        "_fingers": Fingers,
        "_planning": Planning,
        "fed_at": Time | None,
        "_has_heard": bool,
        "_landings": deque[tuple[Seconds, str]],
    }

    def __init__(
        self,
        player: Player,
        settings: Settings,
        sink: Callable[[Event], None],
        counts: Counters | None = None,
        *,
        modes: Mapping[str, type[Mode]] = MODES,
        rules: int = RULES,
    ) -> None:
        """Prepare a take; `begin` starts it. settings may be changed by the jam alone.

        modes: the modes by name, of which earlier recordings have others. rules is the version
        of the rules (RULES).
        """
        self.settings, self.sink, self.rules = settings, sink, rules
        self.counts = counts or Counters()
        self._modes = modes
        self.mode: Mode = modes[settings.mode]()
        self.turn = self.mode.first_turn
        self.clock = Clock(stopped_at=0.0 if settings.pause else None)
        self.timing = Timing(settings, self.clock)
        self.voices = Voices(
            player,
            settings,
            clock=self.clock,
            timing=self.timing,
            sink=sink,
            counts=self.counts,
            last_due=lambda: self.mode.last_due(self),
        )
        self.begun = False
        self.silenced = False
        #: Whether it does what another jam does, which says what has become of its plans.
        self.follows = False
        #: Where the knobs are, as anyone moved them last; empty before, and without knobs.
        self.knobs: tuple[float, ...] = ()
        # By the machine's clock, which stands still while paused: the last landing or slide
        # of any human, the beginning of the silence that the machine will answer, when it was
        # asked to answer on a line of the clock, and the beginning of the machine's turn.
        self.human_at = -math.inf
        self.silent_since = math.inf
        self.asked_at = math.inf
        self.turn_began = 0.0
        # From when on a turn may begin that waits for a line, once that was announced.
        self._awaits_from = math.inf
        self.fair = FairTurns(regains=rules >= 2)
        #: Names of the players who are visitors, at any time; all others are hosts.
        self.visitors = self.fair.visitors
        self._fingers = Fingers(since_fed=rules >= 3)
        self._history = History(player.voices)
        self._prepare_at = math.inf
        self._planning = Planning(self.counts)
        #: Time of the last touch that the model was fed.
        self.fed_at: float | None = None
        self._has_heard = False  # whether the model remembers a human's touch
        #: When each landing came that the model was fed, and whose it was.
        self._landings: deque[tuple[float, str]] = deque(maxlen=_LANDINGS)
        #: Whether an act has begun and not ended: an exception has cut it short, or it goes on.
        self.incomplete = False
        # The next event that needs no input, while known: asked for several times a touch.
        self._upcoming: tuple[float, Callable[[], None]] | None = None
        self._actions: dict[str, Callable[[Value], bool]] = {
            "answer": self._answer,
            "back": self._back,
            "beats": self._set_beats,
            "downbeat": self._ignore,
            "held_up": self._hold_up,
            "host": self._add_host,
            "mode": self._set_mode,
            "panic": self._panic,
            "pause": self._pause,
            "planned": self._planned,
            "planning": self._begin_plan,
            "recall": self._recall,
            "reset": self._reset,
            "resting": self._rest,
            "seed": self._seed,
            "store": self._store,
            "tap": self._ignore,
            "undo_store": self._undo_store,
            "visitor": self._add_visitor,
        }
        self._apply_sampling()

    # -- state ---------------------------------------------------------------------------

    @property
    def t(self) -> float:
        """Time up to which everything has happened."""
        return self.clock.t

    @property
    def beats(self) -> Beats | None:
        """Beats of the clock that the jam keeps to; None where there is none."""
        return self.timing.beats

    @property
    def player(self) -> Player:
        """The player of the voices."""
        return self.voices.player

    @property
    def plans(self) -> bool:
        """Whether the machine's phrases can be planned: see `Player.plans`."""
        return self.player.plans

    @property
    def starts_alone(self) -> bool:
        """Whether the machine plays by itself, and nothing holds it."""
        return self.mode.starts_alone and not (self.silenced or self.settings.pause)

    def hand_over(self, sink: Callable[[Event], None], counts: Counters) -> None:
        """Go on for others, with every finger lifted: events go to sink, counts to counts.

        The machine goes on where it is, as after a pause.
        """
        self.sink = self.voices.sink = sink
        self.counts = self.voices.counts = self._planning.counts = counts
        for who, finger in self._fingers.down:
            self.finger(self.t, who, finger, Phase.UP)
        if self.voices.down and not self.settings.pause:
            self.control(self.t, "pause", 1)
            self.control(self.t, "pause", 0)

    @property
    def saves(self) -> bool:
        """Whether it can be saved now: not in the middle of an act, or of a plan with a lead.

        That plan began from a state that is no more.
        """
        leads = self._planning.plan is not None and self._planning.lead > 0
        return self.begun and self.player.saves and not (self.incomplete or leads)

    def save(self) -> saved.SavedJam:
        """Return a copy of its state, from which `load` goes on exactly as it does.

        A plan that is being made in a silence is left out: it is made again.
        """
        recent, stored, replaced = self._history.held()
        numbers: dict[int, int] = {}
        snapshots: list[JamSnapshot] = []

        def number(snapshot: JamSnapshot) -> int:
            if id(snapshot) not in numbers:
                numbers[id(snapshot)] = len(snapshots)
                snapshots.append(snapshot)
            return numbers[id(snapshot)]

        return saved.SavedJam(
            saved.copied_settings(self.settings),
            saved.save(self),
            saved.save(self.mode),
            recent=tuple(map(number, recent)),
            stored={name: number(snapshot) for name, snapshot in stored.items()},
            replaced={n: None if s is None else number(s) for n, s in replaced.items()},
            snapshots=tuple(snapshots),
            player=self.player.save(),
        )

    def load(self, data: bytes) -> None:
        """Go on from a state that was saved by a jam with such a player, and encoded.

        Raises ValueError for data that is none; the jam is of no use then.
        """
        state = saved.decode(data, Jam, self._modes, self.player)
        for name, value in state.settings.items():
            setattr(self.settings, name, value)
        self.mode = self._modes[self.settings.mode]()
        self._apply_sampling()  # which drops what was computed ahead
        self.player.load(state.player)
        saved.restore(self, state.parts)
        saved.restore(self.mode, state.mode)
        if (self.clock.stopped_at is not None) != bool(self.settings.pause):
            raise ValueError("it is paused, and its clock is not")
        self._history.hold(
            (state.snapshots[i] for i in state.recent),
            {name: state.snapshots[i] for name, i in state.stored.items()},
            {
                name: None if i is None else state.snapshots[i]
                for name, i in state.replaced.items()
            },
        )
        self.incomplete, self._upcoming = False, None

    def checksum(self) -> int:
        """Return a checksum of what decides what the machine plays next."""
        voices = [(v.base, v.due, v.down, v.commits) for v in self.voices.all]
        state = self.turn, self.fed_at, self.silenced, self.human_at, voices
        return zlib.crc32(msgspec.msgpack.encode(state), self.player.checksum())

    def places(self) -> dict[tuple[str, int], tuple[float, float]]:
        """Return the places of the humans' fingers that are down."""
        return self._fingers.places()

    def go_on(self, sink: Callable[[Event], None], counts: Counters) -> None:
        """Lead the jam that another one led so far: events go to sink, counts to counts."""
        self.sink = self.voices.sink = sink
        self.counts = self.voices.counts = self._planning.counts = counts
        self.follows, self._upcoming = False, None

    @property
    def touched_at(self) -> dict[str, float]:
        """Times of the last landing or slide of each human."""
        return self._fingers.touched_at

    @property
    def fingers(self) -> int:
        """Number of fingers that are down, everyone's."""
        return len(self._fingers) + self.voices.down

    def is_out(self, who: str) -> bool:
        """Return whether a visitor is out of the jam: see `robojam.jam.fair_turns`."""
        return self.fair.is_out(who)

    @property
    def turn_left(self) -> float | None:
        """Seconds left of the machine's turn; None where it has no end."""
        end = self.mode.turn_end(self)
        return None if math.isinf(end) else max(0.0, end - self.clock.machine)

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the stored snapshots, sorted."""
        return tuple(sorted(self._history.stored))

    def forecast(self) -> list[tuple[float, ...]]:
        """Return the mixture that voice 0 expects next, as `Player.forecast`."""
        return self.player.forecast()

    # -- input ---------------------------------------------------------------------------

    def begin(self, seed: int, beats: str = "") -> None:
        """Begin the take, at t = 0, with the random numbers of a seed.

        beats are those of the clock, as of the control beats.
        """
        self.player.rest(0)
        self.player.reset()
        self.player.seed(seed)
        self._history.clear()  # a control before the take may have left one of another seed
        self.begun = True
        if beats:
            self._set_beats(beats)
        self.mode.play_on(self)
        self._upcoming = None

    def advance(self, t: float, *, until_answer: bool = False) -> None:
        """Play everything that is due at or before t, each event at its own instant.

        until_answer: but not what begins with the answer to a silence.
        """
        clock = self.clock
        while (due := self._upcoming or self._find_upcoming())[0] <= t:
            when, act = due
            if until_answer and act == self._answer_silence:
                return
            clock.t = max(clock.t, when)
            self._upcoming = None  # the sink may ask, before and after all that act does
            self.incomplete = True
            act()
            self.incomplete = False
            self._upcoming = None
        clock.t = max(clock.t, t)

    @property
    def due(self) -> float | None:
        """Time of the next event that needs no input; None while there is none."""
        when = (self._upcoming or self._find_upcoming())[0]
        return None if when == math.inf else max(when, self.clock.t)

    def _begin_change(self, t: float, *, until_answer: bool = False) -> None:
        """Advance to t for a change, after which the next event may be another."""
        self.advance(t, until_answer=until_answer)
        self._upcoming = None
        self.incomplete = True

    def _end_change(self) -> None:
        """End a change that was not cut short."""
        self.incomplete = False
        self._upcoming = None

    def finger(
        self,
        t: float,
        who: str,
        finger: int,
        phase: Phase,
        x: float = 0.0,
        y: float = 0.0,
        *,
        own_dt: float | None = None,
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
    ) -> None:
        """Handle a human's finger; own_dt in seconds where the player has its own clock.

        pressure is that of its touch, 0..1; None where it is not measured. knobs are the values
        of an event of knobs, as of `robojam.touch.Touch`.
        """
        self._begin_change(t)
        counts = phase is Phase.UP or self._counts(who)
        heard = counts and self.mode.hears(self, who)
        events = self._fingers.finger(
            t, who, finger, phase, x, y,
            own_dt=own_dt, pressure=pressure, knobs=knobs, heard=heard,
        )  # fmt: skip
        self._handle_fingers(events, counts=counts)
        self._end_change()

    def plain(
        self,
        t: float,
        who: str,
        x: float,
        y: float,
        dt: float | None = None,
        *,
        finger: int = 0,
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
    ) -> None:
        """Handle a touch of a player without phases; dt where it has its own clock."""
        self._begin_change(t)
        counts = self._counts(who)
        heard = counts and self.mode.hears(self, who)
        events = self._fingers.plain(
            t, who, x, y, dt, finger, pressure=pressure, knobs=knobs, heard=heard
        )
        self._handle_fingers(events, counts=counts)
        self._end_change()

    def control(self, t: float, name: str, value: Value = 1) -> bool:
        """Apply a checked control at t; return whether it had an effect."""
        # A phrase that is planned in a silence is told just before the answer to it.
        self._begin_change(t, until_answer=name == "planned" and not value)
        act = self._actions.get(name)
        result = self._set(name, value) if act is None else act(value)
        self._end_change()
        return result

    def swap(self, t: float, player: Player, name: str) -> None:
        """Replace the player from t on; name is its model's file."""
        self._begin_change(t)
        self.announce("model", name)
        self.voices.lift_all()
        self.voices.change_player(player)
        self._history.clear()
        self._apply_sampling()
        self._forget_fed()
        self._resample()
        self._end_change()

    def recover(self, t: float) -> None:
        """Go on at t after an exception has cut an act short: the machine draws again.

        Raises what the player raises; `hold` then keeps the machine silent.
        """
        self.clock.t = max(self.clock.t, t)
        self._upcoming = None
        self._planning.drop()
        playing = self.mode.answering(self) or self.starts_alone
        if self.begun:
            self.voices.recover(also_dropped=playing)
        self.incomplete, self._upcoming = False, None

    def hold(self, t: float) -> None:
        """Lift the machine's fingers, and play nothing of its own until `recover`."""
        self.clock.t = max(self.clock.t, t)
        self._planning.drop()
        self.voices.cancel()
        self.voices.lift_all()
        self.incomplete, self._upcoming = True, None

    def move(self, t: float, player: Player) -> bool:
        """Go on from t with another player of the same model.

        Returns whether what was heard could be taken along; if not, that is a reset.
        """
        self.clock.t = max(self.clock.t, t)
        taken = player.take_over(self.player)
        self.voices.use(player)
        self._history.clear()  # its snapshots are of the other player
        self._apply_sampling()
        if not taken:
            self.announce("reset")
            self._forget_fed()
            self._has_heard = False
        self.recover(t)
        return taken

    def prepare(self, t: float, *, plans: bool = True) -> float:
        """Compute ahead, once it has been fed and nothing more happens; plan phrases.

        Returns the seconds until the next call, or infinity; 0 where there is more to do in
        the next turn of the loop. What is played depends on these calls by the controls alone
        that they announce. plans: there is time to plan.
        """
        wait = self._prepare_player(t)
        return min(wait, self._plan_ahead(t, plans=plans))

    def _prepare_player(self, t: float) -> float:
        """Have the player compute what its next touch needs, as `prepare`."""
        if self._prepare_at == math.inf:
            return math.inf
        due = self.due
        if due is not None and due < t + _REST:
            return max(due - t, 0.0) + _REST
        if t < self._prepare_at:
            return self._prepare_at - t
        self._prepare_at = math.inf
        self.player.prepare()
        return math.inf

    def finish(self, t: float) -> None:
        """End the take: play what is due, and lift every finger."""
        self._begin_change(t)
        self._planning.drop()
        self.voices.cancel()
        self._lift_humans(self._fingers.lift_all(self.t))
        self.voices.lift_all()
        self._end_change()

    # -- controls ------------------------------------------------------------------------

    def announce(self, name: str, value: Value = 1) -> None:
        """Send out that a control took effect."""
        self.sink(ControlChanged(self.t, name, value))

    def _set(self, name: str, value: Value) -> bool:
        """Change a control that is nothing but its value."""
        if getattr(self.settings, name) == value:
            return False
        setattr(self.settings, name, value)
        self.announce(name, value)
        if name in ("temperature", "spread"):
            self._apply_sampling()
        row = SETTINGS[name]
        if row.timing:
            was_active = self.timing.active
            self.timing.refresh()
            self._retime(was_active=was_active)
        elif not row.sound:
            self._resample()
        return True

    def _set_beats(self, value: Value) -> bool:
        """Keep to the beats of a text, which hold from now on; "" is no clock.

        Only in a take, whose recording holds them.
        """
        if not self.begun:
            return False
        text, timing = str(value), self.timing
        before, was_active = timing.beats, timing.active
        beats = Beats.parse(text, self.t) if text else None
        timing.set_beats(beats, opening=self.voices.opening)
        if before is None and self.mode.answering(self):
            timing.place_turn(self.turn_began)
        self.announce("beats", text)
        self._retime(was_active=was_active)
        return True

    def _retime(self, *, was_active: bool) -> None:
        """Move what is pending, and what waits, to the beats and the settings in force.

        was_active: what is pending may sound at another time than without a clock.
        """
        if not self.settings.pause and (was_active or self.timing.active):
            self.voices.retime()  # after a pause all is timed again
        if self._awaits_from < math.inf:
            self.await_line(self._awaits_from)

    def _ignore(self, _value: Value) -> bool:
        """Do nothing: the engine has changed the beats."""
        return False

    def _answer(self, _value: Value) -> bool:
        return not self.silenced and self.mode.answer(self)

    def _set_mode(self, value: Value) -> bool:
        if self.settings.mode == value:
            return False
        self.settings.mode = str(value)
        self.mode = self._modes[self.settings.mode]()
        self.announce("mode", value)
        self._planning.drop()
        self.voices.cancel()
        self.voices.lift_all()
        self.silent_since = self.asked_at = math.inf
        self.stop_waiting()
        self.fair.begin()
        self.pass_turn(self.mode.first_turn)
        self.mode.chosen(self)
        return True

    def _pause(self, value: Value) -> bool:
        settings = self.settings
        wakes = not value and self.silenced and self.mode.starts_alone
        if settings.pause == value and not wakes:
            return False
        self.announce("pause", value)
        if value:
            settings.pause, self.clock.stopped_at = int(value), self.t
            self.timing.hold()
            self.voices.announce_cancelled()
            self.voices.lift_all()
            return True
        if self.clock.stopped_at is not None:
            held = self.t - self.clock.stopped_at
            settings.pause, self.clock.stopped_at = int(value), None
            self.human_at += held
            self.silent_since += held
            self.asked_at += held
            self._awaits_from += held
            self.turn_began += held
            self.timing.go_on(opening=self.voices.opening)
            self.fair.shift(held)
            self.mode.paused(self, held)
            self.voices.shift(held)
            self._planning.shift(held)
            also_dropped = self.mode.answering(self)
            self.voices.resample(also_dropped=also_dropped, keeps_phrases=True)
            if self._awaits_from < math.inf:
                self.await_line(self._awaits_from)
        if wakes:
            self.silenced = False
        self.mode.play_on(self)
        return True

    def _reset(self, _value: Value) -> bool:
        self._history.add_when_due(self.clock.t, self._snapshot)
        self.announce("reset")
        self.player.reset()
        self._forget_fed()
        self._has_heard = False
        self._resample()
        return True

    def _seed(self, value: Value) -> bool:
        self.announce("seed", value)
        self.player.seed(int(value))
        self._resample()
        return True

    def _panic(self, _value: Value) -> bool:
        if self.silenced and not self.fingers:
            return False
        self.announce("panic")
        self.silenced = True
        self.silent_since = self.asked_at = math.inf
        self.stop_waiting()
        self.fair.end_waiting()
        self._planning.drop()
        self.voices.cancel()
        self.voices.lift_all()
        self._lift_humans(self._fingers.lift_all(self.t))
        self.mode.panicked(self)
        return True

    def _hold_up(self, seconds: Value) -> bool:
        self.announce("held_up", seconds)
        self.voices.delay(float(seconds))
        return True

    def _rest(self, voices: Value) -> bool:
        self.announce("resting", voices)
        self._planning.drop()
        self.voices.rest(int(voices), plays=self.mode.answering(self) or self.starts_alone)
        return True

    def _add_visitor(self, who: Value) -> bool:
        if not self.fair.add_visitor(str(who)):
            return False
        self.announce("visitor", who)
        return True

    def _add_host(self, who: Value) -> bool:
        if not self.fair.remove_visitor(str(who)):
            return False
        self.announce("host", who)
        return True

    def _apply_sampling(self) -> None:
        settings = self.settings
        self.player.set_sampling(temperature=settings.temperature, spread=settings.spread)

    # -- plans ---------------------------------------------------------------------------

    @property
    def _planned_by(self) -> tuple[float, ...]:
        """The controls that a phrase is planned by."""
        settings = self.settings
        return settings.follow, settings.memory, settings.temperature, settings.spread

    @property
    def _is_playing(self) -> bool:
        """Whether the machine plays, and each of its touches is followed by another."""
        return self.mode.feeds_machine and (self.mode.answering(self) or self.starts_alone)

    def _plan_ahead(self, t: float, *, plans: bool) -> float:
        """Begin a plan, or make a step of one; return the seconds until the next call."""
        settings, planning = self.settings, self._planning
        held = settings.pause or self.incomplete or not self.begun
        if held or not (settings.follow or settings.memory):
            return math.inf
        if planning.finished and (self.follows or not planning.lead):
            return math.inf  # it waits for the turn, or for the jam that is followed
        if self.follows:
            return self._plan_along(t)
        if planning.finished:  # while it followed a jam that had no time to play it
            self.control(t, "planned", planning.lead)
            return 0.0
        if planning.plan is not None and not plans:
            planning.lose(t)
        elif planning.is_late(t):
            planning.miss(t)
        at, lead = (t, 0.0) if planning.plan is not None else self._plan_at(t)
        if at > t or not plans:
            return max(at - t, _REST if plans else _BUSY)
        due = self.due
        if due is not None and due < t + ROOM:
            return max(due - t, 0.0) + _REST
        if planning.plan is None:
            if lead:
                self.control(t, "planning", lead)
            elif (plan := self.voices.plan(seconds=self._phrase_seconds)) is not None:
                planning.begin(plan, t)
            if planning.plan is None:
                planning.put_off(t)
            return 0.0
        if planning.step(t) and planning.lead:
            self.control(t, "planned", planning.lead)
        return 0.0

    def _plan_along(self, t: float) -> float:
        """Plan what another jam plans, so that it is there when that one plays it."""
        planning = self._planning
        if planning.plan is None:
            at, lead = self._plan_at(t)
            if lead or at > t:
                return max(at - t, _REST) if not lead else math.inf
            if (plan := self.voices.plan(seconds=self._phrase_seconds)) is None:
                planning.put_off(t)
                return 0.0
            planning.begin(plan, t)
        planning.step(t)
        return 0.0

    def _plan_at(self, now: float) -> tuple[float, float]:
        """Return when the next plan is to begin (infinity: none), and its lead."""
        if not (self._has_heard and self.mode.plans and self.plans):
            return math.inf, 0.0
        if not self._is_playing:
            since = self.silent_since
            if since == math.inf:  # it may have been asked to answer on the next line
                since = self.asked_at
            return self._planning.answer_at(since, self.settings.threshold), 0.0
        if self.voices.has_phrases:
            return math.inf, 0.0
        left = min(self.mode.turn_end(self) - now, PHRASE * self.settings.timescale)
        return self._planning.lead_at(now, left)

    @property
    def _phrase_seconds(self) -> float:
        """Longest phrase that can be played from now on, in the model's seconds."""
        settings = self.settings
        left = self.timing.response or math.inf
        if self._is_playing:
            left = self.mode.turn_end(self) - self.clock.machine
        return clip(left / settings.timescale, 0.0, PHRASE)

    def _begin_plan(self, lead: Value) -> bool:
        """Begin a plan of how to go on after a lead."""
        if not self._is_playing:
            return False
        plan = self.voices.plan(seconds=self._phrase_seconds, lead=float(lead))
        if plan is None:
            return False
        self.announce("planning", lead)
        self._planning.begin(plan, self.clock.machine, float(lead))
        return True

    def _planned(self, lead: Value) -> bool:
        """Play what is planned: after a lead, or, without one, in the answer that follows."""
        planning = self._planning
        if not lead:
            planning.recorded = not self._is_playing
            return planning.recorded
        if planning.plan is None or planning.lead != lead:
            return False
        if not self.voices.adopt(self._phrases(), playing=True):
            planning.miss(self.clock.machine)
            return False
        planning.succeed()
        self.announce("planned", lead)
        return True

    def _phrases(self) -> list[list[Proposal]]:
        """Return the phrases of the plan, with who played what comes back, and when.

        Nothing has been fed since the plan began: that would have dropped it.
        """
        return [list(map(self._attribute, each)) for each in self._planning.phrases()]

    def _attribute(self, proposal: Proposal) -> Proposal:
        recall = proposal.recall
        if recall is None or not 0 <= recall.landings_ago < len(self._landings):
            return proposal
        heard_at, who = self._landings[-1 - recall.landings_ago]
        recall = replace(recall, who=who, heard_at=heard_at)
        return replace(proposal, recall=recall)

    def take_plan(self) -> None:
        """Play what is planned in the turn that begins now, if the plan is finished."""
        planning = self._planning
        if planning.recorded and planning.plan is None:
            plan = self.voices.plan(seconds=self._phrase_seconds)
            if plan is not None:
                planning.begin(plan, self.clock.machine)
                planning.finished = True  # when it is asked for its phrases
        elif planning.recorded:
            planning.finished = True
        elif self.follows:
            planning.drop()
        if planning.finished and self.voices.adopt(self._phrases(), playing=False):
            planning.succeed()
            self.announce("planned", 0.0)
        elif planning.plan is not None and not planning.finished:
            planning.miss(self.clock.machine)
        else:
            planning.drop()

    # -- the past ------------------------------------------------------------------------

    def _back(self, seconds: Value) -> bool:
        if not self.begun:
            self.counts.drop("nothing to go back to")
            return False
        self._history.add_when_due(self.clock.t, self._snapshot)
        return self._restore(self._history.at(self.t - float(seconds)), "back", seconds)

    def _store(self, name: Value) -> bool:
        if not self.begun:
            self.counts.drop("nothing to store")
            return False
        self.announce("store", name)
        self._history.store(str(name), self._snapshot())
        return True

    def _undo_store(self, name: Value) -> bool:
        if not self._history.undo_store(str(name)):
            self.counts.drop("nothing stored there")
            return False
        self.announce("undo_store", name)
        return True

    def _recall(self, name: Value) -> bool:
        snapshot = self._history.stored.get(str(name))
        if snapshot is None:
            self.counts.drop("nothing stored there")
            return False
        self._history.add_when_due(self.clock.t, self._snapshot)
        return self._restore(snapshot, "recall", name)

    def _snapshot(self) -> JamSnapshot:
        now = self.clock.machine
        return JamSnapshot(
            self.t,
            self.player.snapshot(),
            None if self.fed_at is None else self.t - self.fed_at,
            self.turn,
            now - self.turn_began,
            tuple(now - voice.base for voice in self.voices.all),
            self.voices.phrases,
            self._planned_by,
            self._has_heard,
        )

    def _restore(self, snapshot: JamSnapshot, name: str, value: Value) -> bool:
        """Go on from a snapshot: the model's state, whose turn, and how much of it is left.

        Controls stay as they are now, and fingers that are down stay down.
        """
        self.announce(name, value)
        self._planning.drop()
        self.voices.cancel()
        self.voices.lift_all()
        self.player.restore(snapshot.player)
        self._fingers.forget_fed()
        self.fed_at = None if snapshot.since_fed is None else self.t - snapshot.since_fed
        self.voices.set_fed(self.fed_at)
        self._has_heard = snapshot.has_heard
        self.silent_since = self.asked_at = math.inf
        self.stop_waiting()
        self.fair.end_waiting()
        if self.mode.restore(self, snapshot):
            self.timing.place_turn(self.turn_began)
            self.fair.host_touched(self.clock.machine)  # who has asked for it
            bases = [self.clock.machine - since for since in snapshot.since_bases]
            same = snapshot.planned_by == self._planned_by
            self.voices.resume(bases, snapshot.phrases if same else ())
        return True

    def release_fed(self) -> None:
        """Feed the finger that is heard next as a landing, even if another is down."""
        self._fingers.release_fed()

    def _forget_fed(self) -> None:
        self.fed_at = None
        self.voices.set_fed(None)
        self._fingers.forget_fed()

    # -- turns ---------------------------------------------------------------------------

    def begin_turn(self, t: float) -> None:
        """Begin the machine's turn at t of its clock."""
        self.take_plan()
        self.silent_since = self.asked_at = math.inf
        self._awaits_from = math.inf
        self.turn_began = t
        on_line = self.timing.open_turn(t)
        self.pass_turn("ai")
        self.voices.start(t, on_line=on_line)

    @property
    def _opens_from(self) -> float:
        """Time from which on the machine's turn may begin: after a silence, or if asked to."""
        settings, since = self.settings, self.silent_since
        over = since + settings.threshold
        if self.fair.visitors and over < math.inf:
            over = min(over, self.fair.answer_due(settings.threshold))
        return min(over, self.asked_at)

    def ask(self) -> None:
        """Begin the machine's turn on the next line of the clock, whatever humans play."""
        self.announce("answer")
        self.asked_at = self.clock.machine
        self.fair.host_touched(self.asked_at)

    def await_line(self, earliest: float) -> None:
        """Announce how long a turn waits for a line, which may begin from an instant on."""
        beats = self.timing.beats_until(earliest)
        if beats or self._awaits_from < math.inf:
            self.sink(TurnAwaited(self.t, beats))
        self._awaits_from = earliest if beats else math.inf

    def stop_waiting(self) -> None:
        """Announce that no turn waits for a line any more, if that was announced."""
        if self._awaits_from < math.inf:
            self._awaits_from = math.inf
            self.sink(TurnAwaited(self.t, 0.0))

    def end_turn(self) -> None:
        """End the machine's turn: cancel what is pending and lift its fingers."""
        self._planning.drop()
        self.voices.cancel()
        self.voices.lift_all()
        self.pass_turn("human")

    def pass_turn(self, whose: str) -> None:
        """Pass the turn to human or ai, unless it is theirs already."""
        if self.turn != whose:
            self._history.add_when_due(self.clock.t, self._snapshot)
            self.turn = whose
            self.sink(TurnChanged(self.t, whose))

    def _resample(self) -> None:
        """Take back what is pending and planned, and sample again."""
        self._planning.drop()
        self.voices.resample(also_dropped=self.mode.answering(self))

    # -- humans --------------------------------------------------------------------------

    def _counts(self, who: str) -> bool:
        """Note a landing or slide; return whether it counts for the turns and the model.

        After a panic a visitor's does not, where a host has played: a host is to end it.
        """
        held = self.silenced and self.mode.feeds_humans and self.fair.host_at > -math.inf
        if held and who in self.fair.visitors:
            return False
        return self.mode.counts(self, who)

    def _handle_fingers(self, events: list[FingerEvent] | str, *, counts: bool) -> None:
        if isinstance(events, str):
            self.counts.drop(events)
            return
        for event in events:
            if counts and event.touch.phase is not Phase.UP:
                self.human_at = self.clock.machine
                if self.mode.feeds_humans:
                    self.silenced = False
                self.mode.human_touched(self, event.touch)
            self._play_human(event)
            if event.fed_as_move is not None and self.mode.feeds_humans:
                self._feed(event, moving=event.fed_as_move)

    def _play_human(self, event: FingerEvent) -> None:
        self.knobs = event.touch.knobs
        self.sink(TouchPlayed(event.t, event.touch, event.touch.dt))

    def _feed(self, event: FingerEvent, *, moving: bool) -> None:
        touch = event.touch
        dt = 0.0 if self.fed_at is None else event.t - self.fed_at
        if event.own_dt is not None and self.fed_at is not None:
            dt = event.own_dt
        self._history.add_when_due(self.clock.t, self._snapshot)
        self._planning.drop()
        self.fed_at, self._has_heard = event.t, True
        self.counts.heard += 1
        if not moving:
            self._landings.append((event.t, touch.who))
        self.mode.feed(self, event, clip(dt, 0.0, MAX_DT), moving=moving)
        self.mode.human_fed(self, touch)
        self._prepare_at = self.clock.t + _REST

    def _lift_humans(self, events: Iterator[FingerEvent]) -> None:
        for event in events:
            self._play_human(event)

    # -- deadlines ---------------------------------------------------------------------

    def _find_upcoming(self) -> tuple[float, Callable[[], None]]:
        """Return the time of the next event that needs no input (or infinity), and its action.

        Of events that are due at the same instant the turn's end comes first, then what voices
        hear that others have heard, then the voices' lifts and touches, then the answer to a
        silence, and last a human's finger that lifts by itself, as an up in a packet would.
        """
        # Compared from the last rank to the first, for speed: in the path of every touch.
        lift = self._fingers.lift_due
        first = math.inf if lift is None else lift
        act = self._lift_due_humans
        if self.settings.pause or not self.begun:
            self._upcoming = first, act
            return self._upcoming
        if self.silent_since < math.inf or self.asked_at < math.inf:
            when, answer = self._find_answer()
            if when <= first:
                first, act = when, answer
        wake = self.mode.wakes_at(self)
        if wake <= first:
            first, act = wake, self._wake_mode
        when, _, _ = self.voices.next()
        if when <= first:
            first, act = when, self._advance_voice
        when = self.voices.hears_at
        if when <= first:
            first, act = when, self._hear_next
        end = self.mode.turn_end(self)
        if end <= first:
            first, act = end, self._end_answer
        self._upcoming = first, act
        return self._upcoming

    def _find_answer(self) -> tuple[float, Callable[[], None]]:
        """Return when the machine answers, or is to say that it waits for a line; and which."""
        opens_from = self._opens_from
        if self.timing.quantum is None or opens_from == math.inf:
            return opens_from, self._answer_silence
        opens_at = self.timing.opens_at(opens_from)
        waits = max(opens_from, self.clock.machine) < opens_at
        if waits and self._awaits_from == math.inf:
            return opens_from, self._await_line
        return opens_at, self._answer_silence

    def _await_line(self) -> None:
        self.await_line(self._opens_from)

    def _answer_silence(self) -> None:
        self.begin_turn(self.t)

    def _wake_mode(self) -> None:
        self.mode.wake(self)

    def _end_answer(self) -> None:
        self.fair.answered(self.turn_began, self.settings.threshold)
        self.end_turn()

    def _advance_voice(self) -> None:
        _, is_touch, voice = self.voices.next()
        if not is_touch:
            self.voices.lift(voice)
            return
        self._history.add_when_due(self.clock.t, self._snapshot)
        if self.mode.feeds_machine:
            self.fed_at = self.clock.t
            self._fingers.fed_who = None
        self.voices.play(voice, feed=self.mode.feeds_machine)
        self.knobs = voice.knobs
        self.mode.machine_played(self, voice)

    def _hear_next(self) -> None:
        self.voices.hear_next()

    def _lift_due_humans(self) -> None:
        self._lift_humans(self._fingers.lift(self.t))
