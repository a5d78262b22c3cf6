"""From a model's name to a player: by path for the musician, by name for a stranger."""

import hashlib
import queue
import shutil
import threading

import pytest
from support.engine import MODEL, PATIENCE

from robojam.engine import model_loader
from robojam.engine.model_loader import Models, load, one_thread
from robojam.model import file
from robojam.model.file import ModelFileError

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    for place in ("a", "b", "sub/c"):
        shutil.copy(MODEL, folder / f"{place}.safetensors")
    shutil.copy(MODEL, tmp_path / "outside.safetensors")
    (folder / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    (folder / "inner.safetensors").symlink_to("a.safetensors")
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    (folder / "notes.txt").write_text("not a model")
    (folder / "d.safetensors").mkdir()
    return Models(folder / "a.safetensors", device="cpu", voices=1)


def test_a_model_is_found_by_its_name_with_its_ending_or_without(models):
    folder = models.folders[0]
    for name in ("b", "b.safetensors"):
        assert models.find(name) == folder / "b.safetensors"
    assert models.find("inner") == folder / "inner.safetensors"
    # Where the folder has none, those that robojam brings.
    assert models.find(file.DEFAULT) == file.folder() / file.DEFAULT


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../outside", "../outside.safetensors", "sub/c", "sub/c.safetensors",
     "link", "loop", "d", "none", "notes.txt", "a\0", "a.safetensors\0.txt", "C:a", "..\\up",
     "x" * 300, "x" * 100_000, "~", "/etc/passwd", "\n", "a/"],
)  # fmt: skip
def test_nothing_outside_of_the_folder_is_found(models, name):
    with pytest.raises(ModelFileError, match="no model"):
        models.find(name)


def test_no_absolute_path_is_a_name(models):
    with pytest.raises(ModelFileError):
        models.find(str(models.folders[0] / "a.safetensors"))


def test_what_is_loaded_is_told_with_its_file_hash_and_build():
    one_thread()
    loaded = load(MODEL, device="cpu", voices=3)
    assert loaded.player.voices == 3
    playing = loaded.info
    assert playing.model.file == MODEL.name
    assert playing.model.sha256 == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert playing.path == str(MODEL)
    assert playing.build.startswith("robojam ")
    assert "numpy" in playing.build
    assert "1 threads" in playing.build or "blas" not in playing.build


def test_of_those_asked_for_meanwhile_the_last_is_loaded_next(models, monkeypatch):
    told: queue.Queue[tuple[str, object]] = queue.Queue()
    going, started = threading.Event(), threading.Event()
    loaded = []

    def slow(path, **_):
        started.set()
        assert going.wait(PATIENCE)
        loaded.append(path.stem)
        return path.stem

    monkeypatch.setattr(model_loader, "load", slow)

    def ask(name: str) -> None:
        models.ask(name, lambda got: told.put((name, got)))

    ask("a")
    assert started.wait(PATIENCE)
    for name in ("none", "b", "inner", "b"):
        ask(name)
    going.set()
    assert [told.get(timeout=PATIENCE) for _ in range(2)] == [("a", "a"), ("b", "b")]
    ask("none")
    name, got = told.get(timeout=PATIENCE)
    assert name == "none"
    assert isinstance(got, ModelFileError)
    assert loaded == ["a", "b"]
