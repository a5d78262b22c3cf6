"""The command init: a configuration file with comments for this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from robojam.cli.arguments import PATH, Command, option
from robojam.cli.output import fail


@click.command(cls=Command)
@click.argument(
    "file",
    metavar="[FILE.toml]",
    type=PATH,
    default=Path("robojam.toml"),
    help="file to write (default: robojam.toml); a file that exists is not changed",
)
@option("--print", "print the text, write no file", field="print_only")
def init(*, file: Path, print_only: bool) -> int:
    """Write a configuration file: every option, commented, with what this machine has."""
    from robojam.app.config_template import template
    from robojam.system.atomic_file import atomic_write

    text = template()
    if print_only:
        print(text, end="")
        return 0
    try:
        if os.path.lexists(file):
            fail(f"{file} is there already and is not changed: name another file")
        with atomic_write(file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}")
    print(f"{file}: uncomment what you want, then robojam jam --config {file}")
    return 0
