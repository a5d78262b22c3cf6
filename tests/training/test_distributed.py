"""Data-parallel training: results equal those of one process, and errors are reported once."""

from __future__ import annotations

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.models import TOUCHES, corpus, npz

from robojam.cli import main
from robojam.corpus.formats import read
from robojam.model.mdrnn import load
from robojam.training import checkpoint
from robojam.training.trainer import Trainer, TrainingSettings

ROOT = Path(__file__).parents[2]
SIZES = (
    "--units 8 --layers 1 --components 2 --hidden 8 --window 16 --batch 128 --passes 4".split()
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
        reason="this torch trains in one process only",
    ),
]

#: Runs with batches of 64 events and of 1; each process saves its results.
RUN = """
import os, sys
from pathlib import Path
import numpy as np
from support.models import TOUCHES, corpus
from robojam.training.distributed import join_workers
from robojam.training.trainer import Trainer, TrainingSettings

def threads():  # Linux names them
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]

with join_workers() as workers:
    for batch in (64, 1):
        settings = TrainingSettings(
            units=8, components=2, hidden=8, passes=4, window=16, batch=batch, warmup=4,
            bfloat16=False, score_every=1, dropout=0.1,
        )
        trainer = Trainer(corpus(TOUCHES, [40, 3, 25, 60, 2]), corpus(TOUCHES, [30]), settings)
        trainer.workers = workers
        losses = [now.loss for now in trainer]
        weights = {n: w.numpy() for n, w in trainer.model.state_dict().items()}
        np.savez(f"{sys.argv[1]}/{os.environ.get('RANK', 'alone')}-{batch}.npz",
            score=trainer.best_score, step=trainer.step, losses=losses, **weights)
    running = threads()
if "RANK" in os.environ and running:
    assert any("gloo" in name for name in running), running
    assert not any("gloo" in name for name in threads()), threads()
"""

#: `robojam train` whose second process executes a statement at step 9.
BROKEN = """
import os, sys
from robojam.training import trainer as train
from robojam.cli import main

def broken(self, batch):
    if self.step == 9 and os.environ["RANK"] == "1":
        {what}
    return real(self, batch)

def out_of_memory(loss):
    raise MemoryError

real, train.Trainer._loss = train.Trainer._loss, broken
main(sys.argv[1:])
"""


def started(*command: object, **environment: str) -> subprocess.Popen[str]:
    """Start a Python program that can import robojam and the tests' support."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def torchrun(*command: object) -> subprocess.Popen[str]:
    how = ("--standalone", "--nproc-per-node", "2")
    return started("-m", "torch.distributed.run", *how, *command)


def both(*command: object) -> tuple[list[int], str, list[str]]:
    """Run two processes without torchrun: exit statuses, output, and robojam's messages."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    programs = [started(*command, **where, RANK=r, LOCAL_RANK=r) for r in ("0", "1")]
    try:
        said = [program.communicate(timeout=120) for program in programs]
    finally:
        for program in programs:
            program.kill()
    out, err = ("".join(texts) for texts in zip(*said, strict=True))
    statuses = [program.returncode for program in programs]
    assert min(statuses) >= 0, f"ended by a signal: {statuses}\n{err}"
    return statuses, out, complaints(err)


