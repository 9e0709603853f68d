"""What can be read of an object that cannot be read as a whole, found out part by part.

After a roll-back a job may hold a word of the newer version, and the API server knows time zones
that this machine does not. Such a job keeps what can be read of it: above all its deadline.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

ODD = (ValueError, LookupError, TypeError, AttributeError, OSError)
"""What reading an odd object raises; OSError: a time zone that is a folder of the database."""

_WORDS = 200  # of what is wrong with one part: a message of a library may repeat the whole value


@dataclass(frozen=True, slots=True)
class Readable:
    """An object without what cannot be read of it, and what that was, by its path."""

    body: dict[str, Any]
    problems: dict[str, str]


def readable(body: dict[str, Any], read: Callable[[dict[str, Any]], object]) -> Readable:
    """Keep the parts of a job that `read` takes one by one.

    Raises what `read` raises when it takes not even an object without spec and status.
    """
    kept: dict[str, Any] = {
        "metadata": body["metadata"],
        "spec": {"jobTemplate": {"spec": {}}},
        "status": {},
    }
    read(kept)
    problems = {}
    for path, part in _parts(body):
        more = _joined(kept, part)
        try:
            read(more)
        except ODD as error:
            problems[path] = said_by(error)
        else:
            kept = more
    return Readable(kept, problems)


def said_by(error: Exception) -> str:
    """What is wrong, without what a library wraps around it."""
    if isinstance(error, ValidationError):
        text = error.errors(include_url=False, include_input=False)[0]["msg"]
    else:
        text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
    return text[:_WORDS]


def _parts(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and object of each field, of those of the schedule, and of each item of a list."""
    for section in ("spec", "status"):
        fields = body.get(section)
        for name, value in fields.items() if isinstance(fields, dict) else ():
            path = f"{section}.{name}"
            if name == "schedule" and isinstance(value, dict):
                for key, fields_of_it in _schedule_parts(value):
                    yield f"{path}.{key}", {section: {name: fields_of_it}}
            elif section == "status" and isinstance(value, list):
                for item in value:
                    yield path, {section: {name: [item]}}
            else:
                yield path, {section: {name: value}}


def _schedule_parts(schedule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in schedule.items():
        if key == "finishBy":  # the one means nothing without the other
            yield key, {key: value, "expectedDuration": schedule.get("expectedDuration")}
        elif key != "expectedDuration" or "finishBy" not in schedule:
            yield key, {key: value}


def _joined(one: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both objects in one; lists one behind the other."""
    joined = dict(one)
    for key, value in more.items():
        before = joined.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            joined[key] = _joined(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            joined[key] = [*before, *value]
        else:
            joined[key] = value
    return joined
