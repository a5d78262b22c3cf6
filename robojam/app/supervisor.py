"""Supervisor of a jam's programs: it starts, watches and ends the engine and the window.

A program that dies is started again: the engine with the options then in force, the window
with its size and place. The supervisor knows the options because it is a monitor of the
engine, like a window. Closing the window ends the jam; its death does not.
"""

import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec

from robojam.app.spare_engine import SpareEngine
from robojam.config.addresses import format_address, parse_address, reachable_here
from robojam.config.load import change
from robojam.config.options import Options
from robojam.controls import CONTROLS, SETTINGS
from robojam.jam.modes import MODES
from robojam.ports.udp import Endpoint
from robojam.sessions.last_lines import header_left_by
from robojam.sessions.library import newest
from robojam.system.call_queue import CallQueue
from robojam.system.child_process import NO_DISPLAY, ChildProcess, termination_signals
from robojam.system.log_queue import print_line
from robojam.web.port import TOKEN
from robojam.window import Look
from robojam.wire import osc

#: A program that dies this many times within this many seconds is not started again.
_MOST_DEATHS, _WITHIN = 3, 30.0
#: Seconds until an engine that could not start is started again: what it lacks, such as a
#: port, may be there then.
_RETRY: Final = 1.0
#: Seconds for which an engine that goes on from a recording must live, unless it is killed:
#: else the next starts from nothing.
_SOON: Final = 10.0
#: Seconds between subscriptions: once the engine has answered, and until then.
_RENEWAL, _FIRST_RENEWAL = 3.0, 0.2
#: Packets that are read before the programs are looked at again.
_BURST: Final = 64
#: Seconds that a program has to end when it is asked to.
_PATIENCE = 8.0
#: Exit status of a program of which an option is wrong, or what it names is missing; and of
#: one that was killed (SIGKILL).
_REFUSED, _KILLED = 2, -9


def has_display() -> bool:
    """Return whether a window can be opened, as far as the environment tells."""
    if sys.platform.startswith("linux") and "SDL_VIDEODRIVER" not in os.environ:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


