"""Where sessions are recorded: can it be written to, and how much is free."""

import os
import shutil
from pathlib import Path

import pytest

from robojam.config.options import Options
from robojam.doctor import disk
from robojam.doctor.disk import check_disk


def test_folder_that_does_not_exist_yet_is_ok_and_is_not_made(tmp_path):
    folder = tmp_path / "new" / "sessions"
    found = check_disk(Options(sessions=str(folder)))
    assert found.status in ("ok", "warning")  # by what this disk has
    assert "GB free" in found.found
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_place_of_the_folder_is_a_problem(tmp_path):
    (tmp_path / "sessions").write_text("")
    found = check_disk(Options(sessions=str(tmp_path / "sessions")))
    assert (found.status, "Not a directory" in found.found) == ("problem", True)
    assert found.to_do == "name another folder with --sessions FOLDER"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_folder_that_may_not_be_written_to_is_a_problem(tmp_path):
    tmp_path.chmod(0o500)
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path  # root may write elsewhere
    try:
        assert check_disk(Options(sessions=str(folder))).status == "problem"
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("free", "status"), [(499e6, "warning"), (501e6, "ok")])
def test_little_space_is_a_warning(monkeypatch, tmp_path, free, status):
    usage = shutil.disk_usage(tmp_path)._replace(free=int(free))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    assert check_disk(Options(sessions=str(tmp_path))).status == status


def test_full_disk_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(disk, "obstacle", lambda _: "No space left on device")
    found = check_disk(Options(sessions=str(tmp_path)))
    assert (found.status, "No space left" in found.found) == ("problem", True)
    assert found.to_do.startswith("make room")
    assert check_disk(Options(sessions=str(tmp_path), record=False)).status == "ok"


def test_home_folder_is_shortened(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    found = check_disk(Options(sessions=str(tmp_path / "jams")))
    assert found.found.endswith(str(Path("~") / "jams"))
    assert str(tmp_path) not in found.found
