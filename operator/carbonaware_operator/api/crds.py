"""Generates `crds/` from the models: `python -m carbonaware_operator.api.crds FOLDER`.

Pydantic's JSON schema is not a structural schema: references are inlined, nullable unions and
titles removed, and what Kubernetes forbids (`additionalProperties: false`, defaults of null) is
dropped. See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from carbonaware_operator.api import admission
from carbonaware_operator.api.job import CarbonAwareJob
from carbonaware_operator.api.schema import GROUP, VERSION, Schema
from carbonaware_operator.api.zone import CarbonZone

_DROPPED = {"title", "default", "$defs", "additionalProperties"}


def structural(model: type[Schema]) -> dict[str, Any]:
    """The structural OpenAPI v3 schema of a model, as a CRD holds it."""
    raw = model.model_json_schema(by_alias=True)
    schema: dict[str, Any] = _convert(raw, raw.get("$defs", {}))
    return schema


def _convert(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_convert(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolved(_without_null(_resolved(node, definitions)), definitions)
    converted = {}
    for key, value in node.items():
        if key == "properties":
            converted[key] = {name: _convert(sub, definitions) for name, sub in value.items()}
        elif key == "additionalProperties" and isinstance(value, dict):
            converted[key] = _convert(value, definitions)
        elif key not in _DROPPED:
            converted[key] = _convert(value, definitions) if key in ("items",) else value
    return converted


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A node with its reference replaced by what it names; its own keys (description) win."""
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rsplit("/", 1)[-1]]
    return {**target, **{k: v for k, v in node.items() if k != "$ref"}}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """`T | None` means "may be absent": nullable fields break merge patches."""
    if "anyOf" not in node:
        return node
    (only,) = [option for option in node["anyOf"] if option.get("type") != "null"]
    rest = {k: v for k, v in node.items() if k != "anyOf"}
    return {**only, **rest}


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": 1} if wide else column


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


JOB_COLUMNS = [
    _column("State", ".status.state"),
    _column("Reason", ".status.reason"),
    _column("Zone", ".status.zoneName"),
    # A column of type date would print a future start as <invalid>.
    _column("Latest Start", ".status.plan.latestStartTime"),
    _column("Started", ".status.releasedTime", "date"),
    _column("Saved", ".status.summary.avoided"),
    _column("Emissions", ".status.summary.emissions"),
    _column("Deadline", ".status.deadline", wide=True),
    _column("Energy", ".status.summary.energy", wide=True),
    _column("Age", ".metadata.creationTimestamp", "date", wide=True),
]
ZONE_COLUMNS = [
    _column("Fresh", _condition("Fresh", "status")),
    _column("Reason", _condition("Fresh", "reason")),
    # A column cannot compute: grams, and the fallback with its tilde, are in the status for it.
    _column("Intensity", ".status.summary.intensity"),
    _column("Source", ".status.summary.source"),
    _column("Observed", ".status.current.observedTime", wide=True),
    _column("Age", ".metadata.creationTimestamp", "date", wide=True),
]


def custom_resource_definition(
    model: type[Schema], plural: str, short: str, scope: str, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    schema = structural(model)
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["carbonaware"],
            },
            "versions": [version],
        },
    }


def documents() -> dict[str, dict[str, Any]]:
    """File name -> CustomResourceDefinition, for every kind."""
    return {
        "carbonawarejobs.yaml": custom_resource_definition(
            CarbonAwareJob, "carbonawarejobs", "caj", "Namespaced", JOB_COLUMNS
        ),
        "carbonzones.yaml": custom_resource_definition(
            CarbonZone, "carbonzones", "czone", "Cluster", ZONE_COLUMNS
        ),
    }


def rendered() -> dict[str, str]:
    """File name -> YAML text with a head that says where it comes from, for all of `crds/`."""
    head = "# Generated from operator/carbonaware_operator/api by `make generate`; do not edit.\n"
    files = {name: [document] for name, document in documents().items()}
    files["admission.yaml"] = admission.documents()
    return {
        name: head + yaml.safe_dump_all(parts, sort_keys=False, width=100)
        for name, parts in files.items()
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file_name, text in rendered().items():
        (folder / file_name).write_text(text)
