"""Readers of performances from any program, chosen by a file's content, not by its name.

Nothing is ever unpickled. Each kind of file has a reader in a module of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from robojam.corpus.corpus import STROKE, Corpus, CorpusError
from robojam.corpus.formats import arrays, recorded, tables

__all__ = ["arrays", "read", "read_all", "recorded", "tables"]

#: Names of the files in a folder that are read end in these.
_SUFFIXES = frozenset((".npz", ".npy", ".jsonl", ".csv", ".log", ".txt"))


def read_all(
    paths: Iterable[Path],
    *,
    split: str | None = None,
    machine: bool = False,
    on_error: Callable[[CorpusError], None] | None = None,
) -> Iterator[Corpus]:
    """Read files, and in each folder the files that hold performances, in order of names.

    on_error is called with the error of each file in a folder that cannot be read; without
    it such an error is raised. Raises CorpusError for a named file that cannot be read and
    for a folder without one that can. split and machine are as for `read`.
    """
    for path in paths:
        if not path.is_dir():
            yield read(path, split=split, machine=machine)
            continue
        files = sorted(
            p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and not _is_note(p)
        )
        kinds = ", ".join(sorted(_SUFFIXES - {".txt"}))
        if not files:
            raise CorpusError(path, f"has no performances in it (no {kinds})")
        errors: list[CorpusError] = []
        for file in files:
            try:
                corpus = read(file, split=split, machine=machine)
            except CorpusError as error:
                if on_error is None:
                    raise
                on_error(error)
                errors.append(error)
            else:
                yield corpus
        if len(errors) == len(files):
            raise CorpusError(path, "has no performances in it that can be read") from errors[0]


def _is_note(path: Path) -> bool:
    if path.suffix.lower() != ".txt":
        return False
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return False
    return tables.column_names(start) is None and not tables.LOG_LINE.match(start)


def read(path: Path, *, split: str | None = None, machine: bool = False) -> Corpus:
    """Read the performances of one file, uncleaned.

    split selects train, valid or test in a file that has them (default: train). machine
    reads from a session or a log what the machine played, each voice as a performance,
    instead of what the humans played. Raises CorpusError.
    """
    try:
        with path.open("rb") as file:
            corpus = _parse(path, file.read(512), split=split, machine=machine)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    if split is not None and corpus.columns != STROKE:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    return replace(corpus, sha256=digest)


def _parse(path: Path, start: bytes, *, split: str | None, machine: bool) -> Corpus:
    """Read a file by its first bytes. Raises CorpusError where no reader knows them."""
    if start.startswith(b"PK"):
        return arrays.read_npz(path, split=split)
    if start.startswith(b"\x93NUMPY"):
        return arrays.read_npy(path)
    if start.startswith(b"{"):
        return recorded.read_session(path, machine=machine)
    if start.startswith(b"\x80"):
        raise CorpusError(path, f"is a pickle, which robojam never opens: {arrays.CONVERT}")
    if not start.strip():
        raise CorpusError(path, "is empty: there is nothing to learn from in it")
    if tables.LOG_LINE.match(start):
        return tables.read_log(path, machine=machine)
    if tables.column_names(start) is not None:
        return tables.read_csv(path)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(path, "is text in UTF-16: save it as UTF-8, as a plain CSV")
    table = "a CSV whose first line names x, y and time"
    others = "an IMPSY log nor a robojam session"
    raise CorpusError(path, f"is neither arrays (.npz, .npy), {table}, {others}")
