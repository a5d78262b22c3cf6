"""The programs of a jam: the engine and the window, started, watched and ended together.

An engine that dies is started again with the options then in force, which the
supervisor knows because it watches like any other monitor.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from robojam.options import OPTIONS, Options, parse_address
from robojam.wire import osc

#: An engine that dies this many times in a row, each within so many seconds of its
#: start, is not started again.
_GIVE_UP, _AT_ONCE = 3, 10.0
#: Seconds between renewals of the watch.
_RENEW = 3.0
#: Seconds that a program has to end when it is asked to.
_PATIENCE = 8.0
#: What the window's exit status says when there is no display (robojam.window.NO_DISPLAY).
_NO_DISPLAY = 3
#: Controls that are options too, and those that go by another type there.
_IN_FORCE = ("mode", "threshold", "response", "temperature", "spread", "timescale", "model")


def display_at_hand() -> bool:
    """Tell whether a window can be opened, as far as the environment says."""
    if sys.platform.startswith("linux") and "SDL_VIDEODRIVER" not in os.environ:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    # Its standard input closes when this program ends, however it ends.
    return subprocess.Popen(
        [sys.executable, "-m", "robojam", *arguments], stdin=subprocess.PIPE
    )


def _window_arguments(
    address: tuple[str, int], size: tuple[int, int], *, fullscreen: bool
) -> list[str]:
    host = "127.0.0.1" if address[0] == "0.0.0.0" else address[0]
    more = ["--fullscreen"] if fullscreen else []
    return [
        "window",
        "--engine",
        f"{host}:{address[1]}",
        "--size",
        f"{size[0]}x{size[1]}",
        *more,
    ]


def serve_arguments(options: Options) -> list[str]:
    """Say options on a command line."""
    said: list[str] = ["serve", "--until-eof"]
    for option in OPTIONS:
        value: Any = getattr(options, option.field)
        if value is None or value == option.default:
            continue
        if option.kind is bool:
            said.append(f"--{option.name}" if value else f"--no-{option.name}")
        elif option.kind is tuple:
            for one in value:
                said += [f"--{option.name}", one]
        else:
            said += [f"--{option.name}", str(value)]
    return said


class _Watch:
    """A monitor that keeps the options in force."""

    def __init__(self, engine: tuple[str, int], options: Options) -> None:
        self.options = options
        self._engine = engine
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1" if engine[0].startswith("127.") else "", 0))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def renew(self) -> None:
        port = self._socket.getsockname()[1]
        with suppress(OSError):
            self._socket.sendto(osc.encode("/robojam/subscribe", "i", port), self._engine)

    def read(self) -> None:
        """Take in what has come: of all that the engine tells, the controls."""
        while True:
            try:
                packet = self._socket.recv(65536)
            except ConnectionError:
                continue  # the engine is not there: it will be
            except OSError:
                return
            for message in osc.decode(packet)[0]:
                name = message.address.removeprefix("/robojam/")
                if name in _IN_FORCE:
                    self._change(name, message.args[0])
                elif name == "record":
                    self._change(name, bool(message.args[0]))

    def _change(self, field: str, value: Any) -> None:
        if field == "model":
            mine = os.path.basename(self.options.model or "")
            if value == mine or self.options.model is None and value == self._first_model:
                return
        if isinstance(value, float):
            value = float(f"{value:.7g}")  # a 32-bit number as it was meant
        self.options = msgspec.structs.replace(self.options, **{field: value})

    _first_model: str | None = None


def jam(options: Options, *, size: tuple[int, int], fullscreen: bool) -> int:
    """Run the engine and the window until the window closes, or a signal comes.

    Returns the exit status. Without a display the engine plays alone, and says so.
    """
    address = parse_address(options.osc_in)
    window: subprocess.Popen[bytes] | None = None
    if display_at_hand():
        window = _start(*_window_arguments(address, size, fullscreen=fullscreen))
    else:
        print("there is no display here: the engine plays alone, over OSC", flush=True)
    return _Jam(options, address, window).run()


class _Jam:
    """The engine and the window of one jam, while they live."""

    def __init__(
        self, options: Options, address: tuple[str, int], window: subprocess.Popen[bytes] | None
    ) -> None:
        host = "127.0.0.1" if address[0] == "0.0.0.0" else address[0]
        self.watch = _Watch((host, address[1]), options)
        self.window = window
        self.ended = 0
        self.deaths = 0
        self.stopping = False
        self.wake, self.woken = socket.socketpair()
        self.woken.setblocking(False)
        self.wake.setblocking(False)
        self._start_engine()
        if window is not None:
            self._tell_end(window)

    def _start_engine(self) -> None:
        self.began = time.monotonic()
        self.engine = _start(*serve_arguments(self.watch.options))
        self._tell_end(self.engine)

    def _tell_end(self, program: subprocess.Popen[bytes]) -> None:
        """Wake the loop when a program ends."""

        def wait() -> None:
            program.wait()
            with suppress(OSError):
                self.wake.send(b"\0")

        threading.Thread(target=wait, daemon=True).start()

    def run(self) -> int:
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        with selectors.DefaultSelector() as selector:
            selector.register(self.watch, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            while not self.stopping:
                self.watch.renew()
                selector.select(_RENEW)
                with suppress(OSError):
                    self.woken.recv(4096)
                self.watch.read()
                self._look()
        for program in (self.engine, self.window):
            if program is not None:
                _end(program)
        return self.ended

    def _on_signal(self, *_: object) -> None:
        self.stopping = True

    def _look(self) -> None:
        """See who is still there, and do what follows."""
        if self.window is not None and (status := self.window.poll()) is not None:
            self.window = None
            if status == _NO_DISPLAY:
                print("no window could be opened: the engine plays alone, over OSC", flush=True)
            else:
                self.stopping = True
        status = self.engine.poll()
        if status is None or self.stopping:
            return
        if status in (0, 2):  # asked to end, or an option that cannot be
            self.ended, self.stopping = status, True
            return
        at_once = time.monotonic() - self.began < _AT_ONCE
        self.deaths = self.deaths + 1 if at_once else 1
        if self.deaths >= _GIVE_UP:
            print(
                f"robojam: the engine died {self.deaths} times in a row; giving up",
                file=sys.stderr,
            )
            self.ended, self.stopping = 1, True
            return
        print("robojam: the engine died; starting it again", file=sys.stderr, flush=True)
        self._start_engine()


def _end(program: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, and see to it."""
    if program.poll() is None:
        with suppress(OSError):
            program.terminate()
    try:
        program.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


@contextmanager
def window_beside(
    engine: tuple[str, int], *, on_close: Callable[[str], None], wanted: bool
) -> Iterator[None]:
    """Keep a window open while the block runs; tell when it is closed before the end."""
    if not wanted:
        yield
        return
    window = _start(*_window_arguments(engine, (1280, 800), fullscreen=False))

    def wait() -> None:
        if window.wait() != _NO_DISPLAY:
            on_close("the window was closed")

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        _end(window)
