"""What humans play, at outputs that ask for it: real sockets, and serial ports by socat."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.engine import PATIENCE, Client, RunningEngine, serving
from support.network import second_host

if sys.platform == "win32":
    pytest.skip("there are no pseudo terminals", allow_module_level=True)

from robojam.config.addresses import parse_output, parse_serial
from robojam.wire.osc import encode

needs_serial = pytest.mark.skipif(shutil.which("socat") is None, reason="needs socat")


class Board:
    """A microcontroller: the far end of a serial cable, whose near end is at `port`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.port, far = folder / name, folder / f"far-{name}"
        self._cable = subprocess.Popen(
            ["socat", f"pty,raw,echo=0,link={self.port}", f"pty,raw,echo=0,link={far}"]
        )
        end = 100
        while not (self.port.exists() and far.exists()):
            assert end, "socat makes no terminals"
            end -= 1
            select.select([], [], [], PATIENCE / 100)
        self._far = os.open(far, os.O_RDWR | os.O_NOCTTY)
        self._received = b""

    def print(self, *values: float) -> None:
        """Print a line, after the end of one that was begun before the port was opened."""
        os.write(self._far, ("\n" + ",".join(map(str, values)) + "\n").encode())

    def lines(self, count: int = 0) -> list[tuple[float, ...]]:
        """Return the lines that have come so far, when there are as many as count."""
        end = time.monotonic() + PATIENCE
        while self._received.count(b"\n") < count and time.monotonic() < end:
            if select.select([self._far], [], [], 0.1)[0]:
                self._received += os.read(self._far, 4096)
        while select.select([self._far], [], [], 0)[0]:
            self._received += os.read(self._far, 4096)
        lines = self._received.split(b"\n")[:-1]
        return [tuple(map(float, line.split(b","))) for line in lines]

    def close(self) -> None:
        os.close(self._far)
        self._cable.terminate()
        self._cable.wait(PATIENCE)


@pytest.fixture
def board(tmp_path) -> Iterator[Callable[[str], Board]]:
    boards: list[Board] = []

    def plug(name: str) -> Board:
        boards.append(Board(tmp_path, name))
        return boards[-1]

    yield plug
    for each in boards:
        each.close()


@contextmanager
def listening(folder: Path, *options: str, **more: Any) -> Iterator[RunningEngine]:
    """An engine of two knobs in which the machine is silent, with all serial ports open."""
    fixed = ("--knobs", "2", "--mode", "listen", "--no-record")
    with serving(folder, *fixed, *options, **more) as engine:
        engine.out.ask(lambda status: all(s["connected"] for s in status.get("serial", ())))
        yield engine


def values(client: Client, address: str = "/impsy") -> list[tuple[float, ...]]:
    return [
        tuple(round(value, 4) for value in m.args)
        for m in client.received
        if m.address == address
    ]


def knobs(engine: RunningEngine, client: Client, *to: float) -> None:
    client.engine = engine.address
    client.send("/interface", "ff", *to)


@needs_serial
def test_line_of_a_board_goes_to_the_outputs_that_ask_but_not_back(tmp_path, board):
    own, other, plain = board("own"), board("other"), board("plain")
    synth = Client(("127.0.0.1", 0))
    ports = [f"{own.port}?thru", f"{other.port}@9600?thru", str(plain.port)]
    serial = [word for port in ports for word in ("--serial", port)]
    thru = ("--osc-out", f"127.0.0.1:{synth.port}/impsy?thru")
    with listening(tmp_path / "jams", *serial, *thru) as engine:
        own.print(0.25, 0.75)
        synth.until(lambda: values(synth))
        assert other.lines(1) == [(0.25, 0.75)]
        other.print(0.5, 0.125)
        assert own.lines(1) == [(0.5, 0.125)]
        synth.until(lambda: len(values(synth)) == 2)
        assert values(synth) == [(0.25, 0.75), (0.5, 0.125)]
        assert (own.lines(), other.lines()) == ([(0.5, 0.125)], [(0.25, 0.75)])
        assert plain.lines() == []
        assert not [m for m in engine.out.received if "knobs" in m.name or m.name == "/impsy"]
    synth.close()


