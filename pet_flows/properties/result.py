"""What the results of all properties share: strict, finite, every field with unit and meaning."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from pet_flows.properties.settings import unit

Vector = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Matrix = Annotated[list[Vector], Field(min_length=3, max_length=3)]
IntMatrix = Annotated[
    list[Annotated[list[int], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)
]
Matrix6 = Annotated[
    list[Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)]],
    Field(min_length=6, max_length=6),
]


class Strict(BaseModel):
    """No unknown field, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LatticeParameters(Strict):
    """Lengths and angles of the cell."""

    a: FiniteFloat = Field(
        description="first length",
        json_schema_extra=unit("Å"),
    )
    b: FiniteFloat = Field(
        description="second length",
        json_schema_extra=unit("Å"),
    )
    c: FiniteFloat = Field(
        description="third length",
        json_schema_extra=unit("Å"),
    )
    alpha: FiniteFloat = Field(
        description="between b and c",
        json_schema_extra=unit("°"),
    )
    beta: FiniteFloat = Field(
        description="between a and c",
        json_schema_extra=unit("°"),
    )
    gamma: FiniteFloat = Field(
        description="between a and b",
        json_schema_extra=unit("°"),
    )
