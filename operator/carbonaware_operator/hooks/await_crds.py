"""Waits until the API server serves our kinds: `python -m carbonaware_operator.hooks.await_crds`.

A chart that brings CRDs and zones creates the zones after this: between the creation of a CRD and
its first object a server with several replicas may take seconds.
"""

from carbonaware_operator.api.schema import CRD_NAMES
from carbonaware_operator.cluster.definitions import established
from carbonaware_operator.cluster.kube import KubeClient
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.hooks.session import POLL_SECONDS, run


async def await_crds(kube: KubeClient, clock: Clock) -> str:
    """Wait for every CRD; the last word."""
    for name in CRD_NAMES:
        while not await established(kube, name):
            await clock.sleep(POLL_SECONDS)
    return f"the API server serves {', '.join(CRD_NAMES)}"


if __name__ == "__main__":
    run(await_crds, seconds=100)
