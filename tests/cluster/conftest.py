"""A cluster of this machine, for all tests of the folder: it takes some seconds to start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec

import pytest

from robojam.cluster.connect import LOCAL, Cluster, ClusterError, connected


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    if find_spec("ray") is None:  # importing it here would settle what robojam sets
        pytest.skip("no ray here: robojam[cluster]")
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(connected(LOCAL, cores=2))
        except ClusterError as error:  # no shared memory, no ports: Ray needs more than robojam
            pytest.skip(f"Ray does not start here: {error}")
        yield cluster
    logging.getLogger("ray").handlers.clear()  # of streams that pytest has closed
