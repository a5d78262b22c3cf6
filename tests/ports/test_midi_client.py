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
from robojam.ports import midi_client
from robojam.ports.midi import MidiPorts
from robojam.ports.midi_client import MidiClient, MidiError, list_ports, rtmidi_advice
from robojam.ports.midi_process import NO_PORT, OUTPUTS, packet
from robojam.wire.midi.styles import PortRequest

pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
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
    monkeypatch.setattr(midi_client, "_RESTART_DELAY", 0.05)
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
def test_process_that_hangs_is_restarted(client, monkeypatch):
    monkeypatch.setattr(midi_client, "_RESTART_DELAY", 0.05)
    until(client, lambda received: received)
    os.kill(client._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as only_now:  # a process that starts is silent for longer
        only_now.setattr(midi_client, "_SILENCE", 0.8)
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


def test_missing_rtmidi_is_an_error_that_names_the_package(monkeypatch):
    monkeypatch.setattr(midi_client, "find_spec", lambda _: None)
    with pytest.raises(MidiError, match="pip install python-rtmidi"):
        MidiClient([BOARD], [], time.monotonic)
    with pytest.raises(MidiError, match="python-rtmidi"):
        list_ports()


@pytest.mark.parametrize(
    ("families", "version", "advice"),
    [
        (["ubuntu", "debian"], (3, 13), "first: sudo apt install g++ pkg-config python3-dev "),
        (["fedora"], (3, 14), "first: sudo dnf install gcc-c++"),
        (["void"], (3, 13), "a C++ compiler, pkg-config and the headers of Python, ALSA"),
        (["darwin"], (3, 13), "xcode-select --install"),
        (["win32"], (3, 13), "Visual Studio's C++ build tools"),
        ([], (3, 13), "For Python 3.12 it is ready-made"),
    ],
)
def test_advice_says_what_the_build_takes_where_none_is_ready_made(families, version, advice):
    command = "pipx inject robojam python-rtmidi"
    text = rtmidi_advice(command, version=version, families=families)
    assert text.startswith(f"MIDI needs python-rtmidi, which is not installed: {command}. ")
    assert advice in text
    ready = rtmidi_advice(command, version=(3, 12), families=families)
    assert ready == f"MIDI needs python-rtmidi, which is not installed: {command}"


@pytest.mark.parametrize(
    ("prefix", "default", "headers"),
    [
        ("/usr", "python3.12", "python3.13-dev"),  # of another repository, as deadsnakes
        ("/usr", "python3.13", "python3-dev"),
        ("elsewhere", "python3.12", "python3-dev"),  # has its own headers
    ],
)
def test_advice_names_the_headers_of_the_python_that_runs(
    monkeypatch, tmp_path, prefix, default, headers
):
    monkeypatch.setattr("sys.base_prefix", prefix)
    monkeypatch.setattr("sys.version_info", (3, 13, 0))
    (tmp_path / default).touch()
    (tmp_path / "python3").symlink_to(default)
    text = rtmidi_advice(
        "pip", version=(3, 13), families=["debian"], default_python=str(tmp_path / "python3")
    )
    assert f"pkg-config {headers} libasound2-dev" in text


def test_advice_where_the_system_keeps_its_python_names_its_package():
    text = rtmidi_advice(None, version=(3, 13), families=["debian"])
    assert "sudo apt install python3-rtmidi; or install robojam in a virtual" in text
    assert "apt" not in rtmidi_advice(None, version=(3, 13), families=["arch"])


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
