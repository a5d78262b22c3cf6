"""Performances as numpy arrays: .npz and .npy files, read without unpickling.

The size that a file declares is checked before memory is allocated for it.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import (
    LARGE,
    STROKE,
    Corpus,
    CorpusError,
    Integers,
    check_flags,
    knob_corpus,
    name_rows,
    pressed,
    with_inferred_phases,
)
from robojam.corpus.stored_rows import FileRows, Floats, Rows, float_dtype
from robojam.corpus.units import UNKNOWN, Units, choose_knob_scaling, choose_scaling
from robojam.model.event import TOUCH, knob_columns
from robojam.system.shell import printable
from robojam.touch import MAX_KNOBS

#: An array may unpack to no more bytes than this.
_MOST_BYTES = 8 * 10**9
#: An array of more than _LARGE_BYTES may be compressed by no more than _MOST_RATIO: touches
#: compress to about a half, kanji to a third.
_LARGE_BYTES = 64 * 10**6
_MOST_RATIO = 100
#: An array's header may have no more bytes than this; numpy writes 128.
_MOST_HEADER = 1 << 14
#: An archive may have no more arrays than this.
_MOST_ARRAYS = 1 << 16

_TOUCHES = (
    "np.savez(file, touches=…, lengths=…) with touches float32 (N, 4): x, y, dt, moving, and "
    "lengths int32 (P,), the number of touches of each performance"
)
_STROKES = (
    "np.savez(file, train_strokes=…, train_lengths=…) with strokes int16 (N, 3): dx, dy, pen "
    "lifted after this point, and lengths int32 (P,), the number of points of each drawing"
)
_CONVERTER = "examples/convert_pickled.py does it, if you trust who made the file"
#: Names of the arrays in which sketch-rnn's files hold drawings, and of their splits here.
_DRAWINGS = re.compile(r"(train|valid|test)(_strokes|_lengths)?")


def pickle_advice(name: str) -> str:
    """Return how to convert a pickled array of that name, or a pickle, to what is read."""
    if _DRAWINGS.fullmatch(name):
        return f"convert it to {_STROKES}; {_CONVERTER}"
    if name in ("touches", "lengths", "perfs"):
        return f"convert it to {_TOUCHES}; {_CONVERTER}"
    return f"convert it to {_TOUCHES}; or for pen strokes {_STROKES}; {_CONVERTER}"


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a damaged file raises into a CorpusError."""
    try:
        yield
    except CorpusError:
        raise
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    except Exception as error:  # a broken archive can make zipfile raise nearly anything
        why = printable(f"{error!s:.200}") or type(error).__name__
        raise CorpusError(path, f"is damaged, or no {kind}: {why}") from error


def read_npz(
    path: Path, *, split: str | None = None, units: Units = UNKNOWN, pressure: bool = False
) -> Corpus:
    """Read an archive of arrays, with the pressures beside touches. Raises CorpusError."""
    with ExitStack() as opened:  # closes the file of stored rows on any error
        corpus = _read_npz(path, split, units, opened)
        opened.pop_all()
    return _with_pressures(path, corpus) if pressure and corpus.columns == TOUCH else corpus


def _with_pressures(path: Path, corpus: Corpus) -> Corpus:
    """Return touches with the pressures of their archive, if it has them."""
    with _reading(path, ".npz"), zipfile.ZipFile(path) as archive:
        if "pressure.npy" not in archive.namelist():
            return corpus
        _check_unpacked(path, archive, ["pressure"])
        pressures = _read_array(path, archive, "pressure")
    if pressures.shape != (len(corpus.events),) or pressures.dtype.kind not in "fiu":
        wanted = f"numbers (N,), one for each of the {len(corpus.events)} touches"
        found = f"{pressures.shape} {pressures.dtype}"
        raise CorpusError(path, f"pressure must be {wanted}; it is {found}")
    return pressed(corpus, pressures.astype(float_dtype(pressures.dtype)))


