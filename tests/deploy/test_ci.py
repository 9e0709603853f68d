"""The definitions for users' own forges: they name what exists, and invent no host."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import pins
from deploy.release import sbom

FOLDER = pins.ROOT / "examples" / "ci"
FILES = sorted(FOLDER.glob("*.yaml"))
MAKE = re.compile(r"\bmake ((?:[a-z-]+ ?)+)")
HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|dev|io|net|org)\b")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest) -> Path:
    """Each definition."""
    path: Path = request.param
    return path


def scripts(node: Any) -> Iterator[str]:
    """Every shell text in a definition."""
    if isinstance(node, dict):
        for key, inner in node.items():
            if key in ("run", "script"):
                yield "\n".join(inner) if isinstance(inner, list) else inner
            yield from scripts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from scripts(inner)


class TestDefinition:
    def test_calls_targets_that_the_makefile_has(self, file: Path):
        """And the one that checks a release among them."""
        targets = set(re.findall(r"^([a-z-]+):", (pins.ROOT / "Makefile").read_text(), re.M))
        text = "\n".join(scripts(yaml.safe_load(file.read_text())))
        called = {name for found in MAKE.findall(text) for name in found.split()}

        assert "release-check" in called
        assert called <= targets

    def test_builds_signs_and_attests_every_image(self, file: Path):
        """Each with its SBOM, by the digest: a tag may move."""
        definition = file.read_text()

        assert all(
            command in definition for command in ("cosign sign --yes", "cosign attest --yes")
        )
        assert "sbom-$image.cdx.json" in definition
        assert "for image in operator agent" in definition
        assert {"operator", "agent"} == set(sbom.IMAGES)

    def test_names_no_host(self, file: Path):
        """The registry is a variable; what stands for one is reserved for documentation."""
        assert {"registry.example.com"} >= set(HOST.findall(file.read_text()))

    def test_passes_secrets_by_stdin(self, file: Path):
        """An argument can be read by every process of the machine."""
        for text in scripts(yaml.safe_load(file.read_text())):
            for line in text.splitlines():
                assert "REGISTRY_PASSWORD" not in line or "--password-stdin" in line

    def test_fetches_the_whole_history(self, file: Path):
        """A shallow clone has no previous release to be compared with."""
        assert re.search(r'(fetch-depth: 0|GIT_DEPTH: "0")', file.read_text())


class TestGithub:
    definition = yaml.safe_load((FOLDER / "github.yaml").read_text())

    def test_pins_every_action(self):
        """By a version; what is not pinned may be anything tomorrow."""
        used = [step["uses"] for job in self.definition["jobs"].values() for step in job["steps"]
                if "uses" in step]  # fmt: skip

        assert used
        assert [] == [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action)]

    def test_grants_no_more_than_reading_but_to_the_release(self):
        """What runs for anybody's pull request can write nothing."""
        assert {"contents": "read"} == self.definition["permissions"]
        assert "permissions" not in self.definition["jobs"]["test"]
        assert "refs/tags/v" in self.definition["jobs"]["release"]["if"]
        assert {"push", "pull_request"} == self.definition[True].keys()  # `on` is true in YAML 1.1


class TestGitlab:
    definition = yaml.safe_load((FOLDER / "gitlab.yaml").read_text())

    def test_runs_each_job_in_a_stage_that_exists(self):
        """And publishes from a tag alone."""
        jobs = {name: job for name, job in self.definition.items()
                if isinstance(job, dict) and "script" in job}  # fmt: skip

        assert {job["stage"] for job in jobs.values()} == set(self.definition["stages"])
        assert [".tags-only"] * 2 == [jobs[name]["extends"] for name in ("images", "publish")]
        assert {"files", "images"} == set(jobs["publish"]["needs"])
