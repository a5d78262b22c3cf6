"""MIDI clock and JACK's transport, with other programs at a JACK server."""

import re
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import pairwise

import pytest
from support.engine import serving, stop
from support.jack import clock_peer, missing, until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.skipif(find_spec("jack") is None, reason="JACK-Client is not installed"),
]


def following(client, condition=lambda clock: clock["tempo"] is not None):
    """Wait until a condition on the engine's clock holds; return it."""
    return client.ask(lambda status: condition(status["clock"]))["clock"]


def in_tempo(tempo):
    return lambda clock: clock["tempo"] == pytest.approx(tempo, rel=0.01)


def played(program, tempo, condition, *, playing=True):
    """Have a program send a clock until a condition holds; return what that returns.

    JACK loses a message, such as a start, where a program was late: it is sent again.
    """
    for _ in range(12):
        program.beats(time.perf_counter(), 0.0, tempo, playing=playing)
        soon = time.monotonic() + 5.0
        while time.monotonic() < soon:
            if found := condition():
                return found
            time.sleep(0.02)
    raise AssertionError(f"it did not happen at {tempo} beats a minute, {playing=}")


def ticks(received):
    return [at for at, message in received if message == b"\xf8"]


def test_engine_follows_the_clock_of_a_drum_machine(jack, tmp_path):
    with (
        clock_peer("Drums") as drums,
        serving(tmp_path, "--clock", "midi:drums") as engine,
    ):
        clock = following(engine.out, lambda clock: clock["port"])
        assert clock["port"] == "Drums:out"
        assert clock["tempo"] is None

        def heard(condition):
            return condition(engine.out.ask()["clock"])

        played(drums, 133.0, lambda: heard(lambda clock: clock["playing"]))
        following(engine.out, in_tempo(133.0))
        engine.out.send("/robojam/subscribe", "i", engine.out.port)
        engine.out.until(lambda: sum(m.name == "beat" for m in engine.out.received) > 8)
        played(drums, 100.0, lambda: heard(in_tempo(100.0)))
        played(drums, 100.0, lambda: heard(lambda clock: not clock["playing"]), playing=False)
        stop(drums.process)
        clock = following(engine.out, lambda clock: clock["port"] is None)
        assert in_tempo(100.0)(clock)  # beats go on
        assert engine.end() == 0


