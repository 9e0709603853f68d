"""The carbonaware node agent: measures energy and attributes it to pods."""

__version__ = "0.1.0"
