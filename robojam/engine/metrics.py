"""Metrics of the engine: drops, lateness, memory."""

import logging
import math
import sys
import traceback
from array import array
from collections import deque
from collections.abc import Callable
from typing import Final

from robojam.config.addresses import format_address
from robojam.jam.events import Counters
from robojam.limits import ExpiringTable, RateLimiter, network_of
from robojam.system.shell import printable

if sys.platform != "win32":
    import resource  # now, and not with the first status: there may be no descriptor then

log = logging.getLogger("robojam")

#: Touches of which the lateness is kept.
_KEPT = 1024
#: Seconds without a drop of its kind after which a drop is logged again.
_QUIET = 60.0
#: Most hosts whose drops are known, most kinds of each in one minute, and warnings of all:
#: a second, and in a burst. Beyond that drops are only counted.
_HOSTS, _KINDS, _WARNINGS = 64, 32, (1, 64)
#: Most kinds of errors that are logged, and the calls of each that are shown. Further ones are
#: only counted.
_ERRORS, _CALLS = 32, 12
#: Seconds from which a touch is late so that it can be heard, and without such a touch after
#: which the next begins a series.
AUDIBLY_LATE: Final = 0.01
_SERIES = 10.0
#: Seconds after which what has failed with an unforeseen error is tried again.
AFTER_ERROR: Final = 0.1


class DropCounter(Counters):
    """Counters that log a warning of drops: the first of each kind from each sender.

    What a sender repeats is only counted, until none of it has come for a minute. `sender` is
    whose input is being handled: an address, the name of a port, or "".
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.sender: tuple[str, int] | str = ""
        #: Instant (s) of the last error that nobody foresaw.
        self.error_at = -math.inf
        self._clock = clock
        self._hosts = ExpiringTable[str, ExpiringTable[tuple[str, str], bool]](_HOSTS, _QUIET)
        self._errors: set[str] = set()  # the kinds of those that were logged
        self._warnings = RateLimiter(*_WARNINGS)

    def drop(self, reason: str, about: str = "", key: str = "") -> None:
        """Count something that was dropped; about adds details to the warning.

        key tells kinds of one reason apart.
        """
        super().drop(reason)
        now = self._clock()
        sender = self.sender if isinstance(self.sender, str) else format_address(*self.sender)
        host, _, port = sender.rpartition(":")
        host = network_of(host.strip("[]")) if port.isdecimal() else sender
        if not self._is_first(host, (reason, key), now) or not self._warnings.take(now):
            return
        log.warning(
            "dropped%s: %s%s; %d so far (the next ones are only counted)",
            f" from {sender}" if sender else "", reason, f" ({about})" if about else "",
            self.dropped[reason], extra={"kind": f"drop {host} {reason} {key}"},
        )  # fmt: skip

    def error(self, error: BaseException) -> None:
        """Count an act that an exception ended; log the first of each kind with its traceback.

        The kind is the exception's type and the line that raised it.
        """
        super().drop("error")
        self.error_at = self._clock()
        last = deque(traceback.walk_tb(error.__traceback__), maxlen=1)
        place = [f"{frame.f_code.co_filename}:{line}" for frame, line in last]
        kind = " ".join([type(error).__name__, *place])
        if kind in self._errors or len(self._errors) >= _ERRORS:
            return
        self._errors.add(kind)
        lines = "".join(traceback.format_exception(error, limit=-_CALLS)).splitlines()
        log.error(
            "an error that nobody foresaw: what caused it is dropped, and the jam goes on (the "
            "next ones of its kind are only counted). Please report this:\n%s",
            "\n".join(map(printable, lines)), extra={"kind": f"error {kind}"},
        )  # fmt: skip

    def _is_first(self, host: str, kind: tuple[str, str], now: float) -> bool:
        """Return whether a drop is the first of its kind from a host in the last minute."""
        kinds = self._hosts.use(host, now)
        if kinds is None:
            kinds = ExpiringTable(_KINDS, _QUIET)
            self._hosts.put(host, kinds, now)
        if kinds.use(kind, now) or len(kinds) >= _KINDS:
            return False
        kinds.put(kind, True, now)
        return True


def memory_mb() -> float | None:
    """Return the most memory that this process had resident, in MB; None on Windows."""
    if sys.platform == "win32":
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


class LateTouches:
    """Touches that were late so that it can be heard: the last, and the worst of its series."""

    def __init__(self) -> None:
        self.at, self.worst = -math.inf, 0.0

    def add(self, seconds: float, now: float) -> None:
        """Add a touch that was late by some seconds; a pause of _SERIES ends a series."""
        self.worst = max(seconds, self.worst if now - self.at < _SERIES else 0.0)
        self.at = now


class Lateness:
    """Lateness of the last touches that were played, in seconds."""

    def __init__(self) -> None:
        self._late = array("d", bytes(8 * _KEPT))
        self._count = 0
        self.worst = 0.0
        self._worst_of_take, self._of_take = 0.0, 0

    def add(self, seconds: float) -> None:
        """Add the lateness of one touch."""
        self._late[self._count % _KEPT] = seconds
        self._count += 1
        self._of_take += 1
        if seconds > self._worst_of_take:
            self._worst_of_take = seconds
            self.worst = max(self.worst, seconds)

    def take(self) -> dict[str, float] | None:
        """Return a take's percentiles in milliseconds for its recording, and begin the next.

        None when nothing was played. The percentiles are those of the last touches.
        """
        count, worst = min(self._of_take, _KEPT), self._worst_of_take
        self._worst_of_take, self._of_take = 0.0, 0
        if not count:
            return None
        last = sorted(self._late[(self._count - 1 - i) % _KEPT] for i in range(count))
        at = {"p50": last[count // 2], "p99": last[int(0.99 * count)], "max": worst}
        return {name: round(1000 * seconds, 3) for name, seconds in at.items()}

    @property
    def p99(self) -> float:
        """99th percentile in seconds; 0 where nothing was played."""
        late = sorted(self._late[: min(self._count, _KEPT)])
        return late[int(0.99 * len(late))] if late else 0.0
