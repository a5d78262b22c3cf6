"""A training run as a file, from which it goes on exactly where it stopped.

A safetensors file beside the model: the weights that learn, their average, the best so
far and Adam's moments; the rest of it, random numbers and all, as metadata.
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
from safetensors import SafetensorError, safe_open

from robojam.corpus.corpus import Corpus
from robojam.model.event import EventSpec
from robojam.model.file import write
from robojam.model.mdrnn import EventModel
from robojam.training.trainer import Trainer, TrainingSettings

#: What a run's file is called: as its model, with this in place of .safetensors.
SUFFIX = ".run"
_KEY = "robojam"
_FORMAT = "run 1"
_PLAIN = ("step", "passes", "done", "stale", "best_step", "upright")


class RunError(ValueError):
    """A run that cannot be gone on with; the text says which, and why."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    event: EventSpec
    settings: dict[str, Any]
    data: tuple[str, str]
    about: dict[str, Any]
    counts: dict[str, int]
    best_score: float | None
    loss: float | None
    rng: str  # JSON of numpy's generator: its numbers have 128 bits
    cut_with: str
    spent: float = 0.0


def beside(model: Path) -> Path:
    """Return where the run of a model is kept."""
    return model.with_suffix(SUFFIX)


def keep(trainer: Trainer, path: Path, about: dict[str, Any]) -> None:
    """Write a run that has just yielded, whole or not at all. Raises OSError.

    about is what else the model's file is to say, and comes back from `resume`.
    """
    arrays: dict[str, Any] = {}
    models = {"model": trainer.model, "averaged": trainer.averaged, "best": trainer.best}
    for name, model in models.items():
        if model is not None:
            arrays |= {f"{name}/{n}": t.detach().cpu().numpy() for n, t in _weights(model)}
    for name, weight in _weights(trainer.model):
        for moment, value in trainer.optimiser.state.get(weight, {}).items():
            arrays[f"{moment}/{name}"] = np.asarray(value.detach().cpu().numpy())
    arrays["torch"] = torch.get_rng_state().numpy()
    described: Any = _Kept(
        format=_FORMAT,
        event=trainer.model.event,
        settings=asdict(trainer.settings),
        data=(trainer.corpus.sha256, trainer.held_out.sha256),
        about=about,
        counts={name: getattr(trainer, name) for name in _PLAIN},
        best_score=None if trainer.best is None else trainer.best_score,
        loss=None if np.isnan(trainer.loss) else trainer.loss,
        rng=json.dumps(trainer.rng.bit_generator.state),
        cut_with=json.dumps(trainer.cut_with),
        spent=trainer.spent,
    )
    write(path, described, arrays)


def resume(path: Path, corpus: Corpus, held_out: Corpus) -> tuple[Trainer, dict[str, Any]]:
    """Read a run over the same data, ready to go on, and what its model's file is to say.

    Raises RunError where there is none, where it is damaged, and for other data.
    """
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(_KEY, "")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = msgspec.json.decode(text, type=_Kept)
        if kept.format != _FORMAT:
            raise RunError(f"{path} is a run of format {kept.format!r}, not {_FORMAT!r}")
        if kept.data != (corpus.sha256, held_out.sha256):
            raise RunError(f"{path} is a run over other data: name the same files again")
        trainer = Trainer(corpus, held_out, TrainingSettings(**kept.settings), event=kept.event)
        _restore(trainer, kept, arrays)
    except FileNotFoundError:
        raise RunError(f"there is no run {path} to go on with") from None
    except RunError:
        raise
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise RunError(f"{path} is no run that can be gone on with: {error}") from error
    return trainer, kept.about


def _restore(trainer: Trainer, kept: _Kept, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    for name, count in kept.counts.items():
        if name in _PLAIN:
            setattr(trainer, name, count)
    _load(trainer.model, "model", arrays)
    _load(trainer.averaged, "averaged", arrays)
    if kept.best_score is not None:
        trainer.best, trainer.best_score = copy.deepcopy(trainer.averaged), kept.best_score
        _load(trainer.best, "best", arrays)
    trainer.spent = kept.spent
    trainer.loss = np.nan if kept.loss is None else kept.loss
    names = [name for name, _ in _weights(trainer.model)]
    moments = ("step", "exp_avg", "exp_avg_sq")
    state = trainer.optimiser.state_dict()
    if kept.counts["step"]:
        state["state"] = {
            i: {m: torch.from_numpy(arrays[f"{m}/{name}"].copy()) for m in moments}
            for i, name in enumerate(names)
        }
    trainer.optimiser.load_state_dict(state)
    trainer.rng.bit_generator.state = json.loads(kept.rng)
    trainer.cut_with = json.loads(kept.cut_with)
    torch.set_rng_state(torch.from_numpy(arrays["torch"].copy()))


def _load(model: EventModel, name: str, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    model.load_state_dict(
        {n: torch.from_numpy(arrays[f"{name}/{n}"].copy()) for n, _ in _weights(model)}
    )


def _weights(model: EventModel) -> list[tuple[str, torch.nn.Parameter]]:
    return list(model.named_parameters())
