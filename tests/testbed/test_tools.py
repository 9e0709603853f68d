"""The pinned programs are found, compiled and fetched from what is committed."""

import re

import pytest

from testbed import binaries, compiler, debian, placement, wheels
from testbed.errors import BuildFailedError, TestbedError
from testbed.locations import TOOLS
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
    def test_every_program_is_pinned_and_kept_by_version(self, tool):
        """The folder says whose program it is."""
        title = f"{tool.module.folder}-{tool.module.version}"
        assert tool.path.parent.parent.name.startswith(f"{title}-")
        assert tool.package in pinned_tools(tool.module.folder)

    def test_a_program_compiled_otherwise_is_another_one(self, monkeypatch):
        """After a change of flags nobody measures with a program of before."""
        before = binaries.path_of("kube-apiserver")

        monkeypatch.setattr(binaries, "FLAGS", ("-race",))

        assert binaries.path_of("kube-apiserver") != before


def pinned_tools(folder):
    """The main packages that a module file of ours names."""
    text = (TOOLS / folder / "go.mod").read_text()
    return re.findall(r"^(?:tool |\t)(\S+)$", text, re.MULTILINE)


GO = """\
#!/bin/sh
case "$*" in
  list*) printf 'unsafe\\t{folder}\\t\\t\\nkwok\\t{folder}\\tmain.go\\tunsafe fmt\\n' ;;
  *-o*)
    for word; do [ "$before" = -o ] && into=$word; before=$word; done
    {build} ;;
esac
"""


@pytest.fixture
def plays_go(monkeypatch, tmp_path):
    """Makes a shell script play the compiler; `build` is what it does to link a program."""
    monkeypatch.setattr(wheels, "kubectl", lambda: tmp_path)

    def play(build):
        program = tmp_path / "go"
        (tmp_path / "main.go").touch()
        program.write_text(GO.format(folder=tmp_path, build=build))
        program.chmod(0o700)
        monkeypatch.setattr(compiler, "go_program", lambda: program)

    return play


class TestEnsure:
    def test_puts_a_compiled_program_where_it_belongs(self, plays_go):
        """And leaves nothing else beside it."""
        plays_go('touch "$into/kwok"')
        said = []

        binaries.ensure(binaries.SIMULATED_NODE, said.append)

        kwok = binaries.path_of("kwok")
        assert [kwok] == list(kwok.parent.iterdir())
        assert re.search(r"kwok v.*: ready after \d+ s", said[-1])

    def test_compiles_nothing_that_is_there(self, plays_go):
        """The second cluster starts at once."""
        plays_go('touch "$into/kwok"')
        binaries.ensure(binaries.SIMULATED_NODE, print)
        said = []

        binaries.ensure(binaries.SIMULATED_NODE, said.append)

        assert said == []

    def test_shows_what_the_compiler_said(self, plays_go):
        """Together with where all of it is and what to check."""
        plays_go("echo no space left on device; exit 1")

        with pytest.raises(BuildFailedError, match=r"(?s)build-kwok\.log.*no space left.*disk"):
            binaries.ensure(binaries.SIMULATED_NODE, print)

    def test_goes_on_after_a_build_that_was_killed(self, plays_go):
        """What the killed one left is removed."""
        plays_go('touch "$into/kwok"')
        kwok = binaries.path_of("kwok")
        (kwok.parent / ".unfinished.1").mkdir(parents=True)

        binaries.ensure(binaries.SIMULATED_NODE, print)

        assert [kwok] == list(kwok.parent.iterdir())


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
