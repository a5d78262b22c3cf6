"""The process that compiles the steps: its priority, its end, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.engine import MODEL, PATIENCE
from support.steppers import needs_numba

from robojam.player import compiler
from robojam.player.compiler import compile_apart
from robojam.system.child_process import ChildProcess
from robojam.system.priority import REAL_TIME

#: In the place of numba: it says at which priority it is imported, and is broken.
_NUMBA = """
import os
with open(os.environ["SEEN"], "a") as file:
    file.write(f"{os.sched_getscheduler(0)} {os.getpriority(os.PRIO_PROCESS, 0)}\\n")
raise ImportError("this is no numba")
"""
#: An engine that has been given real-time priority, and loads a compiled model.
_ENGINE = """
import json, os, sys, threading
from pathlib import Path
from robojam.engine import model_loader
from robojam.system.priority import raise_priority

def load_compiler():
    policies.append(os.sched_getscheduler(0))
    raise ImportError

policies, granted = [], raise_priority()
model_loader.can_compile, model_loader.load_compiler = lambda: True, load_compiler
model_loader.Models([], device="cpu").load_compiled(Path(sys.argv[1]), 1, print)
(thread,) = [each for each in threading.enumerate() if each.name == "compiler"]
thread.join()
print(json.dumps([granted, [policy & ~os.SCHED_RESET_ON_FORK for policy in policies]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")
def test_engine_of_real_time_priority_compiles_behind_programs_and_imports_before_them(
    tmp_path: Path,
) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "numba.py").write_text(_NUMBA)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    result = subprocess.run(
        [sys.executable, "-P", "-c", _ENGINE, str(MODEL)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "SEEN": str(seen)},
        stdout=subprocess.PIPE, check=True, timeout=PATIENCE,
    )  # fmt: skip
    granted, importing = json.loads(result.stdout)
    (compiling,) = seen.read_text().splitlines()
    assert compiling.split()[0] == str(os.SCHED_OTHER)
    assert int(compiling.split()[1]) >= 0
    if granted != REAL_TIME:
        pytest.skip("the system grants no real-time priority here")
    assert compiling == f"{os.SCHED_OTHER} 10"
    assert importing == [os.SCHED_RR]


@needs_numba
def test_compiled_steps_are_on_disk_and_another_process_takes_them_from_there() -> None:
    assert compile_apart() is True
    script = """
from robojam.player import kernels
steps = kernels.prepare, kernels.feed, kernels.sample
print([sum(each.stats.cache_misses.values()) for each in steps])
"""
    command = [sys.executable, "-P", "-c", script]
    assert subprocess.check_output(command, timeout=PATIENCE) == b"[0, 0, 0]\n"


def test_process_ends_with_its_parent() -> None:
    process = ChildProcess(compiler.__name__, stdout=subprocess.DEVNULL)
    assert process.end(PATIENCE) in (0, 1)


def test_process_that_cannot_be_started_is_left_to_who_imports_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", str(Path("/") / "no" / "such" / "python"))
    assert compile_apart() is False
