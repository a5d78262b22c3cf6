"""Jam on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robojam.beats import Beats
from robojam.controls import Settings
from robojam.jam.events import (
    ControlChanged,
    Counters,
    Event,
    TouchPending,
    TouchPlayed,
    TurnAwaited,
    TurnChanged,
)
from robojam.jam.jam import Jam
from robojam.jam.modes import MODES, Mode
from robojam.jam.protocols import Proposal
from robojam.touch import Phase
from support.players import ScriptedPlayer

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


class Take:
    """Jam that has begun, with its events, and methods that play into it."""

    def __init__(
        self,
        *script: Proposal,
        player: ScriptedPlayer | None = None,
        voices: int = 1,
        modes: Mapping[str, type[Mode]] = MODES,
        beats: str = "",
        **options: Any,
    ) -> None:
        self.player = player or ScriptedPlayer(*script, voices=voices)
        self.settings = Settings(**options)
        self.counts = Counters()
        self.out: list[Event] = []
        self.jam = Jam(self.player, self.settings, self.out.append, self.counts, modes=modes)
        self.jam.begin(0, beats)

    def until(self, t: float) -> Take:
        self.jam.advance(t)
        return self

    def down(self, t: float, finger: int = 0, who: str = "human") -> None:
        self.jam.finger(t, who, finger, DOWN, 0.5, 0.5)

    def move(self, t: float, finger: int = 0, who: str = "human") -> None:
        self.jam.finger(t, who, finger, MOVE, 0.5, 0.5)

    def up(self, t: float, finger: int = 0, who: str = "human") -> None:
        self.jam.finger(t, who, finger, UP)

    def set(self, t: float, name: str, value: float | int | str = 1) -> bool:
        return self.jam.control(t, name, value)

    @property
    def sounded(self) -> list[TouchPlayed]:
        return [event for event in self.out if isinstance(event, TouchPlayed)]

    def played(self, who: str = "ai") -> list[tuple[str, float]]:
        """Return the phases of the touches that someone has played, each with its instant."""
        return [(str(s.touch.phase), round(s.t, 9)) for s in self.sounded if s.touch.who == who]

    @property
    def turns(self) -> list[tuple[str, float]]:
        return [
            (event.whose, round(event.t, 9))
            for event in self.out
            if isinstance(event, TurnChanged)
        ]

    @property
    def pending(self) -> TouchPending:
        return [event for event in self.out if isinstance(event, TouchPending)][-1]

    def beats(self, t: float, beat: float, tempo: float, beats_per_bar: int = 4) -> None:
        """Have the clock be at a beat at t, with a tempo from then on."""
        self.set(t, "beats", Beats(t, beat, tempo, beats_per_bar).encode())

    @property
    def waits(self) -> list[tuple[float, float]]:
        """Return when it was announced that a turn waits for a line, and the beats to it."""
        return [
            (round(event.t, 9), round(event.beats, 9))
            for event in self.out
            if isinstance(event, TurnAwaited)
        ]

    @property
    def order(self) -> list[str]:
        """Events in order, as short texts, without pending touches."""
        words = []
        for event in self.out:
            if isinstance(event, TouchPlayed):
                words.append(f"{event.touch.who} {event.touch.phase}")
            elif isinstance(event, TurnChanged):
                words.append(f"turn {event.whose}")
            elif isinstance(event, ControlChanged):
                words.append(f"{event.name} {event.value}")
        return words
