"""The table [map]: what it makes of a file, and how it refuses what is wrong, in one line."""

import msgspec
import pytest

from robojam.config.addresses import parse_output
from robojam.config.load import OptionsError, change, resolve
from robojam.config.map_table import MAX_KNOBS, osc_receivers, without_output
from robojam.config.options import Options
from robojam.mapping.features import FEATURES
from robojam.mapping.knob import KnobSpec, Shape
from robojam.wire.knob_target import Target

KNOB = 'target = "cc 74", source = "y"'


@pytest.fixture
def options(tmp_path):
    """Read a file, and return its options."""

    def read(text: str) -> Options:
        (tmp_path / "rig.toml").write_text(text, "utf-8")
        return resolve({}, str(tmp_path / "rig.toml"))

    return read


def refusal(options, text: str) -> str:
    with pytest.raises(OptionsError) as caught:
        options(text)
    line = str(caught.value)
    assert line.isprintable()
    return line


def knob(text: str) -> str:
    return f"[map.out]\ncutoff = {{ {text} }}\n"


def test_row_without_more_goes_through_the_whole_range(options):
    table = options(knob(KNOB)).map
    assert table.spec("cutoff") == KnobSpec("y", "machine", (Shape(0, 1, 0, 127),), whole=True)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(
    ("target", "ends"),
    [
        ("cc 1", (0, 127)),
        ("cc14 1", (0, 16383)),
        ("nrpn 1:2", (0, 16383)),
        ("pitch bend", (-8192, 8191)),
        ("note", (0, 127)),
        ("osc /a/b", (0, 1)),
    ],
)
def test_every_feature_goes_to_every_target(options, feature, target, ends):
    spec = options(knob(f'target = "{target}", source = "{feature}"')).map.spec("cutoff")
    row = FEATURES[feature]
    assert spec.shapes == (Shape(row.low, row.high, *ends),)
    assert spec.whole == (not target.startswith("osc"))


def test_row_with_everything(options):
    text = (
        'target = "osc /tone", source = "speed", who = "human2", from = [0.5, 2], '
        'to = [36, 84], curve = -2, smooth = 0.25, invert = true, scale = "Dorian", key = "d"'
    )
    spec = options(knob(text)).map.spec("cutoff")
    shape = Shape(0.5, 2, 84, 36, -2, 0.25)
    assert spec == KnobSpec("speed", "human2", (shape,), whole=False, scale="dorian", key="D")


def test_scene_changes_what_it_names_and_leaves_the_rest(options):
    table = options(
        knob(KNOB + ", curve = 3")
        + "[map.scene.calm]\n[map.scene.wild]\ncutoff = { to = [127, 0], smooth = 1 }\n"
    ).map
    assert table.spec("cutoff").shapes == (
        Shape(0, 1, 0, 127, 3),
        Shape(0, 1, 127, 0, 3, 1),
    )
    assert [table.place_of(name) for name in ("calm", "wild")] == [0, 1]
    with pytest.raises(ValueError, match="no scene is named 'mild'; there is calm, wild"):
        table.place_of("mild")


