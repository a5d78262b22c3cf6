"""Supervisor of a jam's programs: it starts, watches and ends the engine and the window.

An engine that dies is started again with the options then in force. The supervisor knows them
because it is a monitor of the engine, like a window.
"""

import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from robojam.config.addresses import format_address, parse_address, reachable_here
from robojam.config.load import change
from robojam.config.options import Options
from robojam.controls import CONTROLS, SETTINGS
from robojam.ports.udp import Endpoint
from robojam.system.call_queue import CallQueue
from robojam.system.child_process import NO_DISPLAY, ChildProcess, termination_signals
from robojam.wire import osc

#: An engine that dies this many times in a row, each within this many seconds of its start,
#: is not started again.
_MOST_DEATHS, _EARLY_DEATH = 3, 10.0
#: Seconds between subscriptions: once the engine has answered, and until then.
_RENEWAL, _FIRST_RENEWAL = 3.0, 0.2
#: Seconds that a program has to end when it is asked to.
_PATIENCE = 8.0
#: Controls that are options under the same name.
_OPTIONS = frozenset(name for name, row in CONTROLS.items() if row.option)


def has_display() -> bool:
    """Return whether a window can be opened, as far as the environment tells."""
    if sys.platform.startswith("linux") and "SDL_VIDEODRIVER" not in os.environ:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _start_program(*arguments: str) -> ChildProcess:
    return ChildProcess("robojam", *arguments, "--until-eof")


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """Options of the window: size in pixels, theme, and turn in degrees clockwise.

    size None: one that suits the display.
    """

    size: tuple[int, int] | None = None
    fullscreen: bool = False
    theme: str = "dark"
    turn: int = 0

    def start(self, engine: tuple[str, int], *, ends: str) -> ChildProcess:
        """Start the window as a program that connects to the engine's address.

        ends names what ends when the window is closed.
        """
        return _start_program(
            *("window", "--engine", format_address(*reachable_here(engine)), "--ends", ends),
            *("--theme", self.theme, "--turn", str(self.turn)),
            *(["--size", f"{self.size[0]}x{self.size[1]}"] if self.size else []),
            *(["--fullscreen"] if self.fullscreen else []),
        )


class ControlMonitor:
    """Monitor of the engine that keeps the options in force."""

    def __init__(
        self, engine: tuple[str, int], options: Options, *, find: Callable[[str], str]
    ) -> None:
        """Connect to the engine; find turns the name of a model into a value of --model."""
        self.options = options
        self._find_model = find
        self._endpoint, self._engine = Endpoint(engine[0], 0), engine
        self.restart()

    def restart(self) -> None:
        """Subscribe again from the start: another engine is being started."""
        self._answered = False
        self._renewed_at = -_RENEWAL

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._endpoint.fileno()

    def renew(self, now: float) -> float:
        """Subscribe when it is time; return the seconds until the next time."""
        interval = _RENEWAL if self._answered else _FIRST_RENEWAL
        if now - self._renewed_at >= interval:
            self._renewed_at = now
            request = osc.encode("/robojam/subscribe", "i", self._endpoint.address[1])
            self._endpoint.send(request, self._engine)
        return self._renewed_at + interval - now

    def receive(self) -> None:
        """Read all packets that have come, and take the controls out of them."""
        while waiting := self._endpoint.receive():
            packet, sender = waiting
            if sender != self._engine:
                continue
            self._answered = True
            for message in osc.decode(packet)[0]:
                name = message.address.removeprefix("/robojam/")
                if name in _OPTIONS:
                    self._set_option(name, message.args[0])
                elif name == "setup" and message.tags == "ss":
                    option, encoded = map(str, message.args)
                    self.options = change(self.options, option, json.loads(encoded))

    def _set_option(self, name: str, value: object) -> None:
        if isinstance(value, float):
            value = float(f"{value:.7g}")  # the decimal number that 32 bits stand for
        elif name == "record":
            value = bool(value)
        elif name == "model":
            value = self._find_model(str(value))
        if name in SETTINGS:
            name, value = "controls", {**self.options.controls, name: value}
        self.options = msgspec.structs.replace(self.options, **{name: value})


