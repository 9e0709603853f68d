"""SBOMs: the Python packages of each image, as CycloneDX documents.

Made from the pins that the images are built from. What the base image brings is not in them.
"""

import json
from importlib import metadata
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import pins

IMAGES = {"operator": ("operator", "cli"), "agent": ("agent",)}
"""The parts that each image of the Dockerfile installs."""

_VOLATILE = ("serialNumber",)  # random: two builds would differ


def document(image: str, version: str) -> dict[str, Any]:
    """The SBOM of an image, in its JSON form."""
    names = sorted(set().union(*(pins.packages(part) for part in IMAGES[image])))
    components = {name: _package(name) for name in names}
    root = Component(
        name=f"carbonaware-{image}",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"carbonaware-{image}@{version}",
        licenses=[LicenseExpression("Apache-2.0")],
    )
    bom = Bom(components=components.values())
    bom.metadata.component = root
    bom.register_dependency(root, components.values())
    for name, component in components.items():
        needed = {canonicalize_name(need.name) for need in pins.needs_of(Requirement(name))}
        bom.register_dependency(component, [components[n] for n in sorted(needed & set(names))])
    return _reproducible(json.loads(JsonV1Dot6(bom).output_as_string()))


def faults(text: str) -> str | None:
    """What the schema of CycloneDX says against a document; None when it is valid."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return str(error) if error else None


def _package(name: str) -> Component:
    constraints = (pins.ROOT / "constraints.txt").read_text(encoding="utf-8")
    version = pins.pinned(constraints, [name]).partition("==")[2].split()[0]
    url = PackageURL("pypi", None, name, version)
    licence = metadata.metadata(name).json.get("license_expression")
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        purl=url,
        licenses=[LicenseExpression(str(licence))] if licence else [],
    )


def _reproducible(found: dict[str, Any]) -> dict[str, Any]:
    for key in _VOLATILE:
        found.pop(key, None)
    found["metadata"].pop("timestamp", None)
    return found
