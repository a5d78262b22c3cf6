"""jam, serve, window: the commands that play."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from robojam.cli import arguments
from robojam.config.addresses import parse_address, parse_output
from robojam.config.load import add_to
from robojam.config.options import Options
from robojam.system.child_process import on_stdin_end, termination_signals

if TYPE_CHECKING:
    from robojam.engine.engine import Engine
    from robojam.ports.interface import InputPort, OutputPort
    from robojam.ports.midi import MidiPorts
    from robojam.ports.udp import Endpoint
    from robojam.wire.dialects import OscReader

#: Where the window looks for an engine when none is named.
_ENGINE = "127.0.0.1:5005"


def _jam_arguments(parser: argparse.ArgumentParser) -> None:
    add_to(parser)
    _window_size(parser)


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    add_to(parser)
    _for_a_parent(parser)
    parser.add_argument("--options", help=argparse.SUPPRESS)  # all of them at once, in JSON


def _for_a_parent(parser: argparse.ArgumentParser) -> None:
    """Add how a program is told by the one that starts it to end when that one does."""
    parser.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)


def _window_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        metavar="HOST:PORT",
        default=_ENGINE,
        help=f"where the engine listens (default: {_ENGINE})",
    )
    _window_size(parser)
    _for_a_parent(parser)


def _window_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        metavar="WxH",
        default="1280x800",
        type=_size,
        help="of the window, in pixels (default: 1280x800)",
    )
    parser.add_argument("--fullscreen", action="store_true", help="begin on the full screen")
    parser.add_argument(
        "--theme", choices=["dark", "light", "stage"], default="dark",
        help="dark, light, or stage: black and without words (default: dark)",
    )  # fmt: skip
    parser.add_argument(
        "--turn", metavar="DEGREES", type=int, choices=[0, 90, 180, 270], default=0,
        help="turn the picture clockwise, for a table: 90, 180 or 270",
    )  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    sides = [int(side) if side.isdecimal() else 0 for side in (width, height)]
    if not all(0 < side < 20_000 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, as in 1280x800")
    return sides[0], sides[1]


def _jam(chosen: argparse.Namespace) -> int:
    import msgspec

    from robojam.app.supervisor import WindowOptions, jam
    from robojam.engine.model_loader import Models
    from robojam.model.file import ModelFileError, find, read
    from robojam.player.devices import DeviceError, choose_device, may_have
    from robojam.ports.udp import Endpoint, PortError, resolve

    for number in termination_signals():
        signal.signal(number, _leave)
    options = arguments.options(chosen)
    try:  # nothing has started yet, and nothing will if any of this fails
        path = find(options.model)
        read(path)
        if options.device in ("cuda", "mps") and not may_have(options.device):
            choose_device(options.device)  # which says what there is instead
        for output in map(parse_output, options.osc_out):
            resolve(output.host, output.port)
        endpoint = Endpoint(*parse_address(options.osc_in))
    except (ModelFileError, PortError, DeviceError) as error:
        arguments.fail(error)
    endpoint.close()
    for handler in _log(options):
        handler.close()
    host, port = endpoint.address  # a free one, if that was asked for
    models = Models(path, device="cpu", voices=1)

    def path_of(name: str) -> str:
        try:
            return str(models.find(name))
        except ModelFileError:  # gone since: the engine will say so
            return name

    return jam(
        msgspec.structs.replace(options, osc_in=f"{host}:{port}"),
        window=WindowOptions(chosen.size, chosen.fullscreen, chosen.theme, chosen.turn),
        find=path_of,
    )


def _window(chosen: argparse.Namespace) -> int:
    from robojam.window import run

    try:
        engine = parse_address(chosen.engine, lowest_port=1)
    except ValueError as error:
        arguments.fail(f"--engine: {error}")
    if chosen.until_eof:
        on_stdin_end(lambda: signal.raise_signal(signal.SIGTERM))
    return run(
        engine=engine, size=chosen.size, fullscreen=chosen.fullscreen, theme=chosen.theme,
        turn=chosen.turn,
    )  # fmt: skip


def _serve(chosen: argparse.Namespace) -> int:
    for number in termination_signals():
        signal.signal(number, _leave)
    from robojam.engine.engine import READY, Engine
    from robojam.jam.events import Settings
    from robojam.ports.osc_out import make_outputs
    from robojam.ports.udp import Endpoint, PortError

    options = (
        arguments.options(chosen) if chosen.options is None else _from_parent(chosen.options)
    )
    from robojam.engine.model_loader import Models, load, one_thread
    from robojam.model.file import ModelFileError, find
    from robojam.player.devices import DeviceError, choose_device

    one_thread()
    try:
        path = find(options.model)
        endpoint = Endpoint(*parse_address(options.osc_in))
        device = choose_device(options.device)
        playing = load(path, device=device, voices=options.voices)
        described = playing.player.file.description  # type: ignore[attr-defined]
        settings = Settings(
            mode=options.mode,
            threshold=options.threshold,
            response=options.response,
            timescale=options.timescale,
            instrument=options.instrument,
            scale=options.scale,
            volume=options.volume,
            temperature=described.temperature
            if options.temperature is None
            else options.temperature,
            spread=described.spread if options.spread is None else options.spread,
        )
        models = Models(path, device=device, voices=options.voices)
        reader = dialects(options)
        midi = midi_of(options)
        server = Engine(
            options,
            playing,
            endpoint=endpoint,
            settings=settings,
            load=models.ask,
            outputs=[*make_outputs(options, endpoint, reader), *midi, *sound(options)],
            inputs=[*_inputs(options, endpoint, reader), *midi],
            reader=reader,
        )
    except (ModelFileError, PortError, DeviceError) as error:
        arguments.fail(error)
    host, port = endpoint.address
    ready = (
        f"{READY}{host}:{port}, plays to {', '.join(options.osc_out)}: {path.name} on {device}"
    )
    with _announced(options, endpoint):
        return run(server, ready, options=options, until_eof=chosen.until_eof)


def dialects(options: Options) -> OscReader:
    """Make what reads OSC, in all its dialects."""
    from robojam.config.addresses import LEARN, parse_pad
    from robojam.ports.osc_out import tuio_source
    from robojam.wire.dialects import OscReader
    from robojam.wire.touchosc import Pad, Pads
    from robojam.wire.tuio import TuioReader

    def learnt(pad: Pad) -> None:
        told = f"{pad.address}={','.join(pad.axes)}"
        logging.getLogger("robojam").info("a pad: next time --touchosc %s takes it", told)

    named = [Pad(*parse_pad(text)) for text in options.touchosc if text != LEARN]
    pads = Pads(named, learning=LEARN in options.touchosc, on_learnt=learnt)
    return OscReader(pads=pads, listener=TuioReader(tuio_source()))


def _inputs(options: Options, endpoint: Endpoint, reader: OscReader) -> list[InputPort]:
    """Make what is listened to besides OSC. A port that cannot be had is no reason to stop."""
    from robojam.config.addresses import parse_tuio
    from robojam.ports.tuio_in import TuioInput
    from robojam.ports.udp import Endpoint, PortError

    at = parse_tuio(options.tuio_in, default_host=endpoint.address[0])
    if at is None:
        return []
    try:
        return [TuioInput(Endpoint(*at), reader.listener)]
    except PortError as error:
        why = str(error).partition(". Close it")[0]
        print(
            f"robojam: no TUIO for now: {why}; going on without it (--tuio-in none: not asked "
            "for; --tuio-in PORT: another)",
            file=sys.stderr,
        )
        return []


@contextmanager
def _announced(options: Options, endpoint: Endpoint) -> Iterator[None]:
    """Let the engine be found on the network, where it listens there and may be."""
    from robojam.ports import discovery

    if not options.announce or not discovery.is_beyond(endpoint.address[0]):
        yield
    elif not discovery.is_installed():
        print(
            "robojam: not announced on the network: that takes pip install 'robojam[net]'",
            file=sys.stderr,
        )
        yield
    else:
        with discovery.announced(*endpoint.address):
            yield


def sound(options: Options) -> list[OutputPort]:
    """Make the synthesiser that the options ask for."""
    if not options.sound:
        return []
    from robojam.sound.output import SoundOutput

    made = SoundOutput(
        instrument=options.instrument,
        scale=options.scale,
        volume=options.volume,
        device=options.sound_out,
    )
    return [made]


def midi_of(options: Options, *, everyone: bool = False) -> list[MidiPorts]:
    """Take the MIDI ports that the options name; everyone: for the humans' touches too."""
    if not (options.midi_in or options.midi_out):
        return []
    from robojam.ports.midi import MidiPorts
    from robojam.ports.midi_client import MidiError

    try:
        return [MidiPorts(options, everyone=everyone)]
    except MidiError as error:
        arguments.fail(error)


