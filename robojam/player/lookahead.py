"""Many voices a touch further ahead: what each plays after its next is made in one batch.

A voice's touch is known before it sounds. So what it will have heard then, and what it
plays next, can be made for many voices together, as one batch, before the first of them
needs it: a step for a batch costs a fraction of as many single ones. When a touch sounds
as it was foreseen, its step has been made. When anything comes between (a human is heard,
a control, a touch that is played otherwise), what was foreseen is dropped: it never was
part of a voice's state.

What is foreseen when depends on nothing but what the player was asked for, in order, so a
recording is made anew to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from robojam.jam.events import Proposal
from robojam.player.cpu_batch import MOST

Array = Any


class Draft(NamedTuple):
    """What a voice would play: as proposed, as it would sound, and as it would be heard.

    sounds is the place in range, the dt in range and whether it slides; heard (C) is that
    as the model is fed it.
    """

    proposal: Proposal
    sounds: tuple[float, float, float, bool]
    heard: list[float]


class Lookahead:
    """What some voices will have heard, and what they will play then."""

    def __init__(
        self,
        state: Array,
        *,
        hear: Callable[[Array, Array], None],
        draw: Callable[[Array, Sequence[int]], list[Draft]],
    ) -> None:
        """Foresee for the voices of some rows, each what one remembers.

        hear lets the voices of N rows hear an event (N, C) each, in place; draw draws what
        voices play after their next touch, from their rows.
        """
        self._state, self._spare = state, np.empty_like(state)
        self._feed, self._draw = hear, draw
        self._awaited: dict[int, Draft] = {}  # not yet stepped, in the order in which it came
        self._stepped: dict[int, tuple[Draft, Draft]] = {}  # awaited, and what follows it
        self._next: dict[int, Draft] = {}

    def clear(self) -> None:
        """Something came between: nothing is foreseen."""
        self._awaited.clear()
        self._stepped.clear()
        self._next.clear()

    def drop(self, voice: int) -> None:
        """The same, for one voice."""
        self._awaited.pop(voice, None)
        self._stepped.pop(voice, None)
        self._next.pop(voice, None)

    def awaits(self, voice: int, draft: Draft) -> None:
        """A voice's next touch is made: it will hear that when it sounds."""
        self._next[voice] = draft
        if voice not in self._stepped:
            self._awaited[voice] = draft

    def next(self, voice: int) -> Draft | None:
        """Return what a voice plays next, where that is known already."""
        return self._next.get(voice)

    def comes(self, voice: int, sounds: tuple[float, float, float, bool]) -> bool:
        """A voice's touch sounds: let it have been heard, if it was awaited just so."""
        awaited = self._awaited.get(voice)
        if awaited is not None and awaited.sounds == sounds:
            self._foresee(voice)
        stepped = self._stepped.pop(voice, None)
        if stepped is None or stepped[0].sounds != sounds:
            self.drop(voice)
            return False
        self._state[voice] = self._spare[voice]
        self._next[voice] = stepped[1]
        return True

    def _foresee(self, voice: int) -> None:
        """Step the voice that is needed and others that will be, as one batch."""
        first = self._awaited.pop(voice)
        others = list(self._awaited)[: MOST - 1]
        voices = [voice, *others]
        drafts = [first, *map(self._awaited.pop, others)]
        rows = self._state[voices]
        self._feed(rows, np.array([draft.heard for draft in drafts], np.float32))
        self._spare[voices] = rows
        pairs = zip(drafts, self._draw(rows, voices), strict=True)
        self._stepped.update(zip(voices, pairs, strict=True))
