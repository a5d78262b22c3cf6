"""The loop with a flood of packets at its socket, and with years until its next deadline."""

import select
import socket
from collections.abc import Iterator

import pytest
from support.engine import HAND, DrivenEngine

from robojam.engine import loop
from robojam.wire import osc

#: Turns that are looked at, and packets after which a turn counts as endless.
_TURNS, _ENDLESS = 5, 10_000


class EndlessEndpoint:
    """Socket at which a packet always waits."""

    def __init__(self, driven: DrivenEngine) -> None:
        self.driven = driven
        self.near, self.far = socket.socketpair()
        self.far.send(b"\0")  # and so the loop finds it readable in each turn
        self.received = 0

    def fileno(self) -> int:
        return self.near.fileno()

    def receive(self) -> tuple[bytes, tuple[str, int]] | None:
        self.received += 1
        if self.received % _ENDLESS == 0:
            self.driven.engine.stopping = "it never ends"
            return None
        return osc.encode("/robojam/up", "i", 0), HAND

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def flooded(tmp_path) -> Iterator[EndlessEndpoint]:
    driven = DrivenEngine(tmp_path, mode="listen", record=False)
    endpoint = EndlessEndpoint(driven)
    driven.wire.sockets = (endpoint,)  # type: ignore[attr-defined]
    yield endpoint
    endpoint.close()


def test_flood_of_packets_does_not_keep_the_loop_from_what_is_due(flooded, monkeypatch):
    engine = flooded.driven.engine
    advance, before_turn = engine.advance, list[int]()

    def counted() -> float:
        before_turn.append(flooded.received)
        if len(before_turn) == _TURNS:
            engine.stopping = "enough"
        return advance()

    monkeypatch.setattr(engine, "advance", counted)
    loop.run(engine)
    assert engine.stopping == "enough"
    assert before_turn[-1] > 0
    assert before_turn[-1] <= 256 * _TURNS


def test_loop_whose_next_deadline_is_years_away_sleeps_and_wakes(tmp_path, monkeypatch):
    engine = DrivenEngine(tmp_path, mode="listen", record=False).engine
    engine.endpoint.sockets = ()
    timeouts = list[float]()
    real = select.select

    def select_at_once(*arguments):
        *files, timeout = arguments
        timeouts.append(timeout)
        engine.stopping = "enough"
        return real(*files, 0)

    monkeypatch.setattr(select, "select", select_at_once)
    monkeypatch.setattr(engine, "advance", lambda: 1e300)
    loop.run(engine)
    assert timeouts == [3600.0]
