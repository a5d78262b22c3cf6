"""The command train: a model from performances."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from robojam.cli.arguments import PATH, SEED, Command, Number, OutputFile, WholeNumber
from robojam.cli.output import corpus_notes, count_performances, duration, fail, warn

if TYPE_CHECKING:
    from robojam.model.file import ModelFile
    from robojam.training.distributed import WorkerGroup
    from robojam.training.trainer import Progress, Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainArguments:
    """Arguments of the command.

    settings are those of the run (TrainingSettings) that were given, by name.
    """

    data: tuple[Path, ...]
    to: Path
    val: tuple[Path, ...]
    start: str | None
    resume: bool
    size: str | None
    threads: int | None
    machine: bool
    licence: str
    picture: Path | None
    tensorboard: Path | None
    settings: dict[str, Any]


@click.command(cls=Command)
@click.argument(
    "data",
    metavar="DATA...",
    nargs=-1,
    required=True,
    type=PATH,
    help="performances: corpora, recorded jams and folders of them",
)
@click.option(
    "--to", metavar="MODEL", type=OutputFile(), required=True, help="model file to write"
)
@click.option(
    "--val",
    metavar="DATA",
    type=PATH,
    multiple=True,
    help="held-out performances; can be repeated (default: a tenth of DATA)",
)
@click.option(
    "--from", "start", metavar="MODEL", help="go on from a model: teach it one player's style"
)
@click.option("--resume", is_flag=True, help="go on exactly where this run was stopped")
@click.option(
    "--size",
    metavar="SIZE",
    type=click.Choice(["s", "m", "l"]),
    help="s, m or l: small, like the default model, or large (default: m)",
)
@click.option(
    "--passes",
    metavar="N",
    type=Number(),
    help="passes over the data (default: 80; with --from 12)",
)
@click.option(
    "--minutes",
    metavar="N",
    type=Number(),
    help="time limit (default: none; with --from 0.5 for each 2,000 events)",
)
@click.option(
    "--patience",
    metavar="N",
    type=WholeNumber(0),
    help="stop after this many scores without a better one",
)
@click.option("--units", metavar="N", type=WholeNumber(), help="width of each recurrent layer")
@click.option("--layers", metavar="N", type=WholeNumber(), help="number of recurrent layers")
@click.option(
    "--components", metavar="N", type=WholeNumber(), help="components of each mixture"
)
@click.option(
    "--hidden", metavar="N", type=WholeNumber(), help="width of the heads' hidden layer"
)
@click.option("--batch", metavar="N", type=WholeNumber(), help="events in a batch, about")
@click.option(
    "--window", metavar="N", type=WholeNumber(), help="events in a window of backpropagation"
)
@click.option("--rate", metavar="RATE", type=Number(), help="highest learning rate")
@click.option("--seed", metavar="N", type=SEED, help="same seed, same run (default: 0)")
@click.option(
    "--threads",
    metavar="N",
    type=WholeNumber(),
    help="CPU threads (default: all cores; with --from one)",
)
@click.option(
    "--device",
    metavar="DEVICE",
    type=click.Choice(["cpu", "cuda"]),
    help="cpu or cuda (default: cpu)",
)
@click.option(
    "--machine", is_flag=True, help="train on what the machine played in recorded jams"
)
@click.option(
    "--licence", metavar="TEXT", default="", help="note on the licence, kept in the model file"
)
@click.option(
    "--picture",
    metavar="FILE.png",
    type=PATH,
    help="picture of the run (default: beside MODEL)",
)
@click.option(
    "--tensorboard",
    metavar="FOLDER",
    type=PATH,
    help="folder for TensorBoard, which shows the run",
)
def train(
    *,
    data: tuple[Path, ...],
    to: Path,
    val: tuple[Path, ...],
    start: str | None,
    resume: bool,
    size: str | None,
    threads: int | None,
    machine: bool,
    licence: str,
    picture: Path | None,
    tensorboard: Path | None,
    **settings: Any,
) -> int:
    """Train a model on performances, or with --from teach a model one player's style."""
    return _train(
        TrainArguments(
            data=data,
            to=to,
            val=val,
            start=start,
            resume=resume,
            size=size,
            threads=threads,
            machine=machine,
            licence=licence,
            picture=picture,
            tensorboard=tensorboard,
            settings={name: value for name, value in settings.items() if value is not None},
        )
    )


def _train(chosen: TrainArguments) -> int:
    from robojam.training.distributed import WorkerError, join_workers, limit_openmp_spinning

    limit_openmp_spinning()
    # From here on: not even torch can be imported by halves.
    with held_back_interrupt() as pressed:
        try:
            with join_workers() as workers:
                return _trained(chosen, pressed, workers)
        except WorkerError as error:
            fail(error, 1)
    return 0  # another process tells what came of it


