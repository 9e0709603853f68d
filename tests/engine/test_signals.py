"""The signals loop with a clock in the test's hand and an API in memory."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.cluster.kube import CARBON_ZONES, CONFIG_MAPS, SECRETS, ApiError, Object
from carbonaware_operator.cluster.zones import archive_name
from carbonaware_operator.engine import feed as feeds
from carbonaware_operator.engine import zone_feeds
from carbonaware_operator.engine.forecasts import OWN
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.grid.archive import Archive, PeriodIntensity
from carbonaware_operator.grid.errors import (
    SignalRateLimited,
    SignalUnauthorized,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import Forecast, Point, PointKind
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.store.zones import ZoneStore, zone_record
from fakes import FakeKube, ManualClock, eventually, settle
from provider_answers import secret
from replay_server import PERMISSIONS

NAMESPACE = "carbonaware-system"
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
STATUS = CARBON_ZONES.path(None, "de", "status")
ARCHIVE = CONFIG_MAPS.path(NAMESPACE, archive_name("de"))
DAY = "utc,g\n" + "".join(f"2022-01-01T{h:02}:00Z,{100 * (h + 1)}\n" for h in range(24))
STATIC = {"type": "Static", "static": {"gramsPerKWh": 300}}
RECORDED = {
    "type": "Recording",
    "recording": {"configMapRef": {"name": "day", "key": "csv"}, "speed": 1200},
}
"""A recorded hour passes in three seconds."""
KEYED = {
    "type": "ElectricityMaps",
    "electricityMaps": {"zone": "DE", "secretRef": {"name": "em", "key": "token"}},
}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass
class ScriptedSource:
    """A provider that answers as the test says; hourly values that are valid for an hour more."""

    source: str = "ElectricityMaps/DE"
    factors: None = None
    cadence: Cadence = field(default_factory=lambda: Cadence(300, 3600, 24 * 3600))
    answer: list[Point] | Exception = field(default_factory=list)
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hold: threading.Event | None = None

    def points(self, start: datetime, end: datetime) -> list[Point]:
        """What the test says."""
        self.asked.append((start, end))
        if self.hold:
            self.hold.wait(5)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def hour(self, hour: int, grams: int, kind: PointKind = PointKind.ACTUAL) -> Point:
        """The value of an hour of the day."""
        start = NOON.replace(hour=hour)
        return Point(start, start + timedelta(hours=1), 1000 * grams, kind, self.source, None)


class World:
    """One operator's signals loop and everything around it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.kube = FakeKube()
        self.store = ZoneStore()
        self.changes: list[str] = []
        self.leading = True
        self.loop = self._new_loop(3600)
        self._task: asyncio.Task[None] | None = None
        self._leading: asyncio.Task[None] | None = None
        self._generation = 0

    def _new_loop(self, period_seconds: int) -> SignalsLoop:
        return SignalsLoop(
            zones=self.store,
            kube=self.kube,
            clock=self.clock,
            namespace=NAMESPACE,
            permissions=PERMISSIONS,
            on_change=self.changes.append,
            period_seconds=period_seconds,
            jitter=lambda: 1.0,
        )

    def start(self) -> None:
        """Begin the loop, on the leader unless told otherwise."""
        self._task = asyncio.create_task(self.loop.run())
        if self.leading:
            self.lead()

    def lead(self) -> None:
        """The lease is gained."""
        self._leading = asyncio.create_task(self.loop.lead())

    async def close(self) -> None:
        """Save what is left, as the last thing that the leader does."""
        await self.loop.close()
        if self._leading:
            self._leading.cancel()
            await asyncio.gather(self._leading, return_exceptions=True)
            self._leading = None

    async def stop(self) -> None:
        """End the loop, but not the lease."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def restart(self, period_seconds: int = 3600) -> None:
        """Another process with the same cluster: memory is gone."""
        await self.stop()
        if self._leading:
            self._leading.cancel()
        self.store.outlooks.clear()
        self.loop = self._new_loop(period_seconds)
        self.start()

    def apply(self, source: dict[str, Any], name: str = "de", **spec: object) -> Object:
        """Create or change a zone, as the feed would."""
        self._generation += 1
        before = self.kube.stored(CARBON_ZONES, None, name)
        metadata = (
            before["metadata"]
            if before
            else {"name": name, "creationTimestamp": f"{self.clock.now():%FT%TZ}"}
        )
        body = {
            "metadata": metadata | {"generation": self._generation},
            "spec": {"source": source, **spec},
            "status": (before or {}).get("status", {}),
        }
        stored = self.kube.put(CARBON_ZONES, None, body)
        self.store.apply(zone_record(stored))
        self.loop.zone_changed(name)
        return stored

    def delete(self, name: str = "de") -> None:
        """Delete a zone, as the feed would."""
        del self.kube.objects[CARBON_ZONES.path(None, name)]
        self.store.forget(self.store.records[name].uid)
        self.loop.zone_changed(name)

    def config_map(self, text: str) -> None:
        """The recording of RECORDED zones."""
        self.kube.put(CONFIG_MAPS, NAMESPACE, {"metadata": {"name": "day"}, "data": {"csv": text}})

    def secret(self, key: str = "key") -> None:
        """The key of KEYED zones."""
        self.kube.put(SECRETS, NAMESPACE, secret("em", token=key))

    def outlook(self, name: str = "de") -> Outlook | None:
        """What the planner sees."""
        return self.store.outlooks.get(name)

    def grams(self, name: str = "de") -> int | None:
        """The intensity in effect, gCO2e/kWh."""
        outlook = self.outlook(name)
        if outlook is None or isinstance(outlook.current, Missing):
            return None
        return outlook.current.intensity // 1000

    def reason(self, name: str = "de") -> SignalReason | None:
        """Why the signal is missing."""
        outlook = self.outlook(name)
        return outlook.current.reason if outlook and isinstance(outlook.current, Missing) else None

    def status(self, name: str = "de") -> dict[str, Any]:
        """What users see."""
        return (self.kube.stored(CARBON_ZONES, None, name) or {}).get("status", {})

    def condition(self, type_: str) -> tuple[str, str, str] | None:
        """Status, reason and time of transition."""
        found = [c for c in self.status().get("conditions", []) if c["type"] == type_]
        return (
            (found[0]["status"], found[0]["reason"], found[0]["lastTransitionTime"])
            if found
            else None
        )

    def idle(self) -> bool:
        """True when the loop waits for nothing but time."""
        return not any(
            zone.writing or any(feed.task for feed in zone.feeds)
            for zone in self.loop._zones.values()
        )

    async def moves(self, seconds: float, until: Any) -> None:
        """Let time pass and wait for what must follow, to its end."""
        await eventually(self.idle)
        await self.clock.advance(seconds, self.idle)
        await eventually(lambda: until() and self.idle())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, world: World) -> ScriptedSource:
    """In place of the provider of KEYED zones."""
    source = ScriptedSource()

    def made(spec: Any, *, texts: dict[str, str], **_: Any) -> Any:
        source.keys.append(texts.get("token"))
        return source

    monkeypatch.setattr(zone_feeds, "provider", made)
    world.secret()
    return source


class TestOutlook:
    async def test_is_there_when_the_loop_is_primed(self, world: World):
        """A planner that waits for `primed` finds an outlook of every zone."""
        world.apply(STATIC)
        world.apply(RECORDED, "fr")
        world.start()

        await asyncio.wait_for(world.loop.primed(), 5)

        signal = Signal(300_000, "Static", NOON, at(2 * 3600))
        fallback = Fallback(342_000, "Electricity Maps, zone DE, 2025")
        assert Outlook("de", signal, fallback) == world.outlook()
        assert SignalReason.MISCONFIGURED == world.reason("fr")
        assert {"de", "fr"} == set(world.changes)

    async def test_follows_a_recording_at_once(self, world: World):
        """The next value is there as soon as the interval of the last one has ended."""
        world.config_map(DAY)
        world.apply(RECORDED)
        world.start()
        await eventually(lambda: world.grams() == 100)

        await world.clock.advance(2.9)
        assert 100 == world.grams()
        await world.moves(0.2, until=lambda: world.grams() == 200)
        await world.moves(3, until=lambda: world.grams() == 300)

        assert ["de"] * 3 == world.changes

    async def test_is_missing_when_the_recording_is_over(self, world: World):
        """Without `loop` the signal ends; the last value is not used for ever."""
        world.config_map("utc,g\n2022-01-01T00:00Z,100\n2022-01-01T01:00Z,200\n")
        world.apply(RECORDED)
        world.start()
        await eventually(lambda: world.grams() == 100)
        await world.moves(4, until=lambda: world.grams() == 200)

        await world.moves(13, until=lambda: world.reason() is SignalReason.STALE)

        assert "2026-06-15T12:00:06Z" in world.outlook().current.detail

    async def test_follows_a_zone_that_comes_changes_and_goes(self, world: World):
        """Nothing waits for the next poll."""
        world.start()
        await settle()

        world.apply(STATIC)
        await eventually(lambda: world.grams() == 300)
        world.apply({"type": "Static", "static": {"gramsPerKWh": 200}})
        await eventually(lambda: world.grams() == 200)
        world.delete()
        await eventually(lambda: len(world.changes) == 3)

        assert world.outlook() is None
        assert world.loop.archive("de") is None

    async def test_changes_with_the_fallback(self, world: World, scripted: ScriptedSource):
        """A change that leaves the source alone keeps the value."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        scripted.answer = SignalZoneUnknown("x")

        world.apply(KEYED, fallbackGramsPerKWh=390)
        await eventually(lambda: world.outlook().fallback.intensity == 390_000)

        assert 250 == world.grams()

    async def test_notices_what_a_sweep_dropped(self, world: World):
        """A zone that left the store without a word is not followed for ever."""
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)

        world.store.forget(world.store.records["de"].uid)
        await world.moves(11, until=lambda: len(world.changes) == 2)

        assert world.outlook() is None

    async def test_that_is_the_same_wakes_nobody(self, world: World, scripted: ScriptedSource):
        """An answer with the same value changes no outlook."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)

        await world.moves(301, until=lambda: len(scripted.asked) == 2)

        assert ["de"] == world.changes


class TestErrors:
    async def test_keep_the_last_value_while_it_can_be_used(
        self, world: World, scripted: ScriptedSource
    ):
        """A source that fails does not take its last value away before it is too old."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        scripted.answer = SignalUnauthorized("renew the key")

        await world.moves(301, until=lambda: len(scripted.asked) == 2)
        await eventually(lambda: world.condition("Ready")[:2] == ("False", "Unauthorized"))
        assert 250 == world.grams()
        assert ("True", "Current") == world.condition("Fresh")[:2]

        world.clock.step(2 * 3600)
        await world.moves(11, until=lambda: world.grams() is None)
        assert Missing(SignalReason.UNAUTHORIZED, "renew the key") == world.outlook().current
        await eventually(lambda: world.condition("Fresh")[:2] == ("False", "UsingFallback"))
        assert "current" not in world.status()

    async def test_are_tried_again_later_each_time(self, world: World, scripted: ScriptedSource):
        """Attempts back off to five minutes, and go back to the usual pace after an answer."""
        scripted.answer = SignalZoneUnknown("no such zone")
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.reason() is SignalReason.ZONE_UNKNOWN)

        for attempt, seconds in enumerate((2, 4, 8, 16, 32, 64, 128, 256, 300, 300), start=2):
            await world.clock.advance(seconds - 0.1)
            assert attempt - 1 == len(scripted.asked)
            await world.moves(0.1, until=lambda count=attempt: len(scripted.asked) == count)
            await settle()

        scripted.answer = [scripted.hour(12, 250)]
        await world.moves(300, until=lambda: world.grams() == 250)

    async def test_honour_how_long_the_provider_wants_to_be_left_alone(
        self, world: World, scripted: ScriptedSource
    ):
        """`Retry-After` counts when it is longer than the back-off."""
        scripted.answer = SignalRateLimited("too often", retry_after=900)
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.reason() is SignalReason.RATE_LIMITED)

        await world.clock.advance(899)
        assert 1 == len(scripted.asked)
        await world.moves(1, until=lambda: len(scripted.asked) == 2)

    async def test_make_it_read_the_secret_again(self, world: World, scripted: ScriptedSource):
        """A new key is used at the next attempt."""
        scripted.answer = SignalUnauthorized("renew the key")
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.reason() is SignalReason.UNAUTHORIZED)
        world.secret("new")
        scripted.answer = [scripted.hour(12, 250)]

        await world.moves(3, until=lambda: world.grams() == 250)

        assert ["key", "new"] == scripted.keys

    async def test_of_the_unforeseen_kind_end_nothing(self, world: World, scripted: ScriptedSource):
        """A bug in one provider is an error of its zone; the loop and other zones go on."""
        scripted.answer = ZeroDivisionError()
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.reason() is SignalReason.MALFORMED)
        scripted.answer = [scripted.hour(12, 250)]

        await world.moves(3, until=lambda: world.grams() == 250)

    async def test_of_one_zone_hold_up_no_other(self, world: World, scripted: ScriptedSource):
        """A provider that hangs keeps its worker thread, and nothing else."""
        scripted.hold = threading.Event()
        world.apply(KEYED, "hangs")
        world.start()
        await eventually(lambda: len(scripted.asked) == 1)
        scripted.hold, held = None, scripted.hold
        scripted.answer = [scripted.hour(12, 250)]

        world.apply(KEYED, "fr")
        await eventually(lambda: world.grams("fr") == 250)

        assert world.outlook("hangs") is None
        held.set()

    async def test_end_a_poll_that_takes_too_long(
        self, world: World, scripted: ScriptedSource, monkeypatch: pytest.MonkeyPatch
    ):
        """The zone is unreachable then, and its slot is free again."""
        monkeypatch.setattr(feeds, "POLL_TIMEOUT_SECONDS", 0.05)
        scripted.hold = threading.Event()
        world.apply(KEYED)
        world.start()

        await eventually(lambda: world.reason() is SignalReason.UNREACHABLE)

        scripted.hold.set()

    async def test_never_show_the_key(
        self, world: World, scripted: ScriptedSource, caplog: pytest.LogCaptureFixture
    ):
        """Neither the status nor the log holds what the Secret holds."""
        world.secret("hunter2")
        scripted.answer = SignalUnauthorized("renew the key")
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.condition("Ready"))

        assert ["hunter2"] == scripted.keys
        assert "hunter2" not in str(world.status())
        assert "hunter2" not in caplog.text
        assert "hunter2" not in repr(world.loop._zones)


