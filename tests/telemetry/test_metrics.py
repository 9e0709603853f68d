"""Metrics show the present, in bounded numbers of series."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from builders import NOON, a_child_body, a_job_body, a_zone_body, hours
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore, zone_record
from carbonaware_operator.telemetry.metrics import OperatorMetrics

DEADLINE = "carbonaware_job_next_deadline_seconds"
UNREADABLE = "carbonaware_unreadable_objects"
RELEASES = "carbonaware_job_releases_total"


class Meter:
    """Metrics over stores that a test fills, at noon."""

    def __init__(self) -> None:
        self.jobs, self.zones = JobStore(), ZoneStore()
        self.now = NOON
        self.zones.apply(zone_record(a_zone_body()))
        self.metrics = OperatorMetrics(self.jobs, self.zones, "1.2.3", lambda: self.now)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample, None when there is no such series."""
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def meter() -> Meter:
    """Metrics over empty stores."""
    return Meter()


class TestStoreGauges:
    def test_count_jobs_by_state_and_reason(self, meter):
        """Two new jobs are one series of value 2."""
        meter.jobs.apply(a_job_body("a"))
        meter.jobs.apply(a_job_body("b"))

        assert 2 == meter.value(
            "carbonaware_jobs", namespace="ml", zone="de", state="Held", reason=""
        )

    def test_leave_nothing_behind(self, meter):
        """A deleted job leaves no series that stands still for ever."""
        meter.jobs.apply(a_job_body("a"))
        meter.jobs.forget("uid-a")

        assert b"carbonaware_jobs{" not in generate_latest(meter.metrics.registry)

    def test_count_what_cannot_be_read(self, meter):
        """After a roll-back somebody should look at it."""
        meter.jobs.apply(a_job_body("a", schedule={"strategy": "Whenever"}))
        meter.zones.unreadable.add("uid")

        shown = [meter.value(UNREADABLE, kind=kind) for kind in ("CarbonAwareJob", "CarbonZone")]
        assert [1, 1] == shown


class TestNextDeadline:
    def test_is_that_of_the_most_urgent_held_job(self, meter):
        """One series a place, however many jobs wait there."""
        meter.jobs.apply(a_job_body("a", schedule={"startBy": "2026-06-15T14:00:00Z"}))
        meter.jobs.apply(a_job_body("b", schedule={"startBy": "2026-06-15T12:10:00Z"}))

        assert 600 == meter.value(DEADLINE, namespace="ml", zone="de")

    def test_is_negative_when_it_is_over(self, meter):
        """A job that should have started is what an alert looks for."""
        meter.jobs.apply(a_job_body("a", schedule={"startBy": "2026-06-15T11:59:00Z"}))

        assert -60 == meter.value(DEADLINE, namespace="ml", zone="de")

    def test_is_of_no_job_that_its_user_suspended_or_that_runs(self, meter):
        """Neither a user's own suspension nor a job that started is near any deadline."""
        meter.jobs.apply(a_job_body("a", suspend=True))
        started = a_job_body("b")
        meter.jobs.apply(started)
        meter.jobs.apply_child(a_child_body(started))

        assert meter.value(DEADLINE, namespace="ml", zone="de") is None


