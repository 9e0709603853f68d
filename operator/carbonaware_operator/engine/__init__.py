"""The three loops (signals, planner, accountant), their clock, and the order of start and stop.

May import: everything but cli. Loops are tasks, none per object; time comes from `clock`.
"""
