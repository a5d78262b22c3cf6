"""Target of the whole engine without I/O: many hosts, MIDI, controls, and a turned clock."""

from __future__ import annotations

import json
import math
import tempfile
from collections import deque
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from robojam.controls import MODES
from robojam.engine import monitors, senders
from robojam.jam.jam import Jam
from robojam.jam.protocols import Player
from robojam.sessions.recorder import Recorder
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import CLOSED, read
from robojam.touch import MAX_FINGERS, Phase
from robojam.wire import osc
from robojam.wire.midi.reader import TOGGLE, MidiReader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.native import Control, Input
from support.engine import DrivenEngine, messages, playing, recordings
from support.fuzz import packets, wire
from support.fuzz.core import Meter, Target
from support.players import RandomPlayer

MONITOR = ("127.0.0.1", 4999)
#: Most entries of any container of the engine: of the echo detector's.
LARGEST = 8192
#: Times at which something is due, in one step.
_MOST_DUE = 300
#: Seconds that pass with each look at the clock: by a clock that stands still, the engine would
#: never end a turn of the loop before all is played that is due.
_LOST = 1e-5
#: Hosts by index; further ones are made up.
HOSTS = ("127.0.0.1", "127.0.0.1", "::1", "10.0.0.2", "10.0.0.3")
#: Messages of a player who plays: touches come more often than anything else.
_PLAYED = ("/robojam/down", "/robojam/move", "/robojam/move", "/robojam/up", "/touch", "/touch")
_STATEFUL = (
    "mode", "mode", "timescale", "threshold", "response", "follow", "memory", "dwell", "pause",
    "answer", "reset", "panic", "back", "store", "recall", "undo_store", "record", "seed",
    "model", "instrument", "range", "subscribe", "unsubscribe", "alive", "audition",
    "audition/down", "audition/up", "status", "setup", "learn",
)  # fmt: skip

Step = tuple[Any, ...]


def host(index: int) -> str:
    return HOSTS[index] if index < len(HOSTS) else f"10.0.{index // 250}.{index % 250}"


def played(random: Random) -> bytes:
    """Return a touch as people send it."""
    address = random.choice(_PLAYED)
    finger, x, y = random.choice((0, 0, 0, 1, 2, 70)), random.random(), random.random()
    match address:
        case "/touch":
            return osc.encode(address, "ff", x, y)
        case "/robojam/up":
            return osc.encode(address, "i", finger)
    return osc.encode(address, "iff", finger, x, y)


def control(random: Random) -> bytes:
    """Return a message that changes what the machine does."""
    name = random.choice(_STATEFUL)
    match name:
        case "mode":
            return osc.encode("/robojam/mode", "s", random.choice(MODES))
        case "timescale":
            return osc.encode(
                "/robojam/timescale", "d", random.choice((0.001, 0.01, 0.3, 1, 100))
            )
        case "model":
            return osc.encode(
                "/robojam/model", "s", random.choice(("a.safetensors", "b.safetensors", "c"))
            )
        case "store" | "recall" | "undo_store":
            return osc.encode(f"/robojam/{name}", "s", random.choice("ABCH"))
        case "back":
            return osc.encode("/robojam/back", "f", random.choice((0.0, 0.5, 3.0, 60.0)))
        case "pause" | "record":
            return osc.encode(f"/robojam/{name}", "i", random.randrange(2))
    return packets.message(random, [f"/robojam/{name}"])


def step(random: Random) -> Step:
    """Return one step: a packet from a host, MIDI, or time that passes."""
    kind = random.random()
    if kind < 0.2:
        return "wait", random.choice((0.0, 0.004, 0.02, 0.1, 0.3, 0.9, 3.0, 10.0, 700.0))
    if kind < 0.28:
        return "midi", random.randrange(2), wire.midi_bytes(random)
    sender = random.choice((0, 1, 2, 3, 3, 4, random.randrange(5, 80)))
    port = random.choice((4000, 4000, 4001, random.randrange(1, 65536)))
    if kind < 0.6:
        return "packet", sender, port, played(random)
    if kind < 0.75:
        return "packet", sender, port, control(random)
    if kind < 0.76:
        packet = random.choice((played, control))(random)
        return "packet", sender, port, packets.bundle_of([packet] * random.choice((10, 300)))
    if kind < 0.78:
        count = random.choice((10, 100))
        return (
            "packet",
            sender,
            port,
            packets.bundle_of([control(random) for _ in range(count)]),
        )
    return "packet", sender, port, packets.packet(random)


