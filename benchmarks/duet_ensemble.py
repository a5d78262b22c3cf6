"""Measures of duet and ensemble: real model, simulated clock, seeded.

Duet: taps 0.3 to 1 s apart, a slide of 60 touches a second, and performances of people; how
many landings are answered by a touch of the machine before the next one, touches a second,
how long it plays on when the human stops, and its speed and places beside the human's and
those of its answers in call-response.
Ensemble: quartets of performances of people, each looped with rests; how densely the machine
plays beside the mean of the four, and whether it enters when somebody stops. And four players
who slide without a pause.

    python benchmarks/duet_ensemble.py microjam_val.npz --quartets 3
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save
from numpy.typing import NDArray

from robojam.controls import Settings
from robojam.jam.events import Event, TouchPlayed, TurnChanged
from robojam.jam.jam import Jam
from robojam.model.file import read
from robojam.player.player import ModelPlayer
from robojam.touch import Phase, is_machine, nth

ROOT = Path(__file__).resolve().parent.parent
#: Time, who, phase, x, y.
Input = tuple[float, str, Phase, float, float]
_SECONDS = 180.0


def performances(path: Path, least: int = 40) -> list[NDArray[Any]]:
    """Return performances (n, 4) of a corpus that have enough touches."""
    data = np.load(path)
    ends = data["lengths"].cumsum()
    parts = np.split(data["touches"].astype(np.float64), ends[:-1])
    return [part for part in parts if len(part) >= least]


def as_input(rows: NDArray[Any], t: float, who: str) -> Iterator[Input]:
    """Yield a performance as the touches of a human, with lifts, from t on."""
    at, down, x, y = t, False, 0.0, 0.0
    for i, (next_x, next_y, dt, moving) in enumerate(rows.tolist()):
        lifts = down and not moving
        if lifts:
            yield min(at + 0.02, at + dt / 2), who, Phase.UP, x, y
        at, x, y = at + (dt if i else 0.0), next_x, next_y
        yield at, who, Phase.MOVE if moving and down else Phase.DOWN, x, y
        down = True
    yield at + 0.02, who, Phase.UP, x, y


def taps(
    rng: random.Random, seconds: float, low: float = 0.3, high: float = 1.0
) -> Iterator[Input]:
    """Yield taps at random places, with random intervals."""
    t = 0.5
    while t < seconds:
        x, y = rng.random(), rng.random()
        yield t, "human", Phase.DOWN, x, y
        yield t + 0.06, "human", Phase.UP, x, y
        t += rng.uniform(low, high)


def slide(seconds: float, rate: float = 60.0, player: int = 0) -> Iterator[Input]:
    """Yield one slide of a player along a curve."""
    who, began = nth("human", player), 0.5 + 0.003 * player
    for i in range(int(seconds * rate)):
        x, y = 0.5 + 0.35 * math.sin(i / 40 + player), 0.5 + 0.3 * math.sin(i / 53 + player + 1)
        yield began + i / rate, who, Phase.MOVE if i else Phase.DOWN, x, y
    yield began + seconds, who, Phase.UP, x, y


def quartet(
    people: list[NDArray[Any]], rng: random.Random, seconds: float, *, players: int
) -> list[Input]:
    """Return performances of several players, each looped with rests of 0.5 to 12 s."""
    touches: list[Input] = []
    for number in range(players):
        who = nth("human", number)
        own, t = rng.sample(people, 3), rng.uniform(0.2, 4.0)
        while t < seconds:
            part = list(as_input(rng.choice(own), t, who))
            touches += [touch for touch in part if touch[0] < seconds]
            t = part[-1][0] + rng.uniform(0.5, 12.0)
    return touches


def ensemble(
    player: ModelPlayer, people: list[NDArray[Any]], seed: int, *, players: int
) -> dict[str, Any]:
    """Measure one ensemble."""
    rng = random.Random(seed)
    touches = quartet(people, rng, _SECONDS, players=players)
    out = play(player, touches, until=_SECONDS + 30, seed=seed, mode="ensemble")
    humans, machine = split(out)
    counts: dict[str, int] = {}
    at: dict[str, list[float]] = {}
    for e in humans:
        counts[e.touch.who] = counts.get(e.touch.who, 0) + 1
        at.setdefault(e.touch.who, []).append(e.t)
    turns = [e for e in out if isinstance(e, TurnChanged)]
    spans = [(a.t, b.t) for a, b in itertools.pairwise(turns) if a.whose == "ai"]
    stops = [
        a + 0.5 for times in at.values()
        for a, b in itertools.pairwise(times) if b - a >= 1.5
    ]  # fmt: skip
    played = np.array([e.t for e in machine])

    def answers(instants: list[float]) -> float:
        return float(np.mean([((played > a) & (played < a + 1.0)).any() for a in instants]))

    anywhere = [rng.uniform(1.0, _SECONDS) for _ in range(1000)]
    mean = sum(counts.values()) / len(counts)
    during = sum(e.t < _SECONDS for e in machine)
    return {
        "humans": counts, "machine": during, "ratio": during / mean,
        "share_of_time": sum(b - a for a, b in spans) / _SECONDS, "phrases": len(spans),
        "phrase_median": float(np.median([b - a for a, b in spans])) if spans else 0.0,
        "stops": len(stops), "plays_within_1s_of_stop": answers(stops),
        "plays_within_1s_of_any": answers(anywhere),
        "plays_on": max(0.0, machine[-1].t - humans[-1].t) if machine else 0.0,
    } | {"motion": motion(machine)}  # fmt: skip


def without_pause(player: ModelPlayer, seed: int, rate: float) -> float:
    """Return the machine's touches, by the mean of four players who slide for a minute."""
    touches = [touch for number in range(4) for touch in slide(60.0, rate, number)]
    humans, machine = split(play(player, touches, until=60.0, seed=seed, mode="ensemble"))
    return len(machine) / (len(humans) / 4)


