"""What is inside ``result``, per property; units in the descriptions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

Vector = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Matrix = Annotated[list[Vector], Field(min_length=3, max_length=3)]
IntMatrix = Annotated[
    list[Annotated[list[int], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)
]

Matrix6 = Annotated[
    list[Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)]],
    Field(min_length=6, max_length=6),
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

    n_steps: int = Field(description="optimizer steps, both stages together")
    n_steps_float64: int = Field(
        description="of these, steps in float64 after a float32 potential got no further"
    )
    converged: bool
    enthalpy_per_atom: FiniteFloat = Field(
        description="eV, energy plus the pressure asked for times the volume"
    )
    energy_change: FiniteFloat | None = Field(
        description="eV per atom, final minus first; None where the crystal reference changed"
    )
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


class ElasticResult(Strict):
    """Elastic tensor, derivatives of the Cauchy stress, and what follows from it."""

    tensor: Matrix6 = Field(description="GPa, Voigt's notation, axes of the record's `structure`")
    tensor_ieee: Matrix6 = Field(description="GPa, Voigt's notation, axes of IEEE 176-1987")
    stable: bool = Field(description="Born's criterion: `min_eigenvalue` is positive")
    min_eigenvalue: FiniteFloat = Field(
        description="GPa, smallest of the tensor in Mandel's notation, where axes do not matter"
    )
    k_voigt: FiniteFloat = Field(description="GPa")
    g_voigt: FiniteFloat = Field(description="GPa")
    k_reuss: FiniteFloat | None = Field(description="GPa; this and what follows: None if unstable")
    g_reuss: FiniteFloat | None = Field(description="GPa")
    k_vrh: FiniteFloat | None = Field(description="GPa, Hill's mean of Voigt and Reuss")
    g_vrh: FiniteFloat | None = Field(description="GPa, Hill's mean of Voigt and Reuss")
    young: FiniteFloat | None = Field(description="GPa, of Hill's moduli")
    poisson: FiniteFloat | None = Field(description="of Hill's moduli")
    anisotropy: FiniteFloat | None = Field(description="universal; 0 for an isotropic solid")
    debye_temperature: FiniteFloat | None = Field(description="K, from Hill's sound velocities")
    residual: FiniteFloat = Field(
        description="GPa, largest misfit of a measured stress derivative and the tensor"
    )
    nonlinearity: FiniteFloat | None = Field(
        description="GPa, by how much the largest strain changes a constant; None with only one"
    )
    residual_stress: FiniteFloat = Field(
        description="GPa, largest principal stress of the unstrained crystal"
    )
    ions_relaxed: bool = Field(description="else the ions were clamped to the strained cell")
    n_strains: int = Field(description="strained cells that were computed")


class ImaginaryMode(Strict):
    """One mode below the tolerance."""

    q: Vector = Field(description="fractions of the reciprocal lattice vectors")
    frequency: FiniteFloat = Field(description="THz, negative")
    degeneracy: int = Field(default=1, description="modes of this frequency at this q")
    irrep: str | None = Field(
        default=None, description="Mulliken symbol in the little co-group of q; None without one"
    )


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


class QHAResult(Strict):
    """Quasi-harmonic approximation at zero pressure; lists run over the temperatures."""

    temperatures: list[FiniteFloat] = Field(
        description="K; those up to which the free energy has a minimum among the volumes"
    )
    volume_per_atom: list[FiniteFloat] = Field(description="Å³")
    thermal_expansion: list[FiniteFloat] = Field(
        description="1/K, of the volume: three times the linear one of a cubic crystal"
    )
    bulk_modulus: list[FiniteFloat] = Field(description="GPa, isothermal")
    cp: list[FiniteFloat] = Field(description="J/K/mol per atom, at constant pressure")
    cv: list[FiniteFloat] = Field(description="J/K/mol per atom, at the volume of that temperature")
    gruneisen: list[FiniteFloat | None] = Field(
        description="α B V / C_v; None where C_v is below 0.025 J/K/mol"
    )
    free_energy_per_atom: list[FiniteFloat] = Field(description="eV, lattice and phonons")
    mode_gruneisen_mean: FiniteFloat | None = Field(
        description="mean of -d ln ω / d ln V over the modes on the mesh, at the volume given"
    )
    mode_gruneisen_min: FiniteFloat | None
    mode_gruneisen_max: FiniteFloat | None
    n_volumes: int = Field(description="volumes in the fits")
    volumes: list[FiniteFloat] = Field(description="Å³ per atom")
    energies: list[FiniteFloat] = Field(description="eV per atom, of the static lattice")
    equation: str = Field(description="equation of state fitted to the free energy")
    supercell_matrix: IntMatrix
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)]
    displacement: FiniteFloat = Field(description="Å")


class KappaPoint(Strict):
    """Lattice thermal conductivity at one temperature."""

    T: FiniteFloat = Field(description="K")
    tensor: Matrix = Field(description="W/m/K")
    mean: FiniteFloat = Field(description="W/m/K, a third of the trace")


class KappaResult(Strict):
    """Lattice thermal conductivity in the relaxation-time approximation."""

    kappa: list[KappaPoint]
    mesh: Annotated[list[int], Field(min_length=3, max_length=3)]
    isotopes: bool = Field(description="whether the natural mixture of isotopes scatters")
    min_frequency: FiniteFloat = Field(description="THz, on the mesh")
    has_imaginary_modes: bool
    has_nac: bool = Field(description="whether a non-analytical correction was made")
    supercell_matrix: IntMatrix = Field(description="of the second-order force constants")
    third_supercell_matrix: IntMatrix = Field(description="of the third-order force constants")
    n_displacements: int = Field(description="displaced cells of both orders")
    residual_force: FiniteFloat = Field(description="eV/Å, largest in the undisplaced supercell")


class Sampled(Strict):
    """A quantity along a trajectory."""

    target: FiniteFloat | None = Field(description="what held it; null if nothing did, or a ramp")
    mean: FiniteFloat
    std: FiniteFloat
    error: FiniteFloat | None = Field(
        description="standard error of the mean from blocks; null for a short series"
    )


class MDResult(Strict):
    """Molecular dynamics; averages from the end of the equilibration on."""

    ensemble: str
    temperature: Sampled = Field(description="K")
    temperature_std_canonical: FiniteFloat | None = Field(
        description="K, T √(2/f): the std that the canonical ensemble has; null without thermostat"
    )
    pressure: Sampled | None = Field(description="GPa, the kinetic part included")
    potential_energy_per_atom: Sampled = Field(description="eV")
    volume_per_atom: Sampled | None = Field(description="Å³")
    lattice: LatticeParameters | None = Field(description="of the mean cell")
    time: FiniteFloat = Field(description="ps")
    timestep: FiniteFloat = Field(description="fs")
    drift: FiniteFloat | None = Field(description="eV/atom/ps, of the conserved quantity")
    momentum: FiniteFloat = Field(description="u Å/fs, largest norm of the total momentum")
    diffusion: dict[str, FiniteFloat] | None = Field(
        description="cm²/s by element; null if none diffuses, or the run is too short to tell"
    )
    diffusion_error: dict[str, FiniteFloat] | None = Field(description="cm²/s, from the three axes")
    lindemann: FiniteFloat | None = Field(
        description="rms distance from the mean position over the nearest-neighbour distance"
    )
    seed: int
    exploded: bool


RESULTS: dict[str, type[Strict]] = {
    "relax": RelaxResult,
    "static": StaticResult,
    "eos": EOSResult,
    "elastic": ElasticResult,
    "phonon": PhononResult,
    "kappa": KappaResult,
    "qha": QHAResult,
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
