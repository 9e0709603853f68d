"""Cards as the driver shows them, without a driver."""

from carbonaware_agent.sources.nvml_activity import Layout, MigDevice
from carbonaware_agent.sources.nvml_devices import Gpu
from carbonaware_agent.sources.sensor import CHIP, Domain, Stream
from carbonaware_agent.workloads.device_ids import Card


def a_card(uuid: str = "GPU-a", minor: int = 0, *devices: MigDevice, slices: int = 7) -> Card:
    """A card; with MIG devices it is partitioned."""
    name = f"gpu/{uuid}"
    domain = Domain(name, Stream(name, "nvml_counter", CHIP))
    layout = Layout(slices, devices) if devices else Layout()
    return Gpu(uuid, "H100", minor, None, domain, lambda: 0), layout
