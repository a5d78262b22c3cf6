"""Performances as numpy arrays: .npz and .npy, read without ever unpickling.

What a file declares is checked before memory is given to it.
"""

from __future__ import annotations

import math
import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from robojam.corpus.corpus import LARGE, STROKE, TOUCH, CorpusError, Integers
from robojam.corpus.formats.parts import Parts, flagged, timed
from robojam.corpus.stored_rows import Floats, Rows, Stored, floats

#: No array may unpack to more bytes than this, nor, where it is large, shrink this much.
_MOST_BYTES = 8 * 10**9
_LARGE_BYTES = 64 * 10**6
_MOST_RATIO = 100  # touches shrink to a half, a kanji to a third

CONVERT = (
    "convert it with the program that made it, to np.savez(file, touches=…, lengths=…) with "
    "touches float32 (N, 4): x, y, dt, moving, and lengths int32 (P,)"
)


def read_npz(path: Path, split: str | None, *, machine: bool = False) -> Parts:  # noqa: ARG001
    """Read an archive of arrays. Raises CorpusError."""
    with ExitStack() as opened:  # whatever is wrong closes the file
        parts = _read_npz(path, split, opened)
        opened.pop_all()
    return parts


def _read_npz(path: Path, split: str | None, opened: ExitStack) -> Parts:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            keys, columns, name = _layout(path, archive, names, split)
            if columns is None:
                return _performances(path, [(k, _array(path, archive, k)) for k in keys], split)
            stored = _stored(path, archive, keys[0], columns, opened)
            rows = _array(path, archive, keys[0]) if stored is None else stored
            lengths = _array(path, archive, keys[1])
    except CorpusError:
        raise
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    except Exception as error:  # a broken archive can make zipfile raise nearly anything
        raise CorpusError(path, f"is damaged, or no .npz: {error}") from error
    divided = _lengths(path, keys, lengths, len(rows))
    events: Rows
    if isinstance(rows, Stored):
        events = rows
    elif columns == TOUCH and rows.ndim == 2 and rows.shape[1] == 3:
        return timed(_floats(rows), divided, name, "arrays")
    else:
        events = _events(path, keys[0], rows, columns)
    return flagged(path, Parts(events, divided, columns, name))


