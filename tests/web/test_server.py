"""Web server of pads, with real sockets and a real engine."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, WSServerHandshakeError
from support.engine import PATIENCE, RunningEngine, first_line, recording, run_program, serving
from support.network import second_host
from support.web import Page, get, opened, page, playing, serving_web, status, url_of

from robojam.app.assemble import regenerate_session
from robojam.sessions.regenerate import first_difference
from robojam.touch import Phase
from robojam.web import limits
from robojam.web.port import TOKEN

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc, 127.0.0.2")


def test_touches_of_two_pages_are_two_players_and_each_sees_the_other(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url, "Ada") as ada, page(url) as bob:
            welcome = ada.received[0][2]
            assert (welcome["id"], welcome["name"], welcome["role"]) == ("web-1", "Ada", "host")
            await ada.touch(["d", 1, 0.25, 0.5])
            await bob.until(lambda m: m == ["f", [["web-1", "d", 1, 0.25, 0.5]]])
            await bob.touch(["d", 1, 0.75, 0.5, 0.5])
            await ada.until(lambda m: m == ["f", [["web-2", "d", 1, 0.75, 0.5]]])
            await ada.touch(["u", 1])
            await bob.until(lambda m: m == ["f", [["web-1", "u", 1, 0.25, 0.5]]])
            told = await status(engine, lambda s: s["web"]["players"] == 2)
            assert told["web"]["connections"] == 2
            assert told["web"]["url"] == url
            assert [each["name"] for each in told["players"]] == ["human", "human2"]
        await status(engine, lambda s: not s["fingers"] and not s["web"]["connections"])

    playing(tmp_path, play, "--mode", "listen")
    touches = [e.touch for e in recording(tmp_path).events if hasattr(e, "touch")]
    bobs = [touch for touch in touches if touch.who == "human2"]
    assert [(touch.phase, touch.pressure) for touch in bobs] == [
        (Phase.DOWN, 0.5),
        (Phase.UP, None),
    ]


def test_page_sees_the_machine_its_turn_and_what_changes(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url, view=True) as viewer:
            assert viewer.received[0][2]["role"] == "watcher"
            engine.out.send("/robojam/down", "iff", 0, 0.5, 0.5)
            engine.out.send("/robojam/up", "i", 0)
            await viewer.until(lambda m: m[0] == "f" and m[1][0][0] == "human")
            await viewer.until(lambda m: m == ["turn", "machine"])
            await viewer.until(lambda m: m[0] == "f" and m[1][0][0] == "ai")
            engine.out.send("/robojam/mode", "s", "duet")
            await viewer.until(lambda m: m[0] == "state" and m[1].get("mode") == "duet")
            await viewer.until(lambda m: m == ["turn", "both"])
            engine.out.send("/robojam/tempo", "f", 240.0)
            await viewer.until(lambda m: m == ["beat", 0, 4, 240.0])
            await viewer.touch(["d", 1, 0.5, 0.5])
            told = await status(engine, lambda s: s["dropped"].get("not allowed"))
            assert told["web"] | {"url": ""} == {
                "connections": 1, "players": 0, "locked": False, "url": "", "restarts": 0,
                "problem": None,
            }  # fmt: skip

    playing(tmp_path, play, "--threshold", "0.1", "--seed", "3")


def test_bunched_frames_keep_their_own_spacing_and_regenerate_exactly(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as ada, page(url) as bob:
            for count, pad in ((30, ada), (20, bob)):
                frames = [
                    [1000.0 * len(ada.received) + 16 * i,
                     [["m", 1, i / 50, 0.5], ["m", 2, 0.5, i / 50]]]
                    for i in range(count)
                ]  # fmt: skip
                await pad.send("ts", frames)
                await pad.send("ping", count)
                await pad.until(lambda m, count=count: m == ["pong", count])
                await pad.touch(["u", 1], ["u", 2])
                await status(engine, lambda s: s["played"])
        await status(engine, lambda s: not s["web"]["connections"])

    playing(tmp_path, play, "--threshold", "0.1", "--response", "1", "--seed", "3")
    session = recording(tmp_path)
    own = [
        event.touch.dt
        for event in session.events
        if hasattr(event, "touch") and event.touch.who == "human" and event.touch.id == 1
        and event.touch.phase is Phase.MOVE
    ]  # fmt: skip
    # The frames of a message arrived at once.
    assert sum(dt == pytest.approx(0.016, abs=1e-9) for dt in own) == 29
    again, differences = regenerate_session(session)
    assert differences == []
    assert first_difference(session, again.events) is None


def test_sockets_cut_at_random_leave_no_finger_down(tmp_path: Path):
    chance = random.Random(7)

    async def one(url: str) -> None:
        for _ in range(6):
            async with opened(url) as pad:
                await pad.send("hello", 1, {})
                for _ in range(chance.randrange(8)):
                    await pad.touch(*(["m", i, chance.random(), 0.5] for i in range(5)))
                    await asyncio.sleep(chance.random() / 100)
                transport = pad.socket._response.connection.transport  # type: ignore[union-attr]
                if chance.random() < 0.7:
                    transport.abort()

    async def play(engine: RunningEngine, url: str) -> None:
        await asyncio.gather(*(one(url) for _ in range(10)))
        told = await status(engine, lambda s: not s["web"]["connections"] and not s["fingers"])
        assert [each["fingers"] for each in told["players"]] == [0] * len(told["players"])
        assert len(told["players"]) > 10

    playing(tmp_path, play, "--mode", "listen")
    down: set[tuple[str, int]] = set()
    for event in recording(tmp_path).events:
        if hasattr(event, "touch"):
            key = event.touch.who, event.touch.id
            (down.discard if event.touch.phase is Phase.UP else down.add)(key)
    assert not down


def test_page_that_comes_back_with_its_key_is_the_same_player(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url, "Ada") as ada:
            first = ada.received[0][2]
            await ada.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)
            # A network that is lost says nothing: the first socket is still open.
            async with opened(url) as again:
                await again.send("hello", 1, {"name": "Ada", "key": first["key"]})
                assert (await again.kind("welcome"))[2] == first
                await status(engine, lambda s: not s["fingers"])
                assert await ada.end() == (4403, "opened again")
                await again.touch(["d", 1, 0.5, 0.5])
                await status(engine, lambda s: s["fingers"] == 1)
        async with opened(url) as third:
            await third.send("hello", 1, {"name": "Ada", "key": first["key"]})
            assert (await third.kind("welcome"))[2] == first
            await third.touch(["d", 1, 0.5, 0.5])
            told = await status(engine, lambda s: s["fingers"] == 1)
            assert [each["name"] for each in told["players"]] == ["human"]
        async with opened(url) as other:
            await other.send("hello", 1, {"name": "Ada", "key": "guessed"})
            assert (await other.kind("welcome"))[2]["id"] != first["id"]

    playing(tmp_path, play, "--mode", "listen")


@linux
def test_process_that_dies_lifts_its_fingers_and_comes_back_at_the_same_address(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as pad:
            await pad.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)
            os.kill(child_of(engine), signal.SIGKILL)
            await pad.end()
            await status(engine, lambda s: not s["fingers"] and s["web"]["restarts"] == 1)
            await status(engine, lambda s: s["web"]["url"] == url)
        async with page(url) as pad:
            await pad.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)

    playing(tmp_path, play, "--mode", "listen")


def child_of(engine: RunningEngine) -> int:
    """Return the id of the web server's process."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == engine.process.pid and b"robojam.web.program" in words:
            return int(path.name)
    raise AssertionError("there is no web server")


