"""A DFT value: what it is of, at which level of theory, and who calculated it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from pet_flows.dft.level import LevelOfTheory

__all__ = ["Crystal", "LevelOfTheory", "Reference"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Crystal(_Frozen):
    """Which crystal a value belongs to: an element in one of the simple structures."""

    element: str
    prototype: str = Field(description="sc, bcc, fcc, hcp or diamond")

    def __str__(self) -> str:
        """Say it as people do."""
        return f"{self.element} {self.prototype}"


class Reference(_Frozen):
    """One value of one property of one crystal."""

    id: str
    property: str = Field(description="the name of the same quantity in a record's result")
    value: FiniteFloat
    unit: str
    crystal: Crystal
    level: LevelOfTheory
    citation: str
    doi: str | None = None
    licence: str | None = None

    @field_validator("level")
    @classmethod
    def _functional_is_known(cls, level: LevelOfTheory) -> LevelOfTheory:
        if level.functional is None:
            raise ValueError("level must name its functional (got none)")
        return level

    def document(self) -> dict[str, Any]:
        """Give the document for the collection ``pet_references``."""
        content = self.model_dump(mode="json")
        content["level"]["digest"] = self.level.digest
        return {"_id": content.pop("id"), **content, "elements": [self.crystal.element]}