def read_npy(path: Path, split: str | None, *, machine: bool = False) -> Parts:  # noqa: ARG001
    """Read one array: a performance (N, 3 or 4), or several (P, T, 3 or 4)."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            return _performances(
                path, [(path.name, _filled(path, file, path.name, size))], split
            )
    except CorpusError:
        raise
    except MemoryError as error:
        raise CorpusError(path, "does not fit into this machine's memory: split it") from error
    except Exception as error:  # as above
        raise CorpusError(path, f"is damaged, or no .npy: {error}") from error


def _layout(
    path: Path, archive: zipfile.ZipFile, names: list[str], split: str | None
) -> tuple[list[str], tuple[str, ...] | None, str]:
    """Return the keys of an archive's events and lengths, its columns, the corpus's name.

    Without columns, every key is a performance of its own.
    """
    columns: tuple[str, ...]
    splits = sorted(n.removesuffix("_strokes") for n in names if n.endswith("_strokes"))
    if "touches" in names:
        _whole(path, split)
        keys, columns, name = ["touches", "lengths"], TOUCH, path.name
    elif splits:
        chosen = split or ("train" if "train" in splits else splits[0])
        if chosen not in splits:
            raise CorpusError(path, f"has no split {chosen!r}, only {', '.join(splits)}")
        keys, columns = [f"{chosen}_strokes", f"{chosen}_lengths"], STROKE
        name = f"{path.name} ({chosen})"
    else:
        shaped = [_shape(path, archive, key) for key in names]
        if names and all(len(s) in (2, 3) and s[-1] in (3, 4) for s in shaped):
            return names, None, path.name
        held = ", ".join(names[:8]) or "nothing"
        raise CorpusError(path, f"holds {held}, but no touches and lengths: {CONVERT}")
    missing = [key for key in keys if key not in names]
    if missing:
        raise CorpusError(path, f"has {keys[0]}, but no {missing[0]} to divide them by")
    return keys, columns, name


def _whole(path: Path, split: str | None) -> None:
    if split is not None:
        raise CorpusError(path, f"has no split {split!r}: it is whole")


def _shape(path: Path, archive: zipfile.ZipFile, key: str) -> tuple[int, ...]:
    with archive.open(f"{key}.npy") as file:
        return _declared(path, file, key)[0]  # a pickle is what is to be told, where it is one


def _performances(
    path: Path, arrays: list[tuple[str, np.ndarray[Any, Any]]], split: str | None
) -> Parts:
    """Join arrays (N, 3 or 4) and (P, T, 3 or 4), all of them performances."""
    _whole(path, split)
    known, lengths, rows = True, [], []
    for key, array in arrays:
        if array.ndim not in (2, 3) or array.shape[-1] not in (3, 4):
            raise CorpusError(
                path, f"{key} must be (N, 4): x, y, dt, moving, or (N, 3); it is {array.shape}"
            )
        lengths += [array.shape[-2]] * (1 if array.ndim == 2 else len(array))
        flat = array.reshape(-1, array.shape[-1])
        known = known and flat.shape[1] == 4
        rows.append(flat)
    if not lengths:
        raise CorpusError(path, "holds no performances")
    divided = np.array(lengths, np.int64)
    if known:
        joined = np.concatenate(rows)
        events = _events(path, arrays[0][0], joined, TOUCH)
        return flagged(path, Parts(events, divided, TOUCH, path.name))
    joined = np.concatenate([part[:, :3] for part in rows])
    return timed(_floats(joined), divided, path.name, "RoboJam arrays")


def _array(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray[Any, Any]:
    """Read one array, having checked that what it declares can be, and is no pickle."""
    info = archive.getinfo(f"{key}.npy")
    size, packed = info.file_size, max(info.compress_size, 1)
    if size > _LARGE_BYTES and size > _MOST_RATIO * packed:
        most = f"{_MOST_RATIO} times is the most"
        raise CorpusError(
            path, f"{key} unpacks to {size // packed} times its size; {most}: is it a trap?"
        )
    with archive.open(info) as file:
        return _filled(path, file, key, size)


def _stored(
    path: Path,
    archive: zipfile.ZipFile,
    key: str,
    columns: tuple[str, ...],
    opened: ExitStack,
) -> Stored | None:
    """Leave rows (N, D) where they lie, if they are many and lie there as they are.

    opened will hold their file.
    """
    info = archive.getinfo(f"{key}.npy")
    if info.file_size < LARGE or info.compress_type != zipfile.ZIP_STORED:
        return None
    with archive.open(info) as file:
        shape, by_column, dtype = _declared(path, file, key)
        if by_column or len(shape) != 2 or shape[1] != len(columns):
            return None
        _check(path, key, shape, dtype, info.file_size - file.tell())
        begin = file.tell()
        lying = opened.enter_context(path.open("rb"))
        lying.seek(info.header_offset + 26)  # of the entry, where its name's length is
        name, extra = struct.unpack("<HH", lying.read(4))
        rows = Stored(lying, info.header_offset + 30 + name + extra + begin, shape, dtype)
        rows.watch()
        while file.read(1 << 20):  # all of it is there, and its checksum is right
            pass
    return rows


def _filled(path: Path, file: IO[bytes], key: str, size: int) -> np.ndarray[Any, Any]:
    """Read the array that begins here, of so many bytes in all."""
    if size > _MOST_BYTES:
        most = f"{_MOST_BYTES / 1e9:.0f} GB is the most"
        raise CorpusError(
            path,
            f"{key} unpacks to {size / 1e9:.1f} GB; {most}: split it, or do not pack it "
            "(np.savez)",
        )
    shape, by_column, dtype = _declared(path, file, key)
    room = size - file.tell()
    _check(path, key, shape, dtype, room)
    order: Literal["C", "F"] = "F" if by_column else "C"
    return np.ndarray(shape, dtype, file.read(room), order=order)


def _check(
    path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], room: int
) -> None:
    """Raise CorpusError for what are no numbers, or do not fill that many bytes."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise CorpusError(path, f"{key} must be numbers; it is {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != room:
        raise CorpusError(path, f"{key} is broken: {dtype} {shape} in {room} bytes")


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
        raise CorpusError(path, f"{key} is pickled, which robojam never opens: {CONVERT}")
    return shape, by_column, dtype


def _floats(rows: np.ndarray[Any, Any]) -> Floats:
    """Return the narrowest floats that hold them all exactly, and float32 at least."""
    return rows.astype(floats(rows.dtype))


def _events(
    path: Path, key: str, rows: np.ndarray[Any, Any], columns: tuple[str, ...]
) -> Floats:
    """Return rows as floats, (N, D). Raises CorpusError where they are not what they say."""
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        names = ", ".join(columns)
        raise CorpusError(
            path, f"{key} must be (N, {len(columns)}): {names}; it is {rows.shape}"
        )
    return _floats(rows)


def _lengths(
    path: Path, keys: list[str], lengths: np.ndarray[Any, Any], total: int
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
