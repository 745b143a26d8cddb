"""Atoms on top of each other, found without the search of models, which brings PyTorch."""

from __future__ import annotations

import numpy as np
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree


def close_pairs(
    lattice: np.ndarray, fractional: np.ndarray, within: float, pbc: tuple[bool, ...] = (True,) * 3
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different atoms that are nearer than ``within``, by their nearest images.

    Parameters
    ----------
    lattice
        ``(3, 3)`` Å, rows, three independent ones, however skewed.
    fractional
        ``(N, 3)``, wrapped or not.
    within
        Å, less than half the shortest lattice vector for nothing to be missed.
    pbc
        ``(3,)``.

    Returns
    -------
    tuple
        Pairs ``(p, 2)`` int and their distances ``(p,)`` Å.
    """
    periodic = np.array(pbc, dtype=bool)
    cell = np.array(lattice, dtype=float)
    if periodic.sum() > 1:
        cell[periodic] = minkowski_reduce(cell, pbc=periodic)[0][periodic]
    inverse = np.linalg.inv(cell)
    scaled = fractional @ lattice @ inverse
    scaled -= np.floor(scaled) * periodic
    scaled[:, periodic] = np.where(scaled[:, periodic] >= 1.0, 0.0, scaled[:, periodic])
    # along the normals of the cell's faces two atoms are no farther apart than they are
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    tree = cKDTree(scaled * heights, boxsize=np.where(periodic, heights, 0.0))
    pairs = tree.query_pairs(within, p=np.inf, output_type="ndarray")
    offset = scaled[pairs[:, 0]] - scaled[pairs[:, 1]]
    distances = np.linalg.norm((offset - np.rint(offset) * periodic) @ cell, axis=1)
    near = distances < within
    return pairs[near], distances[near]
