"""What the agent takes from Pod objects, and the directory that the tick reads."""

import pytest

from agent_builders import a_pod_manifest, a_uid
from carbonaware_agent.workloads.effective_request import effective_cpu_request, millicores
from carbonaware_agent.workloads.pods import Owner, PodDirectory, parse_pod


def a_container(cpu: str, **more: str) -> dict[str, object]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


class TestMillicores:
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


class TestParsePod:
    def test_a_pod_is_owned_by_its_controller(self):
        """Other ownerReferences do not count."""
        pod = parse_pod(a_pod_manifest(1, qos="Guaranteed"))

        assert Owner("ml", "Job", "job-1", "job-uid-1") == pod.owner
        assert ("kubepods", 500, a_uid(1)) == (pod.slice, pod.cpu_request, pod.cgroup_uid)

    def test_a_static_pods_cgroup_has_another_uid(self):
        """Kubelet names it by the hash of its configuration."""
        annotations = {"kubernetes.io/config.hash": "0" * 32}
        pod = parse_pod(a_pod_manifest(1, annotations=annotations))

        assert ("0" * 32, a_uid(1)) == (pod.cgroup_uid, pod.uid)

    def test_an_annotation_cannot_take_another_pods_place(self):
        """Only a configuration's hash is believed, which no other pod has for a uid."""
        annotations = {"kubernetes.io/config.hash": a_uid(2)}

        assert a_uid(1) == parse_pod(a_pod_manifest(1, annotations=annotations)).cgroup_uid

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

    @pytest.mark.parametrize(
        ("gpus", "count", "holder"),
        [
            ([2], 2, a_uid(0)),
            ([1], 2, None),
            ([1, 1], 2, None),
            ([0], 1, None),
            ([1, 0], 1, a_uid(0)),
        ],
    )
    def test_a_gpus_holder_is_named_only_when_certain(self, gpus, count, holder):
        """One pod that holds all of them."""
        directory = PodDirectory()
        directory.replace(
            parse_pod(a_pod_manifest(number, gpus=held)) for number, held in enumerate(gpus)
        )

        assert holder == directory.holder_of_all_gpus(count)
