"""MIDI by WebSocket: a running engine, and clients of another library, which IMPSY has, too."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.engine import PATIENCE, RunningEngine, serving

from robojam.wire.midi.slash_text import parse

pytest.importorskip("aiohttp")
client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
limits = pytest.importorskip("robojam.web.limits")
may_come = pytest.importorskip("robojam.web.midi_program").may_come

MAP = """\
[map.out]
note = { target = "note", source = "x", channel = 3, port = "websocket" }
height = { target = "cc 9", source = "y", channel = 1 }

[map.in]
x = { source = "cc 1", target = "x", port = "websocket" }
y = { source = "cc 2 on 4", target = "y" }
follow = { source = "cc 3", target = "follow", to = [0, 1] }
"""


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[RunningEngine, str]]:
    """Start an engine; yield it and the address of its sockets."""
    (folder / "map.toml").write_text(MAP)
    rig = ("--config", str(folder / "map.toml"), "--midi-websocket", "127.0.0.1:0")
    with serving(folder / "jams", *rig, "--seed", "3", *options) as engine:

        def address(status: dict[str, Any]) -> str:
            return str(status["midi_websocket"]["address"])

        status = engine.out.ask(lambda status: not address(status).endswith(":0"))
        yield engine, f"ws://{address(status)}/any/path"


def opened(url: str, **more: Any) -> Any:
    return client.connect(url, open_timeout=PATIENCE, **more)


def receive(socket: Any, condition: Callable[[list[str]], Any]) -> list[str]:
    """Receive texts until a condition on all of them holds."""
    texts: list[str] = []
    while not condition(texts):
        texts.append(socket.recv(timeout=PATIENCE))
    return texts


def test_what_is_mapped_goes_both_ways_and_every_socket_hears_the_machine(tmp_path):
    with served(tmp_path, "--threshold", "0.1", "--response", "1") as (engine, url):
        with opened(url) as one, opened(url) as other:
            sources = ["web:127.0.0.1/midi0", "web:127.0.0.1/midi1"]
            engine.out.ask(lambda status: status["midi_websocket"]["sources"] == sources)
            one.send("/channel/1/cc/1/0")
            one.send("/channel/4/cc/2/127")
            one.send("/channel/5/cc/2/0")  # of another channel
            status = engine.out.ask(lambda status: status["players"])
            assert [player["source"] for player in status["players"]] == sources[:1]
            ends = receive(one, lambda texts: texts and "noteoff" in texts[-1])
            heard = receive(other, lambda texts: len(texts) >= len(ends))
            assert heard == ends
            kinds = [text.split("/")[3] for text in ends]
            assert kinds[0] == "noteon"
            assert {text.split("/")[2] for text in ends if "/note" in text} == {"3"}
            assert all(parse(text) for text in ends)
        assert engine.end() == 0


def test_note_that_sounds_ends_with_the_engine(tmp_path):
    with served(tmp_path, "--mode", "solo") as (engine, url), opened(url) as socket:
        texts = receive(socket, lambda texts: any("noteon" in text for text in texts))
        assert engine.end() == 0
        texts += list(socket)  # until it is closed
        sounding = set()
        for text in texts:
            _, _, _, kind, note, _ = text.split("/")
            if kind == "noteon":
                sounding.add(note)
            elif kind == "noteoff":
                sounding.discard(note)
        assert sounding == set()


def test_socket_that_comes_late_gets_the_last_values_of_controllers(tmp_path):
    with served(tmp_path, "--mode", "solo") as (engine, url), opened(url) as socket:
        receive(socket, lambda texts: any("/cc/" in text for text in texts))
        engine.out.send("/robojam/pause", "i", 1)
        engine.out.ask(lambda status: status["paused"])
        with opened(url) as late:
            (text,) = receive(late, lambda texts: len(texts) == 1)
            assert text.startswith("/channel/1/cc/9/")


def test_text_that_is_no_midi_is_a_counted_drop_and_the_next_is_heard(tmp_path):
    with served(tmp_path) as (engine, url), opened(url) as socket:
        for message in ("hello", "/channel/99/cc/1/1", b"\xb0\x01\x01"):
            socket.send(message)
        socket.send("/channel/1/cc/3/127")
        status = engine.out.ask(lambda status: status["follow"] == 1.0)
        assert status["dropped"] == {"no MIDI": 3}


def test_long_text_closes_its_socket_and_others_stay(tmp_path):
    with served(tmp_path) as (engine, url), opened(url) as socket, opened(url) as other:
        socket.send("x" * (limits.MAX_MIDI_TEXT + 1))
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(timeout=PATIENCE)
        other.send("/channel/1/cc/3/0")
        engine.out.ask(lambda status: status["follow"] == 0.0)


def test_one_host_has_some_places_and_gets_them_again(tmp_path):
    with served(tmp_path) as (_, url), ExitStack() as stack:
        sockets = [stack.enter_context(opened(url)) for _ in range(limits.MAX_MIDI_OF_A_HOST)]
        with pytest.raises(exceptions.InvalidStatus, match="503"):
            opened(url)
        sockets[3].close()
        stack.enter_context(opened(url))


def test_page_of_another_site_is_refused_unless_it_is_named(tmp_path):
    allowed = "https://example.org"
    with served(tmp_path, "--allow-origin", allowed) as (_, url):
        for origin in ("https://example.com", "null", "https://127.0.0.2"):
            with pytest.raises(exceptions.InvalidStatus, match="403"):
                opened(url, origin=origin)
        for origin in (allowed, "http://127.0.0.1:8000", None):
            with opened(url, origin=origin):
                pass


def test_port_that_another_program_has_is_a_warning(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        options = ("--midi-websocket", address)
        with serving(tmp_path, *options, stderr=subprocess.PIPE) as engine:
            assert "midi_websocket" not in engine.out.ask()
            assert engine.end() == 0
            assert engine.process.stderr is not None
            said = engine.process.stderr.read()
    assert f"nothing can be served at {address}" in said
    assert "going on without it" in said


@pytest.mark.parametrize(
    ("origin", "asked", "may"),
    [
        (None, "rig:5001", True),
        ("http://localhost:8000", "localhost:5001", True),
        ("http://192.168.0.7", "192.168.0.7:5001", True),
        ("http://[::1]:3000", "[::1]:5001", True),
        ("http://localhost", "127.0.0.1:5001", False),
        # A name of a site may be made to lead to this machine.
        ("http://evil.example", "evil.example:5001", False),
        ("null", "localhost:5001", False),
        ("", "localhost:5001", False),
        ("file://", "localhost:5001", False),
    ],
)
def test_origin_is_the_host_that_was_asked_or_is_named(origin, asked, may):
    assert may_come(origin, asked, frozenset()) is may
    assert may_come(origin, asked, frozenset("*"))
    if origin is not None:
        assert may_come(origin, asked, frozenset([origin]))
