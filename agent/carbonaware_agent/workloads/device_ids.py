"""What device plugins and drivers call a GPU or a part of it, and which one that is.

Forms: GPU-<uuid>; GPU-<uuid>::<n>, a turn on a time-sliced or MPS-shared GPU; MIG-<uuid>[::<n>];
on GKE nvidia<minor>[/gi<instance>][/vgpu<n>]; of NVIDIA's driver for resource claims gpu-<minor>
and gpu-<minor>-mig-..., alone or at the end of a name for the container runtime.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from carbonaware_agent.sources.nvml_activity import Layout, MigDevice
from carbonaware_agent.sources.nvml_devices import Gpu

# Nine digits are more than any of these numbers has, and less than `int` refuses.
_N = "([0-9]{1,9})"
_GKE = re.compile(rf"nvidia{_N}(?:/gi{_N})?(?:/vgpu{_N})?")
_CLAIM = re.compile(rf"(?:.*[=-])?gpu-{_N}")
# Up to 2025 profile, start and size; since then the profile's name, its number and the start.
_CLAIM_MIG = re.compile(rf"(?:.*[=-])?gpu-{_N}-mig-(?:{_N}-{_N}-{_N}|.*[^0-9-].*-{_N}-{_N})")


class Part(NamedTuple):
    """A GPU, or one MIG device of it. device: None for all of the GPU."""

    gpu: str
    device: str | None = None


Card = tuple[Gpu, Layout]


def resolve(name: str, cards: Iterable[Card]) -> Part | None:
    """The part that a device's name means; None where that is not certain."""
    plain = name.partition("::")[0].rpartition("=")[2]
    for gpu, layout in cards:
        if gpu.uuid == plain:
            return Part(gpu.uuid)
        for device in layout.devices:
            if device.uuid == plain or _names(plain, gpu, device):
                return Part(gpu.uuid, device.uuid)
        if _minor(plain) is not None and _minor(plain) == gpu.minor:
            return Part(gpu.uuid)
    return None


def _minor(name: str) -> int | None:
    """The device file's number in a name that means a whole GPU."""
    gke, claim = _GKE.fullmatch(name), _CLAIM.fullmatch(name)
    if gke and gke[2] is None:
        return int(gke[1])
    return int(claim[1]) if claim else None


def _names(name: str, gpu: Gpu, device: MigDevice) -> bool:
    """Whether a name that counts instances or places means this MIG device."""
    gke, claim = _GKE.fullmatch(name), _CLAIM_MIG.fullmatch(name)
    if gke and gke[2] is not None:
        return (int(gke[1]), int(gke[2])) == (gpu.minor, device.instance)
    if claim:
        profile, start = claim[2] or claim[5], claim[3] or claim[6]
        return (int(claim[1]), int(profile), int(start)) == (
            gpu.minor,
            device.profile,
            device.start,
        )
    return False