def jam(random: Random) -> tuple[int, int, int, int, list[Step]]:
    """Return indices of mode and style, voices, whether it is recorded, and the steps."""
    steps = [step(random) for _ in range(random.choice((3, 10, 30, 100)))]
    voices = random.choice((1, 1, 1, 2, 16))
    return (
        random.randrange(4),
        random.randrange(len(wire.STYLES)),
        voices,
        random.randrange(2),
        steps,
    )


class _MidiPort:
    """Input port of bytes that the target gives it."""

    def __init__(self, name: str, style: int) -> None:
        self.source = f"midi:{name}"
        self.parser, self.reader = MidiParser(), MidiReader(wire.STYLES[style])
        self.data = b""

    def receive(self) -> list[tuple[str, Input]]:
        data, self.data = self.data, b""
        inputs: list[Input] = []
        for message in self.parser.feed(data)[0]:
            inputs += self.reader.read(message)
        inputs += self.reader.take_moves()
        return [
            (self.source, each)
            for each in inputs
            if not (isinstance(each, Control) and each.value == TOGGLE)
        ]


class _View:
    """Fingers that a monitor sees, from what it is sent."""

    def __init__(self, engine: DrivenEngine) -> None:
        self.down: set[tuple[str, int]] = set()
        self.engine = engine
        self.complete = True
        self._renewing = False

    def sent(self, packet: bytes, to: tuple[str, int]) -> None:
        if to != MONITOR:
            return
        # Only a new monitor gets the controls at once; nothing else changes meanwhile.
        self.complete &= not (self._renewing and packet.startswith(b"/robojam/temperature\0"))
        for message in messages(packet, 0.0):
            match message.address.split("/")[2:]:
                case [who, "up"]:
                    self.down.discard((who, message.args[0]))
                case [who, "down" | "move"]:
                    self.down.add((who, message.args[0]))

    def renew(self) -> None:
        """Subscribe; a monitor that had lost its place has missed something."""
        self._renewing = True
        self.engine.send("/robojam/subscribe", "i", MONITOR[1], sender=MONITOR)
        self._renewing = False


def _other(voices: int) -> RandomPlayer:
    player = RandomPlayer(voices=voices)
    player.set_sampling(temperature=0.5, spread=0.5)
    return player


def check_engine(value: tuple[int, int, int, int, list[Step]], meter: Meter) -> None:
    """Play steps: nothing raises, tables stay bounded, and what is recorded is regenerated."""
    mode, style, voices, recorded, steps = value
    voices = max(1, voices)
    with tempfile.TemporaryDirectory() as folder:
        d = DrivenEngine(
            Path(folder), RandomPlayer(voices=voices), mode=MODES[mode % len(MODES)],
            voices=voices, record=bool(recorded), touchosc=("/1/xy",),
        )  # fmt: skip
        d.lost = _LOST
        d.models = {
            "a.safetensors": lambda: playing(RandomPlayer(voices=voices)),
            "b.safetensors": lambda: playing(_other(voices), "b.safetensors", "0b"),
        }
        d.engine.packet = partial(meter.measure, d.engine.packet)  # type: ignore[method-assign]
        d.engine.advance = partial(meter.measure, d.engine.advance)  # type: ignore[method-assign]
        view = _View(d)
        d.wire.on_sent = view.sent
        d.send("/robojam/subscribe", "i", MONITOR[1], sender=MONITOR)
        ports = [_MidiPort("a", style), _MidiPort("b", style - 1)]
        dropped: dict[str, int] = {}
        for each in steps:
            _play(d, ports, each)
            view.renew()
            d.take()
            dropped = _check_state(d, dropped)
        _wait(d, 1.0)
        d.send("/robojam/pause", "i", 0, sender=MONITOR)
        view.renew()
        d.send("/robojam/panic", sender=MONITOR)
        _wait(d, 2.0)
        assert d.status()["fingers"] == 0
        assert not d.engine.jam.fingers
        assert not view.complete or not view.down, view.down
        assert largest_container(d.engine) <= LARGEST
        d.engine.finish("SIGTERM")
        _check_recordings(d, voices)
        DrivenEngine.close_all()


