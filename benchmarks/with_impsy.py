"""Jam of IMPSY with robojam over OSC, with counts of the touches.

    python3 -m venv ../impsy && ../impsy/bin/pip install impsy
    .venv/bin/python benchmarks/with_impsy.py --impsy ../impsy/bin/python [--json FILE]
    .venv/bin/python benchmarks/with_impsy.py --impsy … --dimension 9 [--impsy-model FILE]

IMPSY runs its own program with its own OSC client and server, as in against_impsy.py. What
robojam received is read from its status and its recording, what IMPSY received from its log.
With a dimension other than 3, robojam plays an instrument with knobs; the values that each
side has sent are compared with those that the other has received. Where socat is installed,
the two then play by a serial line, too, with IMPSY's section [serial].
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save
from against_impsy import Impsy, free_port

from robojam.bench import processor
from robojam.bench.client import EngineProcess
from robojam.sessions.session import read
from robojam.touch import Phase, is_machine

#: Events before and after its place among which the one that was heard is looked for.
_WINDOW = 8
#: The last digit of a line of values.
_DIGIT = 0.0001
#: Difference of a value from which on it is another event.
_SAME = 0.001


class Partner:
    """Options that the two programs are started with."""

    def __init__(self, python: str, dimension: int, impsy_model: str, model: str) -> None:
        self.python, self.dimension = python, dimension
        self._impsy_model = impsy_model
        knobs = 0 if dimension == 3 else dimension - 1
        self.options = ["--knobs", str(knobs)] if knobs else []
        self.options += ["--model", model] if model else []
        self.middle = [0.5] * (dimension - 1)

    def impsy(
        self, mode: str, to: tuple[str, int] | None = None, port: int = 0, more: str = ""
    ) -> Impsy:
        return Impsy(
            self.python, mode, to, port,
            dimension=self.dimension, model=self._impsy_model, more=more,
        )  # fmt: skip

    def robojam(self, folder: str, *options: str) -> EngineProcess:
        return EngineProcess("--sessions", folder, *options, *self.options)


def logged(impsy: Impsy, player: str) -> list[tuple[float, ...]]:
    """Return the values of a player in IMPSY's log: interface or rnn."""
    return [
        tuple(map(float, line.split(",")[2:]))
        for path in Path(impsy.folder.name, "logs").glob("*.log")
        for line in path.read_text().splitlines()
        if line.split(",")[1] == player
    ]


def recorded(folder: str, *, machine: bool) -> list[tuple[float, ...]]:
    """Return the values of the events that robojam recorded, of one side."""
    (recording,) = Path(folder).glob("*.jsonl")
    return [
        event.touch.knobs or (event.touch.x, event.touch.y)
        for event in read(recording).touches()
        if is_machine(event.touch.who) == machine and event.touch.phase is not Phase.UP
    ]


