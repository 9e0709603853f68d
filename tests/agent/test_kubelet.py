"""Kubelet's list of pods, in place of the API server's."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent_builders import a_fake_api, a_pod_manifest, a_uid, eventually
from carbonaware_agent import settings
from carbonaware_agent.workloads.api import ApiServer
from carbonaware_agent.workloads.kubelet import (
    KubeletAccess,
    KubeletUnreadableError,
    pods_of_kubelet,
)
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod
from carbonaware_agent.workloads.watch import PodWatch

TOKEN = "of the agent"
_CERTIFICATE = (
    "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=n1 "
    "-addext subjectAltName=IP:127.0.0.1"
)


class Kubelet(ThreadingHTTPServer):
    """Lists pods at a TLS port to whoever shows the agent's token; certificate: its own."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _KubeletHandler)
        self.certificate = folder / "kubelet.crt"
        key = folder / "kubelet.key"
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(
            ["openssl", "req", "-x509", *_CERTIFICATE.split(), *files],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def access(self, **changes: Any) -> KubeletAccess:
        """As a node's operator would state it."""
        return KubeletAccess(f"https://127.0.0.1:{self.server_port}", **changes)

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate hangs up."""


class _KubeletHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        items = {"items": [a_pod_manifest(1)]}
        body = json.dumps(items).encode() if known else b"Forbidden (user=x, verb=get)"
        self.send_response(200 if known and self.path == "/pods" else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


@pytest.fixture(scope="module")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    running = Kubelet(tmp_path_factory.mktemp("kubelet"))
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


class TestList:
    def test_pods_are_listed_with_the_agents_token(self, kubelet):
        """At a port whose certificate is checked."""
        api = ApiServer("https://api", token=TOKEN)

        pods = pods_of_kubelet(kubelet.access(authority=kubelet.certificate), api)()

        assert [a_uid(1)] == [pod.uid for pod in pods]

    def test_the_api_servers_authority_is_kubelets_unless_another_is_named(self, kubelet):
        """As where kubelet's certificates are signed by the cluster."""
        api = ApiServer("https://api", verify=str(kubelet.certificate), token=TOKEN)

        assert 1 == len(pods_of_kubelet(kubelet.access(), api)())

    @pytest.mark.parametrize("verify", [True, False])
    def test_whoever_cannot_prove_to_be_kubelet_gets_no_token(self, kubelet, verify):
        """Even where the API server is not checked; the message names the flag."""
        api = ApiServer("https://api", verify=verify, token=TOKEN)

        with pytest.raises(KubeletUnreadableError, match="--kubelet-ca"):
            pods_of_kubelet(kubelet.access(), api)()

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_the_check_can_be_left_out_on_purpose(self, kubelet):
        """Kubelet signs its certificate itself in many clusters."""
        api = ApiServer("https://api", token=TOKEN)

        assert 1 == len(pods_of_kubelet(kubelet.access(verified=False), api)())

    def test_a_refusal_names_the_right_that_lacks(self, kubelet):
        """And never asks for nodes/proxy."""
        api = ApiServer("https://api", verify=str(kubelet.certificate), token="of another")

        with pytest.raises(KubeletUnreadableError, match="must be allowed to get nodes/pods"):
            pods_of_kubelet(kubelet.access(), api)()


class TestStandIn:
    def test_kubelet_stands_in_while_the_api_server_fails_and_then_no_more(self):
        """From the second failure on, every 12 s at least; the API server's list replaces its."""
        directory, pauses, ended = PodDirectory(), [], threading.Event()
        lists = [KubeletUnreadableError("refused"), [parse_pod(a_pod_manifest(2))]]

        def kubelet_list():
            answer = lists.pop(0) if len(lists) > 1 else lists[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        def pause(seconds):
            pauses.append((seconds, watch.stood_in))
            return ended.wait(0.002)

        with a_fake_api() as api:
            api.pods, api.list_status = [a_pod_manifest(1)], 403
            watch = PodWatch(ApiServer(api.url), "n1", directory, pause, kubelet_list)
            watch.start()
            assert eventually(lambda: len(pauses) > 20)
            assert eventually(lambda: directory.find(a_uid(2)) is not None)
            assert (False, True) == (watch.synced, watch.stood_in)

            api.list_status = 200
            assert eventually(lambda: watch.synced)
            assert eventually(lambda: directory.find(a_uid(1)) is not None)
            assert directory.find(a_uid(2)) is None
            assert watch.stood_in is None

            asked = len(pauses)
            for _ in range(3):
                api.end_watch()
            assert eventually(lambda: len(pauses) > asked + 2)
            assert {None} == {stood_in for _, stood_in in pauses[asked:]}
            ended.set()

        assert [None, False, True] == [stood_in for _, stood_in in pauses[:3]]
        assert all(seconds <= 12 for seconds, stood_in in pauses if stood_in)


class TestSettings:
    @pytest.mark.parametrize(
        ("node_ip", "url"),
        [("10.0.0.5", "https://10.0.0.5:10250"), ("fd00::5", "https://[fd00::5]:10250")],
    )
    def test_a_pod_that_knows_its_nodes_address_knows_kubelets(self, node_ip, url):
        """The downward API gives it; without it kubelet is not asked."""
        assert KubeletAccess(url) == settings.parse([], {"NODE_IP": node_ip}).kubelet
        assert settings.parse([], {}).kubelet is None

    def test_a_kubelet_without_tls_is_refused(self, capsys):
        """The token would go in clear."""
        with pytest.raises(SystemExit):
            settings.parse(["--kubelet-url=http://10.0.0.5:10255"], {})
        assert "must begin with https://" in capsys.readouterr().err
