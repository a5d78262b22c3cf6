"""Thru: what humans play, on its way to the outputs that ask for it.

It never goes back to where it came from: a fader that receives its own values jumps, and two
programs that pass on what they receive never end.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from robojam.config.addresses import is_group, player_host
from robojam.ports.udp import Address
from robojam.touch import Touch
from robojam.wire.echo import EchoDetector, Origin

#: Kinds of sources that are no programs of OSC, and so receive none.
_NO_PROGRAMS: Final = ("midi:", "serial:", "tuio:", "web:")


class Players(Protocol):
    """Knowledge of where touches come from: the engine."""

    def origin(self, touch: Touch) -> Origin | None:
        """Return where a human's touch came from; None where its player is gone."""

    def is_monitor(self, origin: Origin) -> bool:
        """Return whether a touch came from a monitor, which a window is."""


class Thru:
    """Rule for all outputs that ask for the touches of humans: which of these each is sent."""

    def __init__(
        self,
        players: Callable[[], Players],
        echo: EchoDetector,
        *,
        is_here: Callable[[str], bool],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ask players for where a touch came from; echo is the engine's.

        is_here says whether a host is this machine.
        """
        self._players, self._echo, self._is_here, self._clock = players, echo, is_here, clock
        self._passed: Touch | None = None

    def origin(self, touch: Touch) -> Origin | None:
        """Return where a human's touch came from; None where its player is gone."""
        return self._players().origin(touch)

    def passes(self, touch: Touch, to: Address) -> bool:
        """Return whether a human's touch is to be sent to an address, and remember it if so.

        An address may be that of the program which sent it, or of another one on its host. As
        nothing tells which, it is not sent; but a monitor is another program, as it receives
        at its own port.
        """
        origin = self.origin(touch)
        if origin is None or (
            self._is_host_of(origin, to[0])
            and (origin.port == to[1] or not self._players().is_monitor(origin))
        ):
            return False
        if touch is not self._passed:  # once for all outputs
            self._passed = touch
            self._echo.sent_touch(touch, self._clock(), origin)
        return True

    def _is_host_of(self, origin: Origin, host: str) -> bool:
        """Return whether what is sent to a host may reach the programs of a touch's host."""
        if origin.source.startswith(_NO_PROGRAMS):
            return False
        everybody = is_group(host) or host.endswith(".255")
        both_here = self._is_here(host) and self._is_here(origin.source)
        return everybody or both_here or player_host(host) == origin.source
