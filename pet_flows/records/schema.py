"""The head of every record, as documented in docs/records.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, model_validator

from pet_flows.properties.result import Strict
from pet_flows.records.results import check_result

#: 2: small arrays are in `blobs` themselves
SCHEMA_VERSION = 2


class Source(Strict):
    """Who refers to a record; the fields are in the order in which they are stored."""

    campaign: str | None = None
    material_id: str | None = None
    task_id: str | None = None
    database: str | None = None
    collection: str | None = None
    path: str | None = None
    tags: list[str] = Field(default_factory=list)
    job_uuid: str | None = None
    job_index: int | None = None
    fw_id: int | None = None


#: what makes two sources the same one; the job that happened to run is not part of it
SOURCE_IDENTITY = ("campaign", "material_id", "task_id", "database", "collection", "path", "tags")


class SpaceGroup(Strict):
    """Numbers of the space group at two tolerances, as emmet has them."""

    tight: int | None = Field(description="at symprec 1e-5 Å; None where none was found")
    loose: int | None = Field(description="at symprec 0.1 Å")


class SpaceGroups(Strict):
    """Before and after."""

    input: SpaceGroup | None
    final: SpaceGroup | None


class UsedPotential(Strict):
    """The potential that was used."""

    digest: str
    name: str
    sha256: str
    symmetrization: str
    dtype: str
    variant: str | None = None
    model: str | None = None  # of another family: the name that gives it again
    functional: str | None = None
    run_type: str | None = None
    assumed: dict[str, int] | None = None
    """of a model that takes ``charge`` and ``spin_multiplicity``: those that it was told"""


class Spread(Strict):
    """Deviation over the rotations of the symmetrization; None with one evaluation."""

    energy_per_atom: FiniteFloat | None = Field(description="eV")
    forces: FiniteFloat | None = Field(description="eV/Å")


class Uncertainty(Strict):
    """Error that the model itself expects, a mean over the rotations of the symmetrization."""

    energy_per_atom: FiniteFloat = Field(description="eV, of the energy of the structure by atom")
    forces: FiniteFloat | None = Field(
        description="eV/Å, rms over atoms and components of the deviation in the model's ensemble; "
        "None without one"
    )
    stress: FiniteFloat | None = Field(description="GPa, likewise")


class Provenance(Strict):
    """Where and with what it was computed."""

    versions: dict[str, str] = Field(description="package → version")
    device: str | None
    host: str
    wall_time: FiniteFloat = Field(description="s")


class Record(Strict):
    """One property of one input structure under one potential and one set of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    id: str = Field(alias="_id")
    schema_version: int = SCHEMA_VERSION
    property: str
    state: Literal["ok", "unconverged", "failed"]
    reason: str | None
    message: str | None
    retryable: bool
    attempts: int = Field(ge=1)
    last_updated: datetime
    sources: list[Source]
    parent: str | None = Field(description="key of the record whose final structure this is of")
    structure_digest: str | None = Field(description="None where the input could not be read")
    input_structure: dict[str, Any] | None = Field(description="a blob above 200 atoms")
    structure: dict[str, Any] | None = Field(description="final; a blob above 200 atoms")
    formula_pretty: str | None
    formula_anonymous: str | None
    chemsys: str | None
    elements: list[str]
    nelements: int | None
    nsites: int | None
    composition_reduced: dict[str, FiniteFloat] | None
    density: FiniteFloat | None = Field(description="g/cm³, of the final structure if there is one")
    volume: FiniteFloat | None = Field(description="Å³, likewise")
    volume_per_atom: FiniteFloat | None = Field(description="Å³, likewise")
    spacegroup: SpaceGroups
    potential: UsedPotential
    reference: str | None = Field(description="digest of the crystal reference")
    symmetry_reference: dict[str, Any] | None = Field(
        description="the crystal reference itself, for records that start from this one"
    )
    settings: dict[str, Any]
    settings_digest: str
    warnings: list[str]
    dropped: list[str]
    n_evaluations: int
    spread: Spread
    uncertainty: Uncertainty | None = Field(
        default=None, description="what the model itself says of its error; None where nothing"
    )
    provenance: Provenance
    blobs: dict[str, str | dict[str, Any]] = Field(
        description="name → small arrays, or the blob_uuid of large ones in the store `data`"
    )
    result: dict[str, Any]

    @model_validator(mode="after")
    def _fits_its_state(self) -> Record:
        if self.state == "ok" and self.reason is not None:
            raise ValueError(f"reason must be null where the state is ok (got {self.reason!r})")
        if self.state != "ok" and not (self.reason and self.message):
            raise ValueError(f"reason and message must be given where the state is {self.state}")
        check_result(self.property, self.result, complete=self.state == "ok")
        return self
