"""What survives the agent: the snapshot, the journal of closed periods, and the folder of both.

May import `workloads`, `sources` and `attribution`. Start reading in `snapshot`.
"""
