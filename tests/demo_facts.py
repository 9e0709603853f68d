"""Builders for the demo's tests: a job that ended well, and what it is judged against."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from testbed.demo import scene
from testbed.demo.day import typical_day
from testbed.demo.facts import JobFacts, State
from testbed.demo.verdict import REASONS, Terms

ZONE_CREATED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CREATED = ZONE_CREATED + timedelta(seconds=6)
OPENING = scene.Opening(CREATED + timedelta(seconds=24), CREATED + timedelta(seconds=624))
TERMS = Terms(typical_day(), ZONE_CREATED, OPENING)
FREED = CREATED + timedelta(seconds=60)

DUE = {
    scene.CLEAN_GRID: ZONE_CREATED + timedelta(seconds=50),
    scene.WINDOW: OPENING.start,
    scene.DEADLINE: CREATED + timedelta(seconds=scene.MAX_DELAY_SECONDS),
    scene.IMMEDIATE: CREATED,
    scene.SUSPENDED: FREED,
}
"""When each job is to be released."""


def a_scene(**changes: Any) -> scene.Scene:
    """The testbed's, with a simulated node."""
    usual = scene.Scene(
        namespace="demo",
        system_namespace="system",
        zone="day",
        node_kind="simulated",
        node_name="node",
        image="local/busybox:1",
        pull_policy="Never",
    )
    return replace(usual, **changes)


def a_job(name: str = scene.IMMEDIATE, **changes: Any) -> JobFacts:
    """A job that was released when it was due and is final."""
    usual = JobFacts(
        name=name,
        uid="uid",
        created=CREATED,
        state=State.COMPLETE,
        reason=REASONS[name],
        released=DUE[name],
        freed=FREED if name == scene.SUSPENDED else None,
        held_seconds=round((DUE[name] - CREATED).total_seconds()),
        run_seconds=16,
        energy_joules=120,
        emissions_ug=5_000,
        baseline_ug=11_200,
        avoided_percent=55,
        settled=True,
        child_count=1,
    )
    return replace(usual, **changes)
