"""A status that went through a real API server is read back as the same progress."""

import json
from dataclasses import replace

import pytest

from builders import NOON, a_job_body, hours
from carbonaware_operator.api.job import CarbonAwareJobStatus
from carbonaware_operator.api.reasons import ConditionType, EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning.observed import Workload
from carbonaware_operator.planning.progress import Condition, Progress
from carbonaware_operator.planning.resolve import SETTINGS
from carbonaware_operator.store.status import progress_of, status_of

pytestmark = pytest.mark.api

HELD = Condition(ConditionType.RELEASED, False, HoldReason.NO_ZONE, "there is no zone", NOON, 1)
RUNS = Condition(ConditionType.RELEASED, True, ReleaseReason.IMMEDIATE, "Immediate", NOON, 2)
DONE = Condition(ConditionType.COMPLETE, True, EndReason.SUCCEEDED, "completed", NOON, 2)
LIFE = [
    Progress(generation=1, zone_name="de", deadline=NOON + hours(24), conditions=(HELD,)),
    Progress(
        generation=1,
        zone_name="de",
        deadline=NOON + hours(24),
        applied=(replace(SETTINGS, zone_name="de"),),
        conditions=(HELD,),
        stalled=NOON + hours(1),
        planned_start=NOON + hours(24),
        baseline_start=NOON,
    ),
    Progress(
        generation=2,
        zone_name="de",
        deadline=NOON + hours(24),
        conditions=(RUNS, DONE),
        workload=Workload("batch/v1", "Job", "train", "uid-child"),
        handled_request="now-1",
        baseline_start=NOON,
        shifts=((NOON + hours(1), 3600), (NOON + hours(3), 5400)),
        released=NOON + hours(1),
        finished=NOON + hours(4),
        held_seconds=0,
        run_seconds=9000,
    ),
]


def test_loses_nothing_over_a_life(cluster, namespace):
    """Held, planned, ended: after each write there is nothing more to write."""
    manifest = {**a_job_body(), "metadata": {"name": "train"}}
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(manifest))
    seen = []
    for progress in LIFE:
        body = {
            "apiVersion": "carbonaware.io/v1alpha1",
            "kind": "CarbonAwareJob",
            "metadata": {"name": "train", "namespace": namespace},
            "status": status_of(progress),
        }
        answer = cluster.kubectl(
            "apply", "--server-side", "--subresource=status", "--field-manager=carbonaware-planner",
            "-o", "json", "-f", "-", input=json.dumps(body),
        )  # fmt: skip
        status = CarbonAwareJobStatus.model_validate(json.loads(answer)["status"])
        seen.append(progress_of(status))

    assert LIFE == seen
