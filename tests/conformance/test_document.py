"""The page of results, and the kit's own small parts."""

from pathlib import Path

import pytest

from conformance.curves import MEDIAN
from conformance.document import rendered
from conformance.peers import Scraper, procfs_zone
from conformance.report import aligned, tables

PAGE = Path(__file__).parents[2] / "docs/conformance.md"


@pytest.mark.slow
def test_the_page_is_what_a_fresh_run_finds():
    """After a change of the agent or of a scenario, `make conformance` writes it anew."""
    assert rendered(tables()) == PAGE.read_text()


def test_a_curve_is_straight_between_its_points():
    """And ends where it ends."""
    assert [0.22, 0.375, 1.0] == pytest.approx([MEDIAN.at(0), MEDIAN.at(0.15), MEDIAN.at(1)])


def test_a_scraper_takes_a_fall_for_a_new_beginning():
    """As Prometheus' increase() does."""
    scraper = Scraper(from_zero=False)
    for value in (100, 130, 20):
        scraper.read({"series": value})

    assert {"series": 50} == scraper.increase


@pytest.mark.parametrize(
    ("name", "domain"),
    [("package-0", "package"), ("dram", "dram"), ("package-0-die-1", "package-0-die-1")],
)
def test_procfs_takes_only_one_number_off_a_domain(name, domain):
    """So dies keep names of their own."""
    assert domain == procfs_zone(name)


def test_tables_are_aligned():
    """Names to the left, figures to the right."""
    rows = [("steady", "1"), ("wrap", "22")]

    assert "name     J\nsteady   1\nwrap    22" == aligned(("name", "J"), rows)
