"""What the operator costs when nothing changes: memory and processor time with 100 held jobs.

Partner in the same run: a bare Python process that has only kopf imported, for memory.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from testbed.cluster import Cluster

HELD_JOBS = 100
MEASURED_SECONDS = 60.0
PORT = 18080
NAMESPACE = "carbonaware-system"
KOPF_ONLY = "import kopf, time; time.sleep(600)"


def main() -> None:
    """Start a cluster and an operator, let it settle, measure, and print one JSON line."""
    crds = Path("crds")
    with (
        Cluster.start("bench-idle", node="simulated", crds=crds, report=print) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        _fill(cluster)
        operator = _operator(cluster, Path(folder) / "operator.log")
        partner = subprocess.Popen([sys.executable, "-c", KOPF_ONLY])
        try:
            _wait_until_held()
            print(json.dumps(_measured(operator, partner)))
        finally:
            for process in (operator, partner):
                process.terminate()
                process.wait(timeout=30)


def _fill(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE)
    zone = {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": "de"},
        "spec": {"source": {"type": "Static", "static": {"gramsPerKWh": 400}}},
    }
    cluster.apply([zone, *(_job(number) for number in range(HELD_JOBS))])


def _job(number: int) -> dict[str, object]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "local/busybox:1"}]}
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": f"held-{number}", "namespace": "default"},
        "spec": {
            "zoneName": "de",
            "schedule": {"maxGramsPerKWh": 100},
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }


def _operator(cluster: Cluster, log: Path) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).parent / "carbonaware-operator"
    argv = [
        str(program),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--namespace={NAMESPACE}",
        f"--listen=127.0.0.1:{PORT}",
    ]
    with log.open("wb") as output:
        return subprocess.Popen(argv, stdout=output, stderr=output)


def _wait_until_held() -> None:
    wanted = f'state="Held",zone="de"}} {HELD_JOBS}.0'
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if wanted in _metrics():
            time.sleep(10)  # let the last writes' echoes pass
            return
        time.sleep(0.5)
    sys.exit(f"the operator did not hold {HELD_JOBS} jobs within 120 s")


def _metrics() -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def _measured(
    operator: subprocess.Popen[bytes], partner: subprocess.Popen[bytes]
) -> dict[str, object]:
    process, beside = psutil.Process(operator.pid), psutil.Process(partner.pid)
    before, since = process.cpu_times(), time.monotonic()
    time.sleep(MEASURED_SECONDS)
    after, seconds = process.cpu_times(), time.monotonic() - since
    used = after.user + after.system - before.user - before.system
    return {
        "benchmark": "operator_idle",
        "held_jobs": HELD_JOBS,
        "resident_megabytes": round(process.memory_info().rss / 1e6, 1),
        "cpu_percent_of_a_core": round(100 * used / seconds, 2),
        "measured_seconds": round(seconds, 1),
        "bare_kopf_resident_megabytes": round(beside.memory_info().rss / 1e6, 1),
    }
