"""Measure what the window costs: frame times, latency from touch to pixel, CPU.

    python benchmarks/window.py [--quick] [--json FILE]

Frame times: eight players play performances of the corpus at once, so that 2,000 touches and
more are visible at any time. Every frame of twenty seconds, at 60 per second, is drawn by
SDL's software surface on one core. CPU time and wall time are measured; other programs on a
shared machine lengthen the wall time. Touch to pixel: from the event in SDL's queue to the
frame that shows it. CPU and the lateness of the engine: a real window and a real engine, if
Xvfb is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame
from _captured_jam import CORPUS, ROOT, lively, performances
from _output import argument_parser, save

from robojam.bench import percentile
from robojam.window.app import App
from robojam.window.client.state import ForecastComponent, WindowState
from robojam.window.client.strokes import FADE
from robojam.window.view.scene import Scene
from robojam.wire.osc import encode

PLAYERS = ("human", "human2", "human3", "human4", "ai", "ai2", "ai3", "ai4")
Touches = list[tuple[float, str, str, float, float]]


def performance(seconds: float) -> Touches:
    """Return the touches of eight players at once: rows of t, who, phase, x, y."""
    corpus = lively(performances())
    touches: Touches = []
    for index, who in enumerate(PLAYERS):
        t, number = 0.0, index
        while t < seconds:
            for x, y, dt, moving in corpus[number % len(corpus)].clip(0, 1):
                t += float(dt)
                touches.append((t, who, "move" if moving > 0.5 else "down", float(x), float(y)))
            number += len(PLAYERS)
    return sorted(touches)


def frames(
    size: tuple[int, int],
    touches: Touches,
    *,
    theme: str = "dark",
    quarter_turns: int = 0,
    seconds: float = 20.0,
) -> dict[str, float]:
    """Draw every frame of a performance; return percentiles of the frame times in ms."""
    screen = pygame.display.set_mode(size)
    state, picture = WindowState(last_message_at=0.0, turn="ai"), Scene()
    state.texts["mode"] = "call-response"
    state.controls.update(temperature=1.0, spread=1.0, timescale=1.0, threshold=0.5, response=5)
    state.view.theme, state.view.quarter_turns, state.has_played = theme, quarter_turns, True
    times, used, seen, at = [], [], [], 0
    for frame in range(round(seconds * 60)):
        t = frame / 60
        state.last_message_at = t
        while at < len(touches) and touches[at][0] <= t:
            then, who, phase, x, y = touches[at]
            draw = state.strokes.down if phase == "down" else state.strokes.move
            draw(who, 0, x, y, then, own=False)
            at += 1
        if frame % 2 == 0:  # a forecast thirty times per second, as from the engine
            where = 0.5 + 0.3 * ((frame % 60) / 60 - 0.5)
            state.forecast = (
                ForecastComponent(0.6, where, 0.4, 0.1, 0.2, 0.3),
                ForecastComponent(0.4, 0.7, where, 0.05, 0.05, -0.5),
            )
            state.forecast_at = t
        began, worked = time.perf_counter(), time.process_time()
        state.advance(t)
        picture.draw(screen, state, t)
        pygame.display.flip()
        if t > FADE:
            times.append(1000 * (time.perf_counter() - began))
            used.append(1000 * (time.process_time() - worked))
            seen.append(state.strokes.count)
    return {
        "touches_seen": round(percentile(seen, 0.5)),
        **{f"cpu_p{p}_ms": round(percentile(used, p / 100), 2) for p in (50, 95, 99)},
        **{f"wall_p{p}_ms": round(percentile(times, p / 100), 2) for p in (50, 95, 99)},
    }


class NoLink:
    """Link to an engine that sends and receives nothing."""

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Do nothing."""

    def advance(self, now: float) -> float:
        """Return a time a second from now."""
        return now + 1

    def receive(self) -> list[object]:
        """Return no messages."""
        return []


