"""What equations of state and elastic tensors compute."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pet_flows.properties.settings import CellSettings, IonSettings, Positive


class EOSSettings(CellSettings):
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
    max_volume_change: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3,
        description="how far the range may be moved towards a minimum, as |V/V_input - 1|",
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
            "eV/Å; largest norm of the force on an atom. Small: a strain of 0.1 % moves ions by "
            "less than 1e-3 Å, and 1e-3 eV/Å would leave a tenth of that undone"
        ),
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
