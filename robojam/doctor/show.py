"""Checks before a show: which findings stop it before the doors open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from robojam.config.options import Options
from robojam.doctor.checks import CHECKS
from robojam.doctor.finding import Finding
from robojam.doctor.runner import run_checks

#: Checks of which a warning, too, stops a show: the jam would play without what was asked for.
#: A problem of any check stops it.
_STRICT: Final = ("model", "audio", "midi", "beat", "osc-in", "disk")
#: The same for a jam with its window.
_STRICT_WITH_WINDOW: Final = ("display",)


class ShowFinding(NamedTuple):
    """Finding of a check, by its name, and whether it stops the show."""

    name: str
    finding: Finding
    stops: bool


def check_show(options: Options, *, window: bool) -> Iterator[ShowFinding]:
    """Run all checks for a show with these options; window: it has its own window.

    Yields the findings in the order of the checks, each as soon as it is there.
    """
    strict = (*_STRICT, *(_STRICT_WITH_WINDOW if window else ()))
    checks = [check for check in CHECKS if window or check.name != "display"]
    for name, found in run_checks(options, checks):
        is_strict = found.status == "warning" and name in strict
        yield ShowFinding(name, found, is_strict or found.status == "problem")
