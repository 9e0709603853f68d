"""JSON log lines on standard error: a constant event text and fields."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Send every logger to standard error as JSON; kopf's own below WARNING are left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp", "urllib3", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.root.level))
