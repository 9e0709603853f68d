"""The CRDs on a real API server: what it accepts, what it refuses and with which words."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from builders import a_job_body, a_job_spec, a_zone_body
from carbonaware_operator.api.job import CarbonAwareJob
from carbonaware_operator.planning.resolve import SETTINGS, given_of, resolve
from carbonaware_operator.quantities.instants import format_instant, parse_instant
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
    "an hour that no day has": (window(start="25:00"), "a time of day such as 20:00"),
    "a time without colon": (window(end="600"), "a time of day such as 20:00"),
    "an unknown time zone": (
        window(timeZone="Europe/Atlantis"), "spec.schedule.windows[0].timeZone"),
    "the server's own time zone": (window(timeZone="Local"), "IANA time zone"),
    "an unknown day": (window(days=["Montag"]), "spec.schedule.windows[0].days[0]"),
    "a day twice": (window(days=["Mon", "Mon"]), "spec.schedule.windows[0].days"),
    "a duration without unit": (
        {"schedule": {"maxDelay": "5"}}, "a duration longer than zero, such as 2h30m"),
    "a duration in words": ({"schedule": {"maxDelay": "one day"}}, "such as 2h30m"),
    "no duration at all": ({"schedule": {"maxDelay": "0s"}}, "longer than zero"),
    "a duration that no clock can count": (
        {"schedule": {"maxDelay": "9999999h"}}, "spec.schedule.maxDelay"),
    "a time to live of nothing": ({"ttlAfterFinished": "0h0m"}, "spec.ttlAfterFinished"),
    "an unknown strategy": ({"schedule": {"strategy": "Whenever"}}, "spec.schedule.strategy"),
    "an instant without offset": (
        {"schedule": {"earliestStart": "2099-01-01T00:00:00"}},
        "such as 2026-12-01T08:00:00+01:00"),
    "a day without time": (
        {"schedule": {"startBy": "2099-01-01"}}, "such as 2026-12-01T08:00:00+01:00"),
    "a month that no year has": (
        {"schedule": {"startBy": "2099-13-01T00:00:00Z"}}, "such as 2026-12-01T08:00:00+01:00"),
    "a day that no month has": (
        {"schedule": {"startBy": "2099-02-30T00:00:00Z"}}, "spec.schedule.startBy"),
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
    "Immediate with a limit": (
        {"schedule": {"strategy": "Immediate", "maxGramsPerKWh": 20}},
        "no `maxGramsPerKWh` and no `preferredGramsPerKWh` with strategy Immediate"),
    "Immediate with a preference": (
        {"schedule": {"strategy": "Immediate", "preferredGramsPerKWh": 20}},
        "with strategy Immediate"),
    "a latest start before the earliest": (
        {"schedule": {"earliestStart": FINISH, "startBy": "2098-12-31T23:59:59Z"}},
        "`earliestStart` at or before `startBy`"),
    "an end that the earliest start leaves no time for": (
        {"schedule": {"earliestStart": "2098-12-31T23:00:00Z", "finishBy": FINISH,
                      "expectedDuration": "2h"}},
        "`earliestStart` plus `expectedDuration` at or before `finishBy`"),
    "a template without spec": ({"jobTemplate": {}}, "spec.jobTemplate.spec"),
    "an empty zone name": ({"zone": None, "zoneName": ""}, "spec.zoneName"),
}  # fmt: skip


CONTAINER = {"name": "main", "image": "local/busybox:1"}
BAD_PODS = {
    "no pod at all": (None, "`restartPolicy` must be Never or OnFailure, such as"),
    "no restartPolicy": ({"containers": [CONTAINER]}, "`restartPolicy` must be Never or OnFailure"),
    "a pod that is started for ever": (
        {"restartPolicy": "Always", "containers": [CONTAINER]},
        "`restartPolicy` must be Never or OnFailure"),
    "no containers": ({"restartPolicy": "Never"}, "must have containers, such as"),
    "an empty list of containers": (
        {"restartPolicy": "Never", "containers": []}, "must have containers, such as"),
    "a container without name": (
        {"restartPolicy": "Never", "containers": [{"image": "busybox"}]},
        "must have a `name` and an `image`, such as"),
    "a container whose image is misspelt": (
        {"restartPolicy": "Never", "containers": [CONTAINER, {"name": "b", "imag": "busybox"}]},
        "must have a `name` and an `image`, such as"),
    "an init container without image": (
        {"restartPolicy": "Never", "containers": [CONTAINER], "initContainers": [{"name": "a"}]},
        "must have a `name` and an `image`, such as"),
    "an amount that is none": (
        {"restartPolicy": "Never",
         "containers": [CONTAINER | {"resources": {"requests": {"cpu": "abc"}}}]},
        "must be a quantity, such as"),
}  # fmt: skip


class TestTemplatesThatAreRefused:
    @pytest.mark.parametrize(("pod", "words"), BAD_PODS.values(), ids=BAD_PODS)
    def test_with_an_example(self, cluster, namespace, pod, words):
        """As a Job would be: a template cannot be changed later."""
        template = {"spec": {"template": {"spec": pod} if pod else {}}}

        with pytest.raises(KubectlError) as refused:
            dry_run(cluster, namespace, a_manifest(template=template))

        assert "`spec.jobTemplate` can never run" in str(refused.value)
        assert words in str(refused.value)


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

    def test_with_one_message_and_no_pattern(self, cluster, namespace):
        """A pattern of 100 characters, and that rules were not looked at, help nobody."""
        schedule = {"earliestStart": "tomorrow", "maxDelay": "1d", **window(start="8")["schedule"]}

        with pytest.raises(KubectlError) as refused:
            dry_run(cluster, namespace, a_manifest(schedule=schedule))

        assert "should match" not in str(refused.value)
        assert "<nil>" not in str(refused.value)


EDITS = {
    "a limit": {"schedule": {"maxGramsPerKWh": 100}},
    "the first schedule": {"schedule": {"windows": [WINDOW]}},
    "the zone": {"zoneName": "fr"},
    "no zone": {"zoneName": None},
}
STARTED = {
    "status": {"workload": {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u"}}
}


class TestEditsAfterTheStart:
    """What was decided on, and what prices the job's energy, is a fact then."""

    @pytest.fixture
    def job(self, cluster, namespace):
        """A job, which is changed by the method that it returns."""
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))

        def patch(change: dict[str, Any], *more: str) -> None:
            cluster.kubectl(
                "patch", "-n", namespace, "caj", "train", "--type=merge", "-p",
                json.dumps(change), *more,
            )  # fmt: skip

        return patch

    @pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
    def test_of_schedule_and_zone_are_refused(self, job, edit):
        """They would have no effect, or take the job its prices."""
        job(STARTED, "--subresource=status")

        with pytest.raises(KubectlError, match="must stay as they were once the job has started"):
            job({"spec": edit})

    @pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
    def test_are_free_before_it(self, job, edit):
        """Until then they are what a user steers by."""
        job({"spec": edit})

    def test_of_the_rest_are_free(self, job):
        """A started job can be suspended and given another time to live; labels are its owner's."""
        job(STARTED, "--subresource=status")

        job(
            {
                "spec": {"suspend": True, "ttlAfterFinished": "1h"},
                "metadata": {"labels": {"a": "b"}},
            }
        )
        job({"status": {"zoneName": "de"}}, "--subresource=status")


