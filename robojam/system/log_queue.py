"""Logging to standard error and a file from a thread of its own.

A terminal that is stopped (Ctrl-S) or a full pipe blocks the thread that writes to it. The
engine's loop only puts records on a queue.
"""

import logging
import logging.handlers
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO, TextIOWrapper
from typing import TextIO

#: Records that may wait to be written; more are dropped.
_CAPACITY = 1000
#: Seconds in which the waiting records must be written at the end.
_PATIENCE = 1.0


class _DroppingQueueHandler(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def make_handlers(path: str | None) -> list[logging.Handler]:
    """Return handlers for standard error and a file, if there is a path. Raises OSError."""
    handlers: list[logging.Handler] = [logging.StreamHandler(_unbuffered(sys.stderr))]
    handlers[0].setFormatter(logging.Formatter("robojam: %(message)s"))
    if path is not None:
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handlers


@contextmanager
def logging_to(handlers: list[logging.Handler], *, verbose: bool) -> Iterator[None]:
    """Log to handlers while the block runs, and close them; verbose: from DEBUG on."""
    log = logging.getLogger("robojam")
    records: queue.Queue[logging.LogRecord | None] = queue.Queue(_CAPACITY)
    writer = threading.Thread(target=_write, args=(records, handlers), name="log", daemon=True)
    queue_handler = _DroppingQueueHandler(records)
    log.addHandler(queue_handler)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    writer.start()
    try:
        yield
    finally:
        log.removeHandler(queue_handler)
        with suppress(queue.Full):
            records.put(None, timeout=_PATIENCE)
        writer.join(_PATIENCE)


def _unbuffered(stream: TextIO) -> TextIO:
    """Return a stream of the same file without the lock that a stuck writer would hold."""
    try:
        raw = FileIO(stream.fileno(), "w", closefd=False)
    except (OSError, AttributeError):  # replaced by an object, or None (pythonw)
        return stream
    encoding = stream.encoding
    return TextIOWrapper(raw, encoding, "backslashreplace", write_through=True)


def _write(
    records: queue.Queue[logging.LogRecord | None], handlers: list[logging.Handler]
) -> None:
    for handler in handlers:
        # A full disk or a closed terminal: there is no place to report it.
        handler.handleError = lambda _: None  # type: ignore[assignment,method-assign]
    while (record := records.get()) is not None:
        for handler in handlers:
            handler.emit(record)  # not handle: the program's end would wait for its lock
    for handler in handlers:
        with suppress(OSError):
            handler.close()
