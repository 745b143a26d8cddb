"""Exact symmetry of a periodic structure: translations, primitive cell, operations.

Found by how far atoms are from the places they should be on (residuals in Å), for operations
that are given: no guessing of space groups, no standard settings, origin and orientation kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import vesin
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree

#: Å; beyond this two places are not the same in exact arithmetic
EXACT = 1e-9
#: a tolerance that finds fewer translations than one larger by this factor lies among residuals
#: that are equal but for round-off, as those of a supercell with one displaced atom are
MARGIN = 1.2
#: places (candidates × atoms) looked up at once: some ten MB
PLACES = 500_000


@dataclass(frozen=True)
class Primitive:
    """How the atoms of a cell are translated copies of those of its primitive cell.

    Attributes
    ----------
    atoms
        ``(n,)`` int, one atom of each orbit.
    basis
        ``(3, 3)``, the primitive cell is ``basis @ cell``; its inverse is an integer matrix.
    image
        ``(N,)`` int, index into ``atoms`` of the atom that each atom is a copy of.
    """

    atoms: np.ndarray
    basis: np.ndarray
    image: np.ndarray

    @property
    def supercell(self) -> np.ndarray:
        """``(3, 3)`` int P with ``cell = P @ primitive cell``."""
        return np.rint(np.linalg.inv(self.basis)).astype(int)

    def residual(self, positions: np.ndarray, cell: np.ndarray) -> float:
        """Largest distance in Å of an atom from where its translated copy puts it."""
        if len(self.atoms) == len(self.image):
            return 0.0
        lattice = self.basis @ cell
        offset = (positions - positions[self.atoms][self.image]) @ np.linalg.inv(lattice)
        offset -= np.rint(offset)
        return float(np.linalg.norm(offset @ lattice, axis=1).max())


class Sites:
    """Atoms of a periodic cell, ready to be matched against turned and shifted ones."""

    def __init__(self, numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray):
        self.numbers = np.asarray(numbers)
        self.cell = np.asarray(cell, dtype=float)
        self.inverse = np.linalg.inv(self.cell)
        self.fractional = positions @ self.inverse
        self._members = {z: np.nonzero(self.numbers == z)[0] for z in np.unique(self.numbers)}
        self._trees = {
            z: cKDTree(_wrapped(self.fractional[i]), boxsize=1.0) for z, i in self._members.items()
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
                perms, residual = self._nearest(places[alive][:, chosen], np.array(chosen))
                good = residual.max(1) <= tolerance
                alive, perms = alive[good], perms[good]
        if not len(alive):
            return alive, np.zeros((0, len(self)), dtype=int)
        unique = np.array([len(set(p)) == len(p) for p in perms.tolist()], dtype=bool)
        return alive[unique], perms[unique]

    def _nearest(self, places: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest like atoms ``(c, m)`` and their distances in Å."""
        index = np.zeros(places.shape[:2], dtype=int)
        for z, members in self._members.items():
            column = np.nonzero(self.numbers[which] == z)[0]
            if len(column):
                _, found = self._trees[z].query(_wrapped(places[:, column]))
                index[:, column] = members[found]
        offset = places - self.fractional[index]
        offset -= np.rint(offset)
        return index, np.linalg.norm(offset @ self.cell, axis=-1)


def _wrapped(fractional: np.ndarray) -> np.ndarray:
    """Into [0, 1), round-off included."""
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
    search = vesin.NeighborList(cutoff=5.0, full_list=True)
    i, j, d = search.compute(
        points=np.ascontiguousarray(positions), box=np.ascontiguousarray(cell),
        periodic=True, quantities="ijd",
    )  # fmt: skip
    kinds = np.sqrt(numbers[j.astype(int)] + 0.5)
    prints = np.bincount(i.astype(int), kinds * np.exp(-((d / 2.0) ** 2)), len(numbers))
    order = np.lexsort((prints, numbers))
    gap = np.diff(prints[order]) > max(1e-6, 100 * tolerance)
    new = np.concatenate([[True], gap | (np.diff(numbers[order]) != 0)])
    label = np.cumsum(new) - 1
    return order[label == np.bincount(label).argmin()]


