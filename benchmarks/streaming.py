"""What training on a corpus that need not fit in memory takes of it.

    python benchmarks/streaming.py ../shared/corpus/microjam_train.npz [--gigabytes N]

The touches of a corpus, again and again, make a file of so many gigabytes, and one of a
tenth of that. Each is read, cleaned, divided and learnt from for some steps, as `robojam
train` does, in a process of its own, which says how much memory it had at most (Linux).
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from kept import keep, versions

from robojam.corpus.corpus import LARGE, clean, write
from robojam.corpus.formats import read
from robojam.corpus.split import split
from robojam.corpus.stored_rows import ConcatenatedRows
from robojam.training.trainer import Trainer, TrainingSettings

STEPS = 20


def resident() -> float:
    """So many GB this process had at most."""
    # Not by getrusage, which begins with what the parent had.
    told = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
    return round(int(told.split()[0]) * 1024 / 1e9, 3)


def learnt(path: Path) -> dict[str, object]:
    """Learn from a file for some steps."""
    # Torch takes what it needs for a model and a batch before anything is measured.
    some = clean(read(path.with_name("some.npz")))
    for _ in zip(range(STEPS), Trainer(some, some, TrainingSettings()), strict=False):
        pass
    before, began = resident(), time.process_time()
    rest, held_out = split(clean(read(path)), every=10)
    trainer = Trainer(rest, held_out, TrainingSettings())
    loaded = time.process_time() - began
    for _ in zip(range(STEPS), trainer, strict=False):
        pass
    return {
        "GB of touches": round(16 * (len(rest.events) + len(held_out.events)) / 1e9, 3),
        "performances": len(rest.lengths) + len(held_out.lengths),
        "on disk": isinstance(rest.events, ConcatenatedRows),
        "GB resident with a small corpus": before,
        "GB resident": resident(),
        "s of the processor until the first step": round(loaded, 1),
        "s of the processor for the steps": round(time.process_time() - began - loaded, 1),
        "steps": trainer.step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--learn", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.learn:
        print(json.dumps(learnt(args.corpus)))
        return
    corpus = clean(read(args.corpus))
    found = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "all.npz"
        write(corpus, path.with_name("some.npz"))
        for size in (args.gigabytes / 10, args.gigabytes):
            times = -(-int(size * 1e9) // (16 * len(corpus.events)))
            events = ConcatenatedRows([(corpus.events, 0, len(corpus.events))] * times)
            lengths = np.tile(corpus.lengths, times)
            write(replace(corpus, events=events, lengths=lengths), path)
            command = [sys.executable, __file__, path, "--learn"]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(ran.stdout))
            print(found[-1], flush=True)
    told = {
        "runs": found,
        "left on disk from, GB": LARGE / 1e9,
        "machine": platform.machine(),
        "versions": versions(),
    }
    keep(told, args.json)


if __name__ == "__main__":
    main()
