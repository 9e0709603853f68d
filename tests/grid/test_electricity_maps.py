"""Electricity Maps against a server that replays answers of the shape its API documents."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid import electricity_maps
from carbonaware_operator.grid.electricity_maps import ElectricityMaps
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalMalformed,
    SignalMisconfigured,
    SignalRateLimited,
    SignalUnauthorized,
    SignalUnreachable,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import PointKind

KEY = "em-key-1234567890"
NOW = datetime(2024, 5, 1, 10, 25, tzinfo=UTC)
TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATEST, HISTORY = "/v3/carbon-intensity/latest", "/v3/carbon-intensity/history"


@dataclass
class Answer:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay: float = 0.0  # seconds between head and body


@dataclass
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Replay:
    """A server on loopback that gives each path its answers in turn; the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        replay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                replay.asked.append(Asked(parts.path, query, dict(self.headers)))
                answers = replay.answers.get(parts.path) or [Answer(b"{}", 404)]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                time.sleep(answer.delay)
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v3"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def give(self, path: str, *answers: Answer | dict[str, Any]) -> None:
        """Answer requests for a path, in turn."""
        self.answers[path] = [
            answer if isinstance(answer, Answer) else Answer(json.dumps(answer).encode())
            for answer in answers
        ]

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(electricity_maps._RETRY, "backoff_factor", 0)
    server = Replay()
    yield server
    server.close()


def an_hour(begin: datetime, grams: float | None, **fields: object) -> dict[str, Any]:
    """One hour as the API writes it."""
    return {
        "zone": "DE",
        "carbonIntensity": grams,
        "datetime": begin.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "updatedAt": "2024-05-01T10:15:00.000Z",
        "createdAt": "2024-04-28T10:00:00.000Z",
        "emissionFactorType": "lifecycle",
        "isEstimated": False,
        "estimationMethod": None,
    } | fields


def a_history(*hours: dict[str, Any], zone: str = "DE") -> dict[str, Any]:
    return {"zone": zone, "history": list(hours)}


@pytest.fixture
def give_a_day(replay: Replay) -> Callable[[], None]:
    def give() -> None:
        replay.give(LATEST, an_hour(TEN, 302, isEstimated=True))
        replay.give(
            HISTORY,
            a_history(*(an_hour(TEN - n * HOUR, 300 - n) for n in range(24, 0, -1))),
        )

    return give


def ask(replay: Replay, start: datetime = TEN, key: str = KEY, **fields: Any):
    provider = ElectricityMaps(zone="DE", key=key, url=replay.url, **fields)
    return provider.points(start, NOW)


