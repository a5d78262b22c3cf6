"""Rooms on a cluster: programs that play them, and what becomes of a room that loses one."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import ROOT
from support.commands import refusal
from support.engine import MODEL, PATIENCE, recordings
from support.ray_nodes import descendants, send_signal, three_nodes
from support.rooms import hosting
from support.web import page

from robojam.app.assemble import regenerate_session
from robojam.cluster.connect import ClusterError
from robojam.cluster.room_placer import _check, spares_of
from robojam.cluster.room_server import RoomServer
from robojam.config.options import Options
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import read
from robojam.system.child_process import python_command
from robojam.web.room_link import EngineLink

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(not MODEL.exists(), reason="no default model here"),
]
#: Source of a page that may control the jam.
PAD = "web:127.0.0.1/1"
#: A machine that answers soon, and goes on for a while.
SOON = ("--threshold", "0.1", "--response", "1", "--seed", "3")


def is_answered(message: Any) -> bool:
    """Return whether a page is told of a touch of the machine."""
    return bool(message[0] == "f" and "ai" in [each[0] for each in message[1]])


def check_resumed(folder: Path) -> None:
    """Check that the second recording of a room goes on from the first, as that would have."""
    first, second = map(read, recordings(folder))
    assert first.ended is None
    assert second.header.resumes == first.path.name
    assert len(first.events) > 2
    assert second.events[: len(first.events)] == first.events
    assert len(second.events) > len(first.events)
    again, differences = regenerate_session(second)
    assert differences == []
    assert first_difference(second, again.events) is None


# -- without Ray: the programs are started by hand ---------------------------------------------


class Rooms:
    """Rooms that are played by programs of this machine, each a node of its own."""

    def __init__(self, folder: Path, *names: str, **more: Any) -> None:
        self.folder = folder
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.lines: list[str] = []
        self.options = Options(
            sessions=str(folder), osc_in="127.0.0.1:0", osc_out=(), tuio_in="none",
            sound=False, announce=False, device="cpu", model=str(MODEL),
            controls={"threshold": 0.1, "response": 1.0}, seed=3,
        )  # fmt: skip
        self.server = RoomServer(
            names, self.options, news=self, say=self.lines.append,
            **{"resumes": False, "spares": 1, **more},
        )  # fmt: skip
        self.links = {name: EngineLink(None, "", None) for name in names}
        self.places: dict[str, list[str]] = {name: [] for name in names}
        self.heard: dict[str, list[Any]] = {name: [] for name in names}
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        for name, link in self.links.items():
            link.on_message = self.heard[name].append
            link.on_up = lambda link=link: link.send([["s", {
                "port": 0, "token": "", "connections": 1, "players": 1, "locked": False,
            }]])  # fmt: skip

    def tell(self, room: str, kind: str, news: dict[str, Any]) -> None:
        """Take news, as the gateway's program does."""
        if kind == "place":
            self.places[room].append(news["place"])
            at = (news["host"], news["port"]) if news["port"] else None
            self.links[room].move(at, news["secret"])
        else:
            self.links[room].status = news["status"]

    def start(self, node: str, *, secret: bytes = b"") -> None:
        """Start a program as a node of its own."""
        folder = self.folder.parent / f"node-{node}"
        folder.mkdir()
        given = {
            "server": ["127.0.0.1", self.port], "secret": (secret or self.server.secret).hex(),
            "options": msgspec.to_builtins(self.options), "node": node, "name": node,
            "host": "127.0.0.1", "folder": str(folder), "model": str(MODEL),
        }  # fmt: skip
        process = subprocess.Popen(
            python_command("robojam.cluster.room_program"), stdin=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.flush()
        self.programs[node] = process

    def signal(self, node: str, number: signal.Signals) -> None:
        """Send a signal to all processes of a node, as when its machine loses its power."""
        send_signal(descendants(self.programs[node].pid), number)

    def engine(self, node: str) -> int:
        """Return the process of the engine on a node; 0 for none."""
        for each in descendants(self.programs[node].pid):
            with suppress(OSError):
                words = Path(f"/proc/{each}/cmdline").read_bytes()
                if b"prepared_engine" in words or b"\0serve\0" in words:
                    return each
        return 0

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.02)

    def touch(self, room: str, letter: str) -> None:
        """Play a touch of a finger."""
        place = [0.25, 0.5, None, None] if letter == "d" else []
        self.links[room].send([["t", PAD, [[letter, 1, *place]]]])

    async def answered(self, room: str) -> None:
        """Play a touch, and wait until the machine has played after it.

        An engine that is being started hears nothing: the touch is played again then.
        """
        self.heard[room].clear()
        for _ in range(12):
            self.touch(room, "d")
            self.touch(room, "u")
            with suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    while not any(map(is_answered, self.heard[room])):
                        await asyncio.sleep(0.02)
                    return
        raise AssertionError(f"no answer in room {room}")


