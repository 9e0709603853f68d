"""All providers on one server: good answers for whatever time it is, and every fault there is.

Average intensities are from 200 to 400 gCO2e/kWh and marginal ones from 700 to 900, so that a
number of the wrong kind is seen by its size.
"""

import base64
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from replay_server import HTML, Answer, Asked, as_json

AVERAGE_GRAMS, MARGINAL_GRAMS = (200, 400), (700, 900)
POUNDS_PER_GRAM_PER_KWH = 1 / 0.45359237
FIVE, QUARTER, HALF, HOUR = (timedelta(minutes=m) for m in (5, 15, 30, 60))
_DAY = timedelta(hours=24)

SECRETS = {"em": {"token": "k"}, "wt": {"username": "me", "password": "p"}}
"""Names of Secrets and what is in them, plain."""


def secret(name: str, **plain: str) -> dict[str, Any]:
    """A Secret that is labelled for providers."""
    return {
        "metadata": {"name": name, "labels": {"carbonaware.io/provider": "true"}},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()},
    }


EXPORTER = ("kube-system", "carbon-intensity")


def sources(url: str) -> dict[str, dict[str, Any]]:
    """The spec of a CarbonZone for each provider, by name of the zone; its API is at `url`."""
    watt_time = {"region": "CAISO_NORTH", "url": f"{url}/wt", "secretRef": {"name": "wt"}}
    sdk = {"location": "eastus", "url": f"{url}/sdk"}
    return {
        "electricity-maps": _spec(
            "ElectricityMaps",
            "electricityMaps",
            zone="DE",
            url=f"{url}/em",
            secretRef={"name": "em", "key": "token"},
        ),
        "watt-time": _spec("WattTime", "wattTime", **watt_time)
        | {
            "accountingSource": _spec("CarbonAwareSDK", "carbonAwareSDK", **sdk, signal="Average")[
                "source"
            ]
        },
        "watt-time-average": _spec("WattTime", "wattTime", **watt_time, signal="Average"),
        "uk": _spec("UKCarbonIntensity", "ukCarbonIntensity", national=True, url=f"{url}/uk"),
        "uk-region": _spec("UKCarbonIntensity", "ukCarbonIntensity", regionId=13, url=f"{url}/uk"),
        "energy-charts": _spec("EnergyCharts", "energyCharts", country="de", url=f"{url}/ec"),
        "sdk": _spec("CarbonAwareSDK", "carbonAwareSDK", **sdk, signal="Average"),
        "prometheus": _spec(
            "Prometheus", "prometheus", url=f"{url}/prom", query="x", signal="Average"
        ),
        "exporter": _spec("ConfigMap", "configMap", signal="Average"),
    }


def _spec(type_: str, member: str, **fields: Any) -> dict[str, Any]:
    return {"source": {"type": type_, member: fields}}


def average(at: datetime) -> float:
    """The average intensity of an instant, gCO2e/kWh."""
    return round(300 + 100 * math.sin(at.timestamp() / 86400 * 2 * math.pi), 3)


def marginal(at: datetime) -> float:
    """The marginal intensity of an instant, gCO2e/kWh."""
    return round(800 + 100 * math.sin(at.timestamp() / 43200 * 2 * math.pi), 3)


