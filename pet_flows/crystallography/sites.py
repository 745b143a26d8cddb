"""Atoms of a periodic cell as places, to be matched against rotated and shifted ones."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

#: Å; beyond this two places are not the same in exact arithmetic
EXACT = 1e-9
#: places (candidates × atoms) looked up at once: some ten MB
PLACES = 500_000
#: distances that are sooner computed than a tree is made and asked
FEW = 10_000


class Sites:
    """Atoms of a periodic cell, ready to be matched against rotated and shifted ones."""

    def __init__(self, numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray):
        self.numbers = np.asarray(numbers)
        self.cell = np.asarray(cell, dtype=float)
        self.inverse = np.linalg.inv(self.cell)
        self.fractional = positions @ self.inverse
        kinds = sorted(set(self.numbers.tolist()))
        self._members = {z: np.nonzero(self.numbers == z)[0] for z in kinds}
        self._trees: dict[int, cKDTree] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rarest(self) -> np.ndarray:
        """``(m,)`` int, the atoms of the element that has the fewest."""
        return min(self._members.values(), key=len)

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
        kinds = self.numbers[which]
        for z, members in self._members.items():
            column = np.nonzero(kinds == z)[0]
            if len(column):
                index[:, column] = members[self._nearest(places[:, column], z)]
        offset = places - self.fractional[index]
        offset -= np.rint(offset)
        vectors = offset @ self.cell
        return index, np.sqrt(np.einsum("cma,cma->cm", vectors, vectors))

    def _nearest(self, places: np.ndarray, z: int) -> np.ndarray:
        """Which of the atoms of an element is nearest to places ``(c, m, 3)``, in fractions."""
        members = self._members[z]
        if len(members) == 1:
            return np.zeros(places.shape[:2], dtype=int)
        if places.shape[0] * places.shape[1] * len(members) <= FEW:
            offset = places[:, :, None] - self.fractional[members]
            offset -= np.rint(offset)
            return np.einsum("cmna,cmna->cmn", offset, offset).argmin(2)
        if z not in self._trees:
            self._trees[z] = cKDTree(wrapped(self.fractional[members]), boxsize=1.0)
        found: np.ndarray = self._trees[z].query(wrapped(places))[1]
        return found


def wrapped(fractional: np.ndarray) -> np.ndarray:
    """Fractional coordinates into [0, 1), round-off included."""
    inside = fractional - np.floor(fractional)
    return np.where(inside >= 1.0, 0.0, inside)