def play(
    player: ModelPlayer, touches: list[Input], *, until: float, seed: int, **options: Any
) -> list[Event]:
    """Play touches into a jam on a simulated clock; return its events."""
    settings = Settings(temperature=1.05, spread=0.95, **options)
    out: list[Event] = []
    jam = Jam(player, settings, out.append)
    jam.begin(seed)
    for t, who, phase, x, y in sorted(touches, key=lambda touch: touch[0]):
        jam.finger(t, who, 0, phase, x, y)
    jam.advance(until)
    jam.finish(until)
    return out


def split(out: list[Event]) -> tuple[list[TouchPlayed], list[TouchPlayed]]:
    """Return the landings and slides of humans, and of the machine."""
    touches = [e for e in out if isinstance(e, TouchPlayed) and e.touch.phase is not Phase.UP]
    machine = [is_machine(e.touch.who) for e in touches]
    pairs = list(zip(touches, machine, strict=True))
    return [e for e, m in pairs if not m], [e for e, m in pairs if m]


def landings(touches: list[TouchPlayed]) -> list[float]:
    """Return the times of landings."""
    return [e.t for e in touches if e.touch.phase is Phase.DOWN]


def answered(humans: list[TouchPlayed], machine: list[TouchPlayed]) -> tuple[int, int]:
    """Return how many landings have a touch of the machine before the next, of how many."""
    at, played = landings(humans), np.array([e.t for e in machine])
    pairs = list(itertools.pairwise(at))
    got = [bool(((played > a) & (played < b)).any()) for a, b in pairs]
    return sum(got), len(got)


def motion(touches: list[TouchPlayed]) -> dict[str, float]:
    """Return quantiles of the slides' speeds, and the share of touches that are landings."""
    speeds, lengths = [], []
    for a, b in itertools.pairwise(touches):
        if b.touch.phase is Phase.MOVE:
            length = math.hypot(b.touch.x - a.touch.x, b.touch.y - a.touch.y)
            lengths.append(length)
            speeds.append(length / max(b.t - a.t, 1e-3))
    down = sum(e.touch.phase is Phase.DOWN for e in touches)
    if not speeds:
        return {"landings": down / max(1, len(touches))}
    return {
        "landings": down / len(touches),
        "speed_50": float(np.quantile(speeds, 0.5)),
        "speed_90": float(np.quantile(speeds, 0.9)),
        "step_99": float(np.quantile(lengths, 0.99)),
        "step_max": float(max(lengths)),
    }


def duet(player: ModelPlayer, people: list[NDArray[Any]], seed: int) -> dict[str, Any]:
    """Measure a duet."""
    result: dict[str, Any] = {}
    rng = random.Random(seed)
    played = list(taps(rng, 120.0))
    humans, machine = split(play(player, played, until=130.0, seed=seed, mode="duet"))
    got, of = answered(humans, machine)
    result["taps"] = {
        "answered": got, "of": of, "machine_touches_per_tap": len(machine) / len(humans),
        "plays_on": machine[-1].t - humans[-1].t,
    } | motion(machine)  # fmt: skip
    humans, machine = split(play(player, list(slide(30.0)), until=40.0, seed=seed, mode="duet"))
    result["slide"] = {
        "machine_per_second": sum(e.t < humans[-1].t for e in machine) / 30.0,
        "plays_on": machine[-1].t - humans[-1].t,
    } | motion(machine)
    got = of = count = 0
    seconds = 0.0
    mine: list[TouchPlayed] = []
    theirs: list[TouchPlayed] = []
    turns: list[TouchPlayed] = []
    on = []
    for i, rows in enumerate(people):
        inputs = list(as_input(rows, 0.5, "human"))
        until = inputs[-1][0] + 5
        humans, machine = split(play(player, inputs, until=until, seed=seed + i, mode="duet"))
        g, o = answered(humans, machine)
        got, of, count = got + g, of + o, count + len(machine)
        seconds += humans[-1].t - humans[0].t
        mine += machine
        theirs += humans
        options = {"mode": "call-response", "follow": 0.0, "memory": 0.0}
        turns += split(play(player, inputs, until=until, seed=seed + i, **options))[1]
        on.append(max(0.0, machine[-1].t - humans[-1].t) if machine else 0.0)
    result["performances"] = {
        "answered": got, "of": of, "machine_per_second": count / seconds,
        "humans_per_second": len(theirs) / seconds, "plays_on_most": max(on),
        "machine": motion(mine), "humans": motion(theirs), "call_response": motion(turns),
    }  # fmt: skip
    return result


def main() -> None:
    """Print the figures."""
    parser = argument_parser(__doc__ or "")
    parser.add_argument("corpus", type=Path, help="performances of people (.npz)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "touch.safetensors")
    parser.add_argument("--quartets", type=int, default=8)
    parser.add_argument("--performances", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    player = ModelPlayer(read(arguments.model))
    people = performances(arguments.corpus)
    rng = random.Random(arguments.seed)
    chosen = rng.sample(people, min(arguments.performances, len(people)))
    figures: dict[str, Any] = {"duet": duet(player, chosen, arguments.seed)}
    figures["quartets"] = [
        ensemble(player, people, arguments.seed + i, players=4)
        for i in range(arguments.quartets)
    ]
    figures["other_sizes"] = {
        players: ensemble(player, people, arguments.seed, players=players)
        for players in (1, 2, 8)
    }
    figures["without_pause"] = {
        rate: [without_pause(player, arguments.seed + i, rate) for i in range(4)]
        for rate in (30.0, 60.0)
    }
    print_and_save(figures, arguments.json)


if __name__ == "__main__":
    main()
