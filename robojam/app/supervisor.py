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
from dataclasses import dataclass
from typing import Any

import msgspec

from robojam.config.addresses import parse_address
from robojam.config.options import Options
from robojam.system.exit_status import NO_DISPLAY
from robojam.wire import osc

#: An engine that dies this many times in a row, each within so many seconds of its
#: start, is not started again.
_GIVE_UP, _AT_ONCE = 3, 10.0
#: Seconds between renewals of the watch, and until the engine is there to answer.
_RENEW, _KNOCK = 3.0, 0.2
#: Seconds that a program has to end when it is asked to.
_PATIENCE = 8.0
#: Controls that are options under the same name.
_OPTIONS = frozenset(
    "mode threshold response temperature spread timescale seed record model"
    " instrument scale volume".split()
)


def that_end() -> list[signal.Signals]:
    """Return the signals that ask to end: Ctrl-C, SIGTERM, and of a terminal that is closed.

    The last is none on Windows, nor where one was started to outlive its terminal (nohup).
    """
    asking = [signal.SIGINT, signal.SIGTERM]
    if os.name != "nt" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asking.append(signal.SIGHUP)
    return asking


def display_at_hand() -> bool:
    """Tell whether a window can be opened, as far as the environment says."""
    if sys.platform.startswith("linux") and "SDL_VIDEODRIVER" not in os.environ:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    # Its standard input closes when this program ends, however it ends: a Ctrl-C, or a
    # terminal that is closed, is for this one alone, whenever it comes.
    return subprocess.Popen(
        [sys.executable, "-m", "robojam", *arguments, "--until-eof"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How the window is opened: its size in pixels, theme, and turned by how many degrees."""

    size: tuple[int, int] = (1280, 800)
    fullscreen: bool = False
    theme: str = "dark"
    turn: int = 0

    def start(self, engine: tuple[str, int]) -> subprocess.Popen[bytes]:
        """Open it."""
        host, port = reachable(engine)
        more = ["--fullscreen"] if self.fullscreen else []
        return _start(
            "window", "--engine", f"{host}:{port}", "--size", f"{self.size[0]}x{self.size[1]}",
            "--theme", self.theme, "--turn", str(self.turn), *more,
        )  # fmt: skip


def reachable(address: tuple[str, int]) -> tuple[str, int]:
    """Return where a program on this machine finds what listens at an address."""
    return ("127.0.0.1" if address[0] == "0.0.0.0" else address[0]), address[1]


class ControlMonitor:
    """A monitor that keeps the options in force.

    find turns the name of a model that the engine plays into what its option would say.
    """

    def __init__(
        self, engine: tuple[str, int], options: Options, *, find: Callable[[str], str]
    ) -> None:
        self.options = options
        self._find = find
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(engine)  # and so hears nobody else
        self._socket.setblocking(False)
        self.begin()

    def begin(self) -> None:
        """Begin to watch an engine that is being started."""
        self._heard = False
        self._renewed = -_RENEW

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def renew(self, now: float) -> float:
        """Subscribe when it is time; return when it is next, in seconds from now."""
        every = _RENEW if self._heard else _KNOCK
        if now - self._renewed >= every:
            self._renewed = now
            port = self._socket.getsockname()[1]
            with suppress(OSError):
                self._socket.send(osc.encode("/robojam/subscribe", "i", port))
        return self._renewed + every - now

    def read(self) -> None:
        """Take in what has come: of all that the engine tells, the controls."""
        while True:
            try:
                packet = self._socket.recv(65536)
            except ConnectionError:
                continue  # the engine is not there: it will be
            except OSError:
                return
            self._heard = True
            for message in osc.decode(packet)[0]:
                name = message.address.removeprefix("/robojam/")
                if name in _OPTIONS:
                    self._change(name, message.args[0])

    def _change(self, name: str, value: Any) -> None:
        if isinstance(value, float):
            value = float(f"{value:.7g}")  # a 32-bit number as it was meant
        elif name == "record":
            value = bool(value)
        elif name == "model":
            value = self._find(value)
        self.options = msgspec.structs.replace(self.options, **{name: value})


def jam(options: Options, *, window: WindowOptions, find: Callable[[str], str]) -> int:
    """Run the engine and the window until the window closes, or a signal comes.

    find turns the name of a model into what its option would say. Returns the exit
    status. Without a display the engine plays alone, and says so.
    """
    seen = display_at_hand()
    if not seen:
        print("there is no display here: the engine plays alone, over OSC", flush=True)
    playing = Supervisor(
        ControlMonitor(reachable(parse_address(options.osc_in)), options, find=find)
    )
    with playing.signals():
        if seen:
            address = parse_address(options.osc_in)
            playing.show(window.start(address))
        return playing.run()


class Supervisor:
    """The engine and the window of one jam, while they live."""

    def __init__(self, watch: ControlMonitor) -> None:
        self.watch = watch
        self.engine: subprocess.Popen[bytes] | None = None
        self.window: subprocess.Popen[bytes] | None = None
        self.status: int | None = None  # to end with; None while it goes on
        self.deaths = 0
        self.wake, self.woken = socket.socketpair()
        self.woken.setblocking(False)
        self.wake.setblocking(False)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Let what asks to end it end the jam, from now on."""
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        for number in that_end():
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)

    def _on_signal(self, *_: object) -> None:
        self.status = 0

    def show(self, window: subprocess.Popen[bytes]) -> None:
        """Take a window in."""
        self.window = window
        self._tell_end(window)

    def _start_engine(self) -> None:
        self.began = time.monotonic()
        options = msgspec.json.encode(self.watch.options).decode()
        self.engine = _start("serve", "--options", options)
        self.watch.begin()
        self._tell_end(self.engine)

    def _tell_end(self, program: subprocess.Popen[bytes]) -> None:
        """Wake the loop when a program ends."""

        def wait() -> None:
            program.wait()
            with suppress(OSError):
                self.wake.send(b"\0")

        threading.Thread(target=wait, daemon=True).start()

    def run(self) -> int:
        """Play until it ends; return the exit status."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.watch, selectors.EVENT_READ)
                selector.register(self.woken, selectors.EVENT_READ)
                while self.status is None:
                    self._look()
                    if self.status is None:
                        selector.select(self.watch.renew(time.monotonic()))
                    with suppress(OSError):
                        self.woken.recv(4096)
                    self.watch.read()
        finally:
            for program in (self.engine, self.window):
                if program is not None:
                    _end(program)
        return self.status or 0

    def _look(self) -> None:
        """See who is still there, and do what follows."""
        if self.window is not None and (status := self.window.poll()) is not None:
            self.window = None
            if status != NO_DISPLAY:
                self.status = 0
                return
            print("no window could be opened: the engine plays alone, over OSC", flush=True)
        if self.engine is None:
            self._start_engine()
        elif (status := self.engine.poll()) is not None:
            self._engine_ended(status)

    def _engine_ended(self, status: int) -> None:
        if status in (0, 2):  # asked to end, or an option that cannot be
            self.status = status
            return
        at_once = time.monotonic() - self.began < _AT_ONCE
        self.deaths = self.deaths + 1 if at_once else 1
        if self.deaths >= _GIVE_UP:
            _say(f"the engine died {self.deaths} times in a row; giving up")
            self.status = 1
        else:
            _say("the engine died; starting it again")
            self._start_engine()


def _say(what: str) -> None:
    print(f"robojam: {what}", file=sys.stderr, flush=True)


def _end(program: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, and see to it."""
    if program.stdin is not None:
        with suppress(OSError):
            program.stdin.close()
    if program.poll() is None and os.name != "nt":  # there, this would kill it
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
    window = WindowOptions().start(engine)

    def wait() -> None:
        if window.wait() != NO_DISPLAY:
            on_close("the window was closed")

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        _end(window)
