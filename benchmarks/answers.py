"""Ten thousand answers, before any filter: is any of them stuck, a flood, or silent?

    python benchmarks/answers.py ../shared/corpus/microjam_{val,train}.npz [--json FILE]

At the temperature and spread that the model's file recommends, each of 5 s: six of ten go on
from the first half of a performance of the first file, two of ten from a single tap, two of
ten begin from nothing. Beside them stand, by the same definitions, as many as are made where
nothing that would stay at a point or an edge is drawn again (robojam.jam.dwell), and what people
played: all files, cut into pieces of 5 s and what remains.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from kept import tell

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.jam import dwell
from robojam.model.file import ModelFile, find, read
from robojam.player.generate import generate

Floats = np.ndarray[Any, np.dtype[Any]]

SECONDS = 5.0
#: So near in x and in y is the same place, or at an edge; in screens.
NEAR = 1 / 1024
#: Longer than this is stuck, in seconds; and no touch may be further from the next.
LONG = 1.0
#: More touches than this in any one second are a flood.
FLOOD = 200
#: So many answers are made at once.
_BATCH = 1000


def stuck_at_a_point(touches: Floats) -> float:
    """How long, in seconds, touches (n, 4) stay at a point at the longest.

    That is the longest run of three touches or more, none more than a second after the one
    before it, that all lie within 1/1024 of one point in x and in y, from its first touch to
    its last. Two touches with nothing between are a rest, however long.
    """
    at, place = touches[:, 2].cumsum(), touches[:, :2]
    parted = (np.abs(np.diff(place, axis=0)) > 2 * NEAR).any(1) | (touches[1:, 2] > LONG)
    longest = 0.0
    for run in np.split(np.arange(len(touches)), np.flatnonzero(parted) + 1):
        if len(run) < 3 or at[run[-1]] - at[run[0]] <= longest:
            continue
        first = run[0]
        for last in run:
            while (np.ptp(place[first : last + 1], axis=0) > 2 * NEAR).any():
                first += 1
            if last - first >= 2:
                longest = max(longest, float(at[last] - at[first]))
    return longest


def stuck_at_an_edge(touches: Floats) -> float:
    """How long, in seconds, touches (n, 4) stay at one edge at the longest.

    That is the longest run of three touches or more, none more than a second after the one
    before it, that all lie within 1/1024 of the same edge of the surface, sliding along it
    or not.
    """
    at, longest = touches[:, 2].cumsum(), 0.0
    for column in (0, 1):
        for edge in (0.0, 1.0):
            on = np.flatnonzero(np.abs(touches[:, column] - edge) <= NEAR)
            parted = (np.diff(on) > 1) | (touches[on[1:], 2] > LONG)
            for run in np.split(on, np.flatnonzero(parted) + 1):
                if len(run) >= 3:
                    longest = max(longest, float(at[run[-1]] - at[run[0]]))
    return longest


def most_in_a_second(touches: Floats) -> int:
    """How many touches (n, 4) come within one second, at the most."""
    at = touches[:, 2].cumsum()
    before = np.searchsorted(at, at - 1.0, side="right")
    return int((np.arange(len(at)) - before).max(initial=-1)) + 1


def judged(pieces: Sequence[Floats]) -> dict[str, Any]:
    """Count what is wrong among pieces, and tell the worst, by number, of each kind."""
    worst = {
        "stuck at a point, s": np.array([stuck_at_a_point(piece) for piece in pieces]),
        "stuck at an edge, s": np.array([stuck_at_an_edge(piece) for piece in pieces]),
        "touches in a second": np.array([most_in_a_second(piece) for piece in pieces]),
    }
    limits = dict(zip(worst, (LONG, LONG, FLOOD), strict=True))
    silent = [i for i, piece in enumerate(pieces) if not len(piece)]
    found: dict[str, Any] = {"pieces": len(pieces)}
    for name, values in worst.items():
        over = np.argsort(-values)[:5]
        found[name] = {
            "more than": limits[name],
            "pieces": int((values > limits[name]).sum()),
            "worst": [[int(i), round(float(values[i]), 3)] for i in over],
        }
    found["silent throughout"] = {"pieces": len(silent), "which": silent[:5]}
    return found


def openings(performances: Sequence[Floats], count: int, seed: int) -> dict[str, list[Floats]]:
    """Choose what is heard before each answer, by kind."""
    rng = np.random.default_rng(seed)
    taps, none = count * 2 // 10, count * 2 // 10
    halves = []
    for i in range(count - taps - none):
        touches = performances[i % len(performances)]
        at = touches[:, 2].cumsum()
        halves.append(touches[: max(1, int(np.searchsorted(at, at[-1] / 2, side="right")))])
    places = rng.random((taps, 2))
    return {
        "after half a performance": halves,
        "after one tap": [np.array([[x, y, 0.0, 0.0]]) for x, y in places.tolist()],
        "from nothing": [np.empty((0, 4)) for _ in range(none)],
    }


def pieces(performances: Sequence[Floats]) -> list[Floats]:
    """Cut performances into pieces of 5 s, and what remains of each.

    The first dt of a piece is what is left of it in that piece.
    """
    found = []
    for touches in performances:
        at = touches[:, 2].cumsum()
        for number in range(int(at[-1] / SECONDS) + 1):
            begins = number * SECONDS
            piece = touches[(at >= begins) & (at < begins + SECONDS)].copy()
            if len(piece):
                piece[0, 2] = at[np.searchsorted(at, begins)] - begins
            if len(piece) or begins + SECONDS <= at[-1]:
                found.append(piece)
    return found


def answers(
    file: ModelFile, heard: Sequence[Floats], *, seed: int, temperature: float, spread: float
) -> list[Floats]:
    made: list[Floats] = []
    for at in range(0, len(heard), _BATCH):
        made += generate(
            file,
            heard[at : at + _BATCH],
            seconds=SECONDS,
            seed=seed + at,
            temperature=temperature,
            spread=spread,
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpora", type=Path, nargs="+", help="the first: not learnt from")
    parser.add_argument("--model", help="a file, or a name (default: the default model)")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--temperature", type=float, help="default: as the file recommends")
    parser.add_argument("--spread", type=float, help="default: as the file recommends")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    about = file.description
    how = {
        "temperature": about.temperature if args.temperature is None else args.temperature,
        "spread": about.spread if args.spread is None else args.spread,
    }
    corpora = [list(clean(read_corpus(path)).performances()) for path in args.corpora]
    people = pieces([touches for corpus in corpora for touches in corpus])
    found: dict[str, Any] = {"model": file.path.name, "sha256": file.sha256, **how}
    found |= {"seed": args.seed, "seconds": SECONDS, "people": judged(people)}
    everything: list[Floats] = []
    as_drawn: list[Floats] = []
    for kind, heard in openings(corpora[0], args.answers, args.seed).items():
        seed = args.seed + 1_000_000 * len(everything)
        with mock.patch.object(dwell, "LONG", math.inf):
            as_drawn += answers(file, heard, seed=seed, **how)
        made = answers(file, heard, seed=seed, **how)
        everything += made
        found[kind] = judged(made)
    found["all answers"] = judged(everything)
    found["all, as they are drawn"] = judged(as_drawn)
    tell(found, args.json)


if __name__ == "__main__":
    main()
