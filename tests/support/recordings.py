"""Recordings made by hand, line by line, and commands that read them."""

from __future__ import annotations

import pytest

from robojam.cli import main
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


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    return (left.value.code or 0, *capsys.readouterr())
