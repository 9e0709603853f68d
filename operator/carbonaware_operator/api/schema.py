"""What every custom resource's model shares: camelCase names, bounds, Kubernetes schema marks."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from carbonaware_operator.quantities.durations import PATTERN as DURATION_PATTERN
from carbonaware_operator.quantities.instants import PATTERN as INSTANT_PATTERN

GROUP = "carbonaware.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
PLANNER_MANAGER = "carbonaware-planner"
"""The field manager of decisions; it never changes, or what it owns could not be taken back."""
CRD_NAMES = (f"carbonawarejobs.{GROUP}", f"carbonzones.{GROUP}")


class Schema(BaseModel):
    """A part of a custom resource; unknown fields are ignored: a newer CRD breaks no operator."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


def rule(expression: str, message: str) -> dict[str, str]:
    """One CEL validation; `message` says what must hold."""
    return {"rule": expression, "message": message}


def rules(*validations: dict[str, str]) -> ConfigDict:
    """A model configuration that attaches CEL validations to the object."""
    marks: dict[str, Any] = {"x-kubernetes-validations": [*validations]}
    return ConfigDict(json_schema_extra=marks)


def worded(pattern: str, message: str, *, also: str = "true") -> Callable[[dict[str, Any]], None]:
    """Marks of a text whose pattern the API server asks for in words, with an example.

    It would show the pattern itself, and say that no rule was looked at. also: what must hold
    besides, in CEL.
    """

    def mark(schema: dict[str, Any]) -> None:
        schema.pop("pattern", None)
        expression = f"self.matches(r'{pattern}')" + ("" if also == "true" else f" && {also}")
        schema["x-kubernetes-validations"] = [rule(expression, message)]

    return mark


ATOMIC_LIST: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
# One manager owns the whole list: granular ownership of 500 entries costs 45 kB of managedFields.

Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        max_length=32,
        json_schema_extra=worded(
            DURATION_PATTERN,
            "must be a duration longer than zero, such as 2h30m",
            also="duration(self) > duration('0s')",
        ),
    ),
]
Timestamp = Annotated[
    str,
    Field(max_length=64, pattern=INSTANT_PATTERN, json_schema_extra={"format": "date-time"}),
]
"""An instant that the operator writes."""
_GIVEN_INSTANT = (
    r"^(19[7-9][0-9]|[2-8][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""Narrow enough that nearly all that it lets through is in the calendar."""
GivenTimestamp = Annotated[
    str,
    # Without format date-time, which makes of it what no rule can match with a pattern.
    Field(
        max_length=64,
        pattern=_GIVEN_INSTANT,
        json_schema_extra=worded(
            _GIVEN_INSTANT,
            "must be an instant with its offset, such as 2026-12-01T08:00:00+01:00",
            also="timestamp(self) > timestamp('1969-12-31T00:00:00Z')",
        ),
    ),
]
"""An instant that users write."""
BaseUrl = Annotated[
    str,
    Field(
        max_length=512,
        pattern="^https?://",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    r"self.matches(r'^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
                    r"(/[^?#\s]*)?$')",
                    "must be http(s)://HOST[:PORT][/PATH], without user, query or fragment",
                )
            ]
        },
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=253)]
ShortText = Annotated[str, Field(max_length=1024)]
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Count64 = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
GramsPerKWh = Annotated[int, Field(ge=0, le=5000)]
MilligramsPerKWhField = Annotated[int, Field(ge=0, le=5_000_000)]
Percent = Annotated[int, Field(ge=0, le=100)]


class Condition(Schema):
    """One observation of an object's state, as in the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=316, description="What is observed, in CamelCase.")]
    status: Annotated[
        str,
        Field(
            description="Whether it holds.",
            json_schema_extra={"enum": ["True", "False", "Unknown"]},
        ),
    ]
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, description="Why, as one CamelCase word.")
    ]
    message: Annotated[
        str, Field(max_length=32768, description="Why, for people, and what to change.")
    ]
    last_transition_time: Annotated[Timestamp, Field(description="When `status` last changed.")]
    observed_generation: Annotated[
        Count64 | None, Field(description="The generation of the spec that this speaks of.")
    ] = None


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
