"""Whose workload an object is, and under which name it is looked for."""

import pytest

from builders import a_child_body, a_job_body
from carbonaware_operator.kinds.parent import earlier_name, parent_uid


class TestEarlierName:
    def test_is_the_one_that_children_bear_which_the_first_version_started(self):
        """They may run for weeks beyond an upgrade: how it was made must never change."""
        assert "nightly-train-1886ab50b4" == earlier_name("nightly.train", "1b4e28ba-2fa1")


class TestParentUid:
    def test_is_the_controllers(self):
        """The ownerReference says whose child it is."""
        assert "uid-train" == parent_uid(a_child_body(a_job_body()))

    def test_is_known_of_a_child_that_the_first_version_started(self):
        """An upgrade loses no running job."""
        child = a_child_body(a_job_body(), name=earlier_name("train", "uid-train"))

        assert "uid-train" == parent_uid(child)

    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param({"ownerReferences": []}, id="a label alone"),
            pytest.param({"name": "another-name"}, id="an owner, but not the name of its child"),
        ],
    )
    def test_is_not_believed(self, forged):
        """Anybody can write labels and owners; the name there is but once."""
        assert None is parent_uid(a_child_body(a_job_body(), **forged))

    @pytest.mark.parametrize(
        "change",
        [{"controller": False}, {"apiVersion": "batch/v1"}, {"kind": "CarbonZone"}],
        ids=["not its controller", "another API", "another kind"],
    )
    def test_must_be_a_controlling_carbon_aware_job(self, change):
        """Other owners are none of ours."""
        body = a_child_body(a_job_body())
        body["metadata"]["ownerReferences"][0] |= change

        assert None is parent_uid(body)
