"""Program that follows a MIDI clock or JACK's transport, or sends a MIDI clock.

It is a process of its own beside the engine, as that of the MIDI ports is, and holds its ports
in the same way (robojam.ports.midi_process). It tells what a clock says in few reports, since
it follows every tick itself; and what it sends is due here. Where JACK-Client is installed, it
receives and sends at JACK to the frame.
"""

import gc
import math
import os
import queue
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from robojam.clock.messages import SHIFT, TEMPO, ClockReport, ClockRequest, Departures
from robojam.clock.midi_clock import MidiClock
from robojam.clock.stamps import StampedTimes
from robojam.clock.ticks import CONTINUE, POSITION, START, STOP, TICK, TickSchedule
from robojam.clock.transport import Transport
from robojam.ports import jack_midi, midi_binding
from robojam.ports.engine_link import connect
from robojam.ports.midi_process import (
    SCAN,
    ManagedPort,
    MidiBackends,
    PortManager,
)
from robojam.ports.midi_tracker import TrackedPort
from robojam.system.priority import raise_priority
from robojam.system.process_messages import (
    ALIVE,
    CLOCK,
    ERROR,
    HOPELESS,
    OUTPUTS,
    packet,
)

#: Seconds between two looks at JACK's transport.
_LOOK: Final = 0.02
#: Share of what it does not know by which a report may differ from what is known better.
_KNOWN: Final = 0.3
#: Messages that may wait to be handled: four seconds of the fastest clock, twice.
_MOST_WAITING: Final = 4096


class ClockBackends(MidiBackends):
    """MIDI systems, whose ports receive and send clocks."""

    def __init__(self, receive: Callable[[bytes, float], None], take: jack_midi.Take) -> None:
        """Receive gets each message with its instant (s); take is as of `JackOutput.play`."""
        super().__init__()
        self._loaded = midi_binding.load()
        self._jack_module = jack_midi.load()
        self._receive, self._take = receive, take
        self.listen = self._listen

    def open(self, port: TrackedPort, *, outputs: bool) -> Any:
        """Open a port at its place; at JACK, one that knows frames. Raises `errors`."""
        if port.api != self._loaded.jack or self._jack_module is None:
            return super().open(port, outputs=outputs)
        opened = self._jack_port(outputs=outputs)
        try:
            opened.open_port("clock", port.name)
        except self.errors:
            opened.delete()
            raise
        return opened

    def open_virtual(self, name: str, *, outputs: bool) -> tuple[Any, str] | None:
        """Open a port that other programs connect to; None where no system runs."""
        if self._jack_module is None or self._loaded.jack not in self._listers:
            return super().open_virtual(name, outputs=outputs)
        port = self._jack_port(outputs=outputs)
        port.open_virtual_port(name)
        return port, f"{port.name}:{name}"

    def _jack_port(self, *, outputs: bool) -> jack_midi.JackInput | jack_midi.JackOutput:
        if not outputs:
            opened = jack_midi.JackInput(self._jack_module)
            opened.listen(self._receive)
            return opened
        output = jack_midi.JackOutput(self._jack_module)
        output.play(self._take)
        return output

    def _listen(self, port: Any, on_message: Callable[[bytes], None]) -> None:
        """Have a port give its messages to `receive`; on_message learns that it is there."""
        if isinstance(port, jack_midi.JackInput):
            return
        times = StampedTimes()

        def stamped(message: bytes, since_last: float) -> None:
            at = times.at(time.perf_counter(), since_last)
            on_message(message)
            self._receive(message, at)

        self._loaded.listen_to_clock(port, stamped)