def _read_npz(path: Path, split: str | None, units: Units, opened: ExitStack) -> Corpus:
    with _reading(path, ".npz"), zipfile.ZipFile(path) as archive:
        keys, columns, name = _find_arrays(path, archive, split)
        _check_unpacked(path, archive, keys)
        if keys[0] == "knobs":
            events, declared = (_read_array(path, archive, key) for key in keys)
            total = len(events) if events.ndim else 0
            return _knobs(path, events, _check_lengths(path, keys, declared, total), units)
        if columns is None:
            loaded = [(k, _read_array(path, archive, k)) for k in keys]
            return _join_performances(path, loaded, units)
        stored = _open_stored_rows(path, archive, keys[0], len(columns), opened)
        rows = _read_array(path, archive, keys[0]) if stored is None else stored
        declared = _read_array(path, archive, keys[1])
    if isinstance(rows, np.ndarray) and rows.ndim != 2:
        wanted = f"(N, {len(columns)}): {', '.join(columns)}"
        raise CorpusError(path, f"{keys[0]} must be {wanted}; it is {rows.shape}")
    lengths = _check_lengths(path, keys, declared, len(rows))
    touches: Rows
    if isinstance(rows, FileRows):
        touches = rows
    elif columns == TOUCH and rows.ndim == 2 and rows.shape[1] == 3:
        touches = rows.astype(float_dtype(rows.dtype))
    else:
        touches = _check_events(path, keys[0], rows, columns)
    if columns == STROKE:
        return check_flags(path, Corpus(touches, lengths, columns, name))
    return _touches(path, touches, lengths, name, "arrays", units)


def _knobs(path: Path, rows: NDArray[Any], lengths: Integers, units: Units) -> Corpus:
    """Return events (N, n + 1) of n knobs in any units as a corpus. Raises CorpusError."""
    wanted = f"(N, n + 1): the values of 1 to {MAX_KNOBS} knobs, and dt"
    if rows.ndim != 2 or not 2 <= rows.shape[1] <= MAX_KNOBS + 1:
        raise CorpusError(path, f"knobs must be {wanted}; it is {rows.shape}")
    events: Floats = rows.astype(float_dtype(rows.dtype))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    if units.timing == "time":
        events[:, -1] = np.diff(events[:, -1], prepend=0)
        events[offsets[:-1][lengths > 0], -1] = 0
    names = knob_columns(rows.shape[1] - 1)

    def where(numbers: Integers) -> str:
        return name_rows(numbers, lengths, names)

    try:
        scaling, label = choose_knob_scaling(events, offsets, units, where)
    except ValueError as error:
        raise CorpusError(path, str(error)) from error
    corpus = knob_corpus(scaling(events), lengths, path.name, "arrays")
    dropped = {f"events read with --units {label}": len(events)} if label else {}
    return replace(corpus, dropped=dropped)


def _touches(
    path: Path, events: Rows, lengths: Integers, name: str, source: str, units: Units
) -> Corpus:
    """Return touches (N, 3 or 4) in any units as a corpus. Raises CorpusError."""
    has_phases = not isinstance(events, np.ndarray) or events.shape[1] == len(TOUCH)
    corpus = Corpus(events, lengths, TOUCH, name, source=source)
    if has_phases:
        check_flags(path, corpus)
    if units.timing == "time":
        if not isinstance(events, np.ndarray):
            reason = "is too large for --units time: store the time since the touch before"
            raise CorpusError(path, reason)
        events = events.copy()
        events[:, 2] = np.diff(events[:, 2], prepend=0)
        events[corpus.offsets[:-1][lengths > 0], 2] = 0

    def where(rows: Integers) -> str:
        return name_rows(rows, lengths, TOUCH)

    try:
        scaling, label = choose_scaling(events, corpus.offsets, units, where)
    except ValueError as error:
        raise CorpusError(path, str(error)) from error
    if not isinstance(events, np.ndarray):
        assert isinstance(events, FileRows)
        events.transform = scaling if label else None
    elif has_phases:
        events = scaling(events)
    else:
        corpus = with_inferred_phases(scaling(events), lengths, name, source)
        events = corpus.events
    dropped = {f"touches read with --units {label}": len(events)} if label else {}
    return replace(corpus, events=events, dropped=dropped)


def read_npy(path: Path, *, units: Units = UNKNOWN) -> Corpus:
    """Read an array (N, 3 or 4) or (P, T, 3 or 4). Raises CorpusError, and OSError."""
    size = path.stat().st_size
    with _reading(path, ".npy"), path.open("rb") as file:
        array = _read_npy(path, file, path.name, size)
        return _join_performances(path, [(path.name, array)], units)


