"""The jam: whose turn it is, and what is due when.

Pure: no sockets, no threads, no clock. Time comes in as an argument, in seconds
since the beginning of the take, and never runs backwards. What happens goes out
through one callable, the sink, in the order in which it happens, and at once: a
touch has left before the model hears it and makes the next.

Time is desired time. A touch is due at the previous due time plus its dt times the
timescale, so a late wake-up moves no deadline. The machine is one touch ahead, and
a proposal is no part of the player's state until it has sounded: to take it back
is to drop it. What happens at t depends on nothing but what came in until t, so a
recording can be regenerated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from robojam.controls import SETTINGS
from robojam.jam.events import ControlChanged, Player
from robojam.jam.fingers import FingerEvent
from robojam.jam.turns import Turns
from robojam.jam.voices import Voice
from robojam.touch import MAX_DT, Phase, clip


class Jam(Turns):
    """Turn-taking and schedule of one take."""

    #: What happens next by itself, while that is known: it is asked for several times a touch.
    _upcoming: tuple[float, Callable[[], None]] | None = None

    # -- what comes in ---------------------------------------------------------

    def begin(self) -> None:
        """Begin the take, at t = 0."""
        self._begun = True
        if self.settings.mode == "solo":
            self._play_on()
        self._upcoming = None

    def advance(self, t: float) -> None:
        """Let everything happen that is due at or before t, each at its own instant."""
        clock = self.clock
        while (due := self._upcoming or self._look())[0] <= t:
            when, act = due
            clock.t = max(clock.t, when)
            self._upcoming = None  # the sink may ask, before and after all that act does
            act()
            self._upcoming = None
        clock.t = max(clock.t, t)

    @property
    def due(self) -> float | None:
        """When something happens next by itself; None while nothing will."""
        when = (self._upcoming or self._look())[0]
        return None if when == math.inf else max(when, self.clock.t)

    @contextmanager
    def _changing(self, t: float) -> Iterator[None]:
        """Come to t, where something changes: what was to happen next may not."""
        self.advance(t)
        self._upcoming = None
        yield
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
    ) -> None:
        """Feel a human's finger; own_dt in seconds where the player has its own clock."""
        with self._changing(t):
            self._handle_finger(self.hands.finger(t, who, finger, phase, x, y, own_dt=own_dt))

    def plain(self, t: float, who: str, x: float, y: float, dt: float | None = None) -> None:
        """Feel a touch of a player without phases."""
        with self._changing(t):
            self._handle_finger(self.hands.plain(t, who, x, y, dt))

    def control(self, t: float, name: str, value: float | int | str = 1) -> bool:
        """Let a control take effect at t, its value checked. Tell whether it had any."""
        with self._changing(t):
            act = getattr(self, f"_on_{name}", None)
            return self._set(name, value) if act is None else bool(act(value))

    def _set(self, name: str, value: float | int | str) -> bool:
        """Let a control take effect that is no more than its value."""
        if getattr(self.settings, name) == value:
            return False
        setattr(self.settings, name, value)
        self.sink(ControlChanged(self.t, name, value))
        if SETTINGS[name].sound:
            return True
        if name in ("temperature", "spread"):
            self._apply_sampling()
        self._resample()
        return True

    def swap(self, t: float, player: Player, name: str) -> None:
        """Play with another player from t on."""
        with self._changing(t):
            self.sink(ControlChanged(self.t, "model", name))
            self.voices.lift_all()
            self.voices.change_player(player)
            self.past.forget()
            self._apply_sampling()
            self._forget()
            self._resample()

    def finish(self, t: float) -> None:
        """End the take: play what is due, and lift every finger."""
        with self._changing(t):
            self.voices.cancel()
            for felt in self.hands.lift_all(self.t):
                self._sound(felt)
            self.voices.lift_all()

    # -- controls with a meaning of their own ------------------------------------

    def _on_answer(self, _: object) -> bool:
        if self.silenced or self.settings.mode in ("solo", "listen"):
            return False
        if self.settings.mode == "call-response" and self.turn == "ai":
            return False
        self.sink(ControlChanged(self.t, "answer", 1))
        if self.settings.mode == "duet":
            self.voices.start(self.clock.machine)
        else:
            self._begin_turn(self.clock.machine)
        return True

    def _on_mode(self, value: str) -> bool:
        if self.settings.mode == value:
            return False
        self.settings.mode = value
        self.sink(ControlChanged(self.t, "mode", value))
        self.voices.cancel()
        self.voices.lift_all()
        self._silent_from = math.inf
        self._pass_turn("ai" if value == "solo" else "human")
        if value == "solo":
            self._play_on()
        # A silence that is over already was answered, or was not meant to be.
        waiting = self._human_at + self.settings.threshold > self.clock.machine
        if value == "call-response" and waiting and not self.silenced:
            self._silent_from = self._human_at
        return True

    def _on_pause(self, value: int) -> bool:
        settings = self.settings
        wakes = not value and self.silenced and settings.mode == "solo"
        if settings.pause == value and not wakes:
            return False
        self.sink(ControlChanged(self.t, "pause", value))
        if value:
            settings.pause, self.clock.stopped_at = value, self.t
            self.voices.announce_cancelled()
            self.voices.lift_all()
            return True
        if self.clock.stopped_at is not None:
            held = self.t - self.clock.stopped_at
            settings.pause, self.clock.stopped_at = value, None
            self._human_at += held
            self._silent_from += held
            self._turn_began += held
            self.voices.shift(held)
            self._resample()
        if wakes:
            self.silenced = False
        if settings.mode == "solo":
            self._play_on()
        return True

    def _on_reset(self, _: object) -> bool:
        self._remember()
        self.sink(ControlChanged(self.t, "reset", 1))
        self.player.reset()
        self._forget()
        self._resample()
        return True

    def _on_seed(self, value: int) -> bool:
        self.sink(ControlChanged(self.t, "seed", value))
        self.player.seed(value)
        self._resample()
        return True

    def _on_back(self, seconds: float) -> bool:
        if not self._begun:
            self.counts.drop("nothing to go back to")
            return False
        self._remember()
        moment = self.past.at(self.t - seconds)
        if moment is not None:
            self._go_back(moment, "back", seconds)
        return moment is not None

    def _on_store(self, name: str) -> bool:
        if not self._begun:
            self.counts.drop("nothing to store")
            return False
        self.sink(ControlChanged(self.t, "store", name))
        self.past.stored[name] = self._moment()
        return True

    def _on_recall(self, name: str) -> bool:
        moment = self.past.stored.get(name)
        if moment is None:
            self.counts.drop("nothing stored there")
            return False
        self._remember()
        self._go_back(moment, "recall", name)
        return True

    def _on_panic(self, _: object) -> bool:
        if self.silenced and not self.fingers:
            return False
        self.sink(ControlChanged(self.t, "panic", 1))
        self.silenced = True
        self._silent_from = math.inf
        self.voices.cancel()
        self.voices.lift_all()
        for felt in self.hands.lift_all(self.t):
            self._sound(felt)
        if self.settings.mode == "call-response":
            self._pass_turn("human")
        return True

    # -- the humans ----------------------------------------------------------------

    def _handle_finger(self, felt: list[FingerEvent] | str) -> None:
        if isinstance(felt, str):
            self.counts.drop(felt)
            return
        for one in felt:
            if one.touch.phase is not Phase.UP:
                self._break_in()
            self._sound(one)
            if one.heard is not None and self.settings.mode != "solo":
                self._feed(one)

    def _break_in(self) -> None:
        """A human lands or slides: that is no silence, and the turn is theirs."""
        self._human_at = self.clock.machine
        if self.settings.mode != "solo":
            self.silenced = False
        if self.settings.mode == "call-response":
            if self.turn == "ai":
                self._end_turn()
            self._silent_from = self._human_at

    def _feed(self, felt: FingerEvent) -> None:
        touch = felt.touch
        dt = 0.0 if self._heard_at is None else felt.t - self._heard_at
        if felt.own_dt is not None and self._heard_at is not None:
            dt = felt.own_dt
        self._remember()
        self._heard_at = felt.t
        self.counts.heard += 1
        self.player.feed(touch.x, touch.y, clip(dt, 0.0, MAX_DT), bool(felt.heard))
        if self.settings.mode == "duet":
            self.counts.replaced += self.voices.pending
            self.voices.start(self.clock.machine)

    # -- what is due ---------------------------------------------------------------------

    def _look(self) -> tuple[float, Callable[[], None]]:
        """Find what happens next by itself: when, and the act. Never, if nothing will.

        Of what is due at the same instant the turn's end comes first, then the voices' lifts
        and touches, a silence that is answered, and last a human's finger that lifts by
        itself, as a packet with that up would.
        """
        # Compared in order of rank, and no more: this is in the path of every touch.
        lift = self.hands.lift_due
        first = math.inf if lift is None else lift
        act = self._lift_humans
        if self.settings.pause or not self._begun:
            self._upcoming = first, act
            return self._upcoming
        silence = self._silent_from + self.settings.threshold
        if silence <= first:
            first, act = silence, self._answer_silence
        when, _, _ = self.voices.next()
        if when <= first:
            first, act = when, self._next_of_voices
        end = self._turn_end
        if end <= first:
            first, act = end, self._end_turn
        self._upcoming = first, act
        return self._upcoming

    def _answer_silence(self) -> None:
        self._begin_turn(self.t)

    def _next_of_voices(self) -> None:
        _, touch, voice = self.voices.next()
        if touch:
            self._play(voice)
        else:
            self.voices.lift(voice)

    def _lift_humans(self) -> None:
        for felt in self.hands.lift(self.t):
            self._sound(felt)

    def _play(self, voice: Voice) -> None:
        self._remember()
        if self.settings.mode != "duet":
            self._heard_at = self.t
        self.voices.play(voice)
