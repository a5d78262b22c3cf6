"""Lists of recordings, whole and damaged ones, and their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from support.commands import run
from support.recordings import DOWN, HEAD, JAM, LINE

from robojam.sessions import library, session
from robojam.sessions.library import newest
from robojam.sessions.session import EndEvent, encode

WHOLE = "2026-11-20T10-30-00"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / f"{WHOLE}.jsonl").write_bytes(JAM)
    return tmp_path


def test_summary_read_from_lines_is_that_of_the_whole_session(folder):
    for held in (JAM, JAM.rpartition(b'{"t":9.5')[0], HEAD, HEAD + LINE, JAM + b"torn"):
        path = folder / f"{WHOLE}.jsonl"
        path.write_bytes(held)
        assert session.summarise(path) == session.read(path).summary()


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (JAM + b"more", None),  # a torn last line: the rest stands
        (JAM[:-9], None),
        (JAM + encode(EndEvent(10.0, "x")), "line 7 is an end, and the recording goes on"),
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
        (HEAD.replace(b'"robojam":1', b'"robojam":3'), "newer robojam"),
    ],
)
def test_damaged_recording_is_listed_with_its_line_and_reason(held, message, folder):
    path = folder / f"{WHOLE}.jsonl"
    path.write_bytes(held)
    found = library.entry(path, {}, strict=True)
    if message is None:
        assert found.summary is not None
        assert found.summary.touches["human"] == 2
    else:
        assert found.summary is None
        assert message in found.error


def test_damaged_lines_are_counted_in_the_list_and_strict_refuses_them(folder, capsys):
    path = folder / f"{WHOLE}.jsonl"
    path.write_bytes(JAM.replace(b'"x":0.1', b'"x":7.5'))
    for _ in range(2):  # read, and then from the cache
        (found,) = library.entries(folder)
        assert found.summary is not None
        assert (found.summary.damaged_lines, found.summary.touches) == (1, {"human": 2})
        (refused,) = library.entries(folder, strict=True)
        assert refused.error == "line 6 x is 7.5, and must be a number from 0 to 1"
    assert "(1 damaged line)" in run(capsys, "sessions", folder)[1]
    assert "line 6 x is 7.5" in run(capsys, "sessions", folder, "--strict")[1]


def test_only_new_or_changed_recordings_are_read_again(folder, monkeypatch):
    first = library.entries(folder)
    looked: list[str] = []
    look = library.entry
    monkeypatch.setattr(
        library,
        "entry",
        lambda path, *a, **k: (looked.append(path.name), look(path, *a, **k))[1],
    )
    assert library.entries(folder) == first
    assert looked == []
    (folder / "later.jsonl").write_bytes(JAM)
    (folder / "bad.jsonl").write_bytes(b"hello\n")
    library.annotate(folder / f"{WHOLE}.jsonl", name="one")
    named = {found.path.stem: found.annotation.name for found in library.entries(folder)}
    assert named == {WHOLE: "one", "later": "", "bad": ""}
    assert sorted(looked) == ["bad.jsonl", "later.jsonl"]
    (folder / f"{WHOLE}.jsonl").write_bytes(HEAD)
    library.entries(folder)  # and what is damaged is read every time
    assert sorted(looked[2:]) == [f"{WHOLE}.jsonl", "bad.jsonl"]
    (folder / "later.jsonl").unlink()
    library.entries(folder)
    assert b"later" not in (folder / library.CACHE).read_bytes()


@pytest.mark.parametrize(
    "held", [b"", b"\xff", b"[]", b'{"version":"0","of":{}}', b"[" * 9999, None]
)
def test_damaged_cache_is_replaced(held, folder):
    found = library.entries(folder)
    seen = folder / library.CACHE
    kept = seen.read_bytes()
    if held is None:  # of another robojam, which may have summed up otherwise
        held = kept.replace(b"human", b"other").replace(b'"version":"', b'"version":"0.')
    seen.write_bytes(held)
    assert library.entries(folder) == found
    assert seen.read_bytes() == kept
    seen.unlink()
    seen.mkdir()  # it cannot be written
    assert library.entries(folder) == found


def test_oldest_recording_is_listed_first(folder):
    for name in (f"{WHOLE}-10", f"{WHOLE}-2"):
        (folder / f"{name}.jsonl").write_bytes(JAM)
    (folder / "evening.jsonl").write_bytes(JAM.replace(b"2026-11-20T", b"2026-11-19T"))
    (folder / "2026-11-21T00-00-00.jsonl").write_bytes(b"damaged")
    names = [entry.path.stem for entry in library.entries(folder)]
    assert names == ["evening", WHOLE, f"{WHOLE}-2", f"{WHOLE}-10", "2026-11-21T00-00-00"]


def test_limit_lists_the_files_changed_last_and_keeps_what_is_known_of_the_rest(folder):
    for age, name in enumerate(("b", "c", "d")):
        path = folder / f"{name}.jsonl"
        path.write_bytes(JAM)
        os.utime(path, ns=(0, (9 - age) * 10**9))
    os.utime(folder / f"{WHOLE}.jsonl", ns=(0, 0))
    library.entries(folder)
    cache = (folder / library.CACHE).read_bytes()
    assert [entry.path.stem for entry in library.entries(folder, limit=2)] == ["b", "c"]
    assert sorted(msgspec.json.decode(cache)["of"]) == sorted(
        msgspec.json.decode((folder / library.CACHE).read_bytes())["of"]
    )


def test_title_is_the_name_or_the_local_start_or_the_file_name(folder):
    (folder / f"{WHOLE}-2.jsonl").write_bytes(b"damaged")
    (folder / "evening.jsonl").write_bytes(JAM)
    (folder / "9999-99-99T99-99-99.jsonl").write_bytes(JAM)
    library.annotate(folder / f"{WHOLE}.jsonl", name=" \u200f\x1b[31mRain\n\tat  night ")
    titles = {entry.path.stem: entry.title for entry in library.entries(folder)}
    start = library.local_time(datetime(2026, 11, 20, 10, 30, tzinfo=UTC))
    assert titles == {
        WHOLE: "[31mRain at night",
        f"{WHOLE}-2": f"{start}-2",
        "evening": "evening",
        "9999-99-99T99-99-99": "9999-99-99T99-99-99",
    }


WRITER = """
import sys
from pathlib import Path
from robojam.sessions import library
for n in range(60):
    library.annotate(Path(sys.argv[1]) / f"{sys.argv[2]}{n}.jsonl", name=f"{n}")
