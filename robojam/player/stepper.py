"""Protocol of a stepper: the state of V voices, and the steps over it.

A step on one voice, on all voices or on a batch of them has the same result, up to rounding,
but for the means of a model with a summary (robojam.model.features.summarise): these are of
what humans played.
robojam.player.reference has the mathematics; robojam.player.cpu_single, cpu_batch and
cuda_graph are the same mathematics made fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Unpack

from robojam.model.event import EventSpec
from robojam.player.reference import RandomNumbers, RecurrentState, Sampling


def refuse_following(event: EventSpec) -> None:
    """Raise ValueError for an event whose position follows: only some steppers know these."""
    if event.position is not None and event.position.follows:
        raise ValueError(
            f"events of {event.name} are stepped by robojam.player.cpu_single, one by one"
        )


class Stepper(Protocol):
    """A network at play, for V voices that each have a state of their own.

    An event is a row of C numbers, as robojam.model.event describes them. The random numbers
    of an event are one uniform number in [0, 1) for each factor, then C standard normal ones.
    temperature and spread are those of robojam.player.reference.Network.sample.
    """

    @property
    def state(self) -> RecurrentState:
        """The voices' state, live: copy it to keep it, write to it to put a copy back."""

    def reset(self) -> None:
        """Return every voice to the state before its first event."""

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C) that it has played itself."""

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        """Advance the first voices, or every one, by the same event (C), which humans played.

        The state of the others is undefined afterwards.
        """

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        """Advance N voices by an event (C) each, which humans played."""

    def prepare(self) -> None:
        """Compute ahead what the next event needs, whatever it is. Changes no result."""

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices, given random numbers (N, factors + C)."""
