"""train: a model from performances."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.model.file import ModelFile
    from robojam.training.distributed import WorkerGroup
    from robojam.training.trainer import Progress, Trainer


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        nargs="+",
        type=Path,
        help="corpora and sessions: files, folders",
    )
    add("--to", metavar="MODEL", type=Path, required=True, help="the model file to make")
    add(
        "--val",
        metavar="DATA",
        type=Path,
        action="append",
        help="held-out data; again: more (default: a tenth of DATA)",
    )
    add("--from", metavar="MODEL", dest="start", help="go on from a model: learn a player")
    add("--resume", action="store_true", help="go on exactly where this run was stopped")
    add("--size", choices=["s", "m", "l"], help="small, as the default model, or large")
    add(
        "--passes",
        metavar="N",
        type=arguments.positive,
        help="passes over the data (default: 80; --from: 12)",
    )
    add(
        "--minutes",
        metavar="N",
        type=arguments.positive,
        help="at most (default: as long as it takes; --from: 0.5 for each 2,000 events)",
    )
    add(
        "--patience",
        metavar="N",
        type=arguments.whole,
        help="scorings without a better one: over",
    )
    add("--units", metavar="N", type=arguments.count, help="width of each recurrent layer")
    add("--layers", metavar="N", type=arguments.count, help="how many recurrent layers")
    add("--components", metavar="N", type=arguments.count, help="components of each mixture")
    add("--hidden", metavar="N", type=arguments.count, help="width of the heads' hidden layer")
    add("--batch", metavar="N", type=arguments.count, help="events in a batch, about")
    add(
        "--window",
        metavar="N",
        type=arguments.count,
        help="events in a window of backpropagation",
    )
    add("--rate", metavar="RATE", type=arguments.positive, help="learning rate at its height")
    add("--seed", metavar="N", type=arguments.seed, help="gives the same run (default: 0)")
    add(
        "--threads", metavar="N", type=arguments.count, help="cores (default: all; --from: one)"
    )
    add("--device", choices=["cpu", "cuda"], help="where (default: cpu)")
    add("--machine", action="store_true", help="what the machine played in sessions, instead")
    add("--licence", metavar="TEXT", default="", help="a note that goes into the model's file")
    add("--picture", metavar="FILE.png", type=Path, help="of the run (default: beside MODEL)")
    add("--tensorboard", metavar="FOLDER", type=Path, help="follow the run in TensorBoard")


#: What of a run's settings can be said on the command line.
_SETTINGS = (
    "passes minutes patience units layers components hidden batch window rate seed device"
)


def _train(chosen: argparse.Namespace) -> int:
    from robojam.training.distributed import WorkerError, join_workers, limit_openmp_spinning

    limit_openmp_spinning()
    # From here on: not even torch can be imported by halves.
    with arguments.held_back_interrupt() as pressed:
        try:
            with join_workers() as workers:
                return _trained(chosen, pressed, workers)
        except WorkerError as error:
            arguments.fail(error, 1)
    return 0  # another process tells what came of it


def _trained(
    chosen: argparse.Namespace, pressed: Callable[[], bool], workers: WorkerGroup
) -> int:
    arguments.writable(chosen.to)
    if chosen.resume and chosen.size:
        arguments.fail("--resume goes on with the run as it was: without --size")
    import torch

    from robojam.corpus.corpus import CorpusError
    from robojam.corpus.stored_rows import FileChangedError
    from robojam.model.file import ModelFileError
    from robojam.training.distributed import WorkerError
    from robojam.training.trainer import NotFiniteError, TooLargeError

    if chosen.device == "cuda" and not torch.cuda.is_available():
        arguments.fail("--device cuda: this machine has no CUDA device")
    # What one player played is too little to share between cores.
    threads = chosen.threads or (1 if chosen.start else None)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        run = workers.everywhere(lambda: _prepared(chosen))
    except (CorpusError, ModelFileError, ValueError) as error:
        arguments.fail(error)
    except (MemoryError, RuntimeError) as error:  # torch tells of too little memory so
        arguments.fail(f"a model of these sizes cannot be made: {str(error).splitlines()[0]}")
    trainer, to = run.trainer, chosen.to
    trainer.workers = workers
    for line in run.told:
        print(line)
    told = f"{trainer.corpus.name}: {arguments.performances(len(trainer.corpus.lengths))}, "
    told += f"{len(trainer.corpus.events):,} events"
    print(f"{told}; held out {trainer.held_out.name}: {len(trainer.held_out.events):,}")
    try:
        stopped = _follow(run, chosen, pressed)
        if not workers.leads:
            return 0
        if trainer.best is None:
            arguments.fail(
                "stopped before the first scoring: no model was made; the same command with "
                "--resume goes on",
                130,
            )
        if run.start is not None:
            _step_back(run, seed=trainer.settings.seed)
        trainer.save(to, **run.about)  # it may have been stopped while it wrote
    except ModuleNotFoundError:
        arguments.fail("--tensorboard wants tensorboardX: pip install 'robojam[report]'")
    except (NotFiniteError, TooLargeError, WorkerError, FileChangedError) as error:
        kept = "" if trainer.best is None else f" The best until then is in {to}."
        arguments.fail(f"{error}{kept}", 1)
    except OSError as error:
        arguments.fail(f"{to} cannot be written: {error.strerror or error}", 1)
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


def _prepared(chosen: argparse.Namespace) -> _Run:
    """Read the data, and make a run over it. Raises ValueError and its kin."""
    from robojam.corpus.corpus import clean, join
    from robojam.corpus.formats import read_all
    from robojam.corpus.split import split
    from robojam.model.file import Data, find, read
    from robojam.model.mdrnn import load
    from robojam.training import checkpoint, finetune
    from robojam.training.trainer import SIZES, Trainer, TrainingSettings

    def warn(error: ValueError) -> None:
        print(f"robojam: {error}; it is left out", file=sys.stderr)

    corpora = [clean(c) for c in read_all(chosen.data, machine=chosen.machine, on_error=warn)]
    others = [clean(c) for c in read_all(chosen.val or [], on_error=warn)]
    told = arguments.told([*corpora, *others])
    data = join(corpora)
    if others:
        held_out = join(others)
    else:
        try:
            data, held_out = split(data, every=10)
        except ValueError as error:
            raise ValueError("; ".join([str(error), *told])) from error
    given = {n: getattr(chosen, n) for n in _SETTINGS.split() if getattr(chosen, n) is not None}
    file = read(find(chosen.start)) if chosen.start else None
    if chosen.resume:
        trainer, about = checkpoint.resume(
            checkpoint.checkpoint_path(chosen.to), data, held_out
        )
        for name, value in given.items():
            was = getattr(trainer.settings, name)
            if was != value:
                raise ValueError(f"--resume: this run has --{name} {was}, not {value}")
        about = {k: tuple(Data(**d) for d in v) if "_on" in k else v for k, v in about.items()}
        name, sha256 = about.pop("from", ("", ""))
        if sha256 != (file.sha256 if file else ""):
            began = (
                f"from {name}: say --from {name}" if sha256 else "from nothing: without --from"
            )
            raise ValueError(f"--resume: this run went on {began}, as it was then")
        trainer.starts_from_model = file is not None
        return _Run(trainer, about, told, file)
    about = {
        "trained_on": tuple(Data(c.name, c.sha256) for c in corpora),
        "score_on": tuple(Data(c.name, c.sha256) for c in others),
        "licence": chosen.licence,
    }
    if file is None:
        settings = replace(TrainingSettings(), **{**SIZES.get(chosen.size, {}), **given})
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


def _follow(run: _Run, chosen: argparse.Namespace, pressed: Callable[[], bool]) -> bool:
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
            f"{arguments.clock(now.seconds_left)} left",
        ]
    return ", ".join(told)


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("train", "a model from corpora and sessions", _train_arguments, _train),
)
