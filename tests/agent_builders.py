"""What the agent's tests share: a host's file tree, an API server, clocks, and small objects."""

import contextlib
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.gpus.holdings import GpuPicture
from carbonaware_agent.metering.meter import Meter, Rules
from carbonaware_agent.metering.owners import OwnerSeries
from carbonaware_agent.metering.resumption import Machine, resume
from carbonaware_agent.readings import Readings
from carbonaware_agent.saved.snapshot import AttributedRecord
from carbonaware_agent.saved.store import StateFolder
from carbonaware_agent.serving.board import Board
from carbonaware_agent.serving.exposition import AgentHealth
from carbonaware_agent.sources.sensor import (
    CHIP,
    Domain,
    Energy,
    Interval,
    Reading,
    Rebaseline,
    Stream,
)
from carbonaware_agent.sources.sensor_set import Seen
from carbonaware_agent.workloads.cgroups import CgroupReading
from carbonaware_agent.workloads.pod_folder import CgroupUse
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod

PACKAGE = Stream("package", "rapl", CHIP)
DRAM = Stream("dram", "rapl", CHIP)
BOOT = "11111111-1111-4111-8111-111111111111"
HOUR_US = 3600 * 1_000_000
CONFIG_HASH = "kubernetes.io/config.hash"
MIRROR = "kubernetes.io/config.mirror"
# An hour's beginning in Unix time.
HOUR = 1_764_014_400
GUEST_CPUINFO = "\n\n".join(
    f"processor\t: {cpu}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
    "model name\t: AMD EPYC\nstepping\t: 1\nflags\t\t: fpu hypervisor lahf_lm"
    for cpu in range(2)
)
METAL_CPUINFO = GUEST_CPUINFO.replace(" hypervisor", "")


def a_uid(number: int) -> str:
    """A pod uid."""
    return f"{number:08x}-0000-4000-8000-000000000000"


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, *, wall: float = HOUR + 100, boottime: float = 1000) -> None:
        self._wall_us = round(wall * 1e6)
        self._boottime_us = round(boottime * 1e6)

    def wall_us(self) -> int:
        """Unix time."""
        return self._wall_us

    def boottime_us(self) -> int:
        """Time since boot."""
        return self._boottime_us

    def advance(self, seconds: float, *, wall_step: float = 0) -> None:
        """Let time pass; wall_step: how far somebody also sets the wall clock."""
        self._boottime_us += round(seconds * 1e6)
        self._wall_us += round((seconds + wall_step) * 1e6)


class HostTree:
    """A host's files in a folder; counters are rewritten in place, as the kernel's are."""

    def __init__(self, root: Path, *, cpuinfo: str = METAL_CPUINFO) -> None:
        self.root = root
        self.write("proc/sys/kernel/random/boot_id", BOOT)
        self.write("proc/cpuinfo", cpuinfo)
        self.busy(0)

    def write(self, path: str, text: str) -> Path:
        """Write a file below the root, in place and with one write."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("r+b" if file.exists() else "wb", buffering=0) as opened:
            opened.write(text.encode().ljust(64) + b"\n")
        return file

    def busy(self, ticks: int) -> None:
        """Set the processors' busy time in hundredths of a second."""
        self.write("proc/stat", f"cpu  {ticks:010d} 0 0 1000 50 0 0 70 0 0")

    def rapl(
        self,
        microjoules: int,
        *,
        domain: str = "intel-rapl:0",
        name: str = "package-0",
        range_uj: int = 262_143_328_850,
    ) -> Path:
        """Set a RAPL counter."""
        folder = f"sys/class/powercap/{domain}"
        self.write(f"{folder}/name", name)
        self.write(f"{folder}/max_energy_range_uj", str(range_uj))
        return self.write(f"{folder}/energy_uj", f"{microjoules:015d}")

    def hwmon(self, number: int, driver: str, **files: object) -> Path:
        """Set the files of a hwmon device."""
        folder = f"sys/class/hwmon/hwmon{number}"
        for name, content in {"name": driver, **files}.items():
            self.write(f"{folder}/{name}", str(content))
        return self.root / folder

    def cgroup(self, path: str, usage_us: int) -> Path:
        """Set the usage of a version 2 cgroup."""
        self.write("sys/fs/cgroup/cgroup.controllers", "cpu memory")
        return self.write(
            f"sys/fs/cgroup/{path}/cpu.stat", f"usage_usec {usage_us:015d}\nuser_usec"
        )


