"""Checks that fail in every way, for the runner of checks."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import NoReturn

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok


def hang(_: Options) -> NoReturn:
    """Wait in C code, which holds the interpreter's lock and so lets no other thread run."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def crash(_: Options) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(_: Options) -> None:
    os._exit(7)


def fail(_: Options) -> None:
    raise ValueError("a driver says no")


def chatter(options: Options) -> Finding:
    """Print beside the finding, as libraries do in Python and in C."""
    print("hello from a library")
    os.write(1, b"and from C\n")
    return ok(f"voices {options.voices}")
