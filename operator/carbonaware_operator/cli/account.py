"""An explanation as lines for people."""

from datetime import timedelta

from carbonaware_operator.api.job import WhenDeadlineReached
from carbonaware_operator.api.reasons import REFUSALS, HoldReason, State
from carbonaware_operator.cli.explain import Explanation
from carbonaware_operator.cli.output import print_line, print_table
from carbonaware_operator.cli.rules import verdict
from carbonaware_operator.kinds.pods import Startup
from carbonaware_operator.planning.decision import Hold
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.spans import exact, relative, span
from carbonaware_operator.store.jobs import JobRecord

_STARTED = (State.STARTING, State.RUNNING)
_OF_PODS = (*_STARTED, State.FAILED)

OPERATOR_HINT = (
    "It has yet to act, or it is not running. Its Lease, renewed every two seconds, says which:"
    " kubectl get lease carbonaware-operator -n {namespace} -o jsonpath='{{.spec.renewTime}}'"
)
ALIVE_SECONDS = 15
"""The Lease's duration: an operator that has not renewed it for longer does not lead."""


def print_explanation(explanation: Explanation, operator_namespace: str) -> None:
    """Write the answer to stdout: the answer itself first, then what it rests on."""
    print_table((), _summary(explanation))
    if explanation.disagreement:
        print_line()
        print_line(f"Not acted on: {explanation.disagreement}.")
        print_line(_operator(explanation, operator_namespace))
    if explanation.findings:
        print_line()
        print_line("Rules, in the order in which they are asked:")
        rows = [(verdict(f).value, f.rule, f.fact) for f in explanation.findings]
        print_table((), rows, indent=2)
    if explanation.to_start:
        print_line()
        print_line("To start it now, any of:")
        for way in explanation.to_start:
            print_line(f"  {way}")


def _operator(explanation: Explanation, operator_namespace: str) -> str:
    """Whether the operator is there, by its Lease; else how to find out."""
    seen, now = explanation.last_seen, explanation.now
    if seen is None:
        return OPERATOR_HINT.format(namespace=operator_namespace)
    alive = (now - seen).total_seconds() <= ALIVE_SECONDS
    verdict = "it has yet to act" if alive else "it does not seem to be running"
    return f"The operator was last seen {relative(seen, now)}: {verdict}."


def _summary(explanation: Explanation) -> list[tuple[str, str]]:
    record, state, now = explanation.job.record, explanation.standing.state, explanation.now
    cause = explanation.standing.cause if state in _OF_PODS else explanation.reason
    reason = f", {cause}" if cause else ""
    rows = [("Job:", f"{record.namespace}/{record.name}"), ("State:", f"{state}{reason}")]
    if explanation.message:
        rows.append(("Why:", explanation.message))
    rows.append(("Since:", exact(explanation.since, now)))
    if isinstance(explanation.decision, Hold):
        rows.append(("Until:", _until(explanation, explanation.decision)))
    if record.child:
        rows += [("Child Job:", _child(explanation)), *_pods(explanation.job.startup)]
        rows.append(("Logs:", _logs(record)))
    if explanation.zone_hidden:
        rows.append(
            ("Zone:", f"you may not read CarbonZone {record.zone_name}: no rules are shown")
        )
    rows += [("Filled in:", _filled_in(defaults)) for defaults in explanation.filled_in]
    rows.append(("Used:", ", ".join(_used(explanation))))
    return rows


def _until(explanation: Explanation, hold: Hold) -> str:
    schedule, now = explanation.job.record.schedule, explanation.now
    if hold.reason is HoldReason.SUSPENDED_BY_USER:
        return "`suspend` is false"
    if hold.until and hold.until > now:
        return f"{exact(hold.until, now)}, unless something starts it earlier"
    if hold.reason in REFUSALS:
        return "the API server accepts its workload"
    if schedule.when_deadline_reached is WhenDeadlineReached.FAIL and hold.review:
        return f"the grid allows it; fails at {exact(hold.review, now)} otherwise"
    return "not known"


def _filled_in(defaults: dict[str, str]) -> str:
    """What the job does not say, and who says it instead."""
    said = [f"{name} {value}" for name, value in defaults.items() if name != "source"]
    return f"{', '.join(said)} ({defaults['source']})"


def _child(explanation: Explanation) -> str:
    child, pods = explanation.job.record.child, explanation.job.pods
    counts = ", ".join(f"{number} {name}" for name, number in pods.items() if number)
    return f"{child.name if child else ''} ({counts or 'no pods'})"


def _pods(startup: Startup | None) -> list[tuple[str, str]]:
    """What they lack, in Kubernetes' own words."""
    if startup is None or not startup.reason:
        return []
    ready = f"{startup.ready} ready; " if startup.ready else ""
    return [("Pods:", f"{ready}{startup.reason}: {startup.message}".rstrip(": "))]


def _logs(record: JobRecord) -> str:
    noted = record.progress.workload
    name = noted.name if noted else record.name
    return f"kubectl logs job/{name} --tail=50 -n {record.namespace}"


def _used(explanation: Explanation) -> list[str]:
    """Waiting and running time, and what was measured."""
    status, summary = explanation.job.status, explanation.job.status.summary
    parts = [f"held {_held(explanation)}"]
    if status.run_seconds is not None:
        parts.append(f"ran {span(timedelta(seconds=status.run_seconds))}")
    elif status.released_time and explanation.standing.state in _STARTED:
        parts.append(f"started {relative(_released(explanation), explanation.now)}")
    if summary and summary.energy:
        method = f" ({status.energy_method})" if status.energy_method else ""
        parts.append(f"{summary.energy}{method}")
        parts.append(f"{summary.emissions} CO2e" if summary.emissions else _unpriced(explanation))
        parts += [_compared(summary.avoided)] if summary.avoided else []
    else:
        parts.append("no energy recorded yet")
    return parts


def _unpriced(explanation: Explanation) -> str:
    """Why energy has no emissions."""
    zone = explanation.job.record.zone_name
    if zone is None:
        return "not priced: no zone is named, and the operator has no default zone"
    if explanation.outlook is None and not explanation.zone_hidden:
        return f"not priced: there is no CarbonZone {zone}"
    return f"not priced yet: CarbonZone {zone} has no intensity for these hours"


def _compared(avoided: str) -> str:
    return f"{avoided} than at once" if avoided.endswith(" more") else f"{avoided} saved"


def _held(explanation: Explanation) -> str:
    recorded = explanation.job.status.held_seconds
    if recorded is not None:
        return span(timedelta(seconds=recorded))
    return span(explanation.now - explanation.job.record.created)


def _released(explanation: Explanation) -> Instant:
    return explanation.job.record.progress.released or explanation.now
