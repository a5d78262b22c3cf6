"""Assembly of an engine from its options: model, ports, sound and the jam or recording.

Nothing here prints or reads arguments. An `AssemblyError` says why there is no engine;
`Assembly.warnings` says what is missing from one that can play without it.
"""

import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.app import resume
from robojam.app.follow import Follower, Lead
from robojam.config import roles
from robojam.config.addresses import (
    LEARN,
    format_address,
    is_loopback,
    parse_address,
    parse_output,
    parse_pad,
    parse_tuio,
    parse_web,
    parse_websocket,
)
from robojam.config.load import OptionsError, recorded, resolve
from robojam.config.map_table import Map, for_instrument, osc_input_knobs, without_output
from robojam.config.networks import Network, parse_network
from robojam.config.options import Options
from robojam.controls import SETTINGS
from robojam.engine import loop, model_loader
from robojam.engine.engine import READY, Engine
from robojam.engine.model_loader import Models, is_compiled
from robojam.engine.setup import PortGroup, Setup
from robojam.engine.takes import LoadedPlayer, ModelInfo
from robojam.jam.jam import Jam
from robojam.jam.protocols import Player
from robojam.model import file as model_file
from robojam.model.file import ModelFileError
from robojam.player.devices import DeviceError, choose_device, has_torch, may_have
from robojam.player.player import ModelPlayer, check_shape
from robojam.ports import discovery, udp
from robojam.ports.clock_port import ClockError, ClockPorts
from robojam.ports.interface import InputPort
from robojam.ports.knobs import make_osc_knobs
from robojam.ports.listener import Listener
from robojam.ports.midi import MidiPorts
from robojam.ports.midi_client import MidiError
from robojam.ports.osc_out import make_outputs, tuio_source
from robojam.ports.serial_link import SerialError
from robojam.ports.serial_ports import SerialPorts, serial_names
from robojam.ports.thru import Thru
from robojam.ports.tuio_in import TuioInput
from robojam.ports.udp import PortError
from robojam.sessions.playback import Playback, settings_of
from robojam.sessions.regenerate import missing_parts, regenerate
from robojam.sessions.session import Header, ModelRef, Session, file_name, is_selected
from robojam.sound.output import SoundOutput
from robojam.system.child_process import termination_signals
from robojam.system.log_queue import logging_to, make_handlers, print_line
from robojam.system.priority import raise_priority
from robojam.system.service_manager import ServiceNotifier
from robojam.system.shell import printable, shell_quoted
from robojam.touch import KNOB_NAMES
from robojam.web import certificate
from robojam.web import port as web_port
from robojam.web.midi_port import NAME, MidiSocketPort
from robojam.web.port import WebError, WebPort
from robojam.wire.dialects import OscReader
from robojam.wire.echo import EchoDetector
from robojam.wire.knob_inputs import OscKnobReader
from robojam.wire.touchosc import Pad, Pads
from robojam.wire.tuio import TuioReader

log = logging.getLogger("robojam")

#: Directions of a pad's axes.
_AXES: Final = {"x": "right", "-x": "left", "y": "down", "-y": "up"}
#: Seconds that a replay waits for its MIDI ports, so that none of its touches is missed.
_MIDI_WAIT: Final = 3.0
#: Seconds after which an engine that goes on for another one looks for a faster player.
_SETTLED: Final = 2.0
#: Seconds until the ports of an engine that has ended must be free.
_FREED: Final = 5.0
#: Collections of what is young before one of everything, which takes tens of milliseconds where
#: many voices play. Hardly anything needs it: there are few cycles of references.
_FULL_COLLECTION: Final = 1000
#: Seconds after which a thread that holds the interpreter gives it to another that waits: the
#: recorder has to write what it gets within 10 ms, and the loop waits for nobody.
_SWITCH: Final = 0.0005


class AssemblyError(Exception):
    """Reason why nothing can be made from these options: one line for the musician."""


