"""Jobs of the command line as parts for a cluster: takes, scores, and measures of play.

Each returns what its module for one machine returns, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from robojam.cluster.connect import Cluster
from robojam.cluster.models import SentModel, receive, send
from robojam.cluster.tasks import run_tasks
from robojam.corpus.corpus import Corpus
from robojam.player.generate import PLANNED, Touches, generate

if TYPE_CHECKING:
    from robojam.evaluation.likelihood import Score, Terms

#: Called with how many parts have ended, and how many there are.
Progress = Callable[[int, int], None]
#: Parts for each core: few, as each begins and ends with a batch that is not full.
_PARTS: Final = 4
#: Most takes of a part: it bounds what is lost with it, and its memory.
_MOST_TAKES: Final = 2048


def generate_on(
    cluster: Cluster,
    path: Path,
    performances: Sequence[NDArray[Any]],
    on_progress: Progress,
    **options: Any,
) -> list[Touches]:
    """Do what robojam.player.generate.generate does, with the model in a file.

    seconds must be one length for all takes. Raises what it raises, and ClusterError.
    """
    size = math.ceil(len(performances) / (cluster.cores * _PARTS) / PLANNED) * PLANNED
    size = min(max(size, PLANNED), _MOST_TAKES)
    parts = [
        (performances[start : start + size], start, options)
        for start in range(0, len(performances), size)
    ]
    takes = _run(cluster, _generate, parts, send([path]), on_progress)
    return [take for part in takes for take in part]


def _generate(
    model: SentModel, performances: Sequence[NDArray[Any]], first: int, options: dict[str, Any]
) -> list[Touches]:
    return generate(receive(model), performances, first=first, **options)


def score_on(
    cluster: Cluster, path: Path, corpora: Sequence[Corpus], on_progress: Progress
) -> list[Score]:
    """Score the model in a file on corpora, without flags too, as robojam.evaluation does.

    Raises ValueError and ClusterError.
    """
    from robojam.evaluation import likelihood
    from robojam.model.file import read

    event = read(path).event
    prepared = [likelihood.prepare(event, corpus) for corpus in corpora]
    parts = [(each, group) for each in prepared for group in likelihood.groups(each)]
    terms: list[Terms] = _run(cluster, _score, parts, send([path]), on_progress)
    scores, begin = [], 0
    for each in prepared:
        end = begin + len(likelihood.groups(each))
        scores.append(likelihood.total(event, each, terms[begin:end], flagless=True))
        begin = end
    return scores


def _score(model: SentModel, corpus: Corpus, group: NDArray[np.intp]) -> Terms:
    import torch

    from robojam.evaluation import likelihood
    from robojam.model.mdrnn import from_file

    torch.set_num_threads(1)
    return likelihood.score_group(from_file(receive(model)), corpus, group, flagless=True)


def measure_on(cluster: Cluster, on_progress: Progress) -> Callable[..., list[Any]]:
    """Return what runs the parts of robojam.evaluation.play.measure on a cluster."""

    def run(parts: Sequence[Callable[[], Any]]) -> list[Any]:
        return _run(cluster, _call, [(part,) for part in parts], (), on_progress)

    return run


def _call(part: Callable[[], Any]) -> Any:
    return part()


def _run(
    cluster: Cluster,
    function: Callable[..., Any],
    parts: Sequence[tuple[Any, ...]],
    shared: Sequence[Any],
    on_progress: Progress,
) -> list[Any]:
    """Return the results of parts, in their order."""
    results: list[Any] = [None] * len(parts)
    on_progress(0, len(parts))
    tasks = run_tasks(cluster, function, parts, shared=shared)
    for ended, (index, result) in enumerate(tasks, 1):
        results[index] = result
        on_progress(ended, len(parts))
    return results