class TestWarnings:
    @staticmethod
    def create(cluster: Cluster, namespace: str, duration: str) -> None:
        """A job that must end within an hour; a warning is an error."""
        soon = format_instant(datetime.now(UTC) + timedelta(hours=1))
        manifest = a_manifest(schedule={"finishBy": soon, "expectedDuration": duration})
        cluster.kubectl(
            "create", "-n", namespace, "--dry-run=server", "--warnings-as-errors", "-f", "-",
            input=json.dumps(manifest),
        )  # fmt: skip

    def test_of_an_end_that_cannot_be_met(self, cluster, namespace):
        """The job is accepted, and starts at once: whoever applies it knows."""
        with pytest.raises(KubectlError, match=r"Warning: .* the job cannot end by `finishBy`"):
            self.create(cluster, namespace, "2h")

    def test_are_not_given_without_need(self, cluster, namespace):
        """There is enough time."""
        self.create(cluster, namespace, "30m")


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
    "amounts in every notation": {
        "template": {
            "spec": a_job_spec(
                template={
                    "spec": {
                        "restartPolicy": "OnFailure",
                        "containers": [
                            CONTAINER
                            | {
                                "resources": {
                                    "requests": {"cpu": 1, "memory": "2Gi"},
                                    "limits": {"cpu": 1.5, "memory": "1e9"},
                                }
                            }
                        ],
                    }
                }
            )
        }
    },
    "Immediate in a window": {"schedule": {"strategy": "Immediate", "windows": [WINDOW]}},
    "an end that leaves just enough time": {
        "schedule": {
            "earliestStart": "2098-12-31T23:00:00Z",
            "finishBy": FINISH,
            "expectedDuration": "1h",
        }
    },
    "a template that only the Job's own validation refuses": {
        "template": {"spec": a_job_spec(completionMode="Sideways")}
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

        given = given_of(CarbonAwareJob.model_validate(stored).spec)

        last = resolve(given, created, SETTINGS).schedule.last_start

        assert last is not None
        assert last >= created


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
        status = {
            "state": "Held",
            "reason": "AboveMaxIntensity",
            "zoneName": "de",
            "plan": {"latestStartTime": FINISH},
            "conditions": [condition],
        }
        cluster.kubectl(
            "patch", "-n", namespace, "caj", "train", "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip

        head, row = cluster.kubectl("get", "caj", "-n", namespace).splitlines()

        assert [
            *("NAME", "STATE", "REASON", "ZONE", "LATEST START", "STARTED", "SAVED", "EMISSIONS")
        ] == re.split(r"  +", head.strip())
        assert ["train", "Held", "AboveMaxIntensity", "de", FINISH] == row.split()

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
