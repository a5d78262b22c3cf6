"""Child processes: they end with their parent, and only the parent answers a Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import ROOT
from support.engine import PATIENCE, first_line, stop

from robojam.system.child_process import (
    ChildProcess,
    on_stdin_end,
    python_command,
    read_first_line,
    termination_signals,
    wait_for_stdin_end,
)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

#: A module that says when it is ready, and how it ended.
CHILD = """
import sys
from robojam.system.child_process import read_first_line, wait_for_stdin_end
print("ready", read_first_line().decode().strip() if "line" in sys.argv else "", flush=True)
wait_for_stdin_end()
print("ended", flush=True)
"""
#: A module that watches nothing and ends by itself at a signal alone.
DEAF = "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"
#: A program that starts a child, and reports its process id.
PARENT = """
import sys, time
from robojam.system.child_process import ChildProcess
print(ChildProcess("child").pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with which the modules `child` and `deaf` are found."""
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "deaf.py").write_text(DEAF)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def start(environment: dict[str, str], module: str = "child", *arguments: str, **options):
    """A child process and the first line of its output."""
    child = ChildProcess(module, *arguments, stdout=subprocess.PIPE, env=environment, **options)
    assert child.stdout is not None
    return child, child.stdout.readline().split()


def test_child_that_is_asked_to_end_ends_by_itself(environment):
    child, line = start(environment)
    assert line == [b"ready"]
    assert child.poll() is None
    assert child.end(PATIENCE) == 0
    assert child.stdout.read() == b"ended\n"
    assert child.end(PATIENCE) == 0  # and may be asked again


def test_first_line_reaches_the_child_and_leaves_its_input_open(environment):
    child, line = start(environment, "child", "line", first_line=b"a secret")
    assert line == [b"ready", b"a", b"secret"]
    assert child.end(PATIENCE) == 0


def test_child_that_does_not_end_in_time_is_killed(environment):
    child, line = start(environment, "deaf")
    assert line == [b"ready"]
    assert child.end(0.05) != 0
    assert child.poll() is not None


@posix
def test_child_that_does_not_watch_its_input_is_ended_by_sigterm(environment):
    child, _ = start(environment, "deaf")
    assert child.end(PATIENCE, terminate=True) == -signal.SIGTERM


def test_exit_is_reported_with_its_status(environment):
    child, _ = start(environment)
    statuses: list[int] = []
    reported = threading.Event()
    child.on_exit(lambda status: (statuses.append(status), reported.set()))
    child.end(PATIENCE)
    assert reported.wait(PATIENCE)
    assert statuses == [0]


def test_module_that_does_not_exist_ends_at_once(environment):
    child = ChildProcess(
        "robojam.none", first_line=b"x" * 9, stderr=subprocess.DEVNULL, env=environment
    )
    assert child.wait() == 1


def test_interpreter_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        ChildProcess("robojam")


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_when_its_parent_is_killed(how, environment):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        pid = int(first_line(parent))
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready \n"
        assert os.getsid(pid) == pid  # a Ctrl-C in the terminal does not reach it
        parent.send_signal(how)
        assert parent.stdout.readline() == "ended\n"
    finally:
        stop(parent)


def test_files_in_the_current_folder_are_not_imported(tmp_path, monkeypatch):
    for name in ("random", "msgspec", "numpy", "robojam", "subprocess"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        python_command("robojam", "sessions", str(ROOT / "sessions")),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def stdin(monkeypatch):
    """The write end of a pipe that is descriptor 0 while the test runs."""
    read_end, write_end = os.pipe()
    saved = os.dup(0)
    os.dup2(read_end, 0)
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as pipe:
        yield pipe
    os.dup2(saved, 0)
    os.close(saved)


def test_end_of_standard_input_is_noticed_after_any_input(stdin):
    ended = threading.Event()
    stdin.write(b"first\nsecond")
    assert read_first_line() == b"first\n"
    on_stdin_end(ended.set)
    stdin.write(b"more")
    assert not ended.is_set()
    stdin.close()
    assert ended.wait(PATIENCE)
    wait_for_stdin_end()
    assert read_first_line() == b""


@posix
@pytest.mark.usefixtures("hangup")
def test_closed_terminal_ends_a_program_unless_hangups_are_ignored():
    assert signal.SIGHUP in termination_signals()
    assert {signal.SIGINT, signal.SIGTERM} < set(termination_signals())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    assert set(termination_signals()) == {signal.SIGINT, signal.SIGTERM}


def test_windows_has_no_signal_of_a_closed_terminal(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("robojam.system.child_process.os.name", "nt")
        patch.delattr(signal, "SIGHUP", raising=False)
        signals = termination_signals()
    assert signals == [signal.SIGINT, signal.SIGTERM]
