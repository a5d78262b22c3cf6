"""Learning from one player: what 2,000 touches are worth, and what is forgotten for them.

    python benchmarks/one_player.py ../shared/corpus/microjam_val.npz --json FILE

    python benchmarks/one_player.py ../shared/corpus/microjam_train.npz --without FEWER.npz
    robojam train FEWER.npz --val ../shared/corpus/microjam_val.npz --passes 50 --to MODEL
    python benchmarks/one_player.py ../shared/corpus/microjam_train.npz --model MODEL \\
        --others ../shared/corpus/microjam_val.npz --json FILE

Nobody in the corpus has a name. A performance of more than 2,000 touches is surely one
player's: there are five, all in the training file, so a model is made without them; their
first 2,000 touches are learnt from, what follows is scored (with --others).

Besides, performances that are alike stand in for one player: a performance is drawn, and
those nearest to it in style are taken with it until there are 4,500 touches (share of
landings, speed, dt, how much of the surface, jumps). Of these 2,000 are learnt from; the
rest of them, and all other performances, are what is scored. The model has met people like
these, on screens like these. So the same players are also put at
another instrument than the corpus's phones: a table, slower, of which they use a part; a
tablet that reports every 8 ms; a hand at half the tempo. The command is `robojam train DATA
--from MODEL --to FILE`, as anybody would call it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from kept import keep

from robojam.corpus.corpus import Corpus, clean, write
from robojam.corpus.formats import read
from robojam.evaluation.likelihood import score
from robojam.model import lattice
from robojam.model.mdrnn import load

LEARNT, OF = 2000, 4500
#: Screens that few have.
SCREENS = (576, 748)


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


def player(corpus: Corpus, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Choose performances: to learn a stand-in from, what else they played, all others."""
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

    return chosen[:at], chosen[at:], rest


#: Who it is, what is learnt from, what else is theirs, and what is others'.
Set = tuple[dict[str, object], Corpus, Corpus, Corpus]


def longest(corpus: Corpus, others: Corpus) -> Iterator[Set]:
    """Yield players the model was made without: what is learnt, the rest, others'."""
    for i in np.flatnonzero(corpus.lengths > LEARNT).tolist():
        events = list(corpus.performances())[i].copy()
        events[LEARNT, 2:] = 0  # what follows is a performance of its own
        parts = (events[:LEARNT], events[LEARNT:])
        learnt, theirs = (
            replace(corpus, events=part, lengths=np.array([len(part)]), name=f"of {i}")
            for part in parts
        )
        yield {"player": f"performance {i}"}, learnt, theirs, others
    for known in of_screen(corpus):
        yield *known, others


def of_screen(corpus: Corpus) -> Iterator[tuple[dict[str, object], Corpus, Corpus]]:
    """Yield performances on a screen that few have: what is learnt, the rest."""
    on = screens(corpus)
    for n in SCREENS:
        some = np.random.default_rng(n).permutation(np.flatnonzero(on == n))
        at = int(np.searchsorted(np.cumsum(corpus.lengths[some]), LEARNT)) + 1
        learnt, theirs = some[:at].tolist(), some[at:].tolist()
        about = {
            "player": f"a screen of {n} lines",
            "learnt performances": sorted(learnt),
            "their other performances": sorted(theirs),
        }
        yield about, of(corpus, learnt, "learnt"), of(corpus, theirs, "theirs")


def screens(corpus: Corpus) -> np.ndarray:
    """Tell the lattice of each performance; of the longest, that it is none of SCREENS."""
    known = range(100, 1019)
    found = np.array([lattice.detect(part[:, :2], known) for part in corpus.performances()])
    return np.where(corpus.lengths > LEARNT, 0, found)


def alike(corpus: Corpus, players: int) -> Iterator[Set]:
    """Yield stand-ins, each at each instrument."""
    for seed in range(players):
        learnt, theirs, others = player(corpus, seed)
        for instrument, play in INSTRUMENTS.items():
            parts = [of(corpus, some, "theirs") for some in (learnt, theirs)]
            for part in parts:
                if play is not None:
                    play(part.events)
            about = {
                "player": seed,
                "instrument": instrument,
                "learnt performances": sorted(learnt),
                "their other performances": sorted(theirs),
            }
            yield about, *parts, of(corpus, others, "others")


def of(corpus: Corpus, some: list[int], name: str) -> Corpus:
    parts = list(corpus.performances())
    events = np.concatenate([parts[i] for i in some])
    lengths = np.array([len(parts[i]) for i in some], np.int64)
    return replace(corpus, events=events, lengths=lengths, name=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances the model has not learnt from")
    parser.add_argument("--model", type=Path, default=Path("models/touch.safetensors"))
    parser.add_argument("--players", type=int, default=3, help="how many stand-ins")
    parser.add_argument("--others", type=Path, help="score these; the longest are the players")
    parser.add_argument("--without", type=Path, help="write the corpus without the longest")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = clean(read(args.corpus))
    if args.without:
        left = (corpus.lengths <= LEARNT) & ~np.isin(screens(corpus), SCREENS)
        few = np.flatnonzero(left).tolist()
        write(of(corpus, few, "without"), args.without)
        return
    before, _ = load(args.model)
    sets = alike(corpus, args.players)
    if args.others:
        sets = longest(corpus, clean(read(args.others)))
    found = []
    for about, learnt, theirs, others in sets:
        with tempfile.TemporaryDirectory() as folder:
            data, to = Path(folder) / "player.npz", Path(folder) / "mine.safetensors"
            write(learnt, data)
            began, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            command = ["train", data, "--from", args.model, "--to", to]
            subprocess.run(
                [sys.executable, "-m", "robojam", *map(str, command)],
                check=True,
                capture_output=True,
            )
            seconds, spent = (
                time.monotonic() - began,
                resource.getrusage(resource.RUSAGE_CHILDREN),
            )
            after, _ = load(to)
        scores = {
            f"{whose} {when}": round(score(model, data).joint, 3)
            for whose, data in (("theirs", theirs), ("others", others))
            for when, model in (("before", before), ("after", after))
        }
        row = {
            **about,
            "learnt from": len(learnt.events),
            "scored": int((theirs.lengths - 1).sum()),
            "seconds": round(seconds, 1),
            "of the processor": round(
                spent.ru_utime + spent.ru_stime - cpu.ru_utime - cpu.ru_stime, 1
            ),
            **scores,
            "better by": round(scores["theirs before"] - scores["theirs after"], 3),
            "others worse by": round(scores["others after"] - scores["others before"], 3),
        }
        print(
            {name: told for name, told in row.items() if "performances" not in name}, flush=True
        )
        found.append(row)
    keep(found, args.json)


if __name__ == "__main__":
    main()
