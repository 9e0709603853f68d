"""NVML through the real binding, on a compiled library that plays the driver."""

import os
import subprocess
import sys

import pytest

from agent_builders import HostTree
from carbonaware_agent.host import Host
from carbonaware_agent.sources.nvml import Nvml, NvmlUnavailableError
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.sources.sensor import Energy, Interval, Rebaseline
from fake_nvml import FakeNvml, a_gpu

SECOND = Interval(1_000_000)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    return FakeNvml(tmp_path / "driver").install(monkeypatch)


def sources(nvml: Nvml) -> dict[str, str]:
    return {domain.name: domain.stream.source for domain in nvml.domains}


class TestCounter:
    def test_each_gpu_is_a_domain_that_counts(self, driver):
        """The domain is named by the UUID, which no reboot or reseating changes."""
        driver.show(a_gpu("GPU-a", energy=1000), a_gpu("GPU-b", energy=3000))

        nvml = Nvml()

        assert {"gpu/GPU-a": "nvml_counter", "gpu/GPU-b": "nvml_counter"} == sources(nvml)
        assert {"gpu/GPU-a": 1000, "gpu/GPU-b": 3000} == nvml.read()

    def test_energy_is_the_difference_and_a_fall_is_a_reloaded_driver(self, driver):
        """The 64-bit counter does not wrap."""
        driver.show(a_gpu())
        nvml = Nvml()

        assert Energy(250_000) == nvml.energy(nvml.domains[0], 1000, 1250, SECOND)
        assert Rebaseline("reset") == nvml.energy(nvml.domains[0], 1000, 10, SECOND)

    def test_the_limit_of_the_card_is_its_maximum(self, driver):
        """An estimate of idle power needs it."""
        driver.show(a_gpu(limit=700_000))

        assert 700.0 == Nvml().domains[0].maximum_watts


class TestPower:
    @pytest.mark.parametrize(
        ("fields", "microwatts"),
        [
            ({"instant": 71_000, "average": 70_500, "power": 70_000}, 71_000_000),
            ({"average": 70_500, "power": 70_000}, 70_500_000),
            ({"power": 70_000}, 70_000_000),
        ],
    )
    def test_a_card_without_a_counter_shows_its_power(self, driver, fields, microwatts):
        """The power now goes before means, and the source and its error are stated."""
        driver.show(a_gpu(energy=None, **fields))

        nvml = Nvml()

        assert {"gpu/GPU-a": "nvml_power"} == sources(nvml)
        assert 0.072 == nvml.domains[0].error_ratio
        assert {"gpu/GPU-a": microwatts} == nvml.read()

    def test_power_becomes_energy_by_the_mean_of_two_readings(self, driver):
        """From 70 W to 90 W within 2 s are 160 J."""
        driver.show(a_gpu(energy=None, power=70_000))
        nvml = Nvml()

        found = nvml.energy(nvml.domains[0], 70_000_000, 90_000_000, Interval(2_000_000))

        assert Energy(160_000_000) == found

    def test_over_a_gap_power_says_nothing(self, driver):
        """What a card drew while nobody looked is not known."""
        driver.show(a_gpu(energy=None, power=70_000))
        nvml = Nvml()

        found = nvml.energy(nvml.domains[0], 70_000_000, 90_000_000, Interval(60_000_000))

        assert Rebaseline("unmeasured") == found


class TestModule:
    def test_a_module_that_holds_the_processor_says_so(self, driver):
        """Grace Hopper supports only the module's scope: nothing else may count its processor."""
        driver.show(a_gpu(module=400_000))

        assert Nvml().domains[0].contains_processor

    def test_the_processor_of_a_module_is_counted_once(self, driver, tmp_path):
        """No model of the package is added to a figure that contains it."""
        host = Host(HostTree(tmp_path / "host").root)
        driver.show(a_gpu(module=400_000))

        found = sensors(host, 0, maximum_watts=500)

        assert {("gpu/GPU-a", "nvml_counter")} == found.keys

    def test_a_card_with_a_scope_of_its_own_is_no_module(self, driver):
        """A card that shows both, or neither as old drivers do, is a GPU alone."""
        driver.show(a_gpu("GPU-a", instant=71_000, module=400_000), a_gpu("GPU-b", power=70_000))

        assert not any(domain.contains_processor for domain in Nvml().domains)


class TestFailures:
    def test_a_gpu_that_is_lost_is_a_failed_read(self, driver):
        """The others are read on."""
        driver.show(a_gpu("GPU-a", energy=1), a_gpu("GPU-b", energy=2))
        nvml = Nvml()

        driver.show(a_gpu("GPU-a", energy=3), a_gpu("GPU-b", error=15))

        assert {"gpu/GPU-a": 3} == nvml.read()

    def test_one_broken_card_does_not_hide_the_others(self, driver):
        """Lost at start, without a UUID, without any figure, or shown twice."""
        driver.show(
            a_gpu("GPU-lost", error=15),
            a_gpu(None),
            a_gpu("GPU-mute", energy=None),
            a_gpu("GPU-a", energy=5),
            a_gpu("GPU-a", energy=6),
        )

        assert {"gpu/GPU-a": 5} == Nvml().read()

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            (["driver error=9"], "Driver Not Loaded"),
            ([], "no GPU can be measured"),
            ([a_gpu(energy=None)], "no GPU can be measured"),
        ],
    )
    def test_without_gpus_there_is_no_sensor(self, driver, lines, reason):
        """A node without GPUs is the normal case."""
        driver.show(*lines)

        with pytest.raises(NvmlUnavailableError, match=reason):
            Nvml()

    def test_after_a_reload_of_the_driver_a_new_sensor_reads_on(self, driver):
        """The library begins anew when all its users let go, of which the old sensor is one."""
        driver.show("driver load=1", a_gpu(energy=1000))
        old = Nvml()
        driver.show("driver load=2", a_gpu(energy=7))
        assert {} == old.read()

        new = Nvml()
        old.close()

        assert {"gpu/GPU-a": 7} == new.read()

    def test_beside_a_sensor_that_reads_another_changes_nothing(self, driver):
        """One is opened to see whether a lost card is back, and closed again."""
        driver.show(a_gpu(energy=1000))
        kept = Nvml()

        Nvml().close()

        assert {"gpu/GPU-a": 1000} == kept.read()


@pytest.mark.slow
def test_a_process_of_its_own_finds_the_library_of_the_driver(tmp_path):
    """By its name on the library path; without one there is no sensor."""
    script = "from carbonaware_agent.sources.nvml import Nvml; print(Nvml().read())"
    driver = FakeNvml(tmp_path)
    driver.show(a_gpu(energy=5))

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | driver.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "{'gpu/GPU-a': 5}\n" == done.stdout, done.stderr
