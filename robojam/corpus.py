"""Performances from files, as arrays: what a model learns from and is measured on.

A file's kind is recognised by its content, never by its name. Nothing is unpickled, and
what a file declares is checked before memory is given to it.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from robojam import session
from robojam.session import TouchEvent
from robojam.touch import MAX_DT, Phase, is_machine

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

#: The columns of a corpus of touches (units as in `robojam.touch.Touch`; moving is 0 where
#: the finger lands and 1 where it slides), and of one of pen strokes (offsets in the file's
#: own units; lifted is 1 where the pen leaves the paper after this point).
TOUCH = ("x", "y", "dt", "moving")
STROKE = ("dx", "dy", "lifted")

#: No array may unpack to more bytes than this, nor, where it is large, shrink this much.
_MOST_BYTES = 8 * 10**9
_LARGE_BYTES = 64 * 10**6
_MOST_RATIO = 100  # touches shrink to a half, a kanji to a third
#: The noise of docs/measure.md: lattices of 1/1024 of the screen, and of 1 ms.
_SCREEN = 1024
_TICK = 1e-3


class CorpusError(ValueError):
    """A file that holds no performances that can be read: which, why, and what to do."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """The performances of one file, one after the other.

    ``events`` is (N, D), float32 or float64, with the columns named in ``columns``;
    ``lengths`` is (P,), int64, how many events each performance has, and sums to N.
    ``sha256`` is that of the file, in hex. ``dropped`` counts, by reason, what reading and
    cleaning left out or altered: touches, or performances where the reason says so.
    """

    events: Floats
    lengths: Integers
    columns: tuple[str, ...]
    name: str
    sha256: str
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def offsets(self) -> Integers:
        """Where each performance begins, and where the last one ends: (P + 1,), int64."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def performances(self) -> Iterator[Floats]:
        """Yield each performance in file order, (n, D), as a view of ``events``."""
        for start, end in pairwise(self.offsets):
            yield self.events[start:end]


def clean(corpus: Corpus) -> Corpus:
    """Return a corpus as models are scored (docs/measure.md); twice is as good as once.

    Touches with NaN are removed, then x and y clipped to 0..1 and dt to 0..5 s, the first
    dt of each performance made 0, and performances of fewer than 2 touches left out. Pen
    strokes have no range to be clipped to.
    """
    performance = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
    whole = ~np.isnan(corpus.events).any(axis=1)
    lengths = np.bincount(performance[whole], minlength=len(corpus.lengths)).astype(np.int64)
    long_enough = lengths >= 2
    kept = whole & long_enough[performance]
    events, lengths = corpus.events[kept], lengths[long_enough]
    dropped = Counter(corpus.dropped)
    dropped["touches with NaN"] += int((~whole).sum())
    dropped["performances of fewer than 2 touches"] += int((~long_enough).sum())
    if corpus.columns == TOUCH:
        first = (np.cumsum(lengths) - lengths).astype(np.int64)
        dropped["first dt made 0"] += int(np.count_nonzero(events[first, 2]))
        events[first, 2] = 0
        for column, highest in enumerate((1.0, 1.0, MAX_DT)):
            clipped = np.clip(events[:, column], 0.0, highest)
            dropped[f"{TOUCH[column]} clipped"] += int((clipped != events[:, column]).sum())
            events[:, column] = clipped
    return Corpus(events, lengths, corpus.columns, corpus.name, corpus.sha256, dict(+dropped))


def join(corpora: Sequence[Corpus]) -> Corpus:
    """Return several corpora as one. Raises ValueError for none, or for two kinds."""
    if not corpora:
        raise ValueError("no data was given")
    first = corpora[0]
    for other in corpora[1:]:
        if other.columns != first.columns:
            raise ValueError(
                f"{first.name} holds ({', '.join(first.columns)}) and {other.name} "
                f"({', '.join(other.columns)}): they cannot be joined"
            )
    if len(corpora) == 1:
        return first
    dropped: Counter[str] = Counter()
    for corpus in corpora:
        dropped.update(corpus.dropped)
    return Corpus(
        np.concatenate([corpus.events for corpus in corpora]),
        np.concatenate([corpus.lengths for corpus in corpora]),
        first.columns,
        ", ".join(corpus.name for corpus in corpora),
        ", ".join(corpus.sha256 for corpus in corpora),
        dict(dropped),
    )


def dequantise(corpus: Corpus) -> Floats:
    """Return the events off their lattice, (N, D) float64; see docs/measure.md.

    The corpus is to be clean. The noise is the same every time. Strokes, whose offsets are
    whole numbers, are spread by ±1/2 about them.
    """
    rng = np.random.default_rng(0)
    events = corpus.events.astype(np.float64)
    for start, end in pairwise(corpus.offsets):
        places = rng.random((end - start, 2))
        if corpus.columns == TOUCH:
            events[start:end, :2] += places / _SCREEN
            events[start:end, 2] += rng.random(end - start) * _TICK
        else:
            events[start:end, :2] += places - 0.5
    return events


