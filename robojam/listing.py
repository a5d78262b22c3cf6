"""What has been recorded: a folder's sessions, with the names and notes given to them.

Names and notes are kept beside the sessions, in a file of their own: a recording is never
written again once it is made.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from robojam import session
from robojam.session import SessionError, Summary

#: Beside the sessions: {file: {"name": …, "note": …}}.
NAMES = "names.json"


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a musician calls a session, and says of it."""

    name: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recorded session; what is wrong with it, where something is (summary is None)."""

    path: Path
    named: Named
    summary: Summary | None
    wrong: str = ""


_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Line(msgspec.Struct, gc=False):
    """Any line after the first, as far as a list needs it; the sizes as they must be."""

    t: _Seconds
    who: str = ""
    phase: Literal["", "down", "move", "up"] = ""
    x: _Unit = 0.0
    y: _Unit = 0.0
    dt: _Seconds = 0.0
    set: dict[str, Any] | None = None
    end: str | None = None


_LINES = msgspec.json.Decoder(_Line)


def entries(folder: Path) -> list[Entry]:
    """List the sessions of a folder, the oldest first. Raises OSError, ValueError."""
    named = names(folder)
    found = [entry(path, named) for path in folder.glob("*.jsonl") if path.is_file()]
    return sorted(found, key=_age)


def entry(path: Path, named: dict[str, Named]) -> Entry:
    """Look into one session."""
    about = named.get(path.name, Named())
    try:
        return Entry(path, about, _quick(path) or session.read(path).summary())
    except SessionError as error:
        where = "" if error.line is None else f"line {error.line} "
        return Entry(path, about, None, where + error.why)


def _age(found: Entry) -> tuple[str, int, str]:
    """Order by the time in the name, then by number: …, …-2, …, …-10."""
    stem = found.path.stem
    return stem[:19], len(stem), stem


def _quick(path: Path) -> Summary | None:
    """Sum up a session that is in order, without an object for every touch.

    None where something is not as it should be, or torn: session.read is to say what.
    """
    try:
        data = path.read_bytes()
        head, _, rest = data.partition(b"\n")
        lines = _LINES.decode_lines(rest)
    except (OSError, ValueError, RecursionError):
        return None
    times = [line.t for line in lines]
    if times != sorted(times) or any(line.end is not None for line in lines[:-1]):
        return None
    header = session.parse(head + b"\n").header
    modes = [header.options.get("mode")]
    modes += [line.set.get("mode") for line in lines if line.set is not None]
    played = Counter(line.who for line in lines if line.who and line.phase != "up")
    return Summary(
        started=session.instant(header.started),
        seconds=times[-1] if times else 0.0,
        touches=dict(played),
        modes=tuple(dict.fromkeys(mode for mode in modes if isinstance(mode, str))),
        model=header.model.file,
        ended=lines[-1].end if lines else None,
    )


def names(folder: Path) -> dict[str, Named]:
    """Read the names and notes of a folder. Raises ValueError where they are damaged."""
    try:
        return msgspec.json.decode((folder / NAMES).read_bytes(), type=dict[str, Named])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise ValueError(f"{folder / NAMES} holds no names: {error}") from error


def rename(path: Path, *, name: str | None, note: str | None) -> None:
    """Give a session a name or a note, "" for none. Raises OSError, ValueError."""
    folder = path.parent
    named = names(folder)
    was = named.get(path.name, Named())
    now = Named(was.name if name is None else name, was.note if note is None else note)
    named[path.name] = now
    if now == Named():
        del named[path.name]
    part = folder / f".{NAMES}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(named)) + b"\n")
    os.replace(part, folder / NAMES)
