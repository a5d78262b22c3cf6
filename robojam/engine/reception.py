"""Reception of packets: bounded, in fair order, and in pieces, each for a short time. No I/O.

`take_in` and `receive` put what has come into the inbox (robojam.engine.inbox); `listen`
handles what waits there, request by request. No packet and no sender can keep the engine.
"""

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from robojam.config.addresses import player_host
from robojam.config.roles import Role
from robojam.controls import SETTINGS
from robojam.engine.inbox import PIECE, Inbox, Packet
from robojam.engine.live_jam import LiveJam
from robojam.engine.metrics import DropCounter
from robojam.engine.roles import Roles
from robojam.limits import HostLimiter, network_of
from robojam.ports.interface import DevicePort
from robojam.ports.listener import Listener
from robojam.ports.udp import Address
from robojam.touch import Phase
from robojam.wire import dialects, native, osc

log = logging.getLogger("robojam")

#: Seconds for which one turn of the loop handles what was received; what is left is handled in
#: the next turn.
_LISTENING = 0.002
#: Seconds that one act may take; what it takes beyond is missing elsewhere.
_ACT: Final = 0.005
#: Packets of another host that are handled: a second, and in a burst.
_PACKETS = (2000, 1000)
#: Hosts whose rate is known.
_MAX_HOSTS = 1024
#: Work of one packet, in touches, of which the rest is dropped.
_MAX_WORK = 128

#: Function that yields the inputs of a packet, given its bytes, sender and arrival.
Read = Callable[[bytes, Address, float], Iterator[tuple[str, native.Input]]]
#: Function that handles a request, given its source, its arrival and its sender, if any.
Handle = Callable[[native.Input, str, float, Address | None], None]


class Reception:
    """What has been received, from its bytes to requests that are handled."""

    def __init__(
        self,
        endpoint: Listener,
        reader: dialects.OscReader,
        roles: Roles,
        live: LiveJam,
        *,
        counts: DropCounter,
        clock: Callable[[], float],
        handle: Handle,
        failed: Callable[[Exception], None],
    ) -> None:
        """Receive what comes to an endpoint and other ports; reader reads OSC messages.

        handle is called with each request, after all that is due before it. failed is given
        what it raises.
        """
        self._endpoint, self._reader, self._roles, self._live = endpoint, reader, roles, live
        self._counts, self._clock, self._handle, self._failed = counts, clock, handle, failed
        self._inbox = Inbox()
        self._packets = HostLimiter(*_PACKETS, _MAX_HOSTS)
        self._listen_until = math.inf  # in the present turn of the loop

    @property
    def waiting(self) -> bool:
        """Whether something waits that was received."""
        return self._inbox.waiting > 0

    # -- packets ---------------------------------------------------------------------------

    def read(
        self, data: bytes, sender: Address, arrival: float
    ) -> Iterator[tuple[str, native.Input]]:
        """Return the inputs of an OSC packet, as `PacketPort.read` does."""
        host, port = player_host(sender[0]), sender[1]
        plays = self._roles.of(host, arrival) is not Role.WATCHER
        try:  # one message, as nearly all are: without generators
            message = osc.decode_message(data)
        except osc.MalformedError:
            return self._read_parts(data, host, port, arrival, plays=plays)
        return iter(self._reader.read(message, host, arrival, port, plays=plays))

    def _read_parts(
        self, data: bytes, host: str, port: int, arrival: float, *, plays: bool
    ) -> Iterator[tuple[str, native.Input]]:
        for part in osc.parts(data):
            if isinstance(part, osc.Dropped):
                yield host, part
            else:
                inputs = self._reader.read(part, host, arrival, port, plays=plays)
                yield from inputs or ((host, native.NOTHING),)

    def take_in(self, data: bytes, sender: Address, arrival: float, read: Read) -> None:
        """Put a packet that arrived at an instant into the inbox; read yields its inputs."""
        self._counts.sender = sender
        try:
            if self._endpoint.is_own(sender):
                self._counts.drop("echo", "robojam's own packet")
                return
            is_here = self._endpoint.is_here(sender[0])
            host = player_host(sender[0])
            allowed = is_here or self._packets.take(host, arrival)
            reading = partial(read, data, sender, arrival)
            packet = Packet(reading, sender, arrival, len(data))
            key = sender if is_here else network_of(host)
            if not allowed or not self._inbox.add(key, packet, is_here=is_here):
                self._counts.drop("flood", "more packets than are handled")
        finally:
            self._counts.sender = ""

    def receive(self, port: DevicePort) -> None:
        """Put what a device's port has received into the inbox."""
        if inputs := port.receive():
            packet = Packet(partial(iter, inputs), None, self._clock())
            if not self._inbox.add(id(port), packet, is_here=True):
                self._counts.drop("flood", "more MIDI messages than are handled")

    # -- requests --------------------------------------------------------------------------

    def listen(self) -> bool:
        """Handle what was received, for a short time; return whether something is left."""
        self._listen_until = self._clock() + _LISTENING
        self._live.play_until = self._listen_until  # what is due comes after what is heard
        inbox = self._inbox
        while inbox.waiting and self._clock() < self._listen_until:
            try:
                inbox.handle(self._handle_piece)
            except Exception as error:
                self._failed(error)
        self._listen_until = self._live.play_until = math.inf
        if self._reader.echo.found:
            self._report_loops()
        return inbox.waiting > 0

    def handle_all(self) -> None:
        """Handle all that was received, whatever time that takes."""
        while self._inbox.waiting:
            self._inbox.handle(self._handle_piece)
        self._report_loops()

    def _handle_piece(self, packet: Packet) -> bool:
        """Handle the next requests of a packet; return whether it is done."""
        requests = packet.requests
        if requests is None:
            requests = packet.requests = packet.read()
        for number in range(PIECE):
            if number and self._clock() >= self._listen_until:
                return False
            following = next(requests, None)
            if following is None:
                return True
            source, request = following
            if request is native.NOTHING:
                continue
            packet.work += _work(request)
            if packet.work > _MAX_WORK and packet.sender is not None:
                self._counts.sender = packet.sender
                self._counts.drop("too much in one packet", f"{_MAX_WORK} touches at most")
                self._counts.sender = ""
                return True
            try:
                self._handle_one(request, source, packet)
            except Exception as error:
                self._failed(error)
        return False

    def _handle_one(self, request: native.Input, source: str, packet: Packet) -> None:
        live = self._live
        arrival = max(packet.arrival, live.handled_at)
        live.catch_up(arrival)
        began = self._clock()
        self._handle(request, source, arrival, packet.sender)
        too_long = self._clock() - began - _ACT
        if too_long > 0.0:
            live.load.miss(too_long)

    def _report_loops(self) -> None:
        """Log the loops that were found."""
        for source, delay in self._reader.echo.take_found():
            log.warning(
                "%s sends back what robojam plays, %.0f ms later; that is dropped, and all "
                "else from there is heard. To end it, stop the program there from passing on "
                "what it receives", f"{source!r:.100}", 1000 * delay,
            )  # fmt: skip


def _work(request: native.Input) -> int:
    """Return how much work a request is, in touches: a lift is none, as none may be lost."""
    if isinstance(request, native.TouchInput | native.KnobMoves):
        return int(not isinstance(request, native.Finger) or request.phase is not Phase.UP)
    if isinstance(request, native.Control):
        return 2 if request.name in SETTINGS else 8
    return 0 if isinstance(request, osc.Dropped) else 4
