"""CUDA graphs whose step cannot be captured. Other properties are in test_stepper.py."""

from __future__ import annotations

import torch

from robojam.player import cuda_graph


def test_kernel_that_cannot_be_captured_is_run_each_time_with_a_warning(monkeypatch, caplog):
    def refuse() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    runs: list[int] = []
    run = cuda_graph._capture(lambda: runs.append(1))
    runs.clear()
    run()
    assert runs == [1]
    assert "could not be captured" in caplog.text
