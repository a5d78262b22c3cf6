"""The command train: a model from performances."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from robojam.cli.arguments import (
    PATH,
    SEED,
    Command,
    knobs_option,
    option,
    output_file,
    paths_argument,
    positive_number,
    pressure_option,
    strict_option,
    units,
    whole_number,
)
from robojam.cli.output import (
    corpus_notes,
    count_performances,
    duration,
    fail,
    keep_data,
    leave_out,
    warn,
)
from robojam.system.install import require
from robojam.system.shell import printable

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus
    from robojam.corpus.units import Units
    from robojam.model.file import ModelFile
    from robojam.training.distributed import WorkerGroup
    from robojam.training.trainer import Progress, Trainer


#: Entries of the metadata that are tuples of DataFile.
_DATA_FILES: Final = ("trained_on", "score_on")
_VAL: Final = "held-out performances; can be repeated (default: a tenth of DATA)"
_SIZE: Final = "s, m or l: small, like the default model, or large (default: m)"
_MINUTES: Final = "time limit (default: none; with --from 0.5 for each 2,000 events)"
_UNITS: Final = (
    "units of the data, as for robojam corpus (default: 0..1, s); a whole number is taken for "
    "--width, as in earlier versions"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainArguments:
    """Arguments of the command; settings are those of the run that were given, by name."""

    paths: tuple[Path, ...]
    to: Path
    val: tuple[Path, ...]
    start: str | None
    resume: bool
    matcher_only: bool
    size: str | None
    threads: int | None
    machine: bool
    units: Units | None
    strict: bool
    knobs: bool
    pressure: bool
    licence: str
    picture: Path | None
    tensorboard: Path | None
    settings: dict[str, Any]


def _units_or_width(value: str) -> Units | float:
    try:
        float(value)
    except ValueError:
        return units(value)
    return whole_number()(value)


@click.command(cls=Command)
@paths_argument("DATA", "performances: corpora, recorded jams and folders of them")
@option("--to MODEL", "model file to write", output_file, required=True)
@option("--val DATA", _VAL, PATH, multiple=True)
@option("--from MODEL", "go on from a model: teach it one player's style", field="start")
@option("--resume", "go on exactly where this run was stopped")
@option("--matcher-only", "only fit the matcher in MODEL, by which answers follow their calls")
@option("--size SIZE", _SIZE, click.Choice(["s", "m", "l"]))
@option("--passes N", "passes over the data (default: 80; with --from 12)", positive_number())
@option("--minutes N", _MINUTES, positive_number())
@option("--patience N", "stop after this many scores without a better one", whole_number(0))
@option("--width N", "width of each recurrent layer", whole_number())
@option("--layers N", "number of recurrent layers", whole_number())
@option("--components N", "components of each mixture", whole_number())
@option("--hidden N", "width of the heads' hidden layer", whole_number())
@option("--batch N", "events in a batch, about", whole_number())
@option("--window N", "events in a window of backpropagation", whole_number())
@option("--rate RATE", "highest learning rate", positive_number())
@option("--seed N", "same seed, same run (default: 0)", SEED)
@option("--threads N", "CPU threads (default: all cores; with --from one)", whole_number())
@option("--device DEVICE", "cpu or cuda (default: cpu)", click.Choice(["cpu", "cuda"]))
@option("--machine", "train on what the machine played in recorded jams")
@option("--units UNITS", _UNITS, _units_or_width)
@strict_option
@knobs_option
@pressure_option
@option("--fewer", "with --knobs: rigs of fewer knobs may play the model, the others at 0.5")
@option("--licence TEXT", "note on the licence, kept in the model file", default="")
@option("--picture FILE.png", "picture of the run (default: beside MODEL)", output_file)
@option("--tensorboard FOLDER", "folder for TensorBoard, which shows the run", PATH)
def train(**given: Any) -> int:
    """Train a model on performances, or with --from teach a model one player's style."""
    width, given_units = given.pop("width"), given["units"]
    if isinstance(given_units, (int, float)):
        width, given["units"] = given_units, None
    names = {field.name for field in fields(TrainArguments)}
    arguments = {name: value for name, value in given.items() if name in names}
    settings = {n: v for n, v in given.items() if n not in names and v is not None}
    if not settings["fewer"]:
        del settings["fewer"]
    if width is not None:
        settings["units"] = width  # the name of the setting
    chosen = TrainArguments(**arguments, settings=settings)
    require("torch", "matplotlib", *(["tensorboardX"] if chosen.tensorboard else []))
    from robojam.training.distributed import WorkerError, join_workers, limit_openmp_spinning

    limit_openmp_spinning()
    # Held back from here on: an interrupt in the import of torch leaves it half imported.
    with held_back_interrupt() as interrupted:
        try:
            with join_workers() as workers:
                return _run(chosen, interrupted, workers)
        except WorkerError as error:
            fail(error, 1)
    return 0  # the leading process prints the result


