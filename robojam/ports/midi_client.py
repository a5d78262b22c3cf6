"""Client of the process that holds the MIDI ports (robojam.ports.midi_process).

No call waits for that process. It is watched: when it hangs or dies it is started again.
"""

import json
import logging
import math
import secrets
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from robojam.ports import midi_binding
from robojam.ports.midi_process import (
    ALIVE,
    ERROR,
    GONE,
    HOPELESS,
    MESSAGE,
    NO_PORT,
    OUTPUTS,
    packet,
)
from robojam.ports.udp import Address, Endpoint
from robojam.system.child_process import ChildProcess, python_command
from robojam.wire.midi.styles import PortRequest

log = logging.getLogger("robojam")

#: Seconds without a datagram after which the process is taken for hung, once it runs and
#: while it starts (a busy machine takes some to load it); from its death to its next start;
#: and that it has to end.
_SILENCE, _STARTING, _RESTART_DELAY, _PATIENCE = 4.0, 30.0, 1.0, 2.0
_PROGRAM: Final = "robojam.ports.midi_process"
#: Datagrams that one call of `receive` reads at most.
_BURST = 256


class MidiError(ValueError):
    """MIDI is not available; the text says why, and what to do."""


class MidiClient:
    """Client of the process that holds the wanted ports: inputs from 0, outputs from OUTPUTS.

    `restarts` counts how often the process was started again; `trouble` is the last error
    that it reported and that is about no port.
    """

    def __init__(
        self,
        inputs: Sequence[PortRequest],
        outputs: Sequence[PortRequest],
        clock: Callable[[], float],
    ) -> None:
        """Start the process. Raises MidiError where RtMidi's binding is missing."""
        if not midi_binding.is_installed():
            raise MidiError(midi_binding.advice())
        self._inputs, self._outputs, self._clock = inputs, outputs, clock
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
        wanted = {
            "port": self._endpoint.address[1],
            "token": self._token,
            "in": [(port.name, port.virtual) for port in self._inputs],
            "out": [(port.name, port.virtual) for port in self._outputs],
        }
        line, null = json.dumps(wanted).encode(), subprocess.DEVNULL
        try:  # stderr: the MIDI systems print errors of their own there
            self._process = ChildProcess(_PROGRAM, first_line=line, stdout=null, stderr=null)
        except OSError as error:
            self.trouble = str(error)

    @property
    def begun(self) -> bool:
        """Whether the process has begun to look for ports, or has ended without."""
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

        The letters are those of robojam.ports.midi_process. When the process has died, every
        port is reported as GONE.
        """
        received: list[tuple[str, int, bytes]] = []
        if self._died:
            self._died = False
            numbers = [*range(len(self._inputs)), *range(OUTPUTS, OUTPUTS + len(self._outputs))]
            received += [(GONE, number, b"") for number in numbers]
        for _ in range(_BURST):
            if (waiting := self._endpoint.receive()) is None:
                break
            datagram, sender = waiting
            if sender == self._process_address and len(datagram) > 1:
                self._last_received = self._clock()
                received.append((chr(datagram[0]), datagram[1], datagram[2:]))
            elif datagram == packet(ALIVE, data=self._token):
                self._process_address, self._last_received = sender, self._clock()
        for letter, number, data in received:
            if letter == ERROR and number == NO_PORT:
                self.trouble = data.decode(errors="replace")
                log.warning("MIDI: %s", self.trouble)
        return received

    def send(self, number: int, data: bytes) -> bool:
        """Send MIDI messages to a port; return whether they were sent."""
        to = self._process_address
        return to is not None and self._endpoint.send(packet(MESSAGE, number, data), to)

    def close(self) -> None:
        """End the process, which first releases all notes that sound."""
        if self._process is not None:
            self._process.end(_PATIENCE)
        self._endpoint.close()


def list_ports() -> dict[str, list[str]]:
    """Return this machine's MIDI ports, ``in`` and ``out``. Raises MidiError.

    Each is the name that asks for it, also after it was plugged in again.
    """
    if not midi_binding.is_installed():
        raise MidiError(midi_binding.advice())
    try:
        command, null = python_command(_PROGRAM, "list"), subprocess.DEVNULL
        names: dict[str, list[str]] = json.loads(
            subprocess.check_output(command, stdin=null, stderr=null, timeout=10)
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise MidiError(f"the MIDI ports could not be listed: {error}") from error
    return names
