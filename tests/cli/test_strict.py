"""The option --strict of the commands that read recorded jams."""

from __future__ import annotations

import pytest
from support.commands import run
from support.recordings import JAM

from robojam.cli import replay as replay_command

BEGINNINGS = {
    "export": ["export", "{jam}", "--to", "{to}.csv"],
    "corpus": ["corpus", "{jam}", "--to", "{to}.npz"],
    "generate": ["generate", "--from", "{jam}", "--seconds", "0.1", "--to", "{to}.csv"],
    "replay": ["replay", "{jam}"],
}


@pytest.mark.parametrize("command", BEGINNINGS)
def test_damaged_line_is_named_and_strict_refuses_it(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(replay_command, "_play", lambda *_, **__: 0)
    jam = tmp_path / "jam.jsonl"
    jam.write_bytes(JAM.replace(b'{"t":1.0,"set"', b'{"t":1.0\0"set"'))
    words = [word.format(jam=jam, to=tmp_path / "to") for word in BEGINNINGS[command]]
    status, out, err = run(capsys, *words)
    assert status == 0
    assert "line 5" in out + err
    assert "jam.jsonl" in out + err
    status, out, err = run(capsys, *words, "--strict")
    assert (status, out) == (2, "")
    assert "line 5: is not JSON" in err


@pytest.mark.parametrize("command", [["evaluate", "small"], ["train", "--to", "{to}"]])
def test_strict_is_taken_by_the_commands_that_learn(command, tmp_path, capsys):
    jam = tmp_path / "jam.jsonl"
    jam.write_bytes(JAM.replace(b'"t":1.0', b'"t":1.x'))
    words = [word.format(to=tmp_path / "to.safetensors") for word in command]
    status, _, err = run(capsys, *words, jam, "--strict")
    assert status == 2
    assert "line 5: is not JSON" in err


def test_strict_without_a_session_to_go_on_from_is_refused(tmp_path, capsys):
    status, _, err = run(capsys, "generate", "--to", tmp_path / "to.csv", "--strict")
    assert status == 2
    assert "--strict goes with --from" in err
