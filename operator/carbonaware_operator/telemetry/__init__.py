"""What the operator says of itself: metrics, health and readiness, logs.

May import: store and below. May not: the cluster.
"""
