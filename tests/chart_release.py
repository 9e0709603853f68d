"""A release of the chart on a simulated cluster, and clients with the rights that it grants."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from carbonaware_operator.cluster.kube import KubeClient, connect
from chart_builders import CASES, CHART, NAMESPACE, RELEASE
from testbed.cluster import Cluster

PLACE = ("--namespace", NAMESPACE)
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
KEPT = {
    f"customresourcedefinition.apiextensions.k8s.io/{plural}.carbonaware.io"
    for plural in ("carbonawarejobs", "carbonzones")
}


class Release:
    """A release on a cluster that has never heard of carbonaware; its values change as it goes.

    case: whose values it begins with; program: another Helm than the pinned one.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, *, case: str = "zones", program: Path | None = None
    ) -> None:
        self.cluster, self._file, self._program = cluster, folder / "values.yaml", program
        self.values = yaml.safe_load(CASES[case].read_text()) | {"crds": {"keep": True}}

    def apply(self, verb: str, *flags: str) -> None:
        """Install or upgrade with the values as they are."""
        self._file.write_text(yaml.safe_dump(self.values))
        self.helm(verb, str(CHART), "--values", str(self._file), *flags)

    def helm(self, command: str, *arguments: str) -> str:
        """Run a command of Helm on the release."""
        return self.cluster.helm(command, RELEASE, *PLACE, *arguments, program=self._program)

    def get(self, *what: str) -> dict[str, Any]:
        """An object, or a list of them."""
        found: dict[str, Any] = json.loads(self.cluster.kubectl("get", *what, "-o", "json"))
        return found

    @property
    def home(self) -> dict[str, Any]:
        """The zone whose intensity the values give."""
        return self.get("carbonzone", "home")

    @property
    def left(self) -> set[str]:
        """Names of all objects that carry the release's label."""
        namespaced = "deploy,ds,svc,sa,role,rolebinding,job,cm,lease,networkpolicy,czone,crd"
        policies = "validatingadmissionpolicy,validatingadmissionpolicybinding"
        everywhere = f"clusterrole,clusterrolebinding,{policies}"
        mine = ("-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name")
        return set(self.cluster.kubectl("get", "-A", f"{namespaced},{everywhere}", *mine).split())

    @asynccontextmanager
    async def client_as(self, account: str = "") -> AsyncIterator[KubeClient]:
        """A client with the rights of one of the release's accounts; by default with all."""
        api = await connect(str(self.cluster.kubeconfig))
        if account:
            api.set_default_header("Impersonate-User", account)
        try:
            yield KubeClient(api)
        finally:
            await api.close()
