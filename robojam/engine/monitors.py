"""Monitors: subscribers to the jam's events, and controls that come back from them."""

import logging
import math
from collections.abc import Callable, Sequence

from robojam.config.addresses import format_address, player_host
from robojam.controls import RefusedError
from robojam.ports.udp import Address, is_local
from robojam.wire import native
from robojam.wire.echo import EchoDetector, Kind

log = logging.getLogger("robojam")

#: Most monitors, how many of these places other machines never take, and the most of one other
#: machine; a monitor is dropped after this many seconds unless it renews.
MAX_MONITORS, RESERVED, MAX_OF_A_HOST = 8, 2, 3
MONITOR_LIFE = 10.0
#: Returns of controls in a row that show a loop: within 0.1 s, and later, as a button or a
#: sequencer may repeat one in time.
_RETURNS, _SLOW_RETURNS = 9, 33
_CONTROL = Kind(least=_RETURNS, slow=_SLOW_RETURNS, at_once=0.1)
#: Seconds between forecasts, as a window draws no more often, and the time in which nothing
#: must be due for one, as it takes a part of a millisecond.
_FORECAST_INTERVAL, _FORECAST_TIME = 1 / 30, 0.003


class Monitors:
    """Subscribers to the jam's events, each until a time unless it renews."""

    def __init__(
        self,
        send: Callable[[bytes, Address], object],
        echo: EchoDetector | None = None,
        *,
        is_local: Callable[[str], bool] = is_local,
    ) -> None:
        """Start without any. echo knows the controls that were sent.

        is_local says whether a host is this machine.
        """
        self._send, self._is_local, self._echo = send, is_local, echo or EchoDetector()
        self._until: dict[Address, float] = {}
        self._forecast_of: object = None
        self._next_forecast_at = 0.0

    def __len__(self) -> int:
        """Return the number of monitors."""
        return len(self._until)

    def add(self, monitor: Address, now: float) -> bool:
        """Add or renew a monitor; return whether it is new. Raises RefusedError.

        Where there is no place, the one leaves that has not renewed for longest.
        """
        self.expire(now)
        new = monitor not in self._until
        if new:
            self._make_room(monitor[0])
            self._forecast_of = None
        self._until[monitor] = now + MONITOR_LIFE
        return new

    def _make_room(self, host: str) -> None:
        """Remove a monitor where there is no place; none of this machine for another's.

        Raises RefusedError where this machine has all places.
        """
        everyone = list(self._until)
        full = len(everyone) >= MAX_MONITORS
        others = [monitor for monitor in everyone if not self._is_local(monitor[0])]
        of_host = [monitor for monitor in others if monitor[0] == host]
        leaving: list[Address] = []
        if self._is_local(host):
            leaving = (others or everyone) if full else []
        elif len(of_host) >= MAX_OF_A_HOST:
            leaving = of_host
        elif full or len(others) >= MAX_MONITORS - RESERVED:
            if not others:
                raise RefusedError(
                    "too many monitors", f"{MAX_MONITORS} programs of the engine's machine have"
                    " all places; a place is free 10 s after one of them stops",
                )  # fmt: skip
            leaving = others
        if leaving:
            monitor = min(leaving, key=self._until.__getitem__)
            self.remove(monitor)
            log.info("the monitor at %s gave its place to %s", format_address(*monitor), host)

    def remove(self, monitor: Address) -> None:
        """Remove a monitor."""
        self._until.pop(monitor, None)

    def expire(self, now: float) -> None:
        """Remove the monitors that have not renewed in time."""
        if any(until <= now for until in self._until.values()):
            self._until = {m: until for m, until in self._until.items() if until > now}

    def send(self, packet: bytes) -> None:
        """Send a packet to every monitor."""
        for monitor in self._until:
            self._send(packet, monitor)

    def send_where(self, packet: bytes, is_meant: Callable[[str], bool]) -> None:
        """Send a packet to the monitors at certain hosts."""
        for monitor in self._until:
            if is_meant(monitor[0]):
                self._send(packet, monitor)

    def send_forecast(
        self,
        progress: object,
        forecast: Callable[[], Sequence[Sequence[float]]],
        now: float,
        until_due: float,
    ) -> float:
        """Send what the model expects, if that has changed and there is time.

        progress changes when the model is fed; until_due is in seconds, until something is
        due. Returns the seconds after which to call again, or infinity.
        """
        if not self._until or progress == self._forecast_of:
            return math.inf
        if now < self._next_forecast_at:
            return self._next_forecast_at - now
        if until_due >= _FORECAST_TIME:
            self._forecast_of = progress
            self._next_forecast_at = now + _FORECAST_INTERVAL
            if groups := forecast():
                self.send(native.encode_forecast(groups))
        return math.inf

    def control(self, name: str, value: float | int | str, now: float) -> None:
        """Send a control that took effect to every monitor."""
        packet = native.encode_control(name, value)
        self.send(packet)
        self._echo.sent(packet, now, series="control")

    def is_echo(self, name: str, value: float | int | str, host: str, now: float) -> bool:
        """Return whether a control is one that a monitor sends back again and again.

        A control without effect is not sent, and so ends a loop by itself. Some always have
        one (reset), and several values may follow each other round a loop.
        """
        if all(host != player_host(monitor_host) for monitor_host, _ in self._until):
            return False
        return self._echo.is_echo(host, native.encode_control(name, value), now, kind=_CONTROL)
