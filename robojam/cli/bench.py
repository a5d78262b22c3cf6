"""The command bench: how fast this machine plays."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

import click

from robojam.cli.arguments import Command, json_option, option
from robojam.cli.output import fail

if TYPE_CHECKING:
    from robojam.bench import Report


@click.command(cls=Command)
@json_option
@option("--quick", "the shortest that tells anything: 20 seconds")
@option("--long", "with a solo of 20,000 touches: 12 minutes", field="long_solo")
@option("--loopback", "only the latencies of sound and MIDI, which come back through inputs")
@option("--sound-in NAME", "with --loopback: audio device that hears the sound")
@option("--sound-out NAME", "with --loopback: audio device that plays it")
@option("--midi-in NAME", "with --loopback: MIDI port at which the output comes back")
@option("--midi-out NAME", "with --loopback: MIDI port to send to")
@option("--model FILE", "model that plays (default: touch)")
def bench(
    *,
    as_json: bool,
    quick: bool,
    long_solo: bool,
    loopback: bool,
    model: str | None,
    **ports: str | None,
) -> int:
    """Measure latency, timing and CPU use of an engine on this machine."""
    from robojam.bench import BenchError, Report, measure_loopback, run

    if quick and long_solo:
        fail("--quick and --long: choose one of them")
    if not loopback and any(ports.values()):
        names = ", ".join(f"--{name.replace('_', '-')}" for name, x in ports.items() if x)
        fail(f"{names}: only with --loopback")
    length = "quick" if quick else "long" if long_solo else ""
    report = Report()
    try:
        steps = measure_loopback(**ports) if loopback else run(length=length, model=model)
        for next_measurement, report in steps:  # noqa: B007
            if next_measurement:
                print(f"measuring {next_measurement} …", file=sys.stderr, flush=True)
    except BenchError as error:
        fail(error, 1)
    if as_json:
        command = " ".join(["robojam bench", *sys.argv[2:]])
        print(json.dumps(report.as_json(command), indent=1))
    else:
        _print_table(report)
    return 0


def _print_table(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    numbers = [Column(heading, justify="right") for heading in ("measured", "at most")]
    table = Table("what", *numbers, "", box=box.SIMPLE)
    for figure in report.figures:
        limit = "" if figure.limit is None else f"{figure.limit:.3g} {figure.unit}"
        remarks = "; ".join(filter(None, (figure.verdict, figure.note)))
        value = "" if math.isnan(figure.value) else f"{figure.value:.3g} {figure.unit}"
        table.add_row(figure.name, value, limit, remarks)
    Console().print(table)
