"""Whose turn it is: a take's state, how a turn begins and ends, and how one goes back.

Pure, as all of the jam is. What a turn has in it is the voices' (robojam.jam.voices); when it
begins and ends by itself, and what humans and controls do to it, is the jam's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, Counters, Event, Player, TouchPlayed, TurnChanged
from robojam.jam.fingers import FingerEvent, Fingers
from robojam.jam.history import History, JamSnapshot
from robojam.jam.voices import Clock, Voices


class Turns:
    """The state of one take, and the machine's turns in it."""

    def __init__(
        self,
        player: Player,
        settings: Settings,
        sink: Callable[[Event], None],
        counts: Counters | None = None,
    ) -> None:
        self.settings, self.sink = settings, sink
        self.counts = counts or Counters()
        self.hands = Fingers()
        self.turn = "ai" if settings.mode == "solo" else "human"
        self.clock = Clock(stopped_at=0.0 if settings.pause else None)
        self.voices = Voices(
            player,
            settings,
            clock=self.clock,
            sink=sink,
            counts=self.counts,
            turn_end=lambda: self._turn_end,
        )
        self.past = History(player.voices)
        self._apply_sampling()
        self.silenced = False
        self._begun = False
        self._heard_at: float | None = None  # the last touch that the model was fed
        # The last down or move of any human, and when the silence began that the machine
        # will answer; both by the machine's clock, which stands still while paused.
        self._human_at = -math.inf
        self._silent_from = math.inf
        self._turn_began = 0.0

    @property
    def t(self) -> float:
        """Seconds since the beginning of the take, as far as it has come."""
        return self.clock.t

    @property
    def player(self) -> Player:
        """Who plays the voices."""
        return self.voices.player

    @property
    def starts_alone(self) -> bool:
        """Whether the machine begins by itself: solo, and nothing holds it."""
        return self.settings.mode == "solo" and not (self.silenced or self.settings.pause)

    @property
    def fingers(self) -> int:
        """How many fingers are down, everyone's."""
        return len(self.hands) + self.voices.down

    @property
    def turn_left(self) -> float | None:
        """Seconds left of the machine's turn at self.t; None where it has no end."""
        end = self._turn_end
        return None if math.isinf(end) else max(0.0, end - self.clock.machine)

    def _sound(self, felt: FingerEvent) -> None:
        self.sink(TouchPlayed(felt.t, felt.touch, felt.touch.dt))

    def _forget(self) -> None:
        self._heard_at = None
        self.hands.forget()

    # -- the machine's turn ------------------------------------------------------------

    def _begin_turn(self, t: float) -> None:
        self._silent_from = math.inf
        self._turn_began = t
        self._pass_turn("ai")
        self.voices.start(t)

    def _end_turn(self) -> None:
        self.voices.cancel()
        self.voices.lift_all()
        self._pass_turn("human")

    def _pass_turn(self, whose: str) -> None:
        if self.turn != whose:
            self._remember()
            self.turn = whose
            self.sink(TurnChanged(self.t, whose))

    @property
    def _turn_end(self) -> float:
        s = self.settings
        if s.mode != "call-response" or self.turn != "ai" or s.response == 0:
            return math.inf
        return self._turn_began + s.response

    def _play_on(self) -> None:
        """Solo: set out, unless it plays already or something holds it."""
        if self._begun and self.starts_alone and not self.voices.pending:
            self.voices.start(self.clock.machine)

    def _resample(self) -> None:
        answering = self.settings.mode == "call-response" and self.turn == "ai"
        self.voices.resample(late_ones_too=answering)

    def _apply_sampling(self) -> None:
        s = self.settings
        self.player.set_sampling(temperature=s.temperature, spread=s.spread)

    # -- back ------------------------------------------------------------------------------

    def _remember(self) -> None:
        """Keep how it is now, if that is long enough since the last time."""
        if self.past.wants(self.t):
            self.past.keep(self._moment())

    def _moment(self) -> JamSnapshot:
        now = self.clock.machine
        return JamSnapshot(
            self.t,
            self.player.snapshot(),
            None if self._heard_at is None else self.t - self._heard_at,
            self.turn,
            now - self._turn_began,
            tuple(now - voice.base for voice in self.voices.all),
        )

    def _go_back(self, moment: JamSnapshot, name: str, value: float | str) -> None:
        """Go on as it was then: the model's memory, whose turn, and how much of it is left.

        Controls stay as they are now, and fingers that are down are down.
        """
        self.sink(ControlChanged(self.t, name, value))
        self.voices.cancel()
        self.voices.lift_all()
        self.player.restore(moment.player)
        self.hands.forget()
        self._heard_at = None if moment.since is None else self.t - moment.since
        self._silent_from = math.inf
        plays = self.settings.mode == "solo" and self.starts_alone
        if self.settings.mode == "call-response":
            plays = moment.turn == "ai" and not self.silenced
            self._turn_began = self.clock.machine - moment.turn_used
            self._pass_turn("ai" if plays else "human")
        if plays:
            self.voices.resume([self.clock.machine - since for since in moment.bases])
