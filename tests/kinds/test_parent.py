"""Whose workload an object is, and under which name it is looked for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_child_body, a_job_body
from carbonaware_operator.kinds.parent import child_name, parent_uid

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
POD_SUFFIX = "-abcde"
words = st.text("az09-", min_size=1, max_size=20).map(lambda word: f"a{word}z")
job_names = st.lists(words, min_size=1, max_size=4).map(lambda parts: ".".join(parts)[:62] + "a")


class TestChildName:
    @given(job_names, st.uuids().map(str))
    def test_names_a_job_and_its_pods(self, name, uid):
        """A valid DNS label, also with the suffix of a pod: dots and long names are no trouble."""
        child = child_name(name, uid)

        assert LABEL.fullmatch(child + POD_SUFFIX)
        assert len(child + POD_SUFFIX) <= 63

    def test_is_the_same_for_ever(self):
        """A release that was interrupted finds its child by name: it must never change."""
        assert "nightly-train-1886ab50b4" == child_name("nightly.train", "1b4e28ba-2fa1")

    def test_differs_for_a_job_created_again_under_its_name(self):
        """The uid is in the name: an old child is not taken for the new job's."""
        assert child_name("train", "uid-1") != child_name("train", "uid-2")

    def test_differs_where_names_differ_only_in_their_tails(self):
        """What is cut off is still in the hash, by the uid."""
        assert child_name("a" * 60, "uid-1") != child_name("a" * 61, "uid-2")


class TestParentUid:
    def test_is_the_controllers(self):
        """The ownerReference says whose child it is."""
        assert "uid-train" == parent_uid(a_child_body(a_job_body()))

    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param({"ownerReferences": []}, id="a label alone"),
            pytest.param({"name": "another-name"}, id="an owner, but not the name of its child"),
        ],
    )
    def test_is_not_believed(self, forged):
        """Anybody can write labels and owners; the deterministic name there is but once."""
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
