"""Whatever a parser is given, it returns a sound value or raises the error that it documents."""

import contextlib
import io
import json
import zlib
from itertools import pairwise

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from agent_builders import HOUR_US, METAL_CPUINFO, HostTree, a_pod_manifest, a_uid
from carbonaware_agent.host import Host, parse_cpuinfo
from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.snapshot_format import SnapshotUnreadableError, decode
from carbonaware_agent.serving.server import BadQueryError, _since_us
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve_file import Calibration, CurveFileError, read_calibrations
from carbonaware_agent.sources.hwmon import Hwmon
from carbonaware_agent.sources.rapl import Rapl
from carbonaware_agent.sources.sensor import Energy, Interval
from carbonaware_agent.workloads import cgroup_names
from carbonaware_agent.workloads.api import ApiServer, ApiUnconfiguredError, from_kubeconfig
from carbonaware_agent.workloads.cgroups import Cgroups, CgroupsUnreadableError
from carbonaware_agent.workloads.effective_request import kibibytes, millicores
from carbonaware_agent.workloads.pod_resources import PodResourcesError, parse
from carbonaware_agent.workloads.pods import MalformedPodError, Pod, PodDirectory, parse_pod
from carbonaware_agent.workloads.process_pods import pod_of_process
from carbonaware_agent.workloads.watch import PodWatch

# Also digits that are no decimals, and halves of surrogate pairs, which JSON may hold.
TEXT = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["²", "\ud800", "-1", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
DEEP = b"[" * 100_000


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """Some bytes with a piece replaced by others."""
    begin = draw(st.integers(0, len(valid)))
    end = draw(st.integers(begin, min(len(valid), begin + 8)))
    return valid[:begin] + draw(st.binary(max_size=8)) + valid[end:]


@st.composite
def with_another_value(draw: st.DrawFn, document: object) -> object:
    """A JSON document of which some part, anywhere, is something else."""
    if isinstance(document, dict) and document and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(document)))
        return document | {key: draw(with_another_value(document[key]))}
    if isinstance(document, list) and document and draw(st.booleans()):
        return [draw(with_another_value(document[0])), *document[1:]]
    return draw(JSON)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> HostTree:
    return HostTree(tmp_path_factory.mktemp("host"))


class TestHost:
    @given(st.text() | mutated(METAL_CPUINFO.encode()).map(lambda raw: raw.decode(errors="ignore")))
    @example("cpu family : ²")
    def test_cpuinfo(self, text):
        """There is at least one processor, and no negative number."""
        processor = parse_cpuinfo(text)

        assert processor.vcpus >= 1
        assert min(processor.family, processor.model, processor.stepping) >= 0

    @given(st.binary(max_size=600) | mutated(b"cpu  10 20 30 400 50 60 70 80 0 0\ncpu0 1 2 3 4"))
    @example(b"cpu  -9 0 0 0 0 0 0 0")
    def test_proc_stat(self, tree, content):
        """Busy time is never negative."""
        (tree.root / "proc/stat").write_bytes(content)
        cpu_time = CpuTime(Host(tree.root).proc)
        try:
            assert cpu_time.busy_us() >= 0
        except ValueError:
            pass
        finally:
            cpu_time.close()

    @given(st.binary(max_size=100) | mutated(b"MemTotal:       67108864 kB\n"))
    @example(b"MemTotal: 1" + b"0" * 5000 + b" kB")
    @example(b"\xff")
    def test_meminfo_and_boot_id(self, tree, content):
        """Unknown memory is 0; a boot has some name."""
        (tree.root / "proc/meminfo").write_bytes(content)
        (tree.root / "proc/sys/kernel/random/boot_id").write_bytes(content)
        (tree.root / "proc/cpuinfo").write_bytes(content)
        host = Host(tree.root)

        assert host.memory_gib() >= 0
        assert isinstance(host.boot_id(), str)
        assert host.processor().vcpus >= 1


