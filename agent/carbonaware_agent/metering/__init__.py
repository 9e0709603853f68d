"""One tick: what each domain drew, what each pod used, and the counting of both into the snapshot.

May import `saved`, `readings` and what those may; the arithmetic itself is in `attribution`. Start
reading in `meter`.
"""
