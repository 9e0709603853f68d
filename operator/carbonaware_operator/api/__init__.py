"""The custom resources as pydantic models, their reasons, and the generator of `crds/`.

The models are the source of truth for the schema; the API server validates, the operator reads.
May import: quantities. May not: anything that talks to a cluster.
"""
