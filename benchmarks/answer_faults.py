"""Count faults in ten thousand answers: stuck at a point or an edge, a flood, or silence.

    python benchmarks/answer_faults.py ../shared/corpus/microjam_{val,train}.npz [--json FILE]

Each answer is 5 s long, at the temperature and spread that the model's file recommends. Six
of ten continue the first half of a performance of the first file, two of ten follow a single
tap, two of ten begin from nothing. The same faults are counted in as many answers made without
the dwell limit (robojam.jam.dwell), and in what people played: all files, cut into pieces of
5 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _output import argument_parser, print_and_save

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.jam import dwell
from robojam.model.file import ModelFile, find, read
from robojam.player.generate import generate

Floats = np.ndarray[Any, np.dtype[Any]]

#: Length of an answer, in seconds.
SECONDS = 5.0
#: Touches closer than this in x and in y are at one point, or at an edge; in screens.
NEAR = 1 / 1024
#: Longer than this at a point or an edge is stuck; a longer dt ends the stay; in seconds.
LONGEST_STAY = 1.0
#: More touches than this within one second are a flood.
FLOOD = 200
#: Number of answers that are made at once.
_BATCH = 1000


def stuck_at_a_point(touches: Floats) -> float:
    """Return the longest time, in seconds, that touches (n, 4) stay at one point.

    A stay is a run of three touches or more, with no dt above a second, that all lie within
    1/1024 of one point in x and in y. It lasts from its first touch to its last. Two touches
    with nothing between them are a rest.
    """
    at, place = touches[:, 2].cumsum(), touches[:, :2]
    ends = (np.abs(np.diff(place, axis=0)) > 2 * NEAR).any(1) | (touches[1:, 2] > LONGEST_STAY)
    longest = 0.0
    for run in np.split(np.arange(len(touches)), np.flatnonzero(ends) + 1):
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
    """Return the longest time, in seconds, that touches (n, 4) stay at one edge.

    A stay is a run of three touches or more, with no dt above a second, that all lie within
    1/1024 of the same edge of the surface, whether they slide along it or not.
    """
    at, longest = touches[:, 2].cumsum(), 0.0
    for column in (0, 1):
        for edge in (0.0, 1.0):
            on = np.flatnonzero(np.abs(touches[:, column] - edge) <= NEAR)
            ends = (np.diff(on) > 1) | (touches[on[1:], 2] > LONGEST_STAY)
            for run in np.split(on, np.flatnonzero(ends) + 1):
                if len(run) >= 3:
                    longest = max(longest, float(at[run[-1]] - at[run[0]]))
    return longest


def most_in_a_second(touches: Floats) -> int:
    """Return the greatest number of touches (n, 4) within one second."""
    at = touches[:, 2].cumsum()
    before = np.searchsorted(at, at - 1.0, side="right")
    return int((np.arange(len(at)) - before).max(initial=-1)) + 1


def count_faults(pieces: Sequence[Floats]) -> dict[str, Any]:
    """Count the faults among pieces (n, 4), and name the worst of each kind by index."""
    measured = {
        "stuck at a point, s": np.array([stuck_at_a_point(piece) for piece in pieces]),
        "stuck at an edge, s": np.array([stuck_at_an_edge(piece) for piece in pieces]),
        "touches in a second": np.array([most_in_a_second(piece) for piece in pieces]),
    }
    limits = dict(zip(measured, (LONGEST_STAY, LONGEST_STAY, FLOOD), strict=True))
    silent = [i for i, piece in enumerate(pieces) if not len(piece)]
    counts: dict[str, Any] = {"pieces": len(pieces)}
    for name, values in measured.items():
        worst = np.argsort(-values)[:5]
        counts[name] = {
            "more than": limits[name],
            "pieces": int((values > limits[name]).sum()),
            "worst": [[int(i), round(float(values[i]), 3)] for i in worst],
        }
    counts["silent throughout"] = {"pieces": len(silent), "which": silent[:5]}
    return counts


def openings(performances: Sequence[Floats], count: int, seed: int) -> dict[str, list[Floats]]:
    """Return the touches that are fed before each answer, by kind."""
    rng = np.random.default_rng(seed)
    taps, empty = count * 2 // 10, count * 2 // 10
    halves = []
    for i in range(count - taps - empty):
        touches = performances[i % len(performances)]
        at = touches[:, 2].cumsum()
        halves.append(touches[: max(1, int(np.searchsorted(at, at[-1] / 2, side="right")))])
    places = rng.random((taps, 2))
    return {
        "after half a performance": halves,
        "after one tap": [np.array([[x, y, 0.0, 0.0]]) for x, y in places.tolist()],
        "from nothing": [np.empty((0, 4)) for _ in range(empty)],
    }


def cut_into_pieces(performances: Sequence[Floats]) -> list[Floats]:
    """Cut performances into pieces of 5 s; the last piece of each may be shorter.

    The first dt of a piece is the time from the beginning of the piece.
    """
    pieces = []
    for touches in performances:
        at = touches[:, 2].cumsum()
        for number in range(int(at[-1] / SECONDS) + 1):
            begins = number * SECONDS
            piece = touches[(at >= begins) & (at < begins + SECONDS)].copy()
            if len(piece):
                piece[0, 2] = at[np.searchsorted(at, begins)] - begins
            if len(piece) or begins + SECONDS <= at[-1]:
                pieces.append(piece)
    return pieces


def make_answers(
    file: ModelFile, heard: Sequence[Floats], *, seed: int, temperature: float, spread: float
) -> list[Floats]:
    """Return an answer of 5 s, touches (n, 4), to each of the openings."""
    answers: list[Floats] = []
    for at in range(0, len(heard), _BATCH):
        answers += generate(
            file,
            heard[at : at + _BATCH],
            seconds=SECONDS,
            seed=seed + at,
            temperature=temperature,
            spread=spread,
            follow=0.0,
            memory=0.0,
        )
    return answers


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpora", type=Path, nargs="+", help="the first: held-out data")
    parser.add_argument("--model", help="a file or name (default: the default model)")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--temperature", type=float, help="default: as the file recommends")
    parser.add_argument("--spread", type=float, help="default: as the file recommends")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    description = file.description
    sampling = {
        "temperature": (
            description.temperature if args.temperature is None else args.temperature
        ),
        "spread": description.spread if args.spread is None else args.spread,
    }
    corpora = [list(clean(read_corpus(path)).performances()) for path in args.corpora]
    people = cut_into_pieces([touches for corpus in corpora for touches in corpus])
    figures: dict[str, Any] = {"model": file.path.name, "sha256": file.sha256, **sampling}
    figures |= {"seed": args.seed, "seconds": SECONDS, "people": count_faults(people)}
    limited: list[Floats] = []
    unlimited: list[Floats] = []
    for kind, heard in openings(corpora[0], args.answers, args.seed).items():
        seed = args.seed + 1_000_000 * len(limited)
        with mock.patch.object(dwell, "LONG", math.inf):
            unlimited += make_answers(file, heard, seed=seed, **sampling)
        answers = make_answers(file, heard, seed=seed, **sampling)
        limited += answers
        figures[kind] = count_faults(answers)
    figures["all answers"] = count_faults(limited)
    figures["all answers, without the dwell limit"] = count_faults(unlimited)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
