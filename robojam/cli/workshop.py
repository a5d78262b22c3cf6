"""train, evaluate: the commands that make models and judge them."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from robojam.cli import ask

if TYPE_CHECKING:
    from robojam.train import Progress, Trainer


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
        help="held-out data; again: more (default: every tenth performance)",
    )
    add("--passes", metavar="N", type=ask.positive, help="passes over the data")
    add("--units", metavar="N", type=ask.count, help="width of each recurrent layer")
    add("--layers", metavar="N", type=ask.count, help="how many recurrent layers")
    add("--components", metavar="N", type=ask.count, help="components of each mixture")
    add("--hidden", metavar="N", type=ask.count, help="width of the heads' hidden layer")
    add("--batch", metavar="N", type=ask.count, help="events in a batch, about")
    add("--window", metavar="N", type=ask.count, help="events in a window of backpropagation")
    add("--rate", metavar="RATE", type=ask.positive, help="learning rate at its height")
    add("--seed", metavar="N", type=_seed, default=0, help="gives the same run (default: 0)")
    add("--threads", metavar="N", type=ask.count, help="how many cores (default: all)")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="where (default: cpu)")
    add("--licence", metavar="TEXT", default="", help="a note that goes into the model's file")


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at most 63 bits")
    return int(text)


def _train(chosen: argparse.Namespace) -> int:
    from robojam.corpus import CorpusError, clean, join
    from robojam.formats import load_all
    from robojam.modelfile import Data
    from robojam.train import NotFiniteError, Settings, Trainer, split

    ask.writable(chosen.to)
    import torch

    if chosen.device == "cuda" and not torch.cuda.is_available():
        ask.fail("--device cuda: this machine has no CUDA device")
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    names = "passes units layers components hidden batch window rate seed device".split()
    given = {name: getattr(chosen, name) for name in names}
    settings = replace(Settings(), **{k: v for k, v in given.items() if v is not None})
    try:
        corpora = load_all(chosen.data)
        others = load_all(chosen.val or [])
        data = join([clean(corpus) for corpus in corpora])
        if others:
            held_out = join([clean(corpus) for corpus in others])
        else:
            data, held_out = split(data, every=10)
        trainer = Trainer(data, held_out, settings)
    except (CorpusError, ValueError) as error:
        ask.fail(error)
    except (MemoryError, RuntimeError) as error:  # torch tells of too little memory so
        ask.fail(f"a model of these sizes cannot be made: {str(error).splitlines()[0]}")
    about: dict[str, Any] = {
        "trained_on": tuple(Data(c.name, c.sha256) for c in corpora),
        "score_on": tuple(Data(c.name, c.sha256) for c in others),
        "licence": chosen.licence,
    }
    told = f"{data.name}: {len(data.lengths)} performances, {len(data.events)} events"
    print(f"{told}; held out {held_out.name}: {len(held_out.events)}", flush=True)
    try:
        try:
            _follow(trainer, lambda: trainer.save(chosen.to, **about))
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            if trainer.best is None:
                ask.fail("stopped before the first scoring: no model was made", 130)
            trainer.save(chosen.to, **about)  # it may have been stopped while it wrote
    except NotFiniteError as error:
        kept = "" if trainer.best is None else f" The best until then is in {chosen.to}."
        ask.fail(f"{error}{kept}", 1)
    except OSError as error:
        ask.fail(f"{chosen.to} cannot be written: {error.strerror or error}", 1)
    print(f"{chosen.to}: {trainer.best_score:.4f} nats per event on {held_out.name}")
    return 0


def _follow(trainer: Trainer, keep: Callable[[], None]) -> None:
    """Train, keep the best so far in its file, and show how it goes."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console()
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        for now in trainer:
            bar.update(task, total=now.steps, completed=now.step, description=_told(now))
            if now.score is None:
                continue
            if now.score == now.best:
                keep()
            console.print(
                f"step {now.step} of {now.steps}: {_told(now)}", highlight=False, soft_wrap=True
            )


def _told(now: Progress) -> str:
    minutes, seconds = divmod(round(now.left), 60)
    best = "" if now.best is None else f", held out {now.best:.3f}"
    score = "" if now.score is None else f" (now {now.score:.3f})"
    return (
        f"loss {now.loss:.3f}{best}{score}, {now.rate:,.0f} events/s, "
        f"{minutes}:{seconds:02d} left"
    )


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name")
    parser.add_argument("data", metavar="DATA", nargs="+", type=Path, help="held-out corpora")
    parser.add_argument("--json", action="store_true", help="for machines")


def _evaluate(chosen: argparse.Namespace) -> int:
    from robojam.corpus import CorpusError
    from robojam.formats import load_all
    from robojam.modelfile import ModelFileError, find

    try:
        path = find(chosen.model)
        corpora = load_all(chosen.data)
        from robojam.evaluate import score, together
        from robojam.model import load

        model, _ = load(path)
        scores = [score(model, corpus, flagless=True) for corpus in corpora]
        result = together(scores)
    except (ModelFileError, CorpusError, ValueError) as error:
        ask.fail(error)
    if not math.isfinite(result.joint):
        ask.fail(f"{path} has no density there: {result.joint} nats per event", 1)
    about: dict[str, Any] = {
        "touches": result.touches,
        "joint": result.joint,
        "xydt": result.xydt,
        "parts": result.parts,
    }
    if chosen.json:
        print(json.dumps(about))
        return 0
    parts = " ".join(f"{name} {value:.4f}" for name, value in result.parts.items())
    names = ", ".join(corpus.name for corpus in corpora)
    print(f"{path.name} on {names}: {result.touches} events scored")
    print(f"joint  {result.joint:9.4f} nats per {model.event.name}, lower is better")
    print(f"parts  {parts}")
    print(f"without its flags  {result.xydt:.4f}")
    return 0


COMMANDS: Final[tuple[ask.Command, ...]] = (
    ("train", "a model from corpora and sessions", _train_arguments, _train),
    ("evaluate", "how well a model predicts", _evaluate_arguments, _evaluate),
)
