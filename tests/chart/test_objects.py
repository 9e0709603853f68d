"""What the chart renders: least privilege, and what belongs together."""

import json
import re

import pytest
import yaml

from carbonaware_operator.api import admission, rights
from carbonaware_operator.cluster.agents import PORT_NAME
from carbonaware_operator.cluster.zones import archive_name
from chart_builders import (
    CASES,
    CHART,
    NAMESPACE,
    ZONE,
    RefusedError,
    objects,
    one,
    parsed,
    pod_of,
    text_of,
)
from testbed.locations import cache_folder

POD_KINDS = ("Deployment", "DaemonSet", "Job", "Pod")
# What the agent may see of a node, and nothing else: docs/gpus.md, docs/energy-and-emissions.md.
HOST_PATHS = {
    "/sys": ("Directory", True),
    "/var/lib/carbonaware-agent": ("DirectoryOrCreate", False),
    "/var/lib/kubelet/pod-resources": (None, True),
}


def by_kind(found, *kinds):
    """The objects of some kinds."""
    return [each for each in found if each["kind"] in kinds]


class TestAgent:
    def test_asks_for_the_documented_host_paths_and_nothing_else(self):
        """Two are read, one is written; no host network, no host processes, no privilege."""
        pod = pod_of(one(objects(), "DaemonSet", "agent"))
        (container,) = pod["containers"]
        mounts = {
            mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]
        }

        asked = {
            volume["hostPath"]["path"]: (volume["hostPath"].get("type"), mounts[volume["name"]])
            for volume in pod["volumes"]
        }

        assert HOST_PATHS == asked
        assert {"hostNetwork", "hostPID", "hostIPC"} & set(pod) == set()
        assert {
            "runAsUser": 0,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]

    def test_lies_on_each_node_once(self):
        """The GPU nodes' DaemonSet selects what the other leaves out, label by label."""
        found = objects("gpu")
        plain, gpu = (pod_of(one(found, "DaemonSet", name)) for name in ("agent", "agent-gpu"))
        (left_out,) = plain["affinity"]["nodeAffinity"].values()

        selected = {
            expression["key"]: expression["values"][0]
            for term in left_out["nodeSelectorTerms"]
            for expression in term["matchExpressions"]
            if expression["operator"] == "NotIn"
        }

        assert selected == {
            key: value
            for key, value in gpu["nodeSelector"].items()
            if key not in plain["nodeSelector"]
        }
        assert all(len(term["matchExpressions"]) == 1 for term in left_out["nodeSelectorTerms"])

    def test_sees_all_gpus_and_requests_none(self):
        """A GPU that the agent held could not be had by a job."""
        pod = pod_of(one(objects("gpu"), "DaemonSet", "agent-gpu"))
        (container,) = pod["containers"]
        environment = {given["name"]: given.get("value") for given in container["env"]}

        assert "nvidia-cdi" == pod["runtimeClassName"]
        assert "all" == environment["NVIDIA_VISIBLE_DEVICES"]
        assert "NVIDIA_MIG_MONITOR_DEVICES" not in environment
        assert "nvidia.com/gpu" not in str(container["resources"])
        assert not pod["hostPID"]

    def test_asks_for_more_only_where_partitions_are_monitored(self):
        """NVIDIA's runtime refuses that variable to a container without SYS_ADMIN."""
        (container,) = pod_of(one(objects("everything"), "DaemonSet", "agent-gpu"))["containers"]
        (plain,) = pod_of(one(objects("everything"), "DaemonSet", "agent"))["containers"]

        assert {"drop": ["ALL"], "add": ["SYS_ADMIN"]} == container["securityContext"][
            "capabilities"
        ]
        assert {"drop": ["ALL"]} == plain["securityContext"]["capabilities"]

    def test_refuses_gpu_nodes_that_no_label_tells_apart(self):
        """Else every node would get two agents, which share one folder of counters."""
        with pytest.raises(RefusedError, match=r"agent\.gpu\.nodeSelector"):
            objects(agent={"gpu": {"enabled": True, "nodeSelector": None}})


