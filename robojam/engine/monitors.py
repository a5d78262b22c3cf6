"""Monitors: subscribers to the jam's events, and controls that come back from them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robojam.controls import RefusedError
from robojam.ports.udp import Address, is_loopback
from robojam.wire import native

#: Most monitors; each is dropped after this many seconds unless it renews.
MAX_MONITORS = 8
MONITOR_LIFE = 10.0
#: Seconds within which a control that was sent to a monitor and comes from its host may be an
#: echo; it is one when this happens more often in a row than _ECHOES.
_ECHO, _ECHOES = 0.1, 8
#: Seconds between forecasts, as a window draws no more often, and the time in which nothing
#: must be due for one, as it takes a part of a millisecond.
_FORECAST_INTERVAL, _FORECAST_TIME = 1 / 30, 0.003


@dataclass(slots=True)
class _SentControl:
    """Time at which a control was last sent, and how often in a row it came back at once."""

    at: float
    returns: int = 0


class Monitors:
    """Subscribers to the jam's events, each until a time unless it renews."""

    def __init__(self, send: Callable[[bytes, Address], object]) -> None:
        self._send = send
        self._until: dict[Address, float] = {}
        self._sent: dict[bytes, _SentControl] = {}
        self._forecast_of: object = None
        self._next_forecast_at = 0.0

    def __len__(self) -> int:
        """Return the number of monitors."""
        return len(self._until)

    def add(self, monitor: Address, now: float) -> bool:
        """Add or renew a monitor; return whether it is new. Raises RefusedError."""
        self.expire(now)
        new = monitor not in self._until
        if new and len(self._until) >= MAX_MONITORS:
            raise RefusedError("too many monitors")
        if new:
            self._forecast_of = None
        self._until[monitor] = now + MONITOR_LIFE
        return new

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

    def send_here(self, packet: bytes) -> None:
        """Send a packet to the monitors on this machine."""
        for monitor in self._until:
            if is_loopback(monitor[0]):
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
        self._sent = {p: sent for p, sent in self._sent.items() if now - sent.at < _ECHO}
        self._sent.setdefault(packet, _SentControl(now)).at = now

    def is_echo(self, name: str, value: float | int | str, host: str, now: float) -> bool:
        """Return whether a control is one that a monitor sends back again and again.

        A control without effect is not sent, and so ends a loop by itself. Some always have
        one (reset), and several values may follow each other round a loop.
        """
        sent = self._sent.get(native.encode_control(name, value))
        if sent is None or now - sent.at >= _ECHO:
            return False
        if all(host != monitor_host for monitor_host, _ in self._until):
            return False
        sent.returns += 1
        return sent.returns > _ECHOES
