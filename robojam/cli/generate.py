"""The command generate: performances made offline, from nothing or going on from others."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from robojam.cli.arguments import (
    PATH,
    SEED,
    Command,
    option,
    output_file,
    positive_number,
    sampling,
    sampling_options,
    strict_option,
    units_option,
    whole_number,
)
from robojam.cli.output import corpus_notes, count_performances, fail, keep_data, leave_out
from robojam.system.shell import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robojam.corpus.units import Units

#: Performances that can be made at once: each needs memory of its own.
_MOST: Final = 100_000
_FORMATS: Final = ".jsonl, .csv, .html, .mid, .npz, .png or .wav"
_SECONDS: Final = "length of each performance, in seconds, up to 3600 (default: 5)"
_SEED: Final = "where the random numbers start; the same seed plays the same (default: drawn)"


@click.command(cls=Command)
@option("--from FILE", "performances to go on from", PATH, field="start")
@option("--machine", "go on from what the machine played in them")
@units_option
@strict_option
@option("--to FILE", f"file to write: {_FORMATS}", output_file, required=True)
@option("--seconds N", _SECONDS, positive_number(3600), default=5.0)
@option("--count N", "how many (default: 1)", whole_number(), default=1)
@option("--seed N", _SEED, SEED)
@sampling_options
@option("--model FILE", "model that plays (default: touch)")
def generate(
    *,
    start: Path | None,
    machine: bool,
    units: Units | None,
    strict: bool,
    to: Path,
    count: int,
    seed: int | None,
    **given: Any,
) -> int:
    """Write performances by the machine to a file: from nothing, or continuing others."""
    from robojam.export.writers import WRITERS, numbered, write_session
    from robojam.model.file import ModelFileError, find, read
    from robojam.player import generate as player
    from robojam.sessions.compose import compose

    writers = {".jsonl": write_session, **WRITERS}
    suffix = to.suffix.lower()
    writer = writers.get(suffix)
    if writer is None:
        fail(f"--to {to}: performances are generated to {', '.join(writers)}")
    if start is not None and start.exists() and to.exists() and start.samefile(to):
        fail(f"{to} is what it goes on from: name another file")
    if machine and start is None:
        fail("--machine goes with --from: name a session too")
    if units is not None and start is None:
        fail("--units goes with --from: name a file too")
    if strict and start is None:
        fail("--strict goes with --from: name a session too")
    try:
        file = read(find(given["model"]))
        beginnings, notes = _read_beginnings(start, machine=machine, units=units, strict=strict)
    except ValueError as error:
        fail(error)
    if len(beginnings) * count > _MOST:
        fail(f"{len(beginnings) * count:,} performances at once: {_MOST:,} are the most")
    beginnings *= count
    if start is not None and suffix not in (".npz", ".png"):  # which are one file each
        keep_data(numbered(to, len(beginnings)), [start])
    if seed is None:
        seed = secrets.randbits(63)
    chosen = sampling(file.description, given)
    try:
        seconds = given["seconds"]
        takes = player.generate(file, beginnings, seconds=seconds, seed=seed, **chosen)
    except ModelFileError as error:
        fail(error)
    except MemoryError:
        fail(f"{len(beginnings):,} at once do not fit into memory: take a smaller --count")
    # Tables and arrays hold the machine's part alone, which goes on from the beginning;
    # sessions and pictures hold both; sound and MIDI begin with a finger that lands.
    with_beginning, goes_on = suffix in (".jsonl", ".png"), suffix in (".csv", ".npz")
    make = partial(compose, file=file, seed=seed, options=chosen)
    performances = []
    for beginning, take in zip(beginnings, takes, strict=True):
        heard = beginning if with_beginning else beginning[:0]
        performances.append(make(heard, take, continues=goes_on and len(beginning) > 0))
    try:
        written = writer(performances, to)
    except ValueError as error:
        fail(error, 1)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}")
    for note in notes:
        print(note)
    touches = sum(len(take) for take in takes)
    first = printable(str(written[0]))
    files = first if len(written) == 1 else f"{first} … {printable(str(written[-1]))}"
    print(f"{count_performances(len(takes))}, {touches:,} touches, seed {seed}: {files}")
    return 0


def _read_beginnings(
    path: Path | None, *, machine: bool, units: Units | None, strict: bool
) -> tuple[list[NDArray[Any]], list[str]]:
    """Return the performances [T, 4] that the machine goes on from, and notes on them.

    Without a file it is one performance without touches. The notes are lines about what was
    left out of the file. Raises CorpusError.
    """
    import numpy as np

    from robojam.corpus.corpus import TOUCH, CorpusError, clean
    from robojam.corpus.formats import read_all

    if path is None:
        return [np.empty((0, len(TOUCH)))], []
    read = read_all([path], machine=machine, units=units, strict=strict, on_error=leave_out)
    corpora = [clean(corpus) for corpus in read]
    if any(corpus.columns != TOUCH for corpus in corpora):
        raise CorpusError(path, "holds pen strokes: it plays on from touches")
    performances = [p for corpus in corpora for p in corpus.performances()]
    if not performances:
        reasons = "".join(f"; {note}" for corpus in corpora for note in corpus.notes)
        raise CorpusError(path, f"holds no performance of two touches or more{reasons}")
    return performances, corpus_notes(corpora)
