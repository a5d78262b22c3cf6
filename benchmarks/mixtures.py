"""Compare robojam.mixture with torch.distributions and with keras-mdn-layer.

    python benchmarks/mixtures.py --keras ENV/bin/python [--quick] [--json FILE]

Measures the log density with its gradient, and sampling, each from the output of a network's
last layer, on one thread. MixtureSameFamily is built from Independent(Normal) for diagonal
covariance and from MultivariateNormal for full covariance, without validation, which would
make it slower. keras-mdn-layer (diagonal only) runs in an environment of its own; each call is
a compiled tf.function, after a first call that does not count. Its function for sampling,
sample_from_output, takes one row at a time. The systems take turns, everything is measured
twice, and the shortest time of all rounds counts. Memory is the peak of what torch allocated
for the density and its gradient. Batches are left out if MixtureSameFamily's tensors would not
fit into memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable

from _output import argument_parser, save

DIMS, COMPONENTS = (1, 3, 64), (5, 26)
BATCHES = (1, 16, 256, 4096, 65_536)
MOST = 120_000_000  # numbers in the largest tensor
SWEEPS, ROUNDS, SECONDS = 2, 3, 0.1
NAMES = ("kind", "dims", "components", "batch", "what")
MEMORY = (("diagonal", 1, 26, 65_536), ("diagonal", 64, 26, 4096), ("full", 3, 26, 65_536))

Call = Callable[[], object]


def robojam_calls(kind: str, dims: int, k: int, batch: int) -> dict[str, Call]:
    import torch

    from robojam.mixture import Mixture, width

    parameters = network_output(width(dims, k, kind), batch, kind, dims, k)
    value = torch.randn(batch, dims)

    def density() -> None:
        Mixture.from_parameters(parameters, dims, kind).loss(value).backward()
        parameters.grad = None

    def sample() -> object:
        return Mixture.from_parameters(parameters.detach(), dims, kind).sample()

    return {"density": density, "sample": sample}


def torch_calls(kind: str, dims: int, k: int, batch: int) -> dict[str, Call]:
    import torch
    from torch.distributions import (
        Categorical,
        Independent,
        MixtureSameFamily,
        MultivariateNormal,
        Normal,
    )
    from torch.nn import functional

    from robojam.mixture import width

    parameters = network_output(width(dims, k, kind), batch, kind, dims, k)
    value = torch.randn(batch, dims)
    below = dims * (dims - 1) // 2 if kind == "full" else 0
    row, column = torch.tril_indices(dims, dims, -1)

    def mixture(numbers: torch.Tensor) -> MixtureSameFamily:
        logits, loc, raw, lower = numbers.split([k, k * dims, k * dims, k * below], -1)
        loc = loc.unflatten(-1, (k, dims))
        scale = functional.softplus(raw).unflatten(-1, (k, dims)) + 1e-3
        if kind == "full":
            factor = torch.diag_embed(scale)
            factor[..., row, column] = lower.unflatten(-1, (k, below))
            each = MultivariateNormal(loc, scale_tril=factor, validate_args=False)
        else:
            each = Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)
        weights = Categorical(logits=logits, validate_args=False)
        return MixtureSameFamily(weights, each, validate_args=False)

    def density() -> None:
        (-mixture(parameters).log_prob(value).mean()).backward()
        parameters.grad = None

    return {"density": density, "sample": lambda: mixture(parameters.detach()).sample()}


def network_output(size: int, batch: int, kind: str, dims: int, k: int):
    """Return numbers like those of a network: unit normal, with moderate correlations."""
    import torch

    torch.manual_seed(0)
    parameters = torch.randn(batch, size)
    if kind == "full" and dims > 1:
        parameters[:, -k * dims * (dims - 1) // 2 :] *= 0.1
    return parameters.requires_grad_()


def keras_calls(_kind: str, dims: int, k: int, batch: int) -> dict[str, Call]:
    import keras_mdn_layer as mdn
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(batch, k * (1 + 2 * dims))).astype(np.float32)
    positive = numbers.copy()
    positive[:, k * dims : 2 * k * dims] = np.exp(numbers[:, k * dims : 2 * k * dims])
    parameters = tf.Variable(numbers)
    value = tf.constant(rng.normal(size=(batch, dims)).astype(np.float32))
    loss = mdn.get_mixture_loss_func(dims, k)

    @tf.function
    def graph() -> object:
        with tf.GradientTape() as tape:
            loc, raw, logits = tf.split(parameters, [k * dims, k * dims, k], -1)
            activated = tf.concat([loc, mdn.elu_plus_one_plus_epsilon(raw), logits], -1)
            mean = tf.reduce_mean(loss(value, activated))
        return tape.gradient(mean, parameters)

    def sample() -> object:
        return np.stack([mdn.sample_from_output(row, dims, k) for row in positive])

    return {"density": lambda: np.asarray(graph()), "sample": sample}


SYSTEMS = {"robojam": robojam_calls, "torch": torch_calls}


def rate(call: Call, seconds: float) -> float:
    """Call repeatedly for some seconds; return the seconds per call."""
    began, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - began < seconds:
        call()
        count += 1
    return (time.perf_counter() - began) / count


def measure(calls: dict[str, Call], rounds: int, seconds: float) -> dict[str, float]:
    """Time systems in turn; return the shortest of several rounds in microseconds."""
    for call in calls.values():
        call()
    best = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            best[name] = min(best[name], rate(call, seconds))
    return {name: round(1e6 * shortest, 2) for name, shortest in best.items()}


def cases(*, quick: bool) -> list[tuple[str, int, int, int]]:
    selected = []
    for kind, dims, k, batch in itertools.product(
        ("diagonal", "full"), DIMS, COMPONENTS, BATCHES[: 3 if quick else None]
    ):
        largest = batch * k * dims * (dims if kind == "full" else 1)
        if largest <= MOST:
            selected.append((kind, dims, k, batch))
    return selected


def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def measure_keras(
    selected: list[tuple[str, int, int, int]], rounds: int, seconds: float
) -> None:
    """Measure keras-mdn-layer; print a line of JSON for each case."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for case in selected:
        calls = keras_calls(*case)
        if case[3] > 16:
            del calls["sample"]  # one row at a time: larger batches add nothing
        print(json.dumps(measure(calls, rounds, seconds)), flush=True)


