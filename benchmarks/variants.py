"""The variants that benchmarks/models.py trains: what each one changes of `robojam train`.

A variant changes settings of robojam.training.trainer, the description of the event, the class
of the model or the class that draws batches; or it is a reference model with a training of its
own. To try an idea, add a row to VARIANTS. An idea that is worth having moves into robojam; the
figures of the others stay in benchmarks/README.md, and their rows are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reference_models import (
    Reference,
    constant_velocity,
    impsy,
    last_touch,
    robojam_2018,
    robojam_head,
)
from torch import Tensor, nn

from robojam.model import features
from robojam.model.event import EventSpec
from robojam.model.mdrnn import EventModel
from robojam.training.batches import WindowSampler
from robojam.training.trainer import SIZES


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One experiment: changes of robojam.training.trainer, or a reference model.

    about is its description in tables. settings replace fields of TrainingSettings. share is
    the share of the requested passes, less than 1 for slow variants; the table compares a
    variant with the baseline of the same number of passes. xydt also scores the density
    without the phase. deterministic means that one seed is enough.
    """

    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    event: Callable[[EventSpec], EventSpec] = lambda event: event
    model: type[EventModel] = EventModel
    sampler: type[WindowSampler] = WindowSampler
    reference: Reference | None = None
    share: float = 1.0
    xydt: bool = False
    deterministic: bool = False


class _GRULayer(nn.Module):
    """GRU layer with the interface of nn.LSTM: it returns its outputs and two states."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(inputs, units, batch_first=True)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Process x [B, T, F] from a state, (1, B, units) each."""
        y, h = self.rnn(x, state[0])
        return y, (h, state[1])


class GRUModel(EventModel):
    """Event model with GRUs in place of LSTMs."""

    def __init__(self, event: EventSpec, **sizes: Any) -> None:
        super().__init__(event, **sizes)
        inputs = features.feature_count(event)
        self.rnn = nn.ModuleList(
            _GRULayer(self.units if layer else inputs, self.units)
            for layer in range(self.layers)
        )


def _reference(function: Reference, **fields: Any) -> Variant:
    about = (function.__doc__ or "").partition("\n")[0].rstrip(".")
    return Variant(about=about, reference=function, **fields)


#: All variants by name. The baseline is robojam.training.trainer without changes.
VARIANTS: dict[str, Variant] = {
    "baseline": Variant(about="`robojam train` without changes", xydt=True),
    "last touch": _reference(last_touch, deterministic=True),
    "constant velocity": _reference(constant_velocity, deterministic=True),
    "impsy": _reference(impsy, share=2.0),
    "robojam 2018": _reference(robojam_2018),
    "robojam's head": _reference(robojam_head, share=2.0),
    "s": Variant(about="2 × 64 units, 8 components", settings=SIZES["s"]),
    "l": Variant(about="2 × 512 units, 24 components", settings=SIZES["l"], share=0.5),
    "one layer": Variant(about="one layer, not two", settings={"layers": 1}),
    "three layers": Variant(about="three layers, not two", settings={"layers": 3}, share=0.5),
    "gru": Variant(about="GRUs, not LSTMs (Cho et al. 2014)", model=GRUModel),
    "no mirror images": Variant(about="no mirrored performances", settings={"mirror": False}),
    "no dropout": Variant(about="no dropout", settings={"dropout": 0.0}),
    "twice the dropout": Variant(about="dropout 0.2, not 0.1", settings={"dropout": 0.2}),
    **{
        f"window {n}": Variant(about=f"windows of {n} touches, not 128", settings={"window": n})
        for n in (64, 256, 512)
    },
    "context": Variant(
        about="windows begin with the state after up to 256 events before them",
        settings={"context": 256},
    ),
    "summary": Variant(
        about="context, and means of what humans played",
        settings={"context": 256, "summary": True},
    ),
    "s without a summary": Variant(
        about="2 × 64 units, 8 components, no summary, no context",
        settings=SIZES["s"] | {"summary": False, "context": 1},
    ),
    "half the batch": Variant(
        about="batches of 640 touches, not 1,280", settings={"batch": 640}
    ),
}
