"""`kubectl carbonaware top`: two looks at the agents, joined with jobs and their grid."""

import json
from collections.abc import Callable
from itertools import cycle

import pytest

from carbonaware_operator.cli.usage import PageError, nodes, owners, read_page
from stand_in_api import Object, Run, StandInApi, operator_status, stored_job, stored_zone

AGENTS = "/api/v1/namespaces/carbonaware-system/pods"


def page(seconds: float, domain: str = "package", **joules: float) -> str:
    """An agent's page: so many joules of each owner, and of the node as many as of all of them."""
    owner = (
        'carbonaware_owner_energy_joules_total{{namespace="ml-team",owner_kind="Job",'
        'owner_name="{0}",owner_uid="child-of-{0}",domain="{2}",source="rapl",boundary="chip",'
        'epoch="e"}} {1:.6f}\n'
    )
    return (
        "".join(owner.format(name, value, domain) for name, value in joules.items())
        + 'carbonaware_node_energy_joules_total{domain="package-0",source="rapl",boundary="chip"} '
        + f"{sum(joules.values()):.6f}\n"
        + f"carbonaware_agent_sample_timestamp_seconds {seconds:.3f}\n# EOF\n"
    )


def an_agent(
    node: str, phase: str = "Running", port: int = 9102, name: str = "", **metadata: str
) -> Object:
    """The pod of an agent, in a release with a name of its own."""
    labels = {
        "app.kubernetes.io/name": "another",
        "app.kubernetes.io/part-of": "carbonaware",
        "app.kubernetes.io/component": "agent",
    }
    ports = [{"name": "metrics", "containerPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"agent-{node}",
            "namespace": "carbonaware-system",
            "labels": labels,
            **metadata,
        },
        "spec": {"nodeName": node, "containers": [{"name": "agent", "ports": ports}]},
        "status": {"phase": phase},
    }


def a_running_job(name: str, zone: str = "de") -> Object:
    """A CarbonAwareJob whose child Job is the owner `name` of the pages."""
    job = stored_job(name, zone=zone, status=operator_status("Immediate", released=True))
    child = {"name": name, "uid": f"child-of-{name}"}
    job["status"]["workload"] = {"apiVersion": "batch/v1", "kind": "Job", **child}
    return job


def successive(*texts: str) -> Callable[[], str]:
    """Answers one after the other, and then again from the first."""
    asked = cycle(texts)
    return lambda: next(asked)


@pytest.fixture
def top(api: StandInApi, kubectl_carbonaware: Run) -> Run:
    """Two jobs on two nodes; `train` draws 100 W and 20 W, `eval` 10 W, over two seconds."""
    api.add(stored_zone("de", grams=300), a_running_job("train"), a_running_job("eval"))
    api.add(an_agent("n1"), an_agent("n2", port=9200))
    first = successive(page(10, train=7000, eval=10), page(12, train=7200, eval=30))
    second = successive(page(50.5, train=160), page(52.5, train=200))
    api.texts[f"{AGENTS}/agent-n1:9102/proxy/metrics"] = first
    api.texts[f"{AGENTS}/agent-n2:9200/proxy/metrics"] = second
    return lambda *arguments: kubectl_carbonaware("top", *arguments, "--interval", "1ms")


def cells(text: str) -> list[list[str]]:
    """The cells of a printed table."""
    return [[c.strip() for c in line.split("   ") if c.strip()] for line in text.splitlines()]


