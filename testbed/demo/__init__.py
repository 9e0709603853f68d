"""The demo: five jobs through a recorded day, on a real cluster, in three minutes.

`make demo` runs `python -m testbed.demo`: a cluster of the testbed, or with `--cluster current` the
one that kubectl reaches; our operator and agent as processes of this machine; a CarbonZone that
plays a day at an hour every five seconds; five CarbonAwareJobs; a live view; a verdict on each job;
and nothing left behind, however it ends.

Start reading at play.py. Pure: day, scene, facts, verdict, report. Touching the machine: own,
current, programs, undo. May import: testbed, the standard library, click, rich, PyYAML. Must not
import: our own packages, which the demo only runs.
"""
