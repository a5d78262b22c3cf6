"""Errors that nobody foresaw: the act is dropped, counted and logged, and the jam goes on."""

import logging
import math
import socket
from dataclasses import replace

import pytest
from support.engine import OUT, DrivenEngine, playing, recording
from support.players import ScriptedPlayer, land, slide

from robojam.engine import loop
from robojam.engine.metrics import DropCounter
from robojam.wire import osc


class FailingPlayer(ScriptedPlayer):
    """Player whose methods raise while `failing` names them, as on a device that is lost."""

    def __init__(self, *script, failing=(), error=RuntimeError, **more):
        self.failing, self.error = set(failing), error
        super().__init__(*script, **more)

    def _check(self, name):
        if name in self.failing:
            raise self.error("a device")

    def feed(self, *touch):
        self._check("feed")
        super().feed(*touch)

    def sample(self, voices):
        self._check("sample")
        return super().sample(voices)

    def commit(self, *touch):
        self._check("commit")
        super().commit(*touch)

    def forecast(self):
        self._check("forecast")
        return super().forecast()

    def take_over(self, other):
        self.counts = list(other.counts)
        self.fed = [list(fed) for fed in other.fed]
        return "state" not in other.failing


class FailingOutput:
    latency, schedules = 0.0, False

    def handle(self, *_):
        raise ZeroDivisionError("of an output")

    def advance(self, _):
        raise ZeroDivisionError("of an output")

    def status(self):
        return {}

    def close(self):
        raise ZeroDivisionError("of an output")


class Socket:
    """Endpoint of a loop, with packets that wait; the engine stops when they have been read."""

    def __init__(self, engine, *packets):
        self.engine, self.packets = engine, list(packets)
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"x")

    def fileno(self):
        return self.ours.fileno()

    def receive(self):
        if not self.packets:
            self.engine.stop("the packets have been read")
            return None
        return self.packets.pop(0), ("127.0.0.1", 4000)

    def close(self):
        self.ours.close()
        self.theirs.close()


class Port(FailingOutput):
    """Input port that is readable for ever, and fails."""

    def __init__(self, engine):
        self.engine, self.received = engine, 0
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"x")

    def filenos(self):
        return [self.ours.fileno()]

    def receive(self):
        self.received += 1
        self.engine.stop("an input has failed")
        raise OSError(24, "Too many open files")

    def close(self):
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def driven(tmp_path):
    engines = []

    def make(player=None, **options):
        engines.append(DrivenEngine(tmp_path / str(len(engines)), player, **options))
        return engines[-1]

    yield make
    for each in engines:
        each.engine.finish("the end of the test")


def run_loop(driven, *packets):
    """Run the loop until these packets have been read."""
    driven.wire.sockets = [Socket(driven.engine, *packets)]
    try:
        loop.run(driven.engine)
    finally:
        driven.wire.sockets[0].close()


def turn(driven, seconds=0.0):
    """Do what a loop does in a time, in which it may fail."""
    end = driven.now + seconds
    while True:
        wait = driven.engine.attempt(driven.engine.advance)
        driven.engine.calls.drain(driven.engine.attempt)
        driven.now = math.nextafter(driven.now + (0.1 if wait is None else wait), math.inf)
        if driven.now > end:
            driven.now = end
            break
    driven.engine.attempt(driven.engine.advance)


def touch(driven, x=0.5):
    packet = osc.encode("/robojam/down", "iff", 0, x, 0.5)
    driven.engine.attempt(driven.engine.packet, packet, ("127.0.0.1", 4000), driven.now)


def errors(driven):
    return driven.status()["dropped"].get("error", 0)


def test_packet_whose_handler_fails_is_dropped_and_the_next_is_heard(
    driven, monkeypatch, caplog
):
    d = driven()
    read = d.engine._reader.read

    def fail_once(message, *rest, **more):
        if message.address == "/robojam/mode":
            raise KeyError("a\x1b[2Jb")
        return read(message, *rest, **more)

    monkeypatch.setattr(d.engine._reader, "read", fail_once)
    bad = osc.encode("/robojam/mode", "s", "duet")
    run_loop(d, bad, bad, osc.encode("/robojam/down", "iff", 0, 0.5, 0.5))
    assert errors(d) == 2
    assert d.status()["heard"] == 1
    (said,) = [r.getMessage() for r in caplog.records if "nobody foresaw" in r.getMessage()]
    assert "Traceback" in said
    assert "fail_once" in said
    assert "\x1b" not in said


def test_input_that_fails_for_ever_rests_and_does_not_spin(driven):
    d = driven()
    port = Port(d.engine)
    d.engine.inputs = (port,)
    run_loop(d)
    assert port.received == 1
    assert errors(d) == 1