@contextmanager
def _assembling() -> Iterator[None]:
    """Raise AssemblyError for the errors of a model, a device or a port."""
    try:
        yield
    except (
        ModelFileError, DeviceError, PortError, MidiError, SerialError, WebError, ClockError,
    ) as error:  # fmt: skip
        raise AssemblyError(str(error)) from error


@contextmanager
def _resuming(warnings: list[str], *, again: bool) -> Iterator[None]:
    """Raise AssemblyError for a jam that cannot go on from its recording.

    again: it is a warning, and the jam starts from nothing, whatever went wrong.
    """
    try:
        yield
    except (resume.ResumeError, ModelFileError) as error:
        if not again:
            raise AssemblyError(str(error)) from error
        warnings.append(f"{error}; the jam starts from nothing")
    except Exception as error:
        if not again:
            raise
        warnings.append(
            f"the jam starts from nothing ({type(error).__name__}: {printable(str(error))})"
        )


@dataclass(frozen=True, slots=True)
class Assembly:
    """An engine that is ready to run, and what to print about it.

    ready is the line that says where it listens and plays to. warnings name what was asked
    for and is missing, one line each. speed_up is called when the engine listens; it returns
    at once, and the engine is offered a faster player later, if there is one. again: it
    follows an engine that died, and plays on without what is missing now. lead: it goes on for
    an engine that it has followed.
    """

    engine: Engine
    options: Options
    ready: str
    warnings: tuple[str, ...] = ()
    announced: bool = False
    speed_up: Callable[[], None] = lambda: None
    again: bool = False
    lead: bool = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which the engine listens."""
        return self.engine.endpoint.address

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Run the engine until it is stopped, by a signal or by `Engine.stop`.

        on_ready is called once, when nothing but the loop is left to start. Raises
        AssemblyError when the log cannot be opened.
        """

        def stop(number: int, _frame: object) -> None:
            self.engine.stop(signal.Signals(number).name)

        service = ServiceNotifier()
        announced = discovery.announced(*self.address) if self.announced else nullcontext()
        try:
            handlers = open_log(self.options)
        except AssemblyError as error:
            if not self.again:
                raise
            handlers = make_handlers(None)
            log.warning("%s; going on without", error)
        with announced, logging_to(handlers, verbose=self.options.verbose):
            # A signal ends the loop's sleep by itself; the handler only says why.
            signal.set_wakeup_fd(self.engine.calls.wake_fd, warn_on_full_buffer=False)
            for number in termination_signals():
                signal.signal(number, stop)
            _keep_waits_short()
            self.engine.priority = raise_priority()
            on_ready()
            service.ready(self.ready)
            if self.lead:  # which has no time for it now
                threading.Timer(_SETTLED, self.speed_up).start()
            else:
                self.speed_up()
            loop.run(self.engine, service=service)


def _keep_waits_short() -> None:
    """Have neither the garbage collector nor another thread hold the loop for long."""
    gc.freeze()  # later collections skip all that exists now
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _FULL_COLLECTION)
    sys.setswitchinterval(_SWITCH)


def open_log(options: Options) -> list[logging.Handler]:
    """Open what the engine logs to. Raises AssemblyError when the file cannot be opened."""
    try:
        return make_handlers(options.log)
    except OSError as error:
        raise AssemblyError(f"cannot log to {options.log}: {error.strerror}") from error


# -- a live jam ------------------------------------------------------------------------------


