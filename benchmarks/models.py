"""What each idea about the model was worth: named variants, trained and scored with seeds.

    python benchmarks/models.py                    # all that have no line yet
    python benchmarks/models.py --only gru s --seeds 0 1 2 --passes 20
    python benchmarks/models.py --list
    python benchmarks/models.py --table            # the table of benchmarks/README.md

Each run is one line of results/models.jsonl, and is not run twice: what identifies it is
the variant, the seed, the passes, the units, and `base`, a digest of robojam's own settings
and of the shapes of the weights they give. When those change, all is run anew, and the table
is of the newest. Units and passes are few, so that all of it is done in an afternoon on one
core: what an idea is worth here says nothing of what it does against learning by heart, which
begins later.
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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from step import measure
from variants import VARIANTS, Variant
from variants.cells import Ensemble
from variants.distilled import Taught

from robojam import __version__
from robojam.corpus.corpus import Corpus, clean
from robojam.corpus.formats import read
from robojam.engine.model_loader import one_thread
from robojam.evaluation.likelihood import Score, score
from robojam.model.event import touch_event
from robojam.model.file import read as read_model
from robojam.model.file import shapes
from robojam.model.mdrnn import EventModel
from robojam.training import trainer as train
from robojam.training.trainer import Trainer, TrainingSettings

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "models.jsonl"
#: The order in which a table tells the factors.
_PARTS = ("phase", "dt", "xy")


def base() -> str:
    """Tell one state of robojam's recipe from another."""
    s = replace(TrainingSettings(), passes=0)
    event = touch_event(components=s.components, hidden=s.hidden)
    known = (s, event, shapes(event, s.units, s.layers))
    return hashlib.sha256(repr(known).encode()).hexdigest()[:8]


def run(
    variant: Variant, corpus: Corpus, held_out: Corpus, settings: TrainingSettings
) -> dict[str, Any]:
    """Train a variant and score it: what its line says beside its name."""
    began = time.monotonic()
    if variant.reference is not None:
        found = variant.reference(corpus, held_out, settings)
        seconds = time.monotonic() - began
        return {
            "seconds": round(seconds, 1),
            "touches_per_second": round(found.touches / seconds),
            **asdict(found),
        }
    scores: list[Score] = []

    def scored(model: EventModel, held_out: Corpus) -> Score:
        scores.append(score(model, held_out, flagless=variant.xydt))
        return scores[-1]

    replaced = mock.patch.multiple(
        train, EventModel=variant.model, WindowSampler=variant.windows, score=scored
    )
    with variant.within(), replaced:
        event = variant.event(train.event_of(corpus, settings))
        learnt: list[EventModel] = []
        runs = variant.members + variant.taught
        for member in range(runs):
            one = replace(settings, seed=settings.seed + 1000 * member)
            if member < variant.members:
                trainer = Trainer(corpus, held_out, one, event=event)
            else:
                trainer = Taught(corpus, held_out, one, event=event, teachers=learnt)
                learnt = []
            rates = [now.events_per_second for now in trainer if now.score is None]
            assert trainer.best is not None
            learnt.append(trainer.best)
        if len(learnt) > 1:
            together: Any = Ensemble(learnt)
            scored(together, held_out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        trainer.save(path)
        size = path.stat().st_size
        step = measure(read_model(path), device="cpu", voices=1) if variant.plays else None
    return {
        "seconds": round(time.monotonic() - began, 1),
        "touches_per_second": round(rates[-1]),
        "joint": scores[-1].joint,
        "xydt": scores[-1].xydt,
        "parts": scores[-1].parts,
        "parameters": sum(p.numel() for model in learnt for p in model.parameters()),
        "steps": trainer.steps * runs,
        "file_bytes": size * len(learnt),
        "step_ms": step and [round(ms, 4) for ms in step],
    }


def lines(path: Path) -> list[dict[str, Any]]:
    """Read what has been found so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """Tell one run from another."""
    return tuple(line[name] for name in ("variant", "seed", "passes", "units", "base"))


def table(found: list[dict[str, Any]]) -> str:
    """Say in markdown what each idea was worth, for the newest base that was measured."""
    newest = [line for line in found if line["base"] == found[-1]["base"]]
    groups: dict[tuple[str, float, int | None], list[dict[str, Any]]] = {}
    for name in VARIANTS:
        for line in newest:
            if line["variant"] == name:
                groups.setdefault((name, line["passes"], line["units"]), []).append(line)
    rows = [
        "| variant | | units | passes | nats per touch | better by | phase, dt, place | "
        "(x, y, dt) | weights |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, passes, units), some in groups.items():
        joint, xydt = (_values(some, what) for what in ("joint", "xydt"))
        beside = _values(groups.get(("baseline", passes, units), []), "joint")
        better = ""
        if joint and beside and name != "baseline":
            better = f"{np.mean(beside) - np.mean(joint):+.2f}"
        parts = ""
        if joint:
            each = np.mean([[line["parts"][part] for part in _PARTS] for line in some], 0)
            parts = ", ".join(f"{nats:.2f}" for nats in each)
        cells = (
            name,
            VARIANTS[name].about,
            f"{units or ''}",
            f"{passes:g} × {len(some)}" if passes else "",
            _told(joint),
            better,
            parts,
            _told(xydt),
            f"{some[0]['parameters']:,}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _values(some: list[dict[str, Any]], what: str) -> list[float]:
    return [line[what] for line in some if line[what] is not None]


def _told(values: list[float]) -> str:
    """Say a mean, and from where to where the values are."""
    if not values:
        return ""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--passes", type=float, default=6.0, help="default 6")
    parser.add_argument("--units", type=int, default=128, help="of what says none; default 128")
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the lines are kept")
    parser.add_argument("--list", action="store_true", help="name the variants, and leave")
    parser.add_argument("--table", action="store_true", help="print the table, and leave")
    chosen = parser.parse_args()
    if chosen.list:
        for name, variant in VARIANTS.items():
            print(f"{name:28}{variant.about}")
        return
    if chosen.table:
        print(table(lines(chosen.to)))
        return
    one_thread()
    torch.set_num_threads(1)
    corpus, held_out = (
        clean(read(chosen.data / f"microjam_{part}.npz")) for part in ("train", "val")
    )
    for name in chosen.only:
        variant = VARIANTS[name]
        for seed in chosen.seeds[:1] if variant.fixed else chosen.seeds:
            passes = 0.0 if variant.fixed else chosen.passes * variant.share
            about = {"variant": name, "seed": seed, "passes": passes, "base": base()}
            about["units"] = None if variant.reference else chosen.units
            if key(about) in map(key, lines(chosen.to)):
                continue
            # Scored once, at the end.
            of_run = {"passes": passes, "seed": seed, "score_every": 1 << 30}
            settings = TrainingSettings(**{"units": chosen.units} | variant.settings | of_run)
            found = run(variant, corpus, held_out, settings)
            line = (
                about
                | found
                | {
                    "load": round(os.getloadavg()[0], 1),
                    "machine": f"one of {os.cpu_count()} cores, {platform.machine()}",
                    "versions": f"robojam {__version__}, torch {torch.__version__}, "
                    f"Python {platform.python_version()}",
                    "command": f"python benchmarks/models.py --only {shlex.quote(name)} "
                    f"--seeds {seed} --passes {chosen.passes:g} --units {chosen.units}",
                }
            )
            with chosen.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            told = line["joint"] if line["joint"] is not None else line["xydt"]
            print(f"{name:28}{seed:3}{told:10.3f}{line['seconds']:8.0f} s", flush=True)


if __name__ == "__main__":
    main()
