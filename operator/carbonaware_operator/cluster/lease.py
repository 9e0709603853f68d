"""Leader election with a Lease, on the monotonic clock.

Every exception is a failed renewal. A leader whose last renewal is older than `renew_deadline` no
longer leads, whatever the API server says later: the deadline lies below the lease's duration, so
that a standby can only take over after it. Another's lease has run out when its record has not
changed for its whole duration as seen from here; wall clocks of two machines are never compared.
A standby counts from the look before the one that saw the record, so that it takes over within the
duration and not a look later: it may be early by one look, far less than the 5 s between the two.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from carbonaware_operator.cluster.kube import LEASES, ApiError, KubeClient, Object
from carbonaware_operator.quantities.instants import Instant

log = logging.getLogger(__name__)


class Clock(Protocol):
    """The clocks that an election needs."""

    def now(self) -> Instant:
        """Wall time, for people who read the Lease."""
        ...

    def monotonic(self) -> float:
        """Seconds, for everything that is decided."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Durations in seconds; the first three are client-go's.

    look: how often a standby looks, which is what a takeover may be early by.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0
    look: float = 0.5


class Scope:
    """What acts lives here: started when the Lease is gained, cancelled when it is lost."""

    def __init__(self, loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """loops: by the names of their tasks; none of them may end by itself."""
        self._loops = loops
        self._gained, self._lost = asyncio.Event(), asyncio.Event()

    def led(self, leading: bool) -> None:
        """Be told by the elector; each tenure has an end of its own, however short it is."""
        if leading:
            self._lost = asyncio.Event()
            self._gained.set()
        else:
            self._gained.clear()
            self._lost.set()

    async def run(self) -> None:
        """Serve one tenure after the other until cancelled; ends as the first of its loops does."""
        while True:
            await self._gained.wait()
            await self._tenure(self._lost)

    async def _tenure(self, lost: asyncio.Event) -> None:
        acting = [asyncio.create_task(loop(), name=name) for name, loop in self._loops.items()]
        tasks = [asyncio.create_task(lost.wait()), *acting]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                await task  # raises what ended a loop
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Elector:
    """Holds a Lease for one identity, or waits for it."""

    def __init__(
        self,
        kube: KubeClient,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes = LeaseTimes(),
        on_change: Callable[[bool], None],
    ) -> None:
        self._kube, self._clock = kube, clock
        self._namespace, self._name, self._identity = namespace, name, identity
        self._times, self._on_change = times, on_change
        self._renewed: float | None = None
        self._seen: tuple[Any, float] | None = None  # another's record, and since when it may be
        self._looked: float | None = None
        self._announced = False

    @property
    def leading(self) -> bool:
        """Whether this identity leads at this very moment."""
        renewed = self._renewed
        return (
            renewed is not None and self._clock.monotonic() - renewed < self._times.renew_deadline
        )

    async def run(self) -> None:
        """Acquire and renew until cancelled."""
        while True:
            await self._attempt()
            self._announce()
            await self._clock.sleep(self._pause())
            self._announce()

    async def release(self) -> None:
        """Give the Lease back at shutdown, so that a standby need not wait."""
        was_leading, self._renewed = self.leading, None
        self._announce()
        if was_leading:
            try:
                lease = await self._kube.get(LEASES, self._namespace, self._name)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") == self._identity:
                    lease["spec"] = spec | {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._kube.replace(LEASES, self._namespace, lease)
            except ApiError as error:
                log.warning("lease not released", extra={"error": error.message})

    def _pause(self) -> float:
        """Seconds until the next attempt: a leader's renewal, a standby's look or its takeover."""
        if self.leading or self._seen is None:
            return self._times.retry
        runs_out = self._seen[1] + self._times.duration - self._clock.monotonic()
        return min(self._times.look, runs_out) if runs_out > 0 else self._times.look

    async def _attempt(self) -> None:
        asked = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._times.renew_deadline / 2):
                if await self._acquire_or_renew():
                    self._renewed = asked
        except Exception as error:  # noqa: BLE001 - whatever it is, the lease is not renewed
            log.warning("lease not renewed", extra={"error": str(error) or type(error).__name__})

    def _announce(self) -> None:
        if self.leading != self._announced:
            self._announced = self.leading
            log.info("leading" if self._announced else "not leading", extra={"lease": self._name})
            self._on_change(self._announced)

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except ApiError as error:
            if error.status != 404:
                raise
            await self._kube.create(LEASES, self._namespace, self._body())
            return True
        spec = lease.get("spec") or {}  # every field of a Lease is optional
        if not self._may_take(spec):
            return False
        taken = self._body()
        taken["metadata"] = lease["metadata"]
        count = int(spec.get("leaseTransitions") or 0)
        if spec.get("holderIdentity") == self._identity:
            acquired = spec.get("acquireTime") or taken["spec"]["acquireTime"]
            taken["spec"] |= {"acquireTime": acquired, "leaseTransitions": count}
        else:
            taken["spec"]["leaseTransitions"] = count + 1
        await self._kube.replace(LEASES, self._namespace, taken)
        return True

    def _may_take(self, spec: Object) -> bool:
        now, before = self._clock.monotonic(), self._looked
        self._looked = now
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen[0] != record:
            since = now if before is None else max(before, now - self._times.look)
            self._seen = (record, since)
        held_for = now - self._seen[1]
        return held_for >= float(spec.get("leaseDurationSeconds") or self._times.duration)

    def _body(self) -> Object:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": round(self._times.duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }
