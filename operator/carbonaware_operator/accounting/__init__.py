"""PURE: from an agent's counters to a job's joules, grams and savings: ledger, prices, totals.

Nothing here is remembered: what a ledger becomes follows from the ledger and what is posted to it.
May import: api, grid, quantities. May not: clocks, networks, clusters, metrics.
"""