@asynccontextmanager
async def rooms(folder: Path, *names: str, **more: Any) -> AsyncIterator[Rooms]:
    """Have rooms while the block runs; all ends with it."""
    made = Rooms(folder, *names, **more)
    made.port = await made.server.listen("127.0.0.1")
    tasks = [asyncio.create_task(each.run()) for each in made.links.values()]
    try:
        yield made
    finally:
        await made.server.close(PATIENCE)
        for task in tasks:
            task.cancel()
        for name, program in made.programs.items():
            made.signal(name, signal.SIGCONT)
            assert program.stdin is not None
            program.stdin.close()
            try:
                await asyncio.to_thread(program.wait, PATIENCE)
            finally:
                made.signal(name, signal.SIGKILL)


def test_room_whose_machine_is_killed_goes_on_at_another_and_others_are_unharmed(
    tmp_path: Path,
):
    async def play() -> None:
        async with rooms(tmp_path / "s", "blue", "green") as host:
            host.start("stranger", secret=secrets.token_bytes(32))
            await asyncio.to_thread(host.programs["stranger"].wait, PATIENCE)
            for node in ("one", "two", "three"):
                host.start(node)
            await host.until(lambda: all(link.is_up for link in host.links.values()))
            (first,), (other,) = host.places["blue"], host.places["green"]
            assert first != other  # they are spread
            assert "stranger" not in (first, other)
            await host.answered("blue")
            await host.answered("green")
            host.signal(first, signal.SIGKILL)
            await host.until(lambda: len(host.places["blue"]) == 3)
            assert host.places["blue"][1] == "nowhere"
            assert host.places["blue"][2] not in (first, other)
            await host.until(lambda: host.links["blue"].is_up)
            await host.answered("blue")
            await host.answered("green")
            await host.until(lambda: host.links["blue"].status.get("played"))
            engine = host.engine(other)
            send_signal([engine], signal.SIGKILL)
            await host.until(lambda: host.engine(other) not in (0, engine))
            await host.answered("green")  # it is started again where it was
            assert host.places["green"] == [other]
            assert host.lines == [
                f"room blue has lost its engine on {first}",
                f"room blue goes on at {host.places['blue'][2]}",
            ]
        left = {path.parent.name for path in tmp_path.glob("node-*/*")}
        assert left == {f"node-{first}"}  # nothing stays where programs have ended

    asyncio.run(play())
    for name in ("blue", "green"):
        check_resumed(tmp_path / "s" / name)
        assert read(recordings(tmp_path / "s" / name)[1]).ended is not None


def test_program_that_is_silent_loses_its_room_which_goes_on_with_its_controls(
    tmp_path: Path,
):
    async def play() -> None:
        async with rooms(tmp_path / "s", "blue") as host:
            host.start("one")
            host.start("two")
            await host.until(lambda: host.links["blue"].is_up)
            (first,) = host.places["blue"]
            host.links["blue"].send([["c", PAD, "temperature", 0.25]])

            def is_set() -> bool:
                states = [m for m in host.heard["blue"] if m[0] == "state"]
                return bool(states) and states[-1][2]["temperature"] == 0.25

            await host.until(is_set)
            await host.answered("blue")
            host.signal(first, signal.SIGSTOP)
            await host.until(lambda: len(host.places["blue"]) == 3)
            host.heard["blue"].clear()
            await host.until(lambda: host.links["blue"].is_up and is_set())
            host.signal(first, signal.SIGCONT)
            await asyncio.to_thread(host.programs[first].wait, PATIENCE)  # it ends by itself
            assert host.links["blue"].is_up
            await host.answered("blue")

    async def go_on() -> None:
        async with rooms(tmp_path / "t", "blue", "green", resumes=True) as host:
            for node in ("three", "four", "five"):
                host.start(node)
            await host.until(lambda: all(link.is_up for link in host.links.values()))
            await host.answered("blue")
            await host.answered("green")
            assert [line for line in host.lines if "starts from nothing" in line]

    asyncio.run(play())
    check_resumed(tmp_path / "s" / "blue")
    # The host goes on from recordings that were cut off: one of its own, and of another model.
    cut, *_ = recordings(tmp_path / "s" / "blue")
    example = (ROOT / "sessions" / "example.jsonl").read_bytes().splitlines(keepends=True)
    for name, data in (("blue", cut.read_bytes()), ("green", b"".join(example[:40]))):
        (tmp_path / "t" / name).mkdir(parents=True)
        (tmp_path / "t" / name / cut.name).write_bytes(data)
    asyncio.run(go_on())
    check_resumed(tmp_path / "t" / "blue")
    assert read(recordings(tmp_path / "t" / "green")[1]).header.resumes is None


