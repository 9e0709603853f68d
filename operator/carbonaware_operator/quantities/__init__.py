"""Value types of the field: durations, instants, energy, intensity, mass.

Every conversion names its source. Nothing here knows a cluster, a file or a clock.
May import: nothing of ours.
"""
