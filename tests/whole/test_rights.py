"""RBAC exact both ways: what operator and agent ask for is granted, what is granted they ask for.

The API server's audit log of one whole life is compared with the table of rights.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbonaware_operator.api import rights
from carbonaware_operator.api.admission import OPERATOR_ACCOUNT, OPERATOR_POLICY
from carbonaware_operator.api.rights import Right, rules
from programs import Program, Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

CRDS = Path(__file__).parents[2] / "crds"
SYSTEM, TEAM, EXPORTER = "carbonaware-system", "team", "kube-system"
RBAC = "rbac.authorization.k8s.io"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{SYSTEM}"]},
        {"level": "None"},
    ],
}
Granted = tuple[str, str, str, str]
"""Namespace (empty for the whole cluster), API group, resource, verb."""

NOT_IN_THE_LOG = {
    # The API server asks itself when a Job with blockOwnerDeletion is created; shown below.
    ("", "carbonaware.io", "carbonawarejobs/finalizers", "update"),
    # Kubelet asks for it, and there is none here: test_node_agent.py has it on a real node, in
    # test_kubelet_names_the_pods_while_the_api_server_refuses_to.
    ("", "", "nodes/pods", "get"),
}
OF_EVERYBODY = {
    # The role system:basic-user of whoever is known to the cluster.
    ("", "authentication.k8s.io", "selfsubjectreviews", "create"),
}


def granted(namespace: str, table: tuple[Right, ...]) -> set[Granted]:
    """Every verb on every resource of a table."""
    return {
        (namespace, right.group, resource, verb)
        for right in table
        for resource in right.resources
        for verb in right.verbs
    }


OPERATOR = {
    "": (*rights.OPERATOR_JOBS, *rights.OPERATOR_CLUSTER),
    SYSTEM: rights.operator_own(),
    EXPORTER: rights.exporter(),
}
AGENT = {"": rights.AGENT}


@dataclass
class Audited:
    """A cluster that writes down what our accounts ask for."""

    cluster: Cluster
    log: Path

    def account(self, name: str, tables: dict[str, tuple[Right, ...]], folder: Path) -> Path:
        """The kubeconfig of a service account with these rights, by namespace."""
        documents: list[dict[str, Any]] = [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": SYSTEM},
            }
        ]
        for namespace, table in tables.items():
            documents += roles(name, namespace, table)
        self.cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(documents))
        token = self.cluster.kubectl("create", "token", name, "-n", SYSTEM).strip()
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def requests(self, name: str) -> list[dict[str, Any]]:
        """What an account asked for, so far."""
        account = f"system:serviceaccount:{SYSTEM}:{name}"
        events = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [
            event
            for event in events
            if event["user"]["username"] == account and "objectRef" in event
        ]


def roles(name: str, namespace: str, table: tuple[Right, ...]) -> list[dict[str, Any]]:
    """A Role and its binding; without a namespace, a ClusterRole and its binding."""
    kind, place = ("Role", {"namespace": namespace}) if namespace else ("ClusterRole", {})
    metadata = {"name": name, **place}
    role = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules(table)}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}],
    }
    return [role, binding]


def used(event: dict[str, Any], tables: dict[str, tuple[Right, ...]]) -> set[Granted]:
    """The rights that a request needed; an apply that created needed `create` too."""
    what = event["objectRef"]
    resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
    namespace = what.get("namespace", "")
    place = namespace if namespace in tables else ""
    key = (what.get("apiGroup", ""), resource)
    if not any(key == (right.group, r) for right in tables.get(place, ()) for r in right.resources):
        place = ""
    verbs = {event["verb"]}
    if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
        verbs.add("create")
    return {(place, *key, verb) for verb in verbs}


@pytest.fixture(scope="module")
def audited(
    tmp_path_factory: pytest.TempPathFactory, progress: Callable[[str], None]
) -> Iterator[Audited]:
    """A control plane of its own, with the namespaces of a release and of a team."""
    folder = tmp_path_factory.mktemp("audit")
    policy, log = folder / "policy.yaml", folder / "audit.log"
    policy.write_text(yaml.safe_dump(AUDIT_POLICY))
    flags = {
        "audit_policy_file": policy,
        "audit_log_path": log,
        # OpenShift has it: who owns an object with blockOwnerDeletion must be allowed to.
        "enable_admission_plugins": "OwnerReferencesPermissionEnforcement",
    }
    started = Cluster.start(
        f"test-audit-{os.getpid()}",
        node="simulated",
        crds=CRDS,
        api_server_flags=flags,
        report=progress,
    )
    with started as cluster:
        for namespace in (SYSTEM, TEAM):
            cluster.kubectl("create", "namespace", namespace)
        yield Audited(cluster, log)


@pytest.fixture
def running(audited: Audited, tmp_path: Path) -> Iterator[Stack]:
    """Programs whose own namespace is the release's."""
    with stack(audited.cluster, SYSTEM, tmp_path) as programs:
        yield programs


