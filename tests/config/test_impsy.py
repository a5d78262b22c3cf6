"""Configurations of IMPSY: the options that play the same, and a line for all that does not."""

import math
import os
import subprocess
import tomllib
from typing import Any

import pytest

from robojam.config.impsy import is_impsy
from robojam.config.load import OptionsError, resolve
from robojam.config.map_table import InputRow, KnobRow, for_instrument
from robojam.config.options import Options
from robojam.touch import KNOB_NAMES

#: The smallest file, but for what a test adds.
HEAD = "[interaction]\nmode = 'callresponse'\nthreshold = 0.1\ninput_thru = false\n"
MODEL = "[model]\ndimension = 5\nsigmatemp = 0.49\npitemp = 1\ntimescale = 1\n"
OSC = """[osc]
server_ip = 'localhost'
server_port = 6000
client_ip = 'localhost'
client_port = 6001
"""
MIDI = """[midi]
in_device = ["Desk"]
out_device = ["Synth", "Lights"]
feedback_protection = true
input."Desk" = [ ["note_on", 3], ["control_change", 3, 19], ["pitch_bend", 2],
  ["note_velocity", 3] ]
output."Synth" = [
  ["note_on", 4], ["control_change", 5, 42, 10, 13], ["pitch_bend", 6], ["note_velocity", 4]
]
output."Lights" = [
  ["note_on", 1, 80], ["note_on", 1], ["control_change", 1, 0], ["control_change", 16, 119]
]
"""


@pytest.fixture
def load(tmp_path):
    """Read a file; return the options and the warnings."""

    def read(text: str, **given: Any) -> tuple[Options, list[str]]:
        path = tmp_path / "impsy.toml"
        path.write_text(text, "utf-8")
        warnings: list[str] = []
        options = resolve(given, str(path), warn=warnings.append)
        shown = [line.removeprefix(f"{path}, ") for line in warnings]
        assert all(line.isprintable() for line in shown)
        return options, shown

    return read


def refusal(load, text: str) -> str:
    with pytest.raises(OptionsError) as caught:
        load(text)
    line = str(caught.value)
    assert line.isprintable()
    return line.partition("impsy.toml, ")[2]


def test_file_with_every_section_it_supports_is_read_without_a_word(load):
    options, warnings = load(f"title = 'a'\nverbose = true\n{HEAD}{MODEL}{OSC}{MIDI}")
    assert warnings == []
    assert options.knobs == 4
    assert options.verbose
    assert (options.osc_in, options.osc_out) == ("localhost:6000", ("localhost:6001/impsy",))
    assert options.midi_in == ("Desk/map",)
    assert options.midi_out == ("Synth/map", "Lights/map")
    assert options.tuio_in == "none"
    assert not options.sound
    assert options.controls == {
        "mode": "call-response",
        "threshold": 0.1,
        "response": 0.0,
        "spread": pytest.approx(0.7),
        "temperature": 1.0,
        "timescale": 1.0,
    }


def test_mappings_are_rows_of_the_map_in_both_directions(load):
    options, _ = load(HEAD + MODEL + MIDI)
    assert list(options.map.in_.values()) == [
        InputRow(source="note on 3", target="knob-1", port="Desk"),
        InputRow(source="cc 19 on 3", target="knob-2", port="Desk"),
        InputRow(source="pitch bend on 2", target="knob-3", port="Desk"),
        InputRow(source="velocity on 3", target="knob-4", port="Desk"),
    ]
    synth, lights = {"port": "Synth"}, {"port": "Lights"}
    assert list(options.map.out.values()) == [
        KnobRow(target="note", source="knob-1", channel=4, velocity="knob-4", **synth),
        KnobRow(target="cc 42", source="knob-2", channel=5, to=(10, 13), **synth),
        KnobRow(target="pitch bend", source="knob-3", channel=6, **synth),
        KnobRow(target="note", source="knob-1", channel=1, velocity=80, **lights),
        KnobRow(target="note", source="knob-2", channel=1, **lights),
        KnobRow(target="cc 0", source="knob-3", channel=1, **lights),
        KnobRow(target="cc 119", source="knob-4", channel=16, **lights),
    ]
    assert for_instrument(options.map, 4) == options.map


