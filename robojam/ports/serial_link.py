"""Link to a serial device: threads that open, read and write it, so that no call waits.

A device may be pulled and come back at any time: it is opened again when it is there. Threads
and not a selector, since Windows has no descriptor for a serial port, and opening one over
Bluetooth takes seconds.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from robojam.config.addresses import SerialRequest
from robojam.system.install import missing_package

#: Seconds between two attempts to open a device.
_RETRY: Final = 0.5
#: Seconds after the opening within which the first bytes may be the end of a line that was
#: begun before it.
_SETTLING: Final = 0.05
#: Seconds for which a read waits, and a write: a device that takes nothing loses what it is
#: sent.
_READ_WAIT, _WRITE_WAIT = 0.2, 1.0
#: Bytes of one read, and reads that wait to be received; what comes beyond is lost.
_READ_SIZE, _MAX_WAITING = 1024, 16
#: Bytes that wait to be written; what is sent beyond is lost.
_MAX_UNWRITTEN: Final = 4096
#: Seconds of the line for which values wait until the newest replace them; the bits of a byte.
_BURST, _BITS = 0.03, 10
#: Seconds that the last bytes have to be written at the end.
_CLOSING: Final = 0.5


class SerialError(ValueError):
    """Serial ports cannot be used; the text says why, and what to do."""


class Received(NamedTuple):
    """What came from the device: bytes, or that it was opened or lost.

    kind is one of OPENED, LOST, DATA and TORN: data before which some may be missing.
    """

    kind: str
    data: bytes = b""


OPENED, LOST, DATA, TORN = "opened", "lost", "data", "torn"


class SerialLink:
    """Link to one device, which is opened as soon as it is there.

    error is the reason why it is not open, once it was tried; unsent counts what was sent and
    not taken.
    """

    def __init__(
        self, request: SerialRequest, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Start the threads. Raises SerialError where there is no pyserial."""
        if find_spec("serial") is None:
            raise SerialError(missing_package("a serial port", "serial"))
        self._request, self._clock = request, clock
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._waiting: deque[Received] = deque()
        self._device: Any = None
        self._closing = threading.Event()
        self._unwritten = deque[bytes]()
        self._can_write = threading.Condition()
        self._idle = True  # nothing is being written
        self.error: str | None = None
        self.unsent = 0
        for work in (self._read, self._write):
            threading.Thread(target=work, name="serial", daemon=True).start()

    # -- on the loop's thread ---------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor that is readable when something waits."""
        return self._near.fileno()

    def poke(self) -> None:
        """Make the descriptor readable, so that `receive` is called soon."""
        with suppress(OSError):  # the socket is full, so it is readable; or closed
            self._far.send(b"\0")

    def receive(self) -> list[Received]:
        """Return what has come since the last call."""
        with suppress(OSError):  # nothing is left to read
            while self._near.recv(4096):
                pass
        waiting = self._waiting
        return [waiting.popleft() for _ in range(len(waiting))]

    def send(self, data: bytes, *, only_newest: bool = False) -> bool:
        """Send bytes; return whether they are to be written.

        only_newest: where more waits than the line takes in _BURST, they replace all of that.
        """
        with self._can_write:
            if self._device is None:
                return False
            waiting = sum(map(len, self._unwritten))
            if only_newest:
                if waiting > _BURST * self._request.baud / _BITS:
                    self.unsent += len(self._unwritten)
                    self._unwritten.clear()
            elif waiting + len(data) > _MAX_UNWRITTEN:
                self.unsent += 1
                return False
            self._unwritten.append(data)
            self._can_write.notify()
        return True

    def close(self, last: bytes = b"") -> None:
        """Send the last bytes, and close the device; on any thread."""
        if last:
            self.send(last)
        end = time.monotonic() + _CLOSING
        with self._can_write:
            while (self._unwritten or not self._idle) and self._device is not None:
                if not self._can_write.wait(end - time.monotonic()):
                    break
            self._closing.set()
            self._can_write.notify_all()
        self._far.close()
        self._near.close()

    # -- on threads of its own --------------------------------------------------------------

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                device = _open(self._request)
            except Exception as error:  # a driver may raise anything
                self.error = _reason(error)
                self._closing.wait(_RETRY)
                continue
            self.error, settled_at = None, self._clock() + _SETTLING
            with self._can_write:
                self._device = device
            self._put(Received(OPENED))
            with suppress(Exception):  # as above: it is gone
                self._read_device(device, settled_at)
            with self._can_write:
                self._device = None
                self._unwritten.clear()
                self._can_write.notify_all()
            with suppress(Exception):
                device.close()
            self.error = "it is gone"
            self._put(Received(LOST))

    def _read_device(self, device: Any, settled_at: float) -> None:
        kind = DATA
        while not self._closing.is_set():
            data = device.read(1)
            if data:
                data += device.read(min(device.in_waiting, _READ_SIZE))
                if self._clock() < settled_at:
                    kind = TORN
                settled_at = -math.inf
                if len(self._waiting) >= _MAX_WAITING:
                    kind = TORN
                    continue
                self._put(Received(kind, data))
                kind = DATA

    def _put(self, received: Received) -> None:
        self._waiting.append(received)
        self.poke()

    def _write(self) -> None:
        while True:
            with self._can_write:
                self._idle = True
                self._can_write.notify_all()
                while not self._unwritten:
                    if self._closing.is_set():
                        return
                    self._can_write.wait()
                data, device = self._unwritten.popleft(), self._device
                self._idle = False
            try:
                device.write(data)
            except Exception:  # it is gone, as the reader will find, or takes nothing
                self.unsent += 1


def _open(request: SerialRequest) -> Any:
    import serial

    return serial.Serial(
        _find(request.port), request.baud, timeout=_READ_WAIT, write_timeout=_WRITE_WAIT
    )


def _find(name: str) -> str:
    """Return the device of a name, or whose description has that name as a part."""
    if "/" in name or name.upper().startswith("COM"):
        return name
    for device, description in devices():
        if name.casefold() in f"{device} {description}".casefold():
            return device
    raise OSError("no serial port is named like that (robojam ports shows them)")


def devices() -> list[tuple[str, str]]:
    """Return the serial ports of this machine, each with a description.

    Raises ModuleNotFoundError where there is no pyserial.
    """
    from serial.tools import list_ports

    found = sorted(list_ports.comports(), key=lambda port: port.device)
    return [(port.device, str(port.description or "")) for port in found]


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        import os

        return os.strerror(number)
    return " ".join(str(error).split())[:200] or type(error).__name__
