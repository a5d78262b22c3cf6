"""An X server without a screen, and the window as a program on it, with an engine's socket."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robojam.wire.osc import Message, encode
from support.engine import PATIENCE, command, stop
from support.window import receive_message

#: Messages that every window sends all the time.
_REQUESTS = ("/robojam/status", "/robojam/subscribe", "/robojam/alive")


@contextmanager
def display(size: str, *options: str) -> Iterator[dict[str, str]]:
    """Run an X server without a screen; yield the environment of its programs."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp",
         "-noreset", *options],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        assert select.select([reading], [], [], PATIENCE)[0]
        number = os.read(reading, 16).decode().strip()
        environment = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
        # else SDL ignores a press within 10 ms of the window's focus
        environment["SDL_MOUSE_FOCUS_CLICKTHROUGH"] = "1"
        yield {**environment, "DISPLAY": f":{number}"}
    finally:
        os.close(reading)
        stop(server)


@contextmanager
def window_manager(environment: dict[str, str], name: str) -> Iterator[None]:
    """Run a window manager on a display, from when it manages new windows; "" is none.

    Its start may take seconds (its fonts are searched), in which windows do without it.
    """
    if not name:
        yield
        return
    process = subprocess.Popen([name], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _is_managed(environment))
        yield
    finally:
        stop(process)


def _is_managed(environment: dict[str, str]) -> bool:
    """Return whether a window manager has taken a display."""
    name = "_NET_SUPPORTING_WM_CHECK"
    found = subprocess.run(
        ["xprop", "-root", name], env=environment, check=True, timeout=PATIENCE, text=True,
        capture_output=True,
    )  # fmt: skip
    return "window id" in found.stdout


class WindowProgram:
    """`robojam window` on a display, and a socket in the engine's place."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        self._environment = {**environment, "SDL_VIDEO_X11_WMCLASS": "robojam-window"}
        self._engine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._engine.bind(("127.0.0.1", 0))
        self._engine.settimeout(PATIENCE)
        port = self._engine.getsockname()[1]
        self.process = subprocess.Popen(
            command("window", "--engine", f"127.0.0.1:{port}", *options),
            env=self._environment, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        _, self._address = receive_message(self._engine)
        self._id = self.run(
            "xdotool", "search", "--sync", "--onlyvisible", "--class", "robojam-window"
        )

    def run(self, *command: str) -> str:
        """Run a program on the same display; return what it prints."""
        done = subprocess.run(
            command, env=self._environment, check=True, timeout=PATIENCE, text=True,
            capture_output=True,
        )  # fmt: skip
        return done.stdout.strip()

    def geometry(self) -> tuple[int, int, int, int]:
        """Return the window's left, top, width and height."""
        text = self.run("xdotool", "getwindowgeometry", "--shell", self._id)
        found = dict(re.findall(r"(\w+)=(\d+)", text))
        return (*(int(found[name]) for name in ("X", "Y", "WIDTH", "HEIGHT")),)

    def focus(self) -> None:
        """Put the pointer into the window, and the focus of the keyboard on it."""
        left, top, width, height = self.geometry()
        self.run("xdotool", "mousemove", str(left + width // 2), str(top + height // 2))
        self.run("xdotool", "windowfocus", "--sync", self._id)

    def keys(self, *arguments: str) -> None:
        """Press keys, as xdotool's command key takes them: names, or X's key codes."""
        self.run("xdotool", "key", *arguments)

    def report(self, **status: object) -> None:
        """Send the window a status, as the engine does."""
        self._engine.sendto(encode("/robojam/status", "s", json.dumps(status)), self._address)

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send the window a message, as the engine does."""
        self._engine.sendto(encode(address, tags, *args), self._address)

    def click(self, x: float, y: float) -> None:
        """Click a place of the window, in pixels."""
        left, top, _, _ = self.geometry()
        self.run(
            "xdotool", "mousemove", str(left + round(x)), str(top + round(y)), "click", "1"
        )

    def sent(self) -> Message:
        """Return the next message of the window that is no request for the status."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message, _ = receive_message(self._engine)
            if message.address not in _REQUESTS:
                return message
        raise AssertionError("the window has sent nothing")

    def close(self) -> None:
        """End the window."""
        stop(self.process)
        self._engine.close()


@contextmanager
def window_program(environment: dict[str, str], *options: str) -> Iterator[WindowProgram]:
    """Run the window; see `WindowProgram`."""
    window = WindowProgram(environment, *options)
    try:
        yield window
    finally:
        window.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
