"""Port of the engine for pads in browsers, which a process of its own serves.

No call waits for that process. It is watched: when it hangs or dies it is started again, at the
same port and with the same token, so that the pages come back by themselves. Where many rooms
have one door (robojam.app.rooms), its gateway is that process: not started here, it comes by
itself.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from json import dumps
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.config.addresses import format_address, is_loopback
from robojam.config.roles import Role
from robojam.controls import CONTROLS
from robojam.jam.events import BeatCame, ControlChanged, Event, TouchPlayed, TurnChanged
from robojam.ports.discovery import addresses, can_announce
from robojam.ports.udp import Address, Endpoint, family_of, sockaddr
from robojam.system.child_process import ChildProcess
from robojam.system.install import missing_package
from robojam.system.shell import printable
from robojam.touch import Phase
from robojam.web.certificate import Certificate, CertificateError, load
from robojam.web.protocol import LETTERS
from robojam.wire import native
from robojam.wire.native import Alive, Dropped, Finger, Input
from robojam.wire.osc import Message

log = logging.getLogger("robojam")

#: Variable of the environment with the token, where a jam goes on after its engine died.
TOKEN: Final = "ROBOJAM_WEB_TOKEN"
#: Variable of the environment of an engine behind a gateway: PORT:SECRET:HOST, where that
#: comes; HOST is an address of this machine.
GATEWAY: Final = "ROBOJAM_GATEWAY"
#: Seconds without a word after which the process is taken for hung: at first, and later; until
#: its next start, and that it has to end.
_START, _SILENCE, _RESTART_DELAY, _PATIENCE = 20.0, 5.0, 1.0, 2.0
_PROGRAM: Final = "robojam.web.program"
#: Datagrams that one call reads, and that wait for their sender's secret, at most; events in
#: one that is sent, and events that wait.
_BURST, _EVENTS, _MAX_WAITING = 64, 100, 2048
#: Drops of one kind in a report that are counted one by one.
_MAX_DROPS: Final = 256
_PHASES: Final = {letter: phase for phase, letter in LETTERS.items()}


class WebError(ValueError):
    """No pad can be served; the text says why, and what to do."""


def check_installed(option: str) -> None:
    """Raise WebError where what an option needs is not installed."""
    if find_spec("aiohttp") is None:
        raise WebError(missing_package(option, "aiohttp"))


def gateway() -> tuple[Address, str] | None:
    """Return where a gateway comes to this engine, and its secret, if it is behind one."""
    if not (given := os.environ.get(GATEWAY)):
        return None
    port, secret, host = given.split(":", 2)
    return (host, int(port)), secret


def check(
    host: str, port: int, certificate: str | None = None, *, option: str = "--web"
) -> None:
    """Check that something can be served at an address ("": all), for an option.

    certificate is where the one for https is, as `certificate.load` reads it. Raises WebError.
    """
    check_installed(option)
    if certificate is not None:
        _load(certificate)
    host = host or "0.0.0.0"
    try:
        with socket.socket(family_of(host), socket.SOCK_STREAM) as trial:
            if os.name != "nt":
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(sockaddr((host, port)))
    except OSError as error:
        where = format_address(host, port)
        raise WebError(
            f"nothing can be served at {where} ({error.strerror or error}): another program "
            f"has this port, or there is no such address here; {option} PORT takes another port"
        ) from error


def best_address() -> str:
    """Return the address at which other machines most likely reach this one.

    A loopback address where there is no network.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing, but selects an address
        host = str(probe.getsockname()[0])
        if not is_loopback(host):
            return host
    return next(iter(addresses()), "127.0.0.1")


def _load(text: str) -> Certificate:
    """Return the certificate at a path. Raises WebError."""
    try:
        return load(text)
    except CertificateError as error:
        raise WebError(str(error)) from error


