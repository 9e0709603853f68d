"""What the pages name exists: links, anchors, files, make targets, benchmarks, flags, metrics."""

import re
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO

import click
import promql_parser
import pytest

from benchmarks.__main__ import NAMES as BENCHMARKS
from carbonaware_agent import settings as agent_settings
from carbonaware_agent.serving import reference as agent_reference
from carbonaware_operator import settings as operator_settings
from carbonaware_operator.cli.main import cli
from carbonaware_operator.telemetry import reference as operator_reference
from documents import ROOT, Command, Page, commands, pages
from testbed.__main__ import main as cluster_cli

EACH_PAGE = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TOP = {entry.name for entry in ROOT.iterdir()} - {"operator", "agent"}
METRIC = re.compile(r"\b(?:carbonaware|namespace|cluster)[_:][a-zA-Z0-9_:]+")
# Of kube-state-metrics, cAdvisor and Prometheus itself.
FOREIGN_METRICS = re.compile(r"kube_|container_|up$|ALERTS|scrape_|DCGM_|nvidia_")


@EACH_PAGE
def test_links_lead_to_a_page_and_a_heading(page: Page):
    """Relative ones; what lies outside of the repository is not asked."""
    anchors = {each.path: each.anchors for each in pages()}
    dead = []
    for link in page.links:
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or (anchor and anchor not in anchors.get(target, {anchor})):
            dead.append(link)

    assert [] == dead


@EACH_PAGE
def test_files_in_backticks_exist(page: Page):
    """Those that begin with a folder of the repository; `*` and `<name>` stand for any."""
    files = [q for q in page.quoted if re.fullmatch(r"[\w.*<>-]+(/[\w.*<>-]*)+", q)]
    ours = [each for each in files if each.split("/")[0] in TOP or each.startswith("operator/c")]

    assert [] == [each for each in ours if not any(ROOT.glob(re.sub(r"<\w+>", "*", each)))]


def test_make_targets_exist():
    """`make X`, in fences and in prose."""
    assert [] == [c for c in commands("make target") if not set(_bare(c.words[1:])) <= MAKE_TARGETS]


def test_benchmarks_exist():
    """`python -m benchmarks X`."""
    named = [(c, c.words[c.words.index("benchmarks") + 1 :]) for c in commands("benchmark")]

    assert [] == [c for c, names in named if not set(_bare(names)) <= set(BENCHMARKS)]


def test_selections_of_tests_find_some():
    """`pytest PATH -k WORD`: the path exists, and a test's name there contains the word."""
    for command in commands("tests"):
        words = command.words
        paths = [ROOT / each for each in words if each.startswith("tests")] or [ROOT / "tests"]
        assert all(path.exists() for path in paths), f"{command.where}: {command.text}"
        files = [
            f for path in paths for f in (path.rglob("test_*.py") if path.is_dir() else [path])
        ]
        keyword = words[words.index("-k") + 1] if "-k" in words else ""
        found = re.findall(rf"def test_\w*{keyword}", "".join(f.read_text() for f in files))
        assert found, f"{command.where}: {command.text}"


def test_targets_of_images_exist():
    """`docker build --target X`, and that of podman and buildah."""
    dockerfile = ROOT / "Dockerfile"
    stages = (
        re.findall(r"(?m)^FROM .* AS (\S+)$", dockerfile.read_text()) if dockerfile.exists() else []
    )
    named = [
        c.words[c.words.index("--target") + 1] for c in commands("image") if "--target" in c.words
    ]

    assert [] == [each for each in named if each not in stages]


def test_our_programs_take_the_arguments():
    """Operator, agent and testbed, by their own parsers."""
    refused = {c.where: why for c in commands("arguments") if (why := _refusal(c))}

    assert {} == refused


def test_the_plugin_has_the_commands_and_options():
    """`kubectl carbonaware ...`, also with words that stand for a name."""
    plugin = [c for c in commands("shell") if c.words[:2] == ["kubectl", "carbonaware"]]

    assert plugin
    assert {} == {c.text: why for c in plugin if (why := _unknown(cli, c.words[2:]))}


def test_queries_are_promql_over_metrics_that_exist():
    """In promql fences; a recording rule's name counts once the chart ships the rule."""
    known = set(METRIC.findall(operator_reference.rendered() + agent_reference.rendered()))
    for rules in ROOT.glob("helm/carbonaware/rules/*.yaml"):
        known |= set(re.findall(r"record: (\S+)", rules.read_text()))
    for block in (b for page in pages() for b in page.blocks if b.language == "promql"):
        for query in re.split(r"\n\s*\n", block.text.strip()):
            promql_parser.parse(query)
        assert set(METRIC.findall(block.text)) <= known, block.where


def _bare(words: list[str]) -> list[str]:
    return [each for each in words if not each.startswith("-") and "=" not in each]


def _refusal(command: Command) -> str:
    words = command.words
    if words[0] == "carbonaware-operator":
        return _exits(operator_settings.parse, words[1:])
    if words[0] == "carbonaware-agent":
        return (
            ""
            if words[1:2] in (["calibrate"], ["fit"], ["load"])
            else _exits(agent_settings.parse, words[1:])
        )
    following = words[words.index("-m") + 1 :]
    return _unknown(cluster_cli, following[1:]) if following[0] == "testbed" else ""


def _exits(parse: Callable[[list[str]], object], words: list[str]) -> str:
    said = StringIO()
    try:
        with redirect_stderr(said):
            parse(words)
    except SystemExit as ended:
        return said.getvalue() if ended.code else ""
    return ""


def _unknown(command: click.Command, words: list[str]) -> str:
    """The first word that a command line of click does not know; empty if it knows all."""
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            try:
                _, found, _ = command.resolve_command(click.Context(command), [word])
            except click.UsageError:
                return f"no command {word}"
            command = found or command
        options = {o for p in command.params for o in p.opts} | {"-h", "--help", "--version"}
        if word.startswith("-") and word.partition("=")[0] not in options:
            return f"no option {word}"
    return ""
