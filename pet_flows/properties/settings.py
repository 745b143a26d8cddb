"""What the settings of all properties share: frozen, validated, hashed into record keys.

Only choices that change the physics are here. How it is executed (batch sizes, devices, where
checkpoints lie) is an argument of the property, so that the same result keeps the same key.
Nothing here imports torch or ase.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def unit(symbol: str) -> dict[str, Any]:
    """What a field's ``json_schema_extra`` holds, so that lists and plots can say its unit."""
    return {"unit": symbol}


def unit_of(field: FieldInfo) -> str:
    """Symbol that a field was declared with; empty without one."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


#: ``json_schema_extra`` of a setting that acts through the potential, whose digest says it
IN_POTENTIAL: dict[str, Any] = {"digest": "potential"}


class PropertySettings(BaseModel):
    """Base of all settings: immutable, no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_flags_for_numbers(cls, given: Any, info: ValidationInfo) -> Any:
        """``true`` is no number, although Python takes it for one."""
        if isinstance(given, bool) and "bool" not in str(
            cls.model_fields[str(info.field_name)].annotation
        ):
            raise ValueError(
                f"{info.field_name} must not be true or false (got {str(given).lower()})"
            )
        return given

    def identity(self) -> dict[str, Any]:
        """What of the settings a digest holds: all but what the digest of the potential says."""
        elsewhere = {
            name
            for name, field in type(self).model_fields.items()
            if isinstance(field.json_schema_extra, dict) and "digest" in field.json_schema_extra
        }
        return self.model_dump(mode="json", exclude=elsewhere)


class IonSettings(PropertySettings):
    """What every optimization of a geometry needs, be it of the ions alone."""

    fix_symmetry: bool = Field(
        default=True, description="keep the space group that the input has at `symprec`"
    )
    symprec: Positive = Field(
        default=0.01,
        description="the input's symmetry is sought with it, then made exact once",
        json_schema_extra=unit("Å"),
    )
    fmax: Positive = Field(
        default=0.001,
        description="largest norm of the force on an atom",
        json_schema_extra=unit("eV/Å"),
    )
    steps: int = Field(default=500, ge=1, description="optimizer steps before `steps_exhausted`")
    optimizer: Literal["lbfgs", "bfgs", "fire"] = Field(
        default="lbfgs",
        description="torch-sim's optimizer; `bfgs` keeps whole Hessians: small cells only",
    )


class CellSettings(IonSettings):
    """What an optimization needs in which the cell may move too."""

    smax: Positive = Field(
        default=0.001,
        description=(
            "largest eigenvalue of volume × stress / number of atoms, which is what ASE's "
            "FrechetCellFilter compares with fmax (0.001 eV is about 0.01 GPa)"
        ),
        json_schema_extra=unit("eV"),
    )
    max_strain: Positive = Field(
        default=0.4,
        description=(
            "a cell whose principal stretch leaves exp(±max_strain) has run away "
            "(0.4: volume ratios of 0.3 to 3.3)"
        ),
    )
