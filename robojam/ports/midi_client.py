"""The engine's end of the process that holds the MIDI ports (robojam.ports.midi_process).

No call waits for it. It is watched: one that hangs or dies is started again.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from robojam.ports.midi_process import HEART, HOPELESS, OUTPUTS, packet
from robojam.wire.midi.styles import Wanted

log = logging.getLogger("robojam")

#: It is dead after so many seconds without a word; seconds from its death to the next,
#: and until it must have ended.
_SILENT, _AGAIN, _ENDING = 4.0, 1.0, 2.0
#: Datagrams that are taken in at once.
_BURST = 256
#: What is missing, where it is.
MISSING: Final = (
    "MIDI needs python-rtmidi, which is not installed. Ready-made it comes up to Python 3.12; "
    "from 3.13 on it is built here: pip install python-rtmidi (on Debian and Ubuntu first: "
    "sudo apt install g++ python3-dev libasound2-dev libjack-jackd2-dev)"
)


class MidiError(ValueError):
    """MIDI that cannot be had; the text says why, and what to do."""


class MidiClient:
    """The ports that are wanted, in order: inputs from 0, outputs from OUTPUTS."""

    def __init__(
        self, ins: Sequence[Wanted], outs: Sequence[Wanted], clock: Callable[[], float]
    ) -> None:
        """Start the process. Raises MidiError where there is no MIDI."""
        if find_spec("rtmidi") is None:
            raise MidiError(MISSING)
        self._ins, self._outs, self._clock = ins, outs, clock
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._process: subprocess.Popen[bytes] | None = None
        self._far: tuple[str, int] | None = None
        self._token = ""
        self._heard, self._start_at = 0.0, math.inf
        self._died = False
        self.restarts = 0
        self.trouble: str | None = None
        self._start(clock())

    def _start(self, now: float) -> None:
        self._far, self._heard, self._token = None, now, secrets.token_hex(16)
        wanted = {
            "port": self._socket.getsockname()[1],
            "token": self._token,
            "in": [(one.name, one.virtual) for one in self._ins],
            "out": [(one.name, one.virtual) for one in self._outs],
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "robojam.ports.midi_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the systems complain there in their own words
                start_new_session=True,  # a Ctrl-C, or a kill, of the group is not its own
            )
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            self.trouble = str(error)

    @property
    def begun(self) -> bool:
        """Whether the process has begun to look for ports, or will not."""
        return (
            self._far is not None or self._process is None or self._process.poll() is not None
        )

    def watch(self, now: float) -> None:
        """Start the process again when it is gone or hangs. To be called once a second."""
        if now >= self._start_at:
            self._start_at = math.inf
            self.restarts += 1
            self._start(now)
            return
        process = self._process
        if process is not None and (process.poll() is not None or now - self._heard > _SILENT):
            process.kill()
            process.wait()
            self._process, self._far = None, None
            self._start_at = math.inf if process.returncode == HOPELESS else now + _AGAIN
            self._died = True
            self.poke()

    def poke(self) -> None:
        """Wake who waits for it, so that `receive` is called soon."""
        with suppress(OSError):
            self._socket.sendto(b"", self._socket.getsockname())

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def receive(self) -> list[tuple[str, int, bytes]]:
        """Return what was said: ``m`` bytes came, ``o`` it is open, ``g`` gone; the port."""
        said: list[tuple[str, int, bytes]] = []
        if self._died:
            self._died = False
            numbers = [*range(len(self._ins)), *range(OUTPUTS, OUTPUTS + len(self._outs))]
            said += [("g", number, b"") for number in numbers]
        for _ in range(_BURST):
            try:
                datagram, sender = self._socket.recvfrom(1 << 16)
            except ConnectionError:
                continue  # an earlier one reached nobody
            except OSError:
                break
            if sender == self._far and len(datagram) > 1:
                self._heard = self._clock()
                said.append((chr(datagram[0]), datagram[1], datagram[2:]))
            elif datagram == packet("h", HEART, self._token.encode()):
                self._far, self._heard = sender, self._clock()
        for letter, _, data in said:
            if letter == "e":
                self.trouble = data.decode(errors="replace")
                log.warning("MIDI: %s", self.trouble)
        return said

    def send(self, number: int, data: bytes) -> bool:
        """Send messages to a port, or tell that they could not be sent."""
        if self._far is None:
            return False
        try:
            self._socket.sendto(packet("m", number, data), self._far)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let the process release all that sounds, and end."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._socket.close()


def names() -> dict[str, list[str]]:
    """List the MIDI ports of this machine: ``in`` and ``out``. Raises MidiError."""
    if find_spec("rtmidi") is None:
        raise MidiError(MISSING)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "robojam.ports.midi_process", "names"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=True,
        )
        found: dict[str, list[str]] = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise MidiError(f"the MIDI ports could not be listed: {error}") from error
    return found
