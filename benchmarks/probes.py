"""Measure what a model's state knows of the call that it answers, and for how long.

    python benchmarks/probes.py ../shared/corpus/microjam_{train,val}.npz [--model NAME]

Linear probes (Alain & Bengio 2016): a ridge regression from the state of the recurrent layers
to the descriptors of the call (robojam.evaluation.likeness), learnt on the first file and
tested on the second. The state is that at the end of the call, or after 25, 50 or 100 touches
of the machine's own; or after 50 touches of the person who played the call. Other probes
predict the descriptors of what the person played next, from the state and from those of the
call. Descriptors are replaced by normal scores of their ranks. The figures are the share of
the variance that is predicted, and Spearman's rho, means over the descriptors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation import likeness
from robojam.evaluation.belonging import Judge
from robojam.model.file import ModelFile, find, read
from robojam.player.generate import generate, listen
from robojam.player.player import ModelPlayer

Floats = np.ndarray[Any, np.dtype[Any]]
Pairs = list[tuple[Floats, Floats]]

#: Touches of its own after which the state is probed.
OWN_TOUCHES = (25, 50, 100)
#: Touches of the person who goes on.
PERSONS_TOUCHES = 50
#: Weights of the ridge that are tried on a quarter of what is learnt from.
_RIDGES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4)
#: Temperature and spread of its own play, and its length in seconds.
_SAMPLING, _SECONDS = {"temperature": 1.05, "spread": 0.95}, 8.0


def probe(x: Floats, y: Floats, test_x: Floats, test_y: Floats) -> dict[str, Any]:
    """Return how well a ridge from x (N, D) to y (N, F) predicts test_y from test_x."""
    from scipy.stats import spearmanr

    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, test_x = (x - mean) / scale, (test_x - mean) / scale
    learnt = np.arange(len(x)) % 4 > 0
    errors = [
        float(((y - x @ _ridge(x[learnt], y[learnt], weight))[~learnt] ** 2).mean())
        for weight in _RIDGES
    ]
    predicted = test_x @ _ridge(x, y, _RIDGES[int(np.argmin(errors))])
    left = ((test_y - predicted) ** 2).sum(0) / ((test_y - test_y.mean(0)) ** 2).sum(0)
    rho = [spearmanr(predicted[:, i], test_y[:, i])[0] for i in range(y.shape[1])]
    return {
        "variance": round(float(np.maximum(1 - left, 0).mean()), 3),
        "rho": round(float(np.nanmean(rho)), 3),
        "by descriptor": {
            name: round(float(value), 2)
            for name, value in zip(likeness.NAMES, rho, strict=True)
        },
    }


def _ridge(x: Floats, y: Floats, weight: float) -> Floats:
    solution: Floats = np.linalg.solve(x.T @ x + weight * np.eye(x.shape[1]), x.T @ y)
    return solution


def states(file: ModelFile, heard: list[Floats]) -> Floats:
    """Return the outputs and cells of all layers (N, 2 * layers * units) after touches."""
    network = ModelPlayer(file).network
    state = listen(network, heard, np.array(file.event.noise, np.float32) / 2)
    return np.concatenate([*state.hidden, *state.cell], axis=1)


def measure(file: ModelFile, learnt: Pairs, held_out: Pairs, *, seed: int) -> dict[str, Any]:
    """Return the figures of all probes by name."""
    rng = np.random.default_rng(seed)
    calls, answers = (
        [
            likeness.describe_all([pair[half] for pair in pairs], rng)
            for pairs in (learnt, held_out)
        ]
        for half in range(2)
    )
    judge = Judge(calls[1], answers[1], calls[0], answers[0])
    calls, answers = (
        [judge.normal_scores(rows) for rows in sides] for sides in (calls, answers)
    )
    own = [
        generate(
            file, [call for call, _ in pairs], seconds=_SECONDS, seed=seed + i, **_SAMPLING
        )
        for i, pairs in enumerate((learnt, held_out))
    ]
    both = learnt, held_out

    def to(rows: list[Floats], touches: list[list[Floats]]) -> dict[str, Any]:
        x, test_x = (states(file, heard) for heard in touches)
        return probe(x, rows[0], test_x, rows[1])

    at_end = [[call for call, _ in pairs] for pairs in both]
    figures = {
        "the call's descriptors to what the person plays next": probe(
            calls[0], answers[0], calls[1], answers[1]
        ),
        "state at the end of the call to what the person plays next": to(answers, at_end),
        "state at the end of the call to the call": to(calls, at_end),
    }
    for count in OWN_TOUCHES:
        heard = [
            [
                np.concatenate([call, take[:count]])
                for (call, _), take in zip(pairs, takes, strict=True)
            ]
            for pairs, takes in zip(both, own, strict=True)
        ]
        figures[f"state after {count} touches of its own to the call"] = to(calls, heard)
    heard = [
        [np.concatenate([call, after[:PERSONS_TOUCHES]]) for call, after in pairs]
        for pairs in both
    ]
    figures[f"state after {PERSONS_TOUCHES} touches of the person to the call"] = to(
        calls, heard
    )
    return figures


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("learnt", type=Path, help="performances from which the probes learn")
    parser.add_argument("held_out", type=Path, help="performances on which they are tested")
    parser.add_argument("--model", help="a file or name (default: the default model)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    learnt, held_out = (
        likeness.split_in_half(list(clean(read_corpus(path)).performances()))
        for path in (args.learnt, args.held_out)
    )
    figures = {"model": file.path.name, "sha256": file.sha256, "seed": args.seed}
    print_and_save(figures | measure(file, learnt, held_out, seed=args.seed), args.json)


if __name__ == "__main__":
    main()
