"""The demo from start to end, on both kinds of node, and what is left when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed import process
from testbed.cluster import Cluster
from testbed.demo.scene import CLEAN_GRID, IMMEDIATE, JOBS
from testbed.demo.verdict import REASONS
from testbed.locations import clusters_folder
from testbed.placement import names

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 180 + 60  # three minutes after set-up, and set-up once everything is compiled


def demo(folder, node, **options):
    """The demo as `make demo` runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "testbed.demo", f"--folder={folder}"],
        cwd=ROOT,
        env={**os.environ, "DEMO_NODE": node, "COLUMNS": "140"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def leftovers(pid, folder):
    """What a demo of this pid has left on the machine."""
    cluster = clusters_folder() / f"demo-{pid}"
    found = [*process.marked_with(folder), *process.marked_with(cluster)]
    mounts = Path("/proc/self/mountinfo").read_text()
    found += [cluster] if cluster.exists() or str(cluster) in mounts else []
    state = folder / "state"
    return [*found, state] if state.exists() else found


def played(folder, node):
    """The summary of a demo that ended well."""
    running = demo(folder, node)
    output, _ = running.communicate(timeout=MOST_SECONDS)
    assert 0 == running.returncode, output
    assert [] == leftovers(running.pid, folder)
    written = json.loads((folder / "summary.json").read_text())
    assert node == written["node"]
    return {job["name"]: job for job in written["jobs"]}


def check(jobs):
    """What holds for every demo of the typical day."""
    assert list(JOBS) == list(jobs)
    assert REASONS == {name: job["reason"] for name, job in jobs.items()}
    for job in jobs.values():
        assert job["asSpecified"]
        assert job["energyJoules"] > 0
        assert job["emissionsGrams"] > 0
        assert 10 <= job["runSeconds"] <= 40
    assert jobs[CLEAN_GRID]["avoidedPercent"] > 0
    assert 0 == jobs[IMMEDIATE]["avoidedPercent"]


@pytest.mark.api
def test_plays_to_its_end_on_a_simulated_node(tmp_path):
    """Five jobs, five reasons, energy for each, and savings where it waited for a clean grid."""
    check(played(tmp_path, "simulated"))


@pytest.mark.node
@pytest.mark.last
def test_plays_to_its_end_on_a_real_node(tmp_path):
    """The same with pods that burn a processor.

    A machine carries one real node. The one that the node tests share is gone by now: the test that
    stops it is marked `last` too, and its folder comes before this one.
    """
    if any(Cluster.attach(name).node_kind == "real" for name in names()):
        pytest.skip("another cluster has this machine's one real node")
    check(played(tmp_path, "real"))


@pytest.mark.api
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("after", [2.0, 5.0, 12.0], ids="after {} s".format)
def test_leaves_nothing_when_it_is_interrupted(tmp_path, number, after):
    """While the cluster starts, while our programs start, and while jobs run."""
    running = demo(tmp_path, "simulated", start_new_session=True)
    time.sleep(after)

    running.send_signal(number)

    output, _ = running.communicate(timeout=60)
    assert 130 == running.returncode, output
    assert "tidying up" in output
    assert [] == leftovers(running.pid, tmp_path)
    assert not (tmp_path / "summary.json").exists()
