"""Port for pads behind a gateway, by real datagrams: who it believes, and what is kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from robojam.config.roles import Role
from robojam.touch import Phase
from robojam.web.port import WebPort
from robojam.web.room_link import SILENCE, EngineLink
from robojam.wire.native import Finger, Input

SECRET = "a secret"


@pytest.fixture
def port() -> Iterator[WebPort]:
    web = WebPort(
        ("127.0.0.1", 0), control=False, certificate=None, osc=("127.0.0.1", 5005),
        announce=False, player_of=lambda _: None, role_of=lambda _: Role.PLAYER,
        state=lambda: ("human", {}, 1), model=lambda: "a", models=(),
        gateway=(("127.0.0.1", 0), SECRET),
    )  # fmt: skip
    yield web
    web.close()


class Gateway:
    """Gateway at a socket of its own."""

    def __init__(self, port: WebPort) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10.0)
        self.socket.connect(port._endpoint.address)

    def say(self, *items: Any) -> None:
        self.socket.send(msgspec.msgpack.encode(items))

    def say_secret(self) -> None:
        self.socket.send(SECRET.encode())

    def hear(self) -> Any:
        return msgspec.msgpack.decode(self.socket.recv(65536))


def touched(letter: str, finger: int, x: float = 0.5) -> list[Any]:
    place = [] if letter == "u" else [x, 0.25, None, None]
    return ["t", "web:10.0.0.9/1", [[letter, finger, *place]]]


def received(port: WebPort) -> list[tuple[Phase, int]]:
    inputs: list[Input] = [each for _, each in port.receive()]
    assert all(isinstance(each, Finger) for each in inputs)
    return [(each.phase, each.id) for each in inputs if isinstance(each, Finger)]


def test_what_is_said_before_the_secret_waits_for_it(port: WebPort) -> None:
    """As after a kill: the gateway does not know yet that another engine listens."""
    gateway = Gateway(port)
    gateway.say(touched("d", 1))
    gateway.say(touched("m", 1))
    assert received(port) == []
    assert gateway.hear() == ["secret"]
    gateway.say_secret()
    gateway.say(touched("u", 1))
    assert received(port) == [(Phase.DOWN, 1), (Phase.MOVE, 1), (Phase.UP, 1)]


def test_stranger_is_never_heard(port: WebPort) -> None:
    stranger, gateway = Gateway(port), Gateway(port)
    for _ in range(500):
        stranger.say(touched("d", 9))
        assert received(port) == []
    gateway.say(touched("d", 1))
    gateway.say_secret()
    assert received(port) == [(Phase.DOWN, 1)]
    stranger.say(touched("d", 9))
    gateway.say(touched("d", 2))
    assert received(port) == [(Phase.DOWN, 2)]


def test_secret_that_is_said_again_is_no_item(port: WebPort) -> None:
    gateway = Gateway(port)
    for _ in range(3):
        gateway.say_secret()
        gateway.say(touched("d", 1))
    assert received(port) == 3 * [(Phase.DOWN, 1)]


def test_fingers_of_a_gateway_that_has_gone_are_lifted_when_another_comes(
    port: WebPort,
) -> None:
    first, second = Gateway(port), Gateway(port)
    first.say_secret()
    first.say(touched("d", 1), touched("d", 2), touched("u", 2))
    assert received(port) == [(Phase.DOWN, 1), (Phase.DOWN, 2), (Phase.UP, 2)]
    second.say_secret()
    second.say(touched("d", 3))
    assert received(port) == [(Phase.UP, 1), (Phase.DOWN, 3)]


def test_gateway_says_its_secret_to_an_engine_that_asks_and_is_not_up_before() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
        engine.bind(("127.0.0.1", 0))
        engine.settimeout(10.0)

        async def run() -> None:
            link = EngineLink(engine.getsockname(), SECRET, None)
            running = asyncio.create_task(link.run())
            data, sender = await asyncio.to_thread(engine.recvfrom, 100)
            assert data == SECRET.encode()
            engine.sendto(msgspec.msgpack.encode(["model", "a"]), sender)
            while not link.is_up:
                await asyncio.sleep(0.01)
            engine.settimeout(0.0)
            with suppress(BlockingIOError):  # those that it has said meanwhile
                while True:
                    engine.recv(100)
            engine.settimeout(SILENCE / 2)  # after which it would say it by itself
            engine.sendto(msgspec.msgpack.encode(["secret"]), sender)
            assert (await asyncio.to_thread(engine.recvfrom, 100))[0] == SECRET.encode()
            running.cancel()

        asyncio.run(run())
