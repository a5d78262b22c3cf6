"""Logging to standard error and a file, and lines of output, from threads of their own.

A terminal that is stopped (Ctrl-S) or a full pipe blocks the thread that writes to it. The
engine's loop only puts records on a queue.
"""

import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO, TextIOWrapper
from typing import TextIO

from robojam.system.priority import adopt_main_priority

#: Records that may wait to be written; more are dropped.
_CAPACITY = 1000
#: Seconds in which the waiting records must be written at the end.
_PATIENCE = 1.0
#: Seconds that a program waits for a line that it prints.
_PRINTING = 0.3
#: Seconds in which a record of one kind is let through once, the different texts of one kind
#: that are let through in them, and the most kinds that are remembered.
_MINUTE, _TEXTS, _KINDS = 60.0, 6, 256


class OncePerMinute(logging.Filter):
    """Filter that lets a record of each kind through once a minute.

    The kind is the record's attribute `kind` (`extra={"kind": …}`). A record without one is
    of the kind of its format string, of which a few different texts are let through: several
    players may join in one minute. The next record of a kind says how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any; clock in seconds."""
        super().__init__()
        self._clock = clock
        self._passed: dict[str, deque[tuple[float, str]]] = {}  # the texts of each kind
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is let through; its text may tell of others."""
        now, text = self._clock(), record.getMessage()
        kind, limit = getattr(record, "kind", None), 1
        if kind is None:
            kind, limit = str(record.msg), _TEXTS
        passed = self._passed.pop(kind, None) or deque(maxlen=_TEXTS)
        self._passed[kind] = passed  # the last of the dictionary: the first is forgotten
        if len(self._passed) > _KINDS:
            oldest = next(iter(self._passed))
            del self._passed[oldest]
            self._left_out.pop(oldest, None)
        while passed and now - passed[0][0] >= _MINUTE:
            passed.popleft()
        if len(passed) >= limit or any(text == earlier for _, earlier in passed):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        passed.append((now, text))
        if left_out := self._left_out.pop(kind, 0):
            record.msg, record.args = f"{text} (and {left_out} more like it, not shown)", ()
        return True


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
    """Log to handlers while the block runs, and close them.

    Records from INFO on are logged, each kind once a minute; verbose: all of them.
    """
    log = logging.getLogger("robojam")
    records: queue.Queue[logging.LogRecord | None] = queue.Queue(_CAPACITY)
    writer = threading.Thread(target=_write, args=(records, handlers), name="log", daemon=True)
    queue_handler = _DroppingQueueHandler(records)
    if not verbose:
        queue_handler.addFilter(OncePerMinute())
    log.addHandler(queue_handler)
    level = log.level
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    writer.start()
    try:
        yield
    finally:
        log.removeHandler(queue_handler)
        log.setLevel(level)
        with suppress(queue.Full):
            records.put(None, timeout=_PATIENCE)
        writer.join(_PATIENCE)


def print_line(text: str, stream: TextIO | None) -> None:
    """Print a line; one that cannot be printed soon, or at all, holds nobody up.

    Lines stay in order unless they are late. None is a stream that is closed.
    """

    def write() -> None:
        if stream is not None:
            with suppress(OSError, ValueError):  # the reader or the terminal has gone
                _unbuffered(stream).write(f"{text}\n")

    thread = threading.Thread(target=write, name="print", daemon=True)
    with suppress(RuntimeError):  # no more threads
        thread.start()
        thread.join(_PRINTING)


def _unbuffered(stream: TextIO) -> TextIO:
    """Return a stream of the same file without the lock that a stuck writer would hold."""
    try:
        raw = FileIO(stream.fileno(), "w", closefd=False)
    except (OSError, AttributeError):  # replaced by an object, or None (pythonw)
        return stream
    encoding = stream.encoding
    return TextIOWrapper(raw, encoding, "backslashreplace", write_through=True)


def _ignore(_record: logging.LogRecord) -> None:
    pass


def _write(
    records: queue.Queue[logging.LogRecord | None], handlers: list[logging.Handler]
) -> None:
    said = False

    def report(_record: logging.LogRecord) -> None:
        """Report once, on standard error, that the file cannot be written."""
        nonlocal said
        if not said:
            said = True
            text = f"the log cannot be written ({sys.exc_info()[1]}); the jam goes on"
            handlers[0].emit(logging.makeLogRecord({"msg": text}))

    for handler in handlers:
        # For standard error, a terminal that has gone, there is no place to report it.
        is_file = isinstance(handler, logging.FileHandler)
        setattr(handler, "handleError", report if is_file else _ignore)  # noqa: B010
    while (record := records.get()) is not None:
        adopt_main_priority()  # which may have been raised meanwhile
        for handler in handlers:
            handler.emit(record)  # not handle: the program's end would wait for its lock
    for handler in handlers:
        with suppress(OSError):
            handler.close()
