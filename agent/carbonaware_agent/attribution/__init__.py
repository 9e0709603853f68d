"""Pure rules that turn a node's energy into pods' energy, in integer microjoules.

No clock, no file, no network: everything arrives as arguments. Start reading in `shares`.
"""
