"""Path of a touch: what stands between a human's touch and the machine's answer to it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

from support.engine import OUT, DrivenEngine
from support.players import RandomPlayer

from robojam.jam.protocols import Proposal
from robojam.wire import osc

MONITOR = ("127.0.0.1", 9400)
#: Most calls of Python functions between a packet and the answer that is sent, with a dozen of
#: the test itself: its clock, player and sockets.
MOST = 132
#: Seconds after an answer in which the machine's finger has lifted.
LIFTED = 0.2


class Answering(RandomPlayer):
    """Player whose answers are due at once, and are not followed by another touch."""

    answers = False

    def feed(self, *touch):
        super().feed(*touch)
        self.answers = True

    def commit(self, voice, *touch):
        super().commit(voice, *touch)
        self.answers = False

    def sample(self, voices):
        dt = 0.001 if self.answers else 5.0
        return [Proposal(0.25, 0.75, dt, moving=True)] * len(voices)


def duet(folder: Path) -> DrivenEngine:
    """Return an engine with an output, a monitor and a recording, which answers at once.

    A finger is down, and the machine's is not, so that the next slide is answered.
    """
    d = DrivenEngine(folder, Answering(), mode="duet", dwell=100)
    d.send("/robojam/subscribe", "i", MONITOR[1])
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.wait(LIFTED)
    return d


def slide(d: DrivenEngine, x: float) -> None:
    """Have the engine take in a slide as its loop does, and play the answer."""
    packet = osc.encode("/robojam/move", "iff", 1, x, 0.5)
    d.take_in(packet)
    d.engine.reception.listen()
    d.now += 0.0011
    d.engine.advance()


def test_touch_is_answered_within_a_bounded_number_of_calls(tmp_path, monkeypatch):
    """The cost of a touch is that of its calls, which are counted instead of timed."""
    d, calls, counts = duet(tmp_path), [], []
    send = d.wire.send

    def sent(packet: bytes, to: tuple[str, int]) -> None:
        if packet.startswith(b"/robojam/ai/down"):
            sys.setprofile(None)
            counts.append(len(calls))
        send(packet, to)

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    monkeypatch.setattr(d.wire, "send", sent)
    for i in range(20):
        calls.clear()
        sys.setprofile(profile)
        try:
            slide(d, 0.3 + i / 100)
        finally:
            sys.setprofile(None)
        d.wait(LIFTED)
    assert len(counts) == 20
    # Every second touch adds a snapshot to the history, too.
    assert sorted(counts)[5] <= MOST, calls


def test_monitor_and_recording_have_touch_and_answer_in_order_after_the_output(tmp_path):
    d = duet(tmp_path)
    d.take()
    d.now += 0.01
    slide(d, 0.25)
    sent = [(m.name, m.to) for m in d.take() if m.to in (OUT, MONITOR) and m.name != "forecast"]
    assert sent == [
        ("ai/down", OUT),
        *((name, MONITOR) for name in ("human/move", "ai/next", "ai/down")),
    ]
    recorded = [(e.touch.who, e.touch.phase) for e in d.end().touches()]
    answered = recorded.index(("human", "move"))
    assert recorded[answered : answered + 2] == [("human", "move"), ("ai", "down")]


def test_touch_without_an_answer_reaches_monitor_in_the_same_turn(tmp_path):
    d = duet(tmp_path)
    d.send("/robojam/mode", "s", "listen")
    d.take()
    d.now += 0.01
    slide(d, 0.25)
    assert [m.name for m in d.take() if m.to == MONITOR][:1] == ["human/move"]


def test_touch_reaches_monitor_before_many_voices_hear_it(tmp_path):
    d = DrivenEngine(tmp_path, RandomPlayer(voices=8), mode="duet", voices=8)
    d.send("/robojam/subscribe", "i", MONITOR[1])
    d.take()
    sent: list[list[str]] = []
    d.loaded.player.feed = lambda *_: sent.append([m.name for m in d.take() if m.to == MONITOR])
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    assert sent == [["human/down"]]