def _trained(chosen: TrainArguments, pressed: Callable[[], bool], workers: WorkerGroup) -> int:
    if chosen.resume and chosen.size:
        fail("--resume goes on with the run as it was: without --size")
    import torch

    from robojam.corpus.corpus import CorpusError
    from robojam.corpus.stored_rows import FileChangedError
    from robojam.model.file import ModelFileError
    from robojam.training.distributed import WorkerError
    from robojam.training.trainer import NotFiniteError, TooLargeError

    if chosen.settings.get("device") == "cuda" and not torch.cuda.is_available():
        fail("--device cuda: this machine has no CUDA device")
    # What one player played is too little to share between cores.
    threads = chosen.threads or (1 if chosen.start else None)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        run = workers.everywhere(lambda: _prepared(chosen))
    except (CorpusError, ModelFileError, ValueError) as error:
        fail(error)
    except (MemoryError, RuntimeError) as error:  # torch tells of too little memory so
        fail(f"a model of these sizes cannot be made: {str(error).splitlines()[0]}")
    trainer, to = run.trainer, chosen.to
    trainer.workers = workers
    for line in run.told:
        print(line)
    told = f"{trainer.corpus.name}: {count_performances(len(trainer.corpus.lengths))}, "
    told += f"{len(trainer.corpus.events):,} events"
    print(f"{told}; held out {trainer.held_out.name}: {len(trainer.held_out.events):,}")
    try:
        stopped = _follow(run, chosen, pressed)
        if not workers.leads:
            return 0
        if trainer.best is None:
            fail(
                "stopped before the first scoring: no model was made; the same command with "
                "--resume goes on",
                130,
            )
        if run.start is not None:
            _step_back(run, seed=trainer.settings.seed)
        trainer.save(to, **run.about)  # it may have been stopped while it wrote
    except ModuleNotFoundError:
        fail("--tensorboard wants tensorboardX: pip install 'robojam[report]'")
    except (NotFiniteError, TooLargeError, WorkerError, FileChangedError) as error:
        kept = "" if trainer.best is None else f" The best until then is in {to}."
        fail(f"{error}{kept}", 1)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}", 1)
    print(f"{to}: {trainer.best_score:.4f} nats per event on {trainer.held_out.name}")
    if stopped:
        print("the same command with --resume goes on")
    return 0


@dataclass(slots=True)
class _Run:
    """A run that is about to begin.

    about is what else its file will say, told what was left out of its data, and start what
    it goes on from.
    """

    trainer: Trainer
    about: dict[str, Any]
    told: list[str]
    start: ModelFile | None = None
    history: list[Progress] = field(default_factory=list)


def _prepared(chosen: TrainArguments) -> _Run:
    """Read the data, and make a run over it. Raises ValueError and its kin."""
    from robojam.corpus.corpus import clean, join
    from robojam.corpus.formats import read_all
    from robojam.corpus.split import split
    from robojam.model.file import DataFile, find, read
    from robojam.model.mdrnn import load
    from robojam.training import checkpoint, finetune
    from robojam.training.trainer import SIZES, Trainer, TrainingSettings

    def leave_out(error: ValueError) -> None:
        warn(f"{error}; it is left out")

    corpora = [
        clean(c) for c in read_all(chosen.data, machine=chosen.machine, on_error=leave_out)
    ]
    others = [clean(c) for c in read_all(chosen.val, on_error=leave_out)]
    told = corpus_notes([*corpora, *others])
    data = join(corpora)
    if others:
        held_out = join(others)
    else:
        try:
            data, held_out = split(data, every=10)
        except ValueError as error:
            raise ValueError("; ".join([str(error), *told])) from error
    given = chosen.settings
    file = read(find(chosen.start)) if chosen.start else None
    if chosen.resume:
        trainer, about = checkpoint.resume(
            checkpoint.checkpoint_path(chosen.to), data, held_out
        )
        for name, value in given.items():
            was = getattr(trainer.settings, name)
            if was != value:
                raise ValueError(f"--resume: this run has --{name} {was}, not {value}")
        about = {
            k: tuple(DataFile(**d) for d in v) if "_on" in k else v for k, v in about.items()
        }
        name, sha256 = about.pop("from", ("", ""))
        if sha256 != (file.sha256 if file else ""):
            began = (
                f"from {name}: say --from {name}" if sha256 else "from nothing: without --from"
            )
            raise ValueError(f"--resume: this run went on {began}, as it was then")
        trainer.starts_from_model = file is not None
        return _Run(trainer, about, told, file)
    about = {
        "trained_on": tuple(DataFile(c.name, c.sha256) for c in corpora),
        "score_on": tuple(DataFile(c.name, c.sha256) for c in others),
        "licence": chosen.licence,
    }
    if file is None:
        settings = replace(TrainingSettings(), **{**SIZES.get(chosen.size or "", {}), **given})
        return _Run(Trainer(data, held_out, settings), about, told)
    if sizes := given.keys() & {"units", "layers", "components", "hidden"} or chosen.size:
        raise ValueError(f"--from: the sizes are that model's, without {', '.join(sizes)}")
    start, description = load(file.path)
    about["trained_on"] = description.trained_on + about["trained_on"]
    about["licence"] = chosen.licence or description.licence
    about |= {"temperature": description.temperature, "spread": description.spread}
    settings = finetune.fine_tuning_settings(
        start, TrainingSettings(), given, events=len(data.events)
    )
    if data.columns != start.event.columns:
        raise ValueError(f"{file.path} and {data.name} are of different kinds")
    event = finetune.add_lattices(start, data)
    known = {n for n, _ in start.event.lattices}
    new = [f"{n:,}" for n, _ in event.lattices if n not in known]
    if new:
        told.append(f"new to {file.path.stem}: screens of {', '.join(new)} lines")
    return _Run(Trainer(data, held_out, settings, event=event, start=start), about, told, file)


