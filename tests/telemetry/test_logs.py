"""Log lines are JSON objects with constant texts and fields."""

import json
import logging
from collections.abc import Iterator

import pytest

from carbonaware_operator.telemetry.logs import configure


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Put the root logger back as it was."""
    root, noisy = logging.getLogger(), logging.getLogger("kopf")
    before, level, quiet = root.handlers[:], root.level, noisy.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    noisy.setLevel(quiet)


def line(capsys) -> dict[str, str]:
    """The one line on standard error."""
    (written,) = capsys.readouterr().err.splitlines()
    return dict(json.loads(written))


class TestConfigure:
    def test_writes_fields_beside_the_text(self, capsys):
        """Texts are constant, so that they can be counted; what varies is a field."""
        configure("INFO")

        logging.getLogger("carbonaware_operator.x").info("released", extra={"reason": "Immediate"})

        written = line(capsys)
        assert ("INFO", "released", "Immediate") == (
            written["level"],
            written["message"],
            written["reason"],
        )

    def test_keeps_an_exception_in_its_line(self, capsys):
        """A traceback over many lines cannot be parsed."""
        configure("INFO")

        logging.getLogger("x").error("loop failed", exc_info=ValueError("odd"))

        assert "ValueError: odd" in line(capsys)["exc_info"]

    def test_leaves_out_the_chatter_of_libraries(self, capsys):
        """Kopf tells of every event that it sees."""
        configure("DEBUG")

        logging.getLogger("kopf").info("an event")

        assert "" == capsys.readouterr().err
