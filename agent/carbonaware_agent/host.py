"""Where the host's files are, and what they say about the machine once and for all."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Processor:
    """The machine's processors, as /proc/cpuinfo describes them.

    vcpus: logical processors. guest: a hypervisor runs this machine. vendor, family, model,
    stepping: as the kernel names them, empty or 0 where it does not. name: the model's name.
    sockets: packages; 1 where the kernel does not number them.
    """

    vcpus: int
    guest: bool
    vendor: str = ""
    family: int = 0
    model: int = 0
    stepping: int = 0
    name: str = ""
    sockets: int = 1


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's file tree.

    root: `/`, or another folder that holds the host's `proc` and `sys`. A container sees the
    host's counters in its own /proc, so a tree without a `proc` folder falls back to that.
    """

    root: Path

    @property
    def proc(self) -> Path:
        """The /proc of the host."""
        below = self.root / "proc"
        return below if below.is_dir() else Path("/proc")

    @property
    def powercap(self) -> Path:
        """Where the kernel shows RAPL domains."""
        return self.root / "sys/class/powercap"

    @property
    def hwmon(self) -> Path:
        """Where the kernel shows its hardware monitors."""
        return self.root / "sys/class/hwmon"

    @property
    def cgroups(self) -> Path:
        """The mount point of the control groups."""
        return self.root / "sys/fs/cgroup"

    @property
    def pod_resources(self) -> Path:
        """The socket on which kubelet tells what devices pods hold."""
        return self.root / "var/lib/kubelet/pod-resources/kubelet.sock"

    def boot_id(self) -> str:
        """The identity of this boot. Raises OSError: there is no boot_id file."""
        return (self.proc / "sys/kernel/random/boot_id").read_text(errors="replace").strip()

    def processor(self) -> Processor:
        """The processors. Raises OSError: there is no cpuinfo file."""
        return parse_cpuinfo((self.proc / "cpuinfo").read_text(errors="replace"))

    def memory_gib(self) -> int:
        """Memory in GiB, without what the firmware keeps; 0 where the kernel does not say."""
        return round(self.memory_kib() / 2**20)

    def memory_kib(self) -> int:
        """Memory in KiB, without what the firmware keeps; 0 where the kernel does not say."""
        with contextlib.suppress(OSError, ValueError):
            found = re.search(r"MemTotal:\s*(\d+) kB", (self.proc / "meminfo").read_text())
            return int(found[1]) if found else 0
        return 0


def parse_cpuinfo(text: str) -> Processor:
    """Read the text of /proc/cpuinfo; the first processor stands for all."""
    fields = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    }
    # ARM kernels show neither vendor nor hypervisor there; such a machine counts as bare metal.
    return Processor(
        vcpus=max(1, len(re.findall(r"^processor\s*:", text, re.MULTILINE))),
        guest="hypervisor" in fields.get("flags", "").split(),
        vendor=fields.get("vendor_id", ""),
        family=_number(fields.get("cpu family", "")),
        model=_number(fields.get("model", "")),
        stepping=_number(fields.get("stepping", "")),
        name=fields.get("model name") or _arm_name(fields),
        sockets=max(1, len(set(re.findall(r"^physical id\s*:\s*(\d+)", text, re.MULTILINE)))),
    )


def _arm_name(fields: Mapping[str, str]) -> str:
    """ARM kernels give numbers instead of a name."""
    if "CPU part" not in fields:
        return ""
    return f"implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0
