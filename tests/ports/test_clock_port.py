"""Ports of clocks: what can be opened, and programs that die."""

import os
import select
import signal
import time

import pytest
from support.commands import hide_packages
from support.engine import PATIENCE, run_program

from robojam.beats import Beats
from robojam.clock.messages import ClockReport, ClockRequest
from robojam.ports import clock_port, process_client
from robojam.ports.clock_port import ClockError, ClockPorts


@pytest.mark.parametrize(("source", "extra"), [("link", "link"), ("jack", "jack")])
def test_clock_whose_package_is_missing_says_what_to_type(monkeypatch, source, extra):
    monkeypatch.setattr(clock_port, "find_spec", lambda _: None)
    with pytest.raises(ClockError, match=rf"which is not installed: .*robojam\[{extra}\]"):
        ClockPorts().check(source)


@pytest.mark.parametrize("command", ["serve", "jam"])
def test_clock_link_without_its_package_ends_with_one_line(monkeypatch, tmp_path, command):
    hide_packages(monkeypatch, "aalink")
    ran = run_program(
        command, "--clock", "link", "--no-sound", "--osc-in", "127.0.0.1:0",
        "--sessions", str(tmp_path), "--tuio-in", "none",
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "Ableton Link needs aalink, which is not installed: " in ran.stderr


def test_virtual_port_is_refused_on_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(ClockError, match="--clock midi:PORT names one"):
        ClockPorts().check("midi")
    ClockPorts(("Drums",)).check("midi")


@pytest.fixture
def port(monkeypatch):
    """Port of a MIDI clock where no MIDI system runs."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "robojam-none")
    monkeypatch.setattr(process_client, "_RESTART_DELAY", 0.05)
    made = ClockPorts().open("midi:no such machine", 120.0, None, lambda: None)
    yield made
    made.close()


def until(port, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        port.advance(time.perf_counter())
        select.select(port.filenos(), [], [], 0.05)
        assert port.receive() == []


def test_port_that_is_not_there_is_an_error_that_names_it(port):
    assert port.error == ""
    until(port, lambda: port.error)
    assert port.error.startswith("is not there: no MIDI port is named like 'no such machine'")
    assert port.report.beats is None


def test_program_that_dies_is_started_again_and_asked_again(port):
    until(port, lambda: port._client.begun)
    request = ClockRequest(beats=Beats(1.0, 2.0, 120.0))
    port.ask(request)
    sent = []
    put = port._client.put
    port._client.put = lambda *datagram: sent.append(datagram) or put(*datagram)
    os.kill(port._client._process.pid, signal.SIGKILL)
    until(port, lambda: sent)
    assert port._client.restarts == 1
    assert sent[0][2] == request.encode()


def test_what_comes_from_a_broken_program_is_left_out(port):
    report = ClockReport(Beats(0.0, 0.0, 120.0), playing=True)
    port._client.receive = lambda: [
        ("c", 255, b"nonsense"), ("c", 255, report.encode()), ("c", 255, b"{}"),
        ("?", 3, b""), ("o", 0, b"\xff"),
    ]  # fmt: skip
    assert port.receive() == []
    assert port.report == report
