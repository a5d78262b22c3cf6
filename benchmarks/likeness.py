"""At which temperature and spread a model plays most like people: chosen, then reported.

    python benchmarks/likeness.py ../shared/corpus/microjam_{val,train}.npz [--json FILE]

Of the performances that take part (docs/measure.md), in their order, every second one, from
the first on, is half A, the others are half B. On half A each temperature is tried with each
spread, over some seeds, and the pair with the least mean area under the ROC curve is
chosen; what it reaches on half B, where nothing was chosen, is the figure, with its interval
and both controls beside it, and so is what the pair in the model's file, and temperature 1
with spread 1, reach there.

Half a validation set is too small to choose by: areas that differ by less than 0.1 are the
same there. So every third performance of the second file, of which the model has learnt, is
laid to half A. --write keeps what was chosen in the model's file.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from kept import tell

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation import likeness
from robojam.model.file import find, read, write

Floats = np.ndarray[Any, np.dtype[Any]]


def taking_part(path: Path) -> list[Floats]:
    """Read the performances of a corpus that take part."""
    performances = clean(read_corpus(path)).performances()
    return [touches for touches in performances if likeness.halves([touches])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances the model has not learnt from")
    parser.add_argument("learnt", type=Path, help="performances to choose by as well")
    parser.add_argument("--model", help="a file, or a name (default: the default model)")
    parser.add_argument(
        "--temperatures", type=float, nargs="+", default=[0.95, 1.0, 1.05, 1.1], metavar="N"
    )
    parser.add_argument(
        "--spreads", type=float, nargs="+", default=[0.8, 0.85, 0.9, 1.0], metavar="N"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="N")
    parser.add_argument("--write", action="store_true", help="keep it in the model's file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    taking, also = taking_part(args.corpus), taking_part(args.learnt)[::3]
    a, b = taking[::2] + also, taking[1::2]
    tried: list[dict[str, float]] = []
    for temperature, spread in product(args.temperatures, args.spreads):
        how = {"temperature": temperature, "spread": spread}
        areas = [likeness.compare(file, a, seed=seed, **how).machine.auc for seed in args.seeds]
        tried.append({**how, "auc": round(float(np.mean(areas)), 4)})
        print(*tried[-1].values(), flush=True)
    best = min(tried, key=lambda one: one["auc"])
    how = {name: best[name] for name in ("temperature", "spread")}
    shown = {
        "as chosen": how,
        "as in the file": {
            "temperature": file.description.temperature,
            "spread": file.description.spread,
        },
        "at 1 and 1": {"temperature": 1.0, "spread": 1.0},
    }
    found = {
        "model": file.path.name,
        "sha256": file.sha256,
        "seeds": args.seeds,
        "half A": {
            "performances": len(a) - len(also),
            "and learnt from": len(also),
            "tried": tried,
            "chosen": how,
        },
        "half B": {
            name: [asdict(likeness.compare(file, b, seed=s, **pair)) for s in args.seeds]
            for name, pair in shown.items()
        },
    }
    if args.write:
        write(file.path, msgspec.structs.replace(file.description, **how), file.weights)
    tell(found, args.json)


if __name__ == "__main__":
    main()
