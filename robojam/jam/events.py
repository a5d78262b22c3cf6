"""What the jam, its player and those who listen to it say to one another: values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from robojam.touch import Touch


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a player would play next: a place in screen units, dt in seconds unscaled."""

    x: float
    y: float
    dt: float
    moving: bool


class Player(Protocol):
    """A model at play, of one or more voices that hear the same and play their own."""

    @property
    def voices(self) -> int:
        """How many voices."""

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        """Set how the voices choose."""

    def seed(self, seed: int) -> None:
        """Begin the random numbers of every voice anew."""

    def reset(self) -> None:
        """Forget all that was heard."""

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let every voice hear a touch."""

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        """Say what some voices would play next. Changes nothing."""

    def commit(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let a voice hear the touch it has just played, and use up its random numbers."""

    def skip(self, voice: int) -> None:
        """Use up the random numbers of a touch not heard: a duet's, or one made in vain."""

    def continue_from(self, other: Any) -> None:
        """Go on with the random numbers of another player of the same kind."""

    def snapshot(self) -> Any:
        """Copy all that the player remembers, its random numbers' places too."""

    def restore(self, snapshot: Any) -> None:
        """Put a snapshot back. The snapshot stays good."""

    def forecast(self) -> list[tuple[float, ...]]:
        """Return what voice 0 expects next, as weight, means, deviations, correlation."""


@dataclass(frozen=True, slots=True)
class TouchPlayed:
    """A touch of anyone, at the instant it came or was due; dt in seconds as scheduled."""

    t: float
    touch: Touch
    dt: float


@dataclass(frozen=True, slots=True)
class TouchPreviewed:
    """A touch that is listened to and no part of the jam: only the sound takes it."""

    t: float
    touch: Touch
    dt: float


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """The turn passed to human or ai."""

    t: float
    whose: str


@dataclass(frozen=True, slots=True)
class ControlChanged:
    """A control took effect."""

    t: float
    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class TouchPending:
    """A voice's next touch has been made, due at ``due``; held, if it went on now.

    held is so while the machine is paused. None, and infinity: what was pending will not
    sound, or not while it is paused.
    """

    t: float
    who: str
    proposal: Proposal | None
    due: float
    held: bool = False


Event = TouchPlayed | TouchPreviewed | TurnChanged | ControlChanged | TouchPending


@dataclass(slots=True)
class Counters:
    """What has happened so far; dropped by reason."""

    played: int = 0
    heard: int = 0
    replaced: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count something that was dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
