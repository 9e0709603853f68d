"""Generators of what is installed and released; not shipped in the wheel, like `testbed`."""