class _Deaths:
    """Deaths of one program, and whether it has died too often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_MOST_DEATHS)

    def too_many(self) -> bool:
        """Count a death; return whether the program should not be started again."""
        now = self._clock()
        self._times.append(now)
        return len(self._times) == _MOST_DEATHS and now - self._times[0] <= _WITHIN


class WindowProgram:
    """The window of an engine as a program, which is started again when it dies.

    It is opened as it looked last. Where it dies too often, or there is no display any more,
    the engine plays on without it; that is printed.
    """

    def __init__(
        self, engine: tuple[str, int], look: Look, *, ends: str, on_close: Callable[[], None]
    ) -> None:
        """Open a window that connects to the engine's address.

        ends names what ends when the window is closed; on_close is called then, on another
        thread.
        """
        self._engine, self._look, self._ends, self._on_close = engine, look, ends, on_close
        self._lock, self._closing = threading.Lock(), False
        self._deaths = _Deaths()
        self._program: ChildProcess | None = None
        self._start()

    def _start(self) -> None:
        look = self._look
        arguments = (
            *("window", "--engine", format_address(*reachable_here(self._engine))),
            *("--ends", self._ends, "--report", "--until-eof"),
            *("--theme", look.theme, "--turn", str(look.turn)),
            *(["--size", f"{look.size[0]}x{look.size[1]}"] if look.size else []),
            *(["--place", f"{look.place[0]},{look.place[1]}"] if look.place else []),
            *(["--fullscreen"] if look.fullscreen else []),
        )
        with self._lock:
            if self._closing:
                return
            program = None
            try:
                program = ChildProcess("robojam", *arguments, stdout=subprocess.PIPE)
                watch = partial(self._watch, program)
                threading.Thread(target=watch, name="window", daemon=True).start()
            except (OSError, RuntimeError) as error:  # no process or thread more just now
                if program is not None:
                    program.kill()
                _warn(f"no window could be opened ({error}): the engine plays alone, over OSC")
                return
            self._program = program

    def _watch(self, program: ChildProcess) -> None:
        """Keep the look that a window reports, until it ends; then start another if it died."""
        assert program.stdout is not None
        for line in program.stdout:
            with suppress(msgspec.DecodeError):
                self._look = msgspec.json.decode(line, type=Look)
        status = program.wait()
        if self._closing:
            return
        if status == 0:
            self._on_close()
        elif status in (NO_DISPLAY, _REFUSED):
            _inform(
                "no window could be opened: the engine plays alone, over OSC; robojam window "
                f"--engine {format_address(*reachable_here(self._engine))} opens one"
            )
        elif self._deaths.too_many():
            _warn(f"the window died {_MOST_DEATHS} times in a row; the engine plays on alone")
        else:
            _warn("the window died; starting it again")
            self._start()

    def close(self) -> None:
        """Close the window, for good."""
        with self._lock:
            self._closing = True
        if self._program is not None:
            self._program.end(_PATIENCE, terminate=True)


class ControlMonitor:
    """Monitor of the engine that keeps the options in force."""

    def __init__(
        self,
        engine: tuple[str, int],
        options: Options,
        *,
        find: Callable[[str], str],
        endpoint: Endpoint | None = None,
    ) -> None:
        """Connect to the engine, at an endpoint or at one of its own.

        find turns the name of a model into a value of --model.
        """
        self.options = options
        self._find_model, self._silenced = find, False
        self._endpoint, self._engine = endpoint or Endpoint(engine[0], 0), engine
        self.restart()

    def restart(self) -> None:
        """Subscribe again from the start: another engine is being started."""
        self._answered = False
        self._renewed_at = -_RENEWAL

    def options_to_go_on(self) -> Options:
        """Return the options with which another engine goes on as the last one was.

        A machine that plays by itself and was silenced by a panic is paused.
        """
        if self._silenced and MODES[self.options.settings().mode].starts_alone:
            self._keep("pause", 1)
        return self.options

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
        """Read the packets that have come, and take the controls out of them."""
        for _ in range(_BURST):
            waiting = self._endpoint.receive()
            if waiting is None:
                return
            packet, sender = waiting
            if sender != self._engine:
                continue
            self._answered = True
            for message in osc.decode(packet)[0]:
                with suppress(ValueError, TypeError, LookupError, RecursionError):
                    self._take(message)  # else it is of no engine of this version

    def _take(self, message: osc.Message) -> None:
        """Keep what a message says of the options."""
        name, args = message.address.removeprefix("/robojam/"), message.args
        if name == "setup" and message.tags == "ss":
            option, value = str(args[0]), json.loads(str(args[1]))
            if option in SETTINGS:  # a number in full
                self._keep(option, value)
            else:
                self.options = change(self.options, option, value)
        elif name == "model":
            self._replace(model=self._find_model(str(args[0])))
        elif name == "record":
            self._replace(record=bool(args[0]))
        elif name == "seed":
            self._replace(seed=CONTROLS[name].check(args[0]))
        elif name == "panic":
            self._silenced = True
        elif name in SETTINGS:
            self._keep(name, args[0])  # a number that has lost digits so comes again in full
            self._silenced = self._silenced and name != "pause"
        elif name.startswith("human") and MODES[self.options.settings().mode].feeds_humans:
            self._silenced = False  # by a touch

    def _keep(self, name: str, value: object) -> None:
        """Keep the value of a control, as the engine has it in force. Raises ValueError."""
        checked = CONTROLS[name].check(value)
        if isinstance(checked, str):  # it amends the default here: the engine's is whole
            checked = value
        self._replace(controls={**self.options.controls, name: checked})

    def _replace(self, **fields: object) -> None:
        self.options = msgspec.structs.replace(self.options, **fields)


def jam(options: Options, *, look: Look, find: Callable[[str], str]) -> int:
    """Run the engine and the window until the window closes or a signal asks to end.

    Without a display the engine plays alone, and a line of output says so. find turns the
    name of a model into a value of --model. Returns the exit status.
    """
    address, calls = parse_address(options.osc_in), CallQueue()
    # The pages in browsers come back with the token that they have.
    env = {TOKEN: secrets.token_urlsafe(12)}
    monitor = ControlMonitor(reachable_here(address), options, find=find)
    spare = SpareEngine(monitor.options_to_go_on)
    engine = EngineProgram(monitor, calls.put, env=env, launch=spare.launch)
    supervisor = Supervisor([engine], calls, spare)
    if has_display():
        supervisor.open_window(address, look)
    else:
        _inform("there is no display here: the engine plays alone, over OSC")
    return supervisor.run()


#: Starts an engine, as `SpareEngine.launch` does.
Launch = Callable[[Sequence[str], Mapping[str, str], int | None], ChildProcess]


class EngineProgram:
    """The engine of one jam as a child process, which is started again when it dies.

    It goes on from its recording then, with the options in force. status is its exit status
    once it is not started again; None before.
    """

    def __init__(
        self,
        monitor: ControlMonitor,
        call: Callable[[Callable[[], None]], None],
        *,
        env: Mapping[str, str],
        launch: Launch,
        name: str = "the engine",
        arguments: Sequence[str] = (),
        stays: bool = False,
        others: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the engine at the first call of `advance`.

        call makes a call on the thread of `advance`. env is added to the environment, and
        arguments are added to the command at its first start. stays: it is started again also
        where it was asked to end, and after a wait where it has died too often; what it
        prints is not shown. launch starts the process. others are the names of recordings of
        other jams; None: of those that are there now.
        """
        self.monitor, self.status = monitor, None
        self._call, self._name, self._stays = call, name, stays
        self._launch = launch
        self._env, self._arguments = os.environ | env, list(arguments)
        self._engine: ChildProcess | None = None
        self._clock, self._deaths = clock, _Deaths(clock)
        if others is None:  # by their names: a clock may be set back
            others = {path.name for path in Path(monitor.options.sessions).glob("*.jsonl")}
        self._others = others
        self._resumed_at = -math.inf
        self._again = self._was_killed = False  # an engine has died, of a kill
        self._start_at = -math.inf  # when the engine is to be started; infinity: it runs
        self._ends = False

    status: int | None

    def advance(self, now: float) -> float:
        """Start the engine when it is time; return the seconds until the next call."""
        if now >= self._start_at:
            self._start()
        return min(self.monitor.renew(now), self._start_at - now)

    def end(self, patience: float) -> None:
        """End the engine, for good; kill it after `patience` seconds."""
        self._ends = True
        if self._engine is not None:
            self._engine.end(patience, terminate=True)

    def _start(self) -> None:
        self._start_at = math.inf
        options = msgspec.json.encode(self.monitor.options_to_go_on()).decode()
        more = ["--again"] if self._again else self._arguments
        if (recording := self._recording()) is not None:
            more += ["--resume", str(recording)]
            self._resumed_at = self._clock()
        engine = None
        try:
            engine = self._launch(
                ["serve", "--options", options, *more, "--until-eof"],
                self._env,
                subprocess.DEVNULL if self._stays else None,
            )
            engine.on_exit(lambda status: self._call(lambda: self._ended(status)))
        except (OSError, RuntimeError) as error:  # no process or thread more just now
            if engine is not None:
                engine.kill()
            self._start_again(f"{self._name} could not be started ({error})", _RETRY)
            return
        self._engine = engine
        self.monitor.restart()

    def _recording(self) -> Path | None:
        """Return the recording of an engine that died; None where nothing is to go on.

        An engine that dies soon after it went on may do so because of what is in there, unless
        another program has killed it.
        """
        options = self.monitor.options
        failed = not self._was_killed and self._clock() - self._resumed_at < _SOON
        if not self._again or not options.record or failed:
            return None
        header = b"" if self._engine is None else header_left_by(self._engine.pid)
        return newest(Path(options.sessions), others=self._others, header=header)

    def _ended(self, status: int) -> None:
        if self._ends:
            return
        self._was_killed = status == _KILLED
        if (status == 0 and not self._stays) or (status == _REFUSED and not self._again):
            self.status = status  # it was asked to end, or an option is wrong
        else:
            wait = _RETRY if status == _REFUSED else 0.0
            self._start_again(f"{self._name} {'died' if status else 'has ended'}", wait)

    def _start_again(self, why: str, wait: float) -> None:
        if self._deaths.too_many():
            if not self._stays:
                _warn(f"{why} {_MOST_DEATHS} times in a row; giving up")
                self.status = 1
                return
            why, wait = f"{why} {_MOST_DEATHS} times in a row", _WITHIN
        _warn(f"{why}; starting it again" + (f" in {wait:.0f} s" if wait > _RETRY else ""))
        self._again, self._start_at = True, self._clock() + wait


