"""A time of day on some days of the week, as people write it in a custom resource."""

from datetime import time
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from carbonaware_operator.api.schema import Schema, worded
from carbonaware_operator.quantities.daily import DailyWindow


class Day(StrEnum):
    """Days of the week, in the order of `datetime.weekday()`."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


_TIME_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
_TIME_OF_DAY = Annotated[
    str,
    Field(
        max_length=5,
        pattern=_TIME_PATTERN,
        json_schema_extra=worded(_TIME_PATTERN, "must be a time of day such as 20:00"),
    ),
]
_ZONE_PATTERN = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"


class Daily(Schema):
    """A time of day, on some days."""

    days: Annotated[
        list[Day] | None,
        Field(
            min_length=1,
            max_length=7,
            description="Days on which the window opens; all when empty.",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ] = None
    start: Annotated[_TIME_OF_DAY, Field(description="Opening time, HH:MM.")]
    end: Annotated[
        _TIME_OF_DAY,
        Field(description="Closing time, HH:MM; at or before `start` it is on the next day."),
    ]
    time_zone: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=_ZONE_PATTERN,
            description="IANA time zone of `start` and `end`, such as Europe/Berlin. Default: UTC.",
            json_schema_extra=worded(
                _ZONE_PATTERN,
                "must be an IANA time zone such as Europe/Berlin",
                also="self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",
            ),
        ),
    ] = None

    def window(self) -> DailyWindow:
        """The times with their days and time zone, parsed.

        Raises ZoneInfoNotFoundError or ValueError on what CEL let through.
        """
        return DailyWindow(
            days=frozenset(_DAYS.index(day) for day in self.days or _DAYS),
            start=time.fromisoformat(self.start),
            end=time.fromisoformat(self.end),
            zone=ZoneInfo(self.time_zone or "UTC"),
        )


_DAYS = list(Day)
