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
from typing import Any

from robojam.step import Memory

#: The most voices that are stepped at once: the loop waits for them.
MOST = 32

Values = list[float]


class Foresight:
    """What some voices will have heard, and what they will play then."""

    def __init__(
        self,
        memory: Memory,
        spare: Memory,
        *,
        hear: Callable[[Memory, list[Values]], Memory],
        draw: Callable[[Memory, Sequence[int]], list[Any]],
    ) -> None:
        """Foresee for the voices of a memory; spare is another of its size.

        hear lets rows of a memory hear an event each; draw draws what voices play after
        their next touch, from rows of a memory.
        """
        self._memory, self._spare = memory, spare
        self._hear, self._draw = hear, draw
        self._awaited: dict[int, Values] = {}
        self._foreseen: dict[int, Any] = {}
        self._next: dict[int, Any] = {}

    def clear(self) -> None:
        """Something came between: nothing is foreseen."""
        self._awaited.clear()
        self._foreseen.clear()
        self._next.clear()

    def drop(self, voice: int) -> None:
        """The same, for one voice."""
        for table in (self._awaited, self._foreseen, self._next):
            table.pop(voice, None)

    def awaits(self, voice: int, values: Values) -> None:
        """A voice's next touch is made: values are what it will hear when that sounds."""
        if voice not in self._foreseen:
            self._awaited[voice] = values

    def next(self, voice: int) -> Any:
        """Return what was drawn for a voice when its last touch sounded, or None."""
        return self._next.get(voice)

    def comes(self, voice: int, values: Values) -> bool:
        """A voice's touch sounds: let it have been heard, if it was awaited just so."""
        if self._awaited.get(voice) != values:
            self.drop(voice)
            return False
        if voice not in self._foreseen:
            self._foresee(voice)
        row = slice(voice, voice + 1)
        self._memory.write(row, self._spare.rows(row))
        self._next[voice] = self._foreseen.pop(voice)
        del self._awaited[voice]
        return True

    def _foresee(self, voice: int) -> None:
        """Step the voice that is needed and others that will be, as one batch."""
        others = [v for v in self._awaited if v not in self._foreseen and v != voice]
        voices = [voice, *others[: MOST - 1]]
        after = self._hear(self._memory.rows(voices), [self._awaited[v] for v in voices])
        self._spare.write(voices, after)
        self._foreseen.update(zip(voices, self._draw(after, voices), strict=True))