class TestJobs:
    def test_show_what_they_draw_on_all_nodes_and_what_the_grid_makes_of_it(self, top: Run) -> None:
        """7400 J at 300 g/kWh are 617 mg; 120 W are 36 g an hour."""
        assert [
            ["NAME", "WATTS", "ENERGY", "EMISSIONS", "AN HOUR"],
            ["train", "120.0", "2.06 Wh", "617 mg", "36.0 g"],
            ["eval", "10.0", "30.0 J", "2.5 mg", "3.0 g"],
        ] == cells(top().stdout)

    def test_say_where_the_figures_are_from(self, top: Run) -> None:
        """Which grid, how many nodes, which sensors."""
        _, train, _ = cells(top("jobs", "-o", "wide", "-A").stdout)

        assert ["ml-team", "train"] == train[:2]
        assert ["de", "300", "2", "rapl"] == train[-4:]

    def test_are_a_document_for_programs(self, top: Run) -> None:
        """With the unit in each key."""
        train, _ = json.loads(top("-o", "json").stdout)["items"]

        assert {
            "namespace": "ml-team",
            "name": "train",
            "watts": 120.0,
            "energyJoules": 7400,
            "emissionsMilligrams": 617,
            "emissionsMilligramsPerHour": 36_000,
            "fallback": False,
            "zones": ["de"],
            "nodes": ["n1", "n2"],
            "sources": ["rapl"],
        } == train

    def test_are_sorted_as_asked(self, top: Run) -> None:
        """By name, or the largest first."""
        for key, first in (("name", "eval"), ("energy", "train"), ("emissions", "train")):
            assert first == cells(top("--sort-by", key).stdout)[1][0]

    def test_mark_emissions_that_a_fallback_gives(self, api: StandInApi, top: Run) -> None:
        """420 g/kWh stand in; what is not measured never looks like it."""
        api.add(stored_zone("de", grams=None))

        assert ["~863 mg", "~50.4 g"] == cells(top().stdout)[1][-2:]

    def test_have_no_emissions_for_users_who_may_not_read_zones(
        self, api: StandInApi, top: Run
    ) -> None:
        """Not known is not zero."""
        api.refuse["/apis/carbonaware.io/v1alpha1/carbonzones"] = 403

        assert ["train", "120.0", "2.06 Wh", "-", "-"] == cells(top().stdout)[1]


class TestNamespacesAndNodes:
    def test_sum_what_runs_in_a_namespace_job_or_not(self, api: StandInApi, top: Run) -> None:
        """A Deployment there counts too, at the only zone that there is."""
        del api.objects["/apis/carbonaware.io/v1alpha1/namespaces/ml-team/carbonawarejobs/eval"]

        header, ml_team = cells(top("namespaces").stdout)

        assert "NAMESPACE" == header[0]
        assert ["ml-team", "130.0", "2.06 Wh", "619 mg", "39.0 g"] == ml_team

    def test_sum_the_domains_of_a_node(self, top: Run) -> None:
        """By the name of the node, largest first."""
        assert [["n1", "110.0"], ["n2", "20.0"]] == [
            row[:2] for row in cells(top("nodes").stdout)[1:]
        ]

    def test_need_a_zone_where_there_are_several(self, api: StandInApi, top: Run) -> None:
        """Which grid a node is on is nowhere written: the user says it."""
        api.add(stored_zone("fr", grams=30))

        unknown, known = (cells(top("nodes", *a).stdout)[1] for a in ((), ("--zone", "fr")))
        wrong = top("nodes", "--zone", "xx")

        assert ["-", "-"] == unknown[-2:]
        assert "3.3 g" == known[-1]
        assert (1, "") == (wrong.exit_code, wrong.stdout)