def test_options_with_a_table_survive_the_supervisor_s_json(options):
    read = options(knob(KNOB) + "[map.scene.wild]\ncutoff = { from = [0, 0.5] }\n")
    assert msgspec.json.decode(msgspec.json.encode(read), type=Options) == read


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('target = "cc 120", source = "y"', "allowed: cc N (0 to 119)"),
        ('target = "cc14 32", source = "y"', "allowed: cc N"),
        ('target = "nrpn 128:0", source = "y"', "allowed: cc N"),
        ('target = "bend", source = "y"', "pitch bend"),
        ('target = "osc knob", source = "y"', "osc /ADDRESS"),
        ('target = "osc /a*", source = "y"', "osc /ADDRESS"),
        ('target = "osc //a", source = "y"', "osc /ADDRESS"),
        ('target = "cc 1", source = "z"', "source = 'z'; allowed: x, y, dt, speed"),
        ('target = "cc 1"', "out.cutoff: source is missing"),
        (KNOB + ', speed = 1', "there is no speed; allowed: target, source, who, from, to"),
        (KNOB + ', who = "dog"', "who = 'dog'; allowed: machine, humans, all, human"),
        (KNOB + ", to = [0, 128]", "allowed for cc: numbers from 0 to 127"),
        (KNOB + ", to = [0]", "to = [0]"),
        (KNOB + ', to = "high"', "to = 'high'"),
        (KNOB + ", from = [0, nan]", "from = nan; allowed: numbers up to 1e9"),
        (KNOB + ", from = [0, inf]", "from = inf"),
        (KNOB + ", smooth = nan", "smooth = nan"),
        (KNOB + ", smooth = 61", "smooth = 61: "),
        (KNOB + ", curve = 11", "curve = 11: "),
        (KNOB + ", steps = 1", "steps = 1: "),
        (KNOB + ', scale = "blue", to = [36, 84]', "no scale is named 'blue'"),
        (KNOB + ', scale = "blues"', "it needs to = [LOW, HIGH] from 0 to 127"),
        (KNOB + ', scale = "blues", to = [36, 84], key = "H"', "no key is named 'H'"),
        (KNOB + ', scale = "blues", to = [36, 84], steps = 5', "steps and scale"),
        ('target = "nrpn 1:1", source = "y", scale = "blues", to = [1, 99]', "cc, note and"),
        (KNOB + ", channel = 17", "channel = 17: "),
        (KNOB + ', port = ""', "no part of a MIDI port"),
        ('target = "osc /a", source = "y", channel = 3', "channel is of MIDI"),
        ('target = "osc /a", source = "y", port = "here"', "is not HOST:PORT"),
        (KNOB + ", velocity = 5", "velocity is of a note, and the target is cc"),
        ('target = "note", source = "y", velocity = 0', "velocity = 0: "),
        ('target = "note", source = "y", velocity = "loud"', "allowed: 1 to 127, x, y, dt"),
        ('target = "note 5", source = "y"', "pitch bend, note, or osc /ADDRESS"),
        ('target = "osc /a", source = "y", to = [0, 1e10]', "up to 1e9"),
    ],
)  # fmt: skip
def test_wrong_row_is_refused_with_file_line_row_and_what_is_allowed(options, row, said):
    line = refusal(options, "\n" + knob(row))
    assert "rig.toml, line 2: map: out.cutoff: " in line
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("map = 3", "map is no table; allowed: tables as [map.out]"),
        ("[map.knobs]", "there is no map.knobs; allowed: out, in, scene"),
        ("[map]\nout = 1", "out is no table"),
        ("[map.out]\na = 1", "out.a is no table"),
        ("[map.scene]\na = 1", "scene.a is no table"),
        (knob(KNOB) + "[map.scene.a]\ncut = {}", "no knob is named 'cut'; out has cutoff"),
        (knob(KNOB) + "[map.scene.a]\ncutoff = { invert = true }", "there is no invert; allow"),
        (knob(KNOB) + "[map.scene.a]\ncutoff = { to = [0, 200] }", "allowed for cc"),
        ('[map.out."a\\nb"]\ntarget = "cc 1"', "is no name; allowed: up to 40 letters"),
    ],
)
def test_wrong_table_is_refused(options, text, said):
    assert said in refusal(options, text)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('source = "note 1", target = "x"', "source = 'note 1'; allowed: cc N"),
        ('source = "cc 1", target = "z"', "target = 'z'; allowed: x, y, pressure, temperature"),
        ('source = "cc 1", target = "mode"', "target = 'mode'; allowed: x, y"),
        ('source = "cc 1", target = "x", to = [0, 2]', "to = [0.0, 2.0]; allowed: from 0 to 1"),
        ('source = "cc 1", target = "swing", to = [0, 1]', "allowed: from 0.5 to 0.75"),
        ('source = "osc /touch", target = "x"', "robojam hears that address itself"),
        ('source = "osc /robojam/mode", target = "x"', "robojam hears that address itself"),
        ('source = "osc /a", target = "x", port = "Desk"', "no part of a MIDI port's name"),
        ('source = "cc 1", target = "x", smooth = 1', "there is no smooth; allowed: source"),
        ('source = "cc 1"', "target is missing"),
    ],
)
def test_wrong_input_is_refused(options, row, said):
    line = refusal(options, f"[map.in]\nfader = {{ {row} }}\n")
    assert "rig.toml, line 1: map: in.fader: " in line
    assert said in line


