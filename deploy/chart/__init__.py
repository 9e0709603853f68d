"""Generates the parts of the Helm chart that are made from something else.

CRDs, roles and admission policies come from the operator's code, `values.schema.json` and the
chart's README from the annotated `values.yaml`, the version from pyproject.toml.
"""
