"""Pickled performances and drawings, converted to arrays that robojam reads.

    python examples/convert_pickled.py kanji.npz --to drawings.npz

A pickle can run any program when it is opened, so robojam never opens one. This program does,
and it is you who decides to run it: convert files of people whom you trust. It is careful all
the same: it makes numpy arrays, lists, tuples, dictionaries, numbers and text of what is in
the file, and refuses everything else by its name.

It knows these forms, in .npz, .npy and pickles of Python 2 and 3:

  - drawings as sketch-rnn stores them: train, valid and test, each an array of arrays (n, 3)
    of dx, dy, pen lifted. They become train_strokes, train_lengths and so on.
  - IMPSY's data sets: perfs, an array of arrays (n, 3) of dt, x, y; or of another number of
    values, which are those of knobs, and become knobs and lengths
  - touches: a list or an array of arrays (n, 3) of x, y, dt, or (n, 4) of x, y, dt, moving.
    These and IMPSY's of x and y become touches and lengths.

--kind says which it is where the file does not tell.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import CorpusError
from robojam.corpus.formats import read

SPLITS = ("train", "valid", "test")
KINDS = ("strokes", "touches", "impsy")


class ConversionError(ValueError):
    """A file that cannot be converted; the text says why."""


def _encode(text: str, encoding: str) -> bytes:
    """Make bytes of text, which is how Python 3 pickles bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r:.40}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Make what Python 3 pickles for Python 2 in the place of no bytes."""
    return b""


_ARRAY = np.zeros(1)
#: Functions that a pickle may call, by module (numpy has renamed some of its own) and its name.
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}
for _package in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _ARRAY.__reduce_ex__(2)[0]
    _ALLOWED[f"{_package}.multiarray", "scalar"] = _ARRAY[0].__reduce__()[0]
    _ALLOWED[f"{_package}.numeric", "_frombuffer"] = _ARRAY.__reduce_ex__(5)[0]


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler of arrays and of Python's own containers, and of nothing else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # the encoding of Python 2's arrays

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Return what a pickle wants to call. Raises pickle.UnpicklingError if it may not."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module!r:.60} {name!r:.60}")
        return _ALLOWED[module, name]


def unpickle(file: IO[bytes]) -> Any:
    """Read a pickle of arrays. Raises ConversionError."""
    try:
        return ArrayUnpickler(file).load()
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"it is damaged, or wants more than arrays, and is not opened: {error}"
        ) from error
    except Exception as error:  # a damaged pickle can make numpy raise nearly anything
        raise ConversionError(f"it is damaged: {error}") from error


def load(path: Path) -> dict[str, Any]:
    """Return what is in an .npz, an .npy or a pickle, by name. Raises ConversionError."""
    start = path.open("rb").read(8)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _load_npy(archive.open(name))
                for name in archive.namelist()
                if name.endswith(".npy")
            }
    with path.open("rb") as file:
        loaded = _load_npy(file) if start.startswith(b"\x93NUMPY") else unpickle(file)
    return loaded if isinstance(loaded, dict) else {"": loaded}


def _load_npy(file: IO[bytes]) -> Any:
    """Read an .npy, pickled or not."""
    data = io.BytesIO(file.read())
    version = np.lib.format.read_magic(data)
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if header is None:
        raise ConversionError(f"its array format {version} is not known")
    if header(data)[2].hasobject:
        return unpickle(data)
    data.seek(0)
    return np.lib.format.read_array(data, allow_pickle=False)


def arrays(value: Any) -> list[NDArray[Any]]:
    """Return the arrays (n, D) in nested containers, in their order."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim == 2:
            return [value]
        if value.ndim == 3:
            return list(value)
        raise ConversionError(f"it has an array of the shape {value.shape}, not (n, 3 or 4)")
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise ConversionError(f"it has a {type(value).__name__} where an array should be")
    items = list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value)
    numbers = (int, float, np.integer, np.floating)
    if items and all(
        isinstance(row, (list, tuple)) and all(isinstance(n, numbers) for n in row)
        for row in items
    ):
        if len({len(row) for row in items}) > 1:
            raise ConversionError("it has rows of several lengths")
        return [np.array(items)]
    return [array for item in items for array in arrays(item)]


