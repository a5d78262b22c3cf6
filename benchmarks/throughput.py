"""How fast a model of the default size trains, and how soon it is as good as IMPSY's.

    python benchmarks/throughput.py ../shared/corpus/microjam_{train,val}.npz [--json FILE]

A run as `robojam train` begins it, scored after every pass, until (x, y, dt) without the
phase score as well as IMPSY's own program does after its 25 minutes (-11.63 nats per touch
on the validation performances). The scorings are left out of the times.
"""

from __future__ import annotations

import argparse
import atexit
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from kept import tell, versions

from robojam.training.distributed import limit_openmp_spinning

IMPSY = -11.63
#: So many passes at least, for the rate.
PASSES = 5
BUSY = "while True: sum(range(100_000))"


def main() -> None:
    limit_openmp_spinning()
    import torch

    from robojam.corpus.corpus import clean
    from robojam.corpus.formats import read
    from robojam.evaluation.likelihood import score
    from robojam.training.trainer import Trainer, TrainingSettings

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument(
        "--batch", type=int, default=TrainingSettings().batch, help="touches in a batch"
    )
    parser.add_argument(
        "--window", type=int, default=TrainingSettings().window, help="in a window"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--steps", type=int, help="time so many steps, and nothing else")
    parser.add_argument(
        "--beside", type=int, default=0, help="so many programs that want a core all the time"
    )
    args = parser.parse_args()
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(args.beside)]
    atexit.register(lambda: [other.kill() for other in others])
    torch.set_flush_denormal(True)
    corpus, held_out = clean(read(args.train)), clean(read(args.held_out))
    trainer = Trainer(
        corpus, held_out, TrainingSettings(batch=args.batch, window=args.window, score_every=1)
    )
    conditions = {
        "threads": torch.get_num_threads(),
        "beside": args.beside,
        "looks before it sleeps": os.environ.get("GOMP_SPINCOUNT"),
        "load": os.getloadavg()[0],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "command": " ".join(sys.argv),
    }
    if args.steps:
        steps = iter(trainer)
        for _ in range(5):
            next(steps)
        began = time.monotonic()
        for _ in range(args.steps):
            next(steps)
        each = 1000 * (time.monotonic() - began) / args.steps
        tell({"ms a step": round(each, 1), **conditions}, args.json)
        return
    spent, touches, passes, reached = 0.0, 0, 0, 0.0
    since = time.monotonic()
    for progress in trainer:
        if progress.score is None:
            continue
        scored = time.monotonic()
        score(trainer.averaged, held_out)
        now = time.monotonic()
        spent += scored - since - (now - scored)  # a pass, and as long a scoring less
        touches, passes = touches + len(corpus.events), passes + 1
        found = score(trainer.averaged, held_out, flagless=True).xydt
        assert found is not None
        print(f"{touches / spent:,.0f} touches/s, {found:.3f} after {spent:.1f} s", flush=True)
        if found <= IMPSY and not reached:
            reached = spent
        if reached and passes >= PASSES:
            break
        since = time.monotonic()
    told = {
        "touches a second": round(touches / spent),
        "passes": passes,
        "seconds to IMPSY's score": round(reached, 1),
        "IMPSY's score": IMPSY,
        "IMPSY's minutes": 25,
        **conditions,
    }
    tell(told, args.json)


if __name__ == "__main__":
    main()
