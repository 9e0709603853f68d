"""`explain`: why a job is not running, by the very function that the operator decides with."""

from dataclasses import dataclass, replace
from typing import Any

from carbonaware_operator.api.reasons import ConditionType, HoldReason
from carbonaware_operator.cli.jobs import pods_document, used
from carbonaware_operator.cli.lookup import FoundJob, find_with_pods, find_zone
from carbonaware_operator.cli.outlooks import outlook_of
from carbonaware_operator.cli.rules import verdict
from carbonaware_operator.cli.states import Standing, standing, with_pods
from carbonaware_operator.cluster.kube import LEASES, ApiError, KubeClient
from carbonaware_operator.planning.decision import (
    Continue,
    Decision,
    Fail,
    Hold,
    Release,
    Resume,
    Suspend,
)
from carbonaware_operator.planning.outlook import Outlook, Signal
from carbonaware_operator.planning.progress import release_message
from carbonaware_operator.planning.rules import Finding, decide, findings
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant
from carbonaware_operator.store.jobs import JobRecord
from carbonaware_operator.store.status import applied_document

LEASE_NAME = "carbonaware-operator"
"""The default of the operator's `--lease-name`."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that answers "why is it not running?".

    decision: what decide() says now; None for a job that has ended, or whose zone is hidden.
    disagreement: how the status differs from that; None when the operator has acted on it.
    to_start: what would start a held job now.
    zone_hidden: the user may not read CarbonZones; nothing is decided then.
    last_seen: when the operator last renewed its Lease; None when that cannot be read.
    """

    job: FoundJob
    outlook: Outlook | None
    now: Instant
    standing: Standing
    decision: Decision | None
    findings: list[Finding]
    disagreement: str | None
    to_start: list[str]
    zone_hidden: bool = False
    last_seen: Instant | None = None

    @property
    def reason(self) -> str:
        """The reason in effect now: of the decision, else of the status."""
        if isinstance(self.decision, Hold | Release | Fail):
            return str(self.decision.reason)
        return self.standing.reason

    @property
    def filled_in(self) -> list[dict[str, str]]:
        """What the operator says that it filled in, by source, in the words of the API."""
        return [applied_document(defaults) for defaults in self.job.record.progress.applied]

    @property
    def message(self) -> str:
        """The same for people."""
        match self.decision:
            case Hold(_, message) | Fail(_, message):
                return message
            case Release(reason, basis):
                return f"to be started now: {release_message(reason, basis)}"
            case Suspend():
                return "to be suspended now: `suspend` is true"
            case Resume():
                return "to be resumed now: `suspend` is not set any more"
        return self.standing.message

    @property
    def since(self) -> Instant:
        """Since when the job is in this state."""
        condition = self.standing.condition
        return condition.since if condition else self.job.record.created


@dataclass(frozen=True, slots=True)
class _HiddenZone:
    """There may be a zone; this user may not read it."""


async def explain(
    kube: KubeClient, operator_namespace: str, namespace: str, name: str, now: Instant
) -> Explanation:
    """Read a job, its child Job and its zone, and decide on it. Raises CommandError, ApiError."""
    job = await find_with_pods(kube, namespace, name)
    outlook = await _outlook(kube, job.record.zone_name, now)
    if isinstance(outlook, _HiddenZone):
        return without_zone(job, now)
    explanation = explained(job, outlook, now)
    if explanation.disagreement is None:
        return explanation
    return replace(explanation, last_seen=await _last_seen(kube, operator_namespace))


async def _outlook(
    kube: KubeClient, zone_name: str | None, now: Instant
) -> Outlook | _HiddenZone | None:
    try:
        zone = await find_zone(kube, zone_name) if zone_name else None
    except ApiError as error:
        if error.status == 403:
            return _HiddenZone()
        raise
    return outlook_of(zone, now) if zone else None


async def _last_seen(kube: KubeClient, operator_namespace: str) -> Instant | None:
    """When the operator last renewed its Lease, where that may be read."""
    try:
        lease = await kube.get(LEASES, operator_namespace, LEASE_NAME)
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    renewed = (lease.get("spec") or {}).get("renewTime")
    return parse_instant(renewed) if renewed else None


def without_zone(job: FoundJob, now: Instant) -> Explanation:
    """What is left to say to a user who may not read zones: what the operator wrote. Pure."""
    record = job.record
    waits = record.child is None and not record.progress.ended
    release = f"kubectl carbonaware release {record.name} -n {record.namespace}"
    return Explanation(
        job=job,
        outlook=None,
        now=now,
        standing=with_pods(standing(record.progress), job.startup),
        decision=None,
        findings=[],
        disagreement=None,
        to_start=[release] if waits and not record.suspend else [],
        zone_hidden=True,
    )


