"""From the names of devices to who holds what of which GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_builders import a_pod_manifest, a_uid
from carbonaware_agent.attribution.devices import Claim, Holding, Method
from carbonaware_agent.gpus.holdings import Hold, Sample, holding, join, sole_holder, used
from carbonaware_agent.sources.nvml_activity import Activity, Layout, MigDevice
from carbonaware_agent.workloads.device_ids import Part, resolve
from carbonaware_agent.workloads.pod_resources import Allocation
from carbonaware_agent.workloads.pods import parse_pod
from carbonaware_agent.workloads.process_pods import pod_of_process
from gpu_builders import a_card

SMALL = MigDevice("MIG-s", instance=9, slices=1, profile=19, start=6)
LARGE = MigDevice("MIG-l", instance=1, slices=3, profile=9, start=0)
CARDS = [a_card("GPU-a", 0), a_card("GPU-b", 1, SMALL, LARGE)]
WHOLE = Part("GPU-a")
# What names of devices are made of.
WORDS = [
    "nvidia",
    "gpu-",
    "GPU-a",
    "MIG-s",
    "-mig-",
    "/gi",
    "/vgpu",
    "::",
    "=",
    "-",
    "1",
    "19",
    "x",
]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "part"),
        [
            ("GPU-a", Part("GPU-a")),
            ("GPU-a::3", Part("GPU-a")),
            ("MIG-s", Part("GPU-b", "MIG-s")),
            ("MIG-l::0", Part("GPU-b", "MIG-l")),
            ("nvidia1", Part("GPU-b")),
            ("nvidia0/vgpu2", Part("GPU-a")),
            ("nvidia1/gi9", Part("GPU-b", "MIG-s")),
            ("nvidia1/gi1/vgpu0", Part("GPU-b", "MIG-l")),
            ("gpu-0", Part("GPU-a")),
            ("gpu-1-mig-19-6-1", Part("GPU-b", "MIG-s")),
            ("gpu-1-mig-3g40gb-9-0", Part("GPU-b", "MIG-l")),
            ("gpu-1-mig-1g10gb-me-19-6", Part("GPU-b", "MIG-s")),
            ("k8s.gpu.nvidia.com/device=gpu-0", Part("GPU-a")),
            ("k8s.gpu.nvidia.com/claim=5f0c-11-gpu-1-mig-19-6-1", Part("GPU-b", "MIG-s")),
            ("nvidia.com/gpu=GPU-a", Part("GPU-a")),
        ],
    )
    def test_a_name_means_one_part(self, name, part):
        """All forms that plugins and drivers use."""
        assert part == resolve(name, CARDS)

    @pytest.mark.parametrize(
        "name",
        [
            "GPU-c",
            "GPU-a-0",
            "nvidia7",
            "nvidia1/gi2",
            "gpu-7",
            "gpu-1-mig-19-5-1",
            "gpu-vfio-0",
            "",
        ],
    )
    def test_what_is_not_certain_is_not_guessed(self, name):
        """Another form, or a part that is not there."""
        assert resolve(name, CARDS) is None

    @given(name=st.lists(st.sampled_from(WORDS), max_size=9).map("".join))
    def test_any_name_means_a_part_or_none(self, name):
        """A plugin may use any name."""
        part = resolve(name, CARDS)

        assert part is None or part.gpu in ("GPU-a", "GPU-b")

    def test_a_number_beyond_all_bounds_is_no_card(self):
        """Python refuses to read it."""
        assert resolve("nvidia" + "1" * 5000, CARDS) is None


class TestJoin:
    def joined(self, *manifests, devices=("GPU-a",)):
        """What becomes of devices that kubelet says pod-1 holds."""
        pods = {(p.namespace, p.name): p for p in map(parse_pod, manifests)}
        return join([Allocation("ml", "pod-1", device) for device in devices], CARDS, pods)

    def test_a_name_becomes_the_uid_of_the_pod(self):
        """The answer of kubelet has no uid."""
        found = self.joined(a_pod_manifest(1), devices=["GPU-a::0", "GPU-a::1"])

        assert {"GPU-a": [Hold(a_uid(1), WHOLE)] * 2} == found.holds

    def test_a_pod_that_ended_holds_nothing(self):
        """Kubelet may still list it."""
        assert {} == self.joined(a_pod_manifest(1, phase="Succeeded")).holds

    def test_a_pod_that_the_api_server_did_not_tell_of_is_a_stranger(self):
        """The GPU is not free, but nobody can be billed."""
        assert {"GPU-a": [Hold(None, WHOLE)]} == self.joined().holds

    def test_devices_that_cannot_be_placed_are_told(self):
        """They are counted in the metrics."""
        found = self.joined(a_pod_manifest(1), devices=["GPU-x", "GPU-a"])

        assert {"GPU-x"} == found.unresolved


@pytest.mark.parametrize(
    ("gpus", "holder"),
    [([2], a_uid(0)), ([1], None), ([1, 1], None), ([0], None), ([2, 0], a_uid(0))],
)
def test_without_kubelets_word_only_a_pod_with_all_gpus_holds_any(gpus, holder):
    """Which of several GPUs a pod holds is not in the API."""
    pods = [parse_pod(a_pod_manifest(number, gpus=count)) for number, count in enumerate(gpus)]

    found = sole_holder(pods, CARDS)

    holders = {hold.holder for holds in found.values() for hold in holds}
    assert ({holder} if holder else set()) == holders


class TestHolding:
    def of(self, holds, layout=CARDS[1][1], *, sampled=None, used=None, **activity):
        """sampled: who held what at the time of the sample, else all that do now."""
        then = frozenset(holds if sampled is None else sampled)
        return holding(layout, holds, Sample(then, Activity(**activity), used or {}))

    def of_partitions(self, holds, **sample):
        """Pods hold MIG devices."""
        return self.of(_of_card_b(holds), **sample)

    def by_turns(self, holders, **sample):
        """Pods take turns on a card."""
        return self.of([Hold(pod, WHOLE) for pod in holders], Layout(), **sample)

    def test_nobody_holds_a_card_without_allocations(self):
        """Its power now is its idle power."""
        assert Method.UNHELD == self.of([]).method

    def test_one_pod_holds_a_card_alone_whatever_its_turns(self):
        """Turns that nobody takes cost nobody anything."""
        expected = Holding(Method.EXCLUSIVE, (Claim("a", 1),))

        assert expected == self.by_turns(["a", "a"], used={None: 50})

    def test_slices_weigh_the_activity_of_instances(self):
        """Activity is a share of the instance, not of the card."""
        found = self.of_partitions([("a", "MIG-s"), ("b", "MIG-l")], instances={9: 90, 1: 10})

        expected = (Claim("a", 1, 90), Claim("b", 3, 30))
        assert Holding(Method.MIG_ACTIVITY, expected, whole=7) == found

    def test_before_hopper_slices_are_all_that_is_known(self):
        """No activity is told by instance."""
        found = self.of_partitions([("a", "MIG-s")])

        assert Holding(Method.MIG_SLICES, (Claim("a", 1),), whole=7) == found

    def test_turns_on_a_partition_divide_its_slices(self):
        """Three pods on one instance of one slice, one pod on three."""
        holds = [("a", "MIG-s"), ("b", "MIG-s"), ("c", "MIG-s"), ("a", "MIG-l")]

        found = self.of_partitions(holds)

        assert {"a": 10, "b": 1, "c": 1} == {claim.pod: claim.parts for claim in found.claims}
        assert 21 == found.whole

    def test_activity_in_a_free_partition_is_a_strangers(self):
        """The host may use it."""
        found = self.of_partitions([("a", "MIG-s")], instances={9: 50, 1: 20})

        assert (50, 60) == (found.claims[0].activity, found.active_strangers)

    def test_a_device_that_was_left_since_the_sample_is_no_strangers(self):
        """What it did was for the pod that left."""
        before = _of_card_b([("a", "MIG-s"), ("b", "MIG-l")])

        found = self.of_partitions([("a", "MIG-s")], sampled=before, instances={9: 50, 1: 20})

        assert 0 == found.active_strangers

    def test_a_device_that_was_taken_since_the_sample_makes_slices_decide(self):
        """Its new holder must not work for nothing until the next sample."""
        before = _of_card_b([("a", "MIG-s")])
        now = [("a", "MIG-s"), ("b", "MIG-l")]

        found = self.of_partitions(now, sampled=before, instances={9: 50, 1: 0})

        assert Method.MIG_SLICES == found.method

    def test_use_divides_a_shared_card(self):
        """Also a stranger's."""
        found = self.by_turns(["a", "b"], used={"a": 30, "b": 10, None: 12})

        expected = (Claim("a", 1, 30), Claim("b", 1, 10))
        assert Holding(Method.SM_UTIL, expected, 2, 0, 12) == found

    @pytest.mark.parametrize("used", [{}, {None: 50}, {"a": 0}, {"gone": 50}])
    def test_turns_are_equal_while_no_holder_is_seen_to_work(self, used):
        """As without the host's process ids."""
        expected = Holding(Method.EQUAL, (Claim("a", 1), Claim("b", 1)), whole=2)

        assert expected == self.by_turns(["a", "b"], used=used)

    def test_turns_are_equal_when_a_pod_came_after_the_sample(self):
        """Nobody has looked at it yet."""
        before = [Hold("a", WHOLE)]

        assert Method.EQUAL == self.by_turns(["a", "b"], sampled=before, used={"a": 9}).method


