"""Where a machine's power is learned: a steady load, power at some loads, and fits to both.

Only the commands `load`, `calibrate` and `fit` come here; an agent that measures imports none of
it. May import `host`, `clock` and `sources`, nothing else of the agent.
Start reading in `procedure` or `fit`.
"""
