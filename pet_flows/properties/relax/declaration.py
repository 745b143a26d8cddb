"""Relaxation: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from pet_flows.properties.property import Property
from pet_flows.properties.result import LatticeParameters, Strict
from pet_flows.properties.settings import (
    CellSettings,
    Positive,
    unit,
)
from pet_flows.properties.static.declaration import StaticResult


class RelaxSettings(CellSettings):
    """Relaxation of positions, or of positions and cell."""

    symprec: Positive = Field(
        default=0.01,
        description=(
            "the input's symmetry is sought with it, then made exact once; at most 1e-5 where "
            "the cell is fixed, so that a small strain is not taken for noise"
        ),
        json_schema_extra=unit("Å"),
    )
    relax_cell: bool = Field(
        default=True, description="relax the cell too; needs three periodic axes"
    )
    cell_constraint: Literal["volume", "shape"] | None = Field(
        default=None,
        description="what of a relaxing cell stays as it is: its volume, its shape, or nothing",
    )
    pressure: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=0.0,
        description="outside, on a cell whose volume relaxes",
        json_schema_extra=unit("GPa"),
    )

    @model_validator(mode="after")
    def _cell_is_free_enough(self) -> RelaxSettings:
        if self.cell_constraint is not None and not self.relax_cell:
            raise ValueError("relax_cell must be true where there is a cell_constraint (got false)")
        if self.pressure != 0 and (not self.relax_cell or self.cell_constraint == "volume"):
            raise ValueError(
                "pressure needs a cell whose volume relaxes: set relax_cell to true and "
                "cell_constraint to another than volume"
            )
        return self


class RelaxationPath(Strict):
    """How a relaxation went: lists over steps, the first the structure as it was given."""

    step: list[int] = Field(description="number of each; of a very long path some are left out")
    energy_per_atom: list[FiniteFloat] = Field(
        description="energy over number of atoms", json_schema_extra=unit("eV")
    )
    max_force: list[FiniteFloat] = Field(
        description="largest norm of the force on an atom", json_schema_extra=unit("eV/Å")
    )
    volume_per_atom: list[FiniteFloat | None] = Field(
        description="None without a cell", json_schema_extra=unit("Å³")
    )


class RelaxResult(StaticResult):
    """Where a relaxation ended."""

    n_steps: int = Field(description="optimizer steps, both stages together")
    n_steps_float64: int = Field(
        description="of these, steps in float64 after a float32 potential got no further"
    )
    converged: bool = Field(description="whether forces and stress are below `fmax` and `smax`")
    enthalpy_per_atom: FiniteFloat = Field(
        description="energy plus the pressure asked for times the volume",
        json_schema_extra=unit("eV"),
    )
    energy_change: FiniteFloat | None = Field(
        description="per atom, final minus first; None where the crystal reference changed",
        json_schema_extra=unit("eV"),
    )
    volume_change: FiniteFloat = Field(description="final over input volume, minus one")
    lattice: LatticeParameters = Field(description="of the final cell")
    rmsd: FiniteFloat | None = Field(
        description="between input and final positions, the cell's strain taken out",
        json_schema_extra=unit("Å"),
    )
    path: RelaxationPath | None = Field(
        default=None, description="steps on the way; None in records of before it was kept"
    )


def _headline(result: Mapping[str, Any]) -> str:
    return "{energy_per_atom:.4f} eV/atom, {n_steps} steps, dV {volume_change:+.2%}".format(
        **result
    )


PROPERTY = Property(
    name="relax",
    title="relaxation",
    compute="pet_flows.properties.relax.relax:relax",
    settings=RelaxSettings,
    result=RelaxResult,
    headline=_headline,
    table=("energy_per_atom", "volume_change", "max_force"),
    counts="steps",
    bounded=False,
    plots={"path": "pet_flows.properties.relax.plot:path"},
    compared="pet_flows.properties.relax.compare:values",
    order=0,
)
