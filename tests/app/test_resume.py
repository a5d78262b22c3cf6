"""A jam that goes on from a recording: what is refused, and real engines that are killed."""

from __future__ import annotations

import os
import signal
import subprocess

import msgspec
import pytest
from support.engine import MODEL, PATIENCE, command, recordings, serving

from robojam.app import resume
from robojam.app.assemble import assemble, regenerate_session
from robojam.config.options import Options
from robojam.engine.model_loader import Models
from robojam.jam.jam import RULES
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import Session, encode, encode_header, read

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
        out.until(lambda: sum("/ai/" in m.address for m in out.received) > 5)
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
        engine.out.until(lambda: sum("/ai/" in m.address for m in engine.out.received) > 5)
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
    header, replace = killed.header, msgspec.structs.replace
    other = replace(header, model=replace(header.model, sha256="ab" * 32))
    (tmp_path / "text.jsonl").write_text("hello\n")
    for path, reason in (
        (tmp_path / "none.jsonl", "none.jsonl: cannot be read"),
        (tmp_path / "text.jsonl", "is not a robojam session"),
        (written(killed, tmp_path / "a.jsonl", events=[]), "nobody has played in it yet"),
        (written(killed, tmp_path / "b.jsonl", replace(header, rules=RULES + 1)), "a newer"),
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
        session = resume.read_jam(path)
        assert session is not None
        models = Models([MODEL.parent], device="cpu")
        _, resumed = resume.resume(session, Options(), models, warnings)
        assert resumed.jam.t == session.duration
        for text in said:
            assert any(text in warning for warning in warnings)
        assert bool(warnings) == bool(said)


@needs_model
def test_jam_that_takes_too_long_to_be_heard_again_is_given_up(killed):
    models = Models([MODEL.parent], device="cpu")
    session = resume.read_jam(killed.path)
    with pytest.raises(resume.ResumeError, match="takes longer than 0 s to hear it again"):
        resume.resume(session, Options(), models, [], patience=0.0)


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


def test_ports_are_those_of_the_recording_unless_they_are_given(killed):
    recorded = resume.with_ports(Options(), killed)
    assert recorded.osc_out == tuple(killed.header.options["osc-out"])
    assert recorded.sound_latency == 12
    assert recorded.sessions == Options().sessions  # of paths a recording has the names alone
    given = resume.with_ports(Options(osc_out=("127.0.0.1:7777",)), killed)
    assert given.osc_out == ("127.0.0.1:7777",)
