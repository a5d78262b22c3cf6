"""The command ports: what it suggests to type."""

import json
import shlex

import pytest
from support.commands import run

from robojam.cli import ports
from robojam.config.load import resolve
from robojam.ports import discovery, midi_client
from robojam.ports.discovery import DiscoveredReceiver
from robojam.wire.midi.port_names import matches, unique_names
from robojam.wire.midi.styles import parse_port


def seeing(monkeypatch, *receivers, used_by=None):
    """Have the command see these receivers on the network, and a program at robojam's port."""
    monkeypatch.setattr(discovery, "is_installed", lambda: True)
    monkeypatch.setattr(
        discovery, "browse", lambda: [DiscoveredReceiver(*r) for r in receivers]
    )
    monkeypatch.setattr(discovery, "addresses", lambda: ["192.0.2.1"])
    monkeypatch.setattr(ports, "_used_by", lambda _, port: used_by if port == 5005 else None)


def printed(capsys):
    """Return the lines to type, as they are printed."""
    status, out, _ = run(capsys, "ports")
    assert status == 0
    assert not set(out) & set("\x1b\r\x07\u202e")
    return [line.strip() for line in out.splitlines() if line.startswith("  robojam ")]


def test_name_from_the_network_is_one_printable_word_of_a_shell(monkeypatch, capsys):
    name = "TouchOSC\x1b[2J\n;rm -rf ~ $(date) 'x' \u202e"
    seeing(monkeypatch, (name, "192.0.2.7", 9000))
    line = printed(capsys)[-1]
    options = "--osc-in 0.0.0.0:5005 --osc-out 192.0.2.7:9000/touchosc --touchosc learn"
    assert shlex.split(line, comments=True) == ["robojam", "jam", *options.split()]
    assert shlex.split(line)[-1] == "TouchOSC\\x1b[2J\\n;rm -rf ~ $(date) 'x' \\u202e"


def test_ipv6_receiver_is_played_to_by_an_engine_that_listens_to_ipv6(monkeypatch, capsys):
    seeing(monkeypatch, ("Pd", "fe80::7%eth0", 9000))
    words = shlex.split(printed(capsys)[-1], comments=True)
    assert words == "robojam jam --osc-in [::]:5005 --osc-out [fe80::7%eth0]:9000".split()
    (output,) = resolve({"osc_out": [words[-1]]}).osc_out
    assert output == words[-1]


def test_lines_take_another_port_while_an_engine_has_the_first(monkeypatch, capsys):
    seeing(monkeypatch, ("Pd", "192.0.2.7", 9000), used_by="robojam: duet, \x1b;rm.safetensors")
    first, phone, pd = printed(capsys)
    assert shlex.split(first, comments=True)[2:] == ["--osc-in", "127.0.0.1:5015"]
    assert "'robojam: duet, \\x1b;rm.safetensors'" in first
    assert "sends to 192.0.2.1, port 5015; --control ITS-ADDRESS" in phone
    assert shlex.split(pd)[3] == "0.0.0.0:5015"


@pytest.mark.parametrize(
    "listed",
    [
        ["nanoKONTROL2 SLIDER/KNOB", "Stage/keys"],
        ["Twin:Twin MIDI 1 24:0", "Twin:Twin MIDI 1 28:0"],
        ['Bob\'s "best" $board;', "x"],
    ],
)
def test_suggested_midi_option_asks_for_that_port(monkeypatch, capsys, listed):
    names = unique_names(listed, "linux")
    monkeypatch.setattr(midi_client, "list_ports", lambda: {"in": names, "out": names})
    status, out, _ = run(capsys, "ports", "--no-network", "--json")
    assert status == 0
    lines = [shlex.split(line["what"]) for line in json.loads(out)["type"]]
    for way in ("in", "out"):
        typed = [words[3] for words in lines if words[2:3] == [f"--midi-{way}"]]
        assert len(typed) == 2
        for place, text in enumerate(typed):
            (option,) = getattr(resolve({f"midi_{way}": [text]}), f"midi_{way}")
            assert matches(parse_port(option, {}).name, listed, "linux")[0] == place
