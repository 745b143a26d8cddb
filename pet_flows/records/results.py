"""What is inside ``result``, per property; units in the descriptions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

Vector = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Matrix = Annotated[list[Vector], Field(min_length=3, max_length=3)]
IntMatrix = Annotated[
    list[Annotated[list[int], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)
]


class Strict(BaseModel):
    """No unknown field, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LatticeParameters(Strict):
    """Lengths and angles of the cell."""

    a: FiniteFloat = Field(description="Å")
    b: FiniteFloat = Field(description="Å")
    c: FiniteFloat = Field(description="Å")
    alpha: FiniteFloat = Field(description="degrees")
    beta: FiniteFloat = Field(description="degrees")
    gamma: FiniteFloat = Field(description="degrees")


class StaticResult(Strict):
    """Energy, forces and stress of a structure as it is."""

    energy: FiniteFloat = Field(description="eV per cell")
    energy_per_atom: FiniteFloat = Field(description="eV")
    max_force: FiniteFloat = Field(description="eV/Å, largest norm of the force on an atom")
    stress: Matrix | None = Field(description="GPa, tension positive; None without a volume")
    pressure: FiniteFloat | None = Field(description="GPa, minus a third of the stress's trace")


class RelaxResult(StaticResult):
    """Where a relaxation ended."""

    n_steps: int = Field(description="optimizer steps")
    converged: bool
    volume_change: FiniteFloat = Field(description="final over input volume, minus one")
    lattice: LatticeParameters
    rmsd: FiniteFloat | None = Field(
        description="Å, between input and final positions, the cell's strain taken out"
    )


class EOSResult(Strict):
    """Fit of a third-order Birch-Murnaghan equation, with the points that it was fitted to."""

    v0_per_atom: FiniteFloat = Field(description="Å³")
    e0_per_atom: FiniteFloat = Field(description="eV")
    b0: FiniteFloat = Field(description="GPa")
    b0_prime: FiniteFloat = Field(description="derivative of the bulk modulus, dimensionless")
    residual: FiniteFloat = Field(description="eV per atom, rms of the fit")
    volumes: list[FiniteFloat] = Field(description="Å³ per atom")
    energies: list[FiniteFloat] = Field(description="eV per atom")


class ImaginaryMode(Strict):
    """One mode below the tolerance."""

    q: Vector = Field(description="fractions of the reciprocal lattice vectors")
    frequency: FiniteFloat = Field(description="THz, negative")
    irrep: str | None = None


class ThermalPoint(Strict):
    """Harmonic thermal properties at one temperature, per atom."""

    T: FiniteFloat = Field(description="K")
    cv: FiniteFloat = Field(description="J/K/mol")
    s: FiniteFloat = Field(description="J/K/mol")
    f: FiniteFloat = Field(description="kJ/mol")


class PhononResult(Strict):
    """Harmonic phonons; imaginary frequencies are negative numbers."""

    min_frequency: FiniteFloat = Field(description="THz, on the mesh")
    max_frequency: FiniteFloat = Field(description="THz, on the mesh")
    has_imaginary_modes: bool
    tolerance: FiniteFloat = Field(description="THz; imaginary is below minus this")
    imaginary: list[ImaginaryMode]
    supercell_matrix: IntMatrix
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)]
    displacement: FiniteFloat = Field(description="Å")
    residual_force: FiniteFloat = Field(description="eV/Å, largest in the undisplaced supercell")
    has_nac: bool = Field(description="whether a non-analytical correction was made")
    zero_point_energy_per_atom: FiniteFloat = Field(description="eV")
    thermal: list[ThermalPoint]


class Sampled(Strict):
    """A quantity along a trajectory."""

    target: FiniteFloat | None
    mean: FiniteFloat
    std: FiniteFloat


class MDResult(Strict):
    """Molecular dynamics."""

    ensemble: str
    temperature: Sampled = Field(description="K")
    pressure: Sampled | None = Field(description="GPa")
    time: FiniteFloat = Field(description="ps")
    timestep: FiniteFloat = Field(description="fs")
    drift: FiniteFloat | None = Field(description="eV/atom/ps, of the conserved quantity")
    diffusion: dict[str, FiniteFloat] | None = Field(description="cm²/s by element")
    seed: int
    exploded: bool


RESULTS: dict[str, type[Strict]] = {
    "relax": RelaxResult,
    "static": StaticResult,
    "eos": EOSResult,
    "phonon": PhononResult,
    "md": MDResult,
}


def check_result(property: str, result: dict[str, Any], *, complete: bool) -> None:
    """Validate a result against the model of its property.

    Parameters
    ----------
    property
        One of `RESULTS`.
    result
        Numbers and lists only.
    complete
        Whether every field must be there; what failed or did not converge may have some only,
        and what it has must still be right.

    Raises
    ------
    ValueError
        Names each field that is wrong.
    """
    if property not in RESULTS:
        raise ValueError(f"there is no property {property!r}, only {', '.join(RESULTS)}")
    try:
        RESULTS[property].model_validate(result)
    except ValidationError as error:
        wrong = [e for e in error.errors() if complete or e["type"] != "missing"]
        if wrong:
            listed = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)
            raise ValueError(f"the result of {property} is not as documented: {listed}") from None
