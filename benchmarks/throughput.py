"""Measure the speed of training, and the time until the model is as good as IMPSY's.

    python benchmarks/throughput.py ../shared/corpus/microjam_{train,val}.npz [--json FILE]
    python benchmarks/throughput.py ../shared/corpus/microjam_{train,val}.npz --steps 30 \\
        --beside 1

Runs `robojam train` with its defaults, scored after every pass, until the score of (x, y, dt)
without the phase reaches what IMPSY's own program reaches after 25 minutes (-11.63 nats per
touch on the validation performances). The time for scoring is not counted. With --steps it
measures the time of a step only, beside a number of busy programs (--beside).
"""

from __future__ import annotations

import atexit
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from _output import argument_parser, print_and_save, versions

from robojam.training.distributed import limit_openmp_spinning

IMPSY = -11.63
#: Least number of passes, for a steady rate.
PASSES = 5
BUSY = "while True: sum(range(100_000))"


def main() -> None:
    limit_openmp_spinning()
    import torch

    from robojam.corpus.corpus import clean
    from robojam.corpus.formats import read
    from robojam.evaluation.likelihood import score
    from robojam.training.trainer import Trainer, TrainingSettings

    parser = argument_parser(__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument(
        "--batch", type=int, default=TrainingSettings().batch, help="touches in a batch"
    )
    parser.add_argument(
        "--window", type=int, default=TrainingSettings().window, help="touches in a window"
    )
    parser.add_argument(
        "--steps", type=int, help="only measure the time of this number of steps"
    )
    parser.add_argument(
        "--beside", type=int, default=0, help="number of busy programs to run beside it"
    )
    args = parser.parse_args()
    busy_programs = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(args.beside)]
    atexit.register(lambda: [program.kill() for program in busy_programs])
    torch.set_flush_denormal(True)
    corpus, held_out = clean(read(args.train)), clean(read(args.held_out))
    trainer = Trainer(
        corpus, held_out, TrainingSettings(batch=args.batch, window=args.window, score_every=1)
    )
    conditions = {
        "threads": torch.get_num_threads(),
        "busy programs beside": args.beside,
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT"),
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
        ms = 1000 * (time.monotonic() - began) / args.steps
        print_and_save({"ms per step": round(ms, 1), **conditions}, args.json)
        return
    spent, touches, passes, reached = 0.0, 0, 0, 0.0
    since = time.monotonic()
    for progress in trainer:
        if progress.score is None:
            continue
        scored = time.monotonic()
        score(trainer.averaged, held_out)
        now = time.monotonic()
        spent += scored - since - (now - scored)  # the pass without its scoring
        touches, passes = touches + len(corpus.events), passes + 1
        xydt = score(trainer.averaged, held_out, flagless=True).xydt
        assert xydt is not None
        print(f"{touches / spent:,.0f} touches/s, {xydt:.3f} after {spent:.1f} s", flush=True)
        if xydt <= IMPSY and not reached:
            reached = spent
        if reached and passes >= PASSES:
            break
        since = time.monotonic()
    figures = {
        "touches per second": round(touches / spent),
        "passes": passes,
        "seconds to IMPSY's score": round(reached, 1),
        "IMPSY's score": IMPSY,
        "IMPSY's minutes": 25,
        **conditions,
    }
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
