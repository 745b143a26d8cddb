"""What phonons compute."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from pet_flows.properties.settings import Finite, NotNegative, Positive, PropertySettings

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


class SupercellSettings(PropertySettings):
    """How force constants are measured, and on which mesh their modes are taken."""

    min_length: Positive = Field(
        default=16.0,  # benchmarks/supercells.py: what each length costs, and what it misses
        description="Å; shortest lattice vector of the supercell at least this long",
    )
    max_atoms: int = Field(
        default=400, ge=1, description="atoms; larger supercells are made shorter"
    )
    displacement: Positive = Field(default=0.01, description="Å; of one atom in the supercell")
    mesh_length: Positive = Field(
        default=60.0, description="Å; q-mesh with about mesh_length / |a_i| points along each axis"
    )
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="q-mesh instead of mesh_length"
    )


class PhononSettings(SupercellSettings):
    """Harmonic phonons by finite displacements; always evaluated in float64."""

    symprec: Positive = Field(default=1e-3, description="Å; symmetry of the crystal")
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
