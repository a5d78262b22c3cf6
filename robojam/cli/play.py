"""The commands that play: jam, serve and window."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from robojam.cli.arguments import Command, CommandFunction, jam_options, load_options, option
from robojam.cli.output import fail, warning_line
from robojam.config.addresses import format_address, parse_address, reachable
from robojam.config.options import Options
from robojam.sessions.library import newest
from robojam.system.child_process import on_stdin_end, termination_signals
from robojam.system.log_queue import print_line
from robojam.system.memory import keep_heaps_small
from robojam.system.priority import raise_priority
from robojam.window import Look

#: Columns of what is found before a show.
_WIDTH: Final = 80
if TYPE_CHECKING:
    from robojam.app.assemble import Assembly

#: Address at which the window looks for an engine.
_ENGINE: Final = "127.0.0.1:5005"


def _window_size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    sides = [int(s) if s.isdecimal() and len(s) < 6 else 0 for s in (width, height)]
    if not all(0 < side < 20_000 for side in sides):
        raise ValueError(f"{text!r:.60} is not WIDTHxHEIGHT, as in 1280x800")
    return sides[0], sides[1]


def _window_place(text: str) -> tuple[int, int]:
    left, _, top = text.partition(",")
    return int(left), int(top)


def _window_options(function: CommandFunction) -> CommandFunction:
    size = "size of the window in pixels (default: by the size of the display)"
    theme = "dark, light, or stage: black and without words (default: dark)"
    themes = click.Choice(["dark", "light", "stage"])
    turn = "turn the picture clockwise, for a table: 0, 90, 180 or 270 (default: 0)"
    turns = click.Choice(["0", "90", "180", "270"])
    function = option("--turn DEGREES", turn, turns, default="0")(function)
    function = option("--theme THEME", theme, themes, default="dark")(function)
    function = option("--fullscreen", "start in full screen")(function)
    return option("--size WxH", size, _window_size, default=None)(function)


@click.command(cls=Command)
@jam_options
@_window_options
def jam(*, config: str | None, turn: str, **given: Any) -> int:
    """Play with the machine: start the engine and its window, and end both together."""
    _exit_on_signals()
    from robojam.app import assemble, supervisor

    look = Look(turn=int(turn), **{n: given.pop(n) for n in ("size", "fullscreen", "theme")})
    options = load_options(given, config)
    try:  # nothing starts if any of this fails
        options, find = assemble.prepare_jam(options)
    except assemble.AssemblyError as error:
        fail(error)
    _check_show(options, window=True)
    return supervisor.jam(options, look=look, find=find)


@click.command(cls=Command)
@jam_options
@option("--options JSON", "all options, from the supervisor", field="encoded", hidden=True)
@option(
    "--resume SESSION",
    "go on from a recording, where its jam was left; last: the newest, if it was cut off",
)
@option(
    "--twin-of HOST:PORT",
    "follow the engine there, and go on in its place when it is gone",
    default=None,
)
@option("--again", "play on without what is not there any more", hidden=True)
@option("--until-eof", "end when standard input does", hidden=True)
def serve(
    *,
    config: str | None,
    encoded: str | None,
    resume: str | None,
    twin_of: str | None,
    again: bool,
    until_eof: bool,
    **given: Any,
) -> int:
    """Run the engine alone. Ctrl-C ends it."""
    _exit_on_signals()
    keep_heaps_small()
    import msgspec

    from robojam.app import assemble
    from robojam.engine.model_loader import fill_array_cache

    if encoded is None:
        options = load_options(given, config)
        _check_show(options, window=False)
    else:
        options = msgspec.json.decode(encoded, type=Options)
    fill_array_cache()
    if twin_of is not None:
        if resume is not None:
            fail("--twin-of and --resume do not go together: a twin begins with what is played")
        return _follow(options, twin_of)
    try:
        last = resume == "last"
        recording = None if resume is None else Path(resume)
        if last:
            recording = newest(Path(options.sessions))
        if again:  # people wait until it is heard again
            raise_priority()
        assembly = assemble.assemble(options, again=again, recording=recording, only_cut=last)
        assert assembly is not None
        for warning in assembly.warnings:
            print_line(warning_line(warning), sys.stderr)
        if until_eof:
            on_stdin_end(lambda: assembly.engine.stop("what started it has ended"))
        _run(assembly)
    except assemble.AssemblyError as error:
        fail(error)
    if assembly.engine.led_by is not None:
        _exit_on_signals()
        return _follow(options, format_address(*assembly.engine.led_by))
    return 0


def _run(assembly: Assembly) -> None:
    assembly.run(on_ready=lambda: print_line(assembly.ready, sys.stdout))


def _follow(options: Options, leader: str) -> int:
    """Follow an engine, lead in its place when it is gone, and follow the next, in turn."""
    from robojam.app import assemble
    from robojam.app.follow import Follower, FollowError

    while True:
        try:
            address = reachable(parse_address(leader, lowest_port=1))
            listens = parse_address(options.osc_in)[1] or address[1]
            follower = Follower(
                address, assemble.models_of, listens=listens,
                say=lambda text: print_line(warning_line(text), sys.stderr),
            )  # fmt: skip
            assembly = assemble.assemble(
                options, follower=follower,
                on_following=lambda line: print_line(line, sys.stdout),
            )  # fmt: skip
            if assembly is None:
                return 0
            follower.close()
            for warning in assembly.warnings:
                print_line(warning_line(warning), sys.stderr)
            _run(assembly)
        except (assemble.AssemblyError, FollowError, ValueError) as error:
            fail(error)
        if assembly.engine.led_by is None:
            return 0
        leader = format_address(*assembly.engine.led_by)
        _exit_on_signals()


def _check_show(options: Options, *, window: bool) -> None:
    """Check this machine before a show; exit where a finding stops it."""
    if not options.show:
        return
    from robojam.cli.doctor import lines
    from robojam.doctor.show import check_show

    stopping: list[str] = []
    for name, found, stops in check_show(options, window=window):
        if stops:
            stopping.append(name)
        if stops or found.status != "ok":
            print_line("\n".join(lines(name, found, _WIDTH)), sys.stderr)
    if not stopping:
        print_line(warning_line("the show may begin: what it needs is here"), sys.stderr)
        return
    names = ", ".join(stopping)
    if not options.show_anyway:
        fail(f"the show does not begin: {names}; --show-anyway begins it all the same")
    print_line(warning_line(f"the show begins although it lacks {names}"), sys.stderr)


def _exit_on_signals() -> None:
    """Exit with status 0 on a termination signal, as long as nothing has started."""
    for number in termination_signals():
        signal.signal(number, lambda *_: sys.exit(0))


@click.command(cls=Command)
@option(
    "--engine HOST:PORT",
    f"address at which the engine listens (default: {_ENGINE})",
    default=_ENGINE,
)
@_window_options
@option("--ends WHAT", "what ends when the window is closed", default="", hidden=True)
@option(
    "--place X,Y", "place of its upper left corner", _window_place, default=None, hidden=True
)
@option("--report", "print its size, place and the like when they change", hidden=True)
@option("--until-eof", "end when standard input does", hidden=True)
def window(*, engine: str, until_eof: bool, turn: str, report: bool, **look: Any) -> int:
    """Open a window on an engine that runs already, here or on another machine."""
    from robojam.window import run

    try:
        address = reachable(parse_address(engine, lowest_port=1))
    except ValueError as error:
        fail(f"--engine: {error}")
    if until_eof:
        on_stdin_end(lambda: signal.raise_signal(signal.SIGTERM))
    on_look = _print_look if report else None
    return run(engine=address, turn=int(turn), on_look=on_look, **look)


def _print_look(look: Look) -> None:
    """Print a window's look in one line, for the supervisor, which may have ended."""
    with suppress(OSError):
        print(json.dumps(asdict(look)), flush=True)