class TestSensors:
    @given(
        st.binary(max_size=40) | st.sampled_from([b"package-0", b"dram", b"psys"]),
        st.binary(max_size=40) | st.integers().map(lambda number: b"%d" % number),
        st.lists(st.binary(max_size=40) | st.integers(0, 2**64).map(lambda n: b"%d" % n)),
    )
    def test_rapl(self, tree, name, range_uj, counters):
        """Energy is never negative and never more than 3 kW, but for wraps that are expected."""
        folder = tree.rapl(0).parent
        (folder / "name").write_bytes(name)
        (folder / "max_energy_range_uj").write_bytes(range_uj)
        rapl = Rapl(Host(tree.root).powercap)
        shown = []
        for counter in counters:
            (folder / "energy_uj").write_bytes(counter)
            shown.append(rapl.read())
        for before, after in pairwise(shown):
            for domain in rapl.domains:
                if domain.name in before and domain.name in after:
                    outcome = rapl.energy(
                        domain, before[domain.name], after[domain.name], Interval(1_000_000)
                    )
                    assert not isinstance(outcome, Energy) or 0 <= outcome.microjoules <= 3 * 10**9
        rapl.close()

    @given(
        st.sampled_from(["amd_energy", "xe", "power_meter"]),
        st.dictionaries(
            st.sampled_from(
                [
                    *("energy1_label", "energy1_input", "power1_average", "power1_input"),
                    *("power1_accuracy", "power1_oem_info", "power1_is_battery"),
                ]
            ),
            st.binary(max_size=30)
            | st.sampled_from([b"Esocket0", b"CPU Power Socket 1", b"97.5%", b"1000000"]),
        ),
    )
    def test_hwmon(self, tmp_path_factory, name, files):
        """A domain has a name and an error of 0 to 2, and its power is positive."""
        folder = tmp_path_factory.mktemp("hwmon") / "hwmon0"
        folder.mkdir()
        (folder / "name").write_text(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        hwmon = Hwmon(folder.parent)
        values = hwmon.read()

        for domain in hwmon.domains:
            assert 0 <= (domain.error_ratio or 0) <= 2
            assert (
                domain.name not in values or domain.error_ratio is None or values[domain.name] > 0
            )
        hwmon.close()

    @given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
    @example(DEEP)
    def test_curves(self, tmp_path_factory, content):
        """A file is a calibration, or why it is none."""
        folder = tmp_path_factory.mktemp("curves")
        (folder / "curve.json").write_bytes(content)

        (found,) = read_calibrations(folder)
        assert isinstance(found, Calibration | CurveFileError)


class TestCgroups:
    @given(
        st.text(max_size=60)
        | st.from_regex(r"kube.{0,10}pods.{0,10}-pod[0-9a-f_-]{30,40}(\.slice)?", fullmatch=True)
    )
    def test_names(self, name):
        """A uid is told in the API's form, and a QoS class is one of two."""
        assert len(cgroup_names.pod_of(name) or "-" * 32) in (32, 36)
        assert cgroup_names.qos_of(name) in (None, "burstable", "besteffort")

    @given(st.binary(max_size=60), st.from_regex(r"pod[0-9a-f]{32}", fullmatch=True))
    @example(b"\xff/a:b", f"pod{'0' * 32}")
    def test_a_processs_pod_is_the_outermost(self, tree, inner, forged):
        """Whatever cgroups a container makes below its own."""
        path = f"0::/kubepods/burstable/pod{a_uid(9)}/container/".encode()
        (tree.root / "proc/7").mkdir(exist_ok=True)
        (tree.root / "proc/7/cgroup").write_bytes(path + forged.encode() + b"/" + inner)

        assert a_uid(9) == pod_of_process(tree.root / "proc", 7)

    @given(st.binary(max_size=80) | mutated(b"usage_usec 12345\nuser_usec 1\n") | mutated(b"123\n"))
    @example(b"words 12 words")
    @example(b"")
    def test_usage(self, tree, content):
        """Usage is never negative; what cannot be read is told with the documented error."""
        path = "kubepods/pod00000001-0000-4000-8000-000000000000"
        tree.cgroup("kubepods", 0)
        tree.cgroup(path, 0).write_bytes(content)
        try:
            uses = Cgroups(Host(tree.root).cgroups).read().pods.values()
        except CgroupsUnreadableError:
            return
        assert all(use.usage_us >= 0 for use in uses)


class TestPods:
    @given(JSON | with_another_value(a_pod_manifest()))
    @example({"metadata": {"uid": 1, "name": None, "namespace": []}})
    @example(a_pod_manifest(name="\ud800"))
    @example(a_pod_manifest(gpus="²"))
    def test_manifests(self, manifest):
        """A pod has texts for names, which can be written, and requests of at least 0."""
        try:
            pod = parse_pod(manifest)
        except MalformedPodError:
            return
        texts = [pod.uid, pod.cgroup_uid, pod.namespace, pod.name, pod.slice, *pod.owner]
        assert "".join(texts).encode().decode() == "".join(texts)
        assert min(pod.cpu_request, pod.memory_request, pod.gpus) >= 0

    @given(TEXT | st.from_regex(r"[+-]?[0-9.]{1,30}[eEkKMGTPumn]{0,2}[+-]?[0-9]{0,3}i?"))
    def test_quantities(self, text):
        """Whole and not negative."""
        for amount in (millicores(text), kibibytes(text)):
            assert isinstance(amount, int)
            assert amount >= 0

    @given(st.binary(max_size=200))
    @example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
    def test_pod_resources(self, content):
        """Allocations, or the one error."""
        with contextlib.suppress(PodResourcesError):
            assert isinstance(parse(content), list)


def watching(api: ApiServer) -> tuple[PodWatch, PodDirectory]:
    directory = PodDirectory()
    return PodWatch(api, "n1", directory, lambda _: True), directory


class Canned:
    """An API server that answers a question for nodes, for pods or a watch with given bytes."""

    def __init__(self, **answers: bytes) -> None:
        self._answers = answers

    def get(self, path: str, query: dict[str, str], **_: object) -> requests.Response:
        """As ApiServer.get."""
        kind = "watch" if query.get("watch") else path.split("/")[3]
        answer = requests.Response()
        answer.status_code = 200
        answer.raw = io.BytesIO(self._answers[kind])
        return answer


LISTED = {"metadata": {"resourceVersion": "10"}, "items": []}
NODE = {"status": {"allocatable": {"cpu": "4", "memory": "1Gi"}}}
EVENT = {"type": "ADDED", "object": a_pod_manifest(1)}


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


class TestWatch:
    @given(
        nodes=with_another_value(NODE).map(as_bytes),
        pods=with_another_value(LISTED).map(as_bytes),
        watch=with_another_value(EVENT).map(as_bytes) | st.binary(max_size=60),
    )
    @example(nodes=as_bytes(NODE), pods=as_bytes([]), watch=b"")
    @example(nodes=as_bytes({"status": {"allocatable": 4}}), pods=as_bytes(LISTED), watch=b"7")
    @example(nodes=as_bytes(NODE), pods=as_bytes(LISTED), watch=b'{"type":"ADDED","object":3}')
    @example(nodes=as_bytes(NODE), pods=as_bytes(LISTED), watch=DEEP)
    def test_no_answer_ends_it(self, nodes, pods, watch):
        """Whatever the API server says, the agent asks again."""
        following, directory = watching(Canned(nodes=nodes, pods=pods, watch=watch))

        following.run()

        assert (directory.allocatable_millicores or 1) > 0

    @given(JSON)
    @example({"metadata": {"uid": "u"}})
    def test_one_malformed_pod_does_not_hide_the_others(self, malformed):
        """Neither in a list nor in what the watch tells."""
        listed = LISTED | {"items": [malformed, a_pod_manifest(1), malformed]}
        changes = [{"type": "ADDED", "object": pod} for pod in (malformed, a_pod_manifest(2))]
        following, directory = watching(
            Canned(
                nodes=as_bytes(NODE),
                pods=as_bytes(listed),
                watch=b"\n".join(map(as_bytes, changes)),
            )
        )

        following.run()

        found = [directory.find(a_pod_manifest(number)["metadata"]["uid"]) for number in (1, 2)]
        assert ["pod-1", "pod-2"] == [pod.name for pod in found if isinstance(pod, Pod)]


VALID = (b'{"version":2}', b'{"version":2,"owners":[],"streams":[],"pods":[[]]}')


class TestState:
    @given(
        st.binary(max_size=200)
        | JSON.map(as_bytes).map(lambda body: b"%08x\n%s\n" % (zlib.crc32(body), body))
        | st.sampled_from(VALID).map(lambda body: b"%08x\n%s\n" % (zlib.crc32(body), body))
    )
    @example(b"%08x\n%s\n" % (zlib.crc32(DEEP), DEEP))
    def test_snapshots(self, content):
        """A snapshot or the one error, even where the checksum fits."""
        with contextlib.suppress(SnapshotUnreadableError):
            assert isinstance(decode(content), Snapshot)

    @given(st.lists(st.binary(max_size=60) | JSON.map(as_bytes)))
    @example([b'["mark","e1","x",5]'])
    @example([b'["mark","e1",3600000000,-5]'])
    @example([b'["close","e1","x",[]]'])
    @example([DEEP])
    def test_a_damaged_line_costs_no_other(self, tmp_path_factory, lines):
        """The series and marks around it stand."""
        file = tmp_path_factory.mktemp("journal") / "marks.jsonl"
        key = [["ml", "Job", "j", "u"], ["package", "rapl", "chip"]]
        sound = [["period", HOUR_US], ["series", "e1", *key], ["mark", "e1", 0, 5]]
        later = ["close", "e1", 7, 8]
        content = [*map(as_bytes, sound), *lines, as_bytes(later)]
        file.write_bytes(b"\n".join(content) + b"\n")
        journal = Journal(file, HOUR_US)

        journal.load(None, 0)

        history = dict(journal.histories())["e1"]
        assert (7, 8) == (history.total_uj, history.closed_us)
        assert (0, 5) == history.marks[0]


KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://api"}}],
    "users": [{"name": "u", "user": {"token": "t", "client-key-data": "a2V5"}}],
}


class TestKubeconfig:
    @given(st.binary(max_size=60) | with_another_value(KUBECONFIG).map(as_bytes))
    @example(as_bytes(KUBECONFIG | {"users": [{"name": "u", "user": "exe"}]}))
    @example(as_bytes(KUBECONFIG | {"clusters": [{"name": "c", "cluster": {"server": 1}}]}))
    @example(b"[" * 1000)
    def test_what_cannot_be_used_is_told(self, tmp_path_factory, content):
        """A server with an address, or the one error."""
        file = tmp_path_factory.mktemp("kube") / "config"
        file.write_bytes(content)
        with contextlib.suppress(ApiUnconfiguredError):
            assert isinstance(from_kubeconfig(file).url, str)


class TestQueries:
    @given(st.text(max_size=30).map(lambda text: f"since={text}") | st.text(max_size=30))
    @example("since=1e400")
    @example("since=²")
    def test_since(self, query):
        """A time in microseconds, or the one error."""
        with contextlib.suppress(BadQueryError):
            assert _since_us(query) >= 0
