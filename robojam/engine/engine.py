"""Engine of a jam: its parts put together, and what each request does.

What is received goes through robojam.engine.reception to `Engine._handle`: touches to the
humans of the jam (robojam.engine.humans), other requests to what they ask for. The jam
(robojam.engine.live_jam) gives its events to outputs, monitors and recording
(robojam.engine.publisher).

The engine waits for nothing: robojam.engine.loop calls it when a packet has come or something
is due; its clock is an argument. On a deadline it may sample a touch and put a line on the
recorder's queue. It never waits for a disk, a terminal, a network or a lock that another
thread holds; it logs through a queue, and it stores nothing without a bound.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

import msgspec

from robojam import music
from robojam.beats import Beats
from robojam.config.addresses import format_address
from robojam.config.load import ALL_CONTROLS
from robojam.config.options import Options
from robojam.config.roles import Role
from robojam.controls import (
    CONTROLS,
    SETTINGS,
    RefusedError,
    Settings,
    amounts_of,
    loses_digits,
    validate_control,
)
from robojam.engine import beat_clock, twin_frames
from robojam.engine.answers import Answers
from robojam.engine.beat_clock import BeatClock, ClockOpener
from robojam.engine.health import Health, HealthWatch
from robojam.engine.humans import Humans
from robojam.engine.knob_monitor import KnobMonitor
from robojam.engine.live_jam import LiveJam, MakeJam
from robojam.engine.metrics import DropCounter
from robojam.engine.model_changes import Load, ModelChanges
from robojam.engine.monitors import Monitors
from robojam.engine.preview import Preview
from robojam.engine.publisher import Publisher
from robojam.engine.reception import Reception
from robojam.engine.roles import LOCKED, NOT_ALLOWED, Roles
from robojam.engine.setup import MAX_ANSWER, Setup
from robojam.engine.status import Status
from robojam.engine.takes import LoadedPlayer, ModelInfo, Resumed, Takes
from robojam.engine.twin import Twins
from robojam.engine.twin_frames import Company
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.modes import MODES
from robojam.jam.protocols import JamLike
from robojam.limits import RateLimiter
from robojam.ports.interface import InputPort, OutputPort, Port
from robojam.ports.listener import Listener
from robojam.ports.udp import Address
from robojam.sessions.recorder import Recorder
from robojam.sound.output import SoundOutput
from robojam.system.call_queue import CallQueue
from robojam.system.machine_watch import MachineReading, MachineWatch
from robojam.system.priority import ORDINARY
from robojam.touch import Phase, Touch, is_machine
from robojam.wire import dialects, native, osc
from robojam.wire.echo import Origin

log = logging.getLogger("robojam")

#: Beginning of the line that is printed when the engine is ready.
READY: Final = "listening on udp://"
#: New recordings on request: a second, and in a burst.
_RECORDINGS = (1, 10)

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


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
        load: Load,
        outputs: Sequence[OutputPort] = (),
        inputs: Sequence[InputPort] = (),
        setup: Setup | None = None,
        clocks: ClockOpener | None = None,
        reader: dialects.OscReader | None = None,
        resumed: Resumed | None = None,
        term: int = 1,
        clock: Callable[[], float] = time.perf_counter,
        make_recorder: Callable[..., Recorder] = Recorder,
    ) -> None:
        """Prepare a jam.

        make_jam returns the jam of each take: a live one, or the playback of a recording; info
        describes the model that plays. load loads a model by its file's name within the models
        folder for a number of voices, and calls back with the result from a thread of its own.
        outputs and inputs are ports besides the endpoint; those of setup can be replaced while
        the jam goes on. `finish` closes all of them. reader reads the messages that come to
        the endpoint. clocks opens the clocks of other programs. Raises ValueError for one that
        the settings name and that cannot be used. resumed is the jam to go on with, to which
        settings belong. term is how many engines have led it, with this one. make_recorder
        makes the recorder, from what Recorder takes.
        """
        self.endpoint, self.clock = endpoint, clock
        self._knob_monitor = KnobMonitor(options.map, settings, clock)
        if options.map.out:
            outputs = (*outputs, self._knob_monitor)
        self._fixed, self._setup = (tuple(outputs), tuple(inputs)), setup
        self._reader = reader or dialects.OscReader()
        self._counts = DropCounter(clock)
        self.calls = CallQueue()
        self.stopping: str | None = None
        self.priority = ORDINARY  # of the process, in words
        is_here, call = endpoint.is_here, self.calls.put
        self._answers = Answers(endpoint.send, is_here)
        self._recordings = RateLimiter(*_RECORDINGS)
        self._roles = Roles(
            options.control, options.role_rules, is_here=is_here,
            pads_control=options.web_control, unlocked=_unlocked(options),
        )  # fmt: skip
        self._monitors = Monitors(endpoint.send, self._reader.echo, is_here=is_here)
        self._takes = takes = Takes(options, on_trouble=call, make_recorder=make_recorder)
        self._publisher = Publisher(
            self._monitors, takes, self._reader.echo, lambda: self.live.info.model, clock,
            failed=self._counts.error,
        )  # fmt: skip
        self._preview = Preview(self._publisher.send_to_outputs)
        self.live = LiveJam(
            make_jam, info, settings=settings, takes=takes, publisher=self._publisher,
            counts=self._counts, clock=clock, on_lost=lambda: self._changes.reload(),
        )  # fmt: skip
        self._beat_clock = BeatClock(
            clocks, settings, call=call, on_beats=self.live.keep_to,
            on_beat=self._publisher.beat, on_ports=self._collect_ports,
        )  # fmt: skip
        self._publisher.on_control = self._note_control
        self._collect_ports()  # a jam that goes on lifts its fingers there
        if not self.jam.replaying:  # whose beats are in the recording
            self._begin_clock(resumed)
            self._collect_ports()
        self._changes = ModelChanges(
            self.live, load, counts=self._counts, call=call,
            next_take=lambda reason: self._next_take(self.clock(), reason),
            on_voices=self._use_voices,
        )  # fmt: skip
        self._humans = Humans(self.live, self._roles, is_here=is_here, counts=self._counts)
        self.twins = Twins(
            self.live, self._humans.senders, address=lambda: endpoint.address,
            monitors=lambda: self._monitors.here, send=endpoint.send, call=call,
            hear=partial(setattr, self._publisher, "on_event"), clock=clock, term=term,
        )  # fmt: skip
        #: The engine that leads the jam now, which this one is to follow when it has stopped.
        self.led_by: Address | None = None
        if resumed is not None and resumed.company is not None:
            self._keep_company(resumed.company)
        self.reception = Reception(
            endpoint, self._reader, self._roles, self.live, counts=self._counts, clock=clock,
            handle=self._handle, failed=self.failed,
        )  # fmt: skip
        self._machine = MachineWatch(Path(options.sessions)) if options.show else None
        self._health = HealthWatch(
            self.live, counts=self._counts, publisher=self._publisher,
            beat_clock=self._beat_clock, endpoint=endpoint, ports=lambda: self._ports,
            machine=self._read_machine, send=self._send_health,
        )  # fmt: skip
        self._status = Status(
            self.live, self._humans, counts=self._counts, roles=self._roles,
            health=self._health,
            monitors=self._monitors, publisher=self._publisher, endpoint=endpoint,
            reader=self._reader, ports=lambda: self._ports,
            priority=lambda: self.priority, beat_clock=self._beat_clock, clock=clock,
        )  # fmt: skip

    def take_lead(self, skip: int, before: Address | None, secret: str) -> None:
        """Lead a jam that another engine led: skip the machine's next touches, which it played.

        before is where it is, if that is another machine: it may live, and is told, with the
        secret that it knows.
        """
        jam, now = self.jam, self.clock()
        if isinstance(jam, Jam):
            for touch in jam.voices.touches():
                self._publisher.note_played(TouchPlayed(jam.t, touch, touch.dt), now)
        for output in self._publisher.outputs:
            if isinstance(output, SoundOutput):  # it was opened earlier
                for name, row in SETTINGS.items():
                    if row.sound:
                        value = getattr(self.live.settings, name)
                        output.handle(ControlChanged(jam.t, name, value), now)
        self._publisher.skip = skip
        self.twins.led_before, self.twins.secret = before, secret

    def _keep_company(self, company: Company) -> None:
        """Go on with the players and monitors of an engine that has led the jam."""
        now, jam = self.clock(), self.jam
        assert isinstance(jam, Jam)
        lifted = self._humans.senders.take_over(company.players, jam.places(), now)
        for who, finger in lifted:
            jam.finger(jam.t, who, finger, Phase.UP)
        for host, port in company.monitors:
            if self.endpoint.is_here(host):
                self._monitors.add((host, port), now)

    def _begin_clock(self, resumed: Resumed | None) -> None:
        """Begin the clock, and the jam that is resumed, whose beats went on meanwhile."""
        now, beats = self.clock(), None
        if resumed is not None:
            self.live.resume(resumed)
            if (heard := resumed.jam.timing.beats) is not None:
                beats = heard.shifted(now - resumed.jam.t - resumed.away)
        self._beat_clock.begin(now, beats)

    @property
    def options(self) -> Options:
        """The options in force; the controls have their values in `live.settings`."""
        return self._takes.options

    @property
    def jam(self) -> JamLike:
        """The jam of the present take."""
        return self.live.jam

    def role_of(self, source: str) -> Role:
        """Return the role of a source."""
        return self._roles.of(source, self.clock())

    def controls(self) -> dict[str, Any]:
        """Return the controls in force, by name; None for one without a value yet."""
        return self._status.controls()

    def player_of(self, source: str) -> str | None:
        """Return the name of the player at a source; None where it is no player."""
        sender = self._humans.senders.get(source)
        return None if sender is None else sender.name

    def origin(self, touch: Touch) -> Origin | None:
        """Return where a human's touch came from; None where its player is gone."""
        return self._humans.senders.origin(touch.who, touch.id)

    def is_monitor(self, origin: Origin) -> bool:
        """Return whether a touch came from a monitor, which a window is."""
        return self._monitors.has(origin)

    def _collect_ports(self) -> None:
        """Use the ports that there are now."""
        outputs, self.inputs = self._fixed
        if self._setup is not None:
            outputs, self.inputs = (
                outputs + self._setup.outputs,
                self.inputs + self._setup.inputs,
            )
        self.inputs += self._beat_clock.ports
        self._publisher.use(
            outputs,
            window_latency=self.options.window_latency / 1000,
            everyone=self.jam.replaying,
        )
        self._beat_clock.lead = self._publisher.latency

    @property
    def _ports(self) -> tuple[Port, ...]:
        return tuple(dict.fromkeys((*self._publisher.outputs, *self.inputs)))

    def _read_machine(self) -> MachineReading:
        return MachineReading() if self._machine is None else self._machine.read()

    def _send_health(self, health: Health) -> None:
        """Send the health to the monitors of hosts alone."""
        packet, now = native.encode_health(health.state, health.text), self.clock()
        self._monitors.send_where(packet, lambda host: self._roles.of(host, now) is Role.HOST)

    # -- from other threads ----------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Ask the loop to end, from any thread or signal handler."""
        self.calls.put(partial(setattr, self, "stopping", reason))

    def offer(self, loaded: LoadedPlayer, on_taken: Callable[[], None]) -> None:
        """Offer another player of the same model, which steps it faster, from any thread.

        It plays from the next take on, as a take can only be regenerated by the steps that
        its recording names; on_taken is called then, on the engine's thread.
        """
        self._changes.offer(loaded, on_taken)

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
        self.live.recover_if_incomplete()

    # -- time ------------------------------------------------------------------------------

    def begin_if_alone(self) -> None:
        """Begin the take if the machine plays by itself."""
        self.live.begin_if_alone()

    def advance(self) -> float:
        """Play what is due; return the seconds until there is more to do, or infinity."""
        live, now = self.live, self.clock()
        if now >= live.retry_at:
            live.recover()
        try:
            live.catch_up(now)
        finally:  # what is due has been sent
            self._publisher.flush()
        self._monitors.expire(now)
        live.fit(now)
        until_beat = self._beat_clock.advance(now)
        self._reader.echo.settle()
        ended, wait = self._reader.expire(now)
        for source, message in ended:
            self._handle(message, source, now)
        silent, until_silent = self._humans.senders.expire(now)
        for who, finger in silent:
            live.jam.finger(self._takes.t(now), who, finger, Phase.UP)
        wait = min(wait, until_silent, self._preview.advance(now), self.endpoint.advance(now))
        if self._monitors:
            progress, due = (self._counts.heard, self._counts.played), live.until_due()
            forecast = live.jam.forecast
            again = self._monitors.send_forecast(progress, forecast, self.clock(), due)
            wait = min(wait, again)
        wait = min(wait, live.retry_at - now, until_beat)
        if self.options.show:
            wait = min(wait, self._health.advance(self.clock(), live.until_due()))
        wait = min(wait, self._publisher.advance(), live.until_due(), self.twins.advance(now))
        self._publisher.flush()  # lifts of fingers that are silent, for example
        if wait > 0.0 and not self.reception.waiting:
            wait = min(wait, live.prepare())
        return wait

    def finish(self, reason: str) -> None:
        """Lift every finger, close the recording and the ports."""
        handed_over = self.led_by is not None
        if handed_over:  # what is due, and to lift, is another's, which needs the port
            self._publisher.hand_over()
            self.endpoint.close()
            self.twins.close(twin_frames.YOURS)
        else:
            self.attempt(self.live.catch_up, self.clock())
        t = max(self.jam.t, self._takes.t(self.clock())) if self._takes.begun else 0.0
        if not handed_over:
            self.attempt(self.jam.finish, t)
        self.attempt(self._publisher.flush)
        self.attempt(self._takes.end, t, reason, self._publisher.lateness)
        self.attempt(self._takes.close)
        self.twins.close(twin_frames.OVER)
        for port in self._ports:
            self.attempt(port.close)
        if self._setup is not None:
            self.attempt(self._setup.close)
        if self._machine is not None:
            self._machine.close()
        self.endpoint.close()

    # -- input -----------------------------------------------------------------------------

    def packet(self, data: bytes, sender: Address, arrival: float) -> None:
        """Handle a packet that arrived at an instant of the clock, at once."""
        self.reception.take_in(data, sender, arrival, self.reception.read)
        self.reception.handle_all()
        self._publisher.flush()

    def _handle(
        self, request: native.Input, source: str, arrival: float, sender: Address | None = None
    ) -> None:
        self._counts.sender = sender or source
        try:
            known = self._humans.senders.get(source)
            name = None if known is None else known.name
            role = self._roles.check(request, source, name, arrival)
            match request:
                case native.Finger() | native.PitchedFinger() | native.PhaselessTouch():
                    self._humans.touch(request, source, arrival, sender, role, known)
                case native.KnobMoves():
                    moved = self._humans.moved(request)
                    self._humans.touch(moved, source, arrival, sender, role, known)
                case native.Control():
                    self._control(request, source, arrival, sender, role)
                case native.Subscribe() if sender:
                    self._subscribe(request, arrival, sender)
                case native.Alive():
                    port = sender[1] if sender else None
                    self._humans.alive(request, source, arrival, port)
                case native.LearnPad():
                    self._reader.learn_pad()
                case native.PreviewTouch() if sender:
                    self._humans.senders.take_act(source, request, arrival)
                    self._preview.handle(request, arrival)
                case native.StatusRequest() if sender:
                    self._answer_status(request, arrival, sender, role)
                case native.HealthRequest() if sender:
                    self._answer_health(request, arrival, sender)
                case native.MapRequest() if sender:
                    if self._answers.is_confirmed(sender, request.cookie, arrival):
                        answer = self._knob_monitor.describe()
                        self.endpoint.send(
                            osc.encode("/robojam/map/knobs", "s", answer), sender
                        )
                case native.SetupRequest() | native.SetupChange() if sender:
                    self._handle_setup(request, arrival, sender)
                case native.Follow() if sender:
                    self.twins.ask(request, sender[0], arrival)
                case native.Yield() if sender:
                    self._yield(request, sender)
                case osc.Dropped():
                    self._counts.drop(request.reason, request.about, request.key)
                case _:
                    self._counts.drop("wrong port")
        except RefusedError as refused:
            key = request.name if isinstance(request, native.Control) else ""
            key = "" if refused.reason in (NOT_ALLOWED, LOCKED) else key  # one for each host
            self._counts.drop(refused.reason, refused.about, key)
        finally:
            self._counts.sender = ""

    def _yield(self, request: native.Yield, sender: Address) -> None:
        """Fall silent for an engine that has led the jam since, or hand it over to a twin."""
        if request.term:
            if request.term > self.twins.term and self.twins.knows(request.secret):
                log.warning("%s leads the jam now", format_address(*sender))
                self.led_by = sender
                self.stopping = "another engine leads the jam"
            return
        if (heir := self.twins.heir) is None:
            raise RefusedError("no twin", "nobody follows who could go on now")
        self.led_by = heir
        self.stopping = "its twin leads the jam"

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
            for name, value in self._status.controls().items():
                if value is not None:
                    self.endpoint.send(native.encode_control(name, value), monitor)
            if self._setup is not None and self.endpoint.is_here(monitor[0]):
                controls = self._status.controls().items()
                chosen = {n: json.dumps(v) for n, v in controls if loses_digits(v)}
                for name, encoded in (chosen | self._setup.chosen()).items():
                    self.endpoint.send(native.encode_setup(name, encoded), monitor)

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
        senders, settings = self._humans.senders, self.live.settings
        player = senders.get(source) if own else None
        who = None if player is None else player.name
        checked: Any = validate_control(name, value, settings, who)
        if name not in SETTINGS:  # it acts, or costs something, each time
            senders.take_act(source, native.Control(name, checked), arrival)
        if self._monitors.is_echo(name, checked, source, arrival):
            raise RefusedError("echo")
        if own:
            self._humans.set_own(source, name, str(value), arrival)
            return
        if sender is not None and not self.endpoint.is_here(sender[0]):
            self._check_names(name, checked)
        if name == "scene":
            name, checked = "morph", self._place_of(checked)
        if name == "amount":
            self._check_knobs(checked)
        value = checked
        if name == "record":
            self._record(arrival, on=bool(value))
        elif name == "web":
            self._serve_pads(arrival, on=bool(value))
        elif name == "model":
            self._changes.ask_model(value)
        else:
            if name in beat_clock.CONTROLS:
                self._control_clock(name, value, arrival)
            if name == "seed":
                self._takes.reseed(value)
            if name in ("answer", "panic"):  # the take's first event may be one of these
                self.live.begin(arrival)
            took_effect = self.jam.control(self._takes.t(arrival), name, value)
            if name == "panic":
                senders.lift_all(arrival)
                self._preview.end(arrival)
                if not took_effect:  # the jam is silent already; its outputs may not be
                    panic = ControlChanged(self.jam.t, name, value)
                    self._publisher.send_to_outputs(panic, arrival)
        self.begin_if_alone()

    def _place_of(self, scene: str) -> float:
        """Return the value of morph at a scene of the knobs. Raises RefusedError."""
        try:
            return self.options.map.place_of(scene)
        except ValueError as error:
            raise RefusedError("unknown scene", str(error)) from error

    def _check_knobs(self, amounts: str) -> None:
        """Refuse an amount of a knob that is not mapped. Raises RefusedError."""
        for name in amounts_of(amounts):
            if name not in self.options.map.out:
                known = ", ".join(self.options.map.out) or "none"
                about = f"no knob is named {name!r:.60}; [map.out] has {known:.200}"
                raise RefusedError("unknown knob", about)

    def _control_clock(self, name: str, value: Any, arrival: float) -> None:
        """Do what a control of the clock says, and set those that follow from it."""
        t = self._takes.t(arrival)
        for other, follows in self._beat_clock.control(name, value, arrival).items():
            self.jam.control(t, other, follows)

    def _note_control(self, event: ControlChanged, at: float) -> None:
        """Follow the beats and pauses of a recording that is played."""
        if not self.jam.replaying:
            return
        if event.name == "beats":
            text = str(event.value)
            self._beat_clock.replay(Beats.parse(text, at) if text else None)
        elif event.name == "pause":
            self._beat_clock.hold(at, on=bool(event.value))

    def _check_names(self, name: str, value: Any) -> None:
        """Refuse a value that names a player who is not there. Raises RefusedError."""
        if not CONTROLS[name].per_player:
            return
        for who in music.names(value) - music.names(getattr(self.live.settings, name)):
            if not self._humans.senders.has(who) and not self._is_voice(who):
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
            self._publisher.flush()  # a lift may wait for the end of the loop's turn
            takes.end(takes.t(arrival), late=self._publisher.lateness)
        takes.recording = on
        self._monitors.control("record", int(on), arrival)

    def _serve_pads(self, arrival: float, *, on: bool) -> None:
        """Serve pads in browsers where they were last, or at their usual port; or none."""
        if self._setup is None:
            raise RefusedError("replaying", "a replay has no pads")
        address = json.dumps(self._setup.pads_at if on else "none")
        self._change_setup(self._setup, native.SetupChange("web", address), arrival)

    def _next_take(self, arrival: float, reason: str) -> None:
        """End the take for a reason, and wait for the first touch of the next."""
        live, settings, turn = self.live, self.live.settings, self.jam.turn
        if live.jam.silenced and MODES[settings.mode].starts_alone:
            settings.pause = 1  # a panic holds until pause 0, in the next take too
            self._monitors.control("pause", 1, arrival)
        live.end_take(arrival, reason)
        self._humans.senders.begin_take(arrival)
        self._changes.take_offer()
        live.renew()
        if self.jam.turn != turn:
            self._monitors.send(native.encode_turn(self.jam.turn), arrival)

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
        answer = setup.describe(self.live.info.model.file)
        self.endpoint.send(osc.encode("/robojam/setup", "s", answer), sender)

    def _change_setup(self, setup: Setup, request: native.SetupChange, arrival: float) -> None:
        options = setup.check(request.name, request.encoded)
        if request.name == "voices":
            self._changes.ask_voices(options.voices)
            return
        in_force = msgspec.structs.replace(options, controls=asdict(self.live.settings))
        use = partial(self._use_setup, setup, request.name)
        closed = setup.replace(request.name, options, in_force, self.calls.put, use)
        use()
        for port in closed.inputs:
            for source, lifted in port.lift_all():
                self._handle(lifted, source, arrival)

    def _use_voices(self, voices: int) -> None:
        """Use a number of voices, with which the next take plays."""
        if self._setup is not None:
            self._setup.options = msgspec.structs.replace(self._setup.options, voices=voices)
            self._use_setup(self._setup, "voices")

    def _use_setup(self, setup: Setup, name: str) -> None:
        """Use ports and options of the setup; tell the programs here of one that changed."""
        self._collect_ports()
        if setup.options == self.options:
            return
        self._takes.options = setup.options
        encoded = setup.chosen()[name]
        self._monitors.send_where(native.encode_setup(name, encoded), self.endpoint.is_here)
        if name == "web":
            self._monitors.control("web", int(setup.options.web != "none"), self.clock())
        log.info("%s is now %s", name, encoded)

    # -- status ----------------------------------------------------------------------------

    def _answer_status(
        self, request: native.StatusRequest, arrival: float, sender: Address, role: Role
    ) -> None:
        if self._answers.is_confirmed(sender, request.cookie, arrival):
            answer = self._answers.status(
                partial(self._status.encode, clock=False), sender[0], role, arrival,
                fresh={"clock": self._status.clock()},
            )  # fmt: skip
            self.endpoint.send(osc.encode("/robojam/status", "s", answer), sender)

    def _answer_health(
        self, request: native.HealthRequest, arrival: float, sender: Address
    ) -> None:
        if self._answers.is_confirmed(sender, request.cookie, arrival):
            health = self._health.judge(arrival)
            self.endpoint.send(native.encode_health(health.state, health.text), sender)

    def status(self, most: int = MAX_ANSWER, here: bool = True) -> str:  # noqa: FBT001,FBT002
        """Return the engine's state and counts, as JSON of `most` bytes at most.

        here: it is for this machine. Others get no path, and no address of a player.
        """
        return self._status.encode(most, here=here)


def _unlocked(options: Options) -> Collection[str] | None:
    """Return the controls that are not locked; None for all."""
    if not options.show or ALL_CONTROLS in options.show_allow:
        return None
    return options.show_allow


def _is_own(name: str, value: object, role: Role) -> bool:
    """Return whether a control is set for its sender alone."""
    if role is not Role.HOST:
        return True  # it is not allowed more
    own_by_default = name in CONTROLS and CONTROLS[name].own_by_default
    return own_by_default and "=" not in str(value) and "," not in str(value)
