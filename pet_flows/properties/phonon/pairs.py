"""Which pairs of atoms of a supercell symmetry makes equal, and what it allows between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.geometry.ragged import starts_of


@dataclass(frozen=True)
class Pairs:
    """Pairs of an atom i of the primitive cell and an atom J of its supercell, pair ``i N + J``.

    The force constants of a pair follow from those of the first pair of its orbit under space
    group and exchange of the two atoms: ``Φ = Qᵀ X Q``, with X or its transpose.

    Attributes
    ----------
    orbit
        ``(P,)`` int, to which each pair belongs.
    operation
        ``(P,)`` int, which operation takes the orbit's first pair to it.
    exchanged
        ``(P,)`` bool, whether the atoms are exchanged after that.
    allowed
        ``(O, 9, 9)``, of each orbit the projector on the tensors (row by row) that its first pair
        may have: those that all operations which leave it where it is leave unchanged.
    operations
        ``(m, 3, 3)``, orthogonal Q for ``x → x Q``.
    """

    orbit: np.ndarray
    operation: np.ndarray
    exchanged: np.ndarray
    allowed: np.ndarray
    operations: np.ndarray

    @classmethod
    def of(
        cls, group: SpaceGroup, cell: np.ndarray, matrix: np.ndarray, cells: np.ndarray
    ) -> Pairs:
        """Pairs of a crystal.

        Parameters
        ----------
        group
            Of a primitive cell of n atoms.
        cell
            ``(3, 3)`` Å, rows, that cell.
        matrix
            ``(3, 3)`` int, rows: the supercell is ``matrix @ cell``.
        cells
            ``(n, c, 3)`` int, the cells in which the copies of each atom are, which stand together
            in the supercell; the first of each in one cell.
        """
        images = _images(group, matrix, cells)
        m, count = len(group), images.shape[1]
        backward = _exchange(matrix, cells)
        # places that each pair is taken to, without and with the exchange
        both = np.concatenate([images, backward[images]])
        first, orbit = np.unique(both.min(0), return_inverse=True)
        places = both[:, first]
        orbits, steps = np.nonzero((places == first).T)
        q = group.operations(cell)
        kept = np.bincount(orbits)
        tensors = _tensors(q[steps % m], steps >= m)
        allowed = np.add.reduceat(tensors, starts_of(kept)) / kept[:, None, None]
        step = np.zeros(count, dtype=int)
        # several operations take the first pair to each other one: one of them will do
        step[places.ravel()] = np.repeat(np.arange(2 * m), len(first))
        return cls(orbit.reshape(-1), step % m, step >= m, allowed, q)

    def pulled(self, which: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``(k, 9)``, ``left ⊗ right`` of pairs ``(k,)`` as a tensor of the first of their orbits.

        So that ``left · Φ · right`` of each is the scalar product with the first one's tensor.
        """
        q = self.operations[self.operation[which]]
        a, b = ((q @ v[:, :, None])[:, :, 0] for v in (left, right))
        swapped = self.exchanged[which, None]
        one, two = np.where(swapped, b, a), np.where(swapped, a, b)
        return (one[:, :, None] * two[:, None, :]).reshape(-1, 9)

    def tensors(self, which: np.ndarray) -> np.ndarray:
        """``(k, 9, 9)``, from the first of an orbit to each of some pairs ``(k,)``."""
        return _tensors(self.operations[self.operation[which]], self.exchanged[which])

    def expanded(self, tensors: np.ndarray) -> np.ndarray:
        """``(P, 3, 3)`` of all pairs, from ``(O, 9)`` of the first of each orbit."""
        own = tensors[self.orbit].reshape(-1, 3, 3)
        own = np.where(self.exchanged[:, None, None], own.transpose(0, 2, 1), own)
        q = self.operations[self.operation]
        found: np.ndarray = q.transpose(0, 2, 1) @ own @ q
        return found


def _tensors(q: np.ndarray, exchanged: np.ndarray) -> np.ndarray:
    """``(k, 9, 9)``: ``X → Qᵀ X Q``, of the transpose of X where the atoms are exchanged."""
    made = np.einsum("kca,kdb->kabcd", q, q)
    made = np.where(exchanged[:, None, None, None, None], made.swapaxes(3, 4), made)
    return made.reshape(-1, 9, 9)


class Places:
    """Which atom of a supercell is in which primitive cell."""

    def __init__(self, matrix: np.ndarray, cells: np.ndarray):
        self._size = abs(round(float(np.linalg.det(matrix))))
        self._adjugate = np.rint(np.linalg.inv(matrix) * self._size).astype(int)
        n, copies, _ = cells.shape
        self._copies = copies
        codes = self._code(cells) + self._size**3 * np.arange(n)[:, None]
        order = np.argsort(codes.ravel(), kind="stable")
        self._sorted, self._order = codes.ravel()[order], order

    def _code(self, cells: np.ndarray) -> np.ndarray:
        """A number for each cell ``(..., 3)``, the same for those a supercell's vector apart."""
        places = (cells @ self._adjugate) % self._size
        found: np.ndarray = places @ np.array([self._size**2, self._size, 1])
        return found

    def find(self, atoms: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Atoms of the supercell: copies of atoms of the primitive cell in cells ``(..., 3)``."""
        codes = self._code(cells) + self._size**3 * atoms
        at = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        if (self._sorted[at] != codes).any():
            raise ArithmeticError("an operation takes an atom of the supercell to no other")
        found: np.ndarray = self._order[at]
        return found


def _images(group: SpaceGroup, matrix: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """``(m, P)`` int, the pair that each operation takes each pair to."""
    n, copies, _ = cells.shape
    places = Places(matrix, cells)
    atoms = np.repeat(np.arange(n), copies)
    lattice = (cells - cells[:, :1]).reshape(-1, 3)
    shifts = np.rint(group.shifts - group.shifts[:, :1]).astype(int)
    origin = cells[:, 0]
    found = np.empty((len(group), n * n * copies), dtype=int)
    for g, (w, permutation) in enumerate(zip(group.rotations, group.permutations, strict=True)):
        moved = lattice @ w + shifts[g, atoms]
        # of each first atom, with it moved back into its own cell
        apart = moved[None] - shifts[g, :, None]
        image = permutation[atoms]
        second = places.find(image[None].repeat(n, 0), apart + origin[image][None])
        found[g] = (permutation[:, None] * n * copies + second).ravel()
    return found


def _exchange(matrix: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """``(P,)`` int, the pair of the same two atoms the other way round."""
    n, copies, _ = cells.shape
    places = Places(matrix, cells)
    atoms = np.repeat(np.arange(n), copies)
    lattice = (cells - cells[:, :1]).reshape(-1, 3)
    firsts = np.arange(n)[:, None]
    second = places.find(firsts.repeat(n * copies, 1), -lattice[None] + cells[:, 0][:, None])
    found: np.ndarray = (atoms[None] * n * copies + second).ravel()
    return found