class WebPort:
    """Pads in browsers, as one DevicePort and OutputPort."""

    def __init__(
        self,
        address: Address,
        *,
        control: bool,
        certificate: str | None,
        osc: Address,
        announce: bool,
        player_of: Callable[[str], str | None],
        role_of: Callable[[str], Role],
        state: Callable[[], tuple[str, Mapping[str, Any], int]],
        model: Callable[[], str],
        models: Sequence[Path],
        on_up: Callable[[str], None] = lambda _: None,
        patient: bool = False,
        gateway: tuple[Address, str] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        make_endpoint: Callable[[str, int], Endpoint] = Endpoint,
    ) -> None:
        """Serve pads at an address, whose host may be "": all. Raises WebError and PortError.

        control: pads may control the jam. certificate is where the one is with which they are
        served by https. osc is where the engine listens. announce: OSCQuery is announced on
        the network, where the engine can be reached from there. player_of returns the name of
        the player at a source, role_of its role, state whose turn it is, the values of the
        controls and the number of voices, model the name of the file that plays, which is in
        one of the folders `models`. on_up is called with a line for the terminal when the pad
        can be opened. patient: a port in use is tried again and again. gateway is the address
        of this machine at which one comes, and its secret: then nothing else is served.
        make_endpoint makes the socket for the program that serves.
        """
        self._wanted, self._control, self._osc = address, control, osc
        self._announce = announce
        self._player_of, self._role_of = player_of, role_of
        self._state, self._on_up = state, on_up
        self._model, self._models = model, [str(folder) for folder in models]
        self._clock = clock
        self._by_gateway = gateway is not None
        if gateway is None and (not patient or find_spec("aiohttp") is None):
            check(*address)
        self._certificate_path = certificate
        self._certificate: Certificate | None = None
        if certificate is not None and not patient:
            self._certificate = _load(certificate)
        self._token = os.environ.get(TOKEN) or secrets.token_urlsafe(12)
        self._secret = ""
        self._endpoint = make_endpoint(*(("127.0.0.1", 0) if gateway is None else gateway[0]))
        self._decode = msgspec.msgpack.Decoder().decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._strangers: deque[tuple[Address, bytes]] = deque(maxlen=_BURST)
        self._down: dict[str, set[int]] = {}  # by source
        self._names: dict[str, str] = {}  # as the process knows them
        self._out: list[Any] = []
        self._state_at = 0.0
        self._process: ChildProcess | None = None
        self._process_address: Address | None = None
        self._silent_at, self._restart_at = math.inf, math.inf
        self._died = False
        self._failure = ""
        self._report: dict[str, Any] = {}
        self._host = address[0] or best_address()
        self.restarts = 0
        if gateway is None:
            self._start(clock())
        else:
            self._secret = gateway[1]

    # -- the process -----------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._process_address, self._report = None, {}
        self._silent_at, self._restart_at = now + _START, math.inf
        self._names.clear()
        if self._certificate is None and self._certificate_path is not None:
            try:
                self._certificate = _load(self._certificate_path)
            except WebError as error:  # an engine that goes on without it looks again
                self._restart_at = now + _RESTART_DELAY
                self._fail(str(error))
                return
        self._secret = secrets.token_hex(16)
        host, port = self._wanted
        listening = host or "0.0.0.0"
        # Programs look for OSCQuery by http.
        reached = can_announce(listening, self._osc[0]) and self._certificate is None
        announced = listening if self._announce and reached else ""
        certificate = self._certificate
        wanted = {
            "engine": self._endpoint.address[1], "secret": self._secret, "token": self._token,
            "hosts": [host] if host else ["0.0.0.0", "::"], "port": port,
            "control": self._control, "osc": self._osc, "announce": announced,
            "certificate": certificate and [certificate.path, certificate.key_path],
            "models": self._models,
        }  # fmt: skip
        null = subprocess.DEVNULL
        try:
            self._process = ChildProcess(
                _PROGRAM, first_line=dumps(wanted).encode(), stdout=null, stderr=null
            )
        except OSError as error:
            self._process, self._restart_at = None, now + _RESTART_DELAY
            self._fail(str(error))

    def _watch(self, now: float) -> None:
        """Start the process again when it is gone or hangs."""
        if self._by_gateway:
            if now > self._silent_at:
                self._process_address, self._silent_at, self._died = None, math.inf, True
                self._endpoint.send(b"", self._endpoint.address)  # so that `receive` is called
        elif now >= self._restart_at:
            self.restarts += 1
            self._start(now)
        elif self._process is not None and (
            self._process.poll() is not None or now > self._silent_at
        ):
            self._process.kill()
            self._process, self._process_address = None, None
            self._restart_at, self._died = now + _RESTART_DELAY, True
            if not self._failure:
                log.warning("the pad's server has failed; it is started again")
            self._endpoint.send(b"", self._endpoint.address)  # so that `receive` is called

    def _fail(self, reason: str) -> None:
        if reason != self._failure:
            self._failure = reason
            log.warning(
                "no pad for browsers now: %s; it is tried again", printable(f"{reason:.200}")
            )

    @property
    def url(self) -> str:
        """Address of the pad, with the token; "" while it cannot be opened."""
        if not (port := self._report.get("port")):
            return ""
        scheme, host = "http", self._host
        if self._certificate is not None:
            scheme, host = "https", self._certificate.host_for(host)
        return f"{scheme}://{format_address(host, port)}/?token={self._token}"

    def _take_report(self, report: dict[str, Any]) -> None:
        before = self.url
        self._report = report
        self._token, self._wanted = report["token"], (self._wanted[0], report["port"])
        if self.url == before:
            return
        self._failure = ""
        where = "this address"
        if not self._wanted[0]:
            where = "all addresses of this machine, IPv4 and IPv6"
            if is_loopback(self._host):
                where += " (there is no network: only this machine reaches it)"
        self._on_up(f"pad on {self.url} for everybody who has this link, at {where}")

    # -- input -----------------------------------------------------------------------------

    def filenos(self) -> list[int]:
        """Return the socket's descriptor, for a selector."""
        return [self._endpoint.fileno()]

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs since the last call, each with its source."""
        received: list[tuple[str, Input]] = []
        if self._died:
            self._died = False
            received += self.lift_all()
        for _ in range(_BURST):
            if (waiting := self._endpoint.receive()) is None:
                break
            datagram, sender = waiting
            said = [datagram]
            if datagram == self._secret.encode():  # again, where it has not heard of us
                said = [data for stranger, data in self._strangers if stranger == sender]
                self._strangers.clear()
                if sender != self._process_address:  # who was at another one is there no more
                    received += self.lift_all()
                self._process_address, self._state_at = sender, 0.0
                self._names.clear()
            elif sender != self._process_address:
                if sender != self._endpoint.address:  # it speaks to an engine before this one
                    self._strangers.append((sender, datagram))
                    self._endpoint.send(self._encode(["secret"]), sender)
                continue
            self._silent_at = self._clock() + _SILENCE
            for data in said:
                for item in self._decode(data):
                    self._read(item, received)
        return received

    def _read(self, item: list[Any], received: list[tuple[str, Input]]) -> None:
        """Add the inputs of an item, in the form that robojam.web.room gives it."""
        kind = item[0]
        if kind == "t":
            source = item[1]
            down = self._down.setdefault(source, set())
            for letter, finger, *place in item[2]:
                if letter == "u":
                    down.discard(finger)
                    received.append((source, Finger(Phase.UP, finger)))
                else:
                    down.add(finger)
                    x, y, pressure, dt = place
                    touch = Finger(_PHASES[letter], finger, x, y, False, pressure, dt)
                    received.append((source, touch))
        elif kind == "a":  # what is down, once a second
            source, fingers = item[1], item[2]
            self._down[source] = set(fingers)
            received.append((source, Alive(tuple(fingers))))
            self._tell_name(source)
        elif kind == "i":  # somebody has come in
            self._send(["role", item[1], self._role_of(item[1])])
        elif kind == "g":  # a connection has gone
            received.append((item[1], Alive((), gone=True)))
            self._down.pop(item[1], None)
            self._names.pop(item[1], None)
        elif kind == "c":
            received.append((item[1], _control(item[2], item[3])))
        elif kind == "d":
            received += [(item[1], Dropped(item[2]))] * min(item[3], _MAX_DROPS)
        elif kind == "s":
            self._take_report(item[1])
        elif kind == "e":
            self._fail(item[1])

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of all fingers that are down."""
        ups: list[tuple[str, Input]] = [
            (source, Finger(Phase.UP, finger))
            for source, fingers in self._down.items()
            for finger in fingers
        ]
        self._down.clear()
        return ups

    # -- output ----------------------------------------------------------------------------

    latency, schedules = 0.0, False

    def handle(self, event: Event, at: float) -> None:
        """Keep what pages are shown until the end of the loop's turn."""
        del at
        if isinstance(event, TouchPlayed):
            if self._report.get("connections") or self._report.get("listeners"):
                touch = event.touch
                letter = LETTERS[touch.phase]
                self._out.append([touch.who, letter, touch.id, touch.x, touch.y, event.dt])
                if len(self._out) > _MAX_WAITING:
                    del self._out[:_EVENTS]
        elif isinstance(event, TurnChanged | ControlChanged):
            self._state_at = 0.0
        elif isinstance(event, BeatCame) and self._report.get("connections"):
            beat = int(event.beat) % event.beats_per_bar
            self._send(["beat", beat, event.beats_per_bar, event.tempo])

    def advance(self, now: float) -> float:
        """Send what waits, and watch the process; return the seconds until the next call."""
        self._watch(now)
        if self._process_address is not None:
            for source in self._down.keys() - self._names.keys():
                self._tell_name(source)
            if now >= self._state_at:
                self._state_at = now + 1.0
                self._send(["state", *self._state()])
                self._send(["model", self._model()])
            out, self._out = self._out, []
            for begin in range(0, len(out), _EVENTS):
                self._send(["f", out[begin : begin + _EVENTS]])
        return 1.0

    def _tell_name(self, source: str) -> None:
        """Send the process the player's name of a source, unless it has it."""
        name = self._player_of(source) or ""
        if self._names.get(source, "") != name:
            self._send(["who", {source: name}])
        if name:
            self._names[source] = name
        else:
            self._names.pop(source, None)

    def _send(self, message: list[Any]) -> None:
        if self._process_address is not None:
            self._endpoint.send(self._encode(message), self._process_address)

    # -- status and end --------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Return how many pages are open and play, and where the pad is."""
        about = self._report
        return {
            "web": {
                "connections": about.get("connections", 0),
                "players": about.get("players", 0),
                "locked": about.get("locked", False),
                "url": self.url,
                "restarts": self.restarts,
                "problem": self._failure or None,
            }
        }

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end(_PATIENCE)
        self._endpoint.close()


def _control(name: str, value: float | int | str) -> Input:
    """Return the input of a control that a page sets, as its OSC message would be read."""
    if name not in CONTROLS:
        return Dropped("no such control")
    tags = "s" if isinstance(value, str) else "d" if isinstance(value, float) else "h"
    return native.read(Message(f"/robojam/{name}", tags, (value,)), native.INPUTS)
