"""bench: how fast this machine plays."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Final

from robojam.cli import ask

if TYPE_CHECKING:
    from robojam.bench import Figure, Report


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--quick", action="store_true", help="fewer touches: under 30 seconds")
    parser.add_argument("--model", metavar="FILE", help="the model that plays")


def _bench(chosen: argparse.Namespace) -> int:
    from robojam.bench import BenchError, Report, run

    report = Report()
    try:
        for doing, report in run(quick=chosen.quick, model=chosen.model):  # noqa: B007
            if doing:
                print(f"measuring {doing} …", file=sys.stderr, flush=True)
    except BenchError as error:
        ask.fail(error, 1)
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
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", limit, _verdict(figure))
    Console().print(table)


def _verdict(figure: Figure) -> str:
    if figure.limit is None or math.isnan(figure.value):
        return figure.note
    said = "good" if figure.value <= figure.limit else "worse than it should be"
    return f"{said}; {figure.note}" if figure.note else said


COMMANDS: Final[tuple[ask.Command, ...]] = (
    ("bench", "latency, timing and CPU use on this machine", _arguments, _bench),
)
