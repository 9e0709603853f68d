"""Agents are found and asked; what one of them does concerns it alone."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from accounting_edges import HandClock, JobsApi, PlayedAgent
from accounting_fakes import HOUR, MIDNIGHT, hours
from carbonaware_operator.cluster import agents as agents_module
from carbonaware_operator.cluster.agents import AgentScraper, Scrape, ScrapeResult
from carbonaware_operator.cluster.kube import ApiError

NOON = MIDNIGHT + hours(12)


def a_slice(*endpoints: dict[str, Any], family: str = "IPv4") -> dict[str, Any]:
    """An EndpointSlice with a port for metrics and one for something else."""
    return {
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "other", "port": 1}, {"name": "metrics", "port": 9102}],
    }


def an_endpoint(address: str, pod: str = "", **conditions: Any) -> dict[str, Any]:
    """One endpoint of a slice."""
    reference = {"targetRef": {"kind": "Pod", "uid": pod}} if pod else {}
    return {"addresses": [address], "conditions": conditions, **reference}


@pytest.fixture
def kube() -> JobsApi:
    """A cluster without agents."""
    return JobsApi()


@pytest.fixture
async def agent() -> AsyncIterator[PlayedAgent]:
    """An agent at noon whose only owner has used 7 uJ."""
    played = await PlayedAgent(HandClock(NOON)).start()
    played.owner("mine").use(7, NOON)
    yield played
    await played.stop()


async def scrape(*urls: str, owners: frozenset[str] = frozenset({"mine"})) -> dict[str, Scrape]:
    """Answers by URL to the question for the last two hours."""
    scraper = AgentScraper(JobsApi(), namespace="carbon", urls=urls)
    since = dict.fromkeys(urls, NOON - hours(2))
    found = await scraper.scrape(since, owners=owners, period_seconds=HOUR)
    return {one.url: one for one in found}


class TestFind:
    async def test_takes_addresses_given_and_endpoints_of_the_service(self, kube: JobsApi) -> None:
        """Both are asked, each once; the Service is looked up in the operator's namespace."""
        kube.slices = [a_slice(an_endpoint("10.0.0.5", ready=True))]
        scraper = AgentScraper(
            kube, namespace="carbon", urls=["http://127.0.0.1:1/", "http://10.0.0.5:9102"]
        )

        assert ["http://127.0.0.1:1", "http://10.0.0.5:9102"] == await scraper.find()
        assert [
            "LIST endpointslices carbon kubernetes.io/service-name=carbonaware-agent"
        ] == kube.requests

    @pytest.mark.parametrize(
        ("conditions", "found"),
        [
            ({"ready": True}, True),
            ({}, True),
            ({"ready": False, "serving": True, "terminating": True}, True),
            ({"ready": False, "serving": False}, False),
            ({"ready": False}, False),
        ],
        ids=["ready", "unknown counts as ready", "still serving", "neither", "not ready"],
    )
    async def test_takes_endpoints_that_answer(
        self, kube: JobsApi, conditions: dict[str, Any], found: bool
    ) -> None:
        """A pod that ends is asked for its last readings."""
        kube.slices = [a_slice(an_endpoint("10.0.0.5", **conditions))]

        urls = await AgentScraper(kube, namespace="carbon").find()

        assert found == bool(urls)

    async def test_writes_ipv6_in_brackets(self, kube: JobsApi) -> None:
        """An address with colons is told from its port."""
        kube.slices = [a_slice(an_endpoint("fd00::5"), family="IPv6")]

        assert ["http://[fd00::5]:9102"] == await AgentScraper(kube, namespace="c").find()

    async def test_asks_a_pod_with_two_addresses_once(self, kube: JobsApi) -> None:
        """A Service of both address families has a slice for each."""
        kube.slices = [
            a_slice(an_endpoint("fd00::5", "pod-1"), family="IPv6"),
            a_slice(an_endpoint("10.0.0.5", "pod-1")),
        ]

        assert ["http://10.0.0.5:9102"] == await AgentScraper(kube, namespace="c").find()

    async def test_leaves_out_slices_without_the_port(self, kube: JobsApi) -> None:
        """Another port speaks something else."""
        kube.slices = [a_slice(an_endpoint("10.0.0.5")) | {"ports": None}]

        assert [] == await AgentScraper(kube, namespace="c").find()

    async def test_keeps_what_it_found_while_the_api_server_is_away(self, kube: JobsApi) -> None:
        """Agents answer without the API server; they are asked on."""
        kube.slices = [a_slice(an_endpoint("10.0.0.5"))]
        scraper = AgentScraper(kube, namespace="c")
        before = await scraper.find()
        kube.slices_error = ApiError(0, "Unreachable", "away")

        assert before == await scraper.find()


