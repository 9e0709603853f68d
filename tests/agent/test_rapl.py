"""RAPL: which domains count, wraps, failed reads, counters that were set anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_builders import HostTree
from carbonaware_agent.sources.rapl import Rapl, thermal_design_watts
from carbonaware_agent.sources.sensor import Energy, Interval, Rebaseline

RANGE_UJ = 262_143_328_850
SMALL_RANGE_UJ = 65_532_610_987
SECOND_US = 1_000_000


@pytest.fixture
def tree(tmp_path):
    return HostTree(tmp_path)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A machine with one package whose counter has the usual range."""
    tree = HostTree(tmp_path_factory.mktemp("package"))
    tree.rapl(0, range_uj=RANGE_UJ)
    return Rapl(tree.root / "sys/class/powercap")


def opened(tree: HostTree) -> Rapl:
    return Rapl(tree.root / "sys/class/powercap")


class TestDomains:
    @pytest.mark.parametrize(
        ("domains", "counted"),
        [
            pytest.param(
                {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"},
                ["package-0", "package-1"],
                id="two sockets",
            ),
            pytest.param(
                {
                    "intel-rapl:0": "package-0",
                    "intel-rapl:0:0": "core",
                    "intel-rapl:0:1": "uncore",
                    "intel-rapl:0:2": "dram",
                },
                ["package-0", "dram-0"],
                id="core and uncore lie inside the package",
            ),
            pytest.param(
                {"intel-rapl:0": "package-0", "intel-rapl:1": "psys"},
                ["package-0", "platform"],
                id="psys is a platform",
            ),
            pytest.param(
                {
                    "intel-rapl:0": "package-0-die-0",
                    "intel-rapl:0:0": "dram",
                    "intel-rapl:1": "package-0-die-1",
                },
                ["package-0-die-0", "dram-0-die-0", "package-0-die-1"],
                id="dies",
            ),
            pytest.param(
                {"intel-rapl-mmio:0": "package-0", "intel-rapl:0": "package-0"},
                ["package-0"],
                id="the MMIO twin repeats a package",
            ),
            pytest.param({"intel-rapl-mmio:0": "package-0"}, ["package-0"], id="MMIO alone"),
            pytest.param(
                {
                    "intel-rapl:0": "package-0",
                    "intel-rapl-mmio:0": "package-0",
                    "intel-rapl-mmio:0:0": "dram",
                    "intel-rapl-mmio:1": "package-1",
                },
                ["package-0", "dram-0", "package-1"],
                id="of the MMIO tree what the other lacks",
            ),
            pytest.param(
                {"intel-rapl:0": "package-0-die-0", "intel-rapl-mmio:0": "package-0"},
                ["package-0-die-0"],
                id="an MMIO twin that knows no dies",
            ),
            pytest.param(
                {"intel-rapl:0": "package-0", "intel-rapl:1": "package-0"},
                ["package-0"],
                id="a name that occurs twice is one domain",
            ),
            pytest.param(
                {
                    "intel-rapl:1": "package-1",
                    "intel-rapl:1:1": "dram",
                    "intel-rapl:0": "package-0-die-1",
                    "intel-rapl:0:0": "dram",
                },
                ["package-0-die-1", "dram-0-die-1", "package-1", "dram-1"],
                id="memory is named after what it lies in",
            ),
        ],
    )
    def test_each_joule_is_counted_in_one_domain(self, tree, domains, counted):
        """Packages and memory, whatever else the tree shows."""
        for folder, name in domains.items():
            tree.rapl(1, domain=folder, name=name)

        assert counted == [domain.name for domain in opened(tree).domains]

    def test_series_are_by_kind(self, tree):
        """Domains of all sockets belong to one stream, at the boundary of the chip."""
        tree.rapl(1, name="package-0")
        tree.rapl(1, domain="intel-rapl:0:0", name="dram")

        kinds = [tuple(domain.stream) for domain in opened(tree).domains]
        assert [("package", "rapl", "chip"), ("dram", "rapl", "chip")] == kinds

    def test_a_domain_that_cannot_be_read_is_none(self, tree):
        """The kernel lets only root read counters; what anybody may read is the design power."""
        (tree.root / "sys/class/powercap/intel-rapl:0/energy_uj").mkdir(parents=True)
        tree.write("sys/class/powercap/intel-rapl:0/name", "package-0")
        tree.write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", str(RANGE_UJ))
        tree.write("sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw", "85000000")

        assert () == opened(tree).domains
        assert 85 == thermal_design_watts(tree.root / "sys/class/powercap")

    def test_capping_that_is_off_does_not_stop_the_counter(self, tree):
        """The kernel's `enabled` is about power limits; without any it is 0."""
        tree.rapl(1)
        tree.write("sys/class/powercap/intel-rapl:0/enabled", "0")

        assert ["package-0"] == [domain.name for domain in opened(tree).domains]

    @pytest.mark.parametrize("name", [b"\xff\xfe", b"", b"package-0" + b"x" * 10**6])
    def test_a_domain_with_a_name_that_says_nothing_is_left_out(self, tree, name):
        """Undecodable, empty or endless; the others count."""
        tree.rapl(1, domain="intel-rapl:1", name="package-1")
        tree.rapl(1)
        (tree.root / "sys/class/powercap/intel-rapl:0/name").write_bytes(name)

        assert ["package-1"] == [domain.name for domain in opened(tree).domains]

    def test_design_power_is_unknown_when_a_socket_does_not_state_it(self, tree):
        """Half of the power would be a wrong number."""
        tree.rapl(1, domain="intel-rapl:0", name="package-0")
        tree.rapl(1, domain="intel-rapl:1", name="package-1")
        tree.write("sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw", "85000000")

        assert thermal_design_watts(tree.root / "sys/class/powercap") is None


class TestReads:
    def test_a_failed_read_is_left_out(self, tree):
        """A missing value is not a 0, which would look like a wrap."""
        tree.rapl(5)
        rapl = opened(tree)
        assert {"package-0": 5} == rapl.read()

        tree.write("sys/class/powercap/intel-rapl:0/energy_uj", "x" * 15)
        assert {} == rapl.read()


class TestEnergy:
    @given(
        before=st.integers(0, RANGE_UJ - 1),
        drawn=st.integers(0, 400_000_000),
    )
    def test_a_tick_may_wrap_at_any_point(self, package, before, drawn):
        """The energy of a second is what was drawn, wherever the counter was."""
        after = (before + drawn) % RANGE_UJ

        result = package.energy(package.domains[0], before, after, Interval(SECOND_US, 100))

        assert Energy(drawn) == result

    @given(
        watts=st.integers(20, 400),
        seconds=st.integers(60, 3600),
        error=st.floats(-0.25, 0.25),
        before=st.integers(0, RANGE_UJ - 1),
    )
    def test_wraps_of_a_gap_are_counted_by_the_expected_power(
        self, package, watts, seconds, error, before
    ):
        """Exact while the model is less than half a range off; else the result says so."""
        drawn = watts * seconds * SECOND_US
        interval = Interval(seconds * SECOND_US, watts * (1 + error))

        result = package.energy(package.domains[0], before, (before + drawn) % RANGE_UJ, interval)

        assert isinstance(result, Energy)
        if not result.estimated or abs(error) * drawn < RANGE_UJ / 2.01:
            assert drawn == result.microjoules
        assert (result.microjoules - drawn) % RANGE_UJ == 0

    def test_a_long_gap_is_only_an_estimate(self, package):
        """After a day at 100 W the counter wrapped some 33 times; a model cannot tell exactly."""
        interval = Interval(86_400 * SECOND_US, 100.0)
        result = package.energy(package.domains[0], 0, 0, interval)

        assert isinstance(result, Energy)
        assert result.estimated

    @pytest.mark.parametrize("known", [None, "0", "unlimited"])
    def test_without_a_range_a_fall_is_a_new_baseline(self, tree, known):
        """It may be a wrap or a counter set anew; a rise is still energy."""
        file = tree.rapl(1).with_name("max_energy_range_uj")
        file.unlink()
        if known is not None:
            file.write_text(known)
        rapl = opened(tree)

        fall = rapl.energy(rapl.domains[0], 900, 100, Interval(SECOND_US))
        rise = rapl.energy(rapl.domains[0], 100, 900, Interval(SECOND_US))
        assert (Rebaseline("reset"), Energy(800)) == (fall, rise)

    def test_each_socket_wraps_by_itself(self, tree):
        """Sockets may have ranges of their own, so differences are added and never counters."""
        tree.rapl(1, range_uj=RANGE_UJ)
        tree.rapl(1, domain="intel-rapl:1", name="package-1", range_uj=SMALL_RANGE_UJ)
        rapl = opened(tree)
        second = Interval(SECOND_US)

        drawn = [
            rapl.energy(rapl.domains[0], RANGE_UJ - 10, 5, second),
            rapl.energy(rapl.domains[1], SMALL_RANGE_UJ - 10, 7, second),
        ]
        assert [Energy(15), Energy(17)] == drawn

    def test_more_than_any_processor_draws_is_a_new_baseline(self, package):
        """A counter that was set anew must not become 200 kJ of a pod."""
        result = package.energy(package.domains[0], 10**9, 0, Interval(SECOND_US, 100))

        assert Rebaseline("implausible") == result
