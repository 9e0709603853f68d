"""Writes of the ledger: the part of a job's status that the manager `carbonaware-ledger` owns.

The known ledger is tried first, under the resourceVersion that it was read with. If the object has
changed meanwhile, the change is made again on the ledger as it is now, so no posting is lost
and none is made twice, whoever else writes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from carbonaware_operator.accounting.ledger import empty_ledger
from carbonaware_operator.accounting.totals import status_fields
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, ApiError, KubeClient, Object

MANAGER = "carbonaware-ledger"
ATTEMPTS = 5


class LedgerHolder(Protocol):
    """A job with its ledger, as of one version of the object."""

    @property
    def uid(self) -> str:
        """Uid of the CarbonAwareJob."""
        ...

    @property
    def namespace(self) -> str:
        """Its namespace."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def resource_version(self) -> str:
        """The version of the object from which the ledger is."""
        ...

    @property
    def ledger(self) -> Ledger | None:
        """Its ledger; None when it has none yet."""
        ...


class JobGoneError(Exception):
    """The job has been deleted; another one may bear its name."""


@dataclass(frozen=True, slots=True)
class Revised:
    """A ledger after a change.

    body: the object, newer than the one known, where it had to be written or read.
    """

    ledger: Ledger
    body: Object | None


class LedgerWriter:
    """Changes one ledger at a time."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def revise(self, job: LedgerHolder, change: Callable[[Ledger], Ledger]) -> Revised:
        """Write what `change` makes of the job's ledger, unless that is the same ledger.

        change: must be a function of the ledger alone; it is called again after a conflict.
        Raises JobGoneError; ApiError, with status 409 when each attempt met another writer.
        """
        held, version, body = job.ledger or empty_ledger(), job.resource_version, None
        for attempt in range(ATTEMPTS):
            revised = change(held)
            if revised == held:
                return Revised(held, body)
            try:
                return Revised(revised, await self._apply(job, version, revised))
            except ApiError as error:
                if error.status == 404:
                    raise JobGoneError from error
                if error.status != 409 or attempt == ATTEMPTS - 1:
                    raise
            body = await self._read(job)
            held, version = _ledger_of(body), body["metadata"]["resourceVersion"]
        raise AssertionError("the last attempt returns or raises")

    async def _apply(self, job: LedgerHolder, version: str, ledger: Ledger) -> Object:
        body = {
            "apiVersion": API_VERSION,
            "kind": "CarbonAwareJob",
            "metadata": {"name": job.name, "resourceVersion": version},
            "status": status_fields(ledger),
        }
        return await self._kube.apply(
            CARBON_AWARE_JOBS, job.namespace, body, manager=MANAGER, sub="status"
        )

    async def _read(self, job: LedgerHolder) -> Object:
        try:
            body = await self._kube.get(CARBON_AWARE_JOBS, job.namespace, job.name)
        except ApiError as error:
            if error.status == 404:
                raise JobGoneError from error
            raise
        if body["metadata"]["uid"] != job.uid:
            raise JobGoneError
        return body


def _ledger_of(body: Object) -> Ledger:
    found = (body.get("status") or {}).get("ledger")
    return Ledger.model_validate(found) if found else empty_ledger()