def _run(chosen: TrainArguments, interrupted: Callable[[], bool], workers: WorkerGroup) -> int:
    if chosen.resume and chosen.size:
        fail("--resume goes on with the run as it was: without --size")
    picture = _check_outputs(chosen)
    if chosen.matcher_only:
        return _fit_matcher_only(chosen)
    import torch

    from robojam.corpus.corpus import CorpusError
    from robojam.corpus.stored_rows import FileChangedError
    from robojam.model.file import ModelFileError
    from robojam.training import checkpoint, plots
    from robojam.training.distributed import WorkerError
    from robojam.training.trainer import NotFiniteError, TooLargeError

    if chosen.settings.get("device") == "cuda" and not torch.cuda.is_available():
        fail("--device cuda: this machine has no CUDA device")
    # The touches of one player are too few to share between cores.
    threads = chosen.threads or (1 if chosen.start else None)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        run = workers.everywhere(lambda: _prepare(chosen))
    except (CorpusError, ModelFileError, ValueError) as error:
        fail(error)
    except (MemoryError, RuntimeError) as error:  # torch raises both where memory is short
        fail(f"a model of these sizes cannot be made: {str(error).splitlines()[0]}")
    trainer, to = run.trainer, chosen.to
    trainer.workers = workers
    for note in run.notes:
        print(note)
    performances = count_performances(len(trainer.corpus.lengths))
    print(
        f"{trainer.corpus.name}: {performances}, {len(trainer.corpus.events):,} events; "
        f"held out {trainer.held_out.name}: {len(trainer.held_out.events):,}"
    )
    try:
        stopped = _follow(run, chosen, interrupted)
        if not workers.leads:
            return 0
        if trainer.best is None:
            reason = "stopped before the first scoring: no model was made"
            fail(f"{reason}; the same command with --resume goes on", 130)
        if run.start is not None:
            _limit_forgetting(run, run.start, seed=trainer.settings.seed)
        trainer.save(to, **run.metadata)  # again: Ctrl-C may have come while it was written
        _add_matcher(run, to)
        if not stopped:  # until here, --resume goes on with a run that was killed
            checkpoint.checkpoint_path(to).unlink(missing_ok=True)
    except (NotFiniteError, TooLargeError, WorkerError, FileChangedError) as error:
        written = trainer.best is not None and run.start is None
        best = f" The best until then is in {to}." if written else ""
        fail(f"{error}{best}", 1)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}", 1)
    title = printable(f"{to.stem}: {trainer.corpus.name}")
    try:
        if not stopped:
            plots.plot(run.history, picture, title=title)
    except OSError as error:  # the model is written
        warn(f"{picture} cannot be written: {error.strerror or error}")
    print(f"{to}: {trainer.best_score:.4f} nats per event on {trainer.held_out.name}")
    if stopped:
        print("the same command with --resume goes on")
    return 0


