"""Lattice thermal conductivity: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, FiniteFloat

from pet_flows.properties.phonon.declaration import NonAnalytical, SupercellSettings
from pet_flows.properties.property import ROOM_TEMPERATURE, Column, Property
from pet_flows.properties.result import (
    IntMatrix,
    Matrix,
    Strict,
)
from pet_flows.properties.settings import (
    NotNegative,
    Positive,
    unit,
)


class ConductivitySettings(SupercellSettings):
    """Lattice thermal conductivity from three-phonon scattering; always evaluated in float64."""

    third_min_length: Positive = Field(
        default=7.5,
        description="as min_length, for the third-order force constants",
        json_schema_extra=unit("Å"),
    )
    third_max_atoms: int = Field(default=150, ge=1, description="atoms of that supercell")
    third_displacement: Positive = Field(
        default=0.03,
        description="of one and of two atoms in that supercell",
        json_schema_extra=unit("Å"),
    )
    pair_cutoff: Positive | None = Field(
        default=None,
        description="pairs farther apart are not displaced, and do not interact",
        json_schema_extra=unit("Å"),
    )
    max_displacements: int = Field(
        default=2000, ge=1, description="displaced cells beyond which a structure is refused"
    )
    symprec: Positive = Field(
        default=1e-3, description="symmetry of the crystal", json_schema_extra=unit("Å")
    )
    mesh_length: Positive = Field(
        default=40.0,
        description="q-mesh with about mesh_length / |a_i| points along each axis",
        json_schema_extra=unit("Å"),
    )
    temperatures: tuple[Positive, ...] = Field(
        default=(100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        min_length=1,
        description="of the tensors",
        json_schema_extra=unit("K"),
    )
    isotopes: bool = Field(
        default=False, description="scattering by the natural mixture of isotopes"
    )
    tolerance: NotNegative = Field(
        default=0.05,
        description="a mode is imaginary below minus this",
        json_schema_extra=unit("THz"),
    )
    nac: NonAnalytical | None = Field(
        default=None, description="non-analytical correction; its values are of one structure"
    )


class KappaPoint(Strict):
    """Lattice thermal conductivity at one temperature."""

    T: FiniteFloat = Field(
        description="temperature",
        json_schema_extra=unit("K"),
    )
    tensor: Matrix = Field(
        description="thermal conductivity, Cartesian", json_schema_extra=unit("W/m/K")
    )
    mean: FiniteFloat = Field(
        description="a third of the trace",
        json_schema_extra=unit("W/m/K"),
    )


class KappaResult(Strict):
    """Lattice thermal conductivity in the relaxation-time approximation."""

    kappa: list[KappaPoint] = Field(description="at each temperature")
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)] = Field(description="of q-points")
    isotopes: bool = Field(description="whether the natural mixture of isotopes scatters")
    min_frequency: FiniteFloat = Field(
        description="on the mesh",
        json_schema_extra=unit("THz"),
    )
    has_imaginary_modes: bool = Field(description="whether a mode on the mesh is imaginary")
    has_nac: bool = Field(description="whether a non-analytical correction was made")
    supercell_matrix: IntMatrix = Field(description="of the second-order force constants")
    third_supercell_matrix: IntMatrix = Field(description="of the third-order force constants")
    n_displacements: int = Field(description="displaced cells of both orders")
    residual_force: FiniteFloat = Field(
        description="largest in the undisplaced supercell", json_schema_extra=unit("eV/Å")
    )


def _at_room_temperature(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The point nearest to room temperature."""
    nearest: Mapping[str, Any] = min(
        result["kappa"], key=lambda point: abs(point["T"] - ROOM_TEMPERATURE)
    )
    return nearest


def _headline(result: Mapping[str, Any]) -> str:
    return "{mean:.4g} W/m/K at {T:.0f} K".format(**_at_room_temperature(result))


PROPERTY = Property(
    name="kappa",
    title="lattice thermal conductivity",
    compute="pet_flows.properties.kappa.kappa:conductivity",
    settings=ConductivitySettings,
    result=KappaResult,
    headline=_headline,
    table=(
        Column("kappa", lambda result: _at_room_temperature(result)["mean"], "W/m/K"),
        Column("temperature", lambda result: _at_room_temperature(result)["T"], "K"),
        "min_frequency",
    ),
    counts="displaced cells",
    compared="pet_flows.properties.kappa.compare:values",
    dtype="float64",  # as for phonons
    plots={"conductivity": "pet_flows.properties.kappa.plot:conductivity"},
    order=60,
    extra="kappa",
)
