"""Play ever more voices, up to ten times too many, while a human plays 60 touches a second.

    python benchmarks/overload.py [--seconds 10] [--case NAME …] [--python PYTHON]
        [--realtime] [--json FILE]

A real engine, a real recording, a monitor on this machine (Linux). For each case: when the
human was heard, when the status was answered, how late the machine was, what it did not play,
and whether the recording regenerates bit for bit. --python measures the robojam of another
Python. --realtime runs engine and player before all other programs (as root).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _output import argument_parser, save
from _own_player import RunningEngine, play, print_row, running_engine

from robojam.bench import Report

SOLO = ("--mode", "solo", "--seed", "1")
#: Options of the engine; whether the human rests.
CASES: dict[str, tuple[tuple[str, ...], bool]] = {
    "nothing (call-response)": ((), False),
    "solo": (SOLO, False),
    "8 voices": ((*SOLO, "--voices", "8"), False),
    "32 voices": ((*SOLO, "--voices", "32"), False),
    "64 voices": ((*SOLO, "--voices", "64"), False),
    "32 voices, 2.5 times as fast": ((*SOLO, "--voices", "32", "--timescale", "0.4"), False),
    "32 voices, 10 times as fast": ((*SOLO, "--voices", "32", "--timescale", "0.1"), False),
    "1 voice, 1000 times as fast": ((*SOLO, "--timescale", "0.001"), False),
    "256 voices at 60 touches/s each": (
        (*SOLO, "--voices", "256", "--timescale", "0.395"), False,
    ),
    "duet, 16 voices": (("--mode", "duet", "--voices", "16"), False),
    "duet, 256 voices": (("--mode", "duet", "--voices", "256"), False),
    "call-response, 256 voices": (("--threshold", "0.3", "--voices", "256"), True),
}  # fmt: skip


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--case", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--realtime", action="store_true")
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in args.case:
        options, rests = CASES[name]
        rows[name] = run(
            options, args.seconds, args.python, realtime=args.realtime, rests=rests
        )
        print_row(name, rows[name], first=len(rows) == 1)
    command = "python benchmarks/overload.py"
    save({**Report().as_json(command), "figures": rows}, args.json)


def run(
    options: tuple[str, ...], seconds: float, python: str, *, realtime: bool, rests: bool
) -> dict[str, Any]:
    """Play in one case; return its figures."""
    with running_engine(*options, python=python, realtime=realtime) as engine:
        heard = play(engine, seconds, rest=1.5 if rests else 0.0, realtime=realtime)
        engine.process.terminate()
        engine.process.wait(60)
        exact = regenerates(engine, python)
    figures = heard.figures()
    if not rests:
        figures["answered"] = "–"
    return {
        **figures,
        "delayed": heard.status.get("held_up", "–"),
        "resting": heard.status.get("resting", "–"),
        "played a second": heard.status.get("played", 0) / seconds,
        "regenerates": exact,
    }


def regenerates(engine: RunningEngine, python: str) -> str:
    """Return whether all that the engine recorded regenerates bit for bit: yes, or what not."""
    for path in engine.sessions.glob("*.jsonl"):
        with tempfile.TemporaryDirectory() as folder:
            command = [python, "-P", "-m", "robojam", "replay", str(path), "--regenerate"]
            command += ["--to", str(Path(folder) / "again.jsonl")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr or done.stdout).strip().splitlines()[-1][:80]
    return "yes"


if __name__ == "__main__":
    main()
