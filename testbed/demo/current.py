"""The demo on the cluster that kubectl already reaches, which is left as it was found.

Everything that is created belongs to a namespace of the demo's own or carries its name. CRDs are
installed where they are absent, and only those are removed again.
"""

import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from testbed import wheels
from testbed.demo import access, machine
from testbed.demo.scene import Scene
from testbed.demo.undo import Undo
from testbed.demo.venue import CRDS, Kubectl, RefusedError, Report, Venue
from testbed.errors import KubectlError

Object = dict[str, Any]

_IMAGE = "busybox:1.36"
_GROUP = "carbonaware.io"
_TIMEOUT = "--request-timeout=20s"
_DELETE = ("--ignore-not-found", "--wait=true", "--timeout=60s")


def start(image: str | None, state: Path, undo: Undo, report: Report) -> Venue:
    """Prepare the current cluster.

    image: of the pods; it must have a shell.
    state: a folder for the credentials of our programs.
    Raises RefusedError: there is no cluster, or it is in use by others.
    Raises KubectlError: the cluster refuses something.
    """
    kubectl = _kubectl()
    name = f"carbonaware-demo-{secrets.token_hex(3)}"
    _refuse_without_cluster(kubectl)
    _refuse_in_use(kubectl)
    nodes, pods = (_listed(kubectl, kind) for kind in ("nodes", "pods"))
    node, local = machine.choose(nodes, pods)
    if node is None:
        raise RefusedError("the cluster has no node that is ready and takes pods; add one")
    _install_crds(kubectl, undo, report)
    undo.note("delete the zone", lambda: _delete_zone(kubectl, name))
    undo.note(
        "delete the namespace",
        lambda: kubectl("delete", "namespace", name, *_DELETE),
    )
    kubectl("create", "namespace", name)
    report(f"namespace {name} on node {node}" + ("" if local else ", which is another machine"))
    scene = Scene(
        namespace=name,
        system_namespace=name,
        zone=name,
        node_kind="real" if local else "simulated",
        node_name=node,
        image=image or _IMAGE,
        pull_policy="IfNotPresent",
    )
    return Venue(scene, kubectl, access.grant(kubectl, name, state, undo))


def _kubectl() -> Kubectl:
    program = shutil.which("kubectl") or str(wheels.kubectl())

    def run(*arguments: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        done = subprocess.run(
            [program, *arguments], input=input, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return run


def _refuse_without_cluster(kubectl: Kubectl) -> None:
    try:
        kubectl("get", "--raw", "/readyz", _TIMEOUT)
    except KubectlError as error:
        raise RefusedError(
            f"kubectl reaches no cluster ({error}); set KUBECONFIG, choose a context with "
            "`kubectl config use-context`, or run `make demo` without CLUSTER"
        ) from error


def _refuse_in_use(kubectl: Kubectl) -> None:
    """An operator of ours acts on every job in the cluster, and two would act on each."""
    installed = kubectl("get", "crd", "-o", "name", _TIMEOUT)
    for plural in ("carbonawarejobs", "carbonzones"):
        if f"{plural}.{_GROUP}" not in installed:
            continue
        found = kubectl("get", f"{plural}.{_GROUP}", "-A", "-o", "name", _TIMEOUT).split()
        if found:
            raise RefusedError(
                f"the cluster has {len(found)} {plural} ({', '.join(found[:3])}); the demo's "
                "operator would act on them. Use another cluster, or run `make demo` without "
                "CLUSTER, which starts one of its own"
            )
    for lease in _listed(kubectl, "leases.coordination.k8s.io"):
        holder = lease["spec"].get("holderIdentity")
        if lease["metadata"]["name"] == "carbonaware-operator" and holder:
            raise RefusedError(
                f"an operator runs in namespace {lease['metadata']['namespace']} ({holder}) and "
                "would act on the demo's jobs. Scale it to 0, or if it is gone delete its Lease "
                "carbonaware-operator; or use another cluster"
            )


def _install_crds(kubectl: Kubectl, undo: Undo, report: Report) -> None:
    """Install what is absent of the CRDs and what belongs to them."""
    absent = [body for body in _manifests() if not _exists(kubectl, body)]
    if not absent:
        return
    report(f"installing {', '.join(sorted({body['metadata']['name'] for body in absent}))}")
    text = yaml.safe_dump_all(absent)
    undo.note(
        "delete the CRDs",
        lambda: kubectl("delete", "-f", "-", *_DELETE, input=text),
    )
    kubectl("create", "-f", "-", input=text)
    crds = [b["metadata"]["name"] for b in absent if b["kind"] == "CustomResourceDefinition"]
    if crds:
        kubectl("wait", "crd", *crds, "--for=condition=Established", "--timeout=30s")


def _manifests() -> list[Object]:
    files = sorted(CRDS.glob("*.yaml"))
    return [body for file in files for body in yaml.safe_load_all(file.read_text()) if body]


def _exists(kubectl: Kubectl, body: Object) -> bool:
    kind = f"{body['kind']}.{body['apiVersion'].partition('/')[0]}"
    name = body["metadata"]["name"]
    return bool(kubectl("get", kind, name, "--ignore-not-found", "-o", "name", _TIMEOUT))


def _delete_zone(kubectl: Kubectl, name: str) -> None:
    if f"carbonzones.{_GROUP}" in kubectl("get", "crd", "-o", "name", _TIMEOUT):
        kubectl("delete", f"carbonzones.{_GROUP}", name, *_DELETE)


def _listed(kubectl: Kubectl, kind: str) -> list[Object]:
    items: list[Object] = json.loads(kubectl("get", kind, "-A", "-o", "json", _TIMEOUT))["items"]
    return items