@linux
def test_engine_that_is_killed_takes_its_web_server_with_it(tmp_path: Path):
    with serving_web(tmp_path) as (engine, _):
        child = child_of(engine)
        engine.process.kill()
        engine.process.wait(PATIENCE)

        async def play() -> None:
            async with asyncio.timeout(PATIENCE):
                while Path(f"/proc/{child}").exists():
                    await asyncio.sleep(0.05)

        asyncio.run(play())


# -- what is refused ---------------------------------------------------------------------------


def test_page_needs_the_token_and_nothing_but_its_files_is_served(tmp_path: Path):
    async def play(_: RunningEngine, url: str) -> None:
        root = url.partition("?")[0]
        code, kind, text = await get(url)
        assert (code, kind) == (200, "text/html; charset=utf-8")
        assert "robojam" in text
        for wrong in (f"{root}?token=", f"{root}?token=x", f"{url}x", f"{root}?t=\u00e9"):
            code, kind, text = await get(wrong)
            assert (code, text.count("\n")) == (403, 1)
        outside = ("pad/../server.py", "pad/%2e%2e/server.py", "pad//etc/passwd", "pad/")
        for path in ("x", "pad/x", *outside, "v1", "page/index.html"):
            code, _, text = await get(f"{root}{path}", allow_redirects=False)
            assert code == 404, path
        code, kind, text = await get(f"{root}v1/health")
        assert (code, kind.partition(";")[0]) == (200, "application/json")
        assert '"status":"ok"' in text
        assert "token" not in text
        async with ClientSession() as session, session.post(url) as answer:
            assert answer.status == 405

    playing(tmp_path, play)


