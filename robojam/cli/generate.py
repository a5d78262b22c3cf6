"""The command generate: performances made offline, from nothing or going on from others."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import datetime
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
    ray_option,
    sampling,
    sampling_options,
    strict_option,
    units_option,
    whole_number,
)
from robojam.cli.output import (
    corpus_notes,
    count_performances,
    fail,
    keep_data,
    leave_out,
    shown_progress,
)
from robojam.system.shell import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robojam.corpus.units import Units
    from robojam.model.file import ModelFile
    from robojam.player.generate import Touches

#: Performances that can be made at once: each needs memory of its own.
_MOST: Final = 100_000
_FORMATS: Final = ".jsonl, .csv, .html, .mid, .npz, .png or .wav; of knobs .csv, .npz or .log"
#: Files that performances of knobs are generated to.
_OF_KNOBS: Final = (".csv", ".npz", ".log")
_KNOBS: Final = "knobs of the rig, 1 to 16 (default: those of --from, else all of the model)"
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
@option("--model FILE", "model that plays (default: touch, or with --knobs knobs)")
@option("--knobs N", _KNOBS, whole_number(1, 16))
@ray_option
def generate(
    *,
    start: Path | None,
    machine: bool,
    units: Units | None,
    strict: bool,
    to: Path,
    count: int,
    seed: int | None,
    knobs: int | None,
    ray: str | None,
    **given: Any,
) -> int:
    """Write performances by the machine to a file: from nothing, or continuing others."""
    from robojam.engine.model_loader import one_thread
    from robojam.export.writers import WRITERS, numbered, write_session
    from robojam.model.event import count_knobs
    from robojam.model.file import ModelFileError, find, read
    from robojam.player import generate as player
    from robojam.sessions.compose import compose

    writers = {".jsonl": write_session, **WRITERS}
    suffix = to.suffix.lower()
    writer = writers.get(suffix)
    if writer is None and suffix not in _OF_KNOBS:
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
        file = read(find(given["model"], of_knobs=knobs is not None))
        reads = {"machine": machine, "units": units, "strict": strict}
        if knobs or count_knobs(file.event.columns):
            if ray is not None:
                fail("--ray generates touches: knobs are generated on one machine")
            return _generate_knobs(file, start, to, count, seed, knobs, given, reads)
        if writer is None:
            fail(f"--to {to}: {suffix} is of knobs; touches go to {', '.join(writers)}")
        beginnings, notes = _read_beginnings(start, file, reads)
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
    options = {"seconds": given["seconds"], "seed": seed, **chosen}
    try:
        if ray is None:
            one_thread()  # what is planned depends on the number of threads
            takes = player.generate(file, beginnings, **options)
        else:
            takes = _generate_on_cluster(ray, file.path, beginnings, options)
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


def _generate_on_cluster(
    address: str, path: Path, beginnings: list[NDArray[Any]], options: dict[str, Any]
) -> list[Touches]:
    """Return takes that a cluster has generated. Raises ModelFileError."""
    from robojam.cluster.connect import ClusterError, connected
    from robojam.cluster.jobs import generate_on

    try:
        with connected(address) as cluster, shown_progress("generated") as on_progress:
            return generate_on(cluster, path, beginnings, on_progress, **options)
    except ClusterError as error:
        fail(error)


def _generate_knobs(
    file: ModelFile,
    start: Path | None,
    to: Path,
    count: int,
    seed: int | None,
    knobs: int | None,
    given: dict[str, Any],
    reads: dict[str, Any],
) -> int:
    """Do what `generate` does, with a model of knobs. Raises ValueError."""
    import numpy as np

    from robojam.corpus.corpus import CorpusError, clean, describe_columns, join
    from robojam.corpus.formats import read_all
    from robojam.export.writers import numbered
    from robojam.model.event import count_knobs
    from robojam.player.knob_takes import generate_knobs

    most = count_knobs(file.event.columns)
    if not most:
        fail(f"--knobs: {file.path} is a model of {file.event.name}, not of knobs")
    if to.suffix.lower() not in _OF_KNOBS:
        fail(f"--to {to}: performances of knobs are generated to {', '.join(_OF_KNOBS)}")
    if given["follow"] or given["memory"]:
        fail("--follow and --memory are of touches: a model of knobs goes on as it likes")
    beginnings: list[NDArray[Any]] = [np.empty((0, (knobs or most) + 2))]
    notes: list[str] = []
    if start is not None:
        corpora = [
            clean(corpus)
            for corpus in read_all([start], knobs=True, on_error=leave_out, **reads)
        ]
        beginnings, notes = list(join(corpora).performances()), corpus_notes(corpora)
        if not beginnings:
            raise CorpusError(start, "; ".join(["holds no performance of two events", *notes]))
        held = beginnings[0].shape[1] - 2
        if held != (knobs or held):
            of = describe_columns(corpora[0].columns)
            fail(f"--knobs {knobs}: {start} is of {of}")
        knobs = held
    if len(beginnings) * count > _MOST:
        fail(f"{len(beginnings) * count:,} performances at once: {_MOST:,} are the most")
    files = [to] if to.suffix.lower() == ".npz" else numbered(to, len(beginnings) * count)
    if start is not None:
        keep_data(files, [start])
    seed = secrets.randbits(63) if seed is None else seed
    chosen = sampling(file.description, given)
    takes = generate_knobs(
        file,
        beginnings * count,
        knobs=knobs or most,
        seconds=given["seconds"],
        seed=seed,
        temperature=chosen["temperature"],
        spread=chosen["spread"],
    )
    try:
        _write_knobs(takes, files, to.suffix.lower())
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}")
    for note in notes:
        print(note)
    events = sum(len(take) for take in takes)
    first = printable(str(files[0]))
    names = first if len(files) == 1 else f"{first} … {printable(str(files[-1]))}"
    print(f"{count_performances(len(takes))}, {events:,} events, seed {seed}: {names}")
    return 0


def _write_knobs(takes: list[NDArray[Any]], files: list[Path], suffix: str) -> None:
    """Write performances of knobs, all of them or none. Raises OSError."""
    import numpy as np

    from robojam.corpus.corpus import Corpus, write
    from robojam.corpus.formats.tables import impsy_log, knob_table
    from robojam.model.event import knob_columns
    from robojam.system.atomic_file import atomic_write

    if suffix == ".npz":
        columns = knob_columns(takes[0].shape[1] - 2)
        lengths = np.array([len(take) for take in takes], np.int64)
        write(Corpus(np.concatenate(takes), lengths, columns, files[0].name), files[0])
        return
    started = datetime.now()  # as IMPSY writes its times
    with ExitStack() as stack:
        for take, file in zip(takes, files, strict=True):
            times, rows = np.cumsum(take[:, -2]).tolist(), take[:, :-2].tolist()
            text = knob_table(times, rows)
            if suffix == ".log":
                text = impsy_log(started, times, rows, source="rnn")
            stack.enter_context(atomic_write(file)).write_bytes(text.encode())


def _read_beginnings(
    path: Path | None, file: ModelFile, reads: dict[str, Any]
) -> tuple[list[NDArray[Any]], list[str]]:
    """Return the performances [T, 4] that the machine goes on from, and notes on them.

    Without a file it is one performance without touches. Pressure is read if the model has
    learnt it, and the file holds it. The notes are lines about what was left out of the file.
    Raises CorpusError.
    """
    import numpy as np

    from robojam.corpus.corpus import CorpusError, clean, describe_columns
    from robojam.corpus.formats import PressureError, read_all
    from robojam.model.event import PRESSED, TOUCH, count_knobs

    if path is None:
        return [np.empty((0, len(TOUCH)))], []
    pressure = file.event.columns == PRESSED
    try:
        corpora = [*read_all([path], on_error=leave_out, pressure=pressure, **reads)]
    except PressureError:
        corpora = [*read_all([path], on_error=leave_out, **reads)]
    corpora = [clean(corpus) for corpus in corpora]
    if other := [corpus.columns for corpus in corpora if corpus.columns[:4] != TOUCH]:
        knobs = count_knobs(other[0])
        held = "pen strokes" if not knobs else f"{describe_columns(other[0])}"
        advice = f", or with --knobs {knobs} from knobs" if knobs else ""
        raise CorpusError(path, f"holds {held}: it plays on from touches{advice}")
    performances = [p for corpus in corpora for p in corpus.performances()]
    if not performances:
        reasons = "".join(f"; {note}" for corpus in corpora for note in corpus.notes)
        raise CorpusError(path, f"holds no performance of two touches or more{reasons}")
    return performances, corpus_notes(corpora)
