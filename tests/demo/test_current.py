"""What the demo asks of a cluster that is not its own, and which of its nodes is this machine."""

import json

import pytest

from testbed.demo import access, current, machine
from testbed.demo.undo import Undo
from testbed.demo.venue import RefusedError
from testbed.errors import KubectlError

UID = "0f3dd3e9-5e0c-4c0d-9d3c-0d5a1c6f7a10"


class Kubectl:
    """Answers by the beginning of a command; notes what it was asked."""

    def __init__(self, **answers):
        self.answers = {"get --raw": "ok", **answers}
        self.asked = []

    def __call__(self, *arguments, input=None):  # noqa: A002 - as subprocess calls it
        """The prepared answer; an empty list for other queries."""
        command = " ".join(arguments)
        self.asked.append(command)
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return '{"items": []}'


def listed(*items):
    """A list as kubectl prints it."""
    return json.dumps({"items": items})


def refusal(monkeypatch, tmp_path, kubectl):
    """Why the demo does not play on a cluster."""
    monkeypatch.setattr(current, "_kubectl", lambda: kubectl)
    undo = Undo()
    with pytest.raises(RefusedError) as caught:
        current.start(None, tmp_path, undo, lambda _: None)
    assert not [command for command in kubectl.asked if not command.startswith("get")]
    return str(caught.value)


class TestRefusing:
    def test_without_a_cluster(self, monkeypatch, tmp_path):
        """The message says how to choose one."""
        kubectl = Kubectl(**{"get --raw": KubectlError("connection refused")})

        assert "KUBECONFIG" in refusal(monkeypatch, tmp_path, kubectl)

    @pytest.mark.parametrize("plural", ["carbonawarejobs", "carbonzones"])
    def test_where_others_have_objects_that_our_operator_would_act_on(
        self, monkeypatch, tmp_path, plural
    ):
        """An operator acts on the whole cluster."""
        name = f"{plural}.carbonaware.io"
        kubectl = Kubectl(**{"get crd": name, f"get {name}": f"{name}/theirs"})

        assert f"has 1 {plural}" in refusal(monkeypatch, tmp_path, kubectl)

    def test_where_another_operator_would_act_on_our_jobs(self, monkeypatch, tmp_path):
        """Its Lease says that it runs."""
        lease = {
            "metadata": {"name": "carbonaware-operator", "namespace": "theirs"},
            "spec": {"holderIdentity": "pod-1"},
        }
        kubectl = Kubectl(**{"get crd": "", "get leases": listed(lease)})

        assert "runs in namespace theirs (pod-1)" in refusal(monkeypatch, tmp_path, kubectl)

    def test_without_a_node_that_takes_pods(self, monkeypatch, tmp_path):
        """Nothing would ever run."""
        kubectl = Kubectl(**{"get crd": "", "get nodes": listed(a_node(ready="False"))})

        assert "no node" in refusal(monkeypatch, tmp_path, kubectl)


class TestRights:
    def test_change_nothing_outside_the_demos_namespace_but_the_status_of_zones(self):
        """Whatever the operator does, other people's objects are safe from it."""
        writes = [
            (rule["resources"], set(rule["verbs"]) - {"get", "list", "watch"})
            for rule in access._IN_CLUSTER
        ]

        assert [["carbonzones/status"]] == [resources for resources, verbs in writes if verbs]

    def test_are_taken_back(self, tmp_path):
        """Cluster roles do not go with the namespace."""
        view = {"clusters": [{"cluster": {"server": "s", "certificate-authority-data": "c"}}]}
        kubectl = Kubectl(**{"config view": json.dumps(view), "create token": "secret\n"})
        undo = Undo()

        path = access.grant(kubectl, "demo", tmp_path / "state", undo)
        undo.run(print)

        assert "secret" == json.loads(path.read_text())["users"][0]["user"]["token"]
        assert 0o600 == path.stat().st_mode & 0o777
        assert "delete clusterrolebinding,clusterrole demo" in kubectl.asked[-1]


def a_node(name="node", *, ready="True", address="192.0.2.1", taints=()):
    """A Node; its address is one that no machine has."""
    return {
        "metadata": {"name": name},
        "spec": {"taints": [{"effect": effect} for effect in taints]},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


def a_pod(node, uid=UID):
    """A pod on a node."""
    return {"metadata": {"uid": uid}, "spec": {"nodeName": node}}


class TestChoosingANode:
    @pytest.fixture
    def cgroups(self, tmp_path):
        """An empty hierarchy in place of this machine's."""
        return tmp_path

    @pytest.mark.parametrize(
        "group",
        [
            f"kubepods/burstable/pod{UID}",
            f"kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice",
            f"unified/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID}.slice",
        ],
    )
    def test_knows_this_machine_by_the_pods_that_run_here(self, cgroups, group):
        """Their control groups carry their uids, whatever the driver calls them."""
        (cgroups / group).mkdir(parents=True)

        assert ("b", True) == machine.choose([a_node("a"), a_node("b")], [a_pod("b")], cgroups)

    def test_knows_this_machine_by_its_address_while_it_runs_no_pod(self, cgroups):
        """But only where a kubelet is."""
        nodes = [a_node("a"), a_node("b", address="127.0.0.1")]
        assert ("a", False) == machine.choose(nodes, [], cgroups)

        (cgroups / "kubepods").mkdir()

        assert ("b", True) == machine.choose(nodes, [], cgroups)

    @pytest.mark.parametrize("unusable", [{"ready": "False"}, {"taints": ["NoSchedule"]}])
    def test_takes_no_node_that_takes_no_pods(self, cgroups, unusable):
        """The demo tolerates nothing."""
        assert ("b", False) == machine.choose([a_node("a", **unusable), a_node("b")], [], cgroups)
        assert (None, False) == machine.choose([a_node("a", **unusable)], [], cgroups)
