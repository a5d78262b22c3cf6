"""What `robojam evaluate --play` measures: how a model plays, beside people.

Each part answers one question; docs/measure.md says what each can and cannot see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.controls import Settings
from robojam.evaluation import belonging, conversation, likeness, listener
from robojam.evaluation.belonging import BelongingReport
from robojam.evaluation.conversation import Adaptation, MotifReport
from robojam.evaluation.likeness import Area, Likeness
from robojam.model.file import ModelFile
from robojam.player.player import ModelPlayer

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayReport:
    """Measures of a model at play. Those that could not be made, or were not wanted, are None.

    belonging: whether answers belong to their calls. adaptation: how soon a change of manner
    is followed. motif: whether a shape comes back. listener: how well a network tells the
    machine from people, and people from people. takes: the answers to the openings.
    """

    follow: float
    memory: float
    likeness: Likeness
    belonging: BelongingReport | None
    adaptation: Adaptation | None
    motif: MotifReport | None
    listener: tuple[Area, Area] | None
    takes: Sequence[Floats]

    def as_json(self) -> dict[str, Any]:
        """Return the measures as JSON: those of likeness, and an object for each other part."""
        parts: dict[str, Any] = {
            "follow": self.follow,
            "memory": self.memory,
            "belonging": self.belonging and asdict(self.belonging),
            "listener": None,
            "adaptation": None,
            "motif": None,
        }
        if self.motif is not None:  # JSON has no infinity
            motif = asdict(self.motif).items()
            parts["motif"] = {name: n if math.isfinite(n) else None for name, n in motif}
        if self.listener is not None:
            machine, people = self.listener
            parts["listener"] = {"machine": asdict(machine), "people": asdict(people)}
        if self.adaptation is not None:
            means = {"mean": self.adaptation.mean, "within_two": self.adaptation.within_two}
            parts["adaptation"] = asdict(self.adaptation) | means
        return asdict(self.likeness) | parts


def measure(
    file: ModelFile,
    performances: Sequence[Floats],
    *,
    temperature: float,
    spread: float,
    follow: float,
    memory: float,
    learnt: Sequence[Floats] = (),
    seed: int = 0,
    quick: bool = False,
) -> PlayReport:
    """Measure how a model plays, by clean performances (n, 4) of people.

    learnt: other performances, from which the judge of belonging and the listener learn.
    quick: likeness and belonging alone. Raises ValueError if too few of the performances can
    be used, and ModuleNotFoundError without scikit-learn, or without torch if not quick.
    """
    pairs = likeness.split_in_half(performances)
    sampling: dict[str, Any] = {"temperature": temperature, "spread": spread}
    takes = likeness.continue_openings(
        file, pairs, seed=seed, follow=follow, memory=memory, **sampling
    )
    likely = likeness.compare(pairs, takes, seed=seed, **sampling)
    taught = likeness.split_in_half(learnt)
    belongs = None
    if min(len(pairs), len(taught) or len(pairs)) >= belonging.FEWEST:
        belongs = belonging.compare(pairs, takes, learnt=taught, seed=seed)
    adaptation, motif, heard = None, None, None
    if not quick:
        known = None
        if len(taught) >= belonging.FEWEST:
            answers = likeness.continue_openings(
                file, taught, seed=seed, follow=follow, memory=memory, each=1, **sampling
            )
            known = [after for _, after in taught], answers
        heard = listener.compare([after for _, after in pairs], takes, learnt=known, seed=seed)
        player = ModelPlayer(file)

        def settings() -> Settings:  # a jam may change them
            return Settings(
                temperature=temperature, spread=spread, follow=follow, memory=memory
            )

        adaptation = conversation.measure_adaptation(player, settings, seed=seed)
        motif = conversation.measure_motif(player, settings, performances, seed=seed)
    return PlayReport(
        follow=follow,
        memory=memory,
        likeness=likely,
        belonging=belongs,
        adaptation=adaptation,
        motif=motif,
        listener=heard,
        takes=takes,
    )
