"""The commands: the only place that reads arguments or prints.

Each room of this package holds a few commands. Everything heavy is imported by the
command that needs it, so that --help and the window wait for nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from io import TextIOWrapper
from typing import NoReturn

from robojam import __version__
from robojam.cli import (
    bench,
    corpus,
    evaluate,
    generate,
    init,
    learn,
    play,
    ports,
    replay,
    sessions,
    train,
)
from robojam.config.load import OptionParser


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command; leaves with its status."""
    if isinstance(sys.stdout, TextIOWrapper):  # not every console or pipe knows all letters
        sys.stdout.reconfigure(errors="replace")
    try:
        chosen = _parser().parse_args(arguments)
        status = chosen.command(chosen)
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # what it printed to has gone (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    raise SystemExit(status)


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(
        prog="robojam", description="A partner to jam with on a touch surface."
    )
    parser.add_argument("--version", action="version", version=f"robojam {__version__}")

    def bare(_: argparse.Namespace) -> int:
        parser.print_help(sys.stderr)
        return 2

    parser.set_defaults(command=bare)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, about, arguments, act in (
        *play.COMMANDS,
        *replay.COMMANDS,
        *sessions.COMMANDS,
        *generate.COMMANDS,
        *corpus.COMMANDS,
        *train.COMMANDS,
        *evaluate.COMMANDS,
        *learn.COMMANDS,
        *bench.COMMANDS,
        *init.COMMANDS,
        *ports.COMMANDS,
    ):
        made = commands.add_parser(name, help=about, description=f"robojam {name}: {about}.")
        made.set_defaults(command=act)
        arguments(made)
    return parser
