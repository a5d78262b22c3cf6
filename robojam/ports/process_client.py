"""Client of a program that holds what may hang: MIDI ports, a session of Link.

No call waits for the process. It is watched: when it hangs or dies it is started again.
"""

import json
import logging
import math
import secrets
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robojam.ports.udp import Address, Endpoint
from robojam.system.child_process import ChildProcess
from robojam.system.process_messages import ALIVE, ERROR, GONE, HOPELESS, NO_PORT, packet

log = logging.getLogger("robojam")

#: Seconds without a datagram after which the process is taken for hung, once it runs and
#: while it starts (a busy machine takes some to load it); from its death to its next start;
#: and that it has to end.
_SILENCE, _STARTING, _RESTART_DELAY, _PATIENCE = 4.0, 30.0, 1.0, 2.0
#: Datagrams that one call of `receive` reads at most.
_BURST = 256


class ProcessClient:
    """Client of a process that exchanges datagrams (robojam.system.process_messages).

    `restarts` counts how often the process was started again; `trouble` is the last error
    that it reported and that is about no port.
    """

    def __init__(
        self,
        program: str,
        wanted: Mapping[str, Any],
        clock: Callable[[], float],
        *,
        ports: Sequence[int] = (),
        what: str,
    ) -> None:
        """Start the program, a module.

        wanted is what its first line says besides the address of this client, as JSON values.
        ports are the numbers of the ports that it holds; what names it in the log.
        """
        self._program, self._wanted, self._clock = program, dict(wanted), clock
        self._ports, self._what = tuple(ports), what
        self._endpoint = Endpoint("127.0.0.1", 0)
        self._process: ChildProcess | None = None
        self._process_address: Address | None = None  # known from its first datagram
        self._token = ""
        self._last_received, self._restart_at = 0.0, math.inf
        self._died = False
        self.restarts = 0
        self.trouble: str | None = None
        self._start(clock())

    def _start(self, now: float) -> None:
        self._process_address, self._last_received = None, now
        self._token = secrets.token_hex(16)
        wanted = {"port": self._endpoint.address[1], "token": self._token, **self._wanted}
        line, null = json.dumps(wanted).encode(), subprocess.DEVNULL
        try:  # stderr: the systems of MIDI and sound print errors of their own there
            self._process = ChildProcess(
                self._program, first_line=line, stdout=null, stderr=null
            )
        except OSError as error:
            self.trouble = str(error)

    @property
    def begun(self) -> bool:
        """Whether the process has begun, as to look for ports, or has ended without."""
        if self._process_address is not None or self._process is None:
            return True
        return self._process.poll() is not None

    def watch(self, now: float) -> None:
        """Start the process again when it is gone or hangs. To be called once a second."""
        if now >= self._restart_at:
            self._restart_at = math.inf
            self.restarts += 1
            self._start(now)
            return
        longest = _STARTING if self._process_address is None else _SILENCE
        if self._process is not None and (
            self._process.poll() is not None or now - self._last_received > longest
        ):
            status = self._process.kill()
            self._process, self._process_address = None, None
            self._restart_at = math.inf if status == HOPELESS else now + _RESTART_DELAY
            self._died = True
            self.poke()

    def poke(self) -> None:
        """Make the socket readable, so that `receive` is called soon."""
        self._endpoint.send(b"", self._endpoint.address)

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._endpoint.fileno()

    def receive(self) -> list[tuple[str, int, bytes]]:
        """Return the process's datagrams since the last call: letter, port number and data.

        When the process has begun, that is an ALIVE without data; when it has died, every port
        is reported as GONE.
        """
        received: list[tuple[str, int, bytes]] = []
        if self._died:
            self._died = False
            received += [(GONE, number, b"") for number in self._ports]
        for _ in range(_BURST):
            if (waiting := self._endpoint.receive()) is None:
                break
            datagram, sender = waiting
            if sender == self._process_address and len(datagram) > 1:
                self._last_received = self._clock()
                received.append((chr(datagram[0]), datagram[1], datagram[2:]))
            elif datagram == packet(ALIVE, data=self._token):
                self._process_address, self._last_received = sender, self._clock()
                received.append((ALIVE, NO_PORT, b""))
        for letter, number, data in received:
            if letter == ERROR and number == NO_PORT:
                self.trouble = data.decode(errors="replace")
                log.warning("%s: %s", self._what, self.trouble)
        return received

    def put(self, letter: str, number: int, data: bytes) -> bool:
        """Send a datagram to the process; return whether it was sent."""
        to = self._process_address
        return to is not None and self._endpoint.send(packet(letter, number, data), to)

    def close(self) -> None:
        """End the process, which first sends what is left to send."""
        if self._process is not None:
            self._process.end(_PATIENCE)
        self._endpoint.close()
