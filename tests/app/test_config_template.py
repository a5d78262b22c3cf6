"""Template of the configuration file: it states the options as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from support.commands import run

from robojam.app import config_template
from robojam.config.load import OptionsError, resolve
from robojam.config.options import OPTIONS, Options

SEARCHES = config_template._SEARCHES
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


@pytest.fixture(autouse=True)
def searches(monkeypatch):
    """Searches that find something at once: the real ones start programs and open devices."""
    found = {name: lambda: ["something long", "b"] for name in SEARCHES}
    monkeypatch.setattr(config_template, "_SEARCHES", found)


def resolved(path: Path) -> Options:
    return resolve({}, str(path))


def test_template_as_written_changes_nothing(tmp_path, capsys):
    to = tmp_path / "robojam.toml"
    assert run(capsys, "init", to)[0] == 0
    assert tomllib.loads(to.read_text("utf-8")) == {}
    assert resolved(to) == resolve({})
    status, _, err = run(capsys, "init", to)
    assert (status, "is there already" in err) == (2, True)
    assert run(capsys, "init", "--print")[1] == config_template.template()


def uncommented(text: str) -> str:
    return re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)


def test_template_has_every_option_with_an_allowed_value(tmp_path):
    text = config_template.template()
    assert set(tomllib.loads(uncommented(text))) == {option.name for option in OPTIONS}
    to = tmp_path / "all.toml"
    to.write_text(uncommented(text), "utf-8")
    every = resolved(to)
    assert set(every.midi) == {"lead", "desk"}
    for line in re.findall("^#([a-z-]+ = .*)", text.partition("#[midi")[0], re.MULTILINE):
        to.write_text(line, "utf-8")  # and each by itself
        resolved(to)


def test_options_that_are_lists_show_an_example_of_two_in_toml(tmp_path):
    text, to = config_template.template(), tmp_path / "several.toml"
    assert "again" not in text  # as the command line has it
    shown = dict(
        re.findall(r"^# One or more, in brackets: (([a-z-]+) = .*)", text, re.MULTILINE)
    )
    assert set(shown.values()) == {o.name for o in OPTIONS if o.kind is tuple}
    to.write_text("\n".join(shown), "utf-8")
    every = resolved(to)
    for name in shown.values():
        assert len(getattr(every, name.replace("-", "_"))) == 2


def test_error_of_a_list_without_brackets_shows_the_list(tmp_path):
    to = tmp_path / "rig.toml"
    to.write_text('\nmidi-in = "Foot/pedal"\n', "utf-8")
    with pytest.raises(OptionsError, match=r"line 2: midi-in = .*: a list of .* alone") as info:
        resolved(to)
    to.write_text("midi-in = " + str(info.value).rpartition(": ")[2], "utf-8")
    assert resolved(to).midi_in == ("Foot/pedal",)


def test_lines_of_the_template_are_at_most_90_characters(monkeypatch):
    monkeypatch.setitem(config_template._SEARCHES, "mode", lambda: ["a long " * 30])
    assert max(map(len, config_template.template().splitlines())) <= 90


def test_template_names_what_this_machine_has_and_survives_a_failing_search(monkeypatch):
    with monkeypatch.context() as real:
        real.setattr(config_template, "_SEARCHES", SEARCHES)
        assert "# Here: cpu" in config_template.template()
    monkeypatch.setitem(config_template._SEARCHES, "mode", lambda: ["a piano", "a flute"])
    assert "# Here: a piano\n# Here: a flute\n#mode" in config_template.template()

    def fails() -> list[str]:
        raise OSError("the driver is in a bad mood")

    monkeypatch.setitem(config_template._SEARCHES, "mode", fails)
    assert "piano" not in config_template.template()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_files_are_valid_options(path):
    assert len(EXAMPLES) == 3
    assert resolved(path) != resolve({})
