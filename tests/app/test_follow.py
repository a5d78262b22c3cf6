"""A twin goes on in the place of an engine: real ones, killed, cut off and handed over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.engine import (
    MODEL,
    PATIENCE,
    Client,
    RunningEngine,
    address_of,
    command,
    first_line,
    recordings,
    serving,
)
from support.network import SecondHost, second_host

from robojam.app.assemble import models_of, regenerate_session
from robojam.app.follow import Follower, FollowError
from robojam.config.addresses import format_address
from robojam.config.options import Options
from robojam.engine import twin_frames as frames
from robojam.sessions.regenerate import first_difference
from robojam.sessions.session import EndEvent, Session, TouchEvent, read
from robojam.touch import Phase, is_machine

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
LONG = ("--threshold", "0.2", "--response", "15", "--seed", "5")


@contextmanager
def following(
    folder: Path, leader: tuple[str, int], *options: str
) -> Iterator[subprocess.Popen]:
    """Start a twin, wait until it follows, and kill it when the block ends."""
    twin = subprocess.Popen(
        command(
            *("serve", "--twin-of", format_address(*leader), "--sessions", str(folder)),
            *("--no-sound", "--tuio-in", "none", "--device", "cpu", *options),
        ),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert first_line(twin).startswith("follows ")
        yield twin
    finally:
        twin.kill()
        twin.wait(PATIENCE)
        assert twin.stdout is not None
        twin.stdout.close()


def play(out: Client, strokes: int = 1) -> None:
    for n in range(strokes):
        out.send("/robojam/down", "iff", 1, 0.3, 0.2 + 0.1 * n)
        for i in range(25):
            out.send("/robojam/move", "iff", 1, 0.3 + 0.01 * i, 0.2 + 0.1 * n)
            out.listen(0.02)
        out.send("/robojam/up", "i", 1)
        out.listen(0.05)


def machine(out: Client) -> list[tuple[object, ...]]:
    """Return the touches of the machine that were received: phase, x and y; lifts without."""
    return [
        (m.name.removeprefix("ai/"), *m.args[1:3])
        for m in out.received
        if m.name in ("ai/down", "ai/move", "ai/up")
    ]


def kill(engine: RunningEngine) -> None:
    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait(PATIENCE)


def ended(session: Session) -> list:
    return [event for event in session.events if not isinstance(event, EndEvent)]


def joined(first: Session, second: Session) -> Session:
    """Return the jam of two recordings, of which the second goes on with the first."""
    assert second.header.continues == first.path.name
    last = first.events[-1].t
    after = [event for event in second.events if event.t > last]  # with its end
    return Session(first.header, (*ended(first), *after))


def uninterrupted(session: Session) -> list[tuple[object, ...]]:
    """Return the machine's touches that an engine plays without interruption, as `machine`."""
    made, differences = regenerate_session(session)
    assert differences == []
    touches = (e.touch for e in made.events if isinstance(e, TouchEvent))
    return [
        (t.phase.value,)
        if t.phase is Phase.UP
        else (t.phase.value, float(np.float32(t.x)), float(np.float32(t.y)))
        for t in touches
        if is_machine(t.who)
    ]


