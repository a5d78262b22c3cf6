"""The command line: declarations, errors and help, without anything that plays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from robojam.cli import COMMANDS, arguments, main
from robojam.cli.arguments import Command, jam_options, load_options
from robojam.config.load import resolve
from robojam.config.options import OPTIONS, Options
from robojam.controls import SETTINGS, Kind


@click.command(cls=Command)
@jam_options
def probe(*, config: str | None, **given: Any) -> Options:
    """Return the options of a jam as `serve` and `jam` read them."""
    return load_options(given, config)


def options(*words: str) -> Options:
    return probe.main(list(words), standalone_mode=False)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return (left.value.code, *capsys.readouterr())


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith("robojam: ")
    assert err.count("\n") == 1
    return err


def test_every_option_is_on_the_command_line_and_in_toml_under_one_name(tmp_path):
    given = {
        "model": "m.safetensors", "device": "cpu", "knobs": 9, "voices": 4, "seed": 2**63 - 1,
        "osc-in": "0.0.0.0:0", "osc-out": ["h:1/native", "10.0.0.2:65535"], "osc-ahead": 20,
        "tuio-in": "none", "touchosc": ["/1/xy=y,x", "learn"], "announce": False,
        "web": "0.0.0.0:80", "web-control": True, "web-cert": "pad.pem:key.pem",
        "midi-in": ["Seaboard", "Pedal/pedal"], "midi-out": ["Surge/mpe", "virtual:it/scale"],
        "serial": ["/dev/ttyACM0@9600", "COM3"], "serial-midi": ["/dev/ttyAMA0"],
        "midi-websocket": "0.0.0.0:5001", "allow-origin": ["https://example.org", "null"],
        "sound-latency": 9, "window-latency": 12.5,
        "sound": False, "sound-out": "Headphones", "record": False, "sessions": "jams",
        "log": "log.txt", "verbose": True, "mode": "duet", "scale": "minor",
        "show": True, "show-allow": ["volume", "mode"], "show-anyway": True,
        "instrument": "human=drums,ai=chirp", "roles": "roles.toml",
        "control": ["10.0.0.7", "fd00::/64", "ipad.local"],
    }  # fmt: skip
    for field, row in SETTINGS.items():
        name = field.replace("_", "-")
        if row.option and name not in given:
            given[name] = row.high if row.kind is Kind.NUMBER else row.default
    assert set(given) | {"map", "midi"} == {
        option.name for option in OPTIONS
    }  # tables: TOML alone
    words = []
    for name, value in given.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(item)]
    path = tmp_path / "jam.toml"
    path.write_text(
        "\n".join(f"{name} = {msgspec.json.encode(v).decode()}" for name, v in given.items())
    )
    options_of = {field: field.replace("_", "-") for field in SETTINGS}
    controls = {f: given.pop(name) for f, name in options_of.items() if name in given}
    expected = msgspec.convert({**given, "controls": controls}, Options)
    assert options(*words) == resolve({}, str(path)) == expected


def test_options_that_are_not_given_leave_the_file_in_force(tmp_path):
    path = tmp_path / "jam.toml"
    path.write_text('threshold = 2\nsound = false\nosc-out = ["a:1", "b:2"]\n')
    assert options() == Options()
    assert options("--config", str(path)) == resolve({}, str(path))
    chosen = options("--config", str(path), "--sound", "--osc-out", "c:3", "--threshold", "0.5")
    assert (chosen.sound, chosen.osc_out) == (True, ("c:3",))
    assert chosen.settings().threshold == 0.5


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "serve --thresold 3",
            "option --thresold; did you mean --threshold? (robojam serve",
        ),
        (
            "jam --osc-inn 3",
            "option --osc-inn; did you mean --osc-in? (robojam jam --help)",
        ),
        ("serve --threshold", "'--threshold' requires an argument. (robojam serve --help)"),
        ("serve --thresh 3", "there is no option --thresh"),
        ("serve -q", "there is no option -q"),
        ("serve extra", "unexpected extra argument (extra) (robojam serve --help)"),
        ("sing", "there is no command sing (robojam --help)"),
        ("replya x", "there is no command replya; did you mean replay?"),
        ("--loud", "there is no option --loud (robojam --help)"),
        ("serve --threshold -3", "threshold = -3.0; allowed: a number from 0.02 to 60"),
        ("serve --threshold nan", "threshold = nan; allowed: a number from 0.02 to 60"),
        ("serve --seed x", "seed = 'x'; allowed: a whole number from 0 to"),
        ("serve --sound=no", "'--sound' does not take a value"),
        ("window --size big", "--size: 'big' is not WIDTHxHEIGHT, as in 1280x800"),
        ("window --turn 45", "--turn: '45' is not one of '0', '90', '180', '270'"),
        ("replay", "SESSION is missing (robojam replay --help)"),
        ("replay x --speed -1", "--speed: '-1' is not a number above 0"),
        ("replay x --speed nan", "--speed: 'nan' is not a number above 0"),
        ("export x", "--to is missing"),
        ("generate --to no/such/folder/x.npz", "--to: no/such/folder/x.npz is not a file in a"),
        ("generate --to x.npz --temperature 11", "--temperature: '11' is not a number from 0"),
        ("generate --to x.npz --count 0", "--count: '0' is not a whole number from 1 to"),
        ("generate --to x.npz --count 1.5", "--count: '1.5' is not a whole number from 1 to"),
        (
            "generate --to x.npz --seconds 3601",
            "--seconds: '3601' is not a number above",
        ),
        ("train", "DATA is missing"),
        ("bench --quick --long", "--quick and --long: choose one of them"),
        ("sessions x --name --json", "--name requires a value (robojam sessions --help)"),
    ],
)
def test_wrong_command_line_is_refused_in_one_line_that_says_what_is_allowed(
    line, expected, capsys
):
    assert expected in refusal(capsys, *line.split())


def test_number_of_many_digits_is_refused_in_a_short_line(capsys):
    for name in ("--seed", "--count", "--seconds"):
        line = refusal(capsys, "generate", "--to", "x.npz", name, "9" * 10_000)
        assert name in line
        assert len(line) < 300


def test_value_may_begin_with_a_dash(capsys):
    line = refusal(capsys, "sessions", "no/such/file.jsonl", "--note", "-- softly")
    assert "there is no file no/such/file.jsonl" in line
    assert options("--sound-out", "-1", "--log=-").sound_out == "-1"


def test_help_lists_every_option_with_default_and_range_on_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = run(capsys, "serve", "--help")
    assert (status, err) == (0, "")
    text = "".join(out.split())  # lines also wrap at hyphens, so no spaces are compared
    for option in OPTIONS:
        if option.is_table:
            continue
        expected = [f"--{option.name}", option.about, f"(default: {option.default_text})"]
        if option.kind in (int, float):
            expected.append(option.allowed)
        for part in expected:
            assert "".join(part.split()) in text
    assert "--options" not in text
    assert "--until-eof" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_of_the_list_has_a_help_that_fits_80_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run(capsys, name, "-h")
    assert status == 0
    assert out.startswith(f"Usage: robojam {name} ")
    assert max(map(len, out.splitlines())) <= 80
    _, summary = COMMANDS[name]
    assert summary in run(capsys, "--help")[1]


def test_every_command_of_the_readme_is_in_the_list():
    readme = (Path(arguments.__file__).parents[2] / "README.md").read_text("utf-8")
    assert set(re.findall(r"`robojam ([a-z]+)", readme)) <= set(COMMANDS)


def test_pad_for_browsers_without_an_address_has_the_usual_port():
    assert options("--web").web == "8080"
    assert options("--web", "--no-sound").web == "8080"
    assert options("--web", "127.0.0.1:9000").web == "127.0.0.1:9000"
    assert options().web == "none"
