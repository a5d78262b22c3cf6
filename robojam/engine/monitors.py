"""Monitors: subscribers to the jam's events, and controls that come back from them."""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robojam.config.addresses import format_address, player_host
from robojam.controls import RefusedError, loses_digits
from robojam.limits import RateLimiter, network_of, of_largest
from robojam.ports.udp import Address
from robojam.wire import native
from robojam.wire.echo import EchoDetector, Kind, Origin

log = logging.getLogger("robojam")

#: Most monitors, how many of these places other machines never take, and the most of one other
#: machine; a monitor is dropped after this many seconds unless it renews.
MAX_MONITORS, RESERVED, MAX_OF_A_HOST = 8, 2, 3
MONITOR_LIFE = 10.0
#: Seconds for which a monitor may renew without the cookie that shows that it is there.
CONFIRMED_LIFE = 30.0
#: Bytes a second, and at once, that are sent to a monitor beyond this machine.
_BYTES = (2_000_000, 2_000_000)
#: Returns of controls in a row that show a loop: within 0.1 s, and later, as a button or a
#: sequencer may repeat one in time.
_RETURNS, _SLOW_RETURNS = 9, 33
_CONTROL = Kind(least=_RETURNS, slow=_SLOW_RETURNS, at_once=0.1)
#: Seconds between forecasts, as a window draws no more often, and the time in which nothing
#: must be due for one, as it takes a part of a millisecond.
_FORECAST_INTERVAL, _FORECAST_TIME = 1 / 30, 0.003


@dataclass(slots=True)
class _Subscription:
    """Times (s) until which a monitor renewed, and may renew without a cookie; its bytes."""

    until: float
    confirmed_until: float
    bytes: RateLimiter | None  # None on this machine


class Monitors:
    """Subscribers to the jam's events, each until a time unless it renews.

    `unsent` counts the packets that were left out because a monitor got too much already.
    """

    def __init__(
        self,
        send: Callable[[bytes, Address], object],
        echo: EchoDetector | None = None,
        *,
        is_here: Callable[[str], bool],
    ) -> None:
        """Start without any. echo knows the controls that were sent.

        is_here says whether a host is this machine.
        """
        self._send, self._is_here, self._echo = send, is_here, echo or EchoDetector()
        self._monitors: dict[Address, _Subscription] = {}
        self.unsent = 0
        self._forecast_of: object = None
        self._next_forecast_at = 0.0

    def __len__(self) -> int:
        """Return the number of monitors."""
        return len(self._monitors)

    def has(self, origin: Origin) -> bool:
        """Return whether a touch comes from the very port of a monitor, as a window's do."""
        return any(
            port == origin.port and player_host(host) == origin.source
            for host, port in self._monitors
        )

    @property
    def here(self) -> list[Address]:
        """Addresses of the monitors on this machine."""
        return [monitor for monitor in self._monitors if self._is_here(monitor[0])]

    def add(self, monitor: Address, now: float) -> bool:
        """Add or renew a confirmed monitor; return whether it is new. Raises RefusedError.

        Where there is no place, the one leaves that has not renewed for longest, of the host
        that has most.
        """
        self.expire(now)
        known = self._monitors.get(monitor)
        is_new = known is None
        if known is None:
            self._make_room(monitor[0])
            self._forecast_of = None
            limiter = None if self._is_here(monitor[0]) else RateLimiter(*_BYTES)
            known = self._monitors[monitor] = _Subscription(now, now, limiter)
        known.until, known.confirmed_until = now + MONITOR_LIFE, now + CONFIRMED_LIFE
        return is_new

    def renew(self, monitor: Address, now: float) -> bool:
        """Renew a monitor without its cookie; return whether there is one.

        So a cookie that is lost on its way ends no subscription. The sender may be forged: a
        monitor that is gone is not renewed for longer than CONFIRMED_LIFE.
        """
        self.expire(now)
        known = self._monitors.get(monitor)
        if known is not None:
            known.until = max(known.until, min(now + MONITOR_LIFE, known.confirmed_until))
        return known is not None

    def _make_room(self, host: str) -> None:
        """Remove a monitor where there is no place; none of this machine for another's.

        Raises RefusedError where this machine has all places.
        """
        everyone = list(self._monitors)
        full = len(everyone) >= MAX_MONITORS
        others = [monitor for monitor in everyone if not self._is_here(monitor[0])]
        network = network_of(host)
        of_host = [monitor for monitor in others if network_of(monitor[0]) == network]
        leaving: list[Address] = []
        if self._is_here(host):
            leaving = (others or everyone) if full else []
        elif len(of_host) >= MAX_OF_A_HOST:
            leaving = of_host
        elif full or len(others) >= MAX_MONITORS - RESERVED:
            if not others:
                raise RefusedError(
                    "too many monitors", f"{MAX_MONITORS} programs of the engine's machine have"
                    " all places; a place is free 10 s after one of them stops",
                )  # fmt: skip
            # A host cannot take the places of others that have fewer.
            crowd = of_largest((each, network_of(each[0])) for each in (*others, (host, 0)))
            leaving = [monitor for monitor in crowd if monitor in self._monitors]
        if leaving:
            monitor = min(leaving, key=lambda each: self._monitors[each].until)
            self.remove(monitor)
            log.info("the monitor at %s gave its place to %s", format_address(*monitor), host)

    def remove(self, monitor: Address) -> None:
        """Remove a monitor."""
        self._monitors.pop(monitor, None)

    def expire(self, now: float) -> None:
        """Remove the monitors that have not renewed in time."""
        for monitor in [m for m, known in self._monitors.items() if known.until <= now]:
            self.remove(monitor)

    def send(self, packet: bytes, now: float) -> None:
        """Send a packet to every monitor at an instant (s)."""
        for monitor, known in self._monitors.items():
            if known.until <= now:  # to be removed soon
                continue
            if known.bytes is None or known.bytes.take(now, len(packet)):
                self._send(packet, monitor)
            else:
                self.unsent += 1

    def send_where(self, packet: bytes, is_meant: Callable[[str], bool]) -> None:
        """Send a packet to the monitors at certain hosts."""
        for monitor in self._monitors:
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
        if not self._monitors or progress == self._forecast_of:
            return math.inf
        if now < self._next_forecast_at:
            return self._next_forecast_at - now
        if until_due >= _FORECAST_TIME:
            self._forecast_of = progress
            self._next_forecast_at = now + _FORECAST_INTERVAL
            if groups := forecast():
                self.send(native.encode_forecast(groups), now)
        return math.inf

    def control(self, name: str, value: float | int | str, now: float) -> None:
        """Send a control that took effect to every monitor.

        A number that loses digits so goes to this machine's programs in full, too.
        """
        packet = native.encode_control(name, value)
        self.send(packet, now)
        if loses_digits(value):
            self.send_where(native.encode_setup(name, json.dumps(value)), self._is_here)
        self._echo.sent(packet, now, series="control")

    def is_echo(self, name: str, value: float | int | str, host: str, now: float) -> bool:
        """Return whether a control is one that a monitor sends back again and again.

        A control without effect is not sent, and so ends a loop by itself. Some always have
        one (reset), and several values may follow each other round a loop.
        """
        if all(host != player_host(monitor_host) for monitor_host, _ in self._monitors):
            return False
        return self._echo.is_echo(host, native.encode_control(name, value), now, kind=_CONTROL)