class TestOperator:
    def test_finds_the_agents_by_the_service_of_the_release(self):
        """Flag, Service, and the name of the port that the operator looks for."""
        found = objects(fullnameOverride="green")
        (deployment,) = by_kind(found, "Deployment")
        (service,) = [
            each for each in by_kind(found, "Service") if each["spec"].get("clusterIP") == "None"
        ]

        assert (
            f"--agent-service={service['metadata']['name']}"
            in (pod_of(deployment)["containers"][0]["args"])
        )
        assert [PORT_NAME] == [port["name"] for port in service["spec"]["ports"]]

    @pytest.mark.parametrize(
        ("case", "budgets"), {"default": 0, "available": 1, "everything": 1}.items()
    )
    def test_has_a_disruption_budget_if_there_are_several(self, case, budgets):
        """With one replica, a budget would keep a node from being drained."""
        assert budgets == len(by_kind(objects(case), "PodDisruptionBudget"))

    def test_leaves_its_number_to_others_if_asked(self):
        """Helm 4 owns each field that it applies, and would fight an autoscaler."""
        assert "replicas" not in one(objects("scaled"), "Deployment", "operator")["spec"]

    def test_is_known_to_the_policy_that_binds_it(self):
        """The policy names the account that the pods really have."""
        found = objects("scaled", admissionPolicies={"enabled": True})
        (policy,) = [
            each
            for each in by_kind(found, "ValidatingAdmissionPolicy")
            if each["metadata"]["name"] == admission.OPERATOR_POLICY
        ]

        assert f"'system:serviceaccount:{NAMESPACE}:carbon'" in str(policy["spec"])

    def test_writes_nothing_that_the_chart_renders(self):
        """Helm 4 applies on the server: a field that two write stops an upgrade."""
        rendered = {
            (each["kind"], each["metadata"]["name"])
            for case in CASES
            for each in objects(case)
            if "helm.sh/hook" not in each["metadata"].get("annotations", {})
        }
        kinds = {kind.lower() + "s" for kind, _ in rendered}
        written = {
            resource
            for right in (*rights.OPERATOR_JOBS, *rights.OPERATOR_CLUSTER, *rights.operator_own())
            for resource in right.resources
            if {"create", "update", "patch"} & set(right.verbs) and "/" not in resource
        }

        # Archives of zones, which no dashboard is called like.
        assert {"configmaps"} == written & kinds
        assert ("ConfigMap", archive_name("de")) not in rendered
        assert all("dashboard" in name for kind, name in rendered if kind == "ConfigMap")


class TestRights:
    def test_in_named_namespaces_the_operator_has_no_rights_to_jobs_elsewhere(self):
        """A Role in each, and in its ClusterRole only what has no namespace."""
        found = objects("namespaces")

        assert (
            rights.rules(rights.OPERATOR_CLUSTER) == one(found, "ClusterRole", "operator")["rules"]
        )
        assert {"default", "kube-public"} == {
            role["metadata"]["namespace"]
            for role in by_kind(found, "Role")
            if role["rules"] == rights.rules(rights.OPERATOR_JOBS)
        }

    def test_are_those_of_the_table(self):
        """Everywhere else, too: nothing is granted beside the table."""
        found = objects()

        assert (
            rights.rules([*rights.OPERATOR_CLUSTER, *rights.OPERATOR_JOBS])
            == (one(found, "ClusterRole", "operator")["rules"])
        )
        assert rights.rules(rights.AGENT) == one(found, "ClusterRole", "agent")["rules"]
        assert (
            rights.rules(rights.operator_own("carbonaware-operator"))
            == (one(found, "Role", "operator")["rules"])
        )

    def test_every_account_that_is_bound_is_one_of_the_release(self):
        """Without `create`, the accounts made elsewhere."""
        for case in CASES:
            found = objects(case)
            used = {pod_of(each)["serviceAccountName"] for each in by_kind(found, *POD_KINDS)}
            bound = {
                subject["name"]
                for each in by_kind(found, "RoleBinding", "ClusterRoleBinding")
                for subject in each["subjects"]
            }
            made = {each["metadata"]["name"] for each in by_kind(found, "ServiceAccount")}
            assert bound <= used, case
            assert used - {"carbon", "carbon-agent"} == made, case


