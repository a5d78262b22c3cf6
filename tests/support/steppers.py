"""Networks, events, random numbers and steppers for the tests of robojam.player."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pytest
import torch
from msgspec import structs

from robojam.model.event import EventSpec, Factor
from robojam.model.features import Floats
from robojam.model.mdrnn import EventModel
from robojam.player.cpu_batch import BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.cuda_graph import CudaGraphStepper
from robojam.player.devices import can_compile
from robojam.player.reference import Network, RandomNumbers, RecurrentState, Sampling
from robojam.player.stepper import Stepper
from support.models import PRESSES, STROKES, TOUCHES

#: A position in three dimensions, columns that do not lie side by side, no duration.
SPACE = EventSpec(
    name="space",
    columns=("x", "held", "y", "z"),
    factors=(
        Factor(name="held", kind="flag", columns=(1,), hidden=4),
        Factor(
            name="place", kind="position", columns=(0, 2, 3), components=3, hidden=8, slides=1
        ),
    ),
)

#: A position in one dimension, with time.
LINE = EventSpec(
    name="line",
    columns=("dt", "held", "x"),
    duration=0,
    factors=(
        Factor(name="held", kind="flag", columns=(1,), hidden=4),
        Factor(name="dt", kind="duration", columns=(0,), components=2, hidden=8, centre=-3.0),
        Factor(name="x", kind="position", columns=(2,), components=3, hidden=8, slides=1),
    ),
)

#: Touches whose model is given running means.
REMEMBERED = structs.replace(
    TOUCHES, name="remembered", move_means=(0.95,), landing_means=(0.0, 0.6)
)

SPECS = (TOUCHES, PRESSES, STROKES, SPACE, LINE, REMEMBERED)
EVENTS = pytest.mark.parametrize("event", SPECS, ids=lambda event: event.name)


needs_numba = pytest.mark.skipif(not can_compile(), reason="no numba (the extra fast)")


def network(model: EventModel, xp: Any = np) -> Network:
    weights = {n: t.detach() for n, t in model.state_dict().items()}
    if xp is np:
        weights = {n: t.numpy() for n, t in weights.items()}
    return Network(xp, model.event, weights)


def arrays(state: RecurrentState) -> list[Any]:
    """Copies of a state's arrays, in numpy."""
    return [torch.as_tensor(array).cpu().numpy().copy() for array in state.arrays()]


def random_numbers(event: EventSpec, seed: int) -> list[float]:
    """The random numbers of one event: the uniform ones, then the normal ones."""
    rng = np.random.default_rng(seed)
    uniform = rng.random(len(event.factors), np.float32).tolist()
    return [*uniform, *rng.standard_normal(len(event.columns), np.float32).tolist()]


def events(event: EventSpec, voices: int, length: int, seed: int = 4) -> Floats:
    """Events (voices, length, C), their flags 0 or 1."""
    rng = np.random.default_rng(seed)
    values = rng.random((voices, length, len(event.columns)), np.float32)
    for flag in event.flags:
        values[..., flag] = values[..., flag] > 0.3
    return values


class ReferenceStepper:
    """Stepper made of robojam.player.reference, without optimisations."""

    def __init__(self, network: Network, voices: int) -> None:
        self._network, self._voices = network, voices
        self.reset()

    def reset(self) -> None:
        self.state = self._network.initial(self._voices)

    def feed(self, voice: int, event: Sequence[float]) -> None:
        row = slice(voice, voice + 1)
        values = self._network.array([list(event)])
        after = self._network.feed(self.state.rows(row), values, heard=False)
        self.state.write(row, after)

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        events = np.array([event] * self._voices, np.float32)
        self.state = self._network.feed(self.state, events)

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        rows = list(voices)
        values = self._network.array([list(event) for event in events])
        self.state.write(rows, self._network.feed(self.state.rows(rows), values))

    def prepare(self) -> None:
        pass

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        factors = len(self._network.heads)
        uniform, gauss = np.split(np.asarray(numbers, np.float32), [factors], axis=1)
        rows = self.state.rows(list(voices))
        drawn: list[list[float]] = self._network.sample(
            rows, uniform, gauss, **sampling
        ).tolist()
        return drawn


def _compiled(model: EventModel, voices: int) -> Stepper:
    from robojam.player.cpu_compiled import CompiledStepper

    return CompiledStepper(network(model), voices)


def quantised(exact: Network) -> Network:
    """Round a network's weights in place as the compiled steps do; return it."""
    from robojam.player.cpu_compiled import quantise

    def rounded(weight: Floats) -> Floats:
        numbers, scale = quantise(weight)
        return numbers * scale

    n = exact.units
    exact.gates = [
        (np.concatenate([rounded(weight[:-n]), rounded(weight[-n:])]), bias)
        for weight, bias in exact.gates
    ]
    exact.trunk = rounded(exact.trunk[0]), exact.trunk[1]
    exact.heads = [replace(head, weight=rounded(head.weight)) for head in exact.heads]
    return exact


def _graph(device: str) -> Callable[[EventModel, int], Stepper]:
    return lambda model, voices: CudaGraphStepper(network(model.to(device), torch), voices)


#: Steppers by name; without a GPU, the graph runs uncaptured, as plain torch.
STEPPERS: dict[str, Callable[[EventModel, int], Stepper]] = {
    "reference": lambda model, voices: ReferenceStepper(network(model), voices),
    "quantised reference": lambda model, voices: ReferenceStepper(
        quantised(network(model)), voices
    ),
    "single": lambda model, voices: SingleStepper(network(model), voices),
    "compiled": _compiled,
    "batch": lambda model, voices: BatchStepper(network(model), voices),
    "graph": _graph("cpu"),
    "graph on a GPU": _graph("cuda"),
}


def stepper_parameters(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of the named steppers; on a GPU, or with numba, where it is."""
    no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    marks = {"graph on a GPU": no_gpu, "compiled": needs_numba}
    return pytest.mark.parametrize(
        "make",
        [pytest.param(STEPPERS[name], id=name, marks=marks.get(name, ())) for name in names],
    )
