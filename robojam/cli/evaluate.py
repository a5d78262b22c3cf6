"""The command evaluate: how well a model predicts, and how like people it plays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from robojam.cli.arguments import (
    PATH,
    SEED,
    Command,
    json_option,
    knobs_option,
    option,
    output_file,
    paths_argument,
    ray_option,
    sampling,
    sampling_options,
    strict_option,
    units_option,
)
from robojam.cli.output import corpus_notes, fail, leave_out, shown_progress
from robojam.system.install import require

if TYPE_CHECKING:
    from robojam.cluster.connect import Cluster
    from robojam.corpus.corpus import Corpus
    from robojam.corpus.units import Units
    from robojam.evaluation.likelihood import Score
    from robojam.evaluation.play import PlayReport

#: A cluster, and what shows how many parts have ended.
Where: TypeAlias = "tuple[Cluster, Callable[[int, int], None]]"

#: Options that go with --play.
_OF_PLAY = ("temperature", "spread", "follow", "memory", "seed", "quick", "learnt")


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", help="a model file, or the name of a model")
@paths_argument("DATA", "held-out performances")
@units_option
@strict_option
@knobs_option
@json_option
@option("--play", "measure how it plays beside people, not how well it predicts")
@sampling_options
@option("--quick", "with --play: without what takes a minute or more")
@option(
    "--learnt DATA",
    "with --play: other performances, from which the judge of belonging and the listener "
    "learn (default: from DATA, in parts)",
    PATH,
    multiple=True,
)
@option("--seed N", "where the random numbers of --play start (default: 0)", SEED)
@option("--page FILE", "with --play: draw the result, .png, .svg or .pdf", output_file)
@ray_option
def evaluate(
    *,
    model: str,
    paths: tuple[Path, ...],
    play: bool,
    page: Path | None,
    ray: str | None,
    **given: Any,
) -> int:
    """Measure how well a model predicts performances that it was not trained on.

    The result is in nats per touch; lower is better. --temperature, --spread, --follow and
    --memory are those of --play, which is explained in docs/measure.md.
    """
    from robojam.cluster.connect import ClusterError
    from robojam.corpus.corpus import CorpusError, fitting
    from robojam.model.event import PRESSED, count_knobs
    from robojam.model.file import ModelFileError, find, read

    if not play:
        of_play = {"page": page, **{n: given[n] for n in _OF_PLAY}}
        for name, value in of_play.items():
            if not (value is None or value is False or value == ()):  # 0 is a value
                fail(f"--{name} goes with --play")
    if page is not None:  # refused before any work
        from robojam.export.figures import KINDS

        if page.suffix.lower() not in KINDS:
            fail(f"--page {page}: a page is {', '.join(KINDS)}")
    needs = [] if play and given["quick"] else ["torch"]
    needs += ["sklearn"] if play else []
    needs += [] if ray is None else ["ray"]
    require(*needs, *(["matplotlib"] if page is not None else []))
    try:
        path = find(model)
        event = read(path).event
        of_knobs = count_knobs(event.columns) > 0
        if play and (of_knobs or given["knobs"]):
            fail("--play compares fingers on a surface: knobs have no strokes to compare")
        knobs = given.pop("knobs") or of_knobs
        pressure = event.columns == PRESSED and not play
        corpora = _read(
            paths, given["units"], strict=given["strict"], knobs=knobs, pressure=pressure
        )
        corpora = [fitting(corpus, event) for corpus in corpora]
        with ExitStack() as stack:
            where = None if ray is None else _connect(stack, ray)
            if play:
                return _play(path, corpora, page, given, where)
            return _predict(path, corpora, where, as_json=given["as_json"])
    except (ModelFileError, CorpusError, ClusterError, ValueError) as error:
        fail(error)


def _connect(stack: ExitStack, address: str) -> Where:
    """Return a cluster that is open until the stack is closed, and what shows progress."""
    from robojam.cluster.connect import connected

    cluster = stack.enter_context(connected(address))
    return cluster, stack.enter_context(shown_progress("measured"))


def _read(
    paths: tuple[Path, ...], units: Units | None, *, strict: bool, **kind: Any
) -> list[Corpus]:
    """Return the data, clean; kind is knobs or pressure. Raises CorpusError."""
    from robojam.corpus.corpus import clean
    from robojam.corpus.formats import read_all

    corpora = read_all(paths, units=units, strict=strict, on_error=leave_out, **kind)
    return [clean(corpus) for corpus in corpora]


def _predict(path: Path, corpora: list[Corpus], where: Where | None, *, as_json: bool) -> int:
    """Print how well a model predicts. Raises ValueError where it cannot be measured."""
    from robojam.evaluation.likelihood import mean_score
    from robojam.model.event import count_knobs
    from robojam.model.file import read

    if where is None:
        scores = _score_here(path, corpora)
    else:
        from robojam.cluster.jobs import score_on

        scores = score_on(where[0], path, corpora, where[1])
    result, event = mean_score(scores), read(path).event
    if not math.isfinite(result.joint):
        fail(f"{path} has no density there: {result.joint} nats per event", 1)
    if as_json:
        means = {"joint": result.joint, "xydt": result.xydt, "parts": result.parts}
        print(json.dumps({"touches": result.touches, **means}))
        return 0
    parts = " ".join(f"{name} {value:.4f}" for name, value in result.parts.items())
    names = ", ".join(corpus.name for corpus in corpora)
    print(f"{path.name} on {names}: {result.touches} events scored")
    name = "event" if count_knobs(event.columns) else event.name
    print(f"joint  {result.joint:9.4f} nats per {name}, lower is better")
    print(f"parts  {parts}")
    print(f"without its flags  {result.xydt:.4f}")
    print("".join(f"{note}\n" for note in corpus_notes(corpora)), end="")
    return 0


def _score_here(path: Path, corpora: list[Corpus]) -> list[Score]:
    """Return the scores of a model in this process. Raises ValueError."""
    import torch

    from robojam.evaluation.likelihood import score
    from robojam.model.mdrnn import load

    model, _ = load(path)
    # Steps are small: beside another busy program, torch's threads wait for one another most
    # of the time, and keep the cores busy while they wait.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [score(model, corpus, flagless=True) for corpus in corpora]
    finally:
        torch.set_num_threads(threads)


def _play(
    path: Path,
    corpora: list[Corpus],
    page: Path | None,
    given: dict[str, Any],
    where: Where | None,
) -> int:
    """Print how a model plays beside people. Raises ValueError where it cannot be measured."""
    from robojam.corpus.corpus import join
    from robojam.engine.model_loader import one_thread
    from robojam.evaluation import play
    from robojam.model.file import read

    file, seed = read(path), given["seed"] or 0
    learnt = _read(given["learnt"], given["units"], strict=given["strict"])
    data = list(join(corpora).performances())
    elsewhere: dict[str, Any] = {}
    if where is None:
        one_thread()  # what is planned depends on the number of threads
    else:
        from robojam.cluster.jobs import measure_on

        elsewhere = {"run": measure_on(*where)}
    report = play.measure(
        file,
        data,
        **sampling(file.description, given),
        learnt=list(join(learnt).performances()) if learnt else (),
        seed=seed,
        quick=given["quick"],
        **elsewhere,
    )
    if page is not None:
        from robojam.evaluation import report as page_report

        names = ", ".join(corpus.name for corpus in corpora)
        try:
            page_report.draw(file, data, report, page, seed=seed, data=names)
        except OSError as error:
            fail(f"{page}: {error.strerror}")
    if given["as_json"]:
        print(json.dumps(report.as_json()))
        return 0
    _print_play(path, report)
    print("".join(f"{note}\n" for note in corpus_notes(corpora)), end="")
    return 0


def _print_play(path: Path, report: PlayReport) -> None:
    from robojam.evaluation.likeness import CONTINUATIONS

    result = report.likeness
    print(f"{path.name}: {result.performances} performances, {CONTINUATIONS} answers each")
    dials = {
        "temperature": result.temperature,
        "spread": result.spread,
        "follow": report.follow,
        "memory": report.memory,
    }
    print("at " + ", ".join(f"{name} {value:g}" for name, value in dials.items()))
    print("told apart, 0.5 to 1 (nobody can, anybody can), with its 95 % interval:")
    rows = [
        ("the machine from people", result.machine),
        ("people from other people", result.people),
        ("people from people 1.3 times as fast", result.sped_up),
    ]
    if report.listener is not None:
        machine, people = report.listener
        rows.append(("by a listener: the machine from people", machine))
        rows.append(("by a listener: people from people", people))
    for pair, area in rows:
        print(f"  {pair:39}{area.auc:.3f}  {area.low:.3f} to {area.high:.3f}")
    print("what stands out, people and machine:")
    for name, of_people, of_machine in result.stands_out:
        print(f"  {name:39}{of_people:7.3f} {of_machine:7.3f}")
    if report.belonging is not None:
        calls = report.belonging.calls
        print(f"whether it belongs to its call, of {calls}:   first  in ten  mean rho")
        for who in ("machine", "people", "shuffled"):
            part = getattr(report.belonging, who)
            name = {"machine": "the machine", "shuffled": "people, to other calls"}.get(
                who, who
            )
            print(f"  {name:39}{part.first:7.2f} {part.first_ten:7.2f} {part.mean_rho:9.2f}")
    if report.adaptation is not None:
        part = report.adaptation
        print(
            f"follows a change of manner after {part.mean:.1f} answers; "
            f"within two: {part.within_two:.0%} of {len(part.answers)}"
        )
    if report.motif is not None:
        print(
            f"comes closer to a motif than a random answer: {report.motif.closer:.0%} of "
            f"{report.motif.trials}; copies: {report.motif.copies}"
        )
