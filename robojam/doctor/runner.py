"""Run checks at once, each in a process of its own with a time limit.

A driver may hang or crash the process that asks it; here that is the finding of one check. The
process ends by itself at its limit, also when its parent is gone.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from typing import Final

import msgspec

from robojam.config.options import Options
from robojam.doctor.checks import CHECKS, Check
from robojam.doctor.finding import Finding
from robojam.system.child_process import python_command

#: Checks that run at a time: each takes some 50 MB of memory.
_AT_ONCE: Final = 4
#: Seconds beyond its limit that a process has to end by itself.
_PATIENCE: Final = 2.0
_PROGRAM: Final = "robojam.doctor.runner"


def run_checks(
    options: Options, checks: Sequence[Check] = CHECKS
) -> Iterator[tuple[str, Finding]]:
    """Run the checks for a jam with these options; yield name and finding, in their order."""
    request, slots = msgspec.json.encode(options), threading.Semaphore(_AT_ONCE)

    def work(check: Check, result: Future[Finding]) -> None:
        with slots:
            try:
                result.set_result(_run(check, request))
            except Exception as error:  # no memory, no process more
                result.set_result(_failed(check, f"it could not be run: {error}"))

    results: list[Future[Finding]] = []
    for check in checks:
        result: Future[Finding] = Future()
        results.append(result)
        threading.Thread(target=work, args=(check, result), daemon=True).start()
    for check, result in zip(checks, results, strict=True):
        yield check.name, result.result()


def _run(check: Check, request: bytes) -> Finding:
    """Run one check in a process. Raises OSError where none can be started."""
    started = time.monotonic()
    process = subprocess.Popen(
        python_command(_PROGRAM, *map(str, check)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = process.communicate(request, check.seconds + _PATIENCE)
    except subprocess.TimeoutExpired:  # not even its watchdog ends it: a dead network disk
        process.kill()
        return _late(check)
    if process.returncode == 0:
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(output, type=Finding)
    if time.monotonic() - started >= check.seconds:
        return _late(check)
    why = f"status {process.returncode}"
    if process.returncode < 0:
        with suppress(ValueError):
            why = signal.Signals(-process.returncode).name
    return _failed(check, f"its program ended with {why}")


def _late(check: Check) -> Finding:
    return _failed(check, f"no answer within {check.seconds:g} s")


def _failed(check: Check, why: str) -> Finding:
    return Finding(
        status=check.failure,
        found=f"could not be checked: {why}",
        to_do="please report it, with the file of robojam doctor --bundle FILE.zip",
    )


# -- in the process of a check -----------------------------------------------------------------


def main(name: str, module: str, function: str, seconds: str, failure: str) -> None:
    """Run the check that the arguments describe; read options, write the finding as JSON."""
    faulthandler.dump_traceback_later(float(seconds), exit=True)  # even where C code hangs
    options = msgspec.json.decode(sys.stdin.buffer.read(), type=Options)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print, too
    check = Check(name, module, function, float(seconds), failure)  # type: ignore[arg-type]
    try:
        found: Finding = vars(import_module(module))[function](options)
    except Exception as error:
        found = _failed(check, f"{type(error).__name__}: {error}")
    output.write(msgspec.json.encode(found))
    output.flush()
    os._exit(0)  # without waiting for threads of drivers


if __name__ == "__main__":
    main(*sys.argv[1:])