class FakeSensor:
    """A counter of one domain that shows what a test sets; None is a failed read."""

    name = "rapl"

    def __init__(self, domain: Domain | None = None) -> None:
        self.domains = (domain or Domain("package-0", PACKAGE),)
        self.value: int | None = 0

    def read(self) -> dict[str, int]:
        """The value that was set."""
        return {} if self.value is None else {self.domains[0].name: self.value}

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference; a fall is a counter that was set anew."""
        return Rebaseline("reset") if after < before else Energy(after - before)

    def close(self) -> None:
        """Nothing is open."""


def a_pod_manifest(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A running pod of a Job, as the API shows it.

    changes: uid, name, owner (kind, name, uid), cpu, memory, qos, phase, annotations, gpus,
    version.
    """
    uid = changes.get("uid", a_uid(number))
    kind, owner_name, owner_uid = changes.get(
        "owner", ("Job", f"job-{number}", f"job-uid-{number}")
    )
    references = [
        {"kind": "ConfigMap", "name": "other", "uid": "other"},
        {"kind": kind, "name": owner_name, "uid": owner_uid, "controller": True},
    ]
    resources = {
        "requests": {"cpu": changes.get("cpu", "500m"), "memory": changes.get("memory", "0")},
        "limits": {"nvidia.com/gpu": str(changes.get("gpus", 0))},
    }
    return {
        "metadata": {
            "uid": uid,
            "name": changes.get("name", f"pod-{number}"),
            "namespace": "ml",
            "resourceVersion": str(changes.get("version", 10)),
            "annotations": changes.get("annotations", {}),
            "ownerReferences": references if kind else references[:1],
        },
        "spec": {"containers": [{"name": "main", "resources": resources}]},
        "status": {
            "phase": changes.get("phase", "Running"),
            "qosClass": changes.get("qos", "Burstable"),
            "containerStatuses": [{"containerID": "containerd://1"}],
        },
    }


def a_mirror_manifest(
    number: int = 1, mirrors: str = "0123456789abcdef0123456789abcdef", **changes: Any
) -> dict[str, Any]:
    """A mirror pod, by which kubelet shows the API server a static pod; mirrors: its hash."""
    annotations = {CONFIG_HASH: mirrors, MIRROR: mirrors}
    changes = {"owner": ("Node", "n1", "node-uid"), "annotations": annotations} | changes
    return a_pod_manifest(number, **changes)


