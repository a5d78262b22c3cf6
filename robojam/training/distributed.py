"""Several processes that train one model: torchrun --nproc-per-node 2 -m robojam train …

Each of them draws every batch whole, and all that is dropped in it, from the same random
numbers, and learns from its own rows of it; their gradients sum to that of the batch. So it
is the run that one process makes, but for rounding, and every process knows all of it. The
first of them leads: it alone scores, writes and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from traceback import clear_frames
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

    from robojam.model.dropout import Dropout
    from robojam.model.mdrnn import EventModel

#: The others wait so long while the first one scores. Whoever is gone is noticed at once.
_LONGEST = timedelta(days=1)
#: How often a thread of OpenMP looks whether it is its turn before it sleeps.
_LOOKS = "1000"


def wait_asleep() -> None:
    """Let torch's threads wait for each other asleep; to be called before torch is loaded.

    GNU's OpenMP, torch's on Linux, looks 300,000 times. On a machine that has other things
    to do it takes the time from the very thread that it waits for, and a step of training
    takes ten times as long; on a quiet one it makes no difference.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _LOOKS)


class ElsewhereError(Exception):
    """Another process of this training has failed, or is gone; the text says which, and why."""


class Alone:
    """The one process of a training: it leads, and waits for nobody."""

    leads = True

    def join(self, model: EventModel) -> None:
        """Take part in the training of a model, before its first step."""

    def rows(self, batch: int) -> slice:
        """Return the rows of the next batch, of so many, that this process learns from."""
        del batch
        return slice(None)

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Do something in every process: what fails in one of them fails in all.

        Raises ElsewhereError where it was another that failed.
        """
        yield

    def first(self, find: Callable[[], float]) -> float:
        """Return what the first process finds, in each; the others do not look for it."""
        return find()

    def summed(self, weights: Iterable[Parameter], loss: float) -> float:
        """Sum the gradients of the weights over all processes, in place, and the loss."""
        del weights
        return loss


class Together(Alone):
    """One process of several, of which rank is the number, from 0."""

    def __init__(self, rank: int, size: int) -> None:
        self.leads = rank == 0
        self._rows, self._size = slice(rank, None, size), size
        self._dropout: Dropout | None = None

    def join(self, model: EventModel) -> None:
        """Let a model draw what it drops of whole batches, as one process does."""
        self._dropout = model.dropout
        self._dropout.rows = self._rows

    def rows(self, batch: int) -> slice:
        """Return the rows of the next batch, of so many, that this process learns from."""
        if self._dropout is not None:
            self._dropout.batch = batch
        return self._rows

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Do something in every process: what fails in one of them fails in all."""
        import torch

        mine: BaseException | None = None
        try:
            yield
        except BaseException as error:
            mine = error
        failed = torch.tensor(0 if mine is None else 1)
        self._sum(failed)
        if not failed:
            return
        why = enumerate(self._each(None if mine is None else str(mine) or repr(mine)), 1)
        if mine is not None:
            raise mine
        told = next(f"in process {n} of {self._size}: {text}" for n, text in why if text)
        raise ElsewhereError(told)

    def first(self, find: Callable[[], float]) -> float:
        """Return what the first process finds, in each; the others do not look for it."""
        import torch

        with self.agreed():
            found = torch.tensor(find() if self.leads else 0.0, dtype=torch.float64)
        self._sum(found)
        return float(found)

    def summed(self, weights: Iterable[Parameter], loss: float) -> float:
        """Sum the gradients of the weights over all processes, in place, and the loss."""
        import torch

        known = list(weights)
        # Where a batch has fewer rows than there are processes, some of them have none.
        grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in known]
        flat = torch.cat([*(g.flatten() for g in grads), grads[0].new_tensor([loss])])
        self._sum(flat)
        parts = flat.split([*(w.numel() for w in known), 1])
        for weight, part in zip(known, parts[:-1], strict=True):
            weight.grad = part.view_as(weight)
        return float(flat[-1])

    def _sum(self, values: Tensor) -> None:
        from torch import distributed

        with _meeting():
            distributed.all_reduce(values)

    def _each(self, mine: str | None) -> list[str | None]:
        from torch import distributed

        found: list[str | None] = [None] * self._size
        with _meeting():
            distributed.all_gather_object(found, mine)
        return found


@contextmanager
def _meeting() -> Iterator[None]:
    """Say in one line that somebody did not come. Raises ElsewhereError."""
    try:
        yield
    except RuntimeError as error:
        clear_frames(error.__traceback__)  # they hold the group that is to go
        why = str(error).partition("\n")[0]
        raise ElsewhereError(f"another process of this training is gone: {why}") from error


@contextmanager
def joined() -> Iterator[Alone]:
    """Join the processes that were started together, if this is one of several.

    All but the first are silent, and what is to be told, by a status too, the first tells.
    Raises ElsewhereError where they do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "1") in ("", "1"):
        yield Alone()
        return
    import torch

    # The defaults of its functions would hold, for ever, a group that was made before its
    # import, which is torch's optimisers'; and an interpreter that ends while gloo's threads
    # let go of their tensors aborts (github.com/pytorch/pytorch/pull/179291).
    import torch.distributed.nn
    from torch import distributed

    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        distributed.init_process_group(timeout=_LONGEST)  # gloo, and on a GPU nccl
    except (KeyError, ValueError, RuntimeError) as error:
        raise ElsewhereError(f"the processes of this training do not meet: {error}") from error
    try:
        rank, size = distributed.get_rank(), distributed.get_world_size()
        if rank == 0:
            yield Together(rank, size)
            return
        with (
            open(os.devnull, "w") as null,
            redirect_stdout(null),
            redirect_stderr(null),
            suppress(SystemExit, ElsewhereError),
        ):
            yield Together(rank, size)
    finally:
        distributed.destroy_process_group()
