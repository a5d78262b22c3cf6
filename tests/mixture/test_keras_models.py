"""Models of keras-mdn-layer are read from their files with the same density.

The files in keras/ were written by Keras 3.15 and keras-mdn-layer 1.0, which also computed the
densities beside them: python benchmarks/keras_models.py --keras ENV/bin/python --files FOLDER
That of keras2.h5 are Keras 2 (tf-keras 2.21) and keras-mdn-layer 0.6.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from torch import nn

from robojam.mixture import MixtureLayer, Recurrent, from_keras, head_from_keras, keras_models
from robojam.model import sequential_file

h5py = pytest.importorskip("h5py")

FOLDER = Path(__file__).parent / "keras"
FILES = ("dense.keras", "repeated.keras", "last.h5", "keras2.h5")


def arrays(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a model was given, targets, and their log densities by keras-mdn-layer."""
    with np.load(FOLDER / f"{name.partition('.')[0]}.npz") as data:
        given, targets, densities = (
            torch.from_numpy(data[key]) for key in ("given", "targets", "densities")
        )
    return given, targets, densities


def rewritten(path: Path, change: Callable[[Any], None], name: str = "dense.keras") -> Path:
    """Write a copy of a .keras file whose layers were changed; return its path."""
    with ZipFile(FOLDER / name) as old, ZipFile(path, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part == "config.json":
                config = json.loads(data)
                change(config["config"]["layers"])
                data = json.dumps(config).encode()
            new.writestr(part, data)
    return path


@pytest.mark.parametrize("name", FILES)
def test_network_has_the_density_that_keras_computed(name):
    given, targets, densities = arrays(name)
    net = from_keras(FOLDER / name)
    density = net(given).log_prob(targets)
    torch.testing.assert_close(density, densities, rtol=1e-5, atol=2e-4)
    assert not net.training


def test_layers_are_those_of_the_model():
    kinds = [type(layer) for layer in from_keras(FOLDER / "dense.keras")]
    assert kinds == [
        nn.Linear, nn.Tanh, nn.LayerNorm, nn.Dropout, nn.Linear, nn.ReLU, MixtureLayer,
    ]  # fmt: skip
    repeated, last = from_keras(FOLDER / "repeated.keras"), from_keras(FOLDER / "last.h5")
    assert [type(layer) for layer in repeated] == [Recurrent, Recurrent, MixtureLayer]
    assert not repeated[1].last
    assert last[0].last


def test_head_is_read_from_weights_alone():
    given, targets, densities = arrays("dense")
    whole = from_keras(FOLDER / "dense.keras")
    head = head_from_keras(str(FOLDER / "dense.weights.h5"))
    assert (head.dims, head.components, head.covariance) == (2, 3, "diagonal")
    density = head(whole[:-1](given)).log_prob(targets)
    torch.testing.assert_close(density, densities, rtol=1e-5, atol=2e-4)
    with pytest.raises(ValueError, match="holds weights alone: save the whole model"):
        from_keras(FOLDER / "dense.weights.h5")


@pytest.mark.parametrize("name", FILES)
def test_network_is_saved_loaded_and_learns_on(name, tmp_path):
    given, targets, _ = arrays(name)
    net, path = from_keras(FOLDER / name), tmp_path / "net.safetensors"
    sequential_file.save(net, path)
    loaded = sequential_file.load(path)
    assert torch.equal(loaded(given).log_prob(targets), net(given).log_prob(targets))
    adam = torch.optim.Adam(loaded.parameters(), lr=1e-2)
    before = float(loaded(given).loss(targets).detach())
    for _ in range(20):
        adam.zero_grad()
        loss = loaded(given).loss(targets)
        loss.backward()
        adam.step()
    assert float(loss.detach()) < before


def test_smallest_deviations_are_those_of_keras():
    head = MixtureLayer(1, 1, 1, covariance="diagonal", activation="elu")
    with torch.no_grad():
        head.linear.weight.zero_()
        for number, scale in ((-40.0, 1e-7), (-1.0, 0.36788), (0.0, 1.0), (3.0, 4.0)):
            head.linear.bias.copy_(torch.tensor([0.0, 0.0, number]))
            deviation = head(torch.zeros(1)).log_scale.exp()
            assert deviation.item() == pytest.approx(scale, rel=1e-5)


def test_first_files_of_keras_3_without_names_of_groups_are_read(tmp_path):
    path = tmp_path / "old.keras"
    with ZipFile(FOLDER / "repeated.keras") as old, ZipFile(path, "w") as new:
        (tmp_path / "weights.h5").write_bytes(old.read("model.weights.h5"))
        with h5py.File(tmp_path / "weights.h5", "r+") as file:
            file.visititems(lambda _, item: item.attrs.pop("name", None) and None)
        new.writestr("config.json", old.read("config.json"))
        new.write(tmp_path / "weights.h5", "model.weights.h5")
    given, targets, densities = arrays("repeated")
    torch.testing.assert_close(
        from_keras(path)(given).log_prob(targets), densities, rtol=1e-5, atol=2e-4
    )


def test_layer_that_is_not_read_is_named(tmp_path):
    path = tmp_path / "model.keras"

    def refusal(change: Callable[[Any], None], name: str = "dense.keras") -> str:
        with pytest.raises(ValueError, match=r"model\.keras: ") as error:
            from_keras(rewritten(path, change, name))
        assert "head_from_keras reads the mixture layer alone" in str(error.value)
        assert head_from_keras(path).dims in (2, 3)
        return str(error.value)

    def set_(place: int, **options: object) -> Callable[[Any], None]:
        return lambda layers: layers[place]["config"].update(options)

    assert "is a layer Lambda, and" in refusal(lambda ls: ls[2].update(class_name="Lambda"))
    assert "activation 'softmax'" in refusal(set_(1, activation="softmax"))
    assert "recurrent_activation 'relu'" in refusal(
        set_(1, recurrent_activation="relu"), "repeated.keras"
    )
    assert "its last layer is no MDN" in refusal(lambda layers: layers.pop())
    assert "described as (2, 4)" in refusal(set_(-1, num_mixtures=4))
    assert "its layers are damaged" in refusal(lambda layers: layers[1].pop("config"))
    node = {
        "class_name": "__keras_tensor__",
        "config": {"keras_history": ["input_layer_1", 0, 0]},
    }
    assert "follows input_layer_1" in refusal(
        lambda layers: layers[2].update(inbound_nodes=[{"args": [node], "kwargs": {}}]),
        "repeated.keras",
    )


def test_file_that_is_none_of_keras_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    path.write_bytes(b"robojam")
    with pytest.raises(ValueError, match="no file of Keras"):
        from_keras(path)
    path.write_bytes((FOLDER / "last.h5").read_bytes()[:3000])
    with pytest.raises(ValueError, match="damaged"):
        from_keras(path)
    with ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"no model\.weights\.h5"):
        from_keras(path)
    with pytest.raises(FileNotFoundError):
        from_keras(tmp_path / "missing.keras")
    monkeypatch.setattr(keras_models, "MAX_NUMBERS", 50)
    with pytest.raises(ValueError, match="more than 50 numbers"):
        from_keras(FOLDER / "last.h5")


def test_weights_in_other_files_and_weights_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "model.weights.h5"
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/mdn/mdn_mus/vars")
        group.create_dataset("0", (2, 2), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    with pytest.raises(ValueError, match="is in another file"):
        head_from_keras(path)
    path.write_bytes((FOLDER / "dense.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/mdn/mdn_pi/vars/1"][1] = np.nan
    with pytest.raises(ValueError, match=r"mdn_pi/vars/1, of shape \(3,\), is nan at \(1,\)"):
        head_from_keras(path)
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), "f4")
    with pytest.raises(ValueError, match="holds no layers of keras-mdn-layer"):
        head_from_keras(path)


def test_without_h5py_it_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        ModuleNotFoundError, match="from_keras needs h5py, which is not"
    ) as error:
        from_keras(FOLDER / "last.h5")
    assert "robojam[keras]" in str(error.value)