class TestZones:
    def test_come_after_the_crds_that_are_new(self):
        """Helm looks up all kinds first, so a zone has to be a hook where its kind is unknown."""
        zones = by_kind(objects("zones"), "CarbonZone")
        (awaiting,) = by_kind(objects("zones"), "Job")[:1]

        assert {"post-install,post-upgrade,post-rollback"} == {
            zone["metadata"]["annotations"]["helm.sh/hook"] for zone in zones
        }
        assert ["home", "gb"] == [zone["metadata"]["name"] for zone in zones]
        assert "carbonaware-await-crds" == awaiting["metadata"]["name"]

    def test_belong_to_the_release_where_their_kind_is_known(self):
        """So that upgrades change them and an uninstall removes them."""
        found = objects("zones", apis=(ZONE,))

        assert [None, None] == [
            zone["metadata"].get("annotations") for zone in by_kind(found, "CarbonZone")
        ]
        assert "carbonaware-await-crds" not in {each["metadata"]["name"] for each in found}


class TestSecrets:
    def test_of_providers_carry_the_label_that_the_operator_asks_for(self):
        """It reads no other Secret."""
        (secret,) = by_kind(objects("everything"), "Secret")

        assert "true" == secret["metadata"]["labels"]["carbonaware.io/provider"]


class TestMonitoring:
    def test_needs_a_cluster_that_knows_its_kinds(self):
        """Else an installation would fail over something that nobody needs to run jobs."""
        kinds = {each["kind"] for each in objects("everything", apis=())}

        assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule"}

    @pytest.mark.parametrize(
        ("case", "kind", "member"),
        [
            ("everything", "ServiceMonitor", "endpoints"),
            ("monitoring", "PodMonitor", "podMetricsEndpoints"),
        ],
    )
    def test_keeps_the_labels_of_jobs(self, case, kind, member):
        """`namespace` is that of the job, not that of the agent."""
        endpoints = [each["spec"][member][0] for each in by_kind(objects(case), kind)]

        assert [True, True] == [endpoint["honorLabels"] for endpoint in endpoints]

    def test_refuses_to_scrape_twice(self):
        """Two monitors of one target double every sum."""
        both = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}

        with pytest.raises(RefusedError, match="counted twice"):
            objects(monitoring=both)


class TestNetworkPolicies:
    def test_cover_every_pod(self):
        """A pod that no policy selects could talk to anybody."""
        found = objects("everything")
        selectors = [each["spec"]["podSelector"] for each in by_kind(found, "NetworkPolicy")]

        for each in by_kind(found, *POD_KINDS):
            template = each["spec"].get("template", each)
            assert any(_selects(one, template["metadata"]["labels"]) for one in selectors), each[
                "metadata"
            ]["name"]

    def test_let_the_operator_alone_read_what_agents_measure(self):
        """Who is asked for by `metricsFrom` may, too; nobody else."""
        agent = one(objects(networkPolicies={"enabled": True}), "NetworkPolicy", "agent")
        operator = one(objects(networkPolicies={"enabled": True}), "NetworkPolicy", "operator")
        ((source,),) = [rule["from"] for rule in agent["spec"]["ingress"]]

        assert "operator" == source["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        assert [] == operator["spec"]["ingress"]


def _selects(selector, labels):
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )


