"""Matchers for tests."""

from __future__ import annotations

import numpy as np

from robojam.model.matcher import Matcher
from robojam.player.descriptors import NAMES, VERSION


def alike(*, version: int = VERSION, descriptors: int = len(NAMES)) -> Matcher:
    """Return a matcher for which an answer belongs that has its call's descriptors."""
    units = np.stack([np.zeros(descriptors), np.ones(descriptors)]).astype(np.float32)
    projection = np.eye(descriptors + 1, descriptors, dtype=np.float32)
    own = np.zeros((descriptors + 1, descriptors), np.float32)
    square = 0.5 * np.eye(descriptors, dtype=np.float32)
    return Matcher(version, units, 0.6 * projection, projection, own, square)
