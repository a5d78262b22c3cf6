"""The log: to standard error and, if asked, a file, from a thread of its own.

A terminal that is stopped (Ctrl-S) or a full pipe blocks whoever writes to it; the
engine's loop only puts a record on a queue.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO, TextIOWrapper
from typing import Any

#: Records that may wait to be written; more are left out.
_WAITING = 1000
#: Seconds that what is waiting has to be written in the end.
_PATIENCE = 1.0


class _Sieve(logging.handlers.QueueHandler):
    """Leaves records out while the queue is full."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def make_handlers(path: str | None) -> list[logging.Handler]:
    """Open what is logged to. Raises OSError when the file at path cannot be opened."""
    handlers: list[logging.Handler] = [logging.StreamHandler(_unbuffered(sys.stderr))]
    handlers[0].setFormatter(logging.Formatter("robojam: %(message)s"))
    if path is not None:
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handlers


@contextmanager
def logging_to(handlers: list[logging.Handler], *, verbose: bool) -> Iterator[None]:
    """Log while the block runs; the handlers are closed in the end."""
    log = logging.getLogger("robojam")
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(_WAITING)
    writer = threading.Thread(target=_write, args=(waiting, handlers), name="log", daemon=True)
    sieve = _Sieve(waiting)
    log.addHandler(sieve)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    writer.start()
    try:
        yield
    finally:
        log.removeHandler(sieve)
        with suppress(queue.Full):
            waiting.put(None, timeout=_PATIENCE)
        writer.join(_PATIENCE)


def _unbuffered(stream: Any) -> Any:
    """Return the same stream with no lock that a stuck writer would hold for ever."""
    try:
        raw = FileIO(stream.fileno(), "w", closefd=False)
    except (OSError, AttributeError):  # a test's, or none at all (pythonw)
        return stream
    encoding = stream.encoding
    return TextIOWrapper(raw, encoding, "backslashreplace", write_through=True)


def _let_be(_record: logging.LogRecord) -> None:
    return


def _write(
    waiting: queue.Queue[logging.LogRecord | None], handlers: list[logging.Handler]
) -> None:
    for handler in handlers:
        # A full disk or a terminal that is gone: there is nobody left to tell.
        handler.handleError = _let_be  # type: ignore[assignment,method-assign]
    while (record := waiting.get()) is not None:
        for handler in handlers:
            handler.emit(record)  # not handle, whose lock the end would wait for
    for handler in handlers:
        with suppress(OSError):
            handler.close()