def test_input_that_passes_through_is_played_as_the_machine_s(load):
    options, _ = load(HEAD.replace("thru = false", "thru = true") + MODEL + MIDI)
    assert {row.who for row in options.map.out.values()} == {"all"}
    assert {row.who for row in load(HEAD + MODEL + MIDI)[0].map.out.values()} == {"machine"}


def test_input_that_passes_through_goes_to_the_outputs_of_osc_and_serial_too(load):
    text = HEAD.replace("thru = false", "thru = true") + MODEL + OSC + SERIAL
    options, warnings = load(text)
    assert warnings == []
    assert options.osc_out == ("localhost:6001/impsy?thru",)
    assert options.serial == ("/dev/ttyACM0@9600?thru",)


def test_range_of_a_controller_that_comes_in_is_that_of_its_values(load):
    row = '[midi]\nin_device = ["a"]\ninput."a" = [["control_change", 1, 9, 13, 0]]\n'
    options, _ = load(HEAD + MODEL.replace("5", "2") + row)
    assert options.map.in_["1 a"] == InputRow(
        source="cc 9 on 1", target="knob-1", from_=(13, 0), port="a"
    )
    assert options.map.in_["1 a"].knob().shape.value(13) == 0.0
    assert options.map.in_["1 a"].knob().shape.value(0) == 1.0


def test_three_dimensions_are_a_surface(load):
    midi = (
        '[midi]\nin_device = "Pad"\nout_device = "Pad"\n'
        'input = [["control_change", 1, 1], ["control_change", 1, 2]]\n'
        'output = [["note_on", 1], ["control_change", 1, 2]]\n'
    )
    options, warnings = load(HEAD + MODEL.replace("5", "3") + midi)
    assert options.knobs == 0
    assert warnings == []
    assert [row.target for row in options.map.in_.values()] == ["x", "y"]
    assert [(row.target, row.source) for row in options.map.out.values()] == [
        ("note", "x"),
        ("cc 2", "y"),
    ]


SOCKET = """[websocket]
server_ip = '0.0.0.0'
server_port = 5001
input = [["note_on", 1], ["control_change", 1, 1], ["control_change", 1, 2], ["pitch_bend", 1]]
output = [["control_change", 1, 1], ["control_change", 1, 2], ["pitch_bend", 1], ["note_on", 1]]
"""
ORIGINS = (
    "line 11: websocket.server_ip: programs may come, and pages of the same host; "
    "--allow-origin ORIGIN allows those of another origin"
)


def test_websocket_speaks_mapped_midi(load):
    options, warnings = load(HEAD + MODEL + SOCKET)
    assert warnings == [ORIGINS]
    assert options.midi_websocket == "0.0.0.0:5001"
    assert [row.source for row in options.map.in_.values()] == [
        "note on 1", "cc 1 on 1", "cc 2 on 1", "pitch bend on 1",
    ]  # fmt: skip
    assert {row.port for row in options.map.out.values()} == {"websocket"}


def test_websocket_without_a_mapping_has_that_of_the_first_device(load):
    """As the files of the examples are, from before it had one of its own."""
    text = HEAD + MODEL + "\n".join(SOCKET.splitlines()[:3]) + "\n"
    options, warnings = load(text + MIDI)
    assert warnings == [
        ORIGINS,
        "line 10: websocket.input: it is missing; that of 'Desk' is used",
        "line 10: websocket.output: it is missing; that of 'Synth' is used",
    ]
    rows = [row for row in options.map.out.values() if row.port == "websocket"]
    assert [row.target for row in rows] == ["note", "cc 42", "pitch bend"]
    _, warnings = load(text)
    assert warnings[1:] == [
        "line 10: websocket.input: it is missing: nothing of it is used",
        "line 10: websocket.output: it is missing: nothing of it is used",
    ]


