"""PURE: the pages that users read, taken apart: fenced blocks, commands, links, words in backticks.

What stands in a fence is run by a test of tests/docs, or says in the source of the page why not:

    <!-- not run: changes this machine -->
    ```sh

The reason is one of REASONS, so that each exception is seen and argued for once.
`<!-- run as a script -->` makes one shell script of such blocks of a page.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "helm/carbonaware/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

REASONS = {
    "builds an image": "needs a container engine and a registry; tests/image builds the same file",
    "needs a real node": "a simulated node runs no process",
    "needs a GPU node": "no GPU in the testbed",
    "needs another cluster": "kind, Argo CD and their like are not part of the testbed",
    "needs Prometheus": "monitoring.coreos.com is not served by the testbed",
    "needs power counters": "calibration reads RAPL of an idle machine",
    "asks a provider": "a provider on the internet, or an account with one",
    "changes this machine": "installs for the user or the whole machine",
    "needs a forge": "publishes to a registry or a forge",
    "follows a failed uninstall": "tests/chart/test_uninstall.py runs it, after such an uninstall",
}
TEXTS = ("text", "csv")
"""Languages of what nothing runs: output, formulas, files."""

# How the commands of a page are run. The first pattern that the command's words begin with holds.
RUNNERS = (
    ("make target", r"make "),
    ("benchmark", r"\S*python3? -m benchmarks "),
    ("tests", r"(\S*python3? -m )?pytest "),
    ("arguments", r"carbonaware-(agent|operator) |\S*python3? -m testbed "),
    ("image", r"(docker|podman|buildah) (build|push|tag|save) "),
    ("package", r"(\S*pip|pipx) install |\S*python3? -m venv "),
    ("shell", r"(kubectl|helm) "),
)

_FENCE = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"<!-- (?:not run: (?P<reason>.+?)|run as a (?P<script>script)) -->\s*\Z")
_FILE_NAME = re.compile(r"\A# (\S+\.ya?ml)\n")
_BACKTICKS = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page, with the output that the page shows for it."""

    where: str
    text: str
    output: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """Its words as a shell takes them, up to the first pipe; without leading assignments."""
        lexer = shlex.shlex(self.text.replace("\\\n", ""), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set("|&;<>"):
                break
            if words or not re.match(r"[A-Z_]+=", word):
                words.append(word)
        return words

    @property
    def runner(self) -> str:
        """Which of RUNNERS takes it; empty if none does."""
        line = " ".join([*self.words, ""])
        return next((name for name, pattern in RUNNERS if re.match(pattern, line)), "")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    not_run: the reason that the page gives, if any.
    is_script: all such blocks of a page are one script, with its variables and its programs.
    """

    where: str
    language: str
    text: str
    not_run: str = ""
    is_script: bool = False

    @property
    def commands(self) -> list[Command]:
        """The commands of a sh or console block; of a console those after `$ `."""
        if self.language == "sh":
            return [Command(self.where, each) for each in _joined(self.text.splitlines())]
        return self._dialogue() if self.language == "console" else []

    def _dialogue(self) -> list[Command]:
        commands = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            command = next(_joined(lines))
            shown = lines[command.count("\n") + 1 :]
            commands.append(Command(self.where, command, tuple(filter(str.strip, shown))))
        return commands

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The documents of a yaml block."""
        return [each for each in yaml.safe_load_all(self.text) if each]

    @property
    def is_manifest(self) -> bool:
        """Whether it is what `kubectl apply` takes, not a fragment such as values of a chart."""
        return self.language == "yaml" and all("apiVersion" in each for each in self.manifests)

    @property
    def is_values(self) -> bool:
        """Whether it is values of the chart."""
        if self.language != "yaml" or self.is_manifest:
            return False
        return "scrape_configs" not in yaml.safe_load(self.text)

    @property
    def file_name(self) -> str:
        """The name that a first line `# name.yaml` gives it, for the commands after it."""
        named = _FILE_NAME.match(self.text)
        return named.group(1) if named else ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    path: Path
    text: str = field(repr=False)

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in order."""
        found = []
        for fence in _FENCE.finditer(self.text):
            before = self.text[: fence.start()]
            marker = _MARKER.search(before)
            where = f"{self.name}:{before.count(chr(10)) + 1}"
            indent = len(fence.group(1))
            text = re.sub(rf"^ {{0,{indent}}}", "", fence.group(3), flags=re.MULTILINE)
            said = marker.groupdict() if marker else {}
            reason, script = said.get("reason") or "", bool(said.get("script"))
            found.append(Block(where, fence.group(2), text, reason, script))
        return found

    @property
    def prose(self) -> str:
        """What is left without fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def quoted(self) -> list[str]:
        """What stands in backticks."""
        return [each.replace("\\|", "|") for each in _BACKTICKS.findall(self.prose)]

    @property
    def links(self) -> list[str]:
        """The targets of its links."""
        return _LINK.findall(_BACKTICKS.sub("", self.prose)) + _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link may name after `#`: its headings, as forges spell them."""
        spelt = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in self._headings()]
        return {
            each if not i else f"{each}-{i}" for each in spelt for i in range(spelt.count(each))
        }

    def _headings(self) -> list[str]:
        return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in _HEADING.findall(self.prose)]


@cache
def pages() -> list[Page]:
    """Every page that exists."""
    return [Page(path, path.read_text()) for path in PAGES if path.exists()]


def commands(runner: str) -> list[Command]:
    """The commands of every page that this runner takes: in fences, and quoted in prose."""
    fenced = [c for page in pages() for block in page.blocks for c in block.commands]
    quoted = [Command(page.name, each) for page in pages() for each in page.quoted if " " in each]
    return [each for each in fenced + quoted if each.runner == runner]


def _joined(lines: list[str]) -> Iterator[str]:
    """Commands of several lines as one: after a backslash or a pipe, and here-documents."""
    pending: list[str] = []
    end = ""
    for line in lines:
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending.append(line)
        here = re.search(r"<<-?\s*'?(\w+)'?", line)
        end = here.group(1) if here else end
        if end and line.strip() != end:
            continue
        if not end and line.rstrip().endswith(("\\", "|")):
            continue
        yield "\n".join(pending)
        pending, end = [], ""
