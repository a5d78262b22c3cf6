"""Twins of an engine: who may be one, how many, and one that takes too little."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import msgspec
import pytest
from support.engine import PATIENCE, DrivenEngine

from robojam.engine import twin as twin_module
from robojam.engine import twin_frames as frames

SECRET = "0123456789abcdef" * 2


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


@pytest.fixture
def driven(tmp_path) -> DrivenEngine:
    return DrivenEngine(tmp_path, threshold=0.3)


def ask(driven: DrivenEngine, server: socket.socket, **sender) -> None:
    port = server.getsockname()[1]
    driven.send("/robojam/twin", "iiis", port, port, 5005, SECRET, **sender)


def followed(driven: DrivenEngine, server: socket.socket) -> socket.socket:
    """Follow an engine; return the connection, once it is taken."""
    count = len(driven.engine.twins)
    ask(driven, server)
    connection, _ = server.accept()
    connection.settimeout(PATIENCE)
    turn_until(driven, lambda: len(driven.engine.twins) > count)
    return connection


def turn_until(driven: DrivenEngine, condition) -> None:
    by = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < by
        driven.engine.calls.drain()
        driven.wait(0.005)


def received(
    driven: DrivenEngine, connection: socket.socket, kinds: bytes, *, greeted: bool = False
) -> list[bytes]:
    """Return the contents of the frames that come, until one of each kind is there.

    greeted: the secret has come before.
    """
    reader, found = frames.Frames(), []
    connection.settimeout(0.02)
    greeting = bytes.fromhex(SECRET) if greeted else b""
    by = time.monotonic() + PATIENCE
    while not set(kinds) <= {kind[0] for kind, _ in found}:
        assert time.monotonic() < by
        driven.engine.calls.drain()
        driven.wait(0.1)
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            continue
        missing = frames.SECRET - len(greeting)
        greeting, data = greeting + data[:missing], data[missing:]
        found += reader.feed(data)
    assert greeting == bytes.fromhex(SECRET)
    return [next(content for kind, content in found if kind[0] == each) for each in kinds]


def test_twin_is_told_state_events_players_and_checksums(tmp_path, server):
    driven = DrivenEngine(tmp_path, mode="listen")
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    with followed(driven, server) as connection:
        driven.wait(0.01)
        driven.engine.calls.drain()
        driven.send("/robojam/move", "iff", 0, 0.6, 0.5)
        state, players, check = received(driven, connection, b"SPC")
        jam = msgspec.msgpack.decode(state, type=frames.Jam)
        assert jam.term == 1
        assert jam.moment is not None
        assert jam.moment.heard >= 1
        company = msgspec.msgpack.decode(players, type=frames.Company)
        assert [(p.name, p.source, p.fingers) for p in company.players] == [
            ("human", "127.0.0.1", [0])
        ]
        sent = msgspec.msgpack.decode(check, type=frames.Check)
        assert sent.sum == driven.engine.jam.checksum()


def test_state_comes_again_with_the_next_take_and_on_request(driven, server):
    with followed(driven, server) as connection:
        (state,) = received(driven, connection, b"S")
        assert msgspec.msgpack.decode(state, type=frames.Jam).state == b""
        driven.send("/robojam/down", "iff", 0, 0.5, 0.5)  # a take begins
        (state,) = received(driven, connection, b"S", greeted=True)
        assert msgspec.msgpack.decode(state, type=frames.Jam).state != b""
        connection.send(frames.AGAIN)
        received(driven, connection, b"S", greeted=True)


def test_only_hosts_may_have_a_twin_or_ask_to_hand_over(driven, server):
    for address, tags, args in (
        ("twin", "iiis", (server.getsockname()[1], 9, 5005, SECRET)),
        ("yield", "", ()),
        ("yield", "is", (7, SECRET)),
    ):
        driven.send(f"/robojam/{address}", tags, *args, sender=("10.0.0.7", 4000))
    assert driven.status()["dropped"] == {"not allowed": 3}
    assert driven.engine.stopping is None
    server.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_more_twins_than_two_are_refused_and_one_that_ends_makes_room(driven, server):
    driven.wait(5.0)
    first = followed(driven, server)
    driven.wait(5.0)
    second = followed(driven, server)
    driven.wait(5.0)
    ask(driven, server)
    assert driven.status()["dropped"] == {"too many twins": 1}
    first.close()
    turn_until(driven, lambda: len(driven.engine.twins) == 1)
    driven.wait(5.0)
    followed(driven, server).close()
    second.close()


def test_engine_stops_for_one_that_has_led_since_and_knows_the_secret_alone(driven, server):
    with followed(driven, server):
        driven.send("/robojam/yield", "is", 2, "0" * 32)
        driven.send("/robojam/yield", "is", 1, SECRET)
        assert driven.engine.stopping is None
        driven.send("/robojam/yield", "is", 2, SECRET)
        assert driven.engine.stopping is not None
        assert driven.engine.led_by == ("127.0.0.1", 4000)


def test_twin_that_takes_less_than_it_is_sent_is_dropped(driven, server, monkeypatch):
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    with followed(driven, server) as connection:
        received(driven, connection, b"S")
        monkeypatch.setattr(twin_module, "_MAX_WAITING", 1000)
        twin = driven.engine.twins._twins[0]
        twin.encoding = True  # it takes nothing
        for i in range(20):
            driven.send("/robojam/move", "iff", 0, i / 20, 0.5)
            driven.wait(0.02)
        assert len(driven.engine.twins) == 0


def test_malformed_requests_are_dropped(driven):
    driven.send("/robojam/twin", "iiis", 1, 2, 3, "short")
    driven.send("/robojam/twin", "iiis", 0, 2, 3, SECRET)
    driven.send("/robojam/yield", "is", -1, SECRET)
    assert sum(driven.status()["dropped"].values()) == 3
