"""The zone store keeps zones and outlooks together."""

import pytest

from builders import NOON, a_zone_body, an_outlook
from carbonaware_operator.store.zones import ZoneReading, ZoneStore, zone_record


class TestZoneStore:
    def test_an_equal_outlook_is_no_change(self):
        """The planner is woken by changes only."""
        zones = ZoneStore()

        assert [True, False, True] == [
            zones.set_outlook(an_outlook(300)),
            zones.set_outlook(an_outlook(300)),
            zones.set_outlook(an_outlook(301)),
        ]

    def test_a_forgotten_zone_leaves_no_outlook(self):
        """A zone created again under its name begins without one."""
        zones = ZoneStore()
        zones.apply(zone_record(a_zone_body()))
        zones.set_outlook(an_outlook())
        zones.readings["de"] = ZoneReading(None, None, None, None, None)

        assert "de" == zones.forget("zone-uid")
        assert ({}, {}, {}) == (zones.records, zones.outlooks, zones.readings)

    def test_forgets_no_other_zone_of_the_name(self):
        """Deleted and created again: the old one's deletion may be seen after the new one."""
        zones = ZoneStore()
        zones.apply(zone_record(a_zone_body(uid="new")))

        assert None is zones.forget("old")
        assert {"de"} == zones.records.keys()


class TestZoneRecord:
    def test_reads_identity_and_spec(self):
        """What the signals loop needs of a zone."""
        record = zone_record(a_zone_body(grams=250))

        assert ("de", "zone-uid", 1, NOON, 250) == (
            record.name,
            record.uid,
            record.generation,
            record.created,
            record.spec.source.static.grams_per_kwh,
        )

    def test_an_odd_zone_is_a_value_error(self):
        """The caller can tell an odd object from a defect."""
        body = a_zone_body()
        body["spec"]["source"]["type"] = "Oracle"

        with pytest.raises(ValueError, match="type"):
            zone_record(body)
