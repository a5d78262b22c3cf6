"""The commands: the only place that reads arguments or prints.

Each module declares the arguments of its commands, calls what does the work and prints the
result. A module is imported when its command is used, and heavy libraries inside the
functions that need them: `robojam --help` and the window wait for nothing.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Final, NoReturn

import click

from robojam import __version__

__all__ = ["COMMANDS", "main"]


#: The commands by name, in the order of the help: each one's module here, and its summary.
COMMANDS: Final = {
    "jam": ("play", "play with the machine in a window"),
    "serve": ("play", "run the engine alone"),
    "host": ("host", "host many jams behind one address, played in browsers"),
    "window": ("play", "open a window on an engine that runs already"),
    "web": ("web", "serve continuations to other programs by HTTP"),
    "replay": ("replay", "play a recorded jam again"),
    "sessions": ("sessions", "list the recorded jams"),
    "export": ("sessions", "write recorded jams as CSV, MIDI, arrays, a picture or sound"),
    "generate": ("generate", "let the machine play into a file, not in real time"),
    "corpus": ("corpus", "show what is in performances from any program, and join them"),
    "train": ("train", "train a model on performances"),
    "evaluate": ("evaluate", "measure how well a model predicts, or how it plays"),
    "learn": ("learn", "bind the knobs and pads of a MIDI controller (MIDI learn)"),
    "map": ("map_knobs", "map the knobs of controllers and synthesisers, by turning them"),
    "bench": ("bench", "measure latency, timing and CPU use on this machine"),
    "init": ("init", "write a configuration file with comments for this machine"),
    "status": ("status", "show what a running engine does: players, ports, delays, drops"),
    "doctor": ("doctor", "check this machine for a jam, and say what to do"),
    "ports": ("ports", "show MIDI ports, devices and addresses, and what to type"),
}


#: Commands that import numpy, whose library for linear algebra ends the program where it finds
#: no memory, and the memory in bytes below which it does.
_NEED_NUMPY: Final = frozenset(
    "jam serve host web replay export generate corpus train evaluate bench".split()
)
_LEAST_MEMORY: Final = 180_000_000
#: Texts of the errors of an import when there is no memory.
_NO_ROOM: Final = ("failed to map segment", "annot allocate memory")


class _Commands(click.Group):
    """Group of the commands, which imports a command's module when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = vars(module)[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="robojam %(version)s")
def robojam() -> None:
    """Jam with a machine on a touch surface: it listens, and plays an answer."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command that the arguments name, and exit with its status.

    arguments are those after the program's name; sys.argv has them when they are None.
    """
    _open_standard_files()
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):  # consoles and pipes lack some letters
            output.reconfigure(errors="replace")
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _check_surroundings(words)
        with robojam.make_context("robojam", list(words)) as context:
            status = robojam.invoke(context)
        sys.stdout.flush()  # Python's own flush, at the end, would print a traceback
    except click.exceptions.Exit as done:  # after --help and --version
        status = done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "robojam"
        text = " ".join(_describe(error).split())
        print(f"robojam: {text} ({command} --help)", file=sys.stderr)
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except (MemoryError, ImportError) as error:  # a library is missing, or finds no room
        reason = str(error) or "there is no more"
        if isinstance(error, MemoryError) or any(map(reason.__contains__, _NO_ROOM)):
            advice: str | None = f"not enough memory: {reason}"
        else:
            from robojam.system.install import missing_package

            advice = missing_package(words[0], error.name)
        if advice is None:
            raise
        print(f"robojam: {advice}", file=sys.stderr)
        status = 2
    except BrokenPipeError:  # the reader of the output has gone, as in `robojam … | head`
        _discard_output()
        status = 0
    except OSError as error:  # commands tell of their files: this is the output, or the system
        _discard_output()
        place = (
            f"{error.filename}: " if error.filename else "what it prints cannot be written: "
        )
        print(f"robojam: {place}{error.strerror or error}", file=sys.stderr)
        status = 1
    raise SystemExit(status)


def _open_standard_files() -> None:
    """Open what is closed of standard input, output and error, as a file that holds nothing.

    Else the next socket would get such a number, and what is printed would be sent.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _check_surroundings(words: list[str]) -> None:
    """Exit with status 2 where no command can work: in no folder, or with hardly any memory."""
    try:
        os.getcwd()
    except OSError:
        if "--until-eof" not in words:  # a child of a jam goes on without
            _fail("the current folder is gone: change to one that exists, as with cd")
        os.chdir(os.path.abspath(os.sep))
    with suppress(ImportError):  # not on Windows
        import resource

        allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
        if allowed == resource.RLIM_INFINITY:
            return
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread takes some memory
        if allowed < _LEAST_MEMORY and _NEED_NUMPY.intersection(words[:1]):
            _fail(
                f"a limit allows {allowed // 10**6} MB of memory (ulimit -v); {words[0]} needs "
                f"{_LEAST_MEMORY // 10**6} MB"
            )


def _fail(reason: str) -> NoReturn:
    print(f"robojam: {reason}", file=sys.stderr)
    raise SystemExit(2)


def _discard_output() -> None:
    """Send what is left of the output nowhere: Python would print an error at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: click.UsageError) -> str:
    """Return what is wrong with a command line: the option, its value and what is allowed."""
    from difflib import get_close_matches

    match error:
        case click.NoSuchOption():
            suggestion = _suggestion(error.possibilities)
            return f"there is no option {error.option_name}{suggestion}"
        case click.NoSuchCommand():
            suggestion = _suggestion(get_close_matches(error.command_name, COMMANDS))
            return f"there is no command {error.command_name}{suggestion}"
        case click.MissingParameter(param=click.Parameter() as parameter):
            return f"{_name_of(parameter)} is missing"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name_of(parameter)}: {error.message}"
    return error.format_message()


def _name_of(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.human_readable_name.rstrip(".")


def _suggestion(names: list[str] | None) -> str:
    return f"; did you mean {names[0]}?" if names else ""
