"""Kill an engine at random instants, and look whether its recording has all that was heard.

    python benchmarks/killed.py [--times 1000] [--rate 500] [--voices 32] [--no-spare]

A player touches `--rate` times a second while as many voices play (solo). What a monitor got,
by the kernel's clock (Linux), more than 10 ms before the kill must be in the recording. Then
another engine goes on from it, as the supervisor of `robojam jam` has it: a spare one that is
prepared, or with --no-spare a new program. It must have heard all that is in there, and record
it again; the seconds from the kill to its first line are printed. It is the next to be killed,
until ten have gone on one from another.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from _output import argument_parser
from _own_player import _SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _stamp, free_port

from robojam.config.addresses import parse_address
from robojam.config.options import Options
from robojam.sessions.session import EndEvent, SessionError, SessionEvent, TouchEvent, read
from robojam.system.child_process import ChildProcess
from robojam.wire import osc

#: Milliseconds before the kill from which on a touch may be lost.
_LOST = 10.0
#: Different x of touches.
_PLACES = 65536
#: Seconds within which an engine has written again what it goes on from.
_WRITING = 5.0
#: Engines of a jam.
_LIVES = 10


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--voices", type=int, default=32)
    parser.add_argument("--no-spare", action="store_true")
    args = parser.parse_args()
    for figures in kill(args.times, args.rate, args.voices, spare=not args.no_spare):
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
            f"{back[int(0.99 * len(back))]:.2f} s (99 %), {back[-1]:.2f} s (worst)"
        )


class _Jam:
    """Jam of engines that are killed, each of which goes on from the recording of the last."""

    def __init__(self, folder: Path, voices: int, *, spare: bool) -> None:
        """Start the first engine."""
        self.sessions, self._has_spare = folder / "sessions", spare
        self._options = Options(
            osc_in=f"127.0.0.1:{free_port()}", osc_out=("127.0.0.1:9",), tuio_in="none",
            sound=False, device="cpu", voices=voices, seed=1, controls={"mode": "solo"},
            sessions=str(self.sessions), announce=False,
        )  # fmt: skip
        self._log = (folder / "log").open("wb")
        self._spare: ChildProcess | None = None
        self.address = parse_address(self._options.osc_in)
        self.prepare()
        self._engine, line = self._start()
        assert line.startswith("listening on"), line

    def prepare(self) -> None:
        """Prepare a spare engine, and wait until it is; do nothing without."""
        if self._has_spare:
            self._spare = ChildProcess(
                "robojam.cli.prepared_engine", "--report", stdout=subprocess.PIPE,
                stderr=self._log.fileno(), first_line=msgspec.json.encode(self._options),
            )  # fmt: skip
            assert self._spare.stdout is not None
            self._spare.stdout.readline()

    def _start(self, *more: str) -> tuple[ChildProcess, str]:
        """Start an engine; return it with its first line."""
        options = msgspec.json.encode(self._options).decode()
        command = ["serve", "--options", options, *more, "--until-eof"]
        if self._spare is None:
            engine = ChildProcess(
                "robojam", *command, stdout=subprocess.PIPE, stderr=self._log.fileno()
            )
        else:
            engine, self._spare = self._spare, None
            engine.write_line(json.dumps([command, dict(os.environ)]).encode())
        assert engine.stdout is not None
        return engine, engine.stdout.readline().decode()

    def recording(self) -> Path:
        return max(self.sessions.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    def kill(self) -> float:
        """Kill the engine; return when, by the system's clock."""
        killed = time.time()
        self._engine.kill()
        return killed

    def go_on(self, path: Path) -> bool:
        """Have another engine go on; return whether it does, from the recording."""
        self._engine, line = self._start("--again", "--resume", str(path))
        if "goes on from" not in line:
            print(f"not resumed: {line}{Path(self._log.name).read_text()[-500:]}")
            return False
        return True

    def close(self) -> None:
        self._engine.end(60.0, terminate=True)
        if self._spare is not None:
            self._spare.kill()
        self._log.close()


def kill(
    times: int, rate: float, voices: int, *, spare: bool = True, until: float = float("inf")
) -> Iterator[Figures]:
    """Kill an engine again and again; yield the figures so far.

    spare: another is prepared before each kill. until: the time (s, of time.monotonic) from
    which on there is no further kill.
    """
    chance, sums = random.Random(), Figures()
    while sums.kills < times and time.monotonic() < until:
        with TemporaryDirectory() as folder:
            jam = _Jam(Path(folder), voices, spare=spare)
            try:
                known = 0  # events of the recording that were in the one before
                for _ in range(min(_LIVES, times - sums.kills)):
                    jam.prepare()
                    known = _kill(jam, rate, chance.uniform(0.3, 2.5), known, sums)
                    yield sums
                    if not known or time.monotonic() > until:
                        break
            finally:
                jam.close()


def _kill(jam: _Jam, rate: float, seconds: float, known: int, sums: Figures) -> int:
    """Kill an engine after some seconds, and have another go on; count all that.

    known: how many events the recording begins with that were in the one before. Returns that
    of the next; 0 where it did not go on, or not with all of them.
    """
    with _client() as client:
        got = _play(client, jam.address, rate, seconds)
        killed, began = jam.kill(), time.monotonic()
        got += _receive(client)
        path = jam.recording()
        goes_on = jam.go_on(path)
        back = time.monotonic() - began
    before = [event for event in read(path).events if not isinstance(event, EndEvent)]
    recorded = Counter(
        (event.touch.who, event.touch.phase.value, round(event.touch.x * _PLACES))
        for event in before[known:]
        if isinstance(event, TouchEvent)
    )
    heard, missing = 0, []
    for at, packet in sorted(got):
        parts = packet[: packet.find(b"\0")].decode().split("/")
        age = 1000 * (killed - at)
        if len(parts) != 4 or parts[3] not in ("down", "move") or age <= _LOST:
            continue
        (message,), _ = osc.decode(packet)
        key = parts[2], parts[3], round(float(message.args[1]) * _PLACES)
        heard += 1
        if recorded[key]:
            recorded[key] -= 1
        else:
            missing.append(f"{parts[2]} {parts[3]}, {age:.1f} ms before the kill")
    sums.kills, sums.heard = sums.kills + 1, sums.heard + heard
    sums.missing, sums.bad = sums.missing + len(missing), sums.bad + bool(missing)
    if missing:
        print(
            f"kill {sums.kills}: {len(missing)} of {heard} missing: {', '.join(missing[:12])}"
        )
    if not goes_on:
        return 0
    again: list[SessionEvent] = []
    until = time.monotonic() + _WRITING
    while len(again) < len(before) and time.monotonic() < until:
        with suppress(SessionError):  # it is being written
            if (new := jam.recording()) != path:
                again = [*read(new).events[: len(before)]]
    if again != before:
        print(f"resumed with {len(again)} of {len(before)} events, or others")
        return 0
    sums.resumed += 1
    sums.back.append(back)
    return len(before)


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
