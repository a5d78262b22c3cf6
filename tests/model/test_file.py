"""Model files: round trips, and the errors for damaged ones."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors
from support.matchers import alike
from support.models import STROKES, TOUCHES, TRAINED, described, is_trained, small

from robojam.model import file as modelfile
from robojam.model.file import DataFile, ModelDescription, ModelFileError
from robojam.model.mdrnn import load
from robojam.player.player import ModelPlayer

MODEL = small(TOUCHES)
WEIGHTS = {n: t.detach().numpy() for n, t in MODEL.state_dict().items()}
DESCRIPTION = ModelDescription(
    event=TOUCHES,
    units=8,
    layers=2,
    temperature=0.9,
    spread=0.8,
    trained_on=(DataFile("a.npz", "0" * 64), DataFile("b.jsonl", "1" * 64)),
    steps=1234,
    score=-12.83,
    score_on=(DataFile("c.npz", "2" * 64),),
    made_with="robojam 0.1.0",
    licence="CC BY 4.0",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    modelfile.write(path, DESCRIPTION, WEIGHTS)
    return path


def rewritten(path: Path, text: str | bytes | None = None, **changed: Any) -> Path:
    """Write the file again with another description or other weights (None: without them)."""
    weights = {n: a for n, a in {**WEIGHTS, **changed}.items() if a is not None}
    if text is None:
        text = msgspec.json.encode(DESCRIPTION)
    text = text if isinstance(text, str) else text.decode()
    path.write_bytes(save_tensors(weights, metadata={"robojam": text}))
    return path


def as_json(**changed: Any) -> str:
    """Return the description as JSON, with fields replaced."""
    return json.dumps({**json.loads(msgspec.json.encode(DESCRIPTION)), **changed})


def refusal(path: Path) -> str:
    """Read a file that is no model; return the message of the error, which names the file."""
    with pytest.raises(ModelFileError) as caught:
        modelfile.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def test_model_file_round_trip_is_exact(path):
    file = modelfile.read(path)
    assert file.description == DESCRIPTION
    assert (file.event, file.description.units, file.description.layers) == (TOUCHES, 8, 2)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.weights.keys() == WEIGHTS.keys()
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(file.weights[name], array)
        assert file.weights[name].dtype == np.float32
        assert file.weights[name].flags.writeable  # torch warns of what is not


def test_float16_and_float64_weights_are_read_as_float32(path):
    for kind in (np.float16, np.float64):
        file = modelfile.read(
            rewritten(path, **{n: a.astype(kind) for n, a in WEIGHTS.items()})
        )
        assert {a.dtype for a in file.weights.values()} == {np.dtype(np.float32)}
        np.testing.assert_allclose(file.weights["start"], WEIGHTS["start"], atol=1e-3)


@is_trained
def test_default_model_can_be_read():
    file = modelfile.read(modelfile.find(None))
    assert file.path == TRAINED
    assert file.event.columns == ("x", "y", "dt", "moving")
    assert TRAINED.stat().st_size <= 10e6


# Refusals


def test_missing_model_file_is_named(tmp_path):
    assert refusal(tmp_path / "none.safetensors") == "there is no model file FILE"
    assert refusal(tmp_path) == "FILE is no file, and so no model"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_named_pipe_is_refused_without_reading(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 7,
        b"\xff" * 64,
        b"hello, this is no model at all",
        (2**40).to_bytes(8, "little") + b"{}",
        (10**9).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b'{"a"',
        b"PK\x03\x04" + b"\0" * 60,
    ],
)
def test_bytes_that_are_not_safetensors_are_refused(path, data):
    path.write_bytes(data)
    assert "FILE is not a safetensors file" in refusal(path)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def with_header(path: Path, header: bytes | dict[str, Any], data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_offsets": [0, 1 << 62]}, "are not where its header says"),
        ({"data_offsets": [-64, 64]}, "are not where its header says"),
        ({"data_offsets": [0, 0]}, "are not where its header says"),
        ({"data_offsets": [0]}, "not a safetensors file"),
        ({"shape": [2, 2, -8]}, "not a safetensors file"),
        ({"shape": [2, 2, 10**400]}, "should be (2, 2, 8)"),
        ({"shape": [0, 1 << 62]}, "should be (2, 2, 8)"),
        ({"shape": []}, "should be (2, 2, 8)"),
        ({"shape": "many"}, "not a safetensors file"),
        ({"dtype": "O"}, "'O' and no floats"),
        ({"dtype": "F64"}, "are not where its header says"),
    ],
)
def test_header_that_does_not_fit_its_file_is_refused(path, changed, message):
    header, data = header_of(path)
    header["start"] |= changed
    assert message in refusal(with_header(path, header, data))


def test_tensors_that_share_their_bytes_are_refused(path):
    """A file of one tensor's bytes could ask for the memory of hundreds."""
    header, data = header_of(path)
    header["head.2.bias"]["data_offsets"] = header["head.1.bias"]["data_offsets"]
    assert refusal(with_header(path, header, data))
    header, _ = header_of(rewritten(path))
    assert "bytes follow its header" in refusal(with_header(path, header, data + bytes(4)))


