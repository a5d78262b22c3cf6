"""OSCQuery: the tree of addresses, and programs that listen, with sockets and a real engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, WSMsgType, WSServerHandshakeError
from pythonosc.osc_message import OscMessage
from support.engine import PATIENCE
from support.web import get, page, playing, status

from robojam.controls import MODES, Settings
from robojam.web import limits, osc_query
from robojam.web.osc_listening import Listener, path_changed, played, values
from robojam.web.osc_query import MAX_VOICES, Jam
from robojam.web.protocol import MalformedError

CONTROLS = asdict(Settings()) | {"record": 1, "seed": None, "model": "touch.safetensors"}
JAM = Jam(CONTROLS, "ai", 2)


def command(name: str, path: object) -> str:
    return json.dumps({"COMMAND": name, "DATA": path})


def read(message: bytes) -> tuple[Any, ...]:
    """Return address and arguments of a message, as python-osc reads it."""
    decoded = OscMessage(message)
    return (decoded.address, *decoded.params)


# -- the tree ----------------------------------------------------------------------------------


def test_each_address_of_the_tree_is_found_by_its_path():
    paths = osc_query.addresses(JAM)
    for path in paths:
        leaf = osc_query.node(path, JAM)
        assert leaf is not None
        assert leaf["FULL_PATH"] == path
        assert len(leaf["TYPE"]) == len(leaf.get("RANGE", leaf["TYPE"]))
    assert {"/touch", "/robojam/mode", "/robojam/turn", "/robojam/ai2/move"} <= paths
    assert osc_query.node("/robojam/ai2", JAM)["CONTENTS"].keys() == {"down", "move", "up"}
    for absent in ("/robojam/ai3", "/robojam/mode/x", "/x", "/robojam//x"):
        assert osc_query.node(absent, JAM) is None


def test_value_of_each_control_has_the_type_that_the_tree_says():
    kinds = {"f": float, "i": int, "h": int, "s": str}
    for address, message in values(JAM).items():
        leaf = osc_query.node(address, JAM)
        (value,) = read(message)[1:]
        assert type(value) is kinds[leaf["TYPE"]], address
        assert leaf["ACCESS"] & 1
        assert leaf["VALUE"] == pytest.approx([value])
    assert "/robojam/seed" not in values(JAM)
    assert osc_query.node("/robojam/seed", JAM)["ACCESS"] == 2


def test_tree_of_a_jam_of_many_voices_is_bounded():
    assert len(osc_query.addresses(Jam(voices=4096))) < 200
    assert osc_query.node(f"/robojam/ai{MAX_VOICES}", Jam(voices=4096)) is not None


def test_tree_changes_where_voices_come_and_go_and_not_with_values():
    changed = path_changed(JAM, Jam(CONTROLS, "human", 3))
    assert json.loads(changed) == {"COMMAND": "PATH_CHANGED", "DATA": "/robojam"}
    assert path_changed(JAM, Jam({"seed": 1}, "human", 2)) is None


# -- listening, pure ---------------------------------------------------------------------------


def listening(*paths: str) -> Listener:
    listener = Listener()
    for path in paths:
        listener.hear(command("LISTEN", path), JAM)
    return listener


def test_listener_is_sent_each_value_once_and_again_when_it_has_changed():
    listener = listening("/robojam/volume", "/robojam/turn", "/robojam/panic")
    due = dict(listener.due(values(JAM)))
    assert [read(message) for message in due.values()] == [
        ("/robojam/volume", pytest.approx(0.7)), ("/robojam/turn", "ai")
    ]  # fmt: skip
    for address, message in due.items():
        listener.note(address, message)
    assert not list(listener.due(values(JAM)))
    changed = Jam(CONTROLS | {"volume": 0.5}, "ai", 2)
    ((address, message),) = listener.due(values(changed))
    assert read(message) == ("/robojam/volume", 0.5)
    listener.hear(command("IGNORE", address), JAM)
    assert not list(listener.due(values(changed)))


@pytest.mark.parametrize("path", ["/robojam", "/", "/robojam/nothing", "", "/robojam/mode/"])
def test_listening_to_what_is_no_message_of_the_tree_does_nothing(path):
    assert not listening(path).listens_to(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"COMMAND": 3}',
        '{"DATA": "/robojam/mode"}',
        "[" * 99999,
    ],
)
def test_garbage_is_refused(text):
    with pytest.raises(MalformedError):
        Listener().hear(text, JAM)


@pytest.mark.parametrize("name", ["PATH_ADDED", "START_OSC_STREAMING"])
def test_command_of_an_extension_that_is_not_here_is_ignored(name):
    listener = listening("/robojam/mode")
    listener.hear(command(name, {}), JAM)
    assert len(list(listener.due(values(JAM)))) == 1


@pytest.mark.parametrize("data", [None, 1, ["/robojam/mode"]])
def test_command_without_a_path_is_refused(data):
    with pytest.raises(MalformedError):
        Listener().hear(command("LISTEN", data), JAM)


def test_touches_of_voices_have_the_form_that_monitors_get():
    touches = [
        ["human", "d", 1, 0.1, 0.2, 0.0], ["ai", "d", 0, 0.25, 0.5, 0.125],
        ["ai2", "m", 0, 0.5, 1.0, 0.5], ["ai", "u", 0, 0.25, 0.5, 0.1],
    ]  # fmt: skip
    assert [read(message) for _, message in played(touches)] == [
        ("/robojam/ai/down", 0, 0.25, 0.5, 0.125),
        ("/robojam/ai2/move", 0, 0.5, 1.0, 0.5),
        ("/robojam/ai/up", 0),
    ]


def test_listener_forgets_what_has_left_the_tree():
    listener = listening("/robojam/ai2/up", "/robojam/mode")
    listener.forget(Jam(voices=1))
    assert not listener.listens_to("/robojam/ai2/up")
    assert listener.listens_to("/robojam/mode")


# -- with an engine ----------------------------------------------------------------------------


class Program:
    """Client of OSCQuery, written from the proposal."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def say(self, name: str, *paths: str) -> None:
        for path in paths:
            await self.socket.send_str(command(name, path))

    async def _receive(self, kind: WSMsgType) -> Any:
        async with asyncio.timeout(PATIENCE):
            while True:
                received = await self.socket.receive()
                assert received.type in (WSMsgType.BINARY, WSMsgType.TEXT), received
                if received.type is kind:
                    return received.data

    async def until(self, condition: Callable[[tuple[Any, ...]], Any]) -> tuple[Any, ...]:
        """Receive until an OSC message fulfils a condition; return it."""
        while not condition(message := read(await self._receive(WSMsgType.BINARY))):
            pass
        return message

    async def changed(self) -> str:
        """Receive until the tree has changed; return where."""
        message = json.loads(await self._receive(WSMsgType.TEXT))
        assert message["COMMAND"] == "PATH_CHANGED"
        return message["DATA"]


