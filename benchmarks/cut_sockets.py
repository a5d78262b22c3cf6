"""Cut the sockets of pads at random for an hour: no finger may stay down, and nothing grow.

    sudo nice -n 5 python benchmarks/cut_sockets.py [--seconds 3600] [--seed 1] [--json FILE]

Twelve pads of this machine and, where there is root and the program `ip`, twelve of a second
host (a network namespace) play; each is cut in one of the ways of tests/support/cut_sockets.py
and opened again. The link to the second host goes down for up to 8 s, and comes up again. Once
a minute all rest: then no finger may be down and no page open, and the memory and open files
of both processes are noted. Ends with status 1 where a finger stayed down.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _output import argument_parser, print_and_save
from _web_engine import Engine

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.network import SecondHost

CUTTER = Path(__file__).parent.parent / "tests" / "support" / "cut_sockets.py"
PADS = 12
#: Seconds between two rests, and within which all have lifted at one.
PLAYING, LIFTED = 50.0, 20.0


class Cutting:
    """Program that plays and cuts pads."""

    def __init__(self, url: str, seed: int, hosts: list[str], *prefix: str) -> None:
        command = [*prefix, sys.executable, str(CUTTER), url, str(seed), *hosts]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.cuts: Counter[str] = Counter()
        self.refused = self.stuck = 0
        self.longest = 0.0

    def say(self, word: str) -> None:
        """Say that all pads are to rest, or to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def await_rest(self) -> None:
        """Wait until no pad is open, and note what was done."""
        assert self._process.stdout is not None
        cuts, self.refused, self.stuck, self.longest = json.loads(
            self._process.stdout.readline()
        )
        self.cuts = Counter(cuts)

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()


def _resources(processes: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return the memory in MB and the open files of processes."""
    found = {}
    for name, process in processes.items():
        folder = Path(f"/proc/{process}")
        pages = int((folder / "statm").read_text().split()[1])
        found[name] = {
            "rss_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
            "files": len(list((folder / "fd").iterdir())),
        }
    return found


def _rest(engine: Engine) -> tuple[float, dict[str, Any]]:
    """Wait until no finger is down and no page open; return the seconds and the status."""
    began = time.monotonic()
    while True:
        status = engine.status()
        waited = time.monotonic() - began
        done = not status.get("fingers", 1) and not status["web"]["connections"]
        if done or waited > LIFTED:
            return waited, status
        time.sleep(0.1)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, rows = random.Random(args.seed), []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        engine = Engine(folder, "--mode", "listen", "--web", "0.0.0.0:0")
        stack.callback(engine.close)
        port, token = engine.url.rpartition(":")[2].split("/", 1)
        here = [f"127.0.{30 + n}.1" for n in range(PADS)]
        cutting = [Cutting(f"http://127.0.0.1:{port}/{token}", args.seed, here)]
        stack.callback(cutting[0].close)
        other = None
        if os.geteuid() == 0:
            other = SecondHost(77)
            stack.callback(other.close)
            url = f"http://{other.here}:{port}/{token}"
            hosts = other.add_addresses(PADS)
            cutting.append(Cutting(url, args.seed + 1, hosts, *other.command()))
            stack.callback(cutting[1].close)
        ends = time.monotonic() + args.seconds
        links = down = 0
        while True:
            rest_at = min(ends, time.monotonic() + PLAYING)
            while (now := time.monotonic()) < rest_at:
                time.sleep(min(rest_at - now, rng.uniform(2, 12)))
                if other is not None and time.monotonic() < rest_at:
                    seconds = rng.uniform(0.2, 8)
                    other.set_link(up=False)
                    time.sleep(seconds)
                    other.set_link(up=True)
                    links, down = links + 1, down + seconds
            last = time.monotonic() >= ends
            for each in cutting:
                each.say("end" if last else "rest")
            for each in cutting:
                each.await_rest()
            waited, status = _rest(engine)
            rows.append({
                "minute": round((args.seconds - ends + time.monotonic()) / 60, 1),
                "rest_s": round(waited, 2), "fingers": status["fingers"],
                "pages": status["web"]["connections"], "restarts": status["web"]["restarts"],
                **_resources(engine.processes),
            })  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
            if last:
                break
            for each in cutting:
                with suppress(BrokenPipeError):
                    each.say("on")
        cuts = sum((each.cuts for each in cutting), Counter[str]())
        figures = {
            "load": os.getloadavg()[0],
            "cuts": sum(cuts.values()), "ways": dict(cuts),
            "link_down": links, "link_down_s": round(down),
            "refused": [each.refused for each in cutting],
            "not_closed": [each.stuck for each in cutting],
            "longest_until_closed_s": [round(each.longest, 1) for each in cutting],
            "fingers_down_at_a_rest": sum(row["fingers"] for row in rows),
            "longest_rest_s": max(row["rest_s"] for row in rows),
            "touches": status["heard"], "dropped": status["dropped"],
            "minutes": [rows[0], rows[min(4, len(rows) - 1)], rows[-1]],
        }  # fmt: skip
    print_and_save(figures, args.json)
    sys.exit(bool(figures["fingers_down_at_a_rest"]))


if __name__ == "__main__":
    main()
