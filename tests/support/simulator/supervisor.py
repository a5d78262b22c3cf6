"""Supervisor of a simulated run: the real one, of which the loop and the processes are not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from robojam.app.supervisor import ControlMonitor, EngineProgram
from robojam.config.options import Options
from robojam.engine.takes import Resumed
from robojam.jam.events import ControlChanged
from support.simulator.network import ENGINE, LOOPBACK, Address, Network
from support.simulator.process import Process
from support.simulator.world import World

#: Address of the supervisor's monitor.
SUPERVISOR: Final[Address] = ("127.0.0.1", 4990)
#: Most seconds until the supervisor, beside other programs, looks at what has come.
_LATE: Final = 0.02
#: Least seconds that it sleeps.
_LEAST: Final = 0.001
#: Share of starts that fail, as where there are too many processes.
_FAILING: Final = 0.1
#: Deaths within so many seconds after which it gives up, or waits for as long.
_DEATHS, _WITHIN = 3, 30.0
#: Seconds before a kill from which on the supervisor may not have heard of a control.
_ON_THE_WAY: Final = 0.010
#: Seconds until it tries again what could not be started.
_RETRY: Final = 1.0


class _Endpoint:
    """Socket of the supervisor's monitor."""

    address = SUPERVISOR

    def __init__(self, network: Network) -> None:
        self._network = network
        self.waiting: deque[bytes] = deque()
        self.last_at: float | None = None  # when the last packet of this engine came

    def take(self, packet: bytes) -> None:
        self.last_at = self._network.world.now
        self.waiting.append(packet)

    def send(self, packet: bytes, to: Address) -> bool:
        assert to == ENGINE
        self._network.to_engine(packet, SUPERVISOR, LOOPBACK)
        return True

    def receive(self) -> tuple[bytes, Address] | None:
        return (self.waiting.popleft(), ENGINE) if self.waiting else None


class _Child:
    """Process of an engine, as the supervisor sees it."""

    pid = -1

    def __init__(self) -> None:
        self.tell_end: Callable[[int], None] = lambda _: None

    def on_exit(self, callback: Callable[[int], None]) -> None:
        self.tell_end = callback


class SimulatedSupervisor:
    """Supervisor that starts engines: `launched` has the options and recording of the next."""

    def __init__(
        self, world: World, network: Network, options: Options, *, random: Random
    ) -> None:
        """Supervise from now on; the first start is planned, and never fails."""
        self._world, self._random = world, random
        self._calls: deque[Callable[[], None]] = deque()
        self.endpoint = _Endpoint(network)
        self.stays = random.random() < 0.5
        self.monitor = ControlMonitor(ENGINE, options, find=str, endpoint=self.endpoint)  # type: ignore[arg-type]
        self.program = EngineProgram(
            self.monitor, self._call, env={}, launch=self._launch, stays=self.stays,
            others=(), clock=lambda: world.now,
        )  # fmt: skip
        self.launched: tuple[Options, Path | None] | None = None
        self.failed = 0  # starts, since the last death
        self._child = _Child()
        self._deaths: list[float] = []
        self._turn_at = float("inf")
        self._heard_at: float | None = None  # when the engine that died last said something
        network.connect(SUPERVISOR, LOOPBACK, self._take)
        self._plan(0.0)

    def died(self) -> None:
        """Have the system tell that the engine was killed, or has crashed."""
        status = self._random.choice((-9, -11))
        self.launched, self.failed, self._heard_at = None, 0, self.endpoint.last_at
        self._call(lambda: self._deaths.append(self._world.now))
        self._child.tell_end(status)

    def wait(self) -> tuple[Options, Path | None] | None:
        """Pass the time until the next engine is started; None where it is given up."""
        world, died = self._world, self._world.now
        while self.launched is None and self.program.status is None:
            assert world.now < died + 5 * _WITHIN, "the engine is not started again"
            world.pass_time(0.01)
        last = self._deaths[-_DEATHS:]
        too_many = len(last) == _DEATHS and last[-1] - last[0] <= _WITHIN
        assert (self.program.status is not None) == (too_many and not self.stays), (
            f"engines died at {last}, and the exit status is {self.program.status}"
        )
        if self.launched is not None:
            after = world.now - last[-1]
            least = _WITHIN if too_many else _RETRY if self.failed else 0.0
            assert least <= after < least + 0.1, f"started again after {after} s"
        return self.launched

    def check_options(self, old: Process, options: Options, resumed: Resumed | None) -> None:
        """Check that an engine begins with the settings that the one before had in force.

        What was set in its last moments may be lost, or all that was set where the supervisor
        never heard of it.
        """
        settings = options.settings() if resumed is None else resumed.jam.settings
        now, before = asdict(settings), asdict(old.engine.live.settings)
        assert old.killed_at is not None
        since = old.began_at if self._heard_at is None else old.killed_at - _ON_THE_WAY
        since -= self._world.stalled_between(since, old.killed_at)
        lost = {
            each.event.name
            for each in old.tape.published
            if isinstance(each.event, ControlChanged) and each.now >= since
        }
        # One that plays by itself and was silenced is paused.
        differing = {n for n in now if now[n] != before[n]} - lost - {"pause"}
        assert not differing, (
            f"in force were {[(n, before[n]) for n in differing]}, and the next engine has "
            f"{[(n, now[n]) for n in differing]}"
        )

    def _take(self, packet: bytes) -> None:
        self.endpoint.take(packet)
        self._plan(self._random.uniform(0.0, _LATE))

    def _call(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        self._plan(self._random.uniform(0.0, _LATE))

    def _plan(self, wait: float) -> None:
        """Plan the next turn of its loop, unless there is an earlier one."""
        at = self._world.now + wait
        if at < self._turn_at:
            self._turn_at = at
            self._world.at(at, lambda: self._turn(at))

    def _turn(self, planned: float) -> None:
        """Do what one turn of the supervisor's loop does."""
        if planned != self._turn_at:
            return
        self._turn_at = float("inf")
        while self._calls:
            self._calls.popleft()()
        if self.endpoint.waiting:
            self.monitor.receive()
        wait = self.program.advance(self._world.now)
        self._plan(0.0 if self.endpoint.waiting else max(_LEAST, wait))

    def _launch(
        self, command: Sequence[str], _env: Mapping[str, str], _stdout: int | None
    ) -> Any:
        if self._deaths and self._random.random() < _FAILING:
            self.failed += 1
            self._deaths.append(self._world.now)
            raise OSError(11, "Resource temporarily unavailable")
        words = list(command)
        options = msgspec.json.decode(words[words.index("--options") + 1], type=Options)
        path = Path(words[words.index("--resume") + 1]) if "--resume" in words else None
        self.launched, self._child = (options, path), _Child()
        self.endpoint.last_at = None
        return self._child
