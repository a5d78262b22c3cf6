"""Library of recorded sessions: a folder's list, with names and notes.

Names and notes are kept beside the sessions, in a file of their own: a recording is never
written again, and its file keeps its name. `robojam sessions` and the window both read and
change them here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from robojam import __version__
from robojam.sessions.last_lines import write_unbegun
from robojam.sessions.recording_file import NAME_FORMAT
from robojam.sessions.session import MAX_LINE, SessionError, Summary, summarise
from robojam.system.atomic_file import atomic_write
from robojam.system.shell import is_printable, printable

#: File of names and notes, beside the sessions: {file: {"name": …, "note": …}}.
NAMES = "names.json"
#: File of the summaries that were read the last time, beside the sessions.
CACHE = ".seen.json"
#: Name of a recording's file: its start, and a number if that name was taken.
_STEM = re.compile(r"(.{19})(-[0-9]+)?")


def newest(
    folder: Path,
    *,
    others: Collection[str] = (),
    header: bytes = b"",
    memory: Path | None = None,
) -> Path | None:
    """Return the recording of a folder that was written last.

    Not one of others, which are names. header is its first line, where that is known: times of
    files say nothing where a clock was set back. One that its killed engine had not begun is
    written first; memory is the folder of `write_unbegun`. Another of which the first line is
    torn says nothing.
    """
    write_unbegun(folder, memory)
    last = None
    with suppress(OSError):
        files = [path for path in folder.glob("*.jsonl") if path.is_file()]  # no pipes
        found = [(path.stat().st_mtime, path) for path in files if path.name not in others]
        for _, path in sorted(found, reverse=True):
            with suppress(OSError), path.open("rb") as file:
                first = file.readline(MAX_LINE)
                if header and first == header:
                    return path
                if last is None and first.endswith(b"\n"):
                    last = path
                    if not header:
                        break
    return last


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Name and note that a musician gave to a session; "" for none."""

    name: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """One recorded session in a list."""

    path: Path
    annotation: Annotation
    summary: Summary | None  # None where the file cannot be read
    error: str = ""  # which says why

    @property
    def started(self) -> datetime | None:
        """Start of the recording: as it says, else as its file name does; None for neither."""
        if self.summary is not None:
            return self.summary.started
        return _parse_stem(self.path.stem)[0]

    @property
    def title(self) -> str:
        """Name that a musician gave; else the start in local time; else the file name."""
        started, number = _parse_stem(self.path.stem)
        dated = "" if started is None else local_time(self.started or started) + number
        return self.annotation.name or dated or printable(self.path.stem)


class _Cache(msgspec.Struct, frozen=True):
    """Summaries by file name, each with the size and the time (ns) of its file."""

    version: str
    of: dict[str, tuple[int, int, Summary]]


def local_time(instant: datetime) -> str:
    """Return the date and time of an instant in this machine's time zone, as text."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"


def entries(
    folder: Path, *, limit: int | None = None, strict: bool = False
) -> list[LibraryEntry]:
    """List the sessions of a folder, the oldest first; at most limit, the last changed.

    Only files that are new or have changed since the last time are read. With strict, one
    with a damaged line counts as one that cannot be read. Raises OSError for a folder that
    cannot be read and ValueError for damaged names.
    """
    named = read_annotations(folder)
    before = _read_cache(folder)
    files: list[tuple[Path, os.stat_result]] = []
    for path in folder.glob("*.jsonl"):
        if path.is_file():
            with suppress(FileNotFoundError):  # deleted just now
                files.append((path, path.stat()))
    files.sort(key=lambda file: file[1].st_mtime_ns, reverse=True)
    keys = {path: _key(path) for path, _ in files}
    after = {key: before[key] for key in keys.values() if key in before}
    listed: list[LibraryEntry] = []
    for path, stat in files[:limit]:
        known = after.pop(key := keys[path], None)
        if (
            known is not None
            and known[:2] == (stat.st_size, stat.st_mtime_ns)
            and not (strict and known[2].damaged_lines)
        ):
            listed.append(LibraryEntry(path, named.get(key, Annotation()), known[2]))
        else:
            listed.append(entry(path, named, strict=strict))
        if (summary := listed[-1].summary) is not None:
            after[key] = (stat.st_size, stat.st_mtime_ns, summary)
    if after != before:
        # A folder that cannot be written to is listed as well.
        with suppress(OSError), atomic_write(folder / CACHE) as part:
            part.write_bytes(msgspec.json.encode(_Cache(__version__, after)))
    return sorted(listed, key=_age)


def entry(path: Path, named: dict[str, Annotation], *, strict: bool = False) -> LibraryEntry:
    """Read the entry of one session; named are the annotations of its folder."""
    annotation = named.get(_key(path), Annotation())
    try:
        return LibraryEntry(path, annotation, summarise(path, strict=strict))
    except SessionError as error:
        line = "" if error.line is None else f"line {error.line} "
        return LibraryEntry(path, annotation, None, line + error.why)


def read_annotations(folder: Path) -> dict[str, Annotation]:
    """Read the names and notes of a folder by file name. Raises ValueError for damaged ones."""
    try:
        data = (folder / NAMES).read_bytes()
        stored = msgspec.json.decode(data, type=dict[str, Annotation])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        reason = f"{folder / NAMES} holds no names: {error}; mend it or move it away"
        raise ValueError(reason) from error
    return {file: Annotation(_plain(a.name), _plain(a.note)) for file, a in stored.items()}


def annotate(path: Path, *, name: str | None = None, note: str | None = None) -> Annotation:
    """Give a session a name or a note, "" for none; return both.

    Spaces are made single, and control characters are left out. What another program
    writes at the same time is kept. Raises OSError, and ValueError for damaged names.
    """
    folder = path.parent
    with _locked(folder):
        named = read_annotations(folder)
        old = named.pop(_key(path), Annotation())
        given = {k: _plain(v) for k, v in (("name", name), ("note", note)) if v is not None}
        new = msgspec.structs.replace(old, **given)
        if new != Annotation():
            named[_key(path)] = new
        with atomic_write(folder / NAMES) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(named)) + b"\n")
    return new


def _key(path: Path) -> str:
    """Return a file's name as JSON can hold it: one that is not UTF-8 with escapes."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _plain(text: str) -> str:
    """Return text in one line, without control characters and lone surrogates."""
    letters = (letter for letter in text if is_printable(letter) or letter.isspace())
    return " ".join("".join(letters).split())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other robojams from changing the names of a folder for the time of a block.

    Without a lock where the system or a network folder has none.
    """
    handle = None
    with suppress(ImportError, OSError):
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _read_cache(folder: Path) -> dict[str, tuple[int, int, Summary]]:
    """Read the summaries of the last time; none where they are damaged or another version's."""
    try:
        cache = msgspec.json.decode((folder / CACHE).read_bytes(), type=_Cache)
    except (OSError, ValueError, RecursionError):
        return {}
    return cache.of if cache.version == __version__ else {}


def _parse_stem(stem: str) -> tuple[datetime | None, str]:
    if match := _STEM.fullmatch(stem):
        with suppress(ValueError):
            started = datetime.strptime(match[1], NAME_FORMAT).replace(tzinfo=UTC)
            return started, match[2] or ""
    return None, ""


def _age(listed: LibraryEntry) -> tuple[float, int, str]:
    """Sort key: the start, then the number (…, …-2, …, …-10); without a start, first."""
    started, stem = listed.started, listed.path.stem
    return 0.0 if started is None else started.timestamp(), len(stem), stem
