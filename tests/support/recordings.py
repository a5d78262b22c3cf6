"""Recordings built event by event or line by line, and a command that reads them."""

from __future__ import annotations

from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    SetEvent,
    TouchEvent,
    encode,
    encode_header,
)
from robojam.touch import Phase, Touch

HEADER = Header(
    started="2026-11-20T10:30:00.25+00:00",
    model=ModelRef(file="robojam.safetensors", sha256="ab12"),
    device="cpu",
    build="0.1.0",
    seed=2**63 - 1,
    options={"mode": "call-response", "threshold": 0.5, "osc-out": ["127.0.0.1:5006"]},
)


DOWN = TouchEvent(0.0, Touch(0.5, 0.25, 0.0, Phase.DOWN))


HEAD = encode_header(HEADER)


LINE = encode(DOWN)


JAM = b"".join(
    [
        HEAD,
        LINE,
        encode(TouchEvent(0.5, Touch(0.5, 0.3, 0.5, Phase.MOVE))),
        encode(TouchEvent(0.6, Touch(0.5, 0.3, 0.1, Phase.UP))),
        encode(SetEvent(1.0, {"mode": "duet"})),
        encode(TouchEvent(2.0, Touch(0.1, 0.3, 0.1, Phase.DOWN, 0, "ai2"))),
        encode(EndEvent(9.5, "SIGTERM")),
    ]
)


def event(t: float, phase: Phase, x: float, who: str, finger: int, dt: float) -> TouchEvent:
    return TouchEvent(t, Touch(x, 0.5, dt, phase, finger, who))


def down(
    t: float, finger: int, x: float = 0.5, who: str = "human", dt: float = 0
) -> TouchEvent:
    return event(t, Phase.DOWN, x, who, finger, dt)


def move(
    t: float, finger: int, x: float = 0.5, who: str = "human", dt: float = 0
) -> TouchEvent:
    return event(t, Phase.MOVE, x, who, finger, dt)


def up(t: float, finger: int, who: str = "human") -> TouchEvent:
    return event(t, Phase.UP, 0.5, who, finger, 0)