def _find_arrays(
    path: Path, archive: zipfile.ZipFile, split: str | None
) -> tuple[list[str], tuple[str, ...] | None, str]:
    """Return the keys of an archive's events and lengths, its columns, and the corpus's name.

    If the columns are None, each key is an array of performances.
    """
    names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    if len(names) > _MOST_ARRAYS:
        raise CorpusError(path, f"holds {len(names):,} arrays; {_MOST_ARRAYS:,} are the most")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise CorpusError(path, f"holds {printable(twice)!s:.80} more than once")
    columns: tuple[str, ...] | None
    splits = sorted(n.removesuffix("_strokes") for n in names if n.endswith("_strokes"))
    if "knobs" in names:
        keys, columns, name = ["knobs", "lengths"], None, path.name
    elif "touches" in names:
        keys, columns, name = ["touches", "lengths"], TOUCH, path.name
    elif splits:
        chosen = split or ("train" if "train" in splits else splits[0])
        if chosen not in splits:
            raise CorpusError(path, f"has no split {chosen!r}, only {', '.join(splits)}")
        keys, columns = [f"{chosen}_strokes", f"{chosen}_lengths"], STROKE
        name = f"{path.name} ({chosen})"
    else:
        shapes = []
        for key in names:
            with archive.open(f"{key}.npy") as file:  # pickles are refused here
                shapes.append(_read_header(path, file, key)[0])
        if names and all(len(s) in (2, 3) and s[-1] in (3, 4) for s in shapes):
            return names, None, path.name
        files = archive.namelist()
        if any(file.startswith("xl/") or file == "content.xml" for file in files):
            raise CorpusError(path, "is a spreadsheet: save its touches as CSV")
        if files and not names:
            inside = ", ".join(files[:3]) + (", …" if len(files) > 3 else "")
            raise CorpusError(path, f"is a zip archive of {inside}: unpack it first")
        contents = ", ".join(names[:8]) or "nothing"
        advice = f"convert it to {_TOUCHES}; or for pen strokes {_STROKES}"
        reason = f"holds {contents}, but no touches and lengths: {advice}"
        raise CorpusError(path, reason)
    missing = [key for key in keys if key not in names]
    if missing:
        raise CorpusError(path, f"has {keys[0]}, but no {missing[0]} to divide them by")
    return keys, columns, name


def _join_performances(
    path: Path, arrays: list[tuple[str, NDArray[Any]]], units: Units
) -> Corpus:
    """Return arrays (N, 3 or 4) and (P, T, 3 or 4) of performances as one corpus."""
    has_phases, lengths, blocks = True, [], []
    for key, array in arrays:
        if array.ndim not in (2, 3) or array.shape[-1] not in (3, 4):
            wanted = "(N, 4): x, y, dt, moving, or (N, 3)"
            raise CorpusError(path, f"{key} must be {wanted}; it is {array.shape}")
        if not array.size:  # it may claim any number of performances of no touches
            continue
        lengths += [array.shape[-2]] * (1 if array.ndim == 2 else len(array))
        rows = array.reshape(-1, array.shape[-1])
        has_phases = has_phases and rows.shape[1] == 4
        blocks.append(rows)
    if not lengths:
        raise CorpusError(path, "holds no performances")
    all_lengths = np.array(lengths, np.int64)
    if has_phases:
        events = _check_events(path, arrays[0][0], np.concatenate(blocks), TOUCH)
        return _touches(path, events, all_lengths, path.name, "arrays", units)
    touches = np.concatenate([rows[:, :3] for rows in blocks])
    touches = touches.astype(float_dtype(touches.dtype))
    return _touches(path, touches, all_lengths, path.name, "RoboJam arrays", units)


def _check_unpacked(path: Path, archive: zipfile.ZipFile, keys: list[str]) -> None:
    """Raise CorpusError where arrays of these keys together are too large, or packed too well.

    A large one that stays in its file is not packed.
    """
    members = [archive.getinfo(f"{key}.npy") for key in keys]
    if sum(each.compress_size for each in members) > path.stat().st_size:
        raise CorpusError(path, "is damaged: its arrays share their bytes")
    packed = [each for each in members if each.compress_type != zipfile.ZIP_STORED]
    size, least = sum(m.file_size for m in packed), sum(m.compress_size for m in packed)
    what = f"{keys[0]} unpacks" if len(keys) < 3 else f"{len(keys)} arrays unpack"
    if size > _LARGE_BYTES and size > _MOST_RATIO * max(least, 1):
        ratio = f"{size // max(least, 1)} times its size; {_MOST_RATIO} times is the most"
        raise CorpusError(path, f"{what} to {ratio}: is it a trap?")
    if size > _MOST_BYTES:
        raise CorpusError(path, f"{what} to {_too_much(size)}")


