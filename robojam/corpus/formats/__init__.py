"""Readers of performances from any program, chosen by a file's content, not by its name.

Nothing is ever unpickled. Each kind of file has a reader in a module of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from robojam.corpus.corpus import STROKE, Corpus, CorpusError
from robojam.corpus.formats import arrays, recorded, tables
from robojam.corpus.units import UNKNOWN, Units
from robojam.model.event import PRESSED, count_knobs

__all__ = [
    "PressureError",
    "UnknownFormatError",
    "arrays",
    "read",
    "read_all",
    "recorded",
    "tables",
]

#: Names of the files in a folder that are read end in these.
_SUFFIXES = frozenset((".npz", ".npy", ".jsonl", ".csv", ".tsv", ".log", ".txt"))
#: First bytes of compressed files, and the program that makes them.
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


class _Given(TypedDict):
    """Keyword arguments of `read`."""

    split: str | None
    machine: bool
    units: Units | None
    strict: bool
    knobs: bool
    pressure: bool


class UnknownFormatError(CorpusError):
    """A file of a kind that no reader knows."""


class PressureError(CorpusError):
    """A file without pressures, where they are wanted."""


def read_all(
    paths: Iterable[Path],
    *,
    split: str | None = None,
    machine: bool = False,
    units: Units | None = None,
    strict: bool = False,
    knobs: bool = False,
    pressure: bool = False,
    on_error: Callable[[CorpusError], None] | None = None,
) -> Iterator[Corpus]:
    """Read files, and in each folder the files that hold performances, in order of names.

    A recording of which another in the folder has every line is left out, with an error.
    on_error is called with the error of each file in a folder that cannot be read, and once
    for those of other kinds; without it such an error is raised. Raises CorpusError for a
    named file that cannot be read and for a folder without one that can. split, machine,
    units, strict, knobs and pressure are as for `read`.
    """
    given: _Given = {
        "split": split, "machine": machine, "units": units, "strict": strict, "knobs": knobs,
        "pressure": pressure,
    }  # fmt: skip
    for path in paths:
        if not path.is_dir():
            yield read(path, **given)
            continue
        files = sorted(
            p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and not _is_note(p)
        )
        kinds = ", ".join(sorted(_SUFFIXES - {".txt"}))
        if not files:
            raise CorpusError(path, f"has no performances in it (no {kinds})")
        errors: list[CorpusError] = []
        for file, other in recorded.find_contained(files).items():  # it would count twice
            files.remove(file)
            if on_error is not None:
                on_error(CorpusError(file, f"all that it holds is in {other.name}, too"))
        others: list[str] = []
        for file in files:
            try:
                corpus = read(file, **given)
            except CorpusError as error:
                if on_error is None:
                    raise
                errors.append(error)
                if isinstance(error, UnknownFormatError):
                    others.append(file.name)
                    continue
                on_error(error)
            else:
                yield corpus
        if len(errors) == len(files):
            raise CorpusError(path, f"has no performances in it that can be read: {errors[0]}")
        if len(others) == 1 and on_error is not None:
            on_error(next(e for e in errors if isinstance(e, UnknownFormatError)))
        elif others and on_error is not None:
            names = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
            on_error(CorpusError(path, f"{len(others)} files in it hold no touches: {names}"))


def _is_note(path: Path) -> bool:
    """Return whether a file is text that has nothing to do with performances."""
    try:
        return path.suffix.lower() == ".txt" and tables.find_layout(path) is None
    except (OSError, CorpusError):
        return False


def read(
    path: Path,
    *,
    split: str | None = None,
    machine: bool = False,
    units: Units | None = None,
    strict: bool = False,
    knobs: bool = False,
    pressure: bool = False,
) -> Corpus:
    """Read the performances of one file, uncleaned.

    split selects train, valid or test in a file that has them (default: train). machine
    reads from a session or a log what the machine played, each voice as a performance,
    instead of what the humans played. units are those of touches in arrays and text, where
    they are not places from 0 to 1 and seconds. strict refuses a session with a damaged line,
    which is left out otherwise. knobs: only performances of knobs are wanted, so the two or
    three values of a log of IMPSY are taken for theirs. pressure: only touches with their
    pressure are wanted, which is left out otherwise. Raises CorpusError.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end
            raise CorpusError(path, "is no regular file: write what comes from it to one first")
        with path.open("rb") as file:
            start, known = file.read(512), units or UNKNOWN
            corpus = _parse(
                path,
                start,
                split=split,
                machine=machine,
                units=known,
                strict=strict,
                knobs=knobs,
                pressure=pressure,
            )
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    if knobs and not count_knobs(corpus.columns):
        held = "pen strokes" if corpus.columns == STROKE else "touches"
        raise CorpusError(path, f"holds {held}, and no knobs: read it without --knobs")
    if pressure and corpus.columns != PRESSED:
        raise PressureError(path, "holds no pressure: read it without --pressure")
    if split is not None and corpus.columns != STROKE:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    return replace(corpus, sha256=digest)


def _parse(
    path: Path,
    start: bytes,
    *,
    split: str | None,
    machine: bool,
    units: Units,
    strict: bool,
    knobs: bool,
    pressure: bool,
) -> Corpus:
    """Read a file by its first bytes. Raises CorpusError where no reader knows them."""
    if start.startswith(b"PK"):
        return arrays.read_npz(path, split=split, units=units, pressure=pressure)
    if start.startswith(b"\x93NUMPY"):
        return arrays.read_npy(path, units=units)
    if start.startswith(b"{"):
        return recorded.read_session(path, machine=machine, strict=strict, pressure=pressure)
    if start.startswith(b"\x80"):
        advice = arrays.pickle_advice("")
        raise CorpusError(path, f"is a pickle, which robojam never opens: {advice}")
    for magic, program in _COMPRESSED.items():
        if start.startswith(magic):
            raise CorpusError(path, f"is compressed by {program}: decompress it first")
    if not start.strip():
        raise CorpusError(path, "is empty: there is nothing to learn from in it")
    layout = tables.find_layout(path, knobs=knobs)
    if layout is None:
        raise UnknownFormatError(path, tables.describe_unknown(path))
    layout = replace(layout, pressure=pressure)
    return tables.read_table(path, layout, units=units, machine=machine)