def test_socket_needs_the_token_and_a_page_of_this_server(tmp_path: Path):
    async def play(_: RunningEngine, url: str) -> None:
        async with page(url):
            pass
        for address, more in (
            (f"{url}x", {}),
            (url.partition("?")[0] + "?", {}),
            (url, {"origin": "http://elsewhere.example"}),
        ):
            with pytest.raises(WSServerHandshakeError) as refused:
                async with opened(address, **more):
                    pass
            assert refused.value.status == 403
        own = url.partition("/?")[0]
        async with opened(url, origin=own) as pad:
            await pad.send("hello", 1, {})
            await pad.kind("welcome")

    playing(tmp_path, play)


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["garbage"], 4400, "not JSON"),
        (['["t",1,[]]'], 4401, "the first message is no hello"),
        (['["hello",1]', '["hello",1]'], 4400, "a second hello"),
        (['["hello",1]', "{}"], 4400, "an unknown message"),
        ([b"\0"], 4400, "not text"),
        (['["hello",1]', b"\0"], 4400, "not text"),
        (['["hello",1]', "x" * (limits.MAX_MESSAGE + 1)], 1009, ""),
    ],
)
def test_garbage_closes_its_socket_with_a_code_and_a_reason(tmp_path, messages, code, reason):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as other, opened(url) as pad:
            for message in messages:
                await (pad.socket.send_bytes if isinstance(message, bytes)
                       else pad.socket.send_str)(message)  # fmt: skip
            assert await pad.end() == (code, reason)
            await other.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)

    playing(tmp_path, play, "--mode", "listen")