def team(cluster: Cluster, *arguments: str, **options: str) -> str:
    """Run kubectl in the team's namespace."""
    return cluster.kubectl("-n", TEAM, *arguments, **options)


def status(cluster: Cluster, name: str) -> dict[str, Any]:
    """The status of a team's job."""
    job = json.loads(team(cluster, "get", "caj", name, "-o", "json"))
    found: dict[str, Any] = job.get("status") or {}
    return found


def give_zones(cluster: Cluster) -> None:
    """One zone of each kind that the operator reads something for, and what it reads."""
    cluster.kubectl(
        "-n", SYSTEM, "create", "secret", "generic", "em", "--from-literal=token=key"
    )  # fmt: skip
    cluster.kubectl("-n", SYSTEM, "label", "secret", "em", "carbonaware.io/provider=true")
    rows = "utc,g\n2026-01-01T00:00Z,100\n2026-01-01T01:00Z,200"
    cluster.kubectl("-n", SYSTEM, "create", "configmap", "day", f"--from-literal=csv={rows}")
    cluster.kubectl("-n", EXPORTER, "create", "configmap", "carbon-intensity")
    sources = {
        "keyed": {
            "type": "ElectricityMaps",
            "electricityMaps": {
                "zone": "DE",
                # Not allowed, so that nobody is asked; the Secret is read before.
                "url": "https://provider.example",
                "secretRef": {"name": "em", "key": "token"},
            },
        },
        "recorded": {
            "type": "Recording",
            "recording": {"configMapRef": {"name": "day", "key": "csv"}, "loop": True},
        },
        "exported": {"type": "ConfigMap", "configMap": {"signal": "Average"}},
    }
    zones = [a_zone(name) | {"spec": {"source": source}} for name, source in sources.items()]
    zones.append(a_zone("clean", 100))
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(zones))


def released(cluster: Cluster, name: str) -> str:
    """The name of a job's child, once it has one."""
    workload = eventually(lambda: status(cluster, name).get("workload"), f"{name} is released")
    return str(workload["name"])


def live_once(cluster: Cluster) -> None:
    """One is held, released, measured and deleted; others are suspended, lose a Job, get no pod."""
    short = a_job("short", "clean", run_for="3s", maxGramsPerKWh=50)
    short["spec"]["ttlAfterFinished"] = "2s"
    podless = a_job("podless", "clean", strategy="Immediate")
    podless["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    jobs = [
        short,
        podless,
        a_job("long", "clean", run_for="120s", strategy="Immediate"),
        a_job("bereft", "clean", run_for="120s", strategy="Immediate"),
    ]
    team(cluster, "apply", "-f", "-", input=yaml.safe_dump_all(jobs))
    eventually(
        lambda: (
            condition({"status": status(cluster, "short")}, "Released").get("status") == "False"
        ),
        "it is held",
    )
    team(cluster, "annotate", "caj", "short", "carbonaware.io/release-requested=now")
    long, bereft = (released(cluster, name) for name in ("long", "bereft"))
    team(cluster, "patch", "caj", "long", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    suspended = ("get", "job", long, "-o", "jsonpath={.spec.suspend}")
    eventually(lambda: team(cluster, *suspended) == "true", "it is suspended")
    team(cluster, "delete", "job", bereft)
    eventually(lambda: condition({"status": status(cluster, "bereft")}, "Failed"), "it has failed")
    eventually(
        lambda: status(cluster, "podless").get("reason") == "FailedCreate", "it says why", 60
    )
    eventually(lambda: "short" not in team(cluster, "get", "caj", "-o", "name"), "its time is over")


def test_what_is_asked_for_is_granted_and_what_is_granted_is_asked_for(
    audited: Audited, running: Stack, tmp_path: Path
) -> None:
    """One whole life of operator and agent with their own accounts."""
    operator_account = audited.account("carbonaware-operator", OPERATOR, tmp_path)
    agent_account = audited.account("carbonaware-agent", AGENT, tmp_path)
    give_zones(audited.cluster)
    agent = running.agent(running.simulated_host(), kubeconfig=agent_account)
    operator = running.operator(f"--agent-url={agent.url}", kubeconfig=operator_account)
    operator.wait_ready()
    agent.wait_ready()

    live_once(audited.cluster)
    eventually(lambda: operator.metric("carbonaware_energy_joules_total") > 0, "energy is counted")
    eventually(lambda: _bound(operator), "the policies are known to be bound")
    assert 0 == operator.stop()  # which writes the archives

    for name, tables in (("carbonaware-operator", OPERATOR), ("carbonaware-agent", AGENT)):
        requests = audited.requests(name)
        assert [] == [r["requestURI"] for r in requests if r["responseStatus"]["code"] == 403]
        asked = set().union(*(used(event, tables) for event in requests)) - OF_EVERYBODY
        table = set().union(*(granted(place, rows) for place, rows in tables.items()))
        assert set() == asked - table
        assert NOT_IN_THE_LOG & table == table - asked


def _bound(operator: Program) -> bool:
    return operator.metric("carbonaware_admission_policy_bound") == 2


def test_one_namespace_needs_no_right_in_another(
    audited: Audited, running: Stack, tmp_path: Path
) -> None:
    """With `--watch-namespaces` the rights to jobs are a Role; zones stay of the whole cluster."""
    tables = OPERATOR | {"": rights.OPERATOR_CLUSTER, TEAM: rights.OPERATOR_JOBS}
    cluster, account = audited.cluster, audited.account("narrow", tables, tmp_path)
    elsewhere = a_job("elsewhere", "clean", strategy="Immediate")
    cluster.kubectl("apply", "-n", "default", "-f", "-", input=yaml.safe_dump(elsewhere))
    inside = a_job("inside", "clean", run_for="1s", strategy="Immediate")
    team(cluster, "apply", "-f", "-", input=yaml.safe_dump(inside))
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(a_zone("clean", 100)))

    running.operator(
        f"--watch-namespaces={TEAM}", "--sweep-seconds=1", kubeconfig=account
    ).wait_ready()

    eventually(
        lambda: condition({"status": status(cluster, "inside")}, "Complete"), "it is complete"
    )
    requests = audited.requests("narrow")
    assert [] == [r["requestURI"] for r in requests if r["responseStatus"]["code"] == 403]
    untouched = json.loads(
        cluster.kubectl("get", "caj", "elsewhere", "-n", "default", "-o", "json")
    )
    assert "status" not in untouched