def test_one_output_too_many_is_refused(options):
    rows = [f"k{n} = {{ target = 'cc {n}', source = 'x' }}" for n in range(MAX_KNOBS + 1)]
    assert len(options("\n".join(["[map.out]", *rows[:-1]])).map.out) == MAX_KNOBS
    line = refusal(options, "\n".join(["[map.out]", *rows]))
    assert f"out has {MAX_KNOBS + 1} knobs; allowed: up to {MAX_KNOBS}" in line


# -- outputs -------------------------------------------------------------------------------


def test_knob_disturbs_no_note_of_an_mpe_zone(options):
    line = refusal(options, 'midi-out = ["Surge"]\n' + knob(KNOB + ", channel = 16"))
    assert "map: out.cutoff at Surge/mpe: channel 16 is one of the notes" in line
    assert "its master channel is 1" in line
    small = "[midi.few]\nmembers = 14\n"
    assert options('midi-out = ["Surge/few"]\n' + small + knob(KNOB + ", channel = 16"))


@pytest.mark.parametrize(
    ("style", "row"),
    [
        ("cc", 'target = "cc 16", source = "y", channel = 1'),
        ("cc14", 'target = "cc 48", source = "y", channel = 1'),
        ("cc", 'target = "cc14 17", source = "y", channel = 1'),
        ("mono", 'target = "pitch bend", source = "y", channel = 1'),
        ("mono", 'target = "cc 74", source = "y", channel = 1'),
    ],
)
def test_knob_that_a_style_sends_itself_is_refused(options, style, row):
    line = refusal(options, f'midi-out = ["Surge/{style}"]\n' + knob(row))
    assert "itself; choose another channel" in line
    assert options(f'midi-out = ["Surge/{style}"]\n' + knob(row.replace("l = 1", "l = 2")))


def test_output_that_a_knob_would_disturb_is_refused_while_the_jam_goes_on(options):
    read = options(knob(KNOB + ", channel = 16"))
    with pytest.raises(OptionsError, match="notes of the MPE zone"):
        change(read, "midi-out", ["Surge"])


def test_osc_knobs_go_to_every_output_or_to_the_receiver_that_a_row_names(options):
    read = options(
        'osc-out = ["127.0.0.1:9000", "10.0.0.2:9001/tuio?latency=12"]\n[map.out]\n'
        'a = { target = "osc /a", source = "x" }\n'
        'b = { target = "osc /b", source = "x", port = "127.0.0.1:57120" }\n'
        'c = { target = "cc 1", source = "x" }\n'
    )
    receivers = osc_receivers(read.map, map(parse_output, read.osc_out))
    assert [(r.host, r.port, r.latency, r.gets_touches) for r in receivers] == [
        ("127.0.0.1", 9000, 0.0, True),
        ("10.0.0.2", 9001, 0.012, True),
        ("127.0.0.1", 57120, 0.0, False),
    ]
    assert [[knob.target for knob in r.knobs] for r in receivers] == [
        [Target("osc", address="/a")],
        [Target("osc", address="/a")],
        [Target("osc", address="/b")],
    ]


def test_knob_of_midi_that_no_output_gets_is_named(options):
    rows = (
        '[map.out]\na = { target = "cc 1", source = "x" }\n'
        'b = { target = "cc 2", source = "x", port = "Moog" }\n'
        'c = { target = "osc /c", source = "x" }\n'
    )
    for ports, missing in (([], ["a", "b"]), (["Surge"], ["b"]), (["my moog"], [])):
        read = options(f"midi-out = {ports}\n" + rows)
        assert without_output(read.map, read.midi_out, read.midi) == missing
