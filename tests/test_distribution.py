"""Wheel and sdist: complete, the same from a checkout and from the sdist, and they play."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support import ROOT

pytest.importorskip("hatchling")

#: What a player's environment does without.
HEAVY = {"torch", "matplotlib", "numba", "scikit-learn", "tensorboardx"}


def build(source: Path, folder: Path) -> tuple[Path, Path]:
    """Build from a folder of sources; return the wheel and the sdist."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    ran = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory) -> Path:
    """Folder of the sdist's sources, outside any checkout."""
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(built[1]) as archive:
        archive.extractall(folder, filter="data")
    (sources,) = folder.iterdir()
    return sources


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """Folder that holds the wheel's files, as an environment does."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(folder)
    return folder


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_sdist_has_every_file_of_the_repository(unpacked):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    tracked = {name for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    assert tracked - files(unpacked) == set()


def test_wheel_has_the_package_the_models_and_nothing_else(unpacked, installed):
    package = {f"robojam/{name}" for name in files(unpacked / "robojam")}
    models = {f"robojam/models/{name}" for name in files(unpacked / "models")}
    found = {name for name in files(installed) if ".dist-info/" not in name}
    assert found == package | models
    assert any(name.endswith("touch.safetensors") for name in models)


def test_wheel_built_from_the_sdist_is_that_of_the_checkout(built, unpacked, tmp_path):
    wheel, _ = build(unpacked, tmp_path)
    assert wheel.name == built[0].name
    assert wheel.read_bytes() == built[0].read_bytes()


def test_metadata_of_the_wheel_asks_for_what_playing_needs(installed):
    (info,) = installed.glob("*.dist-info")
    assert "robojam = robojam.__main__:main" in (info / "entry_points.txt").read_text()
    metadata = email.message_from_string((info / "METADATA").read_text("utf-8"))
    required = map(Requirement, metadata.get_all("Requires-Dist", []))
    always = {r.name.lower() for r in required if "extra" not in str(r.marker)}
    assert "numpy" in always
    assert not always & HEAVY
    assert {"train", "posters"} <= set(metadata.get_all("Provides-Extra", []))


def test_wheel_plays_with_its_own_model(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed))
    code = "import robojam.model.file as f; print(f.find(None)); print(f.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert [line.startswith(str(installed)) for line in ran.stdout.splitlines()] == [True] * 2
    command = [sys.executable, "-m", "robojam", "generate", "--to", "new.csv", "--seconds", "1"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "new.csv").read_text().count("\n") > 2
