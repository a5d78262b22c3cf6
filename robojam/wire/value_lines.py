"""Lines of values, as a microcontroller prints them: ``0.25,0.5,1`` and a line's end. Pure.

Each line has the values of all knobs of an instrument, or x and y of a touch, 0..1. This is
what IMPSY sends and receives by serial.
"""

from __future__ import annotations

from typing import Final

from robojam.touch import Touch
from robojam.wire.native import ArgumentError, Dropped, Input, numeric, parse_knobs

#: Most bytes of a line: 16 values of 30 characters each.
MAX_LINE: Final = 512
#: Reasons for which a line is dropped: it is too long, it is no list of numbers.
TOO_LONG, NO_VALUES = "line too long", "no values"


class LineReader:
    """Reader of the bytes of one device. It never holds more than a line."""

    def __init__(self) -> None:
        self._partial = b""
        self._skipping = False

    def skip_line(self) -> None:
        """Leave out what comes before the next line's end: a part of a line may be missing."""
        self._partial, self._skipping = b"", True

    def feed(self, data: bytes) -> list[Input]:
        """Read bytes; return the inputs of the lines that they complete. Never raises."""
        first, *lines = data.split(b"\n")
        inputs: list[Input] = []
        if not lines:
            return self._keep(first)
        if self._skipping:
            self._skipping = False
        else:
            inputs += _read_line(self._partial + first)
        self._partial = b""
        for line in lines[:-1]:
            inputs += _read_line(line)
        return inputs + self._keep(lines[-1])

    def _keep(self, part: bytes) -> list[Input]:
        """Keep the beginning of a line, if it is not too long."""
        if self._skipping:
            return []
        self._partial += part
        if len(self._partial) <= MAX_LINE:
            return []
        self.skip_line()
        return [Dropped(TOO_LONG, f"a line of values has {MAX_LINE} bytes at most")]


def _read_line(line: bytes) -> list[Input]:
    """Return the event of a line's values; nothing for an empty line."""
    line = line.strip()
    if not line:
        return []
    if len(line) > MAX_LINE:
        return [Dropped(TOO_LONG, f"a line of values has {MAX_LINE} bytes at most")]
    try:
        return [parse_knobs(*(numeric(part.strip()) for part in line.decode().split(",")))]
    except ArgumentError as error:
        reason = NO_VALUES if str(error) == "wrong arguments" else str(error)
    except UnicodeDecodeError:
        reason = NO_VALUES
    return [Dropped(reason, f"a line of values: {line[:60]!r}")]


def write_line(touch: Touch) -> bytes:
    """Return the line of a touch: all knobs, or x and y, with four digits."""
    values = touch.knobs or (touch.x, touch.y)
    return ",".join(f"{value:.4f}" for value in values).encode() + b"\n"
