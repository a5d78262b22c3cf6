"""Choose the temperature and spread at which a model plays most like people.

    python benchmarks/likeness.py ../shared/corpus/microjam_{val,train}.npz [--json FILE]

The eligible performances of the first file (docs/measure.md) are split: every second one, from
the first on, is half A, the others are half B. On half A each temperature is tried with each
spread, over some seeds, and the pair with the lowest mean area under the ROC curve is chosen.
The figure is what this pair reaches on half B, with its interval and both controls. The pair
in the model's file, and temperature 1 with spread 1, are measured on half B as well.

Half a validation set is too small to choose by: on it, areas that differ by less than 0.1
cannot be distinguished. So every third eligible performance of the second file, from which the
model has learnt, is added to half A. --write stores the chosen pair in the model's file.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from _output import argument_parser, print_and_save

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation import likeness
from robojam.model.file import ModelFile, find, read, write

Floats = np.ndarray[Any, np.dtype[Any]]


def eligible(path: Path) -> list[Floats]:
    """Return the performances of a corpus that evaluate --play uses."""
    performances = clean(read_corpus(path)).performances()
    return [touches for touches in performances if likeness.split_in_half([touches])]


def measure(
    file: ModelFile, performances: list[Floats], *, seed: int, temperature: float, spread: float
) -> likeness.Likeness:
    """Return the likeness of a model at a temperature and a spread, without any choice."""
    pairs = likeness.split_in_half(performances)
    sampling = {"temperature": temperature, "spread": spread}
    takes = likeness.continue_openings(file, pairs, seed=seed, **sampling)
    return likeness.compare(pairs, takes, seed=seed, **sampling)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="held-out performances")
    parser.add_argument("learnt", type=Path, help="training performances, used only to choose")
    parser.add_argument("--model", help="a file or name (default: the default model)")
    parser.add_argument(
        "--temperatures", type=float, nargs="+", default=[0.95, 1.0, 1.05, 1.1], metavar="N"
    )
    parser.add_argument(
        "--spreads", type=float, nargs="+", default=[0.8, 0.85, 0.9, 1.0], metavar="N"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="N")
    parser.add_argument(
        "--write", action="store_true", help="store the chosen pair in the model's file"
    )
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    held_out, learnt = eligible(args.corpus), eligible(args.learnt)[::3]
    half_a, half_b = held_out[::2] + learnt, held_out[1::2]
    tried: list[dict[str, float]] = []
    for temperature, spread in product(args.temperatures, args.spreads):
        pair = {"temperature": temperature, "spread": spread}
        results = [measure(file, half_a, seed=seed, **pair) for seed in args.seeds]
        areas = [result.machine.auc for result in results]
        tried.append({**pair, "auc": round(float(np.mean(areas)), 4)})
        print(*tried[-1].values(), flush=True)
    best = min(tried, key=lambda row: row["auc"])
    chosen = {name: best[name] for name in ("temperature", "spread")}
    pairs = {
        "as chosen": chosen,
        "as in the file": {
            "temperature": file.description.temperature,
            "spread": file.description.spread,
        },
        "at 1 and 1": {"temperature": 1.0, "spread": 1.0},
    }
    figures = {
        "model": file.path.name,
        "sha256": file.sha256,
        "seeds": args.seeds,
        "half A": {
            "performances": len(half_a) - len(learnt),
            "and learnt from": len(learnt),
            "tried": tried,
            "chosen": chosen,
        },
        "half B": {
            name: [asdict(measure(file, half_b, seed=s, **pair)) for s in args.seeds]
            for name, pair in pairs.items()
        },
    }
    if args.write:
        write(file.path, msgspec.structs.replace(file.description, **chosen), file.weights)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