def _too_much(size: int) -> str:
    most = f"{_MOST_BYTES / 1e9:.0f} GB is the most"
    return f"{size / 1e9:.1f} GB; {most}: split it, or do not pack it (np.savez)"


def _read_array(path: Path, archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """Read one array, after checks of its declared size, and that it is no pickle."""
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as file:
        return _read_npy(path, file, key, info.file_size)


def _open_stored_rows(
    path: Path, archive: zipfile.ZipFile, key: str, width: int, opened: ExitStack
) -> FileRows | None:
    """Return rows (N, D) in a file, added to opened, if they are large and uncompressed."""
    info = archive.getinfo(f"{key}.npy")
    if info.file_size < LARGE or info.compress_type != zipfile.ZIP_STORED:
        return None
    with archive.open(info) as file:
        shape, fortran_order, dtype = _read_header(path, file, key)
        if fortran_order or len(shape) != 2 or shape[1] != width:
            return None
        _check_size(path, key, shape, dtype, info.file_size - file.tell())
        data_offset = file.tell()
        rows_file = opened.enter_context(path.open("rb"))
        # In the zip entry's local header: the lengths of its name and of its extra field.
        rows_file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", rows_file.read(4))
        offset = info.header_offset + 30 + name + extra + data_offset
        rows = FileRows(rows_file, offset, shape, dtype)
        rows.require_unchanged()
        while file.read(1 << 20):  # to check that the entry is complete, and its CRC
            pass
    return rows


def _read_npy(path: Path, file: IO[bytes], key: str, size: int) -> NDArray[Any]:
    """Read the array that begins at the file's position; size is that of the .npy in bytes."""
    if size > _MOST_BYTES:
        raise CorpusError(path, f"{key} unpacks to {_too_much(size)}")
    shape, fortran_order, dtype = _read_header(path, file, key)
    data_size = size - file.tell()
    _check_size(path, key, shape, dtype, data_size)
    order: Literal["C", "F"] = "F" if fortran_order else "C"
    return np.ndarray(shape, dtype, file.read(data_size), order=order)


def _check_size(
    path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], data_size: int
) -> None:
    """Raise CorpusError unless the array holds numbers and fills data_size bytes."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise CorpusError(path, f"{key} must be numbers; it is {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != data_size:
        raise CorpusError(path, f"{key} is broken: {dtype} {shape} in {data_size} bytes")


def _read_header(
    path: Path, file: IO[bytes], key: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, Fortran order and dtype of an .npy. Raises CorpusError for a pickle."""
    start = io.BytesIO(file.read(_MOST_HEADER))  # it may claim to have 4 GB
    formats = np.lib.format
    version = formats.read_magic(start)
    if version not in ((1, 0), (2, 0)):
        raise CorpusError(path, f"{key} is in array format {version}, which is not known")
    read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that is written oddly
        shape, fortran_order, dtype = read(start)
    file.seek(start.tell())
    if dtype.hasobject:
        reason = f"{key} is pickled, which robojam never opens: {pickle_advice(key)}"
        raise CorpusError(path, reason)
    return shape, fortran_order, dtype


def _check_events(path: Path, key: str, rows: NDArray[Any], columns: tuple[str, ...]) -> Floats:
    """Return rows (N, D) as floats. Raises CorpusError for another shape."""
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        wanted = f"(N, {len(columns)}): {', '.join(columns)}"
        raise CorpusError(path, f"{key} must be {wanted}; it is {rows.shape}")
    return rows.astype(float_dtype(rows.dtype))


def _check_lengths(path: Path, keys: list[str], lengths: NDArray[Any], total: int) -> Integers:
    """Return lengths as int64 (P,). Raises CorpusError unless they sum to total."""
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        found = f"{lengths.dtype} {lengths.shape}"
        raise CorpusError(path, f"{keys[1]} must be whole numbers (P,); it is {found}")
    if len(lengths) == 0:
        raise CorpusError(path, "holds no performances")
    if lengths.min() < 0:
        raise CorpusError(path, f"{keys[1]} holds a negative one, {lengths.min()}")
    summed = lengths.sum(dtype=np.float64)  # an integer sum would overflow at absurd lengths
    if summed != total:
        wanted = f"{keys[1]} must sum to the {total} rows of {keys[0]}"
        raise CorpusError(path, f"{wanted}; they sum to {summed:.0f}")
    return lengths.astype(np.int64)
