"""What the agent costs its node at 10, 100 and 250 pods: processor time, memory, scrapes.

The pods are real control groups with real processes, known to a small API server with names and
owners; four RAPL domains are simulated. The agent is a process of its own that ticks once a second
and is scraped every 15 s. Partner in the same run, after it: a scan of the same machine's processes
with psutil once a second, which is how a meter that looks at processes begins. Not at the same
time, as on two threads of one core each would slow the other down.
Prints one line of JSON for each size, then a table. Takes root.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil

from agent_builders import FakeApi, a_fake_api, a_pod_manifest, a_uid
from benchmarks.pod_cgroups import NoCgroupsError, pod_cgroups

SIZES = (10, 100, 250)
MEASURED_SECONDS = 60
SCRAPE_SECONDS = 15
SCANNED_SECONDS = 30
TIMED_SCRAPES = 25  # of each form
QOS = ("Burstable", "BestEffort", "Guaranteed")
RAPL_DOMAINS = (
    ("intel-rapl:0", "package-0"),
    ("intel-rapl:0:0", "dram"),
    ("intel-rapl:1", "package-1"),
    ("intel-rapl:1:0", "dram"),
)
SCAN = """
import psutil, time
while True:
    begin = time.monotonic()
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        pass
    time.sleep(max(0, 1 - (time.monotonic() - begin)))
"""


def main() -> None:
    """Measure each size, and print one JSON line for each and a table."""
    rows = []
    for pods in SIZES:
        try:
            rows.append(_measured(pods))
        except NoCgroupsError as error:
            print(f"agent_cost is skipped: {error}")
            return
        print(json.dumps({"benchmark": "agent_cost"} | rows[-1]), flush=True)
    print(_table(rows))


def _measured(pods: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, a_fake_api() as api:
        folder = Path(name)
        api.pods = [a_pod_manifest(number, qos=QOS[number % 3]) for number in range(pods)]
        with (
            pod_cgroups(folder / "host", [_path(number) for number in range(pods)]) as version,
            _moving_counters(folder / "host"),
            _agent(folder, api) as (agent, port),
        ):
            _wait_until_named(port, pods)
            costs = _costs(agent, port)
            with _started([sys.executable, "-c", SCAN]) as scan:
                return {"pods": pods, "cgroups": version} | costs | _scan_costs(scan)


def _path(number: int) -> str:
    parent = {"Guaranteed": ""}.get(QOS[number % 3], QOS[number % 3].lower() + "/")
    return f"{parent}pod{a_uid(number)}"


@contextmanager
def _moving_counters(host_root: Path) -> Iterator[None]:
    """Four RAPL domains of which each draws 20 W, written ten times a second."""
    powercap = host_root / "sys/class/powercap"
    for folder, name in RAPL_DOMAINS:
        (powercap / folder).mkdir(parents=True)
        (powercap / folder / "name").write_text(name)
        (powercap / folder / "max_energy_range_uj").write_text("262143328850")
    stop = threading.Event()

    def move() -> None:
        while True:
            counter = time.monotonic_ns() // 1000 * 20 % 262_143_328_850
            for folder, _ in RAPL_DOMAINS:
                # With one write of one length, so that no reader sees half of it.
                opened = os.open(powercap / folder / "energy_uj", os.O_WRONLY | os.O_CREAT)
                os.pwrite(opened, b"%015d\n" % counter, 0)
                os.close(opened)
            if stop.wait(0.1):
                return

    thread = threading.Thread(target=move)
    thread.start()
    try:
        time.sleep(0.2)
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _agent(folder: Path, api: FakeApi) -> Iterator[tuple[psutil.Process, int]]:
    kubeconfig = folder / "kubeconfig"
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    document = {
        "current-context": "c",
        "contexts": [context],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": {}}],
    }
    kubeconfig.write_text(json.dumps(document))
    command = [
        *(sys.executable, "-m", "carbonaware_agent", "--listen=127.0.0.1:0"),
        *(f"--host-root={folder / 'host'}", f"--state-dir={folder / 'state'}"),
        f"--kubeconfig={kubeconfig}",
    ]
    log = folder / "log"
    with _started(command, log) as process:
        yield process, _port(log)


@contextmanager
def _started(command: list[str], log: Path | None = None) -> Iterator[psutil.Process]:
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _port(log: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "measuring":
                return int(event["port"])
        time.sleep(0.1)
    sys.exit(f"the agent did not begin within 30 s: {log.read_text()}")


def _wait_until_named(port: int, pods: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page = _scrape(port, packed=False)[1].decode()
        if sum(f'pod="pod-{number}"' in page for number in range(pods)) == pods:
            return
        time.sleep(0.5)
    sys.exit(f"the agent did not name {pods} pods within 30 s")


def _costs(agent: psutil.Process, port: int) -> dict[str, Any]:
    before, since = _used(agent), time.monotonic()
    for _ in range(MEASURED_SECONDS // SCRAPE_SECONDS):
        time.sleep(SCRAPE_SECONDS)
        _scrape(port, packed=True)
    percent = 100 * (_used(agent) - before) / (time.monotonic() - since)
    return {
        "cpu_percent_of_a_core": round(percent, 2),
        "resident_megabytes": round(agent.memory_info().rss / 1e6, 1),
        **_timed("plain", port),
        **_timed("gzip", port),
    }


def _scan_costs(scan: psutil.Process) -> dict[str, Any]:
    time.sleep(1)  # The first scan loads psutil.
    before, since = _used(scan), time.monotonic()
    time.sleep(SCANNED_SECONDS)
    percent = 100 * (_used(scan) - before) / (time.monotonic() - since)
    return {
        "scan_cpu_percent_of_a_core": round(percent, 2),
        "scan_resident_megabytes": round(scan.memory_info().rss / 1e6, 1),
        "processes": len(psutil.pids()),
    }


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _timed(form: str, port: int) -> dict[str, Any]:
    """Time and size of scrapes that each find a new tick, so that none is served a kept page."""
    milliseconds, body = [], b""
    for _ in range(TIMED_SCRAPES):
        time.sleep(1.01)
        seconds, body = _scrape(port, packed=form == "gzip")
        milliseconds.append(seconds * 1000)
    return {
        f"{form}_milliseconds_median": round(statistics.median(milliseconds), 1),
        f"{form}_milliseconds_p95": round(statistics.quantiles(milliseconds, n=20)[-1], 1),
        f"{form}_bytes": len(body),
    }


def _scrape(port: int, *, packed: bool) -> tuple[float, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Accept-Encoding": "gzip"} if packed else {}
    begin = time.perf_counter()
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - begin
    connection.close()
    if answer.status != http.HTTPStatus.OK and answer.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
        sys.exit(f"/metrics answered {answer.status}")
    return seconds, body


def _table(rows: list[dict[str, Any]]) -> str:
    columns = {
        "pods": "pods",
        "cpu_percent_of_a_core": "% of a core",
        "resident_megabytes": "MB",
        "plain_milliseconds_median": "ms plain",
        "plain_milliseconds_p95": "p95",
        "gzip_milliseconds_median": "ms gzip",
        "gzip_milliseconds_p95": "p95",
        "plain_bytes": "bytes",
        "gzip_bytes": "gzip",
        "scan_cpu_percent_of_a_core": "scan %",
        "scan_resident_megabytes": "scan MB",
    }
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[str(row[key]) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