def _step_back(run: _Run, *, seed: int) -> None:
    """Go back towards the model this one came from, as far as it must remember that."""
    from robojam.model.mdrnn import load
    from robojam.training import finetune

    trainer, file = run.trainer, run.start
    assert file is not None
    assert trainer.best is not None
    if trainer.best_step == 0:
        print(f"nothing learnt makes it predict better: its weights are {file.path.stem}'s")
        return
    memory = finetune.generate_memory(file, seed=seed)
    if memory is None:
        return
    start, _ = load(file.path)
    best, trainer.best_score, share = finetune.limit_forgetting(
        start, trainer.best.cpu(), memory, trainer.held_out
    )
    trainer.best = best
    kept = "all" if share == 1 else f"{100 * share:.0f} %" if share else "nothing"
    print(f"{kept} of what it learnt is kept: of what it knew it may forget little")


def _follow(run: _Run, chosen: TrainArguments, pressed: Callable[[], bool]) -> bool:
    """Train, keep the best and the run in their files, and show how it goes.

    Returns whether it was stopped: by Ctrl-C, after the step that is under way.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    from robojam.training import checkpoint, plots

    trainer, to, workers = run.trainer, chosen.to, run.trainer.workers
    console = Console()
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    plain: dict[str, Any] = {
        k: [msgspec.to_builtins(d) for d in v] if "_on" in k else v
        for k, v in run.about.items()
    }
    plain["from"] = [str(run.start.path), run.start.sha256] if run.start else ["", ""]
    with (
        plots.tensorboard(chosen.tensorboard if workers.leads else None) as board,
        Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=None)

        def shown(now: Progress) -> bool:
            bar.update(task, total=now.steps, completed=now.step, description=_told(now))
            run.history.append(now)
            board(now)
            if now.score is not None:
                if now.score == now.best:
                    trainer.save(to, **run.about)
                checkpoint.save(trainer, checkpoint.checkpoint_path(to), plain)
                told = f"step {now.step} of {now.steps}: {_told(now)}"
                console.print(told, highlight=False, soft_wrap=True)
            if stopped := pressed():
                checkpoint.save(trainer, checkpoint.checkpoint_path(to), plain)
            return stopped

        try:
            for now in trainer:
                if workers.from_leader(partial(shown, now)):
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
    checkpoint.checkpoint_path(to).unlink(missing_ok=True)
    picture = chosen.picture or to.with_suffix(".png")
    plots.plot(run.history, picture, title=f"{to.stem}: {trainer.corpus.name}")
    return False


def _told(now: Progress) -> str:
    told = [] if math.isnan(now.loss) else [f"loss {now.loss:.3f}"]
    if now.best is not None:
        told.append(f"held out {now.best:.3f}")
    if now.score is not None and now.score != now.best:
        told[-1] += f" (now {now.score:.3f})"
    if now.events_per_second:  # before the first step there is nothing to reckon from
        told += [
            f"{now.events_per_second:,.0f} events/s",
            f"{duration(now.seconds_left)} left",
        ]
    return ", ".join(told)


@contextmanager
def held_back_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C during the block; a second one interrupts at once.

    Yields a function that returns whether Ctrl-C was pressed.
    """
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, _frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    main_thread = threading.current_thread() is threading.main_thread()
    if main_thread:
        signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, before)
