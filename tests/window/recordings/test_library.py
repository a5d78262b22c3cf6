"""The window's list of recordings: read, named, exported."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
import send2trash
from support.commands import run
from support.window import idle_actions, write_recording

from robojam.sessions import library
from robojam.window.actions import Actions
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.view.panels import panel_of


def opened(tmp_path, file: str = "2026-11-20T10-00-00.jsonl") -> Actions:
    """A window's actions with a recording of a folder open."""
    actions = idle_actions()
    actions.recordings.folder = tmp_path
    actions.recordings.read()
    actions.perform(f"open:{file}", 0.0)
    return actions


def write_name(actions: Actions, name: str) -> None:
    actions.perform("rename", 0.0)
    while actions.state.view.typed_name:
        actions.edit_name("", 0.0, delete=True)
    for letter in name:
        actions.edit_name(letter, 0.0)
    actions.edit_name("", 0.0, confirm=True)


def test_recording_of_a_newer_robojam_is_listed_with_its_reason(tmp_path):
    write_recording(tmp_path)
    write_recording(tmp_path, "new.jsonl", version=9)
    (tmp_path / "torn.jsonl").write_bytes(b'{"robo')
    woken = threading.Event()
    recordings = RecordingsPanel(wake=woken.set)
    recordings.folder = tmp_path
    recordings.refresh()
    assert woken.wait(60)
    errors = {entry.path.name: entry.error for entry in recordings.entries}
    assert errors["2026-11-20T10-00-00.jsonl"] == ""
    assert "was made by a newer robojam (format 9): update robojam" in errors["new.jsonl"]
    assert "torn" in errors["torn.jsonl"]


def test_newest_recording_is_listed_first_whatever_its_file_is_called(tmp_path):
    for name in ("2026-11-20T10-00-00.jsonl", "2026-11-20T10-00-00-2.jsonl", "evening.jsonl"):
        write_recording(tmp_path, name)
    early = (tmp_path / "evening.jsonl").read_bytes().replace(b"2026-11-20T", b"2026-11-19T")
    (tmp_path / "evening.jsonl").write_bytes(early)
    recordings = RecordingsPanel(wake=lambda: None)
    recordings.folder = tmp_path
    recordings.read()
    assert [entry.path.stem for entry in recordings.entries] == [
        "2026-11-20T10-00-00-2", "2026-11-20T10-00-00", "evening"]  # fmt: skip


def test_name_given_on_the_command_line_is_shown_and_changed_in_the_window(tmp_path, capsys):
    path = write_recording(tmp_path)
    run(capsys, "sessions", path, "--name", "Rain", "--note", "the good one")
    actions = opened(tmp_path)
    assert actions.playback.name == "Rain"
    actions.perform("rename", 0.0)
    assert actions.state.view.typed_name == "Rain"
    actions.edit_name("", 0.0, cancel=True)
    write_name(actions, "Snow /../ \u96ea")
    assert actions.playback.name == "Snow /../ \u96ea"
    assert actions.recordings.entries[0].title == "Snow /../ \u96ea"
    assert [p.name for p in tmp_path.glob("*.jsonl")] == [path.name]  # the file stays
    _, out, _ = run(capsys, "sessions", tmp_path)
    assert "Snow /../ \u96ea (the good one)" in out


def test_name_given_in_the_window_is_shown_and_changed_on_the_command_line(tmp_path, capsys):
    path = write_recording(tmp_path)
    actions = opened(tmp_path)
    write_name(actions, "Rain")
    assert "Rain" in run(capsys, "sessions", tmp_path)[1]
    run(capsys, "sessions", path, "--name", "Snow")
    actions.recordings.read()
    assert [entry.title for entry in actions.recordings.entries] == ["Snow"]


