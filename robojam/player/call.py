"""Present call: the last touches that humans played since the machine's answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from robojam.player.lookahead import PlayedTouch

#: Most touches of a present call.
CALL_TOUCHES: Final = 1024
#: Touches of a part, which copies share: there is a copy for each moment to go back to.
_PART: Final = 32


class Call:
    """The last touches of a call, CALL_TOUCHES at most.

    Copies share what is older than the last 32 touches; no touch is shared that changes.
    """

    __slots__ = ("_last", "_parts")

    def __init__(self, touches: Iterable[PlayedTouch] = ()) -> None:
        self._parts: tuple[tuple[PlayedTouch, ...], ...] = ()
        self._last: list[PlayedTouch] = []
        for touch in touches:
            self.append(touch)

    def append(self, touch: PlayedTouch) -> None:
        """Append a touch; the oldest goes where there are too many."""
        self._last.append(touch)
        if len(self._last) == _PART:
            self._parts = (*self._parts[-CALL_TOUCHES // _PART :], tuple(self._last))
            self._last = []

    def clear(self) -> None:
        """Forget all touches."""
        self._parts, self._last = (), []

    def copy(self) -> Call:
        """Return a copy, which stays as it is when this one changes."""
        copied = Call()
        copied._parts, copied._last = self._parts, self._last.copy()
        return copied

    def __len__(self) -> int:
        return min(_PART * len(self._parts) + len(self._last), CALL_TOUCHES)

    def __iter__(self) -> Iterator[PlayedTouch]:
        spare = _PART * len(self._parts) + len(self._last) - len(self)
        return islice(chain(*self._parts, self._last), spare, None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]
