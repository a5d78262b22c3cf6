"""A recording is heard in the window: what is sent, and what the sound is let have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import Driven
from support.window import write_recording

from robojam.engine.preview import TIMEOUT
from robojam.jam.events import ControlChanged, TouchPlayed, TouchPreviewed
from robojam.sessions.session import read
from robojam.sound.messages import decode, encode
from robojam.touch import Phase
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.recordings.preview import AHEAD, PreviewPlayer
from robojam.wire.osc import Message
from robojam.wire.osc import encode as osc

FRAME = 1 / 60


class Ear:
    """An output that notes what it is given, and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, float]] = []

    def handle(self, what, at):
        self.heard.append((what, at))

    def advance(self, now):
        return float("inf")

    def status(self):
        return {}

    def close(self):
        pass

    def auditioned(self) -> list[tuple[float, str, Phase]]:
        return [
            (at, what.touch.who, what.touch.phase)
            for what, at in self.heard
            if isinstance(what, TouchPreviewed)
        ]


class Engine:
    """An engine with an ear, and a window's end of a wire to it on the same clock."""

    def __init__(self, folder: Path) -> None:
        self.driven = Driven(folder)
        self.ear = Ear()
        self.driven.engine._publisher.outputs += (self.ear,)
        self.sent: list[Message] = []

    def send(self, address: str, tags: str = "", *args: object) -> None:
        self.sent.append(Message(address, tags, args))
        self.driven.raw(osc(address, tags, *args))

    def play(
        self, rerun: RecordingPlayback, audition: PreviewPlayer, seconds: float, frame=FRAME
    ) -> None:
        for _ in range(round(seconds / frame)):
            rerun.advance(self.driven.now)
            audition.follow(rerun, self.driven.now)
            self.driven.wait(frame)


@pytest.fixture
def engine(tmp_path):
    return Engine(tmp_path / "live")


@pytest.fixture
def rerun(tmp_path):
    return RecordingPlayback(read(write_recording(tmp_path)), "a jam")


@pytest.mark.parametrize("frame", [FRAME, 0.05])
@pytest.mark.parametrize("speed", [1.0, 2.0, 0.25])
def test_each_touch_is_heard_at_its_own_instant_however_slow_the_frames(
    engine, rerun, speed, frame
):
    rerun.speed = speed
    began = engine.driven.now
    rerun.play(began)
    engine.play(rerun, PreviewPlayer(engine), 10.5 / speed, frame=frame)
    heard = engine.ear.auditioned()
    wanted = [(began + e.t / speed, e.touch.who, e.touch.phase) for e in rerun.touches]
    assert [one[1:] for one in heard] == [one[1:] for one in wanted]
    for (at, *_), (due, *_) in zip(heard, wanted, strict=True):
        assert at == pytest.approx(due, abs=1e-4)


def test_the_jam_hears_nothing_of_it_nor_any_monitor_nor_the_recording(engine, rerun):
    engine.driven.send("/robojam/subscribe", "i", 7000)
    engine.driven.wait(0.5)
    engine.driven.take()
    rerun.play(engine.driven.now)
    engine.play(rerun, PreviewPlayer(engine), 11)
    status = engine.driven.status()
    assert (status["heard"], status["played"], status["fingers"]) == (0, 0, 0)
    assert status["dropped"] == {}
    assert engine.driven.take() == []
    assert not list(engine.driven.folder.glob("*.jsonl"))
    assert not [what for what, _ in engine.ear.heard if isinstance(what, TouchPlayed)]


def test_its_fingers_are_none_of_the_jams(engine):
    engine.send("/robojam/down", "iff", 1, 0.5, 0.5)
    engine.send("/robojam/audition/down", "sifff", "human", 1, 0.2, 0.2, 0.0)
    engine.send("/robojam/audition", "i", 0)
    ids = {what.touch.id for what, _ in engine.ear.heard if isinstance(what, TouchPreviewed)}
    assert len(ids) == 1
    assert 1 not in ids
    assert engine.driven.status()["fingers"] == 1


