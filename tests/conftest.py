"""Fixtures and settings of all tests."""

from __future__ import annotations

import gc
import itertools
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.engine import DrivenEngine
from support.jack_files import remove_stale_files

from robojam.system.child_process import termination_signals

# An example may take long on a busy machine: that is no fault of what is tested. Each run has
# the same examples, so that a change fails where it is made; benchmarks/fuzz.py draws others.
settings.register_profile("robojam", deadline=None, derandomize=True)
settings.load_profile("robojam")

_TESTS = itertools.count(1)


def pytest_sessionstart() -> None:
    remove_stale_files()  # of tests that were killed
    # Programs that a shell starts in the background ignore SIGINT, and so would those of tests.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _ordinary_signals() -> Iterator[None]:
    """Leave the signals of the tests' process as they are: a command sets what they do."""
    before = {number: signal.getsignal(number) for number in termination_signals()}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _closed_engines() -> Iterator[None]:
    """Close what a test leaves open: select takes no descriptor above 1,024."""
    yield
    DrivenEngine.close_all()
    if next(_TESTS) % 100 == 0:
        gc.unfreeze()  # as programs freeze what they begin with
        gc.collect()


@pytest.fixture
def hangup() -> Iterator[None]:
    """Make a program that the test starts end when its terminal does.

    Tests started with nohup ignore SIGHUP, and their child processes inherit that.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
