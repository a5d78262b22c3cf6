"""Events of a jam, as values that go out to ports, monitors and the recorder."""

from dataclasses import dataclass, field

from msgspec import Struct

from robojam.jam.protocols import Proposal, Recall
from robojam.touch import Touch


class TouchPlayed(Struct, frozen=True):
    """Touch of any player, at the instant it came or was due; dt in seconds as scheduled."""

    t: float
    touch: Touch
    dt: float


class TouchPreviewed(Struct, frozen=True):
    """Touch of a preview, which outputs of sound play, and which is no part of the jam."""

    t: float
    touch: Touch
    dt: float


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """Turn that passed to human or ai."""

    t: float
    whose: str


@dataclass(frozen=True, slots=True)
class TurnAwaited:
    """Turn of the machine that waits for a line of the clock, some beats from now.

    0 beats: none waits any more.
    """

    t: float
    beats: float


@dataclass(frozen=True, slots=True)
class ControlChanged:
    """Control that took effect."""

    t: float
    name: str
    value: float | int | str


class TouchPending(Struct, frozen=True):
    """Touch that a voice plays next, sampled or cancelled.

    due is when it will sound, in seconds of the take. A proposal of None, with due infinite,
    cancels. held: the machine is paused, and due is when it would sound if it went on now.
    """

    t: float
    who: str
    proposal: Proposal | None
    due: float
    held: bool = False


class MotifReturned(Struct, frozen=True):
    """Stroke that a voice begins, and that brings back what a human played before."""

    t: float
    who: str
    recall: Recall


class BeatCame(Struct, frozen=True):
    """Beat of the jam's clock: its number, the tempo in beats a minute, and the beats of a bar.

    Beat 0 begins a bar, and so does every beats_per_bar-th one.
    """

    t: float
    beat: float
    tempo: float
    beats_per_bar: int


Event = (
    TouchPlayed
    | TouchPreviewed
    | TurnChanged
    | TurnAwaited
    | ControlChanged
    | TouchPending
    | MotifReturned
    | BeatCame
)


@dataclass(slots=True)
class Counters:
    """Counts of touches so far, and of drops by reason.

    faults counts touches of the machine that were replaced because the model's numbers
    overflowed. planned counts the phrases that were planned and played; plans_late the plans
    that were not finished in time, plans_dropped those that there was no time for.
    """

    played: int = 0
    heard: int = 0
    replaced: int = 0
    faults: int = 0
    planned: int = 0
    plans_late: int = 0
    plans_dropped: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count a message or touch that was dropped for a reason."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
