"""Quasi-harmonic approximation: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from pet_flows.properties.phonon.declaration import MIN_LENGTH, SupercellSettings
from pet_flows.properties.property import ROOM_TEMPERATURE, Column, Property
from pet_flows.properties.result import (
    IntMatrix,
    Strict,
)
from pet_flows.properties.settings import (
    CellSettings,
    NotNegative,
    Positive,
    unit,
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
        default=MIN_LENGTH,
        description="as for `phonon`, at the volume given; all volumes have that supercell",
        json_schema_extra=unit("Å"),
    )
    temperatures: tuple[NotNegative, ...] = Field(
        default=(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0),
        description="ascending",
        json_schema_extra=unit("K"),
    )
    temperature_step: Positive = Field(
        default=5.0,
        description="derivatives are central differences over ± this",
        json_schema_extra=unit("K"),
    )

    @model_validator(mode="after")
    def _enough(self) -> QHASettings:
        if self.n_compressed + self.n_expanded < 4:
            raise ValueError(
                "n_compressed + n_expanded must be at least 4 (got "
                f"{self.n_compressed + self.n_expanded}), because a fit needs 5 volumes"
            )
        if self.n_compressed * self.volume_step >= 0.3:
            raise ValueError(
                "n_compressed * volume_step must be less than 0.3 (got "
                f"{self.n_compressed * self.volume_step:g})"
            )
        if list(self.temperatures) != sorted(set(self.temperatures)) or not self.temperatures:
            raise ValueError(
                f"temperatures must be in ascending order (got {list(self.temperatures)})"
            )
        return self


class QHAResult(Strict):
    """Quasi-harmonic approximation at zero pressure; lists run over the temperatures."""

    temperatures: list[FiniteFloat] = Field(
        description="those up to which the free energy has a minimum among the volumes",
        json_schema_extra=unit("K"),
    )
    volume_per_atom: list[FiniteFloat] = Field(
        description="where the free energy has its minimum", json_schema_extra=unit("Å³")
    )
    thermal_expansion: list[FiniteFloat] = Field(
        description="of the volume: three times the linear one of a cubic crystal",
        json_schema_extra=unit("1/K"),
    )
    bulk_modulus: list[FiniteFloat] = Field(
        description="isothermal",
        json_schema_extra=unit("GPa"),
    )
    cp: list[FiniteFloat] = Field(
        description="per atom, at constant pressure", json_schema_extra=unit("J/K/mol")
    )
    cv: list[FiniteFloat] = Field(
        description="per atom, at the volume of that temperature", json_schema_extra=unit("J/K/mol")
    )
    gruneisen: list[FiniteFloat | None] = Field(
        description="α B V / C_v; None where C_v is below 0.025 J/K/mol"
    )
    free_energy_per_atom: list[FiniteFloat] = Field(
        description="lattice and phonons", json_schema_extra=unit("eV")
    )
    mode_gruneisen_mean: FiniteFloat | None = Field(
        description="mean of -d ln ω / d ln V over the modes on the mesh, at the volume given"
    )
    mode_gruneisen_min: FiniteFloat | None = Field(
        description="smallest over the modes on the mesh"
    )
    mode_gruneisen_max: FiniteFloat | None = Field(description="largest over the modes on the mesh")
    n_volumes: int = Field(description="volumes in the fits")
    volumes: list[FiniteFloat] = Field(
        description="per atom",
        json_schema_extra=unit("Å³"),
    )
    energies: list[FiniteFloat] = Field(
        description="per atom, of the static lattice", json_schema_extra=unit("eV")
    )
    equation: str = Field(description="equation of state fitted to the free energy")
    supercell_matrix: IntMatrix = Field(description="of the force constants; columns, as phonopy's")
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)] = Field(description="of q-points")
    displacement: FiniteFloat = Field(
        description="of one atom in the supercell", json_schema_extra=unit("Å")
    )


def _at_room_temperature(name: str, unit: str, of: str | None = None) -> Column:
    """Column of a list at its temperature nearest to room temperature."""

    def value(result: Mapping[str, Any]) -> Any:
        temperatures = result["temperatures"]
        if not temperatures:
            return None
        away = [abs(temperature - ROOM_TEMPERATURE) for temperature in temperatures]
        return result[of or name][away.index(min(away))]

    return Column(name, value, unit)


def _headline(result: Mapping[str, Any]) -> str:
    mean = result["mode_gruneisen_mean"]
    of_modes = "" if mean is None else f", mean mode Grüneisen {mean:.2f}"
    return f"{result['n_volumes']} volumes{of_modes}"


PROPERTY = Property(
    name="qha",
    title="quasi-harmonic approximation",
    compute="pet_flows.properties.qha.qha:qha",
    settings=QHASettings,
    result=QHAResult,
    headline=_headline,
    table=(
        _at_room_temperature("volume_per_atom", "Å³"),
        _at_room_temperature("thermal_expansion", "1/K"),
        _at_room_temperature("bulk_modulus", "GPa"),
        _at_room_temperature("temperature", "K", of="temperatures"),
        "mode_gruneisen_mean",
    ),
    counts="volumes",
    compared="pet_flows.properties.qha.compare:values",
    dtype="float64",  # as for phonons
    plots={
        "expansion": "pet_flows.properties.qha.plot:expansion",
        "free_energy": "pet_flows.properties.qha.plot:free_energy",
    },
    order=50,
)
