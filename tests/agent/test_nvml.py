"""GPU energy through NVML's C interface, played by a small library compiled here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAKE_NVML = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file named by FAKE_NVML_STATE has a line per GPU: its millijoules, or -1 for a GPU that
   does not support the call. */
static int line(unsigned index, long long *value) {
    FILE *file = fopen(getenv("FAKE_NVML_STATE"), "r");
    int found = 0;
    if (!file) return 0;
    for (unsigned i = 0; i <= index; i++) found = fscanf(file, "%lld", value) == 1;
    fclose(file);
    return found;
}
int nvmlInitWithFlags(unsigned flags) { long long v; return line(0, &v) ? 0 : 9; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) {
    long long v;
    for (*count = 0; line(*count, &v); (*count)++);
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(size_t)(index + 1);
    return 0;
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-%zu", (size_t)handle - 1);
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) {
    long long v;
    if (!line((unsigned)(size_t)handle - 1, &v)) return 15; /* GPU is lost */
    if (v < 0) return 3;                                    /* not supported */
    *energy = v;
    return 0;
}
"""

SCRIPT = """
import os, sys
from carbonaware_agent.sources.nvml import Nvml, NvmlUnavailableError
from carbonaware_agent.sources.sensor import Interval
def show(text): open(os.environ["FAKE_NVML_STATE"], "w").write(text)
try:
    nvml = Nvml()
except NvmlUnavailableError as error:
    sys.exit(f"unavailable: {error}")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The folder of a libnvidia-ml.so.1 that plays GPUs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(FAKE_NVML)
    command = [compiler, "-shared", "-fPIC", "-o", "libnvidia-ml.so.1", "nvml.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


def run(library: Path, state: str, script: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, as a loaded library stays loaded."""
    file = library / "state"
    file.write_text(state)
    environment = {"LD_LIBRARY_PATH": str(library), "FAKE_NVML_STATE": str(file)}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_each_gpu_that_counts_is_a_zone(library):
    """Cards before Volta have no counter and are left out."""
    done = run(library, "1000\n-1\n3000\n", "print([z.name for z in nvml.zones], nvml.read())")

    expected = "['gpu/GPU-0', 'gpu/GPU-2'] {'gpu/GPU-0': 1000, 'gpu/GPU-2': 3000}\n"
    assert expected == done.stdout, done.stderr


def test_energy_is_the_difference_and_a_fall_is_a_reloaded_driver(library):
    """The 64-bit counter does not wrap."""
    script = """
zone, second = nvml.zones[0], Interval(1000000)
print(nvml.energy(zone, 1000, 1250, second), nvml.energy(zone, 1000, 10, second))
"""
    done = run(library, "1000\n", script)

    expected = "Energy(microjoules=250000, estimated=False) Rebaseline(reason='reset')\n"
    assert expected == done.stdout, done.stderr


def test_a_gpu_that_is_lost_is_a_failed_read(library):
    """The others are read on."""
    done = run(library, "1\n2\n", 'show("1\\n"); print(nvml.read())')

    assert "{'gpu/GPU-0': 1}\n" == done.stdout, done.stderr


@pytest.mark.parametrize(("state", "word"), [("", "Driver Not Loaded"), ("-1\n", "no GPU counts")])
def test_without_counting_gpus_there_is_no_sensor(library, state, word):
    """A node without GPUs is the normal case."""
    assert word in run(library, state).stderr


def test_without_a_driver_there_is_no_sensor(library):
    """The library comes with the driver."""
    (library / "empty").mkdir(exist_ok=True)
    environment = {"LD_LIBRARY_PATH": str(library / "empty")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + "print(nvml.zones)"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "unavailable" in done.stderr or "gpu/" in done.stdout
