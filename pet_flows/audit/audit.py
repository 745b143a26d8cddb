"""How symmetric a calculator really is: rotate, reflect, permute, shift, re-set the cell, compare.

Works on any ASE calculator; nothing here knows of PET or of our strategies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.errors import StructureError

#: what is done to a structure, in the order of the table
TRANSFORMATIONS = ("rotation", "inversion", "permutation", "translation", "cell setting")


@dataclass(frozen=True)
class Errors:
    """Largest deviation from what an exact symmetry would give."""

    energy: float
    """eV/atom"""
    forces: float
    """eV/Å"""
    stress: float | None
    """eV/Å³; None without a stress"""


@dataclass(frozen=True)
class Audit:
    """The audit of one calculator on one structure."""

    structure: str
    n_atoms: int
    errors: dict[str, Errors]
    """by transformation; only those that the structure allows"""
    mean_distance: Errors | None
    """from the O(3) mean of the underlying model, where one was given"""
    conservation: float
    """eV/Å, largest difference between forces and fourth-order finite differences"""
    site_symmetry: float | None
    """eV/Å, largest force that the crystal's symmetry forbids; None in P1"""
    n_evaluations: int | None
    """model evaluations per call, where the calculator tells"""
    milliseconds: float
    """per call, median, on a structure that the calculator has seen before"""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Result:
    """What a calculator says of a structure, or the mean of what it says."""

    energy: float
    """eV"""
    forces: np.ndarray
    """eV/Å, (N, 3)"""
    stress: np.ndarray | None
    """eV/Å³, (3, 3); None where there is none"""