class FakeApi(ThreadingHTTPServer):
    """Speaks the list and watch protocol for the pods of a node.

    requests: the queries that came. events: what the open watch will send; None ends it.
    watch_statuses: what the next watches are answered with instead. allocatable: the node's CPUs;
    None forbids to read it. list_status: what lists of pods are answered with.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ApiHandler)
        self.pods: list[dict[str, Any]] = []
        self.version = "10"
        self.allocatable: str | None = "4"
        self.requests: list[dict[str, str]] = []
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.watch_statuses: list[int] = []
        self.list_status = 200

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def end_watch(self) -> None:
        """Let the open watch end in order, as each does after its time."""
        self.events.put({})

    def send(self, kind: str, manifest: dict[str, Any]) -> None:
        """Let the watch tell of a change."""
        self.events.put({"type": kind, "object": manifest})


class _ApiHandler(BaseHTTPRequestHandler):
    server: FakeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if url.path.startswith("/api/v1/nodes/"):
            self._node()
            return
        self.server.requests.append(query)
        if query.get("watch"):
            self._watch()
        else:
            metadata = {"resourceVersion": self.server.version}
            items = {"metadata": metadata, "items": self.server.pods}
            self._answer(self.server.list_status, items)

    def _node(self) -> None:
        if self.server.allocatable is None:
            self._answer(403, {"message": "forbidden"})
        else:
            allocatable = {"cpu": self.server.allocatable, "memory": "8Gi"}
            self._answer(200, {"status": {"allocatable": allocatable}})

    def _watch(self) -> None:
        if self.server.watch_statuses:
            status = self.server.watch_statuses.pop()
            self._answer(status, {"code": status})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            while (event := self.server.events.get()) is not None:
                if not event:
                    self.wfile.write(b"0\r\n\r\n")
                    return
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
        # An abrupt end: the last chunk is missing.
        self.close_connection = True

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


@contextmanager
def a_fake_api() -> Iterator[FakeApi]:
    """A running API server."""
    api = FakeApi()
    threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
    yield api
    api.events.put(None)
    api.shutdown()
    api.server_close()


def eventually(condition: Callable[[], bool], *, seconds: float = 5) -> bool:
    """Wait until something holds; whether it did in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class SimulatedMachine:
    """What a node's counters would show. Pods lie in the slices of their QoS class."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.boot_id = BOOT
        self.sensors = [FakeSensor()]
        self.platforms: list[FakeSensor] = []
        self.rests: list[Domain] = []
        self.leaving: set[tuple[str, str]] = set()
        self.busy_us = 0
        self.pods: dict[str, tuple[int, str]] = {}
        self.renewed: set[str] = set()
        self.memory_kib: dict[str, int] = {}
        self.looks_at_memory = 0
        self.slices = {"kubepods": 0, "burstable": 0, "besteffort": 0}

    def start(self, number: int, qos: str = "burstable") -> str:
        """Create a pod's cgroup; returns the uid in its name."""
        self.pods[a_uid(number)] = (0, qos)
        return a_uid(number)

    def use(self, pod: str, busy_us: int) -> None:
        """Let a pod use CPU time."""
        used_us, qos = self.pods[pod]
        self.pods[pod] = (used_us + busy_us, qos)
        for name in {qos, "kubepods"}:
            self.slices[name] += busy_us
        self.busy_us += busy_us

    def end(self, pod: str) -> None:
        """Remove a pod's cgroup; its slice remembers what it used."""
        del self.pods[pod]

    def look_at_memory(self) -> dict[str, int]:
        """Memory in use of the pods that exist, as far as a test set it."""
        self.looks_at_memory += 1
        return {pod: used for pod, used in self.memory_kib.items() if pod in self.pods}

    def renew(self, pod: str) -> None:
        """Remove a pod's cgroup and make it anew, as for a static pod that is restarted."""
        self.pods[pod] = (0, self.pods[pod][1])
        self.renewed.add(pod)

    def draw(self, microjoules: int, *, seconds: float = 1, sensor: int = 0) -> None:
        """Let time pass while a domain draws energy."""
        value = self.sensors[sensor].value
        assert value is not None
        self.sensors[sensor].value = value + microjoules
        self.clock.advance(seconds)

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Name and source of the domains that are read."""
        sensors = (*self.sensors, *self.platforms)
        domains = [domain for sensor in sensors for domain in sensor.domains]
        return {domain.key for domain in (*domains, *self.rests)}

    def seen(self) -> Seen:
        """What the sensors show now."""
        staying = self.keys - self.leaving
        return Seen(_shown(self.sensors), _shown(self.platforms), self.rests, staying)

    def readings(self) -> Readings:
        """All counters as they are now."""
        parents = {"kubepods": "", "burstable": "kubepods", "besteffort": "kubepods"}
        renewed, self.renewed = self.renewed, set()
        return Readings(
            self.clock.wall_us(),
            self.clock.boottime_us(),
            self.busy_us,
            self.seen(),
            CgroupReading(
                {
                    pod: CgroupUse(used_us, qos, pod in renewed)
                    for pod, (used_us, qos) in self.pods.items()
                },
                {name: CgroupUse(used_us, parents[name]) for name, used_us in self.slices.items()},
            ),
        )


def _shown(sensors: list[FakeSensor]) -> list[Reading]:
    return [
        Reading(sensor, domain, sensor.read().get(domain.name))
        for sensor in sensors
        for domain in sensor.domains
    ]


class AgentUnderTest:
    """The agent's inside on a simulated machine; making another on its folder is a restart."""

    def __init__(
        self,
        machine: SimulatedMachine,
        folder: Path,
        *,
        policy: IdlePolicy = IdlePolicy.REQUESTS,
        idle_watts: float | None = None,
        period_us: int = HOUR_US,
        vcpus: int = 4,
    ) -> None:
        self.machine = machine
        self.directory = PodDirectory()
        self.folder = StateFolder(folder, period_us)
        clock = machine.clock
        self.snapshot, goes_on = resume(
            self.folder.load(clock.wall_us()),
            self.folder.journal,
            Machine(
                machine.boot_id,
                "cpu",
                clock.boottime_us(),
                clock.wall_us(),
                period_us,
                machine.keys,
            ),
        )
        rules = Rules(vcpus, policy, None if idle_watts is None else round(idle_watts * 1e6))
        owners = OwnerSeries(self.snapshot, self.folder.journal)
        self.gpus: GpuPicture | None = None
        self.meter = Meter(
            self.snapshot,
            owners,
            self.directory,
            rules,
            lambda: self.gpus,
            machine.look_at_memory,
        )
        self.board = Board("n1", self.folder.journal)
        if not goes_on:
            self.meter.begin(machine.readings())
        self.save()

    def tick(self) -> None:
        """Read, count, save and publish."""
        self.meter.tick(self.machine.readings())
        self.save()

    def save(self) -> None:
        """Save and publish."""
        self.board.publish(
            self.folder.save(self.snapshot), AgentHealth({}, 0.0, {}, self.gpus or GpuPicture())
        )

    def kill(self) -> None:
        """End as SIGKILL would: only the lock is let go."""
        self.folder.close()

    def know(self, *manifests: dict[str, Any]) -> None:
        """Let the API server tell of pods."""
        for manifest in manifests:
            self.directory.put(parse_pod(manifest))

    def metrics(self) -> dict[str, str]:
        """Values on /metrics by series."""
        return samples((self.board.metrics() or b"").decode())

    def accounting(self, since_us: int = 0) -> dict[str, str]:
        """Values on /metrics/accounting by series."""
        return samples((self.board.accounting(since_us) or b"").decode())

    def owner_energy(self, domain: str = "package") -> dict[str, int]:
        """Microjoules of open owner series by the owner's name."""
        return {
            owner.name: record.total_uj
            for (owner, stream), record in self.snapshot.series.items()
            if stream.domain == domain
        }

    def marks(self) -> dict[tuple[str, int], int]:
        """Microjoules that are marked on /metrics/accounting, by owner name and hour."""
        found = {}
        for series, value in self.accounting().items():
            if series.startswith("carbonaware_owner_energy_mark_joules"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
                found[labels["owner_name"], int(labels["hour"])] = micro(value)
        return found

    def attributed(self, domain: str = "package") -> AttributedRecord:
        """Where the energy went."""
        return self.snapshot.attributed.get(domain, AttributedRecord())


def samples(text: str) -> dict[str, str]:
    """Series and value of each sample of an exposition; fails on a series that occurs twice."""
    assert text.endswith("# EOF\n")
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    found = {series: value for series, _, value in lines}
    assert len(lines) == len(found)
    return found


def micro(value: str) -> int:
    """An exact decimal in millionths."""
    whole, _, fraction = value.partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))