class TestAgents:
    def test_that_do_not_answer_are_named_beside_the_answer(
        self, api: StandInApi, top: Run
    ) -> None:
        """The rest is as good as before."""
        del api.texts[f"{AGENTS}/agent-n2:9200/proxy/metrics"]
        api.refuse[f"{AGENTS}/agent-n2:9200/proxy/metrics"] = 503

        result = top()

        assert (0, ["train", "100.0"]) == (result.exit_code, cells(result.stdout)[1][:2])
        assert "The agent of n2 does not answer, its energy is left out" in result.stderr

    def test_none_of_which_may_be_read_is_an_error(self, api: StandInApi, top: Run) -> None:
        """The API server says which right is missing."""
        for path in list(api.texts):
            del api.texts[path]
            api.refuse[path] = 403

        result = top()

        assert (1, "") == (result.exit_code, result.stdout)
        assert "no agent answers: /api/v1/" in result.stderr

    def test_that_are_not_there_are_looked_for_elsewhere(self, top: Run) -> None:
        """The namespace of the operator is an option."""
        result = top("--operator-namespace", "green")

        assert 1 == result.exit_code
        assert "no agent runs in namespace green" in result.stderr

    def test_may_be_asked_at_their_address(self, api: StandInApi, top: Run) -> None:
        """On a machine of one's own, without a proxy."""
        api.texts["/metrics"] = successive(page(1, train=1), page(2, train=6))

        assert ["train", "5.0"] == cells(top("--agent-url", api.url).stdout)[1][:2]

    @pytest.mark.parametrize(
        ("leaving", "notes"), [({}, 1), ({"deletionTimestamp": "2026-03-01T13:00:00Z"}, 0)]
    )
    def test_of_the_same_node_are_not_added_up(
        self, api: StandInApi, top: Run, leaving: dict[str, str], notes: int
    ) -> None:
        """Each measures all of it; one that another takes the place of is not worth a word."""
        api.add(an_agent("n1", name="second", **leaving))
        api.texts[f"{AGENTS}/second:9102/proxy/metrics"] = successive(
            page(10, train=1), page(12, train=5001)
        )

        result = top("nodes")

        assert ["n1", "110.0"] == cells(result.stdout)[1][:2]
        assert notes * "agent-n1 is read" in result.stderr
        assert notes == len(result.stderr.splitlines())

    def test_whose_page_is_endless_do_not_fill_the_memory(
        self, api: StandInApi, top: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Behind the API server and at an address of one's own."""
        monkeypatch.setattr("carbonaware_operator.cli.agent_pages.MOST_BYTES", 1000)
        api.texts["/metrics"] = api.texts[f"{AGENTS}/agent-n2:9200/proxy/metrics"] = lambda: (
            "x" * 100_000
        )

        behind, given = top(), top("--agent-url", api.url)

        assert (0, ["train", "100.0"]) == (behind.exit_code, cells(behind.stdout)[1][:2])
        assert "n2 does not answer, its energy is left out: " in behind.stderr
        assert (1, "") == (given.exit_code, given.stdout)
        assert "more than 1000 bytes" in behind.stderr + given.stderr

    def test_at_two_addresses_of_one_host_are_two(self, api: StandInApi, top: Run) -> None:
        """As behind an ingress with a path for each node; the same address given twice is one."""
        api.texts["/a/metrics"] = successive(page(1, train=1), page(2, train=6))
        api.texts["/b/metrics"] = successive(page(1, train=1), page(2, train=3))
        urls = [f"--agent-url={api.url}{path}" for path in ("/a", "/a/", "/b")]

        assert ["train", "7.0"] == cells(top(*urls).stdout)[1][:2]


class TestUsage:
    def test_has_no_watts_before_there_are_two_snapshots(self) -> None:
        """The same snapshot twice tells no power; nor does an agent that has just come."""
        once = {"n": read_page(page(10, train=5))}

        assert [None, None] == [use.watts for use in (*owners(once, once), *nodes({}, once))]

    def test_counts_a_series_that_began_in_between_and_never_falls(self) -> None:
        """A new owner starts at zero; an agent without its state starts again."""
        before = {"n": read_page(page(10, train=50))}
        now = {"n": read_page(page(20, train=5, fresh=30))}

        watts = {use.labels["owner_name"]: use.watts for use in owners(before, now)}

        assert {"train": 0.0, "fresh": 3.0} == watts

    @pytest.mark.parametrize(
        "text",
        [
            "<html>",
            'x{a="b} 1\n',
            page(1).replace("carbonaware", "k"),
            page(1, train=float("nan")),
            page(1, train=float("inf")),
            page(1, train=-1),
            page(1, train=1).replace("owner_uid", "other"),
        ],
    )
    def test_refuses_what_is_no_page_of_an_agent(self, text: str) -> None:
        """A proxy's error page is no zero."""
        with pytest.raises(PageError):
            read_page(text)
