"""PURE: when a job is released, suspended or failed: decide(), windows, deadlines, release order.

The operator, `kubectl carbonaware explain` and any simulation call the same functions.
May import: api, quantities. May not: clocks, networks, clusters.
"""