def kind_of(name: str, found: list[NDArray[Any]]) -> str:
    """Return the kind of the arrays of that name. Raises ConversionError where it is open."""
    widths = {array.shape[1] for array in found}
    if name in SPLITS:
        return "strokes"
    if name == "perfs":
        return "impsy"
    if widths == {4}:
        return "touches"
    if widths != {3}:
        raise ConversionError(f"its rows have {sorted(widths)} numbers, not 3 or 4")
    last = np.concatenate([array[:, 2] for array in found])
    return "strokes" if np.isin(last, (0, 1)).all() else "touches"


def convert(path: Path, to: Path, *, kind: str | None = None) -> str:
    """Convert a file; return what was written, in words. Raises ConversionError, OSError."""
    contents = {name: arrays(value) for name, value in load(path).items()}
    contents = {name: found for name, found in contents.items() if found}
    if not contents:
        raise ConversionError("it holds no arrays")
    kinds = {kind or kind_of(name, found) for name, found in contents.items()}
    if len(kinds) > 1:
        raise ConversionError("it holds drawings and touches: say --kind")
    chosen = kinds.pop()
    written: dict[str, NDArray[Any]] = {}
    if chosen == "strokes":
        drawings: dict[str, list[NDArray[Any]]] = {}
        for name, found in contents.items():
            drawings.setdefault(name if name in SPLITS else "train", []).extend(found)
        for split, found in drawings.items():
            written[f"{split}_strokes"] = _join(found, 3)
            written[f"{split}_lengths"] = np.array([len(a) for a in found], np.int32)
    else:
        found = [array for part in contents.values() for array in part]
        width = found[0].shape[1]
        rows = _join(found, width).astype(np.float32)
        if chosen == "impsy":
            rows = np.roll(rows, -1, axis=1)  # dt comes first
        written["touches" if chosen != "impsy" or width == 3 else "knobs"] = rows
        written["lengths"] = np.array([len(a) for a in found], np.int32)
    np.savez_compressed(to, **written)
    counts = [
        f"{name} {array.shape}"
        for name, array in written.items()
        if not name.endswith("lengths")
    ]
    return ", ".join(counts)


def _join(found: list[NDArray[Any]], width: int) -> NDArray[Any]:
    """Return arrays (n, width) as one: int16 if that holds their numbers, or float32."""
    if any(array.shape[1] != width for array in found):
        raise ConversionError(f"one of its arrays has no {width} columns")
    if any(array.dtype.kind not in "iufb" for array in found):
        raise ConversionError("one of its arrays holds no numbers")
    rows = np.concatenate(found)
    with np.errstate(invalid="ignore"):
        whole = rows.astype(np.int16)
    return whole if np.array_equal(whole, rows) else rows.astype(np.float32)


def fail(reason: object) -> NoReturn:
    print(f"convert_pickled: {reason}", file=sys.stderr)
    raise SystemExit(2)


def main() -> None:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="an .npz, .npy or pickle that you trust")
    parser.add_argument("--to", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--kind", choices=KINDS, help="what is in it, where it does not tell")
    args = parser.parse_args()
    if args.to.suffix != ".npz":
        fail(f"--to {args.to}: the file to write is an .npz")
    if args.to.exists() and args.file.exists() and args.to.samefile(args.file):
        fail(f"{args.to} is the file itself: name another")
    try:
        written = convert(args.file, args.to, kind=args.kind)
    except (ConversionError, zipfile.BadZipFile) as error:
        fail(f"{args.file}: {error}")
    except OSError as error:
        fail(f"{error.filename or args.file}: {error.strerror or error}")
    print(f"{args.to}: {written}")
    try:
        read(args.to)
    except CorpusError as error:
        fail(f"it is converted, but robojam does not take it as it is: {error}")


if __name__ == "__main__":
    main()
