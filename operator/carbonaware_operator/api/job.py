"""CarbonAwareJob: a Job that is started when the grid is clean, and accounted for."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from carbonaware_operator.api.daily import Daily
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.api.reasons import State
from carbonaware_operator.api.schema import (
    ATOMIC_LIST,
    Conditions,
    Count64,
    Duration,
    GivenTimestamp,
    GramsPerKWh,
    Int64,
    Name,
    Percent,
    Schema,
    ShortText,
    Timestamp,
    rule,
    rules,
)
from carbonaware_operator.quantities.durations import PATTERN as DURATION_PATTERN


class Strategy(StrEnum):
    """How the start is chosen."""

    THRESHOLD = "Threshold"
    IMMEDIATE = "Immediate"


class WhenSignalMissing(StrEnum):
    """What to do without a usable signal."""

    USE_FALLBACK = "UseFallback"
    START = "Start"
    HOLD = "Hold"


class WhenDeadlineReached(StrEnum):
    """What to do at the latest start."""

    START = "Start"
    FAIL = "Fail"


class Window(Daily):
    """A time of day, on some days, in which a job may start."""


class Schedule(Schema):
    """When the job may start."""

    model_config = rules(
        rule(
            "[has(self.maxDelay), has(self.startBy), has(self.finishBy)].filter(x, x).size() <= 1",
            "must have at most one of `maxDelay`, `startBy` and `finishBy`",
        ),
        rule(
            "!has(self.finishBy) || has(self.expectedDuration)",
            "must have `expectedDuration` when `finishBy` is set",
        ),
        rule(
            "!has(self.preferredGramsPerKWh) || !has(self.maxGramsPerKWh)"
            " || self.preferredGramsPerKWh <= self.maxGramsPerKWh",
            "must have `preferredGramsPerKWh` at or below `maxGramsPerKWh`",
        ),
        rule(
            "!has(self.strategy) || self.strategy != 'Immediate'"
            " || !(has(self.maxGramsPerKWh) || has(self.preferredGramsPerKWh))",
            "must have no `maxGramsPerKWh` and no `preferredGramsPerKWh` with strategy Immediate,"
            " which starts whatever the grid; leave `strategy` out to have them kept",
        ),
        rule(
            "!has(self.earliestStart) || !has(self.startBy)"
            " || timestamp(self.earliestStart) <= timestamp(self.startBy)",
            "must have `earliestStart` at or before `startBy`",
        ),
        rule(
            "!has(self.earliestStart) || !has(self.finishBy) || !has(self.expectedDuration)"
            " || timestamp(self.earliestStart) + duration(self.expectedDuration)"
            " <= timestamp(self.finishBy)",
            "must have `earliestStart` plus `expectedDuration` at or before `finishBy`",
        ),
    )

    strategy: Annotated[
        Strategy | None,
        Field(
            description="Threshold starts when the grid is at or below `maxGramsPerKWh`; Immediate"
            " starts in the first window whatever the grid. Default: Threshold."
        ),
    ] = None
    max_grams_per_kwh: Annotated[
        GramsPerKWh | None,
        Field(
            alias="maxGramsPerKWh",
            description="Not started above this average grid intensity, gCO2e/kWh, before the"
            " deadline.",
        ),
    ] = None
    preferred_grams_per_kwh: Annotated[
        GramsPerKWh | None,
        Field(
            alias="preferredGramsPerKWh",
            description="Started at once at or below this average grid intensity, gCO2e/kWh.",
        ),
    ] = None
    expected_duration: Annotated[
        Duration | None, Field(description="How long the job is expected to run, such as 4h30m.")
    ] = None
    earliest_start: Annotated[
        GivenTimestamp | None,
        Field(description="Not started before this instant, such as 2026-12-01T08:00:00+01:00."),
    ] = None
    max_delay: Annotated[
        Duration | None,
        Field(
            description="Latest start, such as 12h, counted from creation or `earliestStart`,"
            " whichever is later. At most one of `maxDelay`, `startBy` and `finishBy`. Default: the"
            " operator's, 24h."
        ),
    ] = None
    start_by: Annotated[
        GivenTimestamp | None,
        Field(description="Latest start, such as 2026-12-02T08:00:00+01:00."),
    ] = None
    finish_by: Annotated[
        GivenTimestamp | None,
        Field(
            description="Latest end, such as 2026-12-02T18:00:00+01:00; needs `expectedDuration`."
        ),
    ] = None
    windows: Annotated[
        list[Window] | None,
        Field(
            max_length=32,
            description="The job starts only inside one of these; always when empty.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = None
    when_signal_missing: Annotated[
        WhenSignalMissing | None,
        Field(
            description="Without a fresh intensity: UseFallback decides on the zone's fallback"
            " value, Start starts, Hold waits (until the deadline). Default: UseFallback."
        ),
    ] = None
    when_deadline_reached: Annotated[
        WhenDeadlineReached | None,
        Field(
            description="At the latest start: Start starts whatever the grid, Fail ends the job as"
            " failed. Default: Start."
        ),
    ] = None


_IGNORED = "As in a CronJob, accepted and ignored."


class TemplateMetadata(Schema):
    """Metadata of the child Job; what else a CronJob's template may say of it is ignored."""

    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]] | None,
        Field(max_length=64, description="Labels of the child Job."),
    ] = None
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=65536)]] | None,
        Field(max_length=64, description="Annotations of the child Job."),
    ] = None
    name: Annotated[str | None, Field(max_length=253, description=_IGNORED)] = None
    generate_name: Annotated[str | None, Field(max_length=253, description=_IGNORED)] = None
    namespace: Annotated[str | None, Field(max_length=253, description=_IGNORED)] = None
    finalizers: Annotated[
        list[Annotated[str, Field(max_length=253)]] | None,
        Field(max_length=64, description=_IGNORED, json_schema_extra=ATOMIC_LIST),
    ] = None
    creation_timestamp: Annotated[
        str | None,
        # Printers of manifests write `creationTimestamp: null`.
        Field(max_length=64, description=_IGNORED, json_schema_extra={"nullable": True}),
    ] = None


