"""Listener: whether a network that hears whole answers tells a machine's from people's.

The features of robojam.evaluation.likeness sum up an answer by numbers; the listener is given
the touches themselves, in order: a convolution over a few touches, then a recurrent layer in
both directions (Schuster & Paliwal 1997), then the mean over the answer. It learns on answers
to other performances, or on one half of these and is tested on the other, in turn. Places are
blurred by 1/256 of the screen and dt by 4 ms, so that no screen's lattice identifies people.
Needs torch.

It finds whatever a small network can learn from a few hundred answers, also what nobody would
hear; and it does not find what needs more examples than there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.evaluation.likeness import Area, area_with_interval

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

#: How far places (screens) and dt (seconds) are moved at random, both ways.
PLACE_BLUR, DT_BLUR = 1 / 256, 0.004
#: Touches that are heard of each answer.
_LONGEST = 256
#: Channels, touches of a convolution, passes over the answers, answers of a batch, learning
#: rate, weight decay, share of inputs that are dropped.
_CHANNELS, _KERNEL, _PASSES, _BATCH, _RATE, _DECAY, _DROPOUT = 24, 5, 30, 32, 3e-3, 1e-3, 0.3
#: Networks of different random numbers whose judgements are added.
_LISTENERS = 2


def compare(
    people: Sequence[Floats],
    takes: Sequence[Floats],
    *,
    learnt: tuple[Sequence[Floats], Sequence[Floats]] | None = None,
    seed: int = 0,
) -> tuple[Area, Area]:
    """Return how well it tells a machine from people, and people from other people.

    people (n, 4): an answer to each of P calls. takes (n, 4): a machine's, the same number to
    each call, one call after the other. learnt: people's and the machine's answers to the calls
    of other performances, from which it learns. The second figure is the control: half of the
    people are given another label. Raises ModuleNotFoundError without torch or scikit-learn.
    """
    sets = [_label(people, takes)]
    halves = [_label_half(people, seed)]
    if learnt is not None:
        sets.append(_label(*learnt))
        halves.append(_label_half(learnt[0], seed))
    return _tell_apart(sets, seed), _tell_apart(halves, seed)


#: Answers (N), whether each has the label (N), and which call each is to (N).
_Labelled = tuple[Sequence[Floats], NDArray[np.bool_], Integers]


def _label(people: Sequence[Floats], takes: Sequence[Floats]) -> _Labelled:
    """Label a machine's answers."""
    own = np.arange(len(people))
    groups = np.concatenate([own, own.repeat(len(takes) // len(people))])
    return [*people, *takes], np.arange(len(groups)) >= len(people), groups


def _label_half(people: Sequence[Floats], seed: int) -> _Labelled:
    """Label half of people's answers, which is chosen at random."""
    half = np.random.default_rng(seed).permutation(len(people)) % 2 == 0
    return people, half, np.arange(len(people))


def _tell_apart(sets: Sequence[_Labelled], seed: int) -> Area:
    """Return how well listeners tell the label of the first set's answers.

    They learn from the second set, or from the answers to the other half of the calls.
    """
    answers, label, groups = sets[0]
    if len(sets) > 1:
        count = len(answers)
        all_answers, all_labels = [*answers, *sets[1][0]], np.concatenate([label, sets[1][1]])
        learns = np.arange(len(all_answers)) >= count
        judged = np.zeros(count)
        for number in range(_LISTENERS):
            judged += _listen(all_answers, all_labels, learns, seed=seed + number)
        return area_with_interval(label, judged, groups, seed)
    judged = np.zeros(len(answers))
    for half in (0, 1):
        learns = groups % 2 == half
        for number in range(_LISTENERS):
            judged[~learns] += _listen(answers, label, learns, seed=seed + number)
    return area_with_interval(label, judged, groups, seed)


def _listen(
    answers: Sequence[Floats], label: NDArray[np.bool_], learns: NDArray[np.bool_], *, seed: int
) -> Floats:
    """Learn the label of some answers (N); return the log odds of the others'."""
    import torch
    from torch import nn

    class Listener(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hear = nn.Conv1d(_INPUTS, _CHANNELS, _KERNEL, padding=_KERNEL // 2)
            self.follow = nn.GRU(_CHANNELS, _CHANNELS, batch_first=True, bidirectional=True)
            self.drop = nn.Dropout(_DROPOUT)
            self.judge = nn.Linear(4 * _CHANNELS, 1)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            """Return log odds (B) for touches (B, T, F), where mask (B, T) is 1."""
            y = torch.relu(self.hear(x.transpose(1, 2))).transpose(1, 2) * mask[..., None]
            y, _ = self.follow(self.drop(y))
            y = y * mask[..., None]
            mean = y.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
            whole = torch.cat([mean, y.amax(1)], 1)
            odds: torch.Tensor = self.judge(self.drop(whole))[:, 0]
            return odds

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        known, unknown = np.flatnonzero(learns), np.flatnonzero(~learns).tolist()
        share = label[known].mean()
        weights = torch.tensor(
            np.where(label, 0.5 / share, 0.5 / (1 - share)), dtype=torch.float32
        )
        wanted = torch.tensor(label, dtype=torch.float32)
        network = Listener()
        optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
        steps = _PASSES * -(-len(known) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        for _ in range(_PASSES):
            order = rng.permutation(known)
            for batch in np.array_split(order, -(-len(order) // _BATCH)):
                x, mask = map(
                    torch.from_numpy, _inputs([answers[i] for i in batch.tolist()], rng)
                )
                odds = network(x, mask)
                loss = nn.functional.binary_cross_entropy_with_logits(
                    odds, wanted[batch], weights[batch]
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            x, mask = map(torch.from_numpy, _inputs([answers[i] for i in unknown], rng))
            odds = network(x, mask)
        return np.asarray(odds.numpy())
    finally:
        torch.set_num_threads(threads)


#: Inputs of a touch: place, step, log of dt, whether it slides.
_INPUTS = 6


def _inputs(answers: Sequence[Floats], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return blurred touches (B, T, _INPUTS) and a mask (B, T) of those that there are."""
    longest = max(2, min(_LONGEST, max(map(len, answers))))
    inputs = np.zeros((len(answers), longest, _INPUTS), np.float32)
    mask = np.zeros((len(answers), longest), np.float32)
    for i, answer in enumerate(answers):
        touches = answer[:longest]
        n = len(touches)
        if not n:
            continue
        xy = touches[:, :2] + rng.uniform(-PLACE_BLUR, PLACE_BLUR, (n, 2))
        dt = np.maximum(touches[:, 2] + rng.uniform(-DT_BLUR, DT_BLUR, n), 1e-3)
        step = np.diff(xy, axis=0, prepend=xy[:1])
        inputs[i, :n] = np.column_stack(
            [2 * xy - 1, 10 * step, 0.5 * (np.log(dt) + 4), touches[:, 3]]
        )
        mask[i, :n] = 1
    return inputs, mask
