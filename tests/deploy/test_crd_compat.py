"""Which changes of a CRD break users, and which do not."""

import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from carbonaware_operator.api.crds import documents
from deploy.release import check, history
from deploy.release.crd_compat import breaks
from deploy.release.history import NoHistoryError

Schema = dict[str, Any]


def a_crd(spec: Schema) -> dict[str, Any]:
    """A CRD whose spec has this schema."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec}}}
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip
    names = {"kind": "Job", "plural": "jobs", "shortNames": ["j"]}
    return {
        "metadata": {"name": "jobs.x"},
        "spec": {"group": "x", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def a_field(**schema: object) -> Schema:
    """A spec with one field."""
    return {"properties": {"grams": schema}}


def a_rule(text: str) -> Schema:
    """A spec with a CEL rule at its root."""
    return {"x-kubernetes-validations": [{"rule": text, "message": f"must be {text}"}]}


INTEGER = a_field(type="integer", minimum=0, maximum=10)
WORD = a_field(type="string", enum=["A", "B"])
LIST = a_field(type="array", items={"type": "string", "maxLength": 8})
MAP = a_field(type="object", additionalProperties={"type": "string"})

BREAKING = {
    "a field is gone": (INTEGER, {}, ".spec.grams: the field is gone"),
    "another type": (INTEGER, a_field(type="string"), ".spec.grams: type integer became string"),
    "a lower maximum": (
        INTEGER, a_field(type="integer", minimum=0, maximum=9), "maximum 10 became 9"),
    "a higher minimum": (
        INTEGER, a_field(type="integer", minimum=1, maximum=10), "minimum 0 became 1"),
    "a bound where none was": (
        a_field(type="string"), a_field(type="string", maxLength=9), "maxLength None became 9"),
    "a word less": (WORD, a_field(type="string", enum=["A"]), "B may not be said any more"),
    "only some words": (a_field(type="string"), WORD, "only ['A', 'B'] are left"),
    "a new required field": (
        {}, a_field(type="string") | {"required": ["grams"]}, ".spec.grams: it became required"),
    "an old field that becomes required": (
        INTEGER, INTEGER | {"required": ["grams"]}, ".spec.grams: it became required"),
    "a new rule": ({}, a_rule("self.a > 1"), ".spec: a new rule: must be self.a > 1"),
    "a narrower item": (
        LIST, a_field(type="array", items={"type": "string", "maxLength": 7}),
        ".spec.grams[]: maxLength 8 became 7"),
    "another value in a map": (
        MAP, a_field(type="object", additionalProperties={"type": "integer"}),
        ".spec.grams.*: type string became integer"),
    "a pattern": (
        a_field(type="string"), a_field(type="string", pattern="^a$"), "pattern None became ^a$"),
    "a list that becomes a set": (
        LIST, a_field(type="array", items={"type": "string", "maxLength": 8},
                      **{"x-kubernetes-list-type": "set"}),
        "x-kubernetes-list-type None became set"),
    "unknown fields are dropped": (
        a_field(type="object", **{"x-kubernetes-preserve-unknown-fields": True}),
        a_field(type="object"), "unknown fields are not kept any more"),
}  # fmt: skip

HARMLESS = {
    "nothing": (INTEGER, INTEGER),
    "a new optional field": ({}, INTEGER),
    "a wider bound": (INTEGER, a_field(type="integer", minimum=-1, maximum=11)),
    "no bound any more": (INTEGER, a_field(type="integer")),
    "a word more": (WORD, a_field(type="string", enum=["A", "B", "C"])),
    "whole numbers become any": (INTEGER, a_field(type="number", minimum=0, maximum=10)),
    "a rule less": (a_rule("self.a > 1"), {}),
    "another message of a rule": (
        a_rule("self.a"), {"x-kubernetes-validations": [{"rule": "self.a", "message": "other"}]}),
    "another description": (INTEGER, a_field(**INTEGER["properties"]["grams"], description="")),
    "required no more": (INTEGER | {"required": ["grams"]}, INTEGER),
}  # fmt: skip


class TestSchema:
    @pytest.mark.parametrize(("old", "new", "said"), BREAKING.values(), ids=BREAKING.keys())
    def test_breaks_by(self, old: Schema, new: Schema, said: str):
        """Each is found once, with its place."""
        (found,) = breaks(a_crd(old), a_crd(new))

        assert said in str(found)

    @pytest.mark.parametrize(("old", "new"), HARMLESS.values(), ids=HARMLESS.keys())
    def test_is_not_broken_by(self, old: Schema, new: Schema):
        """What was accepted still is."""
        assert [] == breaks(a_crd(old), a_crd(new))


class TestDefinition:
    def test_that_is_gone_breaks_all(self):
        """Its objects would be deleted."""
        assert ["jobs.x : the kind is gone"] == [str(b) for b in breaks(a_crd({}), None)]

    def test_breaks_when_a_version_is_served_no_more(self):
        """A manifest that names it is refused."""
        new = a_crd({})
        new["spec"]["versions"][0]["name"] = "v2"

        assert ["jobs.x/v1 : the version is not served any more"] == [
            str(b) for b in breaks(a_crd({}), new)
        ]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"scope": "Cluster"}, "scope: Namespaced became Cluster"),
            ({"names": {"kind": "Job", "plural": "jobs"}}, "names.shortNames: j is gone"),
        ],
    )
    def test_breaks_with_its_names(self, change: Schema, said: str):
        """Commands and manifests are written with them."""
        new = a_crd({})
        new["spec"] |= change

        assert [f"jobs.x {said}"] == [str(b) for b in breaks(a_crd({}), new)]

    def test_breaks_without_its_status(self):
        """The operator writes there."""
        new = deepcopy(a_crd({}))
        new["spec"]["versions"][0]["subresources"] = {}

        assert ["jobs.x/v1 subresources.status: it is gone"] == [
            str(b) for b in breaks(a_crd({}), new)
        ]

    def test_of_ours_does_not_break_itself(self):
        """The comparison goes through all that the generator writes."""
        assert [] == [b for crd in documents().values() for b in breaks(crd, crd)]


class TestOurs:
    @pytest.mark.slow  # asks git
    def test_breaks_nobody_without_a_reason(self):
        """Against the previous release; crd_breaks.yaml has the reasons."""
        try:
            history.previous()
        except NoHistoryError as reason:
            pytest.skip(str(reason))
        current = {crd["metadata"]["name"]: crd for crd in documents().values()}

        assert "" == check.crd_breaks(current)

    def test_with_a_reason_is_let_through(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        """Brackets in a line are brackets; a star is anything."""
        reasons = tmp_path / "reasons.yaml"
        reasons.write_text('"jobs.x/v1 .spec.*[]: maxLength 8 *": shorter words\n')
        narrower = a_field(type="array", items={"type": "string", "maxLength": 7})
        monkeypatch.setattr(check, "_MEANT_BREAKS", reasons)
        monkeypatch.setattr(history, "documents", lambda folder: {"jobs.x": a_crd(LIST)})

        assert "" == check.crd_breaks({"jobs.x": a_crd(narrower)})
        assert "jobs.x : the kind is gone" == check.crd_breaks({})


class TestHistory:
    def test_of_a_shallow_clone_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """A forge's checkout is shallow unless it is told otherwise."""
        origin, clone = tmp_path / "origin", tmp_path / "clone"
        commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q"]
        subprocess.run(["git", "init", "-q", origin], check=True)
        for text in ("one", "two"):
            subprocess.run([*commit, "--allow-empty", "-m", text], cwd=origin, check=True)
        subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{origin}", clone], check=True)
        monkeypatch.setattr(history.pins, "ROOT", clone)

        with pytest.raises(NoHistoryError, match="git fetch --unshallow"):
            history.previous.__wrapped__()

    def test_without_the_chart_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """As in an sdist, which has no repository at all."""
        monkeypatch.setattr(history.pins, "ROOT", tmp_path)

        with pytest.raises(NoHistoryError, match="git"):
            history.previous.__wrapped__()
