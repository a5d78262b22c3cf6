"""Preview of a recording: the messages of the window and the touches for the sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import DrivenEngine
from support.window import write_recording

from robojam.engine.preview import MAX_FINGERS, TIMEOUT
from robojam.jam.events import ControlChanged, TouchPlayed, TouchPreviewed
from robojam.sessions.session import read
from robojam.sound.messages import decode, encode
from robojam.touch import Phase
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.recordings.preview import AHEAD, PreviewPlayer
from robojam.wire.osc import Message
from robojam.wire.osc import encode as osc

FRAME = 1 / 60


class FakeOutput:
    """Output port that keeps the events and their instants."""

    latency, schedules = 0.0, False

    def __init__(self) -> None:
        self.events: list[tuple[object, float]] = []

    def handle(self, event, at):
        self.events.append((event, at))

    def advance(self, now):
        return float("inf")

    def status(self):
        return {}

    def close(self):
        pass

    def previewed(self) -> list[tuple[float, str, Phase]]:
        return [
            (at, event.touch.who, event.touch.phase)
            for event, at in self.events
            if isinstance(event, TouchPreviewed)
        ]


class PreviewEngine:
    """Engine with an output port, and the sender of a window on the same clock."""

    def __init__(self, folder: Path) -> None:
        self.driven = DrivenEngine(folder)
        self.output = FakeOutput()
        publisher = self.driven.engine._publisher
        publisher.use((*publisher.outputs, self.output))
        self.sent: list[Message] = []

    def send(self, address: str, tags: str = "", *args: object) -> None:
        self.sent.append(Message(address, tags, args))
        self.driven.raw(osc(address, tags, *args))

    def play(
        self, playback: RecordingPlayback, preview: PreviewPlayer, seconds: float, frame=FRAME
    ) -> None:
        for _ in range(round(seconds / frame)):
            playback.advance(self.driven.now)
            preview.follow(playback, self.driven.now)
            self.driven.wait(frame)


@pytest.fixture
def engine(tmp_path):
    return PreviewEngine(tmp_path / "live")


@pytest.fixture
def playback(tmp_path):
    return RecordingPlayback(read(write_recording(tmp_path)), "a jam")


@pytest.mark.parametrize("frame", [FRAME, 0.05])
@pytest.mark.parametrize("speed", [1.0, 2.0, 0.25])
def test_previewed_touch_is_played_at_its_instant_for_any_frame_rate(
    engine, playback, speed, frame
):
    playback.speed = speed
    began = engine.driven.now
    playback.play(began)
    engine.play(playback, PreviewPlayer(engine), 10.5 / speed, frame=frame)
    previewed = engine.output.previewed()
    expected = [(began + e.t / speed, e.touch.who, e.touch.phase) for e in playback.touches]
    assert [row[1:] for row in previewed] == [row[1:] for row in expected]
    for (at, *_), (due, *_) in zip(previewed, expected, strict=True):
        assert at == pytest.approx(due, abs=1e-4)


def test_preview_reaches_neither_the_jam_nor_monitors_nor_the_recording(engine, playback):
    engine.driven.send("/robojam/subscribe", "i", 7000)
    engine.driven.wait(0.5)
    engine.driven.take()
    playback.play(engine.driven.now)
    engine.play(playback, PreviewPlayer(engine), 11)
    status = engine.driven.status()
    assert (status["heard"], status["played"], status["fingers"]) == (0, 0, 0)
    assert status["dropped"] == {}
    assert engine.driven.take() == []
    assert not list(engine.driven.folder.glob("*.jsonl"))
    assert not [e for e, _ in engine.output.events if isinstance(e, TouchPlayed)]


def test_finger_of_a_preview_is_not_one_of_the_jam(engine):
    engine.send("/robojam/down", "iff", 1, 0.5, 0.5)
    engine.send("/robojam/audition/down", "sifff", "human", 1, 0.2, 0.2, 0.0)
    engine.send("/robojam/audition", "i", 0)
    ids = {e.touch.id for e, _ in engine.output.events if isinstance(e, TouchPreviewed)}
    assert len(ids) == 1
    assert 1 not in ids
    assert engine.driven.status()["fingers"] == 1


def fingers_down(engine) -> int:
    down = 0
    for _, _, phase in engine.output.previewed():
        down += {Phase.DOWN: 1, Phase.MOVE: 0, Phase.UP: -1}[phase]
    return down


@pytest.mark.parametrize(
    "stops",
    [
        lambda playback: playback.hold(),
        lambda playback: playback.seek(5.0),
    ],
)
def test_held_finger_is_lifted_when_the_playback_stops_or_jumps(engine, playback, stops):
    preview = PreviewPlayer(engine)
    playback.play(engine.driven.now)
    engine.play(playback, preview, 0.5)
    assert fingers_down(engine) == 1
    stops(playback)
    engine.play(playback, preview, 0.1)
    assert fingers_down(engine) == 0
    assert engine.output.previewed()[-1][0] <= engine.driven.now + AHEAD


def test_first_touch_is_played_in_each_round_of_a_loop(engine, playback):
    playback.loop, playback.speed = True, 4.0
    playback.play(engine.driven.now)
    engine.play(playback, PreviewPlayer(engine), 7.6)
    landed = [at for at, who, phase in engine.output.previewed() if phase is Phase.DOWN]
    assert len(landed) >= 3 * 4
    assert fingers_down(engine) in (0, 1)


def test_preview_ends_after_a_timeout_without_messages(engine, playback):
    playback.play(engine.driven.now)
    engine.play(playback, PreviewPlayer(engine), 0.5)
    assert fingers_down(engine) == 1
    engine.driven.wait(TIMEOUT + 0.1)
    assert fingers_down(engine) == 0


def test_panic_ends_the_preview(engine, playback):
    playback.play(engine.driven.now)
    engine.play(playback, PreviewPlayer(engine), 0.5)
    engine.send("/robojam/panic")
    assert fingers_down(engine) == 0
    assert any(isinstance(event, ControlChanged) for event, _ in engine.output.events)


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
def test_invalid_preview_message_is_dropped_with_a_reason(engine, address, tags, args, reason):
    engine.send(address, tags, *args)
    assert engine.driven.status()["dropped"] == {reason: 1}
    assert engine.output.events == []


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
def test_any_preview_ends_with_no_finger_down(tmp_path_factory, touches):
    engine = PreviewEngine(tmp_path_factory.mktemp("live"))
    for phase, who, finger, wait in touches:
        if phase == "up":
            engine.send("/robojam/audition/up", "sif", who, finger, wait)
        else:
            engine.send(f"/robojam/audition/{phase}", "sifff", who, finger, 0.5, 0.5, wait)
    engine.send("/robojam/audition", "i", 0)
    assert fingers_down(engine) == 0
    times = [at for at, *_ in engine.output.previewed()]
    assert times == sorted(times)
    json.loads(engine.driven.engine.status())


def test_previewed_touch_is_sent_to_the_sound_as_a_touch(engine):
    engine.send("/robojam/audition/down", "sifff", "ai", 3, 0.25, 0.75, 0.01)
    ((event, at),) = engine.output.events
    decoded = decode(encode(event, at))
    assert decoded is not None
    assert (decoded[0].touch.who, decoded[0].touch.phase, decoded[1]) == ("ai", Phase.DOWN, at)


def test_preview_of_fingers_whose_lifts_are_lost_is_bounded(tmp_path):
    d = DrivenEngine(tmp_path)
    for finger in range(3 * MAX_FINGERS):
        d.send("/robojam/audition/down", "sifff", "ai", finger, 0.5, 0.5, 0.0)
        assert len(d.engine._preview._fingers) <= MAX_FINGERS
    assert d.status()["dropped"] == {}
    d.engine.finish("the end of the test")
