"""Train and score variants of the model with several seeds, to see what each idea is worth.

    python benchmarks/models.py                    # all runs that are not in the results yet
    python benchmarks/models.py --only gru s --seeds 0 1 2 --passes 20
    python benchmarks/models.py --list
    python benchmarks/models.py --table            # the results as a Markdown table

The variants are in benchmarks/variants.py. Each run adds a line to results/models.jsonl, and is
not repeated. A run is identified by variant, seed, passes, units and `base`, a digest of
robojam's training settings and of the shapes of the weights. When these change, all variants
are trained again, and the table shows the newest. Passes and units are few, so that all runs
take an afternoon on one core. Such short runs say nothing about overfitting, which begins
later.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from model_step import measure
from variants import VARIANTS, Variant

from robojam import __version__
from robojam.corpus.corpus import Corpus, clean
from robojam.corpus.formats import read
from robojam.engine.model_loader import one_thread
from robojam.evaluation import belonging, likeness
from robojam.evaluation.likelihood import Score, score
from robojam.model.event import touch_event
from robojam.model.file import ModelFile, shapes
from robojam.model.file import read as read_model
from robojam.model.mdrnn import EventModel
from robojam.training import trainer as training
from robojam.training.trainer import Trainer, TrainingSettings

RESULTS = Path(__file__).parent / "results" / "models.jsonl"
#: The factors of the density, in the order of the table.
_PARTS = ("phase", "dt", "xy")


def base() -> str:
    """Return a digest of robojam's training settings and of the shapes of the weights."""
    s = replace(TrainingSettings(), passes=0)
    event = touch_event(components=s.components, hidden=s.hidden)
    state = (s, event, shapes(event, s.units, s.layers))
    return hashlib.sha256(repr(state).encode()).hexdigest()[:8]


def run(
    variant: Variant, corpus: Corpus, held_out: Corpus, settings: TrainingSettings
) -> dict[str, Any]:
    """Train and score a variant; return its figures."""
    began = time.monotonic()
    if variant.reference is not None:
        result = variant.reference(corpus, held_out, settings)
        seconds = time.monotonic() - began
        return {
            "seconds": round(seconds, 1),
            "touches_per_second": round(result.touches / seconds),
            **asdict(result),
        }
    scores: list[Score] = []

    def record_score(model: EventModel, held_out: Corpus) -> Score:
        scores.append(score(model, held_out, flagless=variant.xydt))
        return scores[-1]

    replaced = mock.patch.multiple(
        training, EventModel=variant.model, WindowSampler=variant.sampler, score=record_score
    )
    with replaced:
        event = variant.event(training.event_of(corpus, settings))
        trainer = Trainer(corpus, held_out, settings, event=event)
        rates = [progress.events_per_second for progress in trainer if progress.score is None]
    model = trainer.best
    assert model is not None
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        trainer.save(path)
        size = path.stat().st_size
        step = None
        if variant.model is EventModel:  # robojam can play only this class
            file = read_model(path)
            step = measure(file, device="cpu")
            figures = measure_belonging(file, corpus, held_out)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "touches_per_second": round(rates[-1]),
        "joint": scores[-1].joint,
        "xydt": scores[-1].xydt,
        "parts": scores[-1].parts,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": trainer.steps,
        "file_bytes": size,
        "step_ms": step and [round(ms, 4) for ms in step],
        **figures,
    }


def measure_belonging(file: ModelFile, corpus: Corpus, held_out: Corpus) -> dict[str, Any]:
    """Return how much a model's answers belong to held-out calls (robojam.evaluation).

    At temperature 1.05 and spread 0.95, five answers to each call, without a plan. Nothing is
    returned for fewer performances than the judge wants.
    """
    learnt, pairs = (
        likeness.split_in_half(list(data.performances())) for data in (corpus, held_out)
    )
    if min(len(learnt), len(pairs)) < belonging.FEWEST:
        return {}
    options = {"temperature": 1.05, "spread": 0.95}
    takes = likeness.continue_openings(file, pairs, seed=0, **options)
    report = belonging.compare(pairs, takes, learnt=learnt)
    played = likeness.compare(pairs, takes, **options)
    machine = report.machine
    return {
        "first": round(machine.first, 4),
        "first_ten": round(machine.first_ten, 4),
        "mean_rho": round(machine.mean_rho, 4),
        "likeness": round(played.machine.auc, 4),
    }


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the runs that have been made."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a run."""
    return tuple(line[name] for name in ("variant", "seed", "passes", "units", "base"))


