"""Clusters for the tests that need one; whoever asks for a fixture gets the level it stands for.

`cluster` (marker `api`): a real control plane with a simulated node.
`real_cluster` (marker `node`): the same with a real kubelet; needs root and Debian's containerd.
`cluster_with_images`: that cluster, which has the images that the Dockerfile makes.
`namespace`: a fresh namespace of `cluster` for one test.
A level that this machine cannot run is skipped with the reason.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from testbed.cluster import Cluster
from testbed.errors import BuildFailedError, PrerequisiteMissingError
from testbed.placement import names
from testbed.project_image import project_image
from testbed.state import NodeKind

# Deadlines measure how busy the machine is. `make unit` asks for the quick profile.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile("thorough")

CRDS = Path(__file__).parent.parent / "crds"


def pytest_configure(config: pytest.Config) -> None:
    """Register the one marker that only the testbed's own tests use."""
    config.addinivalue_line("markers", "last: ends a shared cluster, so no other test may follow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that end a shared cluster after all others."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def cluster(progress: Callable[[str], None]) -> Iterator[Cluster]:
    """A control plane with our CRDs and one simulated node, shared by the whole run."""
    yield from _running("api", "simulated", progress)


@pytest.fixture(scope="session")
def real_cluster(progress: Callable[[str], None]) -> Iterator[Cluster]:
    """A control plane with our CRDs and one real node, shared by the whole run."""
    yield from _running("node", "real", progress)


@pytest.fixture(scope="session")
def cluster_with_images(real_cluster: Cluster, progress: Callable[[str], None]) -> Cluster:
    """The cluster with the real node, which has the images of the working tree."""
    try:
        images = [project_image(target, progress) for target in ("operator", "agent")]
    except PrerequisiteMissingError as lacking:
        pytest.skip(f"the images cannot be built here: {lacking}")
    for image in images:
        real_cluster.load_image(image)
    return real_cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that exists for one test; its removal is not waited for."""
    name = f"test-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Writes a line past pytest's capture: the first build takes minutes."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    return reporter.write_line if reporter else print


def _running(level: str, node: NodeKind, progress: Callable[[str], None]) -> Iterator[Cluster]:
    _end_clusters_of_killed_runs()
    crds = CRDS if any(CRDS.glob("*.yaml")) else None
    try:
        started = Cluster.start(
            f"test-{level}-{os.getpid()}", node=node, crds=crds, report=progress
        )
    except (PrerequisiteMissingError, BuildFailedError) as lacking:
        pytest.skip(f"level {level} cannot run here: {lacking}")
    with started:
        yield started


def _end_clusters_of_killed_runs() -> None:
    for name in names():
        prefix, _, pid = name.rpartition("-")
        ours = prefix.startswith("test-") and pid.isdigit()
        if ours and not Path(f"/proc/{pid}").exists():
            Cluster.attach(name).stop()
