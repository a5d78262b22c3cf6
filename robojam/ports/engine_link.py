"""Connection of a program to the engine that has started it: datagrams on the loopback address.

The engine's end is `robojam.ports.process_client`.
"""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from robojam.ports.udp import Endpoint
from robojam.system.child_process import on_stdin_end, read_first_line
from robojam.system.process_messages import ALIVE, packet

#: Seconds after which a thread gives the interpreter to another that waits: messages come in
#: on a thread of the MIDI system, whose period may be a millisecond.
_SWITCH = 0.0005


class EngineLink:
    """Connection to the engine; `wanted` is what its first line has said.

    filenos are the descriptors of which one is readable when a datagram waits, or when the
    engine has ended.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self._endpoint, self._engine = Endpoint("127.0.0.1", 0), ("127.0.0.1", wanted["port"])
        self._ended, end = socket.socketpair()
        on_stdin_end(lambda: end.send(b"\0"))
        self.filenos = [self._endpoint.fileno(), self._ended.fileno()]
        self.send(packet(ALIVE, data=wanted["token"]))

    def send(self, datagram: bytes) -> None:
        """Send a datagram to the engine."""
        self._endpoint.send(datagram, self._engine)

    def has_ended(self, ready: list[int]) -> bool:
        """Return whether the engine has ended, by the descriptors that are readable."""
        return self.filenos[1] in ready

    def receive(self, *letters: str) -> Iterator[tuple[str, int, bytes]]:
        """Yield letter, number and data of the engine's datagrams that begin with a letter."""
        while waiting := self._endpoint.receive():
            datagram, sender = waiting
            if sender == self._engine and (letter := chr(datagram[0])) in letters:
                yield letter, datagram[1], datagram[2:]


def connect() -> EngineLink | None:
    """Connect to the engine; None where it has ended already. A Ctrl-C is the engine's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH)
    first_line = read_first_line()
    return EngineLink(json.loads(first_line)) if first_line else None
