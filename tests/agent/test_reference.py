"""The page that lists the agent's metrics."""

from pathlib import Path

from carbonaware_agent.serving import reference

PAGE = Path(__file__).parents[2] / "docs/metrics-agent.md"


def test_the_page_is_what_the_code_says():
    """After a change of the table, `make generate` writes it anew."""
    assert reference.rendered() == PAGE.read_text()
