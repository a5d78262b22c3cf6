"""The window's socket against a socket of the test: real UDP on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from robojam.system.exit_status import NO_DISPLAY
from robojam.window.client.link import (
    RENEW_INTERVAL,
    STATUS_INTERVAL,
    EngineConnection,
    decode_packet,
)
from robojam.wire.osc import decode, encode


@pytest.fixture
def engine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(10)
        yield ear


@pytest.fixture
def woken():
    return threading.Event()


@pytest.fixture
def link(engine, woken):
    link = EngineConnection(engine.getsockname(), wake=woken.set)
    yield link
    link.close()


def hear(ear: socket.socket):
    packet, source = ear.recvfrom(65536)
    return decode(packet)[0][0], source


def test_it_subscribes_with_its_port_and_asks(engine, link):
    assert link.advance(100.0) == 100.0 + STATUS_INTERVAL
    message, source = hear(engine)
    assert (message.address, message.tags, message.args) == (
        "/robojam/subscribe", "i", (link.port,)
    )  # fmt: skip
    assert source == ("127.0.0.1", link.port)
    assert hear(engine)[0].address == "/robojam/status"


def test_it_renews_and_asks_in_time(engine, link):
    sent = []
    t, end = 100.0, 110.0
    while t < end:
        t = link.advance(t)
    link.send("/robojam/answer")
    while (message := hear(engine)[0]).address != "/robojam/answer":
        sent.append(message.address)
    assert sent.count("/robojam/subscribe") in (5, 6)
    assert sent.count("/robojam/status") == pytest.approx(10 / STATUS_INTERVAL, abs=1.5)
    assert RENEW_INTERVAL < 10 / 3  # monitors lapse after 10 s; two renewals may be lost


def test_what_comes_wakes_and_is_read(engine, link, woken):
    engine.sendto(encode("/robojam/turn", "s", "ai"), ("127.0.0.1", link.port))
    assert woken.wait(10)
    ((t, message),) = link.receive()
    assert (message.address, message.args) == ("/robojam/turn", ("ai",))
    assert abs(time.monotonic() - t) < 10
    assert link.receive() == []


def test_a_long_status_is_read(engine, link, woken):
    status = json.dumps({"model": "m" * 500, "trouble": ["größer als 255"]})
    engine.sendto(encode("/robojam/status", "s", status), ("127.0.0.1", link.port))
    assert woken.wait(10)
    ((_, message),) = link.receive()
    assert json.loads(message.args[0])["trouble"] == ["größer als 255"]


@pytest.mark.parametrize(
    "packet", [b"x", b"/robojam/status\0,s\0\0", b"#bundle\0", b"/a\0\0,z\0\0"]
)
def test_noise_is_nothing(packet):
    assert isinstance(decode_packet(packet), list)


def test_an_engine_that_is_not_there_does_no_harm(woken):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    link = EngineConnection(address, wake=woken.set)
    for i in range(20):
        link.send("/robojam/down", "iff", 1000, 0.5, i / 20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
        engine.bind(address)  # it comes
        engine.sendto(encode("/robojam/turn", "s", "human"), ("127.0.0.1", link.port))
        assert woken.wait(10)
    link.close()


def test_closing_leaves_the_monitors_and_no_thread(engine, woken):
    link = EngineConnection(engine.getsockname(), wake=woken.set)
    link.close()
    link.close()
    message, _ = hear(engine)
    assert (message.address, message.args) == ("/robojam/unsubscribe", (link.port,))
    assert not any(thread.name == "window-link" for thread in threading.enumerate())


def test_an_unknown_host_is_an_error(woken):
    with pytest.raises(OSError, match=r".+"):
        EngineConnection(("no.such.host.invalid", 5005), wake=woken.set)


# The whole program, as a process

RUN = "import sys; from robojam.window import run; sys.exit(run(engine=('127.0.0.1', {})))"


def start(port: int, **environment: str) -> subprocess.Popen[str]:
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER")
    kept = {k: v for k, v in os.environ.items() if k not in screens}
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(port)], env={**kept, **environment},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")
def test_the_program_plays_its_part_and_leaves_with_0_on_sigterm(engine):
    program = start(engine.getsockname()[1], SDL_VIDEODRIVER="dummy")
    try:
        message, source = hear(engine)
        assert message.address == "/robojam/subscribe"
        assert hear(engine)[0].address == "/robojam/status"
        engine.sendto(encode("/robojam/status", "s", json.dumps({"mode": "duet"})), source)
        assert hear(engine)[0].address == "/robojam/subscribe"  # it found the engine
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=10)
    finally:
        program.kill()
    assert program.returncode == 0
    assert (out, err) == ("", "")
    addresses = []
    engine.settimeout(0.2)
    while not addresses or addresses[-1] != "/robojam/unsubscribe":
        addresses.append(hear(engine)[0].address)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_it_says_so_and_leaves():
    if os.path.exists("/dev/dri"):
        pytest.skip("there is a screen, without a desktop")
    program = start(9)
    out, err = program.communicate(timeout=20)
    assert program.returncode == NO_DISPLAY
    assert out == ""
    assert err.startswith("robojam: ")
    assert err.count("\n") == 1


def test_the_window_is_light_to_import():
    code = "import sys, robojam.window; print('pygame' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