"""


def test_names_written_by_several_programs_at_once_are_all_kept(tmp_path):
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), who]) for who in "abc"
    ]
    assert [program.wait(60) for program in running] == [0, 0, 0]
    assert len(library.read_annotations(tmp_path)) == 180
    assert [path.name for path in tmp_path.iterdir()] == [library.NAMES]


def test_names_and_notes_are_given_and_taken_away_and_recordings_untouched(folder, capsys):
    path = folder / f"{WHOLE}.jsonl"
    assert run(capsys, "sessions", path, "--name", "Évening", "--note", "the good one")[0] == 0
    status, out, _ = run(capsys, "sessions", folder)
    assert (status, "Évening (the good one)" in out) == (0, True)
    assert "duet" in out
    assert library.annotate(path, note="a\n\x1b[31m\tb \udcff ").note == "a [31m b"
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


def test_newer_recording_is_not_called_damaged(folder, capsys):
    (folder / "b.jsonl").write_bytes(HEAD.replace(b'"robojam":1', b'"robojam":3'))
    (folder / "c.jsonl").write_bytes(b"hello\n")
    status, out, _ = run(capsys, "sessions", folder)
    assert status == 0
    states = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert (states["b"], states["c"]) == ("newer", "damaged")
    assert "update robojam" in out


def test_missing_folder_or_file_is_an_error(tmp_path, capsys):
    assert run(capsys, "sessions", tmp_path / "none")[0] == 2
    assert run(capsys, "sessions", tmp_path, "--name", "x")[0] == 2
    assert run(capsys, "sessions", tmp_path)[:2] == (
        0,
        f"nothing has been recorded in {tmp_path}\n",
    )
    assert DOWN.t == 0


def test_newest_recording_is_the_last_of_those_that_have_a_first_line(tmp_path):
    def write(name: str, text: str, at: float) -> Path:
        path = tmp_path / name
        path.write_text(text)
        os.utime(path, (at, at))
        return path

    assert newest(tmp_path) is None
    assert newest(tmp_path / "gone") is None
    old = write("b.jsonl", "{}\n", 100.0)
    last = write("a.jsonl", "{}\n{", 200.0)
    assert newest(tmp_path) == last
    write("c.jsonl", '{"robojam":1', 300.0)  # its engine was killed just then
    write("d.jsonl", "", 400.0)
    assert newest(tmp_path, others={old.name}) == last
    assert newest(tmp_path, others={last.name}) == old
    assert newest(tmp_path, others={last.name, old.name}) is None
    last.unlink()
    assert newest(tmp_path) == old
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jsonl")
    assert newest(tmp_path) == old
