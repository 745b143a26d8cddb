"""What goes into the evaluator and what comes out: torch-free to look at, NumPy to use."""

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
        """System of an ASE structure."""
        return cls(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, bound)


@dataclass(frozen=True)
class Evaluation:
    """Energy and derivatives of one :class:`System`; always fresh arrays."""

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