def prepare_jam(options: Options) -> tuple[Options, Callable[[str], str]]:
    """Check that an engine could start with these options, without starting one.

    Returns the options with the port that a free one stands for, and a function from the
    name of a model that the engine plays to the value of --model that loads it. Raises
    AssemblyError.
    """
    options = with_roles(options)
    with_map(options)
    with _assembling():
        path = model_file.find(options.model, of_knobs=bool(options.knobs))
        check_shape(model_file.read(path), options.knobs)
        usable = has_torch() and may_have(options.device)
        if options.device in ("cuda", "mps") and not usable:
            choose_device(options.device)  # its error names the devices of this machine
        for output in map(parse_output, options.osc_out):
            udp.resolve(output.host, output.port)
        listener = Listener(*parse_address(options.osc_in))
        ClockPorts(options.midi_in).check(options.settings().clock)
        if (pad := parse_web(options.web)) is not None:
            web_port.check(*pad, options.web_cert)
        if parse_websocket(options.midi_websocket) is not None:
            web_port.check_installed("--midi-websocket")
    listener.close()
    for handler in open_log(options):
        handler.close()
    models = Models([path.parent], device="cpu")

    def find(name: str) -> str:
        try:
            return str(models.find(name))
        except ModelFileError:  # deleted since: the engine that gets this name says so
            return name

    def absolute(name: str | None) -> str | None:
        return None if name is None else os.path.abspath(name)

    # An engine that is started again may find the current folder gone.
    options = msgspec.structs.replace(
        options,
        osc_in=format_address(*listener.address),
        model=absolute(str(path)) if options.model is not None else None,
        sessions=absolute(options.sessions),
        log=absolute(options.log),
        web_cert=options.web_cert and certificate.absolute(options.web_cert),
    )
    return options, find


def models_of(options: Options) -> Models:
    """Return where the models of a jam are that is followed. Raises ModelFileError."""
    return Models(resume.folders(options), device="cpu", knobs=options.knobs)


def with_roles(options: Options) -> Options:
    """Return options with the file of roles read, and names of hosts looked up.

    An engine that is started again with them needs neither. Raises AssemblyError.
    """
    try:
        if options.roles is None:
            rules = None
        else:
            rules = options.role_rules or roles.read(options.roles)
            found = {a: role for who, role in rules.address.items() for a in _hosts_of(who)}
            rules = msgspec.structs.replace(rules, address=found)
        control = tuple(host for text in options.control for host in _hosts_of(text))
    except ValueError as error:
        raise AssemblyError(str(error)) from error
    return msgspec.structs.replace(options, control=control, role_rules=rules)


def with_map(options: Options) -> Options:
    """Return options with the map of its instrument. Raises AssemblyError."""
    try:
        table = for_instrument(options.map, options.knobs)
    except ValueError as error:
        raise AssemblyError(f"map: {error}") from error
    return msgspec.structs.replace(options, map=table)


def _hosts_of(text: str) -> tuple[str, ...]:
    """Return a network as it is, or the addresses of a host's name. Raises ValueError."""
    network = parse_network(text)
    if isinstance(network, Network):
        return (text,)
    found = [host for host, _ in udp.resolve(network, 1, to="give a role to")]
    beyond = [host for host in found if not is_loopback(host)]
    for host in beyond:
        parse_network(host)
    return tuple(beyond)