def test_name_that_stands_twice_is_refused(path):
    header, data = header_of(path)
    twice = json.dumps(header).replace("{", '{"start": [],', 1).encode()
    assert "'start' is in it twice" in refusal(with_header(path, twice, data))
    text = as_json().replace("{", '{"units": 9,', 1)
    assert "damaged description: 'units' is in it twice" in refusal(rewritten(path, text))


def test_header_beyond_the_limit_is_refused_before_it_is_read(path):
    header, data = header_of(path)
    header["__metadata__"]["more"] = "x" * modelfile.MAX_HEADER
    assert "has too large a header" in refusal(with_header(path, header, data))


def test_file_beyond_the_limit_is_refused_before_it_is_read(path):
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: it takes no room on the disk
    assert "is too large" in refusal(path)


def test_numbers_that_no_float_holds_and_deep_nesting_are_refused(path):
    for text in (
        as_json().replace('"temperature": 0.9', '"temperature": 1e999'),
        as_json().replace('"temperature": 0.9', '"temperature": NaN'),
        as_json().replace('"score": -12.83', '"score": Infinity'),
        as_json().replace('"steps": 1234', f'"steps": {"9" * 20_000}'),
        as_json(event={**EVENT, "speed": 1e308}),
        as_json(event={**EVENT, "factors": [{**f, "scale": 1e308} for f in EVENT["factors"]]}),
        as_json(event={**EVENT, "factors": [{**f, "step": 1e-308} for f in EVENT["factors"]]}),
        as_json(event={**EVENT, "factors": [{**f, "noise": 1e300} for f in EVENT["factors"]]}),
        as_json(event={**EVENT, "factors": EVENT["factors"] * 1000}),
        as_json().replace('"steps"', '"more": ' + "[" * 50_000 + "]" * 50_000 + ', "steps"'),
    ):
        assert "damaged description" in refusal(rewritten(path, text)), text[:99]
    _, data = header_of(path)
    assert "not a safetensors file" in refusal(with_header(path, b"[" * 100_000, data))
    assert "not a safetensors file" in refusal(with_header(path, b"\xff" * 100, data))


class Trap:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("trap",))


