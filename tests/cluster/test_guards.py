"""Whether the admission policies guard this operator: what is asked, and what is told."""

from typing import Any

import pytest

from carbonaware_operator.api import admission
from carbonaware_operator.api.admission import OPERATOR_ACCOUNT, OPERATOR_POLICY, POLICY
from carbonaware_operator.cluster.guards import guards
from carbonaware_operator.cluster.kube import ApiError, Kind
from carbonaware_operator.engine.guard_check import GuardCheck
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

BINDINGS = "validatingadmissionpolicybindings"
POLICIES = "validatingadmissionpolicies"


class Cluster:
    """An API server with the policies, as one account sees it."""

    def __init__(self) -> None:
        self.account = OPERATOR_ACCOUNT
        self.error: ApiError | None = None
        self.nobody: ApiError | None = None
        self.objects: dict[tuple[str, str], dict[str, Any]] = {
            (BINDINGS if "policyName" in body["spec"] else POLICIES, body["metadata"]["name"]): body
            for body in admission.documents()
        }

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]:
        """An object."""
        if self.error is not None:
            raise self.error
        if (kind.plural, name) not in self.objects:
            raise ApiError(404, "NotFound", "no such object")
        return self.objects[kind.plural, name]

    async def create(
        self, kind: Kind, namespace: str | None, body: dict[str, Any]
    ) -> dict[str, Any]:
        """Who asks."""
        assert "selfsubjectreviews" == kind.plural
        if self.nobody is not None:
            raise self.nobody
        return body | {"status": {"userInfo": {"username": self.account}}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class TestGuards:
    async def test_hold_where_both_are_bound(self, cluster: Cluster):
        """As `kubectl apply -f crds/` leaves them, for an operator in its usual place."""
        assert {POLICY: "", OPERATOR_POLICY: ""} == await guards(cluster)

    @pytest.mark.parametrize("name", [POLICY, OPERATOR_POLICY])
    @pytest.mark.parametrize("plural", [BINDINGS, POLICIES])
    async def test_do_not_hold_without_policy_or_binding(
        self, cluster: Cluster, plural: str, name: str
    ):
        """A policy without a binding forbids nothing, nor does a binding alone."""
        del cluster.objects[plural, name]

        found = await guards(cluster)

        assert [name] == [policy for policy, lack in found.items() if lack]
        assert f"{plural} {name} must exist" in found[name]

    @pytest.mark.parametrize(
        "change",
        [
            {"validationActions": ["Audit"]},
            {"policyName": "another"},
            {"matchResources": {"namespaceSelector": {"matchLabels": {"guarded": "yes"}}}},
            {"matchResources": {"excludeResourceRules": [{"resources": ["*"]}]}},
            {"paramRef": {"name": "none", "parameterNotFoundAction": "Allow"}},
        ],
        ids=["audits only", "binds another", "leaves namespaces out", "excludes", "asks for more"],
    )
    @pytest.mark.parametrize("name", [POLICY, OPERATOR_POLICY])
    async def test_do_not_hold_when_the_binding_lets_something_pass(
        self, cluster: Cluster, name: str, change: dict[str, Any]
    ):
        """Its name alone guards nobody."""
        cluster.objects[BINDINGS, name]["spec"] |= change

        assert "must deny what its policy forbids, everywhere" in (await guards(cluster))[name]

    @pytest.mark.parametrize(
        "change",
        [
            {"failurePolicy": "Ignore"},
            {"validations": [{"expression": "true"}]},
            {"matchConstraints": {"resourceRules": []}},
            {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}},
        ],
        ids=["failures pass", "forbids nothing", "matches nothing", "asks for more"],
    )
    @pytest.mark.parametrize("name", [POLICY, OPERATOR_POLICY])
    async def test_do_not_hold_when_the_policy_was_edited(
        self, cluster: Cluster, name: str, change: dict[str, Any]
    ):
        """Nor does a policy guard that has the name, and other rules."""
        cluster.objects[POLICIES, name]["spec"] |= change

        assert "must be that of this version" in (await guards(cluster))[name]

    async def test_do_not_hold_when_the_operator_is_exempt(self, cluster: Cluster):
        """A second condition that names the operator as well."""
        spec = cluster.objects[POLICIES, OPERATOR_POLICY]["spec"]
        but = {"name": "but", "expression": f"request.userInfo.username != '{OPERATOR_ACCOUNT}'"}
        spec["matchConditions"].append(but)

        assert "must be that of this version" in (await guards(cluster))[OPERATOR_POLICY]

    async def test_hold_when_the_binding_audits_besides(self, cluster: Cluster):
        """Whoever also wants refusals in the audit log is guarded all the same."""
        cluster.objects[BINDINGS, POLICY]["spec"]["validationActions"] = ["Deny", "Audit"]

        assert "" == (await guards(cluster))[POLICY]

    async def test_do_not_hold_for_an_operator_of_another_name(self, cluster: Cluster):
        """A release in another namespace, with the policy of the usual one."""
        cluster.account = "system:serviceaccount:green:carbonaware-operator"

        found = await guards(cluster)

        assert "" == found[POLICY]
        assert f"must be about the operator's user {cluster.account}" in found[OPERATOR_POLICY]

    async def test_are_not_known_to_hold_when_they_may_not_be_read(self, cluster: Cluster):
        """An operator without that right says so and goes on."""
        cluster.error = ApiError(403, "Forbidden", "no")

        assert "must be allowed to get" in (await guards(cluster))[POLICY]

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    async def test_of_the_operator_are_not_known_when_it_may_not_ask_who_it_is(
        self, cluster: Cluster, status: int
    ):
        """The users' policy is about everybody, and holds all the same."""
        cluster.nobody = ApiError(status, "Refused", "no")

        found = await guards(cluster)

        assert "" == found[POLICY]
        assert "must be allowed to create selfsubjectreviews" in found[OPERATOR_POLICY]


