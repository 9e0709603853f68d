"""The manifests of the demo are what the API accepts and the story demands."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonaware_operator.api.job import CarbonAwareJob
from carbonaware_operator.api.zone import CarbonZone
from demo_facts import OPENING, a_scene
from testbed.demo import scene
from testbed.demo.day import typical_day


def jobs(**changes):
    """The five manifests by name."""
    made = scene.jobs(a_scene(**changes), typical_day(), OPENING)
    return {body["metadata"]["name"]: body for body in made}


def pod(job):
    """The pod template of a job."""
    return job["spec"]["jobTemplate"]["spec"]["template"]


class TestJobs:
    def test_are_five_valid_carbon_aware_jobs(self):
        """The operator's own model reads each, and knows every field of its schedule."""
        made = jobs()

        assert list(scene.JOBS) == list(made)
        for body in made.values():
            read = CarbonAwareJob.model_validate(body).spec.schedule
            assert body["spec"]["schedule"] == read.model_dump(by_alias=True, exclude_none=True)

    def test_of_a_simulated_node_say_how_long_and_how_much_they_burn(self):
        """Nothing is executed there."""
        annotations = pod(jobs()[scene.WINDOW])["metadata"]["annotations"]

        assert {"15s", "1000"} == set(annotations.values())

    def test_of_a_real_node_carry_no_annotation_of_the_testbed(self):
        """Real pods burn for real."""
        assert {} == pod(jobs(node_kind="real")[scene.WINDOW])["metadata"]

    def test_run_where_the_agent_measures(self):
        """On a cluster of many nodes only one is watched."""
        selector = pod(jobs(node_name="here")[scene.WINDOW])["spec"]["nodeSelector"]

        assert {"kubernetes.io/hostname": "here"} == selector

    def test_only_one_is_suspended(self):
        """Until its user releases it, in one change."""
        assert [n for n, body in jobs().items() if body["spec"].get("suspend")] == [scene.SUSPENDED]
        assert scene.release_by_user()["spec"]["suspend"] is False


class TestZone:
    def test_plays_the_day_from_a_config_map_beside_the_operator(self):
        """The operator reads ConfigMaps only in its own namespace."""
        recording, body = scene.zone(a_scene(), typical_day())

        source = CarbonZone.model_validate(body).spec.source.recording
        assert "system" == recording["metadata"]["namespace"]
        assert recording["metadata"]["name"] == source.config_map_ref.name
        assert typical_day().csv() == recording["data"][source.config_map_ref.key]


class TestNextOpening:
    @pytest.mark.parametrize(
        ("second", "expected"),
        [(0, 60), (44, 16), (45, 15), (46, 74), (59, 61)],
    )
    def test_is_a_full_minute_that_is_worth_waiting_for(self, second, expected):
        """Windows are given in minutes; at least 15 s are left to see the job wait."""
        now = datetime(2026, 3, 1, 23, 58, second, tzinfo=UTC)

        assert now + timedelta(seconds=expected) == scene.next_opening(now).start
