"""Definitions that are there before the release is, by each Helm: docs/install.md says the way."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from chart_release import KEPT, Release
from testbed import binaries
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

CRDS = Path(__file__).parents[2] / "crds"
BY_KUBECTL = ("apply", "--server-side", "-f")


@pytest.fixture(params=["Helm 4", "Helm 3"])
def helm(request: pytest.FixtureRequest, progress: Callable[[str], None]) -> Path | None:
    """The pinned Helm, and the one before it."""
    if request.param == "Helm 4":
        return None
    binaries.ensure((binaries.HELM_3,), progress)
    return binaries.HELM_3.path


@pytest.fixture
def release(bare_cluster: Cluster, tmp_path: Path, helm: Path | None) -> Iterator[Release]:
    """Nothing installed; all of it is removed again."""
    release = Release(bare_cluster, tmp_path, case="no-agent", program=helm)
    yield release
    release.helm("uninstall", "--no-hooks", "--ignore-not-found")
    bare_cluster.kubectl("delete", "-f", str(CRDS), "--ignore-not-found")


def uids(release: Release) -> set[str]:
    """Of the CRDs: one that is made anew has lost all its objects."""
    return {each["metadata"]["uid"] for each in release.get("crd", *map(_name, KEPT))["items"]}


def _name(crd: str) -> str:
    return crd.partition("/")[2]


def older(name: str) -> str:
    """A definition of another version."""
    crd = yaml.safe_load((CRDS / f"{name}.yaml").read_text())
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "as it was"
    return json.dumps(crd)


class TestDefinitionsOfKubectl:
    def test_are_left_to_it(self, release: Release) -> None:
        """With `crds.install=false`; the policies come with the release."""
        for name in ("carbonzones", "carbonawarejobs"):
            release.cluster.kubectl(*BY_KUBECTL, str(CRDS / f"{name}.yaml"))
        before = uids(release)
        release.values["crds"] = {"install": False}

        release.apply("install", "--create-namespace")
        release.helm("uninstall", "--no-hooks")

        assert (before, set()) == (uids(release), release.left)

    def test_are_refused_until_the_release_takes_them(self, release: Release) -> None:
        """Helm takes over what it did not make only when it is told to, policies included."""
        release.cluster.kubectl(*BY_KUBECTL, str(CRDS))
        before = uids(release)

        with pytest.raises(KubectlError, match="invalid ownership metadata"):
            release.apply("install", "--create-namespace")
        release.apply("upgrade", "--install", "--take-ownership")
        release.apply("upgrade")

        assert (before, KEPT) == (uids(release), KEPT & release.left)

    def test_of_another_version_are_replaced_by_force(
        self, release: Release, helm: Path | None
    ) -> None:
        """Helm 4 applies on the server, where what `kubectl` set is its own; Helm 3 overwrites."""
        for name in ("carbonzones", "carbonawarejobs"):
            release.cluster.kubectl(*BY_KUBECTL, "-", input=older(name))
        before = uids(release)
        flags = ["--create-namespace", "--take-ownership"]
        if helm is None:
            with pytest.raises(KubectlError, match='conflict with "kubectl"'):
                release.apply("install", *flags)
            flags.append("--force-conflicts")

        release.apply("upgrade", "--install", *flags)
        release.apply("upgrade")

        schema = release.get("crd", "carbonzones.carbonaware.io")["spec"]["versions"][0]["schema"]
        assert "as it was" != schema["openAPIV3Schema"]["description"]
        assert before == uids(release)


class TestDefinitionsOfAnotherRelease:
    def test_are_refused_until_the_release_takes_them(self, release: Release) -> None:
        """As kept by one of another name, or in another namespace."""
        place = ("--namespace", "elsewhere")
        values = ("--set", "image.repository=x/y", "--create-namespace")
        chart = str(CRDS.parent / "helm" / "carbonaware")
        release.cluster.helm("install", "green", chart, *place, *values)
        release.cluster.helm("uninstall", "green", *place, "--no-hooks")
        before = uids(release)

        with pytest.raises(KubectlError, match='current value is "green"'):
            release.apply("install", "--create-namespace")
        release.apply("upgrade", "--install", "--take-ownership")

        assert (before, KEPT) == (uids(release), KEPT & release.left)
