"""The command status: what it prints of a running engine, and where none answers."""

import json
import select
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.engine import MODEL, PATIENCE, command, run_program, serving, stop
from support.network import ipv6

from robojam.cli.status import ask, describe
from robojam.wire import osc

engine_needed = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")

ACCOUNT = {
    "mode": "duet", "turn": "ai", "uptime_s": 65, "model": "touch.safetensors",
    "device": "cpu", "voices": 3, "heard": 1234, "played": 56, "recording": "armed",
    "players": [{"name": "human", "source": "10.0.0.2", "fingers": 2, "silent_s": 0},
                {"name": "human2", "source": "10.0.0.3", "fingers": 0, "silent_s": 90,
                 "out": True}],
    "outputs": [{"address": "10.0.0.9:9000", "dialect": "native", "sent": 3, "unsent": 4,
                 "error": "no route to it"},
                {"address": "127.0.0.1:5006", "dialect": "native", "sent": 5, "unsent": 0,
                 "error": None, "note": "nobody listens there"}],
    "midi": {"in": [{"wanted": "nano", "style": "keys", "port": None, "connected": False,
                     "problem": "gone"}], "out": []},
    "sound": {"state": "playing", "name": "Speakers"},
    "echo": [{"source": "midi:DAW", "delay_ms": 98.7, "dropped": 12}],
    "dropped": {"malformed": 2, "echo": 30}, "late_ms_p99": 0.42, "late_ms_max": 3,
    "held_up": 1, "resting": 3, "monitors": 2, "trouble": ["no space left"],
    "left_out": {"players": 32},
}  # fmt: skip


def test_account_names_players_outputs_ports_loops_and_drops():
    lines = [" ".join(line.split()) for line in describe(ACCOUNT)]
    assert lines == [
        "jam duet, the machine plays, up 1:05",
        "machine touch.safetensors on cpu, 3 voices; heard 1,234, played 56",
        "recording armed",
        "players human at 10.0.0.2: 2 down",
        "human2 at 10.0.0.3: silent for 1:30; it has made others wait, and they are answered "
        "as if it did not play",
        "sends to 10.0.0.9:9000 (native): FAILS: no route to it; 3 sent, 4 not",
        "127.0.0.1:5006 (native): nobody listens there; 5 sent, 0 not",
        "MIDI in nano (keys): gone",
        "sound playing, Speakers",
        "timing 99 of 100 touches at most 0.42 ms late, the latest 3.0 ms; held up 1 times; "
        "3 voices rest: there is more to play than this machine can",
        "windows 2",
        "loops midi:DAW sends back what robojam plays, after 99 ms; 12 dropped",
        "dropped 30 echo, 2 malformed",
        "no room for 32 of players",
        "trouble no space left",
    ]


@pytest.mark.parametrize(
    "odd", [None, 7, "x\x1b[2J\n", [1, None, {}], {"a": {"b": []}}, 10**400]
)
def test_account_with_odd_values_is_bounded_and_can_be_shown(odd):
    for account in (dict.fromkeys(ACCOUNT, odd), {"players": [{"name": odd}] * 9999}):
        lines = describe(account)
        assert len(lines) < 200
        assert all(line.isprintable() for line in lines)


@engine_needed
def test_status_of_a_running_engine_is_printed_and_watched(tmp_path):
    with serving(tmp_path, "--threshold", "60") as engine:
        engine.out.send("/robojam/down", "iff", 0, 0.5, 0.5)
        engine.out.ask(lambda status: status["heard"] == 1)
        address = f"{engine.address[0]}:{engine.address[1]}"
        shown = run_program("status", "--engine", address)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "call-response, the humans play" in shown.stdout
        assert "heard 1, played 0" in shown.stdout
        as_json = run_program("status", "--engine", address, "--json")
        assert json.loads(as_json.stdout)["heard"] == 1
        watching = subprocess.Popen(
            command("status", "--engine", address, "--watch", "--json"),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert watching.stdout is not None
            for _ in range(2):
                assert select.select([watching.stdout], [], [], PATIENCE)[0]
                assert json.loads(watching.stdout.readline())["heard"] == 1
            watching.send_signal(signal.SIGINT)
            assert watching.wait(PATIENCE) == 0
        finally:
            stop(watching)


@ipv6
@pytest.mark.parametrize("refuses", [False, True])
def test_name_is_asked_at_all_its_addresses(refuses, monkeypatch):
    """Ask localhost, which is ::1 first, where the engine listens by IPv4 alone."""
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        engine.bind(("127.0.0.1", 0))
        engine.settimeout(PATIENCE)
        port = engine.getsockname()[1]
        if not refuses:
            other.bind(("::1", port))
        v4, v6 = (engine.family, ("127.0.0.1", port)), (other.family, ("::1", port, 0, 0))
        entries = [(family, socket.SOCK_DGRAM, 17, "", to) for family, to in (v6, v4)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
        answer = pool.submit(ask, ("localhost", port))
        _, asking = engine.recvfrom(99)
        engine.sendto(osc.encode("/robojam/status", "s", '{"heard": 7}'), asking)
        assert answer.result(PATIENCE) == {"heard": 7}


def test_request_is_sent_again_with_the_cookie_of_an_engine_on_another_machine():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        engine.bind(("127.0.0.1", 0))
        engine.settimeout(PATIENCE)
        answer = pool.submit(ask, engine.getsockname(), wait=PATIENCE)
        for cookie in ("abcdefg", "tuvwxyz"):  # the first one may have become too old
            _, asking = engine.recvfrom(99)
            engine.sendto(osc.encode("/robojam/cookie", "s", cookie), asking)
        assert engine.recv(99) == osc.encode("/robojam/status", "s", "tuvwxyz")
        engine.sendto(osc.encode("/robojam/status", "s", '{"heard": 7}'), asking)
        assert answer.result(PATIENCE) == {"heard": 7}


def test_where_no_engine_answers_the_command_says_so_with_status_1():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        ran = run_program("status", "--engine", address)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"no engine answers at {address}" in ran.stderr
    wrong = run_program("status", "--engine", "nowhere")
    assert wrong.returncode == 2
    assert "--engine" in wrong.stderr


def test_account_counts_planned_phrases_and_plans_that_came_to_nothing():
    counts = {"plans": True, "planned": 12, "plans_late": 2, "plans_dropped": 1}
    lines = [" ".join(line.split()) for line in describe(ACCOUNT | counts)]
    expected = "12 phrases planned, 2 plans not in time, 1 dropped as there was no time"
    assert any(line.endswith(expected) for line in lines)
