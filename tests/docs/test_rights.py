"""docs/operate.md shows the rights that the chart grants, each with its reason."""

from carbonaware_operator.api import rights
from documents import ROOT

ROLES = {
    "operator, where jobs are": rights.OPERATOR_JOBS,
    "operator, cluster-wide": rights.OPERATOR_CLUSTER,
    "operator, its own namespace": rights.operator_own(),
    "agent, cluster-wide": rights.AGENT,
    "uninstall hook, where jobs are": rights.PRE_DELETE_HOOK,
    "uninstall hook, cluster-wide": rights.PRE_DELETE_CLUSTER,
    "uninstall hook, its own namespace": rights.pre_delete_own(),
    "hook of upgrades with Helm 3, cluster-wide": rights.ZONES_HOOK,
    "`helm test`, its own namespace": rights.HELM_TEST,
    "the cluster's `view`": rights.VIEW,
    "the cluster's `edit`": rights.EDIT,
}


def table() -> str:
    """The table, as Markdown."""
    rows = ["| who and where | resources | verbs | why |", "| --- | --- | --- | --- |"]
    for role, granted in ROLES.items():
        for right in granted:
            what = ", ".join(f"`{resource}`" for resource in right.resources)
            only = f" (only {', '.join(right.names)})" if right.names else ""
            rows.append(f"| {role} | {what}{only} | {', '.join(right.verbs)} | {right.why} |")
    return "\n".join(rows) + "\n"


def test_the_page_shows_the_table_of_the_code():
    """Nothing more is granted than an administrator reads."""
    assert table() in (ROOT / "docs/operate.md").read_text(), table()