def table(lines: list[dict[str, Any]]) -> str:
    """Return the runs of the newest base as a Markdown table."""
    newest = [line for line in lines if line["base"] == lines[-1]["base"]]
    groups: dict[tuple[str, float, int | None], list[dict[str, Any]]] = {}
    for name in VARIANTS:
        for line in newest:
            if line["variant"] == name:
                groups.setdefault((name, line["passes"], line["units"]), []).append(line)
    rows = [
        "| variant | | units | passes | nats per touch | better by | phase, dt, place | "
        "(x, y, dt) | weights | belongs: first, mean rho | likeness |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, passes, units), runs in groups.items():
        joint, xydt = (_values(runs, column) for column in ("joint", "xydt"))
        baseline = _values(groups.get(("baseline", passes, units), []), "joint")
        better = ""
        if joint and baseline and name != "baseline":
            better = f"{np.mean(baseline) - np.mean(joint):+.2f}"
        parts = ""
        if joint:
            means = np.mean([[line["parts"][part] for part in _PARTS] for line in runs], 0)
            parts = ", ".join(f"{nats:.2f}" for nats in means)
        cells = (
            name,
            VARIANTS[name].about,
            f"{units or ''}",
            f"{passes:g} × {len(runs)}" if passes else "",
            _mean_and_range(joint),
            better,
            parts,
            _mean_and_range(xydt),
            f"{runs[0]['parameters']:,}",
            ", ".join(_mean_and_range(_values(runs, name)) for name in ("first", "mean_rho")),
            _mean_and_range(_values(runs, "likeness")),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _values(runs: list[dict[str, Any]], column: str) -> list[float]:
    return [line[column] for line in runs if line.get(column) is not None]


def _mean_and_range(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--passes", type=float, default=6.0, help="default 6")
    parser.add_argument("--units", type=int, default=128, help="default 128")
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--to", type=Path, default=RESULTS, help="file of the results")
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="run on a cluster: HOST:PORT, or local"
    )
    parser.add_argument("--list", action="store_true", help="only list the variants")
    parser.add_argument("--table", action="store_true", help="only print the table")
    args = parser.parse_args()
    if args.list:
        for name, variant in VARIANTS.items():
            print(f"{name:28}{variant.about}")
        return
    if args.table:
        print(table(read_results(args.to)))
        return
    corpus, held_out = (
        clean(read(args.data / f"microjam_{part}.npz")) for part in ("train", "val")
    )
    runs, made = [], set(map(key, read_results(args.to)))
    for name in args.only:
        variant = VARIANTS[name]
        for seed in args.seeds[:1] if variant.deterministic else args.seeds:
            passes = 0.0 if variant.deterministic else args.passes * variant.share
            identity = {"variant": name, "seed": seed, "passes": passes, "base": base()}
            identity["units"] = None if variant.reference else args.units
            if key(identity) not in made:
                runs.append((identity, args.passes, args.units))
    for line in _run_all(runs, corpus, held_out, args.ray):
        with args.to.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        nats = line["joint"] if line["joint"] is not None else line["xydt"]
        print(
            f"{line['variant']:28}{line['seed']:3}{nats:10.3f}{line['seconds']:8.0f} s",
            flush=True,
        )


def make_line(
    corpus: Corpus, held_out: Corpus, identity: dict[str, Any], passes: float, units: int
) -> dict[str, Any]:
    """Do a run; return its line of the results."""
    one_thread()
    torch.set_num_threads(1)
    name, seed = identity["variant"], identity["seed"]
    # A score_every beyond the last step means one scoring, at the end.
    options = {"passes": identity["passes"], "seed": seed, "score_every": 1 << 30}
    settings = TrainingSettings(**{"units": units} | VARIANTS[name].settings | options)
    figures = run(VARIANTS[name], corpus, held_out, settings)
    conditions = {
        "load": round(os.getloadavg()[0], 1),
        "machine": f"one of {os.cpu_count()} cores, {platform.machine()}",
        "versions": f"robojam {__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "command": f"python benchmarks/models.py --only {shlex.quote(name)} "
        f"--seeds {seed} --passes {passes:g} --units {units}",
    }
    return {**identity, **figures, **conditions}


def _run_all(
    runs: list[tuple[dict[str, Any], float, int]],
    corpus: Corpus,
    held_out: Corpus,
    address: str | None,
) -> Iterator[dict[str, Any]]:
    """Yield the line of each run: one after the other, or as they end on a cluster."""
    if address is None:
        for each in runs:
            yield make_line(corpus, held_out, *each)
        return
    from robojam.cluster.connect import connected
    from robojam.cluster.tasks import run_tasks

    with connected(address, folder=Path(__file__).parent) as cluster:
        for _, line in run_tasks(cluster, make_line, runs, shared=[corpus, held_out]):
            yield line


if __name__ == "__main__":
    main()
