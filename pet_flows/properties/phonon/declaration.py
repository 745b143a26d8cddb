"""Harmonic phonons: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, PositiveInt

from pet_flows.properties.property import Property
from pet_flows.properties.result import (
    IntMatrix,
    Strict,
    Vector,
)
from pet_flows.properties.settings import (
    Finite,
    NotNegative,
    Positive,
    PropertySettings,
    unit,
)

#: Å, of a supercell; benchmarks/supercells.py: what each length costs, and what it misses
MIN_LENGTH = 20.0
_Row = tuple[Finite, Finite, Finite]
Tensor = tuple[_Row, _Row, _Row]


class NonAnalytical(PropertySettings):
    """What long-range electric fields do to the phonons of one polar crystal.

    Tensors are Cartesian, in the orientation of the structure that is given.
    """

    born_charges: tuple[Tensor, ...] = Field(
        description="of each atom of the given structure, in its order", json_schema_extra=unit("e")
    )
    dielectric: Tensor = Field(description="electronic (high-frequency) dielectric tensor")


class SupercellSettings(PropertySettings):
    """How force constants are measured, and on which mesh their modes are taken."""

    min_length: Positive = Field(
        default=MIN_LENGTH,
        description="shortest lattice vector of the supercell at least this long",
        json_schema_extra=unit("Å"),
    )
    max_atoms: int = Field(
        default=1300, ge=1, description="atoms; larger supercells are made shorter, with a warning"
    )
    displacement: Positive = Field(
        default=0.01, description="of one atom in the supercell", json_schema_extra=unit("Å")
    )
    mesh_length: Positive = Field(
        default=60.0,
        description="q-mesh with about mesh_length / |a_i| points along each axis",
        json_schema_extra=unit("Å"),
    )
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="q-mesh instead of mesh_length"
    )


class PhononSettings(SupercellSettings):
    """Harmonic phonons by finite displacements; always evaluated in float64."""

    symprec: Positive = Field(
        default=1e-3, description="symmetry of the crystal", json_schema_extra=unit("Å")
    )
    temperatures: tuple[NotNegative, ...] = Field(
        default=(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        description="of the thermal properties",
        json_schema_extra=unit("K"),
    )
    tolerance: NotNegative = Field(
        default=0.05,
        description="a mode is imaginary below minus this, outside the acoustic Γ modes",
        json_schema_extra=unit("THz"),
    )
    band_structure: bool = Field(default=True, description="bands along seekpath's path")
    band_spacing: Positive = Field(
        default=0.02,
        description="distance of q-points along the path",
        json_schema_extra=unit("1/Å"),
    )
    dos: bool = Field(
        default=True, description="densities of states and thermal displacements on the mesh"
    )
    dos_spacing: Positive = Field(
        default=0.05, description="between frequencies", json_schema_extra=unit("THz")
    )
    dos_sigma: Positive | None = Field(
        default=0.1,
        description=(
            "width of the Gaussian for each mode; None for linear tetrahedra, sharper on a "
            "dense mesh"
        ),
        json_schema_extra=unit("THz"),
    )
    nac: NonAnalytical | None = Field(
        default=None, description="non-analytical correction; its values are of one structure"
    )


class ImaginaryMode(Strict):
    """One mode below the tolerance."""

    q: Vector = Field(description="fractions of the reciprocal lattice vectors")
    frequency: FiniteFloat = Field(
        description="negative",
        json_schema_extra=unit("THz"),
    )
    degeneracy: int = Field(default=1, description="modes of this frequency at this q")
    irrep: str | None = Field(
        default=None, description="Mulliken symbol in the little co-group of q; None without one"
    )


class ThermalPoint(Strict):
    """Harmonic thermal properties at one temperature, per atom."""

    T: FiniteFloat = Field(
        description="temperature",
        json_schema_extra=unit("K"),
    )
    cv: FiniteFloat = Field(
        description="heat capacity at constant volume", json_schema_extra=unit("J/K/mol")
    )
    s: FiniteFloat = Field(
        description="entropy",
        json_schema_extra=unit("J/K/mol"),
    )
    f: FiniteFloat = Field(
        description="free energy",
        json_schema_extra=unit("kJ/mol"),
    )


class PhononResult(Strict):
    """Harmonic phonons; imaginary frequencies are negative numbers."""

    min_frequency: FiniteFloat = Field(
        description="on the mesh",
        json_schema_extra=unit("THz"),
    )
    max_frequency: FiniteFloat = Field(
        description="on the mesh",
        json_schema_extra=unit("THz"),
    )
    has_imaginary_modes: bool = Field(
        description="whether a mode is below minus the tolerance, translations aside"
    )
    tolerance: FiniteFloat = Field(
        description="imaginary is below minus this", json_schema_extra=unit("THz")
    )
    imaginary: list[ImaginaryMode] = Field(description="the worst of them")
    supercell_matrix: IntMatrix = Field(description="of the force constants; columns, as phonopy's")
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)] = Field(description="of q-points")
    displacement: FiniteFloat = Field(
        description="of one atom in the supercell", json_schema_extra=unit("Å")
    )
    residual_force: FiniteFloat = Field(
        description="largest in the undisplaced supercell", json_schema_extra=unit("eV/Å")
    )
    has_nac: bool = Field(description="whether a non-analytical correction was made")
    zero_point_energy_per_atom: FiniteFloat = Field(
        description="half of the mean of ħω, three modes per atom", json_schema_extra=unit("eV")
    )
    thermal: list[ThermalPoint] = Field(description="thermal properties at each temperature")


def _headline(result: Mapping[str, Any]) -> str:
    text = "{min_frequency:.2f} to {max_frequency:.2f} THz".format(**result)
    return text + ", imaginary modes" * result["has_imaginary_modes"]


PROPERTY = Property(
    name="phonon",
    title="harmonic phonons",
    compute="pet_flows.properties.phonon.phonon:phonon",
    settings=PhononSettings,
    result=PhononResult,
    headline=_headline,
    table=(
        "min_frequency",
        "max_frequency",
        "has_imaginary_modes",
        "zero_point_energy_per_atom",
    ),
    counts="displaced cells",
    compared="pet_flows.properties.phonon.compare:values",
    dtype="float64",  # a rigid shift by 0.01 Å moves a float32 Γ mode by 0.015 THz
    plots={
        "bands": "pet_flows.properties.phonon.plot:bands",
        "thermal": "pet_flows.properties.phonon.plot:thermal",
    },
    order=40,
)
