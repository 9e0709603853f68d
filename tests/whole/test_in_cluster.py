"""The whole path on a real node: operator and agent are pods, and so is the work."""

import json
from pathlib import Path
from typing import Any

import pytest

from programs import a_job, a_zone, condition, eventually
from testbed.cluster import Cluster

pytestmark = pytest.mark.node

MANIFEST = Path(__file__).parent / "in_cluster.yaml"
BURN = ["sh", "-c", "timeout 6 sh -c 'while :; do :; done'; exit 0"]


def _a_burning_job(zone: str) -> dict[str, Any]:
    job = a_job("burns", zone, strategy="Immediate")
    job["metadata"]["namespace"] = "default"
    container = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container |= {
        "image": "docker.io/local/busybox:1",
        "imagePullPolicy": "Never",
        "command": BURN,
        "resources": {"requests": {"cpu": "100m"}},
    }
    return job


def _status(cluster: Cluster) -> dict[str, Any]:
    job = json.loads(cluster.kubectl("get", "caj", "burns", "-o", "json"))
    return job.get("status") or {}


def test_from_apply_to_grams_with_the_least_rights(cluster_with_images: Cluster) -> None:
    """Neither privileged nor with host PID: agents are found, pods measured, grams written."""
    real_cluster = cluster_with_images
    real_cluster.apply(MANIFEST)
    for kind in ("deployment/carbonaware-operator", "daemonset/carbonaware-agent"):
        real_cluster.kubectl(
            "-n", "carbonaware-system", "rollout", "status", kind, "--timeout=120s"
        )
    real_cluster.apply([a_zone("in-cluster"), _a_burning_job("in-cluster")])

    status = eventually(
        lambda: s if ((s := _status(real_cluster)).get("ledger") or {}).get("settled") else {},
        "the job is settled",
        120,
    )

    assert condition({"status": status}, "Complete")["status"] == "True"
    assert status["energyJoules"] > 0
    assert status["emissionsMilligrams"] > 0
    assert status["energyMethod"] in ("Measured", "Modelled", "Mixed")
    assert {source["node"] for source in status["ledger"]["sources"]} == {real_cluster.node_name}
