"""What pytest gives to the tests of every file."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def hangup() -> Iterator[None]:
    """Let programs that are started end when their terminal does, though these may not.

    Whoever started the tests may have had them outlive it (nohup), which is inherited.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
