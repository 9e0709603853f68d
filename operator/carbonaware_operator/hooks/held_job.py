"""Tests an installation: `python -m carbonaware_operator.hooks.held_job`.

It creates a CarbonAwareJob that is suspended, and so needs no zone, waits until the operator has
said why it is held, and deletes it. Nothing is ever run.
"""

import argparse

from carbonaware_operator.api.reasons import ConditionType, HoldReason
from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, ApiError, KubeClient, Object
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.hooks.session import POLL_SECONDS, HookError, run

SECONDS = 60.0


def a_suspended_job(name: str) -> Object:
    """A job that the user holds; its pod would end at once."""
    container = {"name": "main", "image": "none", "command": ["true"]}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": API_VERSION,
        "kind": "CarbonAwareJob",
        "metadata": {"name": name},
        "spec": {"suspend": True, "jobTemplate": {"spec": {"template": pod}}},
    }


async def see_it_held(kube: KubeClient, clock: Clock, namespace: str, name: str) -> str:
    """Create, watch and delete the job; the last word.

    Raises HookError: the operator says nothing, or something else.
    Raises ApiError: the API server refuses.
    """
    await kube.create(CARBON_AWARE_JOBS, namespace, a_suspended_job(name))
    try:
        return _verdict(await _condition(kube, clock, namespace, name))
    finally:
        await _removed(kube, namespace, name)


async def _condition(kube: KubeClient, clock: Clock, namespace: str, name: str) -> Object:
    end = clock.monotonic() + SECONDS
    while not (found := _released(await kube.get(CARBON_AWARE_JOBS, namespace, name))):
        if clock.monotonic() > end:
            raise HookError(
                f"the operator said nothing of CarbonAwareJob {namespace}/{name} within"
                f" {SECONDS:g} s; see the log of its pods"
            )
        await clock.sleep(POLL_SECONDS)
    return found


def _released(job: Object) -> Object:
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == ConditionType.RELEASED), {})


def _verdict(condition: Object) -> str:
    seen = f"Released={condition.get('status')}, reason {condition.get('reason')}"
    if (condition.get("status"), condition.get("reason")) != (
        "False",
        HoldReason.SUSPENDED_BY_USER.value,
    ):
        raise HookError(f"the suspended job must be held, but it is {seen}")
    return f"the job was held: {seen}: {condition.get('message')}"


async def _removed(kube: KubeClient, namespace: str, name: str) -> None:
    try:
        job = await kube.get(CARBON_AWARE_JOBS, namespace, name)
        await kube.delete(CARBON_AWARE_JOBS, namespace, name, uid=job["metadata"]["uid"])
    except ApiError as error:
        if error.status != 404:
            raise


def main() -> None:
    """Read the flags and run; ends the process."""
    parser = argparse.ArgumentParser(prog="carbonaware_operator.hooks.held_job")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--name", required=True)
    given = parser.parse_args()
    run(
        lambda kube, clock: see_it_held(kube, clock, given.namespace, given.name),
        seconds=SECONDS + 30,
    )


if __name__ == "__main__":
    main()
