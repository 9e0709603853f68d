"""PURE: forecasts of grid intensity from its own history, their bands and their scores.

Only this package imports NumPy, so that who makes no forecast does not pay for it.
May import: grid, quantities. May not: clocks, networks, clusters.
"""

import os

# NumPy's linear algebra reads it when it is loaded. On matrices of a hundred columns a second
# thread only spins: on two busy cores forecasts took 7 times as long with two threads as with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
