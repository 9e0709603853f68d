"""What survives the agent: one record of everything counted so far, saved before it is exposed.

Its form in the file is `snapshot_format`'s matter.
"""

from dataclasses import dataclass, field

from carbonaware_agent.attribution.balance import Balance
from carbonaware_agent.attribution.devices import Holding
from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.shares import NodeUse
from carbonaware_agent.attribution.tails import ParentSlice
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner


@dataclass(slots=True)
class DomainRecord:
    """A domain of the node.

    raw: the sensor's value at its last good reading, at `read_us` of the boot's clock; None when
    that sensor was not read by the last agent or in this boot. total_uj: energy since the record
    began. power_uw: mean over the last interval. missed: what pods used since the last good
    reading, while readings fail.
    """

    stream: Stream
    raw: int | None
    read_us: int
    total_uj: int = 0
    power_uw: int = 0
    missed: NodeUse | None = None


@dataclass(slots=True)
class PlatformRecord:
    """A meter of the whole node. raw, read_us, power_uw: as of a domain.

    total_uj: its energy over all intervals in which its parts were known as well, so that it is
    what they drew and the rest, less what the balance owes.
    """

    stream: Stream
    raw: int | None = None
    read_us: int = 0
    total_uj: int = 0
    power_uw: int = 0
    balance: Balance = field(default_factory=Balance)


@dataclass(slots=True)
class AttributedRecord:
    """Where a domain kind's energy went, in microjoules; the four sum to the domains' totals."""

    dynamic_uj: int = 0
    idle_uj: int = 0
    system_uj: int = 0
    unallocated_uj: int = 0


@dataclass(slots=True)
class SeriesRecord:
    """An owner's energy of one stream since `epoch` began. marked_uj: the value last marked."""

    epoch: str
    total_uj: int = 0
    marked_uj: int = 0


@dataclass(slots=True)
class PodRecord:
    """A pod. usage_us: its cgroup's CPU time when last read. parent: the slice that holds it.

    request: in millicores. memory_request: in KiB. The API's words on it stay empty until they are
    known; the owner is then pinned. uid: empty until the labels of its series are settled, with
    names or without. ended_us: boot time at which its cgroup was found gone. energy: dynamic and
    idle microjoules. series: its owner's, as far as they were looked up; not saved.
    """

    usage_us: int
    parent: str
    request: int = 0
    memory_request: int = 0
    uid: str = ""
    namespace: str = ""
    name: str = ""
    owner: Owner | None = None
    ended_us: int | None = None
    energy: dict[Stream, list[int]] = field(default_factory=dict)
    series: dict[Stream, SeriesRecord] = field(default_factory=dict, compare=False, repr=False)


SeriesKey = tuple[Owner, Stream]


@dataclass(slots=True)
class Snapshot:
    """The state of one node at one tick. open_us: start of the accounting period that is open.

    domains: by name and source. platforms: by source.
    """

    boot_id: str
    boottime_us: int
    wall_us: int
    period_us: int
    open_us: int
    saves: int = 0
    busy_us: int = 0
    processor: str = ""
    domains: dict[tuple[str, str], DomainRecord] = field(default_factory=dict)
    platforms: dict[str, PlatformRecord] = field(default_factory=dict)
    attributed: dict[str, AttributedRecord] = field(default_factory=dict)
    idle: dict[Stream, IdlePower] = field(default_factory=dict)
    gaps: dict[tuple[str, str], int] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    slices: dict[str, ParentSlice] = field(default_factory=dict)
    pods: dict[str, PodRecord] = field(default_factory=dict)
    series: dict[SeriesKey, SeriesRecord] = field(default_factory=dict)
    owners_seen_us: dict[Owner, int] = field(default_factory=dict)
