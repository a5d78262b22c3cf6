"""Compare robojam with IMPSY on the same machine: latency, tempo, CPU, start, one step.

IMPSY is installed in an environment of its own, because its TensorFlow conflicts with torch:

    python3 -m venv ../impsy && ../impsy/bin/pip install impsy
    .venv/bin/python benchmarks/against_impsy.py --impsy ../impsy/bin/python [--json FILE]

IMPSY runs its own program with its own OSC client and server. Its model is replaced by a stub
that takes no time and always returns a dt of 20 ms, so only the program is measured. robojam
runs with its default model. For the time of one step both run real networks of the same size:
2 x UNITS, five components, three dimensions.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from _output import argument_parser, save

from robojam.bench import percentile, processor
from robojam.bench.client import EngineProcess
from robojam.bench.measures import beyond_dt
from robojam.wire import osc

DT = 0.02
RUNNER = f"""
import sys
import numpy as np
from impsy import mdrnn
def generate(self, previous):
    values = [0.5, 0.5] if self.dimension == 3 else np.random.rand(self.dimension - 1)
    return np.array([{DT}, *values])
mdrnn.DummyMDRNN.generate = generate
from impsy.impsy import main
main()
"""
STEP = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np
from impsy import mdrnn
from impsy.tflite_converter import model_to_tflite
out = {}
for units in json.loads(sys.argv[1]):
    with tempfile.TemporaryDirectory() as folder:
        model = mdrnn.build_mdrnn_model(3, units, 5, 2, inference=True, seq_length=1)
        path = Path(folder) / f"musicMDRNN-dim3-layers2-units{units}-mixtures5-scale10.keras"
        model_to_tflite(model, path)
        net = mdrnn.TfliteMDRNN.from_file(path.with_suffix(".tflite"))
        value = np.array([0.02, 0.5, 0.5])
        times = []
        for i in range(2200):
            began = time.perf_counter()
            value = net.generate(value)
            times.append(time.perf_counter() - began)
            value = np.clip(value, 0.001, 1)
        times = sorted(times[200:])
        out[units] = [1000 * times[len(times) // 2], 1000 * times[int(0.99 * len(times))]]
print("RESULT" + json.dumps(out))
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Impsy:
    """Running IMPSY with its input and its output."""

    def __init__(
        self,
        python: str,
        mode: str,
        to: tuple[str, int] | None = None,
        port: int = 0,
        *,
        dimension: int = 3,
        model: str = "none",
        more: str = "",
    ) -> None:
        """Start IMPSY; it plays to an address, by default to the socket of `receive`.

        model is the file of its model, instead of the stub; more are further sections of its
        file.
        """
        self.folder = tempfile.TemporaryDirectory()
        port = port or free_port()
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        self.out.settimeout(60)
        self.input = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = ("127.0.0.1", port)
        folder = Path(self.folder.name)
        (folder / "run.py").write_text(RUNNER)
        (folder / "config.toml").write_text(
            "log_input = true\nlog_predictions = true\nverbose = false\n"
            f'[interaction]\nmode = "{mode}"\nthreshold = 0.5\ninput_thru = false\n'
            f'[model]\ndimension = {dimension}\nfile = "{model}"\nsize = "s"\n'
            "sigmatemp = 0.01\npitemp = 1\ntimescale = 1\n"
            f'[osc]\nserver_ip = "127.0.0.1"\nserver_port = {port}\nclient_ip = "127.0.0.1"\n'
            f"client_port = {(to or self.out.getsockname())[1]}\n{more}"
        )
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [python, "run.py", "run", "-c", "config.toml"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"},
        )

    def send(self, *values: float) -> float:
        """Send the values of an event to IMPSY; return the time."""
        at = time.perf_counter()
        self.input.sendto(osc.encode("/interface", "f" * len(values), *values), self.address)
        return at

    def receive(self) -> float:
        """Wait for a touch of IMPSY; return its time of arrival."""
        while True:
            packet = self.out.recv(65536)
            if packet.startswith((b"/impsy", b"/prediction")):
                return time.perf_counter()

    def drain(self, seconds: float) -> None:
        """Discard what IMPSY sends for some seconds."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.out.settimeout(left)
            try:
                self.out.recv(65536)
            except TimeoutError:
                break
        self.out.settimeout(60)

    def cpu(self) -> float:
        """Return the CPU seconds that IMPSY has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End IMPSY; its folder stays until `close`."""
        self.process.terminate()
        self.process.wait()

    def close(self) -> None:
        self.end()
        self.folder.cleanup()


