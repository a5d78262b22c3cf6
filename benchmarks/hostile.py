"""Play beside a hostile neighbour of many kinds, and measure what each can do.

    sudo python benchmarks/hostile.py [--seconds 120] [--kind NAME …] [--python PYTHON]
        [--realtime] [--json FILE]

Needs Linux, root and the program `ip`: the neighbour is a network namespace with 100 addresses.
The engine listens beyond this machine with the usual options and records; a player of this
machine plays 60 touches a second in strokes with rests, subscribed as a monitor, and waits for
an answer. Amplification is bytes that came to the neighbour's addresses, over bytes that it
sent, both without the headers of UDP. Memory and disk are what they have grown by since the
neighbour began. --python and --realtime are as for overload.py; with --realtime a kind should
not take longer than 20 s.
"""

from __future__ import annotations

import multiprocessing
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from _output import argument_parser, save
from _own_player import Heard, RunningEngine, play, print_row, running_engine

from robojam.bench import Report
from robojam.wire import osc

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.network import SecondHost

#: Addresses of the neighbour.
ADDRESSES = 100
#: Seconds for which the own player plays before the neighbour begins.
BEFORE = 2.0
#: Bytes of the headers of IP and UDP.
_HEADERS = 28

#: A packet, and the number of the address that it comes from.
Packets = Iterator[tuple[int, bytes]]


def _random_bytes(rng: random.Random) -> Packets:
    while True:
        yield 0, rng.randbytes(rng.randrange(1, 200))


def _finger(rng: random.Random, finger: int = 1) -> bytes:
    return osc.encode("/robojam/move", "iff", finger, rng.random(), rng.random())


def _touches(rng: random.Random) -> Packets:
    while True:
        yield 0, _finger(rng, rng.randrange(8))


def _many_hosts(rng: random.Random) -> Packets:
    while True:
        yield rng.randrange(ADDRESSES), _finger(rng)


def _full(message: Callable[[], bytes]) -> bytes:
    """Return a bundle of messages, as large as UDP carries."""
    messages, size = [], 16
    while size + len(following := message()) + 4 < 65507:
        messages.append(following)
        size += len(following) + 4
    return osc.bundle(messages)


def _bundles(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], Packets]:
    def packets(rng: random.Random) -> Packets:
        bundles = [_full(lambda: make(rng)) for _ in range(20)]
        while True:
            yield 0, rng.choice(bundles)

    return packets


def _control(rng: random.Random) -> bytes:
    name, tags, *args = rng.choice(
        [
            ("panic", ""), ("reset", ""), ("back", "f", 5.0), ("answer", ""),
            ("seed", "i", rng.randrange(1000)), ("pause", "i", rng.randrange(2)),
            ("mode", "s", rng.choice(["solo", "duet"])), ("store", "s", "a"),
            ("temperature", "f", rng.random()), ("threshold", "f", 1 + rng.random()),
        ]
    )  # fmt: skip
    return osc.encode(f"/robojam/{name}", tags, *args)


def _controls(rng: random.Random) -> Packets:
    while True:
        yield rng.randrange(ADDRESSES), _control(rng)


def _subscriptions(rng: random.Random) -> Packets:
    while True:
        yield (
            rng.randrange(ADDRESSES),
            osc.encode("/robojam/subscribe", "i", rng.randrange(1024, 65536)),
        )


def _status(rng: random.Random) -> Packets:
    while True:
        yield rng.randrange(ADDRESSES), osc.encode("/robojam/status")


def _names(rng: random.Random) -> Packets:
    while True:
        name = f"human{rng.randrange(10**9)}"
        yield rng.randrange(8), osc.encode("/robojam/instrument", "s", f"{name}=organ")


def _cursors(rng: random.Random) -> Packets:
    number = 0
    while True:
        number += 1
        cursor = osc.encode(
            "/tuio/2Dcur", "sifffff", "set", number, rng.random(), rng.random(), 0.0, 0.0, 0.0
        )
        fseq = osc.encode("/tuio/2Dcur", "si", "fseq", number)
        yield 0, osc.bundle([cursor, fseq])


def _sources(rng: random.Random) -> Packets:
    number = 0
    while True:
        number += 1
        alive = osc.encode("/tuio/2Dcur", "si", "alive", 1)
        cursor = osc.encode("/tuio/2Dcur", "sifffff", "set", 1, 0.5, 0.5, 0.0, 0.0, 0.0)
        source = osc.encode("/tuio/2Dcur", "ss", "source", f"tracker{number}")
        fseq = osc.encode("/tuio/2Dcur", "si", "fseq", 1)
        yield rng.randrange(ADDRESSES), osc.bundle([source, alive, cursor, fseq])


def _malformed(rng: random.Random) -> Packets:
    nested = _finger(rng)
    for _ in range(2000):
        nested = osc.bundle([nested])
        if len(nested) > 60000:
            break
    touch = _finger(rng)
    slip = b"\xc0" + touch.replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
    cases = [
        nested, slip * 1000, b"\xc0" * 60000, touch[:-1], touch + b"\0",
        b"#bundle\0" + bytes(60000),
        b"/robojam/move\0\0\0," + b"[" * 60000, b"/" * 60000, touch[:16] + b",iff" + bytes(3),
        b"#bundle\0" + bytes(7) + b"\1" + struct.pack(">i", -1) + touch, b",iff" * 10000,
        b"/robojam/status\0,s\0\0" + b"\x1b[2J" * 10000,
        *(_mutated(rng, touch) for _ in range(100)),
    ]  # fmt: skip
    while True:
        yield 0, rng.choice(cases)


