"""Templates made from the operator's code: CRDs, rights and admission policies.

They are made as text, not read by the chart at run time: Helm's `fromYaml` turns every whole
number into a float, and the bounds of a schema would lose digits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from carbonaware_operator.api import admission, rights
from carbonaware_operator.api.rights import Right

_HEAD = "{{- /* Generated from %s by `make generate`; do not edit. */}}\n"
_ACCOUNT = "OPERATOR-ACCOUNT"
_NAMES = {
    "OPERATOR-NAME": '{{ include "carbonaware.operator.name" . }}',
    "EXPORTER-CONFIG-MAP": "{{ .Values.rbac.exporter.configMap | quote }}",
    _ACCOUNT: "system:serviceaccount:{{ .Release.Namespace }}:"
    '{{ include "carbonaware.operator.account" . }}',
}


def rendered(crds: Path) -> dict[str, str]:
    """Path in the chart -> text of each template; crds: the folder of the definitions."""
    definitions = {
        f"templates/crds/{path.name}": _crd(path)
        for path in sorted(crds.glob("*.yaml"))
        if "kind: CustomResourceDefinition" in path.read_text()
    }
    return {
        **definitions,
        "templates/admission-policies.yaml": _admission(),
        "templates/_rights.tpl": _rights(),
    }


def _crd(path: Path) -> str:
    definition = yaml.safe_load(path.read_text())
    name = definition["metadata"]["name"]
    spec = _escaped(_dumped({"spec": definition["spec"]}))
    return (
        _HEAD % f"crds/{path.name}"
        + "{{- if .Values.crds.install }}\n"
        + "apiVersion: apiextensions.k8s.io/v1\n"
        + "kind: CustomResourceDefinition\n"
        + f"metadata:\n  name: {name}\n"
        + _labels("crds")
        + "  {{- if .Values.crds.keep }}\n"
        + "  annotations:\n    helm.sh/resource-policy: keep\n"
        + "  {{- end }}\n"
        + spec
        + "{{- end }}\n"
    )


def _admission() -> str:
    documents = []
    for document in admission.documents(_ACCOUNT):
        name = document["metadata"]["name"]
        documents.append(
            f"apiVersion: {document['apiVersion']}\nkind: {document['kind']}\n"
            f"metadata:\n  name: {name}\n"
            + _labels("admission")
            + _named(_escaped(_dumped({"spec": document["spec"]})))
        )
    return (
        _HEAD % "carbonaware_operator.api.admission"
        + "{{- if .Values.admissionPolicies.enabled }}\n"
        + "---\n".join(documents)
        + "{{- end }}\n"
    )


def _rights() -> str:
    tables: dict[str, Sequence[Right]] = {
        "operator-cluster": rights.OPERATOR_CLUSTER,
        "operator-jobs": rights.OPERATOR_JOBS,
        "operator-own": rights.operator_own("OPERATOR-NAME"),
        "exporter": rights.exporter("EXPORTER-CONFIG-MAP"),
        "agent": rights.AGENT,
        "pre-delete-jobs": rights.PRE_DELETE_HOOK,
        "pre-delete-cluster": rights.PRE_DELETE_CLUSTER,
        "pre-delete-own": rights.pre_delete_own("OPERATOR-NAME"),
        "zones": rights.ZONES_HOOK,
        "helm-test": rights.HELM_TEST,
        "view": rights.VIEW,
        "edit": rights.EDIT,
    }
    labels = {"view": rights.AGGREGATE_TO_VIEW, "edit": rights.AGGREGATE_TO_EDIT}
    return (
        _HEAD % "carbonaware_operator.api.rights"
        + "".join(_define(f"rights.{name}", _rules(table)) for name, table in tables.items())
        + "".join(_define(f"aggregate.{name}", _dumped(given)) for name, given in labels.items())
    )


def _rules(table: Sequence[Right]) -> str:
    """The rules, each behind the reason for it."""
    return "".join(f"# {right.why}\n{_dumped([right.rule()])}" for right in table)


def _define(name: str, text: str) -> str:
    return f'\n{{{{- define "carbonaware.{name}" -}}}}\n{_named(text)}{{{{- end }}}}\n'


def _labels(component: str) -> str:
    text = '  labels:\n    {{- include "carbonaware.labels" (list . "COMPONENT") | nindent 4 }}\n'
    return text.replace("COMPONENT", component)


def _dumped(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _escaped(text: str) -> str:
    """YAML in which nothing is taken for a template."""
    return text.replace("{{", '{{ "{{" }}')


def _named(text: str) -> str:
    for token, template in _NAMES.items():
        text = text.replace(token, template)
    return text
