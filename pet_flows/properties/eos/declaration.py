"""Equation of state: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from pet_flows.properties.property import Property
from pet_flows.properties.result import (
    Strict,
)
from pet_flows.properties.settings import (
    CellSettings,
    unit,
)


class EOSSettings(CellSettings):
    """Energy against volume, fitted with a third-order Birch–Murnaghan equation."""

    strain: Annotated[float, Field(gt=0, lt=0.1)] = Field(
        default=0.02, description="linear; volumes go from V (1 - strain)³ to V (1 + strain)³"
    )
    n_volumes: int = Field(default=7, ge=5, description="volumes in that range, equally spaced")
    relax: Literal["shape", "ions", "none"] = Field(
        default="shape",
        description=(
            "what relaxes at each fixed volume: ions and the shape of the cell, ions alone, or "
            "nothing; where the kept symmetry leaves no freedom it is a single point by itself"
        ),
    )
    max_volume_change: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3,
        description="how far the range may be moved towards a minimum, as |V/V_input - 1|",
    )


class EOSResult(Strict):
    """Fit of a third-order Birch-Murnaghan equation, with the points that it was fitted to."""

    v0_per_atom: FiniteFloat = Field(
        description="equilibrium volume",
        json_schema_extra=unit("Å³"),
    )
    e0_per_atom: FiniteFloat = Field(
        description="energy at that volume", json_schema_extra=unit("eV")
    )
    b0: FiniteFloat = Field(
        description="bulk modulus at that volume", json_schema_extra=unit("GPa")
    )
    b0_prime: FiniteFloat = Field(description="derivative of the bulk modulus, dimensionless")
    residual: FiniteFloat = Field(
        description="per atom, rms of the fit", json_schema_extra=unit("eV")
    )
    volumes: list[FiniteFloat] = Field(
        description="per atom",
        json_schema_extra=unit("Å³"),
    )
    energies: list[FiniteFloat] = Field(
        description="per atom",
        json_schema_extra=unit("eV"),
    )


def _headline(result: Mapping[str, Any]) -> str:
    return "V0 {v0_per_atom:.3f} Å³/atom, B0 {b0:.1f} GPa".format(**result)


PROPERTY = Property(
    name="eos",
    title="equation of state",
    compute="pet_flows.properties.eos.eos:eos",
    settings=EOSSettings,
    result=EOSResult,
    headline=_headline,
    table=("v0_per_atom", "b0", "b0_prime"),
    counts="volumes",
    plots={"curve": "pet_flows.properties.eos.plot:curve"},
    compared="pet_flows.properties.eos.compare:values",
    order=20,
)
