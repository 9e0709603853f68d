"""On a machine with an NVIDIA GPU: what NVML gives the agent against the vendor's own tool.

Run with `pytest -m slow -s tests/agent/test_real_gpu.py`; it prints its figures.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent_builders import FakeClock
from carbonaware_agent.gpus.watch import GpuWatch
from carbonaware_agent.sources.integration import integrated
from carbonaware_agent.sources.nvml import Nvml, NvmlUnavailableError
from carbonaware_agent.sources.nvml_devices import COUNTER
from carbonaware_agent.sources.sensor import Energy, Interval
from carbonaware_agent.workloads.pods import PodDirectory

pytestmark = pytest.mark.slow

SECONDS = 60
# A third of the time idle, so that power moves: a constant would hide a wrong integration.
BURN = """
import time, torch
square = torch.rand(8192, 8192, device="cuda")
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    burst = time.monotonic() + 2
    while time.monotonic() < burst:
        square @ square
        torch.cuda.synchronize()
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def nvml() -> Iterator[Nvml]:
    """The real driver's cards."""
    try:
        found = Nvml()
    except NvmlUnavailableError as error:
        pytest.skip(f"no NVIDIA GPU here: {error}")
    yield found
    found.close()


@pytest.fixture
def load() -> Iterator[None]:
    """Work for the first GPU, where PyTorch is installed; else its power is what it is."""
    python = shutil.which("python3") or "python3"
    burning = subprocess.Popen(
        [python, "-c", BURN.format(seconds=SECONDS)], stderr=subprocess.DEVNULL
    )
    yield
    burning.terminate()
    burning.wait()


def smi(*fields: str) -> list[list[str]]:
    """What nvidia-smi shows of each card."""
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split(", ") for line in done.stdout.splitlines()]


class Sampled(threading.Thread):
    """Energy of a power that is read again and again, by the agent's own integration."""

    def __init__(self, read_uw: Callable[[], int], every_seconds: float) -> None:
        super().__init__(daemon=True)
        self._read_uw, self._every_seconds = read_uw, every_seconds
        self._ended = threading.Event()
        self.joules = 0.0

    def run(self) -> None:
        """Read until told to end, and once more then."""
        before_us, before_uw = time.monotonic_ns() // 1000, self._read_uw()
        ended = False
        while not ended:
            ended = self._ended.wait(self._every_seconds)
            now_us, now_uw = time.monotonic_ns() // 1000, self._read_uw()
            outcome = integrated(before_uw, now_uw, Interval(now_us - before_us))
            assert isinstance(outcome, Energy)
            self.joules += outcome.microjoules / 1e6
            before_us, before_uw = now_us, now_uw

    def end(self) -> float:
        """The energy so far in joules."""
        self._ended.set()
        self.join()
        return self.joules


def test_cards_are_those_of_the_vendors_tool(nvml: Nvml) -> None:
    """By UUID and model."""
    assert {tuple(row) for row in smi("uuid", "name")} == {(g.uuid, g.model) for g in nvml.gpus}


def test_the_counter_agrees_with_integrated_power_over_a_load(nvml: Nvml, load: None) -> None:
    """Power read ten times and once a second, and nvidia-smi's, against the counter."""
    gpu = nvml.gpus[0]
    if gpu.domain.stream.source != COUNTER:
        pytest.skip(f"{gpu.model} has no energy counter")
    import pynvml

    def watts_of_smi() -> int:
        return round(float(smi("power.draw")[0][0]) * 1e6)

    def watts_of_nvml() -> int:
        return int(pynvml.nvmlDeviceGetPowerUsage(gpu.handle)) * 1000

    samplers = {
        "NVML power, 10 Hz": Sampled(watts_of_nvml, 0.1),
        "NVML power, 1 Hz": Sampled(watts_of_nvml, 1.0),
        "nvidia-smi, 1 Hz": Sampled(watts_of_smi, 1.0),
    }
    before = gpu.read()
    for sampler in samplers.values():
        sampler.start()
    time.sleep(SECONDS)  # the load is real, and so is its time
    found = {name: sampler.end() for name, sampler in samplers.items()}
    outcome = nvml.energy(gpu.domain, before, gpu.read(), Interval(SECONDS * 1_000_000))
    assert isinstance(outcome, Energy)
    counted = outcome.microjoules / 1e6

    print(f"\n{gpu.model}: counter {counted:.1f} J over {SECONDS} s, {counted / SECONDS:.1f} W")
    for name, joules in found.items():
        print(f"  {name}: {joules:.1f} J, {joules / counted - 1:+.2%}")
    assert counted == pytest.approx(found["NVML power, 10 Hz"], rel=0.10)


def test_what_the_slow_questions_cost_is_printed(nvml: Nvml, tmp_path: Path) -> None:
    """Layout and activity of every card; a card without MIG answers that it has none."""
    watch = GpuWatch(
        FakeClock(),
        lambda: nvml.gpus,
        PodDirectory(),
        lambda: True,
        socket=tmp_path / "absent" / "kubelet.sock",
        proc=Path("/proc"),
    )
    began = time.perf_counter()
    watch.look()
    looked = time.perf_counter()
    values = nvml.read()
    read = time.perf_counter()

    print(f"\nlook {1000 * (looked - began):.1f} ms, read {1000 * (read - looked):.2f} ms")
    assert watch.picture is not None
    assert watch.picture.holdings.keys() == values.keys()
