"""Keys, tokens and kubeconfigs of one cluster, made anew at each start."""

import base64
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from testbed.addresses import Addresses
from testbed.errors import PrerequisiteMissingError

_VALID_DAYS = "30"

ADMIN = "admin"
_USERS = {
    # user name -> groups; the names are those that Kubernetes' own role bindings expect
    ADMIN: "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The folder that holds a cluster's keys, and the files in it."""

    folder: Path

    @property
    def serving_certificate(self) -> Path:
        """Certificate of the API server; it signs itself, so it is also its authority."""
        return self.folder / "serving.crt"

    @property
    def serving_key(self) -> Path:
        """Private key of the API server."""
        return self.folder / "serving.key"

    @property
    def kubelet_client_certificate(self) -> Path:
        """Certificate that the API server shows to the kubelet; its own authority too."""
        return self.folder / "kubelet-client.crt"

    @property
    def kubelet_client_key(self) -> Path:
        """Private key that the API server uses towards the kubelet."""
        return self.folder / "kubelet-client.key"

    @property
    def kubelet_serving_certificate(self) -> Path:
        """Certificate of the kubelet's own port; it signs itself, so it is also its authority."""
        return self.folder / "kubelet-serving.crt"

    @property
    def kubelet_serving_key(self) -> Path:
        """Private key of the kubelet's own port."""
        return self.folder / "kubelet-serving.key"

    @property
    def service_account_key(self) -> Path:
        """Key that signs the tokens of service accounts."""
        return self.folder / "service-account.key"

    @property
    def tokens(self) -> Path:
        """The API server's list of static tokens."""
        return self.folder / "tokens.csv"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of one user."""
        return self.folder / f"{user.replace(':', '-')}.kubeconfig"


def create(folder: Path, *, addresses: Addresses, server: str, node_name: str) -> Credentials:
    """Make the keys, the token list and one kubeconfig per user.

    server: URL of the API server, as written into the kubeconfigs.
    Raises PrerequisiteMissingError: there is no openssl.
    """
    made = Credentials(folder)
    names = f"IP:127.0.0.1,IP:{addresses.api_service},IP:{addresses.bridge},DNS:localhost"
    _certificate(
        made.serving_certificate,
        made.serving_key,
        "/CN=kube-apiserver",
        f"subjectAltName={names},DNS:kubernetes.default.svc",
    )
    _certificate(
        made.kubelet_client_certificate,
        made.kubelet_client_key,
        "/O=system:masters/CN=kube-apiserver-kubelet-client",
        "extendedKeyUsage=clientAuth",
    )
    _certificate(
        made.kubelet_serving_certificate,
        made.kubelet_serving_key,
        f"/CN={node_name}",
        f"subjectAltName=IP:{addresses.bridge}",
    )
    _openssl("genrsa", "-out", str(made.service_account_key), "2048")
    users = {**_USERS, f"system:node:{node_name}": "system:nodes"}
    tokens = {user: secrets.token_urlsafe(32) for user in users}
    rows = [f'{tokens[user]},{user},{user},"{groups}"' for user, groups in users.items()]
    _write_secret(made.tokens, "\n".join(rows) + "\n")
    for user, token in tokens.items():
        _write_secret(made.kubeconfig(user), _kubeconfig(made, server, user, token))
    return made


def _kubeconfig(made: Credentials, server: str, user: str, token: str) -> str:
    authority = base64.b64encode(made.serving_certificate.read_bytes()).decode()
    cluster = {"server": server, "certificate-authority-data": authority}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        }
    )


def _certificate(certificate: Path, key: Path, subject: str, extension: str) -> None:
    files = ["-keyout", str(key), "-out", str(certificate)]
    life = ["-days", _VALID_DAYS, "-subj", subject, "-addext", extension]
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *life)


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    except FileNotFoundError as missing:
        raise PrerequisiteMissingError(
            "openssl is not installed; install it or run `python -m testbed deps` as root"
        ) from missing


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