class TestStatus:
    async def test_says_what_is_known(self, world: World, scripted: ScriptedSource):
        """Value, source, time and conditions, for the generation that was acted on."""
        scripted.answer = [scripted.hour(12, 250, PointKind.ESTIMATE)]
        generation = world.apply(KEYED)["metadata"]["generation"]
        world.start()
        await eventually(world.status)

        assert {
            "milligramsPerKWh": 250_000,
            "signal": "Average",
            "source": "ElectricityMaps/DE",
            "observedTime": "2026-06-15T12:00:00Z",
            "estimated": True,
        } == world.status()["current"]
        assert generation == world.status()["observedGeneration"]
        now = "2026-06-15T12:00:00Z"
        assert ("True", "Current", now) == world.condition("Ready")
        assert ("True", "Current", now) == world.condition("Fresh")

    async def test_is_written_only_when_something_changed(
        self, world: World, scripted: ScriptedSource
    ):
        """Answers that bring nothing new cause no write, and neither do repeated errors."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.kube.count("apply", STATUS) == 1)
        for count in (2, 3, 4):
            await world.moves(301, until=lambda count=count: len(scripted.asked) == count)
        scripted.answer = SignalUnauthorized("renew the key")
        for count in (5, 6, 7):
            await world.moves(301, until=lambda count=count: len(scripted.asked) >= count)
        await settle()

        assert 2 == world.kube.count("apply", STATUS)

    async def test_keeps_the_time_of_the_last_transition(
        self, world: World, scripted: ScriptedSource
    ):
        """Another reason is no transition; another status is, also across a restart."""
        scripted.answer = SignalUnauthorized("renew the key")
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.condition("Ready"))
        scripted.answer = SignalZoneUnknown("no such zone")
        await world.moves(2, until=lambda: world.condition("Ready")[1] == "ZoneUnknown")
        assert "2026-06-15T12:00:00Z" == world.condition("Ready")[2]

        world.apply(KEYED)
        await world.restart()
        await eventually(lambda: world.reason() is SignalReason.ZONE_UNKNOWN)
        scripted.answer = [scripted.hour(12, 250)]
        await world.moves(5, until=lambda: world.condition("Ready")[0] == "True")

        assert "2026-06-15T12:00:0" in world.condition("Ready")[2]
        assert "2026-06-15T12:00:00Z" != world.condition("Ready")[2]

    async def test_is_written_by_the_leader_alone(self, world: World):
        """A standby keeps its outlook warm and writes nothing until it leads."""
        world.leading = False
        world.config_map(DAY)
        world.apply(RECORDED)
        world.start()
        await eventually(lambda: world.grams() == 100)
        await world.moves(3.1, until=lambda: world.grams() == 200)
        await settle()
        assert [] == [request for request in world.kube.requests if request[0] != "get"]

        world.lead()
        await world.moves(3.1, until=lambda: world.status().get("current"))

    async def test_is_tried_again_when_it_is_refused(self, world: World):
        """A refused write comes again; meanwhile the outlook goes on."""
        world.kube.fail(STATUS, ApiError(503, "x", "x"))
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.kube.count("apply", STATUS) == 1)
        await world.clock.advance(5)
        assert 1 == world.kube.count("apply", STATUS)
        assert 300 == world.grams()

        world.kube.fail(STATUS, None)
        await world.moves(6, until=lambda: world.status().get("current"))


class TestHistory:
    async def test_is_filled_back_at_the_start(self, world: World, scripted: ScriptedSource):
        """The last 24 hours are asked for, so that a new zone has a past."""
        scripted.answer = [scripted.hour(10, 100), scripted.hour(11, 200), scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)

        archive = world.loop.archive("de")
        assert [(NOON - timedelta(hours=24), NOON)] == scripted.asked
        expected = PeriodIntensity(100_000, estimated=False)
        assert expected == archive.mean(NOON - timedelta(hours=2))

    async def test_takes_what_the_provider_revises(self, world: World, scripted: ScriptedSource):
        """An hour that was an estimate gets its final value."""
        scripted.answer = [scripted.hour(12, 250, PointKind.ESTIMATE)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        archive = world.loop.archive("de")
        assert PeriodIntensity(250_000, estimated=True) == archive.mean(NOON)

        scripted.answer = [scripted.hour(12, 270)]
        await world.moves(301, until=lambda: world.grams() == 270)

        assert PeriodIntensity(270_000, estimated=False) == archive.mean(NOON)

    async def test_is_the_same_however_it_was_polled(self, world: World):
        """The mean of a period is that of the recording, over every row it saw."""
        world.config_map(DAY)
        world.apply(RECORDED)
        await world.restart(period_seconds=6)
        await eventually(lambda: world.grams() == 100)
        for grams in range(200, 2000, 100):
            await world.moves(3, until=lambda grams=grams: world.grams() == grams)

        archive = world.loop.archive("de")

        means = [archive.mean(at(6 * n)) for n in range(9)]
        assert [PeriodIntensity(150_000 + 200_000 * n, estimated=False) for n in range(9)] == means

    async def test_is_saved_when_a_period_has_closed(self, world: World, scripted: ScriptedSource):
        """One write a period, and the status says what is saved."""
        scripted.answer = [scripted.hour(11, 200), scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        await world.clock.advance(3500)
        assert 0 == world.kube.count("apply", ARCHIVE)

        scripted.answer = [scripted.hour(12, 255), scripted.hour(13, 260)]
        await world.moves(110, until=lambda: world.kube.count("apply", ARCHIVE) == 1)
        await eventually(lambda: world.status().get("history"))

        expected = {"periods": 3, "archive": "carbonaware-archive-de"}
        assert expected == world.status()["history"]

    async def test_that_cannot_be_saved_holds_up_no_status(
        self, world: World, scripted: ScriptedSource
    ):
        """The archive is tried again; what users see goes on."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        await world.moves(1, until=lambda: world.loop.archive("de"))
        world.kube.fail(ARCHIVE, ApiError(403, "Forbidden", "x"))

        scripted.answer = [scripted.hour(13, 260)]
        await world.moves(3600, until=lambda: world.kube.count("apply", ARCHIVE) >= 1)
        await world.moves(
            11, until=lambda: world.status()["current"]["milligramsPerKWh"] == 260_000
        )

        world.kube.fail(ARCHIVE, None)
        await world.moves(11, until=lambda: world.status().get("history"))

    async def test_is_saved_at_the_end(self, world: World):
        """What was not saved yet is, before the lease is given up."""
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)
        await world.stop()

        await world.close()

        saved = Archive.decode(await world.loop._objects.archive("de"))
        assert PeriodIntensity(300_000, estimated=False) == saved.mean(NOON)

    async def test_is_not_saved_by_a_standby(self, world: World):
        """Nor at the end."""
        world.leading = False
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)
        await world.stop()

        await world.close()

        assert 0 == world.kube.count("apply", ARCHIVE)

    async def test_survives_a_restart(self, world: World, scripted: ScriptedSource):
        """What the provider does not give any more comes from the copy in the cluster."""
        scripted.answer = [scripted.hour(11, 200), scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        await world.stop()
        await world.close()

        scripted.answer = [scripted.hour(12, 250)]
        await world.restart()
        await eventually(lambda: world.grams() == 250)

        mean = world.loop.archive("de").mean(NOON - timedelta(hours=1))
        assert PeriodIntensity(200_000, estimated=False) == mean

    async def test_of_another_length_of_period_is_dropped(
        self, world: World, caplog: pytest.LogCaptureFixture
    ):
        """Hours cannot become minutes: the old archive goes, with a line in the log."""
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)
        await world.stop()
        await world.close()
        await world.clock.advance(3600)

        await world.restart(period_seconds=60)
        await eventually(lambda: world.grams() == 300)

        assert "archive dropped" in caplog.text

    async def test_of_another_source_is_dropped(self, world: World):
        """Numbers of two sources are never mixed in one archive."""
        world.config_map(DAY)
        world.apply(RECORDED)
        await world.restart(period_seconds=3)
        await eventually(lambda: world.grams() == 100)
        await world.clock.advance(1)

        world.apply(STATIC)
        await eventually(lambda: world.grams() == 300)

        archive = world.loop.archive("de")
        assert "Static" == archive.source
        assert {300_000} == {mean.milligrams_per_kwh for _, mean in archive.known()}

    async def test_is_not_overwritten_before_it_was_read(self, world: World):
        """When the copy cannot be read, it is left alone: it may know more."""
        world.kube.fail(ARCHIVE, ApiError(500, "x", "x"))
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)
        await world.stop()

        await world.close()

        assert 0 == world.kube.count("apply", ARCHIVE)

    async def test_is_read_again_by_a_new_leader(self, world: World):
        """What the leader before saved is not lost when a standby with a gap takes over."""
        world.leading = False
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)
        other = Archive(source="Static", factors=None)
        hour = timedelta(hours=1)
        other.add([Point(NOON - hour, NOON, 7, PointKind.ACTUAL, "Static", None)])
        await world.loop._objects.write_archive("de", other.encode())

        world.lead()
        archive = world.loop.archive("de")
        await world.moves(11, until=lambda: archive.mean(NOON - hour) is not None)

    async def test_ignores_what_begins_in_the_future(self, world: World, scripted: ScriptedSource):
        """A provider with a wrong clock does not push the past out of the archive."""
        future = scripted.hour(12, 1)
        late = NOON + timedelta(days=1000)
        wrong = Point(late, late + timedelta(hours=1), 1, future.kind, future.source, None)
        scripted.answer = [scripted.hour(12, 250), wrong]
        world.apply(KEYED)
        world.start()

        await eventually(lambda: world.grams() == 250)

        assert 1 == len(list(world.loop.archive("de").known()))