@pytest.mark.parametrize("number", [4321])  # select takes none above 1023
def test_port_without_an_open_file_leaves_the_others_heard(driven, number):
    d = driven()
    port = Port(d.engine)
    d.engine.inputs = (port,)
    port.filenos = lambda: [number]
    run_loop(d, osc.encode("/robojam/down", "iff", 0, 0.5, 0.5))
    assert port.received == 0
    assert d.status()["heard"] == 1


def test_output_that_raises_costs_the_others_nothing(driven):
    d = driven(ScriptedPlayer(land(0.1), slide(0.1)), mode="solo")
    d.engine._publisher.use((FailingOutput(), *d.engine._publisher.outputs))
    turn(d, 1.0)
    played = [m for m in d.wire.sent if m.to == OUT]
    assert len(played) >= 9
    assert errors(d) >= len(played)
    d.engine.finish("SIGTERM")
    assert len(list(recording(d.folder).touches("ai"))) >= 9
    assert recording(d.folder).ended == "SIGTERM"


@pytest.mark.parametrize("mode", ["solo", "call-response"])
@pytest.mark.parametrize("method", ["sample", "commit"])
def test_machine_that_fails_for_a_while_plays_on_when_it_works_again(driven, mode, method):
    player = FailingPlayer(land(0.1), slide(0.1), error=MemoryError)
    d = driven(player, mode=mode, response=0.0)
    touch(d)
    turn(d, 2.0)
    assert d.status()["played"] >= 5
    player.failing = {method}
    turn(d, 10.0)
    before = d.status()["played"]
    assert 0 < errors(d) <= 120  # touches at their pace, or tries some seconds apart
    player.failing = set()
    turn(d, 3.0)
    assert d.status()["played"] >= before + 5


def test_human_is_heard_and_recorded_while_the_machine_cannot_be_sampled(driven):
    player = FailingPlayer(land(0.1), failing={"sample"})
    d = driven(player, mode="call-response")
    for i in range(10):
        touch(d, i / 10)
        turn(d, 1.0)
    assert d.status()["heard"] == 10
    assert errors(d) > 0
    d.engine.finish("SIGTERM")
    assert sum(e.touch.phase == "down" for e in recording(d.folder).touches("human")) == 10


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("mode", ["solo", "call-response"])
def test_jam_goes_on_on_the_cpu_when_its_device_is_lost(driven, mode, readable, caplog):
    caplog.set_level(logging.INFO, "robojam")
    player = FailingPlayer(land(0.1), slide(0.1))
    d = driven(player, mode=mode, response=0.0)
    d.engine.live.info = replace(d.engine.live.info, device="cuda")
    touch(d)
    turn(d, 2.0)
    heard = [list(fed) for fed in player.fed]
    on_cpu = FailingPlayer(land(0.1), slide(0.1))
    d.models["a.safetensors"] = lambda: playing(on_cpu)
    lost = {"sample", "commit", "feed", "forecast"}
    player.failing = lost if readable else lost | {"state"}
    before = d.status()["played"]
    turn(d, 2.0)
    status = d.status()
    assert status["device"] == "cpu"
    assert status["played"] >= before + 10
    assert on_cpu.counts[0] >= player.counts[0]
    assert on_cpu.fed[0][: len(heard[0])] == heard[0]
    said = "with what it has heard" if readable else "without what it has heard"
    assert f"cuda was lost: the machine plays on cpu, {said}" in caplog.text


def test_jam_whose_every_part_fails_still_closes_the_recording(driven):
    player = FailingPlayer(land(0.1))
    d = driven(player, mode="solo")
    turn(d, 1.0)
    player.failing = {"sample", "commit", "feed"}
    d.engine._publisher.use((FailingOutput(),))
    d.engine.jam.finish = None  # cannot be called
    d.engine.finish("SIGTERM")
    assert recording(d.folder).ended == "SIGTERM"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupt_ends_the_loop(driven, error, monkeypatch):
    d = driven()

    def interrupt():
        raise error

    monkeypatch.setattr(d.engine, "advance", interrupt)
    with pytest.raises(error):
        run_loop(d)


def test_errors_of_one_line_are_logged_once_and_all_kinds_are_bounded(caplog):
    counter = DropCounter(lambda: 0.0)

    def fail(error):
        try:
            raise error
        except Exception as raised:
            counter.error(raised)

    for _ in range(3):
        fail(ValueError("a"))
    for number in range(100):
        fail(type(f"Error{number}", (Exception,), {})())
    assert counter.dropped == {"error": 103}
    assert len(caplog.records) == 32