def test_touches_that_are_not_allowed_are_counted_by_reason(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as pad:
            await pad.socket.send_str(
                f'["t",NaN,[["d",1,NaN,0],["d",{10**40},0,0],["d",1,"0",0],["d",1,0.5,0.5]]]'
            )
            told = await status(engine, lambda s: s["fingers"] and len(s["dropped"]) == 3)
            assert told["dropped"] == {
                "not finite": 1, "out of range": 1, "wrong arguments": 1
            }  # fmt: skip

    playing(tmp_path, play, "--mode", "listen")


def test_flood_is_slowed_then_closed_and_others_play_on(tmp_path: Path):
    async def flood(pad: Page) -> tuple[int | None, str]:
        frame = [["m", i % 4, 0.5, 0.5] for i in range(100)]
        ending = asyncio.ensure_future(pad.end())
        with suppress(ConnectionError):  # closed between two touches
            while not ending.done():
                await pad.touch(*frame)
                await asyncio.sleep(0)  # others answer the server's pings
        return await ending

    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as other, page(url) as pad:
            flooding = asyncio.ensure_future(flood(pad))
            for number in range(20):
                await other.touch(["d", 7, 0.5, 0.5], ["u", 7])
                await other.send("ping", number)
                await other.until(lambda m, number=number: m == ["pong", number])
            assert await flooding == (4429, "too many messages")
            await status(engine, lambda s: not s["fingers"] and s["dropped"].get("flood"))

    playing(tmp_path, play, "--mode", "listen", "--no-record")


@linux
def test_connections_of_one_host_have_a_bound_and_another_host_comes_in(tmp_path: Path):
    async def one(url: str, everyone: asyncio.Event) -> str:
        try:
            async with opened(url) as pad:
                await pad.send("hello", 1, {"view": True})
                message = await pad.until(lambda m: m[0] in ("welcome", "refused"))
                await everyone.wait()
                return str(message[0])
        except (OSError, ClientError, AssertionError):
            return "refused"

    async def play(engine: RunningEngine, url: str) -> None:
        everyone = asyncio.Event()
        tasks = [asyncio.ensure_future(one(url, everyone)) for _ in range(200)]
        await status(engine, lambda s: s["web"]["connections"] == limits.MAX_OF_A_HOST)
        async with page(url, host="127.0.0.2"):
            pass
        everyone.set()
        results = await asyncio.gather(*tasks)
        assert results.count("welcome") == limits.MAX_OF_A_HOST

    playing(tmp_path, play, web="0.0.0.0:0")


def test_connection_without_a_request_or_a_hello_is_closed(tmp_path, monkeypatch):
    async def play(engine: RunningEngine, url: str) -> None:
        host, port = url.removeprefix("http://").partition("/")[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HT")
        async with opened(url) as silent, asyncio.timeout(PATIENCE):
            assert await silent.end() == (4401, "no hello")
            assert await reader.read() == b""
        writer.close()

    playing(tmp_path, play)


def test_token_of_a_jam_outlives_its_engine(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(TOKEN, "a-token-of-before")
    with serving_web(tmp_path) as (_, url):
        assert url.endswith("/?token=a-token-of-before")


# -- hosts and controls ------------------------------------------------------------------------


def test_control_from_a_page_needs_web_control(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as pad:
            assert pad.received[0][2]["control"] is False
            await pad.send("control", "mode", "duet")
            told = await status(engine, lambda s: s["dropped"].get("not allowed"))
            assert told["mode"] == "listen"

    playing(tmp_path, play, "--mode", "listen")


def test_page_that_may_control_sets_what_is_in_the_table_and_nothing_else(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as pad:
            await pad.send("control", "mode", "duet")
            await pad.send("control", "threshold", 2)
            await status(engine, lambda s: s["mode"] == "duet" and s["threshold"] == 2)
            await pad.send("control", "threshold", 1e9)
            await pad.send("control", "threshold", "fast")
            await pad.send("control", "down", 1)
            await pad.send("control", "instrument", 7)
            told = await status(engine, lambda s: len(s["dropped"]) == 3)
            assert set(told["dropped"]) == {
                "out of range", "wrong arguments", "no such control"
            }  # fmt: skip

    playing(tmp_path, play, "--mode", "listen", "--web-control")


def test_host_mutes_and_removes_a_player_and_renews_the_token(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url) as host, page(url) as pad:
            await pad.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)
            await host.send("host", "mute", "web-2", True)
            await pad.until(lambda m: m[0] == "players" and m[1][1]["muted"])
            await status(engine, lambda s: not s["fingers"])
            await pad.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["dropped"].get("muted"))
            await host.send("host", "mute", "web-2", False)
            await pad.until(lambda m: m[0] == "players" and not m[1][1]["muted"])
            await pad.touch(["d", 1, 0.5, 0.5])
            await status(engine, lambda s: s["fingers"] == 1)
            await host.send("host", "remove", "web-2")
            assert await pad.end() == (4403, "removed")
            await status(engine, lambda s: not s["fingers"])
            await host.send("host", "token")
            told = await status(engine, lambda s: s["web"]["url"] != url)
            with pytest.raises(WSServerHandshakeError):
                async with opened(url):
                    pass
            async with page(told["web"]["url"]):
                pass

    playing(tmp_path, play, "--mode", "listen")


#: Program of a page on another machine: it says the roles that it is told, until it is told the
#: one that it waits for, and plays.
ELSEWHERE = """
import asyncio, json, sys
from aiohttp import ClientSession
async def main(url, wanted):
    async with ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json(["hello", 1, {}])
        async for message in socket:
            kind, *rest = json.loads(message.data)
            role = rest[1]["role"] if kind == "welcome" else rest[0] if kind == "role" else ""
            if role == wanted:
                break
        await socket.send_json(["t", 0, [["d", 1, 0.5, 0.5]]])
        await socket.send_json(["ping", 1])
        async for message in socket:
            if json.loads(message.data)[0] == "pong":
                return print(role)
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("role", ["watcher", "player", "host"])
def test_page_on_another_machine_is_told_the_role_that_its_address_has(tmp_path: Path, role):
    rules = tmp_path / "roles.toml"
    rules.write_text(f'others = "{role}"\n')
    options = ("--mode", "listen", "--roles", str(rules))
    with second_host() as other, serving_web(tmp_path, *options, web="0.0.0.0:0") as jam:
        engine, url = jam
        port, query = url.rpartition(":")[2].split("/?")
        address = f"ws://{other.here}:{port}/v1/socket?{query}"
        ran = other.run(sys.executable, "-c", ELSEWHERE, address, role, timeout=PATIENCE)
        assert ran.stdout == f"{role}\n", ran.stderr
        if role == "watcher":
            told = engine.out.ask(lambda s: s["dropped"].get("not allowed"))
            assert told["players"] == []
        else:
            engine.out.ask(lambda s: s["players"])
        assert engine.end() == 0


# -- start -------------------------------------------------------------------------------------


def test_port_in_use_is_one_clear_line(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run_program("serve", "--osc-in", "127.0.0.1:0", "--web", f"127.0.0.1:{port}")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert f"nothing can be served at 127.0.0.1:{port}" in ran.stderr


def test_pad_at_all_addresses_says_so_and_its_token_is_in_no_recording(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        async with page(url.replace(url.split("/")[2].rpartition(":")[0], "127.0.0.1")) as pad:
            await pad.touch(["d", 1, 0.5, 0.5], ["u", 1])
            await status(engine, lambda s: s["players"])

    with serving(tmp_path, "--web", "0") as engine:
        line = first_line(engine.process)
        url = url_of(line)
        assert "all addresses of this machine" in line
        asyncio.run(play(engine, url))
        assert engine.end() == 0
    text = next(tmp_path.glob("*.jsonl")).read_text()
    assert '"web":"0"' in text
    assert url.partition("token=")[2] not in text


@linux
def test_engine_without_a_pad_starts_no_process_and_says_nothing_of_it(tmp_path: Path):
    with serving(tmp_path) as engine:
        assert "web" not in engine.out.ask()
        with pytest.raises(AssertionError, match="no web server"):
            child_of(engine)


def test_pad_is_opened_and_closed_while_the_jam_goes_on(tmp_path: Path):
    with serving(tmp_path, stderr=subprocess.DEVNULL) as engine:
        engine.out.send("/robojam/setup", "ss", "web", '"127.0.0.1:0"')
        url = url_of(first_line(engine.process))
        assert engine.out.ask(lambda s: s.get("web"))["web"]["url"] == url
        engine.out.send("/robojam/setup", "ss", "web", '"none"')
        engine.out.ask(lambda s: "web" not in s)
