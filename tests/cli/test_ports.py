"""The command ports: what it suggests to type."""

import json
import shlex

import pytest
from support.commands import run

from robojam.config.load import resolve
from robojam.ports import midi_client
from robojam.wire.midi.port_names import matches, unique_names
from robojam.wire.midi.styles import parse_port


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
