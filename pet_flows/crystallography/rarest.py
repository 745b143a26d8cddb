"""Atoms told apart by their neighbours: the fewest that no symmetry takes out of their set."""

from __future__ import annotations

import numpy as np

from pet_flows.geometry.neighbours import find_neighbours

#: Å; atoms are told apart by their neighbours within this
SURROUNDINGS = 5.0


def rarest_class(
    numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray, tolerance: float
) -> np.ndarray:
    """Smallest set of atoms that no symmetry can take out of itself.

    Atoms are told apart by element and by sums over their neighbours, which rotations and
    translations leave alone: one displaced atom in a supercell is alone in its class.

    Returns
    -------
    numpy.ndarray
        ``(m,)`` int, at least one atom.
    """
    counts = np.bincount(numbers)
    if (counts == 1).any():  # an element that has one atom
        return np.nonzero(numbers == (counts == 1).argmax())[0]
    i, j, _, d = find_neighbours(positions, cell, np.ones(3, dtype=bool), SURROUNDINGS)
    # nothing at that distance itself, where round-off decides which neighbours are found
    weights = np.exp(-((d / 2.0) ** 2)) - np.exp(-((SURROUNDINGS / 2.0) ** 2))
    prints = np.bincount(i, np.sqrt(numbers[j] + 0.5) * weights, len(numbers))
    order = np.lexsort((prints, numbers))
    gap = np.diff(prints[order]) > max(1e-6, 100 * tolerance)
    new = np.concatenate([[True], gap | (np.diff(numbers[order]) != 0)])
    label = np.cumsum(new) - 1
    return order[label == np.bincount(label).argmin()]
