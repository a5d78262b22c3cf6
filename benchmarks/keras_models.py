"""Compare models of keras-mdn-layer with what robojam.mixture.from_keras makes of their files.

    python benchmarks/keras_models.py --keras ENV/bin/python [--json FILE] [--files FOLDER]

In an environment that has Keras (with any backend) and keras-mdn-layer, models with random
weights are built and saved, and keras-mdn-layer's own loss gives the log density of random
targets, one by one. Here the files are read without Keras, and the densities are compared.
With impsy in that environment its models are compared too. --files keeps the files: the tests
read those in tests/mixture/keras.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from _output import argument_parser, save

ROWS, LENGTH = 64, 7
#: Name of the array that holds what each model is given, and of its log densities.
GIVEN, TARGETS, DENSITIES = "given", "targets", "densities"


def build() -> dict[str, tuple[object, int, int]]:
    """Return models by name, each with the dimensions and components of its mixture."""
    import keras
    import keras_mdn_layer as mdn
    from keras import layers

    dense = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, activation="tanh"),
            layers.LayerNormalization(),
            layers.Dropout(0.1),
            layers.Dense(6, activation="relu", name="second"),
            mdn.MDN(2, 3),
        ]
    )
    given = value = keras.Input((None, 3))
    for _ in range(2):
        value = layers.LSTM(5, return_sequences=True)(value)
    repeated = keras.Model(given, layers.TimeDistributed(mdn.MDN(3, 2))(value))
    last = keras.Sequential([keras.Input((None, 3)), layers.LSTM(5), mdn.MDN(1, 4)])
    models = {"dense": (dense, 2, 3), "repeated": (repeated, 3, 2), "last": (last, 1, 4)}
    try:
        from impsy.mdrnn import build_mdrnn_model
    except ImportError:
        return models
    impsy = build_mdrnn_model(3, 16, 5, 2, inference=False, seq_length=LENGTH)
    return models | {"impsy": (impsy, 3, 5)}


def write(folder: Path) -> None:
    """Save models, and what they make of random numbers, in a folder (runs beside Keras)."""
    import keras_mdn_layer as mdn

    rng = np.random.default_rng(0)
    for name, (model, dims, components) in build().items():
        model.set_weights(
            [rng.normal(0, 0.8, w.shape).astype("f4") for w in model.get_weights()]
        )
        width = model.input_shape[-1]
        shape = (ROWS, width) if len(model.input_shape) == 2 else (ROWS, LENGTH, width)
        given = rng.normal(size=shape).astype("f4")
        output = np.asarray(model.predict(given, verbose=0))
        targets = rng.normal(0, 2, (*output.shape[:-1], dims)).astype("f4")
        loss = mdn.get_mixture_loss_func(dims, components)
        pairs = zip(
            targets.reshape(-1, dims), output.reshape(-1, output.shape[-1]), strict=True
        )
        densities = [-float(loss(target[None], row[None])) for target, row in pairs]
        named = {GIVEN: given, TARGETS: targets}
        named[DENSITIES] = np.array(densities, "f4").reshape(targets.shape[:-1])
        np.savez(folder / f"{name}.npz", **named)
        for ending in (".keras", ".h5"):
            model.save(folder / f"{name}{ending}")
        model.save_weights(folder / f"{name}.weights.h5")


def differences(folder: Path) -> dict[str, float]:
    """Return the greatest difference in nats by file, of all files in a folder."""
    import torch

    from robojam.mixture import from_keras, head_from_keras

    found = {}
    for figures in sorted(folder.glob("*.npz")):
        with np.load(figures) as arrays:
            given, targets, expected = (
                torch.from_numpy(arrays[name]) for name in (GIVEN, TARGETS, DENSITIES)
            )
        whole = None
        for ending in (".keras", ".h5", ".weights.h5"):
            path = figures.with_suffix(ending)
            if not path.exists():
                continue
            if ending == ".weights.h5":  # the head alone: the rest is of the whole model
                assert whole is not None
                net = torch.nn.Sequential(*whole[:-1], head_from_keras(path))
            else:
                net = whole = from_keras(path)
            with torch.no_grad():
                density = net(given).log_prob(targets)
            found[path.name] = float((density - expected).abs().max())
    return found


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--keras", help="the Python of an environment with keras-mdn-layer")
    parser.add_argument("--files", type=Path, help="keep the models' files in this folder")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write is not None:
        write(args.write)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.files or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if args.keras:
            command = [args.keras, __file__, "--write", str(folder)]
            subprocess.run(command, check=True)
        found = differences(folder)
    if not found:
        parser.error("there are no files: give --keras, or --files with a folder of them")
    for name, difference in found.items():
        print(f"{name}: at most {difference:.1e} nats")
    save({"nats": found}, args.json)


if __name__ == "__main__":
    main()
