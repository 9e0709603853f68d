"""The few requests that the testbed itself makes to its API server."""

import base64
from pathlib import Path
from typing import Any

import requests
import yaml

_TIMEOUT_SECONDS = 5


class Api:
    """Reads and creates objects with the address and token of a kubeconfig of this testbed."""

    def __init__(self, kubeconfig: Path) -> None:
        written = yaml.safe_load(kubeconfig.read_text())
        cluster = written["clusters"][0]["cluster"]
        # Requests takes the server's certificate only from a file.
        authority = kubeconfig.with_suffix(".crt")
        if not authority.exists():  # another process may be reading it
            authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self._server: str = cluster["server"]
        self._session = requests.Session()
        # A proxy of the environment must not be asked for loopback addresses.
        self._session.trust_env = False
        self._session.verify = str(authority)
        self._session.headers["Authorization"] = f"Bearer {written['users'][0]['user']['token']}"

    def is_ready(self) -> bool:
        """Whether the API server answers and says that it is ready."""
        try:
            answer = self._session.get(f"{self._server}/readyz", timeout=_TIMEOUT_SECONDS)
        except requests.RequestException:
            return False
        return answer.ok

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """The object or list at a path such as /api/v1/nodes/a, None if there is none.

        Raises requests.RequestException: the server does not answer or refuses.
        """
        answer = self._session.get(f"{self._server}{path}", params=query, timeout=_TIMEOUT_SECONDS)
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object at the path of its kind, such as /api/v1/nodes.

        Raises requests.RequestException: the server does not answer or refuses.
        """
        answer = self._session.post(f"{self._server}{path}", json=body, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
