"""Molecular dynamics: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from pet_flows.properties.property import Property
from pet_flows.properties.result import (
    LatticeParameters,
    Strict,
)
from pet_flows.properties.settings import (
    NotNegative,
    Positive,
    PropertySettings,
    unit,
)


class MDSettings(PropertySettings):
    """Molecular dynamics."""

    ensemble: Literal["nve", "nvt_langevin", "nvt_nose_hoover", "npt_langevin"] = Field(
        default="nvt_langevin", description="what is sampled, and with which thermostat"
    )
    temperature: Positive = Field(
        default=300.0,
        description="target, and that of the first velocities",
        json_schema_extra=unit("K"),
    )
    final_temperature: Positive | None = Field(
        default=None,
        description="the target goes there linearly over the run",
        json_schema_extra=unit("K"),
    )
    pressure: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=0.0, description="target of npt_langevin", json_schema_extra=unit("GPa")
    )
    final_pressure: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None,
        description="the target goes there linearly over the run",
        json_schema_extra=unit("GPa"),
    )
    cell_motion: Literal["isotropic", "full"] = Field(
        default="isotropic", description="of npt_langevin: the volume alone, or the shape too"
    )
    timestep: Positive = Field(
        default=1.0, description="time step of the integrator", json_schema_extra=unit("fs")
    )
    steps: int = Field(default=1000, ge=1, description="integration steps")
    friction: Positive = Field(
        default=10.0, description="of the Langevin thermostats", json_schema_extra=unit("1/ps")
    )
    thermostat_time: Positive = Field(
        default=0.1, description="period of the Nosé–Hoover chain", json_schema_extra=unit("ps")
    )
    barostat_time: Positive = Field(
        default=1.0,
        description="sets the inertia of the cell of npt_langevin",
        json_schema_extra=unit("ps"),
    )
    barostat_friction: Positive = Field(
        default=2.0,
        description="of the cell's own Langevin thermostat",
        json_schema_extra=unit("1/ps"),
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
        default=2.0,
        description="longest lag of the velocity autocorrelation",
        json_schema_extra=unit("ps"),
    )
    rdf_cutoff: Positive = Field(
        default=8.0, description="of the pair distributions", json_schema_extra=unit("Å")
    )
    equilibration: int = Field(
        default=0, ge=0, description="steps at the start that all averages leave out"
    )
    min_length: NotNegative = Field(
        default=10.0,
        description="the cell is repeated until its lattice vectors are this long; 0: never",
        json_schema_extra=unit("Å"),
    )
    max_temperature: Positive = Field(
        default=20_000.0,
        description="hotter than this the run has exploded",
        json_schema_extra=unit("K"),
    )
    max_strain: Positive = Field(
        default=0.4, description="a cell whose principal stretch leaves exp(±max_strain) ran away"
    )

    @model_validator(mode="after")
    def _equilibrates_before_the_end(self) -> MDSettings:
        if self.equilibration >= self.steps:
            raise ValueError(
                f"equilibration must be shorter than the {self.steps} steps (got "
                f"{self.equilibration})"
            )
        return self

    @model_validator(mode="after")
    def _targets_are_held(self) -> MDSettings:
        if self.ensemble == "nve" and self.final_temperature is not None:
            raise ValueError(
                "final_temperature needs a thermostat: choose another ensemble than nve"
            )
        if self.ensemble != "npt_langevin" and (self.pressure or self.final_pressure is not None):
            raise ValueError(
                f"pressure needs ensemble npt_langevin (got {self.ensemble}): choose it, or leave "
                "the pressure out"
            )
        return self


def degrees_of_freedom(ensemble: str, n_atoms: int) -> int:
    """Degrees of freedom of the momenta: without noise the centre of mass stays where it is."""
    kept = ensemble in ("nve", "nvt_nose_hoover") and n_atoms > 1
    return 3 * n_atoms - 3 * kept


class Sampled(Strict):
    """A quantity along a trajectory."""

    target: FiniteFloat | None = Field(description="what held it; null if nothing did, or a ramp")
    mean: FiniteFloat = Field(description="after the equilibration")
    std: FiniteFloat = Field(description="standard deviation of the samples")
    error: FiniteFloat | None = Field(
        description="standard error of the mean from blocks; null for a short series"
    )


class MDResult(Strict):
    """Molecular dynamics; averages from the end of the equilibration on."""

    ensemble: str = Field(description="what was sampled, and with which thermostat")
    temperature: Sampled = Field(
        description="of all degrees of freedom but the centre of mass", json_schema_extra=unit("K")
    )
    temperature_std_canonical: FiniteFloat | None = Field(
        description="T √(2/f): the std that the canonical ensemble has; null without thermostat",
        json_schema_extra=unit("K"),
    )
    pressure: Sampled | None = Field(
        description="the kinetic part included", json_schema_extra=unit("GPa")
    )
    potential_energy_per_atom: Sampled = Field(
        description="without the kinetic part", json_schema_extra=unit("eV")
    )
    volume_per_atom: Sampled | None = Field(
        description="None without a cell", json_schema_extra=unit("Å³")
    )
    lattice: LatticeParameters | None = Field(description="of the mean cell")
    time: FiniteFloat = Field(
        description="length of the run",
        json_schema_extra=unit("ps"),
    )
    timestep: FiniteFloat = Field(
        description="time step of the integrator", json_schema_extra=unit("fs")
    )
    drift: FiniteFloat | None = Field(
        description="of the conserved quantity", json_schema_extra=unit("eV/atom/ps")
    )
    momentum: FiniteFloat = Field(
        description="largest norm of the total momentum", json_schema_extra=unit("u Å/fs")
    )
    diffusion: dict[str, FiniteFloat] | None = Field(
        description="by element; null if none diffuses, or the run is too short to tell",
        json_schema_extra=unit("cm²/s"),
    )
    diffusion_error: dict[str, FiniteFloat] | None = Field(
        description="from the three axes", json_schema_extra=unit("cm²/s")
    )
    lindemann: FiniteFloat | None = Field(
        description="rms distance from the mean position over the nearest-neighbour distance"
    )
    seed: int = Field(description="of velocities and noise")
    exploded: bool = Field(
        description="whether the run was ended because it was no longer physical"
    )


def _headline(result: Mapping[str, Any]) -> str:
    text = "{time:.2f} ps at {temperature[mean]:.0f} K".format(**result)
    drift = result["drift"]
    return text if drift is None else f"{text}, drift {drift:.1e} eV/atom/ps"


PROPERTY = Property(
    name="md",
    title="molecular dynamics",
    compute="pet_flows.properties.md.md:md",
    settings=MDSettings,
    result=MDResult,
    headline=_headline,
    table=("temperature.mean", "pressure.mean", "volume_per_atom.mean", "drift"),
    counts="steps",
    purpose=lambda settings: "dynamics",
    takes=("checkpoints", "checkpoint_every", "store_every"),
    compared="pet_flows.properties.md.compare:values",
    crystal="input",
    plots={
        "run": "pet_flows.properties.md.plot:run",
        "rdf": "pet_flows.properties.md.plot:rdf",
        "msd": "pet_flows.properties.md.plot:msd",
        "vdos": "pet_flows.properties.md.plot:vdos",
    },
    order=70,
)
