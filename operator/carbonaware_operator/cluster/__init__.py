"""The Kubernetes edge: feed, writer, child Jobs, agents, lease, events. The only place that writes.

May import: store and below. May not: decide anything.
"""
