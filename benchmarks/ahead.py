"""Jitter in a real SuperCollider: touches as they arrive, and as their timetags schedule them.

    python benchmarks/ahead.py [--touches 1000] [--json]

Needs sclang (Debian: supercollider-language). robojam plays it two solos: one that sclang
lets sound as it comes, against the instants that the touches' dt make; and one with
--osc-ahead 50, whose bundles sclang's own clock schedules, against the instants for which
they are stamped.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

from robojam.bench import percentile
from robojam.bench.client import EngineProcess
from robojam.bench.measures import FASTER

PROGRAM = """
thisProcess.openUDPPort(PORT);
[\\down, \\move].do { |phase|
	OSCdef(phase, { |msg, time|
		var came = Main.elapsedTime;
		SystemClock.schedAbs(time, {
			"TOUCH % % % %".format(time, came, Main.elapsedTime, msg[4]).postln;
			nil
		});
	}, "/robojam/ai/" ++ phase);
};
"READY".postln;
"""
AHEAD_MS = 50
QUIET = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}


def listen(touches: int, *options: str) -> list[list[float]]:
    """Return of each touch: the instant it is for, when it came, when it happened, its dt."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "listen.scd"
        program.write_text(PROGRAM.replace("PORT", str(port)))
        language = subprocess.Popen(
            ["sclang", "-D", str(program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **QUIET},
        )
        try:
            assert language.stdout is not None
            said = (line.split() for line in language.stdout)
            while next(said)[:1] != ["READY"]:
                pass
            to = ("--osc-out", f"127.0.0.1:{port}", *options)
            engine = EngineProcess("--mode", "solo", "--sessions", folder, *FASTER, *to)
            found: list[list[float]] = []
            while len(found) < touches:
                words = next(said)
                if words[:1] == ["TOUCH"]:
                    found.append([float(word) for word in words[1:]])
            engine.close()
            return found
        finally:
            language.kill()
            language.wait()


def late(touches: list[list[float]]) -> list[float]:
    """How late each came, counted from the one that was the least late."""
    due, offsets = 0.0, []
    for _, came, _, dt in touches:
        due += dt
        offsets.append(came - due)
    return [offset - min(offsets) for offset in offsets]


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Percentiles in ms."""
    return {f"p{100 * share:g}": 1000 * percentile(seconds, share) for share in (0.5, 0.99, 1)}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--touches", type=int, default=1000)
    asked.add_argument("--json", action="store_true")
    chosen = asked.parse_args()
    plain = listen(chosen.touches)
    ahead = listen(chosen.touches, "--osc-ahead", str(AHEAD_MS))
    table = {
        "touches": chosen.touches,
        "late as it comes, ms": percentiles(late(plain)),
        f"late as scheduled, {AHEAD_MS} ms ahead, ms": percentiles(
            [happened - due for due, _, happened, _ in ahead]
        ),
        "came too late to be scheduled": sum(came > due for due, came, _, _ in ahead),
    }
    print(json.dumps(table, indent=1) if chosen.json else table)


if __name__ == "__main__":
    main()
