"""Values that come in several control changes: 14-bit values, and parameters (RPN, NRPN). Pure.

Sources: the MIDI 1.0 detailed specification; RP-018 for increment and decrement.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from robojam.wire.midi import stream

#: The greatest 14-bit value, and that of the middle.
TOP: Final = 16383
_MIDDLE = 8192
#: Halves of a 14-bit value.
_COARSE, _FINE = "coarse", "fine"
#: A half of a coarse step: two values that are nearer to each other are one smooth movement.
_SMOOTH = 64
#: Number of the parameter that selects none (RPN null).
_NULL = TOP
#: Controllers that carry the value of the selected parameter.
DATA_CONTROLLERS: Final = frozenset(
    (stream.DATA, stream.DATA_FINE, stream.INCREMENT, stream.DECREMENT)
)
_SELECTORS: Final = frozenset((stream.RPN, stream.RPN_FINE, stream.NRPN, stream.NRPN_FINE))


class FineValue:
    """A 14-bit value that comes in two halves, either first; one may be left out.

    With its second half a pair is complete, and the value is exact. With the first half alone
    it is the value nearest to the last one that agrees with this half, so that neither half
    makes a jump. Which half comes first is learnt from the first pair, and learnt again where
    the first half after a pause makes a jump that the next takes back. Coarse halves without
    fine ones are values from 0 to 127 of their own.
    """

    def __init__(self) -> None:
        self.value: int | None = None  # 0..TOP; None until it is known
        self._coarse: int | None = None
        self._fine: int | None = None
        self._first: str | None = None  # the half that comes first
        self._waiting: str | None = None  # the half that came last, without the other
        self._rested = True  # no half has come since the last pause
        self._before: int | None = None  # the value at the last pause, after the next half

    @property
    def part(self) -> float:
        """The value as 0..1; the middle until it is known."""
        return 0.5 if self.value is None else self.value / TOP

    def settle(self) -> None:
        """Note a pause in the messages: the next half is likely to begin a pair."""
        self._rested, self._before = True, None

    def set_coarse(self, coarse: int) -> bool:
        """Set the coarse half; return whether the last coarse half had got its fine one."""
        complete = self._waiting != _COARSE or coarse == self._coarse
        self._coarse = coarse
        if self._waiting == _COARSE:
            self._fine = None  # fine halves are not sent, or no longer
        if self._fine is None or (self.value is None and self._waiting is None):
            self.value, self._waiting, self._rested = coarse << 7 | coarse, _COARSE, False
            return complete
        self._set_half(coarse << 7 | self._fine, _COARSE)
        return complete

    def set_fine(self, fine: int) -> bool:
        """Set the fine half; return whether it is of use: one without a coarse half is not."""
        last, self._fine = self._fine, fine
        if self._coarse is None:
            # A coarse half that follows is of this one where this began the next coarse step.
            steady = last is not None and abs(fine - last) < _SMOOTH
            self._waiting, self._rested = None if steady else _FINE, False
            return last is None
        if self._waiting == _FINE and last is not None:
            self.value = self._coarse << 7 | last  # the coarse half was left out
        self._set_half(self._coarse << 7 | fine, _FINE)
        return True

    def _set_half(self, pair: int, half: str) -> None:
        """Set the value to a pair of which one half has just come, or near to it."""
        other = _FINE if half == _COARSE else _COARSE
        value, before = self.value, self._before
        self._before, self._rested = value if self._rested else None, False
        if (
            value is None
            or other in (self._waiting, self._first)
            or (before is not None and abs(pair - before) < _SMOOTH <= abs(value - before))
        ):
            self.value, self._first, self._waiting = pair, other, None
            return
        self._waiting = half
        if half == _COARSE:
            self.value = min(max(value, pair & ~127), pair | 127)
        else:
            nearest = value + (pair - value + _SMOOTH) % 128 - _SMOOTH
            self.value = nearest + 128 * ((nearest < 0) - (nearest > TOP))

    def step(self, steps: int) -> None:
        """Move the value by steps of its fine half, or where it has none, of its coarse one."""
        value = _MIDDLE if self.value is None else self.value
        if self._fine is None:
            coarse = min(max((value >> 7) + steps, 0), 127)
            value = coarse << 7 | coarse
        else:
            value = min(max(value + steps, 0), TOP)
            self._fine = value & 127
        self.value, self._coarse, self._waiting = value, value >> 7, None

    def set(self, controller: int, number: int) -> bool:
        """Apply one of DATA_CONTROLLERS; return what `set_coarse` and `set_fine` do."""
        if controller == stream.DATA:
            return self.set_coarse(number)
        if controller == stream.DATA_FINE:
            return self.set_fine(number)
        self.step(1 if controller == stream.INCREMENT else -1)
        return True


class DataEntry(NamedTuple):
    """Value of a parameter: one of DATA_CONTROLLERS, for the parameter that is selected.

    number is that of the parameter, 14 bits; registered tells an RPN from an NRPN.
    """

    channel: int
    registered: bool
    number: int
    controller: int
    value: int


class ParameterDecoder:
    """Decoder of the parameters of one port: which is selected on each channel."""

    def __init__(self) -> None:
        #: By channel: whether the parameter is registered, and the halves of its number, as
        #: far as they have come.
        self._selected: dict[int, tuple[bool, int | None, int | None]] = {}

    def read(self, channel: int, controller: int, value: int) -> DataEntry | None:
        """Read a control change; return the data entry that it is, if a parameter is selected.

        The halves of a number come in either order, or one alone. A number of one kind is
        never completed by a half of the other.
        """
        if controller in _SELECTORS:
            registered = controller in (stream.RPN, stream.RPN_FINE)
            was, coarse, fine = self._selected.get(channel, (registered, None, None))
            if was != registered:
                coarse = fine = None
            if controller in (stream.RPN, stream.NRPN):
                coarse = value
            else:
                fine = value
            self._selected[channel] = registered, coarse, fine
        elif controller in DATA_CONTROLLERS and channel in self._selected:
            registered, coarse, fine = self._selected[channel]
            if coarse is not None and fine is not None and (coarse << 7 | fine) != _NULL:
                return DataEntry(channel, registered, coarse << 7 | fine, controller, value)
        return None

    def forget(self, channel: int) -> None:
        """Select no parameter on a channel."""
        self._selected.pop(channel, None)
