"""Measure how long an engine needs to be back in a jam that was cut off, by the jam's length.

    python benchmarks/resume.py [--minutes 10 60 240] [--runs 5]

A player who is scripted plays calls to robojam's own model, which plans its answers, on a clock
that is set: so hours take minutes. What the recorder has on the disk, some seconds after a
checkpoint, is what a crash leaves. Then `robojam serve` is started with nothing, with
`--resume`, and, for the shortest jam, with `--resume` and no checkpoint; each time until its
ready line. Times to be back are beyond that of a start. `--keep FOLDER` keeps the jams.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _output import argument_parser, print_and_save
from support.engine import MODEL, DrivenEngine

from robojam.engine import model_loader
from robojam.sessions.checkpoint import path_of

#: Seconds before the next checkpoint at which the jam is cut off: almost the most that is lost.
_BEFORE = 0.5


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60, 240])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder of the jams, played if it is empty")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        lengths = sorted(args.minutes)
        missing = [m for m in lengths if not (folder / f"{m:g}").exists()]
        if missing:
            play(folder, missing)
        start = statistics.median(started() for _ in range(args.runs))
        jams = [measure(folder, minutes, start, args.runs) for minutes in lengths]
        whole = next((folder / f"{lengths[0]:g}").glob("*.jsonl"))
        heard = started(whole, checkpoint=False) - start
    print_and_save(
        {"start_s": round(start, 3), "jams": jams, "first_heard_again_s": round(heard, 3)},
        args.json,
    )


def measure(folder: Path, minutes: float, start: float, runs: int) -> dict[str, Any]:
    """Return the figures of a jam of some minutes; start (s) is what a start takes."""
    recording = next((folder / f"{minutes:g}").glob("*.jsonl"))
    times = [started(recording) for _ in range(runs)]
    return {
        "minutes": minutes,
        "events": recording.read_bytes().count(b"\n") - 1,
        "recording_mb": round(recording.stat().st_size / 1e6, 2),
        "checkpoint_mb": round(path_of(recording).stat().st_size / 1e6, 2),
        "back_s": round(statistics.median(times) - start, 3),
        "worst_back_s": round(max(times) - start, 3),
    }


def play(folder: Path, lengths: list[float]) -> None:
    """Play a jam; after each of some lengths (minutes), copy what a crash would leave."""
    loaded, rng = model_loader.load(MODEL, device="cpu", voices=1), random.Random(4)
    with tempfile.TemporaryDirectory() as played:
        driven = DrivenEngine(Path(played), loaded.player)
        driven.engine.live.info = loaded.info
        began = driven.now
        for minutes in lengths:
            while driven.now - began < minutes * 60:
                call(driven, rng)
            driven.wait(max(0.0, driven.engine._takes._save_at - driven.now - _BEFORE))
            recorder = driven.engine._takes._recorder
            while recorder._put != recorder._taken or not recorder._checkpoints._wanted.empty():
                time.sleep(0.1)
            time.sleep(1.0)
            shutil.copytree(played, folder / f"{minutes:g}")
            print(f"{minutes:g} minutes have been played", flush=True)
        DrivenEngine.close_all()


def call(driven: DrivenEngine, rng: random.Random) -> None:
    """Play a call of some strokes, and wait for some seconds."""
    for _ in range(rng.randrange(1, 4)):
        x, y = rng.random(), rng.random()
        for i in range(rng.randrange(5, 30)):
            driven.send("/robojam/move" if i else "/robojam/down", "iff", 1, x, y)
            x, y = (min(max(v + rng.uniform(-0.03, 0.03), 0.0), 1.0) for v in (x, y))
            driven.wait(0.02)
        driven.send("/robojam/up", "i", 1)
        driven.wait(rng.uniform(0.05, 0.3))
    driven.take()
    driven.wait(rng.uniform(1.0, 6.0))
    driven.take()


def started(recording: Path | None = None, *, checkpoint: bool = True) -> float:
    """Start an engine, which may go on from a recording; return the seconds until it is ready.

    It is a copy of the recording: the checkpoint of one that goes on is removed.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = []
        if recording is not None:
            copy = shutil.copytree(recording.parent, Path(folder) / "left")
            options = ["--resume", str(copy / recording.name)]
            if not checkpoint:
                path_of(copy / recording.name).unlink()
        began = time.perf_counter()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "robojam", "serve", "--no-sound", "--device", "cpu"),
                *("--osc-in", "127.0.0.1:0", "--osc-out", "127.0.0.1:9", "--tuio-in", "none"),
                *("--sessions", folder, *options),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        process.terminate()
        _, errors = process.communicate(timeout=60)
        if not line.startswith("listening on udp://"):
            raise SystemExit(f"the engine did not start: {errors}")
        if "is not used" in errors:
            raise SystemExit(errors)
        return took


if __name__ == "__main__":
    main()