class Beside(Protocol):
    """Program beside engines, which is ended after them."""

    def close(self) -> None:
        """End it."""


class Supervisor:
    """The programs of one jam, or of the jams of one host, as child processes."""

    def __init__(
        self, engines: Sequence[EngineProgram], calls: CallQueue, spare: SpareEngine
    ) -> None:
        """End on a termination signal from now on; `run` begins.

        calls are of the engines; spare is what each of them is started by.
        """
        self._engines, self._calls, self._spare = engines, calls, spare
        self._beside: list[Beside] = []
        self._status: int | None = None  # exit status; None while the jam goes on
        signal.set_wakeup_fd(self._calls.wake_fd, warn_on_full_buffer=False)
        for number in termination_signals():
            signal.signal(number, lambda *_: self.end(0))

    def end(self, status: int) -> None:
        """End with an exit status."""
        self._status = status

    def add(self, program: Beside) -> None:
        """End a program, too, when all ends."""
        self._beside.append(program)

    def open_window(self, engine: tuple[str, int], look: Look) -> None:
        """Open the window; closing it ends the jam."""
        self.add(
            WindowProgram(
                engine, look, ends="jam", on_close=lambda: self._calls.put(lambda: self.end(0))
            )
        )

    def run(self) -> int:
        """Keep the engines running until the end; return the exit status."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._calls, selectors.EVENT_READ)
                for engine in self._engines:
                    selector.register(engine.monitor, selectors.EVENT_READ, engine.monitor)
                while self._status is None:
                    now = time.monotonic()
                    wait = min(each.advance(now) for each in self._engines)
                    ready = selector.select(min(wait, self._spare.advance(now)))
                    self._calls.drain()
                    for key, _ in ready:
                        if key.data is not None:
                            key.data.receive()
                    ended = [each.status for each in self._engines if each.status is not None]
                    if ended and self._status is None:
                        self._status = ended[0]
        finally:
            signal.set_wakeup_fd(-1)
            self._spare.close()
            for program in self._beside:
                program.close()
            ending = [
                threading.Thread(target=each.end, args=(_PATIENCE,)) for each in self._engines
            ]
            for thread in ending:
                thread.start()
            for thread in ending:
                thread.join()
        return self._status or 0


def _warn(text: str) -> None:
    print_line(f"robojam: {text}", sys.stderr)


def _inform(text: str) -> None:
    print_line(text, sys.stdout)


@contextmanager
def window_beside(engine: tuple[str, int], on_close: Callable[[str], None]) -> Iterator[None]:
    """Keep a window open while the block runs.

    on_close is called with a reason, on another thread, when the window is closed before the
    block ends; not when no window could be opened.
    """
    window = WindowProgram(
        engine, Look(), ends="replay", on_close=lambda: on_close("the window was closed")
    )
    try:
        yield
    finally:
        window.close()