def _check_outputs(chosen: TrainArguments) -> Path:
    """Return the picture's path. Exit where outputs would replace one another or the data."""
    from robojam.export.figures import KINDS
    from robojam.training.checkpoint import checkpoint_path

    to, run = chosen.to, checkpoint_path(chosen.to)
    picture = chosen.picture or to.with_suffix(".png")
    if to in (run, picture):
        kind = "the run's, for --resume" if to == run else "the picture's"
        fail(f"--to {to}: this name is {kind}; name the model {to.stem}.safetensors")
    if picture.suffix.lower() not in KINDS:
        fail(f"--picture {picture}: a picture is {', '.join(KINDS)}")
    keep_data((to, run, picture), (*chosen.paths, *chosen.val))
    return picture


@dataclass(slots=True)
class _Run:
    trainer: Trainer
    metadata: dict[str, Any]  # of the model's file, besides the run's own
    notes: list[str]  # lines on what was left out of the data
    start: ModelFile | None = None  # the model to go on from
    history: list[Progress] = field(default_factory=list)


def _prepare(chosen: TrainArguments) -> _Run:
    """Read the data and make a run over it. Raises ValueError, also as CorpusError."""
    from robojam.corpus.corpus import clean, describe_columns, fitting, join
    from robojam.corpus.formats import read_all
    from robojam.corpus.split import split
    from robojam.model.event import PRESSED, count_knobs
    from robojam.model.file import DataFile, find, read
    from robojam.model.mdrnn import load
    from robojam.training import finetune
    from robojam.training.trainer import SIZES, Trainer, TrainingSettings

    file = read(find(chosen.start)) if chosen.start else None
    columns = () if file is None else file.event.columns
    knobs = chosen.knobs or "fewer" in chosen.settings or count_knobs(columns) > 0
    pressure = chosen.pressure or columns == PRESSED
    if knobs and pressure:
        raise ValueError("--pressure is of touches: without --knobs and --fewer")
    read_corpora = partial(
        read_all,
        units=chosen.units,
        strict=chosen.strict,
        knobs=knobs,
        pressure=pressure,
        on_error=leave_out,
    )
    corpora = [clean(c) for c in read_corpora(chosen.paths, machine=chosen.machine)]
    validation = [clean(c) for c in read_corpora(chosen.val)]
    notes = corpus_notes([*corpora, *validation])
    if file is not None:
        corpora, validation = (
            [fitting(corpus, file.event) for corpus in part] for part in (corpora, validation)
        )
    data = join(corpora)
    if validation:
        held_out = join(validation)
    else:
        try:
            data, held_out = split(data, every=10)
        except ValueError as error:
            raise ValueError("; ".join([str(error), *notes])) from error
    if chosen.resume:
        trainer, metadata = _resume(chosen, data, held_out, file)
        return _Run(trainer, metadata, notes, file)
    metadata = {
        "trained_on": tuple(DataFile(c.name, c.sha256) for c in corpora),
        "score_on": tuple(DataFile(c.name, c.sha256) for c in validation),
        "licence": printable(chosen.licence),
    }
    given = chosen.settings
    if file is None:
        sizes = SIZES.get(chosen.size or "", {})
        settings = replace(TrainingSettings(), **{**sizes, **given})
        return _Run(Trainer(data, held_out, settings), metadata, notes)
    refused = [f"--{n}" for n in ("units", "layers", "components", "hidden") if n in given]
    refused += ["--size"] if chosen.size else []
    refused += ["--fewer"] if "fewer" in given else []
    if refused:
        raise ValueError(f"--from: the sizes are that model's, without {', '.join(refused)}")
    start, description = load(file.path)
    metadata["trained_on"] = description.trained_on + metadata["trained_on"]
    metadata["licence"] = printable(chosen.licence) or description.licence
    metadata |= {"temperature": description.temperature, "spread": description.spread}
    settings = finetune.fine_tuning_settings(start, given, events=len(data.events))
    if data.columns != start.event.columns:
        held, of_model = map(describe_columns, (data.columns, start.event.columns))
        raise ValueError(f"{data.name} holds {held}, and {file.path} is over {of_model}")
    event = finetune.add_lattices(start, data)
    known = {n for n, _ in start.event.lattices}
    new = [f"{n:,}" for n, _ in event.lattices if n not in known]
    if new:
        notes.append(f"new to {file.path.stem}: screens of {', '.join(new)} lines")
    trainer = Trainer(data, held_out, settings, event=event, start=start)
    return _Run(trainer, metadata, notes, file)


