"""The engine's end of the process that holds the ports: it is real here, without any port."""

import itertools
import math
import os
import select
import signal
import subprocess
import sys
import time

import pytest
from support.engine import command

from robojam.config.options import Options
from robojam.ports import midi_client as midilink
from robojam.ports.midi import MidiPorts
from robojam.ports.midi_client import MidiClient, MidiError, list_ports
from robojam.ports.midi_process import NO_PORT, OUTPUTS, packet
from robojam.wire.midi.styles import PortRequest

pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
PATIENCE = 20.0
BOARD = PortRequest("no such board", "mpe", virtual=False)


@pytest.fixture
def link(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    made = MidiClient([BOARD], [BOARD], time.monotonic)
    yield made
    made.close()


def until(link, there):
    """Receive until something is the case; return all that was said."""
    said, end = [], time.monotonic() + PATIENCE
    while not there(said):
        assert time.monotonic() < end, said
        link.watch(time.monotonic())
        select.select([link], [], [], 0.1)
        said += link.receive()
    return said


def test_it_has_begun_when_it_first_speaks_or_is_gone(link, monkeypatch):
    assert not link.begun
    until(link, lambda said: link.begun)
    monkeypatch.setattr(sys, "executable", "false")
    gone = MidiClient([BOARD], [], time.monotonic)
    end = time.monotonic() + PATIENCE
    while not gone.begun:
        assert time.monotonic() < end
    gone.close()


@pytest.mark.parametrize(("begins", "waits"), [(6, 9), (math.inf, 10)])
def test_ports_are_awaited_from_when_they_are_looked_for_on(monkeypatch, begins, waits):
    ticks = itertools.count(0.0, 0.25)
    looked = []  # how often it was asked whether they are looked for

    def begun(_link):
        looked.append(next(ticks))
        return looked[-1] >= begins

    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    monkeypatch.setattr(MidiClient, "begun", property(begun))
    midi = MidiPorts(Options(midi_out=("no such board",)), clock=lambda: next(ticks))
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    midi.await_ports(3.0)
    monkeypatch.undo()
    assert next(ticks) == pytest.approx(waits, abs=1.5)
    assert looked
    midi.close()


def test_it_comes_to_life_and_ends(link):
    assert link.send(OUTPUTS, b"\x90\x3c\x40") is False  # nobody is there yet
    until(link, lambda said: any(letter == "h" for letter, *_ in said))
    assert link.send(OUTPUTS, b"\x90\x3c\x40") is True
    process = link._process
    link.close()
    assert process.poll() == 0


def test_one_that_dies_is_started_again_and_its_ports_are_gone_meanwhile(link, monkeypatch):
    monkeypatch.setattr(midilink, "_RESTART_DELAY", 0.05)
    until(link, lambda said: said)
    os.kill(link._process.pid, signal.SIGKILL)
    said = until(link, lambda said: sum(letter == "g" for letter, *_ in said) == 2)
    assert ("g", 0, b"") in said
    assert ("g", OUTPUTS, b"") in said
    until(link, lambda said: any(letter == "h" for letter, *_ in said))
    assert link.restarts == 1


@pytest.mark.skipif(sys.platform == "win32", reason="nothing there stops a process")
def test_one_that_hangs_is_started_again(link, monkeypatch):
    monkeypatch.setattr(midilink, "_RESTART_DELAY", 0.05)
    monkeypatch.setattr(midilink, "_SILENCE", 0.8)
    until(link, lambda said: said)
    os.kill(link._process.pid, signal.SIGSTOP)
    until(link, lambda said: link.restarts == 1)
    until(link, lambda said: any(letter == "h" for letter, *_ in said))


def test_a_stranger_is_not_listened_to(link):
    import socket

    until(link, lambda said: said)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for word in (
            packet("m", 0, b"\x90\x3c\x40"),
            packet("h", NO_PORT, b"guess"),
            b"",
            b"m",
        ):
            stranger.sendto(word, link._socket.getsockname())
        stranger.sendto(packet("m", 0, b"\x90\x3c\x40"), link._socket.getsockname())
    assert not [said for said in until(link, lambda said: said) if said[0] == "m"]


def test_without_rtmidi_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(midilink, "find_spec", lambda _: None)
    with pytest.raises(MidiError, match="pip install python-rtmidi"):
        MidiClient([BOARD], [], time.monotonic)
    with pytest.raises(MidiError, match="python-rtmidi"):
        list_ports()


def test_ports_are_listed_where_there_is_no_midi_at_all(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    found = list_ports()
    assert set(found) == {"in", "out"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x", "--midi-in", "no such board"], "no MIDI port is named like no such board"),
        (["dance"], "'dance' is no control"),
    ],
)
def test_learn_says_what_cannot_be(arguments, told):
    ran = subprocess.run(
        command("learn", *arguments), capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 2
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