def impsy(python: str, touches: int) -> dict[str, float]:
    """Measure IMPSY."""
    duet = Impsy(python, "polyphony")
    first = 0.0
    while first == 0.0:  # it does not answer before it is ready
        duet.send(0.5, 0.5)
        duet.out.settimeout(0.05)
        try:
            first = duet.receive() - duet.began
        except TimeoutError:
            continue
    duet.drain(0.5)
    beyond = []
    for i in range(touches):
        sent = duet.send(0.3 + 0.4 * (i % 7) / 7, 0.5)
        beyond.append(1000 * (duet.receive() - sent - DT))
        duet.drain(0.005)
    before, began = duet.cpu(), time.perf_counter()
    time.sleep(3)
    cpu = 100 * (duet.cpu() - before) / (time.perf_counter() - began)
    duet.close()

    solo = Impsy(python, "battle")
    solo.receive()
    at = [solo.receive() for _ in range(touches)]
    gaps = [b - a for a, b in pairwise(at)]
    solo.close()
    return {
        "start to first output, s": first,
        "touch in to touch out beyond dt, p50, ms": percentile(beyond, 0.5),
        "touch in to touch out beyond dt, p99, ms": percentile(beyond, 0.99),
        "plays too slowly by, %": 100 * (sum(gaps) / len(gaps) / DT - 1),
        "CPU while waiting, % of a core": cpu,
    }


def robojam(touches: int) -> dict[str, float]:
    """Measure robojam, with its default model."""
    with tempfile.TemporaryDirectory() as folder:
        duet = EngineProcess("--mode", "duet", "--sessions", folder)
        first = duet.ready_s
        beyond = beyond_dt(duet, touches)
        duet.close()
        waiting = EngineProcess("--sessions", folder)
        list(waiting.messages(time.perf_counter() + 0.5))
        before = waiting.status()
        list(waiting.messages(time.perf_counter() + 3))
        after = waiting.status()
        waiting.close()
        solo = EngineProcess("--mode", "solo", "--sessions", folder)
        at: list[float] = []
        due: list[float] = []
        for message in solo.messages(time.perf_counter() + 120):
            if message.is_touch:
                at.append(message.at)
                due.append(message.args[3])
                if len(at) > touches:
                    break
        solo.close()
    return {
        "start to first output, s": first,
        "touch in to touch out beyond dt, p50, ms": percentile(beyond, 0.5),
        "touch in to touch out beyond dt, p99, ms": percentile(beyond, 0.99),
        "plays too slowly by, %": 100 * ((at[-1] - at[0]) / sum(due[1:]) - 1),
        "CPU while waiting, % of a core": 100
        * (after["cpu_s"] - before["cpu_s"])
        / (after["uptime_s"] - before["uptime_s"]),
    }


def impsy_step(python: str, sizes: list[int]) -> dict[str, list[float]]:
    """Return p50 and p99 in ms of IMPSY's TFLite step with sampling, for each size."""
    result = subprocess.run(
        [python, "-c", STEP, json.dumps(sizes)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    line = next(x for x in result.stdout.splitlines() if x.startswith("RESULT"))
    return dict(json.loads(line.removeprefix("RESULT")))


def robojam_step(sizes: list[int]) -> dict[str, list[float]]:
    """Return p50 and p99 in ms of robojam's step with sampling, for each size."""
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("model_step.py"), *map(str, sizes)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(result.stdout))


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--impsy", required=True, metavar="PYTHON", help="the Python of IMPSY's environment"
    )
    parser.add_argument("--touches", type=int, default=300)
    args = parser.parse_args()
    ours, theirs = robojam(args.touches), impsy(args.impsy, args.touches)
    sizes = [64, 256, 512]
    for units, times in robojam_step(sizes).items():
        ours[f"one step with sampling, 2 x {units}, p50, ms"] = times[0]
        ours[f"one step with sampling, 2 x {units}, p99, ms"] = times[1]
    for units, times in impsy_step(args.impsy, sizes).items():
        theirs[f"one step with sampling, 2 x {units}, p50, ms"] = times[0]
        theirs[f"one step with sampling, 2 x {units}, p99, ms"] = times[1]
    version = subprocess.run(
        [args.impsy, "-c", "from importlib.metadata import version as v; print(v('impsy'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    conditions = {
        "command": "python benchmarks/against_impsy.py",
        "processor": processor(),
        "python": sys.version.split()[0],
        "impsy": version,
    }
    save({**conditions, "robojam": ours, "IMPSY": theirs}, args.json)
    print(f"{'':52}{'robojam':>12}{'IMPSY':>12}{'ratio':>9}")
    for name, value in ours.items():
        ratio = theirs[name] / value if value else float("inf")
        print(f"{name:52}{value:12.4g}{theirs[name]:12.4g}{ratio:9.1f}")


if __name__ == "__main__":
    main()