def test_engine_killed_in_an_answer_is_gone_on_for_touch_by_touch(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with serving(first, *LONG) as leader, following(second, leader.address) as twin:
        out = leader.out
        out.send("/robojam/subscribe", "i", out.port)
        play(out, 2)
        out.until(lambda: len(machine(out)) > 25)
        out.listen(0.005)
        kill(leader)
        count = len(machine(out))
        out.until(lambda: len(machine(out)) > count + 25)
        assert out.ask()["turn"] == "ai"  # at the address of the first
        play(out)  # a human takes the turn back, by the name that it had
        out.until(lambda: out.ask()["turn"] == "ai")
        twin.send_signal(signal.SIGTERM)
        assert twin.wait(PATIENCE) == 0
        out.listen(0.2)
    jam = joined(read(recordings(first)[-1]), read(recordings(second)[-1]))
    assert {e.touch.who for e in jam.touches()} == {"human", "ai"}
    received, made = (
        [touch for touch in touches if len(touch) > 1]
        for touches in (machine(out), uninterrupted(jam))
    )
    # The receiver is a monitor of the first, too, and gets each touch as both.
    assert dict.fromkeys(received).keys() == dict.fromkeys(made).keys()
    assert list(dict.fromkeys(received)) == list(dict.fromkeys(made))


def test_output_gets_each_touch_once_and_none_is_missing(tmp_path):
    for number in range(3):
        first, second = tmp_path / f"a{number}", tmp_path / f"b{number}"
        with serving(first, *LONG) as leader, following(second, leader.address) as twin:
            out = leader.out
            play(out)
            out.until(lambda: len(machine(out)) > 10 + 7 * number)  # noqa: B023
            out.listen(0.005)  # not in the instant in which it tells its twin of the touch
            kill(leader)
            count = len(machine(out))
            out.until(lambda: len(machine(out)) > count + 10)  # noqa: B023
            twin.send_signal(signal.SIGTERM)
            assert twin.wait(PATIENCE) == 0
            out.listen(0.2)
        jam = joined(read(recordings(first)[-1]), read(recordings(second)[-1]))
        assert machine(out) == uninterrupted(jam)


def test_jam_that_ends_ends_its_twin(tmp_path):
    with (
        serving(tmp_path / "a", *LONG) as leader,
        following(tmp_path / "b", leader.address) as twin,
    ):
        play(leader.out)
        assert leader.end() == 0
        assert twin.wait(PATIENCE) == 0
    assert recordings(tmp_path / "b") == []


def test_engine_that_is_killed_before_anybody_plays_has_a_fresh_jam_in_its_place(tmp_path):
    with (
        serving(tmp_path / "a", *LONG) as leader,
        following(tmp_path / "b", leader.address) as twin,
    ):
        kill(leader)
        out = leader.out
        assert first_line(twin).startswith("listening on udp://")
        assert out.ask()["threshold"] == 0.2
        play(out)
        out.until(lambda: len(machine(out)) > 2)
        twin.send_signal(signal.SIGTERM)
        assert twin.wait(PATIENCE) == 0
    [recording] = recordings(tmp_path / "b")
    assert read(recording).header.continues is None


def test_jam_is_handed_over_and_back_on_request(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with (
        serving(first, *LONG, stderr=None) as leader,
        following(second, leader.address) as twin,
    ):
        out = leader.out
        play(out)
        out.until(lambda: len(machine(out)) > 10)
        out.send("/robojam/yield")
        assert first_line(twin).startswith("listening on udp://")
        count = len(machine(out))
        out.until(lambda: len(machine(out)) > count + 20)
        received = machine(out)
        assert first_line(leader.process).startswith("follows ")
        out.until(lambda: out.ask()["turn"] == "ai")
        heard = out.ask()["heard"]
        out.listen(0.1)  # what was received is recorded by then
        os.kill(twin.pid, signal.SIGKILL)  # and the first takes it back
        assert first_line(leader.process).startswith("listening on udp://")
        assert out.ask()["heard"] == heard
        assert leader.end() == 0
    whole = joined(read(recordings(first)[0]), read(recordings(second)[-1]))
    made, differences = regenerate_session(whole)
    assert differences == []
    assert first_difference(whole, made.events) is None
    assert received == uninterrupted(whole)[: len(received)]  # no finger was lifted


def test_yield_without_a_twin_is_refused(tmp_path):
    with serving(tmp_path, *LONG) as engine:
        engine.out.send("/robojam/yield")
        status = engine.out.ask(lambda status: status["dropped"].get("no twin"))
        assert status["dropped"] == {"no twin": 1}
        engine.out.send("/robojam/yield", "is", 9, "ab" * 16)  # of nobody who has followed
        assert engine.out.ask()["dropped"] == {"no twin": 1}


class Watched:
    """Follower in this process, which is driven until something holds."""

    def __init__(self, leader: tuple[str, int]) -> None:
        self.said: list[str] = []
        self.follower = Follower(leader, models_of, listens=5005, say=self.said.append)
        self.follower.connect(Options())

    def until(self, condition) -> None:
        by = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < by, self.said
            assert self.follower._turn(0.05) is None


def test_twin_that_differs_is_told_and_given_the_state_again(tmp_path):
    with serving(tmp_path, *LONG) as leader:
        play(leader.out)
        watched = Watched(leader.address)
        follower = watched.follower
        watched.until(lambda: follower._jam is not None and follower._jam.events)
        before = follower._jam
        before.jam.player._counts += 1  # as a fault would
        watched.until(lambda: watched.said)
        assert "it computes something else" in watched.said[0]
        watched.until(lambda: follower._jam not in (None, before))
        loaded = follower._jam
        watched.until(lambda: loaded.events > 5)
        checked = []
        check = follower._check
        follower._check = lambda each: (check(each), checked.append(each))
        watched.until(lambda: len(checked) > 1)
        assert len(watched.said) == 1
        follower.close()
        assert leader.end() == 0


def test_who_connects_without_the_secret_or_sends_no_frames_is_no_leader(tmp_path):
    with serving(tmp_path, *LONG) as leader:
        said: list[str] = []
        follower = Follower(leader.address, models_of, listens=5005, say=said.append)
        port = follower._server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(bytes(frames.SECRET) + frames.encode(frames.END, b"over"))
            follower._asked_at = float("inf")  # the leader is not asked meanwhile
            while not said:
                assert follower._turn(0.05) is None
        assert "does not know the secret" in said[0]
        follower.close()


def test_leader_elsewhere_is_waited_for_by_the_pauses_that_it_made():
    follower = Follower(("192.0.2.1", 5005), models_of, listens=5005)
    assert not follower.is_here
    assert follower._patience == float("inf"), "it has said nothing yet"
    follower._told = object()
    follower._pauses.extend([0.005] * 10)
    assert follower._patience == 0.5, "too few to know"
    for pause, patience in ((0.005, 0.1), (0.06, 0.24), (0.3, 0.5)):
        follower._pauses.extend([0.005] * 1000 + [pause])
        assert follower._patience == pytest.approx(patience)
    follower.close()


def test_engine_that_is_not_there_is_waited_for(tmp_path):
    with serving(tmp_path, *LONG) as leader:
        address = leader.address
        assert leader.end() == 0
    twin = subprocess.Popen(
        command("serve", "--twin-of", format_address(*address), "--no-sound"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert twin.stderr is not None
    assert "waiting for the engine at" in twin.stderr.readline()
    twin.terminate()
    assert twin.wait(PATIENCE) == 0
    twin.communicate()


def test_frames_of_another_form_are_refused():
    whole = frames.encode(frames.EVENT, b"{}") + frames.encode(frames.END, b"over")
    reader = frames.Frames()
    parts = [frame for n in range(len(whole)) for frame in reader.feed(whole[n : n + 1])]
    assert parts == [(frames.EVENT, b"{}"), (frames.END, b"over")]
    for bad in (b"Q\0\0\0\1x", frames.END + b"\xff\xff\xff\xff"):
        with pytest.raises(frames.FrameError):
            frames.Frames().feed(bad)
    with pytest.raises(frames.FrameError):
        frames.encode(frames.END, bytes(2000))
    beat = frames.Beat(b"s" * frames.SECRET, 1.5, 7, 2)
    assert frames.decode_beat(frames.encode_beat(beat)) == beat
    with pytest.raises(frames.FrameError):
        frames.decode_beat(b"")


def test_resume_and_twin_of_do_not_go_together():
    ran = subprocess.run(
        command("serve", "--twin-of", "127.0.0.1:1", "--resume", "last"),
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "do not go together" in ran.stderr


def test_host_that_is_unknown_is_refused():
    with pytest.raises((FollowError, OSError)):
        Follower(("192.0.2.1%none", 5005), models_of, listens=5005)


@pytest.fixture
def other() -> Iterator[SecondHost]:
    with second_host() as host:
        yield host


def test_twin_of_a_machine_that_is_cut_off_leads_and_the_other_follows_when_it_is_back(
    tmp_path, other
):
    """The leader is the second host; the twin is here, and lists it as a host."""
    first, second = tmp_path / "first", tmp_path / "second"
    out = Client((other.address, 5005), host=other.here)
    words = (
        *command("serve", "--osc-in", f"{other.address}:5005", "--control", other.here),
        *("--osc-out", f"{other.here}:{out.port}", "--sessions", str(first), "--no-sound"),
        *("--tuio-in", "none", "--device", "cpu", "--no-announce", *LONG),
    )
    leader = subprocess.Popen(other.command(*words), stdout=subprocess.PIPE, text=True)
    try:
        assert first_line(leader).startswith("listening on udp://")
        own = ("--osc-in", f"{other.here}:0", "--control", other.address, "--no-announce")
        with following(second, (other.address, 5005), *own) as twin:
            play(out)
            out.until(lambda: len(machine(out)) > 10)
            other.set_link(up=False)
            line = first_line(twin)
            assert line.startswith("listening on udp://")
            here = Client(address_of(line))
            count = len(machine(out))  # what the other plays now comes to nobody
            out.until(lambda: len(machine(out)) > count + 5)
            heard = here.ask()["heard"]
            other.set_link(up=True)
            assert first_line(leader).startswith("follows ")
            here.until(lambda: here.ask()["heard"] == heard)
            twin.send_signal(signal.SIGTERM)  # the jam is over, for both
            assert twin.wait(PATIENCE) == 0
            assert leader.wait(PATIENCE) == 0
    finally:
        leader.kill()
        leader.wait(PATIENCE)