def assemble(
    options: Options,
    *,
    again: bool = False,
    recording: Path | None = None,
    only_cut: bool = False,
    follower: Follower | None = None,
    on_following: Callable[[str], None] = lambda _: None,
) -> Assembly | None:
    """Make the engine of a live jam. Raises AssemblyError.

    again: the jam goes on after its engine died. What the options name and is not there any
    more is a warning, and does not end it. recording: that of a jam that is to go on;
    only_cut: unless it has its end. follower follows the engine that leads a jam: this returns
    when that one is gone, with an engine that goes on where it was, or None where the jam has
    ended; on_following is called when that is prepared.
    """
    model_loader.one_thread()
    warnings: list[str] = []
    left = None
    if recording is not None:
        with _resuming(warnings, again=again):
            left = resume.read_jam(recording, warnings, only_cut=again or only_cut)
            if left is not None and not again:
                options = resume.with_ports(options, left.session)
    if follower is not None:
        options = follower.connect(options)
    options = with_roles(options)
    if options.show:  # nobody is to find it who was not told
        options = msgspec.structs.replace(options, announce=False)
    opening = again  # outputs whose names are not known now may be known later

    def open_sound(now: Options) -> PortGroup:
        outputs = tuple(sound) or tuple(_sound(now))
        sound.clear()
        return PortGroup(outputs)

    def report(error: Exception) -> None:
        warnings.append(f"{error}; going on without, and trying again")

    reader = make_reader(options)
    sound: list[SoundOutput] = []  # that of a twin, which is opened before it is needed
    lead = None
    with _assembling():
        listener = None
        if follower is None or not follower.is_here:
            listener = Listener(*parse_address(options.osc_in))
        device = "cpu" if follower else _device(options, warnings, again=again)
        resumed = None
        if follower is not None:
            sound = _sound(options)
            models, loaded = _load_model(options, device, warnings, again=again)
            _keep_waits_short()
            raise_priority()
            for output in sound:  # its thread has the priority that this one has
                output.advance(0.0)
            leader = format_address(*follower.leader)
            on_following(f"follows {leader} with {loaded.info.model.file}")
            lead = follower.run()
            if lead.over:
                return None
            options, resumed = with_roles(lead.options), lead.resumed
            if resumed is not None:
                loaded = resumed.loaded
        listener = _listen_after(listener, lead, options)
        if left is not None:
            with _resuming(warnings, again=again):
                knobs = left.session.knobs
                models = Models(resume.folders(options), device=device, knobs=knobs)
                patience = resume.PATIENCE if again else math.inf
                options, resumed = resume.resume(
                    left, options, models, warnings, patience=patience
                )
                loaded = resumed.loaded
        if resumed is None and lead is None:
            models, loaded = _load_model(options, device, warnings, again=again)
        options = with_map(options)
        assert isinstance(loaded.player, ModelPlayer)
        thru = Thru(lambda: engine, reader.echo, is_here=listener.is_here)
        path, recommended = loaded.player.file.path, loaded.player.file.description
        setup = Setup(
            options,
            {
                "osc": lambda now, present: PortGroup(
                    (
                        *make_outputs(
                            now,
                            listener,
                            reader,
                            present=present.outputs,
                            thru=thru,
                            on_unknown=report if opening else None,
                        ),
                        *make_osc_knobs(now, listener, on_unknown=report if opening else None),
                    )
                ),
                "midi": lambda now, _: PortGroup(
                    ports := tuple(_midi_ports(now, reader.echo)), ports
                ),
                "serial": lambda now, _: PortGroup(
                    ports := tuple(_serial_ports(now, reader.echo, thru)), ports
                ),
                "websocket": lambda now, _: PortGroup(
                    ports := tuple(_midi_sockets(now, reader.echo, warnings)), ports
                ),
                "sound": lambda now, _: open_sound(now),
                "web": lambda now, _: PortGroup(
                    ports := tuple(
                        _web(now, lambda: engine, listener, models.folders, patient=again)
                    ),
                    ports,
                ),
            },
            models=models.names,
        )
        opening = False
        engine = Engine(
            options,
            loaded.info,
            partial(Jam, loaded.player),
            endpoint=listener,
            settings=resumed.jam.settings
            if resumed is not None
            else options.settings(
                temperature=recommended.temperature, spread=recommended.spread
            ),
            load=models.ask,
            inputs=_tuio_inputs(options, listener, reader, warnings),
            setup=setup,
            clocks=ClockPorts(options.midi_in),
            reader=reader,
            resumed=resumed,
            term=1 if lead is None else lead.term,
        )
    if again and resumed is None:
        engine.live.lift_at_outputs()
    if lead is not None:
        before = None if lead.address is not None else lead.leader
        engine.take_lead(lead.skip, before, lead.secret)
    announced = _can_announce(options, listener, warnings)
    _warn_of_itself(listener, warnings)
    others = serial_names(options)
    if options.midi_websocket != "none":
        others.append(NAME)
    warnings += [
        f"the knob {name} of [map.out] is for a MIDI output, and none is there for it "
        "(--midi-out NAME; robojam ports shows them)"
        for name in without_output(options.map, options.midi_out, options.midi, others=others)
        if name not in KNOB_NAMES  # those that nobody asked for
    ]
    address, outputs = format_address(*listener.address), ", ".join(options.osc_out)
    ready = f"{READY}{address}, plays to {outputs}: {path.name} on {models.device}"

    if lead is not None:
        ready += f", goes on for {format_address(*lead.leader)}"
    if recording is not None and resumed is not None:
        ready += f", goes on from {recording.name}"

    def use_compiled(compiled: LoadedPlayer) -> None:
        engine.offer(compiled, partial(setattr, models, "compiled", True))

    speed_up = partial(models.load_compiled, path, options.voices, use_compiled)
    return Assembly(
        engine, options, ready, tuple(warnings), announced, speed_up, again, lead is not None
    )


