"""Grid intensity: providers behind one port, the archive of what was, and fallback values.

May import: api, quantities. May not: the cluster; a provider gets its key and its text handed in.
"""