def _resume(
    chosen: TrainArguments, data: Corpus, held_out: Corpus, start: ModelFile | None
) -> tuple[Trainer, dict[str, Any]]:
    """Return the trainer of the run that was stopped, and its metadata.

    start is the model that --from names. Raises ValueError where this command line is not
    that of the run.
    """
    from robojam.model.file import DataFile
    from robojam.training import checkpoint

    trainer, plain = checkpoint.resume(checkpoint.checkpoint_path(chosen.to), data, held_out)
    for name, value in chosen.settings.items():
        setting = getattr(trainer.settings, name)
        if setting != value:
            raise ValueError(f"--resume: this run has --{name} {setting}, not {value}")
    name, sha256 = plain.pop("from", ("", ""))
    if sha256 != (start.sha256 if start else ""):
        origin = f"from {name}: say --from {name}" if sha256 else "from nothing: without --from"
        raise ValueError(f"--resume: this run went on {origin}, as it was then")
    trainer.starts_from_model = start is not None
    metadata = {
        key: tuple(DataFile(**file) for file in value) if key in _DATA_FILES else value
        for key, value in plain.items()
    }
    return trainer, metadata


def _limit_forgetting(run: _Run, file: ModelFile, *, seed: int) -> None:
    """Move the trained model back towards the one in the file, as far as it forgot that."""
    from robojam.model.mdrnn import load
    from robojam.training import finetune

    trainer = run.trainer
    assert trainer.best is not None
    if trainer.best_step == 0:
        print(f"nothing learnt makes it predict better: its weights are {file.path.stem}'s")
        return
    memory = finetune.generate_memory(file, seed=seed)
    if memory is None:
        return
    start, _ = load(file.path)
    trainer.best, trainer.best_score, share = finetune.limit_forgetting(
        start, trainer.best.cpu(), memory, trainer.held_out
    )
    amount = "all" if share == 1 else f"{100 * share:.0f} %" if share else "nothing"
    print(f"{amount} of what it learnt is kept, so that it forgets little of what it knew")


def _add_matcher(run: _Run, to: Path) -> None:
    """Add a matcher to the model that was written: a new one, or that of the model before.

    Raises OSError.
    """
    from robojam.model.event import TOUCH
    from robojam.model.file import read, write_with_matcher
    from robojam.training import matcher

    corpus = run.trainer.corpus
    if corpus.columns[: len(TOUCH)] != TOUCH:
        return
    performances = [part[:, : len(TOUCH)] for part in corpus.performances()]
    fitted = matcher.fit(read(to), performances)
    if fitted is None and run.start is not None:
        fitted = run.start.matcher
    if fitted is None:
        print("too few performances to learn from how answers follow calls")
    else:
        write_with_matcher(to, fitted)


