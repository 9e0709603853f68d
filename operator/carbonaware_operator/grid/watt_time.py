"""WattTime, API v3: marginal or average emission rates of one region, each for five minutes.

Source: https://docs.watttime.org. Rates come in pounds of CO2 per MWh.
"""

import base64
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors, SignalKind
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.errors import (
    SignalForbidden,
    SignalMisconfigured,
    SignalUnauthorized,
)
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant

DEFAULT_URL = "https://api.watttime.org"
GRAMS_PER_KWH = 0.45359237
"""Of one pound per MWh: 453.59237 g in a pound (exact), 1000 kWh in a MWh."""

_TOKEN_SECONDS = 25 * 60  # a token is valid for 30 minutes
_HORIZON_HOURS = "72"  # the longest that is offered
_NOW = "0"  # a horizon that is answered with the current five minutes alone
_LONGEST_STEP_SECONDS = 3600
_LONGEST = timedelta(days=30)  # of one question; the official client splits longer ones too


class WattTime:
    """One region, read with one user's credentials."""

    cadence = Cadence(poll=300, stale=1800, revised=3600)
    factors: EmissionFactors | None = EmissionFactors.DIRECT

    def __init__(
        self,
        *,
        region: str,
        username: str,
        password: str,
        signal: SignalKind = SignalKind.MARGINAL,
        url: str = DEFAULT_URL,
        egress: Egress,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raise SignalMisconfigured: there is no user name, or no password."""
        if not (username.strip() and password.strip()):
            raise SignalMisconfigured(
                "`username` and `password` must not be empty; check the Secret"
            )
        self._type = "co2_moer" if signal is SignalKind.MARGINAL else "co2_aoer"
        self.source = f"WattTime/{region}/{self._type}"
        self._region, self._monotonic = region, monotonic
        pair = f"{username.strip()}:{password.strip()}".encode()
        self._basic = f"Basic {base64.b64encode(pair).decode()}"
        self._token, self._token_until = "", 0.0
        self._login = threading.Lock()
        self._endpoint = Endpoint(
            url, member="wattTime", subject=f"region {region!r}", egress=egress, keyed=True
        )

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """What was measured, and what was expected of the five minutes that are under way.

        Raises SignalError.
        """
        first = max(start, end - _LONGEST)
        span = {"start": format_instant(first), "end": format_instant(end)}
        _, past = self._read("historical", span, PointKind.ACTUAL)
        if any(reading.start <= end < reading.end for reading in past):
            return past
        _, current = self._read("forecast", {"horizon_hours": _NOW}, PointKind.ESTIMATE)
        return current + past

    def expected(self, now: Instant) -> Expected | None:
        """The next 72 hours; None where the plan has no forecast."""
        horizon = {"horizon_hours": _HORIZON_HOURS}
        try:
            meta, readings = self._read("forecast", horizon, PointKind.FORECAST)
        except SignalForbidden:
            return None
        try:
            issued = parse_instant(meta["generated_at"]) if "generated_at" in meta else now
        except UNSHAPED:
            raise self._endpoint.malformed("`generated_at` must be an instant") from None
        return Expected(issued, readings)

    def access(self) -> Access:
        """Nothing is stated: a region outside of the plan is refused when it is asked for."""
        return Access((), ("at most 3000 questions in 5 minutes for a user, all zones together",))

    def _read(
        self, what: str, query: dict[str, str], kind: PointKind
    ) -> tuple[dict[str, Any], list[Reading]]:
        answer = self._ask(
            f"/v3/{what}", {"region": self._region, "signal_type": self._type, **query}
        )
        try:
            meta = answer["meta"]
            about = (meta["region"], meta["signal_type"])
            step = timedelta(seconds=_step(meta["data_point_period_seconds"]))
            if meta["units"] != "lbs_co2_per_mwh":
                raise self._endpoint.malformed("`units` must be lbs_co2_per_mwh")
            readings = [
                _reading(item, step, kind) for item in answer["data"] if item["value"] is not None
            ]
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "the answer must have `meta` with region, signal type, units and period, and"
                " `data` with a `point_time` and a `value` of 0 to 11000"
            ) from error
        if about != (self._region, self._type):
            raise self._endpoint.unknown()
        return meta, readings

    def _ask(self, path: str, query: dict[str, str]) -> Any:
        """Ask with the token; a token that is refused before its time is renewed once."""
        token, fresh = self._bearer()
        try:
            return self._endpoint.ask(path, query, {"Authorization": token})
        except SignalForbidden:
            raise
        except SignalUnauthorized:
            if fresh:
                raise
        self._token = ""
        return self._endpoint.ask(path, query, {"Authorization": self._bearer()[0]})

    def _bearer(self) -> tuple[str, bool]:
        """The token as a header, and whether it was made just now."""
        with self._login:
            if self._token and self._monotonic() < self._token_until:
                return self._token, False
            answer = self._endpoint.ask("/login", headers={"Authorization": self._basic})
            token = answer.get("token") if isinstance(answer, dict) else None
            if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
                raise self._endpoint.malformed("the answer to /login must have a `token`")
            self._token = f"Bearer {token}"
            self._token_until = self._monotonic() + _TOKEN_SECONDS
            return self._token, True


def _step(seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError("period must be a whole number of seconds")
    if not 0 < seconds <= _LONGEST_STEP_SECONDS:
        raise ValueError("period must be from 1 second to an hour")
    return seconds


def _reading(item: dict[str, Any], step: timedelta, kind: PointKind) -> Reading:
    if isinstance(item["value"], bool):
        raise TypeError("value must be a number")
    begin = parse_instant(item["point_time"])
    return Reading(begin, begin + step, grams_of(item["value"] * GRAMS_PER_KWH), kind)
