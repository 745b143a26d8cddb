"""What molecular dynamics computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pet_flows.properties.settings import NotNegative, Positive, PropertySettings


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
