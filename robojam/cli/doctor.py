"""The command doctor: checks of this machine for a jam, on one screen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from robojam.cli.arguments import (
    Command,
    jam_options,
    json_option,
    load_options,
    option,
    output_file,
)
from robojam.cli.output import fail
from robojam.system.shell import printable

if TYPE_CHECKING:
    from robojam.doctor.finding import Finding

#: Columns of the screen where there is no terminal, and at most; those before the texts.
_WIDTH, _WIDEST, _INDENT = 80, 120, 19
#: Colours of the words of a status, in a terminal.
_COLOURS: Final = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(cls=Command)
@json_option
@option("--bundle FILE.zip", "write a file for a bug report, with nothing private", output_file)
@jam_options
def doctor(*, as_json: bool, bundle: Path | None, config: str | None, **given: Any) -> int:
    """Check this machine for a jam with these options: what works, and what to do."""
    from robojam.doctor import bundle as bundles
    from robojam.doctor.privacy import of_this_machine
    from robojam.doctor.runner import run_checks

    options = load_options(given, config)
    if bundle is not None and os.path.lexists(bundle):
        fail(f"{bundle} is there already and is not changed: name another file")
    width, colours = _WIDTH, False
    if sys.stdout.isatty():
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        colours = "NO_COLOR" not in os.environ
    findings: list[tuple[str, Finding]] = []
    for name, found in run_checks(options):
        findings.append((name, found))
        if not as_json:
            for line in lines(name, found, width, colours=colours):
                click.echo(line)  # which also colours on Windows
    if as_json:
        print(json.dumps(bundles.report(findings), indent=1))
    else:
        print(summary(findings))
    if bundle is not None:
        try:
            bundles.write(bundle, findings, render, options, of_this_machine(options))
        except OSError as error:
            fail(f"{bundle} cannot be written: {error.strerror or error}")
        text = f"{bundle}: look at what is in it, then attach it to your report"
        print(printable(text), file=sys.stderr)
    return int(any(found.status == "problem" for _, found in findings))


def lines(name: str, found: Finding, width: int, *, colours: bool = False) -> Iterator[str]:
    """Yield the lines of one check; a command to type has a line of its own, unbroken."""
    status, indent = f"{found.status:<9}", " " * _INDENT
    advice = f"→ {found.to_do}" if found.to_do else ""
    wrapped = [*_wrapped(found.found, width), *_wrapped(advice, width, hanging="  ")]
    head = f"{click.style(status, fg=_COLOURS[found.status]) if colours else status}{name:<10}"
    for line, start in zip(wrapped, chain([head], repeat(indent)), strict=False):
        yield start + line
    if found.command:
        yield f"{indent}  {printable(found.command)}"


def _wrapped(text: str, width: int, *, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        printable(" ".join(text.split())),
        max(width - _INDENT, 30),
        break_on_hyphens=False,
        break_long_words=False,
        subsequent_indent=hanging,
    )


def render(findings: Sequence[tuple[str, Finding]]) -> str:
    """Return the screen of all findings, at its usual width."""
    screen = [line for name, found in findings for line in lines(name, found, _WIDTH)]
    return "\n".join([*screen, summary(findings), ""])


def summary(findings: Sequence[tuple[str, Finding]]) -> str:
    """Return the last line: what the findings mean."""
    statuses = [found.status for _, found in findings]
    problems, warnings = statuses.count("problem"), statuses.count("warning")
    if not problems + warnings:
        return "All is well."
    counts = [
        f"{count} {word}{'s' * (count != 1)}"
        for count, word in ((problems, "problem"), (warnings, "warning"))
        if count
    ]
    meaning = "a jam needs the problems solved" if problems else "a jam plays"
    return f"{' and '.join(counts)}: {meaning}."
