"""Rules for the fields of a session file, and error messages for fields that break them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from robojam.touch import is_player

__all__ = [
    "NEWER", "VERSION", "SessionError", "check_finite", "check_seconds", "check_touch",
    "describe_error", "is_json", "not_allowed", "parse_time",
]  # fmt: skip

#: Version of the format, the first field of every file.
VERSION = 1
#: Part of the error message for a file of a later version.
NEWER = "was made by a newer robojam"

_SECONDS = "a number of seconds, 0 or more"
#: Allowed values of each field, as error messages state them.
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
#: The field and the missing field in the messages of msgspec.
_FIELD = re.compile(r"at `\$\.(\w+)")
_MISSING = re.compile(r"missing required field `(\w+)`")


class SessionError(ValueError):
    """Error in a session file: its path, the line (from 1; None: the file) and the reason."""

    def __init__(self, path: Path | None, line: int | None, why: str) -> None:
        file = str(path) if path is not None else "session"
        super().__init__(f"{file}{'' if line is None else f', line {line}'}: {why}")
        self.path = path
        self.line = line
        self.why = why


def check_touch(x: float, y: float, dt: float, who: str) -> None:
    """Raise ValueError for a touch that a session may not hold."""
    if not 0.0 <= x <= 1.0:  # false for NaN too
        raise ValueError(not_allowed("x", x))
    if not 0.0 <= y <= 1.0:
        raise ValueError(not_allowed("y", y))
    check_seconds("dt", dt)
    if not is_player(who):
        raise ValueError(not_allowed("who", who))


def check_seconds(field: str, value: float) -> float:
    """Return value, a time in seconds. Raises ValueError unless it is finite and 0 or more."""
    if not 0.0 <= value < math.inf:
        raise ValueError(not_allowed(field, value))
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
    """Return whether a line is JSON of any kind."""
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def not_allowed(field: str, value: object) -> str:
    """Return the error message for a value that a field may not hold."""
    return f"{field} is {value!r:.60}, and must be {_ALLOWED[field]}"


def describe_error(error: Exception, line: bytes) -> str:
    """Return what is wrong with a line, in words for a musician, given the error it raised."""
    if isinstance(error, RecursionError):
        return "is nested too deep"
    if isinstance(error, msgspec.ValidationError):
        value = msgspec.json.decode(line) if is_json(line) else str(error)
        if not isinstance(value, dict):
            return f"is not an event of a robojam session ({value!r:.60})"
        if not value.keys() & {"robojam", "who", "set", "end"}:
            return "is neither a touch, nor a control (set), nor an end"
        field = _FIELD.search(str(error))
        if field and field[1] in value:
            return not_allowed(field[1], value[field[1]])
        missing = _MISSING.search(str(error))
        return f"is without {missing[1]}" if missing else str(error)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"is not JSON ({error})"
    return str(error)


def parse_time(text: str) -> datetime:
    """Return the instant of an ISO-8601 text, in UTC where it names no zone.

    Raises ValueError for any other text.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(not_allowed("started", text)) from error
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