SERIAL = "[serial]\nport = '/dev/ttyACM0'\nbaudrate = 9600\n"
SERIAL_MIDI = """[serialmidi]
port = '/dev/ttyAMA0'
input = [["note_on", 1], ["control_change", 1, 1], ["control_change", 1, 2], ["pitch_bend", 1]]
output = [["control_change", 1, 1], ["control_change", 1, 2], ["pitch_bend", 1], ["note_on", 1]]
"""


def test_serial_ports_speak_values_and_mapped_midi(load):
    options, warnings = load(HEAD + MODEL + SERIAL + SERIAL_MIDI)
    assert warnings == []
    assert options.serial == ("/dev/ttyACM0@9600",)
    assert options.serial_midi == ("/dev/ttyAMA0",)
    assert [row.target for row in options.map.in_.values()] == list(KNOB_NAMES[:4])
    assert {row.port for row in options.map.out.values()} == {"serial:/dev/ttyAMA0"}
    assert options.map.out["4 serial:/dev/ttyAMA0"].target == "note"


def test_one_serial_port_speaks_midi_where_both_sections_name_it(load):
    text = HEAD + MODEL + SERIAL + SERIAL_MIDI.replace("port = '/dev/ttyAMA0'\n", "")
    options, warnings = load(text)
    assert (options.serial, options.serial_midi) == ((), ("/dev/ttyACM0",))
    assert warnings == [
        "line 11: serial.port: '/dev/ttyACM0' is the port of [serialmidi], too, and speaks "
        "MIDI; for lines of values leave [serialmidi] out"
    ]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("callresponse", "call-response"),
        ("polyphony", "duet"),
        ("battle", "solo"),
        ("useronly", "listen"),
    ],
)
def test_modes_have_their_names(load, name, mode):
    options, _ = load(HEAD.replace("callresponse", name) + MODEL)
    assert options.controls["mode"] == mode


@pytest.mark.parametrize(("covariance", "spread"), [(0, 0), (0.25, 0.5), (1, 1), (4.0, 2)])
def test_sigmatemp_is_a_factor_of_the_covariance(load, covariance, spread):
    options, _ = load(HEAD + MODEL.replace("0.49", str(covariance)))
    assert options.controls["spread"] == spread


def test_command_line_wins_over_the_file(load):
    options, _ = load(HEAD + MODEL + OSC, spread="0.9", osc_in="127.0.0.1:5005", knobs="7")
    assert options.controls["spread"] == 0.9
    assert (options.osc_in, options.knobs) == ("127.0.0.1:5005", 7)


