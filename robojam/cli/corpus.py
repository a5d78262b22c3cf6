"""corpus: what is in performances from any program; joined and cleaned."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="+",
        type=Path,
        help="files and folders: .npz, .npy, MicroJam CSV, IMPSY logs, sessions",
    )
    parser.add_argument("--to", metavar="FILE.npz", type=Path, help="join and clean them")
    parser.add_argument(
        "--machine",
        action="store_true",
        help="what the machine played, in sessions and logs, not the humans",
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def _corpus(chosen: argparse.Namespace) -> int:
    if chosen.to is None:
        return _told(chosen, None)
    arguments.writable(chosen.to)
    # What is clean waits there for the file that it goes into: it need not fit in memory.
    try:
        with TemporaryFile(dir=chosen.to.parent) as room:
            return _told(chosen, room)
    except BrokenPipeError:  # nobody reads what is told: main knows what to do
        raise
    except OSError as error:
        arguments.fail(f"{chosen.to} cannot be written: {error.strerror or error}")


def _told(chosen: argparse.Namespace, room: IO[bytes] | None) -> int:
    from robojam.corpus.corpus import CorpusError, clean, join, write
    from robojam.corpus.formats import read_all
    from robojam.corpus.summary import summarise

    refused: list[str] = []

    def refuse(error: ValueError) -> None:
        print(f"robojam: {error}", file=sys.stderr)
        refused.append(str(error))

    cleaned = []
    for path in chosen.data:
        try:
            for corpus in read_all([path], machine=chosen.machine, on_error=refuse):
                try:
                    cleaned.append(clean(corpus, into=room))
                except ValueError as error:  # too large: the others are told of still
                    refuse(error)
        except CorpusError as error:
            refuse(error)
    full = [corpus for corpus in cleaned if len(corpus.events)]
    about: dict[str, Any] = {"files": [summarise(corpus) for corpus in cleaned]}
    try:
        joined = join(full) if full else None
    except ValueError as error:
        arguments.fail(error)
    if joined is not None:
        about["all"] = summarise(joined)
        if chosen.to is not None:  # before anything is told: who reads that may have left
            write(joined, chosen.to)
    about["refused"] = refused
    if chosen.json:
        print(json.dumps(about))
    elif cleaned:
        print("\n".join(_said(about, cleaned)))
    if joined is None:
        if not cleaned:  # each was refused, and the reason told
            return 2
        arguments.fail("nothing is left: no performance of two touches or more")
    if chosen.to is not None:
        print(f"to {chosen.to}", file=sys.stderr if chosen.json else sys.stdout)
    return 0


def _said(about: dict[str, Any], cleaned: list[Corpus]) -> Iterator[str]:
    """Say it in lines: each file with what was left out of it, and then the whole."""
    for corpus, found in zip(cleaned, about["files"], strict=True):
        yield f"{found['name']} ({found['source']}): {_counted(found)}"
        yield from (f"    {line}" for line in corpus.notes)
    if "all" not in about:
        return
    whole = about["all"]
    yield ""
    yield f"in all         {_counted(whole)}"
    several = whole["performances"] > 1
    if several:
        low, first, half, third, high = whole["quartiles"]["touches"]
        yield (
            f"a performance  half have {first:,.0f} to {third:,.0f} touches, the middle one "
            f"{half:,.0f}; {low:,.0f} to {high:,.0f} in all"
        )
    if "seconds" not in whole:
        return
    if several:
        low, first, half, third, high = map(_lasting, whole["quartiles"]["seconds"])
        yield (
            f"               half last {first} to {third}, the middle one {half}; "
            f"{low} to {high} in all"
        )
    share = 100 * whole["landings"] / whole["touches"]
    known = "as they were recorded"
    if whole["inferred"]:
        known = f"of {whole['inferred']:,} touches inferred: 92 of 100 landings are found so"
    yield f"phases         {share:.1f} % of the touches are landings; {known}"
    screens = [
        (f"1/{n} ({count})" if n != "0" else f"none to be seen ({count})")
        for n, count in list(whole["screens"].items())[:8]
    ]
    of = whole["screens_of"]
    beyond = f", of the first {of:,}" if of < whole["performances"] else ""
    yield f"lattices       {', '.join(screens)}{beyond}"


def _lasting(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else arguments.clock(seconds)


def _counted(found: dict[str, Any]) -> str:
    seconds = found.get("seconds")
    lasted = "" if seconds is None else f", {arguments.clock(seconds)} of playing"
    performances = arguments.performances(found["performances"])
    return f"{performances}, {found['touches']:,} touches{lasted}"


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("corpus", "what is in performances from any program", _arguments, _corpus),
)