def jam(options: Options, *, window: WindowOptions, find: Callable[[str], str]) -> int:
    """Run the engine and the window until the window closes or a signal asks to end.

    Without a display the engine plays alone, and a line of output says so. find turns the
    name of a model into a value of --model. Returns the exit status.
    """
    address = parse_address(options.osc_in)
    supervisor = Supervisor(ControlMonitor(reachable_here(address), options, find=find))
    if has_display():
        supervisor.start_window(window, address)
    else:
        print("there is no display here: the engine plays alone, over OSC", flush=True)
    return supervisor.run()


class Supervisor:
    """The engine and the window of one jam as child processes."""

    def __init__(self, monitor: ControlMonitor) -> None:
        """End the jam on a termination signal from now on; `run` begins it."""
        self._monitor = monitor
        self._programs: list[ChildProcess] = []
        self._engine_started = -_EARLY_DEATH
        self._deaths = 0
        self._status: int | None = None  # exit status; None while the jam goes on
        self._calls = CallQueue()
        signal.set_wakeup_fd(self._calls.wake_fd, warn_on_full_buffer=False)
        for number in termination_signals():
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self._status = 0

    def start_window(self, options: WindowOptions, engine: tuple[str, int]) -> None:
        """Open the window; closing it ends the jam."""
        self._watch(options.start(engine, ends="jam"), self._window_ended)

    def _start_engine(self) -> None:
        self._engine_started = time.monotonic()
        options = msgspec.json.encode(self._monitor.options).decode()
        self._watch(_start_program("serve", "--options", options), self._engine_ended)
        self._monitor.restart()

    def _watch(self, program: ChildProcess, on_end: Callable[[int], None]) -> None:
        """Have the loop call on_end with the exit status when a program ends."""
        self._programs.append(program)

        def ended(status: int) -> None:
            self._programs.remove(program)
            if self._status is None:
                on_end(status)

        program.on_exit(lambda status: self._calls.put(lambda: ended(status)))

    def run(self) -> int:
        """Keep the engine running until the jam ends; return the exit status."""
        try:
            self._start_engine()
            with selectors.DefaultSelector() as selector:
                selector.register(self._monitor, selectors.EVENT_READ)
                selector.register(self._calls, selectors.EVENT_READ)
                while self._status is None:
                    selector.select(self._monitor.renew(time.monotonic()))
                    self._calls.drain()
                    self._monitor.receive()
        finally:
            signal.set_wakeup_fd(-1)
            for program in self._programs:
                program.end(_PATIENCE, terminate=True)
        return self._status or 0

    def _window_ended(self, status: int) -> None:
        if status != NO_DISPLAY:
            self._status = 0
            return
        print("no window could be opened: the engine plays alone, over OSC", flush=True)

    def _engine_ended(self, status: int) -> None:
        if status in (0, 2):  # it was asked to end, or an option is wrong
            self._status = status
            return
        early = time.monotonic() - self._engine_started < _EARLY_DEATH
        self._deaths = self._deaths + 1 if early else 1
        if self._deaths >= _MOST_DEATHS:
            _warn(f"the engine died {self._deaths} times in a row; giving up")
            self._status = 1
        else:
            _warn("the engine died; starting it again")
            self._start_engine()


def _warn(text: str) -> None:
    print(f"robojam: {text}", file=sys.stderr, flush=True)


@contextmanager
def window_beside(engine: tuple[str, int], on_close: Callable[[str], None]) -> Iterator[None]:
    """Keep a window open while the block runs.

    on_close is called with a reason, on another thread, when the window closes before the
    block ends; not when no window could be opened.
    """
    window = WindowOptions().start(engine, ends="replay")

    def window_ended(status: int) -> None:
        if status != NO_DISPLAY:
            on_close("the window was closed")

    window.on_exit(window_ended)
    try:
        yield
    finally:
        window.end(_PATIENCE, terminate=True)
