"""Names of MIDI ports, as the systems and bridges of the world give them."""

import pytest

from robojam.wire.midi.port_names import matches, stable_name, unique_names


@pytest.mark.parametrize(
    ("system", "name", "stable"),
    [
        # ALSA: rtmidi adds the numbers of client and port.
        (
            "linux",
            "nanoKONTROL2:nanoKONTROL2 _ CTR 20:0",
            "nanoKONTROL2:nanoKONTROL2 _ CTR",
        ),
        (
            "linux",
            "Midi Through:Midi Through Port-0 14:0",
            "Midi Through:Midi Through Port-0",
        ),
        ("linux", "VMPK Output:out 128:0", "VMPK Output:out"),
        (
            "linux",
            "Launchkey MK4 61:Launchkey MK4 61 Launchkey MK4  24:1",
            "Launchkey MK4 61:Launchkey MK4 61 Launchkey MK4",
        ),
        ("linux", "UMC1820:UMC1820 MIDI 1 20:0", "UMC1820:UMC1820 MIDI 1"),
        (
            "linux",
            "FLUID Synth (3471):Synth input port (3471:0) 130:0",
            "FLUID Synth:Synth input port",
        ),
        ("linux", "Client-130:Virtual RawMIDI 130:0", "Client:Virtual RawMIDI"),
        # JACK: its own names stay; a2jmidid adds ALSA's client, PipeWire a serial.
        ("linux", "system:midi_capture_1", "system:midi_capture_1"),
        (
            "linux",
            "a2j:nanoKONTROL2 [20] (capture): nanoKONTROL2 MIDI 1",
            "a2j:nanoKONTROL2 (capture): nanoKONTROL2 MIDI 1",
        ),
        (
            "linux",
            "Midi-Bridge:Midi Through:(capture_0) Midi Through Port-0",
            "Midi-Bridge:Midi Through:(capture_0) Midi Through Port-0",
        ),
        (
            "linux",
            "Midi-Bridge:nanoKONTROL2:(capture_0) nanoKONTROL2 _ CTR-73",
            "Midi-Bridge:nanoKONTROL2:(capture_0) nanoKONTROL2 _ CTR",
        ),
        # Windows: rtmidi adds the place in the list, Windows counts devices of one name.
        ("win32", "nanoKONTROL2 1", "nanoKONTROL2"),
        ("win32", "nanoKONTROL2 1 SLIDER/KNOB 0", "nanoKONTROL2 1 SLIDER/KNOB"),
        ("win32", "Microsoft GS Wavetable Synth 0", "Microsoft GS Wavetable Synth"),
        ("win32", "loopMIDI Port 10 3", "loopMIDI Port 10"),
        ("win32", "2- BCF2000 4", "BCF2000"),
        ("win32", "MIDIIN2 (2- LPMiniMK3 MIDI) 5", "MIDIIN2 (LPMiniMK3 MIDI)"),
        # macOS adds nothing; a number belongs to the name.
        ("darwin", "IAC Driver Bus 1", "IAC Driver Bus 1"),
        ("darwin", "Babyface (23718163) Port 1", "Babyface (23718163) Port 1"),
        ("darwin", "nanoKONTROL2 SLIDER/KNOB", "nanoKONTROL2 SLIDER/KNOB"),
    ],
)
def test_stable_name_leaves_out_what_changes_with_a_replug(system, name, stable):
    assert stable_name(name, system) == stable


LISTS = [
    (
        "linux",
        [
            "Launchkey MK4 61:Launchkey MK4 61 Launchkey MK4  24:0",
            "Launchkey MK4 61:Launchkey MK4 61 Launchkey MK4  24:1",
            "a2j:nanoKONTROL2 [20] (capture): nanoKONTROL2 MIDI 1",
            "a2j:nanoKONTROL2 [28] (capture): nanoKONTROL2 MIDI 1",
            "system:midi_capture_1",
            "system:midi_capture_10",
        ],
    ),
    (
        "win32",
        ["LPMiniMK3 MIDI 0", "MIDIIN2 (LPMiniMK3 MIDI) 1", "2- LPMiniMK3 MIDI 2", "Port 1 3"],
    ),
    ("win32", ["Port 1", "Port 1 1", "Port 10 2", "Port 2 3"]),
    ("darwin", ["Launchpad Mini", "Launchpad", "Launchpad Mini", "Port #2", "Port"]),
]


@pytest.mark.parametrize(("system", "names"), LISTS)
def test_every_port_has_a_text_that_means_it_alone(system, names):
    texts = unique_names(names, system)
    assert [matches(text, names, system)[0] for text in texts] == list(range(len(names)))
    assert len(set(texts)) == len(names)


def test_name_that_was_written_down_is_found_after_a_replug():
    now = ["Midi Through:Midi Through Port-0 14:0", "nanoKONTROL2:nanoKONTROL2 _ CTR 24:0"]
    for wanted in (
        "nanoKONTROL2:nanoKONTROL2 _ CTR 20:0",
        "nanoKONTROL2:nanoKONTROL2 _ CTR",
        "nanokontrol2",
        "CTR 24:0",
    ):
        assert matches(wanted, now, "linux") == [1]
    assert matches("nanoKONTROL2 1", ["Synth 0", "nanoKONTROL2 2"], "win32") == [1]


def test_whole_name_comes_before_its_stable_part_and_a_part():
    names = ["Board Two 30:0", "Board 28:0", "Board 20:0"]
    assert matches("Board 20:0", names, "linux") == [2, 1]
    assert matches("board", names, "linux") == [1, 2, 0]
    assert matches("Synth", names, "linux") == []


def test_number_means_one_of_several_unless_a_port_is_named_so():
    names = ["Board", "Synth", "Board"]
    assert matches("Board#2", names, "darwin") == [2]
    assert matches("board#1", names, "darwin") == [0]
    assert matches("Board#3", names, "darwin") == []
    assert matches("Port #2", ["Port #2", "Port #1", "Port"], "darwin") == [0]