def _listen_after(listener: Listener | None, lead: Lead | None, options: Options) -> Listener:
    """Return the listener of an engine; of a twin on the leader's machine at its address.

    The system frees that while the leader ends. Raises PortError.
    """
    if listener is None:
        address = parse_address(options.osc_in)
        if lead is not None and lead.address is not None:
            address = lead.address
        until = time.monotonic() + _FREED
        while listener is None:
            try:
                listener = Listener(*address)
            except PortError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.001)
    elif lead is not None:
        while listener.receive() is not None:  # what came while another led
            pass
    return listener


def _device(options: Options, warnings: list[str], *, again: bool) -> str:
    """Return the device that plays; again: the CPU where the one that is asked for is gone."""
    try:
        return choose_device(options.device)
    except DeviceError as error:
        if not again:
            raise
        warnings.append(f"{error}; on with the CPU")
        return "cpu"


def _load_model(
    options: Options, device: str, warnings: list[str], *, again: bool
) -> tuple[Models, LoadedPlayer]:
    """Load the model that plays; again: robojam's own where that one cannot be loaded.

    Returns the folder of models, too. Raises ModelFileError.
    """
    try:
        path = model_file.find(options.model, of_knobs=bool(options.knobs))
        models = Models([path.parent], device=device, knobs=options.knobs)
        return models, models.load_file(path, options.voices)
    except ModelFileError as error:
        if not again:
            raise
        path = model_file.find(None, of_knobs=bool(options.knobs))
        models = Models([path.parent], device=device, knobs=options.knobs)
        warnings.append(f"{error}; on with {path.name}")
        return models, models.load_file(path, options.voices)


def make_reader(options: Options) -> OscReader:
    """Return a reader of OSC in all its dialects, with the pads of TouchOSC in the options."""

    def log_learnt(pad: Pad) -> None:
        axes = ", ".join(
            f"{_AXES[axis]} {low:g} to {high:g}"
            for axis, (low, high) in zip(pad.axes, pad.ranges, strict=True)
        )
        log.info(
            "a pad plays: %s (%s); next time --touchosc %s takes it",
            pad.address, axes, shell_quoted(str(pad)),
        )  # fmt: skip

    pads = [parse_pad(text) for text in options.touchosc if text != LEARN]
    learning = LEARN in options.touchosc
    echo = EchoDetector()
    return OscReader(
        pads=Pads(pads, learning=learning, on_learnt=log_learnt),
        tuio_reader=TuioReader(tuio_source(), echo),
        echo=echo,
        knobs=OscKnobReader(knobs) if (knobs := osc_input_knobs(options.map)) else None,
    )


def _tuio_inputs(
    options: Options, listener: Listener, reader: OscReader, warnings: list[str]
) -> list[InputPort]:
    """Return the port for TUIO; none, and a warning, when another program has it."""
    address = parse_tuio(options.tuio_in, default_host=listener.address[0])
    if address is None:
        return []
    try:
        return [TuioInput(Listener(*address), reader.tuio_reader)]
    except PortError as error:
        warnings.append(
            f"no TUIO for now: {str(error).partition('. Close it')[0]}; going on without it "
            "(--tuio-in none: not asked for; --tuio-in PORT: another)"
        )
        return []


def _warn_of_itself(listener: Listener, warnings: list[str]) -> None:
    warnings += [
        f"the output {output.name} is this engine's own input, which ignores what it has sent "
        "itself; name the address of another program"
        for output in listener.destinations
        if listener.receives(output.address)
    ]


