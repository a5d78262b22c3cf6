"""Engine of a jam: packets to inputs of the jam, and its events to outputs.

The engine waits for nothing: robojam.engine.loop calls it when a packet has come or something
is due; its clock is an argument. On a deadline it may sample a touch and put a line on the
recorder's queue. It never waits for a disk, a terminal, a network or a lock that another
thread holds; it logs through a queue, and it stores nothing without a bound.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

import msgspec

from robojam import music
from robojam.config.addresses import format_address, player_host
from robojam.config.options import Options
from robojam.config.roles import Role
from robojam.controls import (
    CONTROLS,
    SETTINGS,
    RefusedError,
    Settings,
    loses_digits,
    validate_control,
)
from robojam.engine.answers import Answers
from robojam.engine.fit_json import fit_json
from robojam.engine.inbox import PIECE, Inbox, Packet
from robojam.engine.load import Load
from robojam.engine.metrics import DropCounter, memory_mb
from robojam.engine.monitors import Monitors
from robojam.engine.preview import Preview
from robojam.engine.publisher import Publisher
from robojam.engine.quota import line_size
from robojam.engine.roles import NOT_ALLOWED, Roles
from robojam.engine.senders import Sender, Senders
from robojam.engine.setup import MAX_ANSWER, Setup
from robojam.engine.takes import LoadedPlayer, ModelInfo, Takes
from robojam.jam.events import ControlChanged, Counters, Event
from robojam.jam.fair_turns import PATIENCE, PAUSE
from robojam.jam.jam import Jam
from robojam.jam.modes import MODES
from robojam.jam.protocols import JamLike
from robojam.limits import HostLimiter, RateLimiter
from robojam.music import range_of
from robojam.ports.interface import DevicePort, InputPort, OutputPort, Port
from robojam.ports.listener import Listener
from robojam.ports.udp import Address
from robojam.system.call_queue import CallQueue
from robojam.system.priority import ORDINARY
from robojam.touch import Phase, clip, is_machine
from robojam.wire import dialects, native, osc

log = logging.getLogger("robojam")

#: Beginning of the line that is printed when the engine is ready.
READY: Final = "listening on udp://"
#: Seconds of delay from which the engine was asleep (a closed lid, a stopped process): the
#: touches that were due meanwhile are not played at once, and the machine goes on where it was.
_ASLEEP = 0.5
#: Seconds for which one turn of the loop handles what was received, and for which it then
#: plays what is due: what is left of the one is handled in the next turn, and the machine is
#: delayed by what is left of the other.
_LISTENING, _PLAYING = 0.002, 0.003
#: Seconds that one act may take; what it takes beyond is missing elsewhere.
_ACT: Final = 0.005
#: Packets of another host that are handled: a second, and in a burst.
_PACKETS = (2000, 1000)
#: Hosts whose rate is known.
_MAX_HOSTS = 1024
#: Work of one packet, in touches, of which the rest is dropped.
_MAX_WORK = 128
#: Touches of a player beyond the surface after which that is logged. A pad whose range is
#: learnt sends a few, and a tracker that is not calibrated well.
_CLIPPED: Final = 8
#: A hundredth of a semitone.
_CENT = 0.01
#: New recordings on request: a second, and in a burst.
_RECORDINGS = (1, 10)
#: Settings of players of other machines for themselves, a second and in a burst: of one host,
#: the most hosts that are remembered, and of all. Each change is recorded.
_OWN, _OWN_HOSTS, _ALL_OWN = (1, 8), 256, (20, 64)
#: Bytes of a setting's line in the recording, and of the part that a player adds to it.
_SETTING = 100
#: Warnings that the engine was held up: a second, and in a burst. All times are counted.
_WARNINGS = (0.1, 3)

#: Seconds after which a machine that could not go on after an error tries again.
_RETRY: Final = 2.0

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")
#: Result of loading a model.
Loaded = LoadedPlayer | Exception
#: Function that yields the inputs of a packet, given its bytes, sender and arrival.
Read = Callable[[bytes, Address, float], Iterator[tuple[str, native.Input]]]
#: Function that returns the jam of a take, from the settings, a sink and counters.
MakeJam = Callable[[Settings, Callable[[Event], None], Counters], JamLike]


class Engine:
    """Engine of a jam: packets and input ports in, output ports, monitors and recording out."""

    def __init__(
        self,
        options: Options,
        info: ModelInfo,
        make_jam: MakeJam,
        *,
        endpoint: Listener,
        settings: Settings,
        load: Callable[[str, int, Callable[[Loaded], None]], None],
        outputs: Sequence[OutputPort] = (),
        inputs: Sequence[InputPort] = (),
        setup: Setup | None = None,
        reader: dialects.OscReader | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare a jam.

        make_jam returns the jam of each take: a live one, or the playback of a recording; info
        describes the model that plays. load loads a model by its file's name within the models
        folder for a number of voices, and calls back with the result from a thread of its own.
        outputs and inputs are ports besides the endpoint; those of setup can be replaced while
        the jam goes on. `finish` closes all of them. reader reads the messages that come to
        the endpoint.
        """
        self.options, self.info, self.endpoint = options, info, endpoint
        self._load, self._make_jam, self.clock = load, make_jam, clock
        self._fixed = tuple(outputs), tuple(inputs)
        self._setup, self._voices_asked = setup, options.voices
        self._model_asked: str | None = None  # until it is used
        self._reader = reader or dialects.OscReader()
        is_here = endpoint.is_here
        self._monitors = Monitors(endpoint.send, self._reader.echo, is_here=is_here)
        self._roles = Roles(options.control, options.role_rules, is_here=is_here)
        self._answers = Answers(endpoint.send, is_here)
        self._senders = Senders(is_here=is_here, on_leave=self._leave)
        self._recordings, self._warnings = RateLimiter(*_RECORDINGS), RateLimiter(*_WARNINGS)
        self._own = HostLimiter(*_OWN, _OWN_HOSTS, of_all=RateLimiter(*_ALL_OWN))
        self._settings = settings
        self._counts = DropCounter(clock)
        self._clipped = self._held_up = 0
        self._inbox, self._load_of_machine = Inbox(), Load()
        self._packets = HostLimiter(*_PACKETS, _MAX_HOSTS)
        # Until when the present turn of the loop handles packets, and plays meanwhile; and the
        # instant up to which everything has been handled.
        self._listen_until = self._play_until = math.inf
        self._handled_at = -math.inf
        self.priority = ORDINARY
        self._retry_at = math.inf
        self._started, self._started_at = datetime.now(UTC), clock()
        self.stopping: str | None = None
        self.calls = CallQueue()
        self._offered: tuple[LoadedPlayer, Callable[[], None]] | None = None
        self._takes = Takes(options, on_trouble=self.calls.put)
        self._sessions = str(Path(options.sessions).resolve())  # asked once: the disk may die
        self._publisher = Publisher(
            self._monitors, self._takes, self._reader.echo, lambda: self.info.model, clock,
            failed=self._counts.error,
        )  # fmt: skip
        self._collect_ports()
        self._preview = Preview(self._publisher.send_to_outputs)
        self.jam = self._new_jam()

    def _collect_ports(self) -> None:
        """Use the ports that there are now."""
        outputs, self.inputs = self._fixed
        if self._setup is not None:
            outputs, self.inputs = (
                outputs + self._setup.outputs,
                self.inputs + self._setup.inputs,
            )
        self._publisher.outputs = outputs

    @property
    def _ports(self) -> tuple[Port, ...]:
        return tuple(dict.fromkeys((*self._publisher.outputs, *self.inputs)))

    # -- from other threads ----------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Ask the loop to end, from any thread or signal handler."""
        self.calls.put(partial(setattr, self, "stopping", reason))

    def offer(self, loaded: LoadedPlayer, on_taken: Callable[[], None]) -> None:
        """Offer another player of the same model, which steps it faster, from any thread.

        It plays from the next take on, as a take can only be regenerated by the steps that
        its recording names; on_taken is called then, on the engine's thread.
        """
        self._offered = loaded, on_taken
        self.calls.put(self._take_offer)

    # -- errors that nobody foresaw --------------------------------------------------------

    def attempt(
        self, act: Callable[[*_Arguments], _Result], *arguments: *_Arguments
    ) -> _Result | None:
        """Do one act of the loop; return its result, or None where an exception ended it.

        What the exception ended is dropped and counted, and the jam goes on.
        """
        try:
            return act(*arguments)
        except Exception as error:
            self.failed(error)
            return None

    def failed(self, error: Exception) -> None:
        """Count and log what has ended an act; have the jam go on."""
        self._counts.error(error)
        if self.jam.incomplete:
            self._recover()

    def _recover(self) -> None:
        """Have the jam go on after an act that was cut short, with another player if needed.

        Where that fails, the machine is silent, and it is tried again every _RETRY seconds.
        """
        now, self._retry_at = self.clock(), math.inf
        t = self._takes.t(now)
        try:
            self.jam.recover(t)
            if self.info.device != "cpu":
                self.jam.forecast()  # waits for the device: it raises if that is lost
        except Exception as error:
            self._counts.error(error)
            self._retry_at = now + _RETRY
            with suppress(Exception):
                self.jam.hold(t)
            if self.info.device != "cpu":
                with suppress(Exception):
                    self._load_model(self.info.model.file, self.options.voices, self._move)

    def _move(self, loaded: Loaded) -> None:
        """Go on with the model that was loaded again, on a device that works."""
        self._retry_at = math.inf
        if isinstance(loaded, Exception) or loaded.info.model != self.info.model:
            log.error("the model could not be loaded again; the machine is silent: %s", loaded)
            return
        lost, self.info = self.info.device, loaded.info
        self._make_jam = partial(Jam, loaded.player)
        memory = (
            "with" if self.jam.move(self._takes.t(self.clock()), loaded.player) else "without"
        )
        log.warning(
            "%s was lost: the machine plays on %s, %s what it has heard; its memories are gone",
            lost, loaded.info.device, memory,
        )  # fmt: skip

    # -- time ------------------------------------------------------------------------------

    def begin_if_alone(self) -> None:
        """Begin the take if the machine plays by itself."""
        if self.jam.starts_alone:
            self._begin(self.clock())

    def advance(self) -> float:
        """Play what is due; return the seconds until there is more to do, or infinity."""
        now = self.clock()
        if now >= self._retry_at:
            self._recover()
        try:
            self._catch_up(now)
        finally:  # what is due has been sent
            self._publisher.flush()
        self._monitors.expire(now)
        self._fit(now)
        self._reader.echo.settle()
        ended, wait = self._reader.expire(now)
        for source, message in ended:
            self._handle(message, source, now)
        silent, until_silent = self._senders.expire(now)
        for who, finger in silent:
            self.jam.finger(self._takes.t(now), who, finger, Phase.UP)
        wait = min(wait, until_silent, self._preview.advance(now), self.endpoint.advance(now))
        if self._monitors:
            progress, due = (self._counts.heard, self._counts.played), self._until_due()
            forecast = self.jam.forecast
            again = self._monitors.send_forecast(progress, forecast, self.clock(), due)
            wait = min(wait, again)
        wait = min(wait, self._retry_at - now)
        wait = min(wait, self._publisher.advance(), self._until_due())
        if wait > 0.0 and self._takes.begun:
            wait = min(wait, self.jam.prepare(self._takes.t(self.clock())))
        return wait

    def _until_due(self) -> float:
        """Return the seconds until the jam's next event; infinity for none."""
        due = self.jam.due if self._takes.begun else None
        return math.inf if due is None else max(0.0, due - self._takes.t(self.clock()))

    def _catch_up(self, now: float) -> float:
        """Play what is due at or before now; return the time of the take (0: none yet).

        Where the time of this turn is over, what is left is delayed.
        """
        self._handled_at = max(self._handled_at, now)
        if not self._takes.begun:
            return 0.0
        jam, t = self.jam, self._takes.t(now)
        due = jam.due
        if due is None or due > t:
            jam.advance(t)
            return t
        play_until = min(self._play_until, self.clock() + _PLAYING)
        while due is not None and due <= t:
            held = self._settings.pause or jam.silenced or jam.replaying
            if t - due > _ASLEEP and not held:
                self._held_up += 1
                if self._warnings.take(self.clock()):
                    log.warning("held up for %.1f s; the jam goes on from there", t - due)
                jam.control(due, "pause", 1)
                jam.control(t, "pause", 0)
            elif self.clock() > play_until and not held:
                self._held_up += 1
                self._load_of_machine.miss(t - due)
                jam.control(jam.t, "held_up", t - due)
                break
            jam.advance(min(max(due, jam.t), t))
            due = jam.due
        jam.advance(t)
        return t

    def _fit(self, now: float) -> None:
        """Rest as many voices as the machine has no time for, or wake some."""
        load, voices = self._load_of_machine, self.options.voices
        if load.advance(now, voices) and self._takes.begun and not self.jam.replaying:
            if load.resting:
                log.warning(
                    "there is more to play than this machine can: %d of %d voices rest",
                    load.resting, voices,
                )  # fmt: skip
            else:
                log.info("all voices play again")
            self.jam.control(self._takes.t(now), "resting", load.resting)

    def finish(self, reason: str) -> None:
        """Lift every finger, close the recording and the ports."""
        self.attempt(self._catch_up, self.clock())
        t = max(self.jam.t, self._takes.t(self.clock())) if self._takes.begun else 0.0
        self.attempt(self.jam.finish, t)
        self.attempt(self._publisher.flush)
        self.attempt(self._takes.end, t, reason, self._publisher.lateness)
        self.attempt(self._takes.close)
        for port in self._ports:
            self.attempt(port.close)
        if self._setup is not None:
            self.attempt(self._setup.close)
        self.endpoint.close()

    # -- takes -----------------------------------------------------------------------------

    def _new_jam(self) -> JamLike:
        return self._make_jam(self._settings, self._publisher.handle, self._counts)

    def _take_offer(self) -> None:
        """Play with the player that is offered, if no take has begun and the model is its."""
        if self._offered is None or self._takes.begun:
            return
        (loaded, on_taken), self._offered = self._offered, None
        plays_same = loaded.info.model == self.info.model
        if plays_same and loaded.player.voices == self.options.voices:
            self.info, self._make_jam = loaded.info, partial(Jam, loaded.player)
            self.jam = self._new_jam()
            on_taken()
            log.info("the model is stepped faster from now on: %s", loaded.info.build)

    def _begin(self, arrival: float) -> None:
        if not self._takes.begun:
            self.jam.begin(self._takes.begin(arrival, self.info, self._settings))
            if self._load_of_machine.resting:
                self.jam.control(0.0, "resting", self._load_of_machine.resting)

    # -- input -----------------------------------------------------------------------------

    def packet(self, data: bytes, sender: Address, arrival: float) -> None:
        """Handle a packet that arrived at an instant of the clock, at once."""
        self.take_in(data, sender, arrival, self.read)
        while self._inbox.waiting:
            self._inbox.handle(self._handle_piece)
        self._publisher.flush()
        self._report_loops()

    def read(
        self, data: bytes, sender: Address, arrival: float
    ) -> Iterator[tuple[str, native.Input]]:
        """Return the inputs of an OSC packet, as `PacketPort.read` does."""
        host, port = player_host(sender[0]), sender[1]
        plays = self._roles.of(host, arrival) is not Role.WATCHER
        try:  # one message, as nearly all are: without generators
            message = osc.decode_message(data)
        except osc.MalformedError:
            return self._read_parts(data, host, port, arrival, plays=plays)
        return iter(self._reader.read(message, host, arrival, port, plays=plays))

    def _read_parts(
        self, data: bytes, host: str, port: int, arrival: float, *, plays: bool
    ) -> Iterator[tuple[str, native.Input]]:
        for part in osc.parts(data):
            if isinstance(part, osc.Dropped):
                yield host, part
            else:
                inputs = self._reader.read(part, host, arrival, port, plays=plays)
                yield from inputs or ((host, native.NOTHING),)

    def take_in(self, data: bytes, sender: Address, arrival: float, read: Read) -> None:
        """Put a packet that arrived at an instant into the inbox; read yields its inputs."""
        self._counts.sender = sender
        try:
            if self.endpoint.is_own(sender):
                self._counts.drop("echo", "robojam's own packet")
                return
            is_here = self.endpoint.is_here(sender[0])
            host = player_host(sender[0])
            allowed = is_here or self._packets.take(host, arrival)
            reading = partial(read, data, sender, arrival)
            packet = Packet(reading, sender, arrival, len(data))
            key = sender if is_here else host
            if not allowed or not self._inbox.add(key, packet, is_here=is_here):
                self._counts.drop("flood", "more packets than are handled")
        finally:
            self._counts.sender = ""

    def receive(self, port: DevicePort) -> None:
        """Put what a device's port has received into the inbox."""
        if inputs := port.receive():
            packet = Packet(partial(iter, inputs), None, self.clock())
            if not self._inbox.add(id(port), packet, is_here=True):
                self._counts.drop("flood", "more MIDI messages than are handled")

    def listen(self) -> bool:
        """Handle what was received, for a short time; return whether something is left."""
        self._listen_until = self.clock() + _LISTENING
        self._play_until = self._listen_until  # what is due comes after what is heard
        inbox = self._inbox
        while inbox.waiting and self.clock() < self._listen_until:
            try:
                inbox.handle(self._handle_piece)
            except Exception as error:
                self.failed(error)
        self._listen_until = self._play_until = math.inf
        if self._reader.echo.found:
            self._report_loops()
        return inbox.waiting > 0

    def _handle_piece(self, packet: Packet) -> bool:
        """Handle the next requests of a packet; return whether it is done."""
        requests = packet.requests
        if requests is None:
            requests = packet.requests = packet.read()
        for number in range(PIECE):
            if number and self.clock() >= self._listen_until:
                return False
            following = next(requests, None)
            if following is None:
                return True
            source, request = following
            if request is native.NOTHING:
                continue
            packet.work += _work(request)
            if packet.work > _MAX_WORK and packet.sender is not None:
                self._counts.sender = packet.sender
                self._counts.drop("too much in one packet", f"{_MAX_WORK} touches at most")
                self._counts.sender = ""
                return True
            try:
                self._handle_one(request, source, packet)
            except Exception as error:
                self.failed(error)
        return False

    def _handle_one(self, request: native.Input, source: str, packet: Packet) -> None:
        arrival = max(packet.arrival, self._handled_at)
        self._catch_up(arrival)
        began = self.clock()
        self._handle(request, source, arrival, packet.sender)
        too_long = self.clock() - began - _ACT
        if too_long > 0.0:
            self._load_of_machine.miss(too_long)

    def _report_loops(self) -> None:
        """Log the loops that were found."""
        for source, delay in self._reader.echo.take_found():
            log.warning(
                "%s sends back what robojam plays, %.0f ms later; that is dropped, and all "
                "else from there is heard. To end it, stop the program there from passing on "
                "what it receives", f"{source!r:.100}", 1000 * delay,
            )  # fmt: skip

    def _handle(
        self, request: native.Input, source: str, arrival: float, sender: Address | None = None
    ) -> None:
        self._counts.sender = sender or source
        try:
            known = self._senders.get(source)
            name = None if known is None else known.name
            role = self._roles.check(request, source, name, arrival)
            match request:
                case native.Finger() | native.PitchedFinger() | native.PhaselessTouch():
                    self._touch(request, source, arrival, sender, role, known)
                case native.Control():
                    self._control(request, source, arrival, sender, role)
                case native.Subscribe() if sender:
                    self._subscribe(request, arrival, sender)
                case native.Alive() if sender:
                    self._alive(request.ids, source, arrival, sender[1])
                case native.LearnPad():
                    self._reader.learn_pad()
                case native.PreviewTouch() if sender:
                    self._senders.take_act(source, request, arrival)
                    self._preview.handle(request, arrival)
                case native.StatusRequest() if sender:
                    self._answer_status(request, arrival, sender, role)
                case native.SetupRequest() | native.SetupChange() if sender:
                    self._handle_setup(request, arrival, sender)
                case osc.Dropped():
                    self._counts.drop(request.reason, request.about, request.key)
                case _:
                    self._counts.drop("wrong port")
        except RefusedError as refused:
            key = request.name if isinstance(request, native.Control) else ""
            key = "" if refused.reason == NOT_ALLOWED else key  # one for each host
            self._counts.drop(refused.reason, refused.about, key)
        finally:
            self._counts.sender = ""

    def _touch(
        self,
        touch: native.TouchInput,
        source: str,
        arrival: float,
        sender: Address | None,
        role: Role,
        known: Sender | None,
    ) -> None:
        if self.jam.replaying:
            raise RefusedError("replaying")
        if isinstance(touch, native.Finger) and touch.phase is Phase.UP:
            if known is None:
                raise RefusedError("absent finger")
            if known.take_up(touch.id, arrival):
                self.jam.finger(self._takes.t(arrival), known.name, touch.id, touch.phase)
            return
        admit = self._admit if known is None else self._senders.admit
        player = admit(source, arrival)
        # A host pays for nothing.
        paying = None if role is Role.HOST else self._paying_host(player, role, arrival)
        lands = paying is not None and player.lands(touch, arrival)
        silent = self._senders.take(player, touch, arrival, sender[1] if sender else None)
        self._takes.quota.cause = None if paying is None or self.jam.starts_alone else paying
        if paying is not None and not isinstance(touch, native.PitchedFinger):
            pressure = touch.pressure if isinstance(touch, native.Finger) else None
            size = line_size(player.name, touch.id, touch.x, touch.y, pressure)
            # A landing has a lift, which is never refused.
            self._takes.quota.charge(paying, 2 * size if lands else size, arrival)
        if silent:
            self._lift(player, silent, arrival)
        if not self._takes.begun:
            self._begin(arrival)
        if isinstance(touch, native.PitchedFinger):
            if known is None and touch.pitch_range is not None:
                self._set_own(player, "range", str(touch.pitch_range), arrival)
            touch = self._place(touch, player)
        elif touch.clipped:
            player.clipped += 1
            if player.clipped == _CLIPPED:
                log.warning(
                    "%s plays beyond the surface and is heard at its edge: x and y go from 0 "
                    "to 1; it has sent %d such places", player.name, _CLIPPED,
                )  # fmt: skip
        self._clipped += touch.clipped
        t, who = self._takes.t(arrival), player.name
        if (role is Role.PLAYER) != (who in self.jam.visitors):
            self.jam.control(t, "visitor" if role is Role.PLAYER else "host", who)
        if isinstance(touch, native.PhaselessTouch):
            self.jam.plain(t, who, touch.x, touch.y, touch.dt, finger=touch.id)
        else:
            place = touch.x, touch.y
            self.jam.finger(t, who, touch.id, touch.phase, *place, pressure=touch.pressure)
        if self.jam.is_out(who) != player.is_out:
            player.is_out = not player.is_out
            self._report_out(player)

    def _report_out(self, player: Sender) -> None:
        """Log that a visitor's touches no longer count for the turns, or do again."""
        if player.is_out:
            log.info(
                "%s has made others wait for %.0f s: until it pauses for %.1f s, the machine "
                "answers them as if it did not play", player.name, PATIENCE, PAUSE,
            )  # fmt: skip
        else:
            log.info("%s has paused, and takes its turns again", player.name)

    def _paying_host(self, player: Sender, role: Role, now: float) -> str | None:
        """Return the host whose quota pays for what a player adds to the recording, if any.

        Raises RefusedError where nothing of it is left.
        """
        if player.host is None or role is Role.HOST or not self._takes.recording:
            return None
        self._takes.quota.check(player.host, now)
        return player.host

    def _place(self, finger: native.PitchedFinger, player: Sender) -> native.Finger:
        """Return a finger that has a pitch with its x, by the range of its player."""
        pitches = range_of(player.name, self._settings.range)
        x = pitches.x(finger.pitch)
        # A bend to the edge is rounded, and may end a little beyond it.
        clipped = not pitches.low - _CENT <= finger.pitch <= pitches.high + _CENT
        if clipped and not player.outside_range:
            player.outside_range = True
            wider = pitches.widened(finger.pitch)
            everyones = self._settings.range.partition(",")[0] == str(pitches)
            option = f'range = "{wider}"' if everyones else f'range = "{player.name}={wider}"'
            if finger.pitch_range is not None:
                option = f"low = {wider.low:g} and high = {wider.high:g} in its MIDI style"
            log.warning(
                "note %.4g of %s is outside its range, %s, and is played at its edge; "
                "to widen the range: %s",
                finger.pitch, player.name, pitches, option,
            )  # fmt: skip
        x = clip(x, 0, 1)
        return native.Finger(finger.phase, finger.id, x, finger.y, clipped, finger.pressure)

    # -- senders ---------------------------------------------------------------------------

    def _admit(self, source: str, arrival: float) -> Sender:
        """Return the player at a source, who may be new. Raises RefusedError."""
        is_new = self._senders.get(source) is None
        player = self._senders.admit(source, arrival)
        if is_new:
            for name, value in player.own.items():  # it has returned
                if self._may_set(player, name, arrival):
                    self._set_own(player, name, value, arrival)
        return player

    def _leave(self, player: Sender, now: float) -> None:
        """Lift the fingers of a player who leaves, and remove what it had set for itself."""
        player.count_fingers(now)
        self._lift(player, list(player.fingers), now)
        for name in player.own:
            own_name = CONTROLS[name].own_name(player.name)
            rest = music.unassign(getattr(self._settings, name), own_name)
            self.jam.control(self._takes.t(now), name, rest)

    def _lift(self, player: Sender, fingers: Sequence[int], now: float) -> None:
        for finger in fingers:
            self.jam.finger(self._takes.t(now), player.name, finger, Phase.UP)

    def _may_set(self, player: Sender, name: str, now: float) -> bool:
        """Return whether a player may set a control for itself now."""
        if player.is_here or player.host is None:
            return True
        if not self._own.take(player.host, now):
            return False
        paying = self._paying_host(player, self._roles.of(player.source, now), now)
        if paying is not None:  # with those of all others, and again when it is removed
            size = 2 * (len(getattr(self._settings, name)) + _SETTING)
            self._takes.quota.charge(paying, size, now)
        return True

    def _set_own(self, player: Sender, name: str, value: str, arrival: float) -> None:
        """Set a control for one player alone, until it leaves; and again when it returns."""
        text = f"{CONTROLS[name].own_name(player.name)}={value}"
        try:
            checked = CONTROLS[name].check(text, getattr(self._settings, name))
        except ValueError as error:  # the control names as many players as it may
            self._counts.drop("out of range", str(error), name)
            return
        player.own[name] = value
        self.jam.control(self._takes.t(arrival), name, checked)

    def _alive(self, fingers: Sequence[int], source: str, arrival: float, port: int) -> None:
        player = self._senders.get(source)
        if player is not None:
            player = self._admit(source, arrival)  # at its rate
            self._lift(player, player.take_alive(fingers, arrival, port), arrival)

    def _subscribe(self, request: native.Subscribe, arrival: float, sender: Address) -> None:
        monitor = sender[0], request.port
        if self.endpoint.is_own(monitor):
            raise RefusedError("echo")
        if not self._answers.is_confirmed(monitor, request.cookie, arrival):
            if request.on and not self._monitors.renew(monitor, arrival):
                log.info(
                    "%s asks for all that happens at its port %d: it is to send its request "
                    "again with the cookie that this port got (docs/monitors.md)", *monitor,
                )  # fmt: skip
            return
        self._publisher.flush()  # what has happened before is not for a new one
        if not request.on:
            self._monitors.remove(monitor)
            return
        if self._monitors.add(monitor, arrival):
            log.info("new monitor at %s", format_address(*monitor))
            self.endpoint.send(native.encode_turn(self.jam.turn), monitor)
            for name, value in self._controls().items():
                if value is not None:
                    self.endpoint.send(native.encode_control(name, value), monitor)
            if self._setup is not None and self.endpoint.is_here(monitor[0]):
                chosen = {
                    n: json.dumps(v) for n, v in self._controls().items() if loses_digits(v)
                }
                for name, encoded in (chosen | self._setup.chosen()).items():
                    self.endpoint.send(native.encode_setup(name, encoded), monitor)

    def _controls(self) -> dict[str, Any]:
        """Return the controls in force, by name; a seed not yet drawn is None."""
        return {
            **asdict(self._settings),
            "record": int(self._takes.recording),
            "model": self.info.model.file,
            "seed": self._takes.seed,
        }

    # -- controls ---------------------------------------------------------------------------

    def _control(
        self,
        request: native.Control,
        source: str,
        arrival: float,
        sender: Address | None,
        role: Role,
    ) -> None:
        name, value = request.name, request.value
        if self.jam.replaying and not (name in CONTROLS and CONTROLS[name].replay):
            raise RefusedError("replaying")
        own = _is_own(name, value, role)
        if own:
            value = str(value).rpartition("=")[2]
        player = self._senders.get(source) if own else None
        who = None if player is None else player.name
        checked = validate_control(name, value, self._settings, who)
        if name not in SETTINGS:  # it acts, or costs something, each time
            self._senders.take_act(source, native.Control(name, checked), arrival)
        if self._monitors.is_echo(name, checked, source, arrival):
            raise RefusedError("echo")
        if own:
            player = self._admit(source, arrival)
            if not self._may_set(player, name, arrival):
                raise RefusedError("too fast", f"more than {_OWN[0]} settings a second")
            self._set_own(player, name, str(value), arrival)
            return
        if sender is not None and not self.endpoint.is_here(sender[0]):
            self._check_names(name, checked)
        value = checked
        if name == "record":
            self._record(arrival, on=bool(value))
        elif name == "model":
            self._model_asked = value
            use = partial(self._use_model, value)
            self._load_model(value, self.options.voices, use)
        else:
            if name == "seed":
                self._takes.reseed(value)
            if name in ("answer", "panic"):  # the take's first event may be one of these
                self._begin(arrival)
            took_effect = self.jam.control(self._takes.t(arrival), name, value)
            if name == "panic":
                self._senders.lift_all(arrival)
                self._preview.end(arrival)
                if not took_effect:  # the jam is silent already; its outputs may not be
                    panic = ControlChanged(self.jam.t, name, value)
                    self._publisher.send_to_outputs(panic, arrival)
        self.begin_if_alone()

    def _check_names(self, name: str, value: Any) -> None:
        """Refuse a value that names a player who is not there. Raises RefusedError."""
        if not CONTROLS[name].per_player:
            return
        for who in music.names(value) - music.names(getattr(self._settings, name)):
            if not self._senders.has(who) and not self._is_voice(who):
                raise RefusedError(
                    "unknown player", f"{who!r:.40} does not play; a control from another "
                    "machine names who does",
                )  # fmt: skip

    def _is_voice(self, who: str) -> bool:
        return is_machine(who) and int(who.removeprefix("ai") or 1) <= self.options.voices

    def _record(self, arrival: float, *, on: bool) -> None:
        takes = self._takes
        if on == takes.recording and not (on and takes.begun):
            return
        if on and not self._recordings.take(arrival):
            raise RefusedError("too many recordings")
        if on:
            self._next_take(arrival, "a new recording")
        else:
            takes.end(takes.t(arrival), late=self._publisher.lateness)
        takes.recording = on
        self._monitors.control("record", int(on), arrival)

    def _next_take(self, arrival: float, reason: str) -> None:
        """End the take for a reason, and wait for the first touch of the next."""
        takes = self._takes
        t, turn = takes.t(arrival), self.jam.turn
        if self.jam.silenced and MODES[self._settings.mode].starts_alone:
            self._settings.pause = 1  # a panic holds until pause 0, in the next take too
            self._monitors.control("pause", 1, arrival)
        if takes.begun:
            self.jam.finish(t)
        self._publisher.flush()
        takes.end(t, reason, self._publisher.lateness)
        takes.await_next()
        self._senders.begin_take(arrival)
        self._take_offer()
        self.jam = self._new_jam()
        if self.jam.turn != turn:
            self._monitors.send(native.encode_turn(self.jam.turn), arrival)

    def _load_model(self, name: str, voices: int, use: Callable[[Loaded], None]) -> None:
        self._load(name, voices, lambda loaded: self.calls.put(lambda: use(loaded)))

    def _use_model(self, name: str, loaded: Loaded) -> None:
        if name == self._model_asked:
            self._model_asked = None
        if isinstance(loaded, Exception):
            self._counts.drop("no such model", f"{name!r:.80}: {loaded}")
        elif loaded.player.voices != self.options.voices:  # their number was set meanwhile
            self._load_model(name, self.options.voices, partial(self._use_model, name))
        elif loaded.info.model != self.info.model:
            t = self._catch_up(self.clock())
            self.info = loaded.info
            self._make_jam = partial(Jam, loaded.player)
            self.jam.swap(t, loaded.player, loaded.info.model.file)
        # Of the requests during a load only the last is answered.
        if self._setup is not None and self._voices_asked != self.options.voices:
            self._load_voices(self._setup)

    # -- setup -----------------------------------------------------------------------------

    def _handle_setup(
        self, request: native.SetupRequest | native.SetupChange, arrival: float, sender: Address
    ) -> None:
        setup = self._setup
        if not self.endpoint.is_here(sender[0]):
            raise RefusedError("not allowed", "the setup is changed from this machine alone")
        if setup is None:
            raise RefusedError("replaying", "a replay's setup cannot be changed")
        if isinstance(request, native.SetupChange):
            self._change_setup(setup, request, arrival)
        setup.look(arrival)
        answer = setup.describe(self.info.model.file)
        self.endpoint.send(osc.encode("/robojam/setup", "s", answer), sender)

    def _change_setup(self, setup: Setup, request: native.SetupChange, arrival: float) -> None:
        options = setup.check(request.name, request.encoded)
        if request.name == "voices":
            self._voices_asked = options.voices
            if options.voices != self.options.voices:
                self._load_voices(setup)
            return
        in_force = msgspec.structs.replace(options, controls=asdict(self._settings))
        use = partial(self._use_setup, setup, request.name)
        closed = setup.replace(request.name, options, in_force, self.calls.put, use)
        use()
        for port in closed.inputs:
            for source, lifted in port.lift_all():
                self._handle(lifted, source, arrival)

    def _load_voices(self, setup: Setup) -> None:
        """Load the model that plays for the number of voices that was asked for last."""
        voices = self._voices_asked
        use = partial(self._use_voices, setup, voices)
        self._load_model(self.info.model.file, voices, use)

    def _use_voices(self, setup: Setup, voices: int, loaded: Loaded) -> None:
        if voices != self._voices_asked or voices == self.options.voices:
            return  # another number was asked for meanwhile
        if isinstance(loaded, Exception):
            self._counts.drop("no such model", f"{voices} voices: {loaded}")
            self._voices_asked = self.options.voices
            return
        if loaded.info.model.file != self.info.model.file:  # another was chosen meanwhile
            self._load_voices(setup)
            return
        self._next_take(self.clock(), "another number of voices")
        setup.options = msgspec.structs.replace(setup.options, voices=voices)
        self._load_of_machine.clear(voices)
        self.info, self._make_jam = loaded.info, partial(Jam, loaded.player)
        self.jam = self._new_jam()
        self._use_setup(setup, "voices")
        self.begin_if_alone()
        if self._model_asked is not None:
            name = self._model_asked
            self._load_model(name, voices, partial(self._use_model, name))

    def _use_setup(self, setup: Setup, name: str) -> None:
        """Use ports and options of the setup; tell the programs here of one that changed."""
        self._collect_ports()
        if setup.options == self.options:
            return
        self.options = self._takes.options = setup.options
        encoded = setup.chosen()[name]
        self._monitors.send_where(native.encode_setup(name, encoded), self.endpoint.is_here)
        log.info("%s is now %s", name, encoded)

    # -- status ----------------------------------------------------------------------------

    def _answer_status(
        self, request: native.StatusRequest, arrival: float, sender: Address, role: Role
    ) -> None:
        if self._answers.is_confirmed(sender, request.cookie, arrival):
            answer = self._answers.status(self.status, sender[0], role, arrival)
            self.endpoint.send(osc.encode("/robojam/status", "s", answer), sender)

    def status(self, most: int = MAX_ANSWER, here: bool = True) -> str:  # noqa: FBT001,FBT002
        """Return the engine's state and counts, as JSON of `most` bytes at most.

        here: it is for this machine. Others get no path, and no address of a player.
        """
        status: dict[str, Any] = {
            **self._controls(),
            "device": self.info.device,
            "build": self.info.build,
            "turn": self.jam.turn,
            "turn_left": self.jam.turn_left,
            "paused": bool(self._settings.pause),
            "replaying": self.jam.replaying,
            "recording": self._takes.recorded,
            "trouble": self._takes.trouble,
            "fingers": self.jam.fingers,
            "players": self._senders.status(self.clock()),
            "played": self._counts.played,
            "heard": self._counts.heard,
            "replaced": self._counts.replaced,
            "model_faults": self._counts.faults,
            "dropped": self._counts.dropped,
            "refused": self._roles.status(),
            "clipped": self._clipped,
            **self.endpoint.status(),
            "late_ms_p99": 1000 * self._publisher.lateness.p99,
            "late_ms_max": 1000 * self._publisher.lateness.worst,
            "held_up": self._held_up,
            "resting": self._load_of_machine.resting,
            "priority": self.priority,
            "monitors": len(self._monitors),
            "monitors_unsent": self._monitors.unsent,
            "started": self._started.isoformat(),
            "uptime_s": self.clock() - self._started_at,
            "cpu_s": time.process_time(),
            "memory_mb": memory_mb(),
            "voices": self.options.voices,
            "memories": self.jam.memories,
            "sessions": self._sessions,
            **self._reader.status(),
            "echo": self._reader.echo.status(self.clock()),
        }
        for port in self._ports:
            status |= port.status()
        if not here:
            del status["sessions"]
            status["recording"] = Path(status["recording"]).name
            status["trouble"] = ["a recording fails"] if status["trouble"] else []
            for player in (*status["players"], *status["echo"]):
                player["source"] = ""
        return fit_json(status, most)


def _is_own(name: str, value: object, role: Role) -> bool:
    """Return whether a control is set for its sender alone."""
    if role is not Role.HOST:
        return True  # it is not allowed more
    own_by_default = name in CONTROLS and CONTROLS[name].own_by_default
    return own_by_default and "=" not in str(value) and "," not in str(value)


def _work(request: native.Input) -> int:
    """Return how much work a request is, in touches: a lift is none, as none may be lost."""
    if isinstance(request, native.Finger | native.PitchedFinger | native.PhaselessTouch):
        return int(not isinstance(request, native.Finger) or request.phase is not Phase.UP)
    if isinstance(request, native.Control):
        return 2 if request.name in SETTINGS else 8
    return 0 if isinstance(request, osc.Dropped) else 4
