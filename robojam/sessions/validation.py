"""The lines of a session file: what each may hold, and what is wrong with one that may not.

In the words of a musician, with the file and the line.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from robojam.touch import Touch, is_player

#: The version of the format, the first thing in every file.
VERSION = 1
#: What is said of a file of a later version.
NEWER = "was made by a newer robojam"

_SECONDS = "a number of seconds, 0 or more"
#: What each field may hold, in the words of an error.
_ALLOWED = {
    "robojam": "the whole number 1",
    "started": "a date and time as in 2026-11-20T10:30:00+00:00",
    "model": "the model's file and sha256",
    "device": "text",
    "build": "text",
    "seed": "a whole number",
    "options": "option names with their values",
    "t": _SECONDS,
    "who": "human, human2, … or ai, ai2, …",
    "phase": "down, move or up",
    "id": "a whole number",
    "x": "a number from 0 to 1",
    "y": "a number from 0 to 1",
    "dt": _SECONDS,
    "set": "control names with their values",
    "end": "text",
}
_FIELD = re.compile(r"at `\$\.(\w+)")  # how msgspec names the place of an error
_MISSING = re.compile(r"missing required field `(\w+)`")


class SessionError(ValueError):
    """A session file that cannot be read: which file, which line (from 1), and why."""

    def __init__(self, path: Path | None, line: int | None, why: str) -> None:
        where = str(path) if path is not None else "session"
        super().__init__(f"{where}{'' if line is None else f', line {line}'}: {why}")
        self.path = path
        self.line = line
        self.why = why


def check_touch(touch: Touch) -> None:
    """Raise ValueError for a touch that a session may not hold."""
    if not 0.0 <= touch.x <= 1.0:  # false for NaN too
        raise ValueError(wrong("x", touch.x))
    if not 0.0 <= touch.y <= 1.0:
        raise ValueError(wrong("y", touch.y))
    check_seconds("dt", touch.dt)
    if not is_player(touch.who):
        raise ValueError(wrong("who", touch.who))


def check_seconds(field: str, value: float) -> float:
    """Return a time that a field may hold. Raises ValueError for another."""
    if not 0.0 <= value < math.inf:
        raise ValueError(wrong(field, value))
    return value


def check_finite(value: object) -> None:
    """Raise ValueError where value holds NaN or an infinity, which JSON would make null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be recorded: only finite numbers can")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            check_finite(item)


def is_json(line: bytes) -> bool:
    """Tell whether a line is JSON of any kind."""
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def wrong(field: str, value: object) -> str:
    """Say that a field holds what it may not, and what it may."""
    return f"{field} is {value!r:.60}, and must be {_ALLOWED[field]}"


def why_not(error: Exception, line: bytes) -> str:
    """Return what is wrong with a line, in a musician's words."""
    if isinstance(error, RecursionError):
        return "is nested too deep"
    if isinstance(error, msgspec.ValidationError):
        found = msgspec.json.decode(line) if is_json(line) else str(error)
        if not isinstance(found, dict):
            return f"is not an event of a robojam session ({found!r:.60})"
        if not found.keys() & {"robojam", "who", "set", "end"}:
            return "is neither a touch, nor a control (set), nor an end"
        place = _FIELD.search(str(error))
        if place and place[1] in found:
            return wrong(place[1], found[place[1]])
        missing = _MISSING.search(str(error))
        return f"is without {missing[1]}" if missing else str(error)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"is not JSON ({error})"
    return str(error)


def instant(started: str) -> datetime:
    """Return the instant a header names. Raises ValueError for one that names none."""
    try:
        found = datetime.fromisoformat(started)
    except ValueError as error:
        raise ValueError(wrong("started", started)) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
