"""Voices stepped as one batch on a GPU, each step launched as one captured graph.

A step of a small network is some forty kernels, and launching them one by one costs ten
times what they compute. So feeding and sampling are each captured once, for the number of
voices there is (torch.cuda.CUDAGraph), over arrays that stay where they are: the state never
leaves the device, and a few numbers a voice go in and come out. A snapshot is a copy on the
device.

Every step runs over all voices, and a mask selects those that it changes: so the bits that a
voice gets do not depend on which others are stepped with it.

Without CUDA (on MPS, and in tests on the CPU) the same functions run uncaptured.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Unpack

import torch

from robojam.player.reference import COLD, Network, RandomNumbers, Sampling

log = logging.getLogger("robojam")

_Kernel = Callable[[], None]


class CudaGraphStepper:
    """A network on a device, and the state of V voices; a robojam.player.stepper.Stepper."""

    def __init__(self, network: Network, voices: int) -> None:
        """Capture the steps of a network of torch tensors, for V voices."""
        self._network = network
        self.state = network.initial(voices)
        self._initial = network.initial(voices)
        device, event = network.start.device, network.event
        columns, factors = len(event.columns), len(event.factors)
        # Each voice's event, whether humans played it, and whether the voice is fed.
        self._fed = torch.zeros(voices, columns + 2, device=device)
        self._random = torch.zeros(voices, factors + columns, device=device)
        self._sampling = torch.ones(2, device=device)  # temperature, spread
        self._out = torch.zeros(voices, columns, device=device)
        self._split = factors
        # In memory that a GPU reads by itself.
        pinned = device.type == "cuda"
        self._event_on_host = torch.zeros(self._fed.shape, pin_memory=pinned)
        self._random_on_host = torch.zeros(self._random.shape, pin_memory=pinned)
        prepare = _capture if device.type == "cuda" else _uncaptured
        # Weak, so that the device's memory is free as soon as the stepper is.
        stepper = weakref.proxy(self)
        with torch.inference_mode():
            self._feed = prepare(lambda: stepper._feed_masked())
            self._sample_warm = prepare(lambda: stepper._sample_at(stepper._sampling[0]))
            self._sample_cold = prepare(lambda: stepper._sample_at(0.0))
        self._last_sampling: Sampling = {"temperature": 1.0, "spread": 1.0}
        self.reset()

    def reset(self) -> None:
        """Return every voice to the state before its first event."""
        self.state.write(slice(None), self._initial)

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C) of its own."""
        self._event_on_host.zero_()
        self._event_on_host[voice] = torch.tensor([*event, 0.0, 1.0])
        self._feed_from_host()

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        """Advance the first voices by the same event (C): the others too, at the same cost."""
        del voices
        self._event_on_host[:] = torch.tensor([*event, 1.0, 1.0])
        self._feed_from_host()

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        """Advance N voices by an event (C) each, which humans played."""
        self._event_on_host.zero_()
        self._event_on_host[list(voices)] = torch.tensor(
            [[*event, 1.0, 1.0] for event in events]
        )
        self._feed_from_host()

    def prepare(self) -> None:
        """Compute nothing ahead: a step is launched whole."""

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices, given random numbers (N, factors + C)."""
        rows, temperature = list(voices), sampling["temperature"]
        self._random_on_host[rows] = torch.as_tensor(numbers, dtype=torch.float32)
        self._random.copy_(self._random_on_host, non_blocking=True)
        if self._last_sampling != sampling:
            self._last_sampling = sampling
            self._sampling.copy_(torch.tensor([max(temperature, COLD), sampling["spread"]]))
        (self._sample_cold if temperature < COLD else self._sample_warm)()
        drawn: list[list[float]] = self._out.cpu()[rows].tolist()
        return drawn

    def _feed_from_host(self) -> None:
        self._fed.copy_(self._event_on_host, non_blocking=True)
        self._feed()

    def _feed_masked(self) -> None:
        events, heard, fed = self._fed[:, :-2], self._fed[:, -2:-1], self._fed[:, -1:]
        after = self._network.feed(self.state, events, heard=heard)
        self.state.write(slice(None), after, where=fed > 0.5)

    def _sample_at(self, temperature: float | torch.Tensor) -> None:
        numbers = self._random[:, : self._split], self._random[:, self._split :]
        spread = self._sampling[1]
        drawn = self._network.sample(
            self.state, *numbers, temperature=temperature, spread=spread
        )
        self._out.copy_(drawn)


def _uncaptured(kernel: _Kernel) -> _Kernel:
    run: _Kernel = torch.inference_mode()(kernel)
    run()
    return run


def _capture(kernel: _Kernel) -> _Kernel:
    """Return a replay of a kernel's launches, or the kernel where capturing fails; log that."""
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # CUDA's libraries initialise in these runs
                kernel()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kernel()
    except RuntimeError as error:
        torch.cuda.synchronize()
        log.warning("the GPU's steps could not be captured, and cost more: %s", error)
        return _uncaptured(kernel)
    return graph.replay
