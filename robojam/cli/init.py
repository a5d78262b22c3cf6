"""init: a commented robojam.toml for this machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from robojam.cli import arguments


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE.toml",
        nargs="?",
        type=Path,
        default=Path("robojam.toml"),
        help="what to write (default: robojam.toml); one that is there is left alone",
    )
    parser.add_argument("--print", action="store_true", dest="show", help="only show it")


def _init(chosen: argparse.Namespace) -> int:
    from robojam.app.config_template import written
    from robojam.system.atomic_file import atomic_write

    text = written()
    if chosen.show:
        print(text, end="")
        return 0
    try:
        if os.path.lexists(chosen.file):
            arguments.fail(f"{chosen.file} is there already: it is left as it is; name another")
        with atomic_write(chosen.file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        arguments.fail(f"{chosen.file} cannot be written: {error.strerror or error}")
    print(f"{chosen.file}: uncomment what you want, then robojam jam --config {chosen.file}")
    return 0


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("init", "a commented robojam.toml for this machine", _arguments, _init),
)