def matched(sent: list[tuple[float, ...]], heard: list[tuple[float, ...]]) -> dict[str, float]:
    """Compare what one side sent with what the other heard of it.

    Each event is compared with the nearest of those that were sent about then: the side that
    was ready first has sent more, and the threads of IMPSY's server may swap two packets.
    """
    if not sent:
        return {"events compared": 0}
    around, distances, place = range(len(sent)), [], 0
    for event in heard:
        # Of events that are the same, that at its place.
        gaps = {n: distance(sent[n], event) for n in around}
        nearest = min(gaps, key=lambda n: (gaps[n] // _DIGIT, abs(n - place)))
        distances.append(gaps[nearest])
        if gaps[nearest] < _SAME:
            place = nearest + 1
            around = range(max(0, place - _WINDOW), min(len(sent), place + _WINDOW))
    same = [each for each in distances if each < _SAME]
    return {
        "events compared": len(heard),
        "of these sent by nobody": len(heard) - len(same),
        "largest difference of a value": max(same, default=0.0),
    }


def distance(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the largest difference of two events' values."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def log_counts(impsy: Impsy) -> Counter[str]:
    """Count the lines of IMPSY's log by player: interface or rnn."""
    lines = [
        line
        for path in Path(impsy.folder.name, "logs").glob("*.log")
        for line in path.read_text().splitlines()
    ]
    return Counter(line.split(",")[1] for line in lines)


def wait_until(condition: Callable[[], bool], seconds: float, goal: str) -> None:
    """Wait for a condition; exit with an error after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{goal}: not reached within {seconds:g} s")
        time.sleep(0.05)


def impsy_drives_robojam(partner: Partner, touches: int) -> dict[str, float]:
    """IMPSY plays alone (battle); robojam answers each of its touches (duet)."""
    with tempfile.TemporaryDirectory() as folder:
        duet = partner.robojam(folder, "--mode", "duet")
        impsy = partner.impsy("battle", duet.address)
        wait_until(lambda: duet.status()["heard"] >= touches, 180, "IMPSY drives robojam")
        impsy.end()
        sent = logged(impsy, "rnn")
        impsy.close()
        status = wait_for_silence(duet)
        duet.close()
        return {
            "touches of IMPSY that robojam heard": status["heard"],
            "answers of robojam": status["played"],
            "dropped": sum(status["dropped"].values()),
            **matched(sent, recorded(folder, machine=False)),
        }


def robojam_drives_impsy(partner: Partner, touches: int) -> dict[str, float]:
    """robojam plays alone (solo) as the interface of IMPSY, which answers (polyphony)."""
    impsy = partner.impsy("polyphony")
    wait_until_ready(impsy, partner.middle)
    before = log_counts(impsy)
    host, port = impsy.address
    with tempfile.TemporaryDirectory() as folder:
        output = ("--osc-out", f"{host}:{port}/interface")
        solo = partner.robojam(folder, "--mode", "solo", *output)
        wait_until(lambda: solo.status()["played"] >= touches, 60, "robojam drives IMPSY")
        solo.send("/robojam/pause", "i", 1)
        time.sleep(1)
        played = solo.status()["played"]
        solo.close()
        after = log_counts(impsy)
        heard = logged(impsy, "interface")[before["interface"] :]
        impsy.close()
        same = matched(recorded(folder, machine=True), heard)
    return {
        **same,
        "touches of robojam": played,
        "touches of robojam that IMPSY logged": after["interface"] - before["interface"],
        "answers of IMPSY": after["rnn"] - before["rnn"],
    }


def play_together(partner: Partner, seconds: float) -> dict[str, float]:
    """robojam (duet) and IMPSY (polyphony) answer each other, after one touch."""
    with tempfile.TemporaryDirectory() as folder:
        impsy_port = free_port()
        output = ("--osc-out", f"127.0.0.1:{impsy_port}/interface")
        duet = partner.robojam(folder, "--mode", "duet", *output)
        impsy = partner.impsy("polyphony", duet.address, impsy_port)
        end = time.monotonic() + 60
        while not log_counts(impsy)["rnn"] and time.monotonic() < end:  # IMPSY is not ready yet
            impsy.send(*partner.middle)
            time.sleep(0.2)
        before, began = duet.status(), time.perf_counter()
        time.sleep(seconds)
        after, elapsed = duet.status(), time.perf_counter() - began
        counts = log_counts(impsy)
        impsy.close()
        duet.close()
        (recording,) = Path(folder).glob("*.jsonl")
        both = Counter(is_machine(event.touch.who) for event in read(recording).touches())
    return {
        "exchanges per second": (after["played"] - before["played"]) / elapsed,
        "touches of IMPSY, by its log": counts["rnn"],
        "touches of robojam that IMPSY logged": counts["interface"],
        "touches of IMPSY in the recording, with lifts": both[False],
        "touches of robojam in the recording, with lifts": both[True],
    }


def by_serial(partner: Partner, events: int) -> dict[str, float]:
    """The same by a serial line: IMPSY's lines to robojam, and robojam's to IMPSY.

    IMPSY reads its port in call and response alone, and answers when nothing has come.
    """
    with tempfile.TemporaryDirectory() as folder:
        ends = [str(Path(folder, name)) for name in ("impsy", "robojam")]
        line = subprocess.Popen(["socat", *[f"pty,raw,echo=0,link={end}" for end in ends]])
        wait_until(lambda: all(Path(end).exists() for end in ends), 10, "socat")
        section = f'[serial]\nport = "{ends[0]}"\nbaudrate = 115200\n'
        impsy = partner.impsy("callresponse", more=section)
        listening = partner.robojam(
            str(Path(folder, "listen")), "--mode", "listen", "--serial", ends[1]
        )
        wait_until(lambda: listening.status()["heard"] >= events, 180, "IMPSY by serial")
        status = listening.status()
        listening.close()
        sent = logged(impsy, "rnn")
        to_robojam = matched(sent, recorded(str(Path(folder, "listen")), machine=False))
        before = len(logged(impsy, "interface"))
        solo = partner.robojam(str(Path(folder, "solo")), "--mode", "solo", "--serial", ends[1])
        wait_until(lambda: solo.status()["played"] >= events, 90, "robojam by serial")
        solo.send("/robojam/pause", "i", 1)
        time.sleep(1)
        ended = solo.status()
        solo.close()
        heard = logged(impsy, "interface")[before:]
        played = recorded(str(Path(folder, "solo")), machine=True)
        lines = [tuple(round(value, 4) for value in event) for event in played]
        changes = played[:1] + [
            event for event, (a, b) in zip(played[1:], pairwise(lines), strict=True) if a != b
        ]
        to_impsy = matched(changes, heard)
        impsy.close()
        line.terminate()
        line.wait()
    return {
        "lines of IMPSY that robojam heard": status["heard"],
        "dropped": sum(status["dropped"].values()),
        **{f"to robojam: {name}": value for name, value in to_robojam.items()},
        "events of robojam": len(played),
        "of these unlike the one before": len(changes),
        "lines of robojam that gave way to the next": ended["serial"][0]["unsent"],
        "lines of robojam that IMPSY logged": len(heard),
        **{f"to IMPSY: {name}": value for name, value in to_impsy.items()},
    }


def wait_for_silence(engine: EngineProcess) -> dict[str, Any]:
    """Wait until an engine stops playing; return its status."""
    before: dict[str, Any] = {}
    while before.get("played") != (now := engine.status())["played"]:
        before = now
        time.sleep(0.5)
    return now


def wait_until_ready(impsy: Impsy, values: list[float]) -> None:
    """Send touches to IMPSY until it answers: it is silent before it is ready."""
    impsy.out.settimeout(0.2)
    for _ in range(300):
        impsy.send(*values)
        try:
            impsy.receive()
        except TimeoutError:
            continue
        impsy.drain(1.0)
        return
    sys.exit("IMPSY does not answer")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--impsy", required=True, metavar="PYTHON", help="the Python of IMPSY's environment"
    )
    parser.add_argument("--touches", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--dimension", type=int, default=3, help="of IMPSY's model")
    parser.add_argument("--impsy-model", default="none", help="a .tflite, instead of a stub")
    parser.add_argument("--model", default="", help="robojam's model (default: its own)")
    args = parser.parse_args()
    partner = Partner(args.impsy, args.dimension, args.impsy_model, args.model)
    figures = {
        "IMPSY drives robojam": impsy_drives_robojam(partner, args.touches),
        "robojam drives IMPSY": robojam_drives_impsy(partner, args.touches),
        "robojam and IMPSY together": play_together(partner, args.seconds),
    }
    if args.dimension != 3 and shutil.which("socat"):
        figures["by a serial line"] = by_serial(partner, args.touches)
    command = "python benchmarks/with_impsy.py"
    if args.dimension != 3:
        command += f" --dimension {args.dimension}"
    conditions = {"command": command, "processor": processor()}
    print_and_save({**conditions, **figures}, args.json)


if __name__ == "__main__":
    main()
