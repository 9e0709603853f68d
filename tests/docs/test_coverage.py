"""Nothing in a fence of README and docs escapes: a runner takes it, or its page says why not."""

import re

import pytest

from documents import REASONS, TEXTS, Block, Page, pages

BLOCKS = [block for page in pages() for block in page.blocks]


def untaken(block: Block) -> list[str]:
    """What no test of this folder would run."""
    if block.language in ("sh", "console"):
        return [c.text for c in block.commands if not c.runner] or (
            [] if block.commands else ["no command"]
        )
    # test_manifests takes yaml and json, test_references promql.
    return [] if block.language in ("yaml", "json", "promql", *TEXTS) else [block.language]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_is_run_or_says_why_not(block):
    """A command that nobody runs is wrong a year later."""
    assert block.not_run or block.is_script or [] == untaken(block)


def test_reasons_not_to_run_a_block_are_of_the_list():
    """A new reason is argued for in documents.py, not on the page."""
    given = {(block.where, block.not_run) for block in BLOCKS if block.not_run}

    assert set() == {(where, reason) for where, reason in given if reason not in REASONS}


def test_a_runner_does_not_hide_behind_a_reason():
    """Manifests and queries need nothing that the tests lack."""
    assert [] == [b.where for b in BLOCKS if b.not_run and b.language in ("promql", "json")]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_commands_stand_in_fences(page: Page):
    """An indented command has no language, so nothing would run it."""
    indented = re.findall(
        r"^    \$?\s*((?:kubectl |helm |make |carbonaware-|sum by |python).*)", page.prose, re.M
    )

    assert [] == indented
