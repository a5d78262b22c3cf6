"""OSC sent ahead of time: a receiver that schedules plays what the jam plays."""

from __future__ import annotations

import math
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.engine import HAND, DrivenEngine
from support.players import RandomPlayer, ScriptedPlayer, land, slide

from robojam.jam.events import Event, TouchPlayed
from robojam.ports.osc_scheduled import ScheduledOscOutput
from robojam.touch import Phase, is_machine
from robojam.wire import osc

AHEAD = 0.05
#: The wall's clock at the engine's 0.
EPOCH = 1_800_000_000.0
TO = ("127.0.0.1", 9000)


@dataclass(frozen=True)
class StampedMessage:
    """A message of a bundle: when it left and its timetag, both on the engine's clock."""

    left: float
    stamp: float
    name: str
    args: tuple[Any, ...]


class Receiver:
    """Destination without a socket, which collects the messages that are sent."""

    def __init__(self, driven: DrivenEngine) -> None:
        self.driven = driven
        self.sent: list[StampedMessage] = []

    def send(self, packet: bytes) -> None:
        assert packet.startswith(b"#bundle\0")
        (tag,) = struct.unpack(">Q", packet[8:16])
        stamp = tag / 2**32 - 2_208_988_800 - EPOCH
        messages, dropped = osc.decode(packet)
        assert not dropped
        for m in messages:
            name = m.address.removeprefix("/robojam/")
            self.sent.append(StampedMessage(self.driven.now, stamp, name, tuple(m.args)))

    def close(self) -> None:
        pass

    def played(self) -> list[StampedMessage]:
        """Return the messages in the order of their timetags, equal ones as they came."""
        return sorted(self.sent, key=lambda one: one.stamp)


class UnscheduledOutput:
    """Output that keeps the machine's touches and their instants."""

    latency, schedules = 0.0, False

    def __init__(self) -> None:
        self.touches: list[tuple[float, TouchPlayed]] = []

    def handle(self, event: Event, at: float) -> None:
        if isinstance(event, TouchPlayed) and is_machine(event.touch.who):
            self.touches.append((at, event))

    def advance(self, _: float) -> float:
        return math.inf

    def status(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass


class Ahead(DrivenEngine):
    """Engine with an output that sends ahead of time and one that does not."""

    def __init__(self, folder: Path, player: Any = None, **options: Any) -> None:
        super().__init__(folder, player, **{"mode": "listen", **options})
        self.receiver, self.plain = Receiver(self), UnscheduledOutput()
        self.output = ScheduledOscOutput(
            self.receiver,  # type: ignore[arg-type]
            ahead=AHEAD,
            timescale=self.options.settings().timescale,
            clock=lambda: self.now,
            wall=lambda: EPOCH + self.now,
            echo=self.engine._reader.echo,
        )
        self.engine._publisher.use((self.output, self.plain))


@pytest.fixture
def ahead(tmp_path):
    return lambda *script, **options: Ahead(
        tmp_path, ScriptedPlayer(*script) if script else None, **options
    )


def test_touches_leave_early_and_are_stamped_with_their_instant(ahead):
    d = ahead(land(0.2, 0.25, 0.75), slide(0.1), slide(0.02))
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.48)
    sent = d.receiver.sent
    assert [one.name for one in sent] == ["ai/down", "ai/move", "ai/move", "ai/up", "ai/down"]
    assert sent[0].args == pytest.approx((0, 0.25, 0.75, 0.2))
    left = [one.left - 1000 for one in sent]
    assert left == pytest.approx([0.15, 0.25, 0.3, 0.42, 0.47], abs=1e-5)
    stamps = [one.stamp - 1000 for one in sent]
    assert stamps == pytest.approx([0.2, 0.3, 0.32, 0.47, 0.52], abs=1e-5)


