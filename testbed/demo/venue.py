"""A cluster that the demo plays on, wherever it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from testbed.demo.scene import Scene
from testbed.errors import TestbedError

CRDS = Path(__file__).parent.parent.parent / "crds"

Report = Callable[[str], None]


class RefusedError(TestbedError):
    """The demo would disturb others, or has nothing to play on; the message says what to do."""


class Kubectl(Protocol):
    """Runs kubectl against the cluster and returns its output; raises KubectlError."""

    def __call__(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Run it with these arguments and this standard input."""
        ...


@dataclass(frozen=True, slots=True)
class Venue:
    """The cluster, and how our programs reach it.

    kubeconfig: for operator, agent and simulated host.
    """

    scene: Scene
    kubectl: Kubectl
    kubeconfig: Path
