"""Targets of what an engine, or a stranger in its place, sends to windows and commands."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from random import Random
from typing import Any

from robojam.cli import status
from robojam.ports import engine_status
from robojam.sound import messages as sound
from robojam.window.client.setup import LISTS, parse_setup
from robojam.window.client.state import WindowState
from robojam.window.view.frame import frame_text
from robojam.wire import osc
from support.fuzz import packets
from support.fuzz.core import Meter, Target, integer, mutate, mutate_text, number, text

_NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
_ADDRESSES = (
    *packets.FROM_ENGINE, "/robojam/status", "/robojam/setup", "/robojam/turn",
    "/robojam/forecast", *(a for a in packets.ADDRESSES if a.startswith("/robojam/")),
)  # fmt: skip
_JSON = '{}[],:"0123456789eE+-.\\untrlfas \n'


def value(random: Random, depth: int = 0) -> Any:
    """Return any value that JSON can hold."""
    kind = random.randrange(10)
    if kind < 3 or depth > 3:
        return random.choice((integer, number, text))(random)
    if kind < 5:
        return [value(random, depth + 1) for _ in range(random.choice((0, 1, 2, 3)))]
    if kind < 7:
        return {text(random): value(random, depth + 1) for _ in range(random.randrange(4))}
    return random.choice((None, True, False, 10**400, -(10**20), 1e308, "x" * 1000, [[[]]]))


def _like(random: Random, example: Any) -> Any:
    """Return a value like an example, in which some parts are anything."""
    if random.random() < 0.08:
        return value(random)
    if isinstance(example, dict):
        return {k: _like(random, v) for k, v in example.items() if random.random() < 0.95}
    if isinstance(example, list):
        count = random.choice((0, 1, 1, 2, 2, 70)) if example else 0
        return [_like(random, random.choice(example)) for _ in range(count)]
    if isinstance(example, bool) or example is None:
        return random.choice((example, True, False, None))
    if isinstance(example, int | float):
        return random.choice((example, integer(random), number(random)))
    return random.choice((example, text(random)))


_STATUS: dict[str, Any] = {
    "mode": "duet", "temperature": 1.0, "spread": 1.0, "timescale": 1.0, "threshold": 0.5,
    "response": 5.0, "follow": 0.5, "memory": 0.4, "dwell": 0.8, "pause": 0,
    "instrument": "human=keys,ai=keys", "range": "36-84",
    "scale": "free", "volume": 0.7, "record": 1, "model": "a.safetensors", "seed": 7,
    "device": "cpu", "turn": "ai", "turn_left": 2.5, "paused": False, "replaying": False,
    "recording": "/x/2026-11-20T10-30-00.jsonl", "trouble": ["a full disk"], "fingers": 1,
    "players": [{"name": "human", "source": "10.0.0.2", "silent_s": 1.5, "fingers": 1}],
    "played": 7, "heard": 9, "replaced": 0, "dropped": {"echo": 3, "out of range": 1},
    "clipped": 0, "unsent": 0, "outputs": [{"address": "10.0.0.2:9000", "dialect": "native",
    "sent": 4, "unsent": 1, "error": "no route", "note": ""}], "late_ms_p99": 0.3,
    "late_ms_max": 1.1, "held_up": 0, "priority": "ordinary", "monitors": 1, "started":
    "2026-11-20T10:30:00+00:00", "uptime_s": 100.5, "cpu_s": 3.0, "memory_mb": 200.0,
    "voices": 2, "memories": ["A", "B"], "sessions": "/x", "pads": ["/1/xy"], "learning": False,
    "echo": [{"source": "10.0.0.2", "delay_ms": 12.0, "dropped": 4}], "midi": {"in": [{"port":
    "Desk", "wanted": "Desk", "style": "mpe", "connected": True, "problem": "", "messages": 5}],
    "out": [{"port": "Synth", "style": "mpe", "connected": False}]}, "sound": {"state": "on",
    "name": "default", "problem": ""}, "tuio": {"problem": ""},
}  # fmt: skip
_SETUP: dict[str, Any] = {
    "chosen": {"midi-in": ["Desk/mpe"], "midi-out": [], "osc-out": ["127.0.0.1:9000"], "sound":
    True, "sound-out": "default", "voices": 2, "model": "a.safetensors"},
    "available": {name: ["Desk", "Synth 20:0"] for name in LISTS},
    "names": {"127.0.0.1:9000": "ipad"}, "styles": ["mpe", "cc"], "looking": False,
    "left_out": 0, "error": "",
}  # fmt: skip


def _report(random: Random, example: dict[str, Any]) -> str:
    """Return a report of an engine as JSON, with faults."""
    with_faults = json.dumps(_like(random, example))
    if random.random() < 0.2:
        return mutate_text(random, with_faults, _JSON)
    if random.random() < 0.002:
        return random.choice(
            ("[" * 50_000, '{"a":' * 9000, "9" * 9000, "1e" + "9" * 9000, "NaN")
        )
    return with_faults


def _text_argument(value: str) -> bytes:
    return packets.padded(value.encode("utf-8", "surrogatepass").replace(b"\0", b""))


def reports(random: Random) -> list[bytes]:
    """Return packets as a window receives them."""
    sequence = []
    for _ in range(random.choice((1, 3, 20))):
        kind = random.random()
        if kind < 0.2:
            report = _text_argument(_report(random, _STATUS))
            packet = packets.message_of(random, "/robojam/status", "s", [report])
        elif kind < 0.3:
            report = _text_argument(_report(random, _SETUP))
            packet = packets.message_of(random, "/robojam/setup", "s", [report])
        elif kind < 0.6:
            who = random.choice(("ai", "ai2", "human", "human2", "human70", "ai4096"))
            phase = random.choice(("down", "move", "up", "next"))
            tags = {"up": "i", "down": "ifff", "move": "ifff", "next": "ifff"}[phase]
            packet = packets.message_of(random, f"/robojam/{who}/{phase}", tags)
        elif kind < 0.95:
            packet = packets.message(random, _ADDRESSES)
        else:
            packet = packets.packet(random)
        sequence.append(packet)
    return sequence


def check_window(sequence: list[bytes], meter: Meter) -> None:
    """Give packets to the state of a window: it can be drawn, and stays bounded."""
    state, now = WindowState(), 1.0
    for packet in sequence:
        now += 0.1
        for message in osc.decode(packet)[0]:
            meter.measure(state.handle_message, message, now, _NOW)
        meter.measure(state.advance, now)
        meter.measure(frame_text, state, now)
        for stroke in state.strokes:
            assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in stroke.points)
        for component in state.current_forecast(now):
            component.rotated(1)
        assert all(math.isfinite(number) for number in state.controls.values())
        assert all(shown.isprintable() for shown in state.texts.values())
        assert state.notice.isprintable()
        assert all(problem.isprintable() for problem in state.problems)
        assert all(line.isprintable() for line in state.ports.lines(now))
        if state.setup is not None:
            for name in LISTS:
                for choice in state.setup.choices(name):
                    assert choice.text.isprintable()
                    state.setup.toggled(name, choice)
                    state.setup.styled(name, choice)


def setup_text(random: Random) -> str:
    return _report(random, _SETUP)


def check_setup(report: str, meter: Meter) -> None:
    """Read a report of the setup."""
    setup = meter.measure(parse_setup, report)
    if setup is not None:
        for name in LISTS:
            for choice in meter.measure(setup.choices, name):
                assert choice.text.isprintable()


def status_packet(random: Random) -> bytes:
    report = _report(random, _STATUS).encode("utf-8", "surrogatepass")
    packet = b"/robojam/status\0,s\0\0" + packets.padded(report)
    return mutate(random, packet) if random.random() < 0.1 else packet


def check_status(packet: bytes, meter: Meter) -> None:
    """Read a status as `robojam status` does: lines that a terminal can show."""
    account = meter.measure(engine_status.read, packet)
    if account is None:
        return
    lines = meter.measure(status.describe, account)
    assert all(line.isprintable() for line in lines), lines
    assert len(lines) < 2000
    assert all(len(line) < 20_000 for line in lines)


def sound_message(random: Random) -> bytes:
    import msgspec

    touch = [
        number(random), random.choice(("ai", "human", text(random))),
        random.choice(("down", "move", "up", "x")), integer(random) % 2**31, random.random(),
        random.random(), number(random), random.choice((None, 0.5, number(random))),
    ]  # fmt: skip
    event: Any = touch if random.random() < 0.5 else [1.0, text(random), number(random)]
    with_surrogates = [
        e.encode("utf-8", "replace").decode() if isinstance(e, str) else e for e in event
    ]
    packet = msgspec.msgpack.encode(with_surrogates)
    if random.random() < 0.02:
        return b"\x91" * random.choice((100, 5000)) + b"\xc0"
    return mutate(random, packet) if random.random() < 0.4 else packet


def check_sound(packet: bytes, meter: Meter) -> None:
    """Decode a message to the synthesiser: an event, or None."""
    meter.measure(sound.decode, packet)


TARGETS = (
    Target("window", reports, check_window, len, work=100_000),
    Target("setup", setup_text, check_setup, work=60_000),
    Target("status", status_packet, check_status),
    Target("sound", sound_message, check_sound),
)
