"""`kubectl carbonaware zones` with a forecast, and `zones check`: what a provider says to a key."""

import json
from typing import Any

import pytest

from carbonaware_operator.cli import zone_check
from carbonaware_operator.cli.zones import sparkline
from carbonaware_operator.grid.errors import SignalUnauthorized
from carbonaware_operator.grid.provider import Access
from provider_answers import secret
from stand_in_api import Run, StandInApi, condition_of, stored_zone

KEYED = {
    "type": "ElectricityMaps",
    "electricityMaps": {"zone": "DE", "secretRef": {"name": "em", "key": "token"}},
}
WATT_TIME = {
    "type": "WattTime",
    "wattTime": {"region": "CAISO_NORTH", "secretRef": {"name": "watttime"}},
}
SECRET = "/api/v1/namespaces/carbonaware-system/secrets/em"


def a_zone(**spec: Any) -> dict[str, Any]:
    """Zone de with this spec."""
    zone = stored_zone("de")
    return {**zone, "spec": {"source": KEYED, **spec}}


@pytest.fixture
def keyed(api: StandInApi) -> StandInApi:
    """Zone de of Electricity Maps, and its key."""
    api.add(a_zone())
    api.objects[SECRET] = secret("em", token="hunter2")
    return api


class Provider:
    """Answers as the test says, and remembers the keys that it was made with."""

    def __init__(self) -> None:
        self.answer: Access | Exception = Access(("intensity now",), ("no forecast: upgrade",))
        self.texts: list[dict[str, str]] = []

    def make(self, source: Any, *, texts: dict[str, str], **_: Any) -> "Provider":
        """In place of provider() and marginal_provider()."""
        self.texts.append(texts)
        return self

    def check(self) -> Access:
        """What the test says."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """In place of every provider."""
    made = Provider()
    monkeypatch.setattr(zone_check, "provider", made.make)
    monkeypatch.setattr(zone_check, "marginal_provider", made.make)
    return made


class TestCheck:
    def test_says_what_the_key_may_do(
        self, keyed: StandInApi, provider: Provider, kubectl_carbonaware: Run
    ):
        """And what it may not; the key itself is never shown."""
        done = kubectl_carbonaware("zones", "check", "de")

        assert 0 == done.exit_code
        assert (
            "source: ElectricityMaps, average intensity\n"
            "  ok      intensity now\n"
            "  limit   no forecast: upgrade\n"
        ) == done.stdout
        assert [{"token": "hunter2"}] == provider.texts
        assert "hunter2" not in done.output

    def test_says_what_to_change_when_it_fails(
        self, keyed: StandInApi, provider: Provider, kubectl_carbonaware: Run
    ):
        """With the reason that the condition would have, and exit code 1."""
        provider.answer = SignalUnauthorized("the key is refused; renew it")

        done = kubectl_carbonaware("zones", "check", "de")

        assert 1 == done.exit_code
        assert "  fails   Unauthorized: the key is refused; renew it\n" in done.stdout

    def test_asks_both_sources(
        self, keyed: StandInApi, provider: Provider, kubectl_carbonaware: Run
    ):
        """One that fails hides nothing of the other."""
        keyed.add(a_zone(source=WATT_TIME, accountingSource=KEYED))
        keyed.refuse["/api/v1/namespaces/carbonaware-system/secrets/watttime"] = 404

        done = kubectl_carbonaware("zones", "check", "de")

        assert 1 == done.exit_code
        first, fails, second, *_ = done.stdout.splitlines()
        assert "source: WattTime, marginal intensity" == first
        assert "Secret carbonaware-system/watttime does not exist" in fails
        assert "accountingSource: ElectricityMaps, average intensity" == second

    def test_reads_secrets_with_the_users_own_rights(
        self, keyed: StandInApi, provider: Provider, kubectl_carbonaware: Run
    ):
        """Who may not read them is told so."""
        keyed.refuse[SECRET] = 403

        done = kubectl_carbonaware("zones", "check", "de")

        assert 1 == done.exit_code
        assert "you must be allowed to get Secret carbonaware-system/em" in done.stdout

    def test_reads_secrets_where_the_operator_is(
        self, keyed: StandInApi, provider: Provider, kubectl_carbonaware: Run
    ):
        """Another installation has another namespace."""
        keyed.objects[SECRET.replace("carbonaware-system", "green")] = keyed.objects.pop(SECRET)

        done = kubectl_carbonaware("zones", "check", "de", "--operator-namespace", "green")

        assert 0 == done.exit_code

    def test_of_a_zone_that_is_not_there(self, api: StandInApi, kubectl_carbonaware: Run):
        """One line, and exit code 1."""
        done = kubectl_carbonaware("zones", "check", "nowhere")

        assert 1 == done.exit_code
        assert "there is no CarbonZone nowhere" in done.stderr

    def test_of_a_source_without_key(self, api: StandInApi, kubectl_carbonaware: Run):
        """The real provider, without a stand-in."""
        api.add(stored_zone("de"))

        done = kubectl_carbonaware("zones", "check", "de")

        assert "source: Static, average intensity\n  ok      intensity, always the same\n" == (
            done.stdout
        )

    def test_takes_the_options_of_the_cluster_on_either_side(
        self, api: StandInApi, kubectl_carbonaware: Run
    ):
        """`zones --context X check` and `zones check --context X` are the same."""
        for arguments in (
            ["zones", "--context", "gone", "check", "de"],
            ["zones", "check", "de", "--context", "gone"],
        ):
            assert 3 == kubectl_carbonaware(*arguments).exit_code


def a_zone_with_forecast(*values: int, grams: int | None = 300) -> dict[str, Any]:
    """Hourly values from one o'clock on, in a status of the present spec."""
    zone = stored_zone("de", grams=grams)
    zone["status"] |= {"observedGeneration": 1, "forecast": a_forecast(*values)}
    return zone


