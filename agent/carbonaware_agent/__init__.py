"""The carbonaware node agent: measures energy and attributes it to pods."""
