"""What our programs may do in somebody's cluster: an account of the demo's own, with a token.

The user's own credentials stay with kubectl: they may be a client certificate or another program,
and may do more than the demo needs.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

from testbed.demo.undo import Undo
from testbed.demo.venue import Kubectl
from testbed.state import owner_folder

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_WATCH = ["get", "list", "watch"]
_IN_CLUSTER = [
    {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods"], "verbs": _WATCH},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": _WATCH},
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["*"], "verbs": _WATCH},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _WATCH},
    {"apiGroups": ["carbonaware.io"], "resources": ["*"], "verbs": _WATCH},
    {
        "apiGroups": ["carbonaware.io"],
        "resources": ["carbonzones/status"],
        "verbs": [*_WATCH, "update", "patch"],
    },
]
_IN_NAMESPACE = [
    {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["*"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
    {"apiGroups": ["carbonaware.io"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["*"]},
]


def grant(kubectl: Kubectl, name: str, folder: Path, undo: Undo) -> Path:
    """A kubeconfig for our programs; it may change things in the namespace alone.

    name: of the namespace, and of everything that is created.
    folder: only its owner may enter it.
    Raises KubectlError: the user may not grant this much.
    """
    undo.note("take the rights back", lambda: _revoke(kubectl, name))
    kubectl("create", "-f", "-", input=json.dumps(_objects(name)))
    token = kubectl("create", "token", name, "-n", name, "--duration=1h").strip()
    owner_folder(folder)
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(_kubeconfig(_server(kubectl, name), token)))
    os.chmod(path, 0o600)  # noqa: PTH101 - touch() leaves the mode of an existing file
    return path


def _objects(name: str) -> Object:
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": name}]
    inside, outside = {"name": name, "namespace": name}, {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
            _rbac("Role", inside, rules=_IN_NAMESPACE),
            _rbac("RoleBinding", inside, roleRef=_role_ref("Role", name), subjects=subjects),
            _rbac("ClusterRole", outside, rules=_IN_CLUSTER),
            _rbac(
                "ClusterRoleBinding",
                outside,
                roleRef=_role_ref("ClusterRole", name),
                subjects=subjects,
            ),
        ],
    }


def _rbac(kind: str, metadata: Object, **content: Any) -> Object:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, **content}


def _role_ref(kind: str, name: str) -> Object:
    return {"apiGroup": _RBAC, "kind": kind, "name": name}


def _revoke(kubectl: Kubectl, name: str) -> None:
    kubectl("delete", "clusterrolebinding,clusterrole", name, "--ignore-not-found")


def _server(kubectl: Kubectl, namespace: str) -> Object:
    """Address and authority of the API server."""
    viewed = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    cluster: Object = viewed["clusters"][0]["cluster"]
    if "certificate-authority-data" not in cluster:
        authority = _root_certificate(kubectl, namespace)
        cluster["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    kept = ("server", "certificate-authority-data")
    return {key: cluster[key] for key in kept}


def _root_certificate(kubectl: Kubectl, namespace: str) -> str:
    """Every namespace is told the cluster's authority, a moment after it was created."""
    published = ["configmap/kube-root-ca.crt", "-n", namespace]
    kubectl("wait", "--for=create", *published, "--timeout=20s")
    return kubectl("get", *published, "-o", r"jsonpath={.data.ca\.crt}")


def _kubeconfig(cluster: Object, token: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "demo", "cluster": cluster}],
        "users": [{"name": "demo", "user": {"token": token}}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
        "current-context": "demo",
    }
