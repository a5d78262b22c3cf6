"""What other threads ask of the loop: it is woken, and does it between two packets."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable

Act = Callable[[], None]


class CallQueue:
    """Acts that wait for the loop, and a socket that wakes it."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Act] = queue.SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    @property
    def wake_fd(self) -> int:
        """For signal.set_wakeup_fd."""
        return self._wake.fileno()

    def fileno(self) -> int:
        """For the loop's selector."""
        return self._woken.fileno()

    def put(self, act: Act) -> None:
        """Let the loop do something soon. For any thread and for signal handlers."""
        self._waiting.put(act)
        try:
            self._wake.send(b"\0")
        except OSError:
            return  # it is awake: its socket is full, or closed

    def drain(self) -> None:
        """Do what was asked for."""
        try:
            while self._woken.recv(4096):
                pass
        except OSError:
            pass  # drained
        while not self._waiting.empty():
            self._waiting.get_nowait()()
