"""Measure the timing of the machine while the disk is blocked or the window is dragged.

    sudo python benchmarks/disturbances.py [--touches 600] [--json FILE]

Needs Linux and root. The disk is a file system in a file (mkfs.ext4, mount -o loop) that is
frozen (fsfreeze) for most of the time, so that every write to it waits in the kernel. The
window is shown by Xvfb and moved by xdotool, sixty times a second. Each disturbance is
measured as in robojam bench, and compared with the same engine without the disturbance.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save

from robojam.bench import Report, percentile
from robojam.bench.client import engine, window
from robojam.bench.measures import FASTER, lateness, receive_touches
from robojam.bench.noise import bare_timer
from robojam.sessions.session import read
from robojam.touch import Phase

#: Seconds for which the disk is blocked, and free in between.
BLOCKED, FREE = 0.8, 0.2
DISPLAY = ":87"
#: Moves of a window by one call of xdotool.
_MOVES = 120


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--touches", type=int, default=600)
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    with disk() as mounted:
        figures["disk free"] = play(args.touches, mounted / "free")
        with blocked(mounted) as blocks:
            figures["disk blocked"] = play(args.touches, mounted / "blocked")
        figures["disk blocked"]["blocked_s"] = sum(blocks)
    with x_display(), tempfile.TemporaryDirectory() as folder:
        figures["window still"] = play(args.touches, Path(folder, "1"), drawn=True)
        with dragged() as moves:
            figures["window dragged"] = play(args.touches, Path(folder, "2"), drawn=True)
        figures["window dragged"]["moves"] = sum(moves)
    command = f"python benchmarks/disturbances.py --touches {args.touches}"
    conditions = {**Report().as_json(command), "load": os.getloadavg()[0]}
    print_and_save({**conditions, "figures": figures}, args.json)


def play(touches: int, folder: Path, *, drawn: bool = False) -> dict[str, Any]:
    """Play a solo of the machine; return its errors against the due times in ms, and losses."""
    options = ("--mode", "solo", *FASTER, "--sessions", str(folder))
    with engine(*options) as e, bare_timer() as bare, window(e) if drawn else nullcontext():
        began = time.perf_counter()
        received = sum(h.is_touch for h in e.messages(began + 1.0))
        at, due = receive_touches(e, touches)
        e.send("/robojam/pause", "i", 1)
        received += len(at) + sum(h.is_touch for h in e.messages(time.perf_counter() + 0.3))
        status = e.status()
    errors = lateness(at, due)
    (path,) = folder.glob("*.jsonl")
    session = read(path)
    recorded = sum(e.touch.phase is not Phase.UP for e in session.touches())
    return {
        "p50": percentile(errors, 0.5),
        "p99": percentile(errors, 0.99),
        "worst": max(errors),
        "a bare timer's p99": bare.get("0.99"),
        "played": status["played"],
        "not sent": status["played"] - received,
        "not recorded": status["played"] - recorded,
        "ended": session.ended,
    }


@contextmanager
def disk() -> Iterator[Path]:
    """Mount a small file system of its own for the block."""
    with tempfile.TemporaryDirectory() as folder:
        image, mounted = Path(folder) / "image", Path(folder) / "disk"
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
        try:
            yield mounted
        finally:
            subprocess.run(["umount", mounted], check=True)


@contextmanager
def blocked(mounted: Path) -> Iterator[list[float]]:
    """Freeze a file system most of the time; yield how long each time, in seconds."""
    over = threading.Event()
    seconds: list[float] = []

    def freeze() -> None:
        while not over.wait(FREE):
            subprocess.run(["fsfreeze", "-f", mounted], check=True)
            frozen = time.perf_counter()
            over.wait(BLOCKED)
            seconds.append(time.perf_counter() - frozen)
            subprocess.run(["fsfreeze", "-u", mounted], check=True)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()


@contextmanager
def x_display() -> Iterator[None]:
    """Run an X display for the block."""
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "2560x1440x24"])
    os.environ["DISPLAY"] = DISPLAY
    try:
        time.sleep(2.0)
        yield
    finally:
        del os.environ["DISPLAY"]
        server.terminate()
        server.wait()


@contextmanager
def dragged() -> Iterator[list[int]]:
    """Move the newest window during the block; yield the numbers of moves."""
    over = threading.Event()
    counts: list[int] = []
    find = ["xdotool", "search", "--onlyvisible", "--class", "."]

    def drag() -> None:
        while not over.wait(0.1):
            windows = subprocess.run(find, capture_output=True, text=True, check=False)
            for window_id in windows.stdout.split()[-1:]:
                moves = ["xdotool"]
                for i in range(_MOVES):
                    moves += ["windowmove", window_id, str(4 * i), str(3 * i), "sleep", "0.016"]
                # The window may close before all moves are made; these are not counted.
                if subprocess.run(moves, capture_output=True, check=False).returncode == 0:
                    counts.append(_MOVES)

    thread = threading.Thread(target=drag)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
