"""The spare engine: when it is prepared, what it is given, and a real one that plays."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from support.engine import MODEL, PATIENCE, Client

from robojam.app import spare_engine
from robojam.app.rooms import free_ports
from robojam.app.spare_engine import SpareEngine
from robojam.config.options import Options


@dataclass
class Process:
    """Child process that notes how it was started, and what it was given."""

    arguments: tuple[str, ...]
    more: dict[str, Any]
    lines: list[bytes] = field(default_factory=list)
    status: int | None = None

    def write_line(self, line: bytes) -> None:
        self.lines.append(line)

    def poll(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.status = -9


class Spare:
    """Spare engine on a clock that is set, without real processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[Process] = []
        self.now, self.fails = 100.0, False
        monkeypatch.setattr(spare_engine, "ChildProcess", self._start)
        self.options = Options(voices=3)
        self.spare = SpareEngine(lambda: self.options, clock=lambda: self.now)

    def _start(self, *arguments: str, **more: Any) -> Process:
        if self.fails:
            raise OSError(11, "Resource temporarily unavailable")
        self.started.append(Process(arguments, more))
        return self.started[-1]

    def launch(self, *command: str) -> Process:
        return self.spare.launch(command, {"A": "b"}, None)  # type: ignore[return-value]

    def wait(self, seconds: float) -> float:
        self.now += seconds
        return self.spare.advance(self.now)


@pytest.fixture
def made(monkeypatch):
    return Spare(monkeypatch)


def test_first_engine_is_a_new_process_and_the_next_one_is_prepared_a_while_later(made):
    assert made.wait(1000.0) == float("inf")  # nothing plays that may die
    first = made.launch("serve", "--x")
    assert first.arguments == ("robojam", "serve", "--x")
    assert made.wait(9.0) == pytest.approx(1.0)
    assert len(made.started) == 1
    assert made.wait(1.0) == float("inf")
    spare = made.started[1]
    assert msgspec.json.decode(spare.more["first_line"], type=Options).voices == 3
    assert made.wait(100.0) == float("inf")  # one is enough
    assert made.launch("serve", "--again") is spare
    assert json.loads(spare.lines[0]) == [["serve", "--again"], {"A": "b"}]
    made.wait(10.0)
    assert len(made.started) == 3


def test_engine_that_dies_before_another_is_prepared_is_followed_by_a_new_process(made):
    made.launch("serve")
    made.wait(5.0)
    assert made.launch("serve").arguments == ("robojam", "serve")
    assert made.wait(6.0) == pytest.approx(4.0)  # as long as engines die nothing is prepared


def test_spare_that_has_died_is_not_used(made):
    made.launch("serve")
    made.wait(10.0)
    made.started[1].status = -9
    assert made.launch("serve") is made.started[2]
    assert made.started[2].arguments == ("robojam", "serve")


def test_spare_that_cannot_be_started_is_done_without(made):
    made.launch("serve")
    made.fails = True
    assert made.wait(10.0) == float("inf")
    made.fails = False
    assert made.launch("serve").arguments == ("robojam", "serve")


def test_close_ends_the_spare(made):
    made.spare.close()
    made.launch("serve")
    made.wait(10.0)
    made.spare.close()
    assert made.started[1].status == -9


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.parametrize("is_prepared", [True, False])
def test_spare_plays_as_it_is_asked_and_ends_when_it_is_asked_to(tmp_path, is_prepared):
    """The one before may die while it is not prepared yet."""
    (port,) = free_ports(["127.0.0.1"])
    options = Options(
        osc_in=f"127.0.0.1:{port}", tuio_in="none", sound=False, sessions=str(tmp_path),
        device="cpu", voices=2,
    )  # fmt: skip
    prepared = threading.Event()
    spare = SpareEngine(lambda: options, on_prepared=prepared.set)
    spare.prepare()
    assert not is_prepared or prepared.wait(PATIENCE)
    encoded = msgspec.json.encode(options).decode()
    engine = spare.launch(["serve", "--options", encoded, "--until-eof"], os.environ, None)
    client = Client(("127.0.0.1", port))
    try:
        assert client.ask()["voices"] == 2
    finally:
        client.close()
        assert engine.end(PATIENCE) == 0
