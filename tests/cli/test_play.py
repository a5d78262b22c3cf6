"""The commands, as a person or a program starts them: real processes, real sockets."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import CORPUS, ROOT
from support.commands import refusal
from support.engine import (
    MODEL,
    PATIENCE,
    SOON,
    Client,
    command,
    first_line,
    recording,
    recordings,
    run_program,
    serving,
    stop,
)

from robojam.sessions.session import SetEvent, read
from robojam.touch import Phase
from robojam.wire import osc

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


#: A machine that plays alone, and soon.
BUSY = ("--mode", "solo", "--timescale", "0.2", "--seed", "3")


def performances() -> list[np.ndarray]:
    """Held-out performances of a second or two: x, y, dt, moving."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not here")
    with np.load(CORPUS / "microjam_val.npz") as data:
        split = np.split(data["touches"], np.cumsum(data["lengths"])[:-1])
    return [p for p in split if len(p) > 30 and 1.0 < p[:, 2].sum() < 3.0]


def perform(client: Client, touches: np.ndarray, speed: float = 2.0) -> None:
    """Play a performance in its own time, and receive messages meanwhile."""
    due = time.monotonic()
    for i, (x, y, dt, moving) in enumerate(touches.tolist()):
        due += dt / speed if i else 0.0
        client.listen(due - time.monotonic())
        phase = "move" if moving and i else "down"
        client.send(f"/robojam/{phase}", "iff", 0, x, y)
    client.send("/robojam/up", "i", 0)


def check(received, who: str = "ai") -> list:
    """Check that a machine's touches are legal, and return them."""
    down = False
    for m in received:
        assert m.address.startswith(f"/robojam/{who}/"), m
        what = m.address.rsplit("/", 1)[1]
        assert down == (what != "down"), m
        down = what != "up"
        assert m.tags == ("i" if what == "up" else "ifff")
        assert m.args[0] == 0
        if what != "up":
            assert 0 <= m.args[1] <= 1
            assert 0 <= m.args[2] <= 1
            assert 0 < m.args[3] < 5.01
    assert not down
    return [m for m in received if not m.address.endswith("up")]


# -- a jam over UDP --------------------------------------------------------------------------


def test_call_response_with_a_real_performance_from_ready_line_to_recording(tmp_path):
    touches = performances()[3]
    with serving(tmp_path, *SOON, "--threshold", "1") as engine:
        out = engine.out
        perform(out, touches)
        silent = time.perf_counter()
        assert not out.received  # it waits its turn
        out.until(lambda: len(out.received) > 8)
        assert out.received[0].at - silent > 0.9
        touches = [m for m in out.received if not m.address.endswith("up")]
        for before, after in pairwise(touches):
            assert after.at - before.at == pytest.approx(after.args[3], abs=0.15)
        out.send("/robojam/down", "iff", 0, 0.5, 0.5)
        assert out.ask()["turn"] == "human"
        assert out.received[-1].address.endswith("up")
        theirs = len(out.received)
        out.listen(0.15)
        assert len(out.received) == theirs  # the turn was taken back
        assert engine.end() == 0
        check(out.received)
    session = recording(tmp_path)
    assert session.ended == "SIGTERM"
    mine = list(session.touches("ai"))
    assert [str(e.touch.phase) for e in mine] == [
        m.address.rsplit("/")[-1] for m in out.received
    ]
    places = [e.touch.x for e in mine if e.touch.phase is not Phase.UP]
    assert [m.args[1] for m in check(out.received)] == pytest.approx(places, abs=1e-6)


def test_duet_solo_and_listen_with_a_real_performance(tmp_path):
    touches = performances()[5]
    landings = 1 + sum(not moving for moving in touches[1:, 3])
    with serving(tmp_path, "--mode", "duet", "--seed", "3") as engine:
        out = engine.out
        perform(out, touches)
        out.until(lambda: out.received)
        status = out.ask()
        answered = out.ask(lambda s: s["played"] + s["replaced"] >= landings)
        assert landings <= answered["heard"] <= len(touches)
        assert status["mode"] == "duet"
        out.send("/robojam/mode", "s", "useronly")
        out.ask(lambda s: s["mode"] == "listen" and s["fingers"] == 0)
        quiet = len(out.received)
        perform(out, touches, speed=8.0)
        out.listen(0.2)
        assert len(out.received) == quiet
        out.send("/robojam/mode", "s", "battle")
        out.until(lambda: len(out.received) > quiet + 10)
        assert engine.end(signal.SIGINT) == 0
        out.listen(0.05)
        check(out.received)
    assert recording(tmp_path).ended == "SIGINT"


