"""The window as a program: a real display, pointer and keys, an engine, and a lossy network."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.display import display
from support.engine import MODEL, PATIENCE, Client, command, serving, stop
from support.window import receive_message

from robojam.system.child_process import NO_DISPLAY
from robojam.window.client.link import EngineConnection
from robojam.window.client.state import EngineState, WindowState
from robojam.wire.osc import encode

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
missing_tools = [tool for tool in ("Xvfb", "xdotool", "import") if shutil.which(tool) is None]


@needs_model
@pytest.mark.peer
@pytest.mark.skipif(bool(missing_tools), reason=f"not here: {', '.join(missing_tools)}")
def test_real_pointer_and_keys_play_and_change_controls(tmp_path):
    def do(*arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=environment, check=True, timeout=PATIENCE)

    with serving(tmp_path, "--threshold", "60") as engine, display("800x500") as environment:
        window = subprocess.Popen(
            command("window", "--engine", f"127.0.0.1:{engine.address[1]}", "--size",
                    "800x500"),
            env=environment, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        watching = Client(engine.address)
        try:
            watching.ask(lambda status: status["monitors"] >= 1)
            do("mousemove", "300", "250", "mousedown", "1")
            for i in range(10):
                do("mousemove", str(300 + 10 * i), "250")
            do("mouseup", "1")
            watching.ask(lambda status: status["heard"] >= 5 and not status["fingers"])
            do("key", "Up")
            watching.ask(lambda status: status["temperature"] != 1.0)
            do("key", "shift+a")
            watching.ask(lambda status: status["memories"] == ["A"])
            shot = tmp_path / "shot.png"
            subprocess.run(
                ["import", "-window", "root", str(shot)], env=environment, check=True
            )
            import pygame

            picture = pygame.image.load(shot)
            warm = pygame.mask.from_threshold(picture, (255, 172, 40), (120, 80, 40, 255))
            assert warm.count() > 500  # the human's stroke is seen
            window.send_signal(signal.SIGTERM)
            assert window.wait(PATIENCE) == 0
        finally:
            watching.close()
            stop(window)


class LossyProxy:
    """Proxy between a window and an engine that loses half of the packets."""

    def __init__(self, engine: tuple[str, int]) -> None:
        self._chance, self._ended = random.Random(7), threading.Event()
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.behind = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.behind.bind(("127.0.0.1", 0))
        self.engine, self.window, self.lost = engine, ("127.0.0.1", 9), 0
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self) -> None:
        while not self._ended.is_set():
            for link in select.select([self.front, self.behind], [], [], 0.1)[0]:
                packet, sender = link.recvfrom(65536)
                if packet.startswith(
                    b"/robojam/subscribe"
                ):  # the engine is to send to the proxy
                    own_port = self.behind.getsockname()[1]
                    packet = packet[:-4] + own_port.to_bytes(4, "big")
                if link is self.front:
                    self.window = sender
                if self._chance.random() < 0.5:
                    self.lost += 1
                elif link is self.front:
                    self.behind.sendto(packet, self.engine)
                else:
                    self.front.sendto(packet, self.window)

    def close(self) -> None:
        self._ended.set()
        self.thread.join()
        self.front.close()
        self.behind.close()


@needs_model
def test_window_stays_connected_when_half_of_the_packets_are_lost(tmp_path):
    woken = threading.Event()
    with serving(tmp_path, "--threshold", "0.2", "--response", "0.6") as engine:
        lossy = LossyProxy(engine.address)
        link = EngineConnection(lossy.front.getsockname(), wake=woken.set)
        state = WindowState()
        try:
            seen: set[EngineState] = set()
            began = time.monotonic()
            x = 0.0
            while (passed := time.monotonic() - began) < 6.0:
                wait = link.advance(time.monotonic()) - time.monotonic()
                woken.wait(max(0.0, min(0.02, wait)))
                woken.clear()
                for t, (message,) in link.receive():
                    state.handle_message(message, t, datetime.now(UTC))
                state.advance(time.monotonic())
                seen.add(state.engine_state(time.monotonic()))
                if passed % 2 < 0.5:
                    x = (x + 0.01) % 1
                    link.send("/robojam/move", "iff", 1000, x, 0.5)
                elif x:
                    x = 0.0
                    link.send("/robojam/up", "i", 1000)
            now = time.monotonic()
            assert lossy.lost > 50
            assert EngineState.CONNECTED in seen
            assert EngineState.LOST not in seen
            assert state.controls["response"] == pytest.approx(0.6)
            machine = [s for s in state.strokes if s.who == "ai"]
            assert machine  # it has played
            down = [s for s in state.strokes if s.lifted is None and now - s.last.t > 3]
            assert not down  # every lost lift has been made up for
        finally:
            link.close()
            lossy.close()


RUN = "import sys; from robojam.window import run; sys.exit(run(engine=('127.0.0.1', {})))"


def start_window(port: int, **environment: str) -> subprocess.Popen[str]:
    """Start a window without a display, but with these environment variables."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER")
    kept = {k: v for k, v in os.environ.items() if k not in screens}
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(port)], env={**kept, **environment},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")
def test_program_subscribes_and_ends_with_status_0_on_sigterm(engine):
    program = start_window(engine.getsockname()[1], SDL_VIDEODRIVER="dummy")
    try:
        message, source = receive_message(engine)
        assert message.address == "/robojam/subscribe"
        assert receive_message(engine)[0].address == "/robojam/status"
        engine.sendto(encode("/robojam/status", "s", json.dumps({"mode": "duet"})), source)
        assert receive_message(engine)[0].address == "/robojam/subscribe"  # it found the engine
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == 0
    assert (out, err) == ("", "")
    addresses = []
    engine.settimeout(0.2)
    while not addresses or addresses[-1] != "/robojam/unsubscribe":
        addresses.append(receive_message(engine)[0].address)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_program_without_a_display_says_so_and_ends_with_status_3():
    if os.path.exists("/dev/dri"):
        pytest.skip("there is a screen, without a desktop")
    program = start_window(9)
    out, err = program.communicate(timeout=60)
    assert program.returncode == NO_DISPLAY
    assert out == ""
    assert err.startswith("robojam: ")
    assert err.count("\n") == 1


def test_window_package_imports_without_pygame():
    code = "import sys, robojam.window; print('pygame' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