def test_pickled_model_file_is_refused_without_unpickling(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.write_bytes(pickle.dumps(Trap()))
    assert "FILE is not a safetensors file" in refusal(path)
    assert not Path("trap").exists()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_truncated_model_file_is_refused(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "FILE is not a safetensors file" in refusal(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_safetensors_of_another_program_are_refused(path, metadata):
    path.write_bytes(save_tensors(WEIGHTS, metadata=metadata))
    assert refusal(path) == "FILE holds a model of another kind, not one of robojam's"


def test_model_of_a_newer_format_is_refused_with_its_number(path):
    message = refusal(rewritten(path, as_json(format=2, units={"of a": "new kind"})))
    assert message == "FILE has model format 2; this robojam reads format 1"
    assert "format None" in refusal(rewritten(path, as_json(format=None)))


EVENT = json.loads(msgspec.json.encode(TOUCHES))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        '{"format": 1}',
        "[" * 100_000,
        as_json(units=0),
        as_json(units=-8),
        as_json(units="many"),
        as_json(units=10**9),
        as_json(units=10**30),
        as_json(layers=0),
        as_json(layers=10**9),
        as_json(temperature=-1),
        as_json(temperature=1e9),
        as_json(spread=11),
        as_json(score="good"),
        as_json(trained_on=[{"name": "a"}]),
        as_json(event=None),
        as_json(event={**EVENT, "columns": []}),
        as_json(event={**EVENT, "columns": ["x"] * 1000}),
        as_json(event={**EVENT, "factors": []}),
        as_json(event={**EVENT, "duration": 9}),
        as_json(event={**EVENT, "new": 1}),
        as_json(
            event={**EVENT, "factors": [{**f, "components": 10**9} for f in EVENT["factors"]]}
        ),
        as_json(event={**EVENT, "factors": [{**f, "hidden": 10**9} for f in EVENT["factors"]]}),
        as_json(event={**EVENT, "factors": [{**f, "hidden": -1} for f in EVENT["factors"]]}),
        as_json(
            event={**EVENT, "factors": [{**f, "kind": "pickle"} for f in EVENT["factors"]]}
        ),
        as_json(event={**EVENT, "factors": [{**f, "scale": 0} for f in EVENT["factors"]]}),
        as_json().replace('"speed": 0.8', '"speed": 1e999'),
        as_json().replace('"speed": 0.8', '"speed": NaN'),
    ],
    ids=lambda text: text[:20],
)
def test_damaged_description_is_refused(path, text):
    assert re.search(
        "FILE has (a damaged description|model format)", refusal(rewritten(path, text))
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start": None}, "start is missing, and should be (2, 2, 8)"),
        ({"more": np.zeros(3, np.float32)}, "more is (3,), and should be missing"),
        ({"start": np.zeros((2, 2, 9), np.float32)}, "start is (2, 2, 9)"),
        ({"start": np.zeros((2, 2, 8, 1), np.float32)}, "start is (2, 2, 8, 1)"),
        ({"start": np.zeros((2, 2, 8), np.int64)}, "'I64' and no floats"),
        ({"start": np.full((2, 2, 8), np.nan, np.float32)}, "not finite, in start"),
        ({"trunk.bias": np.full(56, -np.inf, np.float32)}, "not finite, in trunk.bias"),
        ({"trunk.bias": np.full(56, 1e300)}, "not finite, in trunk.bias"),
    ],
)
def test_weights_that_do_not_match_the_description_are_named(path, changed, message):
    assert message in refusal(rewritten(path, **changed))


@pytest.mark.parametrize("sizes", [{"units": 9}, {"layers": 3}, {"units": 65536, "layers": 64}])
def test_sizes_that_do_not_match_the_weights_are_refused(path, sizes):
    assert "does not hold what its description says" in refusal(
        rewritten(path, as_json(**sizes))
    )


