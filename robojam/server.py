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
import queue
import secrets
import selectors
import socket
import sys
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam import options as option
from robojam.jam import (
    Changed,
    Counts,
    Happening,
    Jam,
    Pending,
    Player,
    Settings,
    Sounded,
    Turned,
)
from robojam.options import Options
from robojam.ports import Address, Endpoint, Monitors, resolve
from robojam.recorder import Recorder
from robojam.session import Header, ModelRef, SetEvent, TouchEvent
from robojam.touch import Phase, is_machine, nth
from robojam.wire import native, osc

log = logging.getLogger("robojam")

#: Players that can be told apart by their host; more is a flood.
MAX_HUMANS = 64
#: Packets that are read before what is due is looked at again.
_BURST = 32
#: An engine this many seconds late was asleep (a closed lid, a stopped process): what
#: was due meanwhile is not played in a heap, the machine goes on where it was.
_ASLEEP = 1.0
#: Seconds between forecasts to monitors: a window draws no more often.
_FORECAST_EVERY = 1 / 30
#: Latenesses that are kept for the status, in seconds.
_LATENESSES = 1024


@dataclass(frozen=True, slots=True)
class Playing:
    """A player with what the recording says of it."""

    player: Player
    model: ModelRef
    device: str
    build: str


class Server:
    """The engine of a jam. `run` returns when it is asked to stop."""

    def __init__(
        self,
        options: Options,
        playing: Playing,
        *,
        endpoint: Endpoint,
        settings: Settings,
        load: Callable[[str], Playing],
        make_jam: Callable[[Callable[[Happening], None], Counts], Jam] | None = None,
        echo_humans: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare a jam.

        load finds a model by its file's name within the models folder, and raises
        ValueError where there is none; it is called in a thread of its own. make_jam
        makes what stands in the jam's place in a replay; echo_humans lets the outputs
        have the humans' touches too. Raises PortError when an output's host is not known.
        """
        self.options, self.playing, self.endpoint = options, playing, endpoint
        self._load, self._clock = load, clock
        self._make_jam, self._echo_humans = make_jam, echo_humans
        self._outputs = [
            resolve(o.host, o.port) for o in map(option.parse_output, options.osc_out)
        ]
        self._monitors = Monitors(endpoint.send)
        self._humans: dict[str, str] = {}
        self._settings = settings
        self._counts = Counts()
        self._clipped = 0
        self._late = array("d", bytes(8 * _LATENESSES))
        self._lates = 0
        self._started = datetime.now(UTC)
        self._trouble: list[str] = []
        self._warned = -1.0
        self._dropped_since = 0
        self._forecast_at = -1.0
        self._echoed: dict[str, float] = {}
        self._loading = False
        self._stopping: str | None = None
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self.recording = options.record
        self._recorder = Recorder(
            Path(options.sessions),
            on_trouble=lambda what: self.call(lambda: self._in_trouble(what)),
        )
        self._origin: float | None = None
        self._seed = options.seed
        self._new_jam()

    # -- from other threads ---------------------------------------------------------

    def call(self, act: Callable[[], None]) -> None:
        """Let the loop do something soon. For any thread."""
        self._calls.put(act)
        self.wake()

    def wake(self) -> None:
        """End the loop's sleep. For any thread."""
        try:
            self._wake.send(b"\0")
        except OSError:
            return  # it is awake: its socket is full, or closed

    def stop(self, reason: str) -> None:
        """Let the loop end, soon. For any thread and for signal handlers."""
        self.call(lambda: self._stop(reason))

    @property
    def wake_fd(self) -> int:
        """For signal.set_wakeup_fd."""
        return self._wake.fileno()

    # -- the loop ------------------------------------------------------------------------

    def run(self) -> None:
        """Play until stopped; then lift every finger and close the recording."""
        # Not epoll: it rounds deadlines up to whole milliseconds.
        with selectors.SelectSelector() as selector:
            selector.register(self.endpoint, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            self._begin_if_alone(self._clock())
            try:
                while self._stopping is None:
                    selector.select(self._advance())
                    self._drain()
                    self._receive()
            finally:
                self._finish(self._stopping or "error")

    def _stop(self, reason: str) -> None:
        self._stopping = reason

    def _advance(self) -> float | None:
        """Play what is due; return the seconds until the next, None without end."""
        if self._origin is None:
            return None
        now = self._clock() - self._origin
        due = self.jam.due
        if due is not None and now - due > _ASLEEP and not self._settings.pause:
            log.warning("the engine was held up for %.1f s; going on from there", now - due)
            self.jam.control(due, "pause", 1)
            self.jam.control(now, "pause", 0)
        self.jam.advance(now)
        due = self.jam.due
        return None if due is None else max(0.0, due + self._origin - self._clock())

    def _drain(self) -> None:
        """Do what other threads asked for."""
        try:
            while self._woken.recv(4096):
                pass
        except OSError:
            pass  # drained
        while not self._calls.empty():
            self._calls.get_nowait()()

    def _receive(self) -> None:
        for _ in range(_BURST):
            got = self.endpoint.receive()
            if got is None:
                return
            self._packet(*got, self._clock())

    def _finish(self, reason: str) -> None:
        t = self._now(self._clock())
        self.jam.finish(t)
        self._recorder.end(t, reason)
        self._recorder.close()
        self.endpoint.close()

    # -- takes ------------------------------------------------------------------------------

    def _new_jam(self) -> None:
        """Wait for the first touch of a new take."""
        self._origin = None
        if self._make_jam is not None:
            self.jam = self._make_jam(self._happened, self._counts)
        else:
            self.jam = Jam(self.playing.player, self._settings, self._happened, self._counts)

    def _now(self, arrival: float) -> float:
        """Seconds since the beginning of the take; 0 while it waits to begin."""
        return 0.0 if self._origin is None else arrival - self._origin

    def _begin(self, arrival: float) -> None:
        """Begin the take, if it has not begun."""
        if self._origin is not None:
            return
        self._origin = arrival
        self.take_seed = secrets.randbits(63) if self._seed is None else self._seed
        self.playing.player.reset()
        self.playing.player.seed(self.take_seed)
        if self.recording:
            self._trouble.clear()
            self._recorder.begin(self._header())
        self.jam.begin()

    def _begin_if_alone(self, arrival: float) -> None:
        """Begin the take if the machine plays on its own."""
        if self._origin is None and self.jam.would_begin:
            self._begin(arrival)

    def _header(self) -> Header:
        chosen = msgspec.to_builtins(self.options)
        in_force = asdict(self._settings) | {"seed": self.take_seed}
        return Header(
            started=datetime.now(UTC).isoformat(),
            model=self.playing.model,
            device=self.playing.device,
            build=self.playing.build,
            seed=self.take_seed,
            options={**chosen, **in_force},
        )

    # -- what comes in ----------------------------------------------------------------------

    def _packet(self, data: bytes, sender: Address, arrival: float) -> None:
        if self._origin is not None:
            self.jam.advance(arrival - self._origin)
        if self.endpoint.is_own(sender):
            self._drop("echo")
            return
        messages, dropped = osc.decode(data)
        for reason in dropped:
            self._drop(reason)
        heard = self._counts.heard
        for message in messages:
            self._input(native.parse(message), sender, arrival)
        if self._counts.heard != heard:
            self._send_forecast(arrival)

    def _input(self, what: native.Input, sender: Address, arrival: float) -> None:
        if isinstance(what, native.Finger | native.Plain):
            self._touch(what, sender, arrival)
        elif isinstance(what, native.Control):
            self._control(what.name, what.value, arrival)
        elif isinstance(what, native.Subscribe):
            self._subscribe((sender[0], what.port), arrival, on=what.on)
        elif isinstance(what, native.StatusRequest):
            self.endpoint.send(osc.encode("/robojam/status", "s", self.status()), sender)
        else:
            self._drop(what.reason)

    def _touch(
        self, what: native.Finger | native.Plain, sender: Address, arrival: float
    ) -> None:
        who = self._who(sender[0])
        if who is None:
            self._drop("too many players")
            return
        absent = isinstance(what, native.Finger) and what.phase is Phase.UP
        if not absent:
            self._begin(arrival)
        self._clipped += what.clipped
        t = self._now(arrival)
        dropped = self._dropped_total()
        if isinstance(what, native.Plain):
            self.jam.plain(t, who, what.x, what.y, what.dt)
        else:
            self.jam.finger(t, who, what.id, what.phase, what.x, what.y)
        if self._dropped_total() != dropped:
            self._warn()

    def _who(self, host: str) -> str | None:
        """Name a host: human, human2, … in the order of their first touch."""
        if host not in self._humans:
            if len(self._humans) >= MAX_HUMANS:
                return None
            self._humans[host] = nth("human", len(self._humans))
        return self._humans[host]

    def _subscribe(self, who: Address, arrival: float, *, on: bool) -> None:
        if not on:
            self._monitors.remove(who)
            return
        if self.endpoint.is_own(who):
            self._drop("echo")
            return
        new = self._monitors.add(who, arrival)
        if new is None:
            self._drop("too many monitors")
        if not new:
            return
        packets = [native.turn(self.jam.turn)]
        packets += [native.control(name, value) for name, value in self._controls().items()]
        for packet in packets:
            self.endpoint.send(packet, who)

    def _controls(self) -> dict[str, Any]:
        """All controls as they are in force, by name."""
        seed = self.take_seed if self._origin is not None else self._seed
        return {
            **asdict(self._settings),
            "record": int(self.recording),
            "model": self.playing.model.file,
            **({} if seed is None else {"seed": seed}),
        }

    # -- controls -------------------------------------------------------------------------------

    def _control(self, name: str, value: Any, arrival: float) -> None:
        if name == "mode":
            try:
                value = option.mode_named(value)
            except ValueError:
                self._drop("unknown mode")
                return
        elif name in option.CONTROLS and not option.in_range(name, value):
            self._drop("out of range")
            return
        if name == "record":
            self._record(arrival, on=bool(value))
        elif name == "model":
            self._ask_for_model(value)
        else:
            if name == "seed":
                self._seed = value
            if name == "answer":
                self._begin(arrival)
            took = self.jam.control(self._now(arrival), name, value)
            if not took:
                self._confirm(name, arrival)
            self._begin_if_alone(arrival)

    def _confirm(self, name: str, arrival: float) -> None:
        """Tell monitors a value that was asked for and is in force already.

        Not more often than twenty times a second: a monitor that sends back what it
        gets would else keep both busy for ever.
        """
        if name in asdict(self._settings) and arrival - self._echoed.get(name, -1.0) > 0.05:
            self._echoed[name] = arrival
            self._monitors.send(native.control(name, getattr(self._settings, name)))

    def _record(self, arrival: float, *, on: bool) -> None:
        if on == self.recording and (not on or self._origin is None):
            return
        t = self._now(arrival)
        if on:
            if self._origin is not None:
                self.jam.finish(t)
            self._recorder.end(t, "a new recording")
            self.recording = True
            self._new_jam()
        else:
            self._recorder.end(t, "record 0")
            self.recording = False
        self._monitors.send(native.control("record", int(on)))
        self._begin_if_alone(arrival)

    def _ask_for_model(self, name: str) -> None:
        if self._loading:
            self._drop("busy")
            return
        if name == self.playing.model.file:
            return
        self._loading = True

        def load() -> None:
            try:
                loaded = self._load(name)
            except Exception as error:  # whatever it is, the jam goes on with the model it has
                why = str(error)
                self.call(lambda: self._model_failed(why))
            else:
                self.call(lambda: self._model_loaded(loaded))

        threading.Thread(target=load, name="model", daemon=True).start()

    def _model_failed(self, why: str) -> None:
        self._loading = False
        self._drop("no such model")
        log.warning("%s", why)

    def _model_loaded(self, loaded: Playing) -> None:
        self._loading = False
        self.playing = loaded
        self.jam.swap(self._now(self._clock()), loaded.player, loaded.model.file)

    # -- what goes out --------------------------------------------------------------------------

    def _happened(self, what: Happening) -> None:
        """Let everyone know at once; the jam's sink."""
        if isinstance(what, Sounded):
            touch = what.touch
            packet = native.touch(touch, what.dt)
            machine = is_machine(touch.who)
            if machine or self._echo_humans:
                for output in self._outputs:
                    self.endpoint.send(packet, output)
                if machine and touch.phase is not Phase.UP:
                    self._lateness(what.t)
            self._monitors.send(packet)
            if self.recording:
                self._recorder.write(TouchEvent(what.t, touch))
        elif isinstance(what, Pending):
            if self._monitors:
                p = what.proposal
                self._monitors.send(native.pending(what.who, 0, p.x, p.y, what.due - what.t))
        elif isinstance(what, Turned):
            self._monitors.send(native.turn(what.whose))
        else:
            self._tell_change(what)

    def _tell_change(self, what: Changed) -> None:
        self._monitors.send(native.control(what.name, what.value))
        if self.recording and self._origin is not None:
            value: Any = what.value
            if what.name == "model":
                value = msgspec.structs.asdict(self.playing.model)
            self._recorder.write(SetEvent(what.t, {what.name: value}))

    def _send_forecast(self, now: float) -> None:
        self._monitors.lapse(now)
        if self._monitors and now - self._forecast_at >= _FORECAST_EVERY:
            self._forecast_at = now
            self._monitors.send(native.forecast(self.playing.player.forecast()))

    def _lateness(self, due: float) -> None:
        assert self._origin is not None
        self._late[self._lates % _LATENESSES] = self._clock() - self._origin - due
        self._lates += 1

    # -- how it does ------------------------------------------------------------------------------

    def status(self) -> str:
        """Return what there is to know, as JSON."""
        self._monitors.lapse(self._clock())
        late = sorted(self._late[: min(self._lates, _LATENESSES)])
        path = self._recorder.path
        armed = "armed" if self.recording and self._recorder.failed is None else ""
        about: dict[str, Any] = {
            **self._controls(),
            "device": self.playing.device,
            "turn": self.jam.turn,
            "paused": bool(self._settings.pause),
            "recording": str(path) if path is not None else armed,
            "fingers": self.jam.fingers,
            "played": self._counts.played,
            "heard": self._counts.heard,
            "replaced": self._counts.replaced,
            "dropped": self._counts.dropped,
            "clipped": self._clipped,
            "unsent": self.endpoint.unsent,
            "late_ms_p99": 1000 * late[int(0.99 * len(late))] if late else 0.0,
            "monitors": len(self._monitors),
            "trouble": self._trouble,
            "started": self._started.isoformat(),
            "turn_left": self.jam.turn_left,
            "voices": self.options.voices,
        }
        return json.dumps(about)

    def _in_trouble(self, what: str) -> None:
        """Tell the musician: in the log, in the status, and so in the window."""
        log.error("%s", what)
        self._trouble = [*self._trouble[-4:], what]

    def _dropped_total(self) -> int:
        return sum(self._counts.dropped.values())

    def _drop(self, reason: str) -> None:
        self._counts.drop(reason)
        self._warn()

    def _warn(self) -> None:
        """Warn of what was dropped, once a second at most."""
        now = self._clock()
        if now - self._warned < 1.0:
            return
        self._warned = now
        total = self._dropped_total()
        reasons = ", ".join(f"{n} {reason}" for reason, n in self._counts.dropped.items())
        log.warning("dropped %d so far (%s)", total, reasons)


def close_on_eof(stop: Callable[[str], None]) -> None:
    """Stop when standard input closes: the program that started this one is gone."""

    def wait() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        stop("the program that started it is gone")

    threading.Thread(target=wait, name="parent", daemon=True).start()


#: What the engine prints when it is ready begins so.
READY: Final = "listening on udp://"
