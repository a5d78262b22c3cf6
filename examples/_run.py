"""Options of the larger examples, and a training that can be stopped.

`fit` trains a network: progress with the time left, a checkpoint from which it continues
(`--resume`), Ctrl-C that keeps the best so far, and a loss that is not finite ends it with the
cause. `Steps`, `write_checkpoint` and `read_checkpoint` are its parts, for programs with a loop
of their own. `run` turns the errors of a program into one line.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from robojam.mixture import checked
from robojam.player.devices import DeviceError, choose_device
from robojam.system.atomic_file import atomic_write
from robojam.training.trainer import NotFiniteError, schedule

#: Seconds from one checkpoint to the next.
CHECKPOINT_EVERY = 30.0
_KEY = "run"


class InputError(ValueError):
    """A file, a text or an option that a program cannot use; the text says why."""


def options(description: str | None, *, out: str) -> argparse.ArgumentParser:
    """Return a parser of the options that the larger examples share. Pass it to `run`.

    description is the program's docstring, of which the first line is shown; out is the
    default folder of what it writes.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path(out), help="folder for pictures, figures, checkpoints"
    )
    parser.add_argument("--quick", action="store_true", help="a small run of under a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, mps or auto")
    parser.add_argument(
        "--resume", action="store_true", help="continue the run whose checkpoint is in --out"
    )
    return parser


def run(parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], None]) -> None:
    """Parse the options and run a program; its errors end it with one line.

    Makes the folder --out. Status 2 for options, files and texts that cannot be used, 1 for a
    loss that is not finite, 130 for Ctrl-C outside of a training.
    """
    args = parser.parse_args()
    try:
        args.device = choose_device(args.device)
        args.out.mkdir(parents=True, exist_ok=True)
        main(args)
    except (InputError, DeviceError, OSError) as error:
        parser.error(str(error))
    except NotFiniteError as error:
        parser.exit(1, f"{parser.prog}: stopped: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\n")


def write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON, and print them, one a line."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for name, value in figures.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


class Steps:
    """Numbers of the steps of a training, with a progress bar and the time left.

        with Steps("critic", 2000) as steps:
            for step in steps:
                ...
                steps.show(f"{loss:.3f}")

    Ctrl-C lets the step under way end and is the last: `stopped` is True then. A second one
    raises KeyboardInterrupt. Without a terminal a line is printed every 20 seconds.
    """

    def __init__(self, label: str, total: int, *, first: int = 0) -> None:
        self.stopped = False
        self._label, self._total, self._first = label, total, first
        self._text, self._printed = "", time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Steps:
        self._before = signal.signal(signal.SIGINT, self._stop)
        if self._progress.console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(
                self._label, total=self._total, completed=self._first, text=""
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)
        self._progress.stop()
        if self.stopped:
            print(f"{self._label}: stopped; the best so far is kept", file=sys.stderr)

    def __iter__(self) -> Iterator[int]:
        began = time.monotonic()
        for step in range(self._first, self._total):
            if self.stopped:
                return
            yield step
            done = step + 1
            if self._task is not None:
                self._progress.update(self._task, completed=done, text=self._text)
            elif (now := time.monotonic()) - self._printed > 20:
                left = (now - began) / (done - self._first) * (self._total - done)
                state = f"{self._label}: {done}/{self._total} {self._text}"
                print(f"{state}, {left / 60:.1f} min left", flush=True)
                self._printed = now

    def show(self, text: str) -> None:
        """Show a text, such as the loss, beside the progress."""
        self._text = text

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Write tensors and plain values to a file, completely or not at all. Raises OSError."""
    on_cpu = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with atomic_write(path) as part:
        part.write_bytes(to_bytes(on_cpu, metadata={_KEY: json.dumps(about)}))


def read_checkpoint(path: Path, expected: Mapping[str, Any]) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the plain values that `write_checkpoint` wrote.

    expected holds values that must be the same, such as the seed and the sizes. Raises
    InputError where there is no such file, where it is damaged, and for another run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}: run without --resume") from None
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no checkpoint of a run: {error}") from None
    for name, value in expected.items():
        if about.get(name) != value:
            other = f"{name} is {about.get(name)} there, and {value} here"
            raise InputError(f"{path} is the checkpoint of another run: {other}")
    return tensors, about


def tensors_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as named tensors."""
    states = optimiser.state_dict()["state"]
    return {f"{i}/{name}": t for i, state in states.items() for name, t in state.items()}