def held(engine) -> int:
    down = 0
    for _, _, phase in engine.ear.auditioned():
        down += {Phase.DOWN: 1, Phase.MOVE: 0, Phase.UP: -1}[phase]
    return down


@pytest.mark.parametrize(
    "stops",
    [
        lambda rerun: rerun.hold(),
        lambda rerun: rerun.seek(5.0),
    ],
)
def test_what_is_held_is_lifted_where_it_is_held_or_goes_elsewhere(engine, rerun, stops):
    audition = PreviewPlayer(engine)
    rerun.play(engine.driven.now)
    engine.play(rerun, audition, 0.5)
    assert held(engine) == 1
    stops(rerun)
    engine.play(rerun, audition, 0.1)
    assert held(engine) == 0
    assert engine.ear.auditioned()[-1][0] <= engine.driven.now + AHEAD


def test_in_a_loop_the_first_touch_is_heard_each_time(engine, rerun):
    rerun.loop, rerun.speed = True, 4.0
    rerun.play(engine.driven.now)
    engine.play(rerun, PreviewPlayer(engine), 7.6)
    landed = [at for at, who, phase in engine.ear.auditioned() if phase is Phase.DOWN]
    assert len(landed) >= 3 * 4
    assert held(engine) in (0, 1)


def test_a_window_that_is_gone_leaves_no_sound_behind(engine, rerun):
    rerun.play(engine.driven.now)
    engine.play(rerun, PreviewPlayer(engine), 0.5)
    assert held(engine) == 1
    engine.driven.wait(TIMEOUT + 0.1)
    assert held(engine) == 0


def test_panic_ends_it(engine, rerun):
    rerun.play(engine.driven.now)
    engine.play(rerun, PreviewPlayer(engine), 0.5)
    engine.send("/robojam/panic")
    assert held(engine) == 0
    assert any(isinstance(what, ControlChanged) for what, _ in engine.ear.heard)


@pytest.mark.parametrize(
    ("address", "tags", "args", "reason"),
    [
        ("/robojam/audition/down", "sifff", ("nobody", 1, 0.5, 0.5, 0.0), "out of range"),
        ("/robojam/audition/down", "sifff", ("ai", 1, 0.5, 0.5, 9.0), "out of range"),
        ("/robojam/audition/down", "sifff", ("ai", 1, 0.5, 0.5, -1.0), "out of range"),
        ("/robojam/audition/down", "sifff", ("ai", 1, float("nan"), 0.5, 0.0), "not finite"),
        ("/robojam/audition/up", "si", ("ai", 1), "wrong arguments"),
        ("/robojam/audition", "i", (2,), "out of range"),
    ],
)
def test_what_makes_no_sense_is_counted(engine, address, tags, args, reason):
    engine.send(address, tags, *args)
    assert engine.driven.status()["dropped"] == {reason: 1}
    assert engine.ear.heard == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["down", "move", "up"]),
            st.sampled_from(["human", "ai", "ai2"]),
            st.integers(0, 100),
            st.floats(0, 1),
        ),
        max_size=200,
    )
)
def test_whatever_is_auditioned_ends_with_nothing_held(tmp_path_factory, touches):
    engine = Engine(tmp_path_factory.mktemp("live"))
    for phase, who, finger, wait in touches:
        if phase == "up":
            engine.send("/robojam/audition/up", "sif", who, finger, wait)
        else:
            engine.send(f"/robojam/audition/{phase}", "sifff", who, finger, 0.5, 0.5, wait)
    engine.send("/robojam/audition", "i", 0)
    assert held(engine) == 0
    times = [at for at, *_ in engine.ear.auditioned()]
    assert times == sorted(times)
    json.loads(engine.driven.engine.status())


def test_the_sound_takes_it_as_a_touch(engine):
    engine.send("/robojam/audition/down", "sifff", "ai", 3, 0.25, 0.75, 0.01)
    ((what, at),) = engine.ear.heard
    told = decode(encode(what, at))
    assert told is not None
    assert (told[0].touch.who, told[0].touch.phase, told[1]) == ("ai", Phase.DOWN, at)
