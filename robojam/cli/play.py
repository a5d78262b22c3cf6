"""jam, serve, window: the commands that play."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from robojam.cli import arguments
from robojam.config.addresses import parse_address
from robojam.config.load import add_to
from robojam.config.options import Options
from robojam.system.child_process import on_stdin_end, termination_signals

if TYPE_CHECKING:
    pass

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
    from robojam.app.supervisor import WindowOptions, jam

    for number in termination_signals():
        signal.signal(number, _leave)
    from robojam.app import assemble

    options = arguments.options(chosen)
    try:  # nothing has started yet, and nothing will if any of this fails
        options, find = assemble.prepare_jam(options)
    except assemble.AssemblyError as error:
        arguments.fail(error)
    window = WindowOptions(chosen.size, chosen.fullscreen, chosen.theme, chosen.turn)
    return jam(options, window=window, find=find)


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
    from robojam.app import assemble

    options = (
        arguments.options(chosen) if chosen.options is None else _from_parent(chosen.options)
    )
    try:
        assembly = assemble.assemble(options)
        for warning in assembly.warnings:
            print(f"robojam: {warning}", file=sys.stderr)
        if chosen.until_eof:
            on_stdin_end(lambda: assembly.engine.stop("what started it has ended"))
        assembly.run(on_ready=lambda: print(assembly.ready, flush=True))
    except assemble.AssemblyError as error:
        arguments.fail(error)
    return 0


def _from_parent(text: str) -> Options:
    import msgspec

    return msgspec.json.decode(text, type=Options)


def _leave(_number: int, _frame: object) -> NoReturn:
    """Leave on a signal: nothing has begun yet, so there is nothing to lift or to close."""
    raise SystemExit(0)


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("jam", "the engine and its window", _jam_arguments, _jam),
    ("serve", "the engine alone", _serve_arguments, _serve),
    ("window", "the window alone", _window_arguments, _window),
)
