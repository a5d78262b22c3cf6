"""What `robojam evaluate --play` measures: how a model plays, beside people.

Each part answers one question; docs/measure.md says what each can and cannot see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
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
#: A part of the measurement, and what computes some of them.
Part = Callable[[], Any]
Run = Callable[[Sequence[Part]], list[Any]]


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


def _one_after_the_other(parts: Sequence[Part]) -> list[Any]:
    return [part() for part in parts]


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
    run: Run = _one_after_the_other,
) -> PlayReport:
    """Measure how a model plays, by clean performances (n, 4) of people.

    learnt: other performances, from which the judge of belonging and the listener learn.
    quick: likeness and belonging alone. run: computes parts, in their order or at the same
    time. Raises ValueError if too few of the performances can be used, and
    ModuleNotFoundError without scikit-learn, or without torch if not quick.
    """
    pairs, taught = likeness.split_in_half(performances), likeness.split_in_half(learnt)
    likeness.check_enough(pairs)  # the rest takes long
    sampling: dict[str, Any] = {"temperature": temperature, "spread": spread}
    dials: dict[str, Any] = {"follow": follow, "memory": memory}
    answer = partial(likeness.continue_openings, file, seed=seed, **sampling, **dials)
    first: dict[str, Part] = {"takes": partial(answer, pairs)}
    if not quick:
        if len(taught) >= belonging.FEWEST:
            first["answers"] = partial(answer, taught, each=1)
        settings = Settings(**sampling, **dials)
        first["adaptation"] = partial(_adaptation, file, settings, seed)
        first["motif"] = partial(_motif, file, settings, performances, seed)
    made = _run(run, first)
    takes = made["takes"]
    then: dict[str, Part] = {
        "likeness": partial(likeness.compare, pairs, takes, seed=seed, **sampling)
    }
    if min(len(pairs), len(taught) or len(pairs)) >= belonging.FEWEST:
        then["belonging"] = partial(belonging.compare, pairs, takes, learnt=taught, seed=seed)
    if not quick:
        after, known = [after for _, after in pairs], None
        if "answers" in made:
            known = [after for _, after in taught], made["answers"]
        then["listener"] = partial(listener.compare, after, takes, learnt=known, seed=seed)
    made |= _run(run, then)
    return PlayReport(
        follow=follow,
        memory=memory,
        likeness=made["likeness"],
        belonging=made.get("belonging"),
        adaptation=made.get("adaptation"),
        motif=made.get("motif"),
        listener=made.get("listener"),
        takes=takes,
    )


def _run(run: Run, parts: dict[str, Part]) -> dict[str, Any]:
    return dict(zip(parts, run([*parts.values()]), strict=True))


def _adaptation(file: ModelFile, settings: Settings, seed: int) -> Adaptation:
    # A jam may change its settings.
    return conversation.measure_adaptation(
        ModelPlayer(file), lambda: replace(settings), seed=seed
    )


def _motif(
    file: ModelFile, settings: Settings, performances: Sequence[Floats], seed: int
) -> MotifReport | None:
    return conversation.measure_motif(
        ModelPlayer(file), lambda: replace(settings), performances, seed=seed
    )
