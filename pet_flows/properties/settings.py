"""What is computed, per property: frozen, validated, hashed into record keys.

Only choices that change the physics are here. How it is executed (batch sizes, devices, where
checkpoints lie) is an argument of the property, so that the same result keeps the same key.
Nothing here imports torch or ase.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PropertySettings(BaseModel):
    """Base of all settings: immutable, no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Optimization(PropertySettings):
    """What every optimization of a geometry needs."""

    fix_symmetry: bool = Field(
        default=True, description="keep the space group that the input has at `symprec`"
    )
    symprec: Positive = Field(
        default=0.01,
        description=(
            "Å; the input's symmetry is sought with it, then made exact once; at most 1e-5 where "
            "the cell is fixed, so that a small strain is not taken for noise"
        ),
    )
    fmax: Positive = Field(default=0.001, description="eV/Å; largest norm of the force on an atom")
    smax: Positive = Field(
        default=0.001,
        description=(
            "eV; largest eigenvalue of volume × stress / number of atoms, which is what ASE's "
            "FrechetCellFilter compares with fmax (0.001 eV is about 0.01 GPa)"
        ),
    )
    steps: int = Field(default=500, ge=1, description="optimizer steps before `steps_exhausted`")
    optimizer: Literal["lbfgs", "fire"] = Field(
        default="lbfgs", description="torch-sim's optimizer"
    )
    max_strain: Positive = Field(
        default=0.4,
        description=(
            "a cell whose principal stretch leaves exp(±max_strain) has run away "
            "(0.4: volume ratios of 0.3 to 3.3)"
        ),
    )


class RelaxSettings(_Optimization):
    """Relaxation of positions, or of positions and cell."""

    relax_cell: bool = Field(
        default=True, description="relax the cell too; needs three periodic axes"
    )


class StaticSettings(PropertySettings):
    """Energy, forces and stress of a structure as it is."""

    symmetrization: str | None = Field(
        default=None,
        description=(
            "strategy instead of the potential's own, such as 'crystal:icosahedral' for energies "
            "that are compared between phases; its crystal reference is then derived anew"
        ),
    )


class EOSSettings(_Optimization):
    """Energy against volume, fitted with a third-order Birch–Murnaghan equation."""

    strain: Annotated[float, Field(gt=0, lt=0.1)] = Field(
        default=0.02, description="linear; volumes reach from V (1 - strain)³ to V (1 + strain)³"
    )
    n_volumes: int = Field(default=7, ge=5, description="volumes in that range, equally spaced")
    relax: Literal["shape", "ions", "none"] = Field(
        default="shape",
        description=(
            "what relaxes at each fixed volume: ions and the shape of the cell, ions alone, or "
            "nothing; where the kept symmetry leaves no freedom it is a single point by itself"
        ),
    )
    max_strain: Positive = Field(
        default=0.4, description="principal stretch beyond which a volume's cell has run away"
    )
    max_volume_change: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3,
        description="how far the range may be moved towards a minimum, as |V/V_input - 1|",
    )


class PhononSettings(PropertySettings):
    """Harmonic phonons by finite displacements; always evaluated in float64."""

    min_length: Positive = Field(
        default=10.0, description="Å; shortest lattice vector of the supercell at least this long"
    )
    max_atoms: int = Field(
        default=400, ge=1, description="atoms; larger supercells are made shorter"
    )
    displacement: Positive = Field(default=0.01, description="Å")
    symprec: Positive = Field(default=1e-3, description="Å; symmetry of the crystal")
    mesh_length: Positive = Field(
        default=60.0, description="Å; q-mesh with about mesh_length / |a_i| points along each axis"
    )
    mesh: tuple[int, int, int] | None = Field(
        default=None, description="q-mesh instead of mesh_length"
    )
    temperatures: tuple[NotNegative, ...] = Field(
        default=(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        description="K; of the thermal properties",
    )
    tolerance: NotNegative = Field(
        default=0.05,
        description="THz; a mode is imaginary below minus this, outside the acoustic Γ modes",
    )
    band_structure: bool = Field(default=True, description="bands along seekpath's path")
    band_spacing: Positive = Field(
        default=0.02, description="1/Å; distance of q-points along the path"
    )


class MDSettings(PropertySettings):
    """Molecular dynamics at constant volume."""

    ensemble: Literal["nve", "nvt_langevin"] = Field(
        default="nvt_langevin", description="what is sampled"
    )
    temperature: Positive = Field(
        default=300.0, description="K; target, and that of the first velocities"
    )
    timestep: Positive = Field(default=1.0, description="fs")
    steps: int = Field(default=1000, ge=1, description="integration steps")
    friction: Positive = Field(default=10.0, description="1/ps; of the Langevin thermostat")
    seed: int = Field(default=0, ge=0, description="of velocities and noise")
    stride: int = Field(default=10, ge=1, description="steps between stored frames")
    equilibration: int = Field(
        default=0, ge=0, description="steps at the start that temperature and drift leave out"
    )
    checkpoint_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    min_length: NotNegative = Field(
        default=10.0,
        description="Å; the cell is repeated until its lattice vectors are this long; 0: never",
    )
    max_temperature: Positive = Field(
        default=20_000.0, description="K; hotter than this the run has exploded"
    )

    @model_validator(mode="after")
    def _equilibrates_before_the_end(self) -> MDSettings:
        if self.equilibration >= self.steps:
            raise ValueError("equilibration must be shorter than steps")
        return self
