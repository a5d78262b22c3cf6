"""Outputs of different latencies: the machine's touches meet, the human's wait nowhere."""

import pytest
from support.engine import DrivenEngine
from support.players import ScriptedPlayer, land, slide

from robojam.config.addresses import parse_output
from robojam.jam.events import TouchPlayed
from robojam.touch import Phase, is_machine
from robojam.wire.latency import split_latency
from robojam.wire.midi.styles import parse_port
from robojam.wire.osc import encode as osc


class Output:
    """Output port whose sound comes a latency after what it is sent."""

    schedules = False

    def __init__(self, engine, latency):
        self.engine, self.latency = engine, latency
        self.sent = []

    def handle(self, event, at):
        if isinstance(event, TouchPlayed):
            self.sent.append((self.engine.now, event))

    def advance(self, _now):
        return float("inf")

    def status(self):
        return {}

    def close(self):
        pass

    def heard(self, *, machine):
        return [
            (round(at + self.latency, 6), event.touch.phase)
            for at, event in self.sent
            if is_machine(event.touch.who) == machine
        ]


@pytest.fixture
def jam(tmp_path):
    return DrivenEngine(tmp_path, ScriptedPlayer(land(0.02), slide(0.011)), threshold=0.1)


def test_outputs_of_0_10_and_40_ms_meet(jam):
    outputs = [Output(jam, latency) for latency in (0.0, 0.01, 0.04)]
    jam.engine._publisher.use(outputs)
    jam.raw(osc("/robojam/down", "iff", 0, 0.5, 0.5))
    jam.raw(osc("/robojam/up", "i", 0))
    human = [output.heard(machine=False) for output in outputs]
    assert [len(each) for each in human] == [2, 2, 2]
    assert outputs[0].sent[0][0] == outputs[2].sent[0][0]  # a human's touch waits nowhere
    for _ in range(2000):
        jam.wait(0.0005)
    heard = [output.heard(machine=True) for output in outputs]
    fewest = min(map(len, heard))
    assert fewest > 40
    for one, two, three in zip(*heard, strict=False):
        assert one[1] is two[1] is three[1]
        assert max(one[0], two[0], three[0]) - min(one[0], two[0], three[0]) <= 0.001
    assert jam.status()["latency_ms"] == 40


def test_panic_is_heard_at_once_and_no_finger_stays_down(jam):
    outputs = [Output(jam, latency) for latency in (0.0, 0.04)]
    jam.engine._publisher.use(outputs)
    jam.raw(osc("/robojam/down", "iff", 0, 0.5, 0.5))
    jam.raw(osc("/robojam/up", "i", 0))
    for _ in range(500):
        jam.wait(0.0005)
    jam.raw(osc("/robojam/panic"))
    for output in outputs:
        assert output.heard(machine=True)[-1][1] is Phase.UP
    assert [e for _, e in outputs[0].sent] == [e for _, e in outputs[1].sent]


def test_latency_is_read_from_the_option():
    assert parse_output("127.0.0.1:9000/tuio?latency=12").latency == 0.012
    assert parse_output("127.0.0.1:9000").latency == 0.0
    assert parse_port("Synth/mpe?latency=8", {}).latency == 0.008
    assert parse_port("Synth", {}).latency == 0.0


@pytest.mark.parametrize("wrong", ["-1", "501", "nan", "inf", "12ms", ""])
def test_wrong_latency_is_refused(wrong):
    with pytest.raises(ValueError, match="milliseconds from 0 to 500"):
        split_latency(f"127.0.0.1:9000?latency={wrong}")
