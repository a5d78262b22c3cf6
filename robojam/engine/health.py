"""Health of a jam, for its hosts: what would spoil a show, in one word and in a few lines.

It is sent as `/robojam/health` to the monitors of hosts, at each change and each second of a
show. Players and the audience are told nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from robojam.engine.beat_clock import BeatClock
from robojam.engine.live_jam import LiveJam
from robojam.engine.metrics import DropCounter
from robojam.engine.publisher import Publisher
from robojam.ports.interface import Port
from robojam.ports.listener import Listener
from robojam.sessions.recorder import LITTLE_ROOM
from robojam.system.machine_watch import MachineReading
from robojam.wire.port_problems import plain, port_problems

#: Words of a jam that is well, of one that plays with a fault, and of one that needs somebody.
OK, WARN, BAD = "ok", "warn", "bad"
_RANK: Final = {OK: 0, WARN: 1, BAD: 2}
#: Seconds between two looks, and between two messages where nothing has changed.
_LOOK: Final = 0.25
_REPEAT: Final = 1.0
#: Seconds that must be free for a look, as it takes a part of a millisecond; and seconds after
#: which it is not postponed any more.
_FREE_TIME: Final = 0.003
_MOST_POSTPONED: Final = 1.0
#: Seconds for which a touch that was late, a delay or an error is reported.
REPORTED: Final = 10.0
#: Bytes free on the disk with which a recording has an hour, at most.
_NO_ROOM: Final = 50_000_000
#: Charge of the battery, in per cent, that is low, and very low.
_LOW, _VERY_LOW = 20.0, 10.0
#: Most problems that are told, and letters of each.
_MAX_PROBLEMS, _MAX_LETTERS = 8, 160


@dataclass(frozen=True, slots=True)
class Health:
    """State of a jam: a word, ok, warn or bad, and a line for each problem, the worst first."""

    state: str
    problems: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All problems in one line; "" for none."""
        return "; ".join(self.problems)


class HealthWatch:
    """Judge of a jam's health; `advance` sends it in a show."""

    def __init__(
        self,
        live: LiveJam,
        *,
        counts: DropCounter,
        publisher: Publisher,
        beat_clock: BeatClock,
        endpoint: Listener,
        ports: Callable[[], Iterable[Port]],
        machine: Callable[[], MachineReading],
        send: Callable[[Health], None],
    ) -> None:
        """Judge by all these; machine returns the last reading of the machine.

        send sends the health to the hosts' monitors.
        """
        self._live, self._counts, self._publisher = live, counts, publisher
        self._beat_clock, self._endpoint, self._ports = beat_clock, endpoint, ports
        self._machine, self._send = machine, send
        self._last = Health("")
        self._look_at = self._repeat_at = float("-inf")

    def advance(self, now: float, until_due: float) -> float:
        """Send the health when it is time; return the seconds until the next call.

        until_due is in seconds, until the jam has something to play.
        """
        if now < self._look_at:
            return self._look_at - now
        if until_due < _FREE_TIME and now < self._look_at + _MOST_POSTPONED:
            return until_due
        self._look_at = now + _LOOK
        health = self.judge(now)
        if health != self._last or now >= self._repeat_at:
            self._last, self._repeat_at = health, now + _REPEAT
            self._send(health)
        return _LOOK

    def judge(self, now: float) -> Health:
        """Return the health at an instant."""
        found = [*self._of_recording(), *self._of_machine(), *self._of_ports(now)]
        found += self._of_engine(now)
        found.sort(key=lambda each: -_RANK[each[0]])
        state = found[0][0] if found else OK
        return Health(state, tuple(plain(t, _MAX_LETTERS) for _, t in found[:_MAX_PROBLEMS]))

    def status(self, now: float) -> dict[str, object]:
        """Return the health as JSON values."""
        health = self.judge(now)
        return {"state": health.state, "problems": list(health.problems)}

    def _of_recording(self) -> Iterator[tuple[str, str]]:
        takes = self._live.takes
        if takes.failed is not None:
            yield BAD, f"recording: {takes.failed}"
        elif takes.trouble:
            yield WARN, f"recording: {takes.trouble[-1]}"

    def _of_machine(self) -> Iterator[tuple[str, str]]:
        reading = self._machine()
        if self._live.takes.recording:
            if reading.is_stuck:
                yield BAD, "the disk of the recordings does not answer"
            elif reading.free is not None and reading.free < LITTLE_ROOM:
                state = BAD if reading.free < _NO_ROOM else WARN
                yield state, f"the disk is nearly full: {reading.free / 1e6:.0f} MB free"
        battery = reading.battery
        if battery is not None and battery.is_discharging and battery.percent <= _LOW:
            state = BAD if battery.percent <= _VERY_LOW else WARN
            yield state, f"the battery is at {battery.percent:.0f} %: plug it in"

    def _of_ports(self, now: float) -> Iterator[tuple[str, str]]:
        status: dict[str, Any] = dict(self._endpoint.status())
        for port in self._ports():
            status |= port.status()
        for problems in port_problems(status).values():
            for problem in problems:
                yield BAD, problem
        web = status.get("web")
        if isinstance(web, Mapping) and web.get("problem"):
            yield WARN, f"phones: {web['problem']}"
        if problem := self._beat_clock.status(now)["problem"]:
            yield WARN, f"clock: {problem}"

    def _of_engine(self, now: float) -> Iterator[tuple[str, str]]:
        live, late = self._live, self._publisher.late
        if now - self._counts.error_at < REPORTED:
            yield BAD, "an error that nobody foresaw; the log has it"
        if now - late.at < REPORTED:
            yield WARN, f"plays {1000 * late.worst:.0f} ms late"
        if now - live.held_up_at < REPORTED:
            yield WARN, "the engine was held up: another program takes its time"
        if live.load.resting:
            of_all = live.takes.options.voices
            yield (
                WARN,
                f"{live.load.resting} of {of_all} voices rest: there is no time for them",
            )