def test_clock_goes_out_with_start_at_a_bar_and_stop_at_the_end(jack, tmp_path):
    # A machine that is busy misses periods of JACK, with what is in them: then once more.
    for _ in range(5):
        with (
            clock_peer("Synth") as synth,
            serving(
                tmp_path, "--clock", "internal", "--tempo", "150", "--clock-out", "synth"
            ) as engine,
        ):
            until(lambda: len(ticks(synth.received)) > 100, "ticks")
            assert engine.end() == 0
            with suppress(AssertionError):  # it was lost, then
                until(lambda: synth.received[-1][1] == b"\xfc", seconds=3.0)
            received = synth.received
        song = [message for _, message in received if message != b"\xf8"]
        assert song in ([], [b"\xfa"], [b"\xfc"], [b"\xfa", b"\xfc"])
        times = ticks(received)
        gaps = sorted(b - a for a, b in pairwise(times))
        assert gaps[len(gaps) // 2] == pytest.approx(0.4 / 24, rel=0.1)
        if song == [b"\xfa", b"\xfc"]:
            assert received[-1][1] == b"\xfc"
            return
    raise AssertionError("start or stop was missing five times")


def test_clock_goes_in_and_out_and_is_the_same(jack, tmp_path):
    with (
        clock_peer("Drums") as drums,
        clock_peer("Synth") as synth,
        serving(tmp_path, "--clock", "midi:drums", "--clock-out", "synth") as engine,
    ):
        following(engine.out, lambda clock: clock["port"] and clock["out"])

        def received(song):
            return song in [message for _, message in synth.received]

        played(drums, 120.0, lambda: received(b"\xfa"))
        played(drums, 120.0, lambda: received(b"\xfc"), playing=False)
        assert engine.end() == 0


def test_port_that_is_not_there_is_told_and_taken_when_it_comes(jack, tmp_path):
    with serving(tmp_path, "--clock", "midi:drums", "--clock-out", "synth") as engine:
        clock = following(engine.out, lambda clock: clock["problem"])
        assert "no MIDI port is named like 'drums'" in clock["problem"]
        with clock_peer("Drums") as drums, clock_peer("Synth"):
            following(engine.out, lambda clock: clock["port"] and clock["out"])
            drums.beats(time.perf_counter(), 0.0, 90.0)
            following(engine.out, in_tempo(90.0))
        engine.out.send("/robojam/clock", "s", "off")
        following(engine.out, lambda clock: clock["tempo"] is None)
        assert engine.end() == 0


MASTER = """
import sys, time
import jack
client = jack.Client("Master", no_start_server=True)
tempo = [float(sys.argv[1])]

def timebase(state, blocksize, position, new):
    beats = position.frame / position.frame_rate * tempo[0] / 60
    position.valid = jack._lib.JackPositionBBT
    position.beats_per_bar, position.beat_type, position.ticks_per_beat = 3, 4, 1920
    position.beats_per_minute = tempo[0]
    position.bar, rest = int(beats // 3) + 1, beats % 3
    position.beat, position.tick = int(rest) + 1, int(rest % 1 * 1920)

client.set_timebase_callback(timebase)
client.activate()
client.transport_locate(0)
client.transport_start()
print("ready", flush=True)
for line in sys.stdin:
    name, _, value = line.strip().partition(" ")
    if name == "tempo":
        tempo[0] = float(value)
    elif name == "stop":
        client.transport_stop()
"""


@contextmanager
def master(tempo):
    """Run a timebase master of JACK's transport, which rolls."""
    program = subprocess.Popen(
        [sys.executable, "-c", MASTER, str(tempo)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        assert program.stdout.readline() == "ready\n"
        yield program
    finally:
        stop(program)


def test_transport_of_jack_is_followed_with_its_bars(jack, tmp_path):
    with master(96) as transport, serving(tmp_path, "--clock", "jack") as engine:
        clock = following(engine.out, in_tempo(96.0))
        assert clock["beats_per_bar"] == 3
        assert clock["playing"]
        transport.stdin.write("tempo 120\n")
        following(engine.out, in_tempo(120.0))
        transport.stdin.write("stop\n")
        following(engine.out, lambda clock: not clock["playing"])
        engine.out.send("/robojam/tempo", "f", 99.0)
        status = engine.out.ask(lambda s: s["dropped"].get("follows another clock"))
        assert in_tempo(120.0)(status["clock"])
        assert engine.end() == 0


@pytest.mark.skipif(
    shutil.which("jack_midi_clock") is None,
    reason="jack-midi-clock is not installed (see .ci/run)",
)
def test_other_programs_of_midi_clock_and_robojam_understand_each_other(jack, tmp_path):
    """One sends a clock from a transport, robojam sends it on, another one measures that."""
    sender = subprocess.Popen(["jack_midi_clock"], stdout=subprocess.DEVNULL)
    meter = subprocess.Popen(["jack_mclk_dump"], stdout=subprocess.PIPE, text=True)
    try:
        for name in ("mclk_out", "mclk_in"):
            until(lambda name=name: any(name in port for port in jack.ports()), name)
        with (
            master(110),
            serving(tmp_path, "--clock", "midi:mclk_out", "--clock-out", "mclk_in") as engine,
        ):
            following(engine.out, in_tempo(110.0))
            following(engine.out, lambda clock: clock["out"])

            def measured() -> bool:
                while select.select([meter.stdout], [], [], 0.1)[0]:
                    if re.search(r"\b(109\.[5-9]|110\.[0-4])", meter.stdout.readline()):
                        return True
                return False

            until(measured, "the tempo that it shows")
            assert engine.end() == 0
    finally:
        stop(sender)
        stop(meter)
