"""Arguments that several commands declare: options of a jam, numbers and files to write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

from robojam.cli.output import fail
from robojam.config.load import OptionsError, resolve
from robojam.config.options import BY_NAME, OPTIONS, Option, Options
from robojam.controls import CONTROLS, ControlSpec

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


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
        names = {
            name for option in self.params for name in (*option.opts, *option.secondary_opts)
        }
        for option in self.params:
            value = ctx.params.get(option.name)
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(option, click.Option) and not names.isdisjoint(map(str, values)):
                raise click.UsageError(f"{option.opts[-1]} requires a value", ctx)
        return rest


# -- types of values -------------------------------------------------------------------------


class Number(click.ParamType[float]):
    """Number above 0, up to a limit."""

    name = "number"

    def __init__(self, highest: float = 1_000_000) -> None:
        self._highest = highest

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number <= self._highest:
            self.fail(
                f"{value!r:.60} is not a number above 0, up to {self._highest:.0f}", param, ctx
            )
        return number


class WholeNumber(click.ParamType[int]):
    """Whole number within limits, which are allowed too."""

    name = "whole number"

    def __init__(self, lowest: int = 1, highest: int = 999_999_999) -> None:
        self._lowest, self._highest = lowest, highest

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a whole number."""
        text = str(value)
        # Python refuses to read more than 4300 digits.
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 30 else -1
        if not self._lowest <= number <= self._highest:
            allowed = f"a whole number from {self._lowest} to {self._highest}"
            self.fail(f"{text!r:.60} is not {allowed}", param, ctx)
        return number


class ControlNumber(click.ParamType[float]):
    """Number that a control may have."""

    name = "number"

    def __init__(self, control: ControlSpec) -> None:
        self._control = control

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number within the control's range."""
        try:
            return float(self._control.check(float(value)))
        except ValueError:
            self.fail(f"{value!r:.60} is not {self._control.allowed}", param, ctx)


class OutputFile(click.ParamType[Path]):
    """Path of a file that can be written: its folder exists and can be written to."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Read a path."""
        path = Path(value)
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            self.fail(f"{path} is not a file in a folder that can be written to", param, ctx)
        return path


#: Path of a file or folder to read; the reader says what is wrong with it.
PATH: Final = click.Path(path_type=Path)
SEED: Final = WholeNumber(0, 2**63 - 1)


# -- options ---------------------------------------------------------------------------------


def json_option(function: CommandFunction) -> CommandFunction:
    """Add --json to a command."""
    option = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")
    return option(function)


def sampling_options(function: CommandFunction) -> CommandFunction:
    """Add --temperature and --spread to a command; None stands for the model's own."""
    for name in ("spread", "temperature"):
        option = _click_option(BY_NAME[name], type=ControlNumber(CONTROLS[name]))
        function = option(function)
    return function


def jam_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a jam to a command, and --config; `load_options` reads them."""
    function = click.option(
        "--config",
        metavar="FILE.toml",
        help="file with these options under the same names; the command line wins over it",
    )(function)
    for option in reversed(OPTIONS):
        if option.kind is not dict:  # tables stand in the TOML file alone
            function = _click_option(option)(function)
    return function


def _click_option(option: Option, **more: Any) -> Callable[[CommandFunction], CommandFunction]:
    """Return the click option for a row of the table of options.

    It has no default of its own: None and () stand for an option that was not given.
    """
    text = option.about
    if option.kind in (int, float, Literal):
        text += f": {option.allowed}"
    elif option.kind is tuple:
        text += "; can be repeated"
    text += f" (default: {option.default_text})"
    if option.kind is bool:
        name = f"--{option.name}/--no-{option.name}"
        return click.option(name, option.field, default=None, help=text, **more)
    more["multiple"] = option.kind is tuple
    return click.option(
        f"--{option.name}", option.field, metavar=option.metavar, help=text, **more
    )


def load_options(given: Mapping[str, Any], config: str | None = None) -> Options:
    """Return the options of a jam from what `jam_options` has read, or exit with an error."""
    try:
        return resolve({n: v for n, v in given.items() if v not in (None, ())}, config)
    except OptionsError as error:
        fail(error)
