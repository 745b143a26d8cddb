"""A DFT result of one material: what it is of, at which level of theory, and who calculated it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pymatgen.core import Structure

from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.plausible import refuse_impossible_numbers
from pet_flows.properties.registry import get_property
from pet_flows.records.results import check_result

__all__ = ["LevelOfTheory", "Origin", "Reference"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Origin(_Frozen):
    """Where a reference was read, and who calculated it."""

    name: str = Field(description="what it is called there: a path, an identifier, a row")
    database: str | None = None
    collection: str | None = None
    uuid: str | None = Field(default=None, description="of the job that calculated it")
    index: int | None = Field(default=None, description="of that job's run; the highest counts")
    dir_name: str | None = Field(default=None, description="folder of the calculation")
    citation: str | None = None
    doi: str | None = None
    licence: str | None = None
    completed_at: datetime | None = None
    reading: list[str] = Field(
        default_factory=list, description="what was said of how to read it: --map, and --md"
    )

    @property
    def identity(self) -> str:
        """The same for each run of the same calculation: a later one takes its place."""
        return "\n".join([self.database or "", self.collection or "", self.uuid or self.name])


class Reference(_Frozen):
    """One property of one material at one level of theory.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from pymatgen.io.ase import AseAtomsAdaptor
    >>> silicon = AseAtomsAdaptor.get_structure(bulk("Si"))
    >>> found = Reference(
    ...     property="eos",
    ...     result={"v0_per_atom": 20.45, "b0": 88.8},
    ...     structure=silicon,
    ...     level=LevelOfTheory(functional="PBE"),
    ...     source=Origin(name="table 3", citation="A. Author, in preparation"),
    ... )
    >>> found.formula, found.result["b0"]
    ('Si', 88.8)
    """

    property: str = Field(description="of a record: relax, static, eos, elastic, phonon, ...")
    result: dict[str, Any] = Field(
        description="names and units of that property's result in a record; what is not known "
        "is left out"
    )
    structure: Structure = Field(description="final geometry; any cell of the crystal")
    level: LevelOfTheory
    source: Origin
    material_ids: tuple[str, ...] = Field(default=(), description="identifiers it is known by")
    records: tuple[str, ...] = Field(
        default=(), description="keys of records that it was calculated for"
    )
    entry: dict[str, Any] | None = Field(
        default=None, description="a ComputedStructureEntry, for energies above a hull"
    )
    arrays: dict[str, dict[str, np.ndarray]] = Field(
        default_factory=dict, description="large arrays by the name of the record's blob"
    )
    problems: tuple[str, ...] = Field(default=(), description="what may be wrong with it")

    @field_validator("property")
    @classmethod
    def _is_property(cls, value: str) -> str:
        get_property(value)
        return value

    @field_validator("level")
    @classmethod
    def _functional_is_known(cls, level: LevelOfTheory) -> LevelOfTheory:
        if level.functional is None:
            raise ValueError("level must name its functional (got none)")
        return level

    @model_validator(mode="after")
    def _result_is_one(self) -> Reference:
        check_result(self.property, self.result, complete=False)
        refuse_impossible_numbers(self.property, self.result)
        return self

    @cached_property
    def formula(self) -> str:
        """Reduced formula, elements as people order them."""
        return str(self.structure.composition.reduced_formula)

    @cached_property
    def id(self) -> str:
        """The same for the same property of the same calculation at the same level."""
        parts = (self.source.identity, self.property, self.level.digest)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
