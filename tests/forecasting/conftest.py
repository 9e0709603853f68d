"""Loads the package before any test loads NumPy, as programs do: it keeps NumPy to one thread."""

import carbonaware_operator.forecasting  # noqa: F401
