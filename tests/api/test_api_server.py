"""The CRDs on a real API server: what it accepts, what it refuses and with which words."""

import json
from typing import Any
from uuid import uuid4

import pytest

from builders import a_job_body, a_job_spec, a_zone_body
from carbonaware_operator.api.job import CarbonAwareJob
from carbonaware_operator.planning.job import ScheduleDefaults, resolve
from carbonaware_operator.quantities.instants import parse_instant
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

FINISH = "2099-01-01T00:00:00Z"
WINDOW = {"start": "20:00", "end": "06:00"}


def a_manifest(name: str = "train", **fields: Any) -> dict[str, Any]:
    """A CarbonAwareJob as a user writes it."""
    body = a_job_body(name, **fields)
    return {**body, "metadata": {"name": name}}


def a_zone_manifest(**source: Any) -> dict[str, Any]:
    """A CarbonZone with this source."""
    body = a_zone_body()
    return {**body, "metadata": {"name": f"test-{uuid4().hex[:8]}"}, "spec": {"source": source}}


def dry_run(cluster: Cluster, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API server would store; raises KubectlError with its refusal."""
    answer = cluster.kubectl(
        "create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-",
        input=json.dumps(manifest),
    )  # fmt: skip
    stored: dict[str, Any] = json.loads(answer)
    return stored


def window(**fields: Any) -> dict[str, Any]:
    """A schedule with one window."""
    return {"schedule": {"windows": [WINDOW | fields]}}


BAD_JOBS = {
    "two deadlines": (
        {"schedule": {"maxDelay": "1h", "startBy": FINISH}}, "at most one of `maxDelay`"),
    "finishBy without expectedDuration": (
        {"schedule": {"finishBy": FINISH}}, "`expectedDuration`"),
    "preferred above the limit": (
        {"schedule": {"preferredGramsPerKWh": 300, "maxGramsPerKWh": 200}},
        "`preferredGramsPerKWh` at or below `maxGramsPerKWh`"),
    "a negative limit": ({"schedule": {"maxGramsPerKWh": -1}}, "spec.schedule.maxGramsPerKWh"),
    "a limit beyond any grid": (
        {"schedule": {"preferredGramsPerKWh": 5001}}, "spec.schedule.preferredGramsPerKWh"),
    "a limit that is a fraction": (
        {"schedule": {"maxGramsPerKWh": 1.5}}, "spec.schedule.maxGramsPerKWh"),
    "an hour that no day has": (window(start="25:00"), "spec.schedule.windows[0].start"),
    "a time without colon": (window(end="600"), "spec.schedule.windows[0].end"),
    "an unknown time zone": (
        window(timeZone="Europe/Atlantis"), "spec.schedule.windows[0].timeZone"),
    "the server's own time zone": (window(timeZone="Local"), "IANA time zone"),
    "an unknown day": (window(days=["Montag"]), "spec.schedule.windows[0].days[0]"),
    "a day twice": (window(days=["Mon", "Mon"]), "spec.schedule.windows[0].days"),
    "a duration without unit": ({"schedule": {"maxDelay": "5"}}, "spec.schedule.maxDelay"),
    "no duration at all": ({"schedule": {"maxDelay": "0s"}}, "longer than zero"),
    "a duration that no clock can count": (
        {"schedule": {"maxDelay": "9999999h"}}, "spec.schedule.maxDelay"),
    "a time to live of nothing": ({"ttlAfterFinished": "0h0m"}, "spec.ttlAfterFinished"),
    "an unknown strategy": ({"schedule": {"strategy": "Whenever"}}, "spec.schedule.strategy"),
    "an instant without offset": (
        {"schedule": {"earliestStart": "2099-01-01T00:00:00"}}, "spec.schedule.earliestStart"),
    "an instant in small letters, with which no rule can reckon": (
        {"schedule": {"startBy": "2099-01-01t00:00:00z"}}, "spec.schedule.startBy"),
    "an instant with an impossible offset": (
        {"schedule": {"earliestStart": "2099-01-01T00:00:00+30:70"}},
        "spec.schedule.earliestStart"),
    "an instant that only Go can read": (
        {"schedule": {"earliestStart": "2099-01-01T00:00:00x5Z"}}, "spec.schedule.earliestStart"),
    "the end of the calendar": (
        {"schedule": {"startBy": "9999-12-31T23:59:59-12:00"}}, "spec.schedule.startBy"),
    "the beginning of the calendar": (
        {"schedule": {"earliestStart": "0001-01-01T00:00:00Z"}}, "spec.schedule.earliestStart"),
    "a past deadline": (
        {"schedule": {"startBy": "2020-01-01T00:00:00Z"}},
        "`spec.schedule.startBy` must be in the future"),
    "a template without spec": ({"jobTemplate": {}}, "spec.jobTemplate.spec"),
    "an empty zone name": ({"zone": None, "zoneName": ""}, "spec.zoneName"),
}  # fmt: skip


class TestJobsThatAreRefused:
    @pytest.mark.parametrize(("fields", "words"), BAD_JOBS.values(), ids=BAD_JOBS)
    def test_with_a_message_that_names_the_field(self, cluster, namespace, fields, words):
        """The user learns at `kubectl apply` what must hold."""
        with pytest.raises(KubectlError) as refused:
            dry_run(cluster, namespace, a_manifest(**fields))

        assert words in str(refused.value)

    def test_with_a_name_that_is_no_label(self, cluster, namespace):
        """A name of 64 characters could not be a label of the child Job."""
        with pytest.raises(KubectlError, match="at most 63 characters"):
            dry_run(cluster, namespace, a_manifest("a" * 64))

    @pytest.mark.parametrize(
        "change",
        [{"parallelism": 2}, {"template": {"spec": {"restartPolicy": "OnFailure"}}}],
        ids=["a field more", "another pod"],
    )
    def test_with_a_changed_template(self, cluster, namespace, change):
        """What runs is fixed at creation."""
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))
        patch = json.dumps({"spec": {"jobTemplate": {"spec": change}}})

        with pytest.raises(KubectlError, match="must keep `jobTemplate` unchanged"):
            cluster.kubectl("patch", "-n", namespace, "caj", "train", "--type=merge", "-p", patch)


GOOD_JOBS = {
    "nothing but a template": {},
    "everything": {
        "schedule": {
            "strategy": "Threshold",
            "maxGramsPerKWh": 400,
            "preferredGramsPerKWh": 400,
            "expectedDuration": "4h30m",
            "earliestStart": "2098-12-01T00:00:00.123456789+01:00",
            "finishBy": FINISH,
            "windows": [
                WINDOW | {"days": ["Mon", "Sun"], "timeZone": "America/Argentina/Buenos_Aires"},
                WINDOW | {"timeZone": "UTC"},
                WINDOW | {"timeZone": "Etc/GMT+5"},
            ],
            "whenSignalMissing": "Hold",
            "whenDeadlineReached": "Fail",
        },
        "suspend": True,
        "ttlAfterFinished": "168h",
    },
    "limits at their ends": {"schedule": {"maxGramsPerKWh": 5000, "preferredGramsPerKWh": 0}},
    "32 windows": {"schedule": {"windows": [WINDOW] * 32}},
    "the longest duration": {"schedule": {"maxDelay": "2562047h"}},
    "a template that only the Job's own validation refuses": {
        "template": {"spec": a_job_spec(template={"metadata": "text"})}
    },
}


class TestJobsThatAreAccepted:
    @pytest.mark.parametrize("fields", GOOD_JOBS.values(), ids=GOOD_JOBS)
    def test_are_read_by_the_operator_as_they_were_written(self, cluster, namespace, fields):
        """Nothing that the API server stores is odd to the models, or loses a field in them."""
        stored = dry_run(cluster, namespace, a_manifest(**fields))

        read = CarbonAwareJob.model_validate(stored)

        written = read.spec.model_dump(by_alias=True, exclude_none=True, mode="json")
        assert stored["spec"] == written

    @pytest.mark.parametrize("fields", GOOD_JOBS.values(), ids=GOOD_JOBS)
    def test_can_be_planned(self, cluster, namespace, fields):
        """Windows, instants and durations that the API server lets through mean something."""
        stored = dry_run(cluster, namespace, a_manifest(**fields))
        created = parse_instant(stored["metadata"]["creationTimestamp"])

        resolved = resolve(
            CarbonAwareJob.model_validate(stored).spec.schedule, created, ScheduleDefaults()
        )

        assert resolved.windows.last_start(created, resolved.deadline)


STATIC = {"gramsPerKWh": 300}
RECORDING = {"file": "/recordings/de.csv"}
BAD_SOURCES = {
    "an empty source": ({}, "spec.source.type"),
    "a type without its member": ({"type": "Static"}, "member that `type` names"),
    "two members": (
        {"type": "Static", "static": STATIC, "recording": RECORDING}, "and no other"),
    "the member of another type": (
        {"type": "Recording", "static": STATIC}, "member that `type` names"),
    "an unknown type": ({"type": "Oracle"}, "spec.source.type"),
    "a negative intensity": (
        {"type": "Static", "static": {"gramsPerKWh": -1}}, "spec.source.static.gramsPerKWh"),
    "a recording from nowhere": (
        {"type": "Recording", "recording": {"speed": 2}}, "exactly one of `file`"),
    "a recording from two places": (
        {"type": "Recording",
         "recording": RECORDING | {"configMapRef": {"name": "a", "key": "b"}}},
        "exactly one of `file`"),
    "a recording that stands still": (
        {"type": "Recording", "recording": RECORDING | {"speed": 0}},
        "spec.source.recording.speed"),
    "a provider without key": (
        {"type": "ElectricityMaps", "electricityMaps": {"zone": "DE"}},
        "spec.source.electricityMaps.secretRef"),
}  # fmt: skip


class TestZones:
    @pytest.mark.parametrize(("source", "words"), BAD_SOURCES.values(), ids=BAD_SOURCES)
    def test_are_refused_with_a_message_that_names_the_field(
        self, cluster, namespace, source, words
    ):
        """Exactly the member that `type` names."""
        with pytest.raises(KubectlError) as refused:
            dry_run(cluster, namespace, a_zone_manifest(**source))

        assert words in str(refused.value)

    @pytest.mark.parametrize(
        "source",
        [
            {"type": "Static", "static": STATIC},
            {"type": "Recording", "recording": RECORDING | {"speed": 3600, "loop": True}},
            {
                "type": "ElectricityMaps",
                "electricityMaps": {"zone": "DE", "secretRef": {"name": "a", "key": "b"}},
            },
        ],
        ids=lambda source: source["type"],
    )
    def test_of_every_type_are_accepted(self, cluster, namespace, source):
        """One valid zone of each type."""
        assert source == dry_run(cluster, namespace, a_zone_manifest(**source))["spec"]["source"]


class TestKubectl:
    def test_explains_every_field_of_a_schedule(self, cluster):
        """What users ask first is answered in the terminal."""
        text = cluster.kubectl("explain", "caj.spec.schedule")

        assert "Not started above this average grid intensity" in text
        assert "<no description>" not in text

    def test_shows_state_reason_zone_and_start(self, cluster, namespace):
        """`kubectl get caj` answers why a job waits and until when."""
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))
        condition = {
            "type": "Released",
            "status": "False",
            "reason": "AboveMaxIntensity",
            "message": "above",
            "lastTransitionTime": FINISH,
        }
        status = {"zoneName": "de", "plan": {"startTime": FINISH}, "conditions": [condition]}
        cluster.kubectl(
            "patch", "-n", namespace, "caj", "train", "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip

        head, row = cluster.kubectl("get", "caj", "-n", namespace).splitlines()

        assert ["NAME", "RELEASED", "REASON", "COMPLETE", "ZONE", "START", "SAVED"] == (
            head.split()[:7]
        )
        assert ["train", "False", "AboveMaxIntensity", "de", FINISH] == row.split()

    def test_lists_all_kinds_by_category(self, cluster, namespace):
        """`kubectl get carbonaware` is everything of ours."""
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))

        assert "carbonawarejob.carbonaware.io/train" in cluster.kubectl(
            "get", "carbonaware", "-n", namespace, "-o", "name"
        )


class TestCronJobs:
    def test_lend_their_template(self, cluster, namespace):
        """A template moved over as `kubectl` prints it, `creationTimestamp: null` and all."""
        printed = cluster.kubectl(
            *("create", "cronjob", "nightly", "--image=busybox", "--schedule=@daily"),
            *("--dry-run=client", "-o", "json"),
        )
        template = json.loads(printed)["spec"]["jobTemplate"]
        assert "name" in template["metadata"]
        nulls = {"creationTimestamp": None, "finalizers": ["example.com/kept"]}
        template["metadata"] |= {"generateName": "a-", "namespace": "elsewhere", **nulls}

        dry_run(cluster, namespace, a_manifest(template=template))
