"""Many jams behind one door: rooms, their gateway and what becomes of both when they die."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from support.engine import MODEL, PATIENCE, recording, recordings, run_program
from support.rooms import hosting, port_of
from support.web import get, opened, page

from robojam.app.assemble import regenerate_session
from robojam.app.rooms import RoomsError, check_names, options_of_rooms
from robojam.config.options import Options
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import read
from robojam.web import protocol

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(not MODEL.exists(), reason="no default model here"),
]
#: A machine that answers soon and for ever.
_SOON = ("--threshold", "0.1", "--response", "1", "--seed", "3")


def test_rooms_are_whole_jams_and_hear_nothing_of_each_other(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        async with page(host.room("blue"), "Ada") as ada, page(host.room("blue")) as bob:
            async with page(host.room("green"), "Cy") as cy:
                await ada.touch(["d", 1, 0.25, 0.5])
                await bob.until(lambda m: m == ["f", [["web-1", "d", 1, 0.25, 0.5]]])
                await ada.touch(["u", 1])
                await bob.until(lambda m: m[0] == "f" and "ai" in [e[0] for e in m[1]])
                await cy.send("ping", 1)
                await cy.kind("pong")
                assert not [m for m in cy.received if m[0] == "f"]
            rooms = await host.rooms(lambda r: r["blue"]["played"] and r["blue"]["players"])
            assert rooms["blue"]["people"] == 2
            assert rooms["blue"]["free"] == 6
            assert rooms["blue"]["memory_mb"] > 10
            assert rooms["blue"]["health"]["state"] in ("ok", "warn")
            assert not rooms["green"]["heard"]
            assert [each["lost"] for each in rooms.values()] == [0, 0]

    with hosting(tmp_path, "--room", "blue", "--room", "green", *_SOON) as host:
        asyncio.run(play(host))
        assert host.end() == 0
    session = recording(tmp_path / "blue")
    assert {event.touch.who for event in session.events if hasattr(event, "touch")} == {
        "human", "ai"
    }  # fmt: skip
    again, differences = regenerate_session(session)
    assert differences == []
    assert first_difference(session, again.events) is None
    assert recordings(tmp_path / "green") == []


def test_room_whose_engine_is_killed_goes_on_and_keeps_its_visitors(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        before = host.engine("blue")
        async with page(host.room("blue")) as ada, page(host.room("green")) as bob:
            await ada.touch(["d", 1, 0.25, 0.5])
            await ada.touch(["u", 1])
            await ada.until(lambda m: m[0] == "f" and "ai" in [e[0] for e in m[1]])
            os.kill(before, signal.SIGKILL)
            for number in range(20):  # the other room plays on meanwhile
                await bob.touch(["d", 1, number / 20, 0.5], ["u", 1])
                await asyncio.sleep(0.02)
            rooms = await host.rooms(lambda r: r["blue"]["times_away"] and r["blue"]["up"])
            assert rooms["green"]["times_away"] == rooms["green"]["lost"] == 0
            assert rooms["blue"]["back_in"] > 0
            assert host.engine("blue") != before
            ada.received.clear()
            await ada.touch(["d", 1, 0.5, 0.75])  # by the same socket
            await ada.touch(["u", 1])
            await ada.until(lambda m: m[0] == "f" and "ai" in [e[0] for e in m[1]])
        await host.rooms(lambda r: r["green"]["heard"] == 20)

    with hosting(tmp_path, "--room", "blue", "--room", "green", *_SOON) as host:
        asyncio.run(play(host))
        assert host.end() == 0
    first, second = map(read, recordings(tmp_path / "blue"))
    assert first.ended is None
    assert second.header.resumes == first.path.name
    assert second.events[: len(first.events)] == first.events
    again, differences = regenerate_session(second)
    assert differences == []
    assert first_difference(second, again.events) is None
    ups = [e for e in recording(tmp_path / "green").events if hasattr(e, "touch")]
    assert sum(e.touch.who == "human" and e.touch.phase == "up" for e in ups) == 20


def test_gateway_that_is_killed_is_back_at_its_place_and_no_room_ends(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        engine, gateway = host.engine("blue"), host.programs("gateway_program")[0]
        async with page(host.room("blue")) as ada:
            await ada.touch(["d", 1, 0.25, 0.5])
            await host.rooms(lambda r: r["blue"]["heard"] == 1)
            os.kill(gateway, signal.SIGKILL)
            await ada.end()
        await host.rooms(lambda r: r["blue"]["up"])
        assert host.engine("blue") == engine
        async with page(host.room("blue")) as ada:
            await ada.touch(["d", 1, 0.75, 0.5])
            rooms = await host.rooms(lambda r: (r["blue"]["heard"] or 0) >= 2)
            assert rooms["blue"]["health"]["state"] != "bad"

    with hosting(tmp_path, "--room", "blue", "--mode", "listen") as host:
        asyncio.run(play(host))
        assert host.end() == 0
    phases = [e.touch.phase for e in recording(tmp_path / "blue").events if hasattr(e, "touch")]
    assert phases == ["down", "up", "down", "up"]  # those of the lost gateway were lifted


def test_room_has_places_and_visitors_are_given_another(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        async with page(host.room("room-1"), "Ada"):
            status, _, text = await get(host.at("rooms.json"))
            assert status == 200
            assert '"name":"room-1","people":1,"free":0,"open":true' in text
            status, _, _ = await get(host.at("give"), allow_redirects=False)
            assert status == 303
            async with opened(host.room("room-1")) as late:
                await late.send("hello", 1, {"name": "Late"})
                assert await late.end() == (protocol.FULL, "the room is full")
            async with page(host.room("room-1"), view=True) as viewer:
                assert viewer.received[0][2]["role"] == "watcher"
            status, kind, text = await get(host.at("give"))  # that of the other room
            assert (status, kind) == (200, "text/html; charset=utf-8")
            async with page(host.room("room-2"), "Bob"):
                status, _, _ = await get(host.at("give"), allow_redirects=False)
                assert status == 303  # to the list, which says that all are full
                assert "Choose a room" in (await get(host.at("give")))[2]
        for path in ("rooms/room-9/", "rooms/room-1/volume", "volume", "x/y"):
            assert (await get(host.at(path)))[0] == 404, path
        assert (await get(host.at("rooms/room-1")))[0] == 200
        for url in (host.at("rooms.json"), host.room("room-1"), host.at("give")):
            assert (await get(url + "x"))[0] == 403
        assert (await get(host.page.replace("/host?", "/host.json?") + "x"))[0] == 403
        assert (await get(host.at("host.json")))[0] == 403  # the token of visitors
        status, _, text = await get(host.at("v1/health"))
        assert (status, '"rooms":2,"up":2' in text) == (200, True)
        assert (await get(host.page.replace("/host?", "/code.svg?")))[0] == 200

    with hosting(tmp_path, "--rooms", "2", "--places", "1") as host:
        asyncio.run(play(host))
        assert host.end() == 0


def test_new_code_of_a_hosts_page_closes_the_pages_of_others_in_all_rooms(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        async with page(host.room("blue"), "Ada") as ada:
            await ada.until(lambda m: m[0] == "players")
            async with page(host.room("green"), host="127.0.0.1", view=True) as bob:
                await ada.send("host", "token")
                token = (await ada.kind("token"))[1]
                assert await bob.end() == (protocol.NOT_ALLOWED, "the token was revoked")
        assert (await get(host.at("rooms.json")))[0] == 403
        url = host.url.partition("token=")[0] + f"token={token}"
        assert host.line("rooms on ").split(" on ")[1].split()[0] == url
        async with page(host.room("green", url)):
            assert (await host.report())["link"] == url

    with hosting(tmp_path, "--room", "blue", "--room", "green") as host:
        asyncio.run(play(host))
        assert host.end() == 0


def test_host_goes_on_from_the_recordings_that_were_cut_off(tmp_path: Path):
    async def play(host) -> None:
        await host.up()
        async with page(host.room("blue")) as ada:
            await ada.touch(["d", 1, 0.25, 0.5])
            await ada.touch(["u", 1])
            await ada.until(lambda m: m[0] == "f" and "ai" in [e[0] for e in m[1]])

    with hosting(tmp_path, "--room", "blue", *_SOON) as host:
        asyncio.run(play(host))
        engine = host.engine("blue")
        os.kill(engine, signal.SIGSTOP)  # as a power cut: it writes no end
        host.process.kill()
        os.kill(engine, signal.SIGKILL)
    with hosting(tmp_path, "--room", "blue", "--resume") as host:
        asyncio.run(play(host))
        assert host.end() == 0
    first, second = map(read, recordings(tmp_path / "blue"))
    assert second.header.resumes == first.path.name


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [["a b"], [""], ["x" * 33], ["../x"], ["é"], ["con"], ["a", "a"], ["Ada", "ada"]]
)
def test_name_that_is_no_folder_or_is_taken_is_refused(names):
    with pytest.raises(RoomsError):
        check_names(names)


def test_number_of_rooms_has_a_bound():
    check_names([f"room-{n}" for n in range(256)])
    with pytest.raises(RoomsError, match="257 rooms are more than a host has"):
        check_names([f"room-{n}" for n in range(257)])


def test_ports_of_one_jam_are_refused_and_its_outputs_left_out():
    with pytest.raises(RoomsError, match="--midi-in is for one jam"):
        options_of_rooms(Options(midi_in=("pad",)))
    options = options_of_rooms(Options())
    assert (options.osc_out, options.sound, options.tuio_in) == ((), False, "none")


def test_what_cannot_start_is_one_line_and_nothing_starts(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        web = f"127.0.0.1:{taken.getsockname()[1]}"
        for options, text in (
            (["--web", web], "another program has this port"),
            (["--room", "a", "--room", "A"], "two rooms are named A"),
            (["--midi-in", "pad"], "--midi-in is for one jam"),
            (["--model", "nowhere"], "nowhere"),
            (["--web-cert", "nowhere"], "nowhere"),
            (["--rooms", "0"], "--rooms"),
        ):
            sessions = tmp_path / "s"
            ended = run_program("host", "--sessions", str(sessions), *options)
            assert ended.returncode == 2, options
            assert text in ended.stderr
            assert len(ended.stderr.splitlines()) == 1, ended.stderr
            assert not sessions.exists()


def test_port_of_a_host_that_ended_is_free_again(tmp_path: Path):
    with hosting(tmp_path, "--rooms", "1") as host:
        port = port_of(host.url)
        programs = host.programs("robojam")
        host.process.kill()
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{program}/cmdline").exists() for program in programs):
        assert time.monotonic() < end  # a child outlives no host
        time.sleep(0.01)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