async def test_stops_without_leaving_tasks(world: World, scripted: ScriptedSource):
    """When the loop ends, nothing of it goes on."""
    scripted.hold = threading.Event()
    world.apply(KEYED)
    world.start()
    await eventually(lambda: len(scripted.asked) == 1)

    await world.stop()
    await world.close()

    assert {asyncio.current_task()} == asyncio.all_tasks()
    scripted.hold.set()


class TestOwnForecasts:
    async def test_are_shown_where_the_provider_makes_none(
        self, world: World, scripted: ScriptedSource
    ):
        """A forecast of ours goes to the status, with its error."""
        scripted.answer = [scripted.hour(11, 200), scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        assert ["de"] == world.loop.without_forecast()
        assert [(at_hour(11), 200_000)] == world.loop.hourly_means("de", at_hour(12))

        world.loop.take_forecast("de", an_own_forecast())

        await eventually(lambda: world.status().get("forecastErrorPercent") == 7)
        assert [1000, 2000] == world.status()["forecast"]["milligramsPerKWh"]

    async def test_give_way_to_the_providers_whose_score_is_shown(
        self, world: World, scripted: ScriptedSource
    ):
        """While a provider forecasts we do not; how good it was stands beside it."""
        scripted.answer = [scripted.hour(12, 250)]
        world.apply(KEYED)
        world.start()
        await eventually(lambda: world.grams() == 250)
        theirs = Forecast(NOON, NOON, timedelta(hours=1), (1000, 2000), "theirs")
        world.loop._zones["de"].signal.forecast = theirs

        assert [] == world.loop.without_forecast()
        assert {"de": theirs} == world.loop.provided()
        world.loop.take_score("de", 12)

        await eventually(lambda: world.status().get("forecastErrorPercent") == 12)

    async def test_are_not_made_of_a_value_for_ever(self, world: World):
        """A static zone needs no forecast, and its operator no NumPy."""
        world.apply(STATIC)
        world.start()
        await eventually(lambda: world.grams() == 300)

        assert [] == world.loop.without_forecast()


def at_hour(hour: int) -> datetime:
    """An hour of the day on which these tests play."""
    return NOON.replace(hour=hour)


def an_own_forecast() -> Forecast:
    """Two hours from noon on."""
    return Forecast(NOON, NOON, timedelta(hours=1), (1000, 2000), f"{OWN}, ridge", 7)
