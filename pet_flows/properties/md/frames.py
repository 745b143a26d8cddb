"""One frame of a trajectory, and how it lies on disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Snapshot:
    """A run at one step: views of its arrays, not copies."""

    step: int
    potential: float
    """eV"""
    kinetic: float
    """eV"""
    conserved: float
    """eV"""
    stress: np.ndarray
    """(3, 3) eV/Å³, the potential's part"""
    cell: np.ndarray
    """(3, 3) Å, rows"""
    positions: np.ndarray
    """(N, 3) Å, never wrapped"""
    momenta: np.ndarray
    """(N, 3) ASE units"""
    forces: np.ndarray
    """(N, 3) eV/Å"""


def frame_type(n_atoms: int) -> np.dtype:
    """One frame: a :class:`Snapshot`."""
    return np.dtype(
        [
            ("step", "<i8"),
            ("potential", "<f8"),
            ("kinetic", "<f8"),
            ("conserved", "<f8"),
            ("stress", "<f8", (3, 3)),
            ("cell", "<f8", (3, 3)),
            ("positions", "<f8", (n_atoms, 3)),
            ("momenta", "<f8", (n_atoms, 3)),
            ("forces", "<f8", (n_atoms, 3)),
        ]
    )
