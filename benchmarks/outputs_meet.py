"""Measurement of outputs that meet: python benchmarks/outputs_meet.py.

An engine plays alone to three receivers of OSC over UDP, whose latencies are 0, 10 and 40 ms.
Each touch is heard at its arrival plus the latency of its receiver. Printed: between the first
and the last of the three, in ms, of all touches after the first seconds, in which the engine's
compiler runs beside it, and before the end, at which what is on its way is sent at once.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time

from robojam.bench import percentile
from robojam.bench.client import engine
from robojam.wire import osc

LATENCIES = (0.0, 0.01, 0.04)
#: Seconds at the beginning and at the end that are left out.
BEGINNING, END = 8.0, 0.2


def receive(receiver: socket.socket, latency: float, heard: list[float]) -> None:
    """Note when each touch of the machine is heard, until the receiver is closed."""
    while True:
        try:
            packet = receiver.recv(65536)
        except OSError:
            return
        now = time.perf_counter()
        for message in osc.decode(packet)[0]:
            if message.address in ("/robojam/ai/down", "/robojam/ai/move"):
                heard.append(now + latency)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in LATENCIES]
    heard: list[list[float]] = [[] for _ in LATENCIES]
    options = ["--mode", "solo", "--seed", "1"]
    for receiver, latency, times in zip(receivers, LATENCIES, heard, strict=True):
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        options += ["--osc-out", f"127.0.0.1:{port}?latency={1000 * latency:g}"]
        threading.Thread(target=receive, args=(receiver, latency, times), daemon=True).start()
    with engine(*options) as e:
        began = time.perf_counter() + BEGINNING
        time.sleep(BEGINNING + seconds + END)
        ended = time.perf_counter() - END
        e.send("/robojam/pause", "i", 1)
        time.sleep(0.2)
        status = e.status()
    for receiver in receivers:
        receiver.close()
    apart = [
        1000 * (max(each) - min(each))
        for each in zip(*heard, strict=True)
        if began <= min(each) <= ended
    ]
    figures = {
        "touches": len(apart),
        "latency_ms": status["latency_ms"],
        "apart_ms_p50": round(percentile(apart, 0.5), 2),
        "apart_ms_p99": round(percentile(apart, 0.99), 2),
        "apart_ms_max": round(max(apart), 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
