"""Files that fail, counters and clocks that jump, full disks, many pods, many readers.

Every test runs the whole agent on real files; only its clock is played.
"""

import os
import resource
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import psutil
import pytest

from agent_builders import FakeClock, HostTree, a_pod_manifest, a_uid, micro, samples
from carbonaware_agent.serving import exposition
from carbonaware_agent.serving.server import MetricsServer
from carbonaware_agent.settings import parse
from carbonaware_agent.wiring import Parts, assemble
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod

NODE = 'carbonaware_node_energy_joules_total{domain="package-0",source="rapl",boundary="chip"}'
POD = f"kubepods/burstable/pod{a_uid(1)}"
DRAWN_UJ = 20_000_000


class WholeAgent:
    """All of the agent on a host tree on which one pod runs, unless a test removes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = HostTree(folder / "host")
        self.clock = FakeClock()
        self.directory = PodDirectory()
        self.directory.put(parse_pod(a_pod_manifest(1)))
        self.parts: Parts | None = None
        self.used_us = 0
        self.counter = 10**9
        self.write()

    def write(self) -> None:
        """Let the files show what was used and drawn."""
        for path in ("kubepods", "kubepods/burstable", POD):
            self.tree.cgroup(path, self.used_us)
        self.tree.busy(self.used_us // 10_000)
        self.tree.rapl(self.counter)

    def start(self) -> "WholeAgent":
        """Begin, or begin again on the same state."""
        flags = [f"--host-root={self.tree.root}", f"--state-dir={self.folder / 'state'}"]
        chosen = parse([*flags, "--idle-watts=5", "--node-name=n1"], {})
        self.parts = assemble(chosen, self.clock, self.directory, None)
        self.tick()
        return self

    def kill(self) -> None:
        """End as SIGKILL would."""
        self.parts.folder.close()
        for folder in self.parts.agent._reader._cgroups._folders():
            folder.close()

    def tick(self) -> None:
        """Read, count, save and show."""
        self.parts.agent.tick()

    def work(self, *, seconds: float = 1, wall_step: float = 0) -> None:
        """Let the pod use a core while the node draws 20 W, then tick."""
        self.used_us += round(seconds * 1_000_000)
        self.counter += round(seconds * DRAWN_UJ)
        self.write()
        self.clock.advance(seconds, wall_step=wall_step)
        self.tick()

    def page(self) -> dict[str, str]:
        """Both pages."""
        pages = (self.parts.board.metrics(), self.parts.board.accounting(0))
        return samples(b"".join(page or b"" for page in pages).decode())

    def joules(self) -> dict[str, int]:
        """Microjoules by series, after a look at whether what was attributed is what was drawn."""
        found = {
            series: micro(value) for series, value in self.page().items() if "joules" in series
        }
        parts = [value for series, value in found.items() if "node_attributed" in series]
        assert sum(parts) == found.get(NODE, 0)
        return found

    def success(self, collector: str) -> str:
        """How a collector did."""
        return self.page()[f'carbonaware_agent_collector_success{{collector="{collector}"}}']

    def gaps(self) -> dict[str, int]:
        """Counted gaps by reason."""
        page = self.page().items()
        return {
            series.split('"')[3]: int(value)
            for series, value in page
            if series.startswith("carbonaware_agent_gaps_total")
        }


@pytest.fixture
def agent(tmp_path) -> Iterator[WholeAgent]:
    running = WholeAgent(tmp_path)
    yield running
    if running.parts is not None:
        running.kill()


def fallen(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Series that show less than before."""
    return [series for series, value in before.items() if after.get(series, -1) < value]


def remove(path: Path) -> None:
    """Let nothing be there."""
    path.unlink()


def put_a_folder(path: Path) -> None:
    """Let reading end in EISDIR."""
    path.unlink()
    path.mkdir()


def put_a_loop(path: Path) -> None:
    """Let opening end in ELOOP, which root meets as well."""
    path.unlink()
    path.symlink_to(path)


