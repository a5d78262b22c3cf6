"""Loopback measurements at a JACK server, of which the cables are connections."""

import json
import shutil
import subprocess
import sys

import pytest
from support.engine import stop
from support.jack import missing, running, until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.skipif(
        not shutil.which("jack_connect"), reason="jack_connect is not installed (see .ci/run)"
    ),
]
# A process of its own for each: libjack does not survive its server.
MEASURE = """
import json, sys
from robojam.bench import BenchError, Report, loopback
report = Report()
try:
    getattr(loopback, sys.argv[1])(report, int(sys.argv[2]))
    (figure,) = report.figures
    print(json.dumps([figure.name, figure.value, figure.note]))
except BenchError as error:
    print(json.dumps([str(error)]))
"""


@pytest.fixture
def jack(monkeypatch):
    with running(monkeypatch, period=256) as server:
        yield server


def measured(jack, what: str, times: int, *cable: str) -> list:
    """Measure in a process, with a cable between two ports as soon as both are there."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURE, what, str(times)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        if cable:
            until(lambda: {*cable} <= {*jack.ports()} or process.poll() is not None, str(cable))
            subprocess.run(["jack_connect", "-s", jack.name, *cable], check=True)
        return json.loads(process.communicate(timeout=120)[0])
    finally:
        stop(process)


def test_latency_of_the_sound_is_that_of_taps_heard_at_the_connected_input(jack):
    cable = "robojam:playback0", "robojam loopback:capture0"
    name, value, note = measured(jack, "sound", 4, *cable)
    assert name == "touch to sound, by loopback"
    assert 256 / 48 <= value < 1000  # at least a period of the server, in ms
    assert f"--sound-latency {value:.0f}" in note


def test_sound_that_does_not_come_back_is_said_with_what_to_look_for(jack):
    (said,) = measured(jack, "sound", 2)
    assert said.startswith("0 of 2 taps were heard: is the output connected to the input")


def test_latency_of_midi_is_that_of_landings_which_come_back_at_a_port(jack):
    figure = measured(jack, "midi", 4)
    assert len(figure) == 3, figure
    name, value, note = figure
    assert name == "OSC to MIDI, by loopback"
    assert -2 <= value < 250
    assert "landings" in note
