"""Client of a real process that holds MIDI ports, without any port."""

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
from robojam.ports import midi_client, process_client
from robojam.ports.midi import MidiPorts
from robojam.ports.midi_client import MidiClient, MidiError, list_ports
from robojam.system.process_messages import NO_PORT, OUTPUTS, packet
from robojam.wire.midi.styles import PortRequest

PATIENCE = 60.0
BOARD = PortRequest("no such board", "mpe", virtual=False)


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    made = MidiClient([BOARD], [BOARD], time.monotonic)
    yield made
    made.close()


def until(client, condition):
    """Receive until a condition on the datagrams so far holds; return them."""
    received, end = [], time.monotonic() + PATIENCE
    while not condition(received):
        assert time.monotonic() < end, received
        client.watch(time.monotonic())
        select.select([client], [], [], 0.1)
        received += client.receive()
    return received


def test_process_has_begun_when_it_reports_or_has_ended(client, monkeypatch):
    assert not client.begun
    until(client, lambda received: client.begun)
    monkeypatch.setattr(sys, "executable", "false")
    gone = MidiClient([BOARD], [], time.monotonic)
    end = time.monotonic() + PATIENCE
    while not gone.begun:
        assert time.monotonic() < end
    gone.close()


@pytest.mark.parametrize(("begins", "waits"), [(6, 9), (math.inf, 10)])
def test_wait_for_ports_counts_from_the_first_scan(monkeypatch, begins, waits):
    ticks = itertools.count(0.0, 0.25)
    asked_at = []  # the times at which `begun` was asked

    def begun(_link):
        asked_at.append(next(ticks))
        return asked_at[-1] >= begins

    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    monkeypatch.setattr(MidiClient, "begun", property(begun))
    midi = MidiPorts(Options(midi_out=("no such board",)), clock=lambda: next(ticks))
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    midi.await_ports(3.0)
    monkeypatch.undo()
    assert next(ticks) == pytest.approx(waits, abs=1.5)
    assert asked_at
    midi.close()


def test_process_takes_messages_once_alive_and_ends_with_status_0(client):
    assert client.send(OUTPUTS, b"\x90\x3c\x40") is False  # the process has not started yet
    until(client, lambda received: any(letter == "h" for letter, *_ in received))
    assert client.send(OUTPUTS, b"\x90\x3c\x40") is True
    process = client._process
    client.close()
    assert process.poll() == 0


def test_process_that_dies_is_restarted_and_its_ports_are_reported_gone(client, monkeypatch):
    monkeypatch.setattr(process_client, "_RESTART_DELAY", 0.05)
    until(client, lambda received: received)
    os.kill(client._process.pid, signal.SIGKILL)
    received = until(
        client, lambda received: sum(letter == "g" for letter, *_ in received) == 2
    )
    assert ("g", 0, b"") in received
    assert ("g", OUTPUTS, b"") in received
    until(client, lambda received: any(letter == "h" for letter, *_ in received))
    assert client.restarts == 1


@pytest.mark.skipif(sys.platform == "win32", reason="nothing there stops a process")
def test_process_that_takes_long_to_start_on_a_busy_machine_is_not_started_again(client):
    client.watch(time.monotonic() + 20)
    until(client, lambda received: client.begun)
    assert client.restarts == 0


def test_process_that_hangs_is_restarted(client, monkeypatch):
    monkeypatch.setattr(process_client, "_RESTART_DELAY", 0.05)
    until(client, lambda received: received)
    os.kill(client._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as only_now:  # a process that starts is silent for longer
        only_now.setattr(process_client, "_SILENCE", 0.8)
        until(client, lambda received: client.restarts == 1)
    until(client, lambda received: any(letter == "h" for letter, *_ in received))


def test_datagrams_of_another_program_are_ignored(client):
    import socket

    until(client, lambda received: received)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in (
            packet("m", 0, b"\x90\x3c\x40"),
            packet("h", NO_PORT, b"guess"),
            b"",
            b"m",
        ):
            stranger.sendto(datagram, client._endpoint.address)
        stranger.sendto(packet("m", 0, b"\x90\x3c\x40"), client._endpoint.address)
    assert not [d for d in until(client, lambda received: received) if d[0] == "m"]


def test_missing_binding_is_an_error_that_names_the_package(monkeypatch):
    monkeypatch.setattr(midi_client.midi_binding, "is_installed", lambda: False)
    with pytest.raises(MidiError, match=r"MIDI needs .*, which is not installed: "):
        MidiClient([BOARD], [], time.monotonic)
    with pytest.raises(MidiError, match=r"MIDI needs .*, which is not installed: "):
        list_ports()


def test_ports_can_be_listed_without_a_midi_system(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    assert set(list_ports()) == {"in", "out"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["x", "--midi-in", "no such board"], "no MIDI port is named like no such board"),
        (["dance"], "'dance' is no control"),
    ],
)
def test_learn_refuses_an_unknown_port_or_control_in_one_line(arguments, error):
    ran = subprocess.run(
        command("learn", *arguments), capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 2
    assert error in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
