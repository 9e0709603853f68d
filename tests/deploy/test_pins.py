"""The pinned requirements of each part: what an image, an SBOM and `make try` are made of."""

import re

import pytest

from deploy import pins

CONSTRAINTS = """\
aiohttp==3.14.5 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.4.6 \\
    --hash=sha256:cc
pytest==9.0.0 \\
    --hash=sha256:dd
"""


class TestPinned:
    def test_cuts_out_whole_blocks(self):
        """A hash that is left behind would let nothing be installed."""
        assert pins.pinned(CONSTRAINTS, {"numpy", "aiohttp"}) == CONSTRAINTS.partition("pytest")[0]

    def test_refuses_what_is_not_pinned(self):
        """Pip would take the newest one there is, or refuse the file without a word why."""
        with pytest.raises(ValueError, match="does not pin h2, kopf"):
            pins.pinned(CONSTRAINTS, {"numpy", "kopf", "h2"})


class TestPackages:
    def test_takes_in_what_packages_need_themselves(self):
        """Also by way of their extras, such as the asynchronous half of kubernetes."""
        assert {"kopf", "aiohttp", "yarl", "pydantic-core"} <= pins.packages("operator")

    @pytest.mark.parametrize("part", [*pins.PARTS, pins.BUILD])
    def test_leaves_out_what_developers_need(self, part: str):
        """And the agent is small: it speaks to the kubelet without kopf or kubernetes."""
        others = {"kopf", "kubernetes", "pydantic"} if part == "agent" else set()

        assert not ({"pytest", "mypy", "ruff", "hypothesis"} | others) & pins.packages(part)


@pytest.mark.parametrize("name", sorted(pins.documents()))
def test_the_files_are_as_generated(name: str):
    """`make generate` writes them anew."""
    text = (pins.FOLDER / name).read_text()

    assert pins.documents()[name] == text
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", text))
