"""Serial ports, on real pseudo terminals whose other end the test holds."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine import serving

if sys.platform == "win32":
    pytest.skip("there are no pseudo terminals", allow_module_level=True)
pytest.importorskip("serial")

import pty
import tty

from robojam.config.map_table import for_instrument, parse_map
from robojam.config.options import Options
from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.ports.serial_link import SerialError
from robojam.ports.serial_ports import SerialPorts
from robojam.ports.thru import Thru
from robojam.touch import Phase, Touch, place_of
from robojam.wire.echo import EchoDetector, Origin
from robojam.wire.midi import stream
from robojam.wire.native import Dropped, Input, KnobMoves, PhaselessTouch

#: Seconds within which a thread has done what the test waits for.
PATIENCE = 60.0


class Device:
    """A device behind a pseudo terminal, which may be pulled and come back to its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received = b""
        self.plug()

    def plug(self) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)

    def pull(self) -> None:
        self.path.unlink()
        os.close(self._master)

    def print(self, text: str | bytes) -> None:
        os.write(self._master, text if isinstance(text, bytes) else text.encode())

    def read(self) -> None:
        """Read what has come."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.received += os.read(self._master, 4096)
            except OSError as error:  # nobody has opened it
                assert error.errno == errno.EIO
                return


class Ports:
    """Serial ports whose loop is the test."""

    def __init__(self, options: Options) -> None:
        self.now = 100.0
        echo = EchoDetector()
        thru = Thru(lambda: self, echo, is_here=lambda _: True)
        self.ports = SerialPorts(options, echo=echo, thru=thru, clock=lambda: self.now)
        self.origins: dict[str, Origin] = {}  # of players, by their names
        self.inputs: list[tuple[str, Input]] = []

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, (self.inputs, self.ports.status())
            wait = min(self.ports.advance(self.now), 0.02)
            select.select(self.ports.filenos(), [], [], wait)
            self.inputs += self.ports.receive()

    def origin(self, touch: Touch) -> Origin | None:
        return self.origins.get(touch.who)

    def is_monitor(self, _: Origin) -> bool:
        return False

    def opened(self) -> bool:
        rows: Any = self.ports.status()["serial"]
        return all(row["connected"] for row in rows)

    def play(self, *knobs: float, who: str = "ai", phase: Phase = Phase.MOVE) -> None:
        touch = Touch(*place_of(knobs), 0.1, phase, 0, who, None, knobs)
        self.now += 0.1
        self.handle(TouchPlayed(0.0, touch, 0.1))

    def handle(self, event: Event) -> None:
        self.ports.handle(event, self.now)

    @property
    def heard(self) -> list[Any]:
        return [
            item.knobs if isinstance(item, PhaselessTouch) else item for _, item in self.inputs
        ]


@pytest.fixture
def device(tmp_path) -> Device:
    return Device(tmp_path / "ttyTEST")


@pytest.fixture
def make() -> Iterator[Callable[..., Ports]]:
    """Make ports, and wait until their devices are open."""
    made: list[Ports] = []

    def open_ports(**options: Any) -> Ports:
        ports = Ports(Options(**options))
        made.append(ports)
        ports.until(ports.opened)
        ports.now += 1.0  # nothing that comes now is the end of a line of before
        return ports

    yield open_ports
    for ports in made:
        ports.ports.close()


def test_lines_go_both_ways(device, make):
    ports = make(serial=(f"{device.path}@115200",), knobs=3)
    device.print("0.25,0.5,1\n0.5,0.5,")
    device.print("1\n")
    ports.until(lambda: len(ports.heard) == 2)
    assert ports.heard == [(0.25, 0.5, 1.0), (0.5, 0.5, 1.0)]
    assert {source for source, _ in ports.inputs} == {f"serial:{device.path}"}
    ports.play(0.1, 0.2, 0.3, phase=Phase.DOWN)
    ports.until(lambda: device.read() or device.received)
    ports.play(0.1, 0.2, 0.3)  # no change
    ports.play(0.9, 0.9, 0.9, who="human")
    ports.play(0.1, 0.2, 0.3, phase=Phase.UP)
    ports.play(0.1, 0.2, 0.4)
    ports.until(lambda: device.read() or device.received.count(b"\n") == 2)
    assert device.received == b"0.1000,0.2000,0.3000\n0.1000,0.2000,0.4000\n"


def test_wrong_lines_are_counted_drops_and_the_next_is_heard(device, make):
    ports = make(serial=(str(device.path),), knobs=3)
    device.print(b"ready\n0.1,nan,0.2\n\xff\xfe\n0.5,0.5,0.5\n")
    ports.until(lambda: len(ports.heard) == 4)
    assert [isinstance(item, Dropped) for item in ports.heard] == [True, True, True, False]


def test_end_of_a_line_that_was_begun_before_is_left_out(device):
    """A device prints all the time, and the port is opened in the middle of a line."""
    ports = Ports(Options(serial=(str(device.path),), knobs=2))
    try:
        ports.until(ports.opened)  # and no time goes by
        device.print("3,0.5\n0.5,0.25\n")
        ports.until(lambda: ports.heard)
        assert ports.heard == [(0.5, 0.25)]
    finally:
        ports.ports.close()


def test_device_that_is_pulled_is_opened_again_when_it_returns(device, make):
    ports = make(serial=(str(device.path),), knobs=2)
    ports.play(0.25, 0.5)
    ports.until(lambda: device.read() or device.received)
    device.print("0.7,0.")  # the rest of this line never comes
    device.pull()
    ports.until(lambda: not ports.opened())
    row = ports.ports.status()["serial"][0]  # type: ignore[index]
    assert row["problem"]
    ports.play(0.5, 0.5)  # nobody gets it
    device.received = b""
    device.plug()
    ports.until(ports.opened)
    ports.until(lambda: device.read() or device.received)
    assert device.received == b"0.5000,0.5000\n"  # what it has missed
    ports.now += 1.0
    device.print("1,1\n")
    ports.until(lambda: ports.heard)
    assert ports.heard == [(1.0, 1.0)]


def test_device_that_comes_late_is_opened_and_reported_as_missing(tmp_path, caplog):
    path = tmp_path / "late"
    ports = Ports(Options(serial=(str(path),), knobs=2))
    try:
        ports.until(lambda: ports.ports.status()["serial"][0]["problem"])  # type: ignore[index]
        ports.now += 10.0
        for _ in range(2):
            ports.ports.advance(ports.now)
        (line,) = [r.getMessage() for r in caplog.records if "is not there" in r.getMessage()]
        assert line.startswith(f"serial: {path} is not there (")
        device = Device(path)
        ports.until(ports.opened)
        ports.now += 1.0
        device.print("0.5,1\n")
        ports.until(lambda: ports.heard == [(0.5, 1.0)])
    finally:
        ports.ports.close()


def test_device_that_takes_nothing_gets_the_newest_values_and_nobody_waits(device, make):
    ports = make(serial=(str(device.path),), knobs=16)
    for i in range(3000):  # more than a terminal holds
        ports.play(*[i / 3000] * 16)
    newest = b",".join([b"0.9997"] * 16) + b"\n"
    ports.until(lambda: device.read() or device.received.endswith(newest))
    assert device.received.count(b"\n") < 3000
    assert ports.ports.status()["serial"][0]["unsent"]  # type: ignore[index]


def test_device_that_prints_what_it_receives_is_not_heard(device, make):
    ports = make(serial=(str(device.path),), knobs=2)
    ports.play(0.123, 0.456)
    ports.until(lambda: device.read() or device.received)
    device.print("0.12,0.46\n0.5,0.5\n")
    ports.until(lambda: len(ports.heard) == 2)
    assert ports.heard == [Dropped("echo"), (0.5, 0.5)]


def test_board_s_own_line_again_is_heard_and_another_s_return_of_it_is_an_echo(tmp_path, make):
    own, other = Device(tmp_path / "own"), Device(tmp_path / "other")
    ports = make(serial=(f"{own.path}?thru", f"{other.path}?thru"), knobs=2)
    ports.origins = {"human": Origin(f"serial:{own.path}"), "human2": Origin("10.0.0.7", 7)}
    ports.play(0.123, 0.456, who="human")
    ports.until(lambda: other.read() or other.received)
    own.print("0.123,0.456\n")
    ports.until(lambda: len(ports.heard) == 1)
    other.print("0.123,0.456\n")
    ports.until(lambda: len(ports.heard) == 2)
    assert ports.heard == [(0.123, 0.456), Dropped("echo")]
    ports.play(0.5, 0.5, who="human2")
    ports.play(0.9, 0.9, who="human3")  # who has left
    ports.play(0.6, 0.5, who="human2")
    both = b"0.5000,0.5000\n0.6000,0.5000\n"
    ports.until(lambda: own.read() or own.received == both)
    ports.until(lambda: other.read() or other.received == b"0.1230,0.4560\n" + both)


MAP = {
    "out": {
        "a": {"target": "note", "source": "knob-1", "channel": 3, "port": "serial:"},
        "b": {"target": "cc 9", "source": "knob-2", "channel": 1},
        "c": {"target": "cc 10", "source": "knob-2", "port": "Synth"},
    },
    "in": {
        "a": {"source": "note on 3", "target": "knob-1", "port": "serial"},
        "b": {"source": "cc 9", "target": "knob-2"},
        "c": {"source": "cc 10", "target": "knob-2", "port": "Keys"},
    },
}


def test_midi_goes_both_ways_as_it_is_mapped(device, make):
    ports = make(
        serial_midi=(str(device.path),), knobs=2, map=for_instrument(parse_map(MAP), 2)
    )
    on, cc = stream.note_on, stream.control
    ports.play(1.0, 0.5)
    ports.play(0.0, 0.5)
    ports.handle(ControlChanged(0.0, "panic", 1))
    expected = [on(2, 127, 127), cc(0, 9, 64), stream.note_off(2, 127), on(2, 0, 127)]
    expected.append(stream.note_off(2, 0))
    wanted = b"".join(expected)
    ports.until(lambda: device.read() or len(device.received) >= len(wanted))
    assert device.received == wanted
    ports.now += 10.0  # no echo any more
    device.print(cc(0, 10, 5) + cc(5, 9, 127) + on(2, 127, 3)[:2])
    device.print(on(2, 127, 3)[2:] + stream.note_off(2, 127))

    def moved() -> list[Any]:
        ports.now += 0.01
        return [item for item in ports.heard if isinstance(item, KnobMoves)]

    ports.until(lambda: {m for move in moved() for m in move.moves} == {(1, 1.0), (2, 1.0)})
    assert {source for source, _ in ports.inputs} == {f"midi:serial:{device.path}"}


def test_notes_end_with_the_port(device, make):
    ports = make(
        serial_midi=(str(device.path),), knobs=2, map=for_instrument(parse_map(MAP), 2)
    )
    ports.play(1.0, 0.5)
    ports.until(lambda: device.read() or device.received)
    ports.ports.close()
    device.read()
    assert device.received.endswith(stream.note_off(2, 127))


def test_missing_package_is_named_with_what_to_type(monkeypatch):
    monkeypatch.setattr("robojam.ports.serial_link.find_spec", lambda _: None)
    with pytest.raises(SerialError, match=r"a serial port needs serial, .*robojam\[serial\]"):
        SerialPorts(Options(serial=("/dev/null",)), echo=EchoDetector())


def test_running_engine_answers_a_sketch_by_its_serial_port(tmp_path, device):
    """A surface's model: two values are x and y."""
    options = ("--serial", f"{device.path}@9600", "--threshold", "0.1", "--seed", "3")
    with serving(tmp_path / "jams", *options) as engine:
        engine.out.ask(lambda status: status["serial"][0]["connected"])
        for step in range(5):
            engine.out.listen(0.06)
            device.print(f"{0.1 * step:.2f},0.50\r\n")

        def lines() -> list[bytes]:
            device.read()
            return device.received.split(b"\n")[:-1]

        engine.out.until(lambda: len(lines()) > 3)
        sent = {tuple(map(float, line.split(b","))) for line in lines()}

        def played() -> set[tuple[float, ...]]:
            touches = [m for m in engine.out.received if m.name in ("ai/down", "ai/move")]
            return {tuple(round(value, 4) for value in m.args[1:3]) for m in touches}

        engine.out.until(lambda: sent <= played())
