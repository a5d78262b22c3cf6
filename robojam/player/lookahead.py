"""Look-ahead: many voices' next steps computed as one batch, before they are needed.

A voice's next touch is known before it sounds. So the state after it, and the touch that
follows, can be computed for many voices at once: a step for a batch costs a fraction of as
many single ones. When a touch sounds as expected, its step is done already. When something
else happens (a human touch, a control, a touch that is played otherwise), what was computed
ahead is dropped; it never was part of a voice's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from robojam.jam.protocols import Proposal
from robojam.model.features import Floats
from robojam.player.cpu_batch import MAX_BATCH, BatchStepper

#: A touch as it sounds: x and y within the screen, dt within its limits, moving.
PlayedTouch = tuple[float, float, float, bool]


class NextTouch(NamedTuple):
    """A voice's next touch: as proposed, as it would sound, and as the model is fed it (C)."""

    proposal: Proposal
    played: PlayedTouch
    model_input: list[float]


class SavedLookahead(NamedTuple):
    """Copy of a Lookahead: stepped_rows (N, ·) are those of the voices of following."""

    next: dict[int, NextTouch]
    following: dict[int, NextTouch]
    stepped_rows: Floats
    unstepped: list[int]
    group: list[int]
    drawn: bool
    skipping: bool


class Lookahead:
    """The next touch of each voice, and the step after it where that is computed already.

    The bits of a touch depend on which voices are sampled in the same batch. These are fixed
    by `clear`, `forget`, `commit` and `skip`: after clear all voices; after forget those that
    were forgotten; after consecutive skips the voices skipped; else each voice alone. So it
    makes no difference when, how often and for which voices `next_touches` is called, and a
    recording is regenerated bit for bit.
    """

    def __init__(
        self,
        stepper: BatchStepper,
        *,
        sample: Callable[[Sequence[int]], list[NextTouch]],
        sample_after: Callable[[Floats, Sequence[int]], list[NextTouch]],
    ) -> None:
        """Look ahead for the voices of a stepper.

        sample draws some voices' next touches from their state; sample_after draws the
        touches that follow these, from rows that have been fed them.
        """
        self._stepper, self._rows = stepper, stepper.rows
        self._sample, self._sample_after = sample, sample_after
        self._next: dict[int, NextTouch] = {}
        self._stepped_rows = np.empty_like(stepper.rows)
        self._following: dict[int, NextTouch] = {}  # of the voices whose step is computed
        self._voices = range(len(self._rows))  # those that play
        self.clear()

    def clear(self) -> None:
        """Forget everything: the state of all voices, or how they are sampled, has changed."""
        self._next.clear()
        self._following.clear()
        voices = self._voices
        #: Voices whose step is not computed, in the order in which they last changed.
        self._unstepped = dict.fromkeys(voices)
        #: The voices whose next touches are drawn as one batch, and whether they are drawn.
        #: Of every other voice the next touch is known.
        self._group = dict.fromkeys(voices)
        self._drawn = False
        self._skipping = False

    def forget(self, voices: Iterable[int]) -> None:
        """Forget some voices, whose state is about to change."""
        changing = dict.fromkeys(voices)
        if not self._group.keys() <= changing.keys():
            self._draw()
        for voice in changing:
            self._forget(voice)
        self._group, self._drawn, self._skipping = changing, False, False

    def save(self) -> SavedLookahead:
        """Return a copy of all that is computed, and of how the rest will be."""
        followed = list(self._following)
        return SavedLookahead(
            dict(self._next),
            dict(self._following),
            self._stepped_rows[followed],
            list(self._unstepped),
            list(self._group),
            self._drawn,
            self._skipping,
        )

    def load(self, saved: SavedLookahead) -> None:
        """Go on from a copy; the voices that rest are set already."""
        self._next, self._following = dict(saved.next), dict(saved.following)
        self._stepped_rows[list(saved.following)] = saved.stepped_rows
        self._unstepped = dict.fromkeys(saved.unstepped)
        self._group = dict.fromkeys(saved.group)
        self._drawn, self._skipping = saved.drawn, saved.skipping

    def rest(self, resting: int) -> None:
        """Compute nothing for the last `resting` voices, and forget everything."""
        self._voices = range(len(self._rows) - resting)
        self.clear()

    def next_touches(self, voices: Sequence[int]) -> list[NextTouch]:
        """Return some voices' next touches."""
        if not self._drawn:
            self._draw()
        return [self._next[voice] for voice in voices]

    def skip(self, voice: int) -> None:
        """Draw another next touch for a voice: it has used the random numbers of this one."""
        if not self._skipping or voice in self._group:
            self._draw()
            self._group = {}
        self._group[voice] = None
        self._drawn, self._skipping = False, True
        self._forget(voice)

    def commit(self, voice: int, played: PlayedTouch) -> bool:
        """Advance a voice if it plays its expected next touch; return whether it does.

        Otherwise the voice's state is as it was, and the caller feeds what sounded.
        """
        self._draw()
        self._skipping = False
        expected = self._next[voice].played == played
        if expected and voice not in self._following:
            self._step(voice)
        following = self._following.get(voice)
        self._forget(voice)
        if not expected or following is None:
            self._group, self._drawn = {voice: None}, False
            return False
        self._rows[voice] = self._stepped_rows[voice]
        self._next[voice] = following
        return True

    def _draw(self) -> None:
        """Draw the next touches of the group, all at once, whichever of them is needed."""
        if not self._drawn:
            voices = list(self._group)
            self._next.update(zip(voices, self._sample(voices), strict=True))
            self._drawn = True

    def _forget(self, voice: int) -> None:
        self._next.pop(voice, None)
        self._following.pop(voice, None)
        self._unstepped.pop(voice, None)
        self._unstepped[voice] = None

    def _step(self, voice: int) -> None:
        """Compute the step of a voice, and of others that will need theirs, as one batch."""
        del self._unstepped[voice]
        voices = [voice, *islice(self._unstepped, MAX_BATCH - 1)]
        rows = self._rows[voices]
        inputs = [self._next[member].model_input for member in voices]
        self._stepper.feed_rows(rows, np.array(inputs, np.float32))
        self._stepped_rows[voices] = rows
        following = self._sample_after(rows, voices)
        self._following.update(zip(voices, following, strict=True))
        for member in voices:
            self._unstepped.pop(member, None)