def peak(call: Call) -> float:
    """Return the peak memory of a call in MB, beyond what was allocated before."""
    from torch.profiler import ProfilerActivity, profile

    call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as traced:
        call()
    events = [e for e in traced.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return max(itertools.accumulate(e.nbytes() for e in events)) / 2**20


def run_self(python: str, *arguments: str) -> str:
    command = [python, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def sweep(rows: list[dict], rounds: int, seconds: float) -> None:
    """Measure robojam and torch in turn, case by case; keep the shorter times."""
    for row in rows:
        case, what = case_of(row), row["what"]
        times = measure({n: make(*case)[what] for n, make in SYSTEMS.items()}, rounds, seconds)
        row["us"] |= {name: min(us, row["us"][name]) for name, us in times.items()}
        ratio = row["us"]["torch"] / row["us"]["robojam"]
        print(*case, what, row["us"], f"{ratio:.2f} times as fast", flush=True)


def sweep_keras(rows: list[dict], python: str, *, quick: bool) -> None:
    """Measure keras-mdn-layer in its environment; keep the shorter times."""
    lines = run_self(python, "--keras-alone", *(["--quick"] if quick else [])).splitlines()
    selected = [c for c in cases(quick=quick) if c[0] == "diagonal"]
    for case, line in zip(selected, lines, strict=True):
        for what, us in json.loads(line).items():
            for row in rows:
                if case_of(row) == case and row["what"] == what:
                    row["us"]["keras"] = min(us, row["us"].get("keras", math.inf))


def case_of(row: dict) -> tuple[str, int, int, int]:
    return row["kind"], row["dims"], row["components"], row["batch"]


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--keras", help="the Python of an environment with keras-mdn-layer")
    parser.add_argument(
        "--quick", action="store_true", help="small batches only, shorter times"
    )
    parser.add_argument("--keras-alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    rounds, seconds = (2, 0.05) if args.quick else (ROUNDS, SECONDS)
    selected = cases(quick=args.quick)
    if args.keras_alone:
        measure_keras([c for c in selected if c[0] == "diagonal"], rounds, seconds)
        return
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # silence the profiler
    one_thread()
    import torch

    rows = [
        dict(zip(NAMES, (*case, what), strict=True)) | {"us": dict.fromkeys(SYSTEMS, math.inf)}
        for case in selected
        for what in ("density", "sample")
    ]
    for _ in range(SWEEPS):  # twice, in case other programs used the machine
        sweep(rows, rounds, seconds)
        if args.keras:
            sweep_keras(rows, args.keras, quick=args.quick)
    memory = []
    for case in MEMORY:
        mb = {s: round(peak(make(*case)["density"]), 1) for s, make in SYSTEMS.items()}
        memory.append({"case": case, "mb": mb})
        print(*case, memory[-1]["mb"], "MB")
    for other in ("torch", "keras"):
        ratios = [r["us"][other] / r["us"]["robojam"] for r in rows if other in r["us"]]
        if ratios:
            ratios.sort()
            print(
                f"{other}: {ratios[0]:.2f} to {ratios[-1]:.2f} times as fast, "
                f"median {ratios[len(ratios) // 2]:.2f}"
            )
    machine = f"{platform.machine()}, one thread, torch {torch.__version__}"
    save({"machine": machine, "times": rows, "memory": memory}, args.json)


if __name__ == "__main__":
    main()
