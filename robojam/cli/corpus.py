"""The command corpus: performances from any program, described, joined and cleaned."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import click

from robojam.cli.arguments import (
    Command,
    json_option,
    knobs_option,
    option,
    output_file,
    paths_argument,
    pressure_option,
    strict_option,
    units_option,
)
from robojam.cli.output import count_performances, duration, fail, keep_data, warn

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus
    from robojam.corpus.units import Units


@click.command(cls=Command)
@paths_argument("DATA", "files and folders: .npz, .npy, CSV, IMPSY and Metatone logs, sessions")
@option("--to FILE.npz", "file to write them to, clean and joined", output_file)
@option("--machine", "read what the machine played in sessions and logs, not the humans")
@units_option
@strict_option
@knobs_option
@pressure_option
@json_option
def corpus(*, paths: tuple[Path, ...], to: Path | None, **given: Any) -> int:
    """Show what is in performances from any program; --to joins and cleans them."""
    if given["knobs"] and given["pressure"]:
        fail("--pressure is of touches: without --knobs")
    if to is not None:
        keep_data([to], paths)
    try:  # clean rows wait in a file beside --to: they need not fit into memory
        with nullcontext() if to is None else TemporaryFile(dir=to.parent) as rows:
            return _describe(paths, to, rows, **given)
    except OSError as error:
        if to is None or isinstance(error, BrokenPipeError):  # which cli.main handles
            raise
        fail(f"{to} cannot be written: {error.strerror or error}")


def _describe(
    data: Iterable[Path],
    to: Path | None,
    rows: IO[Any] | None,
    *,
    machine: bool,
    units: Units | None,
    strict: bool,
    knobs: bool,
    pressure: bool,
    as_json: bool,
) -> int:
    """Print what is in the files; write them to one file, over the temporary file rows.

    Returns 2, and writes nothing, if one of the named files and folders cannot be read; a
    file in a folder that cannot be read is left out.
    """
    from robojam.corpus.corpus import CorpusError, clean, join, write
    from robojam.corpus.formats import read_all
    from robojam.corpus.summary import summarise

    refused: list[str] = []

    def refuse(error: ValueError) -> None:
        warn(error)
        refused.append(str(error))

    corpora, status = [], 0
    for path in data:
        try:
            for corpus in read_all(
                [path],
                machine=machine,
                units=units,
                strict=strict,
                knobs=knobs,
                pressure=pressure,
                on_error=refuse,
            ):
                try:
                    corpora.append(clean(corpus, into=rows))
                except ValueError as error:  # too large: go on with the others
                    refuse(error)
                    status = 2
        except CorpusError as error:
            refuse(error)
            status = 2
    filled = [corpus for corpus in corpora if len(corpus.events)]
    summary: dict[str, Any] = {"files": [summarise(corpus) for corpus in corpora]}
    try:
        joined = join(filled) if filled else None
    except ValueError as error:
        fail(error)
    if joined is not None:
        summary["all"] = summarise(joined)
        if (
            to is not None and not status
        ):  # before anything is printed: the reader of the output may leave
            write(joined, to)
    summary["refused"] = refused
    if as_json:
        print(json.dumps(summary))
    elif corpora:
        print("\n".join(_lines(summary, corpora)))
    if joined is None:
        if not corpora:  # each was refused, and the reasons are printed
            return 2
        fail("nothing is left: no performance of two touches or more")
    if to is not None and not status:
        print(f"to {to}", file=sys.stderr if as_json else sys.stdout)
    elif to is not None:
        warn(f"{to} is not written: what cannot be read would be missing in it")
    return status


def _lines(summary: dict[str, Any], corpora: list[Corpus]) -> Iterator[str]:
    """Return the summary as text: each file with what was left out of it, then all of them."""
    for corpus, file in zip(corpora, summary["files"], strict=True):
        yield f"{file['name']} ({file['source']}): {_counts(file)}"
        yield from (f"    {note}" for note in corpus.notes)
    if "all" not in summary:
        return
    total, of_knobs = summary["all"], "knobs" in summary["all"]
    what = _what(total)
    yield ""
    yield f"in all         {_counts(total)}"
    several = total["performances"] > 1
    if several:
        low, first, half, third, high = total["quartiles"]["touches"]
        quarters = f"half have {first:,.0f} to {third:,.0f} {what}, the middle one {half:,.0f}"
        yield f"a performance  {quarters}; {low:,.0f} to {high:,.0f} in all"
    if "seconds" not in total:
        return
    if several:
        low, first, half, third, high = map(_seconds, total["quartiles"]["seconds"])
        quarters = f"half last {first} to {third}, the middle one {half}"
        yield f"               {quarters}; {low} to {high} in all"
    share = 100 * total["landings"] / total["touches"]
    origin = "as they were recorded"
    if of_knobs:
        yield f"pauses         {share:.1f} % of the events come after a pause"
    elif total["inferred"]:
        origin = f"of {total['inferred']:,} touches inferred: 92 of 100 landings are found so"
    if not of_knobs:
        yield f"phases         {share:.1f} % of the touches are landings; {origin}"
    screens = [
        (f"1/{n} ({count})" if n != "0" else f"none to be seen ({count})")
        for n, count in list(total["screens"].items())[:8]
    ]
    sample = total["screens_of"]
    limit = f", of the first {sample:,}" if sample < total["performances"] else ""
    yield f"lattices       {', '.join(screens)}{limit}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else duration(seconds)


def _counts(summary: dict[str, Any]) -> str:
    seconds = summary.get("seconds")
    length = "" if seconds is None else f", {duration(seconds)} of playing"
    performances = count_performances(summary["performances"])
    knobs = f" of {count} knob{'s' * (count > 1)}" if (count := summary.get("knobs")) else ""
    return f"{performances}{knobs}, {summary['touches']:,} {_what(summary)}{length}"


def _what(summary: dict[str, Any]) -> str:
    return "events" if "knobs" in summary else "touches"
