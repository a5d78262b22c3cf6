"""The command evaluate: how well a model predicts, and how like people it plays."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robojam.cli.arguments import (
    PATH,
    SEED,
    Command,
    json_option,
    option,
    output_file,
    paths_argument,
    sampling,
    sampling_options,
    strict_option,
    units_option,
)
from robojam.cli.output import corpus_notes, fail, leave_out
from robojam.system.install import require

if TYPE_CHECKING:
    from robojam.corpus.corpus import Corpus
    from robojam.corpus.units import Units
    from robojam.evaluation.play import PlayReport


#: Options that go with --play.
_OF_PLAY = ("temperature", "spread", "follow", "memory", "seed", "quick", "learnt")


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", help="a model file, or the name of a model")
@paths_argument("DATA", "held-out performances")
@units_option
@strict_option
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
def evaluate(
    *, model: str, paths: tuple[Path, ...], play: bool, page: Path | None, **given: Any
) -> int:
    """Measure how well a model predicts performances that it was not trained on.

    The result is in nats per touch; lower is better. --temperature, --spread, --follow and
    --memory are those of --play, which is explained in docs/measure.md.
    """
    from robojam.corpus.corpus import CorpusError
    from robojam.model.file import ModelFileError, find

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
    require(*needs, *(["matplotlib"] if page is not None else []))
    try:
        path, corpora = find(model), _read(paths, given["units"], strict=given["strict"])
        if play:
            return _play(path, corpora, page, given)
        return _predict(path, corpora, as_json=given["as_json"])
    except (ModelFileError, CorpusError, ValueError) as error:
        fail(error)


def _read(paths: tuple[Path, ...], units: Units | None, *, strict: bool) -> list[Corpus]:
    """Return the data, clean. Raises CorpusError."""
    from robojam.corpus.corpus import clean
    from robojam.corpus.formats import read_all

    corpora = read_all(paths, units=units, strict=strict, on_error=leave_out)
    return [clean(corpus) for corpus in corpora]


def _predict(path: Path, corpora: list[Corpus], *, as_json: bool) -> int:
    """Print how well a model predicts. Raises ValueError where it cannot be measured."""
    import torch

    from robojam.evaluation.likelihood import mean_score, score
    from robojam.model.mdrnn import load

    model, _ = load(path)
    # Steps are small: beside another busy program, torch's threads wait for one another most
    # of the time, and keep the cores busy while they wait.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result = mean_score([score(model, corpus, flagless=True) for corpus in corpora])
    finally:
        torch.set_num_threads(threads)
    if not math.isfinite(result.joint):
        fail(f"{path} has no density there: {result.joint} nats per event", 1)
    if as_json:
        scores = {"joint": result.joint, "xydt": result.xydt, "parts": result.parts}
        print(json.dumps({"touches": result.touches, **scores}))
        return 0
    parts = " ".join(f"{name} {value:.4f}" for name, value in result.parts.items())
    names = ", ".join(corpus.name for corpus in corpora)
    print(f"{path.name} on {names}: {result.touches} events scored")
    print(f"joint  {result.joint:9.4f} nats per {model.event.name}, lower is better")
    print(f"parts  {parts}")
    print(f"without its flags  {result.xydt:.4f}")
    print("".join(f"{note}\n" for note in corpus_notes(corpora)), end="")
    return 0


def _play(path: Path, corpora: list[Corpus], page: Path | None, given: dict[str, Any]) -> int:
    """Print how a model plays beside people. Raises ValueError where it cannot be measured."""
    from robojam.corpus.corpus import join
    from robojam.evaluation import play
    from robojam.model.file import read

    file, seed = read(path), given["seed"] or 0
    learnt = _read(given["learnt"], given["units"], strict=given["strict"])
    data = list(join(corpora).performances())
    report = play.measure(
        file,
        data,
        **sampling(file.description, given),
        learnt=list(join(learnt).performances()) if learnt else (),
        seed=seed,
        quick=given["quick"],
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
