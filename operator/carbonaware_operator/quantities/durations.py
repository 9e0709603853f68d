"""Durations as Kubernetes users write them: Go syntax such as `2h30m`."""

import re
from datetime import timedelta

PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LIMIT_SECONDS = 2**63 / 1e9  # Go counts nanoseconds in an int64


class DurationError(ValueError):
    """The text is not a duration in Go syntax."""


def parse_duration(text: str) -> timedelta:
    """Read a Go-style duration.

    Raises DurationError: the text does not match `PATTERN`, or is longer than Go can hold.
    Source: Go's time.ParseDuration, without sign.
    """
    if not re.fullmatch(PATTERN, text):
        raise DurationError(f"duration must look like 2h30m, not {text!r}")
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
    if seconds >= _LIMIT_SECONDS:
        raise DurationError(f"duration must be shorter than 292 years, not {text!r}")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration the way people say it, to the second: `26h0m5s` is `26h5s`."""
    seconds = round(duration.total_seconds())
    hours, minutes, rest = seconds // 3600, seconds % 3600 // 60, seconds % 60
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n]
    return "".join(parts) or "0s"
