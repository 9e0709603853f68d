"""What every custom resource's model shares: camelCase names, bounds, Kubernetes schema marks."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from carbonaware_operator.quantities.durations import PATTERN as DURATION_PATTERN
from carbonaware_operator.quantities.instants import PATTERN as INSTANT_PATTERN

GROUP = "carbonaware.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
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


ATOMIC_LIST: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
# One manager owns the whole list: granular ownership of 500 entries costs 45 kB of managedFields.

Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        max_length=32,
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("duration(self) > duration('0s')", "must be longer than zero")
            ]
        },
    ),
]
Timestamp = Annotated[
    str,
    Field(max_length=64, pattern=INSTANT_PATTERN, json_schema_extra={"format": "date-time"}),
]
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