def complaints(err: str) -> list[str]:
    """Return robojam's messages."""
    assert "Traceback" not in err.partition("torch/distributed/run.py")[0], err
    return [line for line in err.splitlines() if line.startswith("robojam: ")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return npz(tmp_path / "some.npz", corpus(TOUCHES, [40, 30, 25, 12, 200]))


@pytest.fixture
def val(tmp_path: Path) -> Path:
    return npz(tmp_path / "val.npz", corpus(TOUCHES, [20, 15], seed=1))


def test_two_processes_train_the_weights_of_one(tmp_path, monkeypatch):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    assert both(script, tmp_path)[0] == [0, 0]
    monkeypatch.setattr(sys, "argv", ["run.py", str(tmp_path)])
    runpy.run_path(str(script))
    for batch in (64, 1):  # a batch of one row leaves none for the second process
        alone, first, second = (
            dict(np.load(tmp_path / f"{name}-{batch}.npz")) for name in ("alone", "0", "1")
        )
        assert alone["step"] == first["step"] > 10
        for name, value in alone.items():
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
            np.testing.assert_allclose(first[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_two_processes_write_the_model_of_one(data, val, tmp_path):
    command = ["train", data, "--val", val, *SIZES, "--to"]
    statuses, out, err = both("-m", "robojam", *command, tmp_path / "two.safetensors")
    assert (statuses, err) == ([0, 0], [])
    assert out.count("held out val.npz: 35") == 1
    assert out.count("nats per event on val.npz") == 1
    with pytest.raises(SystemExit):
        main([str(word) for word in [*command, tmp_path / "one.safetensors"]])
    two, one = (load(tmp_path / f"{name}.safetensors")[1] for name in ("two", "one"))
    assert two.steps == one.steps
    assert two.score == pytest.approx(one.score, abs=0.01)
    assert (tmp_path / "two.png").exists()
    assert not (tmp_path / "two.run").exists()


def test_ctrl_c_stops_both_processes_of_torchrun_and_keeps_the_best_model(data, val, tmp_path):
    to = tmp_path / "mine.safetensors"
    command = ["-m", "robojam", "train", data, "--val", val, "--to", to, *SIZES]
    with torchrun(*command, "--passes", 99999, "--patience", 0) as program:
        assert program.stdout is not None
        while "step" not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=120)
    assert err.splitlines().count("stopped") == 1
    assert out.count("--resume goes on") == 1
    run, _ = checkpoint.resume(tmp_path / "mine.run", read(data), read(val))
    assert load(to)[1].steps <= run.step


def test_two_processes_resume_the_run_of_one(data, val, tmp_path):
    to = tmp_path / "mine.safetensors"
    settings = TrainingSettings(units=8, components=2, hidden=8, passes=4, window=16, batch=128)
    straight, stopped = (Trainer(read(data), read(val), settings) for _ in range(2))
    for _ in straight:
        pass
    for _ in zip(range(7), stopped, strict=False):
        pass
    about = {"trained_on": [], "score_on": [], "licence": "", "from": ["", ""]}
    checkpoint.save(stopped, tmp_path / "mine.run", about)
    command = ["-m", "robojam", "train", data, "--val", val, "--to", to, "--resume"]
    statuses, out, err = both(*command)
    assert (statuses, err) == ([0, 0], [])
    assert f"step {straight.step} of {straight.step}" in out
    assert load(to)[1].score == pytest.approx(straight.best_score, abs=0.01)


def test_time_limit_ends_both_processes(data, val, tmp_path):
    to = tmp_path / "mine.safetensors"
    command = ["-m", "robojam", "train", data, "--val", val, "--to", to, *SIZES]
    statuses, out, err = both(*command, "--passes", 99999, "--minutes", 0.01)
    assert (statuses, err) == ([0, 0], [])
    assert len(re.findall(r"its time was up, after \d+ of \d+ steps", out)) == 1
    load(to)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("batch.events[...] = float('nan')", "in process 2 of 2: at step 9 the loss is not"),
        ("raise MemoryError", "in process 2 of 2: a batch of 128 events does not fit"),
        ("self.workers.backward = out_of_memory", "another process of this training is gone"),
        ("os._exit(3)", "another process of this training is gone: "),
    ],
    ids=["not finite", "out of memory", "out of memory in backward", "exit"],
)
def test_error_in_one_process_ends_both_with_one_message(what, message, data, val, tmp_path):
    script, to = tmp_path / "broken.py", tmp_path / "mine.safetensors"
    script.write_text(BROKEN.format(what=what))
    command = ["train", data, "--val", val, "--to", to, *SIZES, "--passes", 99]
    statuses, _, err = both(script, *command)
    assert statuses == [1, 3 if "exit" in what else 0]
    assert len(err) == 1
    assert message in err[0]
    assert err[0].endswith(f"The best until then is in {to}.")
    load(to)


def test_bad_data_is_reported_by_one_process(data, tmp_path):
    bad = tmp_path / "bad.npz"
    bad.write_text("hello")
    statuses, out, err = both("-m", "robojam", "train", data, bad, "--to", tmp_path / "m")
    assert (statuses, out, len(err)) == ([2, 0], "", 1)
    assert "bad.npz: is neither" in err[0]


def test_process_without_its_group_ends_with_one_message(data, tmp_path):
    command = ["-m", "robojam", "train", data, "--to", tmp_path / "m"]
    with started(*command, WORLD_SIZE="2") as program:
        out, err = program.communicate(timeout=120)
    assert (program.returncode, out, err.count("\n")) == (1, "", 1)
    assert "the processes of this training do not meet: " in err


def test_single_process_does_not_import_torch_distributed():
    code = "import sys, {}; print(*(m for m in sys.modules if m.startswith('torch.distrib')))"
    alone: list[Any] = [
        subprocess.run(
            [sys.executable, "-c", code.format(module)],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for module in (
            "torch",
            "robojam.training.trainer, robojam.training.checkpoint",
        )
    ]
    assert alone[0] == alone[1]


def test_train_limits_openmp_spinning_unless_the_user_set_it(monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    code = """
import os, sys
from robojam.training import distributed
from robojam.cli import main

def seen():
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
    sys.exit()

distributed.join_workers = seen
main(["train", "some.npz", "--to", "mine.safetensors"])
"""
    for said, spins in (({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        with started("-c", code, **said) as program:
            assert program.communicate(timeout=60)[0] == f"{spins} False\n"
    with started("-c", code, OMP_WAIT_POLICY="active") as program:
        assert program.communicate(timeout=60)[0] == "None False\n"