def test_answers_under_one_seed_depend_on_what_the_human_played(tmp_path):
    answers = []
    # Without plans: on a busy machine one may not be finished in time, and then is not played.
    plain = "--follow", "0", "--memory", "0"
    for touches in (performances()[i] for i in (0, 1, 1)):
        with serving(tmp_path, *SOON, *plain) as engine:
            for x, y, _, _ in touches[:25].tolist():  # with a clock of its own, and so
                engine.out.send("/touch", "fff", x, y, 0.02)  # the very same twice
            engine.out.until(lambda: len(engine.out.received) > 5)
            answers.append([m.args[1:3] for m in engine.out.received[:5]])
    assert answers[0] != answers[1]
    assert answers[1] == answers[2]


def test_monitor_sees_a_second_human_on_another_host(tmp_path):
    with serving(tmp_path, "--mode", "listen", osc_in="0.0.0.0:0") as engine:
        monitor = Client(engine.address)
        monitor.send("/robojam/subscribe", "i", monitor.port)
        monitor.until(lambda: len(monitor.received) >= 11)
        second = Client(engine.address, host="127.0.0.2")
        engine.out.send("/robojam/down", "iff", 0, 0.5, 0.5)
        monitor.until(lambda: monitor.received[-1].address == "/robojam/human/down")
        second.send("/robojam/down", "iff", 0, 0.5, 0.5)
        monitor.until(lambda: monitor.received[-1].address == "/robojam/human2/down")
        second.send("/robojam/up", "i", 0)
        monitor.until(lambda: monitor.received[-1].address == "/robojam/human2/up")
        second.close()
        monitor.close()


