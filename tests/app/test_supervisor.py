"""Supervisor of the engine and the window of a jam, and its monitor."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from support import ROOT
from support.display import display
from support.engine import (
    MODEL,
    PATIENCE,
    Client,
    address_of,
    command,
    recording,
    recordings,
    stop,
)

from robojam.app import spare_engine, supervisor
from robojam.app.assemble import regenerate_session
from robojam.app.supervisor import ControlMonitor, has_display
from robojam.config.options import Options
from robojam.controls import SETTINGS, Settings, loses_digits
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import read
from robojam.system.child_process import NO_DISPLAY
from robojam.window import Look
from robojam.wire import native, osc

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


# -- the monitor -------------------------------------------------------------------------------


@pytest.fixture
def engine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
        engine.bind(("127.0.0.1", 0))
        engine.settimeout(PATIENCE)
        yield engine


def options_after(
    engine: socket.socket, options: Options, *controls: tuple[str, Any]
) -> Options:
    """Send controls to a monitor as an engine does; return its options."""
    monitor = ControlMonitor(engine.getsockname(), options, find=lambda name: f"/models/{name}")
    monitor.renew(0.0)
    packet, asker = engine.recvfrom(100)
    assert packet.startswith(b"/robojam/subscribe")
    assert native.read(_message(packet), native.INPUTS) == native.Subscribe(asker[1], on=True)
    for name, value in controls:
        sent = native.encode_control(name, value), native.encode_setup(name, json.dumps(value))
        for packet in sent[: 1 + loses_digits(value)]:  # as the engine's monitors get it
            engine.sendto(packet, asker)
            monitor.receive()
    engine.sendto(native.encode_turn("human"), asker)
    monitor.receive()
    return monitor.options


def _message(packet: bytes):
    from robojam.wire.osc import decode

    return decode(packet)[0][0]


def test_monitor_keeps_the_options_that_the_engine_reports(engine):
    options = Options(controls={"mode": "duet"}, seed=None)
    in_force = Settings(
        mode="solo",
        temperature=1 / 3,
        threshold=0.30000001192092896,  # 0.3 in 32 bits
        response=0.0,
        timescale=0.001,
        spread=10.0,
        pause=1,
        instrument="human=keys,human2=strings,ai=keys",
        range="36-84,human2=35-51",
        volume=0.1,
    )
    now = options_after(
        engine,
        options,
        *(("seed", 2**62), ("record", 0), ("model", "b.safetensors"), ("reset", 1)),
        *asdict(in_force).items(),
    )
    assert now.settings() == in_force
    assert now == msgspec.structs.replace(
        options,
        seed=2**62,
        record=False,
        model="/models/b.safetensors",
        controls=now.controls,
    )
    # The next engine receives the options as JSON, unchanged.
    assert msgspec.json.decode(msgspec.json.encode(now), type=Options) == now


def test_next_engine_serves_pads_where_the_last_one_did(engine):
    monitor = ControlMonitor(engine.getsockname(), Options(), find=str)
    monitor.renew(0.0)
    _, asker = engine.recvfrom(100)
    for packet in (native.encode_setup("web", '"9000"'), native.encode_control("web", 1)):
        engine.sendto(packet, asker)
        monitor.receive()
    assert monitor.options_to_go_on() == Options(web="9000")


@pytest.mark.parametrize(
    ("events", "pause"),
    [
        (["panic"], 1),
        (["panic", "human/down"], 1),  # a touch does not wake a machine that plays alone
        (["panic", "pause"], 0),
        ([], 0),
    ],
)
def test_machine_that_plays_alone_stays_silent_after_a_panic(engine, events, pause):
    monitor = ControlMonitor(engine.getsockname(), Options(controls={"mode": "solo"}), find=str)
    monitor.renew(0.0)
    _, asker = engine.recvfrom(100)
    for name in events:
        tags, *args = ("iff", 0, 0.5, 0.5) if "/" in name else ("i", 0)
        engine.sendto(osc.encode(f"/robojam/{name}", tags, *args), asker)
        monitor.receive()
    assert monitor.options_to_go_on().settings().pause == pause


def test_panic_that_a_touch_has_ended_does_not_pause_the_next_engine(engine):
    monitor = ControlMonitor(engine.getsockname(), Options(), find=str)
    monitor.renew(0.0)
    _, asker = engine.recvfrom(100)
    for packet in (
        native.encode_control("panic", 1),
        osc.encode("/robojam/human/down", "iff", 0, 0.5, 0.5),
        native.encode_control("mode", "solo"),
    ):
        engine.sendto(packet, asker)
        monitor.receive()
    assert monitor.options_to_go_on().settings() == Settings(mode="solo")


@pytest.mark.parametrize(
    "message",
    [
        ("mode", ""),
        ("mode", "f", 1.0),
        ("temperature", "s", "hot"),
        ("temperature", "f", float("nan")),
        ("threshold", "f", 1e30),
        ("record", ""),
        ("model", ""),
        ("seed", "s", "1"),
        ("pause", "d", 1e300),
        ("setup", "ss", "voices", "[" * 20_000),
        ("setup", "ss", "voices", "0"),
        ("setup", "ss", "temperature", '"hot"'),
        ("setup", "ss", "no such option", "1"),
        ("setup", "ss", "osc-out", "{}"),
    ],
)
def test_message_that_no_engine_sends_changes_nothing(engine, message):
    monitor = ControlMonitor(engine.getsockname(), Options(), find=str)
    monitor.renew(0.0)
    _, asker = engine.recvfrom(100)
    name, tags, *args = message
    engine.sendto(osc.encode(f"/robojam/{name}", tags, *args), asker)
    monitor.receive()
    assert monitor.options == Options()
    monitor.options.settings()


def test_monitor_ignores_packets_of_other_programs(engine):
    monitor = ControlMonitor(engine.getsockname(), Options(), find=str)
    monitor.renew(0.0)
    _, asker = engine.recvfrom(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(native.encode_control("mode", "solo"), asker)
    engine.sendto(native.encode_control("mode", "duet"), asker)
    monitor.receive()
    assert monitor.options.settings().mode == "duet"


def test_monitor_subscribes_often_until_answered_and_then_renews_in_time(engine):
    monitor = ControlMonitor(engine.getsockname(), Options(), find=str)
    assert monitor.renew(0.0) == pytest.approx(0.2)
    assert monitor.renew(0.1) == pytest.approx(0.1)
    assert monitor.renew(0.2) == pytest.approx(0.2)
    _, asker = engine.recvfrom(100)
    engine.sendto(native.encode_turn("human"), asker)
    monitor.receive()
    assert monitor.renew(0.3) == pytest.approx(2.9)
    assert 0 < monitor.renew(3.2) < 10  # a monitor lapses after that
    monitor.restart()  # another engine is being started
    assert monitor.renew(3.3) == pytest.approx(0.2)


def test_monitor_survives_an_engine_that_does_not_listen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    monitor = ControlMonitor(address, Options(), find=str)
    for now in range(5):
        monitor.renew(float(now))
        monitor.receive()
    assert monitor.options == Options()


def test_display_is_known_by_the_environment(monkeypatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not has_display()
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "x")
            assert has_display()
    monkeypatch.setattr("sys.platform", "darwin")
    assert has_display()


# -- programs that end, without any program ----------------------------------------------------


class Program:
    """Child process that ends with the next status of a list; the last ones run on."""

    started: ClassVar[list[tuple[str, ...]]] = []
    statuses: ClassVar[dict[str, list[int | OSError]]] = {}
    pid = -1
    on_start: Callable[[], object] = lambda: None

    def __init__(self, _module: str, name: str, *arguments: str, **_: Any) -> None:
        self.started.append((name, *arguments))
        type(self).on_start()
        self.status = next(iter(self.statuses[name]), None)
        self.statuses[name] = self.statuses[name][1:]
        if isinstance(self.status, OSError):
            raise self.status
        self.stdout = [b"no look", *self.looks] if name == "window" else None
        self.ended = threading.Event()
        if self.status is not None:
            self.ended.set()

    looks: ClassVar[list[bytes]] = []

    def wait(self) -> int:
        assert self.ended.wait(PATIENCE)
        return self.status or 0

    def on_exit(self, callback: Callable[[int], None]) -> None:
        if self.status is not None:
            callback(self.status)

    def end(self, *_: object, **__: object) -> int:
        self.ended.set()
        return 0


@pytest.fixture
def programs(monkeypatch):
    Program.started, Program.statuses, Program.looks = [], {"serve": [], "window": []}, []
    monkeypatch.setattr(supervisor, "ChildProcess", Program)
    monkeypatch.setattr(spare_engine, "ChildProcess", Program)
    monkeypatch.setattr(supervisor, "_RETRY", 0.0)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return Program


def run_jam(*, look: Look = Look()) -> int:  # noqa: B008
    return supervisor.jam(Options(osc_in="127.0.0.1:9"), look=look, find=str)


def test_engine_that_refuses_its_options_at_first_ends_the_jam(programs):
    programs.statuses["serve"] = [2]
    assert run_jam() == 2


def test_engine_that_died_is_started_again_though_something_is_missing_for_a_while(programs):
    programs.statuses["serve"] = [-9, 2, 0]
    assert run_jam() == 0
    serves = [arguments for name, *arguments in programs.started if name == "serve"]
    assert ["--again" in arguments for arguments in serves] == [False, True, True]


@pytest.mark.parametrize(
    ("status", "goes_on"), [(-11, [False, True, False]), (-9, [False, True, True])]
)
def test_engine_that_died_goes_on_from_its_recording_but_not_twice_in_a_row_unless_killed(
    programs, tmp_path, status, goes_on, monkeypatch
):
    programs.statuses["serve"] = [status, status, 0]
    path = tmp_path / "2026-11-29T20-25-05.jsonl"
    path.with_stem("another").write_text("{}\n")  # of another jam

    def find(name: str) -> str:
        return name

    monkeypatch.setattr(Program, "on_start", lambda: path.write_text("{}\n"))
    options = Options(osc_in="127.0.0.1:9", sessions=str(tmp_path))
    assert supervisor.jam(options, look=Look(), find=find) == 0
    serves = [arguments for name, *arguments in programs.started if name == "serve"]
    assert [str(path) in arguments for arguments in serves] == goes_on


def test_engine_that_cannot_be_started_is_tried_again_and_then_given_up(programs, capsys):
    programs.statuses["serve"] = [OSError(11, "Resource temporarily unavailable"), 0]
    assert run_jam() == 0
    programs.statuses["serve"] = [OSError(12, "Cannot allocate memory")] * 3
    assert run_jam() == 1
    assert "could not be started ([Errno 12] Cannot allocate memory)" in capsys.readouterr().err


def test_window_that_died_is_opened_at_its_last_size_and_place(programs):
    programs.statuses["window"] = [-11, 0]
    look = Look((800, 600), (-40, 30), fullscreen=True, theme="stage", turn=270)
    programs.looks = [json.dumps(asdict(look)).encode()]
    assert run_jam(look=Look((640, 480))) == 0
    windows = [" ".join(arguments) for name, *arguments in programs.started if name == "window"]
    assert "--size 640x480" in windows[0]
    assert "--place" not in windows[0]
    assert windows[1].endswith(
        "--theme stage --turn 270 --size 800x600 --place -40,30 --fullscreen"
    )


@pytest.mark.parametrize("status", [NO_DISPLAY, 2])
def test_jam_goes_on_without_a_window_when_the_display_is_gone(programs, status, capsys):
    programs.statuses["window"] = [1, status]
    done = threading.Event()
    window = supervisor.WindowProgram(("127.0.0.1", 9), Look(), ends="jam", on_close=done.set)
    wait_for(lambda: "the engine plays alone" in capsys.readouterr().out)
    assert not done.is_set()
    assert len(programs.started) == 2
    window.close()


# -- whole jams ------------------------------------------------------------------------------


class Jam:
    """A running `robojam jam`, its programs, and a client of its engine."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder
        self.output: list[str] = []
        self.client = Client(("127.0.0.1", 0))

    def line(self, *begins: str) -> str:
        """Read on until a line that begins like this; kill the jam if none comes in time."""
        assert self.process.stdout is not None
        patience = threading.Timer(PATIENCE, self.process.kill)
        patience.start()
        try:
            while line := self.process.stdout.readline():
                self.output.append(line)
                if line.startswith(begins):
                    return line
        finally:
            patience.cancel()
        raise AssertionError(f"no line begins with {begins}: {self.output}")

    def ready(self) -> None:
        self.client.engine = address_of(self.line("listening on udp://"))

    def programs(self) -> dict[str, int]:
        """Return the process ids of its programs by name."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError, ValueError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    words = (path / "cmdline").read_bytes().split(b"\0")
                    found[words[words.index(b"robojam") + 1].decode()] = int(path.name)
        return found


@contextmanager
def jamming(folder: Path, *options: str, **environment: str) -> Iterator[Jam]:
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    env = {k: v for k, v in os.environ.items() if k not in screens}
    process = subprocess.Popen(
        command(
            *("jam", "--no-sound", "--osc-in", "127.0.0.1:0", "--osc-out", "127.0.0.1:9"),
            *("--sessions", str(folder), "--device", "cpu", *options),
        ),
        env={**env, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    jam = Jam(process, folder)
    programs: dict[str, int] = {}
    try:
        jam.ready()
        programs = jam.programs()
        yield jam
    finally:
        programs |= jam.programs()
        stop(process)
        jam.client.close()
        for program in programs.values():
            with suppress(OSError):
                os.kill(program, signal.SIGKILL)


def wait_for(there: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end
        select.select([], [], [], 0.01)


def gone(program: int) -> bool:
    try:
        state = Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


WINDOW = {"SDL_VIDEODRIVER": "dummy"}


@linux
def test_killed_engine_is_restarted_with_the_options_in_force(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(MODEL, models / "a.safetensors")
    data = MODEL.read_bytes()  # the same under another name and hash
    size = int.from_bytes(data[:8], "little")
    padded = (size + 8).to_bytes(8, "little") + data[8 : 8 + size] + b" " * 8 + data[8 + size :]
    (models / "b.safetensors").write_bytes(padded)
    options = ("--model", str(models / "a.safetensors"), "--voices", "2", "--seed", "5")
    with jamming(tmp_path / "s", *options, **WINDOW) as jam:
        client = jam.client
        for name, tags, value in (
            ("temperature", "f", 0.3),
            ("threshold", "d", 1 / 3),
            ("seed", "i", 9),
            ("model", "s", "b.safetensors"),
            ("mode", "s", "solo"),
        ):
            client.send(f"/robojam/{name}", tags, value)
        client.ask(lambda s: s["model"] == "b.safetensors" and s["recording"].endswith("jsonl"))
        # The supervisor watches, and so does the window: then all changes have reached both.
        client.ask(lambda s: s["monitors"] == 2)
        in_force = client.ask()
        before = jam.programs()
        os.kill(before["serve"], signal.SIGKILL)
        jam.line("robojam: the engine died; starting it again")
        jam.ready()
        status = client.ask(lambda s: s["recording"].endswith("jsonl"))
        names = (*SETTINGS, "seed", "model", "voices")
        assert {name: status[name] for name in names} == {n: in_force[n] for n in names}
        assert in_force["threshold"] == 1 / 3
        after = jam.programs()
        assert after["window"] == before["window"]
        jam.process.send_signal(signal.SIGTERM)
        assert jam.process.wait(PATIENCE) == 0
        wait_for(lambda: all(map(gone, after.values())))
    first, second = map(read, recordings(tmp_path / "s"))
    assert first.ended is None
    assert second.ended is not None
    # The second goes on where the first was cut, and holds it.
    assert second.header.resumes == first.path.name
    assert second.header.seed == first.header.seed == 9
    assert second.events[: len(first.events)] == first.events
    assert second.duration > first.duration
    made, differences = regenerate_session(second, model=str(models / "a.safetensors"))
    assert differences == []
    assert first_difference(second, made.events) is None


@linux
def test_jam_goes_on_from_its_last_recording_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    older = tmp_path / "2026-01-01T00-00-00.jsonl"
    shutil.copy(ROOT / "sessions" / "example.jsonl", older)
    os.utime(older, (time.time() + 3600, time.time() + 3600))  # another jam's, of the future
    with jamming(tmp_path, "--threshold", "60") as jam:
        client = jam.client
        for take in (1, 2):
            client.send("/robojam/record", "i", 0)
            client.send("/robojam/record", "i", 1)
            client.send("/robojam/down", "iff", 1, 0.25 * take, 0.5)
            client.send("/robojam/up", "i", 1)
            wait_for(lambda n=take: len(recordings(tmp_path)) == 1 + n)
            client.ask(lambda s: s["recording"].endswith("jsonl"))
        last = Path(client.ask()["recording"])
        wait_for(lambda: last.read_text().count('"phase":"up"') == 1)
        os.utime(last, (1e9, 1e9))
        os.kill(jam.programs()["serve"], signal.SIGKILL)
        jam.line("robojam: the engine died; starting it again")
        jam.ready()
        client.ask(lambda s: s["recording"].endswith("jsonl"))
        jam.process.send_signal(signal.SIGTERM)
        assert jam.process.wait(PATIENCE) == 0
    assert [read(path).header.resumes for path in recordings(tmp_path)].count(last.name) == 1


@linux
@pytest.mark.usefixtures("hangup")
@pytest.mark.parametrize("who", ["window", "engine", "SIGINT", "SIGHUP", "SIGKILL"])
def test_end_of_one_program_ends_all_and_closes_the_recording(who, tmp_path):
    with jamming(tmp_path, "--mode", "solo", **WINDOW) as jam:
        jam.client.ask(lambda s: s["recording"].endswith("jsonl") and s["monitors"] == 2)
        programs = jam.programs()
        assert set(programs) == {"serve", "window"}
        if who == "window":
            os.kill(programs["window"], signal.SIGTERM)  # as by its close button
        elif who == "engine":
            os.kill(programs["serve"], signal.SIGTERM)
        else:
            jam.process.send_signal(signal.Signals[who])
        status = jam.process.wait(PATIENCE)
        assert status == (-signal.SIGKILL if who == "SIGKILL" else 0)
        wait_for(lambda: all(map(gone, programs.values())))
    assert recording(tmp_path).ended is not None
    assert [e.touch.phase for e in recording(tmp_path).touches("ai")][-1] == "up"


@linux
def test_window_that_is_killed_is_opened_again_as_it_was_and_the_jam_goes_on(tmp_path):
    with jamming(tmp_path, "--size", "640x480", "--turn", "90", **WINDOW) as jam:
        jam.client.ask(lambda s: s["monitors"] == 2)
        engine, window = jam.programs()["serve"], jam.programs()["window"]
        for number in (signal.SIGKILL, signal.SIGSEGV):
            os.kill(window, number)
            jam.line("robojam: the window died; starting it again")
            wait_for(lambda last=window: jam.programs().get("window", last) != last)
            window = jam.programs()["window"]
            words = Path(f"/proc/{window}/cmdline").read_bytes().decode().split("\0")
            assert words[words.index("--size") + 1] == "640x480"
            assert words[words.index("--turn") + 1] == "90"
        os.kill(window, signal.SIGKILL)
        jam.line("robojam: the window died 3 times in a row; the engine plays on alone")
        assert jam.programs() == {"serve": engine}
        assert jam.client.ask()["mode"] == "call-response"
        jam.process.send_signal(signal.SIGTERM)
        assert jam.process.wait(PATIENCE) == 0


@linux
def test_ctrl_c_during_the_start_ends_without_output(tmp_path):
    process = subprocess.Popen(
        command("jam", "--no-sound", "--osc-in", "127.0.0.1:0", "--sessions", str(tmp_path)),
        env={**os.environ, **WINDOW},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        jam = Jam(process, tmp_path)
        wait_for(lambda: set(jam.programs()) == {"serve", "window"})  # and have hardly begun
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all that it holds
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        stop(process)
    assert process.returncode == 0
    assert "Traceback" not in said


@linux
def test_jam_without_a_display_runs_the_engine_alone(tmp_path):
    with jamming(tmp_path) as jam:
        assert "there is no display here: the engine plays alone, over OSC\n" in jam.output
        assert set(jam.programs()) == {"serve"}
        jam.process.send_signal(signal.SIGTERM)
        assert jam.process.wait(PATIENCE) == 0


@linux
def test_jam_whose_window_cannot_open_runs_the_engine_alone(tmp_path):
    with jamming(tmp_path, DISPLAY=":7931") as jam:
        said = "no window could be opened: the engine plays alone, over OSC; robojam window"
        if not any(line.startswith(said) for line in jam.output):
            jam.line(said)
        assert jam.client.ask()["mode"] == "call-response"
        jam.process.send_signal(signal.SIGTERM)
        assert jam.process.wait(PATIENCE) == 0


@linux
def test_engine_that_dies_three_times_is_given_up(tmp_path):
    with jamming(tmp_path, **WINDOW) as jam:
        for death in range(3):
            os.kill(jam.programs()["serve"], signal.SIGKILL)
            if death < 2:
                jam.line("robojam: the engine died; starting it again")
                jam.ready()
        jam.line("robojam: the engine died 3 times in a row; giving up")
        assert jam.process.wait(PATIENCE) == 1
        wait_for(lambda: not jam.programs())


@pytest.mark.peer
@linux
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no Xvfb here")
def test_jam_outlives_its_display(tmp_path):
    with ExitStack() as server:
        environment = server.enter_context(display("800x600"))
        with jamming(tmp_path, "--size", "640x480", DISPLAY=environment["DISPLAY"]) as jam:
            jam.client.ask(lambda s: s["monitors"] == 2)
            server.close()
            jam.line("no window could be opened: the engine plays alone, over OSC")
            assert jam.client.ask()["mode"] == "call-response"
            jam.process.send_signal(signal.SIGINT)
            assert jam.process.wait(PATIENCE) == 0
