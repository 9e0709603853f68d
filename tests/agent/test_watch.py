"""Following pods on an API server, and how it is reached."""

import base64
import json
import threading
from pathlib import Path

import pytest

from agent_builders import a_fake_api, a_pod_manifest, a_uid, eventually
from carbonaware_agent.workloads.api import (
    ApiServer,
    ApiUnconfiguredError,
    from_kubeconfig,
    service_account,
)
from carbonaware_agent.workloads.pods import PodDirectory
from carbonaware_agent.workloads.watch import PodWatch


@pytest.fixture
def api():
    with a_fake_api() as running:
        running.pods = [a_pod_manifest(1)]
        yield running


class Follower:
    """A watch in a thread; its pauses are noted and take no time."""

    def __init__(self, url: str) -> None:
        self.directory = PodDirectory()
        self.pauses: list[float] = []
        self._ended = threading.Event()
        self.watch = PodWatch(ApiServer(url), "n1", self.directory, self._pause)
        self._thread = threading.Thread(target=self.watch.run, daemon=True)
        self._thread.start()

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self._ended.wait(0.002)

    def knows(self, number: int) -> bool:
        """Whether a pod came through."""
        return eventually(lambda: self.directory.find(a_uid(number)) is not None)

    def forgets(self, number: int) -> bool:
        """Whether a pod went."""
        return eventually(lambda: self.directory.find(a_uid(number)) is None)

    def end(self) -> None:
        """Let it go at its next pause."""
        self._ended.set()


@pytest.fixture
def follower(api):
    following = Follower(api.url)
    yield following
    following.end()


class TestProtocol:
    def test_it_lists_from_the_cache_and_watches_from_there(self, api, follower):
        """Only this node's pods, and nothing that needs etcd."""
        assert follower.knows(1)
        assert eventually(lambda: len(api.requests) == 2)

        listing, watching = api.requests
        assert {"fieldSelector": "spec.nodeName=n1", "resourceVersion": "0"} == listing
        assert ("spec.nodeName=n1", "10") == (
            watching["fieldSelector"],
            watching["resourceVersion"],
        )
        assert 4000 == follower.directory.allocatable_millicores
        assert 8 << 20 == follower.directory.allocatable_kib
        assert follower.watch.synced

    def test_changes_are_taken_as_they_come(self, api, follower):
        """Added, modified and deleted."""
        api.send("ADDED", a_pod_manifest(2))
        assert follower.knows(2)
        api.send("MODIFIED", a_pod_manifest(2, cpu="2"))
        assert eventually(lambda: follower.directory.find(a_uid(2)).cpu_request == 2000)
        api.send("DELETED", a_pod_manifest(2))
        assert follower.forgets(2)

    def test_a_disconnect_resumes_where_it_was(self, api, follower):
        """Bookmarks move the place without a pod; nothing is listed again."""
        bookmark = {"metadata": {"resourceVersion": "77"}}
        api.send("BOOKMARK", bookmark)
        api.events.put(None)

        assert eventually(lambda: len(api.requests) == 3)
        assert "77" == api.requests[2]["resourceVersion"]
        api.send("ADDED", a_pod_manifest(2))
        assert follower.knows(2)

    @pytest.mark.parametrize("by_event", [True, False])
    def test_an_expired_version_is_listed_anew(self, api, follower, by_event):
        """410 comes as an event or as the answer; pods that went meanwhile are gone."""
        assert follower.knows(1)
        api.pods = [a_pod_manifest(3)]
        if by_event:
            api.send("ERROR", {"code": 410, "message": "too old resource version"})
        else:
            api.watch_statuses = [410]
            api.events.put(None)

        assert follower.knows(3)
        assert follower.forgets(1)
        assert [a_uid(1)] == [pod.uid for pod in follower.directory.take_ended()]

    def test_a_failing_server_is_asked_ever_more_slowly(self, api, follower):
        """And its pods are kept."""
        assert follower.knows(1)
        api.watch_statuses = [500] * 4
        api.send("ERROR", {"code": 500, "message": "etcd is down"})
        api.send("ADDED", a_pod_manifest(2))
        api.send("ADDED", a_pod_manifest(2))
        assert eventually(lambda: len(follower.pauses) >= 5)

        assert follower.directory.find(a_uid(1)) is not None
        assert max(follower.pauses) > 2
        assert all(0 < pause <= 30 for pause in follower.pauses)

    def test_without_the_right_to_read_nodes_all_cpus_count(self, api):
        """The agent's service account may see pods only."""
        api.allocatable = None
        following = Follower(api.url)

        assert following.knows(1)
        assert following.directory.allocatable_millicores is None
        following.end()

    def test_a_server_that_is_down_is_not_fatal(self):
        """The agent measures on, and says that pods are not followed."""
        following = Follower("http://127.0.0.1:9")

        assert eventually(lambda: len(following.pauses) > 3)
        assert not following.watch.synced
        following.end()


def a_kubeconfig(folder, cluster: dict[str, object], user: dict[str, object]):
    file = folder / "kubeconfig"
    context = {"name": "main", "context": {"cluster": "c", "user": "u"}}
    document = {
        "current-context": "main",
        "contexts": [context],
        "clusters": [{"name": "c", "cluster": {"server": "https://api:6443/"} | cluster}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(json.dumps(document))
    return file


class TestCredentials:
    def test_a_kubeconfig_may_hold_a_token(self, tmp_path):
        """Paths in it are relative to its folder."""
        file = a_kubeconfig(tmp_path, {"certificate-authority": "ca.crt"}, {"token": "t"})

        server = from_kubeconfig(file)

        assert ("https://api:6443", str(tmp_path / "ca.crt"), "t") == (
            server.url,
            server.verify,
            server.token,
        )

    def test_a_kubeconfig_may_hold_certificates_inline(self, tmp_path):
        """They become files in memory, as a key should not be left on a disk."""
        encoded = base64.b64encode(b"PEM").decode()
        user = {"client-certificate-data": encoded, "client-key-data": encoded}
        server = from_kubeconfig(a_kubeconfig(tmp_path, {"insecure-skip-tls-verify": True}, user))

        assert server.verify is False
        assert server.certificate is not None
        assert [b"PEM", b"PEM"] == [Path(file).read_bytes() for file in server.certificate]

    @pytest.mark.parametrize(
        ("user", "word"), [({"exec": {"command": "x"}}, "must be a token"), (None, "no such")]
    )
    def test_what_cannot_be_used_is_named(self, tmp_path, user, word):
        """A program that fetches credentials is not run by the agent."""
        file = a_kubeconfig(tmp_path, {}, user) if user else tmp_path / "missing"

        with pytest.raises(ApiUnconfiguredError, match=f"(?i){word}"):
            from_kubeconfig(file)

    def test_a_pod_has_its_service_account(self, tmp_path, monkeypatch):
        """The token is read anew for each request, as kubelet renews it."""
        (tmp_path / "token").write_text("first\n")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

        server = service_account(tmp_path)

        assert "https://[fd00::1]:443" == server.url
        assert tmp_path / "token" == server.token_file

    def test_without_any_credentials_it_says_so(self, tmp_path):
        """Instead of guessing an address."""
        with pytest.raises(ApiUnconfiguredError, match="no --kubeconfig"):
            service_account(tmp_path)