def load_all(
    paths: Iterable[Path], *, split: str | None = None, machine: bool = False
) -> list[Corpus]:
    """Read files, and of each folder its .npz and .jsonl files in order of their names.

    Raises CorpusError for a file that cannot be read and a folder that has none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in (".npz", ".jsonl"))
        if not inside:
            raise CorpusError(path, "has no performances in it (no .npz, no .jsonl)")
        files += inside
    return [read(file, split=split, machine=machine) for file in files]


def read(path: Path, *, split: str | None = None, machine: bool = False) -> Corpus:
    """Read the performances of one file, uncleaned.

    ``split`` chooses train, valid or test where a file has them (train unless said).
    ``machine`` takes from a session what the machine played, each voice a performance,
    in place of what the humans did. Raises CorpusError.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read: {error.strerror or error}") from error
    for begins, reader in _READERS:
        if start.startswith(begins):
            events, lengths, columns, name, dropped = reader(path, split, machine)
            return Corpus(events, lengths, columns, name, digest, dropped)
    if start.startswith(b"\x80"):
        raise CorpusError(path, f"is a pickle, which robojam never opens: {_CONVERT}")
    if not start:
        raise CorpusError(path, "is empty: there is nothing to learn from in it")
    raise CorpusError(path, "is neither an .npz of performances nor a robojam session")


_CONVERT = (
    "convert it with the program that made it, to np.savez(file, touches=…, lengths=…) with "
    "touches float32 (N, 4): x, y, dt, moving, and lengths int32 (P,)"
)
_Parts = tuple[Floats, Integers, tuple[str, ...], str, dict[str, int]]


def _read_npz(path: Path, split: str | None, machine: bool) -> _Parts:  # noqa: ARG001, FBT001
    try:
        with zipfile.ZipFile(path) as archive:
            names = {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}
            keys, columns, name = _layout(path, archive, names, split)
            rows, lengths = (_array(path, archive, key) for key in keys)
    except CorpusError:
        raise
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    except Exception as error:  # a broken archive can make zipfile raise nearly anything
        raise CorpusError(path, f"is damaged, or no .npz: {error}") from error
    events = _events(path, keys[0], rows, columns)
    return events, _lengths(path, keys, lengths, len(rows)), columns, name, {}


def _layout(
    path: Path, archive: zipfile.ZipFile, names: set[str], split: str | None
) -> tuple[tuple[str, str], tuple[str, ...], str]:
    """Return the keys of an .npz's events and lengths, its columns, and the corpus's name."""
    columns: tuple[str, ...]
    splits = sorted(n.removesuffix("_strokes") for n in names if n.endswith("_strokes"))
    if "touches" in names and split is None:
        keys, columns, name = ("touches", "lengths"), TOUCH, path.name
    elif "touches" in names:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    elif splits:
        chosen = split or ("train" if "train" in splits else splits[0])
        if chosen not in splits:
            raise CorpusError(path, f"has no split {chosen!r}, only {', '.join(splits)}")
        keys, columns = (f"{chosen}_strokes", f"{chosen}_lengths"), STROKE
        name = f"{path.name} ({chosen})"
    else:
        for key in sorted(names)[:8]:
            with archive.open(f"{key}.npy") as file:
                _declared(path, file, key)  # a pickle is what is to be told, where it is one
        held = ", ".join(sorted(names)[:8]) or "nothing"
        raise CorpusError(path, f"holds {held}, but no touches and lengths: {_CONVERT}")
    missing = [key for key in keys if key not in names]
    if missing:
        raise CorpusError(path, f"has {keys[0]}, but no {missing[0]} to divide them by")
    return keys, columns, name