def test_model_of_robojam_in_the_file_plays(load):
    text = HEAD + MODEL.replace("0.49", "0.01")  # of which nothing is to be said then
    options, warnings = load(text + 'file = "own.safetensors"\n')
    assert options.model == "own.safetensors"
    assert warnings == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            MODEL.replace("0.49", "0.01"),
            "line 7: model.sigmatemp: a spread of 0.1, which suits IMPSY's models; with it "
            "robojam's hardly moves: --spread 1, or leave the line out",
        ),
        (
            MODEL + "file = 'models/dim5.tflite'\nsize = 's'\n",
            "line 10: model.file: robojam cannot play 'dim5.tflite', a model for TensorFlow, "
            "and plays its own of knobs; to train one by what IMPSY has logged: robojam train "
            'logs --to own.safetensors, and file = "own.safetensors"',
        ),
        (
            MODEL + OSC.replace("localhost", "0.0.0.0", 1),
            "line 11: osc.server_ip: anybody may play; controls as /impsy/mode are taken from "
            "this machine alone: --control HOST allows another",
        ),
        (
            MODEL + OSC.replace("client_ip = 'localhost'", "client_ip = '0.0.0.0'"),
            "line 13: osc.client_ip: '0.0.0.0' is no receiver; sent to 127.0.0.1",
        ),
        (
            MODEL
            + OSC.replace("client_ip = 'localhost'", "client_ip = 'host.docker.internal'"),
            "line 13: osc.client_ip: host.docker.internal is known in a container alone; sent "
            "to 127.0.0.1 (in a container: --osc-out host.docker.internal:6001/impsy)",
        ),
        (
            MODEL + MIDI + "feedback_threshold = 0.02\n",
            "line 22: midi.feedback_threshold: robojam takes for an echo what comes back "
            "within 60 ms, always",
        ),
        (
            MODEL + MIDI + 'thru_matrix."Desk" = ["Synth"]\n',
            "line 22: midi.thru_matrix: robojam passes what humans play to all outputs or to "
            "none: input_thru = true for all",
        ),
        (
            MODEL + MIDI.replace('"control_change", 3, 19', '"control_change", 3, 121'),
            'line 14: midi.input."Desk": controller 121 switches the mode of a synthesiser and '
            "is not mapped; 0 to 119 are",
        ),
        (
            MODEL + MIDI.replace('["note_velocity", 3]', ""),
            'line 14: midi.input."Desk": 3 entries, and the model has 4 values (dimension - '
            "1): the others are not mapped",
        ),
        (
            MODEL + MIDI.replace('["Desk"]', '["Desk", "Keys"]'),
            "line 11: midi.in_device: 'Keys' has no input: nothing of it is used",
        ),
        (
            MODEL + MIDI.replace('["Synth", "Lights"]', '["Synth"]'),
            'line 19: midi.output."Lights": it is not in out_device and not used',
        ),
        (
            MODEL + "[webui]\nmonitor_port = 4001\n",
            "line 10: webui: there is no web interface of IMPSY: robojam jam has a window, and "
            "robojam status tells what goes on; controls as /impsy/mode come to the port of "
            "[osc]",
        ),
        (
            MODEL + "tresh = 1\n",
            "line 10: model.tresh: IMPSY has no such key; it has dimension, "
            "file, size, sigmatemp, pitemp, timescale",
        ),
        (MODEL + "[ocs]\n", "line 10: ocs: IMPSY has no such key; did you mean osc?"),
    ],
)
def test_what_is_left_out_is_named_in_one_line(load, text, line):
    _, warnings = load(HEAD + text)
    assert warnings == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD, "line 1: model.dimension is missing; allowed: a whole number from 2 to 17"),
        (
            HEAD + MODEL.replace("5", "18"),
            "line 6: model.dimension = 18; allowed: a whole number",
        ),
        (HEAD + MODEL.replace("5", "1"), "line 6: model.dimension = 1; allowed: "),
        (HEAD + MODEL.replace("5", "true"), "line 6: model.dimension = True; allowed: "),
        (
            HEAD + MODEL.replace("0.49", "-1"),
            "line 7: model.sigmatemp = -1; allowed: a number from 0 to 100",
        ),
        (HEAD + MODEL.replace("0.49", "nan"), "line 7: model.sigmatemp = nan; allowed: "),
        (
            HEAD + MODEL.replace("timescale = 1", "timescale = '1'"),
            "line 9: model.timescale = '1'; allowed: a number from 0.001 to 100",
        ),
        (
            HEAD.replace("callresponse", "duets") + MODEL,
            "line 2: interaction.mode = 'duets'; "
            "allowed: callresponse, polyphony, battle, useronly",
        ),
        (
            HEAD.replace("'callresponse'", "1") + MODEL,
            "line 2: interaction.mode = 1; allowed: ",
        ),
        (
            HEAD.replace("0.1", "0") + MODEL,
            "line 3: interaction.threshold = 0; allowed: a number from 0.02 to 60",
        ),
        (
            HEAD.replace("false", "1") + MODEL,
            "line 4: interaction.input_thru = 1; allowed: true or false",
        ),
        ("verbose = 'yes'\n" + HEAD + MODEL, "line 1: verbose = 'yes'; allowed: true or false"),
        ("osc = 5\n" + HEAD + MODEL, "line 1: osc is no section; write [osc]"),
        (
            HEAD + MODEL + OSC.replace("6001", "0"),
            "line 14: osc.client_port = 0; allowed: a whole number from 1 to 65535",
        ),
        (
            HEAD + MODEL + OSC.replace("'localhost'", "'a b'"),
            "line 11: osc.server_ip = 'a b'; allowed: the address or the name of a host",
        ),
        (
            HEAD + MODEL + "[osc]\nserver_ip = 'localhost'\n",
            "line 10: osc.server_port is missing; allowed: a whole number",
        ),
        (
            HEAD + MODEL + MIDI.replace('pitch_bend", 2', 'aftertouch", 2'),
            "line 14: midi.input."
            '"Desk", entry 3 = [\'aftertouch\', 2]; allowed: ["note_on", CHANNEL], ',
        ),
        (
            HEAD + MODEL + MIDI.replace("3, 19", "3, 128"),
            "entry 2 = ['control_change', 3, 128]; ",
        ),
        (
            HEAD + MODEL + MIDI.replace("3, 19", "0, 19"),
            "entry 2 = ['control_change', 0, 19]; ",
        ),
        (
            HEAD + MODEL + MIDI.replace("3, 19", "3, 19, 5"),
            "entry 2 = ['control_change', 3, 19, ",
        ),
        (
            HEAD + MODEL + MIDI.replace('["Desk"]', "[5]"),
            "line 11: midi.in_device = [5]; allowed",
        ),
        (
            HEAD + MODEL + "[midi]\nin_device = ['a']\nout_device = []\ninput.a = 5\n",
            'line 13: midi.input."a" = 5; allowed: a list of ',
        ),
        (HEAD + MODEL + "[serial]\nport = 5\n", "line 11: serial.port = 5; allowed: the name"),
        (HEAD + MODEL + "[serial]\nport = 'a'\n", "line 10: serial.baudrate is missing; all"),
        (HEAD + MODEL + "[websocket]\n", "line 10: websocket.server_ip is missing; allowed"),
        (HEAD + MODEL + "[serialmidi]\n", "line 10: serialmidi.port is missing; allowed: the"),
    ],
)
def test_wrong_value_is_refused_with_file_line_key_and_what_is_allowed(load, text, line):
    said = refusal(load, text)
    assert line in said
    assert said.startswith("line ")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("", False),
        ('model = "touch"', False),
        ('[midi.lead]\nlike = "cc"', False),
        ('serial = ["/dev/ttyACM0"]\n[map.out]', False),
        ("[interaction]", True),
        ("[midi]\nin_device = ['a']", True),
        ("[serial]\nport = 'a'", True),
    ],
)
def test_file_is_recognised_by_its_sections(text, is_one):
    assert is_impsy(tomllib.loads(text)) == is_one


#: A clone of IMPSY's repository, if there is one here.
CLONE = os.environ.get("IMPSY_CLONE")


if CLONE is not None:  # else there is nothing to read, and no test

    def test_every_example_of_impsy_s_repository_is_read(load):
        def git(*arguments: str) -> str:
            return subprocess.check_output(["git", "-C", str(CLONE), *arguments], text=True)

        names = git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
        texts = [git("show", f"HEAD:{name}") for name in names if name.endswith(".toml")]
        configs = [text for text in texts if is_impsy(tomllib.loads(text))]
        assert len(configs) >= 15
        for text in configs:
            options, _ = load(text)
            dimension = tomllib.loads(text)["model"]["dimension"]
            assert options.knobs == dimension - 1
            assert math.isfinite(options.controls["spread"])
