"""Workloads behind one port: how a kind of object that runs a job is built, read and suspended.

May import planning and what lies below it. Pure: bodies in, bodies and facts out; the cluster is
the caller's.
"""
