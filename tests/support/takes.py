"""A jam on a clock that the test turns."""

from __future__ import annotations

from typing import Any

from robojam.controls import Settings
from robojam.jam.events import (
    ControlChanged,
    Counters,
    Event,
    TouchPending,
    TouchPlayed,
    TurnChanged,
)
from robojam.jam.jam import Jam
from robojam.jam.protocols import Proposal
from robojam.touch import Phase
from support.players import Scripted

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


class Take:
    """A jam that has begun, what has happened in it, and hands that play into it."""

    def __init__(
        self, *script: Proposal, player: Scripted | None = None, voices: int = 1, **options: Any
    ) -> None:
        self.player = player or Scripted(*script, voices=voices)
        self.settings = Settings(**options)
        self.counts = Counters()
        self.out: list[Event] = []
        self.jam = Jam(self.player, self.settings, self.out.append, self.counts)
        self.jam.begin(0)

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
        return [h for h in self.out if isinstance(h, TouchPlayed)]

    def played(self, who: str = "ai") -> list[tuple[str, float]]:
        """What someone has played: phases, each with its instant."""
        return [(str(s.touch.phase), round(s.t, 9)) for s in self.sounded if s.touch.who == who]

    @property
    def turns(self) -> list[tuple[str, float]]:
        return [(h.whose, round(h.t, 9)) for h in self.out if isinstance(h, TurnChanged)]

    @property
    def pending(self) -> TouchPending:
        return [h for h in self.out if isinstance(h, TouchPending)][-1]

    @property
    def order(self) -> list[str]:
        """What has happened, in order, in a word each; what is pending left out."""
        words = []
        for h in self.out:
            if isinstance(h, TouchPlayed):
                words.append(f"{h.touch.who} {h.touch.phase}")
            elif isinstance(h, TurnChanged):
                words.append(f"turn {h.whose}")
            elif isinstance(h, ControlChanged):
                words.append(f"{h.name} {h.value}")
        return words