def _mutated(rng: random.Random, packet: bytes) -> bytes:
    changed = bytearray(packet)
    for _ in range(3):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _costly(rng: random.Random) -> Packets:
    while True:
        yield (
            0,
            rng.choice(
                [
                    osc.encode(
                        "/robojam/model", "s", rng.choice(["touch", "nothing", "../touch"])
                    ),
                    osc.encode("/robojam/record", "i", rng.randrange(2)),
                    osc.encode("/robojam/setup"),
                    osc.encode("/robojam/setup", "ss", "voices", str(rng.randrange(64))),
                    osc.encode(
                        "/robojam/audition/down",
                        "sifff",
                        "ai",
                        rng.randrange(999),
                        0.5,
                        0.5,
                        1.0,
                    ),
                ]
            ),
        )


#: Packets a second of a kind, and the packets; 0 for no neighbour.
KINDS: dict[str, tuple[float, Callable[[random.Random], Packets]]] = {
    "quiet": (0, _touches),
    "random bytes": (20_000, _random_bytes),
    "touches": (20_000, _touches),
    "touches of 100 hosts": (20_000, _many_hosts),
    "a touch each 0.15 s": (1 / 0.15, _touches),
    "bundles of touches": (50, _bundles(_finger)),
    "bundles of controls": (50, _bundles(_control)),
    "bundles of status requests": (50, _bundles(lambda _: osc.encode("/robojam/status"))),
    "forged subscriptions": (5000, _subscriptions),
    "forged status requests": (20_000, _status),
    "invented names": (2000, _names),
    "TUIO: new cursors, never alive": (2000, _cursors),
    "TUIO: new sources": (2000, _sources),
    "controls": (2000, _controls),
    "malformed": (2000, _malformed),
    "models, recordings, previews": (2000, _costly),
}
#: Kinds that go to the port for TUIO.
_TUIO = ("TUIO: new cursors, never alive", "TUIO: new sources")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kind", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--realtime", action="store_true")
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    host = SecondHost(0)
    try:
        addresses = host.add_addresses(ADDRESSES)
        for kind in args.kind:
            rows[kind] = run(host, addresses, kind, args.seconds, args.python, args.realtime)
            print_row(kind, rows[kind], first=len(rows) == 1)
    finally:
        host.close()
    save({**Report().as_json("python benchmarks/hostile.py"), "figures": rows}, args.json)


def run(
    host: SecondHost,
    addresses: list[str],
    kind: str,
    seconds: float,
    python: str,
    realtime: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """Play beside a neighbour of a kind; return the figures."""
    options = ("--threshold", "0.5")
    with running_engine(*options, python=python, host="0.0.0.0", realtime=realtime) as engine:
        port = engine.tuio_port if kind in _TUIO else engine.port
        rate, packets = KINDS[kind]
        sent = multiprocessing.Array("d", 2)  # packets and bytes
        neighbour = multiprocessing.get_context("fork").Process(
            target=_send,
            args=(host, addresses, (host.here, port), rate, packets, seconds, sent),
        )
        before: dict[str, float] = {}

        def begin() -> None:
            before.update(rss=engine.rss_mb, disk=engine.disk_mb, came=_bytes_to(host))
            neighbour.start()

        timer = threading.Timer(BEFORE, begin)
        timer.start()
        heard = play(engine, BEFORE + 0.5 + seconds, realtime=realtime)
        neighbour.join()
        return _figures(host, engine, heard, before, sent, seconds)


def _figures(
    host: SecondHost,
    engine: RunningEngine,
    heard: Heard,
    before: dict[str, float],
    sent: Synchronized[Any],
    seconds: float,
) -> dict[str, Any]:
    count, size = sent[0], sent[1]  # type: ignore[index]
    return {
        "packets/s": count / seconds,
        "amplification": (_bytes_to(host) - before["came"]) / size if size else "–",
        "memory, MB": engine.rss_mb - before["rss"],
        "disk, MB": engine.disk_mb - before["disk"],
        **heard.figures(),
    }


def _bytes_to(host: SecondHost) -> int:
    """Return the bytes that the neighbour received, without headers; nor multicast's."""
    counters: dict[str, int] = {}
    for file in ("netstat", "snmp"):
        lines = host.run("cat", f"/proc/net/{file}").stdout.splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            if names.startswith("Ip"):
                numbers = map(int, values.split()[1:])
                counters |= zip(names.split()[1:], numbers, strict=True)
    size, packets = (
        counters[every] - counters[f"InMcast{kind}"] - counters[f"InBcast{kind}"]
        for every, kind in (("InOctets", "Octets"), ("InReceives", "Pkts"))
    )
    return size - _HEADERS * packets


def _send(
    host: SecondHost,
    addresses: list[str],
    receiver: tuple[str, int],
    rate: float,
    make: Callable[[random.Random], Packets],
    seconds: float,
    sent: Any,
) -> None:
    """Send packets of a kind at a rate for some seconds, as the neighbour; count them."""
    if not rate:
        return
    sockets = [host.socket(address) for address in addresses]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what comes is not read
    source = make(random.Random(1))
    began = time.perf_counter()
    count = size = 0
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate)
        for _ in range(min(due - count, 200)):
            number, packet = next(source)
            sockets[number].sendto(packet, receiver)
            size += len(packet)
            count += 1
        if count >= due:
            time.sleep(max(0.001, (count + 1) / rate - (time.perf_counter() - began)))
    sent[0], sent[1] = count, size


if __name__ == "__main__":
    main()