def test_a_job_is_owned_by_who_may_finalize_it(audited: Audited) -> None:
    """Without the right to `carbonawarejobs/finalizers` some API servers refuse every child Job."""
    cluster = audited.cluster
    parent = a_job("owner", "clean", maxGramsPerKWh=50)
    team(cluster, "apply", "-f", "-", input=json.dumps(parent))
    uid = json.loads(team(cluster, "get", "caj", "owner", "-o", "json"))["metadata"]["uid"]
    owner = {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "name": "owner",
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    child = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "owner", "ownerReferences": [owner]},
        "spec": parent["spec"]["jobTemplate"]["spec"],
    }
    without = tuple(r for r in rights.OPERATOR_JOBS if "finalizers" not in r.resources[0])
    for name, table in (("without", without), ("with", rights.OPERATOR_JOBS)):
        documents = roles(name, TEAM, table)
        cluster.kubectl("create", "serviceaccount", name, "-n", SYSTEM)
        cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(documents))

    def create(account: str) -> None:
        user = f"--as=system:serviceaccount:{SYSTEM}:{account}"
        team(cluster, "create", "--dry-run=server", user, "-f", "-", input=json.dumps(child))

    with pytest.raises(KubectlError, match="cannot set blockOwnerDeletion"):
        create("without")
    create("with")


def test_an_operator_whose_policy_is_unbound_says_so(
    audited: Audited, running: Stack, tmp_path: Path
) -> None:
    """In the condition of each zone and in a metric; it says so within a sweep, both ways."""
    cluster = audited.cluster
    binding = f"validatingadmissionpolicybinding/{OPERATOR_POLICY}"
    kept = cluster.kubectl("get", binding, "-o", "json")
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(a_zone("guarded")))
    kubeconfig = audited.account("carbonaware-operator", OPERATOR, tmp_path)
    operator = running.operator("--sweep-seconds=1", kubeconfig=kubeconfig).wait_ready()

    def shown() -> tuple[str, float]:
        zone = json.loads(cluster.kubectl("get", "czone", "guarded", "-o", "json"))
        gauge = operator.metric("carbonaware_admission_policy_bound", policy=OPERATOR_POLICY)
        return condition(zone, "AdmissionPolicyBound").get("status", ""), gauge

    eventually(lambda: shown() == ("True", 1), f"{OPERATOR_ACCOUNT} is guarded")
    cluster.kubectl("delete", binding)
    eventually(lambda: shown() == ("False", 0), "it says that it is not guarded")
    fresh = json.loads(kept)
    fresh["metadata"] = {"name": OPERATOR_POLICY}
    cluster.kubectl("create", "-f", "-", input=json.dumps(fresh))
    eventually(lambda: shown() == ("True", 1), "it is guarded again")
