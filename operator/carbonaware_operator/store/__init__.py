"""What the operator knows of the cluster: slotted records, indexes, the boundary heap, the sweep.

May import: planning and below. May not: networks or clocks; changes are applied to it.
"""
