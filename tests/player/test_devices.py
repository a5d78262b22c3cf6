"""Compute devices: the choice, and the error for one that is missing."""

from __future__ import annotations

import pytest
import torch

from robojam.player import devices
from robojam.player.devices import DeviceError, choose_device


def test_the_cpu_is_always_available():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda", "mps")


def test_auto_takes_the_first_available_of_cuda_mps_cpu(monkeypatch):
    monkeypatch.setattr(devices, "may_have", lambda _: True)
    for cuda, mps, expected in [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda usable=cuda: bool(usable))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda usable=mps: bool(usable))
        assert choose_device("auto") == expected


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu"])
def test_a_missing_device_raises_an_error_that_names_the_available_ones(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"no device {name}; it has cpu"):
        choose_device(name)
