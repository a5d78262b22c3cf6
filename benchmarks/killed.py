"""Kill an engine at random instants, and look whether its recording has all that was heard.

    python benchmarks/killed.py [--times 1000] [--rate 500] [--voices 32] [--no-resume]

A player touches `--rate` times a second while as many voices play (solo). What a monitor got,
by the kernel's clock (Linux), more than 10 ms before the kill must be in the recording. Then
another engine goes on from it (`serve --resume`), and must have heard all that is in there, and
record it again; the seconds from its start to its first line are printed.
"""

from __future__ import annotations

import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _output import argument_parser
from _own_player import _SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _stamp, running_engine

from robojam.sessions.session import EndEvent, read
from robojam.wire import osc

#: Milliseconds before the kill from which on a touch may be lost.
_LOST = 10.0
#: Different x of touches.
_PLACES = 65536


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--voices", type=int, default=32)
    parser.add_argument("--no-resume", action="store_true")
    args = parser.parse_args()
    for figures in kill(args.times, args.rate, args.voices, resume=not args.no_resume):
        if figures.kills % 20 == 0 or figures.kills == args.times:
            print(figures.line(), flush=True)


@dataclass
class Figures:
    """Sums over kills: touches heard and missing, engines that went on, seconds until then."""

    kills: int = 0
    heard: int = 0
    missing: int = 0
    bad: int = 0
    resumed: int = 0
    back: list[float] = field(default_factory=list)

    def line(self) -> str:
        """Return the figures in one line."""
        back = sorted(self.back) or [float("nan")]
        return (
            f"{self.kills} kills, {self.heard} heard, {self.missing} missing in {self.bad} "
            f"runs, {self.resumed} resumed, back after {back[len(back) // 2]:.2f} s (median), "
            f"{back[-1]:.2f} s (worst)"
        )


def kill(
    times: int, rate: float, voices: int, *, resume: bool = True, until: float = float("inf")
) -> Iterator[Figures]:
    """Kill an engine again and again; yield the figures so far.

    until: the time (s, of time.monotonic) from which on there is no further kill.
    """
    chance, sums = random.Random(), Figures()
    while sums.kills < times and time.monotonic() < until:
        count, missing, back = run(rate, voices, chance.uniform(0.3, 2.5), resume=resume)
        sums.kills += 1
        sums.heard, sums.missing = sums.heard + count, sums.missing + len(missing)
        sums.bad += bool(missing)
        if back is not None:
            sums.resumed += 1
            sums.back.append(back)
        if missing:
            print(f"run {sums.kills}: {len(missing)} of {count} missing:"
                  f" {', '.join(missing[:12])}")  # fmt: skip
        yield sums


def run(
    rate: float, voices: int, seconds: float, *, resume: bool
) -> tuple[int, list[str], float | None]:
    """Kill an engine after some seconds.

    Returns the number of touches, those missing, and the seconds until another engine has gone
    on with all that was recorded; None where it has not, or is not asked to (resume).
    """
    options = ("--mode", "solo", "--voices", str(voices), "--seed", "1")
    with running_engine(*options) as engine, _client() as client:
        got = _play(client, ("127.0.0.1", engine.port), rate, seconds)
        killed = time.time()
        engine.process.kill()
        engine.process.wait()
        got += _receive(client)
        recorded = Counter(
            (event.touch.who, event.touch.phase.value, round(event.touch.x * _PLACES))
            for path in engine.sessions.glob("*.jsonl")
            for event in read(path).touches()
        )
        back = _go_on(engine.sessions) if resume else None
    heard, missing = 0, []
    for at, packet in sorted(got):
        parts = packet[: packet.find(b"\0")].decode().split("/")
        before = 1000 * (killed - at)
        if len(parts) != 4 or parts[3] not in ("down", "move") or before <= _LOST:
            continue
        (message,), _ = osc.decode(packet)
        key = parts[2], parts[3], round(float(message.args[1]) * _PLACES)
        heard += 1
        if recorded[key]:
            recorded[key] -= 1
        else:
            missing.append(f"{parts[2]} {parts[3]}, {before:.1f} ms before the kill")
    return heard, missing, back


def _go_on(sessions: Path) -> float | None:
    """Have another engine go on from the recording; return the seconds until it was ready.

    None, and a line, where it did not go on with all that is recorded.
    """
    (path,) = sessions.glob("*.jsonl")
    before = [event for event in read(path).events if not isinstance(event, EndEvent)]
    began = time.monotonic()
    command = [
        *(sys.executable, "-P", "-m", "robojam", "serve", "--no-sound", "--device", "cpu"),
        *("--osc-in", "127.0.0.1:0", "--osc-out", "127.0.0.1:9", "--tuio-in", "none"),
        *("--sessions", str(sessions), "--resume", str(path)),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=sessions
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        back = time.monotonic() - began
        process.terminate()
        _, errors = process.communicate(timeout=60)
    if "goes on from" not in ready:
        print(f"not resumed: {ready or errors}")
        return None
    others = [other for other in sessions.glob("*.jsonl") if other != path]
    again = read(others[0]).events[: len(before)] if others else ()
    if list(again) != before:
        print(f"resumed with {len(again)} of {len(before)} events, or others: {errors}")
        return None
    return back


def _client() -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    client.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 25)
    client.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return client


def _play(
    client: socket.socket, engine: tuple[str, int], rate: float, seconds: float
) -> list[tuple[float, bytes]]:
    """Touch as a subscribed player; return what came, with the time."""
    client.sendto(osc.encode("/robojam/subscribe", "i", client.getsockname()[1]), engine)
    got: list[tuple[float, bytes]] = []
    due, number = time.time(), 0
    end = due + seconds
    while (now := time.time()) < end:
        if now >= due:
            number += 1
            address = "/robojam/move" if number % 100 else "/robojam/down"
            client.sendto(osc.encode(address, "iff", 1, number / _PLACES, 0.25), engine)
            due += 1 / rate
        if select.select([client], [], [], max(0.0, min(due, end) - time.time()))[0]:
            got += _receive(client)
    return got


def _receive(client: socket.socket) -> Iterator[tuple[float, bytes]]:
    """Return what has come, with the time of each packet."""
    while True:
        try:
            packet, ancillary, _, _ = client.recvmsg(65536, 64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        yield _stamp(ancillary), packet


if __name__ == "__main__":
    main()
