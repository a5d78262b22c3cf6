"""Arguments that several commands declare: options of a jam, numbers and files to write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

import click

from robojam.cli.output import fail, warn
from robojam.config.addresses import WEB_PORT
from robojam.config.load import OptionsError, resolve
from robojam.config.options import BY_NAME, OPTIONS, Option, Options
from robojam.controls import CONTROLS

if TYPE_CHECKING:
    from robojam.corpus.units import Units
    from robojam.model.file import ModelDescription

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


class Declaration(Protocol):
    """Decorator that adds a parameter to a command."""

    def __call__(self, function: CommandFunction, /) -> CommandFunction:
        """Return the function with the parameter."""


class Command(click.Command):
    """Command that refuses the name of one of its options as the value of another.

    Without this, `robojam sessions FILE --name --json` names the session "--json".
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments into the context. Raises click.UsageError."""
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # so that the error can name this command
            raise
        names = {name for p in self.params for name in (*p.opts, *p.secondary_opts)}
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(parameter, click.Option) and not names.isdisjoint(map(str, values)):
                raise click.UsageError(f"{parameter.opts[-1]} requires a value", ctx)
        return rest


# -- types of values -------------------------------------------------------------------------


def number(
    kind: type[int | float], condition: Callable[[float], bool], allowed: str
) -> Callable[[Any], float]:
    """Return a type of numbers that fulfil a condition, which allowed describes."""

    def convert(value: Any) -> float:
        try:
            converted = kind(value)
        except ValueError:
            converted = math.nan
        if not condition(converted):
            raise ValueError(f"{value!r:.60} is not {allowed}")
        return converted

    return convert


def positive_number(highest: int = 1_000_000) -> Callable[[Any], float]:
    """Return the type of numbers above 0."""
    return number(float, lambda n: 0 < n <= highest, f"a number above 0, up to {highest}")


def whole_number(lowest: int = 1, highest: int = 999_999_999) -> Callable[[Any], float]:
    """Return the type of whole numbers within limits, which are allowed too."""
    allowed = f"a whole number from {lowest} to {highest}"
    return number(int, lambda n: lowest <= n <= highest, allowed)


def output_file(value: str) -> Path:
    """Read the path of a file that can be written: its folder exists and can be written to."""
    path = Path(value)
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path} is not a file in a folder that can be written to")
    return path


def units(value: str) -> Units:
    """Read the units of performances, such as "px:1024x768,ms"."""
    from robojam.corpus.units import parse  # numpy, which not every command needs

    return parse(value)


#: Path of a file or folder to read; the reader says what is wrong with it.
PATH: Final = click.Path(path_type=Path)
SEED: Final = whole_number(0, 2**63 - 1)


# -- options ---------------------------------------------------------------------------------


def option(
    declaration: str, text: str, value_type: Any = None, *, field: str = "", **more: Any
) -> Declaration:
    """Return a decorator that adds an option to a command.

    declaration is a switch ("--json", "--sound/--no-sound") or a name with its metavar
    ("--to FILE"); text is its help, field its parameter of the command; more is as in
    click.option.
    """
    names, _, metavar = declaration.partition(" ")
    if metavar:
        more["metavar"] = metavar
    elif "/" not in names:
        more["is_flag"] = True
    return click.option(*filter(None, (names, field)), help=text, type=value_type, **more)


def paths_argument(metavar: str, text: str) -> Declaration:
    """Return a decorator that adds the parameter paths to a command: one path or more."""
    return click.argument(
        "paths", metavar=f"{metavar}...", nargs=-1, required=True, type=PATH, help=text
    )


_UNITS_TEXT: Final = (
    "units of places and times in tables, logs and arrays, as in px:1024x768,ms; "
    "px:WIDTHxHEIGHT, LOW..HIGH (-1..1, 0..100), s, ms, us, ns, time (since the start), dt "
    "(since the touch before), flip-y; guess: guess what is out of range "
    "(default: 0..1, s)"
)
#: Declares the parameter units: a Units, or None.
units_option: Final = option("--units UNITS", _UNITS_TEXT, units)
json_option: Final = option("--json", "print JSON, for programs", field="as_json")
#: Declares the parameter ray: an address, or None.
ray_option: Final = option(
    "--ray ADDRESS",
    "work on a cluster of Ray: HOST:PORT of its head, or local, which is this machine's cores",
)
_STRICT: Final = "refuse a recorded jam with a damaged line (default: leave the line out)"
#: Declares the parameter knobs, a switch, of a command that reads performances.
knobs_option: Final = option(
    "--knobs", "read performances of knobs: logs of two or three values are of knobs, too"
)
#: Declares the parameter pressure, a switch, of a command that reads performances.
pressure_option: Final = option(
    "--pressure", "read touches with their pressure; performances without one are left out"
)
#: Declares the parameter strict of a command that reads recorded jams.
strict_option: Final = option("--strict", _STRICT)


def sampling_options(function: CommandFunction) -> CommandFunction:
    """Add --temperature, --spread, --follow and --memory to a command; None if not given."""
    for name in ("memory", "follow", "spread", "temperature"):
        control = CONTROLS[name]
        value_type = number(float, control.has, control.allowed)
        function = _jam_option(BY_NAME[name], value_type)(function)
    return function


def sampling(description: ModelDescription, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return temperature, spread, follow and memory as given, or as in a jam where None.

    Temperature and spread are those that the model recommends. A model without a matcher
    follows nothing, unless it is asked to.
    """
    defaults: dict[str, Any] = {
        "temperature": description.temperature,
        "spread": description.spread,
    }
    for name in ("follow", "memory"):
        defaults[name] = CONTROLS[name].default if description.matcher else 0.0
    return {n: default if given[n] is None else given[n] for n, default in defaults.items()}


def jam_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a jam to a command, and --config; `load_options` reads them."""
    text = "file with these options under the same names; the command line wins over it"
    function = option("--config FILE.toml", text)(function)
    for row in reversed(OPTIONS):
        if not row.is_table:
            function = _jam_option(row)(function)
    return function


def _jam_option(row: Option, value_type: Any = None) -> Declaration:
    """Return a decorator that adds an option of the table of options to a command.

    It has no default of its own: None and () stand for an option that was not given.
    """
    text = row.about
    if row.kind in (int, float, Literal):
        text += f": {row.allowed}"
    elif row.kind is tuple:
        text += "; can be repeated"
    text += f" (default: {row.default_text})"
    if row.kind is bool:
        return option(f"--{row.name}/--no-{row.name}", text, field=row.field, default=None)
    if row.field == "web":  # which may stand alone
        return option(
            f"--web {row.metavar}", text, field="web", is_flag=False, flag_value=WEB_PORT
        )
    declaration, several = f"--{row.name} {row.metavar}", row.kind is tuple
    return option(declaration, text, value_type, field=row.field, multiple=several)


def load_options(given: Mapping[str, Any], config: str | None = None) -> Options:
    """Return the options of a jam from what `jam_options` has read, or exit with an error."""
    try:
        chosen = {n: v for n, v in given.items() if v not in (None, ())}
        return resolve(chosen, config, warn=warn)
    except OptionsError as error:
        fail(error)
