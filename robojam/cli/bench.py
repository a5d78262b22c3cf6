"""bench: how fast this machine plays."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Final

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.bench import Report


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--quick",
        dest="length",
        action="store_const",
        const="quick",
        default="",
        help="the least that tells something: under 20 seconds",
    )
    length.add_argument(
        "--long",
        dest="length",
        action="store_const",
        const="long",
        help="a solo of 20,000 touches: a dozen minutes",
    )
    parser.add_argument("--model", metavar="FILE", help="the model that plays")


def _bench(chosen: argparse.Namespace) -> int:
    from robojam.bench import BenchError, Report, run

    report = Report()
    try:
        for doing, report in run(length=chosen.length, model=chosen.model):  # noqa: B007
            if doing:
                print(f"measuring {doing} …", file=sys.stderr, flush=True)
    except BenchError as error:
        arguments.fail(error, 1)
    if chosen.json:
        command = " ".join(["robojam bench", *sys.argv[2:]])
        print(json.dumps(report.as_json(command), indent=1))
    else:
        _table(report)
    return 0


def _table(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in ("what", "measured", "at most", ""):
        table.add_column(name, justify="right" if name in ("measured", "at most") else "left")
    for figure in report.figures:
        limit = "" if figure.limit is None else f"{figure.limit:.3g} {figure.unit}"
        said = "; ".join(filter(None, (figure.verdict, figure.note)))
        value = "" if math.isnan(figure.value) else f"{figure.value:.3g} {figure.unit}"
        table.add_row(figure.name, value, limit, said)
    Console().print(table)


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("bench", "latency, timing and CPU use on this machine", _arguments, _bench),
)
