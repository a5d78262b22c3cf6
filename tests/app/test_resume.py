"""A jam that goes on from a recording: what is refused, and real engines that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support.engine import MODEL, PATIENCE, command, recordings, serving

from robojam.app import resume
from robojam.app.assemble import assemble, regenerate_session
from robojam.config.options import Options
from robojam.engine.model_loader import Models
from robojam.jam.jam import RULES
from robojam.sessions import checkpoint
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import EndEvent, Session, encode, encode_header, read
from robojam.wire import osc

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
SOON = ("--threshold", "0.2", "--response", "1", "--seed", "5")


def play(out, seconds: float = 0.6) -> None:
    out.send("/robojam/down", "iff", 1, 0.3, 0.4)
    for i in range(int(seconds / 0.02)):
        out.send("/robojam/move", "iff", 1, 0.3 + 0.01 * i, 0.4)
        out.listen(0.02)
    out.send("/robojam/up", "i", 1)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Session:
    """Play a call, hear the answer, change a control, and kill the engine in a second call."""
    folder = tmp_path_factory.mktemp("killed")
    with serving(folder, *SOON, "--sound-latency", "12") as engine:
        out = engine.out
        play(out)
        out.until(lambda: sum("/ai/" in m.address for m in out.received) > 1)
        out.listen(1.2)
        out.send("/robojam/memory", "f", 0.125)
        out.send("/robojam/down", "iff", 2, 0.7, 0.7)
        out.listen(0.1)
        os.kill(engine.process.pid, signal.SIGKILL)
        engine.process.wait(PATIENCE)
    return read(recordings(folder)[-1])


@needs_model
def test_killed_engine_goes_on_with_what_it_heard_in_a_recording_of_its_own(killed, tmp_path):
    assert killed.ended is None
    with serving(tmp_path, "--resume", str(killed.path)) as engine:
        status = engine.out.ask()
        assert status["heard"] == sum(
            e.touch.who == "human" and e.touch.phase != "up" for e in killed.touches()
        )
        assert status["fingers"] == 0  # of a finger that was down nobody knows any more
        assert (status["memory"], status["threshold"]) == (0.125, 0.2)
        play(engine.out)
        engine.out.until(lambda: sum("/ai/" in m.address for m in engine.out.received) > 1)
        assert engine.end() == 0
    again = read(recordings(tmp_path)[-1])
    assert again.header.resumes == killed.path.name
    assert again.events[: len(killed.events)] == killed.events
    assert again.header.options["sound-latency"] == 12
    made, differences = regenerate_session(again)
    assert differences == []
    assert first_difference(again, made.events) is None


@needs_model
def test_last_goes_on_where_the_newest_was_cut_and_else_begins_anew(killed, tmp_path):
    with serving(tmp_path, "--resume", "last") as engine:  # there is none
        assert engine.out.ask()["heard"] == 0
    whole = written(killed, tmp_path / "cut.jsonl")
    with serving(tmp_path, "--resume", "last") as engine:
        assert engine.out.ask()["heard"] > 0
        assert engine.end() == 0
    os.remove(whole)  # the other has its end
    with serving(tmp_path, "--resume", "last") as engine:
        assert engine.out.ask()["heard"] == 0


def written(session: Session, path, header=None, events=None):
    lines = [encode_header(header or session.header)]
    lines += map(encode, session.events if events is None else events)
    path.write_bytes(b"".join(lines))
    return path


@needs_model
def test_recording_that_nothing_goes_on_from_is_refused_in_one_line(killed, tmp_path):
    header, changed = killed.header, msgspec.structs.replace
    other = changed(header, model=changed(header.model, sha256="ab" * 32))
    (tmp_path / "text.jsonl").write_text("hello\n")
    for path, reason in (
        (tmp_path / "none.jsonl", "none.jsonl: cannot be read"),
        (tmp_path / "text.jsonl", "is not a robojam session"),
        (written(killed, tmp_path / "a.jsonl", events=[]), "nobody has played in it yet"),
        (written(killed, tmp_path / "b.jsonl", changed(header, rules=RULES + 1)), "a newer"),
        (written(killed, tmp_path / "c.jsonl", other), "was made with touch.safetensors (abab"),
    ):
        ran = subprocess.run(
            command("serve", "--osc-in", "127.0.0.1:0", "--no-sound", "--resume", str(path)),
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout) == (2, "")
        assert reason in ran.stderr
        assert ran.stderr.count("\n") == 1


@needs_model
def test_torn_or_foreign_recording_goes_on_with_what_it_has_and_says_so(killed, tmp_path):
    torn = written(killed, tmp_path / "torn.jsonl")
    torn.write_bytes(torn.read_bytes()[:-7])
    lines = torn.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"".join([*lines[:9], b"{\n", *lines[10:]]))
    foreign = written(
        killed, tmp_path / "f.jsonl", msgspec.structs.replace(killed.header, build="elsewhere")
    )
    for path, said in (
        (torn, []),
        (damaged, ["1 damaged lines are left out"]),
        (foreign, ["was made with elsewhere"]),
    ):
        warnings: list[str] = []
        left = resume.read_jam(path, warnings)
        assert left is not None
        models = Models([MODEL.parent], device="cpu")
        _, resumed = resume.resume(left, Options(), models, warnings)
        assert resumed.jam.t == left.session.duration
        for text in said:
            assert any(text in warning for warning in warnings)
        assert bool(warnings) == bool(said)


@needs_model
def test_jam_that_goes_on_is_offered_compiled_steps(killed, tmp_path, monkeypatch):
    """As a jam that begins is; the recording names its model without a folder."""
    found = []
    monkeypatch.setattr(Models, "load_compiled", lambda _self, path, *_: found.append(path))
    monkeypatch.chdir(tmp_path)
    options = Options(osc_in="127.0.0.1:0", sound=False, tuio_in="none", record=False)
    assembly = assemble(options, recording=killed.path)
    try:
        assembly.speed_up()
    finally:
        assembly.engine.finish("end")
    assert [path.resolve() for path in found] == [MODEL.resolve()]


@needs_model
def test_jam_that_takes_too_long_to_be_heard_again_is_given_up(killed):
    models = Models([MODEL.parent], device="cpu")
    left = resume.read_jam(killed.path, [])
    assert left is not None
    with pytest.raises(resume.ResumeError, match="takes longer than 0 s to hear it again"):
        resume.resume(left, Options(), models, [], patience=0.0)


def test_recording_that_lacks_what_it_was_to_begin_with_is_left_for_the_one_before(
    killed, tmp_path
):
    """An engine may be killed just after it went on."""
    begins = len(killed.events)
    lines = killed.path.read_bytes().splitlines(keepends=True)
    first = tmp_path / "a.jsonl"
    first.write_bytes(b"".join(lines))

    def left(name: str, of: str, count: int, begins: int = begins) -> tuple[str, list[str]]:
        header = msgspec.structs.replace(killed.header, resumes=of, begins=begins)
        path, warnings = tmp_path / name, []
        path.write_bytes(encode_header(header) + b"".join(lines[1 : 1 + count]))
        found = resume.read_jam(path, warnings)
        assert found is not None
        return found.path.name, warnings

    assert left("b.jsonl", "a.jsonl", begins) == ("b.jsonl", [])
    one = "b.jsonl was cut off before it had all of a.jsonl"
    assert left("b.jsonl", "a.jsonl", begins - 1) == ("a.jsonl", [one])
    assert left("c.jsonl", "b.jsonl", 3)[0] == "a.jsonl"  # and so was the one before
    assert left("c.jsonl", "gone.jsonl", 3) == ("c.jsonl", [])
    assert left("c.jsonl", "c.jsonl", 3) == ("c.jsonl", [])
    assert left("c.jsonl", "../a.jsonl", 3)[0] == "a.jsonl"  # of a path, the name alone
    assert left("c.jsonl", "a.jsonl", 3, begins=0) == ("c.jsonl", [])  # of another version
    first.write_bytes(lines[0])  # nobody has played in it, says who looks
    with pytest.raises(resume.ResumeError, match="nobody has played in it yet"):
        left("b.jsonl", "a.jsonl", 0)


@needs_model
def test_error_that_nobody_foresaw_begins_the_jam_anew_after_a_crash(killed, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(resume, "resume", fail)
    options = Options(osc_in="127.0.0.1:0", sound=False, tuio_in="none", record=False)
    assembly = assemble(options, again=True, recording=killed.path)
    assert any("from nothing (IndexError" in warning for warning in assembly.warnings)
    assert assembly.engine.jam.t == 0.0
    assembly.engine.finish("end")


@needs_model
def test_engine_after_a_crash_lifts_what_may_be_down_though_nothing_is_recorded():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as output:
        output.bind(("127.0.0.1", 0))
        output.settimeout(PATIENCE)
        options = Options(
            osc_in="127.0.0.1:0", osc_out=(f"127.0.0.1:{output.getsockname()[1]}",),
            sound=False, tuio_in="none", record=False, voices=2,
        )  # fmt: skip
        assembly = assemble(options, again=True)
        try:
            lifted = [osc.decode(output.recv(65536))[0][0].address for _ in range(2)]
        finally:
            assembly.engine.finish("end")
    assert lifted == ["/robojam/ai/up", "/robojam/ai2/up"]


def test_ports_are_those_of_the_recording_unless_they_are_given(killed):
    recorded = resume.with_ports(Options(), killed)
    assert recorded.osc_out == tuple(killed.header.options["osc-out"])
    assert recorded.sound_latency == 12
    assert recorded.sessions == Options().sessions  # of paths a recording has the names alone
    given = resume.with_ports(Options(osc_out=("127.0.0.1:7777",)), killed)
    assert given.osc_out == ("127.0.0.1:7777",)


def left_by(folder: Path, engine) -> Path:
    """Kill an engine, and wait until it has ended; return its recording."""
    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait(PATIENCE)
    return recordings(folder)[-1]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Play until there is a checkpoint, play on, and kill the engine; return its recording."""
    folder = tmp_path_factory.mktemp("saved")
    with serving(folder, *SOON) as engine:
        out = engine.out
        play(out)
        out.until(lambda: sum("/ai/" in m.address for m in out.received) > 1)
        out.send("/robojam/store", "s", "A")
        out.ask(lambda _: any(folder.glob("*.checkpoint")))
        out.send("/robojam/memory", "f", 0.125)
        play(out)
        answered = sum("/ai/" in m.address for m in out.received)
        out.until(lambda: sum("/ai/" in m.address for m in out.received) > answered)
        return left_by(folder, engine)