def restore(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Set the state of an optimiser from what `tensors_of` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under names that begin with a prefix and a slash."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix and a slash, without it."""
    start = f"{prefix}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


@dataclass(frozen=True, slots=True)
class Fitted:
    """Result of a training: the best held-out score, its step, and whether it was stopped."""

    score: float
    step: int
    stopped: bool


def fit(
    net: nn.Module,
    loss: Callable[[nn.Module, int], Tensor],
    score: Callable[[nn.Module], float],
    *,
    steps: int,
    rate: float,
    label: str,
    warmup: int = 50,
    average: float = 0.99,
    score_every: int = 200,
    clip: float = 1.0,
    seed: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Fitted:
    """Train a network with Adam and leave in it the averaged weights that scored best.

    loss is given the network and the number of the step, score the network in evaluation mode,
    without gradients; both are in the same unit, and lower is better. The learning rate rises
    to rate, then falls to 0 as a cosine. average is the share of the averaged weights that is
    kept at each step. Before a step torch is seeded from seed and the step, so that a run that
    was resumed is the same run. about holds what else must be the same when a run is resumed,
    such as its data. Raises InputError for a checkpoint of another run, and NotFiniteError,
    with the cause, for a loss or a gradient that is not finite.
    """
    about = {"label": label, "seed": seed, "steps": steps, "rate": rate, **(about or {})}
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    averaged = copy.deepcopy(net).eval()
    best = {name: t.clone() for name, t in net.state_dict().items()}
    best_score, best_step, first = math.inf, 0, 0
    if resume and checkpoint is not None:
        tensors, saved = read_checkpoint(checkpoint, about)
        net.load_state_dict(without_prefix("net", tensors))
        averaged.load_state_dict(without_prefix("averaged", tensors))
        best = without_prefix("best", tensors)
        restore(optimiser, without_prefix("adam", tensors))
        first, best_step = saved["step"], saved["best_step"]
        best_score = math.inf if saved["best_score"] is None else saved["best_score"]
    update_average = get_ema_multi_avg_fn(average)
    written = time.monotonic()

    def save(step: int) -> None:
        if checkpoint is None:
            return
        tensors = with_prefix("net", net.state_dict())
        tensors |= with_prefix("averaged", averaged.state_dict())
        tensors |= with_prefix("best", best) | with_prefix("adam", tensors_of(optimiser))
        known = None if math.isinf(best_score) else best_score
        state = {"step": step, "best_step": best_step, "best_score": known}
        write_checkpoint(checkpoint, tensors, about | state)

    def keep_if_best(step: int) -> None:
        nonlocal best, best_score, best_step
        with torch.no_grad():
            found = score(averaged)
        if not math.isfinite(found):
            raise NotFiniteError(f"at step {step} the held-out score is {found}")
        if found < best_score:
            best_score, best_step = found, step
            best = {name: t.clone() for name, t in averaged.state_dict().items()}

    done, smooth = first, math.nan
    with Steps(label, steps, first=first) as progress:
        for step in progress:
            for group in optimiser.param_groups:
                group["lr"] = rate * schedule(step, step / steps, warmup)
            net.train()
            value = _train_step(net, loss, optimiser, step, seed=seed, clip=clip)
            with torch.no_grad():
                pairs = list(averaged.parameters()), list(net.parameters())
                # The average of few steps is that of these steps, not mostly of the start.
                update = get_ema_multi_avg_fn(step / (step + 10))
                (update if step < 10 / (1 - average) else update_average)(*pairs, step)
                for mine, its in zip(averaged.buffers(), net.buffers(), strict=True):
                    mine.copy_(its)
            done = step + 1
            smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
            if done % score_every == 0 or done == steps:
                keep_if_best(done)
            known = "" if math.isinf(best_score) else f", held out {best_score:.3f}"
            progress.show(f"{smooth:.3f}{known}")
            if time.monotonic() - written > CHECKPOINT_EVERY or done == steps:
                save(done)
                written = time.monotonic()
    if progress.stopped:
        keep_if_best(done)
        save(done)
    net.load_state_dict(best)
    net.eval()
    return Fitted(best_score, best_step, progress.stopped)


def _train_step(
    net: nn.Module,
    loss: Callable[[nn.Module, int], Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    *,
    seed: int,
    clip: float,
) -> float:
    """Take one step; return its loss. Raises NotFiniteError, with the cause."""
    torch.manual_seed(seed * 1_000_003 + step)
    optimiser.zero_grad(set_to_none=True)
    result = loss(net, step)
    value = float(result.detach())
    if not math.isfinite(value):
        torch.manual_seed(seed * 1_000_003 + step)  # the same batch again
        try:
            with checked(), torch.no_grad():
                loss(net, step)
        except ValueError as error:
            raise NotFiniteError(f"at step {step} the loss is {value}: {error}") from None
        advice = "every number given to a mixture is finite, so lower the learning rate"
        raise NotFiniteError(f"at step {step} the loss is {value}: {advice}")
    result.backward()
    norm = float(nn.utils.clip_grad_norm_(net.parameters(), clip))
    if not math.isfinite(norm):
        rate = optimiser.param_groups[0]["lr"]
        state = f"the gradient is {norm} though the loss is {value:.3f}"
        raise NotFiniteError(f"at step {step} {state}: lower the learning rate, {rate:g} here")
    optimiser.step()
    return value