def shown(metrics: OperatorMetrics) -> dict[str, float | None]:
    """The metric, by policy."""
    name = "carbonaware_admission_policy_bound"
    return {
        policy: metrics.registry.get_sample_value(name, {"policy": policy})
        for policy in (POLICY, OPERATOR_POLICY)
    }


class TestCheck:
    async def test_tells_zones_metrics_and_log(self, cluster: Cluster, caplog):
        """Whoever looks at one of them sees it; the log has it once."""
        zones = ZoneStore()
        metrics = OperatorMetrics(JobStore(), zones, "1")
        check = GuardCheck(kube=cluster, zones=zones, metrics=metrics)
        del cluster.objects[BINDINGS, OPERATOR_POLICY]

        await check.check()
        await check.check()

        assert (
            zones.unguarded == f"{BINDINGS} {OPERATOR_POLICY} must exist: apply crds/admission.yaml"
        )
        assert {POLICY: 1.0, OPERATOR_POLICY: 0.0} == shown(metrics)
        assert 1 == sum(record.msg == "admission policy not bound" for record in caplog.records)

    async def test_keeps_what_was_known_while_the_api_server_is_away(self, cluster: Cluster):
        """A restart of the API server says nothing about policies."""
        zones = ZoneStore()
        check = GuardCheck(
            kube=cluster, zones=zones, metrics=OperatorMetrics(JobStore(), zones, "1")
        )
        await check.check()
        cluster.error = ApiError(0, "Unreachable", "away")

        await check.check()

        assert "" == zones.unguarded

    @pytest.mark.parametrize("status", [0, 403, 500])
    async def test_shows_that_nothing_is_known_to_guard_before_there_is_an_answer(
        self, cluster: Cluster, status: int
    ):
        """An absent series would alert nobody, however long the API server refuses."""
        zones = ZoneStore()
        metrics = OperatorMetrics(JobStore(), zones, "1")
        cluster.nobody = cluster.error = ApiError(status, "Refused", "no")

        await GuardCheck(kube=cluster, zones=zones, metrics=metrics).check()

        assert {POLICY: 0.0, OPERATOR_POLICY: 0.0} == shown(metrics)
