"""Messages to a service manager: what is sent, when, and what is not."""

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest
from support import ROOT
from support.engine import PATIENCE, DrivenEngine, run_program, serving

from robojam.engine import loop
from robojam.system.service_manager import ServiceNotifier

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")

UNITS = sorted((ROOT / "examples" / "systemd").glob("*.service"))

linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")


class Manager:
    """Service manager that listens at a socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self.socket.setblocking(False)

    def received(self) -> list[str]:
        messages = list[str]()
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def environment(self, *, seconds: float | None = None, process: int | None = None):
        made = {"NOTIFY_SOCKET": self.name}
        if seconds is not None:
            made["WATCHDOG_USEC"] = str(int(seconds * 1e6))
        if process is not None:
            made["WATCHDOG_PID"] = str(process)
        return made


@pytest.fixture
def manager() -> Iterator[Manager]:
    # The path of a socket has at most 104 bytes: pytest's own folder may be too long on macOS.
    with tempfile.TemporaryDirectory(prefix="robojam", dir="/tmp") as folder:
        made = Manager(f"{folder}/notify")
        yield made
        made.socket.close()


def test_ready_and_stopping_are_told_in_the_words_of_the_protocol(manager):
    service = ServiceNotifier(manager.environment())
    service.ready("listening on udp://127.0.0.1:5005")
    service.stopping()
    service.close()
    assert manager.received() == [
        "READY=1\nSTATUS=listening on udp://127.0.0.1:5005", "STOPPING=1"
    ]  # fmt: skip


def test_name_of_a_file_in_the_status_adds_no_line_to_the_message(manager):
    service = ServiceNotifier(manager.environment())
    service.ready("plays a\nMAINPID=1\udcff.safetensors")
    service.close()
    (message,) = manager.received()
    assert message.splitlines()[1:] == [r"STATUS=plays a\nMAINPID=1\udcff.safetensors"]


@linux
def test_socket_without_a_file_is_reached():
    manager = Manager(f"@robojam-test-{os.getpid()}")
    service = ServiceNotifier(manager.environment())
    service.stopping()
    service.close()
    assert manager.received() == ["STOPPING=1"]
    manager.socket.close()


def test_alive_is_told_three_times_in_the_limit_and_not_more_often(manager):
    service = ServiceNotifier(manager.environment(seconds=30, process=os.getpid()))
    waits = [service.alive(now) for now in (100.0, 100.5, 109.75, 110.0, 119.0)]
    service.close()
    assert waits == [10.0, 9.5, 0.25, 10.0, 1.0]
    assert manager.received() == ["WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.parametrize(
    "changed",
    [
        {"WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-1"},
        {"WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
    ],
)
def test_watchdog_of_another_process_or_without_a_limit_is_not_fed(manager, changed):
    environment = manager.environment(seconds=30, process=os.getpid()) | changed
    service = ServiceNotifier(environment)
    assert service.interval == math.inf
    service.close()


def test_process_without_service_manager_tells_nobody():
    service = ServiceNotifier({})
    service.ready("")
    service.stopping()
    assert service.interval == math.inf
    service.close()


def test_service_manager_that_has_gone_or_is_full_is_no_error(manager):
    service = ServiceNotifier(manager.environment(seconds=30))
    for _ in range(10_000):  # more than the socket holds: the rest is dropped
        service.stopping()
    assert 0 < len(manager.received()) < 10_000
    manager.socket.close()
    os.unlink(manager.name)
    assert service.alive(1.0) == 10.0
    service.close()


# -- the engine's loop -----------------------------------------------------------------------


def turns(driven: DrivenEngine, service: ServiceNotifier, act: Callable[[int], float]) -> None:
    """Run the loop; act stands in the place of `Engine.advance`, and is given its turn."""
    turn = iter(range(1000))
    driven.engine.endpoint.sockets = ()
    driven.engine.advance = lambda: act(next(turn))  # type: ignore[method-assign]
    loop.run(driven.engine, service=service)
    service.close()


def test_engine_that_sleeps_for_years_tells_that_it_is_alive(manager, tmp_path):
    driven = DrivenEngine(tmp_path, mode="listen", record=False)
    service = ServiceNotifier(manager.environment(seconds=0.03))

    def sleep(turn: int) -> float:
        driven.now += 0.02
        driven.engine.stopping = "enough" if turn == 3 else None
        return 1e300

    turns(driven, service, sleep)
    assert manager.received() == ["WATCHDOG=1"] * 4 + ["STOPPING=1"]


def test_engine_that_fails_in_each_turn_tells_nothing(manager, tmp_path, caplog):
    driven = DrivenEngine(tmp_path, mode="listen", record=False)
    service = ServiceNotifier(manager.environment(seconds=0.03))

    def fail(turn: int) -> float:
        driven.engine.stopping = "enough" if turn == 3 else None
        raise ZeroDivisionError

    turns(driven, service, fail)
    assert manager.received() == ["STOPPING=1"]


# -- a running engine, and the units of examples/systemd ---------------------------------------


@linux
def test_running_engine_tells_that_it_is_ready_alive_and_stopping(manager, tmp_path):
    manager.socket.settimeout(PATIENCE)
    environment = {**os.environ, **manager.environment(seconds=0.03)}
    with serving(tmp_path, env=environment) as engine:
        first = manager.socket.recv(4096).decode()
        host, port = engine.address
        assert first.startswith(f"READY=1\nSTATUS=listening on udp://{host}:{port}, plays to")
        for _ in range(3):  # while nobody plays
            assert manager.socket.recv(4096) == b"WATCHDOG=1"
        assert engine.end() == 0
    manager.socket.setblocking(False)
    assert manager.received()[-1] == "STOPPING=1"


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_units_are_accepted_by_systemd(tmp_path):
    for unit in UNITS:
        # A program that they start is installed with them: an installed one stands for it.
        text = re.sub(r"(?<=ExecStart=)\S+", sys.executable, unit.read_text("utf-8"))
        (tmp_path / unit.name).write_text(text, "utf-8")
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_commands_of_units_have_options_that_robojam_knows(unit, tmp_path):
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text("utf-8"), re.MULTILINE)
    arguments = line.partition("bin/robojam ")[2].split()
    ran = run_program(*arguments, "--help", cwd=tmp_path)
    assert arguments
    assert ran.returncode == 0, ran.stderr
    for option in (word for word in arguments if word.startswith("--")):
        assert f"  {option} " in ran.stdout
