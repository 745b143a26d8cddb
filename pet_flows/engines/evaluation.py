"""What goes into the evaluator and what comes out: one geometry, and what the model says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms

from pet_flows.engines.surroundings import Surroundings
from pet_flows.geometry.electrons import NEUTRAL, electrons_of, told
from pet_flows.symmetrization.strategy import Bound


@dataclass(frozen=True)
class System:
    """One geometry and the bound strategy that serves it."""

    numbers: np.ndarray
    """(N,) atomic numbers"""
    positions: np.ndarray
    """(N, 3) Å, float64"""
    cell: np.ndarray
    """(3, 3) Å, rows are lattice vectors, float64"""
    pbc: np.ndarray
    """(3,) bool"""
    bound: Bound
    surroundings: Surroundings | None = field(default=None, repr=False)
    """what is kept of its neighbours while it moves"""
    electrons: tuple[int, int] = (0, 1)
    """charge and spin multiplicity, for models that take them"""

    @classmethod
    def of(cls, atoms: Atoms, bound: Bound) -> System:
        """System of an ASE structure, whose arrays it shares."""
        said = electrons_of(atoms.info)
        return cls(
            atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, bound,
            electrons=(said["charge"], said["spin_multiplicity"]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, positions: np.ndarray, cell: np.ndarray) -> System:
        """The same atoms elsewhere: ``(N, 3)`` and ``(3, 3)`` Å."""
        # one for each structure and step: `replace` takes several times as long
        return System(
            self.numbers, positions, cell, self.pbc, self.bound, self.surroundings, self.electrons
        )

    def near(self, skin: float | None = None) -> System:
        """The same, for displaced and strained copies that share its neighbours (`skin`, Å)."""
        shared = Surroundings() if skin is None else Surroundings(skin)
        return replace(self, surroundings=shared)

    def displaced(self, positions: np.ndarray) -> System:
        """A copy nearby, of positions ``(N, 3)`` Å."""
        return replace(self, positions=positions, surroundings=self._nearby)

    def strained(self, deformation: np.ndarray) -> System:
        """A copy nearby, ``x → x F`` with ``(3, 3)`` F."""
        return replace(
            self,
            positions=self.positions @ deformation,
            cell=self.cell @ deformation,
            surroundings=self._nearby,
        )

    @property
    def _nearby(self) -> Surroundings | None:
        kept = self.surroundings
        return None if kept is None else Surroundings(kept.skin, kept)

    @property
    def atoms(self) -> Atoms:
        """The geometry as an ASE structure of its own."""
        info = told(dict(zip(NEUTRAL, self.electrons, strict=True)))
        return Atoms(
            numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc, info=info
        )

    @property
    def volume(self) -> float:
        """Å³, of the cell."""
        return abs(float(np.linalg.det(self.cell)))


class Batch:
    """Systems side by side.

    Parameters
    ----------
    systems
        S of them.

    Attributes
    ----------
    sizes
        ``(S,)`` int, atoms of each.
    numbers, positions
        ``(N,)``; ``(N, 3)`` Å, of all.
    cells, pbc
        ``(S, 3, 3)`` Å; ``(S, 3)`` bool.
    electrons
        ``(S, 2)`` int, charges and spin multiplicities.
    """

    def __init__(self, systems: Sequence[System]):
        self.systems = systems
        self.sizes = np.array([len(system.numbers) for system in systems])
        self.numbers = np.concatenate([system.numbers for system in systems])
        self.positions = np.concatenate([system.positions for system in systems])
        self.cells = np.stack([system.cell for system in systems])
        self.pbc = np.stack([system.pbc for system in systems])
        self.electrons = np.array([system.electrons for system in systems])


@dataclass(frozen=True)
class Evaluation:
    """Energy and derivatives of one :class:`System`; always fresh arrays."""

    system: System
    energy: float
    """eV"""
    energies: np.ndarray
    """(N,) eV, per atom"""
    forces: np.ndarray
    """(N, 3) eV/Å"""
    stress: np.ndarray | None
    """(3, 3) eV/Å³, symmetric, tension positive; None without a cell volume"""
    n_evaluations: int
    """model evaluations (rotations) that this result took"""
    energy_spread: float | None
    """weighted standard deviation over the rotations, eV/atom; None with one evaluation"""
    force_spread: float | None
    """rms over rotations, atoms and components of the force deviation, eV/Å; None also where
    every atom has weights of its own (ecse)"""

    def projected(self, forces: np.ndarray, stress: np.ndarray | None) -> Evaluation:
        """The same with other forces ``(N, 3)`` and stress ``(3, 3)``."""
        return Evaluation(
            self.system, self.energy, self.energies, forces, stress, self.n_evaluations,
            self.energy_spread, self.force_spread,
        )  # fmt: skip

    @property
    def energy_per_atom(self) -> float:
        """EV."""
        return self.energy / len(self.system)

    @property
    def max_force(self) -> float:
        """Largest norm of the force on an atom, eV/Å."""
        return float(np.sqrt((self.forces**2).sum(1).max()))