def a_forecast(*grams: int) -> dict[str, Any]:
    """Hourly values from one o'clock on, when the tests are."""
    return {
        "issuedTime": "2026-03-01T12:10:00Z",
        "startTime": "2026-03-01T13:00:00Z",
        "stepSeconds": 3600,
        "milligramsPerKWh": [1000 * value for value in grams],
        "source": "ElectricityMaps/DE",
    }


class TestForecast:
    def test_is_a_bar_for_each_hour(self, api: StandInApi, kubectl_carbonaware: Run):
        """Hours that nothing is known of are dots."""
        api.add(a_zone_with_forecast(100, 200, 450))

        table = kubectl_carbonaware("zones").stdout
        (item,) = json.loads(kubectl_carbonaware("zones", "-o", "json").stdout)["items"]

        assert "▁▃█" + "·" * 21 in table
        assert [100_000, 200_000, 450_000, *[None] * 21] == item["expectedMilligramsPerKWh"]

    def test_stands_in_while_nothing_is_fresh(self, api: StandInApi, kubectl_carbonaware: Run):
        """As the operator would take it."""
        api.add(a_zone_with_forecast(123, grams=None))

        (item,) = json.loads(kubectl_carbonaware("zones", "-o", "json").stdout)["items"]

        assert (123_000, "Forecast") == (item["fallbackMilligramsPerKWh"], item["fallbackLevel"])


class TestFallback:
    def test_is_what_the_operator_says(self, api: StandInApi, kubectl_carbonaware: Run):
        """It knows the typical day; and what is wrong with the source stands in Ready."""
        zone = stored_zone("de", grams=None)
        zone["status"] = {
            "conditions": [
                condition_of("Ready", False, "Unauthorized"),
                condition_of("Fresh", False, "UsingFallback"),
            ],
            "fallback": {
                "milligramsPerKWh": 311_000,
                "level": "Zone",
                "source": "Electricity Maps, zone DE",
                "year": 2025,
                "typicalDay": True,
            },
        }
        api.add(zone)

        (item,) = json.loads(kubectl_carbonaware("zones", "-o", "json").stdout)["items"]

        assert (311_000, "Zone", 2025) == (
            item["fallbackMilligramsPerKWh"],
            item["fallbackLevel"],
            item["fallbackYear"],
        )
        table = kubectl_carbonaware("zones").stdout
        assert "~311" in table
        assert "Unauthorized" in table


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], "-"),
        ([None, None], "-"),
        ([5, 5], "▁▁"),
        ([0, None, 7], "▁·█"),
        (list(range(8)), "▁▂▃▄▅▆▇█"),
    ],
)
def test_sparkline(values: list[int | None], bars: str):
    """From the lowest to the highest of what is known."""
    assert bars == sparkline(values)