def test_output_that_comes_back_through_a_loop_is_not_taken_for_a_human(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for host in ("127.0.0.1", "0.0.0.0"):
        loop = ("--osc-out", f"127.0.0.1:{port}", *BUSY)
        with serving(tmp_path, *loop, osc_in=f"{host}:{port}") as engine:
            status = engine.out.ask(lambda s: s["dropped"].get("echo", 0) > 10)
            assert status["heard"] == 0
            assert set(status["dropped"]) == {"echo"}


def test_hostile_packets_and_unreachable_outputs_do_no_harm(tmp_path):
    nobody = ("--osc-out", "127.0.0.1:9", "--osc-out", "255.255.255.255:5006")
    with serving(tmp_path, *nobody, *BUSY, stderr=subprocess.PIPE) as engine:
        noise = np.random.default_rng(1)
        packets = [noise.bytes(int(size)) for size in noise.integers(0, 1200, 300)]
        packets += [b"#bundle\0" + bytes(8) + noise.bytes(100) for _ in range(100)]
        for _ in range(100):
            packets.append(osc.encode("/touch", "ffd", 0.5, 0.5, 1e300))
            packets.append(osc.encode("/robojam/temperature", "d", -1e300))
        status: dict[str, Any] = {}
        for number, packet in enumerate(packets, start=1):
            engine.out.raw(packet)
            if number % 20 == 0:  # more at once may overflow the socket of a busy machine
                status = engine.out.ask(
                    lambda s, n=number: sum(s["dropped"].values()) >= n - 10
                )
        assert status["dropped"]["malformed"] >= 300
        assert status["dropped"]["out of range"] == 200
        played = status["played"]
        engine.out.ask(lambda s: s["played"] > played)
        assert engine.end() == 0
        assert engine.process.stderr is not None
        said = engine.process.stderr.read().splitlines()
    assert len(said) < 10, "one warning a minute for each kind"
    assert all(line.startswith(("robojam: dropped ", "robojam: cannot ")) for line in said), (
        said
    )


def test_another_model_is_loaded_by_its_name_within_the_models_folder_alone(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(MODEL, models / "a.safetensors")
    shutil.copy(MODEL, tmp_path / "outside.safetensors")
    (models / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    data = MODEL.read_bytes()  # the same with another name and hash: a space more in its header
    size = int.from_bytes(data[:8], "little")
    padded = (size + 8).to_bytes(8, "little") + data[8 : 8 + size] + b" " * 8 + data[8 + size :]
    (models / "b.safetensors").write_bytes(padded)
    (models / "c.safetensors").write_bytes(b"not a model")
    options = ("--model", str(models / "a.safetensors"), *BUSY)
    with serving(tmp_path / "sessions", *options) as engine:
        out = engine.out
        out.until(lambda: out.received)
        # With b they are as many as are loaded at once.
        outside = str(tmp_path / "outside.safetensors")
        bad = ["../outside.safetensors", outside, "link.safetensors", "c.safetensors", ""]
        bad += ["models/a.safetensors", "x" * 3000]
        for count, name in enumerate(bad, start=1):
            out.send("/robojam/model", "s", name)
            out.ask(lambda s, n=count: s["dropped"].get("no such model", 0) == n)
        assert out.ask()["model"] == "a.safetensors"
        out.send("/robojam/model", "s", "b.safetensors")
        played = out.ask(lambda s: s["model"] == "b.safetensors")["played"]
        out.ask(lambda s: s["played"] > played)
        assert engine.end() == 0
    session = recording(tmp_path / "sessions")
    sets = [e.values for e in session.events if isinstance(e, SetEvent)]
    (model,) = [values["model"] for values in sets if "model" in values]
    assert model["file"] == "b.safetensors"
    assert model["sha256"] != session.header.model.sha256


# -- what goes wrong -------------------------------------------------------------------------


def test_killed_engine_leaves_a_recording_that_loads_and_is_complete(tmp_path):
    with serving(tmp_path, *BUSY) as engine:
        engine.out.until(lambda: len(engine.out.received) > 20)
        engine.end(signal.SIGKILL)
        engine.out.listen(0.05)
        received = [m.address.rsplit("/")[-1] for m in engine.out.received]
    session = recording(tmp_path)
    assert session.ended is None
    recorded = [str(e.touch.phase) for e in session.touches("ai")]
    assert recorded == received[: len(recorded)]
    assert len(received) - len(recorded) <= 2
    to = tmp_path / "again.jsonl"
    ran = run_program("replay", str(session.path), "--regenerate", "--to", str(to))
    assert "the same, touch for touch" in ran.stdout, ran


@pytest.mark.usefixtures("hangup")
def test_closed_terminal_ends_the_engine_as_ctrl_c_does(tmp_path):
    with serving(tmp_path, *BUSY) as engine:
        engine.out.until(lambda: len(engine.out.received) > 20)
        assert engine.end(signal.SIGHUP) == 0
        engine.out.listen(0.05)
        assert engine.out.received[-1].address == "/robojam/ai/up"
    assert recording(tmp_path).ended == "SIGHUP"


def _ignores_hangup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does


def test_engine_started_with_nohup_outlives_its_terminal(tmp_path):
    with serving(tmp_path, *BUSY, preexec_fn=_ignores_hangup) as engine:
        engine.process.send_signal(signal.SIGHUP)
        engine.out.until(lambda: len(engine.out.received) > 20)
        assert engine.end() == 0
    assert recording(tmp_path).ended == "SIGTERM"


def test_suspended_engine_resumes_without_a_burst_of_late_touches(tmp_path):
    with serving(tmp_path, *BUSY) as engine:
        out = engine.out
        out.until(lambda: len(out.received) > 10)
        engine.process.send_signal(signal.SIGSTOP)
        out.listen(2.0)
        before, at = len(out.received), time.perf_counter()
        engine.process.send_signal(signal.SIGCONT)
        out.until(lambda: len(out.received) > before + 10)
        heap = [m for m in out.received[before:] if m.at - at < 0.02]
        assert len(heap) < 25  # of some hundreds that were due meanwhile
        assert engine.end() == 0
        out.listen(0.05)
        check(out.received)


def test_burst_of_packets_and_a_monitor_that_never_reads_delay_no_touch(tmp_path):
    """Each packet is handled or counted, and the machine's deadlines stay as they were."""
    with (
        serving(tmp_path, "--mode", "solo", "--seed", "3") as engine,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf,
    ):
        out = engine.out
        deaf.bind(("127.0.0.1", 0))
        out.send("/robojam/subscribe", "i", deaf.getsockname()[1])
        out.until(lambda: len(out.received) > 10)
        for i in range(10_000):
            out.send("/robojam/move", "iff", 1, 0.5, i / 10_000)
        before = len(out.received)
        out.until(lambda: len(out.received) > before + 20)
        status = out.ask()
        assert engine.end() == 0
        out.listen(0.05)
        check(out.received)
    session = recording(tmp_path)
    taken_in = session.summary().touches["human"]
    assert 1000 < taken_in + status["dropped"].get("too fast", 0) <= 10_000
    machine = [e for e in session.touches("ai") if e.touch.phase is not Phase.UP]
    if not status["held_up"]:
        for was, now in pairwise(machine):
            assert now.t - was.t == pytest.approx(now.touch.dt, abs=1e-6)


def test_recording_goes_on_in_further_files_where_a_limit_keeps_each_small(tmp_path):
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    more = {"preexec_fn": small_files, "stderr": subprocess.PIPE}
    with serving(tmp_path, *BUSY, **more) as engine:
        status = engine.out.ask(lambda s: any("goes on in" in each for each in s["trouble"]))
        assert "recording interrupted" in status["trouble"][0]
        engine.out.ask(lambda s: s["played"] > status["played"])
        assert engine.end() == 0
        assert engine.process.stderr is not None
        assert "File too large" in engine.process.stderr.read()
    files = recordings(tmp_path)
    parts = [read(file) for file in files]
    assert len(parts) > 1
    assert [part.header.continues for part in parts] == [None, *(f.name for f in files[:-1])]
    assert all(file.stat().st_size <= 4096 for file in files)
    assert len(list(parts[0].touches())) > 5


def test_deleted_sessions_folder_does_not_stop_the_jam_and_is_reported(tmp_path):
    folder = tmp_path / "sessions"
    with serving(folder, *BUSY) as engine:
        engine.out.ask(lambda s: s["recording"].endswith(".jsonl"))
        shutil.rmtree(folder)
        status = engine.out.ask(lambda s: s["trouble"])
        assert "vanished" in status["trouble"][0]
        assert engine.end() == 0
    assert recording(folder).ended == "SIGTERM"


def test_engine_ends_though_nobody_reads_its_standard_error(tmp_path):
    with serving(tmp_path, "--verbose", stderr=subprocess.PIPE) as engine:
        for i in range(3000):  # more than a pipe holds
            engine.out.send("/robojam/temperature", "f", i / 1000)
            if i % 100 == 0:
                engine.out.ask()
        assert engine.end() == 0


#: A device that this machine does not have, wherever the tests are run.
ABSENT = "cuda" if sys.platform == "darwin" else "mps"


@pytest.fixture
def taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 0))
        yield busy.getsockname()[1]


@pytest.mark.parametrize("name", ["serve", "jam"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--osc-in", "127.0.0.1:{taken}"], "port {taken} of 127.0.0.1 is in use"),
        (["--osc-in", "203.0.113.1:0"], "cannot listen on 203.0.113.1:0"),
        (["--osc-out", "no.such.host.invalid:5006"], "there is no host no.such.host.invalid"),
        (
            ["--model", "{tmp}/none.safetensors"],
            "there is no model file {tmp}/none.safetensors",
        ),
        (
            ["--model", "{tmp}/foreign.safetensors"],
            "{tmp}/foreign.safetensors is not a safetens",
        ),
        (["--model", "{tmp}"], "there is no model file {tmp}"),
        (["--device", ABSENT], f"this machine has no device {ABSENT}"),
        (["--mode", "loud"], "'loud'"),
        (["--threshold", "0"], "a number from 0.02 to 60"),
        (["--voices", "0"], "a whole number from 1 to 4096"),
        (["--loud"], "there is no option --loud"),
        (["--config", "{tmp}/bad.toml"], "bad.toml, line 2: no option is named 'groove'"),
        (["--config", "{tmp}/none.toml"], "none.toml: No such file"),
        (["--log", "{tmp}/none/log"], "cannot log to {tmp}/none/log: No such file"),
    ],
)
def test_wrong_option_or_file_is_refused_in_one_line_with_status_2(
    name, options, message, tmp_path, taken, capsys
):
    (tmp_path / "foreign.safetensors").write_bytes(b"PK\3\4 something else")
    (tmp_path / "bad.toml").write_text('mode = "solo"\ngroove = 3\n')
    free = [] if "--osc-in" in options else ["--osc-in", "127.0.0.1:0"]
    filled = [o.format(taken=taken, tmp=tmp_path) for o in options]
    before = set(tmp_path.rglob("*"))
    quiet = ("--tuio-in", "none", "--no-sound")  # which may have something to say of their own
    said = refusal(capsys, name, *free, *quiet, "--sessions", tmp_path / "s", *filled)
    assert message.format(taken=taken, tmp=tmp_path) in said
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["serve", "jam"])
def test_program_that_is_refused_prints_one_line_and_ends_with_status_2(name):
    ran = run_program(name, "--mode", "loud")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran
    assert "'loud'" in ran.stderr