def _from_parent(text: str) -> Options:
    import msgspec

    return msgspec.json.decode(text, type=Options)


def run(server: Engine, ready: str, *, options: Options, until_eof: bool = False) -> int:
    """Run an engine until it is asked to stop, by a signal or its parent's end."""
    import gc

    from robojam.system.log_queue import logging_to
    from robojam.system.priority import raise_priority

    def stop(number: int, _frame: object) -> None:
        server.stop(signal.Signals(number).name)

    with logging_to(_log(options), verbose=options.verbose):
        # A signal ends the loop's sleep by itself; the handler only says why.
        signal.set_wakeup_fd(server.calls.wake_fd, warn_on_full_buffer=False)
        for number in termination_signals():
            signal.signal(number, stop)
        if until_eof:
            on_stdin_end(lambda: server.stop("what started it has ended"))
        gc.freeze()  # what is there now stays: later collections have less to look at
        server.priority = raise_priority()
        print(ready, flush=True)
        server.run()
    return 0


def _log(options: Options) -> list[logging.Handler]:
    """Open the log, or leave."""
    from robojam.system.log_queue import make_handlers

    try:
        return make_handlers(options.log)
    except OSError as error:
        arguments.fail(f"cannot log to {options.log}: {error.strerror}")


def _leave(_number: int, _frame: object) -> NoReturn:
    """Leave on a signal: nothing has begun yet, so there is nothing to lift or to close."""
    raise SystemExit(0)


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("jam", "the engine and its window", _jam_arguments, _jam),
    ("serve", "the engine alone", _serve_arguments, _serve),
    ("window", "the window alone", _window_arguments, _window),
)