class TestWhole:
    @pytest.mark.slow
    def test_writes_zones_after_an_upgrade_with_helm_3(self):
        """It takes them over unchanged; what the hook writes is what the values say."""
        built = sorted(cache_folder().glob("helm3-*/bin/helm"))
        if not built:
            pytest.skip("Helm 3 has not been built on this machine")

        text = text_of(CASES["zones"], "--is-upgrade", apis=(ZONE,), program=built[-1])

        found = parsed(text)
        (container,) = pod_of(one(found, "Job", "zones"))["containers"]
        (written,) = [a for a in container["args"] if a.startswith("--zones=")]
        assert {
            zone["metadata"]["name"]: zone["spec"] for zone in by_kind(found, "CarbonZone")
        } == {zone["name"]: zone["spec"] for zone in json.loads(written.removeprefix("--zones="))}
        with_helm_4 = text_of(CASES["zones"], "--is-upgrade", apis=(ZONE,))
        assert "carbonaware_operator.hooks.zones" not in with_helm_4

    @pytest.mark.slow
    @pytest.mark.parametrize("case", CASES)
    def test_is_the_same_with_helm_3(self, case):
        """Both majors are supported; `make install-check` builds the older one."""
        built = sorted(cache_folder().glob("helm3-*/bin/helm"))
        if not built:
            pytest.skip("Helm 3 has not been built on this machine")

        text = text_of(CASES[case], program=built[-1])

        assert objects(case) == parsed(text)

    def test_looks_nothing_up_in_a_cluster(self):
        """`helm template` and GitOps tools render without one."""
        used = [
            path.name
            for path in (CHART / "templates").rglob("*")
            if path.is_file() and re.search(r"\blookup\b", path.read_text())
        ]

        assert [] == used

    def test_names_no_host_outside_the_cluster(self):
        """By default nobody is asked who does not belong to the cluster."""
        text = yaml.safe_dump_all(
            each for each in objects() if each["kind"] != "CustomResourceDefinition"
        )

        assert set() == set(re.findall(r"https?://[^\s'\"]+", text))

    @pytest.mark.parametrize("case", CASES)
    def test_every_object_says_to_whom_it_belongs(self, case):
        """Labels of the release everywhere, and a namespace where there is one."""
        for each in objects(case):
            labels = each["metadata"]["labels"]
            assert "carbonaware" == labels["app.kubernetes.io/instance"]
            assert "Helm" == labels["app.kubernetes.io/managed-by"]

    def test_is_named_as_a_service_may_be(self):
        """A release may have dots in its name, a Service may not."""
        found = objects(fullnameOverride=f"team.a.{'long.' * 40}x")

        names = {each["metadata"]["name"] for each in by_kind(found, "Service")}

        assert 2 == len(names)
        assert all(re.fullmatch(r"team-a-[a-z-]{1,50}[a-z]", name) for name in names)
        assert 63 >= max(map(len, names))

    def test_text_that_looks_like_a_number_stays_text(self):
        """Such as the name of an account, which the schemas of Kubernetes do not see in hooks."""
        found = objects("numeric")

        accounts = {each["metadata"]["name"] for each in by_kind(found, "ServiceAccount")}
        assert {"12", "56"} <= accounts
        (operator,) = pod_of(one(found, "Deployment", "operator"))["containers"]
        assert "--recordings-folder=/recordings: of 2026 #1" in operator["args"]

    def test_definitions_fit_an_annotation(self):
        """A client-side `kubectl apply` keeps a copy in one, of 262 kB at most."""
        sizes = {
            each["metadata"]["name"]: len(yaml.safe_dump(each))
            for each in by_kind(objects(), "CustomResourceDefinition")
        }

        assert 2 == len(sizes)
        assert max(sizes.values()) < 200_000
        assert all(
            "keep" == each["metadata"]["annotations"]["helm.sh/resource-policy"]
            for each in by_kind(objects(), "CustomResourceDefinition")
        )
