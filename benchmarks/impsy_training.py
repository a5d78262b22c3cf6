"""Compare robojam's training on knobs with IMPSY's own, on the same split, in nats per event.

    python benchmarks/impsy_training.py KNOBS.npz --impsy PYTHON [--epochs N] [--passes N]

KNOBS.npz is a corpus of knobs (docs/corpora.md); every tenth performance is held out. PYTHON
is an interpreter with IMPSY 1.2.1 (pip install impsy==1.2.1): its TensorFlow and robojam's
torch stay apart. IMPSY trains as `impsy train` does, with its own settings; with --noisy on
events that have the noise of docs/measure.md already. With --model FILE.keras or .h5 a model
that it has made before is scored instead. Then robojam trains by `robojam train`. Both are
scored on the same held-out events with that noise: IMPSY by the loss of its own MDN layer,
which is a density of ten times the values (its scale factor), so D log 10 is taken off. The
moving flag of robojam is given by dt, so its two densities are of the same events. Times
are of the processor, as others may use the machine.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

#: Program for IMPSY's environment: training, then the loss of each held-out performance.
_WORKER = """
import json, sys, time
import numpy as np
import tensorflow as tf
import keras_mdn_layer as mdn
from impsy import mdrnn, train
from impsy.utils import mdrnn_config

folder, dimension, epochs, ready = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
found, files = {}, {"as it is": path for path in ready}
if not ready:
    began = time.process_time()
    result = train.train_mdrnn(
        dimension=dimension, dataset_location=f"{folder}/impsy.npz", model_size="s",
        early_stopping=True, patience=10, num_epochs=epochs, batch_size=64,
        save_location=folder, save_tflite=False,
    )
    losses = result["history"].history
    found = {"seconds": time.process_time() - began, "loss": losses["loss"],
             "val_loss": losses["val_loss"]}
    files = {"last": str(result["keras_file"]),
             "best of its validation": f"{folder}/{result['name']}-ckpt.keras"}
size, scale = mdrnn_config("s"), mdrnn.SCALE_FACTOR
model = mdrnn.build_mdrnn_model(
    dimension, size["units"], size["mixes"], size["layers"], inference=False, seq_length=None
)
loss = mdn.get_mixture_loss_func(dimension, size["mixes"])
held = np.load(f"{folder}/held_out.npz")
performances = np.split((held["events"] * scale).astype(np.float32),
                        np.cumsum(held["lengths"])[:-1])
# In parts, each after events that are heard and not scored: an operation over thousands of
# steps takes TensorFlow an hour.
heard, scored = 100, 400
parts = [
    (events[max(0, first - heard) : first + scored + 1], min(first, heard))
    for events in performances for first in range(0, len(events) - 1, scored)
]
batch = np.zeros((len(parts), heard + scored, dimension), np.float32)
for row, (events, _) in zip(batch, parts):
    row[: len(events) - 1] = events[:-1]
found["scores"] = {}
for name, path in files.items():
    if path.endswith(".h5"):
        model.load_weights(path)
    else:
        known = {"MDN": mdn.MDN}
        trained = tf.keras.models.load_model(path, compile=False, custom_objects=known)
        model.set_weights(trained.get_weights())
    outputs = np.asarray(model.predict(batch, batch_size=64, verbose=0))
    total = count = 0
    for (events, skip), output in zip(parts, outputs):
        end = len(events) - 1
        total += float(loss(events[skip + 1 :], output[skip:end])) * (end - skip)
        count += end - skip
    found["scores"][name] = total / count - dimension * float(np.log(scale))
found["events"] = count
print(json.dumps(found))
"""


def write_for_impsy(folder: Path, train: Any, held_out: Any, *, noisy: bool) -> int:
    """Write the parts of a corpus as IMPSY reads them; return its dimension, n + 1."""
    from robojam.corpus.corpus import dequantise

    def rows(corpus: Any, *, noise: bool) -> list[Any]:
        """Return the performances as rows of dt and values."""
        ends = corpus.offsets.tolist()
        parts = [
            dequantise(corpus, start, end) if noise else np.array(corpus.events[start:end])
            for start, end in pairwise(ends)
        ]
        return [np.column_stack([part[:, -2], part[:, :-2]]) for part in parts]

    learnt = np.empty(len(train.lengths), object)
    learnt[:] = [part.astype(np.float32) for part in rows(train, noise=noisy)]
    np.savez_compressed(folder / "impsy.npz", perfs=learnt)
    held = rows(held_out, noise=True)
    np.savez(
        folder / "held_out.npz",
        events=np.concatenate(held),
        lengths=np.array([len(part) for part in held]),
    )
    return int(held[0].shape[1])


def main() -> int:
    """Train with both, score both, print the figures."""
    from _output import argument_parser, save

    from robojam.corpus.corpus import clean, write
    from robojam.corpus.formats import read
    from robojam.corpus.split import split

    parser = argument_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--impsy", required=True, help="an interpreter with IMPSY")
    parser.add_argument("--epochs", type=int, default=10, help="of IMPSY")
    parser.add_argument("--passes", default="4", help="of robojam")
    parser.add_argument("--noisy", action="store_true")
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--only", choices=["impsy", "robojam"])
    given = parser.parse_args()
    train, held_out = split(clean(read(given.data)), every=10)
    held_out = clean(held_out)
    found: dict[str, Any] = {"data": given.data.name, "held_out": int(held_out.lengths.sum())}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dimension = write_for_impsy(folder, train, held_out, noisy=given.noisy)
        if given.only != "robojam":
            command = [given.impsy, "-c", _WORKER, name, str(dimension), str(given.epochs)]
            command += [str(path.resolve()) for path in given.model]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            found["impsy"] = json.loads(done.stdout.decode().splitlines()[-1])
            print("IMPSY", found["impsy"], flush=True)
        if given.only != "impsy":
            write(train, folder / "train.npz")
            write(held_out, folder / "held.npz")
            model = folder / "model.safetensors"
            robojam = [sys.executable, "-m", "robojam"]
            learn = ["train", str(folder / "train.npz"), "--val", str(folder / "held.npz")]
            learn += ["--to", str(model), "--size", "s", "--passes", given.passes]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            subprocess.run([*robojam, *learn, "--patience", "0", "--threads", "1"], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            evaluate = ["evaluate", str(model), str(folder / "held.npz"), "--json"]
            scored = subprocess.run([*robojam, *evaluate], stdout=subprocess.PIPE, check=True)
            found["robojam"] = {
                "seconds": seconds,
                "wall_seconds": time.monotonic() - began,
                **json.loads(scored.stdout),
            }
            print("robojam", found["robojam"])
    save(found, given.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
