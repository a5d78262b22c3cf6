"""The command map, with a fader that is moved over UDP."""

import socket
import threading

from support.commands import refusal, run

from robojam.ports import midi_client
from robojam.wire.osc import encode


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_fader_that_is_moved_over_udp_is_printed_as_a_row(capsys, monkeypatch):
    monkeypatch.setattr(midi_client, "list_ports", lambda: {"in": [], "out": []})
    port, ended = free_port(), threading.Event()

    def move() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            value = 0
            while not ended.wait(0.01):
                value = (value + 1) % 100
                sender.sendto(encode("/1/fader1", "f", value / 100), ("127.0.0.1", port))

    thread = threading.Thread(target=move)
    thread.start()
    try:
        status, out, err = run(capsys, "map", "follow", "--osc-in", f"127.0.0.1:{port}")
    finally:
        ended.set()
        thread.join()
    assert status == 0
    assert out == '[map.in]\nfollow = { source = "osc /1/fader1 1", target = "follow" }\n'
    assert "taken: osc /1/fader1 1" in err


def test_map_without_any_port_says_so(capsys, monkeypatch):
    monkeypatch.setattr(midi_client, "list_ports", lambda: {"in": [], "out": []})
    assert "no MIDI port is there" in refusal(capsys, "map", "x")
    assert "cannot be learnt; allowed: x, y" in refusal(capsys, "map", "wah")