def overwrite(content: bytes) -> Callable[[Path], None]:
    """Let the file hold something else."""
    return lambda path: path.write_bytes(content) and None


FAULTS = {
    "missing": remove,
    "a folder": put_a_folder,
    "a loop": put_a_loop,
    "empty": overwrite(b""),
    "no text": overwrite(b"\xff\x00\xfe"),
    "huge": overwrite(b"7" * 1_000_000),
}
RAPL = "sys/class/powercap/intel-rapl:0"
FILES = (
    "proc/cpuinfo",
    "proc/stat",
    "proc/sys/kernel/random/boot_id",
    f"{RAPL}/name",
    f"{RAPL}/max_energy_range_uj",
    f"{RAPL}/energy_uj",
    f"sys/fs/cgroup/{POD}/cpu.stat",
    "sys/fs/cgroup/kubepods/cpu.stat",
)


class TestFiles:
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("file", FILES)
    def test_at_the_start_it_measures_what_is_left_or_says_why_not(self, agent, file, fault):
        """With the one error that ends the process in an orderly way."""
        FAULTS[fault](agent.tree.root / file)
        try:
            agent.start()
        except OSError:
            return
        agent.clock.advance(1)
        agent.tick()

        if agent.parts.board.ready:
            assert all(value >= 0 for value in agent.joules().values())
        else:
            # Without all cgroups nothing can be divided, so that counting has not begun.
            assert "cpu.stat" in file

    @pytest.mark.parametrize("content", [b"", b"\xff", b"-5", b"words", b"9" * 100])
    @pytest.mark.parametrize("file", [f"{RAPL}/energy_uj", f"sys/fs/cgroup/{POD}/cpu.stat"])
    def test_a_file_that_fails_for_a_while_costs_no_energy(self, agent, file, content):
        """It is told, nothing falls, and the next good reading makes up for it."""
        agent.start().work()
        before = agent.joules()
        (agent.tree.root / file).write_bytes(content)
        agent.clock.advance(1)
        agent.tick()
        assert "0" == agent.success("rapl" if "rapl" in file else "cgroups")
        assert [] == fallen(before, agent.joules())

        agent.work()
        assert 2 * DRAWN_UJ == agent.joules()[NODE]

    def test_a_busy_time_that_fails_for_a_while_leaves_nothing_to_the_system(self, agent):
        """What is not known to be the system's is not billed to it."""
        agent.start().work()
        (agent.tree.root / "proc/stat").write_bytes(b"")
        agent.clock.advance(1)
        agent.tick()
        assert "0" == agent.success("cpu")

        agent.work()
        system = 'carbonaware_node_attributed_joules_total{domain="package",component="system"}'
        assert (2 * DRAWN_UJ, 0) == (agent.joules()[NODE], agent.joules()[system])

    @pytest.mark.parametrize("jump_uj", [10**12, -(10**8)])
    def test_a_counter_that_jumps_is_a_gap(self, agent, jump_uj):
        """No watt of it is billed to anybody; counting goes on from the new value."""
        agent.start().work()
        agent.counter = (agent.counter + jump_uj) % 262_143_328_850
        agent.work()
        agent.work()

        assert 2 * DRAWN_UJ == agent.joules()[NODE]
        assert {"implausible": 1} == agent.gaps()

    @pytest.mark.parametrize("jump_us", [10**15, -500_000])
    def test_a_usage_that_jumps_cannot_take_more_than_there_was(self, agent, jump_us):
        """The pod is credited with at most all processors; the energy is what was drawn."""
        agent.start().work()
        before = agent.joules()
        agent.used_us += jump_us
        agent.work()

        assert 2 * DRAWN_UJ == agent.joules()[NODE]
        assert [] == fallen(before, agent.joules())