class _Follower:
    """Clock that comes in at a MIDI port."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Wake has `take` called, on the program's own thread."""
        self._clock = MidiClock()
        self._waiting = queue.SimpleQueue[tuple[bytes, float]]()
        self._wake = wake

    def receive(self, message: bytes, at: float) -> None:
        """Take a message, on a thread of the MIDI system."""
        if message[0] >= 0xF0 and self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put((message, at))
            self._wake()

    def take(self) -> None:
        """Follow what was received."""
        clock = self._clock
        with suppress(queue.Empty):
            while True:
                message, at = self._waiting.get_nowait()
                kind = message[:1]
                if kind == TICK:
                    clock.tick(at)
                elif kind == START:
                    clock.start()
                elif kind == CONTINUE:
                    clock.resume()
                elif kind == STOP:
                    clock.stop()
                elif message[0] == POSITION and len(message) == 3:
                    clock.position(message[1] | message[2] << 7)

    def advance(self, now: float) -> float:
        """Watch for its end; return the seconds until the next call, or infinity."""
        return self._clock.advance(now)

    def report(self) -> tuple[ClockReport, float, float]:
        """Return what it says, and the least differences that are worth a report."""
        clock = self._clock
        seconds, share = clock.uncertainty
        report = ClockReport(
            clock.beats, clock.playing, clock.aligned, problem=clock.problem.value
        )
        return report, max(SHIFT, _KNOWN * seconds), max(TEMPO, _KNOWN * share)


class _TransportFollower:
    """Transport of JACK, whose server may come and go."""

    def __init__(self) -> None:
        self._jack = jack_midi.load()
        self._joined: jack_midi.JackTransport | None = None
        self._transport = Transport()
        self._problem = ""
        self._retry_at = 0.0

    def take(self) -> None:
        """Do nothing: it is asked, and sends nothing."""

    def advance(self, now: float) -> float:
        """Ask for the position; return the seconds until the next call."""
        if now < self._retry_at:
            return self._retry_at - now
        try:
            if self._joined is None:
                self._joined = jack_midi.JackTransport(self._jack)
            rolling, position = self._joined.query()
        except OSError:
            self._joined, self._problem = None, "no JACK server runs"
            self._retry_at = now + 1.0
            return 1.0
        self._transport.take(position, rolling=rolling)
        self._problem = self._transport.problem.value
        return _LOOK

    @property
    def is_usable(self) -> bool:
        """Whether JACK-Client and JACK's library are there."""
        return self._jack is not None

    def report(self) -> tuple[ClockReport, float, float]:
        """Return what it says, and the least differences that are worth a report."""
        transport = self._transport
        report = ClockReport(
            transport.beats, transport.rolling, aligned=True, problem=self._problem
        )
        return report, SHIFT, TEMPO


class _Sender:
    """Clock that goes out: the schedule, which JACK's thread takes from, or this program's."""

    def __init__(self) -> None:
        self._schedule = TickSchedule()
        # Set by this program's thread, and read by the one that takes what is due.
        self._wanted = self._used = ClockRequest()
        self._begins = False

    def request(self, request: ClockRequest) -> None:
        """Send other beats from now on."""
        self._wanted = request

    def begin(self) -> None:
        """Begin: a receiver is there now, which gets Start at a bar."""
        self._begins = True

    def take(self, until: float) -> Iterator[tuple[float, bytes]]:
        """Return what is due at or before an instant (s)."""
        wanted = self._wanted
        if self._begins:
            self._begins = False
            self._schedule, self._used = TickSchedule(), ClockRequest()
        if wanted is not self._used:
            self._used = wanted
            self._schedule.set(wanted.beats, time.perf_counter(), playing=wanted.playing)
        return self._schedule.take(until)

    def due(self) -> float:
        """Return when the next message is due (s)."""
        return self._schedule.due()

    def end(self) -> bytes:
        """Return what ends the clock."""
        return b"".join(message for _, message in self._schedule.end())


class _OutputPort(ManagedPort):
    """Port of a clock that goes out. It holds no notes."""

    def send(self, data: bytes) -> None:
        """Send messages of one byte each, as those of a clock are."""
        for byte in data:
            self.open_port.send_message(bytes((byte,)))


def run() -> int:
    """Follow and send as the first line of standard input says, until its end."""
    engine = connect()
    if engine is None:
        return 0
    wakes, wake = socket.socketpair()
    for each in (wakes, wake):
        each.setblocking(False)

    def poke() -> None:
        with suppress(OSError):
            wake.send(b"\0")

    program = _Program(engine.wanted, engine.send, poke)
    if program.hopeless:
        engine.send(packet(ERROR, data=program.hopeless))
        return HOPELESS
    raise_priority()
    gc.collect()
    gc.freeze()
    gc.disable()  # little is made here that a collection would find, and none may be late
    files = [*engine.filenos, wakes.fileno()]
    while True:
        wait = program.advance(time.perf_counter())
        if wait is None:
            return 1  # the process is to start again
        ready, _, _ = select.select(files, [], [], max(0.0, wait))
        if engine.has_ended(ready):
            program.close()
            return 0
        with suppress(OSError):
            while wakes.recv(4096):
                pass
        for _, _, data in engine.receive(CLOCK):
            program.request(ClockRequest.decode(data))


