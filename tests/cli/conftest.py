"""Fixtures for the commands that read performances and models."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import TOUCHES, corpus, described, npz, small

from robojam.model.mdrnn import save


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return npz(tmp_path / "some.npz", corpus(TOUCHES, [40, 30, 1, 25, 12]))


@pytest.fixture
def val(tmp_path: Path) -> Path:
    return npz(tmp_path / "val.npz", corpus(TOUCHES, [20, 15], seed=1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = small(TOUCHES)
    save(made, tmp_path / "made.safetensors", described(made))
    return tmp_path / "made.safetensors"
