"""Jam at play: its takes, the model that plays, and what is due, in time. No I/O.

Each take has a jam of its own, which `jam` is; between two takes it waits for the first touch.
What the machine has no time to play is delayed, and voices rest (robojam.engine.load). After an
exception that nobody foresaw it goes on.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, cast

from robojam.beats import Beats
from robojam.controls import Settings
from robojam.engine.load import Load
from robojam.engine.metrics import DropCounter
from robojam.engine.publisher import Publisher
from robojam.engine.takes import LoadedPlayer, ModelInfo, Resumed, Takes
from robojam.jam.events import Counters, Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.protocols import JamLike
from robojam.limits import RateLimiter
from robojam.system.shell import printable
from robojam.touch import Phase, Touch, nth

log = logging.getLogger("robojam")

#: Seconds of delay from which the engine was asleep (a closed lid, a stopped process): the
#: touches that were due meanwhile are not played at once, and the machine goes on where it was.
_ASLEEP = 0.5
#: Seconds for which one turn of the loop plays what is due: the machine is delayed by what is
#: left.
_PLAYING = 0.003
#: Warnings that the engine was held up: a second, and in a burst. All times are counted.
_WARNINGS = (0.1, 3)
#: Most voices of a jam of which checkpoints are written, and the least time to the next event
#: in which one is made, in seconds: to copy the state takes a tenth of it. A jam that cannot be
#: saved just now is asked again after the last.
SAVED_VOICES: Final = 64
_SAVING: Final = 0.003
_LATER: Final = 0.05
#: Seconds after which a machine that could not go on after an error tries again.
_RETRY: Final = 2.0

#: Function that returns the jam of a take, from the settings, a sink and counters.
MakeJam = Callable[[Settings, Callable[[Event], None], Counters], JamLike]


class LiveJam:
    """Jam of the present take, or of the one that waits to begin."""

    def __init__(
        self,
        make_jam: MakeJam,
        info: ModelInfo,
        *,
        settings: Settings,
        takes: Takes,
        publisher: Publisher,
        counts: DropCounter,
        clock: Callable[[], float],
        on_lost: Callable[[], None],
    ) -> None:
        """Prepare the jam of the first take.

        make_jam returns the jam of each take; info describes the model that plays. on_lost is
        called where the device that plays does not work any more.
        """
        self.info, self.settings, self.takes = info, settings, takes
        self._make_jam, self._publisher, self._counts = make_jam, publisher, counts
        self._clock, self._on_lost = clock, on_lost
        self.load, self.held_up = Load(), 0
        #: Instant (s) at which it was held up last.
        self.held_up_at = -math.inf
        self._warnings = RateLimiter(*_WARNINGS)
        #: Until when the present turn of the loop plays; and the instant up to which everything
        #: has been handled.
        self.play_until = math.inf
        self.handled_at = -math.inf
        #: Beats of the clock by the engine's clock, which the jam keeps to; None for none.
        self.beats: Beats | None = None
        self._lacks_clock = False  # it was logged that a clock is asked for and missing
        self._unable = ""  # name of the last model of which that was logged
        #: When a machine that could not go on tries again.
        self.retry_at = math.inf
        self.jam = self._new_jam()

    def _new_jam(self) -> JamLike:
        return self._make_jam(self.settings, self._publisher.handle, self._counts)

    # -- takes -----------------------------------------------------------------------------

    def begin_if_alone(self) -> None:
        """Begin the take if the machine plays by itself."""
        if self.jam.starts_alone:
            self.begin(self._clock())

    def begin(self, arrival: float) -> None:
        """Begin the take at an instant, unless it has begun."""
        if not self.takes.begun:
            seed = self.takes.begin(arrival, self.info, self.settings)
            self.jam.begin(seed, self._beats_at(arrival))
            if self.load.resting:
                self.jam.control(0.0, "resting", self.load.resting)

    def resume(self, resumed: Resumed) -> None:
        """Go on with a jam that was run through a recording; its settings are this one's."""
        self.use(resumed.loaded)
        self.jam = resumed.jam
        counts, before = self._counts, resumed.jam.counts
        counts.heard, counts.played = before.heard, before.played
        self.takes.resume(self._clock(), resumed)
        if resumed.company is None:
            resumed.jam.hand_over(self._publisher.handle, counts)
            self.lift_at_outputs()
        else:
            resumed.jam.go_on(self._publisher.handle, counts)

    def lift_at_outputs(self) -> None:
        """Lift the machine's fingers at the outputs alone, of which none is down in the jam.

        There, one may be down since a crash: nothing of that jam may be recorded, its last
        moments are not, and what lifted it may have been part of what was run again.
        """
        now, t = self._clock(), self.jam.t
        for voice in range(self.takes.options.voices):
            lift = Touch(0.5, 0.5, 0.0, Phase.UP, 0, nth("ai", voice))
            self._publisher.send_to_outputs(TouchPlayed(t, lift, 0.0), now)

    def keep_to(self, beats: Beats | None, now: float) -> None:
        """Have the jam keep to other beats from an instant on; None for none."""
        self.beats = beats
        if self.takes.begun and not self.jam.replaying:
            self.catch_up(now)
            at = max(now, self.takes.origin + self.jam.t)
            self.jam.control(self.takes.t(at), "beats", self._beats_at(at))

    def _beats_at(self, at: float) -> str:
        """Return the beats as they are at an instant, from which on they hold; "" for none."""
        if (beats := self.beats) is None:
            return ""
        return Beats(at, beats.beat_at(at), beats.tempo, beats.beats_per_bar).encode()

    def end_take(self, arrival: float, reason: str) -> None:
        """End the take for a reason; `renew` makes the next."""
        t = self.takes.t(arrival)
        if self.takes.begun:
            self.jam.finish(t)
        self._publisher.flush()
        self.takes.end(t, reason, self._publisher.lateness)
        self.takes.await_next()

    def renew(self) -> None:
        """Make the jam of a take that waits to begin."""
        self.jam = self._new_jam()

    def use(self, loaded: LoadedPlayer) -> None:
        """Use a player for the jams to come: `renew`, `swap` or `move` makes it play."""
        self.info, self._make_jam = loaded.info, partial(Jam, loaded.player)

    def swap(self, loaded: LoadedPlayer) -> None:
        """Play with another model from now on."""
        t = self.catch_up(self._clock())
        self.use(loaded)
        self.jam.swap(t, loaded.player, loaded.info.model.file)

    def move(self, loaded: LoadedPlayer) -> None:
        """Go on with the same model on another device, as the present one is lost."""
        lost = self.info.device
        self.use(loaded)
        taken = self.jam.move(self.takes.t(self._clock()), loaded.player)
        log.warning(
            "%s was lost: the machine plays on %s, %s what it has heard; its memories are gone",
            lost, loaded.info.device, "with" if taken else "without",
        )  # fmt: skip

    # -- time ------------------------------------------------------------------------------

    def until_due(self) -> float:
        """Return the seconds until the jam's next event; infinity for none."""
        due = self.jam.due if self.takes.begun else None
        return math.inf if due is None else max(0.0, due - self.takes.t(self._clock()))

    def catch_up(self, now: float) -> float:
        """Play what is due at or before now; return the time of the take (0: none yet).

        Where the time of this turn is over, what is left is delayed.
        """
        self.handled_at = max(self.handled_at, now)
        if not self.takes.begun:
            return 0.0
        jam, t, clock = self.jam, self.takes.t(now), self._clock
        due = jam.due
        if due is None or due > t:
            jam.advance(t)
            return t
        play_until = min(self.play_until, clock() + _PLAYING)
        while due is not None and due <= t:
            held = self.settings.pause or jam.silenced or jam.replaying
            if t - due > _ASLEEP and not held:
                self._note_delay(now)
                if self._warnings.take(clock()):
                    log.warning("held up for %.1f s; the jam goes on from there", t - due)
                jam.control(due, "pause", 1)
                jam.control(t, "pause", 0)
            elif clock() > play_until and not held:
                self._note_delay(now)
                self.load.miss(t - due)
                jam.control(jam.t, "held_up", t - due)
                break
            jam.advance(min(max(due, jam.t), t))
            due = jam.due
        jam.advance(t)
        return t

    def _note_delay(self, now: float) -> None:
        self.held_up += 1
        self.held_up_at = now

    def prepare(self) -> float:
        """Compute ahead in an idle turn; return the seconds until there is more to compute."""
        if not self.takes.begun:
            return math.inf
        asked = self.settings.follow or self.settings.memory
        if asked and not self.jam.plans and not self.takes.options.knobs:
            self._report_unable()
        if self.settings.clock == "off":
            self._report_no_clock()
        wait = self.jam.prepare(self.takes.t(self._clock()), plans=self.load.has_room)
        return min(wait, self._save_when_due())

    def _save_when_due(self) -> float:
        """Save the jam if it is time and nothing is due soon; return the seconds until then."""
        if self.jam.replaying:
            return math.inf
        now = self._clock()
        wait = self.takes.until_checkpoint(now)
        if wait > 0.0:
            return wait
        jam = cast("Jam", self.jam)
        if jam.player.voices > SAVED_VOICES or not jam.player.saves:
            return math.inf
        if not jam.saves:
            return _LATER
        if self.until_due() < _SAVING:
            return _SAVING
        self._publisher.flush()
        self.takes.save(jam, self.info, now)
        return math.inf

    def _report_unable(self) -> None:
        """Log, once for a model, that it can plan no phrases."""
        name = self.info.model.file
        if name != self._unable and not self.jam.replaying:
            self._unable = name
            log.warning(
                "the model %s has not learnt what belongs to a call, and plays as with follow "
                "and memory at 0 (robojam train --matcher-only adds it)", printable(name),
            )  # fmt: skip

    def _report_no_clock(self) -> None:
        """Log, once until it changes, that lines of a clock are asked for and there is none."""
        settings = self.settings
        leans = settings.lean > 0 and settings.grid != "off"
        asked = settings.quantum != "off" or leans or settings.bars > 0
        if asked and not self._lacks_clock and not self.jam.replaying:
            log.warning(
                "quantum, grid and bars do nothing without a clock (--clock internal, link or "
                "midi, or tap a tempo)"
            )
        self._lacks_clock = asked

    def fit(self, now: float) -> None:
        """Rest as many voices as the machine has no time for, or wake some."""
        load, voices = self.load, self.takes.options.voices
        if load.advance(now, voices) and self.takes.begun and not self.jam.replaying:
            if load.resting:
                log.warning(
                    "there is more to play than this machine can: %d of %d voices rest",
                    load.resting, voices,
                )  # fmt: skip
            else:
                log.info("all voices play again")
            self.jam.control(self.takes.t(now), "resting", load.resting)

    # -- errors that nobody foresaw --------------------------------------------------------

    def recover_if_incomplete(self) -> None:
        """Have the jam go on if an exception has cut an act short."""
        if self.jam.incomplete:
            self.recover()

    def recover(self) -> None:
        """Have the jam go on after an act that was cut short, with another player if needed.

        Where that fails, the machine is silent, and it is tried again every _RETRY seconds.
        """
        now, self.retry_at = self._clock(), math.inf
        t = self.takes.t(now)
        try:
            self.jam.recover(t)
            if self.info.device != "cpu":
                self.jam.forecast()  # waits for the device: it raises if that is lost
        except Exception as error:
            self._counts.error(error)
            self.retry_at = now + _RETRY
            with suppress(Exception):
                self.jam.hold(t)
            if self.info.device != "cpu":
                with suppress(Exception):
                    self._on_lost()
