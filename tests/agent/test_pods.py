"""What the agent takes from Pod objects, and the directory that the tick reads."""

import pytest

from agent_builders import CONFIG_HASH, MIRROR, a_mirror_manifest, a_pod_manifest, a_uid
from carbonaware_agent.workloads.effective_request import (
    effective_cpu_request,
    effective_memory_request,
    kibibytes,
    millicores,
)
from carbonaware_agent.workloads.pods import Owner, PodDirectory, parse_pod

HASH = "0123456789abcdef0123456789abcdef"


def a_container(amount: str, **more: str) -> dict[str, object]:
    return {"resources": {"requests": {"cpu": amount, "memory": f"{amount}Ki"}}, **more}


class TestQuantities:
    @pytest.mark.parametrize(
        ("quantity", "expected"),
        [
            ("1", 1000),
            ("0.1", 100),
            ("250m", 250),
            ("100u", 1),
            ("1k", 1_000_000),
            ("1e1", 10_000),
            ("", 0),
            ("many", 0),
        ],
    )
    def test_quantities_are_read_as_kubernetes_writes_them(self, quantity, expected):
        """Rounded up to the millicore; what is no quantity reserves nothing."""
        assert expected == millicores(quantity)

    @pytest.mark.parametrize(
        ("quantity", "expected"),
        [
            ("1Gi", 1 << 20),
            ("1025", 2),
            ("129M", 125_977),
            ("129e6", 125_977),
            ("1E", 976_562_500_000_000),
            ("1500m", 1),
            ("-1Gi", 0),
            ("1e999999999", 0),
            ("nan", 0),
        ],
    )
    def test_memory_is_read_in_powers_of_two_and_of_ten(self, quantity, expected):
        """Rounded up to the KiB."""
        assert expected == kibibytes(quantity)


class TestEffectiveRequest:
    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            pytest.param({"containers": [a_container("1"), a_container("500m")]}, 1500, id="sum"),
            pytest.param({"containers": [{"name": "a"}]}, 0, id="best effort"),
            pytest.param(
                {"containers": [a_container("1")], "initContainers": [a_container("3")]},
                3000,
                id="an initialisation step may be larger than the rest",
            ),
            pytest.param(
                {
                    "containers": [a_container("1")],
                    "initContainers": [a_container("1", restartPolicy="Always"), a_container("2")],
                },
                3000,
                id="a sidecar runs beside later steps",
            ),
            pytest.param(
                {
                    "containers": [a_container("2")],
                    "initContainers": [a_container("1", restartPolicy="Always")],
                },
                3000,
                id="a sidecar runs beside the containers",
            ),
            pytest.param(
                {"containers": [a_container("1")], "overhead": {"cpu": "250m"}},
                1250,
                id="the runtime class adds its overhead",
            ),
            pytest.param(
                {"containers": [a_container("1")], "resources": {"requests": {"cpu": "4"}}},
                4000,
                id="a request of the whole pod goes first",
            ),
        ],
    )
    def test_it_is_what_the_scheduler_counts(self, spec, expected):
        """So idle power is shared by what was really set aside."""
        assert expected == effective_cpu_request(spec)

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            pytest.param(
                {
                    "containers": [a_container("5")],
                    "initContainers": [a_container("1", restartPolicy="Always"), a_container("7")],
                    "overhead": {"memory": "2Ki"},
                },
                10,
                id="steps, sidecars and overhead",
            ),
            pytest.param(
                {"containers": [a_container("5")], "resources": {"requests": {"cpu": "4"}}},
                5,
                id="a request of the whole pod counts for what it names",
            ),
        ],
    )
    def test_memory_is_counted_alike(self, spec, expected):
        """In KiB."""
        assert expected == effective_memory_request(spec)


