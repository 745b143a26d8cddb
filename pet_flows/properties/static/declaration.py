"""Static energy, forces and stress: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, FiniteFloat

from pet_flows.properties.property import Property, Purpose
from pet_flows.properties.result import (
    Matrix,
    Strict,
)
from pet_flows.properties.settings import (
    IN_POTENTIAL,
    PropertySettings,
    unit,
)


class StaticSettings(PropertySettings):
    """Energy, forces and stress of a structure as it is; there is nothing else to choose."""

    phase_comparison: bool = Field(
        default=False,
        description="average over the whole of O(3) as far as the symmetrization can (crystal "
        "becomes crystal:icosahedral), so that energies of different phases may be subtracted",
        json_schema_extra=IN_POTENTIAL,
    )


class StaticResult(Strict):
    """Energy, forces and stress of a structure as it is."""

    energy: FiniteFloat = Field(
        description="per cell",
        json_schema_extra=unit("eV"),
    )
    energy_per_atom: FiniteFloat = Field(
        description="energy over number of atoms", json_schema_extra=unit("eV")
    )
    max_force: FiniteFloat = Field(
        description="largest norm of the force on an atom", json_schema_extra=unit("eV/Å")
    )
    stress: Matrix | None = Field(
        description="tension positive; None without a volume", json_schema_extra=unit("GPa")
    )
    pressure: FiniteFloat | None = Field(
        description="minus a third of the stress's trace", json_schema_extra=unit("GPa")
    )


def _headline(result: Mapping[str, Any]) -> str:
    pressure = result["pressure"]
    of_cell = "" if pressure is None else f", p {pressure:.2f} GPa"
    return f"{result['energy_per_atom']:.4f} eV/atom{of_cell}"


def _purpose(settings: StaticSettings) -> Purpose:
    return "phases" if settings.phase_comparison else "derivatives"


PROPERTY = Property(
    name="static",
    title="static energy, forces and stress",
    compute="pet_flows.properties.static.static:static",
    settings=StaticSettings,
    result=StaticResult,
    headline=_headline,
    table=("energy_per_atom", "pressure"),
    purpose=_purpose,
    in_campaign={"phase_comparison": True},
    compared="pet_flows.properties.static.compare:values",
    order=10,
)