def audit(
    calculator: Calculator,
    atoms: Atoms,
    *,
    mean: Result | None = None,
    n_rotations: int = 4,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Measure every symmetry of a calculator on one structure.

    Parameters
    ----------
    calculator
        Any ASE calculator; used as it is, one structure after another.
    atoms
        Not changed. Rattle it first where a perfect crystal would hide errors.
    mean
        Of the model without symmetrization over O(3) (:func:`rotational_mean`), for the distance
        from it.
    n_rotations
        Random rotations, and as many improper ones.
    seed
        Of all that is random here.
    progress
        Called with the name of each measurement before it is made.
    """

    def now(name: str) -> None:
        if progress is not None:
            progress(name)

    rng = np.random.default_rng(seed)
    base = _evaluate(calculator, atoms)
    errors: dict[str, Errors] = {}
    for name in ("rotation", "inversion"):
        now(name)
        sign = -1.0 if name == "inversion" else 1.0
        rotations = Rotation.random(n_rotations, random_state=seed).as_matrix() * sign
        found = [_rotated(calculator, atoms, rotation) for rotation in rotations]
        errors[name] = _worst([_difference(base, one, len(atoms)) for one in found])
    now("permutation")
    order = rng.permutation(len(atoms))
    permuted = _evaluate(calculator, atoms[order])
    back = Result(permuted.energy, permuted.forces[np.argsort(order)], permuted.stress)
    errors["permutation"] = _difference(base, back, len(atoms))
    now("translation")
    shifted = atoms.copy()
    shifted.positions += rng.normal(size=3)
    errors["translation"] = _difference(base, _evaluate(calculator, shifted), len(atoms))
    if atoms.pbc.all():
        now("cell setting")
        found = [_evaluate(calculator, _other_setting(atoms, m)) for m in _SETTINGS]
        errors["cell setting"] = _worst([_difference(base, one, len(atoms)) for one in found])
    now("forces against finite differences")
    conservation = _conservation(calculator, atoms, base, rng)
    now("time of a call")
    milliseconds = _milliseconds(calculator, atoms)  # the last call is on the structure itself
    n_evaluations = getattr(calculator, "results", {}).get("n_evaluations")
    return Audit(
        structure=atoms.get_chemical_formula(empirical=True),
        n_atoms=len(atoms),
        errors=errors,
        mean_distance=None if mean is None else _difference(base, mean, len(atoms)),
        conservation=conservation,
        site_symmetry=_forbidden_force(atoms, base),
        n_evaluations=n_evaluations,
        milliseconds=milliseconds,
    )


def rotational_mean(raw: Calculator, atoms: Atoms, n: int = 60, seed: int = 0) -> Result:
    """Mean over O(3) of what a calculator says, each rotated structure's result rotated back.

    Parameters
    ----------
    raw
        The model without symmetrization.
    atoms
        Not changed.
    n
        Random rotations, each with its mirror image.
    seed
        Of the rotations.
    """
    rotations = Rotation.random(n, random_state=seed + 1).as_matrix()
    found = [
        _rotated(raw, atoms, sign * rotation) for rotation in rotations for sign in (1.0, -1.0)
    ]
    stresses = [one.stress for one in found if one.stress is not None]
    return Result(
        float(np.mean([one.energy for one in found])),
        np.mean([one.forces for one in found], axis=0),
        np.mean(stresses, axis=0) if stresses else None,
    )


#: unimodular changes of the lattice basis, one of them left-handed
_SETTINGS = (
    np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]),
    np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    np.array([[1, 0, 0], [0, -1, 0], [1, 0, 1]]),
)


def _evaluate(calculator: Calculator, atoms: Atoms) -> Result:
    work = atoms.copy()
    work.calc = calculator
    calculator.reset()
    energy, forces = float(work.get_potential_energy()), work.get_forces().copy()
    stress = None
    if atoms.pbc.all():
        try:
            stress = work.get_stress(voigt=False).copy()
        except PropertyNotImplementedError:
            stress = None
    return Result(energy, forces, stress)


def _rotated(calculator: Calculator, atoms: Atoms, rotation: np.ndarray) -> Result:
    """Result for the rotated structure (row vectors, x' = x rotation), rotated back."""
    work = atoms.copy()
    work.set_cell(atoms.cell.array @ rotation)
    work.positions = atoms.positions @ rotation
    result = _evaluate(calculator, work)
    stress = None if result.stress is None else rotation @ result.stress @ rotation.T
    return Result(result.energy, result.forces @ rotation.T, stress)


def _other_setting(atoms: Atoms, change: np.ndarray) -> Atoms:
    work = atoms.copy()
    work.set_cell(change @ atoms.cell.array)
    return work


def _difference(a: Result, b: Result, n: int) -> Errors:
    stress = None
    if a.stress is not None and b.stress is not None:
        stress = float(np.abs(a.stress - b.stress).max())
    forces = float(np.abs(a.forces - b.forces).max())
    return Errors(abs(a.energy - b.energy) / n, forces, stress)


def _worst(found: Sequence[Errors]) -> Errors:
    stresses = [one.stress for one in found if one.stress is not None]
    return Errors(
        max(one.energy for one in found),
        max(one.forces for one in found),
        max(stresses) if stresses else None,
    )


def _conservation(
    calculator: Calculator, atoms: Atoms, base: Result, rng: np.random.Generator, h: float = 1e-3
) -> float:
    """Forces along three random directions against fourth-order differences of the energy."""
    worst = 0.0
    for _ in range(3):
        direction = rng.normal(size=atoms.positions.shape)
        direction /= np.linalg.norm(direction)

        def energy(step: float, direction: np.ndarray = direction) -> float:
            work = atoms.copy()
            work.positions += step * direction
            return _evaluate(calculator, work).energy

        slope = (8 * (energy(h) - energy(-h)) - (energy(2 * h) - energy(-2 * h))) / (12 * h)
        worst = max(worst, abs(slope + float((base.forces * direction).sum())))
    return worst


def _forbidden_force(atoms: Atoms, base: Result, symprec: float = 1e-6) -> float | None:
    """Largest part of the forces that is not invariant under the space group."""
    try:
        group = SpaceGroup.find(atoms, symprec)
    except StructureError:  # not periodic, or atoms overlap
        return None
    if len(group) == 1 and len(group.primitive.atoms) == len(atoms):
        return None
    symmetric = group.symmetrize_forces(base.forces, atoms.cell.array)
    return float(np.abs(base.forces - symmetric).max())


def _milliseconds(calculator: Calculator, atoms: Atoms, repeats: int = 3) -> float:
    """Median of calls as a relaxation makes them: what the first learnt of the crystal is kept."""
    times = []
    _evaluate(calculator, atoms)
    for _ in range(repeats):
        Calculator.reset(calculator)  # of the results alone, not what a subclass forgets besides
        work = atoms.copy()
        work.calc = calculator
        start = time.perf_counter()
        work.get_forces()
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))
