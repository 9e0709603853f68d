"""The pinned programs are found, compiled and fetched from what is committed."""

import pytest

from testbed import binaries, debian, placement
from testbed.errors import TestbedError
from testbed.placement import choose_node, claim
from testbed.toolchain import version_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test here sees or changes the user's clusters and binaries."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(placement, "_LONGEST_FOLDER", len(str(tmp_path)) + 40)


class TestPins:
    @pytest.mark.parametrize(
        "tool",
        [*binaries.CONTROL_PLANE, *binaries.SIMULATED_NODE, *binaries.REAL_NODE],
        ids=lambda tool: tool.name,
    )
    def test_every_module_file_pins_its_tool(self, tool):
        """The version decides the folder, so a new pin is compiled beside the old one."""
        assert tool.version.startswith("v")
        assert tool.path.parent.parent.name == f"{tool.folder}-{tool.version}"


class TestGoVersion:
    @pytest.mark.parametrize(
        ("answer", "version"),
        [
            ("go version go1.26.8 linux/amd64", (1, 26)),
            ("go version go1.9 linux/amd64", (1, 9)),
            ("", (0, 0)),
        ],
    )
    def test_reads_what_go_prints(self, answer, version):
        """Versions compare as numbers: 1.9 is older than 1.26."""
        assert version_of(answer) == version


class TestDeps:
    def test_says_what_it_skips_and_why_without_root(self, monkeypatch):
        """It goes on: clusters get a simulated node."""
        monkeypatch.setattr(debian, "missing", lambda: ["containerd"])
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        said = []

        debian.install(said.append)

        assert "containerd" in said[0]
        assert "needs root" in said[0] or "no apt-get" in said[0]


class TestChoosingANode:
    def test_auto_says_why_the_node_is_not_real(self, monkeypatch):
        """Whoever expected a real node learns what is missing."""
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        said = []

        assert choose_node("auto", said.append) == "simulated"
        assert said == ["the node is simulated: a real node needs root"]

    def test_a_wish_for_a_real_node_is_not_replaced(self, monkeypatch):
        """The caller gets an error, not another node."""
        monkeypatch.setattr("os.geteuid", lambda: 1000)

        with pytest.raises(TestbedError, match="needs root"):
            choose_node("real", print)


class TestClaiming:
    def test_each_cluster_gets_a_slot_of_its_own(self):
        """Two clusters of one user never share addresses."""
        slots = [claim(name, "none")[1].slot for name in ("one", "two")]

        assert slots == [0, 1]

    def test_a_name_is_taken_once(self):
        """The second caller learns how to end the first cluster."""
        claim("one", "none")

        with pytest.raises(TestbedError, match="testbed down --name one"):
            claim("one", "none")

    def test_refuses_a_folder_too_deep_for_sockets(self, monkeypatch, tmp_path):
        """The message says what to shorten."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("deep" * 10)))

        with pytest.raises(TestbedError, match="shorter XDG_CACHE_HOME"):
            claim("one", "none")

    @pytest.mark.parametrize("name", ["", "..", "a/b", "Upper", "-a", "a" * 31])
    def test_refuses_names_that_do_not_fit_paths_and_host_names(self, name):
        """The message says what fits."""
        with pytest.raises(TestbedError, match="1 to 30 lower case"):
            claim(name, "none")