class TestCounters:
    def test_add_in_base_units(self, meter):
        """Joules and grams, as Prometheus wants them."""
        meter.metrics.add("ml", "de", 1_500_000, 2_000_000, 3_000_000)

        assert (1.5, 2.0, 3.0) == (
            meter.value("carbonaware_energy_joules_total", namespace="ml", zone="de"),
            meter.value("carbonaware_emissions_grams_total", namespace="ml", zone="de"),
            meter.value("carbonaware_baseline_emissions_grams_total", namespace="ml", zone="de"),
        )

    def test_begin_at_zero_where_there_is_a_job(self, meter):
        """To Prometheus a first value is no increase: the first release would be lost."""
        meter.jobs.apply(a_job_body("a"))
        before = generate_latest(meter.metrics.registry).decode()
        meter.metrics.released("ml", "de", "DeadlineReached", 90)

        labels = {"namespace": "ml", "zone": "de"}
        assert f'{RELEASES}{{namespace="ml",reason="DeadlineReached",zone="de"}} 0.0' in before
        assert 1 == meter.value(RELEASES, reason="DeadlineReached", **labels)
        assert 0 == meter.value("carbonaware_energy_joules_total", **labels)

    def test_leadership_is_read_at_the_scrape(self, meter):
        """A lost lease shows at once."""
        leading = [True]
        meter.metrics.led_by(lambda: leading[0])
        before = meter.value("carbonaware_leader")
        leading[0] = False

        assert (1, 0) == (before, meter.value("carbonaware_leader"))


class TestLabels:
    """A namespace is the cluster's and a zone an administrator's; `zoneName` is a user's text."""

    def test_name_no_zone_that_does_not_exist(self, meter):
        """One user could fill Prometheus with names of zones that never were."""
        for number in range(3):
            meter.jobs.apply(a_job_body(f"j{number}", zone=f"never-{number}"))
            meter.metrics.released("ml", f"never-{number}", "DeadlineReached", 1)
            meter.metrics.add("ml", f"never-{number}", 1_000_000, 0, 0)
        text = generate_latest(meter.metrics.registry).decode()

        assert "never" not in text
        assert 3 == meter.value("carbonaware_job_hold_seconds_count", namespace="ml", zone="")
        assert 3 == meter.value("carbonaware_energy_joules_total", namespace="ml", zone="")

    def test_show_the_most_urgent_of_all_unknown_zones(self, meter):
        """What is folded into one place is as urgent as its most urgent job."""
        for minute in (20, 10, 30):
            schedule = {"startBy": f"2026-06-15T12:{minute}:00Z"}
            meter.jobs.apply(a_job_body(f"j{minute}", zone=f"no-{minute}", schedule=schedule))

        assert 600 == meter.value(DEADLINE, namespace="ml", zone="")

    def test_of_what_is_gone_disappear(self, meter):
        """An hour later, so that what was counted last has been scraped."""
        meter.jobs.apply(a_job_body("a"))
        meter.metrics.grid_updated("de")
        meter.metrics.released("ml", "de", "DeadlineReached", 1)
        meter.jobs.forget("uid-a")
        meter.zones.forget("zone-uid")
        meter.now += hours(1)
        just = generate_latest(meter.metrics.registry).decode()
        meter.now += hours(1)
        after = generate_latest(meter.metrics.registry).decode()

        assert 'namespace="ml"' in just
        assert 'carbonaware_grid_updates_total{zone="de"} 1.0' in just
        assert not any(sign in after for sign in ('"ml"', '"de"'))

    def test_of_a_place_that_has_jobs_again_stay(self, meter):
        """A namespace whose jobs come each half hour keeps its counters."""
        meter.metrics.released("ml", "de", "DeadlineReached", 1)
        for _ in range(6):
            meter.now += hours(0.5)
            meter.jobs.apply(a_job_body("a"))
            generate_latest(meter.metrics.registry)
            meter.jobs.forget("uid-a")
            meter.jobs.graves.age()
            meter.jobs.graves.age()

        labels = {"namespace": "ml", "zone": "de", "reason": "DeadlineReached"}
        assert 1 == meter.value(RELEASES, **labels)


class TestExposition:
    def test_can_be_parsed_and_names_no_job(self, meter):
        """Names of jobs and uids are unbounded: no label holds one."""
        meter.jobs.apply(a_job_body("secret-name"))
        text = generate_latest(meter.metrics.registry).decode()

        families = list(text_string_to_metric_families(text))

        assert all(family.name.startswith("carbonaware_") for family in families)
        assert all(family.documentation for family in families)
        assert "secret-name" not in text