def test_name_that_is_taken_away_leaves_the_local_time_of_the_start(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        write_recording(tmp_path)
        actions = opened(tmp_path)
        assert actions.playback.name == "2026-11-20 15:30:00"
        write_name(actions, "Rain")
        write_name(actions, "")
        assert actions.playback.name == "2026-11-20 15:30:00"
        rows = panel_of(
            actions.state, entries=actions.recordings.entries, page=0,
            playback=actions.playback, full=False, busy=False,
        ).rows  # fmt: skip
        assert rows[0][0].text == "2026-11-20 15:30:00"
        assert "2026-11-20 15:30:00" in run(capsys, "sessions", tmp_path)[1]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_name_given_while_the_folder_is_read_is_not_overwritten(tmp_path, monkeypatch):
    path = write_recording(tmp_path)
    recordings = RecordingsPanel(wake=lambda: None)
    recordings.folder = tmp_path
    read_entries = library.entries

    def slow(folder, **options):
        entries = read_entries(folder, **options)
        if not entries[0].annotation.name:
            recordings.rename(path, "Rain")
        return entries

    monkeypatch.setattr(library, "entries", slow)
    recordings.read()
    assert [entry.title for entry in recordings.entries] == ["Rain"]


def test_damaged_names_are_reported_and_stay_as_they_are(tmp_path):
    path = write_recording(tmp_path)
    recordings = RecordingsPanel(wake=lambda: None)
    recordings.folder = tmp_path
    (tmp_path / library.NAMES).write_text("torn")
    recordings.read()
    assert "names.json holds no names" in recordings.messages[0]
    with pytest.raises(ValueError, match="holds no names"):
        recordings.rename(path, "Rain")
    assert (tmp_path / library.NAMES).read_text() == "torn"


def test_picture_that_cannot_be_drawn_is_reported(tmp_path, monkeypatch):
    woken = threading.Event()
    recordings = RecordingsPanel(wake=woken.set)
    monkeypatch.setattr("robojam.window.recordings.library.python_command", lambda *_: ["/no"])
    recordings.export(tmp_path / "a.jsonl")
    assert woken.wait(60)
    assert recordings.messages == ["the picture could not be drawn"]


def test_deleted_recording_goes_to_the_trash_and_leaves_the_list(tmp_path, monkeypatch):
    first = write_recording(tmp_path)
    write_recording(tmp_path, "2026-11-20T10-00-00-2.jsonl")
    trashed = []

    def trash(path):
        trashed.append(path)
        path.rename(tmp_path / "gone")

    monkeypatch.setattr(send2trash, "send2trash", trash)
    actions = opened(tmp_path, "2026-11-20T10-00-00-2.jsonl")
    actions.perform("delete", 0.0)
    assert [path.name for path in trashed] == ["2026-11-20T10-00-00-2.jsonl"]
    assert actions.playback is None
    assert actions.state.view.panel == "sessions"
    assert [entry.path for entry in actions.recordings.entries] == [first]
    actions.recordings.read()
    assert len(actions.recordings.entries) == 1
    assert "moved to the trash" in actions.state.notice


def test_recording_that_is_being_made_or_has_no_trash_is_not_deleted(tmp_path, monkeypatch):
    path = write_recording(tmp_path)
    actions = opened(tmp_path)
    for reported in (str(path), f"sessions/{path.name}", rf"C:\sessions\{path.name}"):
        actions.state.recording = reported
        actions.perform("delete", 0.0)
        assert "stop the recording first" in actions.state.notice

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    actions.state.recording = ""
    monkeypatch.setattr(send2trash, "send2trash", refuse)
    actions.perform("delete", 0.0)
    assert "Permission denied" in actions.state.notice
    assert path.exists()
    assert actions.playback is not None


@pytest.mark.skipif(sys.platform != "linux", reason="the place of the trash is Linux's")
def test_deleted_recording_lies_in_the_systems_trash(tmp_path):
    # send2trash asks where the trash is when it is imported.
    home = tmp_path / "home"
    home.mkdir()
    program = """
import sys
from pathlib import Path
from robojam.window.recordings.library import RecordingsPanel
RecordingsPanel(wake=lambda: None).delete(Path(sys.argv[1]))
"""
    path = write_recording(tmp_path)
    environment = os.environ | {"XDG_DATA_HOME": str(home), "HOME": str(home)}
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env=environment)
    assert not path.exists()
    assert [found.name for found in home.rglob("files/*.jsonl")] == [path.name]
