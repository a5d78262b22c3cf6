"""Headers of recordings that a stranger wrote, or an older robojam."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.commands import refusal
from support.models import TRAINED, is_trained
from support.recordings import JAM

from robojam.sessions import library
from robojam.sessions.session import SessionError, encode_header, parse, read
from robojam.system.shell import printable

HEADER: dict[str, Any] = json.loads(JAM.partition(b"\n")[0])


def jam(**changed: Any) -> bytes:
    """A recording with another header."""
    return json.dumps({**HEADER, **changed}).encode() + b"\n" + JAM.partition(b"\n")[2]


@pytest.mark.parametrize(
    "path",
    ["/home/somebody/models/a.safetensors", "D:\\somebody\\a.safetensors", "../a.safetensors",
     "\\\\host\\share\\a.safetensors", "a.safetensors"],
)  # fmt: skip
def test_paths_in_a_header_are_read_as_names(path):
    options = {**HEADER["options"], "model": path, "sessions": path, "log": path}
    header = parse(jam(model={"file": path, "sha256": "0"}, options=options)).header
    assert header.model.file == "a.safetensors"
    assert [header.options[name] for name in ("model", "sessions", "log")] == [
        "a.safetensors"
    ] * 3
    assert b"somebody" not in encode_header(header)


def test_name_with_escapes_is_read_and_written_as_it_is():
    name = printable(os.fsdecode(b"\xfe \x1b.safetensors"))
    for file in (name, "/home/somebody/" + name, "D:\\somebody\\" + name):
        header = parse(jam(model={"file": file, "sha256": "0"})).header
        assert header.model.file == name == r"\udcfe \x1b.safetensors"
        assert parse(encode_header(header)).header.model.file == name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": -1}, "seed is -1, and must be a whole number from 0 to 9223372036854775807"),
        ({"seed": 2**63}, "seed is"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"seed": 10**4200}, "seed is"),
        ({"device": "x" * 5000}, "device is"),
        ({"model": {"file": 7, "sha256": ""}}, "model is|file is"),
        ({"model": []}, "model is"),
        ({"started": "0001-01-01T00:00:00+14:00"}, "started is"),
        ({"started": "9999-12-31T23:59:59-14:00"}, "started is"),
        ({"options": []}, "options is"),
        ({"continues": ["a"]}, "continues is"),
    ],
)
def test_header_with_a_value_that_is_not_allowed_is_refused(changed, message, tmp_path):
    with pytest.raises(SessionError, match=message):
        parse(jam(**changed))
    (tmp_path / "a.jsonl").write_bytes(jam(**changed))
    (entry,) = library.entries(tmp_path)  # as the command and the window list it
    assert entry.summary is None
    assert entry.error.startswith("line 1 ")
    assert "\n" not in entry.error


@pytest.mark.parametrize(
    "text",
    [b'"seed":' + b"9" * 20_000, b'"more":' + b"[" * 5000 + b"]" * 5000, b'"more":1e999',
     b'"options":{"a":' * 400 + b"0" + b"}" * 400],
    ids=["digits", "nested", "infinite", "nested options"],
)  # fmt: skip
def test_header_that_no_reader_could_hold_is_refused_at_once(text):
    with pytest.raises(SessionError, match="line 1"):
        parse(JAM.replace(b'{"robojam":1', b'{"robojam":1,' + text, 1))


@is_trained
@pytest.mark.parametrize(
    ("option", "value"),
    [("voices", 2147483648), ("voices", 0.5), ("voices", 1_000_000), ("voices", 0),
     ("voices", "many"), ("voices", True), ("temperature", 1e9), ("timescale", -1),
     ("mode", "dance"), ("mode", ["solo"])],
)  # fmt: skip
def test_regeneration_checks_the_options_of_a_header_as_those_of_a_jam(
    option, value, tmp_path, capsys
):
    path, to = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(jam(options={**HEADER["options"], option: value}))
    said = refusal(capsys, "replay", path, "--regenerate", "--to", to, "--model", TRAINED)
    assert f"line 1: {option}" in said or "line 1: no mode" in said or "line 1: mode" in said
    assert not to.exists()


@is_trained
def test_model_at_a_path_in_a_header_is_not_opened(tmp_path, monkeypatch, capsys):
    secret = tmp_path / "elsewhere" / "secret.safetensors"
    secret.parent.mkdir()
    secret.write_bytes(TRAINED.read_bytes())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    opened: list[str] = []
    plain = Path.open

    def noted(path: Path, *args: Any, **more: Any) -> Any:
        opened.append(path.name)
        return plain(path, *args, **more)

    monkeypatch.setattr(Path, "open", noted)
    name = {"file": str(secret), "sha256": "12" * 32}
    Path("a.jsonl").write_bytes(
        jam(model=name, options={**HEADER["options"], "model": str(secret)})
    )
    said = refusal(capsys, "replay", "a.jsonl", "--regenerate", "--to", "b.jsonl")
    assert "there is no model 'secret.safetensors' (sha256 '12121212" in said
    assert "--model FILE" in said
    assert "secret.safetensors" not in opened


def test_controls_of_a_recording_have_their_canonical_form():
    data = jam().replace(
        JAM.splitlines()[-1], b'{"t":1000.0,"set":{"mode":"polyphony","threshold":1}}'
    )
    assert parse(data).events[-1].values == {"mode": "duet", "threshold": 1.0}


def test_examples_hold_no_paths():
    folder = Path(__file__).resolve().parents[2] / "sessions"
    for path in folder.glob("*.jsonl"):
        line = path.read_bytes().partition(b"\n")[0]
        assert encode_header(read(path).header) == line + b"\n"
        assert b"/home" not in line
