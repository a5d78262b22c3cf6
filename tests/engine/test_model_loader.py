"""Loading of models: by path, and over the network by name alone."""

import hashlib
import queue
import shutil
import threading
from types import SimpleNamespace

import pytest
from support.engine import MODEL, PATIENCE
from support.steppers import needs_numba

from robojam.engine import model_loader
from robojam.engine.model_loader import Models, is_compiled, load, one_thread
from robojam.engine.takes import LoadedPlayer
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
    return Models([folder], device="cpu")


def test_model_is_found_by_its_name_with_or_without_its_ending(models):
    folder = models.folders[0]
    for name in ("b", "b.safetensors"):
        assert models.find(name) == folder / "b.safetensors"
    assert models.find("inner") == folder / "inner.safetensors"
    # Models that come with robojam are found too.
    assert models.find(file.DEFAULT) == file.folder() / file.DEFAULT


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../outside", "../outside.safetensors", "sub/c", "sub/c.safetensors",
     "link", "loop", "d", "none", "notes.txt", "a\0", "a.safetensors\0.txt", "C:a", "..\\up",
     "x" * 300, "x" * 100_000, "~", "/etc/passwd", "\n", "a/"],
)  # fmt: skip
def test_name_that_leads_outside_the_folder_or_to_no_model_is_refused(models, name):
    with pytest.raises(ModelFileError, match="no model"):
        models.find(name)


def test_absolute_path_is_refused_as_a_name(models):
    with pytest.raises(ModelFileError):
        models.find(str(models.folders[0] / "a.safetensors"))


def test_loaded_player_has_the_file_the_hash_and_the_build_of_its_model():
    one_thread()
    loaded = load(MODEL, device="cpu", voices=3)
    assert loaded.player.voices == 3
    info = loaded.info
    assert info.model.file == MODEL.name
    assert info.model.sha256 == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert info.build.startswith("robojam ")
    assert "numpy" in info.build
    assert "1 threads" in info.build or "blas" not in info.build


def test_last_model_requested_during_a_load_is_loaded_next(models, monkeypatch):
    results: queue.Queue[tuple[str, object]] = queue.Queue()
    may_end, started = threading.Event(), threading.Event()
    loaded = []

    def slow(path, **_):
        started.set()
        assert may_end.wait(PATIENCE)
        loaded.append(path.stem)
        return path.stem

    monkeypatch.setattr(model_loader, "load", slow)

    def ask(name: str) -> None:
        models.ask(name, 1, lambda result: results.put((name, result)))

    ask("a")
    assert started.wait(PATIENCE)
    for name in ("none", "b", "inner", "b"):
        ask(name)
    may_end.set()
    assert [results.get(timeout=PATIENCE) for _ in range(2)] == [("a", "a"), ("b", "b")]
    ask("none")
    name, result = results.get(timeout=PATIENCE)
    assert name == "none"
    assert isinstance(result, ModelFileError)
    assert loaded == ["a", "b"]


def test_models_are_loaded_on_the_cpu_once_their_device_fails(models, monkeypatch, caplog):
    asked = []

    def loads(path, *, device, **_):
        asked.append(device)
        if device != "cpu":
            raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors …")
        return path.stem

    monkeypatch.setattr(model_loader, "load", loads)
    models.device = "cuda"
    assert models.load("b", 1) == "b"
    assert models.load("a", 1) == "a"
    assert asked == ["cuda", "cpu", "cpu"]
    assert caplog.messages == [
        "cuda does not work any more: CUDA error: unspecified launch failure; on with the CPU"
    ]


def test_model_is_refused_while_no_thread_can_be_started_and_loaded_later(models, monkeypatch):
    results: queue.Queue[object] = queue.Queue()

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        models.ask("a", 1, results.put)
    assert isinstance(results.get_nowait(), RuntimeError)
    models.ask("b", 1, results.put)
    assert isinstance(results.get(timeout=PATIENCE), model_loader.LoadedPlayer)


def test_build_names_what_steps_the_voices():
    assert load(MODEL, device="cpu", voices=1).info.build.endswith(", steps by numpy 2")


@needs_numba
def test_model_is_loaded_with_compiled_steps_on_a_thread_of_its_own(models):
    results: queue.Queue[LoadedPlayer] = queue.Queue()
    models.load_compiled(MODEL, 1, results.put)
    loaded = results.get(timeout=PATIENCE)
    assert is_compiled(loaded.info.build)
    assert loaded.info.build != load(MODEL, device="cpu", voices=1).info.build
    models.compiled = True
    assert is_compiled(models.load("a", 1).info.build)
    assert not is_compiled(models.load("a", 9).info.build)  # numpy steps many voices


def test_numba_that_does_not_work_is_a_warning_and_numpy_steps_on(models, monkeypatch, caplog):
    monkeypatch.setattr(model_loader, "can_compile", lambda: True)

    def fail():
        raise ImportError("Numba needs NumPy 1.0\nor less")

    monkeypatch.setattr(model_loader, "load_compiler", fail)
    at_once = SimpleNamespace(Thread=lambda target, **_: SimpleNamespace(start=target))
    monkeypatch.setattr(model_loader, "threading", at_once)
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("it works"))
    assert caplog.messages == [
        "numba does not work here: Numba needs NumPy 1.0; numpy steps the model"
    ]
    assert not models.compiled


def test_nothing_is_compiled_without_numba_or_on_a_gpu(models, monkeypatch):
    monkeypatch.setattr(model_loader, "load_compiler", lambda: pytest.fail("it is loaded"))
    at_once = SimpleNamespace(Thread=lambda target, **_: SimpleNamespace(start=target))
    monkeypatch.setattr(model_loader, "threading", at_once)
    monkeypatch.setattr(model_loader, "can_compile", lambda: False)
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("there is no numba"))
    monkeypatch.setattr(model_loader, "can_compile", lambda: True)
    models.device = "cuda"
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("a GPU steps by itself"))
