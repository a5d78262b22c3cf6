"""Loading of models: by path, and over the network by name alone."""

import hashlib
import queue
import shutil
import threading
import weakref
from types import SimpleNamespace

import pytest
from support.engine import MODEL, PATIENCE
from support.steppers import needs_numba

from robojam.engine import model_loader
from robojam.engine.model_loader import Models, is_compiled, load, one_thread
from robojam.engine.takes import LoadedPlayer
from robojam.model import file
from robojam.model.file import ModelFileError
from robojam.sessions.session import ModelRef

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
        "cuda does not work: CUDA error: unspecified launch failure; on with the CPU"
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

    monkeypatch.setattr(model_loader, "compile_apart", lambda: None)
    monkeypatch.setattr(model_loader, "load_compiler", fail)
    at_once = SimpleNamespace(
        Event=threading.Event, Thread=lambda target, **_: SimpleNamespace(start=target)
    )
    monkeypatch.setattr(model_loader, "threading", at_once)
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("it works"))
    assert caplog.messages == [
        "numba does not work here: Numba needs NumPy 1.0; numpy steps the model"
    ]
    assert not models.compiled


def test_nothing_is_compiled_without_numba_or_for_many_voices_or_on_a_gpu(models, monkeypatch):
    for name in ("compile_apart", "load_compiler"):
        monkeypatch.setattr(model_loader, name, lambda: pytest.fail("it is loaded"))
    at_once = SimpleNamespace(
        Event=threading.Event, Thread=lambda target, **_: SimpleNamespace(start=target)
    )
    monkeypatch.setattr(model_loader, "threading", at_once)
    monkeypatch.setattr(model_loader, "can_compile", lambda: False)
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("there is no numba"))
    monkeypatch.setattr(model_loader, "can_compile", lambda: True)
    models.load_compiled(MODEL, 8, lambda _: pytest.fail("numpy steps many voices"))
    models.device = "cuda"
    models.load_compiled(MODEL, 1, lambda _: pytest.fail("a GPU steps by itself"))


@pytest.fixture
def waited(monkeypatch):
    """Models on a clock of their own: each wait is an event that the test ends."""
    monkeypatch.setattr(model_loader, "load", lambda path, **_: path.stem)
    now = [100.0]
    waits: queue.Queue[float] = queue.Queue()
    may_go_on = threading.Semaphore(0)

    def sleep(seconds: float) -> None:
        waits.put(seconds)
        assert may_go_on.acquire(timeout=PATIENCE)
        now[0] += seconds

    models = Models([file.folder()], device="cpu", clock=lambda: now[0], sleep=sleep)
    return models, waits, may_go_on


def test_models_are_loaded_at_most_so_often_and_the_last_request_is_honoured(waited):
    models, waits, may_go_on = waited
    results: queue.Queue[tuple[int, object]] = queue.Queue()
    rate, burst = model_loader._LOADS

    def ask(number: int) -> None:
        models.ask(file.DEFAULT, 1, lambda result: results.put((number, result)))

    for number in range(burst):
        ask(number)
        assert results.get(timeout=PATIENCE) == (number, "touch")
    for number in range(100, 1100):  # a flood, of which all but the last are dropped
        ask(number)
    assert waits.get(timeout=PATIENCE) == pytest.approx(1 / rate)
    assert results.empty()
    for number in range(2000, 3001):
        ask(number)
    may_go_on.release()
    assert results.get(timeout=PATIENCE) == (3000, "touch")
    ask(4000)
    assert waits.get(timeout=PATIENCE) == pytest.approx(1 / rate)
    may_go_on.release()
    assert results.get(timeout=PATIENCE) == (4000, "touch")
    assert waits.empty()


def test_loader_holds_on_to_no_result_while_it_waits(waited):
    models, waits, may_go_on = waited
    alive: list[weakref.ref[object]] = []

    class Result:
        def __call__(self, _loaded: object) -> None:
            done.release()

    done = threading.Semaphore(0)
    for _ in range(model_loader._LOADS[1]):
        result = Result()
        alive.append(weakref.ref(result))
        models.ask(file.DEFAULT, 1, result)
        assert done.acquire(timeout=PATIENCE)
    models.ask(file.DEFAULT, 1, lambda _: done.release())
    assert waits.get(timeout=PATIENCE)
    del result
    assert not any(each() for each in alive)
    may_go_on.release()
    assert done.acquire(timeout=PATIENCE)


def test_model_of_a_recording_is_found_by_its_hash_then_by_its_name(models):
    folder = models.folders[0]
    other = folder / "small.safetensors"
    shutil.copy(file.folder() / "small.safetensors", other)
    sha256 = {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in (MODEL, other)}
    # Renamed since, or another that has its name now: the hash decides.
    for name in ("renamed.safetensors", "a.safetensors", "small", "../../x/small.safetensors"):
        assert models.find_recorded(ModelRef(name, sha256["small"])) == other
    assert models.find_recorded(ModelRef("b.safetensors", "0")) == folder / "b.safetensors"
    assert models.find_recorded(ModelRef("b.safetensors", sha256["touch"])).stem == "b"
    for name in ("../outside", "link", "sub/c", str(folder / "a.safetensors"), "none\n"):
        with pytest.raises(ModelFileError, match=r"no model .* --model FILE") as caught:
            models.find_recorded(ModelRef(name, "0"))
        assert "\n" not in str(caught.value)


def test_name_is_that_of_an_entry_letter_for_letter(models):
    """Also where the file system takes other letters, or a dot at the end, for the same."""
    for name in ("A", "B.SAFETENSORS", "b.safetensors.", "b.safetensors ", "./b", "b\u200d"):
        with pytest.raises(ModelFileError):
            models.find(name)
