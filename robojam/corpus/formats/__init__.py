"""Performances from any program, as arrays: the kind of a file is told by its content.

Nothing is unpickled. Each kind has a reader in a module of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from robojam.corpus.corpus import Corpus, CorpusError
from robojam.corpus.formats import arrays, recorded, tables
from robojam.corpus.formats.parts import Parts

#: How a file begins that is no text, and who reads it.
_READERS: tuple[tuple[bytes, Callable[..., Parts]], ...] = (
    (b"PK", arrays.read_npz),
    (b"\x93NUMPY", arrays.read_npy),
    (b"{", recorded.read_session),
)
#: What a folder's files may be called; what they are is told by what is in them.
_SUFFIXES = frozenset((".npz", ".npy", ".jsonl", ".csv", ".log", ".txt"))


def load_all(
    paths: Iterable[Path],
    *,
    split: str | None = None,
    machine: bool = False,
    refused: Callable[[CorpusError], None] | None = None,
) -> list[Corpus]:
    """Read files as each does, all of them. Raises CorpusError."""
    return list(each(paths, split=split, machine=machine, refused=refused))


def each(
    paths: Iterable[Path],
    *,
    split: str | None = None,
    machine: bool = False,
    refused: Callable[[CorpusError], None] | None = None,
) -> Iterator[Corpus]:
    """Read files, and of each folder those that hold performances, in order of their names.

    refused is told of files in folders that cannot be read; without it they are errors as
    any other. Raises CorpusError for a file that cannot be read, a folder that has none.
    """
    for path in paths:
        if not path.is_dir():
            yield read(path, split=split, machine=machine)
            continue
        inside = sorted(
            p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and not _is_note(p)
        )
        kinds = ", ".join(sorted(_SUFFIXES - {".txt"}))
        if not inside:
            raise CorpusError(path, f"has no performances in it (no {kinds})")
        wrong: CorpusError | None = None
        some = False
        for file in inside:
            try:
                corpus = read(file, split=split, machine=machine)
            except CorpusError as error:
                if refused is None:
                    raise
                refused(error)
                wrong = wrong or error
            else:
                some = True
                yield corpus
        if wrong is not None and not some:
            raise CorpusError(path, "has no performances in it that can be read") from wrong


def _is_note(path: Path) -> bool:
    """Tell whether a text file in a folder is no performance, and was not meant as one."""
    if path.suffix.lower() != ".txt":
        return False
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return False
    return tables.header(start) is None and not tables.LOGGED.match(start)


def read(path: Path, *, split: str | None = None, machine: bool = False) -> Corpus:
    """Read the performances of one file, uncleaned.

    ``split`` chooses train, valid or test where a file has them (train unless said).
    ``machine`` takes from a session or a log what the machine played, each voice a
    performance, in place of what the humans did. Raises CorpusError.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
            parts = _reader(path, start)(path, split, machine=machine)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    return Corpus(
        parts.events,
        parts.lengths,
        parts.columns,
        parts.name,
        digest,
        parts.dropped,
        source=parts.source,
        inferred=parts.inferred,
        places=parts.places,
        lines=parts.lines,
    )


def _reader(path: Path, start: bytes) -> Callable[..., Parts]:
    """Find who reads a file that begins so. Raises CorpusError where nobody does."""
    for begins, reader in _READERS:
        if start.startswith(begins):
            return reader
    if start.startswith(b"\x80"):
        raise CorpusError(path, f"is a pickle, which robojam never opens: {arrays.CONVERT}")
    if not start.strip():
        raise CorpusError(path, "is empty: there is nothing to learn from in it")
    if tables.LOGGED.match(start):
        return tables.read_log
    if tables.header(start) is not None:
        return tables.read_csv
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(path, "is text in UTF-16: save it as UTF-8, as a plain CSV")
    raise CorpusError(
        path,
        "is neither arrays (.npz, .npy), a CSV whose first line names x, y and time, an "
        "IMPSY log nor a robojam session",
    )