def _array(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray[Any, Any]:
    """Read one array, having checked that what it declares can be, and is no pickle."""
    info = archive.getinfo(f"{key}.npy")
    size, packed = info.file_size, max(info.compress_size, 1)
    if size > _MOST_BYTES:
        most = f"{_MOST_BYTES / 1e9:.0f} GB is the most"
        raise CorpusError(path, f"{key} unpacks to {size / 1e9:.1f} GB; {most}: split it")
    if size > _LARGE_BYTES and size > _MOST_RATIO * packed:
        most = f"{_MOST_RATIO} times is the most"
        raise CorpusError(
            path, f"{key} unpacks to {size // packed} times its size; {most}: is it a trap?"
        )
    with archive.open(info) as file:
        shape, by_column, dtype = _declared(path, file, key)
        declared, room = math.prod(shape) * dtype.itemsize, size - file.tell()
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise CorpusError(path, f"{key} must be numbers; it is {dtype}")
        if min(shape, default=0) < 0 or declared != room:
            raise CorpusError(path, f"{key} is broken: {dtype} {shape} in {room} bytes")
        order: Literal["C", "F"] = "F" if by_column else "C"
        return np.ndarray(shape, dtype, file.read(declared), order=order)


def _declared(
    path: Path, file: IO[bytes], key: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return an array's shape, whether it lies by columns, and its type; file is past them."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise CorpusError(path, f"{key} is in array format {version}, which is not known")
    if version == (1, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, by_column, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise CorpusError(path, f"{key} is pickled, which robojam never opens: {_CONVERT}")
    return shape, by_column, dtype


def _events(
    path: Path, key: str, rows: np.ndarray[Any, Any], columns: tuple[str, ...]
) -> Floats:
    """Return rows as floats, (N, D). Raises CorpusError where they are not what they say."""
    names = ", ".join(columns)
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise CorpusError(
            path, f"{key} must be (N, {len(columns)}): {names}; it is {rows.shape}"
        )
    # The narrowest float that holds them all exactly, and float32 at least.
    events = rows.astype(np.result_type(rows.dtype, np.float32))
    flags = events[:, -1]
    strange = np.flatnonzero((flags != 0) & (flags != 1) & ~np.isnan(flags))
    if len(strange):
        found = f"{flags[strange[0]]:g} in row {strange[0]}"
        raise CorpusError(
            path,
            f"{columns[-1]} must be 0 or 1, and is {found}: are {key} {names}, in this order?",
        )
    return events


def _lengths(
    path: Path, keys: tuple[str, str], lengths: np.ndarray[Any, Any], total: int
) -> Integers:
    """Return lengths as int64, (P,). Raises CorpusError where they do not sum to total."""
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise CorpusError(
            path, f"{keys[1]} must be whole numbers (P,); it is {lengths.dtype} {lengths.shape}"
        )
    if len(lengths) == 0:
        raise CorpusError(path, "holds no performances")
    if lengths.min() < 0:
        raise CorpusError(path, f"{keys[1]} holds a negative one, {lengths.min()}")
    found = lengths.sum(dtype=np.float64)  # whole numbers would wrap around at absurd ones
    if found != total:
        raise CorpusError(
            path,
            f"{keys[1]} must sum to the {total} rows of {keys[0]}; they sum to {found:.0f}",
        )
    return lengths.astype(np.int64)


def _read_session(path: Path, split: str | None, machine: bool) -> _Parts:  # noqa: FBT001
    if split is not None:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    try:
        recorded = session.read(path)
    except session.SessionError as error:
        where = "" if error.line is None else f"line {error.line}: "
        raise CorpusError(path, f"{where}{error.why}") from error
    if machine:
        voices: dict[str, list[tuple[float, ...]]] = {}
        for event in recorded.touches():
            touch = event.touch
            if is_machine(touch.who) and touch.phase is not Phase.UP:
                moving = float(touch.phase is Phase.MOVE)
                voices.setdefault(touch.who, []).append((touch.x, touch.y, touch.dt, moving))
        parts = list(voices.values())
    else:
        stream = heard(recorded.touches())
        parts = [stream] if stream else []
    rows = [row for part in parts for row in part]
    events = np.array(rows, dtype=np.float64).reshape(-1, len(TOUCH))
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    dropped = {"torn last line": 1} if recorded.warnings else {}
    return events, lengths, TOUCH, path.name, dropped


def heard(touches: Iterable[TouchEvent]) -> list[tuple[float, ...]]:
    """Return the humans' touches as the model hears them, one stream of (x, y, dt, moving).

    It follows the finger that landed last, whoever's; when that lifts, the one still down
    that landed last, whose next touch is a landing. dt is the time since the stream's last
    touch, 0 for the first: the recorded one where that says the same, as a player with its
    own clock means it exactly.
    """
    stream: list[tuple[float, ...]] = []
    held: list[tuple[str, int]] = []  # the fingers down, in order of landing
    followed: tuple[str, int] | None = None
    before = 0.0
    # For each human, how long the stream was once their last touch was in it; -1: it is not.
    place: dict[str, int] = {}
    for event in touches:
        touch = event.touch
        finger = (touch.who, touch.id)
        if is_machine(touch.who):
            continue
        landing = touch.phase is Phase.DOWN or finger not in held
        if finger in held and touch.phase is not Phase.MOVE:
            held.remove(finger)
        if touch.phase is Phase.UP:
            continue
        if landing:
            held.append(finger)
        if finger != held[-1]:
            place[touch.who] = -1
            continue
        same = place.get(touch.who) == len(stream)
        dt = 0.0 if not stream else touch.dt if same else event.t - before
        stream.append((touch.x, touch.y, dt, float(finger == followed and not landing)))
        followed, before, place[touch.who] = finger, event.t, len(stream)
    return stream


#: How a file begins, and who reads it.
_READERS: tuple[tuple[bytes, Callable[[Path, str | None, bool], _Parts]], ...] = (
    (b"PK", _read_npz),
    (b"{", _read_session),
)