def _can_announce(options: Options, listener: Listener, warnings: list[str]) -> bool:
    if not options.announce or not discovery.reaches_network(listener.address[0]):
        return False
    if not discovery.is_installed():
        warnings.append("not announced on the network: that takes pip install 'robojam[net]'")
        return False
    return True


def _sound(options: Options) -> list[SoundOutput]:
    if not options.sound:
        return []
    latency = options.sound_latency / 1000
    return [SoundOutput(options.settings(), device=options.sound_out, latency=latency)]


def _midi_ports(
    options: Options, echo: EchoDetector, *, everyone: bool = False
) -> list[MidiPorts]:
    wanted = options.midi_in or options.midi_out
    return [MidiPorts(options, everyone=everyone, echo=echo)] if wanted else []


def _serial_ports(options: Options, echo: EchoDetector, thru: Thru) -> list[SerialPorts]:
    wanted = options.serial or options.serial_midi
    return [SerialPorts(options, echo=echo, thru=thru)] if wanted else []


def _midi_sockets(
    options: Options, echo: EchoDetector, warnings: list[str]
) -> list[MidiSocketPort]:
    """Return the port of MIDI by WebSocket; none, and a warning, where it cannot be served."""
    address = parse_websocket(options.midi_websocket)
    if address is None:
        return []
    web_port.check_installed("--midi-websocket")
    try:
        web_port.check(*address, option="--midi-websocket")
    except WebError as error:
        warnings.append(f"{error}; going on without it")
        return []
    return [MidiSocketPort(options, echo=echo)]


def _web(
    options: Options,
    engine: Callable[[], Engine],
    listener: Listener,
    models: Sequence[Path],
    *,
    patient: bool,
) -> Iterator[WebPort]:
    """Yield the port of pads in browsers, if they are asked for."""

    def print_when_up(line: str) -> None:  # not on the loop's thread: a terminal may be slow
        threading.Thread(target=print_line, args=(line, sys.stdout), daemon=True).start()

    gateway = web_port.gateway()
    address = parse_web(options.web) if gateway is None else ("127.0.0.1", 0)
    if address is not None:
        yield WebPort(
            address,
            control=options.web_control,
            certificate=options.web_cert,
            osc=listener.address,
            announce=options.announce,
            player_of=lambda source: engine().player_of(source),
            role_of=lambda source: engine().role_of(source),
            state=lambda: (engine().jam.turn, engine().controls(), engine().options.voices),
            model=lambda: engine().live.info.model.file,
            models=models,
            on_up=print_when_up,
            patient=patient,
            gateway=gateway,
        )


# -- a recording -----------------------------------------------------------------------------


def assemble_replay(
    session: Session,
    given: Mapping[str, Any],
    *,
    speed: float = 1.0,
    who: Collection[str] = (),
    lead: float = 0.0,
) -> Assembly:
    """Make an engine that plays a recording in the place of a live jam.

    given are the options from the command line, by their fields in Options. speed is how
    many times faster it plays, who names the players to play (all without any), and lead
    the seconds until it begins. Raises AssemblyError.
    """
    header = session.header
    try:
        settings = settings_of(session)
        sounding = {n: getattr(settings, n) for n, row in SETTINGS.items() if row.sound}
        options = resolve({**sounding, **given, "knobs": session.knobs, "record": False}, None)
        options = msgspec.structs.replace(options, map=_map_of(header))
    except OptionsError as error:
        raise AssemblyError(str(error)) from error
    except ValueError as error:
        raise AssemblyError(f"{session.path}, {error}") from error
    options = with_map(options)
    settings.pause = 0
    players = session.summary().touches
    for name in who:
        if not any(is_selected(player, [name]) for player in players):
            known = ", ".join(players) or "nobody"
            raise AssemblyError(f"nobody named {name} plays there; there is {known}")
    make_jam = partial(
        Playback, session, speed=speed, who=who or None, lead=lead,
        on_end=lambda: engine.stop("the end"),
    )  # fmt: skip
    with _assembling():
        reader = make_reader(options)
        listener = Listener(*parse_address(options.osc_in))
        outputs = make_outputs(options, listener, reader, everyone=True)
        outputs += make_osc_knobs(options, listener)
        midi = _midi_ports(options, reader.echo, everyone=True)
        engine: Engine = Engine(
            options,
            ModelInfo(header.model, header.device, header.build),
            make_jam,
            endpoint=listener,
            settings=settings,
            load=lambda *_: None,  # a replay takes no such control
            outputs=[*outputs, *midi, *_sound(options)],
            inputs=midi,
            reader=reader,
        )
    for ports in midi:
        ports.await_ports(_MIDI_WAIT)
    name = "a recording" if session.path is None else session.path.name
    address, to = format_address(*listener.address), ", ".join(options.osc_out)
    ready = f"{READY}{address}, replays {name} to {to}"
    return Assembly(engine, options, ready)


