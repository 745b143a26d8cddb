"""A DFT value: what it is of, at which level of theory, and who calculated it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LevelOfTheory(_Frozen):
    """What two values must share to be compared at all."""

    functional: str = Field(description="as the community writes it: PBE, PBEsol, r2SCAN")
    code: str | None = None
    settings: str | None = Field(default=None, description="potentials, cutoffs, relativity")
    spin: str | None = Field(default=None, description="non-magnetic, collinear, ...")

    def admits(self, functional: str | None) -> bool:
        """Whether values of this functional may be set beside this level's.

        Pseudopotentials and codes differ by less than a potential errs; functionals do not.
        """
        return functional is not None and functional.casefold() == self.functional.casefold()

    def __str__(self) -> str:
        """Say it on one line."""
        return ", ".join(part for part in (self.functional, self.settings, self.spin) if part)


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

    def document(self) -> dict[str, Any]:
        """Give the document for the collection ``pet_references``."""
        content = self.model_dump()
        return {"_id": content.pop("id"), **content, "elements": [self.crystal.element]}
