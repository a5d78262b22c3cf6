"""Measure learning from one player: what 2,000 touches gain, and what the model forgets.

    python benchmarks/fine_tuning.py ../shared/corpus/microjam_val.npz [--json FILE]

The corpus does not name its players, so similar performances stand in for one player. One
performance is drawn, and those nearest to it in style are added until there are 4,500 touches
(share of landings, speed, dt, use of the surface, jumps). The model learns from about 2,000 of
these touches; the rest of them, and all other performances, are scored.

The default model has met people like these, on screens like these. So the same players are
also put at other instruments: a slower table of which they use a part, a tablet that reports
every 8 ms, and half the tempo. The model learns by `robojam train DATA --from MODEL --to FILE`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _output import argument_parser, save

from robojam.corpus.corpus import Corpus, clean, write
from robojam.corpus.formats import read
from robojam.evaluation.likelihood import score
from robojam.model.mdrnn import load

#: Touches that are learnt from, and touches of a player in all.
LEARNT, PLAYED = 2000, 4500
#: Longer performances (touches) are not used for a player.
LONGEST = 900


def style(touches: np.ndarray) -> list[float]:
    """Return features of the style of a performance (n, 4)."""
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


def choose_player(corpus: Corpus, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Return performances by index: to learn from, others of the player, all others."""
    performances = list(corpus.performances())
    styles = np.array([style(touches) for touches in performances])
    styles = (styles - styles.mean(0)) / styles.std(0)
    rng = np.random.default_rng(seed)
    first = rng.integers(len(performances))
    nearest = np.argsort(((styles - styles[first]) ** 2).sum(1))
    nearest = [int(i) for i in nearest if len(performances[i]) <= LONGEST]
    ends = np.cumsum([len(performances[i]) for i in nearest])
    chosen = nearest[: int(np.searchsorted(ends, PLAYED)) + 1]
    rng.shuffle(chosen)
    ends = np.cumsum([len(performances[i]) for i in chosen])
    split = int(np.searchsorted(ends, LEARNT)) + 1
    others = [i for i in range(len(performances)) if i not in chosen]
    return chosen[:split], chosen[split:], others


def put_at_table(events: np.ndarray) -> None:
    """Change events (N, 4) to those of a slower table with a lattice of its own."""
    events[:, 0] = np.round((0.1 + 0.5 * events[:, 0]) * 800) / 800
    events[:, 1] = np.round((0.4 + 0.5 * events[:, 1]) * 500) / 500
    events[:, 2] *= 1.5


def put_at_tablet(events: np.ndarray) -> None:
    """Change events (N, 4) to those of a tablet that reports every 8 ms."""
    events[:, 2] = np.round(events[:, 2] / 0.008) * 0.008
    events[:, :2] = np.round(events[:, :2] * 430) / 430


def halve_tempo(events: np.ndarray) -> None:
    """Double the dt of events (N, 4)."""
    events[:, 2] *= 2


INSTRUMENTS: dict[str, Callable[[np.ndarray], None] | None] = {
    "as recorded": None,
    "a table": put_at_table,
    "a tablet": put_at_tablet,
    "half the tempo": halve_tempo,
}


def subset(corpus: Corpus, indices: list[int], name: str) -> Corpus:
    """Return a corpus of some of the performances."""
    performances = list(corpus.performances())
    events = np.concatenate([performances[i] for i in indices])
    lengths = np.array([len(performances[i]) for i in indices], np.int64)
    return replace(corpus, events=events, lengths=lengths, name=name)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="held-out performances")
    parser.add_argument("--model", type=Path, default=Path("models/touch.safetensors"))
    parser.add_argument("--players", type=int, default=3, help="number of players")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = clean(read(args.corpus))
    before, _ = load(args.model)
    rows = []
    for seed in range(args.players):
        learnt, rest, others = choose_player(corpus, seed)
        for instrument, change in INSTRUMENTS.items():
            parts = {
                "learnt": subset(corpus, learnt, "learnt"),
                "theirs": subset(corpus, rest, "theirs"),
                "others": subset(corpus, others, "others"),
            }
            if change is not None:
                change(parts["learnt"].events)
                change(parts["theirs"].events)
            with tempfile.TemporaryDirectory() as folder:
                data, to = Path(folder) / "player.npz", Path(folder) / "player.safetensors"
                write(parts["learnt"], data)
                command = ["train", data, "--from", args.model, "--to", to]
                began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run(
                    [sys.executable, "-m", "robojam", *map(str, command)],
                    check=True,
                    capture_output=True,
                )
                seconds = time.monotonic() - began
                after_used = resource.getrusage(resource.RUSAGE_CHILDREN)
                after, _ = load(to)
            cpu = after_used.ru_utime + after_used.ru_stime - used.ru_utime - used.ru_stime
            scores = {
                f"{whose} {when}": round(score(model, parts[whose]).joint, 3)
                for whose in ("theirs", "others")
                for when, model in (("before", before), ("after", after))
            }
            row = {
                "player": seed,
                "instrument": instrument,
                "learnt performances": sorted(learnt),
                "their other performances": sorted(rest),
                "learnt from": len(parts["learnt"].events),
                "scored": int((parts["theirs"].lengths - 1).sum()),
                "seconds": round(seconds, 1),
                "CPU seconds": round(cpu, 1),
                **scores,
                "better by": round(scores["theirs before"] - scores["theirs after"], 3),
                "others worse by": round(scores["others after"] - scores["others before"], 3),
            }
            shown = {name: row[name] for name in row if "performances" not in name}
            print(shown, flush=True)
            rows.append(row)
    save(rows, args.json)


if __name__ == "__main__":
    main()
