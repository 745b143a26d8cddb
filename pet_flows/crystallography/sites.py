"""Atoms of a periodic cell as places, to be matched against rotated and shifted ones."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pet_flows.geometry.neighbours import find_neighbours

#: Å; beyond this two places are not the same in exact arithmetic
EXACT = 1e-9
#: places (candidates × atoms) looked up at once: some ten MB
PLACES = 500_000
#: Å; atoms are told apart by their neighbours within this
SURROUNDINGS = 5.0


class Sites:
    """Atoms of a periodic cell, ready to be matched against rotated and shifted ones."""

    def __init__(self, numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray):
        self.numbers = np.asarray(numbers)
        self.cell = np.asarray(cell, dtype=float)
        self.inverse = np.linalg.inv(self.cell)
        self.fractional = positions @ self.inverse
        self._members = {z: np.nonzero(self.numbers == z)[0] for z in np.unique(self.numbers)}
        self._trees = {
            z: cKDTree(wrapped(self.fractional[i]), boxsize=1.0) for z, i in self._members.items()
        }

    def __len__(self) -> int:
        return len(self.numbers)

    def match(self, places: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """For sets of places, which of them are the structure, and by which permutation.

        Parameters
        ----------
        places
            ``(c, n, 3)`` fractional coordinates, row i of each set for an atom like atom i.
        tolerance
            Å.

        Returns
        -------
        tuple
            Indices ``(k,)`` of the sets that match and permutations ``(k, n)``: place i is
            that of atom ``perm[i]``.
        """
        alive = np.arange(len(places))
        # a few atoms exclude nearly all candidates, at a fraction of the price
        for chosen in ([0], list(range(min(4, len(self)))), list(range(len(self)))):
            if len(alive):
                perms, residual = self.nearest(places[alive][:, chosen], np.array(chosen))
                good = residual.max(1) <= tolerance
                alive, perms = alive[good], perms[good]
        if not len(alive):
            return alive, np.zeros((0, len(self)), dtype=int)
        unique = np.array([len(set(p)) == len(p) for p in perms.tolist()], dtype=bool)
        return alive[unique], perms[unique]

    def nearest(self, places: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest like atoms ``(c, m)`` and their distances in Å.

        Of places ``(c, m, 3)``, fractional, for atoms like those of indices ``which (m,)``.
        """
        index = np.zeros(places.shape[:2], dtype=int)
        for z, members in self._members.items():
            column = np.nonzero(self.numbers[which] == z)[0]
            if len(column):
                _, found = self._trees[z].query(wrapped(places[:, column]))
                index[:, column] = members[found]
        offset = places - self.fractional[index]
        offset -= np.rint(offset)
        return index, np.linalg.norm(offset @ self.cell, axis=-1)


def wrapped(fractional: np.ndarray) -> np.ndarray:
    """Fractional coordinates into [0, 1), round-off included."""
    inside = fractional - np.floor(fractional)
    return np.where(inside >= 1.0, 0.0, inside)


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
    i, j, _, d = find_neighbours(positions, cell, np.ones(3, dtype=bool), SURROUNDINGS)
    # nothing at that distance itself, where round-off decides which neighbours are found
    weights = np.exp(-((d / 2.0) ** 2)) - np.exp(-((SURROUNDINGS / 2.0) ** 2))
    prints = np.bincount(i, np.sqrt(numbers[j] + 0.5) * weights, len(numbers))
    order = np.lexsort((prints, numbers))
    gap = np.diff(prints[order]) > max(1e-6, 100 * tolerance)
    new = np.concatenate([[True], gap | (np.diff(numbers[order]) != 0)])
    label = np.cumsum(new) - 1
    return order[label == np.bincount(label).argmin()]