def explained(job: FoundJob, outlook: Outlook | None, now: Instant) -> Explanation:
    """Decide on a job and account for the decision. Pure."""
    record = job.record
    situation = record.situation(outlook, now)
    decision = None if record.progress.ended else decide(situation)
    waits = decision is not None and record.child is None and record.progress.workload is None
    return Explanation(
        job=job,
        outlook=outlook,
        now=now,
        standing=with_pods(standing(record.progress), job.startup),
        decision=decision,
        findings=findings(situation) if waits else [],
        disagreement=_disagreement(record, decision),
        to_start=_to_start(record, outlook, decision),
    )


def _disagreement(record: JobRecord, decision: Decision | None) -> str | None:
    """What the operator has not acted on, from what it wrote."""
    if decision is None:
        return None
    if record.progress.condition(ConditionType.RELEASED) is None:
        return "the operator has not looked at this job yet"
    if record.progress.generation != record.generation:
        return "the operator has not seen the last change of the spec yet"
    if _acted_on(record, decision):
        return None
    now_standing = standing(record.progress)
    said = f"{now_standing.state} ({now_standing.reason})"
    if record.child and record.child.ending:
        return f"the child Job has ended, and the status still says {said}"
    return f"by the rules it is to be {_done(decision)} now, and the status still says {said}"


def _acted_on(record: JobRecord, decision: Decision) -> bool:
    released = record.progress.condition(ConditionType.RELEASED)
    child = record.child
    if released is None or (child and child.ending):
        return False
    match decision:
        case Hold(reason):
            stopping = child is not None and not child.stopped
            return stopping or (not released.status and released.reason == reason)
        case Continue():
            return released.status
        case _:
            return False


def _done(decision: Decision) -> str:
    match decision:
        case Hold(reason):
            return f"held ({reason})"
        case Release(reason):
            return f"started ({reason})"
        case Fail(reason):
            return f"failed ({reason})"
        case Suspend():
            return "suspended"
        case Resume():
            return "resumed"
        case Continue():
            return "running"


def _to_start(record: JobRecord, outlook: Outlook | None, decision: Decision | None) -> list[str]:
    """What a user can do to start a held job at once, the safest first."""
    if not isinstance(decision, Hold):
        return []
    where = f"{record.name} -n {record.namespace}"
    release = f"kubectl carbonaware release {where}"
    match decision.reason:
        case HoldReason.SUSPENDED_BY_USER:
            return [f"kubectl carbonaware resume {where}"]
        case HoldReason.INVALID_WORKLOAD:
            return ["what the API server asks for above; a template is changed in a new job only"]
        case HoldReason.NAME_TAKEN:
            return [f"kubectl delete job {where}, if it is not needed"]
        case HoldReason.QUOTA_EXCEEDED:
            return [f"room in the quota of namespace {record.namespace}"]
        case HoldReason.ABOVE_MAX_INTENSITY if outlook:
            enough = -(-outlook.in_effect // 1000)
            return [release, f"`maxGramsPerKWh` of at least {enough}"]
        case HoldReason.SIGNAL_MISSING:
            return [release, "`whenSignalMissing: Start`"]
        case HoldReason.NO_ZONE:
            return [release, f"a CarbonZone {record.zone_name or 'and its name in `zoneName`'}"]
    return [release]


def document(explanation: Explanation) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    record = explanation.job.record
    return {
        "namespace": record.namespace,
        "name": record.name,
        "state": explanation.standing.state.value,
        "reason": explanation.reason or None,
        "message": explanation.message or None,
        "since": format_instant(explanation.since),
        "decision": _decision_document(explanation.decision),
        "deadline": format_instant(record.schedule.deadline),
        "appliedDefaults": explanation.filled_in,
        "rules": [
            {"rule": f.rule, "verdict": verdict(f).value, "fact": f.fact}
            for f in explanation.findings
        ],
        "toStartNow": explanation.to_start,
        "disagreement": explanation.disagreement,
        "operatorLastSeenTime": (
            format_instant(explanation.last_seen) if explanation.last_seen else None
        ),
        "zone": _zone_document(record.zone_name, explanation),
        "childJob": {"name": record.child.name, **explanation.job.pods} if record.child else None,
        "pods": pods_document(explanation.job.startup),
        "used": used(explanation.job.status),
    }


def _decision_document(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    planned = decision.until if isinstance(decision, Hold) else None
    review = decision.review if isinstance(decision, Hold) else None
    return {
        "action": type(decision).__name__,
        "plannedStartTime": format_instant(planned) if planned else None,
        "reviewTime": format_instant(review) if review else None,
    }


def _zone_document(name: str | None, explanation: Explanation) -> dict[str, Any] | None:
    outlook = explanation.outlook
    if name is None:
        return None
    current = outlook.current if outlook else None
    signal = current if isinstance(current, Signal) else None
    return {
        "name": name,
        "exists": None if explanation.zone_hidden else outlook is not None,
        "fresh": signal is not None,
        "milligramsPerKWh": signal.intensity if signal else None,
        "source": signal.source if signal else None,
        "observedTime": format_instant(signal.observed) if signal else None,
        "fallbackMilligramsPerKWh": outlook.fallback.intensity if outlook else None,
    }
