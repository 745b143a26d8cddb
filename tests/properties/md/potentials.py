"""Potentials whose statistical mechanics is known, as fast as NumPy: an ideal gas, and springs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.symmetrization.fixed import Fixed

#: (positions, cell) → energy eV, forces eV/Å, virial dE/dε eV
Law = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, np.ndarray]]


def ideal_gas(positions: np.ndarray, cell: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Atoms that do not see each other."""
    return 0.0, np.zeros_like(positions), np.zeros((3, 3))


class Springs:
    """Springs between the nearest neighbours of a crystal, bound to it for good.

    Parameters
    ----------
    atoms
        The crystal, every spring at rest.
    stiffness
        eV/Å².
    """

    def __init__(self, atoms: Atoms, stiffness: float = 5.0):
        nearest = neighbor_list("d", atoms, 4.0).min()
        self.i, self.j, self.shift = neighbor_list("ijS", atoms, 1.1 * nearest)
        self.rest, self.stiffness = nearest, stiffness

    def __call__(
        self, positions: np.ndarray, cell: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """See :data:`Law`; each spring is in the lists twice."""
        bonds = positions[self.j] - positions[self.i] + self.shift @ cell
        lengths = np.linalg.norm(bonds, axis=1)
        stretch = lengths - self.rest
        pulls = (self.stiffness * stretch / lengths)[:, None] * bonds
        forces = np.stack(
            [np.bincount(self.i, pulls[:, k], len(positions)) for k in range(3)], axis=1
        )
        return float(self.stiffness * (stretch**2).sum() / 4.0), forces, pulls.T @ bonds / 2.0


class LawEvaluator:
    """Evaluates a law; counts evaluations, and calls ``before`` ahead of each."""

    chunk_atoms = 500

    def __init__(self, law: Law):
        self.law = law
        self.evaluated = 0
        self.before: Callable[[], None] = lambda: None

    def refuse_too_large(self, atoms: Atoms) -> None:
        """Nothing: arrays as small as these fit anywhere."""

    def evaluate(self, systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
        """As :meth:`pet_flows.engines.evaluator.Evaluator.evaluate`."""
        found = []
        for system in systems:
            self.before()
            self.evaluated += 1
            energy, force, virial = self.law(system.positions, system.cell)
            n = len(system.positions)
            stress = virial / abs(np.linalg.det(system.cell)) if system.pbc.all() else None
            energies = np.full(n, energy / n)
            found.append(Evaluation(system, energy, energies, force, stress, 1, None, None))
        return found


class LawPotential:
    """What the properties use of a :class:`pet_flows.engines.potential.Potential`."""

    elements = frozenset(range(1, 100))
    cutoff = 6.0
    device = torch.device("cpu")

    def __init__(self, law: Law, symmetrization: str = "none"):
        self.evaluator = LawEvaluator(law)
        self.spec = SimpleNamespace(dtype="float64", symmetrization=symmetrization, digest="0" * 16)

    def bind(
        self, atoms: Atoms, inherited: dict | None = None, group: SpaceGroup | None = None
    ) -> Fixed:
        return Fixed(torch.eye(3, dtype=torch.float64)[None], len(atoms))


class LawCalculator(Calculator):
    """The same for ASE's dynamics."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, law: Law):
        super().__init__()
        self.law = law

    def calculate(
        self, atoms: Atoms, properties: Sequence[str] = (), system_changes: list = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        energy, forces, virial = self.law(atoms.positions, atoms.cell.array)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "stress": full_3x3_to_voigt_6_stress(virial / atoms.get_volume()),
        }