class _Program:
    """What is followed, what is sent, and the ports of both."""

    def __init__(
        self, wanted: dict[str, Any], send: Callable[[bytes], None], wake: Callable[[], None]
    ) -> None:
        """Wanted has names of ports as `in` and `out`, or `jack` for its transport."""
        self._send = send
        self._sender = _Sender()
        self._follower: _Follower | _TransportFollower | None = None
        self._manager: PortManager | None = None
        self._outputs: list[_OutputPort] = []
        self._opened: list[Any] = []
        self._departures = Departures()
        self._said: ClockReport | None = None
        self._scan_at = -math.inf
        self.hopeless = ""
        if wanted.get("jack"):
            transport = _TransportFollower()
            self._follower = transport
            if not transport.is_usable:
                self.hopeless = "JACK's transport needs JACK and the package JACK-Client"
            return
        inputs, outputs = wanted.get("in", []), wanted.get("out", [])
        follower = _Follower(wake)
        if inputs:
            self._follower = follower
        try:
            backends = ClockBackends(follower.receive, self._sender.take)
        except ImportError as error:
            self.hopeless = f"MIDI cannot be used: {error}"
            return
        self._errors = backends.errors
        ports = [ManagedPort(n, name, virtual=v) for n, (name, v) in enumerate(inputs)]
        self._outputs = [
            _OutputPort(n, name, virtual=v) for n, (name, v) in enumerate(outputs, OUTPUTS)
        ]
        report = partial(_report_of_ports, send)
        self._manager = PortManager(backends, [*ports, *self._outputs], report)

    def request(self, request: ClockRequest | None) -> None:
        """Do what the engine asks for."""
        if request is not None:
            self._sender.request(request)

    def advance(self, now: float) -> float | None:
        """Do what is due; return the seconds until there is more; None to start again."""
        if now >= self._scan_at:
            self._scan_at = now + SCAN
            if self._manager is not None and not self._manager.scan(time.monotonic()):
                return None
            self._send(packet(ALIVE))
        wait = self._scan_at - now
        if self._follower is not None:
            self._follower.take()
            wait = min(wait, self._follower.advance(now), self._report(now))
        return min(wait, self._send_due())

    def _report(self, now: float) -> float:
        """Report what the clock says, if that is new; return the seconds until the next."""
        assert self._follower is not None
        report, shift, tempo = self._follower.report()
        departs = self._departures.take(report.beats, now, shift=shift, tempo=tempo)
        if departs or self._said is None or _word(report) != _word(self._said):
            self._said = report
            self._send(packet(CLOCK, data=report.encode()))
        return self._departures.wait(now)

    def _send_due(self) -> float:
        """Send what is due at ports that are not JACK's; return the seconds until more is."""
        opened = [port for port in self._outputs if port.open_port is not None]
        present = [port.open_port for port in opened]
        if present != self._opened:
            self._opened = present
            self._sender.begin()
        by_jack = any(isinstance(p.open_port, jack_midi.JackOutput) for p in opened)
        if by_jack or not opened:
            return math.inf
        for _, message in self._sender.take(time.perf_counter()):
            for port in opened:
                with suppress(*self._errors):
                    port.send(message)
        return self._sender.due() - time.perf_counter()

    def close(self) -> None:
        """End the clock that goes out, and close all ports."""
        last = self._sender.end()
        for port in self._outputs:
            if port.open_port is not None and last:
                with suppress(*self._errors):
                    port.send(last)
        if self._manager is not None:
            self._manager.close()


def _word(report: ClockReport) -> ClockReport:
    """Return what a report says besides the beats."""
    return replace(report, beats=None)


def _report_of_ports(send: Callable[[bytes], None], datagram: bytes) -> None:
    """Send what a manager of ports reports, but for the messages that came in."""
    if not datagram.startswith(b"m"):
        send(datagram)


if __name__ == "__main__":
    status = run()
    # Not sys.exit: the cleanup of a MIDI system that has died may never return.
    os._exit(status)