def _of_card_b(holds):
    return [Hold(pod, Part("GPU-b", device)) for pod, device in holds]


class TestProcesses:
    @pytest.mark.parametrize(
        "cgroup",
        [
            f"0::/kubepods/burstable/pod{a_uid(1)}/cri-1",
            f"0::/../../kubepods-burstable-pod{a_uid(1).replace('-', '_')}.slice/cri-1.scope",
            f"4:memory:/\n3:cpu,cpuacct:/kubepods/pod{a_uid(1)}/1\n0::/",
        ],
    )
    def test_a_process_is_of_the_pod_whose_cgroup_it_is_in(self, tmp_path, cgroup):
        """Both hierarchies, both drivers, also seen from within a cgroup namespace."""
        (tmp_path / "7").mkdir()
        (tmp_path / "7/cgroup").write_text(cgroup + "\n")

        assert a_uid(1) == pod_of_process(tmp_path, 7)

    def test_a_process_of_the_host_is_in_no_pod(self, tmp_path):
        """It can be seen all the same."""
        (tmp_path / "7").mkdir()
        (tmp_path / "7/cgroup").write_text("0::/system.slice/nvidia-persistenced.service\n")

        assert "" == pod_of_process(tmp_path, 7)

    def test_a_process_that_cannot_be_seen_is_nobodys(self, tmp_path):
        """Ended, or of a process namespace that the agent is not in."""
        assert pod_of_process(tmp_path, 7) is None

    def test_use_is_the_holders_or_a_strangers_or_unknown(self):
        """Two processes of a, one of the host, one that ended."""
        pods = {1: "a", 2: "a", 3: ""}

        found = used({1: 30, 2: 5, 3: 7, 4: 90}, [Hold("a", WHOLE)], pods.get)

        assert {"a": 35, None: 7} == found
