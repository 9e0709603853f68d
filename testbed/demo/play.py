"""The order of events: zone, jobs, the user's release of one of them, the end."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from testbed.demo import scene
from testbed.demo.day import Trace
from testbed.demo.facts import Observation, observation
from testbed.demo.live import Screen, View
from testbed.demo.programs import PERIOD_SECONDS
from testbed.demo.venue import Venue
from testbed.demo.verdict import Terms
from testbed.errors import ComponentFailedError, KubectlError

LAST_SECONDS = 170
"""The demo ends this long after its jobs exist, whatever became of them."""

RELEASE_SECONDS = 60
"""When the user releases the suspended job."""

_ZONE_SECONDS = 30
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 15


def open_zone(venue: Venue, trace: Trace) -> None:
    """Create the zone and wait until the recorded day plays and a first period is archived.

    Savings are counted from what the archive knows: jobs must not be older than it.
    Raises ComponentFailedError: the zone gets no intensity.
    """
    venue.kubectl("create", "-f", "-", input=_json(scene.zone(venue.scene, trace)))
    began = time.monotonic()
    while _observed(venue).grams is None or time.monotonic() - began < PERIOD_SECONDS + 1:
        if time.monotonic() - began > _ZONE_SECONDS:
            said = venue.kubectl("get", "carbonzone", venue.scene.zone, "-o", "jsonpath={.status}")
            raise ComponentFailedError(f"the zone has no intensity; its status: {said or 'none'}")
        time.sleep(0.5)


def apply_jobs(venue: Venue, trace: Trace) -> scene.Opening:
    """Create the five jobs; the window of the one that has one."""
    opening = scene.next_opening(datetime.now(UTC))
    venue.kubectl("create", "-f", "-", input=_json(scene.jobs(venue.scene, trace, opening)))
    return opening


def watch(venue: Venue, trace: Trace, screen: Screen, check: Callable[[], None]) -> Observation:
    """Show the jobs until all of them are final, or the time is over.

    check: raises when the demo cannot go on.
    """
    began = heard = time.monotonic()
    seen = Observation()
    freed = False
    with screen:
        while not seen.ended and time.monotonic() - began < LAST_SECONDS:
            check()
            elapsed = time.monotonic() - began
            if elapsed >= RELEASE_SECONDS and not freed:
                _release(venue)
                freed = True
            try:
                seen = _observed(venue)
                heard = time.monotonic()
            except KubectlError:
                if time.monotonic() - heard > _PATIENCE_SECONDS:
                    raise
            screen.show(View(trace, venue.scene.node_kind, _day_seconds(seen), elapsed, seen))
            time.sleep(_POLL_SECONDS)
    return seen


def terms(trace: Trace, opening: scene.Opening, seen: Observation) -> Terms:
    """What the jobs are judged against."""
    if seen.zone_created is None:
        raise ComponentFailedError("the demo's CarbonZone was deleted while it played")
    return Terms(trace, seen.zone_created, opening)


def _release(venue: Venue) -> None:
    changed = json.dumps(scene.release_by_user())
    job = f"carbonawarejob/{scene.SUSPENDED}"
    where = ["-n", venue.scene.namespace, f"--field-manager={scene.USER}"]
    venue.kubectl("patch", job, *where, "--type=merge", "-p", changed)


def _observed(venue: Venue) -> Observation:
    kinds = "carbonawarejobs.carbonaware.io,carbonzones.carbonaware.io,jobs.batch"
    where = ["-n", venue.scene.namespace, "-o", "json", "--show-managed-fields"]
    listed = json.loads(venue.kubectl("get", kinds, *where))
    return observation(listed["items"], venue.scene.zone, scene.JOBS)


def _day_seconds(seen: Observation) -> float:
    if seen.zone_created is None:
        return 0.0
    return (datetime.now(UTC) - seen.zone_created).total_seconds()


def _json(objects: list[scene.Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