def _fit_matcher_only(chosen: TrainArguments) -> int:
    """Fit the matcher of a model that exists, and write it into its file."""
    from robojam.corpus.corpus import clean, join
    from robojam.corpus.formats import read_all
    from robojam.model.event import PRESSED, TOUCH
    from robojam.model.file import find, read, write_with_matcher
    from robojam.training import matcher

    of_training = (
        chosen.settings, chosen.val, chosen.start, chosen.resume, chosen.size, chosen.threads,
        chosen.licence, chosen.picture, chosen.tensorboard,
    )  # fmt: skip
    if any(of_training) or chosen.knobs or chosen.pressure:
        fail("--matcher-only takes DATA and --to, and no options of training")
    try:
        file = read(find(str(chosen.to)))
        options: dict[str, Any] = {"units": chosen.units, "strict": chosen.strict}
        options |= {"machine": chosen.machine, "on_error": leave_out}
        corpora = [clean(corpus) for corpus in read_all(chosen.paths, **options)]
        data = join(corpora)
    except ValueError as error:
        fail(error)
    if data.columns != TOUCH or file.event.columns not in (TOUCH, PRESSED):
        fail(f"{file.path} and {data.name}: a matcher is of touches")
    for note in corpus_notes(corpora):
        print(note)
    print(f"{data.name}: {count_performances(len(data.lengths))}, {len(data.events):,} events")
    fitted = matcher.fit(file, list(data.performances()))
    if fitted is None:
        fail(f"{data.name} has too few performances to learn from how answers follow calls")
    try:
        write_with_matcher(file.path, fitted)
    except OSError as error:
        fail(f"{file.path} cannot be written: {error.strerror or error}", 1)
    print(f"{file.path}: its answers can follow calls")
    return 0


def _follow(run: _Run, chosen: TrainArguments, interrupted: Callable[[], bool]) -> bool:
    """Train; write the best model and the state of the run to their files, and show progress.

    Returns whether it was stopped, by Ctrl-C, after the step that was being taken.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    from robojam.training import checkpoint, plots

    trainer, to, workers = run.trainer, chosen.to, run.trainer.workers
    checkpoint_path = checkpoint.checkpoint_path(to)
    console = Console()
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    plain: dict[str, Any] = {
        key: [msgspec.to_builtins(file) for file in value] if key in _DATA_FILES else value
        for key, value in run.metadata.items()
    }
    plain["from"] = (
        [printable(str(run.start.path)), run.start.sha256] if run.start else ["", ""]
    )
    with (
        plots.tensorboard(chosen.tensorboard if workers.leads else None) as log_scalars,
        Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=None)

        def show(now: Progress) -> bool:
            """Show and keep the progress; return whether to stop."""
            text = _describe(now)
            bar.update(task, total=now.steps, completed=now.step, description=text)
            run.history.append(now)
            log_scalars(now)
            stop = interrupted()
            # A model that goes on from another is written at the end, moved back towards it.
            if now.score is not None and now.score == now.best and run.start is None:
                trainer.save(to, **run.metadata)
            if stop or now.score is not None:
                checkpoint.save(trainer, checkpoint_path, plain)
            if now.score is not None:
                line = f"step {now.step} of {now.steps}: {text}"
                console.print(line, highlight=False, soft_wrap=True)
            return stop

        try:
            for now in trainer:
                if workers.from_leader(partial(show, now)):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return True
    if not workers.leads:
        return False
    if trainer.step < trainer.steps and trainer.fraction_done >= 1:
        print(f"its time was up, after {trainer.step} of {trainer.steps} steps")
    elif trainer.step < trainer.steps:
        print(f"nothing got better in {trainer.stale} scorings: it is over", file=sys.stderr)
    return False


def _describe(now: Progress) -> str:
    parts = [] if math.isnan(now.loss) else [f"loss {now.loss:.3f}"]
    if now.best is not None:
        parts.append(f"held out {now.best:.3f}")
    if now.score is not None and now.score != now.best:
        parts[-1] += f" (now {now.score:.3f})"
    if now.events_per_second:  # unknown before the first step
        left = duration(now.seconds_left)
        parts += [f"{now.events_per_second:,.0f} events/s", f"{left} left"]
    return ", ".join(parts)


@contextmanager
def held_back_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C in a block; yield a function that returns whether it came."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def press(_number: int, _frame: object) -> None:
        pressed.set()  # a second one interrupts at once
        signal.signal(signal.SIGINT, before)

    main_thread = threading.current_thread() is threading.main_thread()
    if main_thread:
        signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, before)