def copied(recording: Path, folder: Path) -> Path:
    """Copy a recording with its checkpoint, as they are read but once."""
    folder.mkdir(exist_ok=True)
    shutil.copy2(checkpoint.path_of(recording), folder)
    return shutil.copy2(recording, folder / recording.name)


@needs_model
def test_jam_goes_on_from_its_checkpoint_exactly_and_has_another_one_then(saved, tmp_path):
    recording = copied(saved, tmp_path / "left")
    folder = tmp_path / "again"
    with serving(folder, "--resume", str(recording), stderr=subprocess.PIPE) as engine:
        status = engine.out.ask()
        session = read(recording)
        heard = [
            e for e in session.touches() if e.touch.who == "human" and e.touch.phase != "up"
        ]
        assert (status["heard"], status["memory"]) == (len(heard), 0.125)
        assert status["memories"] == ["A"]
        engine.out.ask(lambda _: any(folder.glob("*.checkpoint")))
        assert not checkpoint.path_of(recording).exists()  # the new one has all that it has
        play(engine.out)
        engine.out.until(lambda: sum("/ai/" in m.address for m in engine.out.received) > 1)
        assert engine.end() == 0
        assert engine.process.stderr is not None
        assert "not used" not in engine.process.stderr.read()
    assert not any(folder.glob("*.checkpoint"))
    again = read(recordings(folder)[-1])
    assert again.header.resumes == recording.name
    assert again.events[: len(session.events)] == session.events
    made, differences = regenerate_session(again)
    assert differences == []
    assert first_difference(again, made.events) is None


