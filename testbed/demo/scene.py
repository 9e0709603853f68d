"""PURE: the zone and the five jobs of the demo, as manifests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from testbed.demo.day import SPEED, Trace

Object = dict[str, Any]

CLEAN_GRID, WINDOW, DEADLINE = "clean-grid", "window", "deadline"
IMMEDIATE, SUSPENDED = "immediate", "suspended"
JOBS = (CLEAN_GRID, WINDOW, DEADLINE, IMMEDIATE, SUSPENDED)

MAX_DELAY_SECONDS = 40
BURN_SECONDS = 15
SOONEST_OPENING = timedelta(seconds=15)
OPEN_FOR = timedelta(minutes=10)
USER = "carbonaware-demo-user"
"""Field manager of what the demo does as the user of a job: the API server notes when."""

_API = "carbonaware.io/v1alpha1"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the demo plays.

    namespace: of the jobs.
    system_namespace: the operator's own, with the recording.
    zone: name of the CarbonZone.
    node_name: where pods run.
    image, pull_policy: of a container with a shell.
    """

    namespace: str
    system_namespace: str
    zone: str
    node_kind: Literal["real", "simulated"]
    node_name: str
    image: str
    pull_policy: Literal["Never", "IfNotPresent"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The window of the job that has one: [start, end) in UTC."""

    start: datetime
    end: datetime


def next_opening(now: datetime) -> Opening:
    """A window that opens at the next full minute which is not too near to be seen waiting for."""
    soonest = now.astimezone(UTC) + SOONEST_OPENING
    minute = soonest.replace(second=0, microsecond=0)
    start = minute if minute == soonest else minute + timedelta(minutes=1)
    return Opening(start, start + OPEN_FOR)


def zone(scene: Scene, trace: Trace) -> list[Object]:
    """The recording and the CarbonZone that plays it from its creation on."""
    name, key = scene.zone, "day.csv"
    recording = {"configMapRef": {"name": name, "key": key}, "speed": SPEED, "loop": True}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": scene.system_namespace},
            "data": {key: trace.csv()},
        },
        {
            "apiVersion": _API,
            "kind": "CarbonZone",
            "metadata": {"name": name},
            "spec": {"source": {"type": "Recording", "recording": recording}},
        },
    ]


def jobs(scene: Scene, trace: Trace, opening: Opening) -> list[Object]:
    """Five CarbonAwareJobs that start for five different reasons."""
    window = {"start": f"{opening.start:%H:%M}", "end": f"{opening.end:%H:%M}"}
    schedules: dict[str, Object] = {
        CLEAN_GRID: {"strategy": "Threshold", "maxGramsPerKWh": trace.clean_limit},
        WINDOW: {"strategy": "Immediate", "windows": [window]},
        DEADLINE: {
            "strategy": "Threshold",
            "maxGramsPerKWh": trace.dirty_limit,
            "maxDelay": f"{MAX_DELAY_SECONDS}s",
        },
        IMMEDIATE: {"strategy": "Immediate"},
        SUSPENDED: {"strategy": "Threshold", "maxGramsPerKWh": trace.clean_limit},
    }
    return [_job(scene, name, schedules[name]) for name in JOBS]


def release_by_user() -> Object:
    """What the user of the suspended job changes to start it now."""
    return {
        "metadata": {"annotations": {"carbonaware.io/release-requested": "now"}},
        "spec": {"suspend": False},
    }


def _job(scene: Scene, name: str, schedule: Object) -> Object:
    spec: Object = {
        "zoneName": scene.zone,
        "schedule": schedule,
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": _pod(scene)}},
    }
    if name == SUSPENDED:
        spec["suspend"] = True
    return {
        "apiVersion": _API,
        "kind": "CarbonAwareJob",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": spec,
    }


def _pod(scene: Scene) -> Object:
    """Keeps one processor busy for a while and succeeds."""
    burn = f"timeout {BURN_SECONDS} sh -c 'while :; do :; done'; exit 0"
    container = {
        "name": "burn",
        "image": scene.image,
        "imagePullPolicy": scene.pull_policy,
        "command": ["sh", "-c", burn],
        "resources": {"requests": {"cpu": "200m"}},
    }
    return {
        "metadata": {"annotations": _simulation()} if scene.node_kind == "simulated" else {},
        "spec": {
            "restartPolicy": "Never",
            # A shell as first process ignores SIGTERM: without this the end takes 30 s.
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": scene.node_name},
            "containers": [container],
        },
    }


def _simulation() -> dict[str, str]:
    return {
        "testbed.carbonaware.io/run-for": f"{BURN_SECONDS}s",
        "testbed.carbonaware.io/cpu-millis": "1000",
    }
