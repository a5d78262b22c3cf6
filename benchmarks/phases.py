"""How often phases are inferred rightly where the truth is known; --fit fits the rule again.

python benchmarks/phases.py ../shared/corpus/microjam_val.npz
python benchmarks/phases.py ../shared/corpus/microjam_train.npz --fit
"""

import argparse
from pathlib import Path

import numpy as np
from kept import tell

from robojam.corpus import infer_phase
from robojam.corpus.corpus import clean
from robojam.corpus.formats import read


def told(guess: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Say how a guess of landings (N,) does: found of those there are, right of those told."""
    right = (guess & truth).sum()
    return {
        "landings found": float(right / truth.sum()),
        "landings right": float(right / guess.sum()),
        "touches right": float((guess == truth).mean()),
    }


def fit(x: np.ndarray, landing: np.ndarray) -> None:
    """Print the constants of robojam/corpus/infer_phase.py, fitted to features (N, 4)."""
    from sklearn.linear_model import LogisticRegression

    pairs = [(i, j) for i in range(4) for j in range(i, 4)]
    terms = np.column_stack([x, *(x[:, i] * x[:, j] for i, j in pairs)])
    mean, scale = terms.mean(0), terms.std(0)
    found = LogisticRegression(max_iter=2000, C=3).fit((terms - mean) / scale, landing)
    weights = found.coef_[0] / scale
    quadratic = np.zeros((4, 4))
    for (i, j), weight in zip(pairs, weights[4:], strict=True):
        quadratic[i, j] = weight
    print("CONSTANT =", round(float(found.intercept_[0] - weights @ mean), 3))
    print("LINEAR =", weights[:4].round(3).tolist())
    print("QUADRATIC =", quadratic.round(3).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances with phases")
    parser.add_argument("--fit", action="store_true", help="fit the rule (scikit-learn)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    corpus = clean(read(args.corpus))
    first = np.zeros(len(corpus.events), bool)
    first[corpus.offsets[:-1]] = True
    landing = corpus.events[:, 3] == 0
    if args.fit:
        fit(infer_phase.log_features(corpus.events[:, :3], first)[~first], landing[~first])
    inferred = infer_phase.infer_moving(corpus.events[:, :3], corpus.lengths) == 0
    found = {
        "corpus": corpus.name,
        "the rule": told(inferred[~first], landing[~first]),
        "a pause of 0.1 s alone": told((corpus.events[:, 2] > 0.1)[~first], landing[~first]),
    }
    tell(found, args.json)


if __name__ == "__main__":
    main()
