"""Pods on this node: what their cgroups used, and what the API server says they are.

May import `kept_file` and nothing else of the agent. Start reading in `cgroups` and `pods`.
"""
