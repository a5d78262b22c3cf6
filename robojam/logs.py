"""The log: to standard error and, if asked, a file, from a thread of its own.

A terminal that is stopped (Ctrl-S) or a full pipe blocks whoever writes to it; the
engine's loop only puts a record on a queue.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Records that may wait to be written; more are left out.
_WAITING = 1000


class _Sieve(logging.handlers.QueueHandler):
    """Leaves records out while the queue is full."""

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


@contextmanager
def logging_to(path: str | None, *, verbose: bool) -> Iterator[None]:
    """Log while the block runs. Raises OSError when the file cannot be opened."""
    log = logging.getLogger("robojam")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter("robojam: %(message)s"))
    if path is not None:
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
    listener = logging.handlers.QueueListener(waiting, *handlers)
    sieve = _Sieve(waiting)
    log.addHandler(sieve)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    listener.start()
    try:
        yield
    finally:
        log.removeHandler(sieve)
        listener.stop()
