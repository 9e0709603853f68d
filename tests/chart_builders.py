"""Renders of the chart: what `helm template` makes of values, as objects."""

import json
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed import wheels

CHART = Path(__file__).parent.parent / "helm" / "carbonaware"
CASES = {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*"))}
RELEASE, NAMESPACE = "carbonaware", "carbonaware-system"
MONITORING = (
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
)
ZONE = "carbonaware.io/v1alpha1/CarbonZone"


class RefusedError(Exception):
    """Helm refused the values or the chart; the message is its own."""


def helm(*arguments: str, program: Path | None = None) -> str:
    """Run helm without a cluster."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(program or wheels.helm()), *arguments],
            env={"HOME": home, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RefusedError(done.stderr + done.stdout)
    return done.stdout


def text_of(
    values: Path, *flags: str, apis: tuple[str, ...] = MONITORING, program: Path | None = None
) -> str:
    """What `helm template` writes, hooks and tests included."""
    known = [flag for api in apis for flag in ("--api-versions", api)]
    # Without a cluster, a Helm that was built here would take the oldest that it knows.
    place = (RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.36.0")
    return helm("template", *place, "--values", str(values), *known, *flags, program=program)


def parsed(text: str) -> list[dict[str, Any]]:
    """The objects of a rendering. In C: the definitions alone take a second in Python."""
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


@cache
def _rendered(case: str, overrides: str, apis: tuple[str, ...]) -> str:
    """The objects of a rendering, as JSON: who reads it again gets objects of its own."""
    flags = ("--set-json", overrides) if overrides else ()
    return json.dumps(parsed(text_of(CASES[case], *flags, apis=apis)))


def objects(
    case: str = "default", *, apis: tuple[str, ...] = MONITORING, **overrides: Any
) -> list[dict[str, Any]]:
    """The objects that a case of ci/ renders, with values replaced by overrides."""
    text = _rendered(case, json.dumps(overrides, sort_keys=True) if overrides else "", apis)
    found: list[dict[str, Any]] = json.loads(text)
    return found


def one(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The object of a kind whose name is `carbonaware-<name>`."""
    (only,) = [
        each
        for each in found
        if each["kind"] == kind and each["metadata"]["name"] == f"{RELEASE}-{name}"
    ]
    return only


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec of a Deployment, DaemonSet, Job or Pod."""
    spec: dict[str, Any] = workload["spec"]
    return spec["template"]["spec"] if "template" in spec else spec
