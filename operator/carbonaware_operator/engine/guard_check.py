"""Says in log, metric and on every zone whether the operator is guarded by its policies.

It acts all the same: without a policy RBAC still bounds what it does, and to stop would strand jobs
at their deadlines.
"""

import logging

from carbonaware_operator.cluster.guards import GUARDS, guards
from carbonaware_operator.cluster.kube import ApiError, KubeClient
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)


class GuardCheck:
    """Asks the API server, and remembers what was last known while it does not answer."""

    def __init__(self, *, kube: KubeClient, zones: ZoneStore, metrics: OperatorMetrics) -> None:
        self._kube, self._zones, self._metrics = kube, zones, metrics
        self._known: dict[str, str] = {}
        # Until the API server has answered nothing is known to guard: absent would alert nobody.
        for policy in GUARDS:
            metrics.guarded(policy, bound=False)

    async def check(self) -> None:
        """Ask once; raises nothing for what the API server answers."""
        try:
            found = await guards(self._kube)
        except ApiError as error:
            log.warning("admission policies not looked up", extra={"error": error.message})
            return
        for policy, lack in found.items():
            self._metrics.guarded(policy, bound=not lack)
            if self._known.get(policy) != lack:
                self._tell(policy, lack)
        self._known = found
        self._zones.unguarded = "; ".join(lack for lack in found.values() if lack)

    def _tell(self, policy: str, lack: str) -> None:
        if lack:
            log.warning("admission policy not bound", extra={"policy": policy, "error": lack})
        else:
            log.info("admission policy bound", extra={"policy": policy})
