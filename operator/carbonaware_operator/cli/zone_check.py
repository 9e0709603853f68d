"""`zones check`: ask the providers of a zone, and say what its keys may do or what to change."""

import asyncio
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.sources import SignalKind, Source
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.lookup import find_zone
from carbonaware_operator.cli.output import print_line
from carbonaware_operator.cluster.kube import KubeClient
from carbonaware_operator.cluster.zones import ZoneObjects
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.provider import Access, Checks
from carbonaware_operator.grid.sources import (
    OF_A_USER,
    marginal_provider,
    provider,
    reference,
    signal_of,
)
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class Check:
    """What came of asking one source of a zone: `access`, or the `error` that says what to change.

    field: which one it is in the zone's spec.
    """

    field: str
    source: Source
    access: Access | None = None
    error: SignalError | None = None


async def check(kube: KubeClient, operator_namespace: str, name: str) -> list[Check]:
    """Ask every source of a zone. Raises CommandError: there is no such zone; ApiError."""
    zone = await find_zone(kube, name)
    if zone is None:
        raise CommandError(f"there is no CarbonZone {name}; `kubectl carbonaware zones` shows all")
    objects = ZoneObjects(kube, operator_namespace, reader="you")
    spec = {"source": zone.spec.source, "accountingSource": zone.spec.accounting_source}
    return [
        await _checked(objects, field, source, zone.created)
        for field, source in spec.items()
        if source
    ]


async def _checked(objects: ZoneObjects, field: str, source: Source, created: Instant) -> Check:
    try:
        ref = reference(source)
        texts = await objects.texts(ref) if ref else {}
        return Check(field, source, access=await asyncio.to_thread(_ask, source, created, texts))
    except SignalError as error:
        return Check(field, source, error=error)


def _ask(source: Source, created: Instant, texts: dict[str, str]) -> Access:
    asked: Checks
    if signal_of(source) is SignalKind.MARGINAL:
        asked = marginal_provider(source, texts=texts, permissions=OF_A_USER)
    else:
        asked = provider(source, created=created, texts=texts, permissions=OF_A_USER)
    return asked.check()


def document(checks: list[Check]) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {
        "items": [
            {
                "field": check.field,
                "type": check.source.type.value,
                "signal": signal_of(check.source).value,
                "ok": check.error is None,
                "reason": check.error.reason.value if check.error else None,
                "message": str(check.error) if check.error else None,
                "allowed": list(check.access.allowed) if check.access else [],
                "limits": list(check.access.limits) if check.access else [],
            }
            for check in checks
        ]
    }


def print_check(check: Check) -> None:
    """Write what came of asking one source, a line for each thing it may do or lacks."""
    kind = signal_of(check.source).value.lower()
    print_line(f"{check.field}: {check.source.type}, {kind} intensity")
    if check.error:
        print_line(f"  fails   {check.error.reason}: {check.error}")
    for phrase in check.access.allowed if check.access else ():
        print_line(f"  ok      {phrase}")
    for phrase in check.access.limits if check.access else ():
        print_line(f"  limit   {phrase}")
