"""What the quasi-harmonic approximation and lattice thermal conductivities compute."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pet_flows.properties.phonons.settings import NonAnalytical, SupercellSettings
from pet_flows.properties.settings import (
    CellSettings,
    NotNegative,
    Positive,
)


class QHASettings(CellSettings, SupercellSettings):
    """Quasi-harmonic approximation: phonons at several volumes; always evaluated in float64."""

    volume_step: Annotated[float, Field(gt=0, le=0.05)] = Field(
        default=0.015, description="relative to the volume given; distance of the volumes"
    )
    n_compressed: int = Field(
        default=3, ge=1, description="volumes below the one given (the mode Grüneisen needs one)"
    )
    n_expanded: int = Field(default=5, ge=1, description="volumes above it")
    relax: Literal["shape", "ions", "none"] = Field(
        default="shape", description="what relaxes at each fixed volume, as for `eos`"
    )
    equation: Literal["vinet", "birch_murnaghan", "murnaghan"] = Field(
        default="vinet", description="fitted to the free energy against volume"
    )
    min_length: Positive = Field(
        default=16.0,
        description="Å; as for `phonon`, at the volume given; all volumes have that supercell",
    )
    temperatures: tuple[NotNegative, ...] = Field(
        default=(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        description="K, ascending",
    )
    temperature_step: Positive = Field(
        default=5.0, description="K; derivatives are central differences over ± this"
    )

    @model_validator(mode="after")
    def _enough(self) -> QHASettings:
        if self.n_compressed + self.n_expanded < 4:
            raise ValueError("n_compressed + n_expanded must be at least 4: a fit needs 5 volumes")
        if self.n_compressed * self.volume_step >= 0.3:
            raise ValueError("n_compressed * volume_step must stay below 0.3")
        if list(self.temperatures) != sorted(set(self.temperatures)) or not self.temperatures:
            raise ValueError("temperatures must ascend")
        return self


class ConductivitySettings(SupercellSettings):
    """Lattice thermal conductivity from three-phonon scattering; always evaluated in float64."""

    third_min_length: Positive = Field(
        default=7.5, description="Å; as min_length, for the third-order force constants"
    )
    third_max_atoms: int = Field(default=150, ge=1, description="atoms of that supercell")
    third_displacement: Positive = Field(
        default=0.03, description="Å; of one and of two atoms in that supercell"
    )
    pair_cutoff: Positive | None = Field(
        default=None, description="Å; pairs farther apart are not displaced, and do not interact"
    )
    max_displacements: int = Field(
        default=2000, ge=1, description="displaced cells beyond which a structure is refused"
    )
    symprec: Positive = Field(default=1e-3, description="Å; symmetry of the crystal")
    mesh_length: Positive = Field(
        default=40.0, description="Å; q-mesh with about mesh_length / |a_i| points along each axis"
    )
    temperatures: tuple[Positive, ...] = Field(
        default=(100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        min_length=1,
        description="K",
    )
    isotopes: bool = Field(
        default=False, description="scattering by the natural mixture of isotopes"
    )
    tolerance: NotNegative = Field(
        default=0.05, description="THz; a mode is imaginary below minus this"
    )
    nac: NonAnalytical | None = Field(
        default=None, description="non-analytical correction; its values are of one structure"
    )
