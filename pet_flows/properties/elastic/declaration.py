"""Elastic tensor: settings, result, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pydantic import Field, FiniteFloat, field_validator

from pet_flows.properties.property import Property
from pet_flows.properties.result import (
    Matrix6,
    Strict,
)
from pet_flows.properties.settings import (
    IonSettings,
    Positive,
    unit,
)


class ElasticSettings(IonSettings):
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
    fmax: Positive = Field(
        default=1e-5,
        description=(
            "largest norm of the force on an atom. Small: a strain of 0.1 % moves ions by "
            "less than 1e-3 Å, and 1e-3 eV/Å would leave a tenth of that undone"
        ),
        json_schema_extra=unit("eV/Å"),
    )
    max_stress: Positive = Field(
        default=1.0,
        description=(
            "a crystal with a larger principal stress is refused: the constants would be off "
            "by about as much"
        ),
        json_schema_extra=unit("GPa"),
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
            raise ValueError(f"strain_magnitudes must be at most 0.05 (got {given[-1]:g})")
        if any(b < 1.1 * a for a, b in pairwise(given)):
            raise ValueError(f"strain_magnitudes must differ by at least a tenth (got {given})")
        return given


class ElasticResult(Strict):
    """Elastic tensor, derivatives of the Cauchy stress, and what follows from it."""

    tensor: Matrix6 = Field(
        description="Voigt's notation, axes of the record's `structure`",
        json_schema_extra=unit("GPa"),
    )
    tensor_ieee: Matrix6 = Field(
        description="Voigt's notation, axes of IEEE 176-1987", json_schema_extra=unit("GPa")
    )
    stable: bool = Field(description="Born's criterion: `min_eigenvalue` is positive")
    min_eigenvalue: FiniteFloat = Field(
        description="smallest of the tensor in Mandel's notation, where axes do not matter",
        json_schema_extra=unit("GPa"),
    )
    k_voigt: FiniteFloat = Field(
        description="bulk modulus, Voigt's upper bound", json_schema_extra=unit("GPa")
    )
    g_voigt: FiniteFloat = Field(
        description="shear modulus, Voigt's upper bound", json_schema_extra=unit("GPa")
    )
    k_reuss: FiniteFloat | None = Field(
        description="this and what follows: None if unstable", json_schema_extra=unit("GPa")
    )
    g_reuss: FiniteFloat | None = Field(
        description="shear modulus, Reuss's lower bound", json_schema_extra=unit("GPa")
    )
    k_vrh: FiniteFloat | None = Field(
        description="Hill's mean of Voigt and Reuss", json_schema_extra=unit("GPa")
    )
    g_vrh: FiniteFloat | None = Field(
        description="Hill's mean of Voigt and Reuss", json_schema_extra=unit("GPa")
    )
    young: FiniteFloat | None = Field(
        description="of Hill's moduli",
        json_schema_extra=unit("GPa"),
    )
    poisson: FiniteFloat | None = Field(description="of Hill's moduli")
    anisotropy: FiniteFloat | None = Field(description="universal; 0 for an isotropic solid")
    debye_temperature: FiniteFloat | None = Field(
        description="from Hill's sound velocities", json_schema_extra=unit("K")
    )
    residual: FiniteFloat = Field(
        description="largest misfit of a measured stress derivative and the tensor",
        json_schema_extra=unit("GPa"),
    )
    nonlinearity: FiniteFloat | None = Field(
        description="by how much the largest strain changes a constant; None with only one",
        json_schema_extra=unit("GPa"),
    )
    residual_stress: FiniteFloat = Field(
        description="largest principal stress of the unstrained crystal",
        json_schema_extra=unit("GPa"),
    )
    ions_relaxed: bool = Field(description="else the ions were clamped to the strained cell")
    n_strains: int = Field(description="strained cells that were computed")


def _headline(result: Mapping[str, Any]) -> str:
    if not result["stable"]:
        return f"unstable: smallest eigenvalue {result['min_eigenvalue']:.1f} GPa"
    return "K {k_vrh:.1f}, G {g_vrh:.1f} GPa".format(**result)


PROPERTY = Property(
    name="elastic",
    title="elastic tensor",
    compute="pet_flows.properties.elastic.elastic:elastic",
    settings=ElasticSettings,
    result=ElasticResult,
    headline=_headline,
    table=("k_vrh", "g_vrh", "young", "min_eigenvalue"),
    counts="strains",
    dtype="float64",  # a strain of 0.1 % changes the stress by some 0.1 GPa only
    plots={"modulus": "pet_flows.properties.elastic.plot:modulus"},
    compared="pet_flows.properties.elastic.compare:values",
    order=30,
)
