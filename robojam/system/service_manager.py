"""Messages to the service manager that started this process: ready, alive, stopping.

The protocol is systemd's sd_notify: datagrams of text to the Unix socket that NOTIFY_SOCKET
names. A unit with WatchdogSec= is started again when it is silent for longer than that.
"""

import math
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from robojam.system.shell import printable

#: Messages in the time after which the service manager takes the process for hung: one of them
#: may be late, or refused by a full socket.
_MESSAGES: Final = 3
_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceNotifier:
    """Sender of the state of this process to its service manager.

    It never waits: a message that the socket does not take at once is dropped. Without a
    service manager every method does nothing.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read what the service manager has set in the environment.

        A value that is none of the protocol's counts as missing.
        """
        name, limit, process = (environment.get(variable, "") for variable in _VARIABLES)
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._socket: socket.socket | None = None
        if name.startswith(("/", "@")) and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        watched = process in ("", str(os.getpid())) and limit.isdecimal() and int(limit) > 0
        #: Seconds between two messages that say that the process is alive; infinity: none.
        self.interval = int(limit) / 1e6 / _MESSAGES if self._socket and watched else math.inf
        self._due = -math.inf

    def ready(self, status: str) -> None:
        """Say that the process has started, and what it does: a text for people."""
        self._send(f"READY=1\nSTATUS={printable(status)}")

    def stopping(self) -> None:
        """Say that the process is about to end."""
        self._send("STOPPING=1")

    def alive(self, now: float) -> float:
        """Say that the process is alive if it is time; return the seconds until the next time.

        now is in seconds, of a clock that never goes back.
        """
        if now >= self._due:
            self._send("WATCHDOG=1")
            self._due = now + self.interval
        return self._due - now

    def close(self) -> None:
        """Close the socket; the service manager is told nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(message.encode(), self._address)