@asynccontextmanager
async def program(url: str, *, host: str = "127.0.0.1", **more: Any) -> AsyncIterator[Program]:
    """Open a socket at the root of the tree, from an address of this machine."""
    root = "ws" + url.removeprefix("http").partition("?")[0]
    connector = TCPConnector(local_addr=(host, 0))
    async with (
        ClientSession(connector=connector) as session,
        session.ws_connect(root, **more) as socket,
    ):
        yield Program(socket)


def test_programs_get_the_tree_of_addresses_and_browsers_need_the_token(tmp_path: Path):
    async def play(engine: Any, url: str) -> None:
        root = url.partition("?")[0]
        code, _, _ = await get(root, headers={"Accept": "text/html,*/*"})
        assert code == 403
        async with page(url):  # the values are known by now
            pass
        code, kind, text = await get(root)
        assert (code, kind.partition(";")[0]) == (200, "application/json")
        tree = json.loads(text)["CONTENTS"]["robojam"]["CONTENTS"]
        assert tree["mode"]["VALUE"] == ["listen"]
        assert tree["mode"]["RANGE"] == [{"VALS": list(MODES)}]
        assert tree["threshold"] | {"DESCRIPTION": ""} == {
            "FULL_PATH": "/robojam/threshold", "TYPE": "f", "ACCESS": 3, "VALUE": [0.5],
            "RANGE": [{"MIN": 0.02, "MAX": 60}], "DESCRIPTION": "",
        }  # fmt: skip
        assert tree["record"]["VALUE"] == [1]
        assert (tree["panic"]["TYPE"], tree["panic"]["ACCESS"]) == ("I", 2)
        assert tree["down"]["TYPE"] == "iff"
        info = json.loads((await get(f"{root}?HOST_INFO"))[2])
        assert (info["OSC_IP"], info["OSC_PORT"]) == engine.address
        assert info["EXTENSIONS"]["LISTEN"]
        assert info["EXTENSIONS"]["PATH_CHANGED"]
        assert json.loads((await get(f"{root}robojam/mode?VALUE"))[2]) == {"VALUE": ["listen"]}
        assert (await get(f"{root}robojam/panic?VALUE"))[0] == 204
        assert (await get(f"{root}robojam/panic?NAME"))[0] == 400
        assert (await get(f"{root}robojam/nothing"))[0] == 404

    playing(tmp_path, play, "--mode", "listen")


