"""values.schema.json, closed everywhere but in maps whose keys are the user's.

What a value may be is told by its default and by `@schema`; the kinds of values that come up again
are named here. Helm checks values against it before it renders anything.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.chart.values import Entry

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
# What the chart sets itself: selectors and ownership must not come from two places.
_OWN_LABELS = (
    r"^(app\.kubernetes\.io/(name|instance|component|version|managed-by|part-of)"
    r"|helm\.sh/chart|carbonaware\.io/.*)$"
)
_NAME = {"type": "string", "maxLength": 253, "pattern": r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"}

DEFINITIONS: dict[str, dict[str, Any]] = {
    "annotations": _STRINGS,
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "duration": {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(h|m|s))+$"},
    "hostPath": {"type": "string", "pattern": "^/[^:]*[^:/]$"},
    "intOrPercent": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]{1,3}%$"},
    "labels": _STRINGS,
    "ownLabels": _STRINGS | {"propertyNames": {"not": {"pattern": _OWN_LABELS}}},
    "listenAddress": {"type": "string", "pattern": r"^([0-9.]+|\[[0-9a-fA-F:]+\])$"},
    "localReference": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {"name": _NAME},
    },
    "name": _NAME,
    "namespace": {
        "type": "string",
        "maxLength": 63,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
    },
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "providerSecret": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "data"],
        "properties": {"name": _NAME | {"minLength": 1}, "data": _STRINGS | {"minProperties": 1}},
    },
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "requests": _QUANTITIES,
            "limits": _QUANTITIES,
            "claims": {"type": "array", "items": {"type": "object"}},
        },
    },
    "toleration": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "key": {"type": "string"},
            "operator": {"enum": ["Exists", "Equal", "Lt", "Gt"]},
            "value": {"type": "string"},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": {"type": "integer"},
        },
    },
    "watts": {"type": ["number", "null"], "exclusiveMinimum": 0},
    "zone": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "spec"],
        # What a spec may hold is the CRD's matter, and the API server says so.
        "properties": {
            "name": _NAME | {"minLength": 1},
            "spec": {"type": "object", "required": ["source"]},
        },
    },
}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


class SchemaError(ValueError):
    """A value's schema cannot be told from its default and `@schema`."""


def rendered(entries: Sequence[Entry]) -> str:
    """The schema as JSON."""
    root = _closed("Values of the Helm chart of carbonaware.")
    # Helm puts the values of parent charts below this key.
    root["properties"]["global"] = {"type": "object", "additionalProperties": True}
    places: dict[tuple[str, ...], dict[str, Any]] = {(): root}
    for entry in entries:
        node = _closed(entry.text) if entry.is_group else _leaf(entry)
        places[entry.path] = node
        parent = places[entry.path[:-1]]
        parent["properties"][entry.path[-1]] = node
        if entry.required:
            _require(places, entry.path)
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **root,
        "definitions": {name: DEFINITIONS[name] for name in sorted(DEFINITIONS)},
    }
    return json.dumps(schema, indent=2) + "\n"


def _closed(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }


def _require(places: Mapping[tuple[str, ...], dict[str, Any]], path: tuple[str, ...]) -> None:
    """A required key makes every key above it required."""
    for depth in range(len(path)):
        required = places[path[:depth]].setdefault("required", [])
        if path[depth] not in required:
            required.append(path[depth])


def _leaf(entry: Entry) -> dict[str, Any]:
    given = _referenced(dict(entry.schema))
    if not {"$ref", "allOf", "enum", "type"} & set(given):
        if type(entry.default) not in _TYPES:
            raise SchemaError(f"{'.'.join(entry.path)} needs a `@schema` with a type")
        given = {"type": _TYPES[type(entry.default)], **given}
    if given.get("type") == "array" and "items" not in given:
        raise SchemaError(f"{'.'.join(entry.path)} needs a `@schema` with items")
    default = {} if entry.required else {"default": entry.default}
    return {"description": entry.text, **given, **default}


def _referenced(schema: dict[str, Any]) -> dict[str, Any]:
    """References by name as draft 7 wants them: a path, and nothing beside it."""
    if isinstance(schema.get("items"), dict):
        schema["items"] = _referenced(dict(schema["items"]))
    name = schema.pop("$ref", None)
    if name is None:
        return schema
    reference = {"$ref": f"#/definitions/{name}"}
    return {"allOf": [reference], **schema}
