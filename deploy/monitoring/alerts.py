"""Alerts: each with a severity, how long it must hold, and what to tell whom it wakes."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody must look."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; its runbook is `docs/runbooks/<name>.md`."""

    name: str
    severity: Severity
    expr: str
    hold: str
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        """Where the runbook lies in the sources."""
        return f"docs/runbooks/{self.name}.md"


ALERTS = (
    Alert(
        name="CarbonAwareOperatorNotLeading",
        severity=Severity.CRITICAL,
        expr="max(carbonaware_leader) < 1 or absent(carbonaware_leader)",
        hold="3m",
        summary="No operator leads: no job is released",
        description="No replica of the operator has held the lease for 3 minutes, or none is "
        "scraped. Held jobs stay held, also past their deadlines; running jobs run on.",
    ),
    Alert(
        name="CarbonAwareJobOverdue",
        severity=Severity.WARNING,
        expr="-min by (namespace, zone) (carbonaware_job_next_deadline_seconds) > 120",
        hold="2m",
        summary="A job in {{ $labels.namespace }} is held past its deadline",
        description="A job in namespace {{ $labels.namespace }}, zone {{ $labels.zone }}, should "
        "have started {{ $value | humanizeDuration }} ago and is still held. The API server "
        "refuses its workload, or no operator leads.",
    ),
    Alert(
        name="CarbonAwareJobNearDeadline",
        severity=Severity.INFO,
        expr="min by (namespace, zone) (carbonaware_job_next_deadline_seconds) < 900 > 0",
        hold="2m",
        summary="A job in {{ $labels.namespace }} waits until shortly before its deadline",
        description="A held job in namespace {{ $labels.namespace }}, zone {{ $labels.zone }}, "
        "starts in {{ $value | humanizeDuration }} at the latest, whatever the grid. The grid was "
        "not clean enough for it so far.",
    ),
    Alert(
        name="CarbonAwareSignalStale",
        severity=Severity.WARNING,
        expr="max by (zone) (carbonaware_grid_signal_fresh) == 0",
        hold="30m",
        summary="Zone {{ $labels.zone }} has no fresh grid intensity",
        description="The source of zone {{ $labels.zone }} has given no usable value for 30 "
        "minutes. A fallback decides in its place, and emissions are estimated.",
    ),
    Alert(
        name="CarbonAwareForecastDrift",
        severity=Severity.INFO,
        expr="max by (zone) (carbonaware_grid_forecast_error_ratio) > 0.35",
        hold="6h",
        summary="Forecasts of zone {{ $labels.zone }} are off by {{ $value | humanizePercentage }}",
        description="The mean absolute error of the forecasts of zone {{ $labels.zone }} over the "
        "last weeks is {{ $value | humanizePercentage }} of what came. Planned starts are guesses.",
    ),
    Alert(
        name="CarbonAwareAgentDown",
        severity=Severity.WARNING,
        expr="up == 0 and on (job) group by (job) (carbonaware_agent_build_info)"
        " or absent(carbonaware_agent_build_info)",
        hold="15m",
        summary="{{ with $labels.instance }}The agent at {{ . }} does not answer"
        "{{ else }}No agent answers{{ end }}",
        description="An agent has not been scraped for 15 minutes, or there is none at all. "
        "The energy of its node reaches jobs late; from counters nothing is lost.",
    ),
    Alert(
        name="CarbonAwareAdmissionPolicyNotBound",
        severity=Severity.WARNING,
        expr="max by (policy) (carbonaware_admission_policy_bound) == 0",
        hold="15m",
        summary="Admission policy {{ $labels.policy }} guards nothing",
        description="The policy {{ $labels.policy }} is missing, not bound, or about another "
        "account. What it forbids is allowed until it is applied again.",
    ),
    Alert(
        name="CarbonAwareModelErrorHigh",
        severity=Severity.INFO,
        expr="count by (source) "
        "(max by (node, source) (carbonaware_agent_model_error_ratio) > 0.3)",
        hold="1h",
        summary="{{ $value }} nodes state an error above 30 % (source {{ $labels.source }})",
        description="The power of {{ $value }} nodes is modelled with a stated error above 30 %. "
        "A curve measured on a machine of the same kind brings it down.",
    ),
)
