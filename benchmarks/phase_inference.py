"""Measure how often landings are inferred correctly, and fit the rule that infers them.

    python benchmarks/phase_inference.py ../shared/corpus/microjam_val.npz [--json FILE]
    python benchmarks/phase_inference.py ../shared/corpus/microjam_train.npz --fit

Compares robojam.corpus.infer_phase with the phases that the corpus holds. --fit prints the
constants of that module, fitted to the corpus by logistic regression (needs scikit-learn).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save
from numpy.typing import NDArray

from robojam.corpus import infer_phase
from robojam.corpus.corpus import clean
from robojam.corpus.formats import read

Flags = NDArray[np.bool_]


def accuracy(inferred: Flags, truth: Flags) -> dict[str, float]:
    """Compare inferred landings (N,) with the true ones: recall, precision, accuracy."""
    correct = (inferred & truth).sum()
    return {
        "landings found": float(correct / truth.sum()),
        "landings right": float(correct / inferred.sum()),
        "touches right": float((inferred == truth).mean()),
    }


def fit(features: NDArray[np.floating[Any]], landing: Flags) -> None:
    """Print the constants of infer_phase, fitted to log features (N, 4) and landings (N,)."""
    from sklearn.linear_model import LogisticRegression

    pairs = [(i, j) for i in range(4) for j in range(i, 4)]
    terms = np.column_stack([features, *(features[:, i] * features[:, j] for i, j in pairs)])
    mean, scale = terms.mean(0), terms.std(0)
    regression = LogisticRegression(max_iter=2000, C=3).fit((terms - mean) / scale, landing)
    weights = regression.coef_[0] / scale
    quadratic = np.zeros((4, 4))
    for (i, j), weight in zip(pairs, weights[4:], strict=True):
        quadratic[i, j] = weight
    print("CONSTANT =", round(float(regression.intercept_[0] - weights @ mean), 3))
    print("LINEAR =", weights[:4].round(3).tolist())
    print("QUADRATIC =", quadratic.round(3).tolist())


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="performances with phases")
    parser.add_argument("--fit", action="store_true", help="fit the rule")
    args = parser.parse_args()
    corpus = clean(read(args.corpus))
    first = np.zeros(len(corpus.events), bool)
    first[corpus.offsets[:-1]] = True
    touches, landing = corpus.events[:, :3], corpus.events[:, 3] == 0
    if args.fit:
        fit(infer_phase.log_features(touches, first)[~first], landing[~first])
    inferred = infer_phase.infer_moving(touches, corpus.lengths) == 0
    figures = {
        "corpus": corpus.name,
        "the rule": accuracy(inferred[~first], landing[~first]),
        "a pause of 0.1 s alone": accuracy((touches[:, 2] > 0.1)[~first], landing[~first]),
    }
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
