"""Bad conditions while the machine plays: a disk that is stuck now and then, a dragged window.

    sudo python benchmarks/conditions.py [--touches 600] [--json]

Linux, as root: the disk is a file system in a file (mkfs.ext4, mount -o loop) that is frozen
(fsfreeze) for most of the time, so that whoever writes to it waits in the kernel. The window
is shown by Xvfb and moved about by xdotool, sixty times a second. Each is measured as in
robojam bench, in turn with the same engine left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from robojam.bench import Report, measures, percentile
from robojam.bench.client import engine, window
from robojam.bench.noise import bare_timer
from robojam.sessions.session import read
from robojam.touch import Phase

#: Seconds for which the disk is stuck, and free between.
STUCK, FREE = 0.8, 0.2
DISPLAY = ":87"
#: Moves of a window in one go.
_MOVES = 120


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--touches", type=int, default=600)
    asked.add_argument("--json", action="store_true")
    chosen = asked.parse_args()
    found: dict[str, Any] = {}
    with disk() as mounted:
        found["a disk that is free"] = played(chosen.touches, mounted / "free")
        with stuck(mounted) as frozen:
            found["a disk that is stuck"] = played(chosen.touches, mounted / "stuck")
        found["a disk that is stuck"]["stuck_s"] = sum(frozen)
    with screen(), tempfile.TemporaryDirectory() as folder:
        found["a window that is still"] = played(chosen.touches, Path(folder, "1"), drawn=True)
        with dragged() as moves:
            found["a window that is dragged"] = played(
                chosen.touches, Path(folder, "2"), drawn=True
            )
        found["a window that is dragged"]["moves"] = sum(moves)
    command = f"python benchmarks/conditions.py --touches {chosen.touches}"
    result = {**Report().as_json(command), "load": os.getloadavg()[0], "figures": found}
    print(json.dumps(result if chosen.json else found, indent=1))


def played(touches: int, folder: Path, *, drawn: bool = False) -> dict[str, Any]:
    """Let the machine play: errors against the due instants in ms, and what was lost."""
    options = ("--mode", "solo", *measures.FASTER, "--sessions", str(folder))
    with engine(*options) as e, bare_timer() as bare, window(e) if drawn else nullcontext():
        began = time.perf_counter()
        heard = sum(h.is_touch for h in e.feed(began + 1.0))
        at, due = measures._played(e, touches)
        e.send("/robojam/pause", "i", 1)
        heard += len(at) + sum(h.is_touch for h in e.feed(time.perf_counter() + 0.3))
        status = e.status()
    errors = measures._errors(at, due)
    (path,) = folder.glob("*.jsonl")
    session = read(path)
    kept = sum(e.touch.phase is not Phase.UP for e in session.touches())
    return {
        "p50": percentile(errors, 0.5),
        "p99": percentile(errors, 0.99),
        "worst": max(errors),
        "a bare timer's p99": bare.get("0.99"),
        "played": status["played"],
        "not sent": status["played"] - heard,
        "not recorded": status["played"] - kept,
        "ended": session.ended,
    }


@contextmanager
def disk() -> Iterator[Path]:
    """Keep a small file system of its own for the block."""
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
def stuck(mounted: Path) -> Iterator[list[float]]:
    """Let whoever writes there wait, most of the time; yield for how long, time after time."""
    over = threading.Event()
    waits: list[float] = []

    def freeze() -> None:
        while not over.wait(FREE):
            subprocess.run(["fsfreeze", "-f", mounted], check=True)
            frozen = time.perf_counter()
            over.wait(STUCK)
            waits.append(time.perf_counter() - frozen)
            subprocess.run(["fsfreeze", "-u", mounted], check=True)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


@contextmanager
def screen() -> Iterator[None]:
    """Keep a screen for the block."""
    shown = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "2560x1440x24"])
    os.environ["DISPLAY"] = DISPLAY
    try:
        time.sleep(2.0)
        yield
    finally:
        del os.environ["DISPLAY"]
        shown.terminate()
        shown.wait()


@contextmanager
def dragged() -> Iterator[list[int]]:
    """Move the window that comes about, until the block is over; yield how many times."""
    over = threading.Event()
    made: list[int] = []
    find = ["xdotool", "search", "--onlyvisible", "--class", "."]

    def drag() -> None:
        while not over.wait(0.1):
            windows = subprocess.run(find, capture_output=True, text=True, check=False)
            for shown in windows.stdout.split()[-1:]:
                moves = ["xdotool"]
                for i in range(_MOVES):
                    moves += ["windowmove", shown, str(4 * i), str(3 * i), "sleep", "0.016"]
                # The window may be gone before all are made: that is the end of it.
                if subprocess.run(moves, capture_output=True, check=False).returncode == 0:
                    made.append(_MOVES)

    thread = threading.Thread(target=drag)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
