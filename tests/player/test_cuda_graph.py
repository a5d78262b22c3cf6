"""Voices stepped as one batch, as on a GPU: what they remember, draw, and share: nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from support.models import TOUCHES, small
from support.steppers import EVENTS, as_arrays, chances, events, flat, network

from robojam.player import cuda_graph
from robojam.player.cuda_graph import CudaGraphStepper

DEVICES = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
        ),
    ],
)


def steps(event: Any, voices: int, device: str = "cpu") -> CudaGraphStepper:
    return CudaGraphStepper(network(small(event).to(device), torch), voices)


def bits(made: CudaGraphStepper) -> list[Any]:
    return [np.array(a) for a in flat(deepcopy(made.memory))]


@DEVICES
@EVENTS
@pytest.mark.parametrize(("temperature", "spread"), [(1, 1), (0.5, 2), (0, 0), (3, 0)])
def test_a_batch_is_the_networks(event, device, temperature, spread):
    net = network(small(event))
    made, memory = steps(event, 3, device), net.initial(3)
    for row in events(event, 1, 12)[0]:
        made.feed_all(row.tolist())
        memory = net.feed(memory, np.stack([row] * 3))
    for seed in range(20):
        drawn = [chances(event, 10 * seed + voice) for voice in range(3)]
        uniform, gauss = as_arrays(event, drawn)
        how: dict[str, Any] = {"temperature": temperature, "spread": spread}
        expected = net.sample(memory, uniform, gauss, **how)
        found = made.sample([0, 1, 2], drawn, **how)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@DEVICES
def test_one_voice_hears_and_the_others_do_not(device):
    made = steps(TOUCHES, 3, device)
    made.feed_all([0.5, 0.5, 0.1, 0.0])
    before = bits(made)
    made.feed(1, [0.1, 0.2, 0.3, 1.0])
    for was, now in zip(before, bits(made), strict=True):
        np.testing.assert_array_equal(was[[0, 2]], now[[0, 2]])
    assert any((was[1] != now[1]).any() for was, now in zip(before, bits(made), strict=True))


@DEVICES
def test_the_bits_of_a_voice_do_not_depend_on_what_others_do(device):
    alone, among = steps(TOUCHES, 4, device), steps(TOUCHES, 4, device)
    drawn = [chances(TOUCHES, voice) for voice in range(4)]
    for i, row in enumerate(events(TOUCHES, 1, 20)[0].tolist()):
        alone.feed(2, row)
        for voice in (2, (i + 1) % 2, 3):
            among.feed(voice, row if voice == 2 else [0.9, 0.1, 0.02 * i, 1.0])
        how: dict[str, Any] = {"temperature": 1, "spread": 1}
        one = alone.sample([2], [drawn[2]], **how)[0]
        assert among.sample([0, 1, 2, 3], drawn, **how)[2] == one


@DEVICES
def test_what_is_put_back_goes_on_as_it_was(device):
    made = steps(TOUCHES, 2, device)
    made.feed_all([0.5, 0.5, 0.1, 0.0])
    kept, drawn = deepcopy(made.memory), [chances(TOUCHES, 1)]
    how: dict[str, Any] = {"temperature": 1, "spread": 1}
    first = made.sample([1], drawn, **how)
    made.feed(1, first[0])
    assert made.sample([1], drawn, **how) != first
    made.memory.write(slice(None), kept)
    assert made.sample([1], drawn, **how) == first
    made.reset()
    assert made.sample([1], drawn, **how) == steps(TOUCHES, 2, device).sample([1], drawn, **how)


def test_what_cannot_be_captured_is_run_as_it_is(monkeypatch, caplog):
    def refuse() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    ran: list[int] = []
    run = cuda_graph._graph(lambda: ran.append(1))
    ran.clear()
    run()
    assert ran == [1]
    assert "could not be captured" in caplog.text
