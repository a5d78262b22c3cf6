"""A model that is taught by others: what they would draw, beside what people played.

What several models know together fits into one (Hinton et al. 2015). Densities of a continuous
event have no table of outcomes to compare, so the teachers draw: after every event heard,
one of them, by chance, draws what it thinks comes next, and the pupil is scored on that too.
In the mean over draws this is the cross entropy with the teachers' average density.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from robojam.model.features import where_of
from robojam.model.mdrnn import EventModel
from robojam.player.reference import Network, RecurrentState
from robojam.training.batches import Batch
from robojam.training.trainer import Trainer

#: How much of what a pupil learns is its teachers', and not the corpus'.
SHARE = 0.5


class _Drawing(Network):
    """A teacher's heads, which draw from what its layers found, however that was."""

    def __init__(self, model: EventModel) -> None:
        super().__init__(torch, model.event, dict(model.state_dict()), model.layers)

    def trunk_output(self, state: RecurrentState) -> Tensor:
        """Return the trunk's output (V, ·), which the state carries as its features."""
        output: Tensor = state.features
        return output


class Taught(Trainer):
    """A run in which models of the same kind of event teach another."""

    def __init__(self, *data: Any, teachers: Sequence[EventModel], **more: Any) -> None:
        super().__init__(*data, **more)
        self.teachers = [(teacher.eval(), _Drawing(teacher)) for teacher in teachers]

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        trunk, *moved = self.likelihood.encode(batch.events)
        scored, drawn = batch.scored, self.drawn(batch)
        trunk, (last, now, before) = trunk.float()[scored], (m[scored] for m in moved)
        events, cell = batch.events[scored], batch.cell[scored]
        played, taught = (
            self.model.predict(trunk, values, last, now, before, cell)
            for values in (events, drawn)
        )
        loss = -(1 - SHARE) * played.sum(-1).mean() - SHARE * taught.sum(-1).mean()
        return loss, played

    @torch.no_grad()
    def drawn(self, batch: Batch) -> Tensor:
        """Draw an event of a teacher's in the place of each that is scored, (N, C).

        Each is known as what people played is: by the cell, and the clock's tick, in which
        it lies, wherever in it.
        """
        events = batch.events[batch.scored]
        found, by = torch.empty_like(events), torch.randint(len(self.teachers), (len(events),))
        for number, (teacher, drawing) in enumerate(self.teachers):
            here = by == number
            state = teacher.initial(len(batch.events))
            with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
                seen, *moved, _ = teacher.listen(batch.events, state)
                inner = teacher.trunk(seen)
            inner, last, now, before = (m[batch.scored][here] for m in (inner, *moved))
            memory = RecurrentState([], [], last, now, before, inner.float())
            found[here] = drawing.sample(
                memory,
                torch.rand(len(inner), len(self.model.event.factors)),
                torch.randn(len(inner), events.shape[-1]),
                temperature=1.0,
                spread=1.0,
            )
        self._blur(found, batch.cell[batch.scored])
        return found

    def _blur(self, events: Tensor, cell: Tensor) -> None:
        # A pupil that is scored on a cell about a point would learn to be narrower.
        for factor in self.model.event.factors:
            if factor.kind == "flag":
                continue
            columns = where_of(factor.columns)
            wide: Any = cell[:, None] if factor.slides is not None else factor.noise
            events[:, columns] += (torch.rand_like(events[:, columns]) - 0.5) * wide
            if factor.kind == "duration":
                events[:, columns] = events[:, columns].clamp_min(0)
