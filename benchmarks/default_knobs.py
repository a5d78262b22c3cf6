"""Make the data of the default model of knobs, and train it (models/knobs.md).

    python examples/convert_pickled.py training-dataset-9d.npz --to faders.npz
    python benchmarks/default_knobs.py faders.npz --to knobs.safetensors [--minutes N]

training-dataset-9d.npz is of IMPSY's repository: performances on eight faders. They are parted
at pauses of 30 s; every tenth is held out, and the others are learnt twice, with the faders in
random orders. Synthetic players on rigs of 1 to 16 knobs are learnt beside them. The weights
of the recurrent layers and of large heads are stored in 16 bits.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _output import argument_parser

from robojam.corpus.corpus import Corpus, clean, join, knob_corpus, part_at_pauses, widened
from robojam.corpus.formats import read
from robojam.model import file
from robojam.training.knob_performances import performances
from robojam.training.trainer import Trainer, TrainingSettings

KNOBS = 16
#: Weights that are stored in 16 bits begin with these.
HALF = ("rnn", "head.2.weight", "trunk.weight")


def parts(path: Path) -> list[Any]:
    """Return the performances (n, 9) of a file, parted at long pauses."""
    corpus = read(path)
    events = np.array(corpus.events)[:, :-1]
    lengths, _ = part_at_pauses(events, corpus.lengths, time=events.shape[1] - 1)
    ends = np.concatenate(([0], np.cumsum(lengths))).tolist()
    return [events[start:end] for start, end in pairwise(ends) if end - start > 1]


def corpus_of(found: list[Any], name: str) -> Corpus:
    """Return performances as a corpus of a rig of 16 knobs."""
    lengths = np.array([len(part) for part in found], np.int64)
    return widened(knob_corpus(np.concatenate(found), lengths, name, "arrays"), KNOBS)


def main() -> None:
    """Train, and write the model."""
    parser = argument_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    real, rng = parts(given.data), np.random.default_rng(0)
    learnt = []
    for _, part in (p for p in enumerate(real) if p[0] % 10 != 9):
        for _ in range(2):
            order = rng.permutation(part.shape[1] - 1)
            learnt.append(np.column_stack([part[:, order], part[:, -1]]))
    train = clean(join([performances(150, seed=0), corpus_of(learnt, given.data.name)]))
    held = corpus_of(real[9::10], given.data.name)
    held_out = clean(join([performances(15, seed=1000), held]))
    settings = TrainingSettings(
        units=128,
        layers=2,
        components=24,
        hidden=128,
        dropout=0.0,
        mirror=False,
        passes=60,
        minutes=given.minutes,
        patience=0,
        lattices=False,
        fewer=True,
    )
    trainer = Trainer(train, held_out, settings)
    for progress in trainer:
        if progress.score is not None:
            print(progress.step, round(progress.score, 3), round(trainer.elapsed), flush=True)
    learnt_on = (file.DataFile("150 synthetic players", ""), file.DataFile(given.data.name, ""))
    trainer.save(given.to, trained_on=learnt_on, licence="MIT")
    made = file.read(given.to)
    weights: dict[str, Any] = {
        name: weight.astype(np.float16) if name.startswith(HALF) else weight
        for name, weight in made.weights.items()
    }
    file.write(given.to, made.description, weights)


if __name__ == "__main__":
    main()
