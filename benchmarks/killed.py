"""Kill an engine at random instants, and look whether its recording has all that was heard.

    python benchmarks/killed.py [--times 1000] [--rate 500] [--voices 32]

A player touches `--rate` times a second while as many voices play (solo). What a monitor got,
by the kernel's clock (Linux), more than 10 ms before the kill must be in the recording.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator

from _output import argument_parser
from _own_player import _SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _stamp, running_engine

from robojam.sessions.session import read
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
    args = parser.parse_args()
    chance, heard, lost, bad = random.Random(), 0, 0, 0
    for number in range(1, args.times + 1):
        count, missing = run(args.rate, args.voices, chance.uniform(0.3, 2.5))
        heard, lost, bad = heard + count, lost + len(missing), bad + bool(missing)
        if missing:
            print(f"run {number}: {len(missing)} of {count} missing: {', '.join(missing[:12])}")
        if number % 20 == 0 or number == args.times:
            print(f"{number} runs, {heard} heard, {lost} missing in {bad} runs", flush=True)


def run(rate: float, voices: int, seconds: float) -> tuple[int, list[str]]:
    """Kill an engine after some seconds; return the number of touches, and those missing."""
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
    return heard, missing


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
