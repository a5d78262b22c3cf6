"""The engine: one loop that owns the clock and the ports, and lets the jam happen.

The path of a deadline, from the selector's return to the packet's leaving: it may
compute one touch, and put a line on the recorder's queue. It never waits for a disk,
a terminal, a network or a lock that another thread holds; it logs through a queue; it
keeps nothing without bound. Nothing here polls: the loop sleeps until the next packet
or the next instant at which something is due, whichever is first.
"""

from __future__ import annotations

import json
import logging
import math
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from robojam.config.options import Options
from robojam.controls import CONTROLS, RefusedError, Settings, validate_control
from robojam.engine.metrics import DropCounter, RateLimiter, memory_mb
from robojam.engine.monitors import Monitors
from robojam.engine.participants import Participants
from robojam.engine.preview import Preview
from robojam.engine.publisher import Publisher
from robojam.engine.takes import LoadedPlayer, Takes
from robojam.jam.events import ControlChanged, Counters, Event
from robojam.jam.jam import Jam
from robojam.ports.interface import InputPort, OutputPort, Port
from robojam.ports.udp import Address, Endpoint
from robojam.system.call_queue import CallQueue
from robojam.system.priority import ORDINARY
from robojam.touch import Phase
from robojam.wire import dialects, native, osc

log = logging.getLogger("robojam")

#: What the engine prints when it is ready begins so.
READY: Final = "listening on udp://"
#: Packets that are read before what is due is looked at again.
_BURST = 32
#: An engine this many seconds late was asleep (a closed lid, a stopped process): what
#: was due meanwhile is not played in a heap, the machine goes on where it was.
_ASLEEP = 0.5
#: One that cannot keep up (a timescale of 0.001) goes on from where it has come after so
#: many seconds, and hears what has come in meanwhile.
_BUDGET = 0.1
#: New recordings that are begun for who asks: a second, and in a burst.
_RECORDINGS = (1, 10)
#: Times that it was held up which are told: a second, and in a burst. All are counted.
_TELLING = (0.1, 3)

#: What comes of asking for a model: a player, or why there is none.
Loaded = LoadedPlayer | Exception


