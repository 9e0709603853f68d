"""The node's own kubelet as the source of pods while the API server cannot be asked for them.

Kubelet lists its pods at an authenticated port. It asks the API server whether the token may `get`
`nodes/pods` (KEP-2862, Kubernetes 1.33), which lets nobody do anything but list; `nodes/proxy`,
which older ones ask for, would also let the agent run commands in every pod of the node.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from carbonaware_agent.workloads.api import ApiServer
from carbonaware_agent.workloads.pods import Pod, parse_pods

PORT = 10250
_TIMEOUT_SECONDS = (3.0, 10.0)
_REFUSED = (401, 403)

PodList = Callable[[], Sequence[Pod]]


class KubeletUnreadableError(Exception):
    """Kubelet did not list its pods; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KubeletAccess:
    """Where kubelet is, and whether it is the right one.

    authority: a CA file for its certificate, else the API server's. verified: whether its
    certificate is checked; the agent's token goes to whoever answers where it is not.
    """

    url: str
    authority: Path | None = None
    verified: bool = True


def pods_of_kubelet(access: KubeletAccess, api: ApiServer) -> PodList:
    """A function that lists kubelet's pods with the credentials for the API server.

    It raises KubeletUnreadableError.
    """
    authority = str(access.authority) if access.authority else api.verify or True
    kubelet = replace(
        api, url=access.url.rstrip("/"), verify=authority if access.verified else False
    )
    return lambda: _pods(kubelet)


def _pods(kubelet: ApiServer) -> Sequence[Pod]:
    try:
        response = kubelet.get("/pods", {}, timeout_seconds=_TIMEOUT_SECONDS)
        if response.status_code in _REFUSED:
            raise KubeletUnreadableError(
                f"{kubelet.url} refuses ({response.status_code}): the agent must be allowed to "
                f"get nodes/pods; {response.text.strip()[:200]}"
            )
        response.raise_for_status()
        return parse_pods(response.json().get("items"))
    except requests.exceptions.SSLError as error:
        raise KubeletUnreadableError(
            f"{kubelet.url} is not trusted: name the authority of its certificate with "
            f"--kubelet-ca; {error}"
        ) from error
    except (requests.RequestException, OSError, ValueError, TypeError, AttributeError) as error:
        raise KubeletUnreadableError(f"{kubelet.url}: {error}") from error