class TestScrape:
    async def test_reads_an_agent(self, agent: PlayedAgent) -> None:
        """The answer comes compressed, and from the instant asked for."""
        (answer,) = (await scrape(agent.url)).values()

        assert ScrapeResult.OK == answer.result
        assert answer.reading is not None
        assert [7] == [series.microjoules for series in answer.reading.series]
        assert 2 == len(answer.reading.series[0].marks)
        assert [NOON - hours(2)] == agent.asked

    async def test_leaves_out_owners_that_are_nobodys(self, agent: PlayedAgent) -> None:
        """Most pods of a cluster are no CarbonAwareJob's; the node is heard all the same."""
        (answer,) = (await scrape(agent.url, owners=frozenset())).values()

        assert answer.reading is not None
        assert ("n1", ()) == (answer.reading.node, answer.reading.series)

    async def test_of_one_that_fails_harms_no_other(self, agent: PlayedAgent) -> None:
        """Nobody listens at one address; the other agent's answer is there."""
        answers = await scrape("http://127.0.0.1:9", agent.url)

        assert ScrapeResult.UNREACHABLE == answers["http://127.0.0.1:9"].result
        assert ScrapeResult.OK == answers[agent.url].result

    async def test_counts_an_http_error_as_unreachable(self, agent: PlayedAgent) -> None:
        """An agent that says it cannot answer is asked again later."""
        agent.silent = True

        assert ScrapeResult.UNREACHABLE == (await scrape(agent.url))[agent.url].result

    @pytest.mark.parametrize("text", ["", "<html>", "carbonaware_x 1\n"])
    async def test_says_when_an_answer_is_malformed(self, agent: PlayedAgent, text: str) -> None:
        """What is cut off or not an agent's is counted as such, and not used."""
        agent.text = text

        answer = (await scrape(agent.url))[agent.url]

        assert (ScrapeResult.MALFORMED, None) == (answer.result, answer.reading)

    async def test_names_the_flag_when_an_agent_has_another_period(
        self, agent: PlayedAgent, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The log says which flag to change, and on which node."""
        agent.period_seconds = 60

        answer = (await scrape(agent.url))[agent.url]

        assert ScrapeResult.MALFORMED == answer.result
        assert "--accounting-period-seconds" in caplog.records[0].__dict__["error"]

    async def test_stops_reading_an_endless_answer(
        self, agent: PlayedAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The limit holds for what the compressed answer becomes."""
        monkeypatch.setattr(agents_module, "MOST_BYTES", 100_000)
        agent.text = "#" * 200_000

        assert len(gzip.compress(agent.text.encode())) < 1000
        assert ScrapeResult.MALFORMED == (await scrape(agent.url))[agent.url].result

    async def test_follows_no_redirect(self, agent: PlayedAgent) -> None:
        """An agent cannot send the operator elsewhere."""
        app = web.Application()
        target = agent.url + "/metrics/accounting"

        async def redirect(_: web.Request) -> web.Response:
            raise web.HTTPFound(target)

        app.router.add_get("/metrics/accounting", redirect)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://{}:{}".format(*runner.addresses[0][:2])

        answer = (await scrape(url))[url]

        await runner.cleanup()
        assert ScrapeResult.UNREACHABLE == answer.result
        assert [] == agent.asked