class Engine:
    """The engine of a jam. `run` returns when it is asked to stop."""

    def __init__(
        self,
        options: Options,
        playing: LoadedPlayer,
        *,
        endpoint: Endpoint,
        settings: Settings,
        load: Callable[[str, Callable[[Loaded], None]], None],
        outputs: Sequence[OutputPort] = (),
        inputs: Sequence[InputPort] = (),
        reader: dialects.OscReader | None = None,
        make_jam: Callable[[Callable[[Event], None], Counters], Jam] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare a jam.

        load finds a model by its file's name within the models folder and hands over
        what came of it, from a thread of its own. outputs and inputs are what is plugged
        in besides the endpoint; the server closes them. reader reads what comes in at the
        endpoint. make_jam makes what stands in the jam's place in a replay.
        """
        self.options, self.playing, self.endpoint = options, playing, endpoint
        self._load, self._make_jam, self._clock = load, make_jam, clock
        self._inputs = tuple(inputs)
        self._ports: tuple[Port, ...] = (*outputs, *inputs)
        self._reader = reader or dialects.OscReader()
        self._monitors = Monitors(endpoint.send)
        self._participants = Participants()
        self._recordings, self._telling = RateLimiter(*_RECORDINGS), RateLimiter(*_TELLING)
        self._settings = settings
        self._counts = DropCounter(clock)
        self._clipped = self._held_up = 0
        self.priority = ORDINARY
        self._started, self._since = datetime.now(UTC), clock()
        self._stopping: str | None = None
        self.calls = CallQueue()
        self._takes = Takes(options, on_trouble=self.calls.put)
        self._sessions = str(Path(options.sessions).resolve())  # a dead disk is not asked again
        self._publisher = Publisher(
            outputs, self._monitors, self._takes, lambda: self.playing.model, clock
        )
        self._preview = Preview(self._publisher.send_to_outputs)
        self.jam = self._new_jam()

    # -- from other threads ---------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Let the loop end, soon. For any thread and for signal handlers."""
        self.calls.put(lambda: self._stop(reason))

    # -- the loop ------------------------------------------------------------------------

    def run(self) -> None:
        """Play until stopped; then lift every finger and close the recording."""
        acts: dict[int, Callable[[], None]] = {
            self.calls.fileno(): self.calls.drain,
            self.endpoint.fileno(): self._receive,
            **{port.fileno(): partial(self.take_in, port) for port in self._inputs},
        }
        files = list(acts)
        self._begin_if_alone(self._clock())
        try:
            while self._stopping is None:
                wait = self.advance()
                # Not epoll: it rounds deadlines up to whole milliseconds.
                ready, _, _ = select.select(files, (), (), None if wait == math.inf else wait)
                for file in ready:
                    acts[file]()
        finally:
            self.finish(self._stopping or "error")

    def _stop(self, reason: str) -> None:
        self._stopping = reason

    def advance(self) -> float:
        """Play what is due; return the seconds until there is more to do."""
        now = self._clock()
        self._monitors.lapse(now)
        if self._takes.begun:
            self._reach(now)
        gone, lapse = self._reader.lapse(now)
        for source, what in gone:
            self._input(what, source, now)
        look = min(lapse, self._preview.lapse(now))
        if self._monitors:
            heard = (self._counts.heard, self._counts.played)
            forecast = self.playing.player.forecast
            expect = self._monitors.expect(heard, forecast, self._clock(), self._wait())
            look = min(look, expect)
        return min(look, self._publisher.advance(), self._wait())

    def _wait(self) -> float:
        """Seconds until the next is due."""
        due = self.jam.due if self._takes.begun else None
        return math.inf if due is None else max(0.0, due - self._takes.t(self._clock()))

    def _reach(self, now: float) -> float:
        """Play what is due at or before now; return the time of the take."""
        t, began = self._takes.t(now), self._clock()
        while (due := self.jam.due) is not None and due <= t:
            late = t - due > _ASLEEP or self._clock() - began > _BUDGET
            if late and not (self._settings.pause or self.jam.silenced):
                self._held_up += 1
                if self._telling.take(self._clock()):
                    log.warning("held up for %.1f s; the jam goes on from there", t - due)
                self.jam.control(due, "pause", 1)
                self.jam.control(t, "pause", 0)
            self.jam.advance(min(max(due, self.jam.t), t))
        self.jam.advance(t)
        return t

    def _receive(self) -> None:
        for _ in range(_BURST):
            got = self.endpoint.receive()
            if got is None:
                return
            self.packet(*got, self._clock())

    def finish(self, reason: str) -> None:
        """Lift every finger, close the recording, give the port back."""
        t = self._reach(self._clock()) if self._takes.begun else 0.0
        self.jam.finish(t)
        self._takes.end(t, reason, self._publisher.late)
        self._takes.close()
        for plugged in self._ports:
            plugged.close()
        self.endpoint.close()

    # -- takes ------------------------------------------------------------------------------

    def _new_jam(self) -> Jam:
        """Make what waits for the first touch of a new take."""
        if self._make_jam is not None:
            return self._make_jam(self._publisher.handle, self._counts)
        return Jam(self.playing.player, self._settings, self._publisher.handle, self._counts)

    def _begin(self, arrival: float) -> None:
        """Begin the take, if it has not begun."""
        if not self._takes.begun:
            self._takes.begin(arrival, self.playing, self._settings)
            self.jam.begin()

    def _begin_if_alone(self, arrival: float) -> None:
        """Begin the take if the machine plays on its own."""
        if self.jam.starts_alone:
            self._begin(arrival)

    # -- what comes in ----------------------------------------------------------------------

    def packet(self, data: bytes, sender: Address, arrival: float) -> None:
        """Take in a packet that arrived at an instant of the clock."""
        if self._takes.begun:
            self._reach(arrival)
        if self.endpoint.is_own(sender):
            self._counts.drop("echo")
            return
        messages, dropped = osc.decode(data)
        for reason in dropped:
            self._counts.drop(reason)
        for message in messages:
            for source, what in self._reader.read(message, sender[0], arrival):
                if isinstance(what, native.Subscribe):
                    self._subscribe((sender[0], what.port), arrival, on=what.on)
                elif isinstance(what, native.PreviewTouch):
                    if refused := self._preview.take(what, arrival):
                        self._counts.drop(refused)
                elif isinstance(what, native.StatusRequest):
                    answer = osc.encode("/robojam/status", "s", self.status())
                    self.endpoint.send(answer, sender)
                else:
                    self._input(what, source, arrival)

    def take_in(self, port: InputPort) -> None:
        """Handle what an input port has received."""
        for source, what in port.receive():
            arrival = self._clock()
            if self._takes.begun:
                self._reach(arrival)
            self._input(what, source, arrival)

    def _input(self, what: native.Input, source: str, arrival: float) -> None:
        if isinstance(what, native.Finger | native.PhaselessTouch):
            self._touch(what, source, arrival)
        elif isinstance(what, native.Control):
            self._control(what.name, what.value, source, arrival)
        elif isinstance(what, native.Dropped):
            self._counts.drop(what.reason, what.about)
        else:
            self._counts.drop("wrong port")

    def _touch(
        self, what: native.Finger | native.PhaselessTouch, source: str, arrival: float
    ) -> None:
        self._clipped += what.clipped
        if isinstance(what, native.Finger) and what.phase is Phase.UP:
            known = self._participants.known(source)
            if known is None:
                self._counts.drop("absent finger")
            else:
                self.jam.finger(self._takes.t(arrival), known, what.id, what.phase)
            return
        who, refused = self._participants.let_in(source, arrival)
        if refused:
            self._counts.drop(refused)
            return
        self._begin(arrival)
        t = self._takes.t(arrival)
        if isinstance(what, native.PhaselessTouch):
            self.jam.plain(t, who, what.x, what.y, what.dt)
        else:
            self.jam.finger(t, who, what.id, what.phase, what.x, what.y)

    def _subscribe(self, who: Address, arrival: float, *, on: bool) -> None:
        if not on:
            self._monitors.remove(who)
            return
        if self.endpoint.is_own(who):
            self._counts.drop("echo")
            return
        new = self._monitors.add(who, arrival)
        if new is None:
            self._counts.drop("too many monitors")
        if new:
            log.info("%s:%d watches", *who)
            self.endpoint.send(native.turn(self.jam.turn), who)
            for name, value in self._controls().items():
                if value is not None:
                    self.endpoint.send(native.control(name, value), who)

    def _controls(self) -> dict[str, Any]:
        """All controls as they are in force, by name; a seed not yet drawn is None."""
        return {
            **asdict(self._settings),
            "record": int(self._takes.recording),
            "model": self.playing.model.file,
            "seed": self._takes.seed,
        }

    # -- controls ---------------------------------------------------------------------------

    def _control(self, name: str, value: Any, source: str, arrival: float) -> None:
        if self._make_jam is not None and not (name in CONTROLS and CONTROLS[name].replay):
            self._counts.drop("replaying")
            return
        try:
            value = validate_control(
                name, value, self._settings, self._participants.known(source)
            )
        except RefusedError as refused:
            self._counts.drop(refused.reason, refused.about)
            return
        if self._monitors.returned(name, value, source, arrival):
            self._counts.drop("echo")
            return
        if name == "record":
            self._record(arrival, on=bool(value))
        elif name == "model":
            self._load(value, lambda got: self.calls.put(lambda: self._model_came(value, got)))
        else:
            if name == "seed":
                self._takes.reseed(value)
            if name in ("answer", "panic"):  # the take's first event may be one of these
                self._begin(arrival)
            took = self.jam.control(self._takes.t(arrival), name, value)
            if name == "panic":
                self._preview.end(arrival)
                if not took:  # silent as it is; what it plays to may not be
                    self._publisher.send_to_outputs(
                        ControlChanged(self.jam.t, name, value), arrival
                    )
        self._begin_if_alone(arrival)

    def _record(self, arrival: float, *, on: bool) -> None:
        takes = self._takes
        if on == takes.recording and not (on and takes.begun):
            return
        if on and not self._recordings.take(arrival):
            self._counts.drop("too many recordings")
            return
        t, turn = takes.t(arrival), self.jam.turn
        if on:
            if self.jam.silenced and self._settings.mode == "solo":
                self._settings.pause = 1  # a panic holds until pause 0, in the next take too
                self._monitors.control("pause", 1, arrival)
            if takes.begun:
                self.jam.finish(t)
            takes.end(t, "a new recording", self._publisher.late)
            takes.await_next()
            self.jam = self._new_jam()
            if self.jam.turn != turn:
                self._monitors.send(native.turn(self.jam.turn))
        else:
            takes.end(t, late=self._publisher.late)
        takes.recording = on
        self._monitors.control("record", int(on), arrival)

    def _model_came(self, name: str, got: Loaded) -> None:
        if isinstance(got, Exception):
            self._counts.drop("no such model", f"{name!r:.80}: {got}")
        elif got.model != self.playing.model:
            now = self._clock()
            t = self._reach(now) if self._takes.begun else 0.0
            self.playing = got
            self.jam.swap(t, got.player, got.model.file)

    # -- how it does ------------------------------------------------------------------------

    def status(self) -> str:
        """Return what there is to know, as JSON."""
        about: dict[str, Any] = {
            **self._controls(),
            "device": self.playing.device,
            "turn": self.jam.turn,
            "turn_left": self.jam.turn_left,
            "paused": bool(self._settings.pause),
            "replaying": self._make_jam is not None,
            "recording": self._takes.recorded,
            "trouble": self._takes.trouble,
            "fingers": self.jam.fingers,
            "played": self._counts.played,
            "heard": self._counts.heard,
            "replaced": self._counts.replaced,
            "dropped": self._counts.dropped,
            "clipped": self._clipped,
            "unsent": self.endpoint.unsent,
            "late_ms_p99": 1000 * self._publisher.late.p99,
            "late_ms_max": 1000 * self._publisher.late.worst,
            "held_up": self._held_up,
            "priority": self.priority,
            "monitors": len(self._monitors),
            "started": self._started.isoformat(),
            "uptime_s": self._clock() - self._since,
            "cpu_s": time.process_time(),
            "memory_mb": memory_mb(),
            "voices": self.options.voices,
            "memories": sorted(self.jam.past.stored),
            "sessions": self._sessions,
            **self._reader.status(),
        }
        for plugged in self._ports:
            about |= plugged.status()
        return json.dumps(about)
