"""What has been recorded: a folder's sessions, with the names and notes given to them.

Names and notes are kept beside the sessions, in a file of their own: a recording is never
written again once it is made.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from robojam import __version__
from robojam.sessions import session
from robojam.sessions.session import SessionError, Summary
from robojam.sessions.validation import instant
from robojam.system.atomic_file import whole
from robojam.touch import is_player

#: Beside the sessions: {file: {"name": …, "note": …}}.
NAMES = "names.json"
#: Beside them too: what was found in each when it was last looked into.
SEEN = ".seen.json"


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a musician calls a session, and says of it."""

    name: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class LibraryEntry:
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
    id: int | None = None
    x: _Unit = math.nan
    y: _Unit = math.nan
    dt: _Seconds = math.nan
    set: dict[str, Any] | None = None
    end: str | None = None


_LINES = msgspec.json.Decoder(_Line)


class _Seen(msgspec.Struct, frozen=True):
    """Summaries of whole sessions by file, and the size and time (ns) each then had."""

    version: str
    of: dict[str, tuple[int, int, Summary]]


def entries(folder: Path) -> list[LibraryEntry]:
    """List the sessions of a folder, the oldest first. Raises OSError, ValueError.

    Only those that are new or have changed since the last time are read.
    """
    named = names(folder)
    before = _seen(folder)
    now: dict[str, tuple[int, int, Summary]] = {}
    found: list[LibraryEntry] = []
    for path in folder.glob("*.jsonl"):
        if not path.is_file():
            continue
        about = path.stat()
        size, time, summary = before.get(path.name, (-1, -1, None))
        if summary is None or (size, time) != (about.st_size, about.st_mtime_ns):
            one = entry(path, named)
        else:
            one = LibraryEntry(path, named.get(path.name, Named()), summary)
        if one.summary is not None:
            now[path.name] = (about.st_size, about.st_mtime_ns, one.summary)
        found.append(one)
    if now != before:
        # A folder that cannot be written to is listed as well.
        with suppress(OSError), whole(folder / SEEN) as part:
            part.write_bytes(msgspec.json.encode(_Seen(__version__, now)))
    return sorted(found, key=_age)


def entry(path: Path, named: dict[str, Named]) -> LibraryEntry:
    """Look into one session."""
    about = named.get(path.name, Named())
    try:
        return LibraryEntry(path, about, _quick(path) or session.read(path).summary())
    except SessionError as error:
        where = "" if error.line is None else f"line {error.line} "
        return LibraryEntry(path, about, None, where + error.why)


def _seen(folder: Path) -> dict[str, tuple[int, int, Summary]]:
    """Read what was found the last time; nothing, where that is damaged or another's."""
    try:
        found = msgspec.json.decode((folder / SEEN).read_bytes(), type=_Seen)
    except (OSError, ValueError, RecursionError):
        return {}
    return found.of if found.version == __version__ else {}


def _age(found: LibraryEntry) -> tuple[str, int, str]:
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
    told = [line for line in lines if not line.who]  # controls, and the end
    if not (_in_order(lines) and _whole(lines, told)):
        return None
    header = session.parse(head + b"\n").header
    modes = [header.options.get("mode")]
    modes += [line.set.get("mode") for line in told if line.set is not None]
    played = Counter([line.who for line in lines if line.phase != "up"])
    del played[""]
    if not all(map(is_player, {line.who for line in lines if line.who})):
        return None
    return Summary(
        started=instant(header.started),
        seconds=lines[-1].t if lines else 0.0,
        touches=dict(played),
        modes=tuple(dict.fromkeys(mode for mode in modes if isinstance(mode, str))),
        model=header.model.file,
        ended=lines[-1].end if lines else None,
    )


def _in_order(lines: list[_Line]) -> bool:
    times = [line.t for line in lines]
    return times == sorted(times) and math.isfinite(sum(times))


def _whole(lines: list[_Line], told: list[_Line]) -> bool:
    """Tell whether each touch has all that it must, and each other line says something."""
    ends = [line for line in told if line.end is not None]
    phased = sum([line.phase != "" and line.id is not None for line in lines])
    return (
        all((line.set is None) != (line.end is None) for line in told)
        and ends in ([], lines[-1:])
        and phased == len(lines) - len(told)
        # A number that is missing is NaN, and so is any sum it is in; infinity is too much.
        and math.isfinite(sum([line.x + line.y + line.dt for line in lines if line.who]))
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
    with whole(folder / NAMES) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(named)) + b"\n")
