"""What the cluster holds of a zone: keys and recordings to read; its status and archive to write.

Secrets are those of the operator's namespace that are labelled for it, and no others. ConfigMaps
are of that namespace too, but for the one of kubernetes-carbon-intensity-exporter.
"""

import base64
import binascii
import hashlib
import re

from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.api.zone import CarbonZoneStatus
from carbonaware_operator.cluster.kube import (
    CARBON_ZONES,
    CONFIG_MAPS,
    SECRETS,
    ApiError,
    KubeClient,
    Object,
)
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalMalformed,
    SignalMisconfigured,
    SignalUnreachable,
)
from carbonaware_operator.grid.sources import Reference

MANAGER = "carbonaware-signals"
PROVIDER_LABEL = "carbonaware.io/provider"
"""With the value `true`: this Secret is meant for providers; a CarbonZone may name any Secret."""

ARCHIVE_KEY = "archive"
_ARCHIVE_PREFIX = "carbonaware-archive-"
_MANAGED_BY, _OURS = "app.kubernetes.io/managed-by", "carbonaware"

ARCHIVES = f"{_MANAGED_BY}={_OURS}"
"""Selects the archives among the ConfigMaps of the operator's namespace."""

_MAX_NAME = 253
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class ZoneObjects:
    """The objects around CarbonZones, read and written for one operator.

    reader: as whom, for messages.
    """

    def __init__(self, kube: KubeClient, namespace: str, reader: str = "the operator") -> None:
        self._kube, self._namespace, self._reader = kube, namespace, reader

    async def texts(self, reference: Reference) -> dict[str, str]:
        """The texts behind keys of a Secret or a ConfigMap; raises SignalError when one lacks.

        Only whether they are there is told, never what they are.
        """
        kind = SECRETS if reference.kind == "Secret" else CONFIG_MAPS
        namespace = reference.namespace or self._namespace
        for name in (namespace, reference.name):
            if not _DNS_NAME.fullmatch(name):
                # It becomes a part of a path: `../` would lead to another kind of object.
                raise SignalMisconfigured(f"{reference.kind} name must be a DNS name, not {name!r}")
        what = f"{reference.kind} {namespace}/{reference.name}"
        try:
            found = await self._kube.get(kind, namespace, reference.name)
        except ApiError as error:
            raise _unread(what, error, self._reader) from error
        if kind is SECRETS and not _is_for_providers(found):
            raise SignalMisconfigured(
                f'{what} must have the label `{PROVIDER_LABEL}: "true"`; its owner sets it where'
                " the Secret is a provider's key"
            )
        values = {
            key: _value(found, key, what, secret=kind is SECRETS)
            for key in (*reference.keys, *reference.optional)
        }
        for key in reference.keys:
            if values[key] is None:
                raise SignalMisconfigured(f"{what} must have the key {key!r}")
        return {key: value for key, value in values.items() if value is not None}

    async def archive(self, zone_name: str) -> bytes | None:
        """The archive as it was last written; None when there is none. Raises ApiError."""
        try:
            found = await self._kube.get(CONFIG_MAPS, self._namespace, archive_name(zone_name))
            return base64.b64decode((found.get("binaryData") or {}).get(ARCHIVE_KEY) or "")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        except binascii.Error:
            return None

    async def write_archive(self, zone_name: str, encoded: bytes) -> None:
        """Write the archive, whether there is one or not. Raises ApiError."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": archive_name(zone_name),
                "namespace": self._namespace,
                "labels": {_MANAGED_BY: _OURS},
            },
            "binaryData": {ARCHIVE_KEY: base64.b64encode(encoded).decode()},
        }
        await self._kube.apply(CONFIG_MAPS, self._namespace, body, manager=MANAGER)

    async def write_status(self, zone_name: str, status: CarbonZoneStatus) -> None:
        """Write the whole status; what it leaves out is deleted. Raises ApiError."""
        body: Object = {
            "apiVersion": API_VERSION,
            "kind": "CarbonZone",
            "metadata": {"name": zone_name},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        await self._kube.apply(CARBON_ZONES, None, body, manager=MANAGER, sub="status")


def archive_name(zone_name: str) -> str:
    """The name of a zone's archive: at most 253 characters, and unlike that of any other zone."""
    name = _ARCHIVE_PREFIX + zone_name
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(zone_name.encode()).hexdigest()[:16]
    return f"{name[: _MAX_NAME - len(digest) - 1].rstrip('-.')}-{digest}"


def _is_for_providers(secret: Object) -> bool:
    labels = secret["metadata"].get("labels") or {}
    return bool(labels.get(PROVIDER_LABEL) == "true")


def _value(found: Object, key: str, what: str, *, secret: bool) -> str | None:
    plain = (found.get("data") or {}).get(key)
    if plain is not None and not secret:
        return str(plain)
    encoded = plain if secret else (found.get("binaryData") or {}).get(key)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        # Not raised from it: a decoding error carries the text that it could not decode.
        raise SignalMalformed(f"{what}, key {key!r}: must be text in UTF-8") from None


def _unread(what: str, error: ApiError, reader: str) -> SignalError:
    if error.status == 404:
        return SignalMisconfigured(f"{what} does not exist; create it, or name another one")
    if error.status == 403:
        return SignalMisconfigured(f"{reader} must be allowed to get {what}")
    return SignalUnreachable(f"{what} could not be read from the API server")
