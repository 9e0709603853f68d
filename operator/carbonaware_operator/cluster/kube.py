"""A thin client of the Kubernetes API: plain objects in and out, one path scheme for every kind.

`kubernetes.aio` brings configuration, TLS and connections. Its typed API classes are left alone:
importing them costs 30 MB (CoreV1Api 26 MB alone), and custom resources are untyped anyway.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.api.workloads import BATCH_JOB, WorkloadResource

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
REQUEST_TIMEOUT_SECONDS = 20.0
WRITE_TIMEOUT_SECONDS = 10.0
WATCH_SECONDS = 300
"""After so long the API server ends a watch; whoever still wants it lists and watches again."""
WATCH_SILENCE_SECONDS = WATCH_SECONDS + REQUEST_TIMEOUT_SECONDS
"""After so long without a byte a watch is dead: a broken connection may never say so."""
_CHUNK = 1 << 16
# What reading a file of another shape ends in.
_MISSHAPEN = (LookupError, TypeError, AttributeError, ValueError, RecursionError)


class ApiError(Exception):
    """The API server refused a request, or did not answer (status 0).

    status: HTTP status; reason: the machine-readable reason; message: what the server says.
    causes: the fields that validation refuses; retry_after: seconds to wait, 0 if it does not say.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        causes: tuple[str, ...] = (),
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """True when the same request may succeed later."""
        return self.status in (0, 408, 429) or self.status >= 500