class TestAnswers:
    def test_gives_the_latest_hour(self, replay: Replay, give_a_day):
        """The latest value holds for the hour that it names, and says that it is an estimate."""
        give_a_day()

        (point,) = ask(replay)

        assert (TEN, TEN + HOUR, 302_000) == (point.start, point.end, point.intensity)
        assert PointKind.ESTIMATE is point.kind
        assert ("ElectricityMaps/DE", EmissionFactors.LIFECYCLE) == (point.source, point.factors)

    def test_gives_the_hours_before(self, replay: Replay, give_a_day):
        """History and latest hour follow each other; hours out of the question are left out."""
        give_a_day()

        points = ask(replay, start=TEN - 2 * HOUR)

        assert [298_000, 299_000, 302_000] == [p.intensity for p in points]
        assert [PointKind.ACTUAL] * 2 + [PointKind.ESTIMATE] == [p.kind for p in points]

    def test_does_not_ask_for_history_in_vain(self, replay: Replay, give_a_day):
        """One request is enough when nothing before the latest hour is wanted."""
        give_a_day()

        ask(replay, start=TEN)

        assert [LATEST] == [asked.path for asked in replay.asked]

    def test_skips_hours_without_a_value(self, replay: Replay):
        """A null is a gap, not a zero and not an error."""
        replay.give(LATEST, an_hour(TEN, None))
        replay.give(HISTORY, a_history(an_hour(TEN - 2 * HOUR, 280), an_hour(TEN - HOUR, None)))

        assert [280_000] == [p.intensity for p in ask(replay, start=TEN - 5 * HOUR)]

    def test_names_what_it_wants(self, replay: Replay, give_a_day):
        """The zone is asked for by name, with the fall-back to the caller's location turned off."""
        give_a_day()

        ask(replay, start=TEN - HOUR)

        for asked in replay.asked:
            assert KEY == asked.headers["auth-token"]
            assert {
                "zone": "DE",
                "emissionFactorType": "lifecycle",
                "temporalGranularity": "hourly",
                "shouldUseFallbackCallerLookup": "false",
            } == asked.query

    def test_asks_for_direct_factors(self, replay: Replay):
        """Direct factors are another number, and the points say so."""
        replay.give(LATEST, an_hour(TEN, 302, emissionFactorType="direct"))

        (point,) = ask(replay, factors=EmissionFactors.DIRECT)

        assert "direct" == replay.asked[0].query["emissionFactorType"]
        assert EmissionFactors.DIRECT == point.factors

    def test_leaves_out_the_future(self, replay: Replay):
        """An hour that begins after the question is not known yet, whoever says so."""
        replay.give(LATEST, an_hour(TEN + HOUR, 100))
        replay.give(HISTORY, a_history(an_hour(TEN, 300)))

        assert [300_000] == [p.intensity for p in ask(replay)]

    def test_strips_the_newline_of_a_secret(self, replay: Replay, give_a_day):
        """A key that was stored with its newline works."""
        give_a_day()

        ask(replay, key=KEY + "\n")

        assert KEY == replay.asked[0].headers["auth-token"]

    def test_tries_again_after_a_hiccup(self, replay: Replay):
        """A failure of the provider that passes is not noticed."""
        replay.give(LATEST, Answer(b"", 502), an_hour(TEN, 302))

        assert [302_000] == [p.intensity for p in ask(replay)]


HTML = Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"})


