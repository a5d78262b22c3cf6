"""Learning from one player: what 2,000 touches are worth, and what is forgotten for them.

    python benchmarks/one_player.py ../shared/corpus/microjam_val.npz --json FILE

Nobody in the corpus has a name, so performances that are alike stand in for one player: a
performance is drawn, and those nearest to it in style are taken with it until there are
4,500 touches (share of landings, speed, dt, how much of the surface, jumps). Of these 2,000
are learnt from; the rest of them, and all other performances, are what is scored. The model
has met people like these, on screens like these. So the same players are also put at
another instrument than the corpus's phones: a table, slower, of which they use a part; a
tablet that reports every 8 ms; a hand at half the tempo. The command is `robojam train DATA
--from MODEL --to FILE`, as anybody would call it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from robojam.corpus import Corpus, clean, write
from robojam.evaluate import score
from robojam.formats import read
from robojam.model import load

LEARNT, OF = 2000, 4500


def style(touches: np.ndarray) -> list[float]:
    step = np.hypot(*np.diff(touches[:, :2], axis=0).T)
    dt, moving = touches[1:, 2], touches[1:, 3] > 0
    speed = step[moving] / np.maximum(dt[moving], 0.004) if moving.any() else np.zeros(1)
    jump = step[~moving] if (~moving).any() else np.zeros(1)
    return [
        np.log((touches[:, 3] == 0).mean() + 0.005),
        np.log(np.median(speed) + 0.02),
        np.log(np.median(dt) + 0.002),
        np.log(np.quantile(dt, 0.9) + 1e-3),
        touches[:, 0].std(),
        touches[:, 1].std(),
        np.median(jump),
    ]


def table(events: np.ndarray) -> None:
    events[:, 0] = np.round((0.1 + 0.5 * events[:, 0]) * 800) / 800
    events[:, 1] = np.round((0.4 + 0.5 * events[:, 1]) * 500) / 500
    events[:, 2] *= 1.5


def tablet(events: np.ndarray) -> None:
    events[:, 2] = np.round(events[:, 2] / 0.008) * 0.008
    events[:, :2] = np.round(events[:, :2] * 430) / 430


def half_tempo(events: np.ndarray) -> None:
    events[:, 2] *= 2


INSTRUMENTS: dict[str, Callable[[np.ndarray], None] | None] = {
    "as they are": None,
    "a table": table,
    "a tablet": tablet,
    "half the tempo": half_tempo,
}


def player(corpus: Corpus, seed: int) -> tuple[Corpus, Corpus, Corpus]:
    """Return what is learnt from a stand-in, what else they played, and all the others."""
    parts = list(corpus.performances())
    styles = np.array([style(part) for part in parts])
    styles = (styles - styles.mean(0)) / styles.std(0)
    rng = np.random.default_rng(seed)
    first = rng.integers(len(parts))
    near = np.argsort(((styles - styles[first]) ** 2).sum(1))
    near = [int(i) for i in near if len(parts[i]) <= 900]
    ends = np.cumsum([len(parts[i]) for i in near])
    chosen = near[: int(np.searchsorted(ends, OF)) + 1]
    rng.shuffle(chosen)
    ends = np.cumsum([len(parts[i]) for i in chosen])
    at = int(np.searchsorted(ends, LEARNT)) + 1
    rest = [i for i in range(len(parts)) if i not in chosen]

    def of(some: list[int], name: str) -> Corpus:
        events = np.concatenate([parts[i] for i in some])
        lengths = np.array([len(parts[i]) for i in some], np.int64)
        return replace(corpus, events=events, lengths=lengths, name=name)

    return of(chosen[:at], "learnt"), of(chosen[at:], "theirs"), of(rest, "others")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances the model has not learnt from")
    parser.add_argument("--model", type=Path, default=Path("models/touch.safetensors"))
    parser.add_argument("--players", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    corpus = clean(read(args.corpus))
    before, _ = load(args.model)
    found = []
    for seed in range(args.players):
        for instrument, play in INSTRUMENTS.items():
            learnt, theirs, others = player(corpus, seed)
            for part in (learnt, theirs):
                if play is not None:
                    play(part.events)
            with tempfile.TemporaryDirectory() as folder:
                data, to = Path(folder) / "player.npz", Path(folder) / "mine.safetensors"
                write(learnt, data)
                began = time.monotonic()
                command = ["train", data, "--from", args.model, "--to", to]
                subprocess.run(
                    [sys.executable, "-m", "robojam", *map(str, command)],
                    check=True,
                    capture_output=True,
                )
                seconds = time.monotonic() - began
                after, _ = load(to)
            row = {
                "player": seed,
                "instrument": instrument,
                "learnt from": len(learnt.events),
                "seconds": round(seconds, 1),
                "theirs before": round(score(before, theirs).joint, 3),
                "theirs after": round(score(after, theirs).joint, 3),
                "others before": round(score(before, others).joint, 3),
                "others after": round(score(after, others).joint, 3),
            }
            print(row, flush=True)
            found.append(row)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