def _play(d: DrivenEngine, ports: list[_MidiPort], each: Step) -> None:
    match each:
        case ("wait", float(seconds)):
            _wait(d, seconds)
        case ("packet", int(index), int(port), bytes(packet)):
            d.raw(packet, (host(index), port or 1))
            d.engine.advance()
        case ("midi", int(index), bytes(data)):
            ports[index % 2].data = data
            d.receive(ports[index % 2])  # type: ignore[arg-type]


def _wait(d: DrivenEngine, seconds: float) -> None:
    """Pass time; after some hundred touches at once, as for an engine that was asleep."""
    end = d.now + seconds
    for _ in range(_MOST_DUE):
        due = math.nextafter(d.now + d.engine.advance(), math.inf)
        if due > end:
            break
        d.now = due
    d.now = max(d.now, end)
    d.engine.advance()


def _check_state(d: DrivenEngine, before: dict[str, int]) -> dict[str, int]:
    """Check the bounds of the engine's tables, and its status; return the drops so far."""
    status = json.loads(d.engine.status())
    assert len(d.engine.status()) < 60_000
    assert len(status["players"]) <= senders.MAX_PLAYERS
    assert len({player["name"] for player in status["players"]}) == len(status["players"])
    assert all(player["fingers"] <= MAX_FINGERS for player in status["players"])
    remote = [p for p in d.engine._humans.senders._present.values() if not p.is_here]
    assert len(remote) <= senders.MAX_PLAYERS - senders.RESERVED
    assert status["monitors"] <= monitors.MAX_MONITORS
    assert status["fingers"] <= (MAX_FINGERS + 1) * senders.MAX_PLAYERS + d.options.voices
    dropped: dict[str, int] = status["dropped"]
    assert "error" not in dropped  # an exception, which the engine survives
    assert all(dropped.get(reason, 0) >= count for reason, count in before.items())
    return dropped


def largest_container(root: object) -> int:
    """Return the size of the largest container that can be reached from an engine.

    The recorder's queue is left out, which a thread empties, the jam, whose snapshots are of
    the player, and what is of tests.
    """
    largest, seen, pending = 0, set[int](), [root]
    while pending:
        value = pending.pop()
        if id(value) in seen or isinstance(
            value, str | bytes | int | float | Recorder | Jam | type
        ):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset | deque):
            pending += value
        else:
            if type(value).__module__.startswith("robojam"):
                slots = (
                    s for each in type(value).__mro__ for s in getattr(each, "__slots__", ())
                )
                pending += [getattr(value, slot, None) for slot in slots]
                pending += vars(value).values() if hasattr(value, "__dict__") else ()
            continue
        largest = max(largest, len(value))
    return largest


def _check_recordings(d: DrivenEngine, voices: int) -> None:
    """Check that recordings can be read, fingers lift, and the machine's part comes again."""

    def load(ref: dict[str, Any]) -> Player:
        is_b = ref["file"] == "b.safetensors"
        return _other(voices) if is_b else RandomPlayer(voices=voices)

    for path in recordings(d.folder):
        session = read(path)
        assert not session.warnings
        down: set[tuple[str, int]] = set()
        for event in session.touches():
            finger = event.touch.who, event.touch.id
            assert (finger in down) == (event.touch.phase is not Phase.DOWN)
            (down.discard if event.touch.phase is Phase.UP else down.add)(finger)
        assert not down or session.ended == CLOSED
        player = load({"file": session.header.model.file})
        made = list(regenerate(session, player, load))
        difference = first_difference(session, made)
        assert difference is None, difference


TARGETS = (Target("engine", jam, check_engine, lambda value: len(value[-1]), work=150_000),)
