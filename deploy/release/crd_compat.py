"""Whether objects that the previous CRDs accept are accepted by these: pure.

What a user's manifest, a stored object or a program may rely on must stay: fields, their types and
bounds, served versions, printed names. A schema is compared with the one before, field by field.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_LOWER_BOUNDS = ("minimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "x-kubernetes-list-type", "x-kubernetes-map-type")
_RULES = "x-kubernetes-validations"
_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True, slots=True)
class Break:
    """One change that breaks somebody: of which CRD and version, where, and what it is."""

    subject: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject} {self.path}: {self.what}"


def breaks(previous: dict[str, Any], current: dict[str, Any] | None) -> list[Break]:
    """What breaks between two documents of one CustomResourceDefinition; None when it is gone."""
    name = previous["metadata"]["name"]
    if current is None:
        return [Break(name, "", "the kind is gone")]
    return [*_definition_breaks(name, previous["spec"], current["spec"])]


def _definition_breaks(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Break]:
    for path, key in (("group", "group"), ("scope", "scope"), ("names.kind", "names")):
        one, other = old[key], new[key]
        if key == "names":
            one, other = one["kind"], other["kind"]
        if one != other:
            yield Break(name, path, f"{one} became {other}")
    for short in set(old["names"].get("shortNames", [])) - {*new["names"].get("shortNames", [])}:
        yield Break(name, "names.shortNames", f"{short} is gone")
    served = {version["name"]: version for version in new["versions"] if version["served"]}
    for version in old["versions"]:
        if not version["served"]:
            continue
        subject = f"{name}/{version['name']}"
        if version["name"] not in served:
            yield Break(subject, "", "the version is not served any more")
        else:
            yield from _version_breaks(subject, version, served[version["name"]])


def _version_breaks(subject: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Break]:
    for name in (old.get("subresources") or {}).keys() - (new.get("subresources") or {}).keys():
        yield Break(subject, f"subresources.{name}", "it is gone")
    before, after = old["schema"]["openAPIV3Schema"], new["schema"]["openAPIV3Schema"]
    for path, what in _schema_breaks("", before, after):
        yield Break(subject, path or ".", what)


def _schema_breaks(path: str, old: Schema, new: Schema) -> Iterator[tuple[str, str]]:
    """Path and description of each change by which `new` accepts less than `old`."""
    for what in (*_type_breaks(old, new), *_bound_breaks(old, new), *_rule_breaks(old, new)):
        yield path, what
    added = set(new.get("required", [])) - set(old.get("required", []))
    for name in sorted(added):
        yield f"{path}.{name}", "it became required"
    yield from _field_breaks(path, old, new)
    for key, inner in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield from _schema_breaks(path + inner, old[key], new[key])


def _field_breaks(path: str, old: Schema, new: Schema) -> Iterator[tuple[str, str]]:
    after = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name in after:
            yield from _schema_breaks(f"{path}.{name}", schema, after[name])
        elif not new.get(_UNKNOWN):
            yield f"{path}.{name}", "the field is gone"


def _type_breaks(old: Schema, new: Schema) -> Iterator[str]:
    one, other = old.get("type"), new.get("type")
    if one != other and (one, other) != ("integer", "number"):
        yield f"type {one} became {other}"
    if old.get(_UNKNOWN) and not new.get(_UNKNOWN):
        yield "unknown fields are not kept any more"
    if old.get("nullable") and not new.get("nullable"):
        yield "null is refused"
    for key in _EXACT:
        if new.get(key) != old.get(key) and (key in new or key.startswith("x-")):
            yield f"{key} {old.get(key)} became {new.get(key)}"


def _bound_breaks(old: Schema, new: Schema) -> Iterator[str]:
    if "enum" in new:
        removed = [value for value in old.get("enum", []) if value not in new["enum"]]
        if "enum" not in old:
            yield f"only {new['enum']} are left"
        elif removed:
            yield f"{', '.join(map(str, removed))} may not be said any more"
    for key in _LOWER_BOUNDS:
        if key in new and new[key] > old.get(key, float("-inf")):
            yield f"{key} {old.get(key)} became {new[key]}"
    for key in _UPPER_BOUNDS:
        if key in new and new[key] < old.get(key, float("inf")):
            yield f"{key} {old.get(key)} became {new[key]}"


def _rule_breaks(old: Schema, new: Schema) -> Iterator[str]:
    """A rule that was not there before may refuse what was accepted; its text says what."""
    known = {rule["rule"] for rule in old.get(_RULES, [])}
    for rule in new.get(_RULES, []):
        if rule["rule"] not in known:
            yield f"a new rule: {rule.get('message', rule['rule'])}"
