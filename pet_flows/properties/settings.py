"""What is computed, per property: frozen, validated, hashed into record keys.

Only choices that change the physics are here. How it is executed (batch sizes, devices, where
checkpoints lie) is an argument of the property, so that the same result keeps the same key.
Nothing here imports torch or ase.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

#: Å; atoms closer than this are one atom written twice (H2, the shortest bond, has 0.74)
OVERLAP = 0.5

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
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
    optimizer: Literal["lbfgs", "bfgs", "fire"] = Field(
        default="lbfgs",
        description="torch-sim's optimizer; `bfgs` keeps whole Hessians: small cells only",
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


class StaticSettings(PropertySettings):
    """Energy, forces and stress of a structure as it is: the potential says it all."""


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


class ElasticSettings(PropertySettings):
    """Elastic tensor from stresses of strained cells; always evaluated in float64."""

    strain_magnitudes: tuple[Positive, ...] = Field(
        default=(0.001, 0.002),
        min_length=1,
        description=(
            "components of the strain tensor (of Voigt's shears half); each is applied with both "
            "signs, and atomate2's lists, which write both, are taken as such; n magnitudes give "
            "central differences of order 2 n"
        ),
    )
    relax_ions: bool = Field(
        default=True, description="relax the ions of each strained cell; else they are clamped"
    )
    fix_symmetry: bool = Field(
        default=True,
        description=(
            "keep the space group that the input has at `symprec`, and of it what each strain "
            "leaves; without, the tensor is a triclinic one"
        ),
    )
    symprec: Positive = Field(
        default=0.01, description="Å; the input's symmetry is sought with it, then made exact once"
    )
    fmax: Positive = Field(
        default=1e-5,
        description=(
            "eV/Å; largest norm of the force on an atom. Small: a strain of 0.1 % moves ions by "
            "less than 1e-3 Å, and 1e-3 eV/Å would leave a tenth of that undone"
        ),
    )
    steps: int = Field(default=500, ge=1, description="optimizer steps before `steps_exhausted`")
    optimizer: Literal["lbfgs", "bfgs", "fire"] = Field(
        default="lbfgs",
        description="torch-sim's optimizer; `bfgs` keeps whole Hessians: small cells only",
    )
    max_stress: Positive = Field(
        default=1.0,
        description=(
            "GPa; a crystal with a larger principal stress is refused: the constants would be off "
            "by about as much"
        ),
    )

    @field_validator("strain_magnitudes", mode="before")
    @classmethod
    def _both_signs(cls, given: Any) -> Any:
        """Magnitudes once each, smallest first."""
        if isinstance(given, list | tuple) and all(isinstance(m, int | float) for m in given):
            return tuple(sorted({round(abs(m), 12) for m in given if m != 0}))
        return given

    @field_validator("strain_magnitudes")
    @classmethod
    def _small_and_apart(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if given[-1] > 0.05:
            raise ValueError("strain_magnitudes must be at most 0.05")
        if any(b < 1.1 * a for a, b in pairwise(given)):
            raise ValueError("strain_magnitudes must differ by a tenth at least")
        return given


_Row = tuple[Finite, Finite, Finite]
Tensor = tuple[_Row, _Row, _Row]


class NonAnalytical(PropertySettings):
    """What long-range electric fields do to the phonons of one polar crystal.

    Tensors are Cartesian, in the orientation of the structure that is given.
    """

    born_charges: tuple[Tensor, ...] = Field(
        description="e; of each atom of the given structure, in its order"
    )
    dielectric: Tensor = Field(description="electronic (high-frequency) dielectric tensor")


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
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
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
    dos: bool = Field(
        default=True, description="densities of states and thermal displacements on the mesh"
    )
    dos_spacing: Positive = Field(default=0.05, description="THz; between frequencies")
    dos_sigma: Positive | None = Field(
        default=0.1,
        description=(
            "THz; width of the Gaussian for each mode; None for linear tetrahedra, sharper on a "
            "dense mesh"
        ),
    )
    nac: NonAnalytical | None = Field(
        default=None, description="non-analytical correction; its values are of one structure"
    )


class QHASettings(_Optimization):
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
        default=10.0,
        description="Å; as for `phonon`, at the volume given; all volumes have that supercell",
    )
    max_atoms: int = Field(
        default=400, ge=1, description="atoms; larger supercells are made shorter"
    )
    displacement: Positive = Field(default=0.01, description="Å")
    mesh_length: Positive = Field(
        default=60.0, description="Å; q-mesh with about mesh_length / |a_i| points along each axis"
    )
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="q-mesh instead of mesh_length"
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


class ConductivitySettings(PropertySettings):
    """Lattice thermal conductivity from three-phonon scattering; always evaluated in float64."""

    min_length: Positive = Field(
        default=10.0, description="Å; supercell of the second-order force constants, as in phonons"
    )
    max_atoms: int = Field(default=400, ge=1, description="atoms of that supercell")
    displacement: Positive = Field(default=0.01, description="Å; in that supercell")
    third_min_length: Positive = Field(
        default=7.5, description="Å; supercell of the third-order force constants"
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
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="q-mesh instead of mesh_length"
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


class MDSettings(PropertySettings):
    """Molecular dynamics."""

    ensemble: Literal["nve", "nvt_langevin", "nvt_nose_hoover", "npt_langevin"] = Field(
        default="nvt_langevin", description="what is sampled, and with which thermostat"
    )
    temperature: Positive = Field(
        default=300.0, description="K; target, and that of the first velocities"
    )
    final_temperature: Positive | None = Field(
        default=None, description="K; the target goes there linearly over the run"
    )
    pressure: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=0.0, description="GPa; target of npt_langevin"
    )
    final_pressure: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="GPa; the target goes there linearly over the run"
    )
    cell_motion: Literal["isotropic", "full"] = Field(
        default="isotropic", description="of npt_langevin: the volume alone, or the shape too"
    )
    timestep: Positive = Field(default=1.0, description="fs")
    steps: int = Field(default=1000, ge=1, description="integration steps")
    friction: Positive = Field(default=10.0, description="1/ps; of the Langevin thermostats")
    thermostat_time: Positive = Field(
        default=0.1, description="ps; period of the Nosé–Hoover chain"
    )
    barostat_time: Positive = Field(
        default=1.0, description="ps; sets the inertia of the cell of npt_langevin"
    )
    barostat_friction: Positive = Field(
        default=2.0, description="1/ps; of the cell's own Langevin thermostat"
    )
    seed: int = Field(default=0, ge=0, description="of velocities and noise")
    stride: int = Field(
        default=10, ge=1, description="steps between stored frames and pair distributions"
    )
    observe_every: int = Field(
        default=5,
        ge=1,
        description="steps between samples of every average; 5 fs see vibrations up to 100 THz",
    )
    correlation_time: Positive = Field(
        default=2.0, description="ps; longest lag of the velocity autocorrelation"
    )
    rdf_cutoff: Positive = Field(default=8.0, description="Å; of the pair distributions")
    equilibration: int = Field(
        default=0, ge=0, description="steps at the start that all averages leave out"
    )
    checkpoint_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    min_length: NotNegative = Field(
        default=10.0,
        description="Å; the cell is repeated until its lattice vectors are this long; 0: never",
    )
    max_temperature: Positive = Field(
        default=20_000.0, description="K; hotter than this the run has exploded"
    )
    max_strain: Positive = Field(
        default=0.4, description="a cell whose principal stretch leaves exp(±max_strain) ran away"
    )

    @model_validator(mode="after")
    def _equilibrates_before_the_end(self) -> MDSettings:
        if self.equilibration >= self.steps:
            raise ValueError("equilibration must be shorter than steps")
        return self

    @model_validator(mode="after")
    def _targets_have_somebody_to_hold_them(self) -> MDSettings:
        if self.ensemble == "nve" and self.final_temperature is not None:
            raise ValueError("final_temperature needs a thermostat: choose another ensemble")
        if self.ensemble != "npt_langevin" and (self.pressure or self.final_pressure is not None):
            raise ValueError("a pressure can only be held with ensemble npt_langevin")
        return self