def _map_of(header: Header) -> Map:
    """Return the knobs out of a recording, but for those that are sent to a host of its own.

    Whoever made it might name any. Raises OptionsError.
    """
    table: Map = recorded(header.options, "map")
    out = {n: row for n, row in table.out.items() if row.parsed_target.is_midi or not row.port}
    scene = {
        name: {knob: row for knob, row in rows.items() if knob in out}
        for name, rows in table.scene.items()
    }
    return Map(out=out, scene=scene)


def regenerate_session(
    session: Session, *, model: str | None = None, device: str | None = None
) -> tuple[Session, list[str]]:
    """Make the machine's part of a recording again from what the humans played.

    model and device are those of the recording unless they are named. Returns the new take,
    and what keeps it from being the same: where model, device and build differ from the
    recording's, and what the recording lacks. Raises AssemblyError.
    """
    model_loader.one_thread()
    header = session.header
    differences = list(missing_parts(session))

    def compare(name: str, recorded: object, present: object) -> None:
        if recorded != present:
            differences.append(f"{name} differs: recorded with {recorded}, now {present}")

    def load(reference: dict[str, Any]) -> Player:
        wanted = ModelRef(file_name(reference["file"]), str(reference.get("sha256", "")))
        found = models.find_recorded(wanted)
        loaded = model_loader.load(
            found, device=models.device, voices=voices, compiled=models.compiled,
            knobs=session.knobs,
        )  # fmt: skip
        compare(f"model {wanted.file}", wanted.sha256, loaded.info.model.sha256)
        return loaded.player

    try:
        with _assembling():
            voices = recorded(header.options, "voices")
            device = _device_of(header) if device is None else choose_device(device)
            # A path in a recording is not opened: whoever made it might name any file.
            path = None if model is None else model_file.find(model)
            folders = [Path("models"), Path()] if path is None else [path.parent]
            models = Models(folders, device=device, knobs=session.knobs)
            path = path or models.find_recorded(header.model)
            loaded = _load_as_recorded(path, session, device=device, voices=voices)
            models.compiled = is_compiled(loaded.info.build)
            events = tuple(regenerate(session, loaded.player, load))
    except (ValueError, TypeError) as error:
        raise AssemblyError(f"{session.path}, {error}") from error
    compare("model", _describe_model(header.model), _describe_model(loaded.info.model))
    compare("device", header.device, device)
    compare("build", header.build, loaded.info.build)
    info = loaded.info
    header = msgspec.structs.replace(header, model=info.model, device=device, build=info.build)
    return Session(header, events), differences


def _load_as_recorded(
    path: Path, session: Session, *, device: str, voices: int
) -> LoadedPlayer:
    """Load a model with the kind of steps that a recording was made with, if they are here."""
    load = partial(model_loader.load, path, device=device, voices=voices, knobs=session.knobs)
    if is_compiled(session.header.build) and device == "cpu":
        with suppress(ImportError):  # its build will differ, and that is said
            return load(compiled=True)
    return load()


def _describe_model(model: ModelRef) -> str:
    return f"{model.file} ({model.sha256[:12]}…)"


def _device_of(header: Header) -> str:
    """Return the device of a recording, or the CPU where there is none such here."""
    with suppress(DeviceError):
        if may_have(header.device):
            return choose_device(header.device)
    return "cpu"
