"""Errors, warnings and text in the form in which commands print them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from robojam.system.shell import printable

if TYPE_CHECKING:
    from pathlib import Path

    from robojam.corpus.corpus import Corpus


def fail(reason: object, status: int = 2) -> NoReturn:
    """Print in one line what is wrong, and exit with a status."""
    warn(reason)
    raise SystemExit(status)


def warn(text: object) -> None:
    """Print a line to standard error, as robojam's."""
    print(warning_line(text), file=sys.stderr, flush=True)


def warning_line(text: object) -> str:
    """Return a text as the line of a warning."""
    return f"robojam: {printable(' '.join(str(text).split()))}"


def keep_data(outputs: Iterable[Path], data: Iterable[Path]) -> None:
    """Exit with a message if an output would replace one of the files that are read."""
    existing = [path for path in outputs if path.is_file()]
    for path in data:
        for output in existing:
            if path.is_file() and path.samefile(output):
                fail(f"{output} is among the data and would be replaced: name another file")


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on the terminal how many parts of some work have ended: (ended, of them)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(ended: int, total: int) -> None:
            bar.update(task, completed=ended, total=total)

        yield show


def leave_out(error: object) -> None:
    """Warn of a file in a folder that cannot be read."""
    warn(f"{error}; it is left out")


def duration(seconds: float) -> str:
    """Return a length of time as on a clock: 4:05, or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def count_performances(count: int) -> str:
    """Return a number of performances in words: "1 performance"."""
    return f"{count:,} performance{'' if count == 1 else 's'}"


def corpus_notes(corpora: Iterable[Corpus]) -> list[str]:
    """Return lines that say what was left out of each corpus or changed in it."""
    return [f"{corpus.name}: {note}" for corpus in corpora for note in corpus.notes]


def table_lines(
    rows: Sequence[tuple[str, ...]], *, right_aligned: Collection[int] = ()
) -> Iterator[str]:
    """Lay out rows of cells, of which the first are the headings, in columns.

    right_aligned are the columns of numbers. (rich takes half a second for a thousand rows.)
    """
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if column in right_aligned else "<" for column in range(len(widths))]
    heading, *body = rows
    for row in (heading, tuple("─" * width for width in widths), *body):
        cells = zip(row, widths, sides, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, width, side in cells).rstrip()
