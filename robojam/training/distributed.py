"""Data-parallel training: torchrun --nproc-per-node 2 -m robojam train …

Each worker process draws every batch, and its dropout masks, from the same random numbers,
and computes its own rows of it; DistributedDataParallel averages the gradients. The result
is that of one process but for rounding, also where rows do not divide evenly, and every
worker holds the complete state of the run. The worker of rank 0 leads: only it scores,
writes files and prints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from traceback import clear_frames
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

Result = TypeVar("Result")

#: Longest wait of workers while the leader scores. An exited worker is noticed at once.
_TIMEOUT = timedelta(days=1)


def limit_openmp_spinning() -> None:
    """Make idle threads of OpenMP sleep early; to be called before torch is imported.

    GNU's OpenMP, which torch uses on Linux, polls 300,000 times. On a busy machine that
    takes the core from the very thread that is waited for, and a step of training takes ten
    times as long; on an idle machine it makes no difference.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # polls before it sleeps


class WorkerError(Exception):
    """Another worker of this training failed or exited; the text says which, and why."""


class WorkerGroup:
    """The processes that train one model, of which this is number `rank` of `size`."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.leads = rank == 0
        self._parallel: Module | None = None

    def rows(self, batch: int) -> slice:
        """Return this worker's rows of a batch; the first row if the batch leaves it none.

        A worker without rows computes one too, with weight 0: every worker takes part in
        each exchange of gradients.
        """
        return slice(self.rank, None, self.size) if self.rank < batch else slice(0, 1)

    def forward(self, module: Module, *inputs: Tensor | int) -> Tensor:
        """Apply a module. The gradients that `backward` then finds are means over workers."""
        if self.size > 1:
            from torch.nn.parallel import DistributedDataParallel

            if self._parallel is None or self._parallel.module is not module:
                # A batch may leave some out: with a context its first state has no gradient.
                self._parallel = DistributedDataParallel(module, find_unused_parameters=True)
            module = self._parallel
        output: Tensor = module(*inputs)
        return output

    def backward(self, loss: Tensor) -> None:
        """Find gradients, and exchange them. Raises WorkerError if another worker exited."""
        with _peer_errors():
            loss.backward()

    def gather(self, compute: Callable[[], Result]) -> list[Result]:
        """Return the results that a function has in each worker, by rank.

        An error in one worker is raised there, and as a WorkerError in all others.
        """
        if self.size == 1:
            return [compute()]
        from torch import distributed

        result, error = None, None
        try:
            result = compute()
        except BaseException as raised:
            error = raised
        text = None if error is None else str(error) or repr(error)
        outcomes: list[tuple[Result, str | None]] = [(result, text)] * self.size  # type: ignore[list-item]
        with _peer_errors():
            distributed.all_gather_object(outcomes, (result, text))
        if error is not None:
            raise error
        for rank, (_, text) in enumerate(outcomes):
            if text is not None:
                raise WorkerError(f"in process {rank + 1} of {self.size}: {text}")
        return [result for result, _ in outcomes]

    def everywhere(self, compute: Callable[[], Result]) -> Result:
        """Return a function's result in this worker, after it has returned in all of them."""
        results: list[Result] = []
        self.gather(lambda: results.append(compute()))
        return results[0]

    def from_leader(self, compute: Callable[[], Result]) -> Result:
        """Return the result of a function that only the leader calls, in every worker."""
        return self.gather(lambda: compute() if self.leads else None)[0]  # type: ignore[return-value]

    def release(self) -> None:
        """Stop exchanging gradients, and free the resources of the process group."""
        self._parallel = None


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Turn the error of an exchange with a worker that has exited into a WorkerError."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        clear_frames(error.__traceback__)  # they hold the process group
        reason = str(error).partition("\n")[0]
        raise WorkerError(f"another process of this training is gone: {reason}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out: torch has several such errors."""
    import torch

    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in text


@contextmanager
def join_workers() -> Iterator[WorkerGroup]:
    """Join the processes that torchrun started together; without it, a group of one.

    All workers but the leader are silent, and exit with status 0 after an error that the
    leader reports. Raises WorkerError if the processes do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "1") in ("", "1"):
        yield WorkerGroup()
        return
    import torch

    # Imported before the group is made: later its functions' defaults would hold the group,
    # and an interpreter that exits while gloo's threads release tensors aborts
    # (github.com/pytorch/pytorch/pull/179291).
    import torch.distributed.nn
    from torch import distributed

    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        distributed.init_process_group(timeout=_TIMEOUT)  # gloo, and on a GPU nccl
    except (KeyError, ValueError, RuntimeError) as error:
        raise WorkerError(f"the processes of this training do not meet: {error}") from error
    workers = WorkerGroup(distributed.get_rank(), distributed.get_world_size())
    try:
        if workers.leads:
            yield workers
            return
        with (
            open(os.devnull, "w") as null,
            redirect_stdout(null),
            redirect_stderr(null),
            suppress(SystemExit, WorkerError),
        ):
            yield workers
    finally:
        workers.release()
        distributed.destroy_process_group()