def test_connection_that_does_not_know_the_secret_is_closed(tmp_path: Path):
    async def play() -> None:
        async with rooms(tmp_path / "s", "blue") as host:
            reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" * 4)
            async with asyncio.timeout(PATIENCE):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()

    asyncio.run(play())


def test_rooms_for_which_the_cluster_has_no_space_are_refused(cluster):
    _check(cluster, 20, gpu=False)
    with pytest.raises(
        ClusterError, match=r"21 rooms need 2\.1 cores, and the cluster at local"
    ):
        _check(cluster, 21, gpu=False)
    with pytest.raises(ClusterError, match=r"1 room needs 0\.05 GPUs, .* has 0"):
        _check(cluster, 1, gpu=True)


def test_spares_take_over_the_rooms_of_any_one_machine():
    assert spares_of(4, 1) == 1
    for count in range(1, 30):
        for nodes in range(2, 8):
            spares = spares_of(count, nodes)
            assert spares - -(-spares // nodes) >= -(-count // nodes)


# -- with Ray ----------------------------------------------------------------------------------


def test_rooms_of_a_node_that_is_killed_are_back_at_another_node(tmp_path: Path):
    async def play(host: Any, raylets: dict[str, int]) -> None:
        def node_of(room: dict[str, Any]) -> str:
            (found,) = [each for each in raylets if f", {each[:6]})" in room["place"]]
            return found

        before = await host.rooms(lambda found: all(each["up"] for each in found.values()))
        nodes = {name: node_of(room) for name, room in before.items()}
        assert nodes["blue"] != nodes["green"]
        head = next(iter(raylets))
        victim, other = ("blue", "green") if nodes["blue"] != head else ("green", "blue")
        async with page(host.room(victim)) as ada, page(host.room(other)) as bob:
            await ada.touch(["d", 1, 0.25, 0.5])
            await ada.touch(["u", 1])
            await ada.until(is_answered)
            send_signal(descendants(raylets[nodes[victim]]), signal.SIGKILL)
            for number in range(20):  # the other room plays on meanwhile
                await bob.touch(["d", 1, number / 20, 0.5], ["u", 1])
                await asyncio.sleep(0.02)
            after = await host.rooms(lambda r: r[victim]["times_away"] and r[victim]["up"])
            assert node_of(after[victim]) not in (nodes[victim], nodes[other])
            assert after[victim]["back_in"] > 0
            assert after[other]["place"] == before[other]["place"]
            assert after[other]["times_away"] == after[other]["lost"] == 0
            ada.received.clear()
            await ada.touch(["d", 1, 0.5, 0.75], ["u", 1])  # by the same socket
            await ada.until(is_answered)
            await host.rooms(lambda r: r[other]["heard"] == 20)
        (tmp_path / "victim").write_text(victim)

    if find_spec("ray") is None:
        pytest.skip("no ray here: robojam[cluster]")
    with ExitStack() as stack:
        try:
            address, raylets, env = stack.enter_context(three_nodes())
        except OSError as error:
            pytest.skip(str(error))
        options = ("--room", "blue", "--room", "green", *SOON, "--ray", address)
        host = stack.enter_context(hosting(tmp_path, *options, env=env))
        asyncio.run(play(host, raylets))
        assert host.end() == 0
    check_resumed(tmp_path / (tmp_path / "victim").read_text())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--ray", "127.0.0.1:1"), "no cluster answers at 127.0.0.1:1"),
        (("--ray", "auto"), "expected local or HOST:PORT of the head"),
        (("--ray", "local", "--log", "x.log"), "--log is for rooms of this machine"),
        (("--ray", "local", "--room", "a", "--room", "A"), "two rooms are named A"),
    ],
)
def test_cluster_that_cannot_be_used_is_one_line_and_nothing_starts(
    options, expected, tmp_path, capsys
):
    if find_spec("ray") is None:
        pytest.skip("no ray here: robojam[cluster]")
    sessions = tmp_path / "s"
    found = refusal(capsys, "host", "--web", "127.0.0.1:0", "--sessions", sessions, *options)
    assert expected in found
    assert not sessions.exists()
