"""Checkpoint of a training run: a file from which it continues exactly where it stopped.

A safetensors file beside the model: the trained weights, their average, the best so far and
Adam's moments; everything else, with the states of the random generators, as metadata.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from robojam.corpus.corpus import Corpus
from robojam.model.event import EventSpec
from robojam.model.file import write
from robojam.model.mdrnn import EventModel
from robojam.training.trainer import Trainer, TrainingSettings

_KEY = "robojam"
_FORMAT = "run 1"
#: Attributes of a trainer that are whole numbers.
_COUNTERS = ("step", "passes", "done", "stale", "best_step", "upright")

Arrays = dict[str, NDArray[Any]]


class CheckpointError(ValueError):
    """A checkpoint that a run cannot continue from; the text says which, and why."""


class _Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of the file; the names of its fields are part of the format."""

    format: str
    event: EventSpec
    settings: dict[str, Any]
    data: tuple[str, str]
    about: dict[str, Any]
    counts: dict[str, int]
    best_score: float | None
    loss: float | None
    rng: str  # JSON of numpy's generator, whose numbers have 128 bits
    cut_with: str  # likewise, its state when the pass under way was cut
    spent: float = 0.0


def checkpoint_path(model: Path) -> Path:
    """Return the path of a model's checkpoint: beside the model, ending in .run."""
    return model.with_suffix(".run")


def save(trainer: Trainer, path: Path, metadata: dict[str, Any]) -> None:
    """Write a run that has just yielded, completely or not at all. Raises OSError.

    metadata, plain values, is what `resume` returns beside the run.
    """
    arrays: Arrays = {}
    models = {"model": trainer.model, "averaged": trainer.averaged, "best": trainer.best}
    for name, model in models.items():
        if model is not None:
            weights = model.named_parameters()
            arrays |= {f"{name}/{n}": w.detach().cpu().numpy() for n, w in weights}
    for name, weight in trainer.model.named_parameters():
        for moment, value in trainer.optimiser.state.get(weight, {}).items():
            arrays[f"{moment}/{name}"] = np.asarray(value.detach().cpu().numpy())
    arrays["torch"] = torch.get_rng_state().numpy()
    checkpoint: Any = _Checkpoint(
        format=_FORMAT,
        event=trainer.model.event,
        settings=asdict(trainer.settings),
        data=(trainer.corpus.sha256, trainer.held_out.sha256),
        about=metadata,
        counts={name: getattr(trainer, name) for name in _COUNTERS},
        best_score=None if trainer.best is None else trainer.best_score,
        loss=None if np.isnan(trainer.loss) else trainer.loss,
        rng=json.dumps(trainer.rng.bit_generator.state),
        cut_with=json.dumps(trainer.pass_rng_state),
        spent=trainer.elapsed,
    )
    write(path, checkpoint, arrays)


def resume(path: Path, corpus: Corpus, held_out: Corpus) -> tuple[Trainer, dict[str, Any]]:
    """Read a run over the same data; return it, ready to continue, and its metadata.

    Raises CheckpointError where there is none, where it is damaged, and for other data.
    """
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(_KEY, "")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checkpoint = msgspec.json.decode(text, type=_Checkpoint)
        if checkpoint.format != _FORMAT:
            kind = f"{checkpoint.format!r}, not {_FORMAT!r}"
            raise CheckpointError(f"{path} is a run of format {kind}")
        if checkpoint.data != (corpus.sha256, held_out.sha256):
            raise CheckpointError(f"{path} is a run over other data: name the same files again")
        settings = TrainingSettings(**checkpoint.settings)
        trainer = Trainer(corpus, held_out, settings, event=checkpoint.event)
        _restore(trainer, checkpoint, arrays)
    except FileNotFoundError:
        raise CheckpointError(f"there is no run {path} to go on with") from None
    except CheckpointError:
        raise
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no run that can be gone on with: {error}") from error
    return trainer, checkpoint.about


def _restore(trainer: Trainer, checkpoint: _Checkpoint, arrays: Arrays) -> None:
    for name in _COUNTERS:
        setattr(trainer, name, checkpoint.counts[name])
    _load(trainer.model, "model", arrays)
    _load(trainer.averaged, "averaged", arrays)
    if checkpoint.best_score is not None:
        trainer.best_score = checkpoint.best_score
        trainer.best = copy.deepcopy(trainer.averaged)
        _load(trainer.best, "best", arrays)
    trainer.elapsed = checkpoint.spent
    trainer.loss = np.nan if checkpoint.loss is None else checkpoint.loss
    moments = ("step", "exp_avg", "exp_avg_sq")
    state = trainer.optimiser.state_dict()
    if trainer.step:
        state["state"] = {
            i: {m: torch.from_numpy(arrays[f"{m}/{name}"].copy()) for m in moments}
            for i, (name, _) in enumerate(trainer.model.named_parameters())
        }
    trainer.optimiser.load_state_dict(state)
    trainer.rng.bit_generator.state = json.loads(checkpoint.rng)
    trainer.pass_rng_state = json.loads(checkpoint.cut_with)
    torch.set_rng_state(torch.from_numpy(arrays["torch"].copy()))


def _load(model: EventModel, name: str, arrays: Arrays) -> None:
    model.load_state_dict(
        {n: torch.from_numpy(arrays[f"{name}/{n}"].copy()) for n, _ in model.named_parameters()}
    )