class Providers:
    """The script of a replay server; `now` is the time that the providers go by."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now

    def __call__(self, asked: Asked) -> Answer:
        """The good answer to a question."""
        _, provider, path = asked.path.split("/", 2)
        answer: Any = getattr(self, f"_{provider}")(path, asked.query)
        return as_json(answer)

    def exporter(self) -> dict[str, Any]:
        """The ConfigMap of the exporter, made anew at midnight and at noon."""
        begin = self.now().replace(hour=self.now().hour // 12 * 12, minute=0, second=0)
        rows = [
            {
                "location": "PJM",
                "timestamp": _rfc(t),
                "duration": 5,
                "value": average(t),
            }
            for t in _times(begin, begin + _DAY, FIVE)
        ]
        namespace, name = EXPORTER
        return {
            "metadata": {"name": name, "namespace": namespace},
            "immutable": True,
            "data": {"forecastDateTime": f"{begin:%Y-%m-%d %H:%M:%S} +0000 UTC"},
            "binaryData": {"data": base64.b64encode(json.dumps(rows).encode()).decode()},
        }

    def _em(self, path: str, query: dict[str, str]) -> Any:
        hour = self.now().replace(minute=0, second=0, microsecond=0)
        what = path.rpartition("/")[2]
        if what == "latest":
            return self._em_hour(hour) | {"isEstimated": True}
        if what == "history":
            return {
                "zone": "DE",
                "history": [self._em_hour(t) for t in _times(hour - _DAY, hour, HOUR)],
            }
        hours = [self._em_hour(t) for t in _times(hour, hour + 3 * _DAY, HOUR)]
        return {"zone": "DE", "forecast": hours, "updatedAt": _rfc(hour)}

    def _em_hour(self, hour: datetime) -> dict[str, Any]:
        return {
            "zone": "DE",
            "datetime": _rfc(hour),
            "carbonIntensity": average(hour),
            "emissionFactorType": "lifecycle",
        }

    def _wt(self, path: str, query: dict[str, str]) -> Any:
        if path == "login":
            return {"token": "t"}
        this = _floor(self.now(), 300)
        if path == "v3/historical":
            times = _times(_floor(_parsed(query["start"]), 300), this - FIVE, FIVE)
        else:
            times = _times(this, this + HOUR * int(query["horizon_hours"]) + FIVE, FIVE)
        value = marginal if query["signal_type"] == "co2_moer" else average
        return {
            "data": [
                {"point_time": _rfc(t), "value": value(t) * POUNDS_PER_GRAM_PER_KWH} for t in times
            ],
            "meta": {
                "region": query["region"],
                "signal_type": query["signal_type"],
                "units": "lbs_co2_per_mwh",
                "data_point_period_seconds": 300,
                "generated_at": _rfc(this),
            },
        }

    def _uk(self, path: str, query: dict[str, str]) -> Any:
        parts = path.split("/")
        regional = parts[0] == "regional"
        first, last = parts[2 if regional else 1], parts[3 if regional else 2]
        begin = _floor(_parsed(first), 1800) - HALF  # one period early
        end = begin + 2 * _DAY if last == "fw48h" else _parsed(last)
        periods = [self._uk_period(t, regional) for t in _times(begin, end, HALF)]
        return {"data": {"regionid": 13, "data": periods} if regional else periods}

    def _uk_period(self, begin: datetime, regional: bool) -> dict[str, Any]:
        intensity: dict[str, Any] = {"forecast": round(average(begin)), "index": "moderate"}
        if not regional:
            over = begin + HALF <= self.now()
            intensity["actual"] = round(average(begin)) if over else None
        return {
            "from": f"{begin:%Y-%m-%dT%H:%MZ}",
            "to": f"{begin + HALF:%Y-%m-%dT%H:%MZ}",
            "intensity": intensity,
        }

    def _ec(self, path: str, query: dict[str, str]) -> Any:
        begin, end = (_parsed(f"{query[name]}T00:00Z") for name in ("start", "end"))
        times = list(_times(begin, min(end, begin + 3 * _DAY), QUARTER))
        known = self.now() - HOUR
        return {
            "unix_seconds": [int(t.timestamp()) for t in times],
            "co2eq": [average(t) if t < known else None for t in times],
            "co2eq_forecast": [average(t) for t in times],
        }

    def _sdk(self, path: str, query: dict[str, str]) -> Any:
        this = _floor(self.now(), 300)
        if path == "emissions/bylocation":
            times = _times(_floor(_parsed(query["time"]), 300), _parsed(query["toTime"]), FIVE)
            return [{"location": "PJM", "time": _rfc(t), "rating": average(t)} for t in times]
        rows = [
            {"location": "PJM", "timestamp": _rfc(t), "duration": 5, "value": average(t)}
            for t in _times(this, this + _DAY, FIVE)
        ]
        return [{"generatedAt": _rfc(this), "location": query["location"], "forecastData": rows}]

    def _prom(self, path: str, query: dict[str, str]) -> Any:
        begin, end, step = (float(query[name]) for name in ("start", "end", "step"))
        stamps = [begin + step * n for n in range(int((end - begin) // step) + 1)]
        values = [[s, f"{average(datetime.fromtimestamp(s, self.now().tzinfo))}"] for s in stamps]
        result = [{"metric": {}, "values": values}] if values else []
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}


class Faults:
    """Spoils a share of the answers of a script, in every way in turn and in a random order.

    slow: seconds after which the body comes; elsewhere: where redirects lead.
    """

    def __init__(
        self,
        script: Callable[[Asked], Answer],
        *,
        share: float,
        random: Random,
        slow: float,
        elsewhere: str,
    ) -> None:
        self._script, self._share, self._random = script, share, random
        self._faults = _faults(slow, elsewhere)
        self.counts = dict.fromkeys(self._faults, 0)

    def __call__(self, asked: Asked) -> Answer:
        """A good answer, or a fault."""
        good = self._script(asked)
        if self._random.random() >= self._share:
            return good
        name = self._random.choice(list(self._faults))
        self.counts[name] += 1
        return self._faults[name](good)


def _faults(slow: float, elsewhere: str) -> dict[str, Callable[[Answer], Answer]]:
    return {
        "401": lambda _: Answer(b'{"error": "Invalid auth-token"}', 401),
        "403": lambda _: Answer(b"{}", 403),
        "404": lambda _: Answer(b"{}", 404),
        "429": lambda _: Answer(b"{}", 429, {"Retry-After": "120"}),
        "500": lambda _: Answer(b'{"error": {"code": "500"}}', 500),
        "503": lambda _: Answer(b"", 503, {"Retry-After": "60"}),
        "redirect": lambda _: Answer(b"", 302, {"Location": elsewhere}),
        "html": lambda _: HTML,
        "empty": lambda _: Answer(b""),
        "truncated": lambda good: Answer(good.body, truncated=len(good.body) // 2),
        "slow": lambda good: Answer(good.body, delay=slow),
        "10 MB": lambda _: Answer(b" " * 10_000_000),
        "cut off JSON": lambda good: Answer(good.body[: len(good.body) // 2]),
        "another shape": lambda _: Answer(b'{"data": [[1]], "zone": "FR"}'),
        "nulls": lambda good: as_json(_without_numbers(json.loads(good.body))),
        "strings": lambda good: as_json(_as_strings(json.loads(good.body))),
        "clock ahead": lambda good: Answer(good.body.replace(b"2026-06-1", b"2026-07-1")),
    }


def _without_numbers(value: Any) -> Any:
    return _mapped(value, lambda _: None)


def _as_strings(value: Any) -> Any:
    return _mapped(value, str)


def _mapped(value: Any, change: Callable[[float], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value) if isinstance(value, float) else value


def _times(begin: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


def _floor(instant: datetime, seconds: int) -> datetime:
    return instant - timedelta(seconds=instant.timestamp() % seconds)


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rfc(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