class JobTemplate(Schema):
    """The batch/v1 Job to create at release, as in a CronJob."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    metadata: Annotated[
        TemplateMetadata | None, Field(description="Metadata of the child Job, as in a CronJob.")
    ] = None
    spec: Annotated[
        dict[str, Any],
        Field(
            description="Spec of the batch/v1 Job; the API server checks it by a dry run. Its"
            " `suspend` is left out: the CarbonAwareJob has one; its `ttlSecondsAfterFinished`"
            " counts as `ttlAfterFinished` where that is not set.",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ]


class CarbonAwareJobSpec(Schema):
    """What to run and when."""

    model_config = rules(
        rule(
            "self.jobTemplate == oldSelf.jobTemplate",
            "must keep `jobTemplate` unchanged; delete the job and create another",
        )
    )

    job_template: Annotated[JobTemplate, Field(description="The Job to run. It cannot be changed.")]
    zone_name: Annotated[
        Name | None,
        Field(
            description="The CarbonZone whose grid the job waits for. Default: the operator's"
            " default zone."
        ),
    ] = None
    suspend: Annotated[
        bool | None,
        Field(
            description="The user's own hold: it wins over everything, and suspends a running job."
        ),
    ] = None
    schedule: Annotated[Schedule | None, Field(description="When the job may start.")] = None
    ttl_after_finished: Annotated[
        Duration | None,
        Field(
            description="How long the finished job and its record are kept, such as 168h, and until"
            " its energy is settled. Default: the template's `ttlSecondsAfterFinished`, else for"
            " ever."
        ),
    ] = None


# Read leniently: what a newer operator filled in must not make a job unreadable to an older one.
_Word = Annotated[str, Field(max_length=64)]


class Plan(Schema):
    """What a held job waits for."""

    start_time: Annotated[
        Timestamp | None,
        Field(
            description="When it starts by what is known now: at `earliestStart`, at the next"
            " opening of a window, else at the latest."
        ),
    ] = None
    latest_start_time: Annotated[
        Timestamp | None,
        Field(
            description="When it starts, or fails, at the latest: the last instant inside a window"
            " that meets the deadline."
        ),
    ] = None


class AppliedDefaults(Schema):
    """What one source filled in where the job says nothing."""

    source: Annotated[str, Field(max_length=64, description="Settings: those of the operator.")]
    zone_name: Annotated[Name | None, Field(description="`zoneName`.")] = None
    strategy: Annotated[_Word | None, Field(description="`strategy`.")] = None
    max_delay: Annotated[
        str | None,
        Field(max_length=32, pattern=DURATION_PATTERN, description="`maxDelay`."),
    ] = None
    when_signal_missing: Annotated[_Word | None, Field(description="`whenSignalMissing`.")] = None
    when_deadline_reached: Annotated[_Word | None, Field(description="`whenDeadlineReached`.")] = (
        None
    )


class WorkloadReference(Schema):
    """The object that runs the job."""

    api_version: Annotated[Name, Field(description="Its API version.")]
    kind: Annotated[Name, Field(description="Its kind.")]
    name: Annotated[Name, Field(description="Its name.")]
    uid: Annotated[Name, Field(description="Its uid: it is never created a second time.")]


class Shift(Schema):
    """From when on the run is compared with one that began earlier by so much."""

    from_time: Annotated[Timestamp, Field(description="The start or resumption.")]
    seconds: Annotated[
        Count64, Field(description="Seconds by which run-at-once would have been earlier.")
    ]


class Summary(Schema):
    """Sums for people, with units."""

    energy: Annotated[ShortText | None, Field(description="Energy used.")] = None
    emissions: Annotated[ShortText | None, Field(description="Emissions, CO2e.")] = None
    avoided: Annotated[
        ShortText | None, Field(description="Emissions avoided against running at once.")
    ] = None


class CarbonAwareJobStatus(Schema):
    """What the operator decided and measured."""

    state: Annotated[
        State | None,
        Field(description="How far the job has come; Starting: no pod has been ready yet."),
    ] = None
    reason: Annotated[
        ShortText | None,
        Field(
            description="Why it is in this state: the reason of the newest condition, or of"
            " its pods."
        ),
    ] = None
    observed_generation: Annotated[
        Count64 | None, Field(description="The generation of the spec last acted on.")
    ] = None
    zone_name: Annotated[Name | None, Field(description="The CarbonZone in effect.")] = None
    deadline: Annotated[Timestamp | None, Field(description="The latest start in effect.")] = None
    applied_defaults: Annotated[
        list[AppliedDefaults] | None,
        Field(
            max_length=4,
            description="What holds that the job does not say, by who filled it in.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = None
    conditions: Annotated[
        Conditions | None,
        Field(description="Released, Complete and Failed, with reasons."),
    ] = None
    plan: Annotated[Plan | None, Field(description="What a held job waits for.")] = None
    workload: Annotated[
        WorkloadReference | None, Field(description="The child Job, once created.")
    ] = None
    handled_release_request: Annotated[
        ShortText | None,
        Field(description="The last token of `carbonaware.io/release-requested` acted on."),
    ] = None
    baseline_start_time: Annotated[
        Timestamp | None,
        Field(description="When run-at-once would have started: the baseline begins here."),
    ] = None
    stalled_time: Annotated[
        Timestamp | None,
        Field(
            description="Since when something other than the grid keeps it from starting, such as a"
            " full quota; `baselineStartTime` moves by it, so that it counts as no saving."
        ),
    ] = None
    shifts: Annotated[
        list[Shift] | None,
        Field(
            max_length=256,
            description="By how much each stretch of the run is later than run-at-once.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = None
    suspended_time: Annotated[
        Timestamp | None, Field(description="Since when a started job is suspended.")
    ] = None
    suspended_by: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Whose suspension that is: User, or Other, which is left alone.",
        ),
    ] = None
    suspended_seconds: Annotated[
        Count64 | None, Field(description="Seconds of its suspensions that are over.")
    ] = None
    released_time: Annotated[Timestamp | None, Field(description="When it was started.")] = None
    finished_time: Annotated[Timestamp | None, Field(description="When it ended.")] = None
    held_seconds: Annotated[
        Count64 | None, Field(description="Seconds from creation to the start or the end.")
    ] = None
    run_seconds: Annotated[
        Count64 | None, Field(description="Seconds it ran, suspensions left out.")
    ] = None
    energy_joules: Annotated[Count64 | None, Field(description="Energy used, in joules.")] = None
    emissions_milligrams: Annotated[
        Count64 | None, Field(description="Emissions of the priced energy, in mgCO2e.")
    ] = None
    baseline_emissions_milligrams: Annotated[
        Count64 | None,
        Field(description="What the compared energy would have emitted at once, in mgCO2e."),
    ] = None
    avoided_emissions_milligrams: Annotated[
        Int64 | None,
        Field(description="Baseline less emissions of the compared energy, in mgCO2e."),
    ] = None
    avoided_percent: Annotated[
        Int64 | None, Field(description="Avoided emissions as a percentage of the baseline.")
    ] = None
    priced_percent: Annotated[
        Percent | None, Field(description="Share of the energy that has a grid intensity.")
    ] = None
    compared_percent: Annotated[
        Percent | None,
        Field(description="Share of the energy whose baseline hour has a grid intensity."),
    ] = None
    estimated_percent: Annotated[
        Percent | None, Field(description="Share of the energy priced with an estimate.")
    ] = None
    energy_method: Annotated[
        str | None,
        Field(
            description="How the energy is known.",
            json_schema_extra={"enum": ["Measured", "Modelled", "Mixed"]},
        ),
    ] = None
    summary: Annotated[Summary | None, Field(description="Sums for people.")] = None
    ledger: Annotated[
        Ledger | None, Field(description="The account from which the sums are made.")
    ] = None


class CarbonAwareJob(Schema):
    """Runs a Job when the grid is clean, and accounts for what it used."""

    model_config = rules(
        rule("self.metadata.name.size() <= 63", "must have a name of at most 63 characters"),
    )

    spec: Annotated[CarbonAwareJobSpec, Field(description="What to run and when.")]
    status: Annotated[
        CarbonAwareJobStatus | None, Field(description="What the operator decided and measured.")
    ] = None
