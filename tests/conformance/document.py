"""The page docs/conformance.md: what the tables of the report mean, with the tables in it."""

from collections.abc import Mapping

_PAGE = """\
# Conformance: is a pod's energy right?

Made by `make conformance`, which needs no special hardware and takes a few seconds; do not edit. A
test compares this page with a fresh run.

The kit in `tests/conformance/` plays a node whose energy is known exactly: a load, a power curve,
pods that come and go, counters that wrap, fail or are not read for a while. The scenarios are
tables, in `scenarios.py` and `gpu_scenarios.py`. It writes what such a node shows (RAPL,
`/proc/stat`, cgroups, a GPU driver) as files, and the real agent reads them with nothing replaced
but its clock, its threads and its watch of the API server. Everything stated about the agent below
is read from the text of its `/metrics`.

The published formulas of Kepler (0.10 and later), Scaphandre and CEEMS are fed the same readings at
the same instants. They were written anew from the sources that `peers.py` names; what is compared
is a formula, not a program at work. Where a source leaves a choice, the one that favours the other
agent was taken: a reading every second (their defaults are 5 to 30 s), a reader of their counters
that never misses one, no rounding.

## What truth means here
- The node's energy is what its domains drew, in whole microjoules.
- A pod's **dynamic** energy is its share, by CPU time, of what the node drew beyond its idle power,
  in each quarter of a second.
- **Idle** power has no true owner. It is reported apart; the agent's rule (what a pod reserved, or
  used if that was more; of memory what it requested; of a GPU what it held) is checked for
  exactness, not for justice.

A ratio is attributed over true energy: 1 is right, 0.25 a quarter of it.

That dynamic energy follows CPU time is the agent's own rule, so the kit does not prove that rule.
It shows what is left of it after counters, files, readings once a second, pods that end in between
and crashes; and what formulas that do not know idle power make of the same node.

## By load level
Dynamic energy of three pods. What the agent knows makes its column: `calibrated` has counters and
the machine's idle power (`--idle-watts`), `learned` had five quiet minutes and one at 6 % load to
learn it, `estimated` takes 22 % of maximum power. The last two have no counters: `curve` was
measured on a sibling at 0, 10, 50, 80 and 100 % load, `shape` is the median of servers since 2019
times known maximum power.

Kepler and Scaphandre multiply energy by utilisation, so their formula gives u P(u) where the truth
is P(u) - P(0). CEEMS divides all of the energy, idle power included, by CPU time: its ratio says
how much more than its dynamic energy a pod is charged, which is its intention and no fault.

Median of servers since 2019 (SPECpower, at the wall), 22 % of maximum power when idle:
```text
{levels-median}
```

Two Xeon Platinum 8280, result of 2019, 12 % when idle: the tenth percentile of the 67 servers in
`benchmarks/specpower_servers.txt`, by what utilisation times energy gives at 10 % load. `estimated`
and `shape` take the median for it:
```text
{levels-low}
```

One Xeon E-2388G, result of 2022, 26 % when idle: the ninetieth percentile.
```text
{levels-high}
```

u P(u) over P(u) - P(0) on all 67 of them, which is what any formula of that kind gives:
```text
{spread}
```

`learned` follows the line through quiet and light moments down to no load, as a node's daemons
never rest. It is exact here because these curves are straight up to 10 % load; where a real one
bends there, it is off by that bend. On a node that never had a light moment it takes the mean of
the quiet ones, and what daemons draw counts as idle power: with 2 % load that leaves pods 0.8 of
their truth at 10 %.

## By scenario
Dynamic energy of all pods, on processors and memory:
```text
{pods}
```

The pod that is farthest from its truth:
```text
{worst}
```

Pods that ended, in scenarios that have some:
```text
{ended}
```

The energy of the node, as a reader of its counter (every 30 s) or gauge (every second) sees it. A
raw counter loses at each wrap what was drawn since the last reading. Where a failed read makes
energy appear, here and above, its size is that of the counter, which stood at 100 kJ:
```text
{node}
```

Energy of pods on GPUs, in joules, true and as attributed. The agent's own clients ask NVML, of a
library that plays a driver, and kubelet's pod-resources socket. Kepler takes a power sample times
the interval. Who holds a GPU pays for its idle power, `forgotten` too. Unseen turns can only be
divided in equal parts, partitions of which the driver tells nothing by their slices; activity is
sampled every ten seconds:
```text
{gpus}
```

## The agent's books
Residual: joules that are missing between domains and components, components and pods, pods and
owners, from the page's exact decimals. Idle of pods: idle energy charged to pods over what the rule
gives when idle power is known. Gaps told: intervals that the agent itself reports as unreadable or
only estimated.
```text
{books}
```

## What the scenarios cannot show
- Power depends on more than load: frequency, vector instructions, temperature, what runs on the
  sibling thread. CPU time is blind to all of it, here and in every formula above, and so is this
  truth. Published models with performance counters reach a few percent on real machines.
- RAPL's own error, and what lies outside the package: fans, disks, power supplies. The curves are
  those of whole servers at the wall; a package alone draws less when idle.
- Within one reading only means are known. Where power bends with load and pods take turns within
  it, the division is by the mean: the swing at 5 s, and pods that live for half a second, show it.
- A GPU's power is not proportional to its activity; in the scenarios it is, so that there is a
  truth. On real ones that take turns, equal activity may well cause unequal power.
- Memory has no calibrated idle power, and until the first minute is over none at all.
- Other programs are judged by their formulas. Their real readings, delays and defaults may be
  better or worse.
"""


def rendered(tables: Mapping[str, str]) -> str:
    """The page with the tables of the report, by their names."""
    page = _PAGE
    for name, table in tables.items():
        page = page.replace(f"{{{name}}}", table)
    return page
