"""Measure one step of the default model by each path: numpy, numba, onnxruntime.

    python benchmarks/steps.py [--json FILE]

A step feeds a touch to each voice and samples the next. Its two halves, hearing and drawing,
are timed with warm caches, and cold: between two steps 96 MB are written and the process
sleeps for 5 ms, as a jam sleeps between touches. numba is the extra `fast`; the graphs of
onnxruntime are made with onnx (neither is needed by robojam: pip install onnx onnxruntime).
They end at the heads' outputs: what numpy would sample from these is not in their time.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _output import argument_parser, save

from robojam.bench import percentile
from robojam.config.options import Options
from robojam.engine.model_loader import one_thread
from robojam.model import file as model_file
from robojam.model.features import feature_count
from robojam.player.cpu_batch import BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.reference import Network, Sampling

BATCHES = (1, 8, 64, 256)
SAMPLING: Sampling = {"temperature": 1.0, "spread": 1.0}
EVENT = [0.5, 0.5, 0.017, 1.0]
NUMBERS = [0.4, 0.5, 0.6, 0.1, -0.2, 0.3, 0.0]

#: Steps of a path: hear, draw, and compute ahead in the rest before the next touch.
Path3 = tuple[Callable[[], object], Callable[[], object], Callable[[], object]]


def nothing() -> None:
    """Compute nothing ahead."""


def numpy_steps(network: Network, voices: int) -> Path3:
    """The default path: one voice, or a batch."""
    if voices == 1:
        single = SingleStepper(network, 1)
        draw = lambda: single.sample([0], [NUMBERS], **SAMPLING)  # noqa: E731
        return lambda: single.feed(0, EVENT), draw, single.prepare
    batch, events = BatchStepper(network, voices), np.array([EVENT] * voices, np.float32)
    numbers = np.array([NUMBERS] * voices, np.float32)
    return (
        lambda: batch.feed_rows(batch.rows, events),
        lambda: batch.sample_rows(batch.rows, numbers, **SAMPLING),
        nothing,
    )


def numba_steps(network: Network, voices: int) -> Path3:
    """The compiled path; many voices one after the other."""
    from robojam.player.cpu_compiled import CompiledStepper

    stepper = CompiledStepper(network, voices)

    def hear() -> None:
        for voice in range(voices):
            stepper.feed(voice, EVENT)

    def draw() -> None:
        for voice in range(voices):
            stepper.sample([voice], [NUMBERS], **SAMPLING)

    return hear, draw, stepper.prepare


def onnx_steps(network: Network, voices: int, *, threads: int, int8: bool) -> Path3:
    """A graph for hearing, and one for the heads of a voice that will slide."""
    import onnxruntime as ort

    with TemporaryDirectory() as folder:
        sessions = []
        for name, graph in onnx_graphs(network).items():
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(graph)
            if int8:
                from onnxruntime.quantization import quantize_dynamic

                quantize_dynamic(path, path.with_suffix(".int8"))
                path = path.with_suffix(".int8")
            options = ort.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = threads, 3
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            sessions.append(ort.InferenceSession(path, options, ["CPUExecutionProvider"]))
    n, layers = network.units, len(network.gates)
    state = {
        f"{name}{layer}": np.zeros((voices, n), np.float32)
        for layer in range(layers)
        for name in "hc"
    }
    features = np.zeros((voices, feature_count(network.event)), np.float32)

    def hear() -> None:
        outputs = sessions[0].run(None, {"x": features, **state})
        state.update(zip(state, outputs, strict=True))

    hidden = [f"h{layer}" for layer in range(layers)]
    given = lambda: {"x": features, **{name: state[name] for name in hidden}}  # noqa: E731
    return hear, lambda: sessions[1].run(None, given()), nothing


def onnx_graphs(network: Network) -> dict[str, bytes]:
    """Return the two graphs of a network as files."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    n, layers, f = network.units, len(network.gates), feature_count(network.event)
    graphs = {}
    for name in ("hear", "draw"):
        nodes: list[Any] = []
        weights: dict[str, Any] = {"half": np.array(0.5, np.float32)}

        def add(kind: str, *inputs: str, to: str, nodes: list[Any] = nodes, **more: Any) -> str:
            nodes.append(helper.make_node(kind, [*inputs], [to], **more))
            return to

        def product(
            x: str, weight: Any, bias: Any, *, to: str, weights: dict[str, Any] = weights
        ) -> str:
            weights |= {f"{to}_w": weight, f"{to}_b": bias}
            add("MatMul", x, f"{to}_w", to=f"{to}_m")
            return add("Add", f"{to}_m", f"{to}_b", to=to)

        inputs = {"x": f, **{f"h{i}": n for i in range(layers)}}
        outputs: list[str] = []
        if name == "hear":
            x = "x"
            for i, (weight, bias) in enumerate(network.gates):
                inputs[f"c{i}"] = n
                add("Concat", x, f"h{i}", to=f"in{i}", axis=1)
                add("Tanh", product(f"in{i}", weight, bias, to=f"z{i}"), to=f"t{i}")
                weights["parts"] = np.array([n] * 4, np.int64)
                parts = [f"{gate}{i}" for gate in "ifgo"]
                nodes.append(helper.make_node("Split", [f"t{i}", "parts"], parts, axis=1))
                for gate in "ifo":
                    add("Mul", f"{gate}{i}", "half", to=f"{gate}{i}half")
                    add("Add", f"{gate}{i}half", "half", to=f"{gate}{i}open")
                add("Mul", f"f{i}open", f"c{i}", to=f"kept{i}")
                add("Mul", f"i{i}open", f"g{i}", to=f"new{i}")
                add("Add", f"kept{i}", f"new{i}", to=f"c{i}out")
                add("Tanh", f"c{i}out", to=f"c{i}tanh")
                x = add("Mul", f"o{i}open", f"c{i}tanh", to=f"h{i}out")
                outputs += [f"h{i}out", f"c{i}out"]
        else:
            hidden = [f"h{i}" for i in range(layers)]
            add("Concat", *hidden, "x", to="in", axis=1)
            product("in", *network.trunk, to="trunk")
            for i, head in enumerate(network.heads):
                weights |= {
                    f"from{i}": np.array([head.trunk.start], np.int64),
                    f"to{i}": np.array([head.trunk.stop], np.int64),
                    "axis": np.array([1], np.int64),
                }
                add("Slice", "trunk", f"from{i}", f"to{i}", "axis", to=f"part{i}")
                add("Tanh", f"part{i}", to=f"hidden{i}")
                outputs.append(product(f"hidden{i}", head.weight, head.bias, to=f"out{i}"))
        graph = helper.make_graph(
            nodes,
            name,
            [
                helper.make_tensor_value_info(k, TensorProto.FLOAT, ["v", size])
                for k, size in inputs.items()
            ],
            [
                helper.make_tensor_value_info(k, TensorProto.FLOAT, ["v", f"{k}_size"])
                for k in outputs
            ],
            [numpy_helper.from_array(np.asarray(w), k) for k, w in weights.items()],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        onnx.checker.check_model(model)
        graphs[name] = model.SerializeToString()
    return graphs


PATHS: dict[str, Callable[[Network, int], Path3]] = {
    "numpy": numpy_steps,
    "numba": numba_steps,
    "onnxruntime": lambda n, v: onnx_steps(n, v, threads=1, int8=False),
    "onnxruntime, 2 threads": lambda n, v: onnx_steps(n, v, threads=2, int8=False),
    "onnxruntime, int8": lambda n, v: onnx_steps(n, v, threads=1, int8=True),
}
#: Modules that a path imports, and the packages that are installed for it besides numpy.
NEEDS = {"numpy": (), "numba": ("numba", "llvmlite"), "onnxruntime": ("onnxruntime",)}


def measure(
    made: dict[str, Path3], steps: int, between: Callable[[], object]
) -> dict[str, list[float]]:
    """Step each path in turn; return p50 and p99 of hearing and of drawing in µs."""
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in made}
    for i in range(steps + 10):
        for name, (hear, draw, ahead) in made.items():
            ahead()
            between()
            began = time.perf_counter()
            hear()
            heard = time.perf_counter()
            draw()
            drawn = time.perf_counter()
            if i >= 10:
                times[name][0].append(1e6 * (heard - began))
                times[name][1].append(1e6 * (drawn - heard))
    return {
        name: [percentile(part, share) for part in parts for share in (0.5, 0.99)]
        for name, parts in times.items()
    }