@needs_model
def test_checkpoint_that_is_torn_or_of_another_is_not_used_and_that_is_said(
    saved, killed, tmp_path
):
    torn = copied(saved, tmp_path / "torn")
    path = checkpoint.path_of(torn)
    path.write_bytes(path.read_bytes()[:-5])
    other = tmp_path / killed.path.name
    other.write_bytes(killed.path.read_bytes())
    shutil.copy2(checkpoint.path_of(saved), checkpoint.path_of(other))
    spoilt = copied(saved, tmp_path / "spoilt")
    kept = checkpoint.read(checkpoint.path_of(spoilt))
    elsewhere = copied(saved, tmp_path / "elsewhere")
    moment = msgspec.structs.replace(kept.moment, build="elsewhere")
    for place, changed in ((spoilt, replace(kept, state=kept.state[:100])),
                           (elsewhere, replace(kept, moment=moment))):  # fmt: skip
        checkpoint.path_of(place).write_bytes(checkpoint.encode(changed))
    for place, said in (
        (torn, "it is torn or damaged"),
        (other, "it is of another recording"),
        (spoilt, "its state cannot be read"),
        (elsewhere, "it was written by elsewhere"),
    ):
        warnings: list[str] = []
        models = Models([MODEL.parent], device="cpu")
        left = resume.read_jam(place, warnings)
        assert left is not None
        _, resumed = resume.resume(left, Options(), models, warnings)
        assert len(warnings) == 1
        assert f"is not used: {said}" in warnings[0]
        assert "heard again from its beginning" in warnings[0]
        events = [e for e in read(place).events if not isinstance(e, EndEvent)]
        assert [*resumed.before.events][: len(events)] == events


@needs_model
def test_jam_from_a_checkpoint_is_the_one_that_heard_everything(saved, tmp_path):
    jams = []
    for use in (True, False):
        recording = copied(saved, tmp_path / str(use))
        models = Models([MODEL.parent], device="cpu")
        left = resume.read_jam(recording, [], checkpoints=use)
        assert left is not None
        assert (left.checkpoint is not None) == use
        options, resumed = resume.resume(left, Options(), models, [])
        assert len(resumed.before.lines) > 0 or not use
        jam, player = resumed.jam, resumed.loaded.player
        player._memory.settle()
        jam.advance(read(saved).duration + 10.0)
        jams.append(
            (options, resumed.seed, jam.t, jam.memories, player.pack(player.save(), []))
        )
    assert jams[0] == jams[1]
