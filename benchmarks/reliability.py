"""Reliability of an engine: kills, fuzzed input, hours in the simulator, an hour of real time.

    python benchmarks/reliability.py
    python benchmarks/reliability.py --kills 20 --fuzz 60 --simulate 60 --play 60

Runs benchmarks/killed.py (kill -9 at random instants, each followed by a resume), fuzz.py and
simulator.py for these kills and seconds, and eight players in real time; promises hold. 0
leaves a part out. Linux. Prints the figures as JSON; the status is 1 where one was broken.
"""

from __future__ import annotations

import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save
from _own_player import RunningEngine, running_engine
from killed import kill
from simulator import simulate
from soak import drift, growth, memory_of

from robojam.sessions.session import read
from robojam.wire import osc

#: Players in real time, each at a loopback address of its own; touches a second of each.
_PLAYERS, _RATE = 8, 30
#: Seconds after which memory and descriptors are compared with those at the end: all that is
#: loaded at its first use is there by then.
_SETTLED = 300.0
#: Seconds without a touch after which no finger is down any more.
_SILENCE = 12.0


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--fuzz", type=float, default=3600.0)
    parser.add_argument("--simulate", type=float, default=3600.0)
    parser.add_argument("--play", type=float, default=3600.0)
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    broken = False
    if args.kills:
        *_, sums = kill(args.kills, 500.0, 8)
        back = sorted(sums.back) or [float("nan")]
        figures["kill -9"] = {
            **{n: v for n, v in asdict(sums).items() if n != "back"},
            "back after, s, median": round(back[len(back) // 2], 2),
        }
        broken |= bool(sums.missing) or sums.resumed != sums.kills
    if args.fuzz:
        figures["fuzz"] = fuzz(args.fuzz)
        broken |= figures["fuzz"]["faults"] != 0
    if args.simulate:
        figures["simulator"], failures = simulate(args.simulate, 0, os.cpu_count() or 1)
        broken |= bool(failures)
    if args.play:
        figures["real time"] = play(args.play)
        broken |= bool(figures["real time"]["stuck fingers"])
    print_and_save(figures, args.json)
    return int(broken)


def fuzz(seconds: float) -> dict[str, int]:
    """Return the inputs and the faults of benchmarks/fuzz.py in some seconds."""
    program = Path(__file__).parent / "fuzz.py"
    command = [sys.executable, str(program), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, file=sys.stderr)
    found = re.search(r"^([\d,]+) inputs: (\d+) faults$", done.stdout, re.MULTILINE)
    if found is None:
        return {"inputs": 0, "faults": -1}
    return {"inputs": int(found[1].replace(",", "")), "faults": int(found[2])}


def play(seconds: float) -> dict[str, Any]:
    """Play with eight players for some seconds; return growth, drift and stuck fingers."""
    with running_engine("--response", "3", "--seed", "1") as engine:
        players = _Players(engine)
        settled = min(_SETTLED, seconds / 2)
        players.play(settled)
        before = memory_of(engine.process.pid), _descriptors(engine.process.pid)
        (path,) = engine.sessions.glob("*.jsonl")
        players.play(seconds - settled)
        players.listen(_SILENCE)
        stuck = sum(who.startswith("human") for who, _ in players.down)
        after = memory_of(engine.process.pid), _descriptors(engine.process.pid)
        engine.process.send_signal(signal.SIGTERM)
        engine.process.wait(60)
        players.listen(0.5)
        session = read(path)
    return {
        "seconds": seconds,
        "players": _PLAYERS,
        "touches sent": players.sent,
        "touches played by the machine": players.played,
        **growth(before[0], after[0]),
        "descriptors, before and after": [before[1], after[1]],
        "greatest error from touch to touch, s": drift(list(session.events)),
        "stuck fingers": stuck + len(players.down),
    }


class _Players:
    """Players at loopback addresses, and a monitor: `down` are the fingers that it sees."""

    def __init__(self, engine: RunningEngine) -> None:
        self._engine = ("127.0.0.1", engine.port)
        self._random = random.Random(1)
        kind = socket.AF_INET, socket.SOCK_DGRAM
        self._sockets = [socket.socket(*kind) for _ in range(_PLAYERS)]
        for number, each in enumerate(self._sockets):
            each.bind((f"127.0.0.{2 + number}", 0))
        self._left = [0] * _PLAYERS  # touches of each stroke that are left
        self._due = [time.monotonic() + self._random.random() for _ in self._sockets]
        self._monitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._monitor.bind(("127.0.0.1", 0))
        self._monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._renew_at = 0.0
        self.sent = self.played = 0
        self.down: set[tuple[str, int]] = set()

    def play(self, seconds: float) -> None:
        """Play for some seconds."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for number, due in enumerate(self._due):
                if now >= due:
                    self._due[number] = due + self._touch(number)
            self.listen(max(0.0, min(*self._due, end) - time.monotonic()))

    def _touch(self, number: int) -> float:
        """Send the next message of a player; return the seconds until the one after it."""
        send = self._sockets[number].sendto
        left = self._left[number]
        x, y = self._random.random(), self._random.random()
        if left == 0:
            self._left[number] = self._random.randrange(5, 60)
            send(osc.encode("/robojam/down", "iff", 1, x, y), self._engine)
        elif left == 1:
            self._left[number] = 0
            send(osc.encode("/robojam/up", "i", 1), self._engine)
            return self._random.choice((0.3, 1.0, 4.0, 8.0))
        else:
            self._left[number] = left - 1
            send(osc.encode("/robojam/move", "iff", 1, x, y), self._engine)
        self.sent += 1
        return 1 / _RATE

    def listen(self, seconds: float) -> None:
        """Receive what the engine sends its monitor, for some seconds."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= self._renew_at:
                self._renew_at = now + 2.0
                port = self._monitor.getsockname()[1]
                request = osc.encode("/robojam/subscribe", "i", port)
                self._monitor.sendto(request, self._engine)
            if select.select([self._monitor], [], [], max(0.0, min(end - now, 1.0)))[0]:
                self._take(self._monitor.recv(65536))
            elif time.monotonic() >= end:
                return

    def _take(self, packet: bytes) -> None:
        parts = packet[: packet.index(b"\0")].decode().split("/")
        if len(parts) != 4 or parts[3] not in ("down", "move", "up"):
            return
        (message,), _ = osc.decode(packet)
        finger = parts[2], int(message.args[0])
        (self.down.discard if parts[3] == "up" else self.down.add)(finger)
        self.played += parts[2].startswith("ai") and parts[3] != "up"


def _descriptors(process: int) -> int:
    """Return the number of descriptors that a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


if __name__ == "__main__":
    sys.exit(main())
