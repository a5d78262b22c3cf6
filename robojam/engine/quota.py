"""Quota of the recording: how many bytes a player who is no host may add to it. Pure.

Whoever plays from another machine fills the disk, by its touches and by the machine's answers
to them. A touch beyond the quota is dropped before the jam hears it, so that the recording has
all that was heard, and regenerates. docs/limits.md has the reasons.
"""

from __future__ import annotations

from typing import Final

from robojam.controls import RefusedError
from robojam.limits import HostLimiter, RateLimiter

#: Bytes of recording that one host's players may cause: a second, and at once; hosts that are
#: known; and the same for all hosts together.
QUOTA: Final = (9_000, 14_000_000)
_HOSTS = 256
ALL: Final = (80_000, 60_000_000)
#: Bytes of a touch's line without its player, finger and place, and of a measured pressure:
#: the names of the fields, a time of 18 letters and a dt of 22. And of knobs, and of each.
_LINE, _PRESSURE = 93, 34
_KNOBS, _KNOB = 11, 20


class RecordingQuota:
    """Quota of each host, and of all together. Instants are in seconds of one clock.

    `cause` is the host to whose touch the machine answers; None where nobody's quota pays.
    """

    def __init__(self) -> None:
        self._hosts = HostLimiter(*QUOTA, _HOSTS, of_all=RateLimiter(*ALL))
        self.cause: str | None = None

    def check(self, host: str, now: float) -> None:
        """Raise RefusedError if a host has no quota left."""
        if not self._hosts.take(host, now):
            raise RefusedError(
                "quota",
                f"its touches fill the recording: {QUOTA[1] // 10**6} MB, and then "
                f"{QUOTA[0] // 10**3} kB a second; --control HOST lifts this",
            )

    def charge(self, host: str, size: int, now: float) -> None:
        """Charge the bytes of lines that a host causes; they may be more than it has left."""
        self._hosts.charge(host, now, size)

    def charge_answer(self, size: int, now: float) -> None:
        """Charge the bytes of a machine's line to the host that it answers."""
        if self.cause is not None:
            self.charge(self.cause, size, now)


def line_size(
    who: str, finger: int, x: float, y: float, pressure: float | None = None, knobs: int = 0
) -> int:
    """Return about how many bytes a touch, or an event of knobs, takes in a recording."""
    place = len(repr(x)) + len(repr(y)) + len(who) + len(str(finger))
    more = _KNOBS + _KNOB * knobs if knobs else 0
    return _LINE + place + more + (0 if pressure is None else _PRESSURE)
