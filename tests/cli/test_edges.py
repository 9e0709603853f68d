"""Exit codes, errors and colour: what every command has in common."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from carbonaware_operator.cli import main
from programs import console_script
from stand_in_api import (
    Run,
    StandInApi,
    condition_of,
    operator_status,
    stored_job,
    stored_zone,
)

COMMANDS = [
    *("list", "zones", "zones check de", "explain train", "release train", "hold train"),
    *("suspend train", "resume train", "wait train", "top nodes"),
]
ROOT = "/apis/carbonaware.io/v1alpha1"
JOBS = f"{ROOT}/namespaces/ml-team/carbonawarejobs"
AGENTS = "/api/v1/namespaces/carbonaware-system/pods"
EVERYTHING = (JOBS, f"{JOBS}/train", f"{ROOT}/carbonzones", f"{ROOT}/carbonzones/de", AGENTS)
"""What commands ask for first."""
READING = ("list", "explain train", "wait train", "top nodes")
LIST = '{"metadata": {"resourceVersion": "7"}, "items": [%s]}'
SHAPES = ("[]", "<html>", '{"metadata": 3, "items": 4}', LIST % "{}", LIST % '"job"')


class TestErrors:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_cluster_that_does_not_answer_is_exit_code_3(
        self, kubectl_carbonaware: Run, api: StandInApi, tmp_path: Path, command: str
    ) -> None:
        """One line that names the options to look at, and no traceback."""
        nowhere = api.kubeconfig(tmp_path / "nowhere", server="http://127.0.0.1:1")

        result = kubectl_carbonaware(*command.split(), "--kubeconfig", str(nowhere))

        assert (3, "") == (result.exit_code, result.stdout)
        assert 1 == len(result.stderr.splitlines())
        assert "check --kubeconfig and --context" in result.stderr

    @pytest.mark.parametrize("verb", ["explain", "release", "suspend", "resume"])
    def test_a_job_that_does_not_exist_is_exit_code_1(
        self, kubectl_carbonaware: Run, verb: str
    ) -> None:
        """It says where to look for the right name."""
        result = kubectl_carbonaware(verb, "lost")

        assert (1, "") == (result.exit_code, result.stdout)
        assert result.stderr == (
            "Error: there is no CarbonAwareJob ml-team/lost;"
            " `kubectl carbonaware list -A` shows all\n"
        )

    @pytest.mark.parametrize(
        ("status", "says"),
        [
            (401, "log in to it again"),
            (403, "ask the cluster's administrator"),
            (404, "install carbonaware there"),
        ],
    )
    def test_a_refusal_is_exit_code_1_and_says_what_to_do(
        self, api: StandInApi, kubectl_carbonaware: Run, status: int, says: str
    ) -> None:
        """Each refusal has another way out."""
        api.refuse[JOBS] = status

        result = kubectl_carbonaware("list")

        assert 1 == result.exit_code
        assert says in result.stderr

    @pytest.mark.parametrize(
        ("command", "status"), [*((c, 500) for c in COMMANDS), ("list", 429), ("hold train", 503)]
    )
    def test_a_cluster_in_trouble_is_exit_code_1(
        self, api: StandInApi, kubectl_carbonaware: Run, command: str, status: int
    ) -> None:
        """Whatever is asked first is refused: one line, and nothing is half done."""
        api.add(stored_job(), stored_zone())
        api.refuse |= dict.fromkeys(EVERYTHING, status)

        result = kubectl_carbonaware(*command.split())

        assert (1, "", []) == (result.exit_code, result.stdout, api.patches)
        assert 1 == len(result.stderr.splitlines())

    @pytest.mark.parametrize(
        ("command", "answer"),
        [(c, a) for c in READING for a in SHAPES] + [(c, "{}") for c in COMMANDS],
    )
    def test_an_answer_of_another_shape_is_one_line(
        self, api: StandInApi, kubectl_carbonaware: Run, command: str, answer: str
    ) -> None:
        """As from a proxy, or from another program at that address: no traceback."""
        api.texts |= dict.fromkeys(EVERYTHING, lambda: answer)

        result = kubectl_carbonaware(*command.split())

        assert result.exit_code in (1, 3)
        assert ("", SystemExit) == (result.stdout, type(result.exception))
        *progress, error = result.stderr.splitlines()
        assert error.startswith("Error: ")
        assert len(progress) <= (command == "wait train")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_cluster_that_never_answers_is_given_up(
        self,
        api: StandInApi,
        kubectl_carbonaware: Run,
        monkeypatch: pytest.MonkeyPatch,
        command: str,
    ) -> None:
        """It takes the request and says nothing; the line says how long that was."""
        monkeypatch.setattr("carbonaware_operator.cluster.kube.REQUEST_TIMEOUT_SECONDS", 0.05)
        given_up = threading.Event()
        api.texts |= dict.fromkeys(EVERYTHING, lambda: str(given_up.wait(10)))

        result = kubectl_carbonaware(*command.split())
        given_up.set()

        assert (3, "") == (result.exit_code, result.stdout)
        assert "no answer in 0.05 s" in result.stderr

    @pytest.mark.parametrize("command", ["list", "explain train"])
    def test_words_that_a_later_operator_may_write_are_shown_as_they_are(
        self, api: StandInApi, kubectl_carbonaware: Run, command: str
    ) -> None:
        """A reason or a condition that this program does not know is no error."""
        status = operator_status("MoonTooBright")
        status["conditions"].append(condition_of("Enchanted", True, "ByMoonlight"))
        api.add(stored_job(status=status), stored_zone())

        result = kubectl_carbonaware(*command.split())

        assert 0 == result.exit_code
        assert "MoonTooBright" in result.stdout

    def test_a_context_that_does_not_exist_is_exit_code_3(self, kubectl_carbonaware: Run) -> None:
        """The kubeconfig does not say where the cluster is."""
        result = kubectl_carbonaware("list", "--context", "lost")

        assert 3 == result.exit_code
        assert "--context" in result.stderr

    def test_no_kubeconfig_at_all_is_exit_code_3(
        self, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Neither a file nor a pod's service account."""
        monkeypatch.delenv("KUBECONFIG")
        monkeypatch.setenv("HOME", str(tmp_path))

        result = kubectl_carbonaware("list")

        assert 3 == result.exit_code
        assert "no usable kubeconfig" in result.stderr

    def test_the_script_itself_adds_nothing_to_the_one_line(self, tmp_path: Path) -> None:
        """No log line of a library, no traceback."""
        environment = {"KUBECONFIG": str(tmp_path / "lost"), "HOME": str(tmp_path)}

        done = subprocess.run(
            [console_script("kubectl-carbonaware"), "list"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (3, "") == (done.returncode, done.stdout)
        assert 1 == len(done.stderr.splitlines())

    def test_several_files_in_kubeconfig_are_merged(
        self, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As kubectl does; a file that does not exist is passed over."""
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'lost'}:{tmp_path / 'config'}")

        assert 0 == kubectl_carbonaware("list").exit_code

    def test_an_object_of_another_version_is_named(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A strategy that this program does not know yet."""
        api.add(stored_job(strategy="Telepathy"))

        for command in ("list", "explain train"):
            result = kubectl_carbonaware(*command.split())

            assert 1 == result.exit_code
            assert "ml-team/train is from another version" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ["list", "-A", "-n", "far"],
            ["list", "-A", "train"],
            ["list", "-w", "-o", "json"],
            ["wait", "train", "--for", "ever"],
            ["list", "-o", "xml"],
            ["release", "train", "--timeout", "soon"],
            ["explain"],
            ["explain", ".."],
            ["explain", "a?b"],
            ["list", "-n", ".."],
            ["zones", "check", "a%2fb"],
            ["list", "--kubeconfig", "/does/not/exist"],
        ],
    )
    def test_wrong_usage_is_exit_code_2(
        self, kubectl_carbonaware: Run, arguments: list[str]
    ) -> None:
        """The cluster is not asked."""
        assert 2 == kubectl_carbonaware(*arguments).exit_code

    def test_an_interrupt_is_exit_code_130_and_says_nothing(
        self, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C is how `-w` ends."""

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("carbonaware_operator.cli.session.KubeClient", interrupted)
        result = kubectl_carbonaware("list", "-w")

        assert (130, "") == (result.exit_code, result.output)


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], *([*c.split(), "--help"] for c in COMMANDS)])
    def test_says_the_exit_codes(self, kubectl_carbonaware: Run, arguments: list[str]) -> None:
        """Scripts depend on them."""
        result = kubectl_carbonaware(*arguments)

        assert 0 == result.exit_code
        assert result.stdout.startswith("Usage: kubectl carbonaware")
        assert "Exit codes: 0 " in result.stdout

    @pytest.mark.parametrize("name", main.COMMANDS)
    def test_says_of_a_command_what_its_own_help_says_first(self, name: str) -> None:
        """The list of commands is a table of its own, so that none is loaded for it."""
        command = main.loaded(name)

        assert (name, main.COMMANDS[name][1]) == (
            command.name,
            (command.help or "").partition("\n")[0].replace("JOB", "a job"),
        )

    def test_needs_neither_a_client_nor_models(self) -> None:
        """Help and the completion of commands come at once."""
        check = (
            "import sys; from click.testing import CliRunner;"
            "from carbonaware_operator.cli.main import cli;"
            "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
            "sys.exit(bool({'kubernetes', 'aiohttp', 'pydantic', 'numpy'} & set(sys.modules)))"
        )

        assert 0 == subprocess.run([sys.executable, "-c", check], check=False).returncode


class TestColour:
    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [
            ({"FORCE_COLOR": "1"}, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
            ({}, False),
        ],
        ids=["as on a terminal", "as on a terminal, with NO_COLOR", "into a pipe"],
    )
    def test_is_for_terminals_that_want_it(
        self,
        api: StandInApi,
        kubectl_carbonaware: Run,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        coloured: bool,
    ) -> None:
        """Neither pipes nor NO_COLOR get escape sequences."""
        for name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", **environment}.items():
            monkeypatch.setenv(name, value)
        api.add(stored_job(status=operator_status("AboveMaxIntensity")))

        assert coloured == ("\x1b[" in kubectl_carbonaware("list").output)