@needs_serial
def test_program_does_not_get_its_own_values_but_a_window_s_and_boards_do(tmp_path, board):
    lights, synth = board("lights"), Client(("127.0.0.1", 0))
    thru = ("--osc-out", f"127.0.0.1:{synth.port}/impsy?thru")
    with listening(tmp_path / "jams", "--serial", f"{lights.port}?thru", *thru) as engine:
        knobs(engine, synth, 0.25, 0.75)  # by the port at which it listens
        patch = Client(engine.address)  # as of a program that sends from another port
        patch.send("/interface", "ff", 0.5, 0.125)
        assert lights.lines(2) == [(0.25, 0.75), (0.5, 0.125)]
        window = Client(engine.address)
        window.send("/robojam/subscribe", "i", window.port)
        window.until(lambda: [m for m in window.received if m.name == "turn"])
        window.send("/robojam/knob", "if", 1, 0.625)
        synth.until(lambda: values(synth))
        assert values(synth) == [(0.625, 0.125)]
        patch.close()
        window.close()
    synth.close()


@needs_serial
def test_what_comes_back_is_an_echo_and_what_its_player_repeats_is_not(tmp_path, board):
    own, synth = board("own"), Client(("127.0.0.1", 0))
    serial = ("--serial", f"{own.port}?thru")
    thru = ("--osc-out", f"127.0.0.1:{synth.port}/impsy?thru")
    with listening(tmp_path / "jams", *serial, *thru) as engine:
        synth.engine = engine.address
        places = [(0.1234 + i / 10, 0.4321 + i / 20) for i in range(5)]
        for count, place in enumerate(places, start=1):
            own.print(*place)
            own.print(*place)  # the same again at once, as many boards do
            synth.until(lambda count=count: len(values(synth)) >= 2 * count)
            synth.send("/interface", "ff", *place)  # a program that passes on what it gets
        status = engine.out.ask(lambda s: s["dropped"].get("echo", 0) == len(places))
        assert status["heard"] == 2 * len(places)
        assert [player["source"] for player in status["players"]] == [f"serial:{own.port}"]
    synth.close()


def test_phone_s_touches_go_to_a_synthesiser_here_and_not_back_to_the_phone(tmp_path):
    with second_host() as phone:
        ear = phone.socket()
        synth = Client((phone.here, 0), host=phone.here)
        port = ear.getsockname()[1]
        options = ("--osc-out", f"{phone.here}:{synth.port}/native?thru",
                   "--osc-out", f"{phone.address}:{port}/native?thru",
                   "--mode", "listen", "--no-announce")  # fmt: skip
        with serving(tmp_path / "jams", *options, osc_in="0.0.0.0:0") as engine:
            hand = Client(engine.address)  # of a program here
            fingers = phone.socket()
            address = (phone.here, engine.address[1])
            fingers.sendto(encode("/robojam/down", "iff", 0, 0.25, 0.75), address)
            fingers.sendto(encode("/robojam/up", "i", 0), address)
            synth.until(lambda: [m for m in synth.received if m.name == "human/up"])
            assert [m.name for m in synth.received] == ["human/down", "human/up"]
            hand.send("/robojam/down", "iff", 0, 0.5, 0.5)
            ear.settimeout(PATIENCE)
            first = ear.recv(1 << 16)
            assert first.startswith(b"/robojam/human2/down")  # and none of its own before
            hand.close()
        synth.close()
        ear.close()
        fingers.close()


@pytest.mark.parametrize(
    ("text", "latency", "thru"),
    [("h:1", 0.0, False), ("h:1?thru", 0.0, True), ("h:1/impsy?latency=20&thru", 0.02, True),
     ("h:1?thru&latency=20", 0.02, True)],
)  # fmt: skip
def test_output_asks_by_a_word_after_its_address(text, latency, thru):
    output = parse_output(text)
    assert (output.port, output.latency, output.thru) == (1, latency, thru)


def test_serial_port_asks_by_a_word_after_its_rate():
    assert parse_serial("/dev/ttyACM0@9600?thru") == ("/dev/ttyACM0", 9600, True)
    assert parse_serial("COM3?thru") == ("COM3", 115_200, True)
