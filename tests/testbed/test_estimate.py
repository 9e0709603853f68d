"""What is said of a running build: it never runs backwards and the time left is about right."""

from itertools import pairwise
from pathlib import Path

import pytest

from testbed.estimate import Estimate, Package, Progress

RECORDED = Path(__file__).with_name("recorded_build.tsv")


def a_chain(length, size=50_000):
    """Packages of which each imports the one before it."""
    names = [f"p{i}" for i in range(length)]
    return [Package(name, size, (names[i - 1],) if i else ()) for i, name in enumerate(names)]


def following(packages, *, programs=(), workers=1):
    """An estimate of a build of these packages."""
    return Estimate(packages, programs=programs, workers=workers)


class TestEstimate:
    def test_a_package_is_finished_once_another_needs_it(self):
        """What is named last is still being compiled."""
        build = following(a_chain(4))
        build.started("p0")
        build.started("p1")

        assert build.after(10).finished == 1

    def test_what_was_in_the_cache_is_finished_and_says_nothing_of_the_speed(self):
        """An interrupted build that goes on knows from its first package how much is left."""
        build = following(a_chain(100))
        for i in range(80, 91):
            build.started(f"p{i}")

        so_far = build.after(20)

        assert (so_far.percent, so_far.finished) == (90, 90)
        assert so_far.left == pytest.approx(20, rel=0.01)  # ten took 20 s, ten are left

    def test_says_nothing_of_time_before_it_knows_the_speed(self):
        """A guess from one package of a hundred would be none."""
        build = following(a_chain(100))
        build.started("p0")
        build.started("p1")

        assert build.after(10).left is None

    def test_large_packages_weigh_more(self):
        """Half of the packages is not half of the work."""
        build = following([Package("small", 1_000, ()), *a_chain(2, size=10_000_000)])
        for path in ("small", "p0", "p1"):
            build.started(path)

        assert build.after(10).percent == 50

    def test_linking_a_program_is_work_too(self):
        """Its package is named long before its program is there."""
        packages = [*a_chain(10), Package("program", 100, ("p9",))]
        build = following(packages, programs=["program"])
        for package in packages:
            build.started(package.path)

        so_far = build.after(10)

        assert so_far.finished == 10
        assert so_far.percent < 50

    def test_other_lines_of_the_compiler_are_no_matter(self):
        """It prints more than names: downloads, warnings, errors."""
        build = following(a_chain(2))
        build.started("go: downloading k8s.io/api v0.36.3")

        assert build.after(1) == Progress(percent=0, finished=0, total=2, left=None)


class TestProgress:
    @pytest.mark.parametrize(
        ("left", "said"),
        [
            (None, "42 % (812 of 1934 packages)"),
            (200.0, "42 % (812 of 1934 packages), about 3 min left"),
            (44.0, "42 % (812 of 1934 packages), about 40 s left"),
            (0.4, "42 % (812 of 1934 packages), about 10 s left"),
        ],
    )
    def test_reads_as_a_sentence(self, left, said):
        """No more precise than it can be."""
        assert str(Progress(percent=42, finished=812, total=1934, left=left)) == said


@pytest.fixture(scope="module")
def told():
    """What was told every ten seconds of a recorded build, and how long the build took.

    Each line of the record: the second at which a package was named, its bytes of source,
    whether a program is linked from it. The last one: the second of the end.
    """
    rows = [line.split("\t") for line in RECORDED.read_text().splitlines()]
    *named, (end, *_) = rows
    packages = [Package(str(i), int(size), ()) for i, (_, size, _) in enumerate(named)]
    programs = [str(i) for i, (*_, kind) in enumerate(named) if kind == "program"]
    build = following(packages, programs=programs, workers=2)
    seconds = [float(second) for second, *_ in named]
    told, at = [], 0
    for now in range(10, int(float(end)), 10):
        while at < len(seconds) and seconds[at] <= now:
            build.started(str(at))
            at += 1
        told.append((now, build.after(now)))
    return told, float(end)


class TestARecordedBuild:
    def test_never_runs_backwards(self, told):
        """Whoever watches sees it come nearer."""
        for (_, before), (_, after) in pairwise(told[0]):
            assert before.percent <= after.percent < 100

    def test_the_time_left_is_within_a_third_once_a_third_is_over(self, told):
        """So a newcomer knows whether to fetch a coffee."""
        moments, end = told
        for now, so_far in moments:
            if now > end / 3:
                assert now + so_far.left == pytest.approx(end, rel=0.3)
