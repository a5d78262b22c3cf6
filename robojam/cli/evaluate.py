"""evaluate: how well a model predicts, and how like people it plays."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name")
    parser.add_argument("data", metavar="DATA", nargs="+", type=Path, help="held-out corpora")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--play", action="store_true", help="how like people it plays, instead: can one tell?"
    )
    for name in ("temperature", "spread"):
        parser.add_argument(
            f"--{name}",
            metavar=name[0].upper(),
            type=float,
            help="with --play (default: as the model's file recommends)",
        )
    parser.add_argument(
        "--seed", metavar="N", type=arguments.seed, default=0, help="with --play"
    )
    parser.add_argument(
        "--page", metavar="FILE", type=Path, help="with --play: pictures too, .png .svg .pdf"
    )


def _evaluate(chosen: argparse.Namespace) -> int:
    from robojam.corpus.corpus import CorpusError
    from robojam.corpus.formats import read_all
    from robojam.model.file import ModelFileError, find

    if chosen.page is not None:
        _check_page(chosen.page, play=chosen.play)
    try:
        path = find(chosen.model)
        corpora = list(read_all(chosen.data))
        if chosen.play:
            return _play(chosen, path, corpora)
        from robojam.evaluation.likelihood import score, together
        from robojam.model.mdrnn import load

        model, _ = load(path)
        with _one_thread():
            scores = [score(model, corpus, flagless=True) for corpus in corpora]
        result = together(scores)
    except (ModelFileError, CorpusError, ValueError) as error:
        arguments.fail(error)
    if not math.isfinite(result.joint):
        arguments.fail(f"{path} has no density there: {result.joint} nats per event", 1)
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


@contextmanager
def _one_thread() -> Iterator[None]:
    """Score on one thread.

    Steps are small, and where another program is at work as well, torch's threads wait for
    one another most of the time, and burn the cores meanwhile.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_page(path: Path, *, play: bool) -> None:
    """Leave, before any work, where there can be no page."""
    from robojam.evaluation.report import KINDS

    if not play:
        arguments.fail("--page is of --play: name that too")
    if path.suffix.lower() not in KINDS:
        arguments.fail(f"--page {path}: a page is {', '.join(KINDS)}")
    arguments.writable(path, option="--page")


def _play(chosen: argparse.Namespace, path: Path, corpora: list[Corpus]) -> int:
    """Tell how like people a model plays. Raises ValueError and its kin."""
    from robojam.controls import CONTROLS
    from robojam.corpus.corpus import clean, join
    from robojam.evaluation import likeness
    from robojam.model.file import read

    file = read(path)
    how = {
        "temperature": file.description.temperature,
        "spread": file.description.spread,
    }
    for name in how:
        given = getattr(chosen, name)
        if given is not None:
            if not CONTROLS[name].has(given):
                raise ValueError(f"--{name} {given} is not 0 to 10")
            how[name] = given
    try:
        data = list(join([clean(corpus) for corpus in corpora]).performances())
        found = likeness.compare(file, data, seed=chosen.seed, **how)
    except ModuleNotFoundError:
        arguments.fail("--play wants scikit-learn: pip install 'robojam[report]'")
    if chosen.page is not None:
        from robojam.evaluation import report

        names = ", ".join(corpus.name for corpus in corpora)
        try:
            report.draw(file, data, found, chosen.page, seed=chosen.seed, data=names)
        except OSError as error:
            arguments.fail(f"{chosen.page}: {error.strerror}")
    if chosen.json:
        print(json.dumps(found.as_json()))
        return 0
    print(
        f"{path.name}: {found.performances} performances, {likeness.CONTINUATIONS} answers each"
    )
    print(f"at temperature {found.temperature:g}, spread {found.spread:g}")
    print("told apart, 0.5 to 1 (nobody can, anybody can), with its 95 % interval:")
    for who, area in (
        ("the machine from people", found.machine),
        ("people from other people", found.people),
        ("people from people 1.3 times as fast", found.sped_up),
    ):
        print(f"  {who:37}{area.auc:.3f}  {area.low:.3f} to {area.high:.3f}")
    print("what stands out, people and machine:")
    for name, people, its in found.stands_out:
        print(f"  {name:37}{people:7.3f} {its:7.3f}")
    return 0


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("evaluate", "how well a model predicts", _arguments, _evaluate),
)
