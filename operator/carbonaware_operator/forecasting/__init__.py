"""PURE: forecasts of grid intensity from its own history, their bands and their scores.

Only this package imports NumPy, so that who makes no forecast does not pay for it.
May import: grid, quantities. May not: clocks, networks, clusters.
"""