def test_touch_that_comes_back_before_it_is_due_is_an_echo(ahead):
    d = ahead(land(0.2, 0.3, 0.7), slide(3.0))
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.17)
    d.send("/robojam/down", "iff", 1, 0.3, 0.7)  # from a program that renames what it receives
    assert d.status()["dropped"] == {"echo": 1}
    assert d.status()["played"] == 0


def test_touch_that_is_due_within_the_time_ahead_leaves_at_once(ahead):
    d = ahead(land(0.2), slide(0.01))
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.205)
    move = d.receiver.sent[1]
    assert move.name == "ai/move"
    assert move.left == pytest.approx(1000.2, abs=1e-5)
    assert move.stamp == pytest.approx(1000.21, abs=1e-5)


def test_sent_move_that_is_taken_back_is_lifted_at_its_instant(ahead):
    d = ahead(land(0.2), slide(0.1), threshold=0.5, mode="call-response")
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.wait(0.77)  # 0.5 of silence, a touch at 0.7, the next for 0.8 on its way from 0.75 on
    assert [one.name for one in d.receiver.sent] == ["ai/down", "ai/move"]
    d.send("/robojam/move", "iff", 1, 0.5, 0.6)
    up = d.receiver.sent[-1]
    assert (up.name, up.left) == ("ai/up", d.now)
    assert up.stamp == pytest.approx(1000.8, abs=1e-5)
    assert len(d.receiver.sent) == 3  # and nothing else


def test_sent_first_down_that_is_taken_back_is_lifted_at_its_instant(ahead):
    d = ahead(land(0.2), threshold=0.5, mode="call-response")
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.wait(0.68)
    d.send("/robojam/move", "iff", 1, 0.5, 0.6)
    assert [one.name for one in d.receiver.sent] == ["ai/down", "ai/up"]
    assert d.receiver.sent[1].stamp == pytest.approx(d.receiver.sent[0].stamp)


def test_touch_that_is_taken_back_before_it_left_is_never_sent(ahead):
    d = ahead(land(0.2), threshold=0.5, mode="call-response")
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.wait(0.6)
    d.send("/robojam/move", "iff", 1, 0.5, 0.6)
    d.wait(0.3)
    assert d.receiver.sent == []


@pytest.mark.parametrize("control", [("pause", "i", 1), ("mode", "s", "listen"), ("panic", "")])
def test_control_that_silences_the_machine_lifts_sent_touches(ahead, control):
    d = ahead(land(0.2), slide(0.1))
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.27)
    d.send(f"/robojam/{control[0]}", *control[1:])
    d.wait(2.0)
    assert [one.name for one in d.receiver.played()] == ["ai/down", "ai/move", "ai/up"]


def test_new_recording_and_end_leave_no_finger_down(ahead):
    d = ahead(land(0.2), slide(0.1))
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.27)
    d.send("/robojam/record", "i", 1)
    d.wait(0.1)
    assert d.receiver.played()[-1].name == "ai/up"
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.wait(0.27)
    d.engine.finish("the end")
    assert d.receiver.played()[-1].name == "ai/up"


def test_dt_is_scaled_by_the_timescale_in_force(ahead):
    d = ahead(land(0.2), slide(0.1), timescale=2.0)
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.5)
    d.send("/robojam/timescale", "f", 0.5)
    d.wait(0.4)
    dts = [round(one.args[3], 4) for one in d.receiver.sent if len(one.args) == 4]
    assert dts[:3] == [0.4, 0.05, 0.1]


def test_wall_clock_that_is_set_back_moves_stamps_only(ahead):
    """The receiver's clock is set back too; when touches leave depends on the engine's."""
    d = ahead(land(0.2), slide(0.1))
    back = [0.0]
    d.output._wall = lambda: EPOCH + d.now - back[0]
    d.send("/robojam/mode", "s", "solo")
    d.wait(0.26)
    back[0] = 3600.0
    d.wait(0.25)
    sent = [one for one in d.receiver.sent if one.name == "ai/down" or one.name == "ai/move"]
    assert [one.left - 1000 for one in sent] == pytest.approx([0.15, 0.25, 0.45], abs=1e-5)
    stamps = [one.stamp - 1000 for one in sent]
    assert stamps == pytest.approx([0.2, 0.3, 0.5 - 3600], abs=1e-5)


