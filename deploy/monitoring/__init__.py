"""Dashboards, recording rules and alerts as code; `python -m deploy.monitoring` writes them.

What each panel and alert says is data in `overview`, `jobs`, `nodes`, `health`, `recording` and
`alerts`; `grafana` and `rule_files` give it the form that Grafana and Prometheus read, `page` the
one for readers.
"""