def touch_to_pixel(count: int = 200) -> dict[str, float]:
    """Return the times in ms from a press in the queue to the frame that shows it."""
    screen = pygame.display.set_mode((1920, 1080))
    app = App(screen, NoLink(), size=(1920, 1080), name="")  # type: ignore[arg-type]
    app.run_once()
    times = []
    for i in range(count):
        pos = (200 + 7 * i % 1500, 300 + 5 * i % 500)
        began = time.perf_counter()
        pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=pos))
        drawn = app._drawn_at
        while app._drawn_at == drawn or screen.get_at(pos)[0] < 100:
            app.run_once()
        times.append(1000 * (time.perf_counter() - began))
        pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=pos))
        app.run_once()
    return {f"p{p}_ms": round(percentile(times, p / 100), 2) for p in (50, 99)}


# -- a real window ----------------------------------------------------------------------


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def display():
    """Run an X display of 1920 x 1080 for the block; yield its environment."""
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X{n}-lock").exists())
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "1920x1080x24", "-nolisten", "tcp"],
        stderr=subprocess.DEVNULL,
    )
    while not Path(f"/tmp/.X11-unix/X{number}").exists():
        time.sleep(0.05)
    yield {**os.environ, "DISPLAY": f":{number}", "SDL_VIDEODRIVER": "x11"}
    server.terminate()
    server.wait()


def status(link: socket.socket) -> dict[str, object]:
    """Return the status of an engine."""
    link.send(encode("/robojam/status"))
    packet = link.recv(65536)
    return dict(json.loads(packet[20:].split(b"\0", 1)[0]))


def measure_processes(seconds: float) -> dict[str, float]:
    """Run an engine alone and with a window: CPU of the window, lateness of the engine."""
    figures: dict[str, float] = {}
    command = [sys.executable, "-m", "robojam"]
    for with_window in (False, True):
        with tempfile.TemporaryDirectory() as folder, display() as environment:
            engine = subprocess.Popen(
                [*command, "serve", "--osc-in", "127.0.0.1:0", "--sessions", folder,
                 "--seed", "3", "--device", "cpu", "--no-sound"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            )  # fmt: skip
            assert engine.stdout is not None
            port = int(engine.stdout.readline().split(",")[0].rsplit(":", 1)[1])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
                link.connect(("127.0.0.1", port))
                link.settimeout(5)
                window = None
                if with_window:
                    window = subprocess.Popen(
                        [*command, "window", "--engine", f"127.0.0.1:{port}", "--size",
                         "1920x1080"], env=environment, cwd=ROOT,
                    )  # fmt: skip
                    time.sleep(4)
                    began = cpu(window.pid)
                    time.sleep(seconds)
                    figures["window_still_percent"] = round(
                        100 * (cpu(window.pid) - began) / seconds, 2
                    )
                link.send(encode("/robojam/mode", "s", "solo"))
                time.sleep(3)
                began = cpu(window.pid) if window else 0.0
                time.sleep(seconds)
                if window:
                    used = cpu(window.pid) - began
                    figures["window_solo_percent"] = round(100 * used / seconds, 1)
                key = "engine_late_ms_p99_" + ("with" if with_window else "without")
                figures[key] = round(float(str(status(link)["late_ms_p99"])), 3)
            for program in (window, engine):
                if program is not None:
                    program.send_signal(signal.SIGTERM)
                    program.wait()
    return figures


def main() -> None:
    """Measure, and print."""
    parser = argument_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    args = parser.parse_args()
    if not CORPUS.exists():
        raise SystemExit(f"the corpus {CORPUS} does not exist")
    pygame.display.init()
    pygame.font.init()
    seconds = 12.0 if args.quick else 20.0
    touches = performance(seconds)
    figures: dict[str, dict[str, float]] = {}
    for name, size, theme, quarter_turns in (
        ("1920x1080", (1920, 1080), "dark", 0),
        ("1920x1080 light", (1920, 1080), "light", 0),
        ("1920x1080 turned 90", (1920, 1080), "dark", 1),
        ("640x400", (640, 400), "dark", 0),
        ("3840x2160", (3840, 2160), "dark", 0),
    ):
        figures[name] = frames(
            size, touches, theme=theme, quarter_turns=quarter_turns, seconds=seconds
        )
        print(name, figures[name], flush=True)
    figures["touch to pixel"] = touch_to_pixel()
    print("touch to pixel", figures["touch to pixel"], flush=True)
    if shutil.which("Xvfb"):
        figures["processes"] = measure_processes(5.0 if args.quick else 15.0)
        print("processes", figures["processes"])
    save(figures, args.json)


if __name__ == "__main__":
    main()
