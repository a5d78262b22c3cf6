"""The command learn, with the ports that a MIDI system lists."""

import pytest
from support.commands import refusal, run

from robojam.config.load import resolve
from robojam.ports import midi_client
from robojam.wire.midi import stream
from robojam.wire.midi.port_names import matches, unique_names
from robojam.wire.midi.styles import parse_port

LISTED = [
    "Midi Through:Midi Through Port-0 14:0",
    "nanoKONTROL2:nanoKONTROL2 _ SLIDER/KNOB 20:0",
    "Twin:Twin MIDI 1 24:0",
    "Twin:Twin MIDI 1 28:0",
]


class TurnedKnob:
    """Client of a port on which a knob is turned."""

    def __init__(self, inputs, outputs, clock) -> None:
        self.inputs = inputs

    def fileno(self) -> int:
        return 0

    def watch(self, now: float) -> None:
        pass

    def receive(self):
        number = len(self.inputs) - 1
        data = b"".join(stream.control(0, 20, value) for value in range(0, 40, 3))
        return [("m", number, data)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("midi_in", "learnt"),
    [
        ("SLIDER", "nanoKONTROL2:nanoKONTROL2 _ SLIDER/KNOB"),
        ("nanoKONTROL2:nanoKONTROL2 _ SLIDER/KNOB 28:0", None),
        ("", "Twin:Twin MIDI 1#2"),
    ],
)
def test_learnt_port_is_found_again_after_a_replug(
    monkeypatch, capsys, tmp_path, midi_in, learnt
):
    monkeypatch.setattr(
        midi_client, "list_ports", lambda: {"in": unique_names(LISTED, "linux"), "out": []}
    )
    monkeypatch.setattr(midi_client, "MidiClient", TurnedKnob)
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    status, out, _ = run(capsys, "learn", "x", "--midi-in", midi_in)
    assert status == 0
    (tmp_path / "rig.toml").write_text(out)
    options = resolve({}, str(tmp_path / "rig.toml"))
    wanted = parse_port(options.midi_in[0], options.midi)
    assert wanted.name == (learnt or "nanoKONTROL2:nanoKONTROL2 _ SLIDER/KNOB")
    assert wanted.style == "learnt"
    again = [name.replace("20:0", "32:0").replace("28:0", "36:0") for name in LISTED]
    assert matches(wanted.name, again, "linux")[0] == (3 if midi_in == "" else 1)


def test_learn_says_why_a_knob_is_not_learnt(monkeypatch, capsys):
    class EncoderThenKnob(TurnedKnob):
        def receive(self):
            steps = b"".join(stream.control(0, 16, 1) for _ in range(9))
            return [("m", 0, steps), *super().receive()]

    monkeypatch.setattr(midi_client, "list_ports", lambda: {"in": ["Desk\33[2J"], "out": []})
    monkeypatch.setattr(midi_client, "MidiClient", EncoderThenKnob)
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    status, _, error = run(capsys, "learn", "x")
    assert status == 0
    assert "   cc 16 on channel 1 of Desk\\x1b[2J sends steps, as an endless" in error


def test_learn_refuses_a_name_that_no_port_has(monkeypatch, capsys):
    monkeypatch.setattr(
        midi_client, "list_ports", lambda: {"in": unique_names(LISTED, "linux"), "out": []}
    )
    error = refusal(capsys, "learn", "x", "--midi-in", "bord")
    assert "no MIDI port is named like bord; there is Midi Through:" in error
