"""A cluster that has never heard of carbonaware, for the tests of a file."""

import os
from collections.abc import Callable, Iterator

import pytest

from testbed.cluster import Cluster
from testbed.errors import BuildFailedError, PrerequisiteMissingError


@pytest.fixture(scope="module")
def bare_cluster(progress: Callable[[str], None]) -> Iterator[Cluster]:
    """A control plane without our CRDs, and a node that runs nothing."""
    try:
        started = Cluster.start(f"test-chart-{os.getpid()}", node="simulated", report=progress)
    except (PrerequisiteMissingError, BuildFailedError) as lacking:
        pytest.skip(f"level api cannot run here: {lacking}")
    with started:
        yield started
