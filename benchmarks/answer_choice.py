"""What choosing an answer is worth, and what it costs, for some values of `follow`.

python benchmarks/answer_choice.py MODEL TRAIN VAL [--follow F …]

For each value: belonging of the answers to the openings of VAL (robojam.evaluation.belonging;
its judge learns from TRAIN), their likeness, and the processor time of plans of 5 s.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read_all
from robojam.evaluation import belonging, likeness
from robojam.model import file as modelfile
from robojam.player.player import ModelPlayer

Pairs = list[tuple[likeness.Floats, likeness.Floats]]


def plan_times(file: modelfile.ModelFile, pairs: Pairs, follow: float) -> np.ndarray:
    """Return the processor time (ms) of a plan of 5 s for each call."""
    player = ModelPlayer(file)
    about = file.description
    player.set_sampling(temperature=about.temperature, spread=about.spread)
    times = []
    for call, _ in pairs:
        player.reset()
        for x, y, dt, moving in call.tolist():
            player.feed(x, y, dt, moving > 0.5)
        began = time.process_time()
        plan = player.plan([0], seconds=5.0, follow=follow, memory=0.0)
        while plan is not None and not plan.step():
            pass
        times.append(1000 * (time.process_time() - began))
    return np.array(times)


def main() -> None:
    """Print a line for each value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--follow", type=float, nargs="+", default=[-1.0, 0.0, 0.5, 1.0])
    given = parser.parse_args()
    learnt, pairs = (
        likeness.split_in_half([p for c in read_all([path]) for p in clean(c).performances()])
        for path in (given.train, given.val)
    )
    file = modelfile.read(modelfile.find(given.model))
    about = file.description
    sampling = {"temperature": about.temperature, "spread": about.spread}
    for follow in given.follow:
        takes = likeness.continue_openings(
            file, pairs, seed=0, follow=follow, memory=0.0, **sampling
        )
        result = belonging.compare(pairs, takes, learnt=learnt).machine
        alike = likeness.compare(pairs, takes, **sampling).machine.auc
        ms = plan_times(file, pairs, follow) if follow else np.zeros(1)
        print(
            f"{follow:+.2f}: first {result.first:.3f}, first ten {result.first_ten:.3f}, "
            f"rho {result.mean_rho:.3f}, likeness {alike:.3f}, plan {np.median(ms):.0f} ms "
            f"(p99 {np.quantile(ms, 0.99):.0f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
