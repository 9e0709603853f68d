"""Where a watt is read: one module per sensor, all behind the port in `sensor`.

May import `host` and `kept_file`, nothing else of the agent. Start reading in `sensor`, then
`selection` and `sensor_set`.
"""