def test_program_that_listens_gets_values_the_turn_and_the_machines_touches(tmp_path: Path):
    async def play(engine: Any, url: str) -> None:
        async with program(url) as listener, program(url) as other:
            await listener.say("LISTEN", "/robojam/threshold", "/robojam/turn")
            await listener.until(lambda m: m == ("/robojam/threshold", 0.25))
            await listener.until(lambda m: m == ("/robojam/turn", "human"))
            await other.say("LISTEN", "/robojam/ai/down", "/robojam/ai/up")
            engine.out.send("/robojam/threshold", "f", 0.5)
            await listener.until(lambda m: m == ("/robojam/threshold", 0.5))
            engine.out.send("/robojam/answer")
            await listener.until(lambda m: m == ("/robojam/turn", "ai"))
            heard = await other.until(lambda m: m[0] == "/robojam/ai/down")
            assert len(heard) == 5
            assert (await other.until(lambda m: m[0] == "/robojam/ai/up"))[1] == heard[1]
            engine.out.send("/robojam/setup", "ss", "voices", "2")
            engine.out.send("/robojam/record", "i", 1)  # voices come with the next take
            assert await listener.changed() == "/robojam"
            tree = json.loads((await get(url.partition("?")[0] + "robojam"))[2])
            assert "ai2" in tree["CONTENTS"]

    playing(tmp_path, play, "--threshold", "0.25", "--response", "1", "--seed", "3")


def test_page_of_another_site_may_not_listen_and_garbage_closes_its_socket(tmp_path: Path):
    async def play(engine: Any, url: str) -> None:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with program(url, origin="http://elsewhere.example"):
                pass
        assert refused.value.status == 403
        async with program(url) as bad, asyncio.timeout(PATIENCE):
            await bad.socket.send_str("x")
            while (received := await bad.socket.receive()).type is WSMsgType.TEXT:
                pass
            assert received.data == 4400
        async with program(url) as good:
            # OSC is for the port that HOST_INFO names.
            await good.socket.send_bytes(b"/robojam/mode\0\0\0,s\0\0duet\0\0\0\0")
            await good.say("LISTEN", "/robojam/mode")
            await good.until(lambda m: m == ("/robojam/mode", "listen"))
            told = await status(engine, lambda s: s["dropped"])
            assert told["dropped"] == {"wrong port": 1}

    playing(tmp_path, play, "--mode", "listen")


def test_programs_of_one_host_that_listen_have_a_bound(tmp_path: Path):
    async def play(_: Any, url: str) -> None:
        sockets = [program(url) for _ in range(limits.MAX_LISTENERS_OF_A_HOST)]
        for each in sockets:
            await each.__aenter__()
        with pytest.raises(WSServerHandshakeError) as refused:
            async with program(url):
                pass
        assert refused.value.status == 503
        await sockets.pop().__aexit__(None, None, None)
        async with asyncio.timeout(PATIENCE):  # its place is free, once its end has come
            while True:
                try:
                    async with program(url) as again:
                        await again.say("LISTEN", "/robojam/mode")
                        await again.until(lambda m: m[0] == "/robojam/mode")
                    break
                except WSServerHandshakeError:
                    await asyncio.sleep(0.05)
        for each in sockets:
            await each.__aexit__(None, None, None)

    playing(tmp_path, play, "--mode", "listen")