def start_up(package: str) -> float:
    """Return the seconds that importing a package adds to importing numpy, at best."""
    names = "numpy" if package == "numpy" else f"numpy, {package}"
    best = {}
    for imported in ("numpy", names):
        ran = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {imported}"], check=True)
            ran.append(time.perf_counter() - began)
        best[imported] = min(ran)
    return best[names] - best["numpy"]


def size_mb(packages: tuple[str, ...]) -> float:
    """Return the size of installed packages, without what they need, in MB."""
    files = [file for name in packages for file in metadata.files(name) or []]
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--steps", type=int, default=300, help="steps of each, cold")
    args = parser.parse_args()
    one_thread()
    file = model_file.read(model_file.find(Options().model))
    network = Network(np, file.event, file.weights)
    waste = np.zeros(96 << 18, np.float32)

    def cool() -> None:
        np.add(waste, 1, out=waste)
        time.sleep(0.005)

    figures: dict[str, Any] = {}
    available = {
        name: make
        for name, make in PATHS.items()
        if all(map(importlib.util.find_spec, NEEDS[name.partition(",")[0]]))
    }
    for package in dict.fromkeys(name.partition(",")[0] for name in available):
        needs = NEEDS[package]
        seconds, size = start_up(package), size_mb(needs)
        figures[f"{package}: import s, MB"] = [seconds, size]
        print(f"{package}: import {seconds:.2f} s, {size:.0f} MB")
    print("µs, p50 and p99    hear warm | draw warm | hear cold | draw cold")
    for voices in BATCHES:
        made = {name: make(network, voices) for name, make in available.items()}
        warm = measure(made, max(20, 2000 // voices), nothing)
        cold = measure(made, max(20, args.steps // max(1, voices // 8)), cool)
        for name in made:
            figures[f"{voices}: {name}"] = [*warm[name], *cold[name]]
            row = "".join(f"{value:9.0f}" for value in figures[f"{voices}: {name}"])
            print(f"{voices:4} {name:24}{row}", flush=True)
    save(figures, args.json)


if __name__ == "__main__":
    main()
