"""Electricity Maps, API v3: the latest value and the last 24 hours of one zone.

Source: https://docs.electricitymaps.com, carbon-intensity/latest and carbon-intensity/history.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalMalformed,
    SignalMisconfigured,
    SignalRateLimited,
    SignalUnauthorized,
    SignalUnreachable,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import Point, PointKind, intensity_of
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.quantities.instants import Instant, parse_instant

DEFAULT_URL = "https://api.electricitymaps.com/v3"
MAX_BYTES = 1024 * 1024  # 24 hours of history are 6 kB
_TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two parts of an answer
_HOUR = timedelta(hours=1)
_CADENCE = Cadence(poll=300, stale=3600, revised=24 * 3600)

# A wait that the provider asks for is left to the caller: here it would hold a worker thread.
_RETRY = Retry(
    total=2,
    backoff_factor=0.5,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=("GET",),
    respect_retry_after_header=False,
    raise_on_status=False,
)


class ElectricityMaps:
    """One zone, read with one key."""

    cadence = _CADENCE

    def __init__(
        self,
        *,
        zone: str,
        key: str,
        factors: EmissionFactors = EmissionFactors.LIFECYCLE,
        url: str = DEFAULT_URL,
    ) -> None:
        """Raise SignalMisconfigured: the key cannot be a key."""
        self.source = f"ElectricityMaps/{zone}"
        self.factors: EmissionFactors | None = factors
        self._zone, self._url = zone, url.rstrip("/")
        self._key = key.strip()  # a Secret made with `echo` ends in a newline
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        if not (self._key.isascii() and self._key.isprintable() and self._key):
            raise SignalMisconfigured(
                "the API key must be one line of ASCII text; check the Secret"
            )

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """History, where `start` lies before the latest hour, and the latest hour.

        Hours are revised for a day, so that the same hour comes again with another value.
        Raises SignalError.
        """
        with self._session() as session:
            latest = [self._ask(session, "latest")]
            found = self._points(latest, start, end)
            if not found or start < found[0].start:
                history = self._ask(session, "history").get("history")
                if not isinstance(history, list):
                    raise self._malformed("`history` must be a list")
                found = self._points(history + latest, start, end)
        return found

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
            yield session

    def _ask(self, session: requests.Session, what: str) -> dict[str, Any]:
        factors = self.factors or EmissionFactors.LIFECYCLE
        query = {
            "zone": self._zone,
            "emissionFactorType": factors.value.lower(),
            "temporalGranularity": "hourly",
            # Otherwise an unknown zone is answered with the zone of the caller's address.
            "shouldUseFallbackCallerLookup": "false",
        }
        answer = self._parsed(self._get(session, f"{self._url}/carbon-intensity/{what}", query))
        if answer.get("zone") != self._zone:
            raise SignalZoneUnknown(
                f"{self._host} answered for another zone than {self._zone!r}; check"
                " `electricityMaps.zone`"
            )
        return answer

    def _get(self, session: requests.Session, url: str, query: Mapping[str, str]) -> bytes:
        try:
            with session.get(
                url,
                params=query,
                headers={"auth-token": self._key, "Accept": "application/json"},
                timeout=_TIMEOUT,
                stream=True,
                # `requests` would take the key along to whatever host is named.
                allow_redirects=False,
            ) as response:
                self._refuse(response)
                body = response.raw.read(MAX_BYTES + 1, decode_content=True)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SignalMisconfigured("`electricityMaps.url` must be an http(s) URL") from error
        except requests.exceptions.SSLError as error:
            raise SignalUnreachable(
                f"{self._host}: its TLS certificate could not be verified"
            ) from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise SignalUnreachable(
                f"{self._host} does not answer; check the network, or `electricityMaps.url`"
            ) from error
        if len(body) > MAX_BYTES:
            raise self._malformed(f"the answer must be at most {MAX_BYTES} bytes long")
        return bytes(body)

    def _refuse(self, response: requests.Response) -> None:
        """Raise what a status other than 200 means; only known phrases of the body are used."""
        status = response.status_code
        if status == requests.codes.ok:
            return
        retry_after = _retry_after(response)
        if status == requests.codes.too_many_requests:
            raise SignalRateLimited(f"{self._host} was asked too often", retry_after=retry_after)
        if 300 <= status < 400:
            raise SignalMisconfigured(
                f"{self._host} redirects, which the key does not follow; set"
                " `electricityMaps.url` to the final address"
            )
        if status >= 500:
            raise SignalUnreachable(
                f"{self._host} answered with its own failure, {status}", retry_after=retry_after
            )
        raise self._refusal(status, response.raw.read(4096, decode_content=True).lower())

    def _refusal(self, status: int, body: bytes) -> SignalError:
        if b"unauthorized for zonekey" in body:
            return SignalUnauthorized(
                f"the API key may not read zone {self._zone!r}; choose the zone of its plan"
            )
        if b"endpoint not available" in body:
            return SignalUnauthorized(
                "the plan of the API key does not include the latest intensity and its history"
            )
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            return SignalUnauthorized(
                f"{self._host} refused the API key, {status}; renew it in the Secret"
            )
        if status == requests.codes.not_found:
            return SignalZoneUnknown(
                f"{self._host} does not know zone {self._zone!r}, or `electricityMaps.url` is"
                " wrong; check both"
            )
        return SignalMisconfigured(f"{self._host} refused the question, {status}")

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._malformed("the answer must be JSON; is there a proxy in between?") from None
        if not isinstance(answer, dict):
            raise self._malformed("the answer must be an object")
        return answer

    def _points(self, items: list[Any], start: Instant, end: Instant) -> list[Point]:
        """One point for each hour that overlaps [start, end]; of two for one hour, the later."""
        points = {p.start: p for item in items if (p := self._point(item)) is not None}
        return [points[t] for t in sorted(points) if points[t].end > start and t <= end]

    def _point(self, item: Any) -> Point | None:
        """One hour; None where the provider has no value for it."""
        if not isinstance(item, dict):
            raise self._malformed("an hour must be an object")
        if item.get("carbonIntensity") is None:
            return None
        factors = item.get("emissionFactorType")
        if factors is not None and factors != (self.factors or "").lower():
            raise self._malformed("the emission factors must be those that were asked for")
        try:
            begin = parse_instant(item["datetime"])
            intensity = intensity_of(item["carbonIntensity"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(
                "an hour must have a `datetime` with its offset, and a `carbonIntensity` of 0 to"
                " 5000"
            ) from error
        kind = PointKind.ESTIMATE if item.get("isEstimated") else PointKind.ACTUAL
        return Point(begin, begin + _HOUR, intensity, kind, self.source, self.factors)

    def _malformed(self, must: str) -> SignalMalformed:
        return SignalMalformed(f"{self._host}: {must}")


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the provider asks for, whether it sent a number or a date."""
    try:
        value = response.headers.get("Retry-After")
        return None if value is None else Retry().parse_retry_after(value)
    except InvalidHeader:
        return None