def test_tensor_types_that_numpy_lacks_are_refused(path):
    """The sizes of a file in bfloat16 are right, but numpy has no such type."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    at = 0
    for name, about in sorted(header.items()):
        if name != "__metadata__":
            length = 2 * int(np.prod(about["shape"]))
            about["dtype"], about["data_offsets"] = "BF16", [at, at + length]
            at += length
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))
    message = refusal(path)
    assert "BF16" in message or "bfloat16" in message or "not a safetensors file" in message


def test_model_of_another_event_is_refused_by_the_player(tmp_path):
    model = small(STROKES)
    weights = {n: t.detach().numpy() for n, t in model.state_dict().items()}
    path = tmp_path / "kanji.safetensors"
    modelfile.write(path, described(model), weights)
    with pytest.raises(
        ModelFileError, match=r"kanji.* model of strokes.* dx, .* dy, .* lifted.*touches"
    ):
        ModelPlayer(modelfile.read(path))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 4_000), value=st.binary(min_size=1, max_size=9))
def test_changed_byte_gives_a_model_or_a_model_file_error(path, at, value):
    data = bytearray(path.read_bytes())
    torn = path.with_name("torn.safetensors")
    torn.write_bytes(data[:at] + value + data[at + len(value) :])
    try:
        file = modelfile.read(torn)
    except ModelFileError as error:
        assert str(torn) in str(error)
    else:
        assert all(np.isfinite(a).all() for a in file.weights.values())


# Writing


def test_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def torn(_: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space"):
        modelfile.write(path, DESCRIPTION, WEIGHTS)
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        modelfile.write(path, DESCRIPTION, WEIGHTS)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["m.safetensors"]


def test_transposed_weights_are_written_with_their_values(path):
    turned = {n: np.asfortranarray(a) for n, a in WEIGHTS.items()}
    modelfile.write(path, DESCRIPTION, turned)
    for name, array in modelfile.read(path).weights.items():
        np.testing.assert_array_equal(array, WEIGHTS[name])


# Finding


def test_models_are_found_in_a_checkout_and_in_an_installed_wheel(tmp_path, monkeypatch):
    package = tmp_path / "site" / "robojam"
    package.mkdir(parents=True)
    monkeypatch.setattr(modelfile, "__file__", str(package / "model" / "file.py"))
    assert modelfile.folder() == tmp_path / "site" / "models"
    (package / "models").mkdir()
    assert modelfile.folder() == package / "models"
    assert modelfile.find(None) == package / "models" / modelfile.DEFAULT


def test_a_model_is_found_by_path_and_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "folder", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    ours = tmp_path / "models" / "mine.safetensors"
    ours.touch()
    assert modelfile.find("mine") == modelfile.find("mine.safetensors") == ours
    assert modelfile.find(str(ours)) == ours
    Path("mine").touch()  # a path comes first
    assert modelfile.find("mine") == Path("mine")


@pytest.mark.parametrize("name", ["none", "../models/none", "x" * 5000, "a\0b", "", "."])
def test_unknown_model_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError) as caught:
        modelfile.find(name)
    assert "\n" not in str(caught.value)


def test_matcher_in_a_file_is_read_again_and_the_weights_stay(path):
    before = modelfile.read(path)
    assert before.matcher is None
    modelfile.write_with_matcher(path, alike())
    after = modelfile.read(path)
    assert after.matcher is not None
    for name, array in alike().tensors().items():
        np.testing.assert_array_equal(after.matcher.tensors()[name], array)
    assert after.weights.keys() == before.weights.keys()
    assert all(np.array_equal(after.weights[n], before.weights[n]) for n in before.weights)
    model, _ = load(path)  # as training does
    assert model.state_dict().keys() == before.weights.keys()
    modelfile.write_with_matcher(path, None)
    assert modelfile.read(path).description == before.description


@pytest.mark.parametrize(
    "matcher",
    [
        {"version": 1, "descriptors": 0, "dimensions": 3},
        {"version": 1, "descriptors": 5, "dimensions": 1 << 40},
        {"version": "1", "descriptors": 5, "dimensions": 3},
        {"version": 1, "descriptors": 5, "dimensions": 3},  # whose tensors are missing
    ],
)
def test_file_that_claims_an_impossible_matcher_is_refused(path, matcher):
    with pytest.raises(ModelFileError):
        modelfile.read(rewritten(path, as_json(matcher=matcher)))


def test_matcher_of_numbers_that_are_not_finite_is_refused(path):
    matcher = alike()
    matcher.units[0, 0] = np.nan
    modelfile.write_with_matcher(path, matcher)
    with pytest.raises(ModelFileError, match="not finite"):
        modelfile.read(path)
