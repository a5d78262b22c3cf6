"""The commented file of a rig: what it says is what the options are."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import pytest
from test_listing import run

from robojam import rigfile
from robojam.choosing import Parser, add_to, resolve
from robojam.options import OPTIONS, Options

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.toml"))


def resolved(path: Path) -> Options:
    parser = Parser()
    add_to(parser)
    return resolve(parser.parse_args(["--config", str(path)]))


def test_as_it_is_written_it_changes_nothing(tmp_path, capsys):
    to = tmp_path / "robojam.toml"
    assert run(capsys, "init", to)[0] == 0
    assert tomllib.loads(to.read_text("utf-8")) == {}
    assert resolved(to) == resolve(argparse.Namespace())
    status, _, err = run(capsys, "init", to)
    assert (status, "is there already" in err) == (2, True)
    assert run(capsys, "init", "--print")[1] == rigfile.written()


def test_every_option_is_there_with_a_value_that_is_allowed(tmp_path):
    text = rigfile.written()
    values = re.findall(r"^#([a-z-]+) = ", text, re.MULTILINE)
    assert values == [option.name for option in OPTIONS]
    to = tmp_path / "all.toml"
    to.write_text(re.sub(r"^#([a-z-]+ = )", r"\1", text, flags=re.MULTILINE), "utf-8")
    resolved(to)


def test_what_this_machine_has_is_named(monkeypatch):
    assert "# Here: cpu" in rigfile.written()
    monkeypatch.setitem(rigfile._LOOKS, "mode", lambda: ["a piano", "a flute"])
    assert "# Here: a piano\n# Here: a flute\n#mode" in rigfile.written()

    def fails() -> list[str]:
        raise OSError("the driver is in a bad mood")

    monkeypatch.setitem(rigfile._LOOKS, "mode", fails)
    assert "piano" not in rigfile.written()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_options(path):
    assert len(EXAMPLES) == 3
    assert resolved(path) != resolve(argparse.Namespace())