def find_primitive(
    numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray, tolerance: float = EXACT
) -> Primitive:
    """Primitive cell by all translations that map a structure onto itself.

    Parameters
    ----------
    numbers, cell, positions
        ``(N,)``; ``(3, 3)`` and ``(N, 3)`` in Å.
    tolerance
        Å. Where translations found at it do not form a lattice, or a slightly larger one would
        find more, a smaller one is tried: round-off must not decide.
    """
    whole = Primitive(np.arange(len(numbers)), np.eye(3), np.arange(len(numbers)))
    sites = Sites(numbers, cell, positions)
    like = rarest_class(sites.numbers, sites.cell, positions, tolerance)
    shifts = sites.fractional[like] - sites.fractional[like[0]]
    for shrunk in tolerance * np.array([1.0, 0.3, 0.1, 0.01]):
        found, perms = sites.match(sites.fractional + shifts[:, None, :], max(shrunk, EXACT))
        n = len(found)
        if shrunk > EXACT and len(like) > n:
            wider, _ = sites.match(sites.fractional + shifts[:, None, :], MARGIN * shrunk)
            if len(wider) > n:
                continue
        if n == 1:
            return whole
        # the order of each translation divides their number, so that n t is an integer vector
        steps = np.rint(shifts[found] * n).astype(int)
        basis = _integer_basis(np.concatenate([steps, n * np.eye(3, dtype=int)]))
        if round(abs(np.linalg.det(basis.astype(float)))) == n * n:
            short = basis / n @ sites.cell
            turn = np.rint(minkowski_reduce(short)[1]).astype(int)
            label = perms.min(0)
            atoms, image = np.unique(label, return_inverse=True)
            if len(atoms) * n == len(numbers):
                primitive = turn @ basis / n
                # the handedness of the given cell
                return Primitive(atoms, primitive * np.sign(np.linalg.det(primitive)), image)
    return whole


def _integer_basis(rows: np.ndarray) -> np.ndarray:
    """Basis ``(3, 3)`` of the lattice that integer rows generate (Hermite normal form)."""
    rows = rows.copy()
    basis = np.zeros((3, 3), dtype=int)
    for column in range(3):
        while True:
            nonzero = rows[:, column] != 0
            if nonzero.sum() <= 1:
                break
            smallest = np.where(nonzero, np.abs(rows[:, column]), np.iinfo(int).max).argmin()
            factor = rows[:, column] // rows[smallest, column]
            factor[smallest] = 0
            rows = rows - factor[:, None] * rows[smallest]
        pivot = np.nonzero(rows[:, column])[0][0]
        basis[column] = rows[pivot]
        rows = np.delete(rows, pivot, axis=0)
    return basis


def find_operations(
    numbers: np.ndarray,
    cell: np.ndarray,
    positions: np.ndarray,
    matrices: np.ndarray,
    tolerance: float = EXACT,
) -> tuple[np.ndarray, np.ndarray]:
    """Which orthogonal matrices, with some translation, map a primitive structure onto itself.

    Parameters
    ----------
    numbers, cell, positions
        ``(n,)``; ``(3, 3)`` and ``(n, 3)`` in Å, a primitive cell.
    matrices
        ``(m, 3, 3)``, candidates g for ``x → x g + t``.
    tolerance
        Å.

    Returns
    -------
    tuple
        Indices ``(k,)`` of the operations and their permutations ``(k, n)``:
        ``x_i g + t = x_perm[i]``.
    """
    sites = Sites(numbers, cell, positions)
    like = rarest_class(sites.numbers, sites.cell, positions, tolerance)
    candidates = np.nonzero(lattice_residual(sites.cell, matrices) <= tolerance)[0]
    turned = positions @ matrices[candidates] @ sites.inverse
    shifts = sites.fractional[like] - turned[:, like[0], None]
    indices: list[int] = []
    permutations: list[np.ndarray] = []
    at_once = max(1, PLACES // (len(like) * len(sites)))
    for start in range(0, len(candidates), at_once):
        block = slice(start, start + at_once)
        places = turned[block, None] + shifts[block, :, None]
        found, perms = sites.match(places.reshape(-1, len(sites), 3), tolerance)
        # one translation is enough of each operation
        which, first = np.unique(found // len(like), return_index=True)
        indices.extend(candidates[block][which])
        permutations.extend(perms[first])
    return np.array(indices, dtype=int), np.array(permutations, dtype=int)


def lattice_residual(cell: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """How far, in Å, orthogonal matrices ``(m, 3, 3)`` are from mapping a lattice onto itself."""
    integers = cell @ matrices @ np.linalg.inv(cell)
    return np.abs((integers - np.rint(integers)) @ cell).max((1, 2))


def operations_residual(
    cell: np.ndarray, positions: np.ndarray, matrices: np.ndarray, permutations: np.ndarray
) -> float:
    """Largest distance in Å of an atom from where operations of known permutation put it.

    Each operation's translation is the one of its first atom.
    """
    inverse = np.linalg.inv(cell)
    offset = positions @ matrices - positions[permutations]
    offset = (offset - offset[:, :1]) @ inverse
    offset -= np.rint(offset)
    return float(np.linalg.norm(offset @ cell, axis=-1).max())