@pytest.mark.usefixtures("hangup")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_before_the_engine_is_ready_ends_it_with_status_0(how, tmp_path):
    process = subprocess.Popen(
        command("serve", "--no-sound", "--osc-in", "127.0.0.1:0"), cwd=tmp_path
    )
    try:
        end = time.monotonic() + PATIENCE
        status = Path(f"/proc/{process.pid}/status")
        while time.monotonic() < end:  # until it has said what it does with the signal
            caught = [s for s in status.read_text().splitlines() if s.startswith("SigCgt")]
            if all(int(caught[0].split()[1], 16) & 1 << (n - 1) for n in (how, signal.SIGTERM)):
                break
        process.send_signal(how)
        assert process.wait(PATIENCE) == 0
    finally:
        stop(process)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_letters_that_the_output_encoding_lacks_are_replaced(encoding):
    ran = subprocess.run(
        command("sessions", str(ROOT / "sessions")),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"example-duet" in ran.stdout
    assert ("\u2500".encode() in ran.stdout) is (encoding == "utf-8")


def test_log_option_writes_the_log_to_a_file_too(tmp_path):
    with serving(tmp_path, "--log", str(tmp_path / "log")) as engine:
        engine.out.raw(b"noise")
        engine.out.send("/robojam/down", "iff", 0, 0.5, 0.5)
        engine.out.ask(lambda s: s["heard"])
        assert engine.end() == 0
    log = (tmp_path / "log").read_text()
    assert "WARNING dropped from 127.0.0.1:" in log
    assert "text, not OSC (b'noise'; what is needed" in log
    assert "INFO human joined, from '127.0.0.1'" in log


def test_help_and_version_print_and_wrong_commands_end_with_status_2():
    assert "Usage: robojam" in run_program("--help").stdout
    assert run_program("--version").stdout.startswith("robojam ")
    assert "--threshold" in run_program("serve", "--help").stdout
    assert run_program().returncode == 2
    assert run_program("sing").returncode == 2


def test_without_a_command_the_help_is_printed_to_standard_error():
    bare = run_program()
    assert bare.returncode == 2
    assert bare.stderr == run_program("--help").stdout


# -- other programs --------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.skipif(
    not (shutil.which("oscsend") and shutil.which("oscdump")), reason="no liblo-tools here"
)
def test_liblo_tools_play_and_read_the_answer(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    to = ("--osc-out", f"127.0.0.1:{port}", *SOON)
    try:
        with serving(tmp_path, *to) as engine:
            url = f"osc.udp://127.0.0.1:{engine.address[1]}"
            for words in (
                ("/robojam/down", "iff", "0", "0.2", "0.2"),
                ("/robojam/move", "iff", "0", "0.3", "0.3"),
                ("/robojam/up", "i", "0"),
                ("/robojam/answer",),
            ):
                subprocess.run(["oscsend", url, *words], check=True, timeout=PATIENCE)
            lines = []
            assert dump.stdout is not None
            while not lines or "/up " not in lines[-1]:
                lines.append(first_line(dump).strip())
                assert lines[-1], lines
    finally:
        stop(dump)
    words = [line.split() for line in lines]
    named = [next(i for i, w in enumerate(line) if w.startswith("/")) for line in words]
    parsed = [(line[at], line[at + 1]) for line, at in zip(words, named, strict=True)]
    assert parsed[0] == ("/robojam/ai/down", "ifff")
    assert parsed[-1] == ("/robojam/ai/up", "i")
    assert {"ifff", "i"} == {tags for _, tags in parsed}
