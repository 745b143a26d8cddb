"""What a relaxation computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pet_flows.properties.settings import CellSettings, Positive


class RelaxSettings(CellSettings):
    """Relaxation of positions, or of positions and cell."""

    symprec: Positive = Field(
        default=0.01,
        description=(
            "Å; the input's symmetry is sought with it, then made exact once; at most 1e-5 where "
            "the cell is fixed, so that a small strain is not taken for noise"
        ),
    )
    relax_cell: bool = Field(
        default=True, description="relax the cell too; needs three periodic axes"
    )
    cell_constraint: Literal["volume", "shape"] | None = Field(
        default=None,
        description="what of a relaxing cell stays as it is: its volume, its shape, or nothing",
    )
    pressure: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=0.0, description="GPa; outside, on a cell whose volume relaxes"
    )

    @model_validator(mode="after")
    def _cell_is_free_enough(self) -> RelaxSettings:
        if self.cell_constraint is not None and not self.relax_cell:
            raise ValueError("cell_constraint says how a cell relaxes; relax_cell must be true")
        if self.pressure != 0 and (not self.relax_cell or self.cell_constraint == "volume"):
            raise ValueError("pressure needs a cell whose volume relaxes")
        return self
