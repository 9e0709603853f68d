"""The table of rights: narrow, told apart, and with a reason each."""

import pytest

from carbonaware_operator.api import rights

OF_THE_OPERATOR = (*rights.OPERATOR_JOBS, *rights.OPERATOR_CLUSTER, *rights.operator_own())
TABLES = {
    "operator": OF_THE_OPERATOR,
    "agent": rights.AGENT,
    "hook": rights.PRE_DELETE_HOOK,
    "helm test": rights.HELM_TEST,
    "view": rights.VIEW,
    "edit": rights.EDIT,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
class TestTable:
    def test_names_everything(self, table):
        """No wildcard grants what nobody has thought of."""
        assert [] == [right for right in table if "*" in {right.group, *right.resources}]
        assert [] == [right for right in table if "*" in right.verbs]

    def test_grants_nothing_twice(self, table):
        """A verb that is taken away in one row is not still granted by another."""
        granted = [
            (right.group, resource, verb)
            for right in table
            for resource in right.resources
            for verb in right.verbs
        ]

        assert len(set(granted)) == len(granted)


class TestOperator:
    def test_creates_no_pods_and_changes_no_rights(self):
        """What an operator could take a cluster over with."""
        changed = {
            resource
            for right in OF_THE_OPERATOR
            for resource in right.resources
            if {"create", "patch", "update"} & set(right.verbs)
        }

        assert not changed & {"pods", "pods/exec", "secrets", "roles", "clusterroles", "nodes"}

    def test_reads_secrets_in_its_own_namespace_only(self):
        """Keys of providers lie beside the operator."""
        wide = (*rights.OPERATOR_JOBS, *rights.OPERATOR_CLUSTER)

        assert [] == [right for right in wide if "secrets" in right.resources]

    def test_leads_by_the_lease_it_was_given(self):
        """Two releases in a namespace cannot take each other's Lease."""
        (named,) = [right for right in rights.operator_own("green") if right.names]

        assert {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "update"],
            "resourceNames": ["green"],
        } == named.rule()


class TestUsers:
    def test_who_edits_a_namespace_cannot_change_the_grid(self):
        """A CarbonZone says where the operator sends its keys: it is the administrator's."""
        changed = {resource for right in rights.EDIT for resource in right.resources}

        assert {"carbonawarejobs"} == changed
