"""What goes into the evaluator and what comes out: one geometry, and what the model says of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

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

    @classmethod
    def of(cls, atoms: Atoms, bound: Bound) -> System:
        """System of an ASE structure, whose arrays it shares."""
        return cls(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, bound)

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, positions: np.ndarray, cell: np.ndarray) -> System:
        """The same atoms elsewhere: ``(N, 3)`` and ``(3, 3)`` Å."""
        return System(self.numbers, positions, cell, self.pbc, self.bound)

    @property
    def atoms(self) -> Atoms:
        """The geometry as an ASE structure of its own."""
        return Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)

    @property
    def volume(self) -> float:
        """Å³, of the cell."""
        return abs(float(np.linalg.det(self.cell)))


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

    @property
    def energy_per_atom(self) -> float:
        """EV."""
        return self.energy / len(self.system)

    @property
    def max_force(self) -> float:
        """Largest norm of the force on an atom, eV/Å."""
        return float(np.sqrt((self.forces**2).sum(1).max()))
