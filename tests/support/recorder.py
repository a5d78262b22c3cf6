"""Lines for a recorder, in this process and in others."""

from __future__ import annotations

import time
from collections.abc import Callable

from robojam.sessions.session import (
    Header,
    ModelRef,
    TouchEvent,
)
from robojam.touch import Phase, Touch

HEADER = Header(
    started="2026-11-20T10:30:00+00:00",
    model=ModelRef(file="m.safetensors", sha256="ab"),
    device="cpu",
    build="0.1.0",
    seed=1,
    options={},
)


def touch(t: float) -> TouchEvent:
    return TouchEvent(t, Touch(0.5, 0.25, 0.0, Phase.DOWN))


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)