class TestClocks:
    @pytest.mark.parametrize("step", [-7200, -1, 1, 7200, 29 * 86400])
    def test_the_wall_clock_may_step(self, agent, step):
        """No value falls, no closed hour changes, no energy is lost or counted twice."""
        agent.start().work(seconds=3600)
        before = agent.joules()
        agent.work(wall_step=step)
        agent.work(seconds=3600)
        after = agent.joules()

        assert [] == fallen(before, after)
        marks = {s: v for s, v in before.items() if "mark_joules" in s}
        assert marks
        assert marks.items() <= after.items()
        assert 7201 * DRAWN_UJ == after[NODE]

    def test_a_suspended_machine_is_one_long_interval(self, agent):
        """Its counter goes on, or stands still; nothing else is added."""
        agent.start().work()
        agent.clock.advance(8 * 3600)
        agent.work()

        assert 2 * DRAWN_UJ == agent.joules()[NODE]
        assert {"estimated": 1} == agent.gaps()

    def test_a_boot_clock_that_went_back_is_another_boot(self, agent):
        """A machine restored from a checkpoint: raw counters say nothing, totals go on."""
        agent.start().work()
        agent.kill()
        agent.clock.advance(-500)
        agent.start().work()

        assert 2 * DRAWN_UJ == agent.joules()[NODE]


def in_order(agent: WholeAgent) -> str:
    owner = 'namespace="ml",owner_kind="Job",owner_name="job-1",owner_uid="job-uid-1"'
    page = (agent.parts.board.metrics() or b"").decode()
    return "".join(line for line in page.splitlines(keepends=True) if owner in line)


class TestForgery:
    def test_a_forged_label_charges_nobody_else(self, agent):
        """Labels are not read: the series of the job whose labels were copied stays as it was."""
        agent.start().work()
        before = in_order(agent)
        assert before
        forged = a_pod_manifest(2)
        labels = {"job-name": "job-1", "controller-uid": "job-uid-1", "app": "pod-1"}
        labels |= {f"batch.kubernetes.io/{key}": value for key, value in labels.items()}
        forged["metadata"]["labels"] = labels
        agent.directory.put(parse_pod(forged))
        agent.tree.cgroup(f"kubepods/burstable/pod{a_uid(2)}", 900_000)
        agent.counter += DRAWN_UJ
        agent.tree.rapl(agent.counter)
        agent.clock.advance(1)
        agent.tick()

        idle_uj = sum(v for s, v in agent.joules().items() if "pod-1" in s and '"idle"' in s)
        (line,) = in_order(agent).splitlines()
        assert micro(line.rpartition(" ")[2]) - micro(before.split()[-1]) <= idle_uj

    def test_an_owner_reference_of_a_megabyte_is_not_believed(self):
        """The API server does not bound it, and it would be saved and shown every second."""
        pod = parse_pod(a_pod_manifest(1, owner=("Job", "j" * 1_000_000, "u")))

        assert ("Pod", "pod-1") == (pod.owner.kind, pod.owner.name)


@pytest.fixture
def server(agent, monkeypatch) -> Iterator[str]:
    monkeypatch.setattr("carbonaware_agent.serving.server._POLL_SECONDS", 0.01)
    agent.start().work()
    serving = MetricsServer(("127.0.0.1", 0), agent.parts.board, alive=lambda: True)
    serving.start()
    yield f"127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


class TestReaders:
    def test_fifty_at_once_get_one_rendering(self, server, agent):
        """All of them the same text."""
        start, pages = threading.Barrier(50), []

        def scrape() -> None:
            start.wait(timeout=20)
            with urllib.request.urlopen(f"http://{server}/metrics", timeout=20) as answer:
                pages.append(answer.read())

        with mock.patch.object(exposition, "metrics", wraps=exposition.metrics) as rendered:
            agent.work()
            threads = [threading.Thread(target=scrape) for _ in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=30)

        assert (50, 1) == (len(pages), len(set(pages)))
        assert 1 == rendered.call_count

    def test_a_target_that_is_no_address_is_refused(self, server):
        """With an answer, not with a broken connection."""
        request = urllib.request.Request(f"http://{server}/")
        request.selector = "http://[/metrics"
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=10)

    def test_a_reader_that_leaves_is_not_worth_a_line(self, server, agent, capsys):
        """Else a port scan fills the log with what is no JSON."""
        with (
            mock.patch.object(agent.parts.board, "metrics", side_effect=BrokenPipeError),
            pytest.raises((ConnectionError, urllib.error.URLError)),
        ):
            urllib.request.urlopen(f"http://{server}/metrics", timeout=10)

        assert "" == capsys.readouterr().err


