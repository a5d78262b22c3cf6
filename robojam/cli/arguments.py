"""What the commands share: how they read an argument, and how they refuse one."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from robojam.config.load import OptionsError, resolve
from robojam.config.options import BY_FIELD, Options

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus

#: A command: its name, what it is for, what adds its arguments, and what runs it.
Command = tuple[
    str, str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]
]


def fail(why: object, status: int = 2) -> NoReturn:
    """Say in one line what is wrong, and leave."""
    print(f"robojam: {' '.join(str(why).split())}", file=sys.stderr)
    raise SystemExit(status)


def options(chosen: argparse.Namespace) -> Options:
    """Resolve the options of a jam, or leave."""
    try:
        given = {n: v for n, v in vars(chosen).items() if n in BY_FIELD}
        return resolve(given, chosen.config)
    except OptionsError as error:
        fail(error)


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, below 1,000,000")
    return value


def count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not (text.isdecimal() and 0 < int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def clock(seconds: float) -> str:
    """Write a length of time as a clock would: 4:05, or 1:02:03."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def performances(count: int) -> str:
    """Count performances."""
    return f"{count:,} performance{'' if count == 1 else 's'}"


def columns(rows: list[tuple[str, ...]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Lay rows out under their heads, the first of them; right are columns of numbers.

    A thousand rows take rich's tables half a second.
    """
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("─" * width for width in wide))
    for row in rows:
        cells = zip(row, wide, strict=True)
        laid = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(cells)]
        yield "  ".join(laid).rstrip()


def told(corpora: Iterable[Corpus]) -> list[str]:
    """Say what was left out of each corpus or altered in it, in lines."""
    return [f"{corpus.name}: {line}" for corpus in corpora for line in corpus.notes]


def writable(path: Path, *, option: str = "--to") -> None:
    """Leave where no file can be written at that place, which an option names."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        fail(f"{option} {path}: not a file in a folder that can be written to")


def whole(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not (text.isdecimal() and int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seed(text: str) -> int:
    """Read a seed."""
    if not (text.isdecimal() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at most 63 bits")
    return int(text)


@contextmanager
def held_back_interrupt() -> Iterator[Callable[[], bool]]:
    """Let a first Ctrl-C wait until it is asked for; a second one interrupts at once."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, _frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
