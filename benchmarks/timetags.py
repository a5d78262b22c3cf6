"""Measure the jitter of touches in SuperCollider, without and with timetags.

    python benchmarks/timetags.py [--touches 1000] [--json FILE]

Needs sclang (Debian: supercollider-language). robojam plays two solos to it. The first is
played as it arrives; lateness is against the times that the touches' dt give. The second is
sent with --osc-ahead 50 and scheduled by sclang's clock; lateness is against the timetags.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path

from _output import argument_parser, print_and_save

from robojam.bench import percentile
from robojam.bench.client import EngineProcess
from robojam.bench.measures import FASTER

PROGRAM = """
thisProcess.openUDPPort(PORT);
[\\down, \\move].do { |phase|
	OSCdef(phase, { |msg, time|
		var arrived = Main.elapsedTime;
		SystemClock.schedAbs(time, {
			"TOUCH % % % %".format(time, arrived, Main.elapsedTime, msg[4]).postln;
			nil
		});
	}, "/robojam/ai/" ++ phase);
};
"READY".postln;
"""
AHEAD_MS = 50
#: Environment in which sclang needs no display.
HEADLESS = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}


def listen(touches: int, *options: str) -> list[list[float]]:
    """Play a solo to sclang; return each touch's due time, arrival, execution and dt (s)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "listen.scd"
        program.write_text(PROGRAM.replace("PORT", str(port)))
        sclang = subprocess.Popen(
            ["sclang", "-D", str(program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **HEADLESS},
        )
        try:
            assert sclang.stdout is not None
            lines = (line.split() for line in sclang.stdout)
            while next(lines)[:1] != ["READY"]:
                pass
            output = ("--osc-out", f"127.0.0.1:{port}", *options)
            engine = EngineProcess("--mode", "solo", "--sessions", folder, *FASTER, *output)
            rows: list[list[float]] = []
            while len(rows) < touches:
                words = next(lines)
                if words[:1] == ["TOUCH"]:
                    rows.append([float(word) for word in words[1:]])
            engine.close()
            return rows
        finally:
            sclang.kill()
            sclang.wait()


def lateness(rows: list[list[float]]) -> list[float]:
    """Return how late each touch arrived, relative to the least late one (seconds)."""
    due, offsets = 0.0, []
    for _, arrived, _, dt in rows:
        due += dt
        offsets.append(arrived - due)
    return [offset - min(offsets) for offset in offsets]


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99 and the maximum in ms."""
    return {f"p{100 * share:g}": 1000 * percentile(seconds, share) for share in (0.5, 0.99, 1)}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--touches", type=int, default=1000)
    args = parser.parse_args()
    immediate = listen(args.touches)
    scheduled = listen(args.touches, "--osc-ahead", str(AHEAD_MS))
    figures = {
        "touches": args.touches,
        "late as it arrives, ms": percentiles(lateness(immediate)),
        f"late as scheduled, {AHEAD_MS} ms ahead, ms": percentiles(
            [executed - due for due, _, executed, _ in scheduled]
        ),
        "arrived too late to be scheduled": sum(
            arrived > due for due, arrived, _, _ in scheduled
        ),
    }
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
