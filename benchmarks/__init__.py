"""Measurements that the README states, each a module with a main() and a command of its own.

`python -m benchmarks` runs them all; `python -m benchmarks operator_idle` runs one. They print what
they measured as one JSON object a line, beside a partner measured in the same run.
"""
