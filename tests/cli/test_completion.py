"""Shell completion: names from the cluster, and silence when there is none."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from carbonaware_operator.cli.complete import answer
from stand_in_api import Run, StandInApi, stored_job, stored_zone

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

pytestmark = pytest.mark.usefixtures("kubectl_carbonaware")


class TestKubectlCompletion:
    @pytest.mark.parametrize(
        ("words", "lines"),
        [
            (["explain", ""], ["eval", "train", ":4"]),
            (["hold", "tr"], ["train", ":4"]),
            (["explain", "-n", "far", ""], ["there", ":4"]),
            (["zones", "check", ""], ["de", "fr", ":4"]),
            (["list", "--context", "o"], ["other", ":4"]),
            (["wait", "train", "--for", "e"], ["ended", ":4"]),
            (["forecast", "backtest", "--trace", ""], [":4"]),
            (["list", "--kubeconfig", ""], [":0"]),
        ],
    )
    def test_completes_names_and_choices(
        self, api: StandInApi, words: list[str], lines: list[str]
    ) -> None:
        """The last word is the unfinished one; the last line says whether files would do."""
        api.add(stored_job("train"), stored_job("eval"), stored_job("there", namespace="far"))
        api.add(stored_zone("de"), stored_zone("fr"))

        assert lines == answer(words)

    def test_of_a_command_says_what_it_does(self) -> None:
        """Kubectl shows it beside the name."""
        assert [
            "resume\tLet a job go on after `hold` or `suspend`.",
            "release\tStart a job now, whatever the grid.",
            ":4",
        ] == sorted(answer(["re"]), reverse=True)

    def test_is_silent_without_a_cluster(
        self, api: StandInApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error has no place in a prompt."""
        nowhere = api.kubeconfig(tmp_path / "nowhere", server="http://127.0.0.1:1")
        monkeypatch.setenv("KUBECONFIG", str(nowhere))

        assert [":4"] == answer(["explain", ""])

    def test_leaves_out_what_a_shell_would_run(
        self, api: StandInApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A kubeconfig from elsewhere may name its contexts as it likes."""
        names = ["$(id)", "a;b", "a\nb", "admin@eks/eu:1"]
        path = api.kubeconfig(tmp_path / "hostile")
        config = yaml.safe_load(path.read_text())
        context = config["contexts"][0]
        config["contexts"] += [{**context, "name": name} for name in names]
        path.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(path))

        assert ["admin@eks/eu:1", "main", "other", ":4"] == answer(["list", "--context", ""])

    def test_is_a_program_of_its_own(self) -> None:
        """Kubectl looks for it on PATH by this very name."""
        scripts = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]
        module, _, function = scripts["kubectl_complete-carbonaware"].partition(":")
        argv = [sys.executable, "-c", f"import {module} as m; m.{function}()"]

        done = subprocess.run(
            [*argv, "wait", "x", "--for", ""], capture_output=True, text=True, check=True
        )

        assert "started\ncomplete\nfailed\nended\n:4\n" == done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_prints_a_script_that_asks_the_program(kubectl_carbonaware: Run, shell: str) -> None:
    """The variable is the one that the program answers to."""
    script = kubectl_carbonaware("completion", shell).stdout

    assert f"_KUBECTL_CARBONAWARE_COMPLETE={shell}_complete" in script
