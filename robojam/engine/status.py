"""Status of an engine: its state and its counts, as JSON, for any program that asks."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robojam.engine.beat_clock import BeatClock
from robojam.engine.fit_json import fit_json
from robojam.engine.health import HealthWatch
from robojam.engine.humans import Humans
from robojam.engine.live_jam import LiveJam
from robojam.engine.metrics import DropCounter, memory_mb
from robojam.engine.monitors import Monitors
from robojam.engine.publisher import Publisher
from robojam.engine.roles import Roles
from robojam.ports.interface import Port
from robojam.ports.listener import Listener
from robojam.wire.dialects import OscReader


class Status:
    """What a live jam, its humans and its ports say of themselves."""

    def __init__(
        self,
        live: LiveJam,
        humans: Humans,
        *,
        counts: DropCounter,
        roles: Roles,
        monitors: Monitors,
        publisher: Publisher,
        endpoint: Listener,
        reader: OscReader,
        ports: Callable[[], Iterable[Port]],
        priority: Callable[[], str],
        beat_clock: BeatClock,
        health: HealthWatch,
        clock: Callable[[], float],
    ) -> None:
        """Report on all these; ports returns the ports that there are now.

        priority returns that of the process, in words.
        """
        self._health = health
        self._live, self._humans, self._counts, self._roles = live, humans, counts, roles
        self._monitors, self._publisher, self._endpoint = monitors, publisher, endpoint
        self._reader, self._ports, self._clock = reader, ports, clock
        self._priority, self._beat_clock = priority, beat_clock
        self._started, self._started_at = datetime.now(UTC), clock()
        # Asked once: the disk may die.
        self._sessions = str(Path(live.takes.options.sessions).resolve())

    def controls(self) -> dict[str, Any]:
        """Return the controls in force, by name; a seed not yet drawn is None."""
        live = self._live
        return {
            **asdict(live.settings),
            "record": int(live.takes.recording),
            "web": int(live.takes.options.web != "none"),
            "model": live.info.model.file,
            "seed": live.takes.seed,
        }

    def clock(self) -> dict[str, Any]:
        """Return the state of the clock as of now: the control `clock` is its source."""
        state = self._beat_clock.status(self._clock())
        return {"source": self._live.settings.clock, **state}

    def encode(self, most: int, *, here: bool, clock: bool = True) -> str:
        """Return the status, as JSON of `most` bytes at most.

        here: it is for this machine. Others get no path, and no address of a player. clock:
        with the state of the clock, which is right for now alone.
        """
        live, takes, counts, now = self._live, self._live.takes, self._counts, self._clock()
        jam, echo = live.jam, self._reader.echo
        status: dict[str, Any] = {
            **{name: value for name, value in self.controls().items() if name != "web"},
            "device": live.info.device,
            "build": live.info.build,
            "turn": jam.turn,
            "turn_left": jam.turn_left,
            "paused": bool(live.settings.pause),
            "replaying": jam.replaying,
            "recording": takes.recorded,
            "trouble": takes.trouble,
            "health": self._health.status(now),
            "show": takes.options.show,
            "unlocked": self._roles.unlocked,
            "fingers": jam.fingers,
            "players": self._humans.senders.status(now),
            "played": counts.played,
            "heard": counts.heard,
            "replaced": counts.replaced,
            "model_faults": counts.faults,
            "plans": jam.plans,
            "planned": counts.planned,
            "plans_late": counts.plans_late,
            "plans_dropped": counts.plans_dropped,
            "dropped": counts.dropped,
            "refused": self._roles.status(),
            "clipped": self._humans.clipped,
            **self._endpoint.status(),
            "late_ms_p99": 1000 * self._publisher.lateness.p99,
            "late_ms_max": 1000 * self._publisher.lateness.worst,
            "beat_late_ms_p99": 1000 * self._publisher.beat_lateness.p99,
            "latency_ms": 1000 * self._publisher.latency,
            "held_up": live.held_up,
            "resting": live.load.resting,
            "priority": self._priority(),
            "monitors": len(self._monitors),
            "monitors_unsent": self._monitors.unsent,
            "started": self._started.isoformat(),
            "uptime_s": now - self._started_at,
            "cpu_s": time.process_time(),
            "memory_mb": memory_mb(),
            "voices": takes.options.voices,
            "knobs": takes.options.knobs,
            "memories": jam.memories,
            "sessions": self._sessions,
            **self._reader.status(),
            "echo": echo.status(now),
        }
        for port in self._ports():
            status |= port.status()
        if clock:
            status["clock"] = self.clock()
        else:
            del status["clock"]
        if not here:
            del status["sessions"]
            del status["health"]  # for hosts, who get it as a message
            if "web" in status:
                del status["web"]["url"]  # whoever has it may play
            status["recording"] = Path(status["recording"]).name
            status["trouble"] = ["a recording fails"] if status["trouble"] else []
            for player in (*status["players"], *status["echo"]):
                player["source"] = ""
        return fit_json(status, most)