class TestRefusals:
    @pytest.mark.parametrize(
        ("answer", "error", "says"),
        [
            (Answer(b'{"error": "Invalid auth-token"}', 401), SignalUnauthorized, "refused the"),
            (Answer(b"", 403), SignalUnauthorized, "refused the API key, 403"),
            (
                Answer(b'{"error": "Token unauthorized for zoneKey=DE"}', 403),
                SignalUnauthorized,
                "may not read zone 'DE'",
            ),
            (
                Answer(b'{"message": "Endpoint not available"}', 401),
                SignalUnauthorized,
                "plan of the API key",
            ),
            (Answer(b'{"error": "No data"}', 404), SignalZoneUnknown, "does not know zone 'DE'"),
            (Answer(b"{}", 400), SignalMisconfigured, "refused the question, 400"),
            (Answer(b"", 503), SignalUnreachable, "its own failure, 503"),
            (HTML, SignalMalformed, "must be JSON"),
            (Answer(b"[]"), SignalMalformed, "must be an object"),
            (Answer(b"[" * 100_000), SignalMalformed, "must be JSON"),
            (Answer(b" " * 1_100_000), SignalMalformed, "at most 1048576 bytes"),
            (an_hour(TEN, 302, zone="FR"), SignalZoneUnknown, "another zone than 'DE'"),
            ({"carbonIntensity": 302}, SignalZoneUnknown, "another zone than 'DE'"),
            (
                an_hour(TEN, 302, emissionFactorType="direct"),
                SignalMalformed,
                "factors must be those",
            ),
            (an_hour(TEN, -3), SignalMalformed, "of 0 to 5000"),
            (an_hour(TEN, 300_000), SignalMalformed, "of 0 to 5000"),
            (an_hour(TEN, 0) | {"carbonIntensity": "302"}, SignalMalformed, "of 0 to 5000"),
            (an_hour(TEN, 302) | {"datetime": "10 o'clock"}, SignalMalformed, "with its offset"),
            (an_hour(TEN, 302) | {"datetime": "2024-05-01T10:00"}, SignalMalformed, "its offset"),
            (Answer(b'{"zone": "DE", "carbonIntensity": NaN}'), SignalMalformed, "an hour must"),
        ],
    )
    def test_tells_them_apart(
        self, replay: Replay, answer: Answer | dict[str, Any], error: type[SignalError], says: str
    ):
        """Each refusal is an error of its own kind that says what to change."""
        replay.give(LATEST, answer)

        with pytest.raises(error, match=says) as caught:
            ask(replay)

        assert KEY not in str(caught.value)

    def test_refuses_a_history_that_is_none(self, replay: Replay, give_a_day):
        """The list must be there."""
        give_a_day()
        replay.give(HISTORY, {"zone": "DE"})

        with pytest.raises(SignalMalformed, match="`history` must be a list"):
            ask(replay, start=TEN - HOUR)

    @pytest.mark.parametrize(
        ("header", "seconds"), [("120", 120.0), ("0", 0.0), ("soon", None), (None, None)]
    )
    def test_passes_on_how_long_to_wait(self, replay: Replay, header, seconds):
        """A wait that the provider asks for is passed on, and not slept through here."""
        replay.give(LATEST, Answer(b"", 429, {"Retry-After": header} if header else {}))

        with pytest.raises(SignalRateLimited) as caught:
            ask(replay)

        assert seconds == caught.value.retry_after
        assert 1 == len(replay.asked)

    def test_understands_a_date_to_wait_for(self, replay: Replay):
        """`Retry-After` may be a date as well."""
        replay.give(LATEST, Answer(b"", 429, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}))

        with pytest.raises(SignalRateLimited) as caught:
            ask(replay)

        assert caught.value.retry_after > 3600

    def test_takes_the_key_nowhere_else(self, replay: Replay):
        """A redirect is not followed: the key would go along to whatever host it names."""
        other = Replay()
        replay.give(LATEST, Answer(b"", 302, {"Location": f"{other.url}/carbon-intensity/latest"}))

        with pytest.raises(SignalMisconfigured, match="redirects"):
            ask(replay)
        other.close()

        assert [] == other.asked

    @pytest.mark.parametrize("key", ["", "  \n", "zwei\nzeilen", "schlüssel"])
    def test_refuses_what_cannot_be_a_key(self, key: str):
        """A key that no header can carry is refused before it is sent, and not repeated."""
        with pytest.raises(SignalMisconfigured, match="one line of ASCII text") as caught:
            ElectricityMaps(zone="DE", key=key)

        assert not key.strip() or key not in str(caught.value)

    def test_says_that_nobody_answers(self, replay: Replay):
        """A host that refuses connections is unreachable, and named."""
        replay.close()

        with pytest.raises(SignalUnreachable, match=r"127\.0\.0\.1:\d+ does not answer"):
            ask(replay)

    def test_does_not_wait_for_ever(self, replay: Replay, monkeypatch: pytest.MonkeyPatch):
        """An answer whose body does not come is given up after the read time-out."""
        monkeypatch.setattr(electricity_maps, "_TIMEOUT", (1, 0.05))
        replay.give(LATEST, Answer(b"{}", delay=0.3))

        with pytest.raises(SignalUnreachable):
            ask(replay)

    def test_trusts_no_unknown_certificate(self, replay: Replay):
        """What does not speak TLS, or whose certificate is not verified, is refused."""
        url = replay.url.replace("http:", "https:")

        with pytest.raises(SignalUnreachable, match=r"could not be verified|does not answer"):
            ElectricityMaps(zone="DE", key=KEY, url=url).points(TEN, NOW)

        assert [] == replay.asked

    def test_refuses_a_url_that_is_none(self):
        """A URL without a host is the configuration's fault."""
        with pytest.raises(SignalMisconfigured, match="must be an http"):
            ElectricityMaps(zone="DE", key=KEY, url="http://").points(TEN, NOW)
