"""Voices stepped as one batch on a GPU, each step launched as one captured graph.

A step of a small network is some forty kernels, and launching them one by one costs ten
times what they compute. So hearing and drawing are each captured once, for the number of
voices there is (torch.cuda.CUDAGraph), over arrays that stay where they are: the state
never leaves the device, and what goes in and comes out is a few numbers a voice. A
snapshot is a copy on the device.

Every step runs over all voices, and a mask says for which it counts: so the bits that a
voice gets do not depend on which others were stepped with it.

Without CUDA (MPS, and tests on the CPU) the same functions run as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from robojam.player.reference import COLD, Network

log = logging.getLogger("robojam")

#: Runs of a function before it is captured: CUDA's libraries set themselves up in them.
_WARM_UPS = 3

Act = Callable[[], None]


class CudaGraphStepper:
    """A network on a device, and the state of V voices there."""

    def __init__(self, network: Network, voices: int) -> None:
        """Prepare the steps for so many voices; the network is one of torch tensors."""
        self._network, self._voices = network, voices
        self.memory = network.initial(voices)
        self._blank = network.initial(voices)
        device, event = network.start.device, network.event
        columns, factors = len(event.columns), len(event.factors)
        self._in = torch.zeros(voices, columns + 1, device=device)
        self._chance = torch.zeros(voices, factors + columns, device=device)
        self._how = torch.ones(2, device=device)
        self._out = torch.zeros(voices, columns, device=device)
        self._split = factors
        self._fed = _staged(self._in)
        self._drawn = _staged(self._chance)
        capture = _graph if device.type == "cuda" else _plainly
        with torch.inference_mode():
            self._feed = capture(self._heard)
            self._warm = capture(lambda: self._sampled(self._how[0]))
            self._cold = capture(lambda: self._sampled(0.0))
        self._tempered = (1.0, 1.0)
        self.reset()

    def reset(self) -> None:
        """Every voice has heard nothing."""
        self.memory.write(slice(None), self._blank)

    def feed(self, voice: int, values: list[float]) -> None:
        """Let a voice hear one event (C)."""
        self._fed.zero_()
        self._fed[voice] = torch.tensor([*values, 1.0])
        self._in.copy_(self._fed, non_blocking=True)
        self._feed()

    def feed_all(self, values: list[float]) -> None:
        """Let every voice hear one event (C)."""
        self._fed[:] = torch.tensor([*values, 1.0])
        self._in.copy_(self._fed, non_blocking=True)
        self._feed()

    def feed_each(self, values: Any) -> None:
        """Let every voice hear an event of its own, an array (V, C)."""
        self._fed[:, :-1] = torch.from_numpy(values)
        self._fed[:, -1] = 1.0
        self._in.copy_(self._fed, non_blocking=True)
        self._feed()

    def sample(
        self,
        voices: Sequence[int],
        chances: Any,
        *,
        temperature: float,
        spread: float,
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices.

        chances (N, factors + C): their random numbers as Network.sample's, the uniform
        ones first; an array, or lists.
        """
        rows = list(voices)
        self._drawn[rows] = torch.as_tensor(chances, dtype=torch.float32)
        self._draw(temperature, spread)
        drawn: list[list[float]] = self._out.cpu()[rows].tolist()
        return drawn

    def sample_all(self, chances: Any, *, temperature: float, spread: float) -> Any:
        """Draw the next event of every voice, an array (V, C) on the host; chances (V, ·)."""
        self._drawn.copy_(torch.from_numpy(chances))
        self._draw(temperature, spread)
        return self._out.cpu().numpy()

    def _draw(self, temperature: float, spread: float) -> None:
        self._chance.copy_(self._drawn, non_blocking=True)
        if self._tempered != (temperature, spread):
            self._tempered = (temperature, spread)
            self._how.copy_(torch.tensor([max(temperature, COLD), spread]))
        (self._cold if temperature < COLD else self._warm)()

    def _heard(self) -> None:
        after = self._network.feed(self.memory, self._in[:, :-1])
        self.memory.write(slice(None), after, where=self._in[:, -1:] > 0.5)

    def _sampled(self, temperature: Any) -> None:
        uniform, gauss = self._chance[:, : self._split], self._chance[:, self._split :]
        self._out.copy_(
            self._network.sample(
                self.memory, uniform, gauss, temperature=temperature, spread=self._how[1]
            )
        )


def _staged(array: torch.Tensor) -> torch.Tensor:
    """Return the like of an array on the host, from where a GPU fetches it by itself."""
    return torch.zeros(array.shape, pin_memory=array.device.type == "cuda")


def _plainly(act: Act) -> Act:
    def run() -> None:
        with torch.inference_mode():
            act()

    run()
    return run


def _graph(act: Act) -> Act:
    """Capture what a function launches; where that fails, launch it each time, and say so."""
    try:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                act()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            act()
    except RuntimeError as error:
        torch.cuda.synchronize()
        log.warning("the GPU's steps could not be captured, and cost more: %s", error)
        return _plainly(act)
    return graph.replay