@pytest.fixture
def small_disk(agent) -> Iterator[Path]:
    """A file system of 256 kB for the state."""
    state = agent.folder / "state"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root mounts a file system")
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


class TestDisk:
    def test_a_full_disk_freezes_what_is_shown_and_loses_nothing(self, agent, small_disk):
        """The collector says so; with room again, all that was counted meanwhile is shown."""
        agent.start().work()
        shown = agent.joules()
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(1024 * 1024))
        for _ in range(3):
            agent.work(seconds=1800)
        assert (shown, "0") == (agent.joules(), agent.success("state"))

        filler.unlink()
        agent.work()
        assert "1" == agent.success("state")
        assert 5402 * DRAWN_UJ == agent.joules()[NODE]
        exact = agent.joules()
        agent.kill()
        agent.start()
        assert exact == agent.joules()

    def test_a_state_folder_that_vanishes_freezes_too(self, agent):
        """Somebody cleans up /var/lib; counting goes on in memory."""
        agent.start().work()
        shown = agent.joules()
        shutil.rmtree(agent.folder / "state")
        agent.work()
        assert (shown, "0") == (agent.joules(), agent.success("state"))

        (agent.folder / "state").mkdir()
        agent.work()
        assert 3 * DRAWN_UJ == agent.joules()[NODE]


MANY = 5000


@pytest.fixture
def crowd(agent) -> WholeAgent:
    """A node with 5,000 pods, each its own Job's."""
    for number in range(2, MANY + 1):
        folder = agent.tree.root / f"sys/fs/cgroup/kubepods/pod{a_uid(number)}"
        folder.mkdir()
        (folder / "cpu.stat").write_text("usage_usec 0\n")
        agent.directory.put(parse_pod(a_pod_manifest(number, qos="Guaranteed")))
    return agent


@pytest.fixture
def descriptors() -> Iterator[Callable[[int], None]]:
    """Sets how many files this process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
class TestManyPods:
    def test_5000_pods_are_exact(self, crowd, descriptors):
        """To the microjoule, with every one of them named; says what it takes."""
        descriptors(2 * MANY)
        crowd.start()
        for number in range(2, MANY + 1):
            path = crowd.tree.root / f"sys/fs/cgroup/kubepods/pod{a_uid(number)}/cpu.stat"
            path.write_text(f"usage_usec {number * 100}\n")
        begin = time.process_time()
        crowd.work()
        tick_seconds = time.process_time() - begin
        begin = time.process_time()
        joules = crowd.joules()
        page_seconds = time.process_time() - begin
        owners = [v for s, v in joules.items() if "owner_energy_joules" in s and "node=" not in s]
        resident = psutil.Process().memory_info().rss / 1e6
        print(f"{MANY} pods: tick {tick_seconds:.3f} s, two pages {page_seconds:.3f} s,")
        print(f"this process {resident:.0f} MB")

        assert DRAWN_UJ == joules[NODE]
        pods = [value for series, value in joules.items() if "pod_energy" in series]
        assert (2 * MANY, MANY) == (len(pods), len(owners))
        assert sum(pods) == sum(owners)

    def test_pods_beyond_the_descriptors_stay_the_systems(self, crowd, descriptors):
        """It is told, the others are measured, and what was drawn is attributed exactly."""
        descriptors(1000)
        crowd.start().work()

        assert "0" == crowd.success("cgroups")
        assert DRAWN_UJ == crowd.joules()[NODE]
