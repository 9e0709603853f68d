"""Kubelet's word on devices, from a real gRPC server on a real socket."""

import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_agent.workloads.pod_resources import (
    Allocation,
    PodResourcesError,
    list_allocations,
    parse,
)
from fake_kubelet import a_claim, a_fake_kubelet, a_listed_pod, field

# Empty settings; then headers, whose values are literals of one byte that is no UTF-8, and the end.
NOT_TEXT = bytes.fromhex("000000 04 00 00000000000006 01 05 00000001 88 00 01 78 01 ff")


@pytest.fixture
def path():
    # A socket's path must be shorter than pytest's folders can be.
    with TemporaryDirectory() as folder:
        yield Path(folder) / "kubelet.sock"


@pytest.fixture
def kubelet(path):
    with a_fake_kubelet(path) as running:
        yield running


class TestList:
    def test_names_the_devices_of_each_pod(self, kubelet, path):
        """All of a pod's devices, each once, and nothing of pods without GPUs."""
        kubelet.pods = [
            a_listed_pod("one", ["GPU-a", "GPU-b", "GPU-a"]),
            a_listed_pod("two", ["MIG-c::1"], resource="nvidia.com/mig-1g.10gb.shared"),
            a_listed_pod("none"),
        ]

        expected = [
            Allocation("ml", "one", "GPU-a"),
            Allocation("ml", "one", "GPU-b"),
            Allocation("ml", "two", "MIG-c::1"),
        ]
        assert expected == list_allocations(path)

    def test_devices_of_others_are_not_gpus(self, kubelet, path):
        """An NIC's plugin may use any ids."""
        kubelet.pods = [a_listed_pod("one", ["GPU-a"], resource="example.com/nic")]

        assert [] == list_allocations(path)

    def test_names_the_devices_of_claims(self, kubelet, path):
        """By the driver's name for it; older kubelets give only the runtime's."""
        kubelet.pods = [
            a_listed_pod(
                "one",
                claims=[
                    a_claim("gpu-0", cdi="k8s.gpu.nvidia.com/claim=5f-gpu-0"),
                    a_claim(cdi="k8s.gpu.nvidia.com/device=gpu-1"),
                    a_claim("dev-0", driver="example.com", cdi="example.com/nic=0"),
                ],
            )
        ]

        found = [allocation.device for allocation in list_allocations(path)]

        assert ["gpu-0", "k8s.gpu.nvidia.com/device=gpu-1"] == found

    def test_an_answer_larger_than_grpcs_usual_limit_is_read(self, kubelet, path):
        """A node may have more pods and devices than fit into 4 MiB."""
        kubelet.pods = [a_listed_pod("x" * 200, [f"GPU-{n}"]) for n in range(5)]
        kubelet.pods.append(field(9, b"\0" * 5_000_000))

        assert 5 == len(list_allocations(path))

    def test_a_restarted_kubelet_is_found_again(self, path):
        """It makes a new socket of the same name."""
        for device in ("GPU-a", "GPU-b"):
            with a_fake_kubelet(path) as kubelet:
                kubelet.pods = [a_listed_pod("one", [device])]

                assert [Allocation("ml", "one", device)] == list_allocations(path)


class TestFailures:
    def test_without_a_socket_the_error_names_it(self, path):
        """Whoever reads the log can see which folder lacks."""
        with pytest.raises(PodResourcesError, match=r"kubelet\.sock"):
            list_allocations(path)

    def test_a_refusal_says_why(self, kubelet, path):
        """Kubelet refuses when it is asked too often."""
        kubelet.failure = grpc.StatusCode.RESOURCE_EXHAUSTED

        with pytest.raises(PodResourcesError, match="gRPC 8: as told"):
            list_allocations(path)

    @pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", NOT_TEXT])
    def test_something_else_on_the_socket_is_an_error(self, path, words):
        """A closed connection, or another protocol."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()

            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(words)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(10_000)

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(PodResourcesError):
                list_allocations(path)
            thread.join()


class TestParse:
    @given(message=st.binary(max_size=60))
    def test_any_bytes_are_a_list_or_an_error(self, message):
        """Nothing on the socket can stop the agent."""
        try:
            found = parse(message)
        except PodResourcesError:
            return
        assert all(isinstance(allocation, Allocation) for allocation in found)

    @given(cut=st.integers(min_value=1, max_value=90))
    def test_an_answer_cut_short_is_an_error(self, cut):
        """Half a list would take GPUs from pods that hold them."""
        whole = a_listed_pod("one", ["GPU-a", "GPU-b"])

        with pytest.raises(PodResourcesError):
            parse(whole[: min(cut, len(whole) - 1)])
