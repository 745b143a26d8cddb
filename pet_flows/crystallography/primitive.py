"""Primitive cells: all translations that map a structure onto itself.

Found by how far atoms are from the places they should be on (residuals in Å); origin and
orientation are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree

from pet_flows.crystallography.rarest import rarest_class
from pet_flows.crystallography.sites import EXACT, PLACES, Sites, wrapped

#: a tolerance that finds fewer translations than one larger by this factor lies among residuals
#: that are equal but for round-off, as those of a supercell with one displaced atom are
MARGIN = 1.2


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

    @cached_property
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
    if is_primitive_by_formula(numbers):
        return whole
    sites = Sites(numbers, cell, positions)
    # all there can be, atoms of one element being what tells the least of them apart
    rarest = sites.rarest
    if len(_of_few(sites, sites.fractional[rarest] - sites.fractional[rarest[0]],
                   MARGIN * max(tolerance, EXACT))) < 2:  # fmt: skip
        return whole
    like = rarest_class(sites.numbers, sites.cell, positions, tolerance)
    shifts = sites.fractional[like] - sites.fractional[like[0]]
    # the last is exact, where the translations there are do form a lattice
    for shrunk in tolerance * np.array([1.0, 0.3, 0.1, 0.01, 0.0]):
        within = max(float(shrunk), EXACT)
        found = _without_doubt(sites, shifts, within)
        if found is not None:
            return found
        chosen, permutations = _translations(sites, shifts, within)
        n = len(chosen)
        if within > EXACT and len(like) > n:
            wider, _ = _translations(sites, shifts, MARGIN * within)
            if len(wider) > n:
                continue
        if n < 2:  # none where atoms are at the same place
            return whole
        basis = _lattice(shifts[chosen], sites.cell)
        if basis is not None:
            atoms, image = np.unique(permutations.min(0), return_inverse=True)
            if len(atoms) * n == len(numbers):
                return Primitive(atoms, basis, image)
    return whole


def is_primitive_by_formula(numbers: np.ndarray) -> bool:
    """Whether a cell of these atoms holds one formula unit, so that no translation divides it."""
    return math.gcd(*Counter(numbers.tolist()).values()) == 1


def _without_doubt(sites: Sites, shifts: np.ndarray, tolerance: float) -> Primitive | None:
    """Primitive cell where nothing is near the tolerance, in a time that grows as N log N.

    The translations that a few atoms allow, generously, form a lattice, and all atoms repeat on it
    within half the tolerance: so each of these translations holds, and there is no other. None
    where that is not so.
    """
    alike = _of_few(sites, shifts, MARGIN * tolerance)
    n = len(alike)
    basis = _lattice(shifts[alike], sites.cell) if n > 1 else None
    if basis is None:
        return None
    lattice = basis @ sites.cell
    fractional = sites.fractional @ sites.cell @ np.linalg.inv(lattice)
    tree = cKDTree(wrapped(fractional), boxsize=1.0)
    radius = tolerance / 2 / np.linalg.svd(lattice, compute_uv=False)[-1]
    first = np.full(len(sites), -1)
    for i in range(len(sites)):
        if first[i] >= 0:
            continue
        near = np.array(tree.query_ball_point(wrapped(fractional[i]), radius), dtype=int)
        offset = fractional[near] - fractional[i]
        offset -= np.rint(offset)
        near = near[np.linalg.norm(offset @ lattice, axis=1) <= tolerance / 2]
        same = (first[near] < 0) & (sites.numbers[near] == sites.numbers[i])
        if len(near) != n or not same.all():
            return None
        first[near] = i
    atoms, image = np.unique(first, return_inverse=True)
    return Primitive(atoms, basis, image)


def _of_few(sites: Sites, shifts: np.ndarray, tolerance: float) -> np.ndarray:
    """``(k,)`` int, which translations ``(m, 3)`` suit the first four atoms."""
    few = np.arange(min(4, len(sites)))
    _, residual = sites.nearest(sites.fractional[few] + shifts[:, None, :], few)
    return np.nonzero(residual.max(1) <= tolerance)[0]


def _translations(
    sites: Sites, shifts: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which translations ``(m, 3)`` map the structure onto itself, and their permutations."""
    indices, permutations = [], []
    alike = _of_few(sites, shifts, tolerance)
    at_once = max(1, PLACES // len(sites))
    for start in range(0, len(alike), at_once):
        block = alike[start : start + at_once]
        found, perms = sites.match(sites.fractional + shifts[block, None, :], tolerance)
        indices.append(block[found])
        permutations.append(perms)
    return np.concatenate(indices), np.concatenate(permutations)


def _lattice(shifts: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Reduced basis ``(3, 3)``, a multiple of the cell, of all n translations ``(n, 3)``.

    None if they are no lattice: sums of them are missing.
    """
    n = len(shifts)
    # the order of each translation divides their number, so that n t is an integer vector
    steps = np.rint(shifts * n).astype(int)
    basis = _integer_basis(np.concatenate([steps, n * np.eye(3, dtype=int)]))
    if round(abs(np.linalg.det(basis.astype(float)))) != n * n:
        return None
    change = np.rint(minkowski_reduce(basis / n @ cell)[1]).astype(int)
    primitive = change @ basis / n
    # the handedness of the given cell
    return primitive * np.sign(np.linalg.det(primitive))


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
