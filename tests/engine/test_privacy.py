"""Paths of this machine: a recording, which may be shared, holds none."""

from __future__ import annotations

import json

import pytest
from support.engine import DrivenEngine


@pytest.fixture
def driven(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "mia"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "mia"))
    made = DrivenEngine(
        tmp_path / "mia" / "jams", model=str(tmp_path / "mia" / "a.safetensors"),
        log=str(tmp_path / "mia" / "robojam.log"),
    )  # fmt: skip
    yield made
    made.engine.finish("the end of the test")


def test_recording_has_names_and_no_paths(driven, tmp_path):
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.send("/robojam/model", "s", "b.safetensors")
    driven.end()
    (path,) = (tmp_path / "mia" / "jams").glob("*.jsonl")
    text = path.read_text()
    assert "mia" not in text
    options = json.loads(text.partition("\n")[0])["options"]
    assert (options["sessions"], options["log"]) == ("jams", "robojam.log")
    assert options["model"] == "a.safetensors"
