"""The ConfigMap of kubernetes-carbon-intensity-exporter, as its real payload is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.grid.errors import SignalMalformed, SignalZoneUnknown
from carbonaware_operator.grid.exporter import ExporterConfigMap
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.readings import Average

MIDNIGHT = datetime(2023, 3, 31, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(hours=12, minutes=7)
FIVE = timedelta(minutes=5)


def a_row(begin: datetime, value: object, location: object = "PJM_ROANOKE", duration: object = 5):
    return {
        "location": location,
        "timestamp": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration": duration,
        "value": value,
    }


def a_day() -> list[dict[str, Any]]:
    """24 hours at five minutes: hour n has the value 100 + n."""
    return [a_row(MIDNIGHT + n * FIVE, 100 + n // 12) for n in range(288)]


def texts(rows: Any, issued: str | None = "2023-03-30 23:55:02.123456789 +0000 UTC"):
    found = {"data": json.dumps(rows)}
    return found | ({"forecastDateTime": issued} if issued else {})


def a_provider(rows: Any, **fields: Any) -> Average:
    return Average(ExporterConfigMap(texts=texts(rows), **fields))


class TestPoints:
    def test_are_estimates_of_what_was_never_corrected(self):
        """A forecast of twelve hours ago is the best that there is of now."""
        points = a_provider(a_day()).points(NOW - FIVE, NOW)

        assert [112_000, 112_000] == [p.intensity for p in points]
        assert {PointKind.ESTIMATE} == {p.kind for p in points}
        assert "ConfigMap/kube-system/carbon-intensity" == points[0].source

    def test_end_with_the_data(self):
        """An exporter that is gone leaves a ConfigMap behind, which is of yesterday."""
        tomorrow = NOW + timedelta(hours=24)

        assert [] == a_provider(a_day()).points(tomorrow, tomorrow)

    def test_of_another_location_are_refused(self):
        """The location that the zone names must be the one of the data."""
        with pytest.raises(SignalZoneUnknown, match=r"`configMap.location` names"):
            a_provider(a_day(), location="CAISO_NORTH")

    def test_of_two_locations_are_refused(self):
        """Nobody knows which one is meant."""
        with pytest.raises(SignalZoneUnknown):
            a_provider([a_row(MIDNIGHT, 1), a_row(MIDNIGHT, 1, "CAISO_NORTH")])

    def test_of_the_location_that_is_named(self):
        """Which is then part of the source."""
        provider = a_provider(a_day(), location="PJM_ROANOKE", namespace="grid", name="ci")

        assert "ConfigMap/grid/PJM_ROANOKE" == provider.source

    def test_have_a_source_that_fits_a_status(self):
        """However long its names are."""
        assert 253 == len(a_provider(a_day(), namespace="n" * 63, name="c" * 253).source)


class TestForecast:
    def test_is_the_rest_of_the_day(self):
        """From the hour under way on, as it was issued."""
        forecast = a_provider(a_day()).forecast(NOW)

        assert tuple(1000 * (100 + n) for n in range(12, 24)) == forecast.values
        assert datetime(2023, 3, 30, 23, 55, 2, 123456, tzinfo=UTC) == forecast.issued

    def test_ends_with_the_data(self):
        """Nothing is ahead the day after."""
        assert a_provider(a_day()).forecast(NOW + timedelta(hours=24)) is None

    @pytest.mark.parametrize(
        ("text", "issued"),
        [
            ("2023-03-31 00:00:00 +0000 UTC", MIDNIGHT),
            ("2023-03-31 02:00:00 +0200 CEST", MIDNIGHT),
            ("2023-03-31T00:00:00Z", MIDNIGHT),
            (None, NOW),
        ],
    )
    def test_is_issued_at_a_time_as_go_prints_it(self, text: str | None, issued: datetime):
        """Other times are understood too; without any it is as if it were made now."""
        provider = Average(ExporterConfigMap(texts=texts(a_day(), text)))

        assert issued == provider.forecast(NOW).issued


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"data": ""},
        {"data": "{"},
        {"data": "[" * 100_000},
        texts({}),
        texts([7]),
        texts([{"location": "x", "time": "2023-03-31T00:00:00Z", "rating": 1}]),
        texts([a_row(MIDNIGHT, "1")]),
        texts([a_row(MIDNIGHT, -1)]),
        texts([a_row(MIDNIGHT, 1, ["x"])]),
        texts([a_row(MIDNIGHT, 1, duration="5")]),
        texts([a_row(MIDNIGHT, 1)], "yesterday"),
    ],
)
def test_data_of_another_shape_is_refused(given: dict[str, str]):
    """Such as the one that its README describes, which it never writes."""
    with pytest.raises(SignalMalformed, match="`data` must be a list"):
        ExporterConfigMap(texts=given)
