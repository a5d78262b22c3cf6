"""The commands: the only place that reads arguments or prints.

Everything heavy is imported by the command that needs it, so that --help and the
window wait for nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from robojam import __version__
from robojam.options import (
    Options,
    OptionsError,
    Parser,
    add_to,
    parse_address,
    resolve,
)

if TYPE_CHECKING:
    from robojam.server import Server

#: Where the window looks for an engine when none is named.
_ENGINE = "127.0.0.1:5005"


def fail(why: object, status: int = 2) -> NoReturn:
    """Say in one line what is wrong, and leave."""
    print(f"robojam: {' '.join(str(why).split())}", file=sys.stderr)
    raise SystemExit(status)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command; leaves with its status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        status = chosen.command(chosen)
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # what it printed to has gone (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    raise SystemExit(status)


def _parser() -> Parser:
    parser = Parser(prog="robojam", description="A partner to jam with on a touch surface.")
    parser.add_argument("--version", action="version", version=f"robojam {__version__}")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)

    def command(name: str, act: Callable[[argparse.Namespace], int], about: str) -> Any:
        made = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        made.set_defaults(command=act)
        return made

    jam = command("jam", _jam, "the engine and its window")
    add_to(jam)
    _window_options(jam)
    serve = command("serve", _serve, "the engine alone")
    add_to(serve)
    serve.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)
    window = command("window", _window, "the window alone")
    window.add_argument(
        "--engine", metavar="HOST:PORT", default=_ENGINE, help=f"where the engine listens (default: {_ENGINE})"
    )
    _window_options(window)
    _replay_options(command("replay", _replay, "a recorded jam again, in time or made anew"))
    _train_options(command("train", _train, "a model from corpora and sessions"))
    evaluate = command("evaluate", _evaluate, "how well a model predicts")
    evaluate.add_argument("model", metavar="MODEL", help="a model file, or a name")
    evaluate.add_argument("data", metavar="DATA", nargs="+", type=Path, help="held-out corpora")
    evaluate.add_argument("--json", action="store_true", help="for machines")
    bench = command("bench", _bench, "latency, timing, CPU use on this machine")
    bench.add_argument("--json", action="store_true", help="for machines")
    bench.add_argument("--quick", action="store_true", help="under 20 seconds")
    bench.add_argument("--model", metavar="FILE", help="the model that plays")
    return parser


def _window_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", metavar="WxH", default="1280x800", type=_size, help="of the window, in pixels (default: 1280x800)")
    parser.add_argument("--fullscreen", action="store_true", help="begin on the full screen")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) < 20000 and 0 < int(height) < 20000):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, as in 1280x800")
    return int(width), int(height)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _options(chosen: argparse.Namespace) -> Options:
    try:
        return resolve(chosen)
    except OptionsError as error:
        fail(error)


# -- jam, window ------------------------------------------------------------------------


def _jam(chosen: argparse.Namespace) -> int:
    from robojam.modelfile import ModelFileError, find
    from robojam.ports import Endpoint, PortError, resolve as look_up
    from robojam.supervise import jam

    options = _options(chosen)
    try:  # nothing has started yet, and nothing will if any of this fails
        find(options.model)
        host, port = parse_address(options.osc_in)
        with_port = Endpoint(host, port)
        with_port.close()
    except (ModelFileError, PortError) as error:
        fail(error)
    del look_up
    return jam(options, size=chosen.size, fullscreen=chosen.fullscreen)


def _window(chosen: argparse.Namespace) -> int:
    from robojam.window import run

    try:
        engine = parse_address(chosen.engine, lowest_port=1)
    except ValueError as error:
        fail(f"--engine: {error}")
    return run(engine=engine, size=chosen.size, fullscreen=chosen.fullscreen)


# -- serve -------------------------------------------------------------------------------


def _serve(chosen: argparse.Namespace) -> int:
    from robojam.jam import Settings
    from robojam.ports import Endpoint, PortError
    from robojam.server import READY, Server

    options = _options(chosen)
    from robojam.loading import Models, load, one_thread
    from robojam.modelfile import ModelFileError, find
    from robojam.player import DeviceError, choose_device

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
            temperature=described.temperature if options.temperature is None else options.temperature,
            spread=described.spread if options.spread is None else options.spread,
        )
        models = Models(path, device=device, voices=options.voices)
        server = Server(options, playing, endpoint=endpoint, settings=settings, load=models.load)
    except (ModelFileError, PortError, DeviceError, OSError) as error:
        fail(error)
    host, port = endpoint.address
    ready = f"{READY}{host}:{port}, plays to {', '.join(options.osc_out)}: {path.name} on {device}"
    return _run(server, ready, options=options, until_eof=chosen.until_eof)


def _run(server: Server, ready: str, *, options: Options, until_eof: bool = False) -> int:
    """Run an engine until it is asked to stop, by Ctrl-C, SIGTERM or its parent's end."""
    import gc

    from robojam.logs import logging_to
    from robojam.server import close_on_eof

    def stop(number: int, _frame: object) -> None:
        server.stop(signal.Signals(number).name)

    # A signal ends the loop's sleep by itself; the handler only says why.
    signal.set_wakeup_fd(server.wake_fd, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if until_eof:
        close_on_eof(server.stop)
    gc.freeze()  # what is there now stays: later collections have less to look at
    with logging_to(options.log, verbose=options.verbose):
        print(ready, flush=True)
        server.run()
    return 0


# -- replay --------------------------------------------------------------------------------


def _replay_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", type=Path, help="a recorded jam, .jsonl")
    parser.add_argument("--speed", metavar="FACTOR", type=_positive, default=1.0, help="how many times faster (default: 1)")
    parser.add_argument("--who", metavar="NAME", action="append", help="only these: human, ai, human2, …; again: more")
    parser.add_argument("--window", action=argparse.BooleanOptionalAction, default=None, help="show it (default: where there is a display)")
    parser.add_argument("--osc-in", metavar="HOST:PORT", default="127.0.0.1:0", help="where monitors subscribe (default: any free port)")
    parser.add_argument("--osc-out", metavar="HOST:PORT", action="append", help="where it plays to; again: more (default: 127.0.0.1:5006)")
    parser.add_argument("--regenerate", action="store_true", help="offline: make the machine's part anew")
    parser.add_argument("--to", metavar="FILE", type=Path, help="where to, with --regenerate")
    parser.add_argument("--model", metavar="FILE", help="the model, with --regenerate (default: the one it was recorded with)")
    parser.add_argument("--device", metavar="DEVICE", choices=["auto", "cpu", "cuda", "mps"], help="with --regenerate (default: the one it was recorded on)")


def _replay(chosen: argparse.Namespace) -> int:
    from robojam.session import SessionError, read

    try:
        session = read(chosen.session)
    except SessionError as error:
        fail(error)
    for warning in session.warnings:
        print(f"robojam: {warning}", file=sys.stderr)
    if chosen.regenerate:
        if chosen.to is None:
            fail("--regenerate wants --to FILE")
        return _regenerate(chosen, session)
    if chosen.to is not None:
        fail("--to goes with --regenerate")
    return _play_again(chosen, session)


def _play_again(chosen: argparse.Namespace, session: Any) -> int:
    from robojam.ports import Endpoint, PortError
    from robojam.replay import NoPlayer, Playback, settings_of
    from robojam.server import READY, Playing, Server
    from robojam.supervise import display_at_hand, window_beside

    window = display_at_hand() if chosen.window is None else chosen.window
    try:
        osc_in = parse_address(chosen.osc_in)
        options = _options(argparse.Namespace(record=False, osc_in=chosen.osc_in, **({"osc_out": chosen.osc_out} if chosen.osc_out else {})))
        endpoint = Endpoint(*osc_in)
        settings = settings_of(session)
        settings.pause = 0

        def load(name: str) -> Playing:
            raise ValueError(f"a replay loads no model, and so not {name!r}")

        header = session.header
        server: Server = Server(
            options,
            Playing(NoPlayer(), header.model, header.device, header.build),
            endpoint=endpoint,
            settings=settings,
            load=load,
            make_jam=lambda sink, counts: Playback(
                session,
                sink,
                settings=settings,
                counts=counts,
                speed=chosen.speed,
                who=chosen.who,
                lead=1.0 if window else 0.0,
                on_end=lambda: server.stop("the end"),
            ),
            echo_humans=True,
        )
    except (PortError, ValueError, TypeError) as error:
        fail(error)
    host, port = endpoint.address
    ready = f"{READY}{host}:{port}, replays {chosen.session.name} to {', '.join(options.osc_out)}"
    with window_beside(endpoint.address, on_close=server.stop, wanted=window):
        return _run(server, ready, options=options)


def _regenerate(chosen: argparse.Namespace, session: Any) -> int:
    import dataclasses

    import msgspec

    from robojam.loading import Models, load, one_thread
    from robojam.modelfile import ModelFileError, find
    from robojam.player import DeviceError, choose_device
    from robojam.replay import first_difference, regenerate
    from robojam.session import ModelRef, encode, encode_header

    one_thread()
    header = session.header
    try:
        device = choose_device(chosen.device or header.device)
        path = find(chosen.model or header.options.get("model") or header.model.file)
        voices = int(header.options.get("voices", 1))
        playing = load(path, device=device, voices=voices)
        models = Models(path, device=device, voices=voices)
        made = list(
            regenerate(session, playing.player, lambda ref: models.load(ref["file"]).player)
        )
    except (ModelFileError, DeviceError, ValueError, TypeError, KeyError) as error:
        fail(error)
    now = msgspec.structs.replace(
        header, model=ModelRef(playing.model.file, playing.model.sha256), device=device, build=playing.build
    )
    try:
        lines = [encode_header(now), *map(encode, made)]
        chosen.to.write_bytes(b"".join(lines))
    except OSError as error:
        fail(f"cannot write {chosen.to}: {error.strerror}")
    print(f"{len(made)} events, to {chosen.to}")
    for what in ("model", "device", "build"):
        was, have = getattr(header, what), getattr(now, what)
        if was != have:
            print(f"{what} differs: recorded with {was}, now {have}")
    difference = first_difference(session, made)
    if difference is None:
        print("the same, touch for touch")
    else:
        print(f"differs from line {difference.index + 2} on")
        for label, event in (("recorded", difference.recorded), ("made", difference.made)):
            print(f"  {label}: {dataclasses.asdict(event) if event else 'nothing more'}")
    return 0


# -- train, evaluate, bench ---------------------------------------------------------------------


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", nargs="+", type=Path, help="corpora and sessions: files and folders")
    parser.add_argument("--to", metavar="MODEL", type=Path, required=True, help="the model file to make, .safetensors")
    parser.add_argument("--val", metavar="DATA", type=Path, action="append", help="held-out data; again: more (default: every tenth performance is held out)")
    parser.add_argument("--passes", metavar="N", type=_positive, default=None, help="passes over the data")
    parser.add_argument("--units", metavar="N", type=int, default=None, help="width of each layer")
    parser.add_argument("--layers", metavar="N", type=int, default=None, help="how many layers")
    parser.add_argument("--components", metavar="N", type=int, default=None, help="of each mixture")
    parser.add_argument("--rate", metavar="RATE", type=_positive, default=None, help="learning rate at its height")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="the same seed gives the same run (default: 0)")
    parser.add_argument("--threads", metavar="N", type=int, default=None, help="how many cores (default: all)")
    parser.add_argument("--plain", action="store_true", help="a line for each pass, no progress bar")


def _train(chosen: argparse.Namespace) -> int:
    from robojam.workshop import train

    return train(chosen, fail)


def _evaluate(chosen: argparse.Namespace) -> int:
    from robojam.workshop import evaluate

    return evaluate(chosen, fail)


def _bench(chosen: argparse.Namespace) -> int:
    from robojam.bench import bench

    return bench(chosen, fail)
