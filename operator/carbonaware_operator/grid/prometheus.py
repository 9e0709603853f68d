"""A query of Prometheus: one series of gCO2e/kWh, sampled every five minutes.

Source: https://prometheus.io/docs/prometheus/latest/querying/api, range queries.
"""

import hashlib
import math
from datetime import timedelta
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of, number_of
from carbonaware_operator.quantities.instants import Instant, from_unix

STEP_SECONDS = 300
_STEP = timedelta(seconds=STEP_SECONDS)
_LONGEST = timedelta(days=30)  # 8640 samples: Prometheus refuses more than 11000


class Prometheus:
    """One query. The server decides which sample is too old for an instant, after five minutes."""

    cadence = Cadence(poll=60, stale=600)

    def __init__(
        self, *, query: str, url: str, egress: Egress, factors: EmissionFactors | None = None
    ) -> None:
        # Another query is another series, which must not enter the same archive.
        self.source = f"Prometheus/{hashlib.sha256(f'{url} {query}'.encode()).hexdigest()[:8]}"
        self.factors = factors
        self._query = query
        self._endpoint = Endpoint(
            url, member="prometheus", subject="`prometheus.query`", egress=egress
        )

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """One sample for each five minutes of [start, end]. Raises SignalError."""
        first = int(max(start, end - _LONGEST).timestamp()) // STEP_SECONDS * STEP_SECONDS
        answer = self._endpoint.ask(
            "/api/v1/query_range",
            {
                "query": self._query,
                "start": str(first),
                "end": f"{end.timestamp():.3f}",
                "step": str(STEP_SECONDS),
            },
        )
        return [r for sample in self._samples(answer) if (r := self._reading(sample)) is not None]

    def expected(self, now: Instant) -> Expected | None:
        """None: a query tells what was."""
        return None

    def access(self) -> Access:
        """Whoever reaches the server may ask it."""
        return Access(())

    def _samples(self, answer: Any) -> list[Any]:
        try:
            result = answer["data"]["result"]
            if answer["status"] != "success" or answer["data"]["resultType"] != "matrix":
                raise ValueError("must be a success, and a matrix")
            samples = result[0]["values"] if result else []
            count = len(result)
        except UNSHAPED as error:
            raise self._endpoint.malformed("the answer must be that of a range query") from error
        if count > 1:
            raise SignalMisconfigured(
                "`prometheus.query` must give one series; aggregate it, or name its labels"
            )
        if not isinstance(samples, list):
            raise self._endpoint.malformed("`values` must be a list")
        return samples

    def _reading(self, sample: Any) -> Reading | None:
        """A sample; None where the query has no number for the instant."""
        try:
            seconds, text = sample
            value = number_of(text)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError("must be Unix seconds")
            begin = from_unix(seconds)
            return None if math.isnan(value) else Reading(begin, begin + _STEP, grams_of(value))
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "a sample must be Unix seconds and, as a string, a value of 0 to 5000"
            ) from error