@dataclass(frozen=True, slots=True)
class Kind:
    """Where objects of a kind live in the API."""

    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """The path of a collection, an object, or a subresource."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [root + self.api_version]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts += [part for part in (self.plural, name, sub) if part]
        return "/".join(parts)


CARBON_AWARE_JOBS = Kind(API_VERSION, "carbonawarejobs")
CARBON_ZONES = Kind(API_VERSION, "carbonzones", namespaced=False)
JOBS = Kind(BATCH_JOB.api_version, BATCH_JOB.plural)
PODS = Kind("v1", "pods")
SECRETS = Kind("v1", "secrets")
CONFIG_MAPS = Kind("v1", "configmaps")
EVENTS = Kind("events.k8s.io/v1", "events")
DEPLOYMENTS = Kind("apps/v1", "deployments")
LEASES = Kind("coordination.k8s.io/v1", "leases")
ENDPOINT_SLICES = Kind("discovery.k8s.io/v1", "endpointslices")
CRDS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False)


def objects_of(resource: WorkloadResource) -> Kind:
    """Where the workloads of a kind live."""
    return Kind(resource.api_version, resource.plural)


class KubeClient:
    """Requests to one API server. Every method raises ApiError, and nothing else."""

    def __init__(self, api: ApiClient, may_write: Callable[[], bool] = lambda: True) -> None:
        """may_write: asked right before every request that is none to read."""
        self._api, self._may_write = api, may_write

    def guarded(self, may_write: Callable[[], bool]) -> "KubeClient":
        """A client of the same API server that writes only while it may."""
        return KubeClient(self._api, may_write)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """One request; the answer as an object."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        return _object(await self._text(method, path, query, headers, body))

    async def text(self, path: str, *, most: int) -> bytes:
        """What a path answers that is no object, such as a page behind the proxy of a pod.

        most: bytes; a longer answer is no answer.
        """
        return await self._text("GET", path, None, {"Accept": "text/plain"}, None, most)

    async def _text(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        body: Object | None,
        most: int | None = None,
    ) -> bytes:
        seconds = REQUEST_TIMEOUT_SECONDS if method == "GET" else WRITE_TIMEOUT_SECONDS
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            answer = await self._send(method, path, query, headers, body, limit=limit)
            text = await (answer.read() if most is None else read_at_most(answer, most))
        except ApiError:
            raise
        except Exception as error:  # the token may not be readable, for one
            raise _unreachable(error, seconds) from error
        if answer.status >= 400:
            raise _refusal(answer.status, text, answer.headers.get("Retry-After", ""))
        return text

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        body: Object | None,
        *,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        # The client's own way to a request copies the body and looks at each value of it.
        headers = headers | self._api.default_headers
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host + path + ("?" + urlencode(query) if query else "")
        if method != "GET" and not self._may_write():
            raise ApiError(0, "NotLeading", "this replica does not lead any more")
        answer = await self._api.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=limit
        )
        response: aiohttp.ClientResponse = answer.response
        return response

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self.request("GET", kind.path(namespace, name))

    async def create(
        self, kind: Kind, namespace: str | None, body: Object, *, dry_run: bool = False
    ) -> Object:
        """Create an object, strictly: unknown fields are refused."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return await self.request("POST", kind.path(namespace), query=query, body=body)

    async def apply(
        self,
        kind: Kind,
        namespace: str | None,
        body: Object,
        *,
        manager: str,
        sub: str | None = None,
    ) -> Object:
        """Server-side apply of the whole set of fields that `manager` owns."""
        path = kind.path(namespace, body["metadata"]["name"], sub)
        query = {"fieldManager": manager, "force": "true"}
        return await self.request("PATCH", path, query=query, body=body, content_type=APPLY)

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, body: Object, *, manager: str = ""
    ) -> Object:
        """JSON merge patch; uid and resourceVersion in metadata are preconditions.

        manager: under whose name the API server keeps what is changed; this client's without one.
        """
        path = kind.path(namespace, name)
        query = {"fieldManager": manager} if manager else {}
        return await self.request("PATCH", path, query=query, body=body, content_type=MERGE_PATCH)

    async def replace(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Replace an object; its resourceVersion is a precondition."""
        return await self.request("PUT", kind.path(namespace, body["metadata"]["name"]), body=body)

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str) -> None:
        """Delete an object and, in the background, what it owns, if it still is the one meant."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self.request("DELETE", kind.path(namespace, name), body=options)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        only_metadata: bool = False,
        not_older_than: str = "",
    ) -> AsyncIterator[Object]:
        """All objects of a kind, in chunks of 500 behind the scenes.

        selector: of labels; fields: a field selector; not_older_than: a resourceVersion.
        """
        accept = METADATA_LIST if only_metadata else "application/json"
        query = {"limit": "500", "labelSelector": selector, "fieldSelector": fields}
        if not_older_than:
            query |= {"resourceVersion": not_older_than, "resourceVersionMatch": "NotOlderThan"}
        token = ""
        while True:
            if token:  # it stands for the version that the first page was of
                query |= {"continue": token, "resourceVersion": "", "resourceVersionMatch": ""}
            page = await self.request(
                "GET",
                kind.path(namespace),
                query={key: value for key, value in query.items() if value},
                accept=accept,
            )
            for item in page.get("items") or []:
                yield _named(item, page)
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def first(
        self, kind: Kind, namespace: str, most: int, *, selector: str = "", fields: str = ""
    ) -> Sequence[Object]:
        """The first objects of a kind, so many at most."""
        query = {"limit": str(most), "labelSelector": selector, "fieldSelector": fields}
        asked = {key: value for key, value in query.items() if value}
        page = await self.request("GET", kind.path(namespace), query=asked)
        items: Sequence[Object] = page.get("items") or []
        return items

    async def version(self, kind: Kind, namespace: str | None) -> str:
        """The resourceVersion of a collection now: a watch from it misses nothing."""
        page = await self.request(
            "GET", kind.path(namespace), query={"limit": "1"}, accept=METADATA_LIST
        )
        return str(page["metadata"].get("resourceVersion", ""))

    async def watch(
        self, kind: Kind, namespace: str | None, version: str, *, fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Type and object of each change since a resourceVersion, until the API server ends it."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        if fields:
            query["fieldSelector"] = fields
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=WATCH_SILENCE_SECONDS
        )
        headers = {"Accept": "application/json"}
        try:
            answer = await self._send(
                "GET", kind.path(namespace), query, headers, None, limit=limit
            )
            async with answer:
                if answer.status >= 400:
                    raise _refusal(answer.status, await answer.read())
                async for line in answer.content:
                    event = _object(line)
                    if event.get("type") == "ERROR":
                        raise _refusal(
                            event["object"].get("code", 500), json.dumps(event["object"])
                        )
                    yield event["type"], event["object"]
        except ApiError:
            raise
        except Exception as error:
            raise _unreachable(error, WATCH_SILENCE_SECONDS) from error


def _named(item: Object, page: Object) -> Object:
    """An item of a list, with its kind: a list of a built-in kind says it only once, for all."""
    kind = str(page.get("kind", "")).removesuffix("List")
    return {"apiVersion": page.get("apiVersion", ""), "kind": kind, **item}


async def read_at_most(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body of an answer. Raises aiohttp.ClientError: it has more bytes than this."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > most:
            answer.close()
            raise aiohttp.ClientPayloadError(f"the answer has more than {most} bytes")
    return bytes(body)


def _unreachable(error: Exception, seconds: float) -> ApiError:
    # What timed out has no text of its own.
    said = str(error) or f"no answer in {seconds:g} s"
    return ApiError(0, "Unreachable", f"API server does not answer: {said}")


def _object(text: bytes | str) -> Object:
    try:
        parsed = json.loads(text or "{}")
    except ValueError as error:
        raise ApiError(0, "Malformed", f"answer is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ApiError(0, "Malformed", "answer is not an object")
    return parsed


def _refusal(status: int, text: bytes | str, retry_after: str = "") -> ApiError:
    wait = float(retry_after) if retry_after.isdecimal() else 0.0
    try:
        answer = json.loads(text)
        causes = (answer.get("details") or {}).get("causes") or ()
        return ApiError(
            status,
            answer.get("reason") or str(status),
            answer["message"],
            causes=tuple(str(cause.get("field", "")) for cause in causes),
            retry_after=wait,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(status, str(status), f"HTTP {status}", retry_after=wait)


async def connect(kubeconfig: str | None, context: str | None = None) -> ApiClient:
    """A client of the cluster that `configuration` names; close it after use."""
    return ApiClient(configuration=await configuration(kubeconfig, context))


async def configuration(kubeconfig: str | None, context: str | None = None) -> Configuration:
    """How to reach the cluster that the kubeconfig names, else the one this pod runs in.

    kubeconfig: a file; None takes $KUBECONFIG or ~/.kube/config, then the pod's service account.
    Raises kubernetes.config.ConfigException: there is neither, or it cannot be used.
    """
    settings = Configuration()
    path = kubeconfig or _default_kubeconfig()
    if path:
        await _load(path, context, settings)
    else:
        config.load_incluster_config(client_configuration=settings)
    # Else each request looks for a proxy and for ~/.netrc in the threads that others may block.
    settings.client_session_kwargs = {"trust_env": False}
    settings.proxy = settings.proxy or _proxy(settings.host)
    return settings


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an API server."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


async def _load(path: str, context: str | None, settings: Configuration) -> None:
    try:
        await config.load_kube_config(
            config_file=path, context=context, client_configuration=settings, persist_config=False
        )
    except (OSError, yaml.YAMLError, *_MISSHAPEN) as error:
        what = " ".join(str(error).split())
        raise config.ConfigException(f"{path} is no kubeconfig: {what}") from error


def _default_kubeconfig() -> str | None:
    # $KUBECONFIG may name several files, which the loader merges.
    usual = Path.home() / ".kube" / "config"
    return os.environ.get("KUBECONFIG") or (str(usual) if usual.exists() else None)
