"""What a list of recordings tells, of whole ones and of damaged ones."""

from __future__ import annotations

import json

import pytest
from support.recordings import DOWN, HEAD, JAM, LINE, run

from robojam.sessions import library, session
from robojam.sessions.session import EndEvent, encode

WHOLE = "2026-11-20T10-30-00"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / f"{WHOLE}.jsonl").write_bytes(JAM)
    return tmp_path


def test_the_quick_look_tells_what_a_whole_reading_does(folder, monkeypatch):
    for held in (JAM, JAM.rpartition(b'{"t":9.5')[0], HEAD, HEAD + LINE):
        path = folder / f"{WHOLE}.jsonl"
        path.write_bytes(held)
        slow = session.read(path).summary()
        with monkeypatch.context() as patched:
            patched.setattr(session, "read", None)  # it is not needed
            assert library.entry(path, {}).summary == slow


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (JAM + b"more", None),  # a torn last line: the rest stands
        (JAM[:-9], None),
        (JAM + encode(EndEvent(10.0, "x")), "line 8 comes after the end"),
        (JAM.replace(b'"x":0.1', b'"x":7.5'), "line 6 x is 7.5"),
        (HEAD + b"rubbish\n" + LINE, "line 2 is not JSON"),
        (HEAD + encode(EndEvent(9.0, "x"))[:-1].replace(b"9", b"-9") + b"\n", "line 2 t is -9"),
        (JAM.replace(b'"dt":0.1', b'"dx":0.1'), "is without dt"),
        (JAM.replace(b'"id":0,', b""), "is without id"),
        (JAM.replace(b'"who":"ai2"', b'"who":"ai0"'), "line 6 who is 'ai0'"),
        (JAM.replace(b'"phase":"down"', b'"phase":""'), "phase is ''"),
        (JAM.replace(b'"set"', b'"get"'), "line 5 is neither a touch"),
        (b"", "is empty"),
        (b"hello\n", "line 1"),
        (HEAD.replace(b'"robojam":1', b'"robojam":2'), "newer robojam"),
    ],
)
def test_damaged_ones_are_shown_as_such(held, told, folder):
    path = folder / f"{WHOLE}.jsonl"
    path.write_bytes(held)
    found = library.entry(path, {})
    if told is None:
        assert found.summary is not None
        assert found.summary.touches["human"] == 2
    else:
        assert found.summary is None
        assert told in found.wrong


def test_only_what_is_new_or_changed_is_read_again(folder, monkeypatch):
    first = library.entries(folder)
    looked: list[str] = []
    look = library.entry
    monkeypatch.setattr(
        library, "entry", lambda path, named: (looked.append(path.name), look(path, named))[1]
    )
    assert library.entries(folder) == first
    assert looked == []
    (folder / "later.jsonl").write_bytes(JAM)
    (folder / "bad.jsonl").write_bytes(b"hello\n")
    library.rename(folder / f"{WHOLE}.jsonl", name="one", note=None)
    named = {found.path.stem: found.named.name for found in library.entries(folder)}
    assert named == {WHOLE: "one", "later": "", "bad": ""}
    assert sorted(looked) == ["bad.jsonl", "later.jsonl"]
    (folder / f"{WHOLE}.jsonl").write_bytes(HEAD)
    library.entries(folder)  # and what is damaged is read every time
    assert sorted(looked[2:]) == [f"{WHOLE}.jsonl", "bad.jsonl"]
    (folder / "later.jsonl").unlink()
    library.entries(folder)
    assert b"later" not in (folder / library.SEEN).read_bytes()


@pytest.mark.parametrize(
    "held", [b"", b"\xff", b"[]", b'{"version":"0","of":{}}', b"[" * 9999, None]
)
def test_what_was_seen_may_be_damaged(held, folder):
    found = library.entries(folder)
    seen = folder / library.SEEN
    kept = seen.read_bytes()
    if held is None:  # of another robojam, which may have summed up otherwise
        held = kept.replace(b"human", b"other").replace(b'"version":"', b'"version":"0.')
    seen.write_bytes(held)
    assert library.entries(folder) == found
    assert seen.read_bytes() == kept
    seen.unlink()
    seen.mkdir()  # it cannot be written
    assert library.entries(folder) == found


def test_the_oldest_comes_first(folder):
    for name in (f"{WHOLE}-10", f"{WHOLE}-2", "2026-11-19T10-30-00"):
        (folder / f"{name}.jsonl").write_bytes(JAM)
    names = [entry.path.stem for entry in library.entries(folder)]
    assert names == ["2026-11-19T10-30-00", WHOLE, f"{WHOLE}-2", f"{WHOLE}-10"]


def test_names_and_notes(folder, capsys):
    path = folder / f"{WHOLE}.jsonl"
    assert run(capsys, "sessions", path, "--name", "Évening", "--note", "the good one")[0] == 0
    status, out, _ = run(capsys, "sessions", folder)
    assert (status, "Évening (the good one)" in out) == (0, True)
    assert "duet" in out
    assert run(capsys, "sessions", path, "--note", "")[0] == 0
    status, out, _ = run(capsys, "sessions", folder, "--json")
    (found,) = json.loads(out)
    assert (found["name"], found["note"]) == ("Évening", "")
    assert found["touches"] == {"human": 2, "ai2": 1}
    assert found["modes"] == ["call-response", "duet"]
    assert (found["seconds"], found["ended"]) == (9.5, "SIGTERM")
    assert path.read_bytes() == JAM  # a recording is never written again
    (folder / library.NAMES).write_text("[]")
    status, _, err = run(capsys, "sessions", folder)
    assert (status, "holds no names" in err) == (2, True)


def test_a_newer_one_is_not_called_damaged(folder, capsys):
    (folder / "b.jsonl").write_bytes(HEAD.replace(b'"robojam":1', b'"robojam":2'))
    (folder / "c.jsonl").write_bytes(b"hello\n")
    status, out, _ = run(capsys, "sessions", folder)
    assert status == 0
    states = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert (states["b"], states["c"]) == ("newer", "damaged")
    assert "update robojam" in out


def test_what_there_is_not(tmp_path, capsys):
    assert run(capsys, "sessions", tmp_path / "none")[0] == 2
    assert run(capsys, "sessions", tmp_path, "--name", "x")[0] == 2
    assert run(capsys, "sessions", tmp_path)[:2] == (
        0,
        f"nothing has been recorded in {tmp_path}\n",
    )
    assert DOWN.t == 0