class TestParsePod:
    def test_a_pod_is_owned_by_its_controller(self):
        """Other ownerReferences do not count."""
        pod = parse_pod(a_pod_manifest(1, qos="Guaranteed"))

        assert Owner("ml", "Job", "job-1", "job-uid-1") == pod.owner
        assert ("kubepods", 500, a_uid(1)) == (pod.slice, pod.cpu_request, pod.cgroup_uid)

    def test_a_static_pods_cgroup_is_named_by_its_mirror(self):
        """Kubelet names it by the hash of its manifest, and shows the API server a mirror of it."""
        pod = parse_pod(a_mirror_manifest(1))

        assert (HASH, a_uid(1)) == (pod.cgroup_uid, pod.uid)

    def test_kubelet_lists_a_static_pod_by_its_hash(self):
        """There it needs no mirror: the hash is its uid."""
        pod = parse_pod(a_pod_manifest(1, uid=HASH, annotations={CONFIG_HASH: HASH}))

        assert (HASH, HASH) == (pod.cgroup_uid, pod.uid)

    @pytest.mark.parametrize("key", [CONFIG_HASH, MIRROR])
    @pytest.mark.parametrize("claimed", [a_uid(2), a_uid(2).replace("-", ""), HASH, 7])
    def test_a_pod_with_a_forged_annotation_stays_in_its_own_cgroup(self, key, claimed):
        """A pod of a user is no mirror, whatever it writes into its annotations."""
        pod = parse_pod(a_pod_manifest(1, annotations={key: claimed}))

        assert a_uid(1) == pod.cgroup_uid

    def test_a_pod_with_a_forged_mirror_of_another_pods_uid_is_no_mirror(self):
        """Even owned by a node; a hash has no dashes, and so is never another pod's uid."""
        assert a_uid(1) == parse_pod(a_mirror_manifest(1, mirrors=a_uid(2))).cgroup_uid

    def test_a_bare_pod_is_read(self):
        """Everything that may be missing may be missing."""
        pod = parse_pod({"metadata": {"uid": "u", "namespace": "n", "name": "p"}})

        assert ("besteffort", 0, 0, False) == (pod.slice, pod.cpu_request, pod.gpus, pod.ended)


class TestDirectory:
    def test_pods_that_end_are_told_once(self):
        """By phase, by deletion or by absence from a new list."""
        directory = PodDirectory()
        pods = [parse_pod(a_pod_manifest(number)) for number in range(4)]
        for pod in pods:
            directory.put(pod)
        directory.put(parse_pod(a_pod_manifest(0, phase="Succeeded")))
        directory.remove(pods[1])
        directory.replace([pods[3]])
        directory.remove(pods[0])

        assert [a_uid(0), a_uid(1), a_uid(2)] == [pod.uid for pod in directory.take_ended()]
        assert [] == directory.take_ended()
        assert directory.find(a_uid(3)) == pods[3]

    def test_beginnings_and_ends_are_news(self):
        """A pod that turns ready for the tenth time is not."""
        directory, news = PodDirectory(), []
        for phase, version in (("Running", 1), ("Running", 2), ("Succeeded", 3), ("Succeeded", 4)):
            directory.changed.clear()
            directory.put(parse_pod(a_pod_manifest(1, phase=phase, version=version)))
            news.append(directory.changed.is_set())

        assert [True, False, True, False] == news

    def test_a_pod_with_a_forged_mirror_names_nobody(self):
        """While two claim one hash neither is believed; kubelet removes the one it did not make."""
        directory = PodDirectory()
        true, forged = (parse_pod(a_mirror_manifest(number)) for number in (1, 2))
        directory.replace([true, forged])
        assert directory.find(HASH) is None

        directory.remove(forged)

        assert true == directory.find(HASH)
        assert [] == directory.take_ended()

    def test_a_pod_with_a_forged_mirror_that_goes_does_not_end_the_true_one(self):
        """Nor does the end of its phase."""
        directory = PodDirectory()
        directory.put(parse_pod(a_mirror_manifest(1)))
        directory.put(parse_pod(a_mirror_manifest(2)))
        directory.put(parse_pod(a_mirror_manifest(2, phase="Failed")))
        directory.remove(parse_pod(a_mirror_manifest(2)))

        assert [] == directory.take_ended()
        assert a_uid(1) == directory.find(HASH).uid
