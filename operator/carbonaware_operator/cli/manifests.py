"""Manifests read from files, for commands that need no cluster: jobs, zones and recordings."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfoNotFoundError

import yaml
from pydantic import ValidationError

from carbonaware_operator.api.job import CarbonAwareJobSpec
from carbonaware_operator.api.schema import API_VERSION, Schema
from carbonaware_operator.api.zone import CarbonZoneSpec
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.quantities.instants import Instant, format_instant
from carbonaware_operator.store.jobs import JobRecord, record_of

_SUFFIXES = (".json", ".yaml", ".yml")
_NAMESPACE = "default"

Spec = TypeVar("Spec", bound=Schema)


@dataclass(frozen=True, slots=True)
class GivenJob:
    """A CarbonAwareJob of a file, as if it were created at the start of a simulation."""

    record: JobRecord
    spec: CarbonAwareJobSpec


@dataclass(slots=True)
class Manifests:
    """What the files hold of ours; texts: the data of each ConfigMap."""

    jobs: list[GivenJob] = field(default_factory=list)
    zones: dict[str, CarbonZoneSpec] = field(default_factory=dict)
    texts: dict[str, dict[str, str]] = field(default_factory=dict)


def read_manifests(paths: Iterable[str], created: Instant) -> Manifests:
    """Read files, folders and stdin (`-`); other objects in them are passed over.

    Raises CommandError with file, object and field.
    """
    found = Manifests()
    for path in paths:
        for file, body in _objects(path):
            _take_in(found, file, body, created)
    return found


def _objects(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a file, or of the files of a folder in the order of their names."""
    if path != "-" and Path(path).is_dir():
        inside = sorted(file for file in Path(path).iterdir() if file.suffix in _SUFFIXES)
        for file in inside:
            yield from _objects(str(file))
        return
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        bodies = list(yaml.safe_load_all(text))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(
            f"{path} must be YAML or JSON: {' '.join(str(error).split())}"
        ) from error
    for body in bodies:
        if body is not None and not isinstance(body, dict):
            raise CommandError(f"{path} must hold Kubernetes objects")
        for item in _items(body, path) if body else ():
            yield path, item


def _items(body: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The object, or what is in a List, as `kubectl get -o yaml` prints several objects."""
    if not str(body.get("kind")).endswith("List") or "items" not in body:
        return [body]
    items = body["items"]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CommandError(f"{path} must hold Kubernetes objects")
    return items


def _take_in(found: Manifests, file: str, body: dict[str, Any], created: Instant) -> None:
    kind, name = body.get("kind"), _metadata(body).get("name") or ""
    subject = f"{file}: {kind} {name}".rstrip()
    _check_metadata(_metadata(body), subject)
    match body.get("apiVersion"), kind:
        case "v1", "ConfigMap":
            found.texts[name] = body.get("data") or {}
        case version, "CarbonZone" if version == API_VERSION:
            found.zones[name] = _spec(CarbonZoneSpec, body, subject)
        case version, "CarbonAwareJob" if version == API_VERSION:
            spec = _spec(CarbonAwareJobSpec, body, subject)
            number = len(found.jobs)
            try:
                record = record_of(_as_created(body, f"given-{number}", created))
            except (ValueError, ZoneInfoNotFoundError) as error:
                raise CommandError(f"{subject}: {error.args[0]}") from error
            found.jobs.append(GivenJob(record, spec))


def _spec(model: type[Spec], body: dict[str, Any], subject: str) -> Spec:
    """The spec; a field that is not known is misspelt, as the API server would say."""
    try:
        return model.model_validate(body.get("spec") or {}, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in ("spec", *first["loc"]))
        said = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
        raise CommandError(f"{subject}: {place}: {said}") from error


def _as_created(body: dict[str, Any], uid: str, created: Instant) -> dict[str, Any]:
    """The object as the API server would show it; a status in the file is of another run."""
    metadata = _metadata(body)
    return {
        "metadata": {
            "name": metadata.get("name") or metadata.get("generateName") or "unnamed",
            "namespace": metadata.get("namespace") or _NAMESPACE,
            "annotations": metadata.get("annotations"),
            "uid": uid,
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": format_instant(created),
        },
        "spec": body["spec"],
    }


def _check_metadata(metadata: dict[str, Any], subject: str) -> None:
    for field_name in ("name", "generateName", "namespace"):
        if not isinstance(metadata.get(field_name) or "", str):
            raise CommandError(f"{subject}: metadata.{field_name} must be a string")
    if not isinstance(metadata.get("annotations") or {}, dict):
        raise CommandError(f"{subject}: metadata.annotations must be a map")


def _metadata(body: dict[str, Any]) -> dict[str, Any]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