ACTS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.004, 0.03, 0.06, 0.11, 0.3, 0.7, 1.9])),
    st.tuples(st.just("down"), st.integers(0, 2)),
    st.tuples(st.just("up"), st.integers(0, 2)),
    st.tuples(
        st.just("mode"),
        st.sampled_from(["call-response", "duet", "solo", "listen", "ensemble"]),
    ),
    st.tuples(st.just("answer"), st.none()),
    st.tuples(st.just("pause"), st.sampled_from([0, 1])),
    st.tuples(st.just("panic"), st.none()),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("timescale"), st.sampled_from([0.3, 1.0])),
    st.tuples(st.just("response"), st.sampled_from([0.0, 0.4, 3.0])),
    st.tuples(st.just("record"), st.just(1)),
)


@settings(deadline=None)
@example([("mode", "solo"), ("wait", 0.004), ("timescale", 0.3)], 1, 1)
@example([("mode", "solo"), ("wait", 0.004), ("reset", None)], 1, 13)
@example([("wait", 0.004), ("mode", "solo")], 2, 3)
@example([("mode", "duet"), ("pause", 1), ("down", 0)], 1, 1)
@given(st.lists(ACTS, max_size=25), st.integers(1, 2), st.integers(0, 99))
def test_scheduling_receiver_plays_every_touch_of_the_jam(acts, voices, seed):
    """Each touch is sent once and in time, and each touch that is taken back is lifted."""
    with tempfile.TemporaryDirectory() as folder:
        d = Ahead(
            Path(folder), RandomPlayer(voices=voices), voices=voices, seed=seed, threshold=0.2
        )
        for name, value in acts:
            if name == "wait":
                d.wait(value)
            elif name == "down":
                d.send("/robojam/down", "iff", value, 0.1 * value, 0.5)
            elif name == "up":
                d.send("/robojam/up", "i", value)
            elif value is None:
                d.send(f"/robojam/{name}")
            else:
                tag = (
                    "s" if isinstance(value, str) else "f" if isinstance(value, float) else "i"
                )
                d.send(f"/robojam/{name}", tag, value, sender=(HAND[0], 1))
        d.wait(0.3)
        d.engine.finish("the end")
    sent = [one for one in d.receiver.sent if not one.name.endswith("/up")]
    assert all(one.left <= one.stamp + 1e-5 for one in d.receiver.sent)
    assert all(one.left >= one.stamp - AHEAD - 1e-5 for one in sent)
    left = list(sent)
    for at, s in d.plain.touches:
        if s.touch.phase is not Phase.UP:
            left.remove(_find(left, at, s))
    for one in left:  # taken back: lifted where it lands
        who, _, _ = one.name.partition("/")
        ups = [up.stamp for up in d.receiver.sent if up.name == f"{who}/up"]
        assert any(abs(up - one.stamp) < 1e-5 for up in ups)
    held: dict[str, bool] = {}
    for one in d.receiver.played():
        who, _, phase = one.name.partition("/")
        if phase == "move":
            assert held.get(who), "a move of a finger that is not down"
        held[who] = phase != "up"
    assert not any(held.values())


def _find(sent: list[StampedMessage], at: float, what: TouchPlayed) -> StampedMessage:
    """Return the message of a touch: at its instant, or as late as one taken back before."""
    for one in sent:
        same = one.name.startswith(f"{what.touch.who}/") and one.args[1:3] == pytest.approx(
            (what.touch.x, what.touch.y), abs=1e-6
        )
        if same and at - 1e-5 <= one.stamp <= at + AHEAD + 1e-5:
            return one
    raise AssertionError(f"{what} was not sent in time")
