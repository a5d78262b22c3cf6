"""Queue of calls that other threads put to an event loop, which it wakes."""

import queue
import socket
from collections.abc import Callable

Call = Callable[[], None]


class CallQueue:
    """Calls that wait for a loop's thread, and a socket that wakes its selector."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    @property
    def wake_fd(self) -> int:
        """Descriptor to write to, for signal.set_wakeup_fd."""
        return self._wake.fileno()

    def fileno(self) -> int:
        """Return the descriptor that is readable when calls wait, for the loop's selector."""
        return self._woken.fileno()

    def put(self, call: Call) -> None:
        """Have the loop make a call soon. For any thread and for signal handlers."""
        self._calls.put(call)
        try:
            self._wake.send(b"\0")
        except OSError:
            return  # the socket is full, so that the loop wakes anyway, or closed

    def close(self) -> None:
        """Close the sockets: nothing is woken any more."""
        self._wake.close()
        self._woken.close()

    def drain(self, make: Callable[[Call], object] = lambda call: call()) -> None:
        """Make all calls that wait; make is what makes each."""
        try:
            while self._woken.recv(4096):
                pass
        except OSError:
            pass  # nothing is left to read
        while not self._calls.empty():
            make(self._calls.get_nowait())
