"""How to reach the API server: from a kubeconfig file, else as the pod's service account."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

# What reading a file of another shape ends in.
_MISSHAPEN = (LookupError, TypeError, AttributeError, ValueError, RecursionError)
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ApiUnconfiguredError(Exception):
    """Neither a usable kubeconfig nor a service account is there; the message says what lacks."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server and the credentials for it.

    token_file is read for each request, because kubelet renews the token in it. certificate:
    files of the client's certificate and key. verify: a CA file, or False for no check.
    """

    url: str
    verify: str | bool = True
    token: str | None = None
    token_file: Path | None = None
    certificate: tuple[str, str] | None = None

    def get(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        timeout_seconds: tuple[float, float],
        stream: bool = False,
    ) -> requests.Response:
        """One request, answered with any status. Raises requests.RequestException or OSError."""
        headers = {"Accept": "application/json"}
        token = self.token_file.read_text().strip() if self.token_file else self.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.get(
            self.url + path,
            params=dict(query),
            headers=headers,
            verify=self.verify,
            cert=self.certificate,
            timeout=timeout_seconds,
            stream=stream,
        )


def service_account(folder: Path = _SERVICE_ACCOUNT) -> ApiServer:
    """The API server of the cluster that this process runs in. Raises ApiUnconfiguredError."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise ApiUnconfiguredError("no --kubeconfig and no service account of a pod")
    address = f"[{host}]" if ":" in host else host
    return ApiServer(
        f"https://{address}:{port}",
        verify=str(folder / "ca.crt"),
        token_file=folder / "token",
    )


def from_kubeconfig(file: Path) -> ApiServer:
    """The current context of a kubeconfig file. Raises ApiUnconfiguredError."""
    try:
        content = yaml.safe_load(file.read_text())
        context = _named(content, "contexts", content["current-context"])["context"]
        cluster = _named(content, "clusters", context["cluster"])["cluster"]
        user = _named(content, "users", context["user"]).get("user") or {}
        return _api_server(file.parent, cluster, user)
    except (OSError, yaml.YAMLError, *_MISSHAPEN) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ApiUnconfiguredError(f"--kubeconfig {file} is no kubeconfig: {what}") from error


def _api_server(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ApiServer:
    if "exec" in user or "auth-provider" in user:
        raise ValueError("credentials must be a token or a client certificate")
    authority = _file_of(folder, cluster, "certificate-authority")
    certificate = _file_of(folder, user, "client-certificate")
    key = _file_of(folder, user, "client-key")
    return ApiServer(
        cluster["server"].rstrip("/"),
        verify=False if cluster.get("insecure-skip-tls-verify") else authority or True,
        token=user.get("token"),
        token_file=folder / user["tokenFile"] if "tokenFile" in user else None,
        certificate=(certificate, key) if certificate and key else None,
    )


def _named(content: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in content[section]:
        if entry["name"] == name:
            found: dict[str, Any] = entry
            return found
    raise KeyError(f"{section}: {name}")


def _file_of(folder: Path, entry: dict[str, Any], key: str) -> str | None:
    """The file a kubeconfig names; what it holds inline becomes a file in memory only.

    `ssl` takes keys from files alone, and a key should not be left on a disk.
    """
    if f"{key}-data" in entry:
        descriptor = os.memfd_create(key)
        os.write(descriptor, base64.b64decode(entry[f"{key}-data"]))
        return f"/proc/self/fd/{descriptor}"
    return str(folder / entry[key]) if key in entry else None
