"""Atomic masses of every element: phonopy has none from polonium on but for three."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses
from phonopy.structure.atoms import atom_data


def masses(numbers: np.ndarray) -> np.ndarray:
    """``(n,)`` u, phonopy's, or where it has none those of the longest-lived isotopes, from ASE.

    Parameters
    ----------
    numbers
        ``(n,)`` atomic numbers.
    """
    found = [(atom_data[z][3], atomic_masses[z]) for z in np.asarray(numbers).tolist()]
    return np.array([own if ours is None else ours for ours, own in found], dtype=float)
